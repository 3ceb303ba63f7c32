"""`BackpropRegressor`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if

from backprop._validate import name_among
from backprop.losses import Loss
from backprop.sklearn.estimator import Estimator
from backprop.sklearn.parameters import DOCUMENTED, is_stochastic
from backprop.sklearn.scaling import Moments, Units

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop.network import Network
    from backprop.sklearn.samples import Samples

LOSSES = ("auto", "squared_error", "huber")


class BackpropRegressor(RegressorMixin, Estimator):
    __doc__ = f"""A multilayer perceptron for one or several real targets.

    It is trained on targets that are standardised inside, to mean 0 and deviation 1, and that count as 5
    deviations from the mean where they are further away, so that outliers do not decide everything.
    Predictions are in the units of y, losses in standardised ones.
{DOCUMENTED.replace("LOSSES", '"squared_error", which "auto" is, "huber"')}"""

    __module__ = "backprop.sklearn"

    _sums_of_squares: ClassVar[tuple[str, ...]] = ("auto", "squared_error")

    oob_prediction_: NDArray[np.float64]
    oob_score_: float
    _is_column: bool
    _moments: Moments

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> BackpropRegressor:
        """Trains on X (n, features) and y (n,) or (n, targets); returns self."""
        return self._fit(X, y, sample_weight, incremental=False)

    @available_if(is_stochastic)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> BackpropRegressor:
        """Trains for one epoch on some samples, in the units of all samples so far; returns self."""
        return self._fit(X, y, sample_weight, incremental=True)

    @overload
    def predict(self, X: ArrayLike, return_std: Literal[False] = False) -> NDArray[Any]: ...
    @overload
    def predict(self, X: ArrayLike, return_std: Literal[True]) -> tuple[NDArray[Any], NDArray[Any]]: ...
    def predict(
        self, X: ArrayLike, return_std: bool = False
    ) -> NDArray[Any] | tuple[NDArray[Any], NDArray[Any]]:
        """The targets of each sample, (n,) or (n, targets); with return_std, which needs several members,
        also the standard deviation of what these predict."""
        if not return_std:
            return self._shaped(self._outputs_of(X))
        of_members = self._outputs_of_members(X)
        if len(of_members) == 1:
            raise ValueError("return_std needs several members, got members=1")
        return self._shaped(of_members.mean(axis=0)), self._shaped(of_members.std(axis=0))

    def _shaped(self, y: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(y[:, 0] if self._is_column else y)

    def _judge(self, a: NDArray[np.float64], samples: Samples) -> None:
        known = np.isfinite(a).all(axis=1)
        self.oob_prediction_ = self._shaped(a)
        weights = None if samples.weights is None else samples.weights[known]
        score = r2_score(samples.y[known], a[known], sample_weight=weights) if known.any() else np.nan
        self.oob_score_ = float(score)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.sparse = self.solver != "lm"
        return tags

    def _learn(self, y: Any, classes: ArrayLike | None, goes_on: bool, incremental: bool) -> NDArray[Any]:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        y = np.asarray(y, np.float64)
        targets = 1 if y.ndim == 1 else y.shape[1]
        if goes_on and targets != self.n_outputs_:
            raise ValueError(f"y must have {self.n_outputs_} targets as before, got {targets}")
        if not goes_on:
            self.n_outputs_, self._is_column = targets, y.ndim == 1
        return np.asarray(y.reshape(len(y), -1))

    def _learn_scale(self, samples: Samples, forget: bool) -> None:
        found = Moments.of("y", samples.y, samples.weights)
        self._moments = found if forget else self._moments.joined(found)

    @property
    def _of_y(self) -> Units:
        return Units.of_targets(self._moments)

    @property
    def _loss_scale(self) -> float:
        return 2 / self.n_outputs_ if self.loss in self._sums_of_squares else 1.0  # Σ e² / outputs to ½ Σ e²

    def _targets(self, y: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(self._of_y.standardised(y, np.float64))

    def _output(self) -> tuple[str, str | Loss]:
        loss: str | Loss = self.loss
        if not isinstance(loss, Loss):
            loss = name_among("loss", loss, LOSSES)
            loss = "huber" if loss == "huber" else "mean_squared_error"
        return "identity", loss

    def _score_of(self, network: Network, held_out: Samples) -> float:
        """R², or where the targets held out do not vary, 1 − their mean squared standardised error."""
        units = replace(self._of_y, limit=np.inf)
        y, guessed = units.standardised(held_out.y, np.float64), network(held_out.x)
        if (np.ptp(y, axis=0) > 0).all():
            return float(r2_score(y, guessed, sample_weight=held_out.weights))
        errors = ((y - guessed) ** 2).mean(axis=1)
        return 1 - float(np.average(errors, weights=held_out.weights))
