"""The command `rehdr <verb>`."""

import argparse
import os
import sys
import time
from importlib import import_module
from typing import NoReturn

from rehdr_ros import threads
from rehdr_ros.errors import Failure, InputError, exit_code, missing_package, one_line

# Before torch is imported: on a busy machine its waiting threads would take the cores from everybody else.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Before OpenCV is: what it finds in a damaged image is said by us.
os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")

VERBS = {
    "demo": "simulate a scene, reconstruct it live over ROS 2, compare with the truth",
    "reconstruct": "run a recording through the pipeline offline",
    "report": "show a results folder as one HTML page",
    "info": "tell what a recording holds: encoding, rates, losses, clocks, hot pixels",
    "calibrate-time": "measure the time offset between events and frames",
    "calibrate-events": "measure clock offset, latency, thresholds and noise of the events, "
    "as parameters of the node",
    "replay": "publish a bag into the ROS graph",
    "simulate": "write a bag with frames, events and the true HDR",
    "evaluate": "compare a reconstruction, or networks, with the truth",
    "train": "train a network",
    "export": "write a bag with truth in the layout of the RealHDR set, or weights as ONNX",
    "benchmark": "measure events, voxels, the network, what the node does with a frame, or a training",
}


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Wrong usage is said in one line, as wrong input is."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


def main(arguments: list[str] | None = None) -> int:
    """Returns 0; 130 if interrupted; and, after one line, 2 for wrong usage or input, 1 for a failure."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return _run(arguments)
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        print(f"rehdr {arguments[0]}: {missing}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interruption:  # what a verb imports takes a while, too
        print(f"rehdr {arguments[0]}: {str(interruption) or 'interrupted'}", file=sys.stderr)
        return 130


def _run(arguments: list[str]) -> int:
    started = time.monotonic()
    parser = _Parser(prog="rehdr", description="HDR video from events and LDR frames (REHDR).")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, help_text in VERBS.items():
        about = help_text[0].upper() + help_text[1:] + "."
        subparser = verbs.add_parser(verb, help=help_text, description=about, formatter_class=_Formatter)
        if verb in arguments[:1]:  # only the verb in use pays for its imports
            module = import_module(f"rehdr_ros.cli.verbs.{verb.replace('-', '_')}")
            module.add_arguments(subparser)
            subparser.set_defaults(started=started)
    args = parser.parse_args(arguments)
    threads.claim()
    try:
        module.run(args)
    except (InputError, OSError, Failure) as error:
        print(f"rehdr {args.verb}: {one_line(error)}", file=sys.stderr)
        return exit_code(error)
    return 0
