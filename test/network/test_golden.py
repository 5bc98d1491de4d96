import numpy as np
import torch

from rehdr_ros.network import load_checkpoint


def test_the_authors_checkpoint_gives_what_their_network_gives(shared, run):
    golden = np.load(shared / "golden/rehdr_base8.npz")
    network = load_checkpoint(shared / "golden/rehdr_base8.pth")
    assert (network.config.base_channels, network.config.radiance) == (8, "relative")
    ldr, voxel = (torch.from_numpy(golden[name])[:, None] for name in ("ldr", "voxel"))
    hdr, state = run(network, ldr, voxel)
    np.testing.assert_allclose(hdr[:, 0], golden["hdr"], atol=1e-5)
    names = [f"{name}_{scale}" for scale in range(3) for name in ("hidden", "cell")]
    assert list(state) == names
    for name, value in state.items():
        part, scale = name.split("_")
        np.testing.assert_allclose(value[0], golden[f"state{scale}_{part}"], atol=1e-5)


def test_the_golden_state_matters(shared, run):
    golden = np.load(shared / "golden/rehdr_base8.npz")
    network = load_checkpoint(shared / "golden/rehdr_base8.pth")
    ldr, voxel = (torch.from_numpy(golden[name])[-1:, None] for name in ("ldr", "voxel"))
    alone, _ = run(network, ldr, voxel)
    assert np.abs(alone[0, 0].numpy() - golden["hdr"][-1]).max() > 1e-3
