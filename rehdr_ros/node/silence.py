"""Inputs from which nothing comes, and why: for the log and for /diagnostics."""

import time
from collections import Counter

from rclpy.node import Node

from rehdr_ros.node.complaints import Complaints
from rehdr_ros.node.graph import misfit, silence
from rehdr_ros.node.inputs import Inputs
from rehdr_ros.node.parameters import Parameters

# An input, and what counts it.
_COUNTED = {"events": ("events", "packets"), "frames": ("image_raw", "frames")}
_PATIENCE = 5.0  # s, for drivers that start beside the node, before the log complains
_REPEAT = 30.0  # s


class Silence:
    """Watches the inputs from an activation on."""

    def __init__(self, node: Node, inputs: Inputs, complaints: Complaints):
        self._node, self._inputs, self._complaints = node, inputs, complaints
        self._moved: dict[str, tuple[int, float]] = {}  # count of each input, and when it last changed

    def look(self, counters: Counter, settings: Parameters) -> dict[str, str]:
        """What to say of `events` and `frames` that have been silent for longer than input_timeout.

        Says it in the log, and, there alone, of optional inputs whose publishers can't be heard. Has the
        inputs subscribe to what is latched.
        """
        subscriptions = self._inputs.subscriptions
        if not subscriptions:  # with `lazy`
            self._moved = {}
            return {}
        found = {}
        for part, (name, count) in _COUNTED.items():
            seconds = self._silent_for(part, counters[count])
            if seconds > settings.input_timeout:
                why = silence(self._node, subscriptions[name])
                found[part] = f"no {part} for {seconds:.0f} s: {why}"
                if seconds > _PATIENCE:
                    self._complaints.warn(why, found[part], _REPEAT)
        self._inputs.look_for_latched()
        for name in subscriptions.keys() - {name for name, _ in _COUNTED.values()}:
            if why := misfit(self._node, subscriptions[name]):
                self._complaints.warn(why, f"no {name}: {why}", _REPEAT)
        return found

    def _silent_for(self, part: str, count: int) -> float:
        """s since the count last changed."""
        now = time.monotonic()
        if self._moved.get(part, (-1, now))[0] != count:
            self._moved[part] = count, now
        return now - self._moved[part][1]
