"""What looks on while a network trains: a `ReduceOnPlateau`, and the callbacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import schedules
from backprop.solvers import WholeBatch

if TYPE_CHECKING:
    from backprop._base import BaseNetwork
    from backprop._core import Optimizer

Callback = Callable[[Any, dict[str, float]], object]  # network.Callback, below the face


def callables(callbacks: Sequence[Callback]) -> tuple[Callback, ...]:
    """The callbacks, checked.

    Raises
    ------
    TypeError
        If they are not a list or tuple of callables.
    """
    if not isinstance(callbacks, (tuple, list)) or not all(map(callable, callbacks)):
        raise TypeError(f"callbacks must be a list of callables, got {callbacks!r}")
    return tuple(callbacks)


class Observers:
    """The schedule, if it is or follows a `ReduceOnPlateau`, then the callbacks, in this order.

    Parameters
    ----------
    network : BaseNetwork
    optimizer : Optimizer or WholeBatch
    callbacks : tuple of callables
    """

    def __init__(
        self, network: BaseNetwork, optimizer: Optimizer | WholeBatch, callbacks: tuple[Callback, ...]
    ) -> None:
        self._network, self._callbacks = network, callbacks
        self._plateau = None if isinstance(optimizer, WholeBatch) else schedules.plateau_of(optimizer.lr)

    def __bool__(self) -> bool:
        return self._plateau is not None or bool(self._callbacks)

    def start(self, quantities: tuple[str, ...]) -> None:
        """Before training; `quantities` are the names that the records will hold."""
        if self._plateau is not None:
            self._plateau.start(quantities)
        for callback in self._callbacks:
            if hasattr(callback, "start"):
                callback.start(self._network, quantities)

    def after_epoch(self, record: dict[str, float]) -> bool:
        """Shows an epoch's figures to all of them; whether one wants to stop."""
        stop = False
        if self._plateau is not None:
            self._plateau.observe(record)
        for callback in self._callbacks:
            answer = callback(self._network, dict(record))
            stop |= isinstance(answer, (bool, np.bool_)) and bool(answer)
        return stop

    def finish(self) -> None:
        """After training that no exception has ended."""
        for callback in self._callbacks:
            if hasattr(callback, "finish"):
                callback.finish(self._network)
