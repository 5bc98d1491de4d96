"""rehdr export of weights: ONNX, checked against PyTorch."""

import argparse
from importlib.util import find_spec
from pathlib import Path

from rehdr_ros.cli.arguments import size
from rehdr_ros.errors import Failure, InputError, replacing
from rehdr_ros.network import Network, load_checkpoint
from rehdr_ros.network.engines.onnx import FRAMES, difference, export_onnx
from rehdr_ros.reconstruction.response import Response

_TOLERANCE = 1e-4  # relative, of what another runtime computes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("of weights").add_argument
    add("--size", type=size, metavar="WxH", help="of the frames, needed")
    add("--response", help="of the camera: a power, or a file that tabulates it; 2.2 if not given")


def export_weights(args: argparse.Namespace) -> None:
    output = Path(args.output)
    if args.size is None:
        raise InputError("weights need the --size of the frames, for example 346x260")
    if output.suffix != ".onnx":
        raise InputError(f"-o {output}: of weights it must end in .onnx")
    clipped_from = Response(2.2 if args.response is None else args.response).clipped_from
    network = load_checkpoint(args.source)
    output.parent.mkdir(parents=True, exist_ok=True)
    with replacing(output) as part:
        export_onnx(network, part, args.size, clipped_from)
        megabytes = part.stat().st_size / 1e6
        checked = _checked(part, network, clipped_from)
    print(f"{output}: {args.source} for frames of {args.size[0]}x{args.size[1]}, {megabytes:.1f} MB")
    print(checked)


def _checked(path: Path, network: Network, clipped_from: float) -> str:
    """What to say of the check against PyTorch. Raises Failure where it fails."""
    if not find_spec("onnxruntime"):
        return "not checked against PyTorch: onnxruntime is not installed"
    relative = difference(path, network, clipped_from)
    found = f"onnxruntime differs from PyTorch by {relative:.1e}"
    if not relative <= _TOLERANCE:
        raise Failure(f"nothing written: {found}, relative; allowed: {_TOLERANCE:.0e}")
    return f"checked: over {FRAMES} frames {found} at most, relative"
