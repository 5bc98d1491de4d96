"""rehdr report: a results folder as one HTML page."""

import argparse

from rehdr_ros.report import INSTANTS, write_report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", help="what rehdr reconstruct or rehdr demo wrote")
    parser.add_argument("-o", "--output", metavar="FILE", help="the page; FOLDER/report.html if not given")
    instants = "frames that the page holds; fewer stay larger"
    parser.add_argument("--instants", type=int, default=INSTANTS, help=instants)


def run(args: argparse.Namespace) -> None:
    page = write_report(args.folder, args.output, args.instants)
    print(f"{page}, {page.stat().st_size / 1e6:.1f} MB: open it in a browser")
