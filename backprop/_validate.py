"""Checks of arguments that several modules share. Each returns the value or raises, naming what was
expected and what came."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import _core

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_NODES = 2**31 - 1


def name_among(what: str, name: object, known: Iterable[str]) -> str:
    """`name` if it is one of `known`; a misspelt one is answered with the nearest."""
    known = tuple(known)
    if not isinstance(name, str):
        raise TypeError(f"{what} must be one of the names {', '.join(known)}; got {_typed(name)}")
    if name not in known:
        raise ValueError(f"there is no {what} {name!r}{suggestion(name, known)}; known: {', '.join(known)}")
    return name


def suggestion(name: str, known: Iterable[str]) -> str:
    """' (did you mean ...?)', or nothing if no known name is near."""
    import difflib

    near = difflib.get_close_matches(name.lower().replace("-", "_"), tuple(known), n=3, cutoff=0.5)
    return f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""


def whole_number(what: str, value: object, least: int = 1) -> int:
    """`value` as an int of at least `least`; NumPy's integers pass, bool and floats do not."""
    if type(value) is int and value >= least:
        return value
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{what} must be a whole number, got {_typed(value)}")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{what} must be a whole number, got {_typed(value)}") from None
    if number < least:
        raise ValueError(f"{what} must be at least {least}, got {number}")
    return number


def node_count(what: str, value: object) -> int:
    """`value` as a number of nodes that a layer may have."""
    size = whole_number(what, value)
    if size > MOST_NODES:
        raise ValueError(f"{what} must be at most {MOST_NODES}, got {size}")
    return size


def index_below(what: str, value: object, length: int, of: str = "") -> int:
    """`value` as an index 0 … length - 1; negative ones count from the end, as in Python."""
    number = whole_number(what, value, -length)
    if number >= length:
        raise ValueError(f"{what} must be below {length}{of and f', the number of {of}'}; got {number}")
    return number % length


def finite_number(what: str, value: object) -> float:
    """`value` as a finite float; bool does not pass."""
    if not isinstance(value, numbers.Real) or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{what} must be a number, got {_typed(value)}")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{what} must be finite, got {value}")
    return number


def flag(what: str, value: object) -> bool:
    """The value as a bool; TypeError for what is none, such as "no"."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{what} must be True or False, got {_typed(value)}")
    return bool(value)


def positive(what: str, value: object) -> float:
    """`value` as a finite float above 0."""
    number = finite_number(what, value)
    if number <= 0:
        raise ValueError(f"{what} must be greater than 0, got {value}")
    return number


def not_negative(what: str, value: object) -> float:
    """`value` as a finite float of at least 0."""
    number = finite_number(what, value)
    if number < 0:
        raise ValueError(f"{what} must be at least 0, got {value}")
    return number


def fraction(what: str, value: object) -> float:
    """`value` as a float from 0 to below 1."""
    number = finite_number(what, value)
    if not 0 <= number < 1:
        raise ValueError(f"{what} must be at least 0 and less than 1, got {value}")
    return number


def as_array(what: str, value: object) -> NDArray[Any]:
    """`value` itself if it is an array, else an array made of it; of objects that are numbers, as tables of
    several types give them, an array of numbers. Masked entries are a ValueError.
    """
    return _core.as_array(what, value)


def real_array(what: str, value: object, shape: tuple[int, ...]) -> NDArray[Any]:
    """`value` as an array of real numbers of exactly this shape."""
    array = as_array(what, value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{what} must hold real numbers, got dtype {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{what} must have shape {shape}, got {array.shape}")
    return array


def weight_mask(value: object, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A read-only copy of `value`, (outputs, inputs) of bool, of which some are True."""
    array = as_array("mask", value)
    if array.dtype != np.bool_:
        raise TypeError(f"mask must hold bool, True where there is a weight; got dtype {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"mask must have the shape (outputs, inputs), {shape}, got {array.shape}")
    if not array.any():
        raise ValueError("mask must leave at least one weight; it is False everywhere")
    mask: NDArray[np.bool_] = array.copy()
    mask.flags.writeable = False
    return mask


def _typed(value: object) -> str:
    return f"{type(value).__name__} {value!r:.60}"
