import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig

SMALL = {"base_channels": 4, "scales": 2, "residual_blocks": 1}


@pytest.fixture
def make_network():
    """A function that builds a small network for evaluation: random weights and statistics, tame output."""

    def make(seed=0, **config) -> Rehdr:
        generator = torch.Generator().manual_seed(seed)
        network = Rehdr(RehdrConfig(**{**SMALL, **config})).eval().requires_grad_(False)
        for name, value in network.state_dict().items():
            if name.endswith("running_var"):
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
            elif value.is_floating_point():
                scale = (2 / max(1, value[0].numel())) ** 0.5 if value.ndim > 1 else 0.1
                value.copy_(scale * torch.randn(value.shape, generator=generator))
                if name.startswith(tuple(f"body.prediction.{part}" for part in ("conv", "weight", "bias"))):
                    value.mul_(0.2)
        return network

    return make


@pytest.fixture
def stream():
    """A function that makes linear LDR frames (T, N, 3, H, W), partly clipped, and voxel grids for them."""

    def make(frames=2, height=20, width=28, bins=5, batch=1, seed=1):
        generator = torch.Generator().manual_seed(seed)
        ldr = (1.5 * torch.rand((frames, batch, 3, height, width), generator=generator)).clamp_max(1)
        voxel = torch.randint(-2, 3, (frames, batch, bins, height, width), generator=generator).float()
        return ldr, voxel

    return make


@pytest.fixture
def run():
    """A function that runs a network over a stream: gives all outputs (T, N, 3, H, W) and the last state."""

    @torch.inference_mode()
    def through(network, ldr, voxel):
        outputs, state = [], None
        for frame, grid in zip(ldr, voxel, strict=True):
            hdr, state = network(frame, grid, state)
            outputs.append(hdr)
        return torch.stack(outputs), state

    return through
