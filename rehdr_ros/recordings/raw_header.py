"""The text before the words of a Prophesee RAW file.

Lines "% KEY VALUE" up to "% end", or to the first byte that begins no such line: "RAW File Format" in
Prophesee's documentation, https://docs.prophesee.ai/stable/data/file_formats/raw.html.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from rehdr_ros.events.codecs import raw_formats
from rehdr_ros.recordings.errors import RecordingError

_LINE = 4096  # bytes; none is longer


class RawHeader(NamedTuple):
    """encoding: of our decoders; size: width and height; start: where the words begin, in bytes."""

    encoding: str
    size: tuple[int, int]
    start: int


def read_raw_header(path: Path) -> RawHeader:
    """Raises RecordingError for a file that has no such header, or an encoding that we don't decode."""
    keys, start = _read_keys(path)
    name, *options = keys.get("format", "").split(";")
    options = dict(option.split("=", 1) for option in options if "=" in option)
    if not name and "evt" in keys:
        name = "EVT" + keys["evt"].replace(".0", "").replace(".", "")
    encodings = {raw.name: encoding for encoding, raw in raw_formats().items()}
    encoding = encodings.get(f"{name} {options.get('endianness')}", encodings.get(name))
    if encoding is None:
        known = ", ".join(sorted({each.partition(" ")[0] for each in encodings}))
        what = f"its header says {name}" if name else "it has no header with a line '% format' or '% evt'"
        raise RecordingError(f"{path} is no Prophesee RAW file of {known}: {what}")
    named = {"width", "height"} <= set(options)
    told = f"{options['width']}x{options['height']}" if named else keys.get("geometry", "")
    size = re.fullmatch(r"(\d+)x(\d+)", told)
    if size is None:
        needed = "its header needs a line like '% geometry 1280x720'"
        raise RecordingError(f"{path} doesn't say the sensor's size: {needed}")
    return RawHeader(encoding, (int(size[1]), int(size[2])), start)


def _read_keys(path: Path) -> tuple[dict[str, str], int]:
    keys: dict[str, str] = {}
    with path.open("rb") as file:
        while True:
            start = file.tell()
            line = file.readline(_LINE)
            if not (line.startswith(b"% ") and line.endswith(b"\n")):
                return keys, start
            key, _, value = line[2:].decode(errors="replace").strip().partition(" ")
            if key == "end":
                return keys, file.tell()
            keys[key] = value.strip()
