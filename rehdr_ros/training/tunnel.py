"""What HDR brings at a tunnel's exit, where the exposure adapts: the first sight of a tag, a steady scale."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rehdr_ros.luminance import BT709
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.reconstruction.clipping import CLIPPED_LEVEL
from rehdr_ros.simulation import Sample, SimulationConfig
from rehdr_ros.simulation.april_tags import tag_finder
from rehdr_ros.simulation.simulator import simulate_scene
from rehdr_ros.simulation.tunnel import TunnelExit
from rehdr_ros.training.recorder import Recorder
from rehdr_ros.training.views import Views

TOLD, UNTOLD = "exposure told", "exposure not told"
_SECONDS, _FPS, _RENDERS = 1.6, 20.0, 200.0
_SEED = 20_260_000  # of scenes that no training draws
_DARK_LEVEL = 40  # of the LDR: below it noise is more than a small part
_LEAST_EXPOSED = 0.01  # of the pixels, for a frame's scale


@dataclass(frozen=True)
class TunnelRun:
    """One drive out.

    frames: how many it has. first: by variant, number of the first frame in which the tag is found, `frames`
    where it never is. false_alarms: by variant, other tags found. exposure_range: stops by which the exposure
    changes. drift: by TOLD and UNTOLD, stops between the least and the most scale of a frame's radiance:
    that of its well exposed pixels over the truth's.
    """

    drive: int
    frames: int
    first: dict[str, int]
    false_alarms: dict[str, int]
    exposure_range: float
    drift: dict[str, float]


class TunnelBenchmark:
    """Drives out of tunnels; the same number is the same drive.

    size: width, height, px. Raises ValueError for an unknown tone mapping and CheckpointError for weights
    that can't be had.
    """

    def __init__(self, weights: str, tonemaps: Sequence[str], size: tuple[int, int]):
        self._tonemaps, self._size = tonemaps, size
        Views(tonemaps)
        config = PipelineConfig(weights=weights, policy="all")
        self._pipelines = {name: HdrPipeline(config) for name in (TOLD, UNTOLD)}

    def run(self, number: int) -> TunnelRun:
        (width, height), seed = self._size, _SEED + number
        scene = TunnelExit(seed, height, width, _SECONDS)
        config = SimulationConfig(width=width, height=height, seconds=_SECONDS, fps=_FPS, renders=_RENDERS)
        samples = list(simulate_scene(scene, replace(config, auto_exposure=True, seed=seed)))
        first, false_alarms, drift = {}, {}, {}
        for name, pipeline in self._pipelines.items():
            told, scales = name == TOLD, []
            views, recorder = Views(self._tonemaps, told), Recorder(pipeline, told)
            frames = [pair for sample in samples for pair in recorder.add(sample)]
            for sample, frame in (*frames, *recorder.finish()):
                views.add(sample, frame)
                scales.append(_scale(sample, frame.radiance))
            drift[name] = float(np.nanmax(scales) - np.nanmin(scales))
            for variant, images in views.images.items():
                label = f"{variant}, {name}" if variant.startswith("HDR") else variant
                first[label], false_alarms[label] = _look(images, scene.tag)
        exposures = np.log2([sample.exposure for sample in samples])
        return TunnelRun(number, len(samples), first, false_alarms, float(np.ptp(exposures)), drift)


def _look(images: list[np.ndarray], tag: int) -> tuple[int, int]:
    """Number of the first image with the tag, and how many other tags are found in all."""
    find = tag_finder()
    found = [[number for number, _ in find(image)] for image in images]
    first = next((k for k, numbers in enumerate(found) if tag in numbers), len(images))
    return first, sum(number != tag for numbers in found for number in numbers)


def _scale(sample: Sample, radiance: np.ndarray) -> float:
    """log2 of the radiance over the truth in well exposed pixels, the median; NaN where there are few."""
    exposed = (sample.ldr >= _DARK_LEVEL).all(-1) & (sample.ldr < CLIPPED_LEVEL).all(-1)
    if exposed.mean() < _LEAST_EXPOSED:
        return float("nan")
    ours, truth = (image[exposed] @ BT709 for image in (radiance, sample.truth))
    return float(np.log2(np.median(ours / truth)))
