"""The learning rates of each member's next steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import schedules

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATES_AT_A_TIME = 1 << 22  # of all members together, except that an epoch is never split


class MemberRates:
    """Rates by member and step. To be made anew where the optimizer's lr may have changed.

    Parameters
    ----------
    lr : float, callable, ndarray (members,), or tuple of numbers and callables
    members : int
    """

    def __init__(self, lr: Any, members: int) -> None:
        self._members = members
        each = lr if isinstance(lr, tuple) else None
        self._is_one = callable(lr)
        self._schedules = each if each is not None else members * (lr,) if callable(lr) else None
        self._constant = None if self._schedules else np.broadcast_to(np.asarray(lr, np.float64), members)

    @property
    def scheduled(self) -> bool:
        """Whether rates change from step to step."""
        return self._schedules is not None

    @property
    def constant(self) -> NDArray[np.float64]:
        """The rates, (members,), where none changes."""
        assert self._constant is not None
        return self._constant

    def of_steps(
        self, training: NDArray[np.bool_], done: NDArray[np.uint64], count: int
    ) -> NDArray[np.float64]:
        """The rates of `count` steps after those `done`, (members,): (count,) where all that train have the
        same ones, else (members, count), 0 where one rests.

        Raises
        ------
        TypeError, ValueError
            If a schedule returns anything but finite numbers ≥ 0; and whatever it raises.
        """
        assert self._schedules is not None
        known: dict[tuple[int, int], NDArray[np.float64]] = {}  # a schedule is asked once for a step
        members = np.flatnonzero(training).tolist()
        if self._is_one and (done[members] == done[members[0]]).all():
            return schedules.rates(self._schedules[0], int(done[members[0]]), count)
        rows = np.zeros((len(training), count))
        for member in members:
            schedule, first = self._schedules[member], int(done[member])
            key = id(schedule), first
            if not callable(schedule):
                rows[member] = schedule
                continue
            if key not in known:
                known[key] = schedules.rates(schedule, first, count)
            rows[member] = known[key]
        return rows

    def epochs_at_a_time(self, steps: int) -> int:
        """For how many epochs of so many steps rates are computed at a time; at least 1."""
        return max(1, RATES_AT_A_TIME // max(1, self._members * steps))
