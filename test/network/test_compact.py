import torch
import torch.nn.functional as F

from rehdr_ros.network.compact import Halving


def test_halving_is_a_pixel_unshuffle_and_a_pointwise_convolution():
    torch.manual_seed(0)
    layer, x = Halving(3, 8), torch.rand(2, 3, 6, 10)
    expected = F.conv2d(F.pixel_unshuffle(x, 2), layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), expected)
