"""Writes config/rehdr.yaml and docs/parameters.md from the settings and the launch files: make parameters."""

import argparse
import ast
from collections.abc import Iterable
from dataclasses import Field, fields
from pathlib import Path
from textwrap import fill

import yaml

from rehdr_ros.cli.pipeline_options import add_pipeline_options
from rehdr_ros.network import RehdrConfig
from rehdr_ros.node.parameters import READ_ONLY, Parameters
from rehdr_ros.settings import bounds, description
from rehdr_ros.simulation.batch import Variety
from rehdr_ros.training.config import TrainConfig

ROOT = Path(__file__).resolve().parent.parent
LAUNCH_FILES = ("rehdr", "davis", "metavision")
# In this order.
_GROUPS = ("network", "pictures", "registration", "time", "between frames")
_GROUPS += ("load", "inputs", "diagnostics", "lifecycle")
_WIDTH = 110

_YAML_HEAD = """\
# Every parameter of rehdr_node, with its default. Written from the code by tools/generate_parameters.py.
# Those marked (C) change only while the node is unconfigured, all others between two frames:
# ros2 param set /rehdr_node tonemap mulaw
/**:
  ros__parameters:
"""
_HEAD = """\
# Parameters and launch arguments

*Written from the code by `tools/generate_parameters.py`; a test fails where it is not what the code says.*

## Parameters of rehdr_node

Copy [config/rehdr.yaml](../config/rehdr.yaml) and name the copy by `params_file:=FILE`, or give single ones
by `parameters:='policy: all, event_timeout: 0.2'`. Those marked C change only while the node is unconfigured
(`autostart` never), all others between two frames, while it runs. Those marked O are options of
`rehdr reconstruct` and, but for `output_rate`, `rehdr demo`, too, spelt `--event-time-offset`. What to turn
when:
[tuning.md](tuning.md#settings).
"""
_TRAINING = """
## Keys of a training

Of the file that `rehdr train` reads, and of its `--set`, where those of a part are spelt as here; in the file
`network` and `variety` are mappings. Of two numbers, from and to, a value is drawn for every sequence.
"""
_LAUNCH = """
## Launch arguments

`ros2 launch -s rehdr_ros rehdr.launch.py` lists the same, with defaults. The other two take all of
rehdr.launch.py's, too, but for the topics that follow their `camera_name`.
"""


def yaml_file() -> str:
    """The whole of config/rehdr.yaml. A list that is empty is commented out: it would have no type."""
    known, parts = _groups(), []
    for group, members in known.items():
        lines = [f"    # {group.upper()}"]
        for each in members:
            is_marked = each.metadata["fixed"] and each.name != READ_ONLY
            text = ("(C) " if is_marked else "") + description(each)
            lines.append(fill(text, _WIDTH, initial_indent="    # ", subsequent_indent="    # "))
            lines.append(f"    {'# ' if each.default == () else ''}{each.name}: {_as_yaml(each.default)}")
        parts.append("\n".join(lines) + "\n")
    return _YAML_HEAD + "\n".join(parts)


def document() -> str:
    """The whole of docs/parameters.md."""
    parser = argparse.ArgumentParser()
    add_pipeline_options(parser)
    offline, known = vars(parser.parse_args([])), _groups()
    parts = [_HEAD]
    for group, members in known.items():
        rows = []
        for each in members:
            marks = ("C", each.metadata["fixed"] and each.name != READ_ONLY), ("O", each.name in offline)
            rows.append((*_cells(each), " ".join(mark for mark, holds in marks if holds)))
        table = _table(("parameter", "default", "values", "what", ""), rows)
        parts += [f"\n### {group.capitalize()}\n\n", table]
    parts.append(_TRAINING)
    for prefix, settings in (("", TrainConfig), ("network.", RehdrConfig), ("variety.", Variety)):
        rows = [_cells(each, prefix) for each in fields(settings) if each.metadata]
        parts += ["\n", _table(("key", "default", "values", "what"), rows)]
    parts.append(_LAUNCH)
    for name in LAUNCH_FILES:
        rows = [(f"`{argument}`", text) for argument, text in launch_arguments(name).items()]
        parts += [f"\n### {name}.launch.py\n\n", _table(("argument", "what"), rows)]
    return "".join(parts)


def launch_arguments(name: str) -> dict[str, str]:
    """The arguments of launch/NAME.launch.py and what they are for, read without ROS' launch."""
    tree = ast.parse((ROOT / "launch" / f"{name}.launch.py").read_text())
    (table,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_ARGUMENTS"
    )
    return {key.value: value.elts[1].value for key, value in zip(table.keys, table.values, strict=True)}


def _groups() -> dict[str, list[Field]]:
    """The node's parameters by their group, which holds until the next."""
    found: dict[str, list[Field]] = {name: [] for name in _GROUPS}
    group = _GROUPS[0]
    for each in fields(Parameters):
        group = each.metadata["group"] or group
        found[group].append(each)
    return found


def _cells(each: Field, prefix: str = "") -> tuple[str, ...]:
    default = "" if each.default is None else f"`{_as_yaml(each.default)}`"
    values = ", ".join(each.metadata["choices"]) or bounds(each)
    return f"`{prefix}{each.name}`", default, values, description(each)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, ("---",) * len(head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("  |", " |")


def _as_yaml(value: object) -> str:
    value = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(value, default_flow_style=True).splitlines()[0]


# By file: what is in it.
DOCUMENTS = {ROOT / "config" / "rehdr.yaml": yaml_file, ROOT / "docs" / "parameters.md": document}

if __name__ == "__main__":
    for path, content in DOCUMENTS.items():
        path.write_text(content())
