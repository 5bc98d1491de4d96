"""Python's own zstd, which came with 3.14, and before that what rosbags brings. Import it from here."""

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["zstd"]
