"""Plots of many members of a population; `backprop.plots` hands them on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from backprop._axes import COLOURS, axes_or_new, needs_matplotlib
from backprop._validate import as_array

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

MOST_ON_A_LINEAR_AXIS = 50.0  # between the largest and the smallest number


def plot_bands(values: ArrayLike, *, label: str = "", number: int = 0, ax: Axes | None = None) -> Axes:
    """Draws values of many members over the epochs: their median, a band that holds the inner half of them,
    and a paler one that holds all.

    Parameters
    ----------
    values : array_like, (epochs, members)
        NaN is left out.
    label : str
        For the legend.
    number : int
        Which colour to take.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If the values are not (epochs, members).
    ImportError
        If Matplotlib is missing.
    """
    rows = _numbers("values", values)
    if rows.ndim != 2:
        raise ValueError(f"values must have shape (epochs, members), got {rows.shape}")
    shown = np.full((5, len(rows)), np.nan)
    some = ~np.isnan(rows).all(axis=1)
    if some.any():
        shown[:, some] = np.nanquantile(rows[some], (0, 0.25, 0.5, 0.75, 1), axis=1)
    ax = axes_or_new(ax)
    epochs, colour = np.arange(1, len(rows) + 1), COLOURS[number % len(COLOURS)]
    ax.fill_between(epochs, shown[0], shown[4], color=colour, alpha=0.15, linewidth=0)
    ax.fill_between(epochs, shown[1], shown[3], color=colour, alpha=0.35, linewidth=0)
    ax.plot(epochs, shown[2], color=colour, label=label)
    return ax


def plot_parallel(
    settings: Mapping[str, ArrayLike], values: ArrayLike, *, label: str = "loss", ax: Axes | None = None
) -> Axes:
    """Draws each member as a line through its settings, an upright axis for each, to its value at the right.

    An axis whose numbers are positive and span more than a factor of 50 is logarithmic. The colour is that of
    the value; members whose value is not finite are left out, and a line has a gap where a setting is not.

    Parameters
    ----------
    settings : dict of str to array_like, (members,)
    values : array_like, (members,)
        How each member ended.
    label : str
        What the values are.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there are no settings, or they are not of all members.
    TypeError
        If they are no numbers.
    ImportError
        If Matplotlib is missing.
    """
    ended = _numbers("values", values)
    columns = {name: _numbers(name, column) for name, column in settings.items()}
    if ended.ndim != 1 or not columns or any(column.shape != ended.shape for column in columns.values()):
        shapes = ", ".join(f"{name} {column.shape}" for name, column in columns.items()) or "no settings"
        raise ValueError(f"settings and values must each have shape (members,), got {shapes}, {ended.shape}")
    finite = np.isfinite(ended)
    scaled = [_scaled(column[finite]) for column in [*columns.values(), ended]]
    ax = axes_or_new(ax)
    with needs_matplotlib():
        from matplotlib import colormaps
    places = [float(place) for place in range(len(scaled))]
    for member in np.argsort(-scaled[-1][0]):  # the lowest on top
        heights = [height[member] for height, _, _ in scaled]
        ax.plot(places, heights, color=colormaps["cividis"](1 - heights[-1]), alpha=0.7, linewidth=1)
    for place, (_, low, high) in zip(places, scaled, strict=True):
        ax.axvline(place, color="black", linewidth=0.8)
        ax.annotate(low, (place, -0.03), ha="center", va="top", fontsize=8)
        ax.annotate(high, (place, 1.03), ha="center", va="bottom", fontsize=8)
    ax.set_xticks(places, [*columns, label])
    ax.set(yticks=[], ylim=(-0.12, 1.12))
    ax.spines[:].set_visible(False)
    return ax


def _numbers(what: str, values: ArrayLike) -> NDArray[np.float64]:
    array = as_array(what, values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{what} must hold real numbers, got dtype {array.dtype}")
    return np.asarray(array, np.float64)


def _scaled(column: NDArray[np.float64]) -> tuple[NDArray[np.float64], str, str]:
    """Heights from 0 to 1, NaN of what is not finite, and what the lowest and the highest are."""
    column = np.where(np.isfinite(column), column, np.nan)
    if np.isnan(column).all():
        return column, "", ""
    low, high = float(np.nanmin(column)), float(np.nanmax(column))
    if low > 0 and high / low > MOST_ON_A_LINEAR_AXIS:
        heights = np.log(column / low) / math.log(high / low)
    else:
        heights = (column - low) / (high - low) if high > low else 0.5 + 0 * column
    return heights, f"{low:.3g}", f"{high:.3g}"
