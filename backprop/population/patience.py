"""Early stopping of each member by itself, and its best parameters kept meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._figures import UPWARDS, worst

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Patience:
    """What `EarlyStopping` does for a network, for each member of a population.

    Parameters
    ----------
    monitor : str
        The figure that is watched.
    patience : int or None
        Epochs in a row without an improvement that are put up with; None watches nothing.
    min_delta : float
        By how much a better value must be better.
    parameters : ndarray, (members, P)
        The population's, live.

    Attributes
    ----------
    best_epoch : ndarray of int64, (members,)
        The epoch with the best value, from 1; 0 before the first.
    """

    def __init__(
        self, monitor: str, patience: int | None, min_delta: float, parameters: NDArray[Any]
    ) -> None:
        self._monitor, self._patience, self._min_delta = monitor, patience, min_delta
        self._parameters = parameters
        members = len(parameters)
        self.best_epoch = np.zeros(members, np.int64)
        self._best = np.full(members, worst(monitor))
        self._kept = None if patience is None else np.empty_like(parameters)

    def after_epoch(
        self, epoch: int, record: dict[str, Any], training: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Takes the figures of the members that train; which of these are to stop, (members,)."""
        if self._patience is None or self._kept is None:
            return np.zeros_like(training)
        values = record[self._monitor]
        with np.errstate(invalid="ignore"):
            gain = values - self._best if self._monitor.endswith(UPWARDS) else self._best - values
        better = training & (gain > self._min_delta)
        self._best[better], self.best_epoch[better] = values[better], epoch
        self._kept[better] = self._parameters[better]
        return training & (epoch - self.best_epoch >= self._patience)

    def finish(self, diverged: NDArray[np.bool_]) -> None:
        """Puts the best parameters back; those that diverged keep their last finite ones."""
        if self._kept is not None:
            restored = (self.best_epoch > 0) & ~diverged
            self._parameters[restored] = self._kept[restored]
