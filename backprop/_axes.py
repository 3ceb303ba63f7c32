"""Matplotlib's axes, asked for when they are needed, and the colours of all plots."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#000000")


@contextmanager
def needs_matplotlib() -> Iterator[None]:
    """Around an import of Matplotlib: says how to get it."""
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"plotting needs Matplotlib; install it with: pip install 'cbackprop[plot]' ({error})"
        ) from error


def axes_or_new(ax: Axes | None) -> Axes:
    """`ax`, or that of a new figure."""
    if ax is not None:
        return ax
    with needs_matplotlib():
        from matplotlib import pyplot
    new: Axes = pyplot.subplots()[1]
    return new
