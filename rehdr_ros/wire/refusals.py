"""What becomes of a message that can't be used, live and offline: counted, named and left out. No ROS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rehdr_ros.errors import one_line

REFUSED = {
    "packets": "refused_packets",
    "frames": "refused_frames",
    "exposures": "refused_exposures",
    "camera_infos": "refused_camera_infos",
}
"""By what a topic brings, the counter of those that were refused; refused_messages counts all."""


class Refusals:
    """The messages of some topics that can't be used.

    tally: where they are counted. say(topic, text, count): called for each, with how many of the topic there
    were so far; who is told, and how often, is its matter. first: by topic, the text of the first.
    """

    def __init__(self, tally: Counter[str], say: Callable[[str, str, int], None]) -> None:
        self.tally, self._say = tally, say
        self.first: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    @contextmanager
    def refusing(self, topic: str, brings: str, stamp_ns: Callable[[], int]) -> Iterator[None]:
        """Whatever a message of `topic` holds, the stream goes on. brings: one of REFUSED.

        stamp_ns: tells the message's header.stamp, and may itself fail.
        """
        try:
            yield
        except Exception as error:
            self._refuse(topic, REFUSED[brings], stamp_ns, error)

    def _refuse(self, topic: str, counter: str, stamp_ns: Callable[[], int], error: Exception) -> None:
        self.tally["refused_messages"] += 1
        self.tally[counter] += 1
        self._counts[topic] += 1
        try:
            at = f"stamped {stamp_ns() * 1e-9:.6f} s"
        except Exception:
            at = "without a stamp"
        text = f"refused a message on {topic}, {at}: {one_line(error)}"
        self.first.setdefault(topic, text)
        self._say(topic, text, self._counts[topic])
