"""The sensors of sensors.py, many at once, in torch: LDR frames, and events straight into voxel grids."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rehdr_ros.simulation.sensors import HOT_RATE, RESPONSE


def expose(
    signal: Tensor, levels: Tensor, shot: Tensor, read: Tensor, bayer: np.ndarray, random: torch.Generator
) -> Tensor:
    """(N, 3, H, W) linear, 1.0 = white -> the frame that the camera gives, linearised again, float32.

    levels: (N,) steps from black to white, 255 for 8 bit; shot, read: (N,) noise as of FrameCamera; bayer:
    (N,) bool, one colour a pixel (RGGB), the others interpolated.
    """
    levels, shot, read = (x.view(-1, 1, 1, 1) for x in (levels, shot, read))
    noise = torch.randn(signal.shape, generator=random, device=signal.device)
    signal = signal + (shot * signal.clamp_min(0) + read**2).sqrt() * noise
    signal = signal.clamp(0, 1)
    if bayer.any():
        is_bayer = torch.as_tensor(bayer, device=signal.device).view(-1, 1, 1, 1)
        signal = torch.where(is_bayer, demosaicked(signal), signal)
    return ((signal ** (1 / RESPONSE) * levels).round() / levels) ** RESPONSE


def demosaicked(rgb: Tensor) -> Tensor:
    """What bilinear demosaicing makes of an RGGB sensor's view of (N, 3, H, W)."""
    mask = torch.zeros_like(rgb[:1])
    mask[:, 0, ::2, ::2] = 1
    mask[:, 1, ::2, 1::2] = 1
    mask[:, 1, 1::2, ::2] = 1
    mask[:, 2, 1::2, 1::2] = 1
    kernel = rgb.new_tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]]).expand(3, 1, 3, 3)
    summed = F.conv2d(F.pad(rgb * mask, (1, 1, 1, 1), mode="reflect"), kernel, groups=3)
    weights = F.conv2d(F.pad(mask, (1, 1, 1, 1), mode="reflect"), kernel, groups=3)
    return torch.where(mask > 0, rgb, summed / weights)


class BatchEventCamera:
    """N event cameras of H x W pixels; `steps` gives the events between renders.

    The same pixel as in EventCamera, whose events between two renders follow in closed form: log intensity
    runs linearly there, so that after the first event the next ones come at equal distances, a threshold's
    time plus the refractory period. thresholds: (N, 2, H, W), OFF, ON; refractory (s), dark, bandwidth: (N,).
    """

    def __init__(self, thresholds: Tensor, refractory: Tensor, dark: Tensor, bandwidth: Tensor):
        self._off, self._on = thresholds[:, :1], thresholds[:, 1:]
        of_each = (refractory, dark, bandwidth)
        self._refractory, self._dark, self._bandwidth = (x.view(-1, 1, 1, 1) for x in of_each)
        self._log: Tensor | None = None

    def start(self, luminance: Tensor, phase: Tensor | None = None) -> None:
        """The first view, (N, 1, H, W), white = 1. phase: (N, 1, H, W), 0..1, how far a pixel is on its way
        from an OFF event to an ON event; None: all have just fired."""
        self._log = (luminance + self._dark).log()
        ahead = 0 if phase is None else phase * (self._on + self._off) - self._off
        self._reference = self._log - ahead
        self._blind = torch.zeros_like(self._log)  # s from now on

    def steps(self, luminance: Tensor, seconds: Tensor) -> tuple[Tensor, Tensor]:
        """The next views (K, N, 1, H, W), each `seconds` (N,) after the one before.

        Returns (K, N, 1, H, W) each: the polarity sum of a step's events, and their mean time as its share.
        """
        # What doesn't depend on the step before is found for all at once: a GPU would wait for each kernel.
        span = seconds.view(-1, 1, 1, 1)
        seen = torch.stack([self._log, *self._seen(luminance, span)])
        start, end = seen[:-1], seen[1:]
        slope = (end - start) / span
        rising = slope > 0
        direction = torch.where(rising, 1.0, -1.0)
        threshold = torch.where(rising, self._on, self._off)
        speed = slope.abs().clamp_min(1e-9)
        period = threshold / speed + self._refractory
        of_steps = (start, end, slope, direction, threshold, speed, period, speed * span)
        fired = [self._fire(span, *of_step) for of_step in zip(*of_steps, strict=True)]
        count, first = (torch.stack(x) for x in zip(*fired, strict=True))
        self._log = end[-1]
        return direction * count, (first + (count - 1) / 2 * period) / span

    def _fire(
        self,
        span: Tensor,
        start: Tensor,
        end: Tensor,
        slope: Tensor,
        direction: Tensor,
        threshold: Tensor,
        speed: Tensor,
        period: Tensor,
        reach: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """One step: how many events a pixel fires, and when the first one, s from its begin."""
        # All in the direction of the change, from `start`: how far the first target is, when it is reached.
        sees = self._blind <= span
        begin = self._blind.clamp_min(0)
        level = torch.where(self._blind > 0, torch.addcmul(start, slope, begin), self._reference)
        ahead = torch.addcmul(threshold, direction, level - start)
        first = torch.maximum(ahead / speed, begin)
        fires = sees & (ahead <= reach)
        more = ((span - first) / period).floor_().clamp_min_(0)
        blind = torch.addcmul(first + self._refractory, more, period)
        # A pixel that sees again within the step takes its reference there.
        fresh = torch.where(blind <= span, torch.addcmul(start, slope, blind), end)
        self._reference = torch.where(fires, fresh, torch.where(sees, level, self._reference))
        self._blind = torch.where(fires, blind, self._blind.masked_fill(sees, 0)) - span
        return (more + 1) * fires, first

    def _seen(self, luminance: Tensor, span: Tensor) -> list[Tensor]:
        """The log intensity that pixels see at each of the views, as far as they follow."""
        log = (luminance + self._dark).log()
        shares, seen = low_pass_share(luminance, self._bandwidth, span), [self._log]
        for target, share in zip(log, shares, strict=True):
            seen.append(seen[-1] + share * (target - seen[-1]))
        return seen[1:]


def low_pass_share(luminance: Tensor, bandwidth: Tensor, span: Tensor) -> Tensor:
    """Share of a change that a pixel follows in `span` s: a first-order low pass.

    Its corner frequency, Hz, is `bandwidth` at white and falls with the light; bandwidth 0: unlimited.
    """
    corner = 2 * torch.pi * bandwidth * luminance.clamp_min(1e-3)
    return torch.where(bandwidth > 0, 1 - (-corner * span).exp(), 1)


class Readout:
    """What lies between pixels that fire and events that arrive; each (N, 1, 1, 1).

    scatter: relative deviation of a pixel's count in an interval; strays: events of either polarity around
    each true one; most: events a pixel and second that get through, in the sensor's mean.
    """

    def __init__(self, scatter: Tensor, strays: Tensor, most: Tensor):
        self._scatter, self._strays, self._most = scatter, strays, most

    def __call__(self, grid: Tensor, seconds: Tensor, random: torch.Generator) -> Tensor:
        """(N, B, H, W) of an interval of `seconds` (N,) -> as read out."""
        events = grid.abs().sum(1, keepdim=True)
        around = F.avg_pool2d(events, 5, 1, 2)
        spread = torch.randn(events.shape, generator=random, device=grid.device)
        grid = grid * (1 + self._scatter * spread).clamp(0, 3)
        sign = torch.rand(grid.shape, generator=random, device=grid.device).sub_(0.5).sign()
        mean = (self._strays / grid.shape[1] * around).expand_as(grid)
        grid = grid + sign * torch.poisson(mean, generator=random)
        rate = events.mean((2, 3), keepdim=True) * (1 + self._strays) / seconds.view(-1, 1, 1, 1)
        share = (self._most / rate.clamp_min(1e-6)).clamp_max(1)
        kept = torch.rand(grid.shape, generator=random, device=grid.device) < share
        return torch.where(share < 1, grid * kept, grid)


def add_noise(
    grid: Tensor, seconds: Tensor, noise_rate: Tensor, leak_rate: Tensor, hot: Tensor, random: torch.Generator
) -> None:
    """Add noise (either polarity), leak events (ON) and those of hot pixels to the grids of an interval.

    grid: (N, B, H, W), in place; seconds: (N,); both rates: (N, 1, 1 or H, 1 or W); hot: (N, 1, H, W) bool.
    """
    bins = grid.shape[1]
    shares = grid.new_ones(bins)
    if bins > 1:
        shares[[0, -1]] = 0.5  # what uniform times put into the outer bins
    shares = (shares / shares.sum()).view(1, -1, 1, 1)
    seconds = seconds.view(-1, 1, 1, 1)
    either = (noise_rate + HOT_RATE * hot) / 2
    for rate, sign in ((either + leak_rate, 1), (either, -1)):
        grid += sign * torch.poisson((rate * seconds * shares).expand_as(grid), generator=random)
