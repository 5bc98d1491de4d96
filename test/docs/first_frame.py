"""Ends when rehdr_node has published its first frame."""

import rclpy
from rclpy.node import Node

from rehdr_ros.msg import FrameInfo


def main() -> None:
    rclpy.init()
    node = Node("first_frame")
    infos: list[FrameInfo] = []
    node.create_subscription(FrameInfo, "/rehdr_node/frame_info", infos.append, 10)
    while not infos:
        rclpy.spin_once(node, timeout_sec=0.1)


if __name__ == "__main__":
    main()
