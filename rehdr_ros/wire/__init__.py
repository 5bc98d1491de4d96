"""Serialized bytes and ROS messages, whoever made them <-> arrays. No ROS: node and bags alike use it."""
