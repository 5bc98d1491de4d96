"""rehdr benchmark events, voxels: decoders and voxel grid against vectorised NumPy."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from rehdr_ros.cli.benchmarks import plain_numpy
from rehdr_ros.cli.benchmarks.timing import Figures, pair
from rehdr_ros.events import Events, Packet, Registration, make_decoder, make_encoder, voxel_grid
from rehdr_ros.events.run import runs
from rehdr_ros.recordings import BagRecording


def add_arguments(parser: argparse.ArgumentParser) -> None:
    bags = os.path.join(os.environ.get("REHDR_SHARED", "../shared"), "data", "bags")
    parser.add_argument("--recordings", default=bags, help="for events and voxels: folder of recorded bags")


def events(args: argparse.Namespace) -> Figures:
    """Decoding, Mevents/s, against vectorised NumPy; recordings in the packets they came in, and in one."""
    streams: dict[str, tuple[list[Packet], Callable[[Packet], Events]]] = {}
    for name, reference in _RECORDED.items():
        path = Path(args.recordings) / name
        if not path.exists():
            print(f"{path} is missing: left out", file=sys.stderr)
            continue
        packets = list(BagRecording(path).packets())
        streams[f"{packets[0].encoding}, recorded"] = packets, reference
        if packets[0].encoding == "evt3":  # the others begin anew in every packet
            data = b"".join(bytes(packet.data) for packet in packets)
            streams["evt3, recorded, in one packet"] = [replace(packets[0], data=data)], reference
    for name, events in (("single events", _random_events(300_000)), ("dense vectors", _dense_events())):
        streams[f"evt3, {name}"] = [make_encoder("evt3", 640, 480).encode(events)], plain_numpy.decode_evt3
    evt2 = make_encoder("evt2", 640, 480).encode(_random_events(300_000))
    streams["evt2"] = [evt2], plain_numpy.decode_evt2

    figures = {}
    for name, (packets, reference) in streams.items():
        decoder = make_decoder(packets[0].encoding, packets[0].width, packets[0].height)
        count = sum(len(decoder.decode_run(run).events) for run in runs(packets))
        ours, plain = pair(
            lambda packets=packets, decoder=decoder: [decoder.decode_run(run) for run in runs(packets)],
            lambda packets=packets, reference=reference: [reference(packet) for packet in packets],
            args.repeat,
        )
        figures[name] = {"mevents_per_s": count / ours / 1e6, "ratio_to_numpy": plain / ours}
    return figures


_RECORDED = {
    "evt3_640x480": plain_numpy.decode_evt3,
    "libcaer_640x480_rollover": plain_numpy.decode_libcaer,
    "libcaer_cmp_346x260": plain_numpy.decode_libcaer_cmp,
}


def voxels(args: argparse.Namespace) -> Figures:
    """1 M events into 5x480x640, Mevents/s, against np.bincount; registered, against the grid without."""
    shape = (5, 480, 640)
    out = np.zeros(shape, np.float32)
    tables = {
        "with a look-up table": Registration.identity((640, 480)),
        "rotated by 6 degrees": Registration.from_homography((640, 480), (640, 480), _rotation(0.1)),
    }
    figures = {}
    for name, events in _voxel_inputs(args).items():
        t0, t1 = int(events.t[0]) - 1, int(events.t[-1])
        ours, plain = pair(
            lambda e=events, a=t0, b=t1: voxel_grid(e, a, b, *shape, out=out),
            lambda e=events, a=t0, b=t1: plain_numpy.voxel_grid(e, a, b, *shape),
            args.repeat,
        )
        figures[name] = {"mevents_per_s": len(events) / ours / 1e6, "ratio_to_numpy": plain / ours}
        for label, table in tables.items():
            registered, without = pair(
                lambda e=events, a=t0, b=t1, r=table: voxel_grid(e, a, b, *shape, out=out, registration=r),
                lambda e=events, a=t0, b=t1: voxel_grid(e, a, b, *shape, out=out),
                args.repeat,
            )
            rate, cost = len(events) / registered / 1e6, registered / without - 1
            figures[f"{name}, {label}"] = {"mevents_per_s": rate, "added_cost": cost}
    return figures


def _voxel_inputs(args: argparse.Namespace) -> dict[str, Events]:
    inputs = {"1 M random events": _random_events(1_000_000)}
    path = Path(args.recordings) / "evt3_640x480"
    if path.exists():
        decoder = make_decoder("evt3", 640, 480)
        events = Events.concatenate(map(decoder.decode, BagRecording(path).packets()))
        repeats = 1_000_000 // len(events) + 1
        columns = [np.tile(getattr(events, name), repeats)[:1_000_000] for name in "xyp"]
        inputs["1 M recorded events"] = Events(np.linspace(0, 2e8, 1_000_000), *columns)
    return inputs


def _rotation(angle: float) -> np.ndarray:
    """Homography of a turn about the middle of 640x480."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 320 - 320 * c + 240 * s], [s, c, 240 - 320 * s - 240 * c], [0, 0, 1]])


def _random_events(count: int) -> Events:
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 200_000, count)) * 1000
    return Events(t, rng.integers(0, 640, count), rng.integers(0, 480, count), rng.integers(0, 2, count))


def _dense_events() -> Events:
    """Whole rows that fire at once, as edges do: what evt3's vectors are for."""
    x = np.tile(np.arange(600), 1000)
    t = np.repeat(np.arange(1000) * 20_000, 600)
    return Events(t, x, np.repeat(np.arange(1000) % 480, 600), np.ones(len(x)))
