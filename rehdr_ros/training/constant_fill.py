"""The best fill of clipped pixels without events or network: python -m rehdr_ros.training.constant_fill [FOLDER].

Prints the log2 luminance (1.0 = LDR white) with the least squared error over the clipped pixels of training
sequences, their mean: the value of metrics.CONSTANT_FILL_LOG2. FOLDER: the radiance files of the training.
"""

import sys

import numpy as np

from rehdr_ros.training.dataset import SimulatedSequences
from rehdr_ros.training.metrics import log2_luminance, pixel_classes

_SEQUENCES = 300


def best_constant(radiance: str | None = None) -> float:
    """The mean log2 luminance of the clipped pixels, every pixel weighing the same."""
    data = SimulatedSequences(_SEQUENCES, size=96, frames=4, bins=1, radiance=radiance)
    total, count = 0.0, 0
    for sequence in map(data.__getitem__, range(_SEQUENCES)):
        for ldr, truth in zip(sequence.ldr, sequence.truth, strict=True):
            clipped = pixel_classes(ldr.permute(1, 2, 0).numpy())["clipped"]
            total += float(np.sum(log2_luminance(truth.permute(1, 2, 0).numpy()[clipped])))
            count += int(clipped.sum())
    return total / count


if __name__ == "__main__":
    print(f"{best_constant(*sys.argv[1:]):.2f}")
