"""rehdr reconstruct: a recording through the pipeline, offline, every frame."""

import argparse
from collections.abc import Iterator

from rehdr_ros.cli.pipeline_options import add_pipeline_options, pipeline_config
from rehdr_ros.cli.progress import progress
from rehdr_ros.errors import InputError
from rehdr_ros.events import Events, Packet
from rehdr_ros.reconstruction import HdrFrame, HdrPipeline
from rehdr_ros.recordings import Aedat4Recording, Calibration, Exposure, open_recording
from rehdr_ros.recordings.results import ResultWriter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", help="rosbag2 (folder, .mcap, .db3) or .aedat4 file")
    parser.add_argument("-o", "--output", required=True, help="folder for the results")
    parser.add_argument("--events", metavar="TOPIC", help="events topic; found by its type if not given")
    parser.add_argument("--image", metavar="TOPIC", help="image topic; found by its type if not given")
    parser.add_argument("--fps", type=float, help="frame rate of the video; the recording's if not given")
    parser.add_argument("--half", action="store_true", help="write 16-bit EXR files")
    add_pipeline_options(parser)


def run(args: argparse.Namespace) -> None:
    recording = open_recording(args.input, args.events, args.image)
    messages = recording.messages(cameras=args.registration == "camera_info")
    fps = args.fps or _frame_rate(recording)
    size = (recording.width, recording.height) if isinstance(recording, Aedat4Recording) else None
    pipeline = HdrPipeline(pipeline_config(args))
    events, seconds = 0, {}
    with ResultWriter(args.output, fps, args.half) as results:
        for frame in progress(reconstruct(pipeline, messages, size), "reconstructing"):
            if pipeline.registration_problem and not frame.info.reset_reason:
                raise InputError(pipeline.registration_problem)
            events += frame.info.events
            for stage, duration in frame.info.durations.items():
                seconds[stage] = seconds.get(stage, 0.0) + duration
            results.write(frame.radiance, frame.tonemapped, _row(frame))
        if not results.count:
            raise InputError(f"{args.input} has no frames")
        counters = pipeline.counters
        results.summarise(
            {
                "frames": results.count,
                "events": events,
                "dropped_events": counters.pop("dropped_events"),
                "lost_packets": counters.pop("lost_packets", 0),
                "skipped_frames": counters.pop("skipped_frames"),
                "damaged": counters,
                "hot_pixels": pipeline.hot_pixels,
                "encoding": getattr(recording, "encoding", None) or "decoded",
                "weights": args.weights,
                "device": pipeline.device,
                "precision": pipeline.precision,
                "radiance": pipeline.radiance,
                **{f"{stage}_ms": round(1e3 * total / results.count, 3) for stage, total in seconds.items()},
            }
        )
    print(f"{results.count} frames in {args.output}: hdr/, tonemapped/, video.mp4, frames.csv, summary.json")


def reconstruct(pipeline: HdrPipeline, messages, event_size: tuple[int, int] | None = None) -> Iterator[HdrFrame]:
    """Every HDR frame of a recording's Packets, Events, Exposures, Calibrations and Frames.

    event_size: width and height of the event camera where Events come.
    """
    for message in messages:
        if isinstance(message, Packet):
            pipeline.add_packet(message)
        elif isinstance(message, Events):
            pipeline.add_events(message, event_size)
        elif isinstance(message, Calibration):
            pipeline.set_camera(message.of, message.camera)
        elif isinstance(message, Exposure):
            pipeline.add_exposure(message.stamp_ns, message.exposure)
        else:
            pipeline.add_frame(message.stamp_ns, message.image, message.exposure)
        yield from pipeline.take()
    yield from pipeline.take(flush=True)


def _row(frame: HdrFrame) -> dict:
    info = frame.info
    stages = {f"{name}_ms": round(seconds * 1e3, 3) for name, seconds in info.durations.items()}
    return {
        "index": info.index,
        "stamp_ns": frame.stamp_ns,
        "events": info.events,
        "clipped_fraction": round(info.clipped_fraction, 6),
        "tonemapped_clipped_fraction": round(info.tonemapped_clipped_fraction, 6),
        "dropped_events": info.dropped_events,
        "late_events": info.late_events,
        "lost_packets": info.lost_packets,
        "skipped_frames": info.skipped_frames,
        "state_age": round(info.state_age, 6),
        "reset_reason": info.reset_reason,
        **stages,
    }


def _frame_rate(recording) -> float:
    """From the first frames' stamps; 25 where they don't tell."""
    stamps = [frame.stamp_ns for frame, _ in zip(recording.frames(), range(20), strict=False)]
    if len(stamps) < 2 or stamps[-1] <= stamps[0]:
        return 25.0
    return min(max((len(stamps) - 1) / ((stamps[-1] - stamps[0]) * 1e-9), 1.0), 240.0)
