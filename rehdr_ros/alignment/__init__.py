"""Are the events where the frames are, and when? No ROS, no network."""

from rehdr_ros.alignment.pairs import Collected, FramePair, NoPairs, collect_pairs
from rehdr_ros.alignment.time_offset import TimeOffset, estimate_time_offset

__all__ = ["Collected", "FramePair", "NoPairs", "TimeOffset", "collect_pairs", "estimate_time_offset"]
