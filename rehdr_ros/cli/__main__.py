"""python -m rehdr_ros.cli: the command, where the package isn't installed."""

import sys

from rehdr_ros.cli import main

sys.exit(main())
