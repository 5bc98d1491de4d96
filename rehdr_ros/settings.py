"""Settings that describe themselves: one text, unit and bounds for checks, help, ROS parameters and docs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import cache
from math import isfinite
from numbers import Integral, Real
from os import PathLike
from typing import Any, get_args, get_type_hints

from rehdr_ros.errors import InputError


def setting(
    default: Any,
    text: str,
    *,
    unit: str = "",
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] = (),
    lengths: tuple[int, ...] = (),
    fixed: bool = False,
    group: str = "",
) -> Any:
    """A dataclass field, whose annotation tells the type: of numbers, texts, or a tuple of one of them.

    text: one line; what follows a semicolon explains values. unit: of a number. least, most: included bounds
    of each number; above, below: excluded. choices: of a text. lengths: how many a tuple may hold.
    fixed: it can't change while what was made of it lives. group: what it and those after it belong to.
    """
    about = {"text": text, "unit": unit, "least": least, "most": most, "above": above, "below": below}
    about |= {"choices": choices, "lengths": lengths, "fixed": fixed, "group": group}
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class Settings:
    """Base of every configuration. A list, as YAML has them, becomes a tuple.

    Raises InputError for the first value of another type than its setting, or outside its bounds or choices.
    """

    def __post_init__(self) -> None:
        for each in (each for each in fields(self) if each.metadata):
            value = getattr(self, each.name)
            if isinstance(each.default, tuple) and isinstance(value, list | str):
                value = (value,) if isinstance(value, str) else tuple(value)
                object.__setattr__(self, each.name, value)
            wrong = _complaint(each, types(type(self))[each.name], value)
            if wrong:
                raise InputError(f"{each.name}={value!r}: {wrong}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]):
        """Of a mapping, with mappings for the settings that are Settings themselves.

        Raises TypeError or InputError that names a wrong key or value.
        """
        parts = {f.name: f.default_factory for f in fields(cls) if f.default_factory is not MISSING}
        nested = {k: parts[k].from_dict(v) for k, v in values.items() if k in parts and not is_dataclass(v)}
        return cls(**{**values, **nested})


@cache
def types(settings: type[Settings]) -> dict[str, tuple[type, ...]]:
    """By name: the types that a value may have, or the items of a tuple."""
    return {name: _flat(hint) for name, hint in get_type_hints(settings).items()}


def _flat(hint: Any) -> tuple[type, ...]:
    if hint is Ellipsis or hint is type(None):
        return ()
    return tuple(dict.fromkeys(kind for part in get_args(hint) for kind in _flat(part))) or (hint,)


def _complaint(each: Field, kinds: tuple[type, ...], value: Any) -> str:
    if not isinstance(each.default, tuple):
        return "" if value is each.default is None else complaint(each, kinds, value)
    lengths = each.metadata["lengths"]
    if not isinstance(value, tuple) or (lengths and len(value) not in lengths):
        return f"must be a list of {' or '.join(map(str, lengths)) or 'any'} values"
    return next(filter(None, (complaint(each, kinds, item) for item in value)), "")


def complaint(each: Field, kinds: tuple[type, ...], value: Any) -> str:
    """What is wrong with one value of a setting, or ""."""
    about = each.metadata
    accepted = tuple(_ACCEPTED[kind] for kind in kinds)
    if not isinstance(value, accepted) or isinstance(value, bool) != (bool in kinds):
        return f"must be {' or '.join(_NAMES[kind] for kind in kinds)}"  # 5e-4, no point, is text in YAML
    if about["choices"] and value not in about["choices"]:
        return f"use {', '.join(about['choices'])}"
    if isinstance(value, str | PathLike | bool):
        return ""
    least, most, above, below = (about[name] for name in ("least", "most", "above", "below"))
    within = (least is None or value >= least) and (most is None or value <= most) and isfinite(value)
    within_open = (above is None or value > above) and (below is None or value < below)
    return "" if within and within_open else f"must be {bounds(each) or 'finite'}"


_ACCEPTED = {int: Integral, float: Real, str: (str, PathLike), bool: bool}
_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def bounds(each: Field) -> str:
    """The bounds of a setting in words."""
    about = each.metadata
    least, most = about["least"], about["most"]
    if least is not None and most is not None:
        return f"from {least:g} to {most:g}"
    words = {"least": "at least", "above": "more than", "most": "at most", "below": "less than"}
    return " and ".join(f"{said} {about[name]:g}" for name, said in words.items() if about[name] is not None)


def description(each: Field) -> str:
    """The text with the unit."""
    text, semicolon, explanation = each.metadata["text"].partition(";")
    unit = each.metadata["unit"]
    return f"{text}, {unit}{semicolon}{explanation}" if unit else each.metadata["text"]


def changed(old: Any, new: Any) -> set[str]:
    """The names of the settings in which two objects of one class differ."""
    return {each.name for each in fields(old) if getattr(old, each.name) != getattr(new, each.name)}
