"""The uncertainty's scale, after a training: python -m rehdr_ros.training.calibration WEIGHTS [FOLDER].

A training's stream has worse sensors than most users', so its sigma is too large for them. Here sequences of
the exact simulator, in training scenes (of FOLDER's radiance files, or procedural), tell the factor that lets
68 % of the errors lie within one sigma, in the mean of the sequences; the weights are written anew with it.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from rehdr_ros import safetensors_file
from rehdr_ros.network import Rehdr, load_checkpoint, save_checkpoint
from rehdr_ros.network.checkpoint import resolve
from rehdr_ros.network.head_start.composition import OUTPUTS
from rehdr_ros.network.integrator import CLIPPED, luminance
from rehdr_ros.simulation.scene import load_radiance
from rehdr_ros.training import benchmark
from rehdr_ros.training.evaluation import SKIPPED
from rehdr_ros.training.losses import WITHIN, log
from rehdr_ros.training.scenes import training_files
from rehdr_ros.training.sequence import Sequence, collate
from rehdr_ros.training.simulated import simulated_sequence
from rehdr_ros.training.unrolled import unroll

SEQUENCES, _SIZE, _SEED = 12, 128, 20_270_000


def sequences(folder: str | Path | None = None) -> Iterator[Sequence]:
    """As of the benchmark, in training scenes."""
    files = training_files(folder) if folder else []
    rng = np.random.default_rng(_SEED)
    for k, case in zip(range(SEQUENCES), benchmark.cases(None, _SIZE), strict=True):
        scene = str(files[rng.integers(len(files))]) if files and k % 3 else "procedural"
        config = replace(case.config, scene=scene, seed=_SEED + k)
        yield simulated_sequence(config, load_radiance(scene, _SIZE, _SIZE, config.seed))


@torch.inference_mode()
def factor(network: Rehdr, recorded: Iterator[Sequence]) -> float:
    """What to multiply sigma by: the mean logarithm, over sequences, of the ratio that 68 % stay within."""
    logs = []
    for sequence in recorded:
        batch, ratios = collate([sequence]), []
        for k, estimate in enumerate(unroll(network, batch)):
            clipped = batch.ldr[:, k].amax(1, keepdim=True) >= CLIPPED
            if k >= SKIPPED and clipped.any():
                error = log(luminance(estimate.radiance)) - log(luminance(batch.truth[:, k]))
                ratios.append((error.abs() / estimate.sigma)[clipped])
        logs.append(np.log(np.quantile(torch.cat(ratios).numpy(), WITHIN)))
    return float(np.exp(np.mean(logs)))


def scale_sigma(network: Rehdr, by: float) -> None:
    """Multiply what the network says of its uncertainty, in place."""
    last = network.body.prediction
    bias = last.bias if network.config.form == "compact" else last.conv.bias
    with torch.no_grad():
        bias[-(len(bias) // OUTPUTS) :] += float(np.log(by))


if __name__ == "__main__":
    path = resolve(sys.argv[1])
    trained = load_checkpoint(path)
    by = factor(trained, sequences(*sys.argv[2:]))
    scale_sigma(trained, by)
    _, notes = safetensors_file.read(path)
    save_checkpoint(trained, path, torch.float16, **notes)
    print(f"sigma times {by:.3f}")
