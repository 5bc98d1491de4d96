"""REHDR in PyTorch: the network and its checkpoints. Knows neither ROS nor events."""

from rehdr_ros.network.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from rehdr_ros.network.rehdr import Estimate, Rehdr, RehdrConfig, State

__all__ = ["CheckpointError", "Estimate", "Rehdr", "RehdrConfig", "State", "load_checkpoint", "save_checkpoint"]
