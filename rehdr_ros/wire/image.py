"""The pixels of sensor_msgs/msg/Image <-> arrays in RGB order. No ROS."""

from __future__ import annotations

import array
from typing import Any, NamedTuple

import cv2
import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.luminance import BT709

LARGEST_IMAGE = 1 << 26  # px; no camera beside an event camera has more


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
}

ENCODINGS = frozenset(_LAYOUTS)


def decode_image(
    encoding: str, height: int, width: int, step: int, data: bytes | np.ndarray, is_bigendian: bool = False
) -> np.ndarray:
    """The image of an Image message: uint8, uint16 or float32, (H, W) for grey, else (H, W, 3) in RGB.

    A view of `data` if possible. Raises ValueError, saying what fits, for unknown encodings or wrong sizes.
    """
    layout = _layout(encoding)
    pixel = layout.channels * np.dtype(layout.dtype).itemsize
    octets = np.frombuffer(data, np.uint8)
    if min(height, width) < 1 or step < width * pixel or len(octets) != height * step:
        raise InputError(
            f"{encoding} of {width}x{height} needs at least 1x1 pixels, step >= {width * pixel} and "
            f"height * step = {height * step} bytes, not step {step} and {len(octets)} bytes"
        )
    if layout.channels == 2 and width % 2:
        needs = "needs an even width, as two pixels share their chroma"
        raise InputError(f"{encoding} {needs}, not {width}x{height}")
    if height * width > LARGEST_IMAGE:
        raise InputError(f"an image of {width}x{height} pixels: is it damaged?")
    dtype = np.dtype(layout.dtype).newbyteorder(">" if is_bigendian else "<")
    strides = (step, pixel, dtype.itemsize)
    image = np.ndarray((height, width, layout.channels), dtype, octets, strides=strides)
    image = image.astype(layout.dtype, copy=False)
    if layout.channels == 1:
        image = image[:, :, 0]
    if layout.to_rgb is not None:
        return cv2.cvtColor(np.ascontiguousarray(image), layout.to_rgb)
    return image[:, :, :3] if layout.channels == 4 else image


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
    layout = _layout(encoding)
    if layout.to_rgb is not None and layout.from_rgb is None:
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


def _layout(encoding: str) -> _Layout:
    try:
        return _LAYOUTS[encoding]
    except KeyError:
        raise InputError(f"unknown image encoding {encoding!r}; known: {', '.join(_LAYOUTS)}") from None
