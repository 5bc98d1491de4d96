"""What HDR brings features on real frames that are clipped again: their matches with the unclipped originals.

The same frame has the same noise, and the LDR is the original itself on another scale wherever it doesn't
clip: that favours whatever changes the frame least, and the truth through a tone mapping loses, too. So each
variant is matched with itself in the next frame as well, as a consumer does it: there the true place comes
from dense optical flow between the originals.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from rehdr_ros.errors import InputError
from rehdr_ros.network import Network
from rehdr_ros.simulation.sensors import RESPONSE
from rehdr_ros.training import features
from rehdr_ros.training.footage import Footage, Timing
from rehdr_ros.training.reclipped import SKIPPED, reclipped
from rehdr_ros.training.sequence import collate
from rehdr_ros.training.unrolled import unroll
from rehdr_ros.training.views import Views

TO_ORIGINAL, TO_NEXT = "with the original", "with itself in the next frame"
_LEAST = SKIPPED + 2  # frames, for one pair


@dataclass(frozen=True)
class RealRun:
    """One recording at one share of clipped pixels, as one variant of the images shows it.

    matches: by TO_ORIGINAL and TO_NEXT and by detector, for each frame and each of features.PLACES how many
    and how many correct, (frames, places, 2).
    """

    recording: str
    share: float
    variant: str
    matches: dict[str, dict[str, list]]


@torch.inference_mode()
def real_runs(
    footage: Footage, share: float, network: Network, tonemaps: Sequence[str], timing: Timing
) -> Iterator[RealRun]:
    """Of every variant. Raises InputError as `reclipped` does and for fewer than three frames, ValueError for
    an unknown tone mapping."""
    if len(footage) < _LEAST:
        raise InputError(f"{footage.name} has {len(footage)} frames: at least {_LEAST} are needed")
    sequence = reclipped(footage, share, network.config.bins, timing)
    views, originals, masks = Views(tonemaps), [], []
    # What was saturated before is the brightest that there is.
    peak = float(torch.nan_to_num(sequence.truth, nan=0.0).max())
    stamps = footage.times_ns(timing)
    for k, estimate in enumerate(unroll(network, collate([sequence]))):
        stamp, truth = int(stamps[k]), _image(torch.nan_to_num(sequence.truth[k], nan=peak))
        sigma = None if estimate.sigma is None else estimate.sigma[0, 0].contiguous().numpy()
        ldr = _displayed(_image(sequence.ldr[k]))
        views.add_frame(stamp, ldr)
        views.add_radiance("HDR", stamp, _image(estimate.radiance[0]), sigma)
        views.add_radiance("truth", stamp, truth, None)
        originals.append(cv2.cvtColor(_displayed(truth / peak), cv2.COLOR_RGB2GRAY))
        masks.append(features.places(ldr))
    scored = range(SKIPPED, len(originals) - 1)
    flows = {k: cv2.DISOpticalFlow_create().calc(originals[k], originals[k + 1], None) for k in scored}
    references = {name: [features.detect(name, each) for each in originals] for name in features.DETECTORS}
    for variant, images in views.images.items():
        matches: dict[str, dict[str, list]] = {TO_ORIGINAL: {}, TO_NEXT: {}}
        for name in features.DETECTORS:
            found = [features.detect(name, image) for image in images]
            rows = [
                (
                    _counts(name, found[k], references[name][k], masks[k], None),
                    _counts(name, found[k], found[k + 1], masks[k], flows[k]),
                )
                for k in scored
            ]
            matches[TO_ORIGINAL][name], matches[TO_NEXT][name] = map(list, zip(*rows, strict=True))
        yield RealRun(footage.name, share, variant, matches)


def _counts(
    detector: str,
    first: features.Features,
    second: features.Features,
    masks: np.ndarray,
    flow: np.ndarray | None,
) -> list:
    """flow: (H, W, 2) px from the first image to the second; None: both are of one frame."""
    start, end = features.match(detector, first, second)
    true = start if flow is None else start + features.at(flow.transpose(2, 0, 1), start).T
    correct = np.linalg.norm(end - true, axis=1) <= features.TOLERANCE
    return features.counts(start, correct, masks).tolist()


def _image(planes: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(planes.permute(1, 2, 0).numpy())


def _displayed(linear: np.ndarray) -> np.ndarray:
    return (255 * linear.clip(0, 1) ** (1 / RESPONSE)).round().astype(np.uint8)
