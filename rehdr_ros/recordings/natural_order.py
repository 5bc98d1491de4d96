"""Files in the order that people count in."""

from __future__ import annotations

import re


def natural_order(name: str) -> tuple:
    """A key by which frame 2 comes before frame 10."""
    parts = re.split(r"(\d+)", name)
    return ([int(part) if i % 2 else part.lower() for i, part in enumerate(parts)], name)
