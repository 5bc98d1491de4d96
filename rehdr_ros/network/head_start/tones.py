"""How far above white what clips is likely to lie, by how many pixels lie just below it.

With N pixels that clip, and a density of f a nat just below white that goes on above it and fades
exponentially, the mean of what is cut off is N / f. Real scenes have much that lies at white, or just above,
and some lamps; in logarithms, of which the mean counts here, a share of it is a better guess. A scene with
much just below white has walls there, and few of them far above it; one with a gap has lamps.
"""

import math

import torch
from torch import Tensor

MEMORY = 0.5  # s, after which a count has faded to 1/e
BELOW = 0.84  # share of the value from which a channel clips, above which a pixel nearly does
SHARE, MOST = 0.25, 0.2  # of N / f; nat, at most
_FEWEST = 1e-6  # share of the pixels, for none


def initial_tones(like: Tensor) -> Tensor:
    """(N, 2) float32, for frames (N, ...): shares of the pixels that clip, and that nearly do, fading."""
    return like.new_zeros((like.shape[0], 2), dtype=torch.float32)


def update(tones: Tensor, ldr: Tensor, clipped_from: float | Tensor, seconds: Tensor) -> Tensor:
    """The tones after one more frame (N, 3, H, W), seconds, (N, 1, 1, 1), after the one before."""
    brightest = ldr.amax(1, keepdim=True)
    clips = brightest >= clipped_from
    nearly = (brightest >= BELOW * clipped_from) & ~clips
    now = torch.cat((clips, nearly), 1).float().mean((2, 3))
    fade = (-seconds.view(-1, 1) / MEMORY).exp()
    return now + (tones - now) * fade


def excess(tones: Tensor) -> Tensor:
    """Of log radiance above white that is likely where nothing else is known, nat, (N, 1, 1, 1)."""
    clip, nearly = tones.unbind(1)
    return (SHARE * -math.log(BELOW) * clip / nearly.clamp_min(_FEWEST)).clamp_max(MOST).view(-1, 1, 1, 1)
