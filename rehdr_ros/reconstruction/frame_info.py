"""What happened to one frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from rehdr_ros.network.event_fit import EventFit


class Fault(Enum):
    """Why a reconstructor forgot its hidden state of its own accord."""

    OUT_OF_MEMORY = "out of memory"
    NOT_FINITE = "not finite"


class Fit(NamedTuple):
    """How well the events explain the frames; all NaN where nothing is known yet."""

    contrast_on: float = math.nan  # threshold, nat
    contrast_off: float = math.nan  # the same
    event_noise: float = math.nan  # variance that an event adds, nat^2
    explained: float = math.nan  # share, 0..1, of the frames' change

    @classmethod
    def of(cls, fit: EventFit | None) -> Fit:
        """As a hidden state has it; waits for its device."""
        return cls() if fit is None else cls(*map(float, fit))


@dataclass(frozen=True)
class FrameInfo:
    """What happened to one frame; the fields of rehdr_ros/msg/FrameInfo but for the header and the latency.

    dropped_events (late_events among them), lost_packets and skipped_frames count since the activation.
    clipped_fraction: of the LDR, tonemapped_clipped_fraction: of what became of it. state_age: s of the
    stream that the hidden state has seen. event_latency: s, taken off the events' time; event_fit: as of the
    last whole second of the state. fault: why the network was the cause of a reset. durations: stage -> s.
    ready_at: monotonic s at which the last message that the frame needed had arrived. source: "frame", or
    "between" at a regular stamp, carried on by events from the frame that is frame_age s older.
    """

    index: int
    events: int
    dropped_events: int
    late_events: int
    lost_packets: int
    skipped_frames: int
    clipped_fraction: float
    tonemapped_clipped_fraction: float
    state_age: float
    reset_reason: str
    radiance: str
    ready_at: float
    event_latency: float = 0.0
    event_fit: Fit = Fit()
    fault: Fault | None = None
    durations: dict[str, float] = field(default_factory=dict)
    source: str = "frame"
    frame_age: float = 0.0
