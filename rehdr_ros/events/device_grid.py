"""Events of an interval -> voxel grid, by PyTorch on its device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.events.packet import Events
from rehdr_ros.events.registration import Registration
from rehdr_ros.transfer import upload


class DeviceVoxelGrid:
    """voxel_grid on a torch device: the same arguments, the same sums up to rounding, as a tensor there.

    The events travel as they are, 13 bytes each; a registration's tables stay on the device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._registration: Registration | None = None
        self._tables: tuple[Tensor, ...] = ()

    def __call__(
        self,
        events: Events,
        t0: int,
        t1: int,
        bins: int,
        height: int,
        width: int,
        registration: Registration | None = None,
        exposures: tuple[int, int] = (0, 0),
    ) -> Tensor:
        """Float32 (bins, height, width)."""
        grid = torch.zeros((bins, height * width), dtype=torch.float32, device=self._device)
        if len(events) and t1 > t0:
            size = (width, height) if registration is None else registration.event_size
            self._add(events, t0, t1, exposures, size, registration, grid)
        return grid.view(bins, height, width)

    def _add(self, events: Events, t0, t1, exposures, size, registration, grid: Tensor) -> None:
        bins, pixels = grid.shape
        t, p = self._upload(events.t), self._upload(events.p)
        # As int16: devices know little of unsigned 16-bit integers.
        x, y = (self._upload(column.view(np.int16)).long() & 0xFFFF for column in (events.x, events.y))
        pixel = torch.where((x < size[0]) & (y < size[1]), y * size[0] + x, -1)
        if registration is not None:
            table, shared, weights, holes, donors = self._registered(registration)
            pixel = table[pixel + 1]
        position = (t.clamp(t0, t1) - t0).to(torch.float64) * ((bins - 1) / (t1 - t0))
        lower = position.to(torch.int64).clamp_(0, max(bins - 2, 0))
        polarity = torch.where(p != 0, 1.0, -1.0)
        middles = zip((t0, t1), exposures, strict=True)
        (begin, whole_from), (whole_until, end) = ((at - n // 2, at - n // 2 + n) for at, n in middles)
        if any(exposures):
            starts = zip((begin, whole_until), exposures, strict=True)
            passed = ((t - at).double() / max(n, 1) for at, n in starts)
            before, after = (share.clamp(0, 1).float() for share in passed)
            polarity = polarity * (before - after)
        polarity = torch.where((t > begin) & (t <= end) & (pixel >= 0), polarity, 0.0)
        share = polarity * (position - lower).to(torch.float32)
        # What doesn't count adds nothing, to any cell that exists.
        cell = lower * pixels + pixel.clamp_min(0)
        flat = grid.view(-1)
        flat.index_add_(0, cell, polarity - share)
        if bins > 1:
            flat.index_add_(0, cell + pixels, share)
        if registration is not None:
            grid[:, shared] *= weights
            grid[:, holes] = grid[:, donors]

    def _registered(self, registration: Registration) -> tuple[Tensor, ...]:
        if registration is not self._registration:
            r = registration
            columns = (r.table, r.shared, r.weights, r.holes, r.donors)
            table, shared, weights, holes, donors = map(self._upload, columns)
            self._tables = table.long(), shared.long(), weights, holes.long(), donors.long()
            self._registration = registration
        return self._tables

    def _upload(self, column: np.ndarray) -> Tensor:
        return upload(column, self._device)
