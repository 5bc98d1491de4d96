from pathlib import Path

import pytest
import torch

from rehdr_ros.errors import InputError
from rehdr_ros.network import Rehdr, RehdrConfig, load_checkpoint, save_checkpoint
from rehdr_ros.network.compact import Block
from rehdr_ros.training.pruning import importance, main, pruned, runs
from rehdr_ros.training.sequence import collate
from rehdr_ros.training.unrolled import radiances

ROOT = Path(__file__).resolve().parents[2]
LEFT = 0, 3  # channels of each four that do something
WEIGHTS = 0.3, 0.2


@pytest.fixture
def network():
    """Of four base channels, of which the others are without any effect."""
    torch.manual_seed(0)
    network = Rehdr(RehdrConfig(form="compact", base_channels=4))
    with torch.no_grad():
        network.body.prediction.weight.normal_(std=0.3)
        for block in (x for x in network.modules() if isinstance(x, Block)):
            block.widen.bias.fill_(0.5)  # no ReLU of the others is dead
        for name, dimension, _, copies in runs(network):
            value = network.get_parameter(name)
            channels = torch.arange(value.shape[dimension]).view(copies, -1, _each(name))
            value.index_fill_(dimension, channels[:, is_gone(channels.shape[1])].flatten(), 0)
    return network.eval()


def _each(name):
    """Outputs of a channel: four in front of a pixel shuffle."""
    return 4 if ".up." in name else 1


def is_gone(width):
    return [channel % 4 not in LEFT for channel in range(width)]


def test_channels_without_effect_go_first_and_the_estimates_stay(network, sequences):
    batch = collate(sequences[:2])
    importances = importance(network, [batch], *WEIGHTS)
    assert all((x == 0).tolist() == is_gone(len(x)) for x in importances.values())
    smaller = pruned(network, 2, [batch], *WEIGHTS)
    assert smaller.config.base_channels == 2
    with torch.inference_mode():
        torch.testing.assert_close(radiances(smaller, batch), radiances(network, batch))


def test_the_command_writes_a_smaller_network(network, tmp_path):
    weights, config, smaller = (
        tmp_path / name for name in ("weights.safetensors", "c.yaml", "s.safetensors")
    )
    save_checkpoint(network, weights)
    config.write_text("size: 32\nframes: 2\n")
    main([*map(str, (weights, config, "-o", smaller)), "--channels", "3", "--batches", "1"])
    assert load_checkpoint(smaller).config.base_channels == 3


@pytest.mark.parametrize(
    "form, channels, message",
    [
        ("full", 1, "only the compact one"),
        ("compact", 4, "4 channels: must be 1 to 3"),
        ("compact", 0, "0 channels: must be 1 to 3"),
    ],
)
def test_what_can_not_be_pruned_is_refused(form, channels, message):
    network = Rehdr(RehdrConfig(form=form, base_channels=4))
    with pytest.raises(InputError, match=message):
        pruned(network, channels, [], *WEIGHTS)


def test_the_command_refuses_what_it_can_not_do_before_it_begins(network, tmp_path, capsys):
    weights = tmp_path / "weights.safetensors"
    save_checkpoint(network, weights)
    given = [str(weights), str(ROOT / "config" / "train_rehdr_t.yaml")]
    for options, message in (
        (["--channels", "9", "-o", "to.safetensors"], "9 channels: must be 1 to 3"),
        (["--channels", "2", "-o", "to"], "must end in .safetensors"),
        (["--channels", "2", "-o", "to.safetensors", "--batches", "0"], "must be at least 1"),
    ):
        with pytest.raises(SystemExit):
            main([*given, *options])
        assert message in capsys.readouterr().err


def test_the_command_says_in_one_line_what_is_not_there_or_can_not_be_written(network, tmp_path, capsys):
    weights, there = tmp_path / "weights.safetensors", ROOT / "config" / "train_rehdr_t.yaml"
    save_checkpoint(network, weights)
    for config, folder, message in ((tmp_path / "gone", tmp_path, "gone"), (there, weights, weights.name)):
        with pytest.raises(SystemExit) as end:
            main([*map(str, (weights, config, "-o", folder / "to.safetensors")), "--channels", "2"])
        told = capsys.readouterr().err
        assert end.value.code == 2 and message in told and told.count("\n") == 1
