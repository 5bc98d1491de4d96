"""REHDR in PyTorch: the network and its checkpoints. Knows neither ROS nor events."""

import torch

# 1.13 is the first that reads a .pth without running its code.
if tuple(map(int, torch.__version__.split(".")[:2])) < (1, 13):
    raise ModuleNotFoundError(f"PyTorch {torch.__version__} is too old, 1.13 is needed", name="torch")

from rehdr_ros.network.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from rehdr_ros.network.contract import Network, Stream
from rehdr_ros.network.rehdr import Rehdr, RehdrConfig

__all__ = ["CheckpointError", "Network", "Rehdr", "RehdrConfig", "Stream"]
__all__ += ["load_checkpoint", "save_checkpoint"]
