import numpy as np

from rehdr_ros.training import constant_fill
from rehdr_ros.training.constant_fill import best_constant
from rehdr_ros.training.dataset import SimulatedSequences
from rehdr_ros.training.metrics import log2_luminance, pixel_classes


def test_no_other_constant_is_better_over_the_training_scenes(monkeypatch):
    monkeypatch.setattr(constant_fill, "_SEQUENCES", 4)
    constant = best_constant()
    data = SimulatedSequences(4, size=96, frames=4, bins=1)
    levels = []
    for sequence in (data[i] for i in range(4)):
        ldr, truth = (x.permute(0, 2, 3, 1).numpy() for x in (sequence.ldr, sequence.truth))
        levels.append(log2_luminance(truth[pixel_classes(ldr)["clipped"]]))
    levels = np.concatenate(levels)
    assert len(levels) > 1000

    def error(c):
        return np.mean((levels - c) ** 2)

    assert error(constant) < min(error(constant - 0.01), error(constant + 0.01))
