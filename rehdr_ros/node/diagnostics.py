"""What /diagnostics says, once a second: rates and losses of the last seconds, latencies, the device."""

import os
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from rehdr_ros.msg import FrameInfo
from rehdr_ros.node.parameters import Parameters

_WINDOW = 5.0  # s
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@dataclass(frozen=True)
class Health:
    """What the node knows of itself at one moment.

    counters: since activation. silent: what to say of missing `events` and `frames`. problems: in words.
    """

    state: str = "unconfigured"
    device: str = ""
    precision: str = ""
    engine: str = ""
    weights: str = ""
    fallen_back: bool = False
    settings: Parameters = Parameters()
    counters: Counter = field(default_factory=Counter)
    silent: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Diagnostics:
    """Publishes, once a second, what `health` tells and was noted of frames since. Any thread may note."""

    def __init__(self, node: Node, health: Callable[[], Health]):
        self._node, self._health = node, health
        self._name = node.get_fully_qualified_name().lstrip("/")
        self.restart()
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Simulated time may stand still, and that is worth telling.
        node.create_timer(1.0, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def restart(self) -> None:
        """A new activation."""
        self._frames: deque[tuple[float, FrameInfo]] = deque(maxlen=1000)
        self._history: deque[tuple[float, Counter]] = deque()
        self._resets, self._last_reset = 0, ""

    def note(self, info: FrameInfo) -> None:
        """A frame was published."""
        self._frames.append((time.monotonic(), info))
        if info.reset_reason:
            self._resets += 1
            self._last_reset = info.reset_reason

    def _publish(self) -> None:
        array = DiagnosticArray(status=self._statuses(self._health()))
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)

    def _statuses(self, health: Health) -> list[DiagnosticStatus]:
        """Of events, frames, reconstruction and device, one each; unless the node is active only the last."""
        if health.state != "active":
            self._history.clear()
            return [self._device(health)]
        now = time.monotonic()
        self._history.append((now, health.counters))
        while now - self._history[0][0] > _WINDOW and len(self._history) > 2:
            self._history.popleft()
        window = _Window(self._history[0], self._history[-1])
        return [
            self._input("events", "packets", window, health),
            self._input("frames", "frames", window, health),
            self._reconstruction(now, window, health),
            self._device(health),
        ]

    def _input(self, name: str, count: str, window: "_Window", health: Health) -> DiagnosticStatus:
        settings = health.settings
        level, said = OK, []
        if name in health.silent:
            level = ERROR if name == "frames" else WARN
            said.append(health.silent[name])
        values = {f"{each} per second": f"{window.rate(each):.2f}" for each in dict.fromkeys((count, name))}
        for cause in _LOSSES[name]:
            lost, share = window.change(cause), window.share(cause, count)
            values[cause.replace("_", " ")] = str(health.counters[cause])
            if lost and share >= settings.loss_warn:
                is_error = share >= settings.loss_error and cause not in _BY_POLICY
                level = max(level, ERROR if is_error else WARN)
                said.append(f"{100 * share:.0f} % {cause.replace('_', ' ')}")
        values |= {cause.replace("_", " "): str(health.counters[cause]) for cause in _ODD[name]}
        return self._status(name, level, "; ".join(said), values)

    def _reconstruction(self, now: float, window: "_Window", health: Health) -> DiagnosticStatus:
        settings = health.settings
        infos = [info for at, info in list(self._frames) if now - at <= _WINDOW]
        said = list(health.problems)
        level = WARN if said else OK
        values = {"frames per second": f"{window.rate('published'):.2f}"}
        for cause in ("lost_frames", "not_finite"):
            values[cause.replace("_", " ")] = str(health.counters[cause])
            if window.change(cause):
                level = ERROR
                said.append(f"{window.change(cause)} {cause.replace('_', ' ')}")
        if settings.output_rate:
            skipped, share = health.counters["skipped_outputs"], window.share("skipped_outputs", "published")
            values["skipped outputs"] = str(skipped)
            if share >= settings.loss_warn and window.change("skipped_outputs"):
                level = max(level, WARN)
                said.append(f"{100 * share:.0f} % of the outputs between frames skipped")
        if infos:
            last, latencies = infos[-1], [info.latency for info in infos]
            stages = zip(last.stages, last.stage_durations, strict=True)
            values |= {
                "latency, mean (ms)": f"{1e3 * sum(latencies) / len(latencies):.1f}",
                "latency, max (ms)": f"{1e3 * max(latencies):.1f}",
                **{f"{stage} (ms)": f"{1e3 * seconds:.2f}" for stage, seconds in stages},
                "events per frame": f"{sum(info.events for info in infos) / len(infos):.0f}",
                "clipped fraction": f"{last.clipped_fraction:.4f}",
                "clipped fraction, tonemapped": f"{last.tonemapped_clipped_fraction:.4f}",
                "state age (s)": f"{last.state_age:.1f}",
                "event latency (ms)": f"{1e3 * last.event_latency:.1f}",
                "contrast threshold, on": f"{last.contrast_on:.3f}",
                "contrast threshold, off": f"{last.contrast_off:.3f}",
                "event noise": f"{last.event_noise:.4f}",
                "explained by events": f"{last.explained:.2f}",
                "radiance": last.radiance,
            }
            budget = settings.latency_budget or float("inf")
            if over := sum(latency > budget for latency in latencies):
                level = max(level, WARN)
                said.append(f"{over} of {len(latencies)} frames over the latency budget")
        values |= {"resets": str(self._resets), "last reset": self._last_reset}
        return self._status("reconstruction", level, "; ".join(said), values)

    def _device(self, health: Health) -> DiagnosticStatus:
        level = WARN if health.fallen_back else OK
        said = f"{health.state}; the device was out of memory" if health.fallen_back else health.state
        values = {name: getattr(health, name) for name in ("device", "precision", "engine", "weights")}
        values["memory (MB)"] = f"{memory_bytes(health.device) / 1e6:.0f}"
        return self._status("device", level, said, values)

    def _status(self, part: str, level: bytes, message: str, values: dict[str, str]) -> DiagnosticStatus:
        pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
        name = f"{self._name}: {part}"
        return DiagnosticStatus(level=level, name=name, message=message or "ok", values=pairs)


_LOSSES = {
    "events": ("lost_packets", "transport_lost_packets", "refused_packets"),
    "frames": ("skipped_frames", "transport_lost_frames", "refused_frames"),
}
_ODD = {
    "events": ("dropped_events", "late_events", "unsynchronized", "out_of_bounds", "time_contradictions"),
    "frames": (
        "duplicate_frames",
        "overtaken_frames",
        "unused_exposures",
        "refused_exposures",
        "refused_camera_infos",
    ),
}
_BY_POLICY = {"skipped_frames"}  # never an error: policy latest asks for it


class _Window:
    """Two counts and the time between them."""

    def __init__(self, first: tuple[float, Counter], last: tuple[float, Counter]):
        self._seconds, self._first, self._last = last[0] - first[0], first[1], last[1]

    def change(self, name: str) -> int:
        return self._last[name] - self._first[name]

    def rate(self, name: str) -> float:
        return self.change(name) / self._seconds if self._seconds else 0.0

    def share(self, lost: str, arrived: str) -> float:
        """Of what should have been there: what was lost on the way, or not made, never arrived."""
        never = "lost" in lost or arrived == "published"
        came = self.change(arrived) + (self.change(lost) if never else 0)
        return self.change(lost) / max(came, self.change(lost), 1)


def memory_bytes(device: str) -> int:
    """Of the device that PyTorch has in use; on the CPU what the process holds in memory."""
    if device.startswith("cuda"):
        return torch.cuda.memory_allocated(device)
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if pages.exists() else 0
