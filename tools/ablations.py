"""Trains rehdr_t's form, anew or on, without one of its parts after the other: docs/training.md.

All trainings have the same seed, start, steps and data. Printed: the error in clipped pixels over the plain
LDR's, in the mean of the sequences: panoramas kept out of the training, procedural scenes, re-clipped
recordings.
"""

import argparse
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.network import Network, load_checkpoint
from rehdr_ros.network.compact import Attention, TimeAwareGru
from rehdr_ros.network.event_fit import EventFit
from rehdr_ros.network.head_start import composition, reference
from rehdr_ros.training import benchmark, reclipped
from rehdr_ros.training.baselines import BASELINES, HEAD_START
from rehdr_ros.training.config import TrainConfig, read_config
from rehdr_ros.training.evaluation import SKIPPED, compare
from rehdr_ros.training.footage import Footage, read_all
from rehdr_ros.training.loop import Trainer
from rehdr_ros.training.sequence import Sequence

ROOT = Path(__file__).resolve().parent.parent
_CLIPPED = "20%"
_COMPARED = {name: BASELINES[name] for name in ("ldr", HEAD_START)}
_KINDS = "panoramas", "procedural", "recordings"
_condition = reference.condition

Test = tuple[str, int, Sequence]  # kind, frames that aren't scored, sequence


def _condition_of(*parts: float):
    """The condition, its parts times those."""

    def of(fit: EventFit, interval: Tensor, likely: Tensor) -> Tensor:
        return _condition(fit, interval, likely) * interval.new_tensor(parts)

    return of


def _equal(self: Attention, image: Tensor, events: Tensor) -> Tensor:
    return (image + events) / 2


def _forgets_nothing(self: TimeAwareGru, hidden: Tensor, seconds: Tensor) -> Tensor:
    return hidden


# What is patched, (owner, name, by what), in training and evaluation.
VARIANTS = {
    "everything": [],
    "without time: no decay of the state, no interval as input": [
        (TimeAwareGru, "decayed", _forgets_nothing),
        (reference, "condition", _condition_of(1, 1, 0, 1)),
    ],
    "without the events' fit as input": [(reference, "condition", _condition_of(0, 0, 1, 1))],
    "without a bound by what is unknown: 5 nat everywhere": [
        (composition, "_LEAST_BOUND", 5.0),
        (composition, "_VARIANCE_BOUND", 0.0),
        (composition, "_EXCESS_BOUND", 0.0),
    ],
    "without the gate between image and events: their mean": [(Attention, "forward", _equal)],
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("radiance", help="folder of .hdr and .exr scenes")
    parser.add_argument("recordings", nargs="+", help="with frames and events of the same pixels")
    steps = "of each training; 0: the weights of --start as they are, a part being taken from them"
    parser.add_argument("--steps", type=int, default=1000, help=f"{steps} (default: %(default)s)")
    parser.add_argument("--size", type=int, default=64, help="of its frames, px (default: %(default)s)")
    parser.add_argument("--start", help="weights to train on, a shipped name or a file (default: anew)")
    size = "of the frames of panoramas and procedural scenes, px (default: %(default)s)"
    parser.add_argument("--test-size", type=int, default=128, help=size)
    parser.add_argument(
        "--reclip",
        type=_shares_of_pixels,
        default="0.15,0.3",
        metavar="SHARES",
        help="shares of the recordings' pixels above white (default: %(default)s)",
    )
    parser.add_argument("--only", type=int, nargs="*", help="numbers of the variants, from 0 (default: all)")
    args = parser.parse_args(arguments)
    if not args.steps and not args.start:
        parser.error("--steps 0 needs --start")
    config = read_config(str(ROOT / "config" / "train_rehdr_t.yaml"), {"radiance": args.radiance})
    steps = max(1, args.steps)
    config = replace(config, steps=steps, size=args.size, batch=4, save_every=steps, start=args.start)
    # Of the weights that it began with the average keeps next to nothing, however few the steps.
    config = replace(config, ema=1 - 20 / max(20, steps))
    bins = config.network.bins
    sequences = _simulated(args.radiance, args.test_size, bins)
    sequences += _real(read_all(args.recordings), args.reclip, bins)
    print(f"{'':60}" + "".join(f"{kind:>12}" for kind in _KINDS))
    for number, (name, patches) in enumerate(VARIANTS.items()):
        if args.only is not None and number not in args.only:
            continue
        with ExitStack() as stack:
            for patched in patches:
                stack.enter_context(patch.object(*patched))
            network = _trained(config) if args.steps else load_checkpoint(args.start)
            shares = _shares(network, sequences)
        if not number:
            _print("head start: no network", shares[HEAD_START])
        _print(name, shares["ours"])


def _shares_of_pixels(text: str) -> list[float]:
    return [float(share) for share in text.split(",")]


def _trained(config: TrainConfig) -> Network:
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, folder)
        trainer.run()
        return trainer.averaged().cpu()


def _simulated(radiance: str, size: int, bins: int) -> list[Test]:
    return [
        (kind, SKIPPED, case.sequence(bins))
        for kind, folder in zip(_KINDS, (radiance, None), strict=False)
        for case in benchmark.cases(folder, size)
        if case.name.endswith(_CLIPPED)
    ]


def _real(footages: Iterable[Footage], shares: list[float], bins: int) -> list[Test]:
    pairs = [(footage, share) for footage in footages for share in shares]
    return [(_KINDS[-1], reclipped.SKIPPED, reclipped.reclipped(*pair, bins)) for pair in pairs]


@torch.inference_mode()
def _shares(network: Network, sequences: list[Test]) -> dict[str, dict[str, float]]:
    """The error's share, by method and kind, in the mean of the sequences."""
    errors: dict[str, dict[str, list[float]]] = {}
    for kind, skipped, sequence in sequences:
        scores = compare(sequence, {"ours": network}, _COMPARED, skipped=skipped).scores()
        for method, values in scores.items():
            errors.setdefault(method, {}).setdefault(kind, []).append(values["clipped_error_share"])
    return {method: {kind: np.mean(x) for kind, x in kinds.items()} for method, kinds in errors.items()}


def _print(name: str, shares: dict[str, float]) -> None:
    print(f"{name:60}" + "".join(f"{shares[kind]:12.3f}" for kind in _KINDS), flush=True)


if __name__ == "__main__":
    main()
