"""Display-encoded LDR values -> linear radiance."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.errors import InputError
from rehdr_ros.jit import sealed
from rehdr_ros.reconstruction.clipping import CLIPPED_LEVEL, clipped_fraction, clipped_from
from rehdr_ros.reconstruction.response_kernels import interpolate, look_up
from rehdr_ros.transfer import upload


class Linear(NamedTuple):
    """A frame in linear RGB."""

    pixels: Tensor  # (1, 3, H, W) float32 in 0..1
    clipped_fraction: float  # share of those with a channel at 250/255 of where the camera saturates


class Response:
    """The camera's response: a power (2.2 as in the paper), or a file that tabulates it.

    A table (`.npy`, or text with one number per line) holds the linear values, 0..1, of evenly spaced display
    values from black to white; the camera saturates where it first has the last value. white_level: value at
    which 16-bit images saturate; 0: at their full scale.
    Raises ValueError for anything else.
    """

    def __init__(self, response: float | str | Path = 2.2, white_level: int = 0):
        self._white_level = white_level
        self._power, self._values, self._saturates = None, None, 1.0
        try:
            self._power = float(response)
        except (TypeError, ValueError):
            self._values = _read_table(Path(response))
            whites = self._values.astype(np.float32) == 1
            self._saturates = whites.argmax() / (len(whites) - 1)  # display value
        if self._power is not None and not 0.1 <= self._power <= 10:
            raise InputError(f"response={response}: a power between 0.1 and 10, or a table's file")
        self._tables: dict[tuple, Tensor] = {}

    def __call__(self, display: float) -> float:
        """The linear value of a display value, both in 0..1."""
        return float(self._apply(np.array([display]))[0])

    @property
    def clipped_from(self) -> float:
        """The linear value from which a channel counts as clipped, below 1."""
        return self(CLIPPED_LEVEL / 255 * self._saturates)

    def linearise(self, image: np.ndarray, device: torch.device) -> Linear:
        """(H, W) or (H, W, 3) uint8, uint16 or float32 in 0..1 -> linear RGB on the device.

        The image is only read, whatever its layout. Float values are interpolated between those of a table.
        """
        if device.type == "cpu" or image.dtype == np.float32:
            linear, clipped = self._by_kernels(image)
            return Linear(linear.to(device), clipped)
        pixels = upload(image, device)
        linear = self._table(image.dtype, device)[pixels.to(torch.int32)]
        linear = linear.permute(2, 0, 1) if linear.ndim == 3 else linear.expand(3, *linear.shape)
        return Linear(linear.unsqueeze(0), clipped_fraction(image, self.saturation(image.dtype)))

    def _by_kernels(self, image: np.ndarray) -> Linear:
        height, width = image.shape[:2]
        pixels = sealed(image).reshape(height * width, -1)
        table = sealed(self._table(image.dtype, torch.device("cpu")).numpy())
        linear = torch.empty((1, 3, height, width))
        kernel = interpolate if image.dtype == np.float32 else look_up
        limit = clipped_from(image.dtype, self.saturation(image.dtype))
        clipped = kernel(pixels, table, limit, linear.numpy().reshape(3, -1))
        return Linear(linear, clipped / len(pixels))

    def _table(self, dtype: np.dtype, device: torch.device) -> Tensor:
        """The linear values of all of an integer type; for floats, of evenly spaced ones, black to white."""
        key = (dtype, device)
        if key not in self._tables:
            if dtype == np.float32 and self._values is not None:
                linear = self._values
            else:
                levels = 256 if dtype == np.uint8 else 65536
                white = self.white(dtype) if dtype.kind == "u" else levels - 1
                linear = self._apply(np.minimum(np.arange(levels) / white, 1))
            self._tables[key] = torch.from_numpy(linear.astype(np.float32)).to(device)
        return self._tables[key]

    def white(self, dtype: np.dtype) -> float:
        """The value of images of this type that means white."""
        if dtype == np.uint16 and self._white_level:
            return self._white_level
        return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0

    def saturation(self, dtype: np.dtype) -> float:
        """The value at which images of this type saturate."""
        return self.white(dtype) * self._saturates

    def _apply(self, values: np.ndarray) -> np.ndarray:
        if self._values is None:
            return values**self._power
        return np.interp(values, np.linspace(0, 1, len(self._values)), self._values)


def _read_table(path: Path) -> np.ndarray:
    try:
        table = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path)
        table = np.asarray(table, np.float64).ravel()
    except OSError as error:
        words = f"neither a power nor a readable file ({error.strerror or 'not found'})"
        raise InputError(f"response {str(path)!r}: {words}") from error
    except (EOFError, TypeError, ValueError) as error:
        # Without the reader's words, which quote the file: anybody may name one by a parameter.
        raise InputError(f"response {str(path)!r}: neither a power nor a table of numbers") from error
    is_finite = len(table) > 1 and np.isfinite(table).all()
    if not is_finite or (np.diff(table) < 0).any() or table[-1] <= max(table[0], 0):
        raise InputError(f"response {path}: a table needs at least two rising, finite values")
    return table / table[-1]
