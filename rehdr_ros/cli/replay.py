"""rehdr replay: a bag into the ROS graph."""

import argparse
import sys

from rehdr_ros.cli.progress import progress
from rehdr_ros.errors import InputError, require_ros
from rehdr_ros.recordings import BagRecording


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bag", help="rosbag2 (folder, .mcap, .db3)")
    parser.add_argument("--topics", nargs="+", metavar="TOPIC", help="publish only these")
    parser.add_argument("--rate", type=float, default=1.0, help="speed: 2 is twice as fast")
    parser.add_argument("--loop", action="store_true", help="begin anew at the end")
    parser.add_argument("--clock", action="store_true", help="publish /clock")
    parser.add_argument("--wait", type=float, default=5.0, help="longest wait for subscribers, s")


def run(args: argparse.Namespace) -> None:
    if not args.rate > 0:
        raise InputError(f"--rate must be positive, not {args.rate}")
    bag = BagRecording(args.bag)
    unknown = sorted(set(args.topics or ()) - set(bag.topics))
    if unknown:
        raise InputError(f"{args.bag} has no topic {', '.join(unknown)}; it has {', '.join(bag.topics)}")

    require_ros()
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from rehdr_ros.node.replay import Replayer
    from rehdr_ros.node.signals import interrupt_on_signals
    from rehdr_ros.node.transport import use_large_shared_memory

    use_large_shared_memory()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    interrupt_on_signals()
    player = Replayer(bag, args.topics, args.clock)
    try:
        inputs = [t for t in (bag.events_topic, bag.image_topic) if t and (not args.topics or t in args.topics)]
        deaf = player.wait_for_subscribers(inputs, args.wait)
        if deaf:
            player.get_logger().warning(f"nobody subscribes to {', '.join(deaf)}; playing all the same")
        while rclpy.ok():
            for _ in progress(player.play(args.rate), "replaying", unit="message"):
                pass
            if not args.loop:
                break
        player.finish()
    except KeyboardInterrupt:
        print("replay stopped", file=sys.stderr)
    finally:
        player.destroy_node()
        rclpy.try_shutdown()
