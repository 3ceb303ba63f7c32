"""When training stops, which parameters are kept, and the learning rate meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backprop import _core
from backprop.optimizers import SGD
from backprop.sklearn.parameters import Parameters, patience, rate_after
from backprop.solvers import WholeBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.network import Network
    from backprop.optimizers import Optimizer

LEAST_STEPS = 50  # of patience: with one step in an epoch, ten epochs tell nothing
LEAST_RATE = 1e-6  # of learning_rate="adaptive", as in scikit-learn


class Watch:
    """The callback of one call of fit.

    It keeps the figures, and stops after more than n_iter_no_change epochs in a row, and at least
    `LEAST_STEPS` steps, in which the objective did not fall, or the score on samples held out did not rise,
    by tol. The objective of an epoch is a mean over its steps; what it tells is how good the parameters were
    that the epoch began with, so these are kept for it, and the last ones are judged once more at the end.

    An iteration of a solver that looks at all samples tells more than a step: patience has no least there.
    The objective is that of the parameters after it and never rises, so that the last ones are the best. With
    alpha="bayesian" the solver weighs and stops itself, and this only keeps the figures.
    """

    def __init__(
        self,
        estimator: Parameters,
        network: Network,
        optimizer: Optimizer | WholeBatch,
        *,
        before: int,
        samples: int,
        batch_size: int,
        score: Callable[[Network], float] | None,
    ) -> None:
        self.estimator = estimator
        self.optimizer = optimizer
        self.before = before  # samples trained on
        self.samples = samples
        self.score = score
        self.whole = isinstance(optimizer, WholeBatch)
        least = 0 if self.whole else math.ceil(LEAST_STEPS / -(-samples // batch_size))
        self.bayesian = bool(estimator.alpha == "bayesian")
        self.patience = math.inf if self.bayesian else max(patience(estimator), least)
        self.losses: list[float] = []
        self.scores: list[float] = []
        self.waited = 0
        self.best = -math.inf
        self.stopped = False
        self.evaluations = 0.0  # of the loss, by solvers that count them
        self.begun_with, self.begun_penalty = network._locked(network.parameters.copy), penalty(network)
        self.parameters: NDArray[Any] | None = None

    def __call__(self, network: Network, record: dict[str, float]) -> bool:
        """Takes one epoch's record; whether training is to stop."""
        penalty_now = penalty(network)
        loss = record["loss"] + (penalty_now if self.whole else self.begun_penalty)
        self.losses.append(loss)
        self.evaluations += record.get("evaluations", 0.0)
        value = -loss
        text = f"Iteration {len(self.losses)}, loss = {loss:.8f}"
        if self.score is not None:
            value = self.score(network)
            self.scores.append(value)
            text += f", validation score = {value:.6f}"
        if self.estimator.verbose:
            print(text)
        self.waited = 0 if value >= self.best + self.estimator.tol else self.waited + 1
        now = network._locked(network.parameters.copy)
        if value > self.best and not self.bayesian:
            self.best = value
            of_before = self.score is None and not self.whole
            self.parameters = self.begun_with if of_before else now
        self.begun_with, self.begun_penalty = now, penalty_now
        self._set_rate()
        return self.stopped or self.spent

    @property
    def spent(self) -> bool:
        """Whether the loss has been computed more often than it may be."""
        return bool(self.evaluations > self.estimator.max_fun)

    def _set_rate(self) -> None:
        """Sets the learning rate of the next epoch, or ends the training when patience does."""
        optimizer = self.optimizer
        rule = self.estimator.learning_rate
        if self.waited <= self.patience:
            if isinstance(optimizer, SGD) and rule == "invscaling":
                optimizer.lr = rate_after(self.estimator, self.before + len(self.losses) * self.samples)
            return
        if isinstance(optimizer, SGD) and rule == "adaptive":
            rate = optimizer.lr
            assert isinstance(rate, float)
            if rate > LEAST_RATE:
                optimizer.lr = rate / 5
                self.waited = 0
                return
        self.stopped = True

    def keep_the_best(self, network: Network, loss: Callable[[], float]) -> None:
        """Puts the best parameters back, unless the last ones have a lower objective."""
        if self.parameters is None:
            return
        if self.score is None and -loss() - self.begun_penalty >= self.best:
            return
        network.parameters[:] = self.parameters


def penalty(network: Network) -> float:
    """½ l2 Σ w² over all layers."""
    squares = (_core.pairwise_squares(layer.weights.T) for layer in network.layers)  # T: as they are stored
    return sum(0.5 * layer.l2 * square for layer, square in zip(network.layers, squares, strict=True))
