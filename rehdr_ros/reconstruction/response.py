"""Display-encoded LDR values -> linear radiance."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.errors import InputError


class Response:
    """The camera's response: a power (2.2 as in the paper), or a file that tabulates it.

    A table (`.npy`, or text with one number per line) holds the linear values, 0..1, of evenly spaced
    display values from black to white. white_level: value at which 16-bit images saturate; 0: at their full scale.
    Raises ValueError for anything else.
    """

    def __init__(self, response: float | str | Path = 2.2, white_level: int = 0):
        self._white_level = white_level
        self._power, self._table = None, None
        try:
            self._power = float(response)
        except (TypeError, ValueError):
            self._table = _read_table(Path(response))
        if self._power is not None and not 0.1 <= self._power <= 10:
            raise InputError(f"response={response}: a power between 0.1 and 10, or a table's file")
        self._lookups: dict[tuple, Tensor] = {}

    def __call__(self, display: float) -> float:
        """The linear value of a display value, both in 0..1."""
        return float(self._apply(torch.tensor([display], dtype=torch.float64)))

    def linearise(self, image: np.ndarray, device: torch.device) -> Tensor:
        """(H, W) or (H, W, 3) uint8, uint16 or float32 in 0..1 -> (1, 3, H, W) float32 in 0..1 on the device."""
        pixels = torch.from_numpy(np.array(image, order="C")).to(device)  # a copy: messages are read-only
        if pixels.dtype in (torch.uint8, torch.uint16):
            linear = self._lookup(pixels.dtype, device)[pixels.to(torch.int32)]
        else:
            linear = self._apply(torch.nan_to_num(pixels.float()).clamp(0, 1))
        if linear.ndim == 2:
            return linear.expand(1, 3, *linear.shape)
        return linear.permute(2, 0, 1).unsqueeze(0)

    def _lookup(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        key = (dtype, str(device))
        if key not in self._lookups:
            levels = 256 if dtype == torch.uint8 else 65536
            values = torch.arange(levels, dtype=torch.float64) / self.white(np.dtype(f"u{dtype.itemsize}"))
            self._lookups[key] = self._apply(values.clamp_max(1)).float().to(device)
        return self._lookups[key]

    def white(self, dtype: np.dtype) -> float:
        """The value of images of this type that means white."""
        if dtype == np.uint16 and self._white_level:
            return self._white_level
        return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0

    def _apply(self, values: Tensor) -> Tensor:
        if self._table is None:
            return values**self._power
        grid = np.linspace(0, 1, len(self._table))
        linear = np.interp(values.cpu().numpy(), grid, self._table)
        return torch.from_numpy(linear).to(values)


def _read_table(path: Path) -> np.ndarray:
    try:
        table = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path)
        table = np.asarray(table, np.float64).ravel()
    except OSError as error:
        raise InputError(f"response {str(path)!r}: neither a power nor a readable file ({error.strerror})") from error
    except (EOFError, TypeError, ValueError) as error:
        # Without the reader's words, which quote the file: anybody may name one by a parameter.
        raise InputError(f"response {str(path)!r}: neither a power nor a table of numbers") from error
    if len(table) < 2 or not np.isfinite(table).all() or (np.diff(table) < 0).any() or table[-1] <= 0:
        raise InputError(f"response {path}: a table needs at least two rising, finite values")
    return table / table[-1]
