"""What the frames say has changed, pixel by pixel, and the events that should say the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from rehdr_ros.alignment.windows import Window, events_and_frames, windows
from rehdr_ros.errors import InputError
from rehdr_ros.events import Camera
from rehdr_ros.events.hot_pixels import find_hot_pixels
from rehdr_ros.luminance import BT709
from rehdr_ros.reconstruction import PipelineConfig
from rehdr_ros.reconstruction.config import STAMPS
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.reconstruction.voxel_input import registration_of

MEMORY_NS = 100_000_000  # how far from a frame's time its pixels' nearest events are looked for
TILES = 4  # along each side of the image

_DARK_LEVEL = 20  # of 255: below, the logarithm is noise
_MOST_CHANGE = 1.5  # log units: more is an occlusion or a lamp, and would outweigh everything else
_MOST_PIXELS = 50_000  # that are looked at; more tell no more
_FEWEST_PIXELS = 100


class NoPairs(InputError):
    """No pixel is well exposed in two frames that follow each other."""


@dataclass(frozen=True, eq=False)
class FramePair:
    """A sample of event pixels whose frame pixels are well exposed in two frames that follow each other.

    t0_ns, t1_ns: the middle of each exposure (its stamp where its length is unknown). pixel: int64 (N,), the
    sample's numbers, y * width + x. change: float64 (N,), of the log luminance from t0 to t1, at most 1.5.
    tile: int (N,), of the image's 4x4. t: int64 (M,) ns ROS time, p: int8 (M,) 1 or -1: the sample's events,
    by pixel, then by time. first: int64 (N + 1,), where each pixel's begin, and the last one's end.
    """

    index: int
    t0_ns: int
    t1_ns: int
    pixel: np.ndarray
    change: np.ndarray
    tile: np.ndarray
    t: np.ndarray
    p: np.ndarray
    first: np.ndarray

    def only(self, chosen: np.ndarray) -> FramePair:
        """The same with these pixels of the sample alone: bool (N,)."""
        counts = np.diff(self.first)
        events = np.repeat(chosen, counts)
        return replace(
            self,
            pixel=self.pixel[chosen],
            change=self.change[chosen],
            tile=self.tile[chosen],
            t=self.t[events],
            p=self.p[events],
            first=_starts(counts[chosen]),
        )


@dataclass(frozen=True)
class Collected:
    """pairs: in order. exposure: s, of the frames (the last one's), None where unknown. hot_pixels: left out.

    cameras: of the "events" and the "frames", as far as the recording tells them.
    """

    pairs: list[FramePair]
    exposure: float | None
    hot_pixels: int
    cameras: dict[str, Camera]


def collect_pairs(
    messages: Iterable[Any],
    event_size: tuple[int, int] | None,
    config: PipelineConfig,
    reach: float,
    exposure: float | None = None,
    most: int = 40,
) -> Collected:
    """At most `most` pairs, spread over a recording of any length, in bounded memory.

    messages, event_size: a recording's. config: how events and frames belong together. reach: s of time
    offset, around config.event_time_offset, for which there must be events. exposure: s, of every frame; else
    as they tell. Raises NoPairs, and InputError where events can't be registered.
    """
    collector = _Collector(config, exposure, most)
    offset, gap = round(config.event_time_offset * 1e9), round(config.max_frame_gap * 1e9)
    margin = round(reach * 1e9) + MEMORY_NS
    around = margin + offset, margin - offset
    messages = events_and_frames(messages, collector.cameras)
    found = windows(messages, event_size, config.frame_clock, collector.wanted, around, gap)
    for window in found:
        collector.add(window)
    collected = collector.result()
    if not collected.pairs:
        raise NoPairs("no two frames that follow each other have pixels that are well exposed in both")
    return collected


class _Collector:
    def __init__(self, config: PipelineConfig, exposure: float | None, most: int) -> None:
        self._config, self._exposure, self._most = config, exposure, most
        self._response = Response(config.response, config.white_level)
        self._dark, self._clipped = self._response(_DARK_LEVEL / 255), self._response.clipped_from
        self._stride, self._known = 1, None
        self.cameras: dict[str, Camera] = {}
        self._targets: dict[tuple, np.ndarray] = {}
        self._counts, self._seconds = np.zeros((0, 0)), 0.0
        self._random = np.random.default_rng(0)
        self.pairs: list[FramePair] = []

    def wanted(self, index: int) -> bool:
        return index % self._stride == 0

    def add(self, window: Window) -> None:
        if not self.wanted(window.index):  # any more
            return
        self._count(window)
        pair = self._pair(window)
        if len(pair.pixel) >= _FEWEST_PIXELS:
            self.pairs.append(pair)
        while len(self.pairs) > self._most:
            self._stride *= 2
            self.pairs = [pair for pair in self.pairs if self.wanted(pair.index)]

    def result(self) -> Collected:
        rates = self._counts / max(self._seconds, 1e-3)
        hot = np.flatnonzero(find_hot_pixels(rates, self._config.hot_pixel_threshold))
        sound = (pair.only(~np.isin(pair.pixel, hot)) for pair in self.pairs)
        return Collected([pair for pair in sound if len(pair.pixel)], self._known, len(hot), self.cameras)

    def _count(self, window: Window) -> None:
        width, height = window.event_size
        if self._counts.shape != (height, width):
            self._counts, self._seconds = np.zeros((height, width)), 0.0
        events = window.events
        inside = (events.x < width) & (events.y < height)
        pixels = events.y[inside].astype(np.int64) * width + events.x[inside]
        self._counts += np.bincount(pixels, minlength=width * height).reshape(height, width)
        self._seconds += np.ptp(events.t) * 1e-9 if len(events) else 0.0

    def _pair(self, window: Window) -> FramePair:
        width, height = window.event_size
        before, was_exposed = self._log_luminance(window.first.image)
        after, is_exposed = self._log_luminance(window.second.image)
        target = self._target(window.event_size, window.second.image.shape[1::-1])
        sample = np.flatnonzero((target >= 0) & (was_exposed & is_exposed)[target])
        if len(sample) > _MOST_PIXELS:
            sample = np.sort(self._random.choice(sample, _MOST_PIXELS, replace=False))
        change = (after - before)[target[sample]].astype(np.float64)
        place = np.full(width * height, -1, np.int32)
        place[sample] = np.arange(len(sample))
        events = window.events
        events = events[(events.x < width) & (events.y < height)]
        which = place[events.y.astype(np.int64) * width + events.x]
        order = np.flatnonzero(which >= 0)
        order = order[np.lexsort((events.t[order], which[order]))]
        return FramePair(
            window.index,
            *(self._middle(frame) for frame in (window.first, window.second)),
            sample,
            np.clip(change, -_MOST_CHANGE, _MOST_CHANGE),
            sample // width * TILES // height * TILES + sample % width * TILES // width,
            events.t[order],
            np.where(events.p[order], 1, -1).astype(np.int8),
            _starts(np.bincount(which[order], minlength=len(sample))),
        )

    def _middle(self, frame) -> int:
        exposure = frame.exposure_time_s if self._exposure is None else self._exposure
        self._known = exposure
        return frame.stamp_ns + round((0.5 - STAMPS[self._config.stamp_is]) * (exposure or 0.0) * 1e9)

    def _log_luminance(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """And which pixels are well exposed; both flat."""
        linear = self._response.linearise(image, torch.device("cpu")).pixels[0].numpy().reshape(3, -1)
        brightest = linear.max(0)
        exposed = (brightest >= self._dark) & (brightest < self._clipped)
        return np.log(np.maximum(BT709 @ linear, np.float32(1e-6))), exposed

    def _target(self, event_size: tuple[int, int], frame_size: tuple[int, int]) -> np.ndarray:
        """The frame's pixel of each event pixel, -1 where there is none."""
        key = event_size, frame_size
        if key not in self._targets:
            cameras: list[Camera | None] = [self.cameras.get(of) for of in ("events", "frames")]
            registration = registration_of(self._config, event_size, frame_size, *cameras)
            same = registration is None
            self._targets = {key: np.arange(np.prod(event_size)) if same else registration.table[1:]}
        return self._targets[key]


def _starts(counts: np.ndarray) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(counts)))
