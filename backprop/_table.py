"""Tables as plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence


def table(
    rows: Iterable[Sequence[str]], gap: int = 3, adjust: Callable[[str, int], str] = str.rjust
) -> list[str]:
    """Rows of equal length as lines, each column as wide as its longest cell, `gap` spaces between them."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [(gap * " ").join(map(adjust, row, widths)).rstrip() for row in rows]
