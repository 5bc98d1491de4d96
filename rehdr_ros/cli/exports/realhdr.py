"""rehdr export of a bag with truth: the layout of the RealHDR set."""

import argparse
from pathlib import Path

from rehdr_ros.cli.arguments import number
from rehdr_ros.errors import InputError
from rehdr_ros.recordings import BagRecording
from rehdr_ros.training.export import export_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("of a bag").add_argument
    add("--name", help="of the sequence; the bag's if not given")
    add("--bins", type=number(int, least=1), help="of the voxel grids; 5 if not given")


def export_bag(args: argparse.Namespace) -> None:
    bins = 5 if args.bins is None else args.bins
    print("\n".join(BagRecording(args.source).sources().lines()), flush=True)
    name = args.name or Path(args.source).resolve().name
    if name.startswith(".") or Path(name).name != name:
        raise InputError(f"{name!r} is no name of a sequence: give a --name without / and no dot before it")
    try:
        count = export_folder(args.source, args.output, name, bins)
    except FileExistsError as error:
        raise InputError(f"{error.filename} exists; choose another --name or -o") from error
    print(f"{count} frames in {args.output}/LDR/{name}, HDR/{name} and event/{name}")
