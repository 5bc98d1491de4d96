"""The options that a configuration gives a verb, each named as its setting, without the unit."""

import argparse
from collections.abc import Collection
from dataclasses import fields
from typing import Any

from rehdr_ros.settings import Settings, description, types


def add_options(
    parser: Any, settings: type[Settings], only: Collection[str] | None = None, without: Collection[str] = ()
) -> None:
    """Of all settings but those `without`, or of these only, to a parser or a group of one.

    Their defaults are the settings', unless the parser has an argument_default.
    """
    for each in fields(settings):
        if not each.metadata or each.name in without or (only is not None and each.name not in only):
            continue
        default, kinds, unit = each.default, types(settings)[each.name], each.metadata["unit"]
        about: dict[str, Any] = {"type": str if str in kinds else kinds[0]}
        if isinstance(default, bool):
            about = {"action": "store_true"}
        elif isinstance(default, tuple):
            lengths = each.metadata["lengths"]
            several = {"nargs": "+", "action": "extend", "metavar": "PATH"}
            about |= {"nargs": max(lengths), "metavar": "N"} if lengths else several
            default = list(default)  # that can be extended
        parser.add_argument(
            "--" + each.name.removesuffix(f"_{unit}").replace("_", "-"),
            dest=each.name,
            default=parser.argument_default or default,
            help=description(each).replace("%", "%%"),
            **about,
        )


def option_values(args: argparse.Namespace, settings: type[Settings]) -> dict[str, Any]:
    """What the options say of the settings, for the configuration's constructor."""
    return {each.name: getattr(args, each.name) for each in fields(settings) if each.name in args}
