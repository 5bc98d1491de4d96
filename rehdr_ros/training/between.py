"""Outputs between the frames against the truth at their moments, beside what they must beat."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from rehdr_ros.errors import Failure
from rehdr_ros.events import Events, voxel_grid
from rehdr_ros.network.integrator import initial_state, integrate, luminance
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.simulation import Sample, SimulationConfig, simulate, truth_at
from rehdr_ros.simulation.scene import load_radiance
from rehdr_ros.training.baselines import linearised
from rehdr_ros.training.benchmark import FRAMES, Case
from rehdr_ros.training.evaluation import SKIPPED, Scores
from rehdr_ros.training.metrics import FLOOR, log2_luminance, score
from rehdr_ros.training.validation import encoded

FPS = 10  # of the frames
HELD, INTERPOLATED, AT_FRAMES = " held", " interpolated", " at the frames"
FILTER = "filter"
_MEASURES = ("log2_rmse", "well_exposed_log2_rmse", "clipped_log2_rmse", "pu21_psnr", "flicker_clipped")
_SECOND_NS = 10**9
_START_NS = 1000 * _SECOND_NS


@dataclass(frozen=True)
class Moments:
    """A simulated recording with the truth between its frames.

    stamps: ns, of the outputs from the first scored frame on; truth: (H, W, 3) float32 at each, 1.0 = the
    LDR's white; between: which of them are no frame's. rate: of the outputs, Hz. exposure_ns: of the frames.
    """

    config: SimulationConfig
    samples: list[Sample]
    stamps: list[int]
    truth: list[np.ndarray]
    between: list[bool]
    rate: int

    @property
    def exposure_ns(self) -> int:
        return round(self.config.exposure * 1e9)


def moments(case: Case, between: int) -> Moments:
    """The case at 10 Hz, with so many moments between two frames."""
    config = replace(case.config, fps=FPS, seconds=FRAMES / FPS)
    radiance = load_radiance(config.scene, config.height, config.width, config.seed)
    samples, truth = list(simulate(config, radiance)), truth_at(config, radiance)
    first, last = samples[SKIPPED].stamp_ns, samples[-1].stamp_ns
    rate = (between + 1) * FPS
    numbers = range(first * rate // _SECOND_NS + 1, -(-last * rate // _SECOND_NS))
    stamps = [number * _SECOND_NS // rate for number in numbers]  # as an OutputSchedule has them
    is_between = [number % (between + 1) > 0 for number in numbers]
    return Moments(config, samples, stamps, [truth(t * 1e-9) for t in stamps], is_between, rate)


def compare(recording: Moments, weights: dict[str, str]) -> Scores:
    """Scores of every network's outputs at the moments that are no frame's, by name, and of baselines.

    Held: the network's last frame. Interpolated: linearly between its frames around, which needs the next
    one. At the frames: the network's frames. Filter: the complementary filter, read out at any time.
    pumping, stops: amplitude, at the frame rate, of the mean log error of all outputs.
    """
    rows = {FILTER: _filtered(recording)}
    scores = {}
    for name, path in weights.items():
        config = PipelineConfig(weights=path, policy="all")
        frames = _reconstructed(recording, config)
        rows[name] = _outputs(recording, config)
        rows[name + HELD] = [frames[i] for i, _ in _around(recording)]
        rows[name + INTERPOLATED] = [_mean(frames, i, share) for i, share in _around(recording)]
        scores[name + AT_FRAMES] = _score_frames(recording, frames)
    for name, row in rows.items():
        chosen = [k for k, between in enumerate(recording.between) if between]
        truth = [recording.truth[k] for k in chosen]
        measures = score([row[k] for k in chosen], encoded(truth), truth)
        scores[name] = {measure: measures[measure] for measure in _MEASURES}
        scores[name]["pumping"] = pumping(row, recording.truth, recording.rate / FPS)
    return dict(sorted(scores.items()))


def pumping(predicted: list[np.ndarray], truth: list[np.ndarray], period: float) -> float:
    """Amplitude, stops, of the frame's mean log2 luminance error at one period of so many frames."""
    errors = zip(predicted, truth, strict=True)
    means = np.array([(log2_luminance(a) - log2_luminance(b)).mean(dtype=np.float64) for a, b in errors])
    means = means[: int(len(means) // period * period)]
    wave = np.exp(-2j * np.pi * np.arange(len(means)) / period)
    return float(2 * np.abs(np.mean((means - means.mean()) * wave)))


def shares(mean: Scores, name: str) -> Scores:
    """Errors of a network's outputs over those of its held, its interpolated and its own frames."""
    measures = ("log2_rmse", "well_exposed_log2_rmse", "clipped_log2_rmse")
    return {
        f"{name} /{other}": {each: mean[name][each] / mean[name + other][each] for each in measures}
        for other in (HELD, INTERPOLATED, AT_FRAMES)
    }


def _run(recording: Moments, config: PipelineConfig) -> Iterator:
    pipeline = HdrPipeline(config)
    try:
        for sample in recording.samples:
            pipeline.add_events(sample.events.shifted(_START_NS))
            stamp_ns = _START_NS + sample.stamp_ns
            pipeline.add_frame(stamp_ns, sample.ldr, exposure_seconds=recording.config.exposure)
            pipeline.add_events(sample.tail.shifted(_START_NS))
            yield from pipeline.take()
        yield from pipeline.take(flush=True)
    finally:
        pipeline.close()


def _reconstructed(recording: Moments, config: PipelineConfig) -> list[np.ndarray]:
    return [frame.radiance for frame in _run(recording, config)]


def _outputs(recording: Moments, config: PipelineConfig) -> list[np.ndarray]:
    outputs = _run(recording, replace(config, output_rate=float(recording.rate)))
    wanted = {_START_NS + stamp_ns for stamp_ns in recording.stamps}
    made = {output.stamp_ns: output.radiance for output in outputs if output.stamp_ns in wanted}
    if missing := sorted(wanted - made.keys()):
        raise Failure(f"no output came for {len(missing)} moments, the first at {missing[0]} ns")
    return [made[stamp_ns] for stamp_ns in sorted(wanted)]


def _around(recording: Moments) -> Iterator[tuple[int, float]]:
    """Of each moment: the last frame, and the share of the way to the next one."""
    middles = np.array([sample.stamp_ns for sample in recording.samples]) + recording.exposure_ns // 2
    for stamp_ns in recording.stamps:
        last = int(np.searchsorted(middles, stamp_ns, side="right")) - 1
        yield last, float((stamp_ns - middles[last]) / (middles[last + 1] - middles[last]))


def _mean(frames: list[np.ndarray], last: int, share: float) -> np.ndarray:
    return (1 - np.float32(share)) * frames[last] + np.float32(share) * frames[last + 1]


def _score_frames(recording: Moments, frames: list[np.ndarray]) -> dict[str, float]:
    samples = recording.samples[SKIPPED:]
    ldr, truth = [s.ldr for s in samples], [s.truth for s in samples]
    measures = score(frames[SKIPPED:], ldr, truth)
    return {**{measure: measures[measure] for measure in _MEASURES}, "pumping": float("nan")}


def _filtered(recording: Moments) -> list[np.ndarray]:
    """The integrator's luminance, from its last frame on by its threshold, in the colours of that frame."""
    size, half = (recording.config.height, recording.config.width), recording.exposure_ns // 2
    events = Events.concatenate(s.events for s in recording.samples)
    states, state, before = [], None, None
    for sample in recording.samples:
        middle = sample.stamp_ns + half
        image = torch.from_numpy(linearised([sample.ldr], [])[0]).permute(2, 0, 1)[None]
        state = initial_state(image) if state is None else state
        grid = voxel_grid(events, middle if before is None else before, middle, 1, *size)
        state, threshold = integrate(image, torch.from_numpy(grid)[None], state)
        chromaticity = image / luminance(image).clamp_min(FLOOR)
        colour = torch.where(state.recency == 1, chromaticity, torch.ones_like(image))
        states.append((middle, state.log_luminance, float(threshold), colour))
        before = middle
    made = []
    for (last, _), stamp_ns in zip(_around(recording), recording.stamps, strict=True):
        middle, log_luminance, threshold, colour = states[last]
        moved = torch.from_numpy(voxel_grid(events, middle, stamp_ns, 1, *size))[None]
        radiance = (log_luminance + threshold * moved).exp() * colour
        made.append(radiance[0].permute(1, 2, 0).numpy())
    return made
