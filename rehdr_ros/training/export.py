"""A bag with truth -> files that a training can read anywhere."""

from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from tqdm import tqdm

from rehdr_ros.errors import InputError, writing
from rehdr_ros.events import Events, Exposure, Frame, Packet, voxel_grid
from rehdr_ros.reconstruction import PipelineConfig
from rehdr_ros.reconstruction.front_end import FrontEnd
from rehdr_ros.reconstruction.synchronizer import Job
from rehdr_ros.recordings import BagRecording, Recording, write_exr
from rehdr_ros.recordings.realhdr import KINDS
from rehdr_ros.simulation.bag import TRUTH_TOPIC

CACHED_NAME = "recording"


def export_folder(bag: str | Path, root: str | Path, name: str, bins: int) -> int:
    """Write a bag with truth to ROOT/{LDR,HDR,event}/NAME: PNG, EXR, float32 voxel grids; returns the count.

    Memory does not grow with the bag. Frames get their events as in the pipeline, see Synchronizer: the first
    grid is zero, and events that the bag holds too late for their frame are in none.
    Raises InputError for a bag that is unreadable, lacks the truth of a frame, changes its size or encoding,
    has events of other pixels than the frames' or frames out of the order of time, and FileExistsError.
    """
    recording = BagRecording(bag)
    truths = recording.frames(TRUTH_TOPIC)
    folders = {kind: Path(root) / kind / name for kind in KINDS}
    for folder in folders.values():
        folder.mkdir(parents=True)
    total, count, shape = recording.topics[TRUTH_TOPIC].count, 0, None
    for job in tqdm(paired(recording), f"exporting {bag}", total, unit="frame", mininterval=2):
        frame, at = job.frame, f"{job.frame.stamp_ns} ns"
        truth = next(truths, None)
        shape = shape or frame.image.shape[:2]
        if truth is None or truth.stamp_ns != frame.stamp_ns:
            raise InputError(f"{bag}: the frame at {at} has no truth of its stamp on {TRUTH_TOPIC}")
        if not shape == frame.image.shape[:2] == truth.image.shape[:2]:
            raise InputError(f"{bag}: the size changes at {at}; frames and truth must be of one size")
        _write_png(folders["LDR"] / f"{count:06d}.png", frame.image)
        write_exr(folders["HDR"] / f"{count:06d}.exr", in_colour(truth.image))
        grid = folders["event"] / f"{count:06d}.npy"
        with writing(grid):
            np.save(grid, grid_of(job, bins))
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


def paired(recording: Recording) -> Iterator[Job]:
    """Every frame with its events, as in a pipeline that takes no latency off. Raises as `checked`."""
    config = PipelineConfig(policy="all")
    front_end = FrontEnd(config)
    for job in front_end.jobs(checked(recording), recording.event_size):
        counters = front_end.counters
        if counters["dropped_events"] > counters["late_events"]:
            megabytes = f"{config.buffer_megabytes:.0f} MB"
            raise InputError(f"{recording.path}: more than {megabytes} of events before one frame")
        yield job


def grid_of(job: Job, bins: int) -> np.ndarray:
    """Signed events, float32 (bins, H, W), which are of the frame's pixels."""
    size = job.frame.image.shape[:2]
    return voxel_grid(job.events, *job.interval_ns, bins, *size, exposures=job.exposures_ns)


def checked(recording: Recording) -> Iterator[Packet | Events | Frame | Exposure]:
    """A recording's messages.

    Raises InputError where events and frames aren't of the same pixels, events change their encoding, or a
    frame is not later than the one before.
    """
    stream, last = None, None
    for message in recording.messages():
        if isinstance(message, Frame):
            if last is not None and message.stamp_ns <= last.stamp_ns:
                at = f"{message.stamp_ns} ns"
                raise InputError(f"{recording.path}: the frame at {at} is not later than the one before")
            last = message
        elif isinstance(message, Packet | Events):
            before, stream = stream, _stream_of(message, recording)
            if before not in (None, stream):
                raise InputError(f"{recording.path}: the events change their encoding or size")
        if stream and last and stream[1:] != last.size:
            sizes = f"events of {stream[1]}x{stream[2]} pixels and frames of {last.size[0]}x{last.size[1]}"
            raise InputError(f"{recording.path}: {sizes}; they must be the same pixels")
        yield message


def _stream_of(message: Packet | Events, recording: Recording) -> tuple[str, int, int]:
    if isinstance(message, Packet):
        return message.encoding, message.width, message.height
    return recording.encoding, *(message.size or recording.event_size)


def _write_png(path: Path, image: np.ndarray) -> None:
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(f"an LDR frame of {image.dtype}: a PNG needs 8 or 16 bit")
    _, png = cv2.imencode(".png", cv2.cvtColor(in_colour(image), cv2.COLOR_RGB2BGR))
    with writing(path):
        path.write_bytes(png)  # cv2.imwrite says nothing of a full disk


def in_colour(image: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3) -> (H, W, 3)."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, 2)
