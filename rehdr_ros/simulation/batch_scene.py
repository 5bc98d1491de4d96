"""Many scenes under moving cameras, rendered together in torch; scene.py's geometry, and things before it."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rehdr_ros.luminance import BT709
from rehdr_ros.simulation.motion import LookingAround, Sliding

TEXTURE = (512, 1024)  # height and width of every background
_PATCH = 64  # px, of a thing in the foreground


@dataclass(frozen=True)
class Background:
    """radiance: (512, 1024, 3) float32, on the batch's device; a panorama, or a flat canvas."""

    radiance: Tensor
    is_panorama: bool


class Flicker:
    """A light's gain over time: 1 + depth * sin."""

    def __init__(self, rng: np.random.Generator, depth: float):
        self._depth, self._frequency, self._phase = depth, rng.uniform(1, 25), rng.uniform(0, 2 * np.pi)

    def __call__(self, seconds: np.ndarray) -> np.ndarray:
        return 1 + self._depth * np.sin(2 * np.pi * self._frequency * seconds + self._phase)


class PanoramaCamera:
    """Looks around in a panorama. focal: px; speed: image motion, about px/s; size: px of the square view.

    rays: view pixels (x, y, 1) -> directions in the camera's frame, (3, 3).
    """

    def __init__(self, rng: np.random.Generator, size: int, focal: float, speed: float):
        self.orientation = LookingAround(rng, speed / focal)
        centre = (size - 1) / 2
        self.rays = np.array([[1 / focal, 0, -centre / focal], [0, 1 / focal, -centre / focal], [0, 0, 1]])

    def __call__(self, seconds: np.ndarray) -> np.ndarray:
        """View pixels (x, y, 1) -> directions, (..., 3, 3)."""
        return self.orientation(seconds) @ self.rays


def _sliding(rng, size: int, shape: tuple[int, int], scale: float, speed: float, bounds: list) -> Sliding:
    """Over a texture of height x width; size: px of the square view; bounds: (y, x), in texture px."""
    height, width = shape
    view, texture = ((size - 1) / 2,) * 2, ((width - 1) / 2, (height - 1) / 2)
    return Sliding(rng, scale, speed, bounds[::-1], view, texture)


class BatchScene:
    """`render(seconds)` and `luminance(seconds)`: what each camera sees at its own time.

    backgrounds: one a scene, panoramas first. things: how many patches move in front of each. speed, scale:
    (N,), image motion in px/s and the view's pixels in the texture's; 1.0 = the background's own resolution.
    texture: (N, 3, 512, 1026), of the backgrounds; cameras, light: one a scene; things: each has one a scene.
    """

    def __init__(
        self,
        backgrounds: list[Background],
        size: int,
        speed: np.ndarray,
        scale: np.ndarray,
        things: int,
        rng: np.random.Generator,
        device: torch.device,
    ):
        self._size, self._device = size, device
        self._panoramas = sum(b.is_panorama for b in backgrounds)
        self.texture = torch.stack([_with_seam(b) for b in backgrounds]).permute(0, 3, 1, 2).contiguous()
        self._grey = luminance_of(self.texture)
        y, x = torch.meshgrid(*(torch.arange(size, device=device, dtype=torch.float32),) * 2, indexing="ij")
        self._pixels = torch.stack((x, y, torch.ones_like(x)), -1).view(-1, 3)
        self.cameras, self.light = [], []
        for background, v, s in zip(backgrounds, speed, scale, strict=True):
            if background.is_panorama:
                self.cameras.append(PanoramaCamera(rng, size, TEXTURE[1] / (2 * np.pi) / s, v))
            else:
                bounds = [max(1.0, (n - s * size) / 2 * 0.9) for n in TEXTURE]
                self.cameras.append(_sliding(rng, size, TEXTURE, s, v, bounds))
            self.light.append(Flicker(rng, rng.choice((0.0, rng.uniform(0, 0.3)), p=(0.8, 0.2))))
        self._foreseen: dict[bytes, list[tuple[Tensor, Tensor]]] = {}
        self.things = [_Things(backgrounds, size, speed, rng) for _ in range(things)]

    def repeat(self, like: np.ndarray) -> None:
        """Give each scene the camera, the light and the things of another, (N,) indices; textures stay."""
        self.cameras, self.light = ([each[k] for k in like] for each in (self.cameras, self.light))
        for things in self.things:
            things.repeat(like)

    def foresee(self, seconds: np.ndarray) -> None:
        """Find the poses and the light of many times, (K, N), together: a GPU would wait for each."""
        self._foreseen = dict(zip([t.tobytes() for t in seconds], self._poses(seconds), strict=True))

    def render(self, seconds: np.ndarray) -> Tensor:
        """seconds: (N,), or (K, N) of K views. Returns linear radiance (N, 3, H, W) or (K, N, 3, H, W)."""
        return self._compose(self.texture, "colour", seconds)

    def luminance(self, seconds: np.ndarray) -> Tensor:
        """The luminance of `render`, one channel for three, for a third of its work."""
        return self._compose(self._grey, "grey", seconds)

    def _compose(self, texture: Tensor, kind: str, seconds: np.ndarray) -> Tensor:
        # All views of a scene one below the other: one image, one texture.
        times = np.atleast_2d(seconds)
        by_time = [self._foreseen.get(t.tobytes()) or self._poses(t[None])[0] for t in times]
        layers = [tuple(zip(*of_layer, strict=True)) for of_layer in zip(*by_time, strict=True)]
        # Poses (N, K, 3, 3) and light (N, 1, K, 1, 1).
        (poses, brightness), *others = [(torch.stack(p, 1), torch.stack(b, 2)) for p, b in layers]
        shape = len(texture), -1, len(times), self._size, self._size
        view = self.sample(texture, self._places(poses)).view(shape)
        for things, (thing_poses, light) in zip(self.things, others, strict=True):
            places = self._places(thing_poses)[..., :2].unflatten(1, (-1, self._size))
            grid = _normalised(places, _PATCH, _PATCH)
            layer = F.grid_sample(things.patches[kind], grid, align_corners=True).view(shape)
            view = torch.addcmul(light * layer[:, :-1], view, 1 - layer[:, -1:])
        view = (view * brightness).permute(2, 0, 1, 3, 4)
        return view if seconds.ndim > 1 else view[0]

    def _places(self, poses: Tensor) -> Tensor:
        """(N, K, 3, 3) -> what the pixels of K views show, (N, K * H * W, 3)."""
        return (self._pixels @ poses).flatten(1, 2)

    def _poses(self, seconds: np.ndarray) -> list[list[tuple[Tensor, Tensor]]]:
        """By time (K, N), and background or thing: (N, 3, 3), transposed, and light (N, 1, 1, 1)."""

        def uploaded(functions: list) -> Tensor:
            values = np.stack([f(t) for f, t in zip(functions, seconds.T, strict=True)], 1)
            return torch.from_numpy(values.astype(np.float32)).to(self._device)

        moving = [(self.cameras, self.light), *((things.cameras, things.flicker) for things in self.things)]
        layers = [(uploaded(a).transpose(-1, -2), uploaded(b)[..., None, None, None]) for a, b in moving]
        return [[(poses[k], light[k]) for poses, light in layers] for k in range(len(seconds))]

    def sample(self, texture: Tensor, places: Tensor) -> Tensor:
        """Of one like `texture`, at places (N, K * H * W, 3): directions in panoramas, else px (x, y, 1)."""
        height, width = TEXTURE
        rays, flat = places[: self._panoramas], places[self._panoramas :]
        longitude = torch.atan2(rays[..., 0], rays[..., 2])
        latitude = torch.atan2(rays[..., 1], torch.hypot(rays[..., 0], rays[..., 2]))
        x = (longitude / (2 * torch.pi) + 0.5) * width % width
        y = (latitude / torch.pi + 0.5) * height - 0.5
        grid = torch.cat((torch.stack((x, y), -1), flat[..., :2])).unflatten(1, (-1, self._size))
        grid = _normalised(grid, height, texture.shape[-1])
        return F.grid_sample(texture, grid, padding_mode="border", align_corners=True)


class _Things:
    """A shape before each scene, of some scene's texture, darker or far brighter; moves, may flicker."""

    def __init__(self, backgrounds: list[Background], size: int, speed: np.ndarray, rng):
        patches, self.cameras, self.flicker = [], [], []
        for v in speed:
            source = backgrounds[rng.integers(len(backgrounds))].radiance
            top, left = (rng.integers(0, n - _PATCH) for n in TEXTURE)
            texture = source[top : top + _PATCH, left : left + _PATCH] * 2 ** rng.uniform(-2, 4)
            alpha = torch.from_numpy(_shape(rng)).to(source.device)[..., None]
            patches.append(torch.cat((texture * alpha, alpha), 2))
            extent = size * rng.uniform(0.15, 0.6)
            motion, bounds = v * rng.uniform(0.5, 2), [0.6 * _PATCH * size / extent] * 2
            self.cameras.append(_sliding(rng, size, (_PATCH, _PATCH), _PATCH / extent, motion, bounds))
            self.flicker.append(Flicker(rng, rng.choice((0.0, rng.uniform(0, 0.9)), p=(0.7, 0.3))))
        colour = torch.stack(patches).permute(0, 3, 1, 2).contiguous()
        self.patches = {"colour": colour, "grey": torch.cat((luminance_of(colour[:, :3]), colour[:, 3:]), 1)}

    def repeat(self, like: np.ndarray) -> None:
        self.cameras, self.flicker = ([each[k] for k in like] for each in (self.cameras, self.flicker))
        order = torch.as_tensor(like, device=self.patches["grey"].device)
        self.patches = {kind: patches[order] for kind, patches in self.patches.items()}


def _shape(rng: np.random.Generator) -> np.ndarray:
    """Anti-aliased mask (64, 64) of a random ellipse or polygon, with a clear border."""
    mask = np.zeros((_PATCH, _PATCH), np.uint8)
    middle = _PATCH // 2
    if rng.random() < 0.5:
        axes = rng.integers(_PATCH // 6, middle - 2, 2)
        cv2.ellipse(mask, (middle, middle), axes.tolist(), rng.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        points = middle + (middle - 3) * np.stack((np.cos(angles), np.sin(angles)), 1)
        cv2.fillPoly(mask, [points.astype(np.int32)], 255, cv2.LINE_AA)
    return mask.astype(np.float32) / 255


def _with_seam(background: Background) -> Tensor:
    """Two columns more: room to interpolate across a panorama's seam."""
    radiance = background.radiance
    return torch.cat((radiance, radiance[:, :2] if background.is_panorama else radiance[:, -2:]), 1)


def luminance_of(rgb: Tensor) -> Tensor:
    """(..., 3, H, W) linear RGB -> (..., 1, H, W)."""
    return (rgb * _constant(tuple(BT709.tolist()), rgb.device).view(3, 1, 1)).sum(-3, keepdim=True)


def _normalised(places: Tensor, height: int, width: int) -> Tensor:
    """Pixel coordinates (..., 2) -> those of grid_sample."""
    return places * _constant((2 / (width - 1), 2 / (height - 1)), places.device) - 1


@cache
def _constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)
