"""What HDR brings a structure from motion: simulated drives, their trajectories found from images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.simulation import SimulationConfig
from rehdr_ros.simulation.drives import Drive
from rehdr_ros.simulation.simulator import simulate_scene
from rehdr_ros.training.recorder import Recorder
from rehdr_ros.training.structure_from_motion import camera_poses, require_pycolmap
from rehdr_ros.training.trajectory import require_evo, trajectory_error
from rehdr_ros.training.views import Views

NOTHING = "nothing clipped"
# By kind of drive: the share of all pixels that the exposure lets clip.
KINDS = {NOTHING: 0.001, "70 % clipped": 0.7, "85 % clipped": 0.85}
LOST = 0.8  # a trajectory with fewer of the poses
_SECONDS, _FPS, _SPEED = 2.5, 20.0, 130.0
_STEP = 3  # frames from one that is localised to the next
_RENDERS = 200.0  # Hz: an image a little more than half a pixel from the next
_SEED = 20_260_000  # of drives that no training draws
_CACHED = 64  # views: more than an interval between two frames has, so that all seeds share them
_MOST_SEEDS = 1000


@dataclass(frozen=True)
class Run:
    """One drive as one variant of the images shows it. found: share of the poses; error: over the length of
    the way, NaN where too few are found."""

    drive: int
    kind: str
    seed: int
    variant: str
    found: float
    error: float

    @property
    def lost(self) -> bool:
        return self.found < LOST


class OdometryBenchmark:
    """Drives of every kind in turn; the same number is the same drive.

    seeds: how often each is recorded, with other noise of the sensors; size: width, height, px. Raises
    ValueError for an unknown tone mapping, CheckpointError for weights that can't be had and InputError where
    pycolmap or evo is not installed.
    """

    def __init__(self, weights: str, tonemaps: Sequence[str], seeds: int, size: tuple[int, int]):
        require_pycolmap()
        require_evo()
        self._tonemaps, self._size = tonemaps, size
        Views(tonemaps)
        config = PipelineConfig(weights=weights, policy="all")
        self._pipelines = [HdrPipeline(config) for _ in range(seeds)]

    def runs(self, number: int) -> Iterator[Run]:
        """Every seed and variant of one drive."""
        (width, height), kind = self._size, list(KINDS)[number % len(KINDS)]
        even, speed = kind == NOTHING, _SPEED * width / 346
        drive = Drive(_SEED + number, height, width, _SECONDS, speed, even)
        config = SimulationConfig(width=width, height=height, seconds=_SECONDS, fps=_FPS, renders=_RENDERS)
        config = replace(config, clipped=KINDS[kind], seed=_SEED + _MOST_SEEDS * number)
        recorded = self._record(drive, config)
        true = [drive.pose(i / _FPS + config.exposure / 2) for i in range(0, config.frames, _STEP)]
        for seed, views in enumerate(recorded):
            for variant, images in views.images.items():
                found = camera_poses(images[::_STEP], drive.focal, seed)
                error = trajectory_error(found, true)
                yield Run(number, kind, seed, variant, len(found) / len(true), error)

    def _record(self, drive: Drive, config: SimulationConfig) -> list[Views]:
        """With every seed, all at the same time so that they share what is rendered."""
        scene = _Shared(drive)
        configs = [replace(config, seed=config.seed + k) for k in range(len(self._pipelines))]
        recorders = [Recorder(pipeline) for pipeline in self._pipelines]
        views = [Views(self._tonemaps) for _ in recorders]
        for samples in zip(*(simulate_scene(scene, each) for each in configs), strict=True):
            for recorder, sample, each in zip(recorders, samples, views, strict=True):
                for pair in recorder.add(sample):
                    each.add(*pair)
        for recorder, each in zip(recorders, views, strict=True):
            for pair in recorder.finish():
                each.add(*pair)
        return views


class _Shared:
    """A scene that renders each view once, as a Scene."""

    def __init__(self, scene: Drive):
        self.render = lru_cache(_CACHED)(scene.render)
