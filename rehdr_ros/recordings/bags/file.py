"""What all bag files have in common."""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, NamedTuple, Protocol

LARGEST_UNPACKED = 1 << 28  # bytes, of a chunk or a message; damage, and malice, claim anything

_LATCHED = re.compile(r"\bdurability:\s*(1|transient_local)\b")  # Humble writes numbers


class Connection(NamedTuple):
    """What a file tells of messages; a topic may have several.

    type: as ROS 2 names it; with the serialization in brackets where that is not ROS'. definition: the text
    of the message's definition, in `language` ("msg" or "idl"); both empty where there is none that is known.
    ros1: serialized as by ROS 1, else CDR. latched: a publisher kept its last messages for late subscribers.
    """

    topic: str
    type: str
    language: str = ""
    definition: str = ""
    ros1: bool = False
    latched: bool = False


class BagFile(Protocol):
    """A bag file, whose content is known; every reading opens it anew.

    connections, counts: by id, what there is and how many messages. notes: what to tell of the file, as that
    it ends early.
    """

    connections: dict[int, Connection]
    counts: dict[int, int]
    notes: list[str]

    def messages(
        self, ids: AbstractSet[int], damaged: Callable[[str], None]
    ) -> Iterator[tuple[int, int, bytes]]:
        """Id, log time in ns and content of the messages of `ids`, in the order of their times.

        damaged: called with where and why for each part that can't be read and is left out.
        """
        ...


def connection(
    topic: str, name: str, serialization: str, language: str, definition: str, latched: bool = False
) -> Connection:
    """name, serialization, language: as files write them."""
    ros1 = serialization == "ros1"
    kind = ros2_type(name) if ros1 or serialization == "cdr" else f"{name} ({serialization or 'unknown'})"
    known = {"ros1msg": "msg", "ros2msg": "msg", "ros2idl": "idl", "omgidl": "idl"}.get(language, "")
    return Connection(topic, kind, known, definition if known else "", ros1, latched)


def is_latched(profiles: str) -> bool:
    """Whether one of the publishers' QoS profiles, as rosbag2 writes them, is transient local."""
    return bool(_LATCHED.search(profiles))


def ros2_type(name: str) -> str:
    """ROS 1's and DDS' names of a type -> sensor_msgs/msg/Image."""
    dds = re.fullmatch(r"(\w+)::(\w+)::dds_::(\w+)_", name)
    if dds:
        return "/".join(dds.groups())
    name = name.replace("::", "/")
    package, _, rest = name.partition("/")
    return f"{package}/msg/{rest}" if rest and "/" not in rest else name


def scratch_folder(owner: Any) -> Path:
    """A new folder in the system's temporary one, which goes with `owner`."""
    folder = Path(tempfile.mkdtemp(prefix="rehdr_bag_"))
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return folder
