"""Bags (rosbag2, and ROS 1's .bag), read without ROS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from rosbags.serde import SerdeError

from rehdr_ros.errors import one_line
from rehdr_ros.events import Calibration, Camera, Events, Exposure, Frame, Packet
from rehdr_ros.events.receiver import require_events
from rehdr_ros.recordings.bag_storage import BagStorage, Message
from rehdr_ros.recordings.bag_topics import EVENT_TYPES, IMAGE_TYPES, BagTopics
from rehdr_ros.recordings.bag_types import CAMERA_INFO, COMPRESSED, DVS_EVENTS, EVENTS, EXPOSURE, IMAGE
from rehdr_ros.recordings.errors import RecordingError
from rehdr_ros.recordings.sources import Source, Sources
from rehdr_ros.recordings.topic_choice import namespace
from rehdr_ros.wire.camera import camera_from_bytes
from rehdr_ros.wire.dvs import EventArray, events_from_event_array
from rehdr_ros.wire.exposure import exposure_from_bytes
from rehdr_ros.wire.frame import frame_from_compressed, frame_from_image
from rehdr_ros.wire.header import stamp_from_bytes
from rehdr_ros.wire.packet import packet_from_bytes
from rehdr_ros.wire.refusals import Refusals
from rehdr_ros.wire.ros1 import events_from_ros1_event_array

_BRINGS = {
    **dict.fromkeys(EVENT_TYPES, "packets"),
    **dict.fromkeys(IMAGE_TYPES, "frames"),
    EXPOSURE: "exposures",
    CAMERA_INFO: "camera_infos",
}
_MOST_NAMED = 3  # refused messages of a topic


class BagRecording:
    """The events and frames of a bag: a folder, or one of its .mcap, .db3 or .bag files; see Recording.

    Topics that are not named are found by their type and chosen by the rule of topic_choice. `topics`: all
    topics, name -> Topic. `latched`: those whose publishers kept messages for late subscribers. `choice`: how
    the topics were chosen. `events_topics`, `image_topics`: the candidates, the best first. `events_topic`,
    `image_topic`: the choice, or None.
    Every iteration opens and streams the bag anew, so that several may go on at once.
    Messages that can't be used are left out, see Refusals: `counters` tells how many, `notes` names the first
    of each topic.
    Raises RecordingError for a path that is no readable bag and for a named topic that is not there.
    """

    fps = None

    def __init__(
        self, path: str | Path, events_topic: str | None = None, image_topic: str | None = None
    ) -> None:
        self._storage = BagStorage(path)
        self.path, self.topics = self._storage.path, self._storage.topics
        self.latched = self._storage.latched
        kinds = {name: self._kind(name) for name in self.topics}
        self.choice = BagTopics(self._storage, kinds, events_topic, image_topic)
        for name, types in ((events_topic, EVENT_TYPES), (image_topic, IMAGE_TYPES)):
            self._require_known(name, types)
        self.counters: Counter[str] = Counter()
        self.notes = self._storage.notes

    @property
    def events_topics(self) -> list[str]:
        return [each.name for each in self.choice.events.ranked]

    @property
    def image_topics(self) -> list[str]:
        return [each.name for each in self.choice.frames.ranked]

    @property
    def events_topic(self) -> str | None:
        return self.choice.events.first

    @property
    def image_topic(self) -> str | None:
        return self.choice.frames.first

    def sources(self, cameras: bool = False) -> Sources:
        """See Recording."""
        choice, frames = self.choice, self.image_topic
        infos = [choice.camera_info(topic) for topic in (self.events_topic, frames)] if cameras else []
        used = {
            "events": [topic for topic in (self.events_topic,) if topic],
            "frames": [topic for topic in (frames,) if topic],
            "exposures": choice.exposures() if frames else [],
            "camera_info": sorted({info for info in infos if info}),
        }
        named = {name for names in used.values() for name in names}
        others = [name for name in self.topics if name not in named]
        candidates = [name for name in (*self.events_topics, *self.image_topics) if name not in named]
        ties = [each.tie for each in (choice.events, choice.frames) if each.tie]
        return Sources(used, others, candidates, ties)

    def inventory(self) -> list[Source]:
        """See Recording. Looks at the first message of each topic that may bring something."""
        taken = {name for names in self.sources(cameras=True).used.values() for name in names}
        described = {name: self.choice.describe(name) for name in self.topics}
        return [
            Source(name, topic.type, topic.count, brings, name in taken, about)
            for name, topic in self.topics.items()
            for brings, about in (described[name],)
        ]

    @cached_property
    def encoding(self) -> str | None:
        """The encoding of the events, None where there is none."""
        if self.events_topic is None:
            return None
        if self._kind(self.events_topic) == DVS_EVENTS:
            return "dvs_msgs"
        packet = next(self._converted({self.events_topic}, _silent()), None)
        return packet.encoding if packet else None

    @cached_property
    def event_size(self) -> tuple[int, int] | None:
        """Width and height of the event camera in the first EventArray; packets tell it themselves."""
        if self.events_topic is None or self._kind(self.events_topic) != DVS_EVENTS:
            return None
        array = next(self._converted({self.events_topic}, _silent()), None)
        return array.size if array else None

    def messages(
        self, cameras: bool = False, event_time_offset: float = 0.0
    ) -> Iterator[Packet | Events | Frame | Exposure | Calibration]:
        """The events, the frames and what tells their exposure, in the bag's order, whatever the offset.

        cameras: first the calibration of both cameras: the first camera_info beside their packets and images.
        Raises RecordingError where there are no events or no frames, or none that can be used.
        """
        wanted = (EVENT_TYPES, self.events_topic), (IMAGE_TYPES, self.image_topic)
        required = {self._require(*each) for each in wanted}
        for topic in required:
            self._require_usable(topic)
        refusals = self._begin()
        calibrations = self._calibrations(refusals) if cameras else []
        topics = required | set(self.choice.exposures())
        return chain(calibrations, self._stream(topics, refusals, accept_triggers=False))

    def events(self, topic: str | None = None) -> Iterator[Packet | Events]:
        """The events of `topic`, by default of the chosen one. Raises RecordingError where it is missing."""
        return self._of(EVENT_TYPES, topic or self.events_topic)

    def packets(self) -> Iterator[Packet]:
        """The packets alone. Raises RecordingError where there is no topic of packets."""
        are_packets = self.events_topic and self._kind(self.events_topic) == EVENTS
        return self._of((EVENTS,), self.events_topic if are_packets else None)

    def frames(self, topic: str | None = None) -> Iterator[Frame]:
        """The frames of `topic`, by default of the chosen one. Raises RecordingError where it is missing."""
        return self._of(IMAGE_TYPES, topic or self.image_topic)

    def camera_info(self) -> Any | None:
        """The first readable CameraInfo beside the chosen images, as `read` gives it; None: there is none."""
        topic, refusals = self.choice.camera_info(self.image_topic), _silent()
        if topic is not None:
            for message in self._storage.messages({topic}):
                with refusals.refusing(topic, "camera_infos", partial(self._stamp_ns, message)):
                    return self._storage.deserialize(message)
        return None

    def read(self, topic: str) -> Iterator[Any]:
        """The messages of any topic, decoded by the definition that the bag holds. Raises RecordingError."""
        if topic not in self.topics:
            raise self._has_no(topic)
        return (self._told(self._storage.deserialize, message) for message in self._storage.messages({topic}))

    def raw_messages(self, topics: set[str]) -> Iterator[tuple[str, int, bytes]]:
        """Topic, log time in ns and CDR bytes of the messages of `topics`. Raises RecordingError.

        ROS 1's that don't fit ROS 2's type of that name are left out; `notes` says so, once a topic.
        """
        for message in self._storage.messages(topics):
            try:
                raw = self._storage.cdr(message)
            except Exception as error:  # as many kinds as there are fields
                self._note(f"{message.topic}: what is no ROS 2 {message.type} is left out: {one_line(error)}")
                continue
            yield message.topic, message.log_ns, raw

    def _calibrations(self, refusals: Refusals) -> list[Calibration]:
        found = []
        for of, topic in (("events", self.events_topic), ("frames", self.image_topic)):
            info = self.choice.camera_info(topic)
            if info is None:
                raise self._has_no(f"{namespace(topic)}/camera_info of type {CAMERA_INFO}")
            found += [Calibration(of, camera) for camera in islice(self._stream({info}, refusals), 1)]
        return found

    def _of(self, types: tuple[str, ...], topic: str | None) -> Iterator[Any]:
        self._require_known(topic, types)
        return self._stream({self._require(types, topic)}, self._begin())

    def _begin(self) -> Refusals:
        """Count anew."""
        refusals = Refusals(Counter(), self._name_refused)
        self.counters = refusals.tally
        return refusals

    def _name_refused(self, topic: str, text: str, count: int) -> None:
        if count <= _MOST_NAMED:
            self._note(text if count < _MOST_NAMED else f"{text}; more of them are only counted")

    def _assume(self, topic: str, text: str) -> None:
        self._note(f"{topic}: {text}")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _require_usable(self, topic: str) -> None:
        refusals = _silent()
        if next(self._converted({topic}, refusals, accept_triggers=False), None) is None and refusals.first:
            raise RecordingError(f"{self.path}: nothing of {topic} can be used: {refusals.first[topic]}")

    def _stream(self, topics: set[str], refusals: Refusals, accept_triggers: bool = True) -> Iterator[Any]:
        for converted in self._converted(topics, refusals, accept_triggers):
            if isinstance(converted, EventArray):
                refusals.tally["out_of_bounds"] += converted.out_of_bounds
                converted = replace(converted.events, size=converted.size)
            yield converted

    def _converted(self, topics: set[str], refusals: Refusals, accept_triggers: bool = True) -> Iterator[Any]:
        """As `_stream`, EventArrays as they are."""
        for message in self._storage.messages(topics, refusals.tally):
            converted = None
            with refusals.refusing(message.topic, _BRINGS[message.type], partial(self._stamp_ns, message)):
                each = self._convert(message)
                if isinstance(each, Packet):
                    require_events(each, accept_triggers)
                converted = each
            if converted is not None:
                yield converted

    def _stamp_ns(self, message: Message) -> int:
        return stamp_from_bytes(self._storage.cdr(message))

    def _told(self, read: Callable[[Message], Any], message: Message) -> Any:
        try:
            return read(message)
        except SerdeError as error:
            raise RecordingError(f"{self.path}, {message.topic}: {one_line(error)}") from error

    def _convert(self, message: Message) -> Packet | EventArray | Frame | Exposure | Camera:
        """Raises any Exception for a damaged one."""
        if message.type == DVS_EVENTS:
            read = events_from_ros1_event_array if message.ros1 else events_from_event_array
            return read(message.raw)
        if message.type == IMAGE:
            return frame_from_image(self._storage.cdr(message), partial(self._assume, message.topic))
        return _READERS[message.type](self._storage.cdr(message))

    def _kind(self, topic: str) -> str:
        return self._storage.layouts[topic]

    def _require_known(self, name: str | None, types: tuple[str, ...]) -> None:
        if name is not None and name not in self.choice.of(types):
            raise self._has_no(f"{name} of type {' or '.join(types)}")

    def _require(self, types: tuple[str, ...], topic: str | None) -> str:
        if topic is None:
            raise self._has_no(f"of type {' or '.join(types)}")
        return topic

    def _has_no(self, topic: str) -> RecordingError:
        return RecordingError(f"{self.path} has no topic {topic}; {self._storage.inventory()}")


_READERS = {
    EVENTS: packet_from_bytes,
    COMPRESSED: frame_from_compressed,
    EXPOSURE: exposure_from_bytes,
    CAMERA_INFO: camera_from_bytes,
}


def _silent() -> Refusals:
    """For a look ahead."""
    return Refusals(Counter(), lambda topic, text, count: None)
