"""One simulated recording as a sequence, by the exact simulator: what benchmarks and tests are made of."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from rehdr_ros.events import Events, voxel_grid
from rehdr_ros.reconstruction.dead_time import DeadTime
from rehdr_ros.simulation import Sample, SimulationConfig, simulate
from rehdr_ros.simulation.sensors import RESPONSE
from rehdr_ros.training.sequence import Sequence

_PACKET_NS = 4_000_000


def simulated_sequence(
    config: SimulationConfig, radiance: np.ndarray | None = None, bins: int = 5, lost: float = 0.0
) -> Sequence:
    """Run the simulator and voxelise; the first grid is zero, as after a reset.

    radiance: instead of config.scene's; lost: share of the event packets, of 4 ms each, that never arrive.
    """
    ldr, voxel, truth, seconds, previous, dead_time = [], [], [], [], None, DeadTime()
    for sample in _with_losses(simulate(config, radiance), lost, config.seed):
        t0 = sample.stamp_ns if previous is None else previous
        voxel.append(voxel_grid(sample.events, t0, sample.stamp_ns, bins, config.height, config.width))
        ldr.append(sample.ldr.transpose(2, 0, 1))
        truth.append(sample.truth.transpose(2, 0, 1))
        seconds.append((sample.stamp_ns - t0) * 1e-9)
        dead_time.add(sample.events, config.width, config.height)
        previous = sample.stamp_ns
    ldr, voxel, truth = (torch.from_numpy(np.stack(x)) for x in (ldr, voxel, truth))
    seconds = torch.tensor(seconds, dtype=torch.float32)
    blind = torch.tensor(dead_time.ns * 1e-9)
    return Sequence(linearise(ldr), voxel, truth, torch.ones(len(ldr)), seconds, blind)


def linearise(ldr: torch.Tensor) -> torch.Tensor:
    """uint8 display values -> linear float32, 1.0 = white."""
    return (ldr.float() / 255) ** RESPONSE


def _with_losses(samples: Iterator[Sample], lost: float, seed: int) -> Iterator[Sample]:
    for sample in samples:
        number = sample.events.t // _PACKET_NS
        # A packet's fate depends on its number alone: one that a frame's stamp cuts in two is lost whole.
        kept = slice(None)
        if lost:
            fate = {n: np.random.default_rng((seed, 3, n)).random() for n in np.unique(number).tolist()}
            kept = np.array([fate[n] >= lost for n in number.tolist()], bool)
        e = sample.events
        yield replace(sample, events=Events(e.t[kept], e.x[kept], e.y[kept], e.p[kept]))
