"""Batch norm folded into the convolutions before it, for inference."""

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rehdr_ros.network.blocks import BilinearUpsample, ConvNorm, ResidualBlock
from rehdr_ros.network.fusion import Fusion

_PAIRS = {
    ConvNorm: (("conv", "norm"),),
    ResidualBlock: (("conv1", "norm1"), ("conv2", "norm2")),
    BilinearUpsample: (("conv", "norm"),),
    Fusion: (("joint", "joint_norm"),),
}


def fold_norms(network: nn.Module) -> nn.Module:
    """Change a network in evaluation mode in place, and return it: it computes the same, up to rounding."""
    for module in network.modules():
        for kind, pairs in _PAIRS.items():
            for conv, norm in pairs if isinstance(module, kind) else ():
                if isinstance(getattr(module, norm), nn.BatchNorm2d):
                    setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
                    setattr(module, norm, nn.Identity())
    return network
