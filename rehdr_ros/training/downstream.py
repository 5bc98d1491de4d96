"""What HDR brings features and detectors: matches, tracks, tags and QR codes on clipped scenes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.simulation import SimulationConfig, simulate
from rehdr_ros.simulation.scene import load_radiance
from rehdr_ros.training import codes, features
from rehdr_ros.training.camera_motion import CameraMotion, moved, warped_back
from rehdr_ros.training.recorder import Recorder
from rehdr_ros.training.scenes import VALIDATION_SCENES
from rehdr_ros.training.views import Views

KLT = "Shi-Tomasi, KLT"
SCENES = 6
SKIPPED = 3  # frames at the start, in which the network has hardly seen an event
_SEED = 10  # of the first procedural scene
_SECONDS, _FPS, _CLIPPED = 2.0, 20.0, 0.2
_GAP = 5  # frames between the two of a pair: a quarter of a second
_TRACKED, _STEP = 20, 8  # frames that a track may last; from one start of tracks to the next
_CODE_FRAMES = 30


@dataclass(frozen=True)
class Recorded:
    """A simulated recording. views: of every frame; ldr: (H, W, 3) uint8 each."""

    views: Views
    ldr: list[np.ndarray]
    motion: CameraMotion

    def between(self, i: int, j: int) -> np.ndarray:
        """3x3: from pixels of frame i to those of frame j."""
        return self.motion.between(self.views.stamps[i], self.views.stamps[j])

    def pairs(self) -> list[tuple[int, int]]:
        """Every second pair of frames a quarter of a second apart."""
        return [(k, k + _GAP) for k in range(SKIPPED, len(self.ldr) - _GAP, 2)]


@dataclass(frozen=True)
class FeatureRun:
    """One scene as one variant of the images shows it.

    matches: by detector, and KLT, for each pair of frames and each of features.PLACES how many and how many
    correct, (pairs, places, 2). track_lengths: for each of PLACES how many tracks and their frames together,
    (places, 2), those that leave the picture not counted. steadiness: levels by which the display of what
    stays the same changes from a frame to the next, of the whole picture (the size of the median) and of a
    point (the mean of the sizes).
    """

    scene: str
    variant: str
    matches: dict[str, list]
    track_lengths: list
    steadiness: tuple[float, float]


@dataclass(frozen=True)
class CodeRun:
    """One panning scene as one variant shows it. By kind: found and, of how many wholly in view, visible by
    range, summed over the frames; false_alarms."""

    scene: str
    variant: str
    found: dict[str, dict[str, int]]
    visible: dict[str, dict[str, int]]
    false_alarms: dict[str, int]


class DownstreamBenchmark:
    """Scenes by number, the same number the same scene: procedural ones, or a folder's files.

    size: width, height, px; radiance: a folder of .hdr and .exr files, of which those that no training has
    seen are taken, if there are any. Raises ValueError for an unknown tone mapping, CheckpointError for
    weights that can't be had and InputError for a folder without scenes.
    """

    def __init__(
        self, weights: str, tonemaps: Sequence[str], size: tuple[int, int], radiance: str | None = None
    ):
        self._tonemaps = tonemaps
        Views(tonemaps)
        width, height = size
        self._config = SimulationConfig(
            width=width, height=height, seconds=_SECONDS, fps=_FPS, clipped=_CLIPPED, seed=_SEED
        )
        self._files = _files(radiance) if radiance else []
        self._pipeline = HdrPipeline(PipelineConfig(weights=weights, policy="all"))

    def scenes(self, most: int | None) -> int:
        """How many there are, at most so many if that is told."""
        return min(len(self._files), most or len(self._files)) if self._files else most or SCENES

    def record(self, number: int) -> Recorded:
        """A scene for features."""
        if self._files:
            return self._recorded(replace(self._config, scene=str(self._files[number])))
        return self._recorded(replace(self._config, seed=_SEED + number))

    def features(self, number: int, recorded: Recorded) -> list[FeatureRun]:
        """Of every variant."""
        scene = self._files[number].stem if self._files else f"procedural {_SEED + number}"
        masks = {i: features.places(recorded.ldr[i]) for i in range(len(recorded.ldr))}
        runs = []
        for variant, images in recorded.views.images.items():
            matches = {name: _matches(name, recorded, images, masks) for name in features.DETECTORS}
            matches[KLT], lengths = _tracks(recorded, images, masks)
            steadiness = _steadiness(recorded, images)
            runs.append(FeatureRun(scene, variant, matches, lengths, steadiness))
        return runs

    def codes(self, number: int) -> list[CodeRun]:
        """Of every variant, on a procedural scene with tags and QR codes above white and in range."""
        seed = _SEED + number
        config = replace(self._config, seed=seed, seconds=_CODE_FRAMES / _FPS)
        canvas = load_radiance("procedural", config.height, config.width, seed)
        white = float(np.quantile(canvas.max(-1), 1 - _CLIPPED))
        middle = CameraMotion(config, canvas).to_canvas(round(config.seconds / 2 * 1e9))
        centre = moved(np.array([[config.width / 2, config.height / 2]]), middle)[0]
        canvas, planted = codes.plant(canvas, centre, white, np.random.default_rng([seed, 7]))
        recorded = self._recorded(replace(config, white=white), canvas)
        in_view = [_in_view(planted, recorded, k) for k in range(len(recorded.ldr))]
        return [
            _read(f"procedural {seed}", variant, images, planted, in_view)
            for variant, images in recorded.views.images.items()
        ]

    def _recorded(self, config: SimulationConfig, radiance: np.ndarray | None = None) -> Recorded:
        views, ldr, recorder = Views(self._tonemaps), [], Recorder(self._pipeline)
        frames = [pair for sample in simulate(config, radiance) for pair in recorder.add(sample)]
        for sample, frame in (*frames, *recorder.finish()):
            views.add(sample, frame)
            ldr.append(sample.ldr)
        return Recorded(views, ldr, CameraMotion(config, radiance))


def _files(folder: str) -> list[Path]:
    files = sorted(path for path in Path(folder).glob("*") if path.suffix.lower() in (".hdr", ".exr"))
    files = [path for path in files if path.name.startswith(VALIDATION_SCENES)] or files
    if not files:
        raise InputError(f"{folder} holds no .hdr or .exr file")
    return files


def _matches(detector: str, recorded: Recorded, images: list[np.ndarray], masks: dict) -> list:
    """(pairs, places, 2)."""
    found = [features.detect(detector, image) for image in images]
    rows = []
    for i, j in recorded.pairs():
        start, end = features.match(detector, found[i], found[j])
        correct = _correct(start, end, recorded.between(i, j))
        rows.append(features.counts(start, correct, masks[i]).tolist())
    return rows


def _tracks(recorded: Recorded, images: list[np.ndarray], masks: dict) -> tuple[list, list]:
    """Those of a quarter of a second as matches (starts, places, 2), and lengths as of FeatureRun."""
    rows, lengths = [], np.zeros((len(features.PLACES), 2))
    for i in range(SKIPPED, len(images) - _GAP, _STEP):
        last = min(i + _TRACKED, len(images) - 1)
        tracks = features.follow(images[i : last + 1])
        right, inside = np.ones(tracks.shape[:2], bool), np.ones(tracks.shape[1], bool)
        for k in range(1, len(tracks)):
            true = moved(tracks[0], recorded.between(i, i + k))
            right[k] = right[k - 1] & (np.linalg.norm(tracks[k] - true, axis=1) <= features.TOLERANCE)
            inside &= ((true >= 0) & (true <= np.array(images[0].shape[::-1]) - 1)).all(1)
        followed = np.isfinite(tracks[_GAP, :, 0])
        rows.append(features.counts(tracks[0, followed], right[_GAP, followed], masks[i]).tolist())
        where = features.at(masks[i], tracks[0]) & inside
        lengths += np.stack((where.sum(1), (where * right[1:].sum(0)).sum(1)), 1)
    return rows, lengths.tolist()


def _correct(start: np.ndarray, end: np.ndarray, motion: np.ndarray) -> np.ndarray:
    return np.linalg.norm(end - moved(start, motion), axis=1) <= features.TOLERANCE


def _steadiness(recorded: Recorded, images: list[np.ndarray]) -> tuple[float, float]:
    changes = []
    for k in range(SKIPPED, len(images) - 1):
        change = warped_back(images[k + 1], recorded.between(k, k + 1)) - images[k]
        changes.append((abs(np.nanmedian(change)), np.nanmean(abs(change))))
    whole, point = np.mean(changes, 0)
    return float(whole), float(point)


def _in_view(planted: list[codes.Code], recorded: Recorded, k: int) -> dict:
    """By kind and name the range, None for one that isn't wholly in frame k, and the centre, px."""
    from_canvas = np.linalg.inv(recorded.motion.to_canvas(recorded.views.stamps[k]))
    result: dict[str, dict[str, tuple]] = {kind: {} for kind in codes.KINDS}
    last = np.array(recorded.ldr[k].shape[1::-1]) - 1
    for code in planted:
        corners = moved(code.corners, from_canvas)
        whole = bool(((corners >= 0) & (corners <= last)).all())
        result[code.kind][code.name] = code.range if whole else None, corners.mean(0)
    return result


def _read(
    scene: str, variant: str, images: list[np.ndarray], planted: list[codes.Code], in_view: list[dict]
) -> CodeRun:
    found, visible, false_alarms = {}, {}, {}
    for kind in codes.KINDS:
        scores = [codes.score(kind, images[k], in_view[k][kind]) for k in range(SKIPPED, len(images))]
        ranges = [level for each in in_view[SKIPPED:] for level, _ in each[kind].values()]
        found[kind] = {level: sum(each[level] for each in scores) for level in (codes.ABOVE, codes.BELOW)}
        visible[kind] = {level: ranges.count(level) for level in (codes.ABOVE, codes.BELOW)}
        false_alarms[kind] = sum(each[codes.FALSE_ALARMS] for each in scores)
    return CodeRun(scene, variant, found, visible, false_alarms)
