"""What of a recording was read, and what else it holds."""

from __future__ import annotations

from typing import Any, NamedTuple


class Source(NamedTuple):
    """A topic or stream. count: of its messages or packets.

    brings: events, frames, camera_info, exposures, or "" for what is not read. taken: whether it would be,
    were nothing else asked for. about: what it holds, why it can't be used, what speaks against it.
    """

    name: str
    type: str
    count: int
    brings: str = ""
    taken: bool = False
    about: str = ""


class Sources(NamedTuple):
    """The names of topics, streams or folders.

    used: by what they bring. candidates: events and images that were not chosen. others: all that is not
    used, with the candidates. ties: lines to tell the user where several were as good.
    """

    used: dict[str, list[str]]
    others: list[str] = []
    candidates: list[str] = []
    ties: list[str] = []

    def lines(self) -> list[str]:
        """For people."""
        lines = [f"{brings}: {', '.join(names)}" for brings, names in self.used.items() if names]
        left = list(self.candidates)
        if rest := len(self.others) - len(self.candidates):
            left.append(f"{rest} that bring{'s' * (rest == 1)} neither events nor frames")
        if left:
            lines.append(f"not used: {', '.join(left)}")
        return lines + [f"note: {tie}" for tie in self.ties]

    def figures(self) -> dict[str, Any]:
        """For summary.json."""
        return {"used": {k: v for k, v in self.used.items() if v}, "not_used": self.others}
