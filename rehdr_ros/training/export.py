"""A bag with truth -> files that a training can read anywhere."""

from collections.abc import Iterable, Iterator
from errno import EEXIST
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from tqdm import tqdm

from rehdr_ros import __version__
from rehdr_ros.errors import InputError, writing
from rehdr_ros.events import Events, Exposure, Frame, Packet, voxel_grid
from rehdr_ros.reconstruction import PipelineConfig
from rehdr_ros.reconstruction.front_end import FrontEnd
from rehdr_ros.reconstruction.synchronizer import Job
from rehdr_ros.recordings import BagRecording, Recording, write_exr
from rehdr_ros.recordings.realhdr import KINDS
from rehdr_ros.simulation.bag import TRUTH_TOPIC

CACHED_NAME = "recording"
_SOURCE = "source.txt"  # what a cached folder was made of


def export_folder(bag: str | Path, root: str | Path, name: str, bins: int) -> int:
    """Write a bag with truth to ROOT/{LDR,HDR,event}/NAME: PNG, EXR, float32 voxel grids; returns the count.

    ROOT/NAME.csv tells the frames' times and relative exposures; each truth is brought to the white of its
    frame, as far as exposures are told. Memory does not grow with the bag, and nothing is left half done.
    Frames get their events as in the pipeline, see Synchronizer: the first grid is zero, and events that the
    bag holds too late for their frame are in none. What can't be read of the bag is told on stdout.
    Raises InputError for a bag that is unreadable, lacks the truth of a frame, changes its size or encoding,
    has events of other pixels than the frames' or frames out of the order of time, and FileExistsError.
    """
    recording = BagRecording(bag)
    folders = {kind: Path(root) / kind / name for kind in KINDS}
    for folder in folders.values():
        if folder.exists():
            raise FileExistsError(EEXIST, "exists", str(folder))
    Path(root).mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=root, prefix="unfinished-") as temporary:
        parts = {kind: Path(temporary) / kind for kind in KINDS}
        try:
            rows, table = _write_frames(recording, parts, bins), Path(temporary) / "table"
        finally:  # what was left out may be why it fails
            for note in recording.notes:
                tqdm.write(f"note: {note}")
        with writing(table):
            table.write_text("".join(["time_ns,exposure\n", *rows]))
        table.rename(Path(root) / f"{name}.csv")
        for kind, part in parts.items():
            folders[kind].parent.mkdir(exist_ok=True)
            part.rename(folders[kind])
    return len(rows)


def _write_frames(recording: BagRecording, folders: dict[str, Path], bins: int) -> list[str]:
    """Returns the rows of the table."""
    for folder in folders.values():
        folder.mkdir()
    bag, truths = recording.path, recording.frames(TRUTH_TOPIC)
    total, shape, rows = recording.topics[TRUTH_TOPIC].count, None, []
    jobs = tqdm(paired(recording), f"exporting {bag}", total, unit="frame", mininterval=2)
    for count, (job, exposure) in enumerate(with_exposures(jobs)):
        frame, at = job.frame, f"{job.frame.stamp_ns} ns"
        truth = next(truths, None)
        shape = shape or frame.image.shape[:2]
        if truth is None or truth.stamp_ns != frame.stamp_ns:
            raise InputError(f"{bag}: the frame at {at} has no truth of its stamp on {TRUTH_TOPIC}")
        if not shape == frame.image.shape[:2] == truth.image.shape[:2]:
            raise InputError(f"{bag}: the size changes at {at}; frames and truth must be of one size")
        _write_png(folders["LDR"] / f"{count:06d}.png", frame.image)
        write_exr(folders["HDR"] / f"{count:06d}.exr", in_colour(truth.image) * np.float32(exposure))
        grid = folders["event"] / f"{count:06d}.npy"
        with writing(grid):
            np.save(grid, grid_of(job, bins))
        rows.append(f"{job.exposed.middle},{exposure!r}\n")
    if not rows:
        raise InputError(f"{bag} has no frames")
    return rows


def cached_folder(bag: str | Path, bins: int) -> Path:
    """The root of a bag folder's files, under CACHED_NAME, exported on first use to BAG.sequence/BINS.

    Exported anew where the bag, or this package, is another one. Never left half done; several processes may
    ask for the same one.
    Raises what export_folder raises, and OSError where the folder can't be written.
    """
    bag = Path(bag).resolve()
    parent = bag.with_name(f"{bag.name}.sequence")
    root, source = parent / str(bins), _identity(bag)
    if _is_of(root, source):
        return root
    parent.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=parent, prefix="unfinished-") as temporary:
        new = Path(temporary) / "root"
        export_folder(bag, new, CACHED_NAME, bins)
        (new / _SOURCE).write_text(source)
        if not _is_of(root, source):  # else another process was faster
            rmtree(root, ignore_errors=True)
            new.rename(root)
    return root


def _identity(bag: Path) -> str:
    stats = {file.name: file.stat() for file in sorted(bag.iterdir())}
    files = (f"{name}: {stat.st_size} bytes, of {stat.st_mtime_ns} ns\n" for name, stat in stats.items())
    return "".join((f"rehdr_ros {__version__}\n", *files))


def _is_of(root: Path, source: str) -> bool:
    return (root / _SOURCE).is_file() and (root / _SOURCE).read_text() == source


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


def with_exposures(jobs: Iterable[Job]) -> Iterator[tuple[Job, float]]:
    """Each with its frame's exposure over that of the first that is told; of one untold, the last one's."""
    first = last = None
    for job in jobs:
        last = job.frame.effective_time_s or last
        first = first or last
        yield job, last / first if first else 1.0


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
