"""A results folder as one HTML page that explains itself. No ROS, no network."""

from pathlib import Path

from rehdr_ros.errors import replacing
from rehdr_ros.report.gather import INSTANTS, gather
from rehdr_ros.report.page import html_page

__all__ = ["INSTANTS", "write_report"]


def write_report(folder: str | Path, output: str | Path | None = None, instants: int = INSTANTS) -> Path:
    """Write the page about a results folder; returns its path, FOLDER/report.html if not `output`.

    instants: how many frames the page holds, spread over the recording. Raises InputError where the folder
    holds no frame, OSError where the page can't be written.
    """
    output = Path(output or Path(folder) / "report.html")
    page = html_page(gather(folder, instants))
    with replacing(output) as part:
        part.write_text(page, encoding="utf-8")
    return output
