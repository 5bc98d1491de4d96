"""The convolutions of a frame where they are needed alone: in no window, in a few, or in the whole frame."""

from collections.abc import Callable, Iterator

from torch import Tensor

from rehdr_ros.network.contract import PartedNetwork, State
from rehdr_ros.network.engines.windows import Box, cover, sizes

Part = tuple[tuple[Tensor, ...], State]  # inputs and cells of a window, or of a frame


class SparseFeatures:
    """As `features` of a PartedNetwork, one frame at a time; of one without a halo the whole frame.

    features: what computes them, of frames and windows.
    """

    def __init__(self, network: PartedNetwork, features: Callable):
        self._network, self._features = network, features
        self._halo = network.halo // network.multiple if network.halo else None

    def parts(self, inputs: tuple[Tensor, ...], cells: State) -> Iterator[Part]:
        """One of each size that may be computed of such a frame."""
        if self._halo is None:
            yield inputs, cells
            return
        frame = inputs.needed.shape[-2:]
        for rows, columns in sizes(*frame, self._halo):
            yield _cut(inputs, cells, Box(0, rows, 0, columns), frame)

    def __call__(self, inputs: tuple[Tensor, ...], cells: State) -> tuple[Tensor, State]:
        if self._halo is None:
            return self._features(inputs, cells)
        needed = inputs.needed[0, 0]
        windows = cover(needed.cpu().numpy() > 0, self._halo)
        if windows is None:
            return self._features(inputs, cells)
        frame, multiple = needed.shape, self._network.multiple
        new = self._network.idle(inputs, cells)
        output = needed.new_zeros(1, self._network.outputs, *(multiple * n for n in frame))
        for window, wanted in windows:
            part, updated = self._features(*_cut(inputs, cells, window, frame))
            _put(part, window, wanted, output, frame)
            for name, x in updated.items():
                _put(x, window, wanted.grown(self._halo // 2, *frame), new[name], frame)
        return output, new


def _cut(inputs: tuple[Tensor, ...], cells: State, window: Box, frame: tuple[int, int]) -> Part:
    def cut(x: Tensor) -> Tensor:
        is_plane = x.ndim == 4 and x.shape[-2] >= frame[0] and x.shape[-1] >= frame[1]
        return x[_pixels(x, window, frame)] if is_plane else x

    return type(inputs)(*map(cut, inputs)), {name: cut(x) for name, x in cells.items()}


def _put(part: Tensor, window: Box, wanted: Box, whole: Tensor, frame: tuple[int, int]) -> None:
    top, left = window.top, window.left
    inside = Box(wanted.top - top, wanted.bottom - top, wanted.left - left, wanted.right - left)
    size = window.bottom - top, window.right - left
    whole[_pixels(whole, wanted, frame)] = part[_pixels(part, inside, size)]


def _pixels(x: Tensor, box: Box, frame: tuple[int, int]) -> tuple:
    """Where a box is in a plane of a frame of so many blocks."""
    scale = x.shape[-2] // frame[0]
    return ..., slice(scale * box.top, scale * box.bottom), slice(scale * box.left, scale * box.right)
