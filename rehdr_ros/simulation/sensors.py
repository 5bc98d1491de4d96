"""Sensor models: a frame camera that clips, and an event camera that does not."""

from dataclasses import dataclass

import numpy as np

from rehdr_ros.events import Events
from rehdr_ros.jit import kernel
from rehdr_ros.luminance import BT709
from rehdr_ros.settings import Settings, setting

RESPONSE = 2.2  # of the simulated camera
HOT_RATE = 200.0  # Hz, of a hot pixel


@dataclass(frozen=True)
class FrameCamera:
    """Linear radiance -> 8-bit LDR: shot and read noise, clipping, display response, quantisation.

    white: the radiance that saturates. shot_noise: variance per unit of the linear signal; read_noise:
    standard deviation, both with white = 1.
    """

    white: float
    response: float = RESPONSE
    shot_noise: float = 2e-4
    read_noise: float = 2e-3

    def expose(self, radiance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(H, W, 3) float32 radiance -> (H, W, 3) uint8."""
        signal = radiance / self.white
        sigma = np.sqrt(self.shot_noise * np.maximum(signal, 0) + self.read_noise**2)
        noisy = signal + sigma * rng.standard_normal(signal.shape, np.float32)
        return np.rint(255 * np.clip(noisy, 0, 1) ** (1 / self.response)).astype(np.uint8)


@dataclass(frozen=True)
class EventCameraConfig(Settings):
    """How an event camera's pixels work."""

    contrast: float = setting(0.25, "contrast threshold, natural log units", above=0)
    mismatch: float = setting(
        0.04, "relative spread of the contrast thresholds over pixels and polarities", least=0
    )
    refractory_us: float = setting(200.0, "dead time of a pixel after an event", unit="us", least=0)
    noise_rate: float = setting(0.1, "random events of a pixel", unit="Hz", least=0)
    leak_rate: float = setting(0.1, "ON events of a pixel without a change", unit="Hz", least=0)
    hot_pixels: float = setting(0.0, f"share of hot pixels, which fire at {HOT_RATE:g} Hz", least=0)
    dark: float = setting(1e-3, "luminance, white = 1, below which the sensor sees nothing", above=0)
    # Of a first-order low pass that falls with the light, as in a real sensor (Hu et al. 2021).
    bandwidth: float = setting(
        0.0, "low pass of a pixel at white; less in the dark; 0: none", unit="Hz", least=0
    )


class EventCamera:
    """Events from a series of rendered luminances; between two renders log intensity runs linearly.

    As in a real pixel, an event resets the reference; the pixel is blind for the refractory period, at whose
    end the level of that moment becomes the reference. See ESIM (Rebecq et al. 2018), v2e (Hu et al. 2021).
    """

    def __init__(self, height: int, width: int, config: EventCameraConfig, rng: np.random.Generator):
        shape = (height, width)
        self._config, self._rng = config, rng
        spread = 1 + config.mismatch * rng.standard_normal((2, *shape))
        self.thresholds = (config.contrast * np.clip(spread, 0.4, 2.5)).astype(np.float32)
        self._hot = np.argwhere(rng.random(shape) < config.hot_pixels)
        self._log = self._reference = self._blind_until = None
        self._t = 0

    def step(self, t_ns: int, radiance: np.ndarray) -> Events:
        """Advance to t_ns with the radiance (H, W, 3), white = 1; events since the last step, by time."""
        luminance = radiance @ BT709
        log = np.log(luminance + np.float32(self._config.dark))
        if self._log is None:
            self._log, self._reference = log, log.copy()
            self._blind_until = np.full(log.shape, t_ns, np.int64)
            self._t = t_ns
            return Events.empty()
        if self._config.bandwidth:
            corner = 2 * np.pi * self._config.bandwidth * np.maximum(luminance, 1e-3)
            log = self._log + (1 - np.exp(-corner * np.float32((t_ns - self._t) * 1e-9))) * (log - self._log)
        refractory = int(self._config.refractory_us * 1000)
        # Room for the worst case: each pixel's whole change in steps of its smallest threshold.
        steps = np.abs(log - self._log) / self.thresholds.min() + 2
        t, x, y, p = (np.empty(int(steps.sum()), d) for d in (np.int64, np.uint16, np.uint16, np.uint8))
        count = _generate(
            self._log, log, self._reference, self._blind_until, self.thresholds,
            self._t, t_ns, refractory, t, x, y, p,
        )  # fmt: skip
        signal = (t[:count], x[:count], y[:count], p[:count])
        columns = [np.concatenate(c) for c in zip(signal, *self._noise(t_ns), strict=True)]
        order = np.argsort(columns[0], kind="stable")
        self._log, self._t = log, t_ns
        return Events(*(c[order] for c in columns))

    def _noise(self, t_ns: int):
        height, width = self._log.shape
        seconds = (t_ns - self._t) * 1e-9
        pixels = height * width
        config, rng = self._config, self._rng
        for rate, on_share in ((config.noise_rate, 0.5), (config.leak_rate, 1.0)):
            n = rng.poisson(rate * pixels * seconds)
            yield self._spread(t_ns, rng.integers(0, width, n), rng.integers(0, height, n), on_share)
        n = rng.poisson(HOT_RATE * len(self._hot) * seconds)
        hot = self._hot[rng.integers(0, max(1, len(self._hot)), n)]
        yield self._spread(t_ns, hot[:, 1], hot[:, 0], 0.5)

    def _spread(self, t_ns: int, x: np.ndarray, y: np.ndarray, on_share: float):
        t = self._rng.integers(self._t + 1, t_ns + 1, len(x))
        p = self._rng.random(len(x)) < on_share
        return t, x.astype(np.uint16), y.astype(np.uint16), p.astype(np.uint8)


@kernel
def _generate(log0, log1, reference, blind_until, thresholds, t0, t1, refractory, t, x, y, p):
    count = 0
    height, width = log0.shape
    span = t1 - t0
    for row in range(height):
        for column in range(width):
            start, end = log0[row, column], log1[row, column]
            slope = (end - start) / span
            blind = blind_until[row, column]
            level = reference[row, column]
            while blind <= t1:
                if blind > t0:  # the refractory period ended within this step: a new reference from here
                    level = start + slope * (blind - t0)
                    begin = blind
                else:
                    begin = t0
                polarity = 1 if slope > 0 else 0
                threshold = thresholds[polarity, row, column]
                target = level + threshold if slope > 0 else level - threshold
                if slope == 0 or (slope > 0 and end < target) or (slope < 0 and end > target):
                    blind = min(blind, t0)
                    break
                when = max(t0 + np.int64((target - start) / slope), begin, t0 + 1)
                t[count], x[count], y[count], p[count] = when, column, row, polarity
                count += 1
                level = target
                blind = when + max(refractory, 1)
            reference[row, column] = level
            blind_until[row, column] = blind
    return count
