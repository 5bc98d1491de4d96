"""rehdr report: a results folder as one HTML page."""

import argparse

from rehdr_ros.cli.arguments import new_file
from rehdr_ros.report import INSTANTS, write_report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", help="what rehdr reconstruct or rehdr demo wrote")
    page = "the page; FOLDER/report.html if not given"
    parser.add_argument("-o", "--output", type=new_file, metavar="FILE", help=page)
    instants = "frames that the page holds; fewer stay larger"
    parser.add_argument("--instants", type=int, default=INSTANTS, help=instants)


def run(args: argparse.Namespace) -> None:
    page = write_report(args.folder, args.output, args.instants)
    print(f"{page}, {page.stat().st_size / 1e6:.1f} MB: open it in a browser")
