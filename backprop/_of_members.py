"""What an optimizer has of a population's members: numbers that differ between them, and their states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MemberStates(NamedTuple):
    """What a rule remembers of each member.

    Attributes
    ----------
    state : tuple of ndarray, (members, P)
        As many as the rule has.
    steps : ndarray of uint64, (members,)
        Steps done; members that stopped early have fewer.
    """

    state: tuple[NDArray[Any], ...]
    steps: NDArray[np.uint64]

    def copy(self) -> MemberStates:
        """One of its own."""
        return MemberStates(tuple(array.copy() for array in self.state), self.steps.copy())


def is_of_members(value: object) -> bool:
    """Whether it is a sequence with a number for each member, be it a range or a column of a table."""
    if isinstance(value, Sequence):
        return not isinstance(value, (str, bytes))
    return hasattr(value, "__array__") and getattr(value, "ndim", 0) == 1


def list_of(values: Any) -> list[Any]:
    """The entries of such a sequence; numbers of arrays as Python's."""
    return values.tolist() if hasattr(values, "tolist") else list(values)


def checked(check: Callable[[str, object], float], what: str, value: object) -> Any:
    """A number that passes a check, or an array (members,) of such numbers.

    Raises
    ------
    TypeError, ValueError
        As from the check, naming the member's place.
    """
    if not is_of_members(value):
        return check(what, value)
    numbers = list_of(value)
    array = np.array([check(f"{what}[{i}]", number) for i, number in enumerate(numbers)], np.float64)
    array.flags.writeable = False
    return array


def checked_rates(check: Callable[[str, object], float], lr: object) -> Any:
    """A rate or a schedule; or an array (members,) of rates; or a tuple of rates and schedules."""
    if callable(lr):
        return lr
    if is_of_members(lr) and any(map(callable, lr)):  # type: ignore[call-overload]
        each: Sequence[Any] = lr  # type: ignore[assignment]
        return tuple(rate if callable(rate) else check(f"lr[{i}]", rate) for i, rate in enumerate(each))
    return checked(check, "lr", lr)


def members_of(values: Sequence[Any]) -> int | None:
    """How many members these numbers, arrays and pairs of them are of; None where none is of members.

    Raises
    ------
    ValueError
        If they are of different numbers of members, or of none.
    """
    counts = {len(value) for value in values if is_of_members(value)}
    if len(counts) > 1:
        raise ValueError(f"an optimizer's numbers must be of one number of members, got {sorted(counts)}")
    if counts == {0}:
        raise ValueError("an optimizer's numbers must be of at least one member, got none")
    return counts.pop() if counts else None


def numbers_of(value: Any) -> list[float]:
    """A number, or each member's."""
    return [float(number) for number in (value if is_of_members(value) else [value])]


def of_member(value: Any, i: int) -> Any:
    """The number of member i."""
    if isinstance(value, np.ndarray):
        return float(value[i])
    return value[i] if isinstance(value, tuple) else value


def shown(value: Any) -> str:
    """A number, or the first ones of many."""
    if isinstance(value, np.ndarray):
        some = ", ".join(f"{number:g}" for number in value[:3])
        return f"[{some}{', …' if len(value) > 3 else ''}]"
    return repr(value)


# How many arrays each of the engine's rules remembers without momentum, with which it is one more.
STATES = {"sgd": 0, "rmsprop": 1, "adam": 2, "adamw": 2}


def state_count(kind: str, momentum: float) -> int:
    """How many arrays a rule of the engine's remembers with such a momentum."""
    return STATES[kind] + int(momentum > 0)
