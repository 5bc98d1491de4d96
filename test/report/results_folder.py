"""A results folder of known values, as rehdr reconstruct writes them."""

import csv
from pathlib import Path

import cv2
import numpy as np

from rehdr_ros.products import PRODUCTS
from rehdr_ros.recordings import write_exr, write_png

WIDTH, HEIGHT, FRAMES = 64, 48, 20
PACKETS_LOST_AT = 12


def radiance_of(frame: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """From 2^-8 at the left to 2^6 at the right, each frame brighter than the last; red > green > blue."""
    row = 2.0 ** np.linspace(-8, 6, width) * (1 + frame / 10)
    return (np.ones((height, width, 3)) * row[:, None] * [1.0, 0.8, 0.6]).astype(np.float32)


def ldr_of(radiance: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.minimum(radiance, 1) ** (1 / 2.2)).astype(np.uint8)


def tonemapped_of(frame: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    return np.full((height, width, 3), (20, 100 + 5 * frame, 40), np.uint8)


def events_of(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """ON in the upper left quarter; OFF, weaker, on a grey frame in the lower right; grey, white without."""
    picture = np.full((height, width, 3), 255, np.uint8)
    picture[: height // 2, : width // 2] = (255, 0, 0)
    picture[height // 2 :, : width // 2] = 160
    picture[height // 2 :, width // 2 :] = (80, 80, 207)
    return picture


def uncertainty_of(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """From 1/64 stop at the left to 4 at the right."""
    return np.tile(2.0 ** np.linspace(-6, 2, width, dtype=np.float32), (height, 1))


def cause_of(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Four columns, from measured to lost."""
    return np.tile((4 * np.arange(width) // width).astype(np.uint8), (height, 1))


def write_frame(folder: Path, frame: int, width: int = WIDTH, height: int = HEIGHT) -> None:
    for product in PRODUCTS:
        (folder / product.name).mkdir(parents=True, exist_ok=True)
    radiance = radiance_of(frame, width, height)
    write_exr(folder / "hdr" / f"{frame:06d}.exr", radiance)
    write_png(folder / "tonemapped" / f"{frame:06d}.png", tonemapped_of(frame, width, height))
    write_png(folder / "ldr" / f"{frame:06d}.png", ldr_of(radiance))
    write_png(folder / "events" / f"{frame:06d}.png", events_of(width, height))
    write_exr(folder / "uncertainty" / f"{frame:06d}.exr", uncertainty_of(width, height))
    write_png(folder / "cause" / f"{frame:06d}.png", cause_of(width, height))


def row_of(frame: int) -> dict:
    """20 Hz, 1000 events a frame; two packets are lost at one frame; the first network run takes longest."""
    return {
        "index": frame,
        "stamp_ns": 10**18 + frame * 50_000_000,
        "events": 1000 if frame else 0,
        "clipped_fraction": 0.25,
        "tonemapped_clipped_fraction": 0.01,
        "dropped_events": 0,
        "late_events": 0,
        "lost_packets": 2 if frame >= PACKETS_LOST_AT else 0,
        "skipped_frames": 0,
        "state_age": frame / 20,
        "reset_reason": "" if frame else "start </script><script>throw 1</script>",
        "decode_ms": 1.5,
        "network_ms": 30.0 if frame else 4000.0,
    }


def write_rows(folder: Path, rows: list[dict]) -> None:
    with open(folder / "frames.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_png(data: bytes) -> np.ndarray:
    """RGB uint8 of a PNG file's bytes."""
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
