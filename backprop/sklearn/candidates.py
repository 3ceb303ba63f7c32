"""The estimators that a search tries, trained together before they are scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from backprop.sklearn.estimator import Estimator, fit_together
from backprop.sklearn.training import Fit, Shared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.sklearn.halving import Contender

    Part = tuple[Any, Any, NDArray[np.intp]]


class Trained(BaseEstimator):
    """An estimator whose clones are fitted by taking the next one that has been trained.

    Parameters
    ----------
    estimator : Estimator or Pipeline
    queue : list
        Estimators, or what went wrong with them, in the order in which a search asks for them. Once it is
        empty, fit is the estimator's own.
    """

    def __init__(self, estimator: Any, queue: list[Any]) -> None:
        self.estimator, self.queue = estimator, queue
        self.settings: dict[str, Any] = {}

    def __sklearn_clone__(self) -> Trained:
        return Trained(self.estimator, self.queue)  # the estimator is the search's until one is trained

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.estimator)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("estimator", "queue", "settings"):
            raise AttributeError(name)
        return getattr(self.estimator, name)

    def get_params(self, deep: bool = True) -> Any:
        """The estimator's parameters."""
        return self.estimator.get_params(deep) | self.settings

    def set_params(self, **settings: Any) -> Trained:
        """Notes the parameters, for an estimator that is trained by its own fit; returns self."""
        self.settings |= settings
        return self

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Trained:
        """Takes the next one, or raises what went wrong with it; returns self."""
        if not self.queue:
            self.estimator = clone(self.estimator).set_params(**self.settings).fit(X, y, **fit_params)
            return self
        trained = self.queue.pop(0)
        if isinstance(trained, Exception):
            raise trained
        self.estimator = trained
        return self


def last_of(estimator: Any) -> Any:
    """The network's estimator: that of a pipeline is its last step."""
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def check_estimator(estimator: Any, fit_params: Mapping[str, Any]) -> None:
    """Raises a TypeError unless the estimator is of ours, and fit is given nothing but weights."""
    if not isinstance(last_of(estimator), Estimator):
        raise TypeError(
            "estimator must be a BackpropClassifier or BackpropRegressor, or a Pipeline that ends in one; "
            f"got {type(estimator).__name__}"
        )
    step = f"{estimator.steps[-1][0]}__" if isinstance(estimator, Pipeline) else ""
    known = f"{step}sample_weight"
    for name in fit_params:
        if name != known:
            raise TypeError(f"fit takes X, y, groups and {known}, got {name!r}")


def train_candidates(
    estimator: Any,
    settings: Sequence[Mapping[str, Any]],
    parts: Sequence[Part],
    samples: int,
    fit_params: Mapping[str, Any],
    threads: int | None,
    contend: Callable[[int, int, Any], Contender] | None = None,
) -> tuple[list[Any], NDArray[np.bool_]]:
    """An estimator for each of the settings on each part of the data, in this order, or what went wrong; and
    which of the settings were trained to the end.

    Parameters
    ----------
    estimator : Estimator or Pipeline
    settings : sequence of dicts
    parts : sequence of (X, y, rows)
    samples : int
        In all parts together, for a check of the weights.
    fit_params : dict
        Weights of the samples, or nothing.
    threads : int or None
    contend : callable, optional
        What a candidate competes as, from the numbers of its settings and its part.
    """
    weights = [None if w is None else np.asarray(w) for w in fit_params.values()]
    for weight in weights:
        if weight is not None and weight.shape != (samples,):
            raise ValueError(f"sample_weight must have shape {(samples,)}, got {weight.shape}")
    weight = weights[0] if weights else None
    of_parts = [None if weight is None else weight[rows] for _, _, rows in parts]
    before = [_Transformed(X, y) for X, y, _ in parts]
    results: list[Any] = []
    fits: dict[int, Fit] = {}
    finished = np.ones(len(settings), np.bool_)
    for number, each in enumerate(settings):
        for part, (transformed, (_, y, _), of_part) in enumerate(
            zip(before, parts, of_parts, strict=True)
        ):
            candidate = clone(estimator).set_params(**clone(dict(each), safe=False))
            if not isinstance(last_of(candidate), Estimator):
                raise TypeError(f"every setting must leave one of ours as the last step, got {each}")
            try:
                x, shared = transformed.by(candidate)
                contender = contend(number, part, candidate) if contend else None
                fits[len(results)] = Fit(last_of(candidate), x, y, of_part, shared, contender)
                results.append(candidate)
            except (TypeError, ValueError) as error:
                results.append(error)
    for place, failure in zip(fits, fit_together(list(fits.values()), threads), strict=True):
        if failure is not None:
            results[place] = failure
    for fit in fits.values():
        if fit.contender is not None and fit.contender.dropped:
            finished[fit.contender.setting] = False
    return results, finished


class _Transformed:
    """One part of the data, as the steps before the last one of a pipeline transform it; each way once."""

    def __init__(self, X: Any, y: Any) -> None:
        self._X, self._y = X, y
        self._ways: list[tuple[dict[str, Any], Any, Any, Shared]] = []

    def by(self, candidate: Any) -> tuple[Any, Shared]:
        """X as the last step takes it, and what fits on it share; the steps before it are fitted."""
        if not isinstance(candidate, Pipeline):
            return self._way({}, None)[1:]
        steps = candidate[:-1]
        last = candidate.steps[-1][0]
        settings = {
            name: value
            for name, value in candidate.get_params().items()
            if name not in ("steps", *candidate.named_steps) and not name.startswith(f"{last}__")
        }
        fitted, x, shared = self._way(settings, steps)
        candidate.steps[:-1] = fitted.steps
        return x, shared

    def _way(self, settings: dict[str, Any], steps: Any) -> tuple[Any, Any, Shared]:
        for known, fitted, x, shared in self._ways:
            if _same(known, settings):
                return fitted, x, shared
        x = self._X if steps is None or not steps.steps else steps.fit_transform(self._X, self._y)
        self._ways.append((settings, steps, x, Shared()))
        return self._ways[-1][1:]


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether settings are equal for certain: numbers, texts and the like."""
    plain = (bool, int, float, str, type(None))
    return one.keys() == other.keys() and all(
        value is other[name] or (isinstance(value, plain) and value == other[name])
        for name, value in one.items()
    )
