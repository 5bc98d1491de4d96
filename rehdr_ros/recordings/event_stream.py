"""What one wants to know of a strange stream of events."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Any

import numpy as np

from rehdr_ros.events import Events, Packet, Receiver
from rehdr_ros.events.hot_pixels import find_hot_pixels
from rehdr_ros.events.receiver import Size

_BIN_NS = 100_000_000  # in which rates are counted
_MOST_NAMED = 10  # hot pixels
_FEWEST = 20  # events of a hot pixel: in a short recording a few may come by chance


class EventStream:
    """Gathers the figures of one stream, packet by packet or, where they come decoded, from its events.

    Events' times are those that the pipeline gives them: ROS time by the clock of `frame_clock`.
    """

    def __init__(self, frame_clock: str = "host", hot_pixel_threshold: float = 5.0) -> None:
        self._receiver, self._threshold = Receiver(frame_clock, accept_triggers=True), hot_pixel_threshold
        self._counters: Counter[str] = Counter()
        self._streams: list[str] = []
        self._packets = self._octets = self._events = self._on = self._triggers = 0
        self._stamps, self._delays = array("q"), array("d")
        self._bins: Counter[int] = Counter()
        self._first = self._last = self._origin = None
        self._pixels = np.zeros((0, 0), np.int64)

    def add(self, message: Packet | Events, size: Size | None = None, encoding: str = "decoded") -> None:
        """Raises ValueError for a packet of an unknown encoding.

        size, encoding: of Events, which come in ROS time: width, height of their camera where they don't tell
        it, and what they were.
        """
        events = self._receiver.receive(message, size)
        size = self._receiver.size
        if isinstance(message, Packet):
            encoding = message.encoding
            self._triggers += self._receiver.triggers
            self._packets += 1
            self._octets += memoryview(message.data).nbytes
            self._stamps.append(message.stamp_ns)
            if len(events):
                self._delays.append((message.stamp_ns - int(events.t[0])) * 1e-6)
        if self._streams[-1:] != [f"{encoding} {size[0]}x{size[1]}"]:
            self._begin_stream(encoding, *size)
        self._add(events)

    def count_damage(self, counters: dict[str, int]) -> None:
        """What the decoding of such events has lost or found odd, by cause."""
        self._counters.update(counters)

    def _begin_stream(self, encoding: str, width: int, height: int) -> None:
        self._streams.append(f"{encoding} {width}x{height}")
        size = max(height, self._pixels.shape[0]), max(width, self._pixels.shape[1])
        pixels = np.zeros(size, np.int64)
        pixels[: self._pixels.shape[0], : self._pixels.shape[1]] = self._pixels
        self._pixels = pixels

    def _add(self, events: Events) -> None:
        if not len(events):
            return
        self._events += len(events)
        self._on += int(np.count_nonzero(events.p))
        first, last = int(events.t.min()), int(events.t.max())
        self._first = first if self._first is None else min(first, self._first)
        self._last = last if self._last is None else max(last, self._last)
        self._origin = first if self._origin is None else self._origin
        bins, counts = np.unique((events.t - self._origin) // _BIN_NS, return_counts=True)
        for number, count in zip(bins.tolist(), counts.tolist(), strict=True):
            self._bins[number] += count
        np.add.at(self._pixels, (events.y, events.x), 1)

    def figures(self) -> dict[str, Any]:
        """All, in plain types: times in s, delays in ms, rates in events/s, `rates` by tenths of a second,
        what is over at the end with the last."""
        counters = Counter(self._counters)
        counters.update(self._receiver.counters)
        seconds = (self._last - self._first) * 1e-9 if self._events else 0.0
        rates = self._rates()
        result = {
            "streams": self._streams,
            "packets": self._packets,
            "lost_packets": counters.pop("lost_packets", 0),
            "bytes": self._octets,
            "events": self._events,
            "on_fraction": self._on / self._events if self._events else 0.0,
            "triggers": self._triggers,
            "start": self._first * 1e-9 if self._events else None,
            "seconds": seconds,
            "mean_rate": self._events / seconds if seconds else 0.0,
            "peak_rate": max(rates, default=0.0),
            "rates": rates,
            "time_contradictions": counters.pop("time_contradictions"),
            "misdated_events": counters.pop("misdated_events"),
            "damaged": {cause: count for cause, count in counters.items() if count},
            "hot_pixels": self._hot_pixels(seconds),
        }
        if len(self._stamps) > 1:
            result["packet_interval_ms"] = float(np.median(np.diff(np.array(self._stamps)))) * 1e-6
        if self._receiver.clock.estimate:
            offset, drift = self._receiver.clock.estimate
            quantiles = np.percentile(self._delays, (50, 99, 100)).tolist()
            result["clock"] = {
                "offset": offset * 1e-9,
                "drift_ppm": None if drift is None else drift * 1e6,
                "delay_ms": dict(zip(("median", "p99", "max"), quantiles, strict=True)),
            }
        return result

    def _rates(self) -> list[float]:
        if not self._bins:
            return []
        first, last = min(self._bins), max(self._bins)
        scattered = last - first > 10 * len(self._bins) + 1000  # times all over the place
        numbers = sorted(self._bins) if scattered else range(first, last + 1)
        *counts, rest = (self._bins[number] for number in numbers)
        covered_ns = (self._last - self._origin) % _BIN_NS
        if not counts:
            return [rest * 1e9 / covered_ns if covered_ns else 0.0]
        # The rest may be too short for a rate of its own.
        ends = (counts[-1] + rest) * 1e9 / (_BIN_NS + covered_ns)
        return [*(count * 1e9 / _BIN_NS for count in counts[:-1]), ends]

    def _hot_pixels(self, seconds: float) -> dict[str, Any]:
        if seconds <= 0:
            return {"count": 0, "share_of_events": 0.0, "fastest": []}
        mask = find_hot_pixels(self._pixels / seconds, self._threshold) & (self._pixels >= _FEWEST)
        y, x = np.nonzero(mask)
        counts = self._pixels[y, x]
        order = np.argsort(-counts)[:_MOST_NAMED]
        fastest = [{"x": int(x[k]), "y": int(y[k]), "rate": float(counts[k] / seconds)} for k in order]
        share = float(counts.sum() / max(1, self._events))
        return {"count": int(mask.sum()), "share_of_events": share, "fastest": fastest}
