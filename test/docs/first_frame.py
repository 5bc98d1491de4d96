"""Says when it listens, and ends when rehdr_node has published a frame."""

import time

import rclpy
from rclpy.node import Node

from rehdr_ros.msg import FrameInfo

PATIENCE = 60.0  # s


def main() -> None:
    rclpy.init()
    node = Node("first_frame")
    infos: list[FrameInfo] = []
    node.create_subscription(FrameInfo, "/rehdr_node/frame_info", infos.append, 10)
    deadline = time.monotonic() + PATIENCE
    while not node.count_publishers("/rehdr_node/frame_info"):
        if time.monotonic() > deadline:
            raise SystemExit("no rehdr_node")
        rclpy.spin_once(node, timeout_sec=0.1)
    time.sleep(1.0)  # discovery runs both ways
    print("listening", flush=True)
    while not infos:
        rclpy.spin_once(node, timeout_sec=0.1)


if __name__ == "__main__":
    main()
