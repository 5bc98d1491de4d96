"""Kinds of arguments that several verbs take."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

import yaml

from rehdr_ros.settings import complaint, setting


def size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT -> width, height."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match or not all(map(int, match.groups())):
        raise argparse.ArgumentTypeError(f"{text!r}: give WIDTHxHEIGHT, for example 346x260")
    return int(match[1]), int(match[2])


def key_value(text: str) -> tuple[list[str], object]:
    """KEY=VALUE -> the parts of a key with dots, and what YAML makes of the value."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"{text!r}: give KEY=VALUE")
    try:
        return key.split("."), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {value!r} is no YAML") from error


def new_file(text: str) -> Path:
    """A file to write to when the work is done: what is wrong with its place is said before that."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder: name a file")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: there is no folder {path.parent}, make it first")
    return path


def folder(text: str) -> Path:
    """A folder to write to when the work is done, new or not: a file of that name is told before that."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a file: name a folder")
    return path


def number(kind: type = float, **bounds: float) -> Callable[[str], float]:
    """Of that kind and within bounds, as of settings.setting."""
    each = setting(kind(), "", **bounds)

    def within(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = text
        if wrong := complaint(each, (kind,), value):
            raise argparse.ArgumentTypeError(f"{text}: {wrong}")
        return value

    return within
