"""Settings that describe themselves: the same text and bounds for --help, ROS parameters and the docs."""

from __future__ import annotations

from dataclasses import Field, field, fields
from typing import Any

from rehdr_ros.errors import InputError


def setting(
    default: Any, text: str, *, least: float | None = None, most: float | None = None, choices=(), fixed: bool = False
) -> Any:
    """A dataclass field. text: one line, with the unit; least, most: of a number, both included; choices: of a text.

    fixed: it can't change while what was made of it lives.
    """
    return field(
        default=default, metadata={"text": text, "least": least, "most": most, "choices": choices, "fixed": fixed}
    )


def check(settings: Any) -> None:
    """Raise InputError for the first value outside its bounds or choices."""
    for each in fields(settings):
        value, about = getattr(settings, each.name), each.metadata
        if about["choices"] and value not in about["choices"]:
            raise InputError(f"{each.name}={value!r}: use {', '.join(about['choices'])}")
        least, most = about["least"], about["most"]
        if (least is not None and not value >= least) or (most is not None and not value <= most):
            raise InputError(f"{each.name}={value!r}: must be {bounds(each)}")


def bounds(each: Field) -> str:
    """The bounds of a setting in words."""
    least, most = each.metadata["least"], each.metadata["most"]
    if most is None:
        return "" if least is None else f"at least {least:g}"
    return f"from {least:g} to {most:g}"


def changed(old: Any, new: Any) -> set[str]:
    """The names of the settings in which two objects of one class differ."""
    return {each.name for each in fields(old) if getattr(old, each.name) != getattr(new, each.name)}
