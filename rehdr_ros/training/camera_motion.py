"""Sequences of a simulated camera, reconstructed, with the true way of every pixel from frame to frame."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.reconstruction.tonemap import ToneMapper
from rehdr_ros.simulation import SimulationConfig, simulate
from rehdr_ros.simulation.scene import load_radiance, make_scene
from rehdr_ros.wire.image import pack_image

_CLAHE = cv2.createCLAHE(3.0, (8, 8))  # as the ROS nodes of ORB-SLAM3 and VINS-Mono equalise


@dataclass(frozen=True)
class Sequence:
    """ldr: (H, W, 3) uint8; radiance, truth: (H, W, 3) float32; sigma: (H, W) float32, nat, of the radiance;
    poses: 3x3, pixel to world, up to scale."""

    stamps: list[int]
    ldr: list[np.ndarray]
    radiance: list[np.ndarray]
    sigma: list[np.ndarray | None]
    truth: list[np.ndarray]
    poses: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.stamps)

    def motion(self, i: int, j: int) -> np.ndarray:
        """The homography from pixels of frame i to those of frame j."""
        return np.linalg.inv(self.poses[j]) @ self.poses[i]

    def mono8(self, variant: str) -> list[np.ndarray]:
        """uint8 images of "LDR", "HDR, OPERATOR" or "truth, OPERATOR" for a detector, also with ", CLAHE"."""
        source, *rest = variant.split(", ")
        equalised = rest[-1:] == ["CLAHE"]
        images = self.ldr
        if source != "LDR":
            tonemapper, certain = ToneMapper(rest[0]), [None] * len(self)
            planes = (self.radiance, self.sigma) if source == "HDR" else (self.truth, certain)
            images = []
            for image, sigma, stamp in zip(*planes, self.stamps, strict=True):
                unsure = None if sigma is None else torch.from_numpy(sigma)
                images.append(tonemapper(torch.from_numpy(image), stamp, unsure).pixels)
        return [_CLAHE.apply(mono8(image)) if equalised else mono8(image) for image in images]


def mono8(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (H, W) uint8, as the node's `tonemapped_encoding: mono8`."""
    return np.frombuffer(pack_image(rgb, "mono8")[1], np.uint8).reshape(rgb.shape[:2])


def record(config: SimulationConfig, weights: str) -> Sequence:
    """Simulate, and reconstruct every frame."""
    pipeline = HdrPipeline(PipelineConfig(weights=weights, policy="all"))
    samples = list(simulate(config))
    frames = []
    for sample in samples:
        pipeline.add_events(sample.events)
        pipeline.add_frame(sample.stamp_ns, sample.ldr)
        frames += pipeline.take()
    frames += pipeline.take(flush=True)
    return Sequence(
        [sample.stamp_ns for sample in samples],
        [sample.ldr for sample in samples],
        [frame.radiance for frame in frames],
        [frame.picture("sigma") for frame in frames],
        [sample.truth for sample in samples],
        _camera_poses(config, [sample.stamp_ns * 1e-9 + config.exposure / 2 for sample in samples]),
    )


def warped_back(image: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """The image, as float32, seen from where `motion` starts; NaN where it shows nothing."""
    size, flags = image.shape[1::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(image.astype(np.float32), motion, size, flags=flags, borderValue=(np.nan,) * 3)


def _camera_poses(config: SimulationConfig, seconds: list[float]) -> list[np.ndarray]:
    """By the same camera in front of a scene whose values are places."""
    radiance = load_radiance(config.scene, config.height, config.width, config.seed)
    rng = np.random.default_rng([config.seed, 1])  # as simulate() has it
    scene = make_scene(_places(*radiance.shape[:2]), config.height, config.width, config.speed, rng)
    return [_pixel_to_world(scene.render(t)) for t in seconds]


def _places(height: int, width: int) -> np.ndarray:
    """Each pixel's homogeneous coordinates, of a panorama its direction; (H, W, 3) float32."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    if width != 2 * height:
        return np.stack((x / width, y / width, np.ones_like(x)), -1).astype(np.float32)
    longitude, latitude = 2 * np.pi * x / width, np.pi * (y + 0.5) / height
    ray = (np.sin(latitude) * np.sin(longitude), np.cos(latitude), np.sin(latitude) * np.cos(longitude))
    return np.stack(ray, -1).astype(np.float32)


def _pixel_to_world(view: np.ndarray) -> np.ndarray:
    """M, 3x3, so that M (x, y, 1) is parallel to view[y, x] of (H, W, 3): the direct linear transform."""
    height, width = view.shape[:2]
    grid = np.mgrid[0.1 * height : 0.9 * height : 16j, 0.1 * width : 0.9 * width : 16j]
    y, x = grid.astype(int).reshape(2, -1)
    pixel, place = np.stack((x / width, y / width, np.ones_like(x)), 1), view[y, x].astype(np.float64)
    zero = np.zeros_like(pixel)
    px, py, pz = (place[:, k, None] * pixel for k in range(3))
    # place x (M pixel) = 0
    equations = np.block([[zero, -pz, py], [pz, zero, -px], [-py, px, zero]])
    matrix = np.linalg.svd(equations, full_matrices=False)[2][-1].reshape(3, 3)
    return matrix @ np.diag((1 / width, 1 / width, 1))
