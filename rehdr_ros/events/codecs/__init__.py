"""Codecs of event_camera_msgs packets, one module an encoding, each with a streaming Decoder and Encoder."""

from __future__ import annotations

from types import ModuleType

from rehdr_ros.errors import InputError
from rehdr_ros.events.codecs import evt3, mono
from rehdr_ros.events.codecs.stream import Decoder, Encoder

CODECS: dict[str, ModuleType] = {"evt3": evt3, "mono": mono}


def make_decoder(encoding: str, width: int, height: int) -> Decoder:
    """A streaming decoder for an image of width x height. Raises ValueError for an unknown encoding."""
    return _codec(encoding).Decoder(width, height)


def make_encoder(encoding: str, width: int, height: int) -> Encoder:
    """A streaming encoder for an image of width x height.

    Raises ValueError for an unknown encoding, and for an image larger than the encoding can hold.
    """
    return _codec(encoding).Encoder(width, height)


def _codec(encoding: str) -> ModuleType:
    try:
        return CODECS[encoding]
    except KeyError:
        raise InputError(f"unknown event encoding {encoding!r}; known: {', '.join(sorted(CODECS))}") from None
