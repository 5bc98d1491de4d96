"""rehdr evaluate: a reconstruction against the truth."""

import argparse
import json
from pathlib import Path

from rehdr_ros.training.evaluation import evaluate_folder, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--predicted", required=True, metavar="DIR", help="folder that `rehdr reconstruct` wrote")
    parser.add_argument("--truth", required=True, metavar="BAG", help="bag with frames and the true HDR")
    parser.add_argument("-o", "--output", help="file for the measures; DIR/metrics.json if not given")


def run(args: argparse.Namespace) -> None:
    scores = evaluate_folder(args.predicted, args.truth)
    output = Path(args.output or Path(args.predicted) / "metrics.json")
    output.write_text(json.dumps(scores, indent=2) + "\n")
    print(table(scores))
