"""rehdr train: train a network as a configuration file says."""

import argparse
from pathlib import Path

import yaml

from rehdr_ros.errors import InputError
from rehdr_ros.training.loop import TrainConfig, Trainer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="YAML file, e.g. config/train_rehdr_t.yaml")
    parser.add_argument(
        "-o", "--output", required=True, help="folder for checkpoints and the log; resumed if it has any"
    )
    parser.add_argument("--radiance", help="folder with .hdr and .exr scenes; without one all scenes are procedural")
    parser.add_argument("--start", help="checkpoint to fine-tune from")
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:N")


def run(args: argparse.Namespace) -> None:
    given = {name: getattr(args, name) for name in ("radiance", "start", "device") if getattr(args, name)}
    try:
        values = yaml.safe_load(Path(args.config).read_text()) or {}
        config = TrainConfig.from_dict({**values, **given})
    except (TypeError, AttributeError, yaml.YAMLError) as error:
        raise InputError(f"{args.config}: {error}") from error
    Trainer(config, args.output).run()
    print(f"weights in {args.output}/weights.safetensors")
