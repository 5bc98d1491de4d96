"""The options that say what to read of a recording."""

import argparse
from collections.abc import Callable, Iterator
from typing import Any

from rehdr_ros.cli.arguments import size
from rehdr_ros.recordings import FORMATS, open_recording
from rehdr_ros.recordings.recording import Recording
from rehdr_ros.recordings.selection import select
from rehdr_ros.recordings.timestamps import UNITS


def add_recording_options(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """Which recording, or which several, and which part of it."""
    add = add_source_options(parser, several)
    add("--start", type=float, metavar="S", help="leave out what comes before, s from the start")
    add("--stop", type=float, metavar="S", help="leave out what comes after, s from the start")
    every = "take every N-th frame; the events between go to the next"
    add("--every", type=int, default=1, metavar="N", help=every)


def add_source_options(parser: argparse.ArgumentParser, several: bool = False) -> Callable[..., Any]:
    """Which recording, or which several. Returns what adds more options to theirs."""
    parser.add_argument("input", metavar="RECORDING", nargs="+" if several else None, help=FORMATS)
    add = parser.add_argument_group("recording").add_argument
    add("--events", metavar="TOPIC", help="events topic of a bag; found by its type if not given")
    image = "image topic of a bag, compressed or not; found by its type if not given"
    add("--image", metavar="TOPIC", help=image)
    add("--frames", metavar="FOLDER", help="frames of a .raw file, in natural order of their names")
    stamps = "their stamps, one a line; found in or beside FOLDER by its name"
    add("--timestamps", metavar="FILE", help=stamps)
    add("--timestamps-unit", choices=tuple(UNITS), help="of those; deduced if not given")
    add("--event-size", type=size, metavar="WxH", help="of a .raw file whose header doesn't tell it, px")
    camera = "of an .aedat4 file; the one with events and frames if not given"
    add("--camera", metavar="NAME", help=camera)
    return add


def open_source(args: argparse.Namespace, fps: float | None = None) -> Recording:
    """fps: of a recording whose frames have no stamps. Raises RecordingError."""
    stamps = {"timestamps": args.timestamps, "timestamps_unit": args.timestamps_unit, "fps": fps}
    cameras = {"event_size": args.event_size, "camera": args.camera}
    return open_recording(args.input, args.events, args.image, frames=args.frames, **stamps, **cameras)


def source_lines(recording: Recording, cameras: bool = False) -> list[str]:
    """What is read, what else there is, and what there is to say of the recording."""
    return recording.sources(cameras).lines() + [f"note: {note}" for note in recording.notes]


def source_rows(recording: Recording, cameras: bool = False) -> list[str]:
    """The same as rows below a result."""
    parted = (line.partition(": ") for line in source_lines(recording, cameras))
    return [f"  {name:11} {text}" for name, _, text in parted]


def selected_messages(args: argparse.Namespace, recording: Recording, cameras: bool) -> Iterator[Any]:
    """The chosen part of the recording's messages; cameras: first the calibration of both."""
    messages = recording.messages(cameras=cameras, event_time_offset=args.event_time_offset)
    return select(messages, args.start, args.stop, args.every)
