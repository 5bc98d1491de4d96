"""The best fill of clipped pixels by a constant: python -m rehdr_ros.training.constant_fill [FOLDER].

Prints the log2 luminance (1.0 = LDR white) with the least squared error over the clipped pixels of training
sequences, their mean: the value of metrics.CONSTANT_FILL_LOG2. FOLDER: the radiance files of the training.
"""

import sys

import torch

from rehdr_ros.network.integrator import CLIPPED, luminance
from rehdr_ros.simulation.batch import BatchSimulator
from rehdr_ros.training.batches import SimulatedBatches
from rehdr_ros.training.metrics import FLOOR

_BATCHES, _BATCH = 100, 4


def best_constant(radiance: str | None = None, batches: int = _BATCHES) -> float:
    """The mean log2 luminance of the clipped pixels, every pixel weighing the same."""
    simulator = BatchSimulator(size=96, frames=4, bins=1, device=torch.device("cpu"))
    data = SimulatedBatches(simulator, _BATCH, radiance=radiance)
    total, count = 0.0, 0
    for number in range(batches):
        batch = data[number]
        clipped = batch.ldr.flatten(0, 1).amax(1, keepdim=True) >= CLIPPED
        log = luminance(batch.truth.flatten(0, 1)).clamp_min(FLOOR).log2()[clipped]
        total += float(log.sum(dtype=torch.float64))
        count += len(log)
    return total / count


if __name__ == "__main__":
    print(f"{best_constant(*sys.argv[1:]):.2f}")
