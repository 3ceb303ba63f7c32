"""The estimators' parameters: what they mean, and the checks that name them as the user does."""

from __future__ import annotations

import copy
import math
from typing import Any, Protocol

import numpy as np

from backprop import _core
from backprop._validate import finite_number, fraction, name_among, not_negative, positive, whole_number
from backprop.fit.precision import precision_of
from backprop.optimizers import SGD, Adam, Optimizer
from backprop.sklearn.samples import even_batch
from backprop.solvers import LBFGS, LevenbergMarquardt, WholeBatch

WHOLE_BATCH = ("lbfgs", "lm")
SOLVERS = ("adam", "sgd", *WHOLE_BATCH)
RATES = ("constant", "invscaling", "adaptive")
MOST_AUTO_BATCH = 200  # samples in a minibatch of batch_size="auto", as in scikit-learn
AUTO_RATE = {"adam": 1e-3, "sgd": 0.01}


class Parameters(Protocol):
    """What is read of an estimator, as the user gave it: `check` says what makes sense."""

    activation: Any
    alpha: Any
    batch_size: Any
    beta_1: Any
    beta_2: Any
    dropout: Any
    early_stopping: Any
    epsilon: Any
    hidden_layer_sizes: Any
    learning_rate: Any
    learning_rate_init: Any
    loss: Any
    max_fun: Any
    max_iter: Any
    members: Any
    momentum: Any
    n_iter_no_change: Any
    nesterovs_momentum: Any
    power_t: Any
    precision: Any
    solver: Any
    threads: Any
    tol: Any
    validation_fraction: Any
    verbose: Any


def check(estimator: Parameters, sums_of_squares: tuple[str, ...]) -> None:
    """Raises a TypeError or ValueError that names the first parameter that makes no sense; `sums_of_squares`
    are the losses that solver="lm" can have."""
    e = estimator
    hidden_sizes(e)
    name_among("activation", e.activation, (*_core.activations, "logistic"))
    solver = name_among("solver", e.solver, SOLVERS)
    if isinstance(e.alpha, str):
        name_among("alpha", e.alpha, ("auto", "bayesian"))
    else:
        not_negative("alpha", e.alpha)
    most_batch(e)
    name_among("learning_rate", e.learning_rate, RATES)
    _check_rate(e)
    finite_number("power_t", e.power_t)
    whole_number("max_iter", e.max_iter)
    not_negative("tol", e.tol)
    patience(e)
    whole_number("max_fun", e.max_fun)
    held_out = finite_number("validation_fraction", e.validation_fraction)
    if e.early_stopping and not 0 < held_out < 1:
        raise ValueError(f"validation_fraction must be greater than 0 and less than 1, got {held_out}")
    if e.alpha == "bayesian":
        _check_bayesian(e, solver)
    fraction("dropout", e.dropout)
    if e.threads is not None:
        whole_number("threads", e.threads)
    whole_number("members", e.members)
    precision_of(np.dtype(np.float32), e.precision)
    if solver in WHOLE_BATCH:
        _check_whole_batch(e, sums_of_squares)
    elif solver == "sgd":
        fraction("momentum", e.momentum)
    else:
        fraction("beta_1", e.beta_1)
        fraction("beta_2", e.beta_2)
        positive("epsilon", e.epsilon)


def _check_rate(estimator: Parameters) -> None:
    rate = estimator.learning_rate_init
    if isinstance(rate, str):
        name_among("learning_rate_init", rate, ("auto",))
    else:
        positive("learning_rate_init", rate)


def _check_bayesian(estimator: Parameters, solver: str) -> None:
    if solver != "lm":
        raise ValueError(f'alpha="bayesian" is for solver="lm", got solver={solver!r}')
    if estimator.early_stopping:
        raise ValueError('alpha="bayesian" needs no samples held out: early_stopping must be False, got True')


def _check_whole_batch(estimator: Parameters, sums_of_squares: tuple[str, ...]) -> None:
    e = estimator
    if e.dropout > 0:
        raise ValueError(
            f'dropout must be 0 with solver="{e.solver}", which needs a loss that does not change by chance; '
            f"got {e.dropout:g}"
        )
    if e.solver == "lm" and e.loss not in sums_of_squares:
        loss = repr(e.loss) if isinstance(e.loss, str) else "a loss of your own"
        raise ValueError(
            'solver="lm" is for sums of squares, which BackpropRegressor has with loss="squared_error"; got '
            f'{type(e).__name__} with {loss}. "lbfgs" takes any loss'
        )


def is_stochastic(estimator: Parameters) -> bool:
    """True; what tells scikit-learn's available_if that there is partial_fit.

    Raises
    ------
    AttributeError
        With a solver that needs all samples at once; in scikit-learn's words. Or with several members.
    """
    if estimator.solver in WHOLE_BATCH:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        )
    if estimator.members > 1:
        raise AttributeError(f"members={estimator.members} are trained anew; partial_fit is for members=1")
    return True


def hidden_sizes(estimator: Parameters) -> tuple[int, ...]:
    """Nodes of each hidden layer."""
    sizes = estimator.hidden_layer_sizes
    every = [sizes] if np.ndim(sizes) == 0 else list(sizes)
    return tuple(whole_number("hidden_layer_sizes", size) for size in every)


def most_batch(estimator: Parameters) -> int:
    """Samples in a minibatch at most."""
    if isinstance(estimator.batch_size, str):
        name_among("batch_size", estimator.batch_size, ("auto",))
        return MOST_AUTO_BATCH
    return whole_number("batch_size", estimator.batch_size)


def batch_of(estimator: Parameters, samples: int) -> int:
    """Samples in a minibatch: all of them for a solver that looks at all before it moves."""
    if estimator.solver in WHOLE_BATCH:
        return samples
    return even_batch(samples, min(most_batch(estimator), samples))


def first_rate(estimator: Parameters) -> float:
    """The learning rate that descent starts with."""
    rate = estimator.learning_rate_init
    return AUTO_RATE[estimator.solver] if isinstance(rate, str) else float(rate)


def rate_after(estimator: Parameters, samples: int) -> float:
    """The learning rate of "constant" and "invscaling" after so many samples."""
    rate = first_rate(estimator)
    if estimator.solver == "sgd" and estimator.learning_rate == "invscaling":
        rate /= (samples + 1) ** float(estimator.power_t)
    return rate


def penalty(estimator: Parameters, samples: int, total: float, batch_size: int, before: int) -> float:
    """The factor of ½ Σ w² for samples of a total weight, after those `before`."""
    if estimator.alpha == "auto":
        return 2 / (total + before)
    if estimator.alpha == "bayesian":
        return 0.0  # the solver's own
    of_minibatch = total * batch_size / samples  # its total weight
    return float(estimator.alpha) / of_minibatch


def patience(estimator: Parameters) -> float:
    """Epochs without a gain that are put up with; maybe infinity."""
    wait = estimator.n_iter_no_change
    if isinstance(wait, float) and math.isinf(wait) and wait > 0:
        return math.inf
    return whole_number("n_iter_no_change", wait)


def optimizer_of(
    estimator: Parameters, kept: Optimizer | WholeBatch | None, samples: int
) -> Optimizer | WholeBatch:
    """A new optimizer, or a copy of the `kept` one if nothing but the learning rate has changed.

    Those that look at all samples are new for every fit: what they remember belongs to another C where
    samples, units or alpha have changed. A learning rate is that after so many `samples`.
    """
    if estimator.solver == "lbfgs":
        return LBFGS(gradient_tolerance=estimator.tol)
    if estimator.solver == "lm":
        return LevenbergMarquardt(bayesian=estimator.alpha == "bayesian", gradient_tolerance=estimator.tol)
    optimizer = _descent_of(estimator, kept)
    optimizer.lr = rate_after(estimator, samples)
    return optimizer


def _descent_of(estimator: Parameters, kept: Optimizer | WholeBatch | None) -> Optimizer:
    e = estimator
    optimizer: Optimizer
    if e.solver == "adam":
        optimizer = Adam(first_rate(e), (e.beta_1, e.beta_2), e.epsilon)
    else:
        nesterov = bool(e.nesterovs_momentum) and e.momentum > 0
        optimizer = SGD(first_rate(e), e.momentum, nesterov)
    if not isinstance(kept, Optimizer) or type(kept) is not type(optimizer):
        return optimizer
    settings: dict[str, Any] = optimizer.settings
    if {**kept.settings, "lr": None} != {**settings, "lr": None}:
        return optimizer
    return copy.deepcopy(kept)


DOCUMENTED = """
    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Nodes of the hidden layers.
    activation : str
        Of the hidden layers: any of the engine's; "logistic" is another name of "sigmoid".
    solver : "adam", "sgd", "lbfgs" or "lm"
        "lbfgs" is `backprop.LBFGS`, for any loss; "lm" is `backprop.LevenbergMarquardt`, for the regressor
        with "squared_error" and up to some thousands of weights. Both look at all samples before they move,
        so batch_size, shuffle and the learning rates do not matter to them; dropout and partial_fit are
        refused.
    alpha : float, "auto" or "bayesian"
        Of the L2 penalty ½ alpha Σ w² / n on the weights, where n is the minibatch's size or the total of its
        sample weights, as in scikit-learn; with "lbfgs" and "lm" all samples are one minibatch. "auto" is a
        penalty of Σ w² / N with all N samples, or the total of their weights: what a normal prior of the
        weights says. With partial_fit N grows. "bayesian", for "lm", finds penalties from the data, see
        `backprop.LevenbergMarquardt`: some hundreds of iterations, which end by themselves whatever tol and
        n_iter_no_change are. ``optimizer_`` then has ``relevance`` of the inputs and ``log_evidence``.
    batch_size : int or "auto"
        Samples in a minibatch at most; "auto" is 200. Samples are cut so that the last minibatch of an epoch
        has at least half of what the others have.
    learning_rate : "constant", "invscaling" or "adaptive"
        Of sgd, as in scikit-learn: "invscaling" divides learning_rate_init by (t + 1) ** power_t after every
        epoch, t being the samples trained on; "adaptive" divides the rate by 5 whenever tol and
        n_iter_no_change would end the training, down to 1e-6.
    learning_rate_init : float or "auto"
        The learning rate at first; "auto" is 0.001 for adam and 0.01 for sgd.
    power_t : float
        See learning_rate.
    max_iter : int
        Epochs at most; iterations of "lbfgs" and "lm".
    shuffle : bool
        Whether every epoch has its own order.
    random_state : int, RandomState or None
        Of the first weights, the order of samples, and the split for early stopping.
    tol, n_iter_no_change : float, int or infinity
        Training stops after more than n_iter_no_change epochs in a row, and at least 50 steps, without a gain
        of tol: in the loss, or with early_stopping in the score. "lbfgs" and "lm" stop after more than
        n_iter_no_change such iterations, without the 50; where no entry of the gradient is above tol, as
        in scikit-learn; and where they find no better point.
    max_fun : int
        Evaluations of the loss by "lbfgs" and "lm" at most, as in scikit-learn: training ends after the
        iteration that goes beyond it. An iteration needs one at least.
    verbose : bool
        Whether to print the loss of every epoch.
    warm_start : bool
        Whether fit goes on from what is there instead of starting anew, with the parameters as they are now;
        hidden_layer_sizes cannot change. adam and sgd go on too, unless their settings other than the
        learning rate have changed; "lbfgs" and "lm" begin anew.
    momentum, nesterovs_momentum : float, bool
        Of sgd.
    early_stopping : bool
        Whether to hold validation_fraction of the samples out, watch the score on them instead of the loss,
        and keep the parameters that had the best one.
    validation_fraction : float
        See early_stopping.
    beta_1, beta_2, epsilon : float
        Of adam.
    loss : str or Loss
        LOSSES, or a `backprop.Loss` of your own.
    dropout : float
        The share of each hidden layer's nodes that a training step leaves out.
    standardize : bool
        Whether training sees the columns of X less their means and divided by their deviations, but for a
        factor of up to 3 that a column keeps if it varies more or less than the others. ``network_``
        takes X as it is all the same. alpha is a penalty on the weights of what training sees.
    members : int
        How many networks to train, each with a seed of its own. The estimator is then their average, and
        ``estimators_`` has the estimator of each instead of ``network_``. They are trained together, as a
        `backprop.Population`; partial_fit and warm_start are for one.
    bootstrap : bool
        Whether each of several members has samples of its own, as many as there are, drawn with repetition.
        What the others say of each sample is then out-of-bag: ``oob_score_`` is the accuracy or R² of that.
    threads : int, optional
        By default what `backprop.Network.fit` finds suitable, but one inside a parallel search of joblib's.
    precision : "float32", "bfloat16" or "bfloat16-emulated", optional
        Of the products of adam and sgd, see `backprop.Network.fit`; ``network_`` is of float32 then, whatever
        X is. Where this processor has no bfloat16 faster than float32, "bfloat16" is a ValueError.

    Attributes
    ----------
    network_ : Network
        What was trained, in the units of X and y: it predicts, explains and exports what the estimator
        predicts. It is of float32 if the first X is and its columns' means are not far larger than their
        deviations, else of float64.
    optimizer_ : Optimizer, LBFGS or LevenbergMarquardt
    n_iter_, t_ : int
        Epochs or iterations, and samples trained on.
    estimators_ : list
        With members > 1, the fitted estimator of each; there is then no ``network_``.
    oob_score_ : float
        With members > 1 and bootstrap; and ``oob_decision_function_`` of the classifier, the probabilities
        (n, classes), or ``oob_prediction_`` of the regressor; NaN of samples that are in all bags.
    loss_, best_loss_ : float
        The mean over the last epoch of loss and penalty, and the lowest of all epochs; with "lbfgs" and "lm"
        those after the last iteration.
    loss_curve_, validation_scores_ : list of float
        One entry per epoch; the latter, and ``best_validation_score_``, are None without early stopping.
    coefs_, intercepts_, n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    The parameters kept are those with the lowest loss, or with early stopping the best score, or with
    alpha="bayesian" the last. At Ctrl-C fit
    warns and keeps the best so far. A fit that fails leaves the estimator as it was.
"""
