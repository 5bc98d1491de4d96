"""rehdr benchmark: figures of this machine, each beside a plain reference measured in the same run."""

import argparse
import json
import os
import platform

import torch

from rehdr_ros.cli.benchmarks import events, network, node, training
from rehdr_ros.cli.config_options import add_options
from rehdr_ros.errors import InputError
from rehdr_ros.reconstruction import PipelineConfig
from rehdr_ros.reconstruction.reconstructor import pick_device

_BY_NAME = {
    "events": events.events,
    "voxels": events.voxels,
    "network": network.network,
    "node": node.node,
    "training": training.training,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=sorted(_BY_NAME))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeat", type=int, default=7, help="measurements, of which the median counts")
    parser.add_argument("--device", default="auto", help="not for events, voxels: auto, cpu, cuda or cuda:N")
    for benchmark in (events, network, node, training):
        benchmark.add_arguments(parser)
    add_options(parser.add_argument_group("node and network"), PipelineConfig, only=("engine", "precision"))


def run(args: argparse.Namespace) -> None:
    if args.set and args.what != "training":
        raise InputError(f"--set goes with training, not with {args.what}")
    figures = _BY_NAME[args.what](args)
    result = {"benchmark": args.what, "machine": _machine(args), "figures": figures}
    if args.json:
        print(json.dumps(result))
        return
    print(result["machine"])
    for name, values in figures.items():
        print(f"{name:42}" + "".join(f"  {key} {value:<10.4g}" for key, value in values.items()))


def _machine(args: argparse.Namespace) -> str:
    device = pick_device(args.device)
    model = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    cores, threads = os.cpu_count(), torch.get_num_threads()
    return f"{model}, {cores} CPU cores, torch {torch.__version__} with {threads} threads"


def _processor() -> str:
    name = torch.cpu.get_capabilities().get("cpu_name") if hasattr(torch.cpu, "get_capabilities") else None
    return str(name or platform.processor() or platform.machine())
