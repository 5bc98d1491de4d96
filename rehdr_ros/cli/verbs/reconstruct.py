"""rehdr reconstruct: a recording through the pipeline, offline, every frame."""

import argparse
import json
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from statistics import median

from rehdr_ros import __version__
from rehdr_ros.cli.arguments import number
from rehdr_ros.cli.console import Console
from rehdr_ros.cli.frame_results import UNCERTAINTY_HELP, row_of
from rehdr_ros.cli.interruption import Interruption
from rehdr_ros.cli.many_recordings import add_many_options, reconstruct_all
from rehdr_ros.cli.output_folder import exclusive_folder, identity, require_kept
from rehdr_ros.cli.pipeline_options import add_pipeline_options, pipeline_config
from rehdr_ros.cli.recording_options import add_recording_options, open_source, selected_messages
from rehdr_ros.errors import InputError, writing
from rehdr_ros.products import NO_ESTIMATE, written
from rehdr_ros.reconstruction import HdrFrame, HdrPipeline, PipelineConfig
from rehdr_ros.reconstruction.losses import losses
from rehdr_ros.reconstruction.snapshot import Snapshot
from rehdr_ros.recordings.results import folder
from rehdr_ros.recordings.results.video import require_encoders
from rehdr_ros.recordings.results.videos_and_bag import write_bag, write_hdr_video, write_video

_UNFINISHED = "unfinished.safetensors"  # there until everything is written
SECONDS_BETWEEN_SNAPSHOTS = 10
_MOST_FPS = 240.0  # of videos, where nobody says
_PAUSE = 10  # usual frame intervals
_PATIENCE = 60  # s that the process of a node that has died may still hold a folder
_CHOICES = ("events", "image", "timestamps_unit", "event_size", "camera")
_CHOICES += ("start", "stop", "every", "half", "uncertainty")
_OF_EVENTS = ("output_rate", "event_time_offset", "event_latency", "hot_pixel_filter", "deblur")
_EPILOG = """\
Interrupted (Ctrl-C, SIGTERM, or killed) and started again, a run goes on where it was, \
and ends with the same files; with --output-rate it starts anew.
"""
_GOES_ON = "the same command goes on there"
_ABOUT_RADIANCE = {
    "ldr_white": "1.0 = the level at which the first frame after a reset saturates",
    "relative": "0..1, no unit",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    add_recording_options(parser, several=True)
    add, positive = parser.add_argument_group("results").add_argument, number(above=0)
    add("-o", "--output", required=True, help="folder for the results")
    add("--half", action="store_true", help="write 16-bit EXR files")
    add("--fps", type=positive, help="of the videos, and of frames without stamps; the recording's, or 25")
    slower = "how many times slower than it was the videos show it, as 8 with --output-rate 240"
    add("--slow-motion", type=positive, metavar="FACTOR", help=slower)
    add("--hdr-video", action="store_true", help=f"write {folder.HDR_VIDEO} too: HDR10 (HEVC, BT.2020, PQ)")
    add("--hdr-white", type=positive, default=203.0, metavar="CD", help="cd/m2 of radiance 1.0 in there")
    add("--uncertainty", action="store_true", help=UNCERTAINTY_HELP)
    bag = f"write {folder.BAG}/ too: a rosbag2 with the node's image topics"
    add("--bag", action="store_true", help=bag)
    add_many_options(parser)
    add_pipeline_options(parser)


def run(args: argparse.Namespace) -> None:
    if args.slow_motion and args.fps:
        raise InputError("give --fps or --slow-motion, not both")
    require_encoders(hdr=args.hdr_video)
    if len(args.input) > 1 or args.workers or args.cluster:
        reconstruct_all(args, partial(_reconstruct, once=True))
    else:
        (args.input,) = args.input
        _reconstruct(args, Interruption(), Console())


def _reconstruct(
    args: argparse.Namespace, interruption: Interruption, console: Console, once: bool = False
) -> None:
    """One recording. once: what the same settings have finished is left as it is."""
    recording, output = open_source(args, args.fps), Path(args.output)
    for line in recording.sources(_reads_cameras(args)).lines():
        console.say(line)
    with exclusive_folder(output, _PATIENCE if args.cluster else 0), interruption:
        run_ = _Run(args, recording, output, interruption, console)
        if once and run_.is_finished():
            console.say("finished before, with the same settings")
            return
        run_.reconstruct()
        names = run_.make_videos_and_bag()
        if once:
            run_.note_finished()
    console.say(f"{run_.frames} frames in {output}: {', '.join(names)}")


class _Run:
    """One recording into one folder, from where an interrupted run of the same settings was."""

    def __init__(
        self, args: argparse.Namespace, recording, output: Path, interruption: Interruption, console: Console
    ) -> None:
        self._args, self._recording, self._output = args, recording, output
        self._interruption, self._console = interruption, console
        self._config = replace(pipeline_config(args), event_image=True)
        if recording.encoding == "voxel_grid":
            _require_events_unneeded(recording.path, self._config)
        require_kept(self._paths().values(), output)
        self._products = written(args.uncertainty)
        self._settings = {
            **asdict(self._config),
            **{name: getattr(args, name) for name in _CHOICES},
            "fps": recording.fps,  # not args.fps, which may be the videos' alone
            **{name: identity(value, output) for name, value in self._paths().items()},
        }
        self._unfinished = output / _UNFINISHED
        self.frames, self._said = 0, set()
        self._say(*recording.notes)

    def reconstruct(self) -> None:
        """Write the frames, frames.csv and summary.json."""
        snapshot = self._interrupted()
        if snapshot is not None and snapshot.complete:
            self.frames = snapshot.frames
            return
        pipeline, count = self._pipeline(snapshot)
        notes = {"radiance": pipeline.radiance, "radianceUnit": _ABOUT_RADIANCE[pipeline.radiance]}
        made = reconstruct(pipeline, self._messages(pipeline), self._recording.event_size)
        frames = self._console.progress(made, "reconstructing")
        first, saved = next(frames, None), time.monotonic()
        if first is None and not count:
            raise InputError(f"{self._args.input} has no frames")
        if first and any(first.picture(each.attribute) is None for each in self._products):
            raise InputError(f"--uncertainty: {NO_ESTIMATE}")
        with folder.ResultWriter(self._output, self._args.half, notes, count) as results:
            for frame in chain([first] if first else [], frames):
                if pipeline.registration_problem and not frame.info.reset_reason:
                    raise InputError(pipeline.registration_problem)
                pictures = {product: frame.picture(product.attribute) for product in self._products}
                row = row_of(frame.info, frame.stamp_ns, frame.info.event_fit, frame.info.durations)
                results.write(pictures, row)
                self._say(pipeline.registration_doubt, *self._recording.notes)
                stops = self._interruption.requested
                if stops or time.monotonic() - saved > SECONDS_BETWEEN_SNAPSHOTS:
                    results.flush()
                    if not self._config.output_rate:  # else a snapshot is not all that there is
                        self._save(pipeline.snapshot)
                    saved = time.monotonic()
                if stops:
                    goes_on = "the same command starts anew" if self._config.output_rate else _GOES_ON
                    raise KeyboardInterrupt(f"interrupted after {results.count} frames; {goes_on}")
            self.frames = results.count
        summary = self._summary(pipeline)
        if not summary["events"] and summary["encoding"] != "voxel_grid":
            self._say("no frame has got events; what clips is a guess")
        self._say(*self._recording.notes, pipeline.frame_problem)
        totals = {name: summary[name] for name in ("dropped_events", "lost_packets", "skipped_frames")}
        if lost := losses({**summary["damaged"], **totals}):
            self._console.say(f"lost: {lost}")
        folder.write_summary(self._output, summary)
        self._save(replace(pipeline.snapshot, complete=True, state={}))

    def _say(self, *notes: str) -> None:
        """Each once."""
        for note in notes:
            if note and note not in self._said:
                self._said.add(note)
                self._console.say(f"note: {note}")

    def make_videos_and_bag(self) -> list[str]:
        """Write those that are asked for; returns what is in the folder."""
        args, output = self._args, self._output
        fps = args.fps or self._video_rate()
        documents = {folder.VIDEO: write_video(output, fps)}
        if args.hdr_video:
            documents[folder.HDR_VIDEO] = write_hdr_video(output, fps, args.hdr_white)
        if args.bag:
            frame_id = next(iter(self._recording.frames())).frame_id
            cameras = self._recording.camera_info()
            documents[folder.BAG] = write_bag(output, self._products, frame_id, cameras)
        for name, steps in documents.items():
            for _ in self._console.progress(steps, f"writing {name}"):
                if self._interruption.requested:
                    raise KeyboardInterrupt(f"interrupted while writing {name}; {_GOES_ON}")
        self._unfinished.unlink()
        return [*(f"{each.name}/" for each in self._products), *documents, folder.TABLE, folder.SUMMARY]

    def _video_rate(self) -> float:
        rate, slower = _frame_rate(self._output), self._args.slow_motion
        rate = rate / slower if slower else max(rate, 1.0)
        if rate > _MOST_FPS:
            self._say(f"videos of {_MOST_FPS:g} frames/s, not {rate:.4g}: --fps gives them others")
        return min(rate, _MOST_FPS)

    def is_finished(self) -> bool:
        """Whether a run of the same settings has written everything, and it is still there."""
        try:
            before = json.loads((self._output / folder.SETTINGS).read_text())
            frames = json.loads((self._output / folder.SUMMARY).read_text())["frames"]
        except (OSError, ValueError, KeyError):
            return False
        asked = {folder.VIDEO: True, folder.HDR_VIDEO: self._args.hdr_video, folder.BAG: self._args.bag}
        made = all((self._output / name).exists() for name in asked if asked[name])
        return before == self._finished() and made and folder.is_whole(self._output, frames, self._products)

    def note_finished(self) -> None:
        """Write settings.json, by which is_finished knows."""
        path = self._output / folder.SETTINGS
        with writing(path):
            path.write_text(json.dumps(self._finished(), indent=2) + "\n")

    def _finished(self) -> dict:
        """The settings of the frames, and of what is made of them; as JSON gives them back."""
        names = ("fps", "slow_motion", "hdr_video", "hdr_white", "bag")
        documents = {name: getattr(self._args, name) for name in names}
        return json.loads(json.dumps({"version": __version__, **self._settings, **documents}))

    def _pipeline(self, snapshot: Snapshot | None) -> tuple[HdrPipeline, int]:
        """And how many frames are done."""
        pipeline = HdrPipeline(self._config)
        if snapshot is None:
            return pipeline, 0
        try:
            pipeline.resume(snapshot)
        except InputError as error:
            self._console.say(f"starting anew: {error}")
            return HdrPipeline(self._config), 0
        self._console.say(f"going on after {snapshot.frames} frames")
        return pipeline, snapshot.frames

    def _messages(self, pipeline: HdrPipeline) -> Iterator:
        cameras = self._config.registration == "camera_info"
        for message in selected_messages(self._args, self._recording, cameras):
            if self._interruption.requested and pipeline.passing:
                raise KeyboardInterrupt("interrupted before the first new frame; the same command goes on")
            yield message

    def _paths(self) -> dict[str, str]:
        """The settings that are files, or may be, and what of the recording is read."""
        return {
            **{brings: ", ".join(names) for brings, names in self._recording.sources().used.items()},
            "recording": self._args.input,
            "weights": self._config.weights,
            "response": self._config.response,
        }

    def _interrupted(self) -> Snapshot | None:
        """What an earlier run with the same settings left."""
        if not self._unfinished.is_file():
            return None
        snapshot, notes = Snapshot.read(self._unfinished)
        before = json.loads(notes["settings"])
        now = json.loads(json.dumps(self._settings))
        changed = sorted(name for name in now if before.get(name) != now[name])
        unfinished = f"the unfinished run in {self._output}"
        if changed:
            self._console.say(f"starting anew: {unfinished} had another {', '.join(changed)}")
            return None
        if not folder.is_whole(self._output, snapshot.frames, self._products):
            self._console.say(f"starting anew: frames of {unfinished} are missing")
            return None
        return snapshot

    def _save(self, snapshot: Snapshot) -> None:
        snapshot.write(self._unfinished, settings=json.dumps(self._settings))

    def _summary(self, pipeline: HdrPipeline) -> dict:
        events, seconds = 0, {}
        for row in folder.read_rows(self._output):
            events += int(row["events"])
            for name in (name for name in row if name.endswith("_ms")):
                seconds[name] = seconds.get(name, 0.0) + float(row[name])
        counters = {**pipeline.counters, **self._recording.counters}
        return {
            "recording": str(Path(self._args.input).resolve()),
            "sources": self._recording.sources(_reads_cameras(self._args)).figures(),
            "frames": self.frames,
            "events": events,
            "dropped_events": counters.pop("dropped_events"),
            "lost_packets": counters.pop("lost_packets", 0),
            "skipped_frames": counters.pop("skipped_frames"),
            "damaged": counters,
            "hot_pixels": pipeline.hot_pixels,
            "event_latency": round(pipeline.event_latency, 6),
            **{k: None if math.isnan(v) else round(v, 6) for k, v in pipeline.event_fit._asdict().items()},
            "encoding": self._recording.encoding or "none",
            "notes": self._recording.notes,
            "weights": self._args.weights,
            "device": pipeline.device,
            "precision": pipeline.precision,
            "engine": pipeline.engine,
            "radiance": pipeline.radiance,
            **{name: round(total / self.frames, 3) for name, total in seconds.items()},
        }


def reconstruct(
    pipeline: HdrPipeline, messages: Iterable, event_size: tuple[int, int] | None = None
) -> Iterator[HdrFrame]:
    """Every HDR frame of a recording's Packets, Events, Exposures, Calibrations and Frames.

    event_size: width and height of the event camera where Events come.
    """
    for message in messages:
        pipeline.add(message, event_size)
        yield from pipeline.take()
    yield from pipeline.take(flush=True)


def _require_events_unneeded(path: Path, config: PipelineConfig) -> None:
    """Raise InputError for a setting that voxel grids, in place of events, can't follow."""
    for name in _OF_EVENTS:
        if getattr(config, name) != getattr(PipelineConfig, name):
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option} needs events, and {path} has voxel grids: leave it out")


def _reads_cameras(args: argparse.Namespace) -> bool:
    return args.bag or args.registration == "camera_info"


def _frame_rate(output: Path) -> float:
    """Of the frames' stamps, but for pauses, as behind a stale first frame; 25 where they don't tell."""
    stamps = [int(row["stamp_ns"]) for row, _ in zip(folder.read_rows(output), range(20), strict=False)]
    steps = [after - before for before, after in pairwise(stamps) if after > before]
    steps = [step for step in steps if step < _PAUSE * median(steps)]
    return len(steps) / (sum(steps) * 1e-9) if steps else 25.0
