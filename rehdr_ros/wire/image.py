"""The pixels of sensor_msgs/msg/Image <-> arrays in RGB order. No ROS."""

from __future__ import annotations

import array
from typing import Any, NamedTuple

import cv2
import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.luminance import BT709

_LARGEST_IMAGE = 1 << 28  # bytes; no camera beside an event camera has more
_LEAST_PIXEL = 4  # bytes that any counts as: what grey or a mosaic becomes is larger


class _Layout(NamedTuple):
    dtype: type
    channels: int
    to_rgb: int | None = None  # OpenCV conversion; None: the channels are grey, or RGB with or without alpha
    from_rgb: int | None = None


_LAYOUTS = {
    "mono8": _Layout(np.uint8, 1),
    "mono16": _Layout(np.uint16, 1),
    "32FC1": _Layout(np.float32, 1),
    "rgb8": _Layout(np.uint8, 3),
    "32FC3": _Layout(np.float32, 3),
    "bgr8": _Layout(np.uint8, 3, cv2.COLOR_BGR2RGB, cv2.COLOR_RGB2BGR),
    "rgba8": _Layout(np.uint8, 4, None, cv2.COLOR_RGB2RGBA),
    "bgra8": _Layout(np.uint8, 4, cv2.COLOR_BGRA2RGB, cv2.COLOR_RGB2BGRA),
    "rgb16": _Layout(np.uint16, 3),
    "bgr16": _Layout(np.uint16, 3, cv2.COLOR_BGR2RGB, cv2.COLOR_RGB2BGR),
    "rgba16": _Layout(np.uint16, 4, None, cv2.COLOR_RGB2RGBA),
    "bgra16": _Layout(np.uint16, 4, cv2.COLOR_BGRA2RGB, cv2.COLOR_RGB2BGRA),
    # The letters are the mosaic's first two rows; OpenCV's name them from one pixel on, and its names that
    # don't (COLOR_BayerRGGB2RGB, ...) came after 4.5.4, Ubuntu 22.04's.
    "bayer_rggb8": _Layout(np.uint8, 1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": _Layout(np.uint8, 1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": _Layout(np.uint8, 1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": _Layout(np.uint8, 1, cv2.COLOR_BayerGB2RGB),
    "bayer_rggb16": _Layout(np.uint16, 1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr16": _Layout(np.uint16, 1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg16": _Layout(np.uint16, 1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg16": _Layout(np.uint16, 1, cv2.COLOR_BayerGB2RGB),
    # YUV 4:2:2: luma and one of the two chromas for each pixel. OpenCV takes it for BT.601 in video range,
    # white at Y = 235, as cameras send it; what a full-range camera has above that clips.
    "uyvy": _Layout(np.uint8, 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422": _Layout(np.uint8, 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuyv": _Layout(np.uint8, 2, cv2.COLOR_YUV2RGB_YUY2),
    "yuv422_yuy2": _Layout(np.uint8, 2, cv2.COLOR_YUV2RGB_YUY2),
    "yvyu": _Layout(np.uint8, 2, cv2.COLOR_YUV2RGB_YVYU),
}

# YUV 4:2:0: a plane of luma, and chroma for each 2x2 pixels behind it. OpenCV takes it as 4:2:2.
_PLANAR = {
    "nv12": cv2.COLOR_YUV2RGB_NV12,
    "nv21": cv2.COLOR_YUV2RGB_NV21,
    "i420": cv2.COLOR_YUV2RGB_I420,
    "yuv420": cv2.COLOR_YUV2RGB_I420,
    "yv12": cv2.COLOR_YUV2RGB_YV12,
}
_CHROMA_PLANES = ("i420", "yuv420", "yv12")  # two of them, in rows of half the length

# OpenCV's names of arrays, which say nothing of colours: its own order.
_ARRAYS = {
    "8UC1": "mono8",
    "8UC3": "bgr8",
    "8UC4": "bgra8",
    "16UC1": "mono16",
    "16UC3": "bgr16",
    "16UC4": "bgra16",
}
_LAYOUTS |= {name: _LAYOUTS[meaning] for name, meaning in _ARRAYS.items()}

ENCODINGS = frozenset((*_LAYOUTS, *_PLANAR))
_KNOWN = {name.casefold(): name for name in ENCODINGS}


def decode_image(
    encoding: str, height: int, width: int, step: int, data: bytes | np.ndarray, is_bigendian: bool = False
) -> np.ndarray:
    """The image of an Image message: uint8, uint16 or float32, (H, W) for grey, else (H, W, 3) in RGB.

    A view of `data` if possible. Raises ValueError, saying what fits, for unknown encodings or wrong sizes.
    """
    octets = np.frombuffer(data, np.uint8)
    if (planar := _KNOWN.get(encoding.casefold())) in _PLANAR:
        return _decode_planar(planar, height, width, step, octets)
    layout = _layout(encoding)
    pixel = layout.channels * np.dtype(layout.dtype).itemsize
    if min(height, width) < 1 or step < width * pixel or len(octets) != height * step:
        raise InputError(
            f"{encoding} of {width}x{height} needs at least 1x1 pixels, step >= {width * pixel} and "
            f"height * step = {height * step} bytes, not step {step} and {len(octets)} bytes"
        )
    if layout.channels == 2 and width % 2:
        needs = "needs an even width, as two pixels share their chroma"
        raise InputError(f"{encoding} {needs}, not {width}x{height}")
    _require_likely_size(width, height, pixel)
    dtype = np.dtype(layout.dtype).newbyteorder(">" if is_bigendian else "<")
    strides = (step, pixel, dtype.itemsize)
    image = np.ndarray((height, width, layout.channels), dtype, octets, strides=strides)
    image = image.astype(layout.dtype, copy=False)
    if layout.channels == 1:
        image = image[:, :, 0]
    if layout.to_rgb is not None:
        return cv2.cvtColor(np.ascontiguousarray(image), layout.to_rgb)
    return image[:, :, :3] if layout.channels == 4 else image


def is_known(encoding: str) -> bool:
    """Whether decode_image knows it."""
    return encoding.casefold() in _KNOWN


def assumption(encoding: str) -> str:
    """How decode_image takes an encoding that doesn't say it all; empty for those that do."""
    name = _KNOWN.get(encoding.casefold(), "")
    if name in _ARRAYS:
        return f"{encoding} names no colours: taken as {_ARRAYS[name]}"
    if name in _PLANAR or (name and _LAYOUTS[name].channels == 2):
        return f"{encoding} names no range: taken as BT.601 in video range, white at Y = 235"
    return ""


def image_from_message(message: Any) -> np.ndarray:
    """As decode_image, of a sensor_msgs/msg/Image, whether rclpy or rosbags made it. Raises ValueError."""
    shape = message.height, message.width, message.step
    return decode_image(message.encoding, *shape, message.data, bool(message.is_bigendian))


def encode_image(image: np.ndarray, encoding: str) -> tuple[int, np.ndarray]:
    """The step (bytes a row) and the data (uint8, one-dimensional, little-endian) of an Image message.

    `image` is as from decode_image: the encoding's dtype, (H, W) for grey, (H, W, 3) in RGB for colour; alpha
    becomes opaque. The data is a view of `image` where its layout permits. Raises ValueError, saying what is
    expected, for an unknown encoding (Bayer mosaics and YUV are only decoded), dtype or shape.
    """
    layout = None if encoding in _PLANAR else _layout(encoding)
    if layout is None or (layout.to_rgb is not None and layout.from_rgb is None):
        raise InputError(f"images are not encoded as {encoding}, only decoded")
    grey = layout.channels == 1
    if image.dtype != layout.dtype or image.ndim != (2 if grey else 3) or (not grey and image.shape[2] != 3):
        expected = f"{np.dtype(layout.dtype)} {'(H, W)' if grey else '(H, W, 3)'}"
        raise InputError(f"{encoding} needs {expected}, not {image.dtype} {image.shape}")
    image = np.ascontiguousarray(image)
    if layout.from_rgb is not None:
        image = cv2.cvtColor(image, layout.from_rgb)
    image = image.astype(image.dtype.newbyteorder("<"), copy=False)
    return image.strides[0], image.reshape(-1).view(np.uint8)


def pack_image(image: np.ndarray, encoding: str) -> tuple[int, array.array]:
    """Step and data of an Image message of RGB (H, W, 3), luminance where the encoding is grey.

    Or of one channel (H, W), for which only a grey encoding does. Raises ValueError as encode_image.
    """
    if image.ndim == 3 and encoding in ("mono8", "32FC1"):
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if encoding == "mono8" else image @ BT709
    step, data = encode_image(image, encoding)
    return step, payload(data)


def payload(data: np.ndarray) -> array.array:
    """Of bytes, uint8 (N,), the one type that rclpy takes without a look at each."""
    packed = array.array("B")
    packed.frombytes(memoryview(data))
    return packed


def demosaic(mosaic: np.ndarray, encoding: str) -> np.ndarray:
    """A mosaic, uint8 or uint16 (H, W), of a bayer_* encoding -> RGB (H, W, 3), same dtype; or ValueError."""
    return cv2.cvtColor(np.ascontiguousarray(mosaic), _layout(encoding).to_rgb)


def _decode_planar(encoding: str, height: int, width: int, step: int, octets: np.ndarray) -> np.ndarray:
    # Some drivers count luma in `step`, others all bytes of a row of pixels.
    pitch = width if step * 2 == width * 3 and len(octets) == height * step else step
    rows, odd = height * 3 // 2, height % 2 or width % 2 or pitch % 2
    if min(height, width) < 1 or odd or pitch < width or len(octets) != rows * pitch:
        raise InputError(
            f"{encoding} of {width}x{height} needs even numbers of pixels, step >= {width} and "
            f"height * step * 3/2 = {rows * step} bytes, not step {step} and {len(octets)} bytes"
        )
    _require_likely_size(width, height, _LEAST_PIXEL)
    planes = octets.reshape(rows, pitch)
    if encoding in _CHROMA_PLANES:
        chroma = planes[height:].reshape(height, pitch // 2)[:, : width // 2].reshape(height // 2, width)
        planes = np.concatenate((planes[:height, :width], chroma))
    return cv2.cvtColor(np.ascontiguousarray(planes[:, :width]), _PLANAR[encoding])


def is_likely_size(width: int, height: int, pixel: int) -> bool:
    """Whether an image may be so large. pixel: bytes of each."""
    return 0 < height * width * max(pixel, _LEAST_PIXEL) <= _LARGEST_IMAGE


def _require_likely_size(width: int, height: int, pixel: int) -> None:
    if not is_likely_size(width, height, pixel):
        raise InputError(f"an image of {width}x{height} pixels: is it damaged?")


def _layout(encoding: str) -> _Layout:
    if not encoding:
        raise InputError("an image without encoding: is it empty?")
    try:
        return _LAYOUTS[_KNOWN[encoding.casefold()]]
    except KeyError:
        known = ", ".join((*_LAYOUTS, *_PLANAR))
        raise InputError(f"unknown image encoding {encoding!r}; known: {known}") from None
