"""What all members can be asked: outputs, classes, losses, and how far they agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backprop._classes import classes_of
from backprop.population.members import Members

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Interval(NamedTuple):
    """The members' outputs, taken together: mean, spread and bounds of each output.

    Attributes
    ----------
    mean, std : ndarray, (n, outputs)
        Of the members' outputs.
    low, high : ndarray, (n, outputs)
        Between which the wanted share of the members' outputs lies.
    """

    mean: NDArray[Any]
    std: NDArray[Any]
    low: NDArray[Any]
    high: NDArray[Any]


class Asked(Members):
    """Members that can be asked; nothing of them is changed. `Population` documents it."""

    def __call__(self, x: ArrayLike) -> NDArray[Any]:
        """The outputs of all members, (members, n, outputs); see the notes of the class."""
        from backprop.population import evaluate

        return evaluate.outputs_of(self, x)

    def classify(self, x: ArrayLike) -> NDArray[np.int64]:
        """The class that each member gives each sample, by the rule of `Network.classify`.

        Parameters
        ----------
        x : array_like, (n, inputs) or (members, n, inputs)

        Returns
        -------
        ndarray of int64, (members, n)

        Raises
        ------
        TypeError, ValueError
            If x does not fit.
        """
        return classes_of(self(x))

    def loss(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        target_mask: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """C of each member, as `Network.loss` gives it.

        Parameters
        ----------
        x, y, sample_weight, target_mask : array_like
            As for `fit`: of all members, or of each.

        Returns
        -------
        ndarray of float64, (members,)

        Raises
        ------
        TypeError, ValueError
            If x or y does not fit.
        """
        from backprop.population import evaluate

        return evaluate.scores_of(self, x, y, sample_weight, target_mask)[0]

    def accuracy(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """The share of samples that each member classifies rightly, as `Network.accuracy` gives it.

        Parameters
        ----------
        x, y : array_like
            As for `fit`.

        Returns
        -------
        ndarray of float64, (members,)

        Raises
        ------
        TypeError, ValueError
            If x or y does not fit.
        """
        from backprop.population import evaluate

        return evaluate.scores_of(self, x, y)[1]

    def predict_interval(self, x: ArrayLike, share: float = 0.9) -> Interval:
        """The outputs of the members that did not diverge, taken together: mean, spread, and where most of
        them lie.

        Of networks that differ in their seeds, and best in their samples too (bootstrap), the spread shows
        how uncertain the mean is where samples are few; not the noise of the targets.

        Parameters
        ----------
        x : array_like, (n, inputs)
        share : float
            The share of the members' outputs between low and high, 0 < share ≤ 1.

        Returns
        -------
        Interval
            ``mean``, ``std``, ``low`` and ``high``, each (n, outputs).

        Raises
        ------
        ValueError
            If share makes no sense, all members have diverged, or x does not fit.
        """
        if not 0 < share <= 1:
            raise ValueError(f"share must be greater than 0 and at most 1, got {share}")
        if self.diverged.all():
            raise ValueError("all members have diverged")
        a = self(x)[~self.diverged]
        low, high = np.quantile(a, [(1 - share) / 2, (1 + share) / 2], axis=0)
        return Interval(a.mean(axis=0), a.std(axis=0), low, high)
