"""Prints what the node has, as JSON: topics and services with their types, and which outputs are reliable.

Its arguments are the node's. A process of its own, for only one may use rclpy's default context.
"""

import json
import os
import sys

import rclpy
from rclpy.qos import ReliabilityPolicy

from rehdr_ros.node.node import RehdrNode


def main() -> None:
    rclpy.init(args=sys.argv)
    node = RehdrNode()
    node.trigger_configure()
    node.trigger_activate()
    name = node.get_name(), node.get_namespace()
    publishers = dict(node.get_publisher_names_and_types_by_node(*name))
    ours = {topic: node.get_publishers_info_by_topic(topic) for topic in publishers}
    found = {
        "publishers": publishers,
        "subscriptions": dict(node.get_subscriber_names_and_types_by_node(*name)),
        "services": dict(node.get_service_names_and_types_by_node(*name)),
        "reliable": {
            topic: all(each.qos_profile.reliability == ReliabilityPolicy.RELIABLE for each in infos)
            for topic, infos in ours.items()
        },
    }
    print(json.dumps(found), flush=True)
    node.stop()
    os._exit(0)


if __name__ == "__main__":
    main()
