"""What a folder of results tells of one frame, offline or live."""

from collections.abc import Mapping
from typing import Any

from rehdr_ros.reconstruction.frame_info import Fit

UNCERTAINTY_HELP = "write each pixel's uncertainty, in stops, and its cause, too"
_FIGURES = ("events", "clipped_fraction", "tonemapped_clipped_fraction", "dropped_events", "late_events")
_FIGURES += ("lost_packets", "skipped_frames", "state_age", "event_latency")


def row_of(info: Any, stamp_ns: int, fit: Fit, durations: Mapping[str, float]) -> dict[str, Any]:
    """Of frames.csv. info: a frame's, or the message of it; durations: s, in the row ms.

    Between the frames also the source and the frame's age, s.
    """
    figures = {name: getattr(info, name) for name in _FIGURES} | fit._asdict()
    between = info.source != "frame"
    figures |= {"frame_age": info.frame_age} if between else {}
    return {
        "index": info.index,
        "stamp_ns": stamp_ns,
        **({"source": info.source} if between else {}),
        **{name: round(figure, 6) for name, figure in figures.items()},
        "reset_reason": info.reset_reason,
        **{f"{name}_ms": round(1e3 * seconds, 3) for name, seconds in durations.items()},
    }
