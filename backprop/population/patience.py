"""Early stopping of each member by itself, and its best parameters kept meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import _core
from backprop._figures import VALIDATION, rises, worst

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.population.plan import Plan

MOST_EPOCHS = 2**63 - 1  # of the engine's numbers
OUT_OF_PATIENCE, AT_TARGET = 1, 2  # the engine's enum bp_end


class Patience:
    """What `EarlyStopping` and `target` do for a network, for each member of a population.

    The engine applies the rule, csrc/core/population/monitor.h, while it trains many epochs; but where
    somebody looks on after each, and may change parameters before they are kept, it is applied here.

    Parameters
    ----------
    plan : Plan
        Its monitor, patience, min_delta and target.
    parameters : ndarray, (members, P)
        The population's, live.

    Attributes
    ----------
    best_epoch : ndarray of int64, (members,)
        The epoch with the best value, from 1; 0 before the first.
    done : int
        Epochs before the engine's next call.
    epochs : ndarray of uint64, (members,)
        What the engine trained in its last call.
    ended : ndarray of uint8, (members,)
        Whose training the engine has ended, and why.
    """

    def __init__(self, plan: Plan, parameters: NDArray[Any]) -> None:
        members = len(parameters)
        self._plan, self._parameters = plan, parameters
        self.best_epoch = np.zeros(members, np.int64)
        self.epochs, self.ended = np.zeros(members, np.uint64), np.zeros(members, np.uint8)
        self._best = np.full(members, worst(plan.monitor))
        self._kept = None if plan.patience is None else np.empty_like(parameters)
        self.done = 0

    @property
    def watches(self) -> bool:
        """Whether there is anything that a member's training may end by."""
        return self._kept is not None or self._plan.target > -np.inf

    def of_engine(self) -> tuple[Any, ...]:
        """What the engine takes for its next call."""
        plan = self._plan
        monitor = "loss" if self._kept is None else plan.monitor
        upwards, spread = rises(monitor), None
        if monitor.endswith("r2"):  # 1 - loss / spread
            spread = plan.spreads[monitor.startswith(VALIDATION)]
            monitor = monitor.replace("r2", "loss")
        patience = MOST_EPOCHS if plan.patience is None else min(plan.patience, MOST_EPOCHS)
        self.epochs.fill(0)
        rule = _core.figures.index(monitor), upwards, spread, plan.min_delta, patience, plan.target
        state = self._best, self.best_epoch.view(np.uint64), self.epochs, self.ended, self._kept
        return (*rule, self.done, *state)

    def reasons(self) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Why the engine has ended the training of members, and of which."""
        yield "patience", self.ended == OUT_OF_PATIENCE
        yield "target", self.ended == AT_TARGET

    def after_epoch(
        self, epoch: int, record: dict[str, Any], training: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Takes the figures of the members that train; which of these are to stop, (members,)."""
        if self._plan.patience is None or self._kept is None:
            return np.zeros_like(training)
        values = record[self._plan.monitor]
        with np.errstate(invalid="ignore"):
            gain = values - self._best if rises(self._plan.monitor) else self._best - values
        better = training & (gain > self._plan.min_delta)
        self._best[better], self.best_epoch[better] = values[better], epoch
        self._kept[better] = self._parameters[better]
        return training & (epoch - self.best_epoch >= self._plan.patience)

    def finish(self, diverged: NDArray[np.bool_]) -> None:
        """Puts the best parameters back; those that diverged keep their last finite ones."""
        if self._kept is not None:
            restored = (self.best_epoch > 0) & ~diverged
            self._parameters[restored] = self._kept[restored]
