"""How a training goes: the network on sequences that it isn't trained on, with and without events."""

from dataclasses import replace

import torch
from torch import Tensor

from rehdr_ros.network import Network
from rehdr_ros.simulation.sensors import RESPONSE
from rehdr_ros.training.metrics import fill_constant, mean_scores, score
from rehdr_ros.training.sequence import Sequence
from rehdr_ros.training.unrolled import radiances

_MEASURES = ("clipped_log2_rmse", "mu_psnr")


@torch.inference_mode()
def validate(network: Network, batches: list[Sequence]) -> dict[str, float]:
    """Clipped error in stops, and mu-law PSNR, of the network, of it without events, and of the baselines."""
    device = next(network.parameters()).device
    rows: dict[str, list] = {"ours": [], "ours_without_events": [], "ldr": [], "constant_fill": []}
    for batch in batches:
        batch = batch.map(lambda x: x.to(device))
        without = replace(batch, voxel=torch.zeros_like(batch.voxel))
        ours, blind = radiances(network, batch), radiances(network, without)
        frames = {"ours": images(ours), "ours_without_events": images(blind), "ldr": images(batch.ldr)}
        ldr8 = [encoded(x) for x in frames["ldr"]]
        pairs = zip(ldr8, frames["ldr"], strict=True)
        frames["constant_fill"] = [list(map(fill_constant, *pair)) for pair in pairs]
        for i, truth in enumerate(images(batch.truth)):
            for name, row in rows.items():
                row.append(score(frames[name][i], ldr8[i], truth))
    means = {name: mean_scores(scores) for name, scores in rows.items()}
    return {f"{name}_{m}": round(values[m], 4) for name, values in means.items() for m in _MEASURES}


def images(batch: Tensor) -> list:
    """(N, T, 3, H, W) -> (N, T, H, W, 3) in NumPy."""
    return list(batch.permute(0, 1, 3, 4, 2).float().cpu().numpy())


def encoded(linear) -> list:
    """Linear frames, 1.0 = white -> what an 8-bit camera shows."""
    return [(255 * frame.clip(0, 1) ** (1 / RESPONSE)).round().astype("uint8") for frame in linear]
