"""`PopulationSearchCV`: a search over settings whose networks are trained as populations."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, is_classifier
from sklearn.model_selection import GridSearchCV, ParameterGrid, ParameterSampler, check_cv
from sklearn.utils import _safe_indexing, get_tags, indexable
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from backprop._validate import whole_number
from backprop.sklearn.candidates import Trained, check_estimator, last_of, train_candidates
from backprop.sklearn.halving import Contender, scorer_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Settings = Mapping[str, Any] | Sequence[Mapping[str, Any]]


def _best_has(name: str) -> Callable[[PopulationSearchCV], bool]:
    """Whether the best estimator, or before fit the one that is searched, has a method."""

    def has(search: PopulationSearchCV) -> bool:
        return bool(search.refit) and hasattr(getattr(search, "best_estimator_", search.estimator), name)

    return has


class PopulationSearchCV(MetaEstimatorMixin, BaseEstimator):
    """Looks for the best settings by cross-validation, all settings and folds of one architecture at once.

    It does what scikit-learn's ``GridSearchCV`` does, or with n_iter its ``RandomizedSearchCV``, and finds
    the same scores, bit for bit; but the networks that differ in rates, penalties, seeds and folds are
    members of a `backprop.Population`. Settings that change the shape of the network or its data, such as
    hidden_layer_sizes, activation, batch_size or max_iter, make a population each. Those with solver="lbfgs"
    or "lm" are trained one by one.

    Parameters
    ----------
    estimator : BackpropClassifier, BackpropRegressor, or a Pipeline that ends in one
    param_grid : dict or list of dicts
        The settings, each a list of values; with n_iter also distributions, as ``RandomizedSearchCV`` has
        them.
    n_iter : int, optional
        How many settings to draw from param_grid, instead of all combinations.
    scoring : str, callable, list, tuple or dict, optional
        As in ``GridSearchCV``.
    refit : bool, str or callable
        As in ``GridSearchCV``.
    cv : int, splitter or iterable, optional
        As in ``GridSearchCV``; 5 folds by default.
    verbose : int
        As in ``GridSearchCV``.
    error_score : "raise" or float
        What to score settings with that cannot be trained.
    return_train_score : bool
        Whether the results have scores on the training folds, too.
    random_state : int, RandomState or None
        What n_iter settings are drawn with.
    halving : int, optional
        At least 2. Settings compete while they are trained: after max_iter / halving² epochs only the best
        1 / halving of them go on, by their mean score, and after max_iter / halving the best 1 / halving of
        these; but for solver="lbfgs" and "lm". That is about 3 / halving² of the epochs, and may miss
        settings that begin slowly. By default all are trained to the end.
    threads : int, optional
        By default all usable cores; what is found does not depend on it.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_
        As in ``GridSearchCV``. ``mean_fit_time`` is the time of all fits, divided by their number.
    cv_results_["finished"]
        With halving: which settings were trained to the end; the best is one of them. The others have the
        scores of the epoch in which they were stopped.
    multimetric_, classes_, n_features_in_, feature_names_in_
        As in ``GridSearchCV``.

    Raises
    ------
    TypeError, ValueError
        From fit, if the estimator is another one, or an argument makes no sense.
    """

    __module__ = "backprop.sklearn"

    cv_results_: dict[str, Any]
    best_estimator_: Any
    best_params_: dict[str, Any]
    multimetric_: bool

    def __init__(
        self,
        estimator: Any,
        param_grid: Settings,
        *,
        n_iter: int | None = None,
        scoring: Any = None,
        refit: bool | str | Callable[..., Any] = True,
        cv: Any = None,
        verbose: int = 0,
        error_score: str | float = np.nan,
        return_train_score: bool = False,
        random_state: int | np.random.RandomState | None = None,
        halving: int | None = None,
        threads: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.n_iter = n_iter
        self.scoring = scoring
        self.refit = refit
        self.cv = cv
        self.verbose = verbose
        self.error_score = error_score
        self.return_train_score = return_train_score
        self.random_state = random_state
        self.halving = halving
        self.threads = threads

    def fit(
        self, X: ArrayLike, y: ArrayLike, *, groups: ArrayLike | None = None, **fit_params: Any
    ) -> PopulationSearchCV:
        """Tries all settings on all folds, and fits the best one on everything.

        Parameters
        ----------
        X : array_like, (n, features)
        y : array_like
            As the estimator takes it.
        groups : array_like, (n,), optional
            For splitters that keep groups together.
        **fit_params
            sample_weight (n,) of the estimator, or of the last step of a pipeline as ``step__sample_weight``.

        Returns
        -------
        PopulationSearchCV
            self.
        """
        check_estimator(self.estimator, fit_params)
        for name in ("n_iter", "threads"):
            if getattr(self, name) is not None:
                whole_number(name, getattr(self, name))
        if self.halving is not None and whole_number("halving", self.halving) < 2:
            raise ValueError(f"halving must be at least 2, got {self.halving}")
        if y is None:
            raise ValueError("PopulationSearchCV requires y to be passed, but the target y is None")
        X, y = indexable(X, y)
        splitter = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        folds = [(np.asarray(train), np.asarray(test)) for train, test in splitter.split(X, y, groups)]
        inner = _Inner.of(self, folds, X, y, fit_params)
        inner.fit(X, y, **fit_params)
        for name, value in vars(inner).items():
            if name.endswith("_") and not name.startswith("_"):
                setattr(self, name, value.estimator if isinstance(value, Trained) else value)
        for kind, value in (("mean", inner.seconds), ("std", 0.0)):
            self.cv_results_[f"{kind}_fit_time"][:] = value
        if self.halving is not None:
            self.cv_results_["finished"] = inner.finished
        return self

    @property
    def classes_(self) -> Any:
        """The class labels of the best estimator."""
        return self._best("classes_").classes_

    @property
    def n_features_in_(self) -> int:
        """How many features the best estimator has seen."""
        return int(self._best("n_features_in_").n_features_in_)

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """The score of the best estimator, by the scorer of the search, or by that of refit of several."""
        best = self._best("score")
        if isinstance(self.scorer_, dict):
            return float(self.scorer_[self.refit](best, X, y))
        score = self.scorer_(best, X, y)
        return float(score[self.refit] if self.multimetric_ else score)

    @available_if(_best_has("predict"))  # type: ignore[untyped-decorator]
    def predict(self, X: ArrayLike) -> Any:
        """What the best estimator predicts."""
        return self._best("predict").predict(X)

    @available_if(_best_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: ArrayLike) -> Any:
        """The best estimator's probabilities."""
        return self._best("predict_proba").predict_proba(X)

    @available_if(_best_has("predict_log_proba"))  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: ArrayLike) -> Any:
        """The logarithms of the best estimator's probabilities."""
        return self._best("predict_log_proba").predict_log_proba(X)

    @available_if(_best_has("transform"))  # type: ignore[untyped-decorator]
    def transform(self, X: ArrayLike) -> Any:
        """What the best estimator's transform gives."""
        return self._best("transform").transform(X)

    def __sklearn_tags__(self) -> Any:
        tags, of_estimator = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type = of_estimator.estimator_type
        tags.classifier_tags, tags.regressor_tags = of_estimator.classifier_tags, of_estimator.regressor_tags
        tags.input_tags, tags.target_tags = of_estimator.input_tags, of_estimator.target_tags
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return "cv_results_" in vars(self)

    def _best(self, what: str) -> Any:
        check_is_fitted(self)
        if "best_estimator_" not in vars(self):
            raise AttributeError(f"{what} needs the best estimator, and refit=False has made none")
        return self.best_estimator_


class _Inner(GridSearchCV):
    """scikit-learn's search, with folds that are known, over estimators that are trained before it asks."""

    search: PopulationSearchCV
    data: tuple[Any, Any]
    fit_params: Mapping[str, Any]
    seconds = 0.0  # a fit
    finished: NDArray[np.bool_]  # which settings were trained to the end

    @classmethod
    def of(cls, search: PopulationSearchCV, folds: list[Any], X: Any, y: Any, fit_params: Any) -> _Inner:
        """One for a call of fit."""
        inner = cls(
            Trained(search.estimator, []),
            search.param_grid,
            scoring=search.scoring,
            refit=search.refit,
            cv=folds,
            verbose=search.verbose,
            error_score=search.error_score,
            return_train_score=search.return_train_score,
        )
        inner.search, inner.data, inner.fit_params = search, (X, y), fit_params
        return inner

    def _validate_params(self) -> None:
        """GridSearchCV's check of its arguments, in the name of the search."""
        given = self.get_params(deep=False)
        validate_parameter_constraints(self._parameter_constraints, given, type(self.search).__name__)

    def _run_search(self, evaluate_candidates: Callable[..., Any]) -> None:
        search = self.search
        if search.n_iter is None:
            settings = list(ParameterGrid(search.param_grid))
        else:
            drawn = ParameterSampler(search.param_grid, search.n_iter, random_state=search.random_state)
            settings = list(drawn)
        X, y = self.data
        parts = [(_safe_indexing(X, rows), _safe_indexing(y, rows), rows) for rows, _ in self.cv]
        before = time.perf_counter()
        contend = None if search.halving is None else self._contend(search.halving)
        trained, self.finished = train_candidates(
            search.estimator, settings, parts, len(y), self.fit_params, search.threads, contend
        )
        self.seconds = (time.perf_counter() - before) / max(1, len(trained))
        self.estimator.queue += trained
        evaluate_candidates(settings)

    def _contend(self, factor: int) -> Callable[[int, int, Any], Contender]:
        """What a candidate competes as, from the numbers of its settings and its fold."""
        search = self.search
        scorer = scorer_of(search.estimator, search.scoring, search.refit, search.error_score)
        X, y = self.data
        tests = [(_safe_indexing(X, rows), _safe_indexing(y, rows)) for _, rows in self.cv]

        def contend(setting: int, fold: int, candidate: Any) -> Contender:
            if last_of(candidate).members > 1:
                raise ValueError(f"halving is for members=1, got {last_of(candidate).members}")
            return Contender(setting, candidate, *tests[fold], scorer, factor)

        return contend

    def _select_best_index(self, refit: Any, refit_metric: str, results: dict[str, Any]) -> int:
        if self.search.halving is None or callable(refit):
            return int(super()._select_best_index(refit, refit_metric, results))
        scores = np.where(self.finished, results[f"mean_test_{refit_metric}"], -np.inf)
        return int(np.nanargmax(scores))
