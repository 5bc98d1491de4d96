"""The only room that imports rclpy."""

import os

# Before torch is imported: on a busy machine its waiting threads would take the cores from everybody else.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
