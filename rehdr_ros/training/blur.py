"""The benchmark of frames with motion blur: long exposures, the truth of their middle."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rehdr_ros.events import Events, Frame
from rehdr_ros.jit import sealed
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.reconstruction.double_integral import double_integral
from rehdr_ros.simulation import Sample, SimulationConfig, simulate
from rehdr_ros.training.baselines import linearised
from rehdr_ros.training.benchmark import procedural_seed, scenes
from rehdr_ros.training.evaluation import Comparison

PLAIN, DEBLURRED = "double_integral", " deblurred"
EXPOSURES = {10: 0.04, 20: 0.08, 30: 0.1}
"""How long frames are exposed, s, by how far the image moves meanwhile, px."""
_CLIPPED, _FRAMES, _FPS = 0.2, 12, 10.0
_RENDERS = 4  # a px that the image moves by
_NO_TABLE = sealed(np.empty(0, np.int32))


@dataclass(frozen=True)
class BlurCase:
    """One sequence of the benchmark, made when it is asked for."""

    name: str
    config: SimulationConfig

    def compare(self, weights: dict[str, str]) -> Comparison:
        """The frames as they are, the plain double integral, and networks with and without deblurring.

        weights: shipped names or files, by name.
        """
        samples = list(simulate(self.config))
        ldr = [sample.ldr for sample in samples]
        rows = {"ldr": linearised(ldr, []), PLAIN: plain_double_integral(samples, self.config)}
        for name, path in weights.items():
            for end, deblur in (("", False), (DEBLURRED, True)):
                rows[name + end] = _reconstructed(samples, self.config, path, deblur)
        grids = [np.zeros((1, *frame.shape[:2]), np.float32) for frame in ldr]
        return Comparison(rows, ldr, grids, [sample.truth for sample in samples])


def blur_cases(folder: str | Path | None = None, size: int = 192) -> Iterator[BlurCase]:
    """Every scene with 10, 20 and 30 px of blur: 12 square frames of `size` px at 10 Hz, 20 % clipped.

    Scenes and errors as of benchmark.cases.
    """
    for number, (name, scene) in enumerate(scenes(folder)):
        for blur, exposure in EXPOSURES.items():
            config = SimulationConfig(
                scene=scene,
                width=size,
                height=size,
                seconds=_FRAMES / _FPS,
                fps=_FPS,
                seed=procedural_seed(number),
                clipped=_CLIPPED,
                exposure=exposure,
                sharp_truth=True,
                speed=blur / exposure,
                renders=_RENDERS * blur / exposure,
            )
            yield BlurCase(f"{name} {blur} px", config)


def plain_double_integral(samples: list[Sample], config: SimulationConfig) -> list[np.ndarray]:
    """As published, with the sensor's true threshold: frames over their ratio to the middle."""
    events = _events(samples)
    pixel = events.y.astype(np.int32) * np.int32(config.width) + events.x
    pixels, exposure = config.width * config.height, round(config.exposure * 1e9)
    columns = *map(sealed, (events.t, pixel, events.p)), _NO_TABLE, np.ones(pixels, np.float32)
    frames = []
    for sample, linear in zip(samples, linearised([s.ldr for s in samples], []), strict=True):
        ratio, count = np.zeros(pixels, np.float32), np.zeros(pixels, np.int32)
        span = sample.stamp_ns, sample.stamp_ns + exposure
        double_integral(*columns, *span, config.events.contrast, config.events.contrast, 0, 0, ratio, count)
        frames.append(linear * np.exp(-ratio).reshape(config.height, config.width, 1))
    return frames


@torch.inference_mode()
def _reconstructed(
    samples: list[Sample], config: SimulationConfig, weights: str, deblur: bool
) -> list[np.ndarray]:
    settings = PipelineConfig(
        weights=weights, policy="all", engine="pytorch", event_latency=0.0, deblur=deblur
    )
    pipeline = HdrPipeline(settings)
    for sample in samples:
        pipeline.add(sample.events)
        exposed = {"exposure_time_s": config.exposure, "effective_time_s": config.exposure}
        pipeline.add(Frame(sample.stamp_ns, sample.ldr, **exposed))
        pipeline.add(sample.tail)
    return [frame.radiance for frame in pipeline.take(flush=True)]


def _events(samples: list[Sample]) -> Events:
    return Events.concatenate([part for sample in samples for part in (sample.events, sample.tail)])
