"""Events of a frame's interval -> what the network gets of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.errors import InputError
from rehdr_ros.events import Camera, Events, HotPixels, Registration, voxel_grid
from rehdr_ros.events.device_grid import DeviceVoxelGrid
from rehdr_ros.settings import Settings, setting

REGISTRATIONS = ("scale", "identity", "homography", "camera_info")

_QUANTILE = 0.98  # of the cells that events reached; hot pixels are fewer than the rest
_FLOOR = 1.0  # event: what a nearly empty grid is divided by
_SAMPLE = 100_000  # cells that tell the quantile

Size = tuple[int, int]  # width, height


@dataclass(frozen=True)
class VoxelConfig(Settings):
    """How the event camera's pixels relate to the frame's; the ROS parameters of the same names."""

    registration: str = setting(
        "scale",
        "of events to frames: scale (same optics, any resolution), identity (the same pixels), homography "
        "(by the nine numbers of homography), camera_info (by the calibration on event_camera_info and "
        "camera_info)",
        choices=REGISTRATIONS,
        group="registration",
    )
    event_roi: tuple[int, ...] = setting(
        (),
        "registration=scale: what the frames show of the event image, px: x y width height; empty: all of it",
        lengths=(0, 4),
    )
    homography: tuple[float, ...] = setting(
        (), "registration=homography: 3x3, 9 numbers, row by row, from event to frame pixels", lengths=(0, 9)
    )
    hot_pixel_filter: bool = setting(False, "leave out event pixels that fire whatever they see")
    hot_pixel_threshold: float = setting(
        5.0, "rate against the neighbours' from which a pixel counts as hot", least=1.01, most=1000
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        roi = list(self.event_roi)
        if roi and self.registration != "scale":
            raise InputError(f"event_roi {roi}: goes with registration=scale; set it to [] for another one")
        if roi and min(roi[2:]) < 1:
            raise InputError(f"event_roi {roi}: width and height must be positive")
        if self.registration == "homography" and not self.homography:
            raise InputError("registration=homography needs the 9 numbers of homography")
        if self.homography:
            Registration.check_homography(self.homography)


class VoxelInput:
    """Voxel grids in the frame's pixels, in the network's units, on its device.

    units, by the network's configuration: "counts", signed events; "quantile", divided by a high quantile of
    what the events reached, in -1..1.
    """

    def __init__(self, config: VoxelConfig, bins: int, units: str, device: torch.device) -> None:
        self._config, self._bins, self._units, self._device = config, bins, units, device
        self._on_device = DeviceVoxelGrid(device) if device.type == "cuda" else None
        self._grid = np.zeros((0, 0, 0), np.float32)
        self._cameras: dict[str, Camera] = {}
        self.problem = self.doubt = ""
        self.forget()

    def configure(self, config: VoxelConfig) -> None:
        """Go on with other settings."""
        self._config = config
        self.forget()

    def forget(self) -> None:
        """Forget the sensor too: its hot pixels and its registration."""
        self._hot: HotPixels | None = None
        self._registered: tuple | None = None  # what the registration was made for
        self._registration: Registration | None = None
        self._masked: tuple[int, Registration | None] = 0, None  # without the hot pixels of that version

    @property
    def registration(self) -> Registration | None:
        """Of the events that `build` got last, without the hot pixels; None where the pixels are the same."""
        return self._masked[1]

    @property
    def hot_pixels(self) -> int:
        """How many are left out."""
        return int(self._hot.mask.sum()) if self._hot else 0

    def set_camera(self, of: str, camera: Camera) -> None:
        """The camera of the "events" or the "frames", for registration=camera_info. From any thread."""
        self._cameras[of] = camera

    def take_cameras(self, other: VoxelInput) -> None:
        """Know the cameras that another one knows."""
        self._cameras.update(other._cameras)

    def build(
        self,
        events: Events,
        event_size: Size | None,
        t0: int,
        t1: int,
        frame_size: Size,
        exposures: tuple[int, int] = (0, 0),
    ) -> Tensor:
        """Events of (t0, t1] -> (1, bins, H, W) float32, signed events. event_size None: the frame's.

        exposures: as of voxel_grid; the events then begin and end with them. Where they can't be registered
        the grid is zero, and `problem` says why; `doubt` says why they may be registered wrongly. The tensor
        holds until the next call.
        """
        shape, registration = (self._bins, frame_size[1], frame_size[0]), None
        if event_size is not None or len(events):  # else the event camera isn't known yet
            event_size = event_size or frame_size
            if self._config.hot_pixel_filter:
                counted = t0 - exposures[0] // 2 + exposures[0]  # with the frame before
                first = np.searchsorted(events.t, counted, side="right")
                self._find_hot_pixels(events[first:], event_size, t1)
            registration = self._registration_of(event_size, frame_size)
        if self.problem:
            events = Events.empty()
        if self._on_device:
            return self._on_device(events, t0, t1, *shape, registration, exposures)[None]
        if self._grid.shape != shape:
            self._grid = np.zeros(shape, np.float32)
        return torch.from_numpy(voxel_grid(events, t0, t1, *shape, self._grid, registration, exposures))[None]

    def from_grid(self, grid: np.ndarray, frame_size: Size) -> Tensor:
        """A grid of signed events (bins, H, W) built elsewhere. Raises ValueError for another shape."""
        expected = self._bins, frame_size[1], frame_size[0]
        if grid.shape != expected:
            raise InputError(f"the network takes grids of {expected} (bins, height, width), not {grid.shape}")
        return torch.from_numpy(np.ascontiguousarray(grid, np.float32)).to(self._device)[None]

    def in_units(self, voxel: Tensor) -> Tensor:
        """What `build` returned, in the network's units."""
        return normalised(voxel) if self._units == "quantile" else voxel

    def _find_hot_pixels(self, events: Events, size: Size, t1: int) -> None:
        if self._hot is None or self._hot.size != size:
            self._hot = HotPixels(*size, self._config.hot_pixel_threshold)
        self._hot.update(events, t1)

    def _registration_of(self, event_size: Size, frame_size: Size) -> Registration | None:
        """None where the pixels are the same."""
        cameras = self._cameras.get("events"), self._cameras.get("frames")
        wanted = event_size, frame_size, *cameras
        if wanted != self._registered:
            try:
                registration = registration_of(self._config, event_size, frame_size, *cameras)
                self._registration, self.problem = registration, ""
            except InputError as error:
                self._registration, self.problem = None, str(error)
            self._registered, self._masked = wanted, (0, self._registration)
            self.doubt = self._doubt(event_size, frame_size)
        version = self._hot.version if self._hot else 0
        if version != self._masked[0] and not self.problem:
            registration = self._registration or Registration.identity(frame_size)
            self._masked = version, registration.without(self._hot.mask)
        return self._masked[1]

    def _doubt(self, event_size: Size, frame_size: Size) -> str:
        registration = self._config.registration
        if event_size == frame_size or registration not in ("scale", "identity"):
            return ""
        sizes = f"events of {event_size} and frames of {frame_size} pixels"
        advice = "unless both cameras share their optics, set it to homography or camera_info"
        return f"{sizes}, with registration={registration}: {advice}"


def registration_of(
    config: VoxelConfig,
    event_size: Size,
    frame_size: Size,
    event_camera: Camera | None = None,
    frame_camera: Camera | None = None,
) -> Registration | None:
    """How event pixels relate to frame pixels by the configuration; None where they are the same.

    Raises InputError where that can't be told, or they have no pixel in common.
    """
    if config.registration == "homography":
        return Registration.from_homography(event_size, frame_size, config.homography)
    if config.registration == "camera_info":
        of = ("events", event_camera, event_size), ("frames", frame_camera, frame_size)
        cameras = []
        for name, camera, size in of:
            if camera is None:
                raise InputError(f"registration=camera_info, and no camera info of the {name} has come yet")
            if camera.of_size(size) is None:
                given, needed = f"{camera.width}x{camera.height}", f"{size[0]}x{size[1]}"
                raise InputError(f"the camera info of the {name} is for {given} pixels, they have {needed}")
            cameras.append(camera.of_size(size))
        return Registration.between_cameras(*cameras)
    if config.registration == "scale" and (event_size != frame_size or config.event_roi):
        return Registration.scaled(event_size, frame_size, config.event_roi)
    if event_size == frame_size:
        return None
    return Registration.from_homography(event_size, frame_size, np.eye(3))


def normalised(voxel: Tensor) -> Tensor:
    """Divide by the 98th percentile of the non-zero magnitudes, at least one event, and clamp to -1..1.

    By the largest magnitude, as published, one hot pixel would dim all others, an empty grid would be NaN.
    """
    magnitudes = voxel.abs().flatten()
    magnitudes = magnitudes[magnitudes > 0]
    if not len(magnitudes):
        return voxel
    sample = magnitudes[:: 1 + len(magnitudes) // _SAMPLE]
    return (voxel / torch.quantile(sample, _QUANTILE).clamp_min(_FLOOR)).clamp(-1, 1)
