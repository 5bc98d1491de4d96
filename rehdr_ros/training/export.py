"""A bag with truth -> files that a training can read anywhere."""

from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from tqdm import tqdm

from rehdr_ros.errors import InputError, writing
from rehdr_ros.events import Clock, EventBuffer, Events, Packet, make_decoder, voxel_grid
from rehdr_ros.recordings import BagRecording, Frame, Recording, write_exr
from rehdr_ros.recordings.realhdr import KINDS
from rehdr_ros.simulation.bag import TRUTH_TOPIC

CACHED_NAME = "recording"

_MEGABYTES = 256.0  # of events that wait for their frame
_MOST_WAITING = 32  # frames that wait for their events


def export_folder(bag: str | Path, root: str | Path, name: str, bins: int) -> int:
    """Write a bag with truth to ROOT/{LDR,HDR,event}/NAME: PNG, EXR and float32 voxel grids; returns the frame count.

    Memory does not grow with the bag. The first grid is zero; every event from the first frame to the last is in one.
    Raises InputError for a bag that is unreadable, lacks the truth of a frame, changes its size or encoding, has events
    of other pixels than the frames' or frames that are not in the order of time, and FileExistsError.
    """
    recording = BagRecording(bag)
    truths = recording.frames(TRUTH_TOPIC)
    folders = {kind: Path(root) / kind / name for kind in KINDS}
    for folder in folders.values():
        folder.mkdir(parents=True)
    total, count, shape = recording.topics[TRUTH_TOPIC].count, 0, None
    for frame, t0, events in tqdm(intervals(recording), f"exporting {bag}", total, unit="frame", mininterval=2):
        truth = next(truths, None)
        shape = shape or frame.image.shape[:2]
        if truth is None or truth.stamp_ns != frame.stamp_ns:
            raise InputError(f"{bag}: the frame at {frame.stamp_ns} ns has no truth of its stamp on {TRUTH_TOPIC}")
        if not shape == frame.image.shape[:2] == truth.image.shape[:2]:
            raise InputError(f"{bag}: the size changes at {frame.stamp_ns} ns; frames and truth must be of one size")
        _write_png(folders["LDR"] / f"{count:06d}.png", frame.image)
        write_exr(folders["HDR"] / f"{count:06d}.exr", in_colour(truth.image))
        grid = folders["event"] / f"{count:06d}.npy"
        with writing(grid):
            np.save(grid, voxel_grid(events, t0, frame.stamp_ns, bins, *shape))
        count += 1
    if not count:
        raise InputError(f"{bag} has no frames")
    return count


def cached_folder(bag: str | Path, bins: int) -> Path:
    """The root of a bag folder's files, under CACHED_NAME, exported on first use to BAG.sequence/BINS.

    Exported anew where the bag is newer. Never left half done; several processes may ask for the same one.
    Raises what export_folder raises, and OSError where the folder can't be written.
    """
    bag = Path(bag).resolve()
    parent = bag.with_name(f"{bag.name}.sequence")
    root = parent / str(bins)
    if _is_fresh(root, bag):
        return root
    parent.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=parent, prefix="unfinished-") as temporary:
        new = Path(temporary) / "root"
        export_folder(bag, new, CACHED_NAME, bins)
        if not _is_fresh(root, bag):  # else another process was faster
            rmtree(root, ignore_errors=True)
            new.rename(root)
    return root


def _is_fresh(root: Path, bag: Path) -> bool:
    return root.is_dir() and root.stat().st_mtime_ns >= max(file.stat().st_mtime_ns for file in bag.iterdir())


def intervals(recording: BagRecording) -> Iterator[tuple[Frame, int, Events]]:
    """Every frame with the stamp of the one before (of the first: its own) and the events in between, t in ROS ns.

    An event that the bag holds too late for its frame counts as the first of the next interval.
    """
    buffer, waiting, t0 = EventBuffer(_MEGABYTES), deque(), None
    for message in chain(decoded(recording), [None]):  # None: the end
        if isinstance(message, Frame):
            waiting.append(message)
        elif message is not None:
            buffer.append(message)
        # Strictly later: the next packet may begin within the microsecond of the frame's stamp.
        while waiting and (
            message is None or (buffer.latest or 0) > waiting[0].stamp_ns or len(waiting) > _MOST_WAITING
        ):
            frame = waiting.popleft()
            events = buffer.take_until(frame.stamp_ns)
            if buffer.dropped:
                raise InputError(f"{recording.path}: more than {_MEGABYTES:.0f} MB of events before one frame")
            if t0 is None:
                t0, events = frame.stamp_ns, Events.empty()
            elif t0 >= frame.stamp_ns:
                raise InputError(f"{recording.path}: the frame at {frame.stamp_ns} ns is not later than the one before")
            yield frame, t0, Events(np.maximum(events.t, t0 + 1), events.x, events.y, events.p)
            t0 = frame.stamp_ns


def decoded(recording: Recording) -> Iterator[Frame | Events]:
    """A recording's frames and events, t in ROS ns. Raises InputError where they aren't of the same pixels."""
    clock, decoder, stream, frame_size = Clock(), None, None, None
    for message in recording.messages():
        if isinstance(message, Packet):
            if decoder is None:
                stream = message.encoding, message.width, message.height
                decoder = make_decoder(*stream)
            elif stream != (message.encoding, message.width, message.height):
                raise InputError(f"{recording.path}: the events change their encoding or size")
            yield clock.to_ros(message, decoder.decode(message))
        elif isinstance(message, Frame):
            frame_size = message.image.shape[1::-1]
            yield message
        elif isinstance(message, Events):
            stream = recording.encoding, *recording.event_size
            yield message
        if stream and frame_size and stream[1:] != frame_size:
            raise InputError(
                f"{recording.path}: events of {stream[1]}x{stream[2]} pixels and frames of "
                f"{frame_size[0]}x{frame_size[1]}; they must be the same pixels"
            )


def _write_png(path: Path, image: np.ndarray) -> None:
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(f"an LDR frame of {image.dtype}: a PNG needs 8 or 16 bit")
    _, png = cv2.imencode(".png", cv2.cvtColor(in_colour(image), cv2.COLOR_RGB2BGR))
    with writing(path):
        path.write_bytes(png)  # cv2.imwrite says nothing of a full disk


def in_colour(image: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3) -> (H, W, 3)."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, 2)
