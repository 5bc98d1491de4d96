"""What a recording holds, topic by topic, for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rehdr_ros.recordings.sources import Source

_WIDTH = 110
_TAKEN, _COUNT, _RATE = 2, 9, 10  # columns


def topic_table(sources: list[Source], rates: dict[str, float]) -> Iterator[str]:
    """Lines of at most 110 characters; a mark at what would be taken. rates: messages/s, where known."""
    types = {each.name: each.type.replace("/msg/", "/") for each in sources}
    kind = max(4, *map(len, types.values()))
    name = min(max(map(len, types)), _WIDTH - _TAKEN - 1 - kind - _COUNT - _RATE)
    yield f"  {'topic':{name}} {'type':{kind}}{'messages':>{_COUNT}}{'per s':>{_RATE}}"
    for each in sources:
        mark = "> " if each.taken else "  "
        rate = f"{rates[each.name]:.1f}" if each.name in rates else "-"
        if len(each.name) > name:
            yield mark + each.name
        begin = "  " + " " * name if len(each.name) > name else mark + each.name.ljust(name)
        yield f"{begin} {types[each.name]:{kind}}{each.count:>{_COUNT}}{rate:>{_RATE}}".rstrip()
        about = ": ".join(filter(None, (each.brings, each.about)))
        yield from textwrap.wrap(about, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 8)
    if any(each.taken for each in sources):
        infos = any(each.taken and each.brings == "camera_info" for each in sources)
        yield "> is taken" + ", camera_info where the registration asks for it" * infos
    if not all(each.brings or each.about for each in sources):
        yield "Topics without a second line bring neither events nor frames"
