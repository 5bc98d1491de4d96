"""Procedural HDR scene: a textured wall with lamps and windows far brighter, as one radiance canvas."""

import cv2
import numpy as np


def procedural_canvas(
    seed: int | np.random.SeedSequence, height: int = 900, width: int = 1200, emitters: bool = True
) -> np.ndarray:
    """Radiance canvas (height, width, 3) float32, linear RGB, 1.0 = a white surface in the mean light.

    Emitters (windows, lamps, tubes), if any, lie one to seven stops above that, each with a texture of its
    own.
    """
    rng = np.random.default_rng(seed)
    reflectance = _surfaces(rng, height, width)
    light = np.exp2(_noise(rng, height, width, 3, 1.2))[..., None]
    radiance = reflectance * light * _tint(rng, 0.15)
    covered, wanted = 0, rng.uniform(0.08, 0.3) * height * width
    while emitters and covered < wanted:
        covered += _add_emitter(rng, radiance)
    return radiance.astype(np.float32)


def _noise(rng, height: int, width: int, cells: int, amplitude: float) -> np.ndarray:
    """Smooth noise with `cells` random values across, (height, width), standard deviation about amplitude."""
    grid = rng.normal(0, amplitude, (cells + 2, cells + 2)).astype(np.float32)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)


def _fractal(rng, height: int, width: int, amplitude: float, finest: int) -> np.ndarray:
    """Noise over octaves down to `finest` px: the texture of plaster, wood, foliage."""
    total = np.zeros((height, width), np.float32)
    size = max(height, width)
    cells = 4
    while size / cells >= finest:
        total += _noise(rng, height, width, cells, amplitude * (8 / (cells + 7)) ** rng.uniform(0.2, 0.6))
        cells *= 2
    return total


def _tint(rng, spread: float) -> np.ndarray:
    tint = np.exp(rng.normal(0, spread, 3))
    return tint / tint.mean()


def _pattern(rng, height: int, width: int) -> np.ndarray:
    """Texture in log2, (height, width), zero mean: stripes, checks, bars, blobs or grain."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(5, 40)
    u = x * np.cos(angle) + y * np.sin(angle)
    v = y * np.cos(angle) - x * np.sin(angle)
    contrast = rng.uniform(0.3, 1.5)
    match rng.integers(5):
        case 0:
            texture = np.sign(np.sin(2 * np.pi * u / period))
        case 1:
            texture = np.sign(np.sin(2 * np.pi * u / period) * np.sin(2 * np.pi * v / period))
        case 2:
            texture = np.sin(2 * np.pi * u / period)
        case 3:
            texture = np.where((u % period < 0.2 * period) | (v % period < 0.2 * period), -1.0, 0.3)
        case _:
            texture = _fractal(rng, height, width, 0.5, 4)
    return (contrast * (texture - texture.mean())).astype(np.float32)


def _shape(rng, height: int, width: int) -> np.ndarray:
    """Anti-aliased mask (height, width) of one random shape that about fills the patch."""
    mask = np.zeros((height, width), np.uint8)
    match rng.integers(3):
        case 0:
            mask[1:-1, 1:-1] = 255
        case 1:
            axes = (max(1, width // 2 - 1), max(1, height // 2 - 1))
            cv2.ellipse(mask, (width // 2, height // 2), axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
        case _:
            angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
            points = np.stack((np.cos(angles) * width, np.sin(angles) * height), 1) * 0.49
            points = (points + (width / 2, height / 2)).astype(np.int32)
            cv2.fillPoly(mask, [points], 255, cv2.LINE_AA)
    return mask.astype(np.float32)[..., None] / 255


def _place(rng, canvas: np.ndarray, smallest: int, largest: int) -> np.ndarray:
    """A random rectangle of the canvas, as a view."""
    height, width = canvas.shape[:2]
    h = int(np.exp(rng.uniform(np.log(smallest), np.log(largest))))
    w = int(np.clip(h * np.exp(rng.normal(0, 0.5)), smallest, largest))
    top, left = rng.integers(0, max(1, height - h)), rng.integers(0, max(1, width - w))
    return canvas[top : top + h, left : left + w]


def _surfaces(rng, height: int, width: int) -> np.ndarray:
    """Reflectance (height, width, 3): a grained ground, covered with shapes from large to small."""
    log = _fractal(rng, height, width, 0.5, 3)[..., None] + np.log2(0.25 * _tint(rng, 0.3))
    canvas = np.exp2(log)
    count = rng.integers(60, 160)
    for largest in np.geomspace(max(height, width) / 2.5, 16, count):
        patch = _place(rng, canvas, 8, max(9, int(largest)))
        h, w = patch.shape[:2]
        colour = np.exp2(rng.uniform(-4.5, -0.3)) * _tint(rng, 0.3)
        mask = _shape(rng, h, w) * rng.uniform(0.7, 1.0)
        patch += mask * (np.exp2(0.5 * _pattern(rng, h, w))[..., None] * colour - patch)
    return np.clip(canvas, 0.002, 0.95)


def _add_emitter(rng, radiance: np.ndarray) -> int:
    """Paint a window, a lamp or a sign, with a halo around it; returns its area in px."""
    level = np.exp2(rng.uniform(1.5, 7.5))
    kind = rng.integers(3)
    patch = _place(rng, radiance, 24, 260) if kind == 0 else _place(rng, radiance, 14, 120)
    h, w = patch.shape[:2]
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    if kind == 0:  # window: bright surfaces behind a frame
        view = _surfaces(rng, h, w) * 2
        bars = rng.integers(2, 6, 2)
        waves = np.sin(x * bars[0] * np.pi / 2), np.sin(y * bars[1] * np.pi / 2)
        frame = np.minimum(*np.abs(waves)) < 0.12
        emission = np.where(frame[..., None], 0.1 / level, view) * level
        mask = np.ones((h, w, 1))
    elif kind == 1:  # lamp: falls off towards its rim, with a shade's texture
        profile = np.exp2(-2.5 * (x**2 + y**2) + 0.6 * _pattern(rng, h, w))
        emission = level * profile[..., None]
        mask = np.clip(8 * (1 - np.sqrt(x**2 + y**2)), 0, 1)[..., None]
    else:  # sign: shapes of several brightnesses
        emission = level * np.exp2(_pattern(rng, h, w) + 1.5 * _noise(rng, h, w, 3, 1.0))[..., None]
        mask = _shape(rng, h, w)
    patch += mask * (emission * _tint(rng, 0.25) - patch)
    halo = cv2.GaussianBlur((mask * emission).astype(np.float32), (0, 0), max(h, w) / 3)
    patch += 0.02 * halo.reshape(h, w, -1)
    return h * w
