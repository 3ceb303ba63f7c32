"""Which nodes are drawn, and how numbers become sizes and texts that fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def shown_nodes(count: int, most: int) -> list[int]:
    """The nodes of a layer that are drawn: all, or the first and the last ones."""
    if count <= most:
        return list(range(count))
    return [*range(most - most // 2), *range(count - most // 2, count)]


def largest_size(values: NDArray[Any]) -> float:
    """The largest magnitude of those that are finite; 0 if none is."""
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max(initial=0))


def fraction_of(value: float, largest: float) -> float:
    """The size of a number as a fraction of the largest; 1 for what is not finite."""
    if not np.isfinite(value):
        return 1.0
    return abs(value) / largest if largest else 0.0


def short_number(value: float) -> str:
    """A number that fits into a node."""
    if value == 0 or 0.01 <= abs(value) < 100:
        return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e") if np.isfinite(value) else str(value)
