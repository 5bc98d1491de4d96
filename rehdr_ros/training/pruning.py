"""A smaller network of a trained one, for a training to start from, in the compact form.

    python -m rehdr_ros.training.pruning WEIGHTS CONFIG --channels 16 --radiance FOLDER -o OUT.safetensors

leaves out the channels that matter least for the loss on sequences of a training's CONFIG: first-order Taylor
importance (Molchanov et al. 2019, Importance Estimation for Neural Network Pruning). Every width shrinks by
the same share.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from rehdr_ros.errors import InputError, exit_code, one_line
from rehdr_ros.network import Rehdr, load_checkpoint, save_checkpoint
from rehdr_ros.network.compact import Block, Compact, TimeAwareGru
from rehdr_ros.simulation.batch import BatchSimulator
from rehdr_ros.training.batches import SimulatedBatches
from rehdr_ros.training.config import read_config
from rehdr_ros.training.sequence import Sequence
from rehdr_ros.training.unrolled import Unrolled

_BATCH = 4  # sequences


class Run(NamedTuple):
    """A dimension of a parameter that runs over a group's channels, which stay or go in all layers alike."""

    parameter: str
    dimension: int
    group: str
    copies: int = 1  # of the group, one behind the other


def pruned(network: Rehdr, channels: int, batches: Iterable[Sequence], *weights: float) -> Rehdr:
    """One of so many `base_channels`, with the most important ones of each group; not calibrated.

    batches, weights: as of `importance`. Raises InputError for a form other than compact, and for a number of
    channels that isn't smaller.
    """
    config, parts = network.config, list(runs(network))
    if not 0 < channels < config.base_channels:
        raise InputError(f"{channels} channels: must be 1 to {config.base_channels - 1}")
    scores = importance(network, batches, *weights)
    kept = {
        group: score.topk(channels * len(score) // config.base_channels).indices.sort().values
        for group, score in scores.items()
    }
    values = network.state_dict()
    for name, dimension, group, copies in parts:
        size, width = values[name].shape[dimension], len(scores[group])
        index = torch.arange(size).view(copies, width, -1)[:, kept[group]].flatten()
        values[name] = values[name].index_select(dimension, index)
    smaller = Rehdr(replace(config, base_channels=channels, expansion=0.0, sigma=1.0))
    smaller.load_state_dict(values)
    return smaller.eval().requires_grad_(False)


def importance(network: Rehdr, batches: Iterable[Sequence], *weights: float) -> dict[str, Tensor]:
    """By group, of its channels: the sum over parameters and batches of (values times gradients, summed)^2.

    weights: of the losses, as of Unrolled.
    """
    network.requires_grad_(True).train()
    loss, values = Unrolled(network, *weights), dict(network.named_parameters())
    widths = _widths(network)
    scores = {group: torch.zeros(width) for group, width in widths.items()}
    for batch in batches:
        network.zero_grad()
        loss(batch).backward()
        for name, dimension, group, copies in runs(network):
            change = (values[name] * values[name].grad).detach().transpose(0, dimension)
            scores[group] += change.reshape(copies, widths[group], -1).sum((0, 2)) ** 2
    network.eval().requires_grad_(False)
    return scores


def runs(network: Rehdr) -> Iterator[Run]:
    """Of all parameters. Raises InputError for a form other than compact."""
    if not isinstance(network.body, Compact):
        raise InputError(f"a network of the form {network.config.form}: only the compact one is pruned")
    half, quarter, eighth = ("half", 1), ("quarter", 1), ("eighth", 1)
    layers = {
        "image_head": (half, None),
        "event_head": (half, None),
        "condition": (half, None),
        "attention.share": (half, ("half", 2)),
        "down.0": (quarter, half),
        "down.1": (eighth, quarter),
        "up.0": (quarter, eighth),  # four of each channel, for the pixel shuffle
        "up.1": (half, quarter),
        "prediction": (None, half),
    }
    for name, module in network.body.named_modules():
        if isinstance(module, Block):
            group, inner = (_group(network, module.narrow.out_channels), 1), (name, 1)
            layers[f"{name}.depthwise"] = group, None
            layers[f"{name}.widen"] = inner, group
            layers[f"{name}.narrow"] = group, inner
        elif isinstance(module, TimeAwareGru):
            group = _group(network, module.channels)
            layers[f"{name}.depthwise"] = (group, 2), None
            layers[f"{name}.gates"] = (group, 2), (group, 2)
            layers[f"{name}.candidate"] = (group, 1), (group, 2)
            yield Run(f"body.{name}.rate", 1, group)
    for name, (outputs, inputs) in layers.items():
        if outputs:
            yield Run(f"body.{name}.weight", 0, *outputs)
            yield Run(f"body.{name}.bias", 0, *outputs)
        if inputs:
            yield Run(f"body.{name}.weight", 1, *inputs)


def _group(network: Rehdr, channels: int) -> str:
    return {1: "half", 2: "quarter", 4: "eighth"}[channels // network.config.base_channels]


def _widths(network: Rehdr) -> dict[str, int]:
    """Of the groups: the three resolutions' and those inside of blocks."""
    base = network.config.base_channels
    inside = {n: m.widen.out_channels for n, m in network.body.named_modules() if isinstance(m, Block)}
    return {"half": base, "quarter": 2 * base, "eighth": 4 * base, **inside}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("weights", help="checkpoint or name of shipped weights")
    parser.add_argument("config", help="YAML file of the training, e.g. config/train_rehdr_t.yaml")
    parser.add_argument("--channels", type=int, required=True, help="base_channels that stay")
    parser.add_argument("--radiance", default="", help="folder of .hdr and .exr scenes; default: procedural")
    parser.add_argument(
        "--batches", type=int, default=12, help=f"of {_BATCH} sequences (default: %(default)s)"
    )
    parser.add_argument("-o", "--output", required=True, help="checkpoint to write, .safetensors")
    args = parser.parse_args(arguments)
    if args.batches < 1:
        parser.error(f"--batches {args.batches}: must be at least 1")
    if Path(args.output).suffix != ".safetensors":
        parser.error(f"--output {args.output}: must end in .safetensors")
    try:
        Path(args.output).parent.mkdir(parents=True, exist_ok=True)
        _prune(args)
    except (InputError, OSError) as error:
        parser.exit(exit_code(error), f"{parser.prog}: {one_line(error)}\n")


def _prune(args: argparse.Namespace) -> None:
    config, network = read_config(args.config, {"radiance": args.radiance}), load_checkpoint(args.weights)
    bins, device = network.config.bins, torch.device("cpu")
    simulator = BatchSimulator(config.size, config.frames, bins, device, config.variety)
    batches = SimulatedBatches(simulator, _BATCH, config.seed, config.radiance)
    drawn = (batches[k] for k in tqdm(range(args.batches), unit="batch"))
    smaller = pruned(network, args.channels, drawn, config.temporal, config.uncertainty)
    save_checkpoint(smaller, args.output)


if __name__ == "__main__":
    main()
