"""Sequences, losses, the training loop and the measures. No ROS."""
