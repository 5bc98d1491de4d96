"""rehdr export: a bag with truth in the layout of the RealHDR set; weights as ONNX."""

import argparse
from pathlib import Path

from rehdr_ros.cli.exports import onnx, realhdr
from rehdr_ros.errors import InputError
from rehdr_ros.network.checkpoint import SHIPPED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    source = "bag with frames, events and the true HDR, as `rehdr simulate` writes it; "
    source += "or weights: a shipped name, a .safetensors or a .pth"
    add("source", help=source)
    output = "of a bag: folder that gets LDR/NAME/*.png, HDR/NAME/*.exr, event/NAME/*.npy; "
    output += "of weights: an .onnx"
    add("-o", "--output", required=True, help=output)
    realhdr.add_arguments(parser)
    onnx.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    if _is_network(args.source):
        _require_unset(args, ("name", "bins"), "bags")
        onnx.export_weights(args)
    else:
        _require_unset(args, ("size", "response"), "weights: a shipped name, a .safetensors or a .pth")
        realhdr.export_bag(args)


def _require_unset(args: argparse.Namespace, options: tuple[str, ...], kind: str) -> None:
    for option in options:
        if getattr(args, option) is not None:
            raise InputError(f"--{option} goes with {kind}; not with {args.source}")


def _is_network(source: str) -> bool:
    path = Path(source)
    shipped = (SHIPPED / f"{source}.safetensors").is_file()
    return not path.is_dir() and (shipped or path.suffix in (".safetensors", ".pth"))
