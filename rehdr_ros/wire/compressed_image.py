"""The file inside a sensor_msgs/msg/CompressedImage <-> an array in RGB order. No ROS."""

from __future__ import annotations

import array
import struct

import cv2
import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.wire.image import demosaic, is_likely_size, payload

_JPEG, _JPEG_SCAN, _JPEG_END = b"\xff\xd8\xff", b"\xff\xda", b"\xff\xd9"
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of a frame header, not of tables
_DEPTH = "compresseddepth"  # another plugin of image_transport
_PNG = b"\x89PNG\r\n\x1a\n"
# px a byte, of one colour: deflate packs 1032 bytes of 8 px into one; six blocks of 256 px need a bit each.
_DENSEST_PNG, _DENSEST_JPEG = 1032 * 8, 1024
_PNG_CHANNELS = {0: 1, 2: 3}  # by the type of its colours; else decoders give alpha
_TO_RGB = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}


def decode_compressed(format: str, data: bytes | bytearray | memoryview | np.ndarray) -> np.ndarray:
    """The image of a CompressedImage: uint8 or uint16 (PNG), (H, W), or (H, W, 3) in RGB without alpha.

    The file's first bytes tell its codec. `format` counts where it is what image_transport writes, "ENCODING;
    jpeg compressed STORED": the encoding of the camera's image and that of the pixels in the file, which is
    the camera's where STORED is missing. It tells of a grey Bayer mosaic, which is demosaiced. Colours are
    the file's own, whatever STORED names.

    Raises ValueError for other codecs, for depth images and for files that are damaged or end too early.
    Damage in the middle of a JPEG can't be seen: it has no checksum.
    """
    stored = _stored_encoding(format)
    octets = bytes(data)
    _require_whole_file(format, octets)
    _require_likely_size(octets)
    try:
        # As it lies in the file: neither turned as its EXIF says, nor cut to 8 bits.
        image = cv2.imdecode(np.frombuffer(octets, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        image = None
    if image is None:
        raise _refusal(format, f"its {len(octets)} bytes are damaged")
    if image.ndim == 3:
        return cv2.cvtColor(image, _TO_RGB[image.shape[2]])
    return demosaic(image, stored) if stored.startswith("bayer") else image


def encode_jpeg(image: np.ndarray, encoding: str, quality: int) -> tuple[str, array.array]:
    """Format and data of a CompressedImage of an RGB image, uint8 (H, W, 3), as image_transport writes them.

    encoding: of the raw topic beside it, rgb8, bgr8 or mono8; the file of mono8 is grey. quality: 1 to 100.
    """
    stored, order = ("mono8", cv2.COLOR_RGB2GRAY) if encoding == "mono8" else ("bgr8", cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(image, order), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return f"{encoding}; jpeg compressed {stored}", payload(jpeg.reshape(-1))


def _stored_encoding(format: str) -> str:
    if _DEPTH in format.casefold():
        raise _refusal(format, "this is a depth image, a camera's image is needed")
    encoding, *rest = format.split(";")
    words = " ".join(rest).split()  # some drivers write another semicolon before STORED
    return words[2] if len(words) > 2 else encoding.strip()


def _refusal(format: str, why: str) -> InputError:
    return InputError(f"compressed image of format {format!r}: {why}")


def _require_whole_file(format: str, octets: bytes) -> None:
    """Refuse what decoders, depending on their version, fill up with grey. Cameras may pad a file's end."""
    if octets.startswith(_JPEG):
        # Not the end of a thumbnail, which lies before the image's scan.
        whole = octets.rfind(_JPEG_END) > octets.rfind(_JPEG_SCAN) > 0
    elif octets.startswith(_PNG):
        whole = _has_all_chunks(octets)
    else:
        begin = octets[:8].hex(" ") or "nothing"
        raise _refusal(format, f"only JPEG and PNG are decoded; its {len(octets)} bytes begin with {begin}")
    if not whole:
        raise _refusal(format, f"the file is cut off after {len(octets)} bytes")


def _require_likely_size(octets: bytes) -> None:
    """Refuse what would unpack to more than the file can hold, or has no size where decoders look for it."""
    if octets.startswith(_PNG):
        width, height, bits, colours = struct.unpack(">IIBB", octets[16:26].ljust(10, b"\0"))
        densest, pixel = _DENSEST_PNG, bits // 8 * _PNG_CHANNELS.get(colours, 4)
    else:
        (height, width), densest, pixel = _jpeg_size(octets), _DENSEST_JPEG, 3
    if width * height > densest * len(octets) or not is_likely_size(width, height, pixel):
        raise InputError(f"compressed image of {width}x{height} pixels, {len(octets)} bytes: is it damaged?")


def _jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Height and width of the frame header; zeros where something else than segments comes before it."""
    at = 2
    while at + 9 <= len(jpeg) and jpeg[at] == 0xFF:
        if jpeg[at + 1] == 0xFF:  # a marker may have more of these in front
            at += 1
            continue
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker in _JPEG_FRAMES:
            return struct.unpack_from(">HH", jpeg, at + 5)
        at += 2 + length
    return 0, 0


def _has_all_chunks(png: bytes) -> bool:
    # Decoders make room for a chunk before they read it: 2 GB where the length is damaged.
    at = len(_PNG)
    while at + 12 <= len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        at += 12 + length  # with the checksum
        if name == b"IEND":
            return at <= len(png)
    return False
