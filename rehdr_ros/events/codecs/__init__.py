"""Codecs of event_camera_msgs packets: one module an encoding, each with a streaming Decoder.

Some have an Encoder; those that come in Prophesee's RAW files too tell how, in RAW.
"""

from __future__ import annotations

from types import ModuleType

from rehdr_ros.errors import InputError
from rehdr_ros.events.codecs import evt2, evt3, evt21, evt21_legacy, libcaer, libcaer_cmp, mono, trigger
from rehdr_ros.events.codecs.prophesee import RawFormat
from rehdr_ros.events.codecs.stream import Decoder, Encoder

CODECS: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (evt2, evt21, evt21_legacy, evt3, libcaer, libcaer_cmp, mono, trigger)
}
ENCODERS = [name for name, module in CODECS.items() if hasattr(module, "Encoder")]

_LARGEST = 1 << 12  # px a side


def make_decoder(encoding: str, width: int, height: int) -> Decoder:
    """A streaming decoder for an image of width x height.

    Raises ValueError for an unknown encoding, and for a size that no sensor has.
    """
    require_codec(encoding)
    require_sensor(width, height)
    return CODECS[encoding].Decoder(width, height)


def make_encoder(encoding: str, width: int, height: int) -> Encoder:
    """A streaming encoder for an image of width x height.

    Raises ValueError for an encoding that is not among ENCODERS, and for an image larger than it can hold.
    """
    return _codec(encoding, ENCODERS).Encoder(width, height)


def require_codec(encoding: str) -> None:
    """Raise ValueError for an unknown encoding."""
    _codec(encoding, list(CODECS))


def require_sensor(width: int, height: int) -> None:
    """Raise ValueError for a size that no event camera has."""
    if not (0 < width <= _LARGEST and 0 < height <= _LARGEST):
        raise InputError(f"an event camera of {width}x{height} pixels: is the message damaged?")


def raw_formats() -> dict[str, RawFormat]:
    """By encoding, those that Prophesee's RAW files may have."""
    return {encoding: codec.RAW for encoding, codec in CODECS.items() if hasattr(codec, "RAW")}


def _codec(encoding: str, known: list[str]) -> ModuleType:
    if encoding not in known:
        raise InputError(f"unknown event encoding {encoding!r}; known: {', '.join(known)}")
    return CODECS[encoding]
