"""Convolutional recurrent cells; every scale of REHDR has one, and its hidden state is the scale's output."""

import torch
from torch import Tensor, nn

from rehdr_ros.network.contract import State


class ConvLSTM(nn.Module):
    """ConvLSTM (Shi et al. 2015): one 3x3 convolution over [input, hidden] gives all four gates.

    Gate order: input, forget, output, cell. The cell stays float32 whatever the precision, because
    it accumulates over the whole stream.
    """

    names = ("hidden", "cell")

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels
        self.gates = nn.Conv2d(2 * channels, 4 * channels, 3, padding=1)

    def initial_state(self, like: Tensor) -> State:
        return {"hidden": torch.zeros_like(like), "cell": torch.zeros_like(like, dtype=torch.float32)}

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, cell = state["hidden"], state["cell"]
        i, f, o, g = self.gates(torch.cat((x, hidden), 1)).chunk(4, 1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.tanh(cell).to(o.dtype)
        return hidden, {"hidden": hidden, "cell": cell.float()}


class ConvGRU(nn.Module):
    """ConvGRU (Ballas et al. 2016) with 3x3 convolutions."""

    names = ("hidden",)

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels
        self.reset = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.update = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.candidate = nn.Conv2d(2 * channels, channels, 3, padding=1)

    def initial_state(self, like: Tensor) -> State:
        return {"hidden": torch.zeros_like(like)}

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        hidden = state["hidden"]
        both = torch.cat((x, hidden), 1)
        update = torch.sigmoid(self.update(both))
        reset = torch.sigmoid(self.reset(both))
        candidate = torch.tanh(self.candidate(torch.cat((x, hidden * reset), 1)))
        hidden = hidden * (1 - update) + candidate * update
        return hidden, {"hidden": hidden}


RECURRENT = {"convlstm": ConvLSTM, "convgru": ConvGRU}
