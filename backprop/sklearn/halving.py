"""Successive halving: twice while settings are trained, only the best of them go on."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.pipeline import Pipeline

from backprop.sklearn.scaling import to_units

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.network import Network


class Contender:
    """One of the settings on one of the folds, while it is trained.

    Parameters
    ----------
    setting : int
        Its number: the same on all folds.
    candidate : Estimator or Pipeline
        With these settings; its steps before the last one are fitted.
    X, y
        Samples to score it on.
    scorer : callable
    factor : int
        One of so many settings goes on.
    """

    def __init__(
        self, setting: int, candidate: Any, X: Any, y: Any, scorer: Callable[..., Any], factor: int
    ) -> None:
        self.setting, self.factor = setting, factor
        self.dropped = False
        self._candidate, self._X, self._y, self._scorer = candidate, X, y, scorer

    def score(self, fitted: Any) -> float:
        """The score with the last step, or the whole of it, as it is `fitted` now; -inf if not finite."""
        if isinstance(self._candidate, Pipeline):
            steps = self._candidate.steps
            fitted = Pipeline([*steps[:-1], (steps[-1][0], fitted)])
        value = float(self._scorer(fitted, self._X, self._y))
        return value if math.isfinite(value) else -math.inf


def with_parameters(
    estimator: Any, units: tuple[Any, Any], network: Network, parameters: NDArray[Any]
) -> Any:
    """A copy of an estimator that has these parameters of a network in standardised `units`, of X and y."""
    one = copy.copy(estimator)
    one.network_ = copy.deepcopy(network)
    one.network_.parameters[:] = parameters
    to_units(one.network_, *units)
    return one


def compete(contenders: Sequence[Contender], scores: Sequence[float]) -> None:
    """Notes which contenders are dropped: those of settings whose mean score is below that of the best
    1 / factor of them.

    Parameters
    ----------
    contenders : sequence of Contender
        None of them dropped before.
    scores : sequence of float
        One for each.
    """
    numbers, which = np.unique([contender.setting for contender in contenders], return_inverse=True)
    means = np.bincount(which, weights=scores) / np.bincount(which)
    kept = math.ceil(len(numbers) / contenders[0].factor)
    least = np.sort(means)[len(numbers) - kept]
    for contender, mean in zip(contenders, means[which].tolist(), strict=True):
        contender.dropped = mean < least


def scorer_of(estimator: Any, scoring: Any, refit: Any, error_score: str | float) -> Callable[..., Any]:
    """What settings compete by: the score of the search, or of several the one that refit names.

    Where a scorer fails, the score is `error_score`, unless that is "raise".

    Raises
    ------
    ValueError
        If there are several, and refit names none of them.
    """
    scorer = scoring
    if scoring is None or isinstance(scoring, str):
        scorer = check_scoring(estimator, scoring)
    elif not callable(scoring):
        _check_name(refit, list(scoring))
        scorer = check_scoring(estimator, scoring[refit] if isinstance(scoring, dict) else refit)

    def score(*given: Any) -> Any:
        try:
            scores = scorer(*given)
        except Exception:
            if isinstance(error_score, str):
                raise
            return error_score
        if not isinstance(scores, dict):
            return scores
        _check_name(refit, list(scores))
        return scores[refit]

    return score


def _check_name(refit: Any, names: list[str]) -> None:
    if refit not in names:
        raise ValueError(f"halving goes by one score: refit must be one of {names}, got {refit!r}")
