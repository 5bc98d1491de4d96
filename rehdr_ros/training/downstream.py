"""What HDR brings a feature matcher: ORB, SIFT and AKAZE matches on clipped scenes, LDR beside HDR.

Simulates a camera that moves over scenes whose lamps and windows clip, reconstructs them as the node does,
matches frames a quarter of a second apart, and counts the matches that lie where the simulated camera says
they must. Prints tables and writes them to OUT/tables.md, a picture to OUT/matches.jpg. docs/downstream.md
shows and explains both.
"""

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from rehdr_ros.cli.arguments import size
from rehdr_ros.cli.progress import progress
from rehdr_ros.errors import InputError
from rehdr_ros.reconstruction.clipping import CLIPPED_LEVEL
from rehdr_ros.reconstruction.tonemap import ToneMapper
from rehdr_ros.simulation import SimulationConfig
from rehdr_ros.training.scenes import VALIDATION_SCENES

# isort: split
# After rehdr_ros.cli, which says how torch's threads wait.
from simulated_motion import Sequence, record, warped_back

GAP = 0.25  # s between the two frames of a pair
TOLERANCE = 3.0  # px from its true place within which a match is correct
FEATURES = 1000  # at most, the strongest; what is not named here is OpenCV's default
SKIPPED = 3  # frames at the start, in which the network has hardly seen an event
DETECTORS = {
    "ORB": lambda: cv2.ORB_create(FEATURES),
    # What ORB-SLAM falls back to.
    "ORB, FAST threshold 7": lambda: cv2.ORB_create(FEATURES, fastThreshold=7),
    "SIFT": lambda: cv2.SIFT_create(FEATURES),
    "AKAZE": lambda: cv2.AKAZE_create(max_points=FEATURES),
}
NORMS = {"SIFT": cv2.NORM_L2}  # of descriptors; else the Hamming distance
PLACES = "all", "in clipped pixels", "in fully clipped pixels", "elsewhere"
LINES = 20  # drawn in the picture, about: all would hide it
BLACK, RED, GREEN, ORANGE = (0, 0, 0), (220, 40, 40), (40, 170, 40), (255, 140, 0)


@dataclass(frozen=True)
class Matches:
    """Between two frames. start, end: (N, 2) px; correct, clipped, lost: (N,) bool.

    clipped, lost: one channel, or every channel, of the LDR pixel at the start is at 250 or above.
    """

    start: np.ndarray
    end: np.ndarray
    correct: np.ndarray
    clipped: np.ndarray
    lost: np.ndarray

    def counts(self) -> np.ndarray:
        """(4, 2): by PLACES, how many there are and how many are correct."""
        places = np.ones_like(self.correct), self.clipped, self.lost, ~self.clipped
        return np.array([(place.sum(), (place & self.correct).sum()) for place in places])


def detect(detector: str, images: list[np.ndarray]) -> list:
    """(keypoints, descriptors) of each image."""
    find = DETECTORS[detector]()
    return [find.detectAndCompute(image, None) for image in images]


def match(sequence: Sequence, features: list, i: int, j: int, norm: int = cv2.NORM_HAMMING) -> Matches:
    """Cross-checked nearest neighbours. features: as from `detect`, by frame."""
    (start_points, start_words), (end_points, end_words) = features[i], features[j]
    matcher = cv2.BFMatcher(norm, crossCheck=True)
    found = () if start_words is None or end_words is None else matcher.match(start_words, end_words)
    start = np.array([start_points[m.queryIdx].pt for m in found]).reshape(-1, 2)
    end = np.array([end_points[m.trainIdx].pt for m in found]).reshape(-1, 2)
    true = np.insert(start, 2, 1, axis=1) @ sequence.motion(i, j).T
    error = np.linalg.norm(end - true[:, :2] / true[:, 2:], axis=1)
    x, y = start.round().astype(int).T
    clipped = sequence.ldr[i][y, x] >= CLIPPED_LEVEL
    return Matches(start, end, error <= TOLERANCE, clipped.any(1), clipped.all(1))


def pairs(sequence: Sequence) -> list[tuple[int, int]]:
    """Every second pair of frames GAP apart."""
    period = (sequence.stamps[-1] - sequence.stamps[0]) * 1e-9 / (len(sequence) - 1)
    gap = round(GAP / period)
    return [(k, k + gap) for k in range(SKIPPED, len(sequence) - gap, 2)]


def steadiness(sequence: Sequence, images: list[np.ndarray]) -> np.ndarray:
    """Levels by which the display of what stays the same changes from a frame to the next.

    Two: of the whole picture (the size of the median), and of a point (the mean of the sizes).
    """
    changes = []
    for k in range(SKIPPED, len(sequence) - 1):
        change = warped_back(images[k + 1], sequence.motion(k, k + 1)) - images[k]
        changes.append((abs(np.nanmedian(change)), np.nanmean(abs(change))))
    return np.mean(changes, 0)


class Results:
    """Of some variants of the images, over scenes. shown: the two that are compared."""

    def __init__(self, variants: list[str], shown: tuple[str, str]):
        self._variants, self.shown = variants, shown
        self._counts = defaultdict(list)  # by detector and variant: (pairs, 4, 2) of each scene
        self._steadiness = defaultdict(list)

    def add(self, sequence: Sequence) -> None:
        for variant in self._variants:
            images = sequence.mono8(variant)
            self._steadiness[variant].append(steadiness(sequence, images))
            for detector in DETECTORS:
                features = detect(detector, images)
                norm = NORMS.get(detector, cv2.NORM_HAMMING)
                counts = [match(sequence, features, *pair, norm).counts() for pair in pairs(sequence)]
                self._counts[detector, variant].append(np.array(counts))

    def mean(self, detector: str, variant: str) -> np.ndarray:
        """(4, 2): matches and correct matches a pair, by PLACES."""
        return np.concatenate(self._counts[detector, variant]).mean(0)

    def tables(self) -> str:
        return "\n\n".join([*map(self._matches, DETECTORS), self._steady()])

    def _matches(self, detector: str) -> str:
        lines = [_line(detector, *PLACES), _line(*["---"] * 5)]
        for variant in self._variants:
            means = self.mean(detector, variant)
            cells = (f"{right:.0f} ({right / max(found, 1e-9):.2f})" for found, right in means)
            lines.append(_line(variant, *cells))
        ldr, hdr = (self.mean(detector, variant)[:, 1] for variant in self.shown)
        ratios = (f"{ratio:.2f}" for ratio in hdr / np.maximum(ldr, 1e-9))
        lines.append(_line(f"{self.shown[1]} / LDR", *ratios))
        return "\n".join(lines)

    def _steady(self) -> str:
        names = "whole picture, levels a frame", "a point, levels a frame", "ORB: poorest pair / mean"
        lines = [_line("steadiness", *names), _line(*["---"] * 4)]
        for variant in self._variants:
            whole, point = np.mean(self._steadiness[variant], 0)
            correct = [counts[:, 0, 1] for counts in self._counts["ORB", variant]]
            poorest = np.mean([each.min() / max(each.mean(), 1e-9) for each in correct])
            lines.append(_line(variant, f"{whole:.2f}", f"{point:.1f}", f"{poorest:.2f}"))
        return "\n".join(lines)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def picture(sequence: Sequence, variants: tuple[str, ...]) -> np.ndarray:
    """A row for each variant: the middle pair of frames and its ORB matches; (H, W, 3) uint8."""
    chosen = pairs(sequence)[len(pairs(sequence)) // 2]
    rows = []
    for variant in variants:
        images = [sequence.mono8(variant)[k] for k in chosen]
        features = dict(zip(chosen, detect("ORB", images), strict=True))
        matches = match(sequence, features, *chosen)
        rows += [_heading(variant, matches, 4 * images[0].shape[1]), _drawn(images, matches)]
    return np.concatenate(rows)


def _drawn(images: list[np.ndarray], matches: Matches, scale: int = 2) -> np.ndarray:
    large = [cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) for image in images]
    canvas = cv2.cvtColor(np.concatenate(large, 1), cv2.COLOR_GRAY2RGB)
    starts = (scale * matches.start).astype(int)
    ends = (scale * matches.end).astype(int) + (large[0].shape[1], 0)
    correct, clipped = matches.correct, matches.correct & matches.clipped
    for mask, colour in ((~correct, RED), (correct & ~clipped, GREEN), (clipped, ORANGE)):
        for start, end in zip(starts[mask].tolist(), ends[mask].tolist(), strict=True):
            cv2.circle(canvas, start, 3, colour, -1, cv2.LINE_AA)
            cv2.circle(canvas, end, 3, colour, -1, cv2.LINE_AA)
    for i in np.flatnonzero(clipped)[:: max(1, clipped.sum() // LINES)]:
        cv2.line(canvas, starts[i].tolist(), ends[i].tolist(), ORANGE, 1, cv2.LINE_AA)
    return canvas


def _heading(variant: str, matches: Matches, width: int) -> np.ndarray:
    heading, x = np.full((34, width, 3), 255, np.uint8), 6
    (_, correct), (_, clipped), _, (_, elsewhere) = matches.counts()
    for text, colour in (
        (f"{variant}: {correct} correct ORB matches,", BLACK),
        (f"{elsewhere} where the LDR is exposed,", GREEN),
        (f"{clipped} where it clips;", ORANGE),
        (f"{len(matches.correct) - correct} wrong", RED),
    ):
        cv2.putText(heading, text, (x, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.65, colour, 2, cv2.LINE_AA)
        x += cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.65, 2)[0][0] + 14
    return heading


def scenes(args: argparse.Namespace) -> list[SimulationConfig]:
    """A procedural one for each seed, or the folder's: those that no training has seen, if it has any."""
    width, height = args.size
    usual = SimulationConfig(width=width, height=height, seconds=args.seconds, clipped=args.clipped)
    if not args.radiance:
        return [replace(usual, seed=seed) for seed in args.seed]
    files = sorted(p for p in Path(args.radiance).glob("*") if p.suffix.lower() in (".hdr", ".exr"))
    files = [p for p in files if p.name.startswith(VALIDATION_SCENES)] or files
    if not files:
        raise InputError(f"{args.radiance} holds no .hdr or .exr file")
    return [replace(usual, scene=str(file), seed=args.seed[0]) for file in files]


def run(args: argparse.Namespace) -> None:
    if args.seconds < 0.5:
        raise InputError(f"--seconds {args.seconds:g}: at least 0.5, for some pairs of frames {GAP} s apart")
    operators = [f"HDR, {operator}" for operator in args.tonemap]
    variants = ["LDR", "LDR, CLAHE", *operators, f"{operators[-1]}, CLAHE", f"truth, {args.tonemap[-1]}"]
    configs, results, shown = scenes(args), Results(variants, shown=("LDR", operators[-1])), None
    output = Path(args.output)
    output.mkdir(parents=True, exist_ok=True)
    for config in progress(configs, "simulating, reconstructing, matching", len(configs), "scene"):
        sequence = record(config, args.weights)
        results.add(sequence)
        if shown is None:
            shown = picture(sequence, results.shown)
    (output / "tables.md").write_text(results.tables() + "\n")
    cv2.imwrite(str(output / "matches.jpg"), shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(results.tables())


def arguments() -> argparse.ArgumentParser:
    defaults = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=defaults)
    add = parser.add_argument
    add("-o", "--output", required=True, metavar="OUT", help="folder for the tables and the picture")
    add("--seed", type=int, nargs="+", default=[10, 11, 12, 13, 14, 15], help="of the procedural scenes")
    files = "scenes from .hdr and .exr files instead; the first seed moves the camera"
    add("--radiance", metavar="FOLDER", help=files)
    add("--size", type=size, default="346x260", help="of the frames")
    add("--seconds", type=float, default=2.0, help="length of each scene, 20 frames a second")
    add("--clipped", type=float, default=0.2, help="share of the pixels that clip")
    add("--weights", default="rehdr_s", help="a shipped name or a checkpoint's file")
    operators = ["reinhard", "mulaw", "local", "highlights"]
    help_text = "to compare; the last one is shown in the picture, and has the truth beside it"
    add("--tonemap", nargs="+", choices=ToneMapper.OPERATORS, default=operators, help=help_text)
    return parser


def main() -> int:
    try:
        run(arguments().parse_args())
    except (InputError, OSError) as error:
        print(f"feature_matches: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
