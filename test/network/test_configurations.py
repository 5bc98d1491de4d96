from dataclasses import asdict
from itertools import product

import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig, load_checkpoint, save_checkpoint

NORMS = ("none", "batch", "instance", "group")
RECURRENT = ("convlstm", "convgru")
UPSAMPLING = ("transposed", "bilinear")
FUSION = ("modality", "published")
RADIANCE = ("ldr_white", "relative")
CHOICES = [
    dict(zip(("norm", "recurrent", "upsampling", "fusion", "radiance"), values, strict=True))
    for values in product(NORMS, RECURRENT, UPSAMPLING, FUSION, RADIANCE)
]
SHAPES = [
    {"head_start": "integrated"},
    {"head_start": "none"},
    {"scales": 1},
    {"scales": 4},
    {"bins": 1},
    {"bins": 10},
    {"residual_blocks": 3},
    {"base_channels": 5},
]


def name(config):
    return "-".join(map(str, config.values()))


def tensors(state):
    """All that are in a state, however deep."""
    return [state] if isinstance(state, torch.Tensor) else [x for part in state for x in tensors(part)]


@pytest.mark.parametrize("config", CHOICES + SHAPES, ids=name)
def test_a_saved_network_is_loaded_to_the_same_outputs(tmp_path, make_network, stream, run, config):
    network = make_network(**config)
    ldr, voxel = stream(bins=network.config.bins)
    expected, state = run(network, ldr, voxel)
    assert expected.dtype == torch.float32 and expected.isfinite().all()
    save_checkpoint(network, tmp_path / "weights.safetensors")
    loaded = load_checkpoint(tmp_path / "weights.safetensors")
    assert loaded.config == network.config and not loaded.training
    actual, loaded_state = run(loaded, ldr, voxel)
    assert torch.equal(actual, expected)
    assert all(torch.equal(a, b) for a, b in zip(tensors(state), tensors(loaded_state), strict=True))


@pytest.mark.parametrize("recurrent", RECURRENT)
def test_the_second_frame_depends_on_the_first(make_network, stream, run, recurrent):
    network = make_network(recurrent=recurrent)
    ldr, voxel = stream()
    together, _ = run(network, ldr, voxel)
    alone, _ = run(network, ldr[1:], voxel[1:])
    assert not torch.allclose(together[1], alone[0], rtol=1e-2)


def test_sequences_of_a_batch_do_not_mix(make_network, stream, run):
    network = make_network()
    ldr, voxel = stream(batch=2)
    both, _ = run(network, ldr, voxel)
    second, _ = run(network, ldr[:, 1:], voxel[:, 1:])
    torch.testing.assert_close(both[:, 1:], second, rtol=1e-4, atol=1e-5)


def test_the_state_has_a_tuple_a_scale_and_the_head_start(make_network, stream, run):
    ldr, voxel = stream(height=17, width=30)  # padded to 20 x 32
    _, state = run(make_network(), ldr, voxel)
    *scales, head_start = state
    assert [tuple(h.shape) for h, _ in scales] == [(1, 8, 10, 16), (1, 16, 5, 8)]
    assert [tuple(c.shape) for _, c in scales] == [(1, 8, 10, 16), (1, 16, 5, 8)]
    assert head_start.log_radiance.shape == (1, 3, 20, 32)
    assert head_start.trust.shape == (1, 1, 20, 32)
    log_luminance, recency, calibration = head_start.integrator
    assert (log_luminance.shape, recency.shape, calibration.shape) == ((1, 1, 20, 32), (1, 1, 20, 32), (1, 2))
    _, state = run(make_network(radiance="relative", recurrent="convgru"), ldr, voxel)
    assert [[tuple(t.shape) for t in scale] for scale in state] == [[(1, 8, 10, 16)], [(1, 16, 5, 8)]]


def test_as_published_it_has_as_many_parameters_as_published():
    network = Rehdr(RehdrConfig(fusion="published", radiance="relative"))
    assert sum(p.numel() for p in network.parameters()) == 17_718_120


@pytest.mark.parametrize(
    "wrong",
    [
        {"norm": "layer"},
        {"recurrent": "lstm"},
        {"upsampling": "nearest"},
        {"fusion": ""},
        {"radiance": "nits"},
        {"head_start": ""},
    ]
    + [{"scales": 0}, {"bins": -1}, {"base_channels": 8.0}, {"residual_blocks": "2"}],
    ids=name,
)
def test_a_configuration_that_cannot_be_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RehdrConfig(**wrong)


@pytest.mark.parametrize(
    "ldr, voxel",
    [((1, 3, 8, 8), (1, 4, 8, 8)), ((1, 1, 8, 8), (1, 5, 8, 8)), ((1, 3, 8, 8), (1, 5, 8, 9)), ((3, 8, 8), (5, 8, 8))],
)
def test_inputs_of_other_shapes_are_refused(make_network, ldr, voxel):
    with pytest.raises(ValueError, match="expects ldr"):
        make_network()(torch.zeros(ldr), torch.zeros(voxel))


def test_a_configuration_survives_as_a_dictionary():
    config = RehdrConfig(base_channels=7, norm="group", radiance="relative")
    assert RehdrConfig(**asdict(config)) == config
