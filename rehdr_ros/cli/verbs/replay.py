"""rehdr replay: a bag into the ROS graph."""

import argparse
import sys
from fnmatch import fnmatchcase

from rehdr_ros.cli.arguments import number
from rehdr_ros.cli.progress import progress
from rehdr_ros.errors import InputError, require_ros
from rehdr_ros.recordings import BagRecording


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bag", help="rosbag2 (folder, .mcap, .db3)")
    several = {"nargs": "+", "action": "extend", "metavar": "TOPIC"}
    parser.add_argument("--topics", **several, help="publish only these")
    parser.add_argument("--exclude", **several, default=[], help="not these; * stands for any")
    parser.add_argument("--rate", type=number(above=0), default=1.0, help="speed: 2 is twice as fast")
    parser.add_argument("--loop", action="store_true", help="begin anew at the end")
    parser.add_argument("--clock", action="store_true", help="publish /clock, in place of the bag's")
    parser.add_argument("--wait", type=float, default=5.0, help="longest wait for subscribers, s")


def run(args: argparse.Namespace) -> None:
    bag = BagRecording(args.bag)
    unknown = sorted(set(args.topics or ()) - set(bag.topics))
    if unknown:
        raise InputError(f"{args.bag} has no topic {', '.join(unknown)}; it has {', '.join(bag.topics)}")

    chosen = args.topics or bag.topics
    topics = [name for name in chosen if not any(fnmatchcase(name, pattern) for pattern in args.exclude)]
    require_ros()
    from rehdr_ros.node.replay import replay

    played = replay(bag, topics, args.rate, args.loop, args.clock, args.wait)
    try:
        for _ in progress(played, "replaying", unit="message"):
            pass
    except KeyboardInterrupt:
        print("replay stopped", file=sys.stderr)
