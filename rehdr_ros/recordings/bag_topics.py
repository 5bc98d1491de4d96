"""Which topics of a bag are taken, by topic_choice's rule, from a look at the first messages of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import islice
from typing import Any

from rehdr_ros.errors import one_line
from rehdr_ros.recordings.bag_storage import BagStorage, Message
from rehdr_ros.recordings.bag_types import CAMERA_INFO, COMPRESSED, DVS_EVENTS, EVENTS, EXPOSURE, IMAGE
from rehdr_ros.recordings.topic_choice import (
    DEPTH_SUFFIX,
    Candidate,
    Choice,
    beside,
    choose_events,
    choose_frames,
    doubt_about,
    shows,
)
from rehdr_ros.wire.compressed_image import decode_compressed
from rehdr_ros.wire.dvs import events_from_event_array
from rehdr_ros.wire.image import image_from_message
from rehdr_ros.wire.ros1 import events_from_ros1_event_array

EVENT_TYPES = (EVENTS, DVS_EVENTS)
IMAGE_TYPES = (IMAGE, COMPRESSED)

_BRINGS = {
    **dict.fromkeys(EVENT_TYPES, "events"),
    **dict.fromkeys(IMAGE_TYPES, "frames"),
    EXPOSURE: "exposures",
    CAMERA_INFO: "camera_info",
}

_LOOKED_AT = 50  # messages: the first may be damaged, as those of a camera that is being configured


class BagTopics:
    """The choice among a bag's topics, made when it is asked for.

    kinds: each topic's type, as which it is read. events, image: the names that a user chose.
    """

    def __init__(
        self,
        storage: BagStorage,
        kinds: Mapping[str, str],
        events: str | None = None,
        image: str | None = None,
    ) -> None:
        self._storage, self._kinds = storage, kinds
        self._named = {"events": events, "frames": image}
        self._known: dict[str, Candidate] = {}

    def of(self, types: tuple[str, ...]) -> list[str]:
        """The topics of these types, but those of compressed depth."""
        of_types = (name for name, kind in self._kinds.items() if kind in types)
        return [name for name in of_types if not name.endswith(DEPTH_SUFFIX)]

    @cached_property
    def events(self) -> Choice:
        """Of the events."""
        frames = self.of(IMAGE_TYPES)
        return self._choice("events", EVENT_TYPES, lambda each: choose_events(each, frames, "--events"))

    @cached_property
    def frames(self) -> Choice:
        """Of the frames, which depends on that of the events."""

        def choose(candidates: list[Candidate]) -> Choice:
            events = self.events.first if len(candidates) > 1 else None
            return choose_frames(candidates, self.look(events) if events else None, "--image")

        return self._choice("frames", IMAGE_TYPES, choose)

    def camera_info(self, topic: str | None) -> str | None:
        """Of a topic's camera: beside it, else of its frame_id and size; None where there is none."""
        if topic is None:
            return None
        infos = self.of((CAMERA_INFO,))
        near = beside(topic, infos)
        usual = [each for each in near if each.endswith("/camera_info")]
        if usual or len(near) == 1:
            return (usual or near)[0]
        of = self.look(topic)
        known = map(self.look, near or infos)
        same = (each.name for each in known if (each.frame_id, each.size) == (of.frame_id, of.size))
        return next(same, None) if of.frame_id else None

    def exposures(self) -> list[str]:
        """Those beside the frames, else all: their stamps tell which frames they are of."""
        found = self.of((EXPOSURE,))
        return beside(self.frames.first or "", found) or found

    def describe(self, name: str) -> tuple[str, str]:
        """What a topic brings, "" for nothing; and what it holds, or why it can't be used."""
        kind = self._kinds[name]
        brings = _BRINGS.get(kind, "")
        if name.endswith(DEPTH_SUFFIX) and kind == COMPRESSED:
            return "", "compressed depth"
        if not brings:
            return "", ""
        known = self.look(name)
        if not known.count:
            return brings, "no messages"
        if known.problem:
            return brings, f"can't be used: {known.problem}"
        size = "{}x{}".format(*known.size) if known.size else ""
        told = [f"{known.encoding} {size}".strip()]
        if brings in ("events", "frames") and known.camera_info:
            told.append("with camera_info")
        if brings == "frames" and (doubt := doubt_about(known.encoding)):
            told.append(f"by its encoding {doubt}")
        if brings == "frames" and (shown := shows(name)):
            told.append(f"by its name {shown}")
        return brings, ", ".join(filter(None, told))

    def look(self, name: str) -> Candidate:
        """What the first messages of a topic tell."""
        if name not in self._known:
            self._known[name] = self._look(name)
        return self._known[name]

    def _choice(self, what: str, types: tuple[str, ...], choose: Callable[..., Choice]) -> Choice:
        """A single topic with messages needs no look; a named one stands before all others, without a tie."""
        names, named = self.of(types), self._named[what]
        several = sum(self._storage.topics[name].count > 0 for name in names) > 1 and named is None
        choice = choose([self.look(name) if several else self._unseen(name) for name in names])
        if named is None:
            return choice
        return Choice(sorted(choice.ranked, key=lambda each: each.name != named))

    def _unseen(self, name: str) -> Candidate:
        types = EVENT_TYPES if self._kinds[name] in EVENT_TYPES else IMAGE_TYPES
        kind = types.index(self._kinds[name]) if self._kinds[name] in types else 0
        has_info = bool(beside(name, self.of((CAMERA_INFO,))))
        return Candidate(name, kind, self._storage.topics[name].count, camera_info=has_info)

    def _look(self, name: str) -> Candidate:
        candidate, problem = self._unseen(name), ""
        if not candidate.count:
            return candidate
        for message in islice(self._storage.messages({name}), _LOOKED_AT):
            try:
                return candidate._replace(**self._told_by(message))
            except Exception as error:
                problem = problem or one_line(error)
        return candidate._replace(problem=problem)

    def _told_by(self, message: Message) -> dict[str, Any]:
        """encoding, size and frame_id. Raises for a message that can't be read."""
        kind = self._kinds[message.topic]
        if kind == DVS_EVENTS:
            read = events_from_ros1_event_array if message.ros1 else events_from_event_array
            return {"encoding": "dvs_msgs", "size": read(message.raw).size}
        fields = self._storage.deserialize(message)
        if kind == COMPRESSED:
            told = {
                "encoding": fields.format,
                "size": decode_compressed(fields.format, fields.data).shape[1::-1],
            }
        elif kind == IMAGE:
            told = {"encoding": fields.encoding, "size": image_from_message(fields).shape[1::-1]}
        elif kind == EXPOSURE:
            told = {}
        else:
            encoding = fields.encoding if kind == EVENTS else ""
            told = {"encoding": encoding, "size": (fields.width, fields.height)}
        return {**told, "frame_id": fields.header.frame_id}
