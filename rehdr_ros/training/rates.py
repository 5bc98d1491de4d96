"""One scene at two frame rates: a reconstruction should not depend on how often a camera looks."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from rehdr_ros.network import Network
from rehdr_ros.simulation.scene import load_radiance
from rehdr_ros.training.benchmark import FRAMES, Case
from rehdr_ros.training.evaluation import SKIPPED, Scores
from rehdr_ros.training.metrics import log2_luminance, pixel_classes
from rehdr_ros.training.sequence import Sequence, collate
from rehdr_ros.training.simulated import simulated_sequence
from rehdr_ros.training.unrolled import radiances
from rehdr_ros.training.validation import encoded, images

RATES = 10, 40  # Hz; the second a multiple of the first
UNSEEN = 0.1  # s that a pixel clips for, to count
_TIMES = RATES[1] // RATES[0]


@torch.inference_mode()
def compare(case: Case, networks: Mapping[str, Network], bins: int) -> Scores:
    """Each network's clipped error, stops, at the stamps that both rates have, and how far they differ.

    Of pixels that clip at both rates, in every frame of the last UNSEEN s, luminance as of
    metrics.score's clipped_log2_rmse. difference: of the larger to the smaller error, 0 = none.
    """
    low, high = (_sequence(case, rate, bins) for rate in RATES)
    ldr = [np.stack(encoded(images(x.ldr[None])[0])) for x in (low, high)]
    clipped = [pixel_classes(x)["clipped"] for x in ldr]
    stamps = range(SKIPPED, len(clipped[0]))
    frames = round(UNSEEN * RATES[1])
    counted = [clipped[0][k] & clipped[1][k * _TIMES - frames : k * _TIMES + 1].all(0) for k in stamps]
    truth = log2_luminance(images(low.truth[None])[0][SKIPPED:])
    scores = {}
    for name, network in networks.items():
        errors = []
        for sequence, every in ((low, 1), (high, _TIMES)):
            made = images(radiances(network, collate([sequence])))[0][SKIPPED * every :: every]
            errors.append(float(np.sqrt(np.mean((log2_luminance(made) - truth)[np.stack(counted)] ** 2))))
        names = [f"clipped_log2_rmse_{rate}_hz" for rate in RATES]
        scores[name] = {**dict(zip(names, errors, strict=True)), "difference": max(errors) / min(errors) - 1}
    return scores


def _sequence(case: Case, rate: int, bins: int) -> Sequence:
    config = replace(case.config, fps=float(rate), seconds=FRAMES / RATES[0])
    radiance = load_radiance(config.scene, config.height, config.width, config.seed)
    return simulated_sequence(config, radiance, bins)
