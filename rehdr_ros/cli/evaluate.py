"""rehdr evaluate: a reconstruction against the truth."""

import argparse
from pathlib import Path

from rehdr_ros.training.evaluation import evaluate_folder, json_text, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--predicted", required=True, metavar="DIR", help="folder that `rehdr reconstruct` wrote")
    parser.add_argument("--truth", required=True, metavar="BAG", help="bag with frames and the true HDR")
    parser.add_argument("-o", "--output", help="file for the measures; DIR/metrics.json if not given")


def run(args: argparse.Namespace) -> None:
    scores = evaluate_folder(args.predicted, args.truth)
    output = Path(args.output or Path(args.predicted) / "metrics.json")
    output.write_text(json_text(scores))
    print(table(scores))
