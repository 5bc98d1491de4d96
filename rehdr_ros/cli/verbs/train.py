"""rehdr train: train a network as a configuration file says."""

import argparse
import os

from rehdr_ros.cli.arguments import key_value
from rehdr_ros.cli.config_options import add_options
from rehdr_ros.training.config import TrainConfig, read_config
from rehdr_ros.training.loop import Trainer

_EPILOG = """\
Options stand for the keys of the same names in the file. \
Interrupted and started again, a training goes on from its
last save, and ends as if it had not been interrupted.

On several GPUs, each with batches of its own and the gradients averaged:
  torchrun --standalone --nproc-per-node 2 --no-python rehdr train CONFIG -o OUTPUT
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.argument_default = argparse.SUPPRESS  # what isn't given is the file's
    add = parser.add_argument
    add("config", help="YAML file, e.g. config/train_rehdr_t.yaml")
    add("-o", "--output", required=True, help="folder for checkpoints and the log; resumed if it has any")
    add_options(
        parser, TrainConfig, ("radiance", "simulated", "recordings", "start", "minutes", "pieces", "device")
    )
    others = "any other key, e.g. steps=100 network.base_channels=16"
    add("--set", metavar="KEY=VALUE", nargs="+", action="extend", type=key_value, help=others)


def run(args: argparse.Namespace) -> None:
    own = ("verb", "config", "output", "set", "started")
    options = {name: value for name, value in vars(args).items() if name not in own}
    config = read_config(args.config, options, getattr(args, "set", ()))
    Trainer(config, args.output, started=args.started).run()
    if os.environ.get("RANK", "0") == "0":  # of torchrun's processes the first
        print(f"weights in {args.output}/weights.safetensors")
