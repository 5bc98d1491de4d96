"""Kinds of arguments that several verbs take."""

import argparse
import re


def size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT -> width, height."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match or not all(map(int, match.groups())):
        raise argparse.ArgumentTypeError(f"{text!r}: give WIDTHxHEIGHT, for example 346x260")
    return int(match[1]), int(match[2])
