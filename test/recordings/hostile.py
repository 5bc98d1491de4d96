"""Small recordings of files, and what damage makes of them."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from rehdr_ros.events import Events, make_encoder

MS = 10**6
SIZE = 64, 48
IMAGES = ("png", "jpg", "tif", "bmp", "webp", "pgm")


def raw(folder: Path, encoding: str) -> Path:
    """1000 events in 0.3 s."""
    random = np.random.default_rng(0)
    t = np.sort(random.integers(0, 300 * MS, 1000)) // 1000 * 1000
    events = Events(t, *(random.integers(0, most, 1000) for most in (*SIZE, 2)))
    head = f"% date 2020-01-01\n% format {encoding.upper()};height=48;width=64\n% geometry 64x48\n% end\n"
    path = folder / f"{encoding}.raw"
    path.write_bytes(head.encode() + bytes(make_encoder(encoding, *SIZE).encode(events).data))
    return path


def aedat4(folder: Path, compression: str) -> Path:
    """Four packets of events and a frame behind each."""
    import dv_processing as dv

    path, random = folder / f"{compression}.aedat4", np.random.default_rng(0)
    config = dv.io.MonoCameraWriter.Config("camera", getattr(dv.CompressionType, compression))
    config.addEventStream(SIZE)
    config.addFrameStream(SIZE)
    writer = dv.io.MonoCameraWriter(str(path), config)
    for k in range(4):
        store = dv.EventStore()
        for t in np.sort(random.integers(0, 50_000, 100)).tolist():
            x, y = (int(random.integers(most)) for most in SIZE)
            store.push_back(10**9 + 50_000 * k + t, x, y, True)
        writer.writeEvents(store)
        writer.writeFrame(dv.Frame(10**9 + 50_000 * k, random.integers(0, 256, SIZE[::-1]).astype(np.uint8)))
    return path


def image_folder(folder: Path) -> Path:
    """An image of each format, beside a RAW file, with their timestamps."""
    images = folder / "frames"
    images.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), np.uint8)
    for k, suffix in enumerate(IMAGES):
        assert cv2.imwrite(str(images / f"{k}.{suffix}"), pixels[..., 0] if suffix == "pgm" else pixels)
    lines = (f"{k}.{suffix},{50_000 * k},1000\n" for k, suffix in enumerate(IMAGES))
    (images / "timestamps.csv").write_text("file,timestamp_us,exposure_us\n" + "".join(lines))
    return raw(folder, "evt3")


def realhdr(folder: Path) -> Path:
    """Three frames and grids."""
    for kind in ("LDR", "event"):
        (folder / kind / "walk").mkdir(parents=True)
    random = np.random.default_rng(0)
    for k in range(3):
        pixels = random.integers(0, 256, (*SIZE[::-1], 3), np.uint8)
        assert cv2.imwrite(str(folder / "LDR" / "walk" / f"{k}.png"), pixels)
        np.save(
            folder / "event" / "walk" / f"{k}.npy", random.normal(size=(5, *SIZE[::-1])).astype(np.float32)
        )
    return folder


def make(name: str, folder: Path) -> tuple[Path, list[str]]:
    """A recording in an empty folder, and the options of `rehdr info` that it needs."""
    kind, _, which = name.partition(" ")
    folder.mkdir()
    if kind == "frames":
        return image_folder(folder), ["--frames", str(folder / "frames")]
    makers: dict[str, Callable] = {"raw": raw, "aedat4": aedat4}
    return (makers[kind](folder, which) if which else realhdr(folder)), []


RECORDINGS = ("raw evt2", "raw evt3", "aedat4 LZ4", "aedat4 ZSTD", "aedat4 NONE", "frames", "realhdr")


def damage(data: bytes, random: np.random.Generator) -> bytes:
    """Cut, or bits turned, or bytes of the beginning, a length or an offset replaced, or bytes taken out."""
    damaged, size = bytearray(data), len(data)
    match random.integers(6):
        case 0:
            del damaged[random.integers(size) :]
        case 1:
            for at in random.integers(size, size=random.integers(1, 20)):
                damaged[at] ^= 1 << random.integers(8)
        case 2:
            for at in random.integers(min(size, 200), size=4):
                damaged[at] = random.integers(256)
        case 3:
            at = random.integers(max(1, size - 4))
            damaged[at : at + 4] = int(random.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1])).to_bytes(
                4, "little"
            )
        case 4:
            at = random.integers(size)
            del damaged[at : at + random.integers(1, 500)]
        case 5:
            at = random.integers(size)
            damaged[at:at] = random.bytes(random.integers(1, 100))
    return bytes(damaged)


def damage_one(folder: Path, originals: dict[Path, bytes], random: np.random.Generator) -> None:
    """All of the recording as it was, but for one file."""
    for path, data in originals.items():
        path.write_bytes(data)
    path = sorted(originals)[random.integers(len(originals))]
    path.write_bytes(damage(originals[path], random))
