"""The figures of an epoch: the columns of the engine's record, and the keys of `History`."""

from __future__ import annotations

import math
from collections.abc import Container
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import _core

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.fit.quality import Quality


def quantities(quality: Quality, validated: bool, norms: bool, own: tuple[str, ...]) -> tuple[str, ...]:
    """The keys of the history.

    Parameters
    ----------
    quality : Quality
        What is measured beside the loss.
    validated : bool
        Whether there are samples to validate on.
    norms : bool
        Whether the norms of weights and gradient are measured.
    own : tuple of str
        The keys of the user's metrics.

    Returns
    -------
    tuple of str
    """
    measured = ("weight_norm", "gradient_norm") if norms else ()
    return (*quality.keys(validated), *own, "lr", *measured, "seconds")


def new_record(epochs: int) -> NDArray[np.float64]:
    """What the engine writes the figures of so many epochs into, all of an epoch's: (epochs, figures)."""
    return np.empty((epochs, len(_core.figures)))


def columns_of(record: NDArray[np.float64], names: Container[str]) -> dict[str, NDArray[np.float64]]:
    """The columns of a record that have one of these names, a number an epoch: copies."""
    return {name: record[:, at].copy() for at, name in enumerate(_core.figures) if name in names}


def norms_of(parameters: NDArray[Any]) -> NDArray[np.float64]:
    """The 2-norm of each row, (rows,) of (rows, P), with bits that do not depend on the other rows."""
    # Not by sums along an axis: NumPy loses their exception where memory is short.
    return np.array([math.sqrt(row.dot(row)) for row in parameters.astype(np.float64)])
