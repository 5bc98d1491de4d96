"""rehdr simulate: a bag with frames, events and the true HDR."""

import argparse

from rehdr_ros.cli.arguments import size
from rehdr_ros.cli.progress import progress
from rehdr_ros.events.codecs import ENCODERS
from rehdr_ros.simulation import EventCameraConfig, SimulationConfig
from rehdr_ros.simulation.bag import write_bag


def add_arguments(parser: argparse.ArgumentParser) -> None:
    default = SimulationConfig()
    add = parser.add_argument
    add("-o", "--output", required=True, help="bag to write (a new folder)")
    add("--scene", default=default.scene, help="procedural, or a .hdr panorama or .exr photograph")
    add("--seconds", type=float, default=default.seconds, help="length")
    add("--fps", type=float, default=default.fps, help="frame rate")
    add(
        "--size",
        type=size,
        default=(default.width, default.height),
        metavar="WxH",
        help="of frames and events",
    )
    add("--seed", type=int, default=default.seed, help="the same seed gives the same bag")
    add(
        "--contrast",
        type=float,
        default=default.events.contrast,
        help="contrast threshold, natural log units",
    )
    add("--exposure", type=float, default=default.exposure, help="exposure time, s")
    add(
        "--clipped",
        type=float,
        default=default.clipped,
        help="share of the pixels that the exposure lets clip",
    )
    add("--speed", type=float, default=default.speed, help="image motion, about px/s")
    add("--jitter", type=float, default=default.jitter, help="irregularity of the frame intervals, 0..1")
    events = default.events
    add("--mismatch", type=float, default=events.mismatch, help="relative spread of the pixels' contrast thresholds")
    add("--refractory", type=float, default=events.refractory_us, help="dead time of a pixel after an event, us")
    add("--noise-rate", type=float, default=events.noise_rate, help="random events of a pixel, Hz")
    add("--leak-rate", type=float, default=events.leak_rate, help="ON events of a pixel without a change, Hz")
    add(
        "--bandwidth",
        type=float,
        default=events.bandwidth,
        help="how fast a pixel follows at white, Hz, less in darker light; 0: at once",
    )
    add("--hot-pixels", type=float, default=events.hot_pixels, help="share of hot pixels")
    add("--encoding", choices=ENCODERS, default="evt3", help="of the event packets")


def run(args: argparse.Namespace) -> None:
    config = SimulationConfig(
        scene=args.scene,
        width=args.size[0],
        height=args.size[1],
        seconds=args.seconds,
        fps=args.fps,
        seed=args.seed,
        clipped=args.clipped,
        exposure=args.exposure,
        speed=args.speed,
        jitter=args.jitter,
        events=EventCameraConfig(
            contrast=args.contrast,
            mismatch=args.mismatch,
            refractory_us=args.refractory,
            noise_rate=args.noise_rate,
            leak_rate=args.leak_rate,
            hot_pixels=args.hot_pixels,
            bandwidth=args.bandwidth,
        ),
    )
    frames, events = 0, 0
    for sample in progress(write_bag(config, args.output, args.encoding), "simulating", config.frames):
        frames += 1
        events += len(sample.events)
    print(f"{frames} frames and {events} events in {args.output}")
