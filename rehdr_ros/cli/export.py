"""rehdr export: a bag with truth in the layout of the RealHDR set."""

import argparse
from pathlib import Path

from rehdr_ros.errors import InputError
from rehdr_ros.training.export import export_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("bag", help="bag with frames, events and the true HDR, as `rehdr simulate` writes it")
    add("-o", "--output", required=True, metavar="ROOT", help="gets LDR/NAME/*.png, HDR/NAME/*.exr, event/NAME/*.npy")
    add("--name", help="of the sequence; the bag's if not given")
    add("--bins", type=int, default=5, help="of the voxel grids")


def run(args: argparse.Namespace) -> None:
    if args.bins < 1:
        raise InputError(f"--bins {args.bins}: must be positive")
    name = args.name or Path(args.bag).resolve().name
    try:
        count = export_folder(args.bag, args.output, name, args.bins)
    except FileExistsError as error:
        raise InputError(f"{error.filename} exists; choose another --name or -o") from error
    print(f"{count} frames in {args.output}/LDR/{name}, HDR/{name} and event/{name}")
