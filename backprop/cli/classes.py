"""The classes that labels stand for: texts, or any set of whole numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop.cli.columns import listed
from backprop.cli.dialect import is_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

Where = Callable[[int], str]  # what messages call the place of a sample


@dataclass(frozen=True)
class Classes:
    """The class of each output: class i is called ``names[i]``."""

    names: tuple[str, ...] | tuple[int, ...]

    @property
    def are_indices(self) -> bool:
        """Whether class i is called i."""
        return self.names == tuple(range(len(self.names)))

    def indices(self, values: NDArray[Any], where: Where) -> NDArray[np.int64]:
        """The index of each label.

        Raises
        ------
        ValueError
            If a label is none of the classes.
        """
        place: dict[Any, int] = {name: i for i, name in enumerate(self.names)}
        are_numbers = isinstance(self.names[0], int)
        if values.dtype.kind in "biuf" and are_numbers:
            known = np.array(self.names)
            found = np.minimum(np.searchsorted(known, values), len(known) - 1)
            wrong = np.flatnonzero(known[found] != values)
            indices = found
        else:
            keys = [_number(value) if are_numbers else str(value) for value in values.tolist()]
            indices = np.array([place.get(key, -1) for key in keys], np.int64)
            wrong = np.flatnonzero(indices < 0)
        if len(wrong):
            value = values[wrong[0]]
            raise ValueError(
                f"the label {value.item() if isinstance(value, np.generic) else value!r} in "
                f"{where(int(wrong[0]))} is none of the classes {listed(list(map(str, self.names)))}"
            )
        return indices.astype(np.int64)


def _number(text: object) -> float | None:
    return float(str(text)) if is_number(str(text)) else None


def learn(values: NDArray[Any], what: str, where: Where, outputs: int | None = None) -> Classes:
    """The classes of labels, in order: whole numbers by size, texts by alphabet.

    Parameters
    ----------
    values : ndarray
        (n,) numbers, or texts, which count as numbers if all of them are.
    what : str
        What messages call them.
    where : callable
        What messages call the place of sample i.
    outputs : int, optional
        How many outputs were asked for: labels below it are their own indices, so that some may not occur.

    Raises
    ------
    ValueError
        If they are no labels: fractions, one class only, or as different as an ID.
    """
    if values.dtype.kind not in "biuf":
        numbers = [_number(value) for value in values.tolist()]
        if all(number is not None for number in numbers):
            values = np.array(numbers, np.float64)
    if values.dtype.kind in "biuf":
        fractions = np.flatnonzero(~(np.isfinite(values) & (values == np.floor(values))))
        if len(fractions):
            i = int(fractions[0])
            raise ValueError(
                f"{what} must hold labels, whole numbers or texts, got {values[i]:g} in {where(i)}; targets "
                "that are real numbers need --regression"
            )
        if np.abs(values.astype(np.float64)).max() >= 2**62:
            raise ValueError(f"{what} must hold labels below 2**62")
        found: list[Any] = np.unique(values.astype(np.int64)).tolist()
        if outputs is not None and outputs > len(found) and found[0] >= 0 and found[-1] < outputs:
            found = list(range(outputs))
    else:
        found = sorted(set(map(str, values.tolist())))
    _refuse_what_is_none(found, what, len(values))
    return Classes(tuple(found))


def _refuse_what_is_none(found: Sequence[object], what: str, samples: int) -> None:
    if len(found) < 2:
        raise ValueError(f"{what} holds one class only, {found[0]!r}")
    if len(found) > 2 and 2 * len(found) > samples:
        raise ValueError(
            f"{what} has {len(found)} different values in {samples} samples, as an ID has, so they are no "
            "classes; targets that are real numbers need --regression"
        )


def from_notes(notes: object, outputs: int) -> Classes:
    """The classes that were saved with a network of so many outputs, 2 where it has one.

    Raises
    ------
    ValueError
        If they are something else.
    """
    names = notes if isinstance(notes, list) else []
    kinds = {type(name) for name in names}
    if len(names) != outputs or len(set(names)) != outputs or kinds not in ({int}, {str}):
        raise ValueError(f"the saved classes must be {outputs} different texts or whole numbers")
    return Classes(tuple(names))
