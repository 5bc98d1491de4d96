import hashlib
import json
import pickle
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rehdr_ros import safetensors_file
from rehdr_ros.network import CheckpointError, load_checkpoint, save_checkpoint
from rehdr_ros.network.checkpoint import SHIPPED

# Ours -> the authors'.
PUBLISHED_NAMES = (
    (r"^event_head\.", "head_ev."),
    (r"^image_head\.", "head_img."),
    (r"^event_encoders\.", "ev_encoders."),
    (r"^image_encoders\.(\d+)\.block\.", r"img_encoders.\1.conv."),
    (r"^image_encoders\.", "img_encoders."),
    (r"^bottleneck\.", "resblocks."),
    (r"^prediction\.", "pred."),
    (r"\.shortcut\.", ".identity."),
    (r"(encoders\.\d+|\.conv)\.conv([12])\.", r"\1.conv_\2."),
    (r"\.recurrent\.gates\.", ".recurrent_block.Gates."),
    (r"\.recurrent\.(reset|update)\.", r".recurrent_block.\1_gate."),
    (r"\.recurrent\.candidate\.", ".recurrent_block.out_gate."),
    (r"\.fusion\.joint\.", ".fusion.alise2."),
    (r"\.fusion\.projection\.", ".fusion.alise."),
    (r"\.fusion\.joint_norm\.", ".fusion.bn1."),
    (r"\.fusion\.output_norm\.", ".fusion.bn2."),
    (r"\.fusion\.mix\.", ".fusion.out."),
    (r"\.attention\.squeeze\.", ".att.conv_du.0."),
    (r"\.attention\.excite\.", ".att.conv_du.2."),
    (r"\.mask\.features\.", ".sam.conv1."),
    (r"\.mask\.image\.", ".sam.conv2."),
    (r"\.mask\.gate\.", ".sam.conv3."),
    (r"^(head_ev|head_img|pred|decoders\.\d+)\.conv\.", r"\1.conv2d."),
    (r"^(head_ev|head_img|pred|decoders\.\d+)\.norm\.", r"\1.norm_layer."),
    (r"^(decoders\.\d+)\.up\.", r"\1.transposed_conv2d."),
    (r"^(decoders\.\d+)\.residual\.", r"\1.conv_block."),
    (r"\.norm([12])\.", r".bn\1."),
)


def as_published(network):
    state = {}
    for name, value in network.body.state_dict().items():
        for pattern, replacement in PUBLISHED_NAMES:
            name = re.sub(pattern, replacement, name)
        state[name] = value
    return state


def test_the_names_of_these_tests_are_the_authors(shared):
    golden = torch.load(shared / "golden/rehdr_base8.pth", weights_only=True)["params"]
    assert as_published(load_checkpoint(shared / "golden/rehdr_base8.pth")).keys() == golden.keys()


@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
@pytest.mark.parametrize("recurrent", ["convlstm", "convgru"])
@pytest.mark.parametrize("norm", ["none", "batch", "instance"])
def test_the_variety_of_a_published_checkpoint_is_inferred(
    tmp_path, make_network, stream, run, norm, recurrent, upsampling
):
    shape = {"base_channels": 6, "scales": 2, "bins": 3, "residual_blocks": 3}
    variety = {"norm": norm, "recurrent": recurrent, "upsampling": upsampling}
    network = make_network(fusion="published", radiance="relative", **variety, **shape)
    torch.save({"params": as_published(network)}, tmp_path / "net.pth")
    loaded = load_checkpoint(tmp_path / "net.pth")
    assert loaded.config == network.config
    ldr, voxel = stream(bins=3)
    assert torch.equal(run(loaded, ldr, voxel)[0], run(network, ldr, voxel)[0])


@pytest.mark.parametrize("form", ["bare", "parallel"])
def test_other_wrappings_of_a_published_checkpoint(tmp_path, make_network, form):
    network = make_network(fusion="published", radiance="relative")
    prefix = "module." if form == "parallel" else ""
    torch.save({prefix + name: value for name, value in as_published(network).items()}, tmp_path / "net.pth")
    assert load_checkpoint(tmp_path / "net.pth").config == network.config


def test_half_precision_checkpoints_run_in_float32(tmp_path, make_network):
    network = make_network(norm="batch")
    save_checkpoint(network, tmp_path / "half.safetensors", torch.float16, trained="on nothing")
    for name, value in load_checkpoint(tmp_path / "half.safetensors").state_dict().items():
        expected = network.state_dict()[name]
        assert value.dtype == expected.dtype
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-4)


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("writer", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_pickled_objects_are_refused_and_not_run(tmp_path, suffix, writer):
    path, trace = tmp_path / f"weights{suffix}", tmp_path / "trace"
    writer({"params": {"head_ev.conv2d.weight": Bomb(trace)}}, path)
    with pytest.raises(CheckpointError, match="weights") as error:
        load_checkpoint(path)
    assert "\n" not in str(error.value)
    assert "set to `False`" not in str(error.value)  # PyTorch's advice: to run it
    assert not trace.exists()


def ours(path, network):
    path = path / "net.safetensors"
    save_checkpoint(network, path)
    return path


def edited(path, network, change):
    """Our file with a change to its tensors and its configuration."""
    state, config = network.state_dict(), {"config": json.dumps(vars(network.config))}
    change(state, config)
    safetensors_file.write(path / "net.safetensors", state, config)
    return path / "net.safetensors"


def published(path, value):
    torch.save(value, path / "net.pth")
    return path / "net.pth"


def cut(path, length):
    path.write_bytes(path.read_bytes()[:length])
    return path


def text(path, suffix):
    path = path / f"net{suffix}"
    path.write_text("not\na checkpoint")
    return path


DAMAGE = {
    "missing": lambda p, n: p / "net.safetensors",
    "a folder": lambda p, n: p,
    "text.safetensors": lambda p, n: text(p, ".safetensors"),
    "text.pth": lambda p, n: text(p, ".pth"),
    "empty.safetensors": lambda p, n: cut(ours(p, n), 0),
    "empty.pth": lambda p, n: cut(published(p, {}), 0),
    "cut within the header": lambda p, n: cut(ours(p, n), 100),
    "cut within the data": lambda p, n: cut(ours(p, n), -100),
    "cut .pth": lambda p, n: cut(published(p, as_published(n)), 20_000),
    "barely cut .pth": lambda p, n: cut(published(p, as_published(n)), -10),
    "without configuration": lambda p, n: edited(p, n, lambda state, config: config.clear()),
    "configuration of another program": lambda p, n: edited(
        p, n, lambda s, config: config.update(config="[1]")
    ),
    "configuration no json": lambda p, n: edited(p, n, lambda s, config: config.update(config="{base")),
    "unknown option": lambda p, n: edited(p, n, lambda s, config: config.update(config='{"depth": 3}')),
    "impossible option": lambda p, n: edited(
        p, n, lambda s, config: config.update(config='{"norm": "layer"}')
    ),
    "a tensor less": lambda p, n: edited(p, n, lambda state, c: state.pop("body.prediction.conv.bias")),
    "a tensor more": lambda p, n: edited(p, n, lambda state, c: state.update(extra=torch.zeros(3))),
    "a tensor of another shape": lambda p, n: edited(
        p, n, lambda state, c: state.update({"body.prediction.conv.bias": torch.zeros(4)})
    ),
    "another network": lambda p, n: published(p, {"params": {"conv.weight": torch.zeros(3)}}),
    "another network, two names alike": lambda p, n: published(
        p, {"head_ev.conv2d.weight": torch.zeros(3), "head_img.conv2d.weight": torch.zeros(3)}
    ),
    "no network": lambda p, n: published(p, torch.zeros(3)),
    "params no dictionary": lambda p, n: published(p, {"params": [torch.zeros(3)]}),
    "numbers for names": lambda p, n: published(p, {0: torch.zeros(3)}),
    "numbers for tensors": lambda p, n: published(p, {"params": {**as_published(n), "epoch": 3}}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path, make_network, damage):
    network = make_network(fusion="published", radiance="relative")
    path = DAMAGE[damage](tmp_path, network)
    with pytest.raises(CheckpointError, match=re.escape(str(path))) as error:
        load_checkpoint(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("form", ["ours", "published", "published before torch 1.6"])
def test_random_damage_raises_nothing_but_checkpoint_errors(tmp_path, make_network, form):
    network = make_network(fusion="published", radiance="relative", base_channels=1, scales=1)
    path = tmp_path / ("net.safetensors" if form == "ours" else "net.pth")
    if form == "ours":
        save_checkpoint(network, path)
    else:
        torch.save(as_published(network), path, _use_new_zipfile_serialization=form == "published")
    assert load_checkpoint(path).config == network.config
    whole = path.read_bytes()
    generator, failures = torch.Generator().manual_seed(0), 0
    for _ in range(100):
        damaged = bytearray(whole)
        at = int(torch.randint(len(whole) - 10, (), generator=generator))
        damaged[at : at + 10] = torch.randint(256, (10,), generator=generator).tolist()
        path.write_bytes(damaged)
        try:
            load_checkpoint(path)
        except CheckpointError:
            failures += 1
    assert failures > 0


def test_a_shipped_name_that_is_not_there_tells_what_is():
    with pytest.raises(CheckpointError, match="'rehdr_xxl' not found.*shipped name"):
        load_checkpoint("rehdr_xxl")


def test_the_configuration_decides_not_the_file_name(tmp_path, make_network):
    network = make_network(norm="group")
    save_checkpoint(network, tmp_path / "rehdr_batch_base32.safetensors")
    loaded = load_checkpoint(tmp_path / "rehdr_batch_base32.safetensors")
    assert loaded.config == replace(network.config)


def test_shipped_weights_have_their_checksums():
    sums = dict(reversed(line.split("  ")) for line in (SHIPPED / "SHA256SUMS").read_text().splitlines())
    files = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in SHIPPED.glob("*.safetensors")}
    assert files == sums
    assert {"rehdr_t.safetensors", "rehdr_s.safetensors"} <= files.keys()
    assert all(p.stat().st_size < 10_000_000 for p in SHIPPED.iterdir())


@pytest.mark.parametrize("name, limit", [("rehdr_t", 0.9e9), ("rehdr_s", 4.8e9)])
def test_shipped_networks_keep_their_cost(name, limit):
    flop_counter = pytest.importorskip("torch.utils.flop_counter", reason="this PyTorch counts no FLOP")
    network = load_checkpoint(name)
    ldr, voxel = torch.zeros(1, 3, 264, 352), torch.zeros(1, 5, 264, 352)
    with flop_counter.FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(ldr, voxel)
    assert 0.9 * limit < counter.get_total_flops() <= limit
