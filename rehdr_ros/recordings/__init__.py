"""Recordings in (bags, AEDAT4, Prophesee RAW, RealHDR folders); rosbag2, images and video out. No ROS."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rehdr_ros.recordings.recording import Recording

_HOMES = {
    **dict.fromkeys(("Calibration", "Exposure", "Frame", "Recording"), "recording"),
    **dict.fromkeys(("read_exr", "read_radiance", "write_exr", "write_png"), "images"),
    "Aedat4Recording": "aedat4",
    "BagRecording": "rosbag",
    "BagWriter": "results.bag_writer",
    "RawRecording": "prophesee_raw",
    "RealHdrRecording": "realhdr",
    "RecordingError": "errors",
    "Topic": "bag_storage",
    "VideoWriter": "results.video",
    "select": "selection",
}
__all__ = [*_HOMES, "FORMATS", "open_recording"]

FORMATS = "bag (folder, .mcap, .db3, .bag, .bag.active), .aedat4, Prophesee .raw (its frames, a folder of "
FORMATS += "images, by --frames), or RealHDR sequence (ROOT/LDR/NAME)"


def __getattr__(name: str) -> Any:
    # Imported on use: a robot's node converts images and needs nothing of what reads and writes files.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f".{_HOMES[name]}", __name__)
    except AttributeError as error:  # of which `from ... import` would say only that a name isn't here
        raise ImportError(f"{__name__}.{_HOMES[name]} can't be imported: {error}") from error
    return getattr(module, name)


def open_recording(
    path: str | Path,
    events_topic: str | None = None,
    image_topic: str | None = None,
    *,
    frames: str | Path | None = None,
    timestamps: str | Path | None = None,
    timestamps_unit: str | None = None,
    fps: float | None = None,
    event_size: tuple[int, int] | None = None,
    camera: str | None = None,
) -> Recording:
    """The recording at `path`: a bag (folder, .mcap, .db3, .bag), AEDAT4, Prophesee RAW, a RealHDR sequence.

    events_topic, image_topic: of a bag; found by their types if not given. frames, timestamps,
    timestamps_unit: the folder of the frames beside a RAW file, when they were taken and in what unit; see
    ImageFolder and read_timestamps. fps: the frame rate where nothing else tells it: of RealHDR sequences,
    and of frames without timestamps. event_size: width and height of the sensor of a RAW file whose header
    doesn't tell them. camera: of an AEDAT4 file, the one that has events and frames if not given.
    Raises RecordingError where there is no such recording, and for an option that doesn't go with its kind.
    """
    path = Path(path)
    kind = _kind(path)
    beside = {"frames": frames, "timestamps": timestamps, "timestamps_unit": timestamps_unit}
    of_raw = {**beside, "event_size": event_size}
    topics = {"events_topic": events_topic, "image_topic": image_topic}
    _refuse(path, {} if kind == ".raw" else of_raw, "a Prophesee RAW file")
    _refuse(path, {} if kind == ".aedat4" else {"camera": camera}, "an AEDAT4 file")
    _refuse(path, {} if kind == "bag" else topics, "a bag")
    if kind == ".raw":
        from rehdr_ros.recordings.image_folder import ImageFolder
        from rehdr_ros.recordings.prophesee_raw import RawRecording

        if frames is None:
            _refuse(path, beside, "the folder of the frames")
            return RawRecording(path, event_size=event_size)
        return RawRecording(path, ImageFolder(frames, timestamps, timestamps_unit, fps), event_size)
    if kind == ".aedat4":
        from rehdr_ros.recordings.aedat4 import Aedat4Recording

        return Aedat4Recording(path, camera)
    if kind == "realhdr":
        from rehdr_ros.recordings.realhdr import RealHdrRecording

        return RealHdrRecording(path, fps)
    from rehdr_ros.recordings.rosbag import BagRecording

    return BagRecording(path, events_topic, image_topic)


def _kind(path: Path) -> str:
    """ ".raw" or ".aedat4" by the first bytes, else by the name's ending; "bag", or "realhdr".

    Raises RecordingError for what is there and is none of them.
    """
    from rehdr_ros.recordings.bags.folder import files_of, kind_of

    if path.is_file():
        with path.open("rb") as file:
            head = file.read(10)
        for magic, kind in ((b"#!AER-DAT4", ".aedat4"), (b"% ", ".raw")):
            if head.startswith(magic):
                return kind
        if kind_of(path):
            return "bag"
    if not path.is_dir() and path.suffix.lower() in (".raw", ".aedat4"):
        return path.suffix.lower()
    if path.is_file() and not head:
        return "bag"
    from rehdr_ros.recordings.realhdr import is_realhdr

    if is_realhdr(path):
        return "realhdr"
    if path.is_file() or (path.is_dir() and not files_of(path)[0]):
        from rehdr_ros.recordings.errors import RecordingError

        raise RecordingError(f"{path} is none of what is read: {FORMATS}")
    return "bag"


def _refuse(path: Path, options: dict[str, object], goes_with: str) -> None:
    option = next((name for name, value in options.items() if value is not None), None)
    if option:
        from rehdr_ros.recordings.errors import RecordingError

        raise RecordingError(f"{path}: {option.replace('_', ' ')}: this goes with {goes_with}")
