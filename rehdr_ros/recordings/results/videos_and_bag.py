"""What a folder of results is made into: videos, and a bag for those who would have subscribed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rehdr_ros.errors import writing
from rehdr_ros.products import CAMERA_INFOS, Product, published
from rehdr_ros.recordings.images import read_exr, read_png
from rehdr_ros.recordings.results import folder as results
from rehdr_ros.recordings.results.bag_writer import BagWriter
from rehdr_ros.recordings.results.video import HdrVideoWriter, LightLevels, VideoWriter


def write_video(folder: Path, fps: float) -> Iterator[None]:
    """FOLDER/video.mp4 of the tone-mapped pictures, frame by frame, yielding after each."""
    with _in_place(folder / results.VIDEO) as path, VideoWriter(path, fps) as video:
        for picture in _of_one_size(map(read_png, results.frame_files(folder, "tonemapped"))):
            video.write(picture)
            yield


def write_hdr_video(folder: Path, fps: float, white: float) -> Iterator[None]:
    """FOLDER/hdr.mp4 of the radiance, 1.0 at `white` cd/m2, yields twice a frame: light levels come first."""
    files, light = results.frame_files(folder, "hdr"), LightLevels(white)
    for radiance in map(read_exr, files):
        light.add(radiance)
        yield
    place = _in_place(folder / results.HDR_VIDEO)
    with place as path, HdrVideoWriter(path, fps, white, light.value) as video:
        for radiance in _of_one_size(map(read_exr, files)):
            video.write(radiance)
            yield


def write_bag(
    folder: Path, products: Iterable[Product], frame_id: str, camera_info: Any = None
) -> Iterator[None]:
    """FOLDER/bag with what the node would have published of these products, yielding after each frame.

    With camera_info, a sensor_msgs/msg/CameraInfo of the frames' camera, its copies beside them.
    """
    images = [product for product in published(products) if product.live]
    with _in_place(folder / results.BAG) as path, BagWriter(path) as bag:
        for row in results.read_rows(folder):
            index, stamp = int(row["index"]), int(row["stamp_ns"])
            for product in images:
                image = results.read_picture(folder, product, index)
                bag.write_image(f"/{product.topic}", stamp, frame_id, image, product.encoding)
            if camera_info is not None:
                for topic in CAMERA_INFOS:
                    bag.write_camera_info(f"/{topic}", stamp, frame_id, camera_info)
            yield


@contextmanager
def _in_place(path: Path) -> Iterator[Path]:
    """Another place to write to, from which `path` comes when that is done; an older one goes."""
    place = path.parent / ".unfinished"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    with writing(path):
        yield place / path.name
    results.remove(path)
    (place / path.name).replace(path)
    place.rmdir()


def _of_one_size(pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """A recording may change its resolution; a video can't."""
    size = None
    for picture in pictures:
        size = size or picture.shape[1::-1]
        yield picture if picture.shape[1::-1] == size else cv2.resize(picture, size)
