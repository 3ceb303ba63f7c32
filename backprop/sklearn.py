"""scikit-learn estimators: `BackpropClassifier` and `BackpropRegressor` (the extra ``sklearn``).

Their parameters have the names of scikit-learn's ``MLPClassifier`` and ``MLPRegressor`` where they mean the
same. ``import backprop`` does not import this module; ``backprop.sklearn`` does.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import accuracy_score, r2_score
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "backprop.sklearn needs scikit-learn 1.6 or later; install it with: pip install 'cbackprop[sklearn]' "
        f"({error})"
    ) from error

from backprop import _core
from backprop._classes import at_threshold, classes_of
from backprop._validate import name_among, not_negative, whole_number
from backprop.layer import Layer
from backprop.network import Network
from backprop.optimizers import SGD, Adam, Optimizer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Self = TypeVar("Self", bound="_Estimator")

SOLVERS = ("adam", "sgd")
MOST_AUTO_BATCH = 200  # samples in a minibatch of batch_size="auto", as in scikit-learn


class _Estimator(BaseEstimator):
    """What classifier and regressor share: parameters, and training until it stops getting better."""

    network_: Network
    optimizer_: Optimizer
    n_outputs_: int
    n_iter_: int
    t_: int
    loss_: float
    best_loss_: float
    loss_curve_: list[float]
    validation_scores_: list[float]
    best_validation_score_: float

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        solver: Literal["adam", "sgd"] = "adam",
        alpha: float = 1e-4,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate_init: float | Literal["auto"] = "auto",
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
        n_iter_no_change: int = 10,
        threads: int | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.threads = threads

    @property
    def coefs_(self) -> list[NDArray[Any]]:
        """The weights of each layer, (inputs, outputs), live."""
        return [layer.weights.T for layer in self.network_.layers]

    @property
    def intercepts_(self) -> list[NDArray[Any] | None]:
        """The biases of each layer, (outputs,), live."""
        return [layer.bias for layer in self.network_.layers]

    @property
    def n_layers_(self) -> int:
        """The number of layers, the input layer included."""
        return len(self.network_.layers) + 1

    @property
    def out_activation_(self) -> str:
        """The activation function of the output layer."""
        return str(self.network_.layers[-1].activation)

    # What differs between classifier and regressor.

    def _learn_targets(self, y: NDArray[Any], first: bool) -> NDArray[Any]:
        """y as validated, after all that is to be known of it is learned and checked."""
        raise NotImplementedError

    def _engine_targets(self, y: NDArray[Any], sample_weight: NDArray[Any] | None) -> NDArray[Any]:
        """y as the engine takes it."""
        raise NotImplementedError

    def _output(self) -> tuple[int, str, str]:
        """Output nodes, their activation, and the loss."""
        raise NotImplementedError

    def _score_of(self, x: NDArray[Any], y: NDArray[Any], sample_weight: NDArray[Any] | None) -> float:
        """What early stopping watches."""
        raise NotImplementedError

    def _stratum(self, y: NDArray[Any]) -> NDArray[Any] | None:
        """What to hold out equal shares of."""
        return None

    def _fit(
        self: Self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, incremental: bool
    ) -> Self:
        goes_on = hasattr(self, "network_") and (incremental or self.warm_start)
        max_iter = 1 if incremental else whole_number("max_iter", self.max_iter)
        x, targets = validate_data(
            self, X, y, dtype=(np.float64, np.float32), multi_output=True, reset=not goes_on
        )
        weights: NDArray[Any] | None = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, x, ensure_non_negative=True)
        targets = self._learn_targets(targets, not goes_on)
        random = check_random_state(self.random_state)
        held_out = None
        if self.early_stopping and not incremental:
            split = train_test_split(
                *(part for part in (x, targets, weights) if part is not None),
                test_size=self.validation_fraction,
                random_state=random,
                stratify=self._stratum(targets),
            )
            held_out = split[1::2]
            x, targets = split[0], split[2]
            weights = None if weights is None else split[4]

        samples = len(x)
        batch_size = MOST_AUTO_BATCH if self.batch_size == "auto" else self.batch_size
        batch_size = min(whole_number("batch_size", batch_size), samples)
        if not goes_on:
            total = samples if weights is None else float(weights.sum())
            share = samples / (total * batch_size)  # 1 / the total weight of a minibatch
            self.__dict__.pop("network_", None)
            network = self._new_network(x, not_negative("alpha", self.alpha) * share, random)
            optimizer = self._new_optimizer()
        else:
            network, optimizer = self.network_, self.optimizer_
        engine_targets = self._engine_targets(targets, weights)
        self.network_, self.optimizer_ = network, optimizer
        if not (goes_on and incremental):
            self.n_iter_, self.t_, self.loss_curve_ = 0, 0, []
        watch = _Watch(self, held_out)
        self.network_.fit(
            x,
            engine_targets,
            self.optimizer_,
            epochs=max_iter,
            batch_size=batch_size,
            shuffle=bool(self.shuffle),
            threads=self._threads(),
            progress=False,
            callbacks=[watch],
            sample_weight=weights,
        )
        self.t_ += watch.epochs * samples
        if not incremental and not watch.stopped:
            warnings.warn(
                f"the loss still fell after max_iter={max_iter} epochs; train for more, or raise tol or "
                "learning_rate_init",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _new_network(self, x: NDArray[Any], l2: float, random: np.random.RandomState) -> Network:
        sizes = self.hidden_layer_sizes
        hidden = [sizes] if isinstance(sizes, (int, np.integer)) else list(sizes)
        outputs, output_activation, loss = self._output()
        activation = "sigmoid" if self.activation == "logistic" else self.activation
        name_among("activation", activation, (*_core.activations, "logistic"))
        layers = []
        inputs = x.shape[1]
        for size in hidden:
            layers.append(Layer(inputs, whole_number("hidden_layer_sizes", size), activation, l2=l2))
            inputs = size
        # From zeros the training starts at the mean, or at equal probabilities, and not at chance values that
        # it must unlearn first: that is worth a few per cent of R² or accuracy on small data sets.
        layers.append(Layer(inputs, outputs, output_activation, l2=l2, init="zeros"))
        dtype = "float32" if x.dtype == np.float32 else "float64"
        return Network(*layers, loss=loss, dtype=dtype, seed=int(random.randint(2**31 - 1)))

    def _new_optimizer(self) -> Optimizer:
        lr = self.learning_rate_init
        if name_among("solver", self.solver, SOLVERS) == "adam":
            return Adam(2e-3 if lr == "auto" else lr, (self.beta_1, self.beta_2), self.epsilon)
        nesterov = bool(self.nesterovs_momentum) and self.momentum > 0
        return SGD(0.01 if lr == "auto" else lr, self.momentum, nesterov)

    def _threads(self) -> int | None:
        """What fit takes; inside joblib's workers one thread, because the other cores have work."""
        if self.threads is not None:
            return whole_number("threads", self.threads)
        from joblib.parallel import get_active_backend

        nested = (get_active_backend()[0].nesting_level or 0) > 0
        return 1 if nested else None

    def _outputs_of(self, X: ArrayLike) -> NDArray[Any]:
        check_is_fitted(self)
        return self.network_(validate_data(self, X, dtype=(np.float64, np.float32), reset=False))


class _Watch:
    """The callback that keeps the figures and stops the training.

    It stops after more than n_iter_no_change epochs in a row in which the loss did not fall, or with early
    stopping the score did not rise, by tol. With early stopping the best epoch's parameters come back.
    """

    def __init__(self, estimator: _Estimator, held_out: Sequence[NDArray[Any]] | None) -> None:
        self.estimator = estimator
        self.held_out = held_out
        self.patience = whole_number("n_iter_no_change", estimator.n_iter_no_change)
        self.tol = not_negative("tol", estimator.tol)
        self.epochs = self.waited = 0
        self.best = -math.inf
        self.parameters: NDArray[Any] | None = None
        self.stopped = False
        if held_out is not None:
            estimator.validation_scores_ = []

    def __call__(self, network: Network, record: dict[str, float]) -> bool:
        estimator = self.estimator
        self.epochs += 1
        estimator.n_iter_ += 1
        estimator.loss_ = record["loss"]
        estimator.loss_curve_.append(record["loss"])
        estimator.best_loss_ = min(estimator.loss_curve_)
        value = -record["loss"]
        text = f"Iteration {estimator.n_iter_}, loss = {record['loss']:.8f}"
        if self.held_out is not None:
            x, y, *weight = self.held_out
            value = estimator._score_of(x, y, weight[0] if weight else None)
            estimator.validation_scores_.append(value)
            text += f", validation score = {value:.6f}"
        if estimator.verbose:
            print(text)
        self.waited = 0 if value >= self.best + self.tol else self.waited + 1
        if value > self.best:
            self.best = value
            if self.held_out is not None:
                estimator.best_validation_score_ = value
                self.parameters = network._locked(network.parameters.copy)
        self.stopped = self.waited > self.patience
        return self.stopped

    def finish(self, network: Network) -> None:
        """Puts the best epoch's parameters back."""
        if self.parameters is not None:
            network.parameters[:] = self.parameters


PARAMETERS = """
    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Nodes of the hidden layers.
    activation : str
        Of the hidden layers: any of the engine's; "logistic" is another name of "sigmoid".
    solver : "adam" or "sgd"
    alpha : float
        Of the L2 penalty ½ alpha Σ w² / n on the weights, where n is the minibatch's size or the total of its
        sample weights. ``loss_`` is without it.
    batch_size : int or "auto"
        Samples in a minibatch; "auto" is 200, or all where there are fewer.
    learning_rate_init : float or "auto"
        The learning rate; "auto" is 0.002 for adam and 0.01 for sgd.
    max_iter : int
        Epochs at most.
    shuffle : bool
        Whether every epoch has its own order.
    random_state : int, RandomState or None
        Of the first weights, the order of samples, and the split for early stopping.
    tol, n_iter_no_change : float, int
        Training stops after more than n_iter_no_change epochs in a row without a gain of tol.
    verbose : bool
        Whether to print the loss of every epoch.
    warm_start : bool
        Whether fit goes on from what is there instead of starting anew.
    momentum, nesterovs_momentum : float, bool
        Of sgd.
    early_stopping : bool
        Whether to hold validation_fraction of the samples out, watch the score on them instead of the loss,
        and keep the parameters that had the best one.
    validation_fraction : float
        See early_stopping.
    beta_1, beta_2, epsilon : float
        Of adam.
    threads : int, optional
        By default what `backprop.Network.fit` finds suitable, but one inside a parallel search of joblib's.

    Attributes
    ----------
    network_ : Network
        What was trained. It is of float32 if the first X is, else of float64.
    optimizer_ : Optimizer
    n_iter_, t_ : int
        Epochs, and samples trained on.
    loss_, best_loss_ : float
        Of the last epoch, and the lowest.
    loss_curve_, validation_scores_ : list of float
        One entry per epoch; the latter, and ``best_validation_score_``, with early stopping only.
    coefs_, intercepts_, n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in scikit-learn.
"""


class BackpropClassifier(ClassifierMixin, _Estimator):
    __doc__ = f"""A multilayer perceptron that classifies: binary, multiclass or multilabel.

    Two classes, and each label of several, have a sigmoid output and binary cross-entropy; more classes have
    softmax and cross-entropy. ``classes_`` are the labels, of any type that NumPy sorts.
{PARAMETERS}"""

    classes_: NDArray[Any]
    _given_classes: ArrayLike | None
    _multilabel: bool

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> BackpropClassifier:
        """Trains on X (n, features) and labels y (n,), or y (n, labels) of 0 and 1; returns self."""
        self._given_classes = None
        return self._fit(X, y, sample_weight, incremental=False)

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> BackpropClassifier:
        """Trains for one epoch on some samples; the first call is given all classes. Returns self."""
        if classes is None and not hasattr(self, "network_"):
            raise ValueError("classes must be passed on the first call to partial_fit")
        self._given_classes = classes
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most likely label of each sample, (n,), or (n, labels) of 0 and 1."""
        return self._decide(self._outputs_of(X))

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """The probability of each class, (n, classes), or of each label, (n, labels)."""
        a = self._outputs_of(X)
        if self._multilabel or a.shape[1] > 1:
            return a
        return np.hstack([1 - a, a])

    def predict_log_proba(self, X: ArrayLike) -> NDArray[Any]:
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _learn_targets(self, y: NDArray[Any], first: bool) -> NDArray[Any]:
        check_classification_targets(y)
        multilabel = type_of_target(y).startswith("multilabel")
        y = y if multilabel else column_or_1d(y, warn=True)
        given = self._given_classes
        classes = unique_labels(y) if given is None else unique_labels(np.asarray(given))
        if first:
            if len(classes) < 2 and not multilabel:
                raise ValueError(f"a classifier needs 2 classes or more, got {len(classes)} class: {classes}")
            self.classes_, self._multilabel = classes, multilabel
            self.n_outputs_ = y.shape[1] if multilabel else 1 if len(classes) == 2 else len(classes)
        elif multilabel != self._multilabel or (multilabel and y.shape[1] != self.n_outputs_):
            raise ValueError("y must be of the same kind and number of labels as before")
        elif (given is not None or (self.warm_start and not multilabel)) and not np.array_equal(
            classes, self.classes_
        ):
            raise ValueError(f"classes must be the same as before, {self.classes_}; got {classes}")
        if not multilabel and not np.isin(y, self.classes_).all():
            raise ValueError(f"y must have classes of {self.classes_} only, got {np.unique(y)}")
        return y

    def _engine_targets(self, y: NDArray[Any], sample_weight: NDArray[Any] | None) -> NDArray[Any]:
        return y if self._multilabel else np.searchsorted(self.classes_, y)

    def _output(self) -> tuple[int, str, str]:
        if self._multilabel or self.n_outputs_ == 1:
            return self.n_outputs_, "sigmoid", "binary_cross_entropy"
        return self.n_outputs_, "softmax", "cross_entropy"

    def _decide(self, a: NDArray[Any]) -> NDArray[Any]:
        if self._multilabel:
            return at_threshold(a)
        index = classes_of(a)
        return np.asarray(self.classes_[index])

    def _score_of(self, x: NDArray[Any], y: NDArray[Any], sample_weight: NDArray[Any] | None) -> float:
        return float(accuracy_score(y, self._decide(self.network_(x)), sample_weight=sample_weight))

    def _stratum(self, y: NDArray[Any]) -> NDArray[Any] | None:
        return None if self._multilabel else y


class BackpropRegressor(RegressorMixin, _Estimator):
    __doc__ = f"""A multilayer perceptron for one or several real targets.

    It is trained on targets that are standardised inside, to mean 0 and deviation 1, by their mean squared
    error; predictions are in the units of y. Scale X as usual.
{PARAMETERS}"""

    _forget: bool
    _is_column: bool
    _total: float
    _mean: NDArray[np.float64]
    _squares: NDArray[np.float64]
    _deviation: NDArray[np.float64]

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> BackpropRegressor:
        """Trains on X (n, features) and y (n,) or (n, targets); returns self."""
        self._forget = True
        return self._fit(X, y, sample_weight, incremental=False)

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> BackpropRegressor:
        """Trains for one epoch on some samples, with the deviation of all targets so far; returns self."""
        self._forget = not hasattr(self, "network_")
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The targets of each sample, (n,) or (n, targets)."""
        return self._in_units(self._outputs_of(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _learn_targets(self, y: NDArray[Any], first: bool) -> NDArray[Any]:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        y = np.asarray(y, np.float64)
        targets = 1 if y.ndim == 1 else y.shape[1]
        if first:
            self.n_outputs_, self._is_column = targets, y.ndim == 1
        elif targets != self.n_outputs_:
            raise ValueError(f"y must have {self.n_outputs_} targets as before, got {targets}")
        return y

    def _engine_targets(self, y: NDArray[Any], sample_weight: NDArray[Any] | None) -> NDArray[Any]:
        y = y.reshape(len(y), -1)
        old = (self._mean, self._deviation) if hasattr(self, "network_") else None
        self._learn_scale(y, np.ones(len(y)) if sample_weight is None else sample_weight)
        if old is not None:
            # The output layer takes the change of units up, so that predictions stay (van Hasselt et al.
            # 2016, arXiv:1602.07714).
            mean, deviation = old
            layer = self.network_.layers[-1]
            assert layer.bias is not None
            layer.weights *= (deviation / self._deviation)[:, None]
            layer.bias[...] = (deviation * layer.bias + mean - self._mean) / self._deviation
        return np.asarray((y - self._mean) / self._deviation)

    def _learn_scale(self, y: NDArray[Any], weight: NDArray[Any]) -> None:
        """Mean and deviation of all targets since the last fit (Chan, Golub and LeVeque 1979)."""
        total = float(weight.sum())
        mean = weight @ y / total
        squares = weight @ (y - mean) ** 2
        if not self._forget:
            before, shift = self._total, mean - self._mean
            squares = self._squares + squares + shift**2 * before * total / (before + total)
            mean = self._mean + shift * total / (before + total)
            total += before
        deviation = np.sqrt(squares / total)
        tiny = 10 * np.finfo(np.float64).eps * np.abs(mean)  # what rounding makes of a constant target
        self._total, self._mean, self._squares = total, mean, squares
        self._deviation = np.where(deviation > tiny, deviation, 1.0)

    def _in_units(self, a: NDArray[Any]) -> NDArray[Any]:
        y = a * self._deviation + self._mean
        return np.asarray(y[:, 0] if self._is_column else y)

    def _output(self) -> tuple[int, str, str]:
        return self.n_outputs_, "identity", "mean_squared_error"

    def _score_of(self, x: NDArray[Any], y: NDArray[Any], sample_weight: NDArray[Any] | None) -> float:
        return float(r2_score(y, self._in_units(self.network_(x)), sample_weight=sample_weight))
