"""rehdr export: a bag with truth in the layout of the RealHDR set; weights as ONNX."""

import argparse
from importlib.util import find_spec
from pathlib import Path

from rehdr_ros.cli.arguments import size
from rehdr_ros.errors import Failure, InputError
from rehdr_ros.network import load_checkpoint
from rehdr_ros.network.checkpoint import SHIPPED
from rehdr_ros.network.onnx_export import FRAMES, difference, export_onnx
from rehdr_ros.reconstruction.clipping import CLIPPED_LEVEL
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.training.export import export_folder

_TOLERANCE = 1e-4  # relative, of what another runtime computes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "source",
        help="bag with frames, events and the true HDR, as `rehdr simulate` writes it; or weights: a shipped name, "
        "a .safetensors or a .pth",
    )
    add(
        "-o",
        "--output",
        required=True,
        help="of a bag: folder that gets LDR/NAME/*.png, HDR/NAME/*.exr, event/NAME/*.npy; of weights: an .onnx",
    )
    add = parser.add_argument_group("of a bag").add_argument
    add("--name", help="of the sequence; the bag's if not given")
    add("--bins", type=int, help="of the voxel grids; 5 if not given")
    add = parser.add_argument_group("of weights").add_argument
    add("--size", type=size, metavar="WxH", help="of the frames, needed")
    add("--response", help="of the camera: a power, or a file that tabulates it; 2.2 if not given")


def run(args: argparse.Namespace) -> None:
    if _is_network(args.source):
        _require_unset(args, ("name", "bins"), "bags")
        _export_network(args)
    else:
        _require_unset(args, ("size", "response"), "weights: a shipped name, a .safetensors or a .pth")
        _export_bag(args)


def _require_unset(args: argparse.Namespace, options: tuple[str, ...], kind: str) -> None:
    for option in options:
        if getattr(args, option) is not None:
            raise InputError(f"--{option} goes with {kind}; not with {args.source}")


def _is_network(source: str) -> bool:
    path = Path(source)
    shipped = (SHIPPED / f"{source}.safetensors").is_file()
    return not path.is_dir() and (shipped or path.suffix in (".safetensors", ".pth"))


def _export_bag(args: argparse.Namespace) -> None:
    bins = 5 if args.bins is None else args.bins
    if bins < 1:
        raise InputError(f"--bins {bins}: must be positive")
    name = args.name or Path(args.source).resolve().name
    try:
        count = export_folder(args.source, args.output, name, bins)
    except FileExistsError as error:
        raise InputError(f"{error.filename} exists; choose another --name or -o") from error
    print(f"{count} frames in {args.output}/LDR/{name}, HDR/{name} and event/{name}")


def _export_network(args: argparse.Namespace) -> None:
    output = Path(args.output)
    if args.size is None:
        raise InputError("weights need the --size of the frames, for example 346x260")
    if output.suffix != ".onnx":
        raise InputError(f"-o {output}: of weights it must end in .onnx")
    clipped_from = Response(2.2 if args.response is None else args.response)(CLIPPED_LEVEL / 255)
    network = load_checkpoint(args.source)
    output.parent.mkdir(parents=True, exist_ok=True)
    export_onnx(network, output, args.size, clipped_from)
    print(f"{output}: {args.source} for frames of {args.size[0]}x{args.size[1]}, {output.stat().st_size / 1e6:.1f} MB")
    if not find_spec("onnxruntime"):
        print("not checked against PyTorch: onnxruntime is not installed")
        return
    relative = difference(output, network, clipped_from)
    if not relative <= _TOLERANCE:
        output.unlink()
        raise Failure(
            f"{output} removed: onnxruntime differs from PyTorch by {relative:.1e}, relative; allowed: {_TOLERANCE:.0e}"
        )
    print(f"checked: over {FRAMES} frames onnxruntime differs from PyTorch by {relative:.1e} at most, relative")
