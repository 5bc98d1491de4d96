"""The network's head start in clipped pixels: events carry on what is known, the rest is filled from around.

A pixel remembers its log radiance, colour included, and the variance of its log luminance. While it is
exposed the LDR tells both; while it is clipped events move the radiance and add variance, as much as the
stream's own fit says (event_fit.py), time adds some, and channels that don't clip correct it. Trusted clipped
pixels around fill what is known worse than they tell it (pyramid.py): a pixel of which nothing is known takes
their light whole, one that events carry keeps its own. What was filled is carried on by events, too, and
follows its surroundings: a lamp's never exposed inside gets its level from the rim that events measure, and
from its other end, where pixels get exposed and show how wrong their guess was (guesses.py).
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rehdr_ros.network.contract import Stream
from rehdr_ros.network.event_fit import (
    CALIBRATION_RANGE,
    EventFit,
    as_modelled,
    initial_sums,
    read,
    recent_changes,
    update,
)
from rehdr_ros.network.head_start import edges, guesses, tones
from rehdr_ros.network.head_start.guesses import UNKNOWN
from rehdr_ros.network.head_start.pyramid import fill
from rehdr_ros.network.head_start.surroundings import local_mean
from rehdr_ros.network.integrator import CLIPPED, log_gain
from rehdr_ros.network.ramp import ramp

FLOOR = 2.0**-10
LOG_LIMIT = 10.0
NEVER = 10.0  # s since it was exposed, of a pixel that never was
HALF_TRUSTED = 0.25  # nat^2
EXPOSED = 0.01  # nat^2, of what a frame shows: its noise, and the instant that its events begin with
DRIFT = 0.02  # nat^2 a second: changes that no event tells
PARTLY = 0.25  # nat^2, of a pixel that shows a channel which isn't clipped
LEAST_PASSED_ON = 0.02  # trust
SPREAD = 1.0  # nat^2, of what clips about what lies around it
# s, in which a pixel that knows no more than what lies around takes its light: of a sensor that does not do
# what its model says, and of one that does
REFILLED = 0.1, 1.0
TELLING = 0.2  # trust from which a pixel tells those around of its light
LEAST_WEIGHT = 1e-4  # of those that don't: a mean over many is better than none
ISOLATED = 2.0  # events by which a pixel may surpass all its neighbours; hot pixels do by more

IMAGE_CHANNELS, CONDITIONS = 10, 4  # of Inputs
DARKEST, ENCODING = 1e-4, 2.2  # the LDR as the convolutions see it: at least, and to which root
LOG_SHARE = 0.3  # of log radiances, as they see them
MOST_MOVED = 3.0  # nat, of events


class HeadStart(NamedTuple):
    """What is remembered from frame to frame, float32."""

    log_radiance: Tensor  # (N, 3, H, W), natural log, white = 0
    variance: Tensor  # (N, 1, H, W), of log luminance, nat^2
    age: Tensor  # (N, 1, H, W), s since the pixel was exposed, 10 at most
    quiet: Tensor  # (N, 1, H, W), s since its last event, 10 at most
    recent: Tensor  # (N, 3, H, W), of event_fit.py
    fit: Tensor  # (N, 8), sums of event_fit.py
    tones: Tensor  # (N, 2), of tones.py


class Evidence(NamedTuple):
    """What a frame's step learned besides the state."""

    fit: EventFit  # of the events so far
    shown: Tensor  # (N, 3, H, W), log of the LDR
    own: Tensor  # (N, 1, H, W), trust, 0..1, in what the pixel itself has seen, before it was filled
    trust: Tensor  # (N, 1, H, W), after
    likely: Tensor  # (N, 1, 1, 1), of tones.py, nat above white where nothing is known
    level: Tensor  # (N, 1, H, W), nat above the frame, what lies around in the mean over clipped pixels


class Inputs(NamedTuple):
    """What the convolutions take of a frame."""

    image: Tensor  # (N, 10 or 3, H, W)
    ldr: Tensor  # (N, 3, H, W)
    voxel: Tensor  # (N, bins, H, W)
    condition: Tensor  # (N, 4), of the stream: R^2 and noise of its events, the interval, what is likely
    seconds: Tensor  # (N, 1, 1, 1), since the last frame


def prepare(
    ldr: Tensor, voxel: Tensor, state: HeadStart, stream: Stream
) -> tuple[Inputs, HeadStart, Evidence]:
    """As of the package."""
    clipped_from, interval = stream.clipped_from, stream.seconds.view(-1, 1, 1, 1)
    state, evidence = advance(ldr, voxel, state, stream.seconds, clipped_from)
    encoded = ldr.clamp_min(DARKEST) ** (1 / ENCODING)
    clipped = clip_mask(ldr, clipped_from).amax(1, keepdim=True)
    fit, _, *trusts, likely, _ = evidence
    image = encoded, LOG_SHARE * state.log_radiance, *trusts, (-state.age).exp(), clipped
    # In log-intensity units the grid looks alike for every contrast threshold, and no hot pixel rules it.
    moved = torch.where(voxel > 0, fit.on * voxel, fit.off * voxel).clamp(-MOST_MOVED, MOST_MOVED)
    return (
        Inputs(torch.cat(image, 1), encoded, moved, condition(fit, interval, likely), interval),
        state,
        evidence,
    )


def condition(fit: EventFit, interval: Tensor, likely: Tensor) -> Tensor:
    """What Inputs has of it; interval: (N, 1, 1, 1) s."""
    parts = fit.explained, 0.2 * fit.noise.log(), 0.2 * (interval + 1e-3).log(), 5 * likely
    return torch.cat(parts, 1)[..., 0, 0]


def clip_mask(ldr: Tensor, clipped_from: float | Tensor) -> Tensor:
    """Soft mask, per channel: 0 up to clipped_from, 1 at white."""
    return ramp(ldr, clipped_from, 1)


def initial_state(ldr: Tensor) -> HeadStart:
    """State before the first frame (N, 3, H, W): nothing is known."""
    zeros = torch.zeros_like(ldr, dtype=torch.float32)
    unknown, never = (torch.full_like(zeros[:, :1], value) for value in (UNKNOWN, NEVER))
    counts = zeros.clone(), initial_sums(ldr), tones.initial_tones(ldr)
    return HeadStart(zeros, unknown, never, never.clone(), *counts)


@torch.no_grad()
def advance(
    ldr: Tensor, voxel: Tensor, state: HeadStart, seconds: Tensor, clipped_from: float | Tensor = CLIPPED
) -> tuple[HeadStart, Evidence]:
    """One frame's step.

    ldr: (N, 3, H, W) linear, 1.0 = white. voxel: (N, B, H, W), signed event counts since the last frame.
    seconds: (N,) since the last frame. clipped_from: linear value from which a channel counts as clipped.
    """
    ldr, voxel, seconds = ldr.float(), voxel.float(), seconds.view(-1, 1, 1, 1)
    on, off = (without_isolated(x.clamp_min(0).sum(1, keepdim=True)) for x in (voxel, -voxel))
    clipped = ldr >= clipped_from
    exposed = ~clipped.any(1, keepdim=True)
    shown = ldr.clamp_min(FLOOR).log()

    change = (shown - state.log_radiance).mean(1, keepdim=True)
    low, high = (math.log(level) for level in CALIBRATION_RANGE)
    usable = exposed & (state.age == 0)
    for x in (shown, state.log_radiance):
        usable &= (x.amin(1, keepdim=True) > low) & (x.amax(1, keepdim=True) < high)
    recent = recent_changes(state.recent, change, on, off, usable, seconds)
    sums = update(state.fit, recent, seconds)
    fit = read(sums)
    counts = tones.update(state.tones, ldr, clipped_from, seconds)

    known = ~clipped & (ldr > FLOOR)
    count = known.sum(1, keepdim=True)
    moved = state.log_radiance + (fit.on * on - fit.off * off)
    carried = moved + ((shown - moved) * known).sum(1, keepdim=True) / count.clamp_min(1)
    carried = torch.maximum(carried, shown).clamp_max(LOG_LIMIT)
    variance = (state.variance + fit.noise * (on + off) + DRIFT * seconds).clamp_max(UNKNOWN)
    variance = torch.where(count > 0, variance.clamp_max(PARTLY), variance)

    wrong = (torch.where(exposed, shown, carried) - moved).mean(1, keepdim=True)
    tells = guesses.guessed(state.variance) * (exposed | (wrong > guesses.LEAST))
    modelled = as_modelled(fit)
    takes = modelled * guesses.guessed(variance) * (1 - tells)
    carried = torch.maximum(carried + takes * guesses.shared(wrong, tells), shown).clamp_max(LOG_LIMIT)

    own = HALF_TRUSTED / (HALF_TRUSTED + variance)
    weight = torch.lerp(own**4, ((own - TELLING) / (1 - TELLING)).clamp_min(LEAST_WEIGHT), modelled)
    around = fill(torch.cat((carried, own), 1), torch.where(exposed, 0.0, weight))
    passed_on = around[:, 3:].clamp_min(LEAST_PASSED_ON)
    told = HALF_TRUSTED / passed_on - HALF_TRUSTED + SPREAD
    after = torch.minimum(variance, told)
    refilled = REFILLED[0] + (REFILLED[1] - REFILLED[0]) * modelled
    keep = after / variance * (-(seconds / refilled) * (after / told) ** 4).exp()
    filled = torch.lerp(around[:, :3], carried, keep)
    quiet = edges.quiet_for(voxel, state.quiet, seconds, NEVER)
    filled = torch.maximum(filled, shown)
    grey, bins = filled.mean(1, keepdim=True), voxel.shape[1]
    change = modelled * edges.levelled(grey, after, quiet, ~exposed, seconds, bins)
    filled = torch.maximum(filled + change, shown).clamp_max(LOG_LIMIT)
    log_radiance = torch.where(exposed, shown, filled)
    own, trust = (torch.where(exposed, 1.0, x) for x in (own, HALF_TRUSTED / (HALF_TRUSTED + after)))
    variance = torch.where(exposed, EXPOSED, after)
    age = torch.where(exposed, 0.0, (state.age + seconds).clamp_max(NEVER))
    level = local_mean((log_radiance - shown).mean(1, keepdim=True), (~exposed).float())
    level = torch.where(exposed, 0.0, level)
    evidence = Evidence(fit, shown, own, trust, tones.excess(counts), level)
    return HeadStart(log_radiance, variance, age, quiet, recent, sums, counts), evidence


def rescale(state: HeadStart, gain: float | Tensor) -> HeadStart:
    """The same radiance in units of another exposure's white; gain: exposure now / before, (N,) or one."""
    return state._replace(log_radiance=state.log_radiance + log_gain(gain, state.variance))


def without_isolated(events: Tensor) -> Tensor:
    """(N, 1, H, W) >= 0, each limited to its neighbours' most and a little more: hot pixels stand alone."""
    if events[0].numel() == 1:
        return events  # no neighbour
    x = F.pad(events, (1, 1, 1, 1), value=-1.0)
    rows = F.max_pool2d(x, (1, 3), 1)
    above, below = rows[:, :, :-2], rows[:, :, 2:]
    left, right = x[:, :, 1:-1, :-2], x[:, :, 1:-1, 2:]
    most = torch.maximum(torch.maximum(above, below), torch.maximum(left, right))
    return torch.minimum(events, most + ISOLATED)
