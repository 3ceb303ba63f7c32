"""The learning rates of the next steps, whatever an optimizer's lr is: a number, or a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backprop import schedules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backprop._core import Optimizer

RATES_AT_A_TIME = 1 << 20  # steps whose rates are computed at a time, except that an epoch is never split
RATES_TO_COMPARE = 16
NONE_KNOWN = np.empty(0)


class Rates:
    """Learning rates by the number of steps done before; a schedule is asked once for each.

    Asks for no rate of a step that is not to be done, since a schedule may have none for it. To be made
    anew where the optimizer's lr may have changed, or what its schedule depends on.

    Parameters
    ----------
    optimizer : Optimizer

    Attributes
    ----------
    scheduled : bool
        Whether lr is a schedule.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._lr = optimizer.lr
        self.scheduled = callable(self._lr)
        self._first, self._known = optimizer.steps, NONE_KNOWN  # the rates of the steps from _first on

    def of_steps(self, first: int, count: int) -> NDArray[np.float64]:
        """A schedule's rates of `count` steps after `first` steps: (count,).

        Raises
        ------
        TypeError, ValueError
            If a schedule returns anything but finite numbers ≥ 0; and whatever it raises.
        """
        assert callable(self._lr)
        known = self._known[first - self._first :] if first >= self._first else self._known[:0]
        if len(known) < count:
            more = schedules.rates(self._lr, first + len(known), count - len(known))
            self._first, self._known = first, np.concatenate([known, more]) if len(known) else more
            known = self._known
        return known[:count]

    def at(self, steps: Sequence[int]) -> list[float]:
        """The rate of the step after each of these numbers of steps."""
        lr = self._lr
        return [float(self.of_steps(done, 1)[0]) if callable(lr) else lr for done in steps]


def epochs_at_a_time(steps: int) -> int:
    """For how many epochs of so many steps rates are computed at a time; at least 1."""
    return max(1, RATES_AT_A_TIME // max(1, steps))


def first_rates(optimizer: Optimizer) -> list[float]:
    """A schedule's first rates, by which schedules are compared; none of a constant."""
    lr = optimizer.lr
    return schedules.rates(lr, 0, RATES_TO_COMPARE).tolist() if callable(lr) else []
