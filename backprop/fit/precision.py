"""How the products of a training are rounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backprop import _core
from backprop._validate import name_among

if TYPE_CHECKING:
    import numpy as np

PRECISIONS = ("float32", "bfloat16", "bfloat16-emulated")


def precision_of(dtype: np.dtype[Any], precision: str | None) -> str:
    """The user's precision, checked, as the engine names it; None is the network's own.

    Raises
    ------
    TypeError, ValueError
        If it is none of PRECISIONS, if the network is of float64, or if this processor cannot.
    """
    if precision is None:
        return "float32"  # the engine's name for the network's own
    name_among("precision", precision, PRECISIONS)
    if dtype != "float32":
        raise ValueError(f"precision is for float32 networks; this one is {dtype}, got {precision!r}")
    _core.products("float32", precision)
    return precision
