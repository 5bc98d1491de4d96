"""The text before the words of a Prophesee RAW file.

Lines "% KEY VALUE" up to "% end", or to the first byte that begins no such line: "RAW File Format" in
Prophesee's documentation, https://docs.prophesee.ai/stable/data/file_formats/raw.html. Older headers name the
camera instead of the sensor's size: the systems and plugins are those of OpenEB (Apache-2.0),
https://github.com/prophesee-ai/openeb, hal_psee_plugins: device_system_id.h, psee_raw_file_header.cpp and, of
its first releases, raw_constants.h.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from rehdr_ros.events.codecs import raw_formats
from rehdr_ros.recordings.errors import RecordingError

_LINE = 4096  # bytes; none is longer

Size = tuple[int, int]

_VGA, _HD, _SQUARE = (640, 480), (1280, 720), (320, 320)
_OF_SENSORS: dict[str, Size] = {
    **dict.fromkeys(("gen3", "gen30", "gen31", "imx637", "imx647"), _VGA),
    **dict.fromkeys(("gen4", "gen40", "gen41", "gen42", "imx636", "imx646"), _HD),
    "genx320": _SQUARE,
}
_SENSOR = re.compile(r"genx320|gen[34]\.?[0-2]?|imx6[34][67]")
_OF_SYSTEMS: dict[int, Size] = {
    # Gen 3 and 3.1 on CCAM3 to CCAM5, VisionCam, EVK2 and EVK3; IMX637 and IMX647 on EVK3
    **dict.fromkeys((0x15, 0x17, 0x19, 0x1C, 0x1D, 0x21, 0x22, 0x23, 0x28, 0x29, 0x34, 0x36), _VGA),
    # Gen 4 and 4.1 on CCAM3, CCAM5, EVK2 and EVK3; IMX636 on EVK2, EVK3 and RDK2; IMX646 on EVK3
    **dict.fromkeys((0x1A, 0x1E, 0x1F, 0x20, 0x27, 0x2E, 0x30, 0x31, 0x32, 0x35, 0x3A, 0x42), _HD),
    **dict.fromkeys((0x3B, 0x40), _SQUARE),  # GenX320 on EVK3
}
_EVT3_SYSTEMS = {0x1E, 0x28, 0x2E, 0x30, 0x31, 0x32}  # where no line tells: those of EVT 2 are older
_EVK_PROXY = 0x80  # set in the number of a system behind an evaluation kit
_FIRST_LITTLE_ENDIAN = 0x37  # before it, systems sent EVT 2.1 with the high half first


class RawHeader(NamedTuple):
    """encoding: of our decoders; size: width and height; start: where the words begin, in bytes.

    note: how the size was deduced where no line tells it, for the user; else "".
    """

    encoding: str
    size: Size
    start: int
    note: str = ""


def read_raw_header(path: Path, size: Size | None = None) -> RawHeader:
    """size: of the sensor, (width, height), which then isn't looked for.

    Raises RecordingError for a file that has no such header, an encoding that we don't decode, or no size.
    """
    keys, start = _read_keys(path)
    name, *options = keys.get("format", "").split(";")
    options = dict(option.split("=", 1) for option in options if "=" in option)
    system = _system(keys)
    name = name or _older_format(keys, system)
    encodings = {raw.name: encoding for encoding, raw in raw_formats().items()}
    order = options.get("endianness") or keys.get("endianness")
    if order is None and system is not None and system < _FIRST_LITTLE_ENDIAN:
        order = "legacy"
    encoding = encodings.get(f"{name} {order}", encodings.get(name))
    if encoding is None:
        known = ", ".join(sorted({each.partition(" ")[0] for each in encodings}))
        what = f"its header says {name}" if name else "it has no header with a line '% format' or '% evt'"
        raise RecordingError(f"{path} is no Prophesee RAW file of {known}: {what}")
    if size is not None:
        return RawHeader(encoding, size, start)
    named = {"width", "height"} <= set(options)
    text = f"{options['width']}x{options['height']}" if named else keys.get("geometry", "")
    told = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if told is not None:
        return RawHeader(encoding, (int(told[1]), int(told[2])), start)
    size, why = _deduced(keys, system)
    if size is None:
        advice = "name it, as --event-size 1280x720"
        raise RecordingError(f"{path}: its header doesn't say the sensor's size: {advice}")
    return RawHeader(encoding, size, start, f"{path}: {size[0]}x{size[1]} pixels, by its {why}")


def _system(keys: dict[str, str]) -> int | None:
    """The number of a camera of Prophesee's own; others may use it for something else."""
    integrators = [value for key, value in keys.items() if key.endswith("integrator_name")]
    number = keys.get("system_ID", "")
    if any(name != "Prophesee" for name in integrators) or not re.fullmatch(r"\d{1,9}", number):
        return None
    return int(number) & ~_EVK_PROXY


def _older_format(keys: dict[str, str], system: int | None) -> str:
    """The name of the format where no line "format" tells it."""
    if "evt" in keys:
        return "EVT" + keys["evt"].replace(".0", "").replace(".", "")
    if system in _OF_SYSTEMS:
        return "EVT3" if system in _EVT3_SYSTEMS else "EVT2"
    return ""


def _deduced(keys: dict[str, str], system: int | None) -> tuple[Size | None, str]:
    """The sensor's size and the line that tells it: the system's number before names and generations."""
    if system in _OF_SYSTEMS:
        return _OF_SYSTEMS[system], f"system_ID {keys['system_ID']}"
    for key in ("sensor_name", "plugin_name", "sensor_generation", "generation"):
        value = keys.get(key, "")
        sensor = _SENSOR.search(f"gen{value}" if key.endswith("generation") else value.lower())
        if sensor and (size := _OF_SENSORS.get(sensor[0].replace(".", ""))):
            return size, f"{key} {value}"
    return None, ""


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
