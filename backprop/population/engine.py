"""The engine's call for a population: the only place that trains members."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import _core
from backprop._of_members import state_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.population.members import Members
    from backprop.population.patience import Patience
    from backprop.population.plan import Plan
    from backprop.population.rates import MemberRates
    from backprop.population.samples import Samples
    from backprop.population.stopping import Stopping

# An optimizer's numbers as the engine has them in a row, and what they are where a rule has none.
NUMBERS = {
    "lr": 1.0,
    "momentum": 0.0,
    "weight_decay": 0.0,
    "beta_1": 0.0,
    "beta_2": 0.0,
    "epsilon": 0.0,
    "clip_norm": np.inf,
    "clip_value": np.inf,
}


class Engine:
    """Trains members for some epochs, in one call for each group of members that are alike.

    They have the same kind of step: with a momentum or without, with a decay, a limit, or none; in plain
    descent also with penalties or without. The engine can then train them side by side.

    Parameters
    ----------
    members : Members
        Its parameters, generators and `diverged` are changed in place, and the plan's states.
    plan : Plan
    """

    def __init__(self, members: Members, plan: Plan) -> None:
        self._members, self._plan = members, plan
        self._numbers = np.empty((len(members), len(NUMBERS)))
        for place, (name, missing) in enumerate(NUMBERS.items()):
            self._numbers[:, place] = plan.optimizer.numbers.get(name, missing)
        kinds = (self._numbers != list(NUMBERS.values()))[:, 1:]
        self._penalties = np.stack([members.l1, members.l2], axis=2)
        penalized = np.zeros((len(members), 1), np.bool_)
        if plan.optimizer.kind == "sgd":
            penalized[:, 0] = np.count_nonzero(self._penalties, axis=(1, 2))
        self._groups, self._first = _groups_of(np.concatenate([penalized, kinds], axis=1))
        self._state_counts = [state_count(plan.optimizer.kind, self._numbers[i, 1]) for i in self._first]
        draws = bool(plan.shuffle) or any(layer.dropout for layer in members.prototype.layers)
        self._generators = [rng.bit_generator for rng in members.rngs] if draws else None
        self._alike = self._generators is not None and _are_alike(self._generators)
        self._figures = [key for key in plan.keys if key in _core.figures and key != "seconds"]
        self._arrays = _arrays(plan, len(members))

    @property
    def monitors(self) -> bool:
        """Whether the engine can apply patience and target itself: from what it writes down, and not where
        groups that it trains one after the other draw the same order."""
        plan = self._plan
        unknown = plan.norms or (plan.monitor == "accuracy" and plan.samples.mask is not None)
        return not unknown and (plan.shuffle != "shared" or len(self._first) == 1)

    @property
    def figures(self) -> int:
        """How many the engine writes down for a member and an epoch."""
        return len(self._figures)

    def train(
        self,
        rates: MemberRates,
        training: NDArray[np.bool_],
        epochs: int,
        stopping: Stopping | None = None,
        patience: Patience | None = None,
    ) -> tuple[dict[str, NDArray[np.float64]], float]:
        """Trains the members that are `training` for so many epochs, or until all have ended.

        Parameters
        ----------
        rates : MemberRates
        training : ndarray of bool, (members,)
        epochs : int
        stopping : Stopping, optional
        patience : Patience, optional
            By which a member's training may end before.

        Returns
        -------
        dict of str to ndarray, (epochs, members)
            The engine's figures that the history has; NaN of members that rest, from the epoch on in
            which one diverged, and after the one with which one ended. With `patience`, of the epochs
            that were trained.
        float
            Seconds of an epoch, of all members together.
        """
        plan, members = self._plan, self._members
        shape = epochs, len(members)
        # The engine says what is not known of those it trains: so its threads share the work of new memory.
        every = training.all() and len(self._first) == 1 and stopping is None and patience is None
        whole = np.empty((len(self._figures), *shape))
        if not every:
            whole.fill(np.nan)
        record = dict(zip(self._figures, whole, strict=True))
        of_steps = None
        if rates.scheduled:
            of_steps = rates.of_steps(training, plan.states.steps, epochs * plan.steps)
        else:
            self._numbers[:, 0] = rates.constant
        before = time.perf_counter()
        ended = stopping or patience
        of_stopping = None if stopping is None else stopping.arrays(epochs)
        of_patience = None if patience is None else patience.of_engine()
        state = self._generators[0].state if self._generators and plan.shuffle == "shared" else None
        for group, first in enumerate(self._first):
            active = training & (self._groups == group)
            if not active.any():
                continue
            if state is not None and self._generators:
                self._generators[0].state = state  # of the order that is one for all
            chosen = active.copy()
            numbers, penalties = self._numbers, self._penalties
            if len(self._first) > 1:  # the others look like the first of this group, which alone is trained
                others = self._groups != group
                numbers, penalties = numbers.copy(), penalties.copy()
                numbers[others], penalties[others] = numbers[first], penalties[first]
            members.prototype._train_population(
                parameters=members.parameters,
                states=plan.states.state[: self._state_counts[group]],
                steps=plan.states.steps,
                active=active,
                optimizer=plan.optimizer,
                numbers=numbers,
                rates=of_steps,
                penalties=penalties,
                epochs=epochs,
                batch_size=plan.batch_size,
                bit_generators=self._drawn_from(),
                alike=self._alike,
                shuffle=bool(plan.shuffle),
                norms=plan.norms,
                patience=of_stopping,
                monitor=of_patience,
                threads=plan.threads,
                record=tuple(map(record.get, _core.figures)),
                **self._arrays,
            )
            lost = chosen & ~active
            members.diverged |= lost if ended is None else lost & (ended.ended == 0)
        if patience is not None:
            trained = int((patience.epochs + (training & members.diverged))[training].max())
            if trained < epochs:  # the memory of the others is not kept
                record = {key: figures[:trained].copy() for key, figures in record.items()}
            epochs = trained
            patience.done += epochs
        return record, (time.perf_counter() - before) / epochs

    def _drawn_from(self) -> Any:
        """What the engine draws from: every member's generator, or the first one's for all."""
        if self._generators is None:
            return None
        return self._generators[0] if self._plan.shuffle == "shared" else self._generators


def _groups_of(kinds: NDArray[np.bool_]) -> tuple[NDArray[np.intp], list[int]]:
    """The group of each member, those with the same row of kinds being one, and the first member of each."""
    if (kinds == kinds[0]).all():
        return np.zeros(len(kinds), np.intp), [0]
    _, first, groups = np.unique(kinds, axis=0, return_index=True, return_inverse=True)
    return groups.reshape(-1), first.tolist()


def _are_alike(generators: list[Any]) -> bool:
    """Whether bit generators are in the same state, as far as its text tells: the engine then expects that
    samples can be loaded for several members at once."""
    first = str(generators[0].state)
    return all(str(other.state) == first for other in generators[1:])


def _arrays(plan: Plan, members: int) -> dict[str, Any]:
    """The samples as the engine takes them."""
    samples, held_out = plan.samples, plan.held_out
    arrays: dict[str, Any] = {
        "x": samples.x,
        "own_x": samples.own_x,
        "y": samples.y,
        "own_y": samples.own_y,
        "samples": samples.chosen,
        "sample_weight": samples.weights,
        "own_weight": samples.weights is not None and samples.weights.ndim == 2,
        "target_mask": samples.mask,
        "own_mask": samples.mask is not None and samples.own_y,
    }
    if held_out is not None:
        own_weights = held_out.weights is not None and held_out.weights.ndim == 2
        own = held_out.own_x or held_out.own_y or own_weights
        arrays |= {"validation": _held_out(held_out, members if own else 0), "own_validation": own}
    return arrays


def _held_out(samples: Samples, members: int) -> tuple[Any, ...]:
    """(x, y) or (x, y, sample_weight) of all, or, of so many members, a list of each."""
    if members == 0:
        every = (samples.x, samples.y, samples.weights)
    else:
        each = [samples.of_member(i)[:3] for i in range(members)]
        every = tuple(list(column) for column in zip(*each, strict=True))  # type: ignore[assignment]
    return every[:2] if samples.weights is None else every
