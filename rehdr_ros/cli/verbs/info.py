"""rehdr info: what a recording holds, and in what state."""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from rehdr_ros.cli.arguments import number
from rehdr_ros.cli.progress import progress
from rehdr_ros.cli.recording_options import add_source_options, open_source
from rehdr_ros.cli.topic_table import topic_table
from rehdr_ros.errors import InputError
from rehdr_ros.recordings import BagRecording, Recording
from rehdr_ros.recordings.event_stream import EventStream
from rehdr_ros.recordings.sources import Source

_BARS = "▁▂▃▄▅▆▇█"
_COLUMNS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source_options(parser)
    add, threshold = parser.add_argument, number(above=1)
    add("--fps", type=float, help="frame rate of frames without timestamps")
    add("--json", action="store_true", help="print one JSON object")
    add("--frame-clock", default="host", choices=("host", "sensor"), help="that stamps the frames")
    add("--hot-pixel-threshold", type=threshold, default=5.0, help="rate against the neighbours'")


def run(args: argparse.Namespace) -> None:
    recording = open_source(args, args.fps)
    listed, sources = recording.inventory(), recording.sources()
    if isinstance(recording, BagRecording):
        topics = [args.events] if args.events else recording.events_topics
        events = {t: _events(recording, args, "dvs_msgs", t) for t in topics}
        frames = {t: _frames(recording, progress(recording.frames(), t)) for t in sources.used["frames"]}
    else:
        has_events = recording.encoding != "voxel_grid" and sources.used.get("events")
        events = {"events": _events(recording, args, recording.encoding)} if has_events else {}
        has_frames = sources.used.get("frames")
        frames = {"frames": _frames(recording, progress(recording.frames(), "frames"))} if has_frames else {}
    rates, notes = _rates(listed, events, frames), [*sources.ties, *recording.notes]
    if args.json:
        topics = [{**each._asdict(), "rate": rates.get(each.name)} for each in listed]
        named = {"recording": str(args.input), "notes": notes, "topics": topics}
        print(json.dumps({**named, "events": events, "frames": frames}))
    else:
        print(args.input)
        for line in (*(f"note: {note}" for note in notes), *(topic_table(listed, rates) if listed else ())):
            print(line)
        _print(events, frames)
        missing = {"events": events or recording.encoding == "voxel_grid", "frames": frames}
        for brings in (name for name, there in missing.items() if not there):
            print(f"{brings}: none; a reconstruction needs both")
    if not events and not frames:
        held = ", ".join(each.name for each in listed) or "nothing"
        raise InputError(f"{args.input} has neither events nor frames; it has {held}")


def _rates(listed: list[Source], events: dict[str, Any], frames: dict[str, Any]) -> dict[str, float]:
    """Messages/s: of what was read by its stamps, of all else over the time of that."""
    seconds = max((figures["seconds"] for figures in (*events.values(), *frames.values())), default=0.0)
    rates = {each.name: each.count / seconds for each in listed if seconds > 0}
    rates |= {name: figures["rate"] for name, figures in frames.items() if figures["rate"]}
    intervals = {name: figures.get("packet_interval_ms") for name, figures in events.items()}
    return rates | {name: 1e3 / interval for name, interval in intervals.items() if interval}


def _events(
    recording: Recording, args: argparse.Namespace, encoding: str, topic: str | None = None
) -> dict[str, Any]:
    """encoding: of what is no Packet. topic: of a bag."""
    total = recording.topics[topic].count if topic else None
    stream = EventStream(args.frame_clock, args.hot_pixel_threshold)
    error = None
    try:
        parts = recording.events(topic) if topic else recording.events()
        for part in progress(parts, topic or "events", total, "packet"):
            stream.add(part, recording.event_size, encoding)
    except InputError as unreadable:
        error = str(unreadable)
    causes = {cause: count for cause, count in recording.counters.items() if cause != "refused_messages"}
    stream.count_damage(causes)
    return {**stream.figures(), "error": error}


def _frames(recording: Recording, frames: Iterator) -> dict[str, Any]:
    stamps, kinds, error = [], [], None
    try:
        for frame in frames:
            stamps.append(frame.stamp_ns)
            height, width, channels = (*frame.image.shape, 1)[:3]
            kind = f"{width}x{height}x{channels} {frame.image.dtype}"
            if frame.grid is not None:
                kind += f" with a voxel grid of {len(frame.grid)} bins"
            if kind not in kinds:
                kinds.append(kind)
    except InputError as unreadable:
        error = str(unreadable)
    intervals = np.diff(stamps) * 1e-9
    rising = intervals[intervals > 0]
    usual = float(np.median(rising)) if len(rising) else 0.0
    return {
        "kinds": kinds,
        "frames": len(stamps),
        "start": min(stamps) * 1e-9 if stamps else None,
        "seconds": (max(stamps) - min(stamps)) * 1e-9 if stamps else 0.0,
        "rate": 1 / usual if usual > 0 else 0.0,
        "gaps": int((intervals > 1.5 * usual).sum()) if usual > 0 else 0,
        "steps_back": int((intervals < 0).sum()),
        "repeated_stamps": int((intervals == 0).sum()),
        "damaged": {cause: count for cause, count in recording.counters.items() if "frames" in cause},
        "error": error,
    }


def _print(events: dict[str, Any], frames: dict[str, Any]) -> None:
    for topic, figures in events.items():
        print(f"{topic}: events, {', '.join(figures['streams']) or 'no packets'}")
        for label, text in (*_error_line(figures), *_event_lines(figures)):
            print(f"  {label:11} {text}")
    for topic, figures in frames.items():
        print(f"{topic}: frames, {', '.join(figures['kinds']) or 'none'}")
        for label, text in (*_error_line(figures), *_frame_lines(figures, next(iter(events.values()), None))):
            print(f"  {label:11} {text}")


def _error_line(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """What made the reading end early."""
    return [("unreadable", figures["error"])] if figures.get("error") else []


def _event_lines(figures: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if figures["packets"]:
        ms = figures.get("packet_interval_ms")
        interval = "" if ms is None else f", one in {ms:.2f} ms"
        size = figures["bytes"] / figures["packets"]
        yield "packets", f"{figures['packets']} of {size:.0f} bytes{interval}; {figures['lost_packets']} lost"
    if figures["triggers"]:
        yield "triggers", f"{figures['triggers']}"
    if figures["events"]:
        yield "events", f"{figures['events']} in {figures['seconds']:.3f} s, {figures['on_fraction']:.0%} ON"
        mean, peak = _rate(figures["mean_rate"]), _rate(figures["peak_rate"])
        yield "rate", f"{mean} on average, at most {peak} (0.1 s)"
        yield "over time", _graph(figures["rates"])
        yield "starts at", f"{figures['start']:.6f} s (ROS time)"
    if "clock" in figures:
        clock = figures["clock"]
        delay = "{median:.2f} ms (median), {p99:.2f} (99 %), {max:.2f} (most)".format(**clock["delay_ms"])
        drift = clock["drift_ppm"]
        drift = "too short to tell the drift" if drift is None else f"drifting by {drift:+.1f} ppm"
        yield "clock", f"host = sensor + {clock['offset']:.6f} s at the end, {drift}"
        yield "delay", f"{delay} beyond that of the fastest packets"
    damage = figures["damaged"] | {k: figures[k] for k in ("time_contradictions", "misdated_events")}
    yield "damage", ", ".join(f"{cause} {count}" for cause, count in damage.items() if count) or "none"
    hot = figures["hot_pixels"]
    if hot["count"]:
        fastest = ", ".join(f"({p['x']}, {p['y']}) {p['rate']:.0f} Hz" for p in hot["fastest"])
        yield "hot pixels", f"{hot['count']}, {hot['share_of_events']:.1%} of the events: {fastest}"
    elif figures["events"]:
        yield "hot pixels", "none"


def _frame_lines(figures: dict[str, Any], events: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    if damage := [f"{cause} {count}" for cause, count in figures["damaged"].items() if count]:
        yield "damage", ", ".join(damage)
    if not figures["frames"]:
        return
    rest = f"{figures['rate']:.2f} frames/s; {figures['gaps']} gaps, {figures['steps_back']} steps back"
    yield "frames", f"{figures['frames']} in {figures['seconds']:.3f} s, {rest}"
    if figures["repeated_stamps"]:
        count = figures["repeated_stamps"]
        yield "stamps", f"{count} repeat that of the frame before: does the driver fill header.stamp?"
    yield "starts at", f"{figures['start']:.6f} s"
    if events and events["events"]:
        late = figures["start"] - events["start"]
        text = f"the first frame comes {abs(late):.3f} s {'after' if late >= 0 else 'before'} the first event"
        if late > events["seconds"] or -late > figures["seconds"]:
            text += "; they never meet: by one clock? (frame_clock, event_time_offset)"
        yield "overlap", text


def _rate(events_per_second: float) -> str:
    for unit, size in (("Mevents/s", 1e6), ("kevents/s", 1e3)):
        if events_per_second >= size:
            return f"{events_per_second / size:.3g} {unit}"
    return f"{events_per_second:.3g} events/s"


def _graph(rates: list[float]) -> str:
    """One character for each of up to 60 intervals, its height the mean rate."""
    means = [float(np.mean(part)) for part in np.array_split(rates, min(len(rates), _COLUMNS))]
    peak = max(means) or 1.0
    text = "".join(_BARS[min(int(8 * mean / peak), 7)] for mean in means)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return " ".join(f"{mean:.2g}" for mean in means)
    return text
