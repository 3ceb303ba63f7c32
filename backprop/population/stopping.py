"""When the training of each member ends by itself, as its objective does not fall any more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Stopping:
    """The rule of `backprop.sklearn`'s estimators, which the engine applies after each epoch of a member.

    The objective of an epoch, C + Σ ½ l2 w², tells how good the parameters were that it began with. A member
    ends after more than `most` epochs in a row in which the objective was not lower by `tol` than the lowest
    before.

    Parameters
    ----------
    tol, most : ndarray of float64, (members,)
    parameters : ndarray, (members, P)
        Of the members before their first epoch.

    Attributes
    ----------
    best : ndarray of float64, (members,)
        The lowest objective, negative; -inf before the first epoch.
    waited, epochs : ndarray of uint64, (members,)
        Epochs in a row in which the objective did not fall; all epochs that were trained.
    ended : ndarray of bool, (members,)
        Whose training has ended by this rule.
    kept : ndarray, (members, P)
        The parameters with the lowest objective.
    objectives : list of ndarray of float64, (epochs, members)
        One for each call of the engine; NaN of what was not trained.
    """

    def __init__(
        self, tol: NDArray[np.float64], most: NDArray[np.float64], parameters: NDArray[Any]
    ) -> None:
        members = len(parameters)
        self.tol, self.most = tol, most
        self.best = np.full(members, -np.inf)
        self.waited, self.epochs = np.zeros(members, np.uint64), np.zeros(members, np.uint64)
        self.ended = np.zeros(members, np.bool_)
        self.kept = parameters.copy()
        self.objectives: list[NDArray[np.float64]] = []

    def arrays(self, epochs: int) -> tuple[NDArray[Any], ...]:
        """What the engine takes for a call of so many epochs."""
        self.objectives.append(np.full((epochs, len(self.best)), np.nan))
        state = self.best, self.waited, self.epochs, self.ended, self.kept
        return (self.tol, self.most, *state, self.objectives[-1])

    def reasons(self) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Why the engine has ended the training of members, and of which."""
        yield "patience", self.ended

    def objectives_of(self, member: int) -> list[float]:
        """One for each epoch in which it was trained."""
        every = [each[:, member] for each in self.objectives]
        return [value for part in every for value in part.tolist()][: int(self.epochs[member])]
