"""The files that bags consist of: mcap, SQLite and ROS 1's, whole or as far as they go. No ROS."""
