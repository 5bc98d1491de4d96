"""Compile the kernels before the stream starts."""

import numpy as np
import torch

from rehdr_ros.reconstruction.response import Response
from rehdr_ros.reconstruction.tonemap import ToneMapper


def warm_up() -> None:
    """Compile, or load from the cache, what linearises and tone maps frames on the CPU, whatever their type."""
    for dtype in (np.uint8, np.uint16, np.float32):
        Response().linearise(np.zeros((1, 1), dtype), torch.device("cpu"))
    for operator in ToneMapper.OPERATORS:
        ToneMapper(operator)(torch.zeros(1, 1, 3), 0)
