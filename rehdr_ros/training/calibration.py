"""Measures what is left to measure after a training: `python -m rehdr_ros.training.calibration --help`.

Sequences of the exact simulator, in training scenes (of FOLDER's radiance files, or procedural), tell two
things, with which the weights are written anew. The expansion (composition.py): the one with the least error
in clipped pixels, in the mean of the sequences. And the uncertainty's scale, since a training's stream has
worse sensors than most users', so that its `sigma` is too large for them: the factor that lets 68 % of the
errors lie within one sigma, in the mean of the sequences, whose events explain nearly all.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from rehdr_ros import safetensors_file
from rehdr_ros.errors import InputError, exit_code, one_line
from rehdr_ros.network import Rehdr, load_checkpoint, save_checkpoint
from rehdr_ros.network.checkpoint import resolve
from rehdr_ros.network.head_start import HeadStart
from rehdr_ros.network.head_start.composition import expandable, surely_carried
from rehdr_ros.network.integrator import CLIPPED, luminance
from rehdr_ros.simulation.scene import load_radiance
from rehdr_ros.training import benchmark
from rehdr_ros.training.evaluation import SKIPPED
from rehdr_ros.training.losses import WITHIN, log
from rehdr_ros.training.scenes import training_files
from rehdr_ros.training.sequence import Sequence, collate
from rehdr_ros.training.simulated import simulated_sequence
from rehdr_ros.training.unrolled import unroll

SEQUENCES, _SIZE, _SEED = 36, 128, 20_270_000
EXPANSIONS = np.linspace(0, 1, 21)  # that are tried


def sequences(folder: str | Path | None, bins: int) -> Iterator[Sequence]:
    """As of the benchmark, a third in procedural scenes and the others in training scenes."""
    files = training_files(folder) if folder else []
    rng = np.random.default_rng(_SEED)
    shares = [case.config for case in islice(benchmark.cases(None, _SIZE), len(benchmark.CLIPPED))]
    for k in range(SEQUENCES):
        is_file = files and k // len(shares) % 3
        scene = str(files[rng.integers(len(files))]) if is_file else "procedural"
        config = replace(shares[k % len(shares)], scene=scene, seed=_SEED + k)
        yield simulated_sequence(config, load_radiance(scene, _SIZE, _SIZE, config.seed), bins)


@torch.inference_mode()
def expansion(network: Rehdr, recorded: Iterable[Sequence]) -> float:
    """The one of EXPANSIONS with the least error, for a network whose own is 0."""
    errors = np.zeros(len(EXPANSIONS))
    for sequence in recorded:
        squared = []
        for estimate, known, fit, truth, ldr, clipped in _scored(network, sequence):
            shown = log(luminance(ldr))
            radiances = estimate.radiance, truth, known.log_radiance.exp()
            above, true, excess = (log(luminance(x)) - shown for x in radiances)
            share = surely_carried(excess, known.variance, fit)
            own = (above - share * excess) / (1 - share)
            added = EXPANSIONS[:, None] * ((1 - share) * expandable(own, fit))[clipped].numpy()
            squared.append((above[clipped].numpy() + added - true[clipped].numpy()) ** 2)
        errors += np.sqrt(np.concatenate(squared, 1).mean(1))
    return float(EXPANSIONS[errors.argmin()])


@torch.inference_mode()
def factor(network: Rehdr, recorded: Iterable[Sequence]) -> float:
    """What to multiply sigma by, for a network whose own is 1.

    The mean logarithm, over sequences, of the ratio that 68 % stay within.
    """
    logs = []
    for sequence in recorded:
        ratios = []
        for estimate, *_, truth, _, clipped in _scored(network, sequence):
            error = log(luminance(estimate.radiance)) - log(luminance(truth))
            ratios.append((error.abs() / estimate.sigma)[clipped])
        logs.append(np.log(np.quantile(torch.cat(ratios).numpy(), WITHIN)))
    return float(np.exp(np.mean(logs)))


def _scored(network: Rehdr, sequence: Sequence) -> Iterator[tuple]:
    """Of frames that count: estimate, head start, fit of the events, truth, LDR, which pixels clip."""
    batch, states = collate([sequence]), []

    def step(*inputs):
        estimate, state = network.step(*inputs)
        states[:] = [state]
        return estimate, state

    for k, estimate in enumerate(unroll(network, batch, step)):
        truth, ldr = batch.truth[:, k], batch.ldr[:, k]
        clipped = ldr.amax(1, keepdim=True) >= CLIPPED
        if k >= SKIPPED and clipped.any():
            (state,) = states
            known = HeadStart(**{name: state[name] for name in HeadStart._fields})
            yield estimate, known, network.event_fit(state), truth, ldr, clipped


def calibrated(network: Rehdr, **values: float) -> Rehdr:
    """The same network, with that `expansion`, or `sigma`, in evaluation mode."""
    other = Rehdr(replace(network.config, **values))
    other.load_state_dict(network.state_dict())
    return other.eval().requires_grad_(False)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("weights", help="checkpoint, .safetensors, or name of shipped weights")
    parser.add_argument("radiance", nargs="?", help="folder of .hdr and .exr scenes; default: procedural")
    parser.add_argument("-o", "--output", required=True, help="checkpoint to write, .safetensors")
    args = parser.parse_args(arguments)
    if Path(args.output).suffix != ".safetensors":
        parser.error(f"--output {args.output}: must end in .safetensors")
    try:
        Path(args.output).parent.mkdir(parents=True, exist_ok=True)
        _calibrate(args)
    except (InputError, OSError) as error:
        parser.exit(exit_code(error), f"{parser.prog}: {one_line(error)}\n")


def _calibrate(args: argparse.Namespace) -> None:
    network = load_checkpoint(args.weights)
    if not isinstance(network, Rehdr) or network.config.radiance != "ldr_white":
        what = "only a network of the architecture rehdr and of ldr_white radiance is calibrated"
        raise InputError(f"{args.weights}: {what}")
    trained = calibrated(network, expansion=0.0, sigma=1.0)
    _, notes = safetensors_file.read(resolve(args.weights))
    streams = list(tqdm(sequences(args.radiance, network.config.bins), total=SEQUENCES, unit="sequence"))
    trained = calibrated(trained, expansion=expansion(trained, streams))
    trained = calibrated(trained, sigma=round(factor(trained, streams), 3))
    notes = {name: text for name, text in notes.items() if name not in ("architecture", "config")}
    save_checkpoint(trained, args.output, torch.float16, **notes)
    print(f"expansion {trained.config.expansion:.2f}, sigma times {trained.config.sigma:.3f}")


if __name__ == "__main__":
    main()
