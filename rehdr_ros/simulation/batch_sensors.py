"""The sensors of sensors.py for many scenes at once, in torch: LDR frames, and events straight into voxel grids."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rehdr_ros.simulation.sensors import HOT_RATE, RESPONSE


def expose(
    signal: Tensor, levels: Tensor, shot: Tensor, read: Tensor, bayer: Tensor, random: torch.Generator
) -> Tensor:
    """(N, 3, H, W) linear, 1.0 = white -> the frame that the camera gives, linearised again, float32.

    levels: (N,) steps from black to white, 255 for 8 bit; shot, read: (N,) noise as of FrameCamera; bayer: (N,) bool,
    one colour a pixel (RGGB), the others interpolated.
    """
    levels, shot, read, bayer = (x.view(-1, 1, 1, 1) for x in (levels, shot, read, bayer))
    noise = torch.randn(signal.shape, generator=random, device=signal.device)
    signal = signal + (shot * signal.clamp_min(0) + read**2).sqrt() * noise
    signal = signal.clamp(0, 1)
    if bayer.any():
        signal = torch.where(bayer, demosaicked(signal), signal)
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
    """N event cameras of H x W pixels; `step` gives the events between two renders as additions to two bins.

    The same pixel as in EventCamera, whose events between two renders follow in closed form: log intensity runs
    linearly there, so that after the first event the next ones come at equal distances, the time that a threshold
    takes plus the refractory period. thresholds: (N, 2, H, W), OFF and ON; refractory (s), dark and bandwidth: (N,).
    """

    def __init__(self, thresholds: Tensor, refractory: Tensor, dark: Tensor, bandwidth: Tensor):
        self._off, self._on = thresholds[:, :1], thresholds[:, 1:]
        self._refractory, self._dark, self._bandwidth = (x.view(-1, 1, 1, 1) for x in (refractory, dark, bandwidth))
        self._log: Tensor | None = None

    def start(self, luminance: Tensor) -> None:
        """The first view, (N, 1, H, W), white = 1."""
        self._log = (luminance + self._dark).log()
        self._reference = self._log.clone()
        self._blind = torch.zeros_like(self._log)  # s from now on

    def step(self, luminance: Tensor, seconds: Tensor) -> tuple[Tensor, Tensor]:
        """The next view, `seconds` (N,) later.

        Returns (N, 1, H, W) each: the polarity sum of the events between, and their mean time as a share of the step.
        """
        span = seconds.view(-1, 1, 1, 1)
        start, end = self._log, self._seen(luminance, span)
        slope = (end - start) / span
        rising = slope > 0
        threshold = torch.where(rising, self._on, self._off)
        speed = slope.abs().clamp_min(1e-9)
        # All in the direction of the change, from `start`: how far the first target is, and when it is reached.
        sees = self._blind <= span
        begin = self._blind.clamp_min(0)
        level = torch.where(self._blind > 0, start + slope * begin, self._reference)
        ahead = torch.where(rising, level - start, start - level) + threshold
        first = torch.maximum(ahead / speed, begin)
        period = threshold / speed + self._refractory
        fires = sees & (ahead <= speed * span)
        count = torch.where(fires, 1 + ((span - first) / period).floor().clamp_min(0), 0)
        last = first + (count - 1) * period
        blind = last + self._refractory
        # A pixel that sees again within the step takes its reference there.
        fresh = torch.where(blind <= span, start + slope * blind, end)
        self._reference = torch.where(fires, fresh, torch.where(sees, level, self._reference))
        self._blind = torch.where(fires, blind, torch.where(sees, 0, self._blind)) - span
        self._log = end
        polarity_sum = torch.where(rising, count, -count)
        return polarity_sum, (first + last) / (2 * span)

    def _seen(self, luminance: Tensor, span: Tensor) -> Tensor:
        log = (luminance + self._dark).log()
        share = low_pass_share(luminance, self._bandwidth, span)
        return self._log + share * (log - self._log)


def low_pass_share(luminance: Tensor, bandwidth: Tensor, span: Tensor) -> Tensor:
    """Share of a change that a pixel follows within `span` s: a first-order low pass whose corner frequency, Hz, is
    `bandwidth` at white and falls with the light; unlimited where bandwidth is 0."""
    corner = 2 * torch.pi * bandwidth * luminance.clamp_min(1e-3)
    return torch.where(bandwidth > 0, 1 - (-corner * span).exp(), 1)


def add_noise(
    grid: Tensor, seconds: Tensor, noise_rate: Tensor, leak_rate: Tensor, hot: Tensor, random: torch.Generator
) -> None:
    """Add noise events (either polarity), leak events (ON) and those of hot pixels to the grids of an interval.

    grid: (N, B, H, W), changed in place; seconds, noise_rate, leak_rate: (N,); hot: (N, 1, H, W) bool.
    """
    bins = grid.shape[1]
    shares = grid.new_ones(bins)
    if bins > 1:
        shares[[0, -1]] = 0.5  # what uniform times put into the outer bins
    shares = (shares / shares.sum()).view(1, -1, 1, 1)
    seconds, noise_rate, leak_rate = (x.view(-1, 1, 1, 1) for x in (seconds, noise_rate, leak_rate))
    either = (noise_rate + HOT_RATE * hot) / 2
    for rate, sign in ((either + leak_rate, 1), (either, -1)):
        grid += sign * torch.poisson((rate * seconds * shares).expand_as(grid), generator=random)
