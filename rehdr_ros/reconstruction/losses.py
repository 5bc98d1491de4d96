"""What was lost on the way, in words."""

from collections.abc import Mapping

# What counts no loss, and the sum of others.
_OTHERS = {"published", "packets", "events", "frames", "late_frames", "refused_messages"}


def losses(counters: Mapping[str, int]) -> str:
    """Every counter that counts something lost or odd, by name; empty where nothing was."""
    return ", ".join(
        f"{name} {count}" for name, count in sorted(counters.items()) if count and name not in _OTHERS
    )
