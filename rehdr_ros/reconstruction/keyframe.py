"""A reconstructed frame that outputs between the frames rest on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rehdr_ros.events import Frame, Registration
from rehdr_ros.network.event_fit import EventFit
from rehdr_ros.reconstruction.frame_info import FrameInfo
from rehdr_ros.reconstruction.synchronizer import Exposed


@dataclass(frozen=True, eq=False)
class Keyframe:
    """radiance: (3, H, W) float32, as published. Planes are (H, W) float32, on the host.

    frame: as it came, its white at `white`; exposed, latency_ns, passed_ns: as of its Job. sigma, cause: as
    of Estimate, None where the network gives none. correction: by how much the network moved the log
    luminance of what it carries, nat, 0 where the frame shows it; None where it carries none. fit: of the
    events so far. registration: of the events to the frame, None where the pixels are the same; registered:
    whether they can be brought there. info: of the frame, which isn't published itself. clips_at: the
    radiance at which it clips, as far as its exposure is known.
    """

    frame: Frame
    white: float
    exposed: Exposed
    latency_ns: int
    passed_ns: int | None
    radiance: np.ndarray
    sigma: np.ndarray | None
    cause: np.ndarray | None
    correction: np.ndarray | None
    fit: EventFit
    registration: Registration | None
    registered: bool
    info: FrameInfo
    clips_at: float = 1.0

    @property
    def starts(self) -> bool:
        """Whether the hidden state started anew with it."""
        return bool(self.info.reset_reason)

    @property
    def time_ns(self) -> int:
        """Of what it shows, by the events' stamps."""
        return self.exposed.middle

    @property
    def usable_from(self) -> int:
        """The first instant of which an output may rest on it, see synchronizer.precedes."""
        passed_ns = self.passed_ns
        return self.exposed.end if passed_ns is None else max(self.exposed.end, passed_ns + 1)
