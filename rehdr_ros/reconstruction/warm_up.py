"""Compile the kernels before the stream starts."""

import numpy as np
import torch

from rehdr_ros.events import Events
from rehdr_ros.network import head_start
from rehdr_ros.network.event_fit import explained_sums, read
from rehdr_ros.reconstruction import propagation
from rehdr_ros.reconstruction.dead_time import DeadTime, corrected
from rehdr_ros.reconstruction.event_latency import EventLatency
from rehdr_ros.reconstruction.exposure_time import ExposureTime
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.reconstruction.synchronizer import Exposed
from rehdr_ros.reconstruction.tonemap import ToneMapper
from rehdr_ros.reconstruction.tonemap_kernels import interleaved


def warm_up() -> None:
    """Compile, or load from the cache, what linearises and tone maps frames and times events on the CPU."""
    for dtype in (np.uint8, np.uint16, np.float32):
        Response().linearise(np.zeros((1, 1), dtype), torch.device("cpu"))
    for operator in ToneMapper.OPERATORS:
        for sigma in (None, torch.zeros(1, 1)):
            ToneMapper(operator)(torch.zeros(1, 1, 3), 0, sigma)
    interleaved(np.zeros((3, 1, 1), np.float32))
    latency, exposure, event = EventLatency(), ExposureTime(), Events([1], [0], [0], [1])
    of_frame = np.full((1, 1), 100, np.uint8), Response(), event, (1, 1), None
    for start in (0, 1):
        latency.add(Exposed(start, start), *of_frame)
        exposure.add(start, start + 1_000_000_000, 0.0, *of_frame)
    latency.finish()
    propagation.warm_up()
    DeadTime().add(event, 1, 1)
    fit = read(explained_sums(torch.zeros(1)))  # else nothing is corrected
    corrected(torch.zeros(1, 1, 1, 1), torch.ones(1), torch.zeros(1), fit)
    head_start.warm_up()
