"""Event pixels -> frame pixels, by a look-up table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass

import cv2
import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.jit import kernel, sealed

Size = tuple[int, int]  # width, height
Mapping = Callable[[np.ndarray], np.ndarray]  # (N, 2) float64 pixels (x, y) -> (N, 2); NaN: no image

_ROUND_TRIP = 1.0  # px by which a pixel that is mapped there and back may miss itself


@dataclass(frozen=True)
class Camera:
    """A sensor_msgs/msg/CameraInfo: size in px, distortion model and coefficients, two matrices.

    matrix (intrinsic), rectification: 3x3, row by row; a rectification of zeros is none. model: plumb_bob (or
    ""), rational_polynomial or equidistant. sensor: the camera of the whole sensor, where the pixels are a
    part of it, or binned. Raises ValueError for another one and for an uncalibrated camera.
    """

    width: int
    height: int
    matrix: tuple[float, ...]
    distortion: tuple[float, ...] = ()
    model: str = "plumb_bob"
    rectification: tuple[float, ...] = (0.0,) * 9
    sensor: Camera | None = None

    def __post_init__(self) -> None:
        if self.model not in ("", "plumb_bob", "rational_polynomial", "equidistant"):
            known = "plumb_bob, rational_polynomial or equidistant"
            raise InputError(f"distortion model {self.model!r}: use {known}")
        lengths = (0, 4) if self.model == "equidistant" else (0, 4, 5, 8, 12, 14)
        if len(self.distortion) not in lengths or not np.isfinite((*self.distortion, *self.matrix)).all():
            raise InputError(f"distortion {list(self.distortion)}: needs one of {lengths} finite numbers")
        fits = len(self.matrix) == len(self.rectification) == 9 and self.width > 0 and self.height > 0
        if not fits or not np.isfinite(self.rectification).all() or not self.matrix[0] * self.matrix[4] > 0:
            raise InputError("a camera info without size or intrinsic matrix: the camera is not calibrated")

    def of_size(self, size: Size) -> Camera | None:
        """The camera whose images are of that size: this one, or the whole sensor's; None: neither."""
        cameras = (self, self.sensor) if self.sensor else (self,)
        return next((camera for camera in cameras if (camera.width, camera.height) == size), None)


class Registration:
    """Where in the frame each pixel of the event camera lies.

    `table`, int32, holds the frame's y * width + x at the event camera's 1 + y * width + x, or -1 for what
    the frame doesn't show, and -1 in front.

    Every event goes to one pixel. `complete` then takes the mean where several event pixels share a frame
    pixel, so that a grid goes on to count events a pixel, and fills the frame's pixels that no event pixel
    reached from the nearest one's. forward, backward: the mapping of pixels from the event camera to the
    frame, and its inverse. Raises ValueError where the frame shows nothing of what the event camera sees.
    """

    def __init__(self, event_size: Size, frame_size: Size, forward: Mapping, backward: Mapping) -> None:
        self.event_size, self.frame_size = event_size, frame_size
        nearest = _nearest(forward, backward, event_size, frame_size)
        if (nearest < 0).all():
            what = f"no event pixel of {event_size} into the frame of {frame_size}"
            raise InputError(f"the registration maps {what}")
        reached = np.zeros(frame_size[0] * frame_size[1], bool)
        reached[nearest[nearest >= 0]] = True
        self._empty = np.flatnonzero(~reached).astype(np.int32)
        self._sources = _nearest(backward, forward, frame_size, event_size, self._empty)  # event pixels
        self.index(nearest)

    def index(self, nearest: np.ndarray) -> None:
        """Set the table and what follows from it; nearest: by event pixel the frame's, int32, -1 for none."""
        self.table = sealed(np.append(np.int32(-1), nearest))
        hits = np.bincount(nearest[nearest >= 0], minlength=self.frame_size[0] * self.frame_size[1])
        shared = np.flatnonzero(hits > 1).astype(np.int32)
        self.shared, self.weights = sealed(shared), sealed((1 / hits[shared]).astype(np.float32))
        donors = self.table[1 + self._sources]
        self.holes, self.donors = sealed(self._empty[donors >= 0]), sealed(donors[donors >= 0])

    @classmethod
    def identity(cls, size: Size) -> Registration:
        """The event camera's pixels are the frame's."""
        return cls(size, size, _same, _same)

    @classmethod
    def scaled(cls, event_size: Size, frame_size: Size, roi: Sequence[int] = ()) -> Registration:
        """Same optics, other resolution: the frame shows the whole event image, or its part `roi`.

        roi: x, y, width, height in px.
        """
        x, y, width, height = roi or (0, 0, *event_size)
        if width < 1 or height < 1:
            raise InputError(f"event_roi {list(roi)}: x, y, width and height in px, of some area")
        across, down = frame_size[0] / width, frame_size[1] / height
        # A pixel's centre lies at its whole number: edges meet at -0.5.
        matrix = [[across, 0, across * (0.5 - x) - 0.5], [0, down, down * (0.5 - y) - 0.5], [0, 0, 1]]
        return cls.from_homography(event_size, frame_size, matrix)

    @classmethod
    def from_homography(cls, event_size: Size, frame_size: Size, matrix: Sequence) -> Registration:
        """`matrix`: 3x3 (or its 9 numbers, row by row), event pixel (x, y, 1) -> frame pixel, up to scale.

        What lies beyond its horizon, as seen from the middle of the event image, is not in the frame.
        """
        matrix = cls.check_homography(matrix)
        if matrix[2] @ (event_size[0] / 2, event_size[1] / 2, 1) < 0:
            matrix = -matrix
        inverse = np.linalg.inv(matrix)
        return cls(event_size, frame_size, lambda p: _project(p, matrix), lambda p: _project(p, inverse))

    @staticmethod
    def check_homography(matrix: Sequence) -> np.ndarray:
        """As float64 of shape (3, 3). Raises ValueError for what is no homography."""
        matrix = np.asarray(matrix, np.float64).reshape(-1)
        fits = matrix.size == 9 and np.isfinite(matrix).all()
        if not fits or np.linalg.matrix_rank(matrix.reshape(3, 3)) < 3:
            needed = "9 finite numbers of an invertible 3x3 matrix"
            raise InputError(f"homography {matrix.tolist()}: needs {needed}")
        return matrix.reshape(3, 3)

    @classmethod
    def between_cameras(cls, event_camera: Camera, frame_camera: Camera) -> Registration:
        """Undistortion, rotation, distortion: right for what is far away against the cameras' distance.

        Both rectification matrices must lead to one frame, as a stereo calibration has it.
        """
        there = _rotation(frame_camera).T @ _rotation(event_camera)
        return cls(
            (event_camera.width, event_camera.height),
            (frame_camera.width, frame_camera.height),
            lambda p: _see(_rays(p, event_camera) @ there.T, frame_camera),
            lambda p: _see(_rays(p, frame_camera) @ there, event_camera),
        )

    def without(self, masked: np.ndarray) -> Registration:
        """The same without the event pixels that are True in `masked`, bool (height, width)."""
        other = copy(self)
        other.index(np.where(masked.ravel(), np.int32(-1), self.table[1:]))
        return other

    def complete(self, grid: np.ndarray) -> None:
        """Finish a (bins, height, width) grid into which events went by `table`, in place."""
        _complete(grid.reshape(len(grid), -1), self.shared, self.weights, self.holes, self.donors)


@kernel
def _complete(grid, shared, weights, holes, donors):
    for plane in grid:
        for i in range(len(shared)):
            plane[np.uint32(shared[i])] *= weights[i]
        for i in range(len(holes)):
            plane[np.uint32(holes[i])] = plane[np.uint32(donors[i])]


def _nearest(
    there: Mapping, back: Mapping, size: Size, other_size: Size, numbers: np.ndarray | None = None
) -> np.ndarray:
    """The other image's pixel nearest to each (or to those of these numbers), int32, -1 where none is."""
    numbers = np.arange(size[0] * size[1]) if numbers is None else numbers
    if not len(numbers):  # which OpenCV can't map
        return np.empty(0, np.int32)
    points = np.stack((numbers % size[0], numbers // size[0]), 1).astype(np.float64)
    mapped = there(points)
    # Distortion models fold what lies far outside the image back into it.
    missed = ~(np.abs(back(mapped) - points).max(1) < _ROUND_TRIP)
    nearest = _number(mapped, other_size)
    nearest[missed] = -1
    return nearest


def _number(points: np.ndarray, size: Size) -> np.ndarray:
    """(N, 2) pixels -> y * width + x of the nearest, int32, -1 outside the image."""
    with np.errstate(invalid="ignore"):
        inside = ((points > -0.5) & (points < np.array(size) - 0.5)).all(1)
    rounded = np.rint(np.where(inside[:, None], points, 0)).astype(np.int32)
    return np.where(inside, rounded[:, 1] * size[0] + rounded[:, 0], -1).astype(np.int32)


def _same(points: np.ndarray) -> np.ndarray:
    return points


def _project(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    homogeneous = points @ matrix[:, :2].T + matrix[:, 2]
    ahead = homogeneous[:, 2:] > 0
    return np.where(ahead, homogeneous[:, :2] / np.where(ahead, homogeneous[:, 2:], 1), np.nan)


def _rotation(camera: Camera) -> np.ndarray:
    matrix = np.asarray(camera.rectification, np.float64).reshape(3, 3)
    return matrix if matrix.any() else np.eye(3)


def _rays(points: np.ndarray, camera: Camera) -> np.ndarray:
    """(N, 2) pixels -> (N, 3) directions in the camera's frame."""
    matrix, distortion = _intrinsics(camera)
    safe = np.nan_to_num(points, nan=-1e6)[:, None]
    if camera.model == "equidistant":
        plane = cv2.fisheye.undistortPoints(safe, matrix, distortion[:4])
    else:
        until = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-8)
        undistort = getattr(cv2, "undistortPointsIter", cv2.undistortPoints)  # of OpenCV 4, of 5
        plane = undistort(safe, matrix, distortion, R=None, P=None, criteria=until)
    return np.concatenate((plane[:, 0], np.ones((len(points), 1))), 1)


def _see(rays: np.ndarray, camera: Camera) -> np.ndarray:
    """(N, 3) directions -> (N, 2) pixels, NaN for what lies behind the camera."""
    matrix, distortion = _intrinsics(camera)
    ahead = rays[:, 2] > 1e-6
    plane = np.where(ahead[:, None], rays[:, :2] / np.where(ahead, rays[:, 2], 1)[:, None], 0)
    if camera.model == "equidistant":
        points = cv2.fisheye.distortPoints(plane[:, None], matrix, distortion[:4])[:, 0]
    else:
        spread = np.concatenate((plane, np.ones((len(plane), 1))), 1)
        points = cv2.projectPoints(spread, np.zeros(3), np.zeros(3), matrix, distortion)[0][:, 0]
    return np.where(ahead[:, None], points, np.nan)


def _intrinsics(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    matrix, distortion = (np.asarray(each, np.float64) for each in (camera.matrix, camera.distortion))
    return matrix.reshape(3, 3), distortion if distortion.size >= 4 else np.zeros(4)
