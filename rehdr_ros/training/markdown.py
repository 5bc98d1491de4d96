"""Tables in Markdown."""

from collections.abc import Iterable, Mapping, Sequence


def markdown_table(heading: str, columns: Sequence[str], rows: Mapping[str, Iterable[str]]) -> str:
    """heading: above the rows' names."""
    lines = [_row(heading, *columns), _row(*["---"] * (len(columns) + 1))]
    return "\n".join([*lines, *(_row(name, *cells) for name, cells in rows.items())])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
