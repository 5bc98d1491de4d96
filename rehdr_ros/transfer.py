"""Arrays to a GPU and back, while the host goes on."""

from functools import cache

import numpy as np
import torch
from torch import Tensor


def upload(array: np.ndarray, device: torch.device) -> Tensor:
    """The array's values on the device, any layout and type that both know; on a CPU a view if possible."""
    if device.type == "cpu":
        return torch.from_numpy(array if array.flags.writeable and array.flags.c_contiguous else array.copy())
    pinned = torch.empty(array.shape, dtype=torch.from_numpy(np.empty(0, array.dtype)).dtype, pin_memory=True)
    np.copyto(pinned.numpy(), array)
    # PyTorch doesn't use the pinned memory again before the copy is done.
    return pinned.to(device, non_blocking=True)


class Download:
    """A tensor on its way to the host; the device goes on with what comes next."""

    def __init__(self, tensor: Tensor):
        self._host, self._arrived = tensor, None
        if tensor.device.type == "cpu":
            return
        stream = _stream(tensor.device)
        stream.wait_stream(torch.cuda.current_stream(tensor.device))
        self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        with torch.cuda.stream(stream):
            self._host.copy_(tensor, non_blocking=True)
        tensor.record_stream(stream)
        self._arrived = stream.record_event()

    def array(self) -> np.ndarray:
        """The values, when they have arrived."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._host.numpy()


class LateDownload:
    """A tensor that goes to the host when somebody asks for it, if ever; from any thread."""

    def __init__(self, tensor: Tensor):
        self._tensor, self._made = tensor, None
        if tensor.device.type == "cuda":
            self._tensor = tensor.clone()  # a CUDA graph writes its results where it wrote the last ones
            self._made = torch.cuda.current_stream(tensor.device).record_event()

    def array(self) -> np.ndarray:
        """The values; waits for what made them, and for nothing that came later."""
        if self._made is None:
            return self._tensor.numpy()
        with torch.cuda.stream(_stream(self._tensor.device)):
            torch.cuda.current_stream().wait_event(self._made)
            return self._tensor.cpu().numpy()


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
