"""`BackpropClassifier`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.metaestimators import available_if

from backprop._validate import name_among
from backprop.losses import Loss
from backprop.sklearn.estimator import Estimator
from backprop.sklearn.labels import Labels
from backprop.sklearn.parameters import DOCUMENTED, is_stochastic

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop._types import Precision
    from backprop.network import Network
    from backprop.sklearn.samples import Samples

LOSSES = ("auto", "log_loss", "squared_error", "huber")


class BackpropClassifier(ClassifierMixin, Estimator):
    __doc__ = f"""A multilayer perceptron that classifies: binary, multiclass or multilabel.

    Two classes, and each label of several, have a sigmoid output and binary cross-entropy; more classes have
    softmax and cross-entropy. ``classes_`` are the labels, of any type that NumPy sorts.
{DOCUMENTED.replace("LOSSES", '"log_loss", which "auto" is, "squared_error", "huber"')}
    class_weight : dict or "balanced", optional
        Weights of the classes, multiplied with sample_weight: a dict (1 where it names none), or such that
        all classes have the same total. Of multilabel targets, as in scikit-learn, a list of a dict for each
        label, or "balanced".
    """

    __module__ = "backprop.sklearn"

    classes_: NDArray[Any]
    oob_decision_function_: NDArray[np.float64]
    oob_score_: float
    _labels: Labels

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        solver: Literal["adam", "sgd", "lbfgs"] = "adam",
        alpha: float | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive"] = "constant",
        learning_rate_init: float | Literal["auto"] = "auto",
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: str | Loss = "auto",
        dropout: float = 0.0,
        standardize: bool = True,
        threads: int | None = None,
        members: int = 1,
        bootstrap: bool = True,
        precision: Precision | None = None,
        class_weight: Mapping[Any, float] | Sequence[Mapping[Any, float]] | str | None = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            loss=loss,
            dropout=dropout,
            standardize=standardize,
            threads=threads,
            members=members,
            bootstrap=bootstrap,
            precision=precision,
        )
        self.class_weight = class_weight

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> BackpropClassifier:
        """Trains on X (n, features) and labels y (n,), or y (n, labels) of 0 and 1; returns self."""
        return self._fit(X, y, sample_weight, incremental=False)

    @available_if(is_stochastic)  # type: ignore[untyped-decorator]
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> BackpropClassifier:
        """Trains for one epoch on some samples; the first call is given all classes. Returns self."""
        if classes is None and not self.__sklearn_is_fitted__():
            raise ValueError("classes must be passed on the first call to partial_fit")
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def predict(self, X: ArrayLike) -> Any:
        """The most likely label of each sample, (n,), or (n, labels) of 0 and 1, sparse if y was."""
        a = self._outputs_of(X)
        return self._labels.decoded(a)

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """The probability of each class, (n, classes), or of each label, (n, labels)."""
        a = self._outputs_of(X)
        return self._labels.probabilities(a)

    def predict_log_proba(self, X: ArrayLike) -> NDArray[Any]:
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _learn(self, y: Any, classes: ArrayLike | None, goes_on: bool, incremental: bool) -> NDArray[Any]:
        if goes_on:
            self._labels.check_same(y, classes, not incremental)
        else:
            self._labels = Labels(y, classes)
            self.classes_, self.n_outputs_ = self._labels.classes, self._labels.outputs
        return self._labels.learned(y)

    def _class_weights(self, y: NDArray[Any], incremental: bool) -> NDArray[np.float64] | None:
        if self.class_weight is None:
            return None
        return self._labels.weights(self.class_weight, y, incremental)

    def _targets(self, y: NDArray[Any]) -> NDArray[Any]:
        return self._labels.encoded(y)

    def _output(self) -> tuple[str, str | Loss]:
        soft = self.n_outputs_ > 1 and not self._labels.multilabel
        loss: str | Loss = self.loss
        if not isinstance(loss, Loss):
            loss = name_among("loss", loss, LOSSES)
            if loss in ("auto", "log_loss"):
                loss = "cross_entropy" if soft else "binary_cross_entropy"
        return "softmax" if soft else "sigmoid", loss

    def _score_of(self, network: Network, held_out: Samples) -> float:
        guessed = self._labels.decoded(network(held_out.x))
        return float(accuracy_score(held_out.y, guessed, sample_weight=held_out.weights))

    def _judge(self, a: NDArray[np.float64], samples: Samples) -> None:
        known = np.isfinite(a).all(axis=1)
        self.oob_decision_function_ = self._labels.probabilities(a)
        if not known.any():
            self.oob_score_ = np.nan
            return
        guessed = self._labels.decoded(a[known])
        weights = None if samples.weights is None else samples.weights[known]
        self.oob_score_ = float(accuracy_score(samples.y[known], guessed, sample_weight=weights))

    def _stratum(self, y: NDArray[Any]) -> NDArray[Any] | None:
        return None if self._labels.multilabel else y
