"""By which rule a recording's topics are taken: one place for frames, events, calibrations and exposures.

Candidates are ranked by what is known of them, each criterion deciding only where those before it don't. What
is alike by all of them is a tie: the first name is taken, and the tie is told with the option that decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from rehdr_ros.products import PRODUCTS, published

# Behind the name of an image, by image_transport.
COMPRESSED_SUFFIX, DEPTH_SUFFIX = "/compressed", "/compressedDepth"

# What speaks against an image's encoding, the worst last; all others are colour or grey.
_DOUBTS = (
    (r"16[US]C\d", "depth in mm (REP 118) or grey"),
    (r"32[FUS]C\d|64FC\d", "depth, labels or radiance"),
)

# Words in a topic's name that say it shows something else than what a camera sees.
_OTHER_THAN_A_CAMERA = {
    **dict.fromkeys(("render", "renderer", "rendered", "rendering"), "a picture of events"),
    **dict.fromkeys(("accumulated", "accumulator", "voxel", "polarity"), "a picture of events"),
    **dict.fromkeys(("depth", "disparity", "range", "pointcloud", "confidence", "costmap"), "depth"),
    **dict.fromkeys(("mask", "masks", "label", "labels", "segmentation", "semantic"), "labels"),
    **dict.fromkeys(("thermal", "infrared", "infra", "infra1", "infra2", "ir", "lwir", "nir"), "other light"),
    **dict.fromkeys(("boson", "lepton"), "other light"),  # thermal cameras, by their drivers' topics
    **dict.fromkeys(("overlay", "annotated", "detections", "debug", "viz", "visualization"), "a drawing"),
    **dict.fromkeys(("flow", "heatmap", "reconstructed", "reconstruction"), "a result"),
}
_PICTURE_OF_EVENTS = re.compile(
    r"((events?|dvs)_?(image|picture|frame|viz|vis|view|map|display)s?|time_surface)(_raw)?(?=/|$)"
)
_RESULTS = {"ground_truth", *(product.topic.partition("/")[0] for product in published(PRODUCTS))}
_ABOUT_PIXELS = tuple(f"/{product.topic}" for product in published(PRODUCTS) if not product.offline)

_SAME_PROPORTIONS = 0.02  # relative


class Candidate(NamedTuple):
    """What is known of a topic that may bring frames or events.

    kind: its place among the types that may, 0 first. count: of messages. encoding, size (width, height) and
    frame_id: of its first message that can be read; "" and None where that doesn't tell. problem: why none of
    the first can be read, else "". camera_info: whether one lies beside it.
    """

    name: str
    kind: int
    count: int
    encoding: str = ""
    size: tuple[int, int] | None = None
    frame_id: str = ""
    problem: str = ""
    camera_info: bool = False


class Choice(NamedTuple):
    """ranked: the candidates, the best first. tie: what is told where several are as good; else ""."""

    ranked: list[Candidate]
    tie: str = ""

    @property
    def first(self) -> str | None:
        """The name of the best."""
        return self.ranked[0].name if self.ranked else None


def choose_frames(candidates: Iterable[Candidate], events: Candidate | None, option: str) -> Choice:
    """The topic of the frames beside those events.

    In this order: topics with messages, that can be read; the encoding, colour and grey first; a name that
    tells of nothing but a camera; a camera_info beside it; the events' size, then their proportions; a name
    that shares most of its beginning with the events' topic; not rectified, image_raw; raw before compressed.
    """

    def rank(each: Candidate) -> tuple:
        word = _camera(each.name).rpartition("/")[2]
        shared = _shared_beginning(each.name, events.name) if events else 0
        return (
            not each.count,
            bool(each.problem),
            encoding_class(each.encoding),
            is_result(each.name),
            bool(shows(each.name)),
            not each.camera_info,
            _against(each.size, events.size if events else None),
            -shared,
            "rect" in word,
            word != "image_raw",
        )

    return _choose(candidates, rank, option)


def choose_events(candidates: Iterable[Candidate], frames: Iterable[str], option: str) -> Choice:
    """The topic of the events, where `frames` are the topics of images.

    In this order: topics with messages, that can be read; events before triggers; packets before EventArrays;
    images of the same camera, whose topic has all but its last word; a camera_info beside it.
    """
    cameras = {namespace(name) for name in frames}

    def rank(each: Candidate) -> tuple:
        return (
            not each.count,
            bool(each.problem),
            each.encoding == "trigger",
            each.kind,
            namespace(each.name) not in cameras,
            not each.camera_info,
        )

    return _choose(candidates, rank, option)


def beside(topic: str, topics: Iterable[str]) -> list[str]:
    """Those that share all but their last word with `topic`: of the same camera, by ROS' conventions."""
    return [each for each in topics if namespace(each) == namespace(topic)]


def encoding_class(encoding: str) -> int:
    """0: colour or grey; 1: nameless 16 bits; 2: floats and labels. Of a compressed image's format, too."""
    name = encoding.partition(";")[0].strip()
    return next((k for k, (pattern, _) in enumerate(_DOUBTS, 1) if re.fullmatch(pattern, name)), 0)


def doubt_about(encoding: str) -> str:
    """What speaks against an encoding's being a camera's; "" where nothing."""
    kind = encoding_class(encoding)
    return _DOUBTS[kind - 1][1] if kind else ""


def shows(name: str) -> str:
    """What a name says that the images of the topic show instead of a camera's view; "" where nothing."""
    if is_result(name):
        return "a result"
    name = name.removesuffix(COMPRESSED_SUFFIX)
    if _PICTURE_OF_EVENTS.search(name.lower()):
        return "a picture of events"
    words = re.findall(r"[a-z]+\d*", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    return next((_OTHER_THAN_A_CAMERA[word] for word in words if word in _OTHER_THAN_A_CAMERA), "")


def is_result(name: str) -> int:
    """1: one of our own results, or the truth of a simulation; 2: what tells of a result's pixels; else 0."""
    if name.endswith(_ABOUT_PIXELS):
        return 2
    return int(bool(_RESULTS & set(name.split("/"))))


def _choose(candidates: Iterable[Candidate], rank: Callable[[Candidate], tuple], option: str) -> Choice:
    ranked = sorted(candidates, key=lambda each: (rank(each), _camera(each.name), each.kind))
    if not ranked:
        return Choice([])
    first, alike = ranked[0], []
    for each in ranked[1:]:
        if rank(each) == rank(first) and _camera(each.name) not in map(_camera, (first.name, *alike)):
            alike.append(each.name)
    if not alike or not first.count:
        return Choice(ranked)
    others = ", ".join(alike)
    tie = f"{first.name} is taken as the first by name, {others} would do as well: {option} chooses"
    return Choice(ranked, tie)


def _camera(name: str) -> str:
    """The same for an image and its compressed sibling."""
    return name.removesuffix(COMPRESSED_SUFFIX)


def namespace(name: str) -> str:
    """A topic's name without its last word, of a compressed image without two."""
    return _camera(name).rpartition("/")[0]


def _shared_beginning(name: str, other: str) -> int:
    """How many words."""
    count = 0
    for one, two in zip(namespace(name).split("/")[1:], namespace(other).split("/")[1:], strict=False):
        if one != two:
            break
        count += 1
    return count


def _against(size: tuple[int, int] | None, events: tuple[int, int] | None) -> int:
    """0: the events' size; 1: their proportions; 2: others, or unknown."""
    if size is None or events is None or not all((*size, *events)):
        return 2
    if size == events:
        return 0
    return 1 if abs(size[0] * events[1] / (size[1] * events[0]) - 1) < _SAME_PROPORTIONS else 2
