"""Checkpoints: our own (.safetensors, configuration inside) and the authors' (.pth, none of its code run)."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from rehdr_ros import safetensors_file
from rehdr_ros.errors import InputError, replacing
from rehdr_ros.network.contract import Network, NetworkConfig
from rehdr_ros.network.rehdr import Rehdr, RehdrConfig

SHIPPED = Path(__file__).parent / "weights"
NETWORKS: dict[str, type[Network]] = {"rehdr": Rehdr}
"""By what a checkpoint's metadata call their architecture; those that name none are REHDR."""

# The authors' names, in order of application, and ours.
_RENAME = (
    (r"^head_ev\.", "event_head."),
    (r"^head_img\.", "image_head."),
    (r"^ev_encoders\.", "event_encoders."),
    (r"^img_encoders\.(\d+)\.conv\.", r"image_encoders.\1.block."),
    (r"^img_encoders\.", "image_encoders."),
    (r"\.recurrent_block\.Gates\.", ".recurrent.gates."),
    (r"\.recurrent_block\.(reset|update)_gate\.", r".recurrent.\1."),
    (r"\.recurrent_block\.out_gate\.", ".recurrent.candidate."),
    (r"\.fusion\.alise2\.", ".fusion.joint."),
    (r"\.fusion\.alise\.", ".fusion.projection."),
    (r"\.fusion\.bn1\.", ".fusion.joint_norm."),
    (r"\.fusion\.bn2\.", ".fusion.output_norm."),
    (r"\.fusion\.out\.", ".fusion.mix."),
    (r"\.att\.conv_du\.0\.", ".attention.squeeze."),
    (r"\.att\.conv_du\.2\.", ".attention.excite."),
    (r"\.sam\.conv1\.", ".mask.features."),
    (r"\.sam\.conv2\.", ".mask.image."),
    (r"\.sam\.conv3\.", ".mask.gate."),
    (r"^resblocks\.", "bottleneck."),
    (r"^pred\.", "prediction."),
    (r"\.transposed_conv2d\.", ".up."),
    (r"\.conv_block\.", ".residual."),
    (r"\.conv2d\.", ".conv."),
    (r"\.norm_layer\.", ".norm."),
    (r"\.identity\.", ".shortcut."),
    (r"\.conv_([12])\.", r".conv\1."),
    (r"\.bn([12])\.", r".norm\1."),
)


class CheckpointError(InputError):
    """A checkpoint that is missing, damaged or of another network; the message says which and why."""


def make_config(architecture: str = "rehdr", **values) -> NetworkConfig:
    """A configuration of that network. Raises InputError for an unknown name, TypeError for wrong values."""
    if architecture not in NETWORKS:
        raise InputError(f"architecture={architecture!r}: use one of {', '.join(NETWORKS)}")
    return NETWORKS[architecture].configuration(**values)


def make_network(config: NetworkConfig) -> Network:
    """A network of that configuration, untrained."""
    return {kind.configuration: kind for kind in NETWORKS.values()}[type(config)](config)


def load_checkpoint(path: str | Path, device: str | torch.device = "cpu") -> Network:
    """Load a network in evaluation mode, float32.

    path: a shipped name ("rehdr_t"), our `.safetensors` or the authors' `.pth` ({'params': state_dict} or
    a bare state_dict). Raises CheckpointError.
    """
    path = resolve(path)
    try:
        config, state = (_read_ours if path.suffix == ".safetensors" else _read_published)(path)
        network = make_network(config)
        network.load_state_dict({name: value.float() for name, value in state.items()})
    except CheckpointError:
        raise
    except UnpicklingError as error:  # whose text advises to do without the restriction
        refused = "PyTorch's restricted loader refuses it; of a training keep the state_dict alone"
        raise CheckpointError(f"{path}: not a checkpoint of this network ({refused})") from error
    except Exception as error:  # a damaged file makes the readers raise anything
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise CheckpointError(f"{path}: not a checkpoint of this network ({reason})") from error
    return network.to(device).eval().requires_grad_(False)


def save_checkpoint(
    network: Network, path: str | Path, dtype: torch.dtype = torch.float32, **notes: str
) -> None:
    """Write a `.safetensors` with the configuration (and any notes, e.g. how it was trained) inside.

    Raises OSError where the file cannot be written; what was there then stays.
    """
    state = {name: x.to(dtype) if x.is_floating_point() else x for name, x in network.state_dict().items()}
    architecture = {kind: name for name, kind in NETWORKS.items()}[type(network)]
    config = json.dumps(asdict(network.config))
    with replacing(path) as part:
        safetensors_file.write(part, state, {**notes, "architecture": architecture, "config": config})


def resolve(path: str | Path) -> Path:
    """The file behind a shipped name or a path. Raises CheckpointError where there is none."""
    shipped = SHIPPED / f"{path}.safetensors"
    for candidate in (shipped, Path(path)):
        if candidate.is_file():
            return candidate
    names = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.safetensors"))) or "none"
    raise CheckpointError(f"weights {str(path)!r} not found: give a file, or a shipped name ({names})")


def _read_ours(path: Path) -> tuple[NetworkConfig, dict[str, Tensor]]:
    state, notes = safetensors_file.read(path)
    if "config" not in notes:
        raise CheckpointError(f"{path}: no configuration inside; was it saved by this package?")
    return make_config(notes.get("architecture", "rehdr"), **json.loads(notes["config"])), state


def _read_published(path: Path) -> tuple[RehdrConfig, dict[str, Tensor]]:
    stored = torch.load(path, map_location="cpu", weights_only=True)
    stored = stored.get("params", stored) if isinstance(stored, dict) else {}
    state = {f"body.{_rename(str(name).removeprefix('module.'))}": x for name, x in dict(stored).items()}
    for name in ("body.image_head.conv.weight", "body.event_head.conv.weight"):
        if not isinstance(state.get(name), Tensor):
            raise CheckpointError(f"{path}: no {name} in it; not a checkpoint of the published REHDR")
    return _infer_config(state), state


def _rename(name: str) -> str:
    for pattern, replacement in _RENAME:
        name = re.sub(pattern, replacement, name)
    return name


def _infer_config(state: dict[str, Tensor]) -> RehdrConfig:
    base, bins = state["body.event_head.conv.weight"].shape[:2]
    if "body.image_head.norm.weight" in state:
        norm = "batch"
    else:
        norm = "instance" if "body.image_head.norm.running_mean" in state else "none"
    return RehdrConfig(
        base_channels=base,
        bins=bins,
        scales=_count(state, "event_encoders"),
        residual_blocks=_count(state, "bottleneck"),
        norm=norm,
        recurrent="convlstm" if "body.image_encoders.0.recurrent.gates.weight" in state else "convgru",
        upsampling="transposed" if "body.decoders.0.up.weight" in state else "bilinear",
        fusion="published",
        radiance="relative",
    )


def _count(state: dict[str, Tensor], prefix: str) -> int:
    return len({name.split(".")[2] for name in state if name.startswith(f"body.{prefix}.")})
