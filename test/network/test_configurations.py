from dataclasses import asdict
from itertools import product

import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig, Stream, load_checkpoint, save_checkpoint

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
    {"form": "compact"},
    {"form": "compact", "bins": 1},
    {"form": "compact", "residual_blocks": 3},
    {"form": "compact", "base_channels": 5},
    {"form": "compact", "radiance": "relative"},
    {"scales": 1},
    {"scales": 4},
    {"bins": 1},
    {"bins": 10},
    {"residual_blocks": 3},
    {"base_channels": 5},
]


def name(config):
    return "-".join(map(str, config.values()))


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
    assert list(loaded_state) == list(state)
    assert all(torch.equal(loaded_state[name], state[name]) for name in state)


CELLS = [*({"recurrent": name} for name in RECURRENT), {"form": "compact"}]


@pytest.mark.parametrize("config", CELLS, ids=name)
def test_the_second_frame_depends_on_the_first(make_network, stream, run, config):
    network = make_network(**config)
    ldr, voxel = stream()
    together, _ = run(network, ldr, voxel)
    alone, _ = run(network, ldr[1:], voxel[1:])
    assert not torch.allclose(together[1], alone[0], rtol=1e-2)


@pytest.mark.parametrize("form", ["full", "compact"])
def test_sequences_of_a_batch_do_not_mix(make_network, stream, run, form):
    network = make_network(form=form)
    ldr, voxel = stream(batch=2)
    both, _ = run(network, ldr, voxel)
    second, _ = run(network, ldr[:, 1:], voxel[:, 1:])
    torch.testing.assert_close(both[:, 1:], second, rtol=1e-4, atol=1e-5)


def shapes_of(state):
    return {name: tuple(value.shape) for name, value in state.items()}


PLANE = (1, 1, 24, 32)
HEAD_START = {name: (1, 3, 24, 32) for name in ("log_radiance", "recent")}
HEAD_START |= {"variance": PLANE, "age": PLANE, "quiet": PLANE, "fit": (1, 8), "tones": (1, 2)}


def test_the_state_is_named(make_network, stream, run):
    ldr, voxel = stream(height=17, width=30)
    network = make_network(scales=3)  # padded to 24 x 32
    cells = {f"{kind}_{i}": (1, 8 << i, 12 >> i, 16 >> i) for i in range(3) for kind in ("hidden", "cell")}
    assert shapes_of(run(network, ldr, voxel)[1]) == cells | HEAD_START
    network = make_network(form="compact")
    cells = {"hidden_0": (1, 8, 6, 8), "hidden_1": (1, 16, 3, 4)}
    assert shapes_of(run(network, ldr, voxel)[1]) == cells | HEAD_START
    network = make_network(radiance="relative", recurrent="convgru")  # padded to 20 x 32
    assert shapes_of(run(network, ldr, voxel)[1]) == {"hidden_0": (1, 8, 10, 16), "hidden_1": (1, 16, 5, 8)}


@torch.inference_mode()
def test_the_cells_of_the_compact_form_forget_by_the_second(make_network, stream):
    """Of "relative" radiance, where nothing else knows of time."""
    (first, second), grids = stream()

    def states(network):
        _, state = network(first, grids[0])
        streams = (Stream(seconds=seconds) for seconds in (0.02, 0.5, 0.5))
        return [network(second, grids[1], state, stream)[1].values() for stream in streams]

    short, long, again = states(make_network(form="compact", radiance="relative"))
    for a, b, c in zip(short, long, again, strict=True):
        assert (a - b).abs().mean() > 1e-2 * a.abs().mean() and torch.equal(b, c)
    short, long, _ = states(make_network(radiance="relative"))
    assert all(map(torch.equal, short, long)), "the paper's cells know no time"


@torch.inference_mode()
def test_a_long_gap_leaves_nothing_in_the_cells_of_the_compact_form(make_network, stream):
    (first, second), grids = stream()
    network = make_network(form="compact", radiance="relative")
    _, state = network(first, grids[0])
    radiance, new = network(second, grids[1], state, Stream(seconds=1e3))
    fresh, new_fresh = network(second, grids[1], stream=Stream(seconds=1e3))
    torch.testing.assert_close(radiance, fresh)
    torch.testing.assert_close(new, new_fresh)


@torch.inference_mode()
@pytest.mark.parametrize("form", ["full", "compact"])
def test_every_sequence_of_a_batch_has_its_own_seconds(make_network, stream, form):
    network = make_network(form=form)
    (first, second), grids = stream(batch=2)
    seconds = torch.tensor([0.01, 0.8])
    _, state = network(first, grids[0], stream=Stream(seconds=seconds))
    both, state = network(second, grids[1], state, Stream(seconds=seconds))
    for k in range(2):
        part = slice(k, k + 1)
        _, alone = network(first[part], grids[0][part], stream=Stream(seconds=seconds[part]))
        radiance, alone = network(second[part], grids[1][part], alone, Stream(seconds=float(seconds[k])))
        torch.testing.assert_close(both[part], radiance, rtol=1e-4, atol=1e-5)
        for name, value in alone.items():
            torch.testing.assert_close(state[name][part], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["full", "compact"])
@pytest.mark.parametrize("gain", [0.5, torch.tensor([0.5, 3.0])], ids=["one", "a sequence each"])
def test_another_exposure_moves_the_remembered_radiance_alone(make_network, stream, run, form, gain):
    network = make_network(form=form)
    _, state = run(network, *stream(batch=2))
    before, after = dict(state), network.rescale(state, gain)
    by = torch.as_tensor(gain).log().expand(2).view(2, 1, 1, 1)
    torch.testing.assert_close(after.pop("log_radiance"), before.pop("log_radiance") + by)
    assert all(torch.equal(after[name], before[name]) for name in before)


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
        {"form": "tiny"},
    ]
    + [{"scales": 0}, {"bins": -1}, {"base_channels": 8.0}, {"residual_blocks": "2"}],
    ids=name,
)
def test_a_configuration_that_cannot_be_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RehdrConfig(**wrong)


@pytest.mark.parametrize(
    "ldr, voxel",
    [
        ((1, 3, 8, 8), (1, 4, 8, 8)),
        ((1, 1, 8, 8), (1, 5, 8, 8)),
        ((1, 3, 8, 8), (1, 5, 8, 9)),
        ((3, 8, 8), (5, 8, 8)),
    ],
)
def test_inputs_of_other_shapes_are_refused(make_network, ldr, voxel):
    with pytest.raises(ValueError, match="expects ldr"):
        make_network()(torch.zeros(ldr), torch.zeros(voxel))


def test_a_configuration_survives_as_a_dictionary():
    config = RehdrConfig(base_channels=7, norm="group", radiance="relative")
    assert RehdrConfig(**asdict(config)) == config
