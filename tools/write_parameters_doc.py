"""Writes docs/parameters.md from the code: the node's parameters and the launch files' arguments.

.venv/bin/python tools/write_parameters_doc.py
"""

import argparse
import ast
import re
from dataclasses import Field, fields
from pathlib import Path

from rehdr_ros.cli.pipeline_options import add_pipeline_options
from rehdr_ros.node.parameters import Parameters
from rehdr_ros.settings import bounds

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "parameters.md"
LAUNCH_FILES = ("rehdr", "davis", "metavision")

_HEAD = """\
# Parameters and launch arguments

*Written from the code by `tools/write_parameters_doc.py`; a test fails where it is not what the code says.*

## Parameters of rehdr_node

Copy [config/rehdr.yaml](../config/rehdr.yaml) and name the copy by `params_file:=FILE`, or give single ones
by `parameters:='policy: all, event_timeout: 0.2'`. Those marked C change only while the node is unconfigured
(`autostart` never), all others between two frames, while it runs. Those marked O are options of
`rehdr reconstruct` and `rehdr demo`, too, spelt `--event-time-offset`. What to turn when:
[tuning.md](tuning.md#settings).

| parameter | default | values | | what |
|---|---|---|---|---|
"""
_LAUNCH = """
## Launch arguments

`ros2 launch -s rehdr_ros rehdr.launch.py` lists the same. The other two take all of rehdr.launch.py's, too.
"""


def document() -> str:
    """The whole of docs/parameters.md."""
    known = {each.name: each for each in fields(Parameters)}
    parser = argparse.ArgumentParser()
    add_pipeline_options(parser)
    offline = vars(parser.parse_args([]))
    rows = "".join(_parameter_row(known[name], name in offline) for name in _order(known))
    return _HEAD + rows + _LAUNCH + "".join(map(_launch_table, LAUNCH_FILES))


def launch_arguments(name: str) -> dict[str, str]:
    """The arguments of launch/NAME.launch.py and what they are for, read without ROS' launch."""
    tree = ast.parse((ROOT / "launch" / f"{name}.launch.py").read_text())
    (table,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_ARGUMENTS"
    )
    return {key.value: value.elts[1].value for key, value in zip(table.keys, table.values, strict=True)}


def _order(known: dict[str, Field]) -> list[str]:
    """The names as config/rehdr.yaml has them, which is by subject."""
    text = (ROOT / "config" / "rehdr.yaml").read_text()
    names = re.findall(r"^    (?:(\w+): |# (\w+): \[)", text, re.MULTILINE)
    return list(dict.fromkeys([*map("".join, names), *known]))


def _parameter_row(each: Field, offline: bool) -> str:
    about = each.metadata
    default = list(each.default) if isinstance(each.default, tuple) else each.default
    default = str(default).lower() if isinstance(default, bool) else default
    values = ", ".join(about["choices"]) or bounds(each)
    marks = " ".join(mark for mark, holds in (("C", about["fixed"]), ("O", offline)) if holds)
    return f"| `{each.name}` | `{default}` | {values} | {marks} | {_cell(about['text'])} |\n"


def _launch_table(name: str) -> str:
    rows = "".join(f"| `{argument}` | {_cell(text)} |\n" for argument, text in launch_arguments(name).items())
    return f"\n### {name}.launch.py\n\n| argument | what |\n|---|---|\n{rows}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    DOCUMENT.write_text(document())
