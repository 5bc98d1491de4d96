"""OpenVINO, as this package uses it."""

import sys
from functools import cache

# Else importing it counts its uses, in files at home and over the net, unasked. None: as if not installed.
sys.modules.setdefault("openvino_telemetry", None)

import openvino  # noqa: E402

__all__ = ["core", "openvino"]


@cache
def core() -> openvino.Core:
    """One for the process's life: the thread that makes it gets a signal stack, which would go with it."""
    return openvino.Core()
