"""What `Watch` does for one network, for all members of a population at once."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import _core
from backprop.layer import arrays_of
from backprop.optimizers import SGD
from backprop.population.stopping import Stopping
from backprop.sklearn.parameters import rate_after
from backprop.sklearn.stopping import LEAST_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backprop.optimizers import Optimizer
    from backprop.population import Population
    from backprop.sklearn.stopping import Watch


class MemberWatch:
    """The callback of a population's fit: each member's figures, patience, rate and best parameters.

    Parameters
    ----------
    watches : sequence of Watch
        One for each member; they get what each would have seen of its own fit.
    population : Population
    optimizer : Optimizer
        Whose rates, (members,), it sets.

    Attributes
    ----------
    training : ndarray of bool, (members,)
        Whose time has not come.
    rule : Stopping
        Which the engine may apply alone, unless the watch `looks_on`.
    """

    def __init__(self, watches: Sequence[Watch], population: Population, optimizer: Optimizer) -> None:
        self._watches, self._optimizer = watches, optimizer
        self.rule = Stopping(
            np.array([watch.estimator.tol for watch in watches], np.float64),
            np.array([watch.patience for watch in watches], np.float64),
            population.parameters,
        )
        self._rules = np.array([watch.estimator.learning_rate for watch in watches])
        self._verbose = any(watch.estimator.verbose for watch in watches)
        self._has_score = np.array([watch.score is not None for watch in watches])
        self._sgd = isinstance(optimizer, SGD)
        self.training = np.ones(len(watches), np.bool_)
        self._begun_penalty = penalties(population)
        self._begun_with = population.parameters.copy()

    @property
    def looks_on(self) -> bool:
        """Whether it must be called after each epoch: the engine knows nothing of scores, text and rates."""
        steers = self._sgd and bool((self._rules != "constant").any())
        return self._verbose or steers or bool(self._has_score.any())

    def __call__(self, population: Population, record: dict[str, Any]) -> NDArray[np.bool_]:
        """Takes one epoch's record; which members are to stop."""
        training, rule = self.training & ~population.diverged, self.rule
        losses = record["loss"] + self._begun_penalty
        rule.objectives.append(losses[np.newaxis])
        rule.epochs += training
        values = self._values(population, losses, training)
        with np.errstate(invalid="ignore"):
            gained, better = values >= rule.best + rule.tol, training & (values > rule.best)
        rule.waited[training] += 1
        rule.waited[training & gained] = 0
        rule.best[better] = values[better]
        self._keep(population.parameters, training, better)
        self._begun_penalty = penalties(population)
        rule.ended |= self._set_rates(training)
        self.training = training & ~rule.ended
        return rule.ended.copy()

    def _keep(self, parameters: NDArray[Any], training: NDArray[np.bool_], better: NDArray[np.bool_]) -> None:
        """Keeps the parameters of members that got better, and of all that train what they go on with."""
        for i in np.flatnonzero(better).tolist():
            self.rule.kept[i] = (parameters if self._has_score[i] else self._begun_with)[i]
        for i in np.flatnonzero(training).tolist():
            self._begun_with[i] = parameters[i]

    def drop(self, members: NDArray[np.bool_]) -> None:
        """Ends the training of these, (members,)."""
        self.rule.ended |= self.training & members
        self.training &= ~members

    def after(self, population: Population) -> None:
        """Notes whose training has ended where the engine applied the rule."""
        self.training &= ~(population.diverged | self.rule.ended)

    def finish(self, population: Population) -> None:
        """Tells the watches what they would have seen and kept so far."""
        begun, rule = penalties(population), self.rule
        for i, watch in enumerate(self._watches):
            watch.losses, watch.stopped = rule.objectives_of(i), bool(rule.ended[i])
            watch.begun_penalty = float(begun[i])
            watch.waited, watch.best = int(rule.waited[i]), float(rule.best[i])
            if watch.best > -np.inf:
                watch.parameters = rule.kept[i]

    def _values(
        self, population: Population, losses: NDArray[np.float64], training: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """What is to rise, (members,)."""
        values = -losses
        if not (self._verbose or self._has_score.any()):
            return values
        network = copy.deepcopy(population.prototype)
        for i in np.flatnonzero(training).tolist():
            watch = self._watches[i]
            text = f"Iteration {self.rule.epochs[i]}, loss = {losses[i]:.8f}"
            if watch.score is not None:
                network.parameters[:] = population.parameters[i]
                values[i] = watch.score(network)
                watch.scores.append(float(values[i]))
                text += f", validation score = {values[i]:.6f}"
            if watch.estimator.verbose:
                print(text)
        return values

    def _set_rates(self, training: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Sets the rates of the next epoch; whose patience has run out, (members,)."""
        rule = self.rule
        late = training & (rule.waited > rule.most)
        if not self._sgd:
            return late
        rates = np.array(self._optimizer.lr)
        for i in np.flatnonzero(training & ~late & (self._rules == "invscaling")).tolist():
            watch = self._watches[i]
            rates[i] = rate_after(watch.estimator, watch.before + int(rule.epochs[i]) * watch.samples)
        lowered = late & (self._rules == "adaptive") & (rates > LEAST_RATE)
        rates[lowered] /= 5
        rule.waited[lowered] = 0
        self._optimizer.lr = rates
        ended: NDArray[np.bool_] = late & ~lowered
        return ended


def penalties(population: Population) -> NDArray[np.float64]:
    """½ l2 Σ w² over all layers of each member, (members,), with the bits of `stopping.penalty`."""
    total = np.zeros(len(population))
    for number, (weights, _) in enumerate(arrays_of(population.layers, population.parameters)):
        squares = [_core.pairwise_squares(of_member.T) for of_member in weights]
        total += 0.5 * population.l2[:, number] * squares
    return total
