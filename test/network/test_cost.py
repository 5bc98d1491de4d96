import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig
from rehdr_ros.network.cost import Layer, layers


@pytest.mark.parametrize(
    "config",
    [
        RehdrConfig(form="compact", base_channels=4),
        RehdrConfig(base_channels=4, scales=2),
        RehdrConfig(base_channels=4, recurrent="convgru", upsampling="bilinear"),
        RehdrConfig(base_channels=4, radiance="relative", fusion="published"),
    ],
    ids=["compact", "full resolution", "GRU", "published"],
)
def test_every_convolution_is_counted(config):
    flop_counter = pytest.importorskip("torch.utils.flop_counter", reason="this PyTorch counts no FLOP")
    network = Rehdr(config).eval()
    with flop_counter.FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.rand(1, 3, 32, 40), torch.rand(1, config.bins, 32, 40))
    convolutions = counter.get_flop_counts()["Global"][torch.ops.aten.convolution]
    counted = sum(layer.flop for layer in layers(config, 40, 32))
    assert counted == convolutions > 0.999 * counter.get_total_flops()


def test_the_papers_size_costs_what_the_paper_says():
    counted = layers(RehdrConfig(base_channels=32), 800, 600)
    assert sum(layer.flop for layer in counted) / 1e9 == pytest.approx(852, rel=5e-3)


def test_the_roofline_is_the_slower_of_computing_and_moving():
    layer = Layer("any", flop=1000, values=100)
    assert layer.seconds(1000, 1e9, 4) == 1
    assert layer.seconds(1e9, 200, 4) == 2
