"""rehdr simulate: a bag with frames, events and the true HDR."""

import argparse

from rehdr_ros.cli.arguments import size
from rehdr_ros.cli.config_options import add_options, option_values
from rehdr_ros.cli.progress import progress
from rehdr_ros.events.codecs import ENCODERS
from rehdr_ros.simulation import EventCameraConfig, SimulationConfig
from rehdr_ros.simulation.bag import write_bag


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add, default = parser.add_argument, SimulationConfig()
    add("-o", "--output", required=True, help="bag to write (a new folder)")
    usual = default.width, default.height
    add("--size", type=size, default=usual, metavar="WxH", help="of frames and events, px")
    add("--encoding", choices=ENCODERS, default="evt3", help="of the event packets")
    add_options(parser, SimulationConfig, without=("width", "height", "renders"))
    add_options(parser.add_argument_group("event camera"), EventCameraConfig, without=("dark",))


def run(args: argparse.Namespace) -> None:
    events = EventCameraConfig(**option_values(args, EventCameraConfig))
    (width, height), options = args.size, option_values(args, SimulationConfig)
    config = SimulationConfig(**options, width=width, height=height, events=events)
    frames, events = 0, 0
    for sample in progress(write_bag(config, args.output, args.encoding), "simulating", config.frames):
        frames += 1
        events += sample.event_count
    print(f"{frames} frames and {events} events in {args.output}")
