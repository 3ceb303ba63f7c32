"""One call of a population's fit: its arguments, checked as far as Python can."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import schedules
from backprop._classes import has_classes
from backprop._figures import UPWARDS
from backprop._of_members import MemberStates
from backprop._optimizer import Optimizer
from backprop._validate import finite_number, name_among, not_negative, whole_number
from backprop.callbacks import Checkpoint, EarlyStopping
from backprop.fit.figures import quantities
from backprop.fit.observers import callables
from backprop.fit.quality import Quality, spread_of
from backprop.fit.threads import threads_asked, usable_threads
from backprop.population.samples import Samples, samples_of, with_held_out
from backprop.solvers import WholeBatch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop.network import Network

SECONDS_OF_A_MEMBER = 2e-6  # that a call spends on one beside its steps
MONITORED = tuple(f"{part}{key}" for key in ("loss", *UPWARDS) for part in ("validation_", ""))


# What Network.fit takes and a population's does not, and why.
OF_NETWORKS = {
    "rng": "each member draws from its own generator, population.rngs[i]",
    "metrics": "measure what you like in a callback: callback(population, record), where population(x) are "
    "the outputs of all members",
    "record": "a history has epochs; the steps of one member are those of population[i].fit",
    "precision": "the products of a population are float32 or float64, as its networks are",
    "comm": "its members are trained on one machine; give each rank a population of its own",
    "sharded": "it is for comm, and a population is trained on one machine",
    "sync_every": "it is for comm, and a population is trained on one machine",
}


def refuse(given: Mapping[str, object]) -> None:
    """Raises a TypeError if anything is given: arguments that fit does not take."""
    for name in given:
        if name in OF_NETWORKS:
            raise TypeError(f"Population.fit() takes no {name}: {OF_NETWORKS[name]}")
        raise TypeError(f"Population.fit() got an unexpected keyword argument {name!r}")


@dataclass(frozen=True)
class Plan:
    """What one call of fit is to do.

    Attributes
    ----------
    samples : Samples
    held_out : Samples or None
        To validate on.
    optimizer : Optimizer
        It has joined the population.
    states : MemberStates
        What it remembers, changed in place.
    epochs, batch_size, threads : int
    norms : bool
        Whether the norms of weights and gradient are measured.
    shuffle : bool or "shared"
    quality : Quality
        The name of what is measured beside the loss.
    spreads : (ndarray, ndarray)
        C of the best constant outputs of each member's samples, and of those held out, (members,); for R².
    monitor : str
    patience : int or None
    min_delta, target : float
    callbacks : tuple of callables
    """

    samples: Samples
    held_out: Samples | None
    optimizer: Optimizer
    states: MemberStates
    epochs: int
    batch_size: int
    threads: int
    norms: bool
    shuffle: bool | str
    quality: Quality
    spreads: tuple[NDArray[np.float64], NDArray[np.float64]]
    monitor: str
    patience: int | None
    min_delta: float
    target: float
    callbacks: tuple[Callable[[Any, dict[str, Any]], object], ...]

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return -(-self.samples.count // self.batch_size)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the history."""
        return quantities(self.quality, self.held_out is not None, self.norms, ())


def plan_of(
    prototype: Network,
    members: int,
    x: ArrayLike,
    y: ArrayLike,
    optimizer: Optimizer,
    *,
    epochs: int,
    batch_size: int,
    shuffle: bool | str,
    samples: ArrayLike | None,
    validation: object,
    patience: int | None,
    monitor: str,
    min_delta: float,
    target: float | None,
    sample_weight: ArrayLike | None,
    class_weight: Mapping[int, float] | str | None,
    target_mask: ArrayLike | None,
    threads: int | None,
    norms: bool,
    callbacks: Sequence[Callable[[Any, dict[str, Any]], object]],
) -> Plan:
    """fit's arguments as a plan; changes nothing but that an optimizer without a past joins the population.

    Raises
    ------
    TypeError, ValueError
        On bad arguments.
    """
    targets = prototype.targets
    every = samples_of(
        x, y, members=members, targets=targets, samples=samples, sample_weight=sample_weight,
        class_weight=class_weight, target_mask=target_mask,
    )  # fmt: skip
    train, held_out = with_held_out(every, validation, members, targets)
    quality = _quality_of(prototype, train)
    keys = quality.keys(held_out is not None)
    monitor = name_among("monitor", monitor, MONITORED)
    patience = None if patience is None else whole_number("patience", patience)
    if patience is not None and monitor not in keys:
        raise ValueError(
            f"patience watches {monitor!r}, but this fit measures only {', '.join(keys)}; give "
            "validation=(x, y) or another monitor"
        )
    plan_epochs, batch = whole_number("epochs", epochs), whole_number("batch_size", batch_size)
    asked = threads_asked(threads)
    if isinstance(shuffle, str) and shuffle == "blocks":
        raise ValueError("shuffle='blocks' is for samples that are not in memory, which only a network reads")
    order = name_among("shuffle", shuffle, ("shared",)) if isinstance(shuffle, str) else bool(shuffle)
    return Plan(
        samples=train,
        held_out=held_out,
        epochs=plan_epochs,
        batch_size=max(1, min(batch, train.count)),
        threads=_suitable_threads(prototype, members, train.count, plan_epochs) if asked is None else asked,
        norms=bool(norms),
        shuffle=order,
        quality=quality,
        spreads=_spreads(prototype, quality, train, held_out, members),
        monitor=monitor,
        patience=patience,
        min_delta=not_negative("min_delta", min_delta),
        target=-np.inf if target is None else finite_number("target", target),
        callbacks=_callbacks(callbacks),
        optimizer=optimizer,
        states=_states(prototype, optimizer, members),
    )


def _suitable_threads(prototype: Network, members: int, samples: int, epochs: int) -> int:
    """One thread where there is less than about a millisecond of work, else all that are usable."""
    operations = 6.0 * prototype.parameters.size * samples * epochs * members
    seconds = operations / 20e9 + members * SECONDS_OF_A_MEMBER
    return usable_threads() if seconds > 1e-3 else 1


def _callbacks(callbacks: Sequence[Any]) -> tuple[Any, ...]:
    for callback in callbacks if isinstance(callbacks, (tuple, list)) else ():
        if isinstance(callback, EarlyStopping):
            raise TypeError("EarlyStopping is of one network; give fit patience=, monitor= and min_delta=")
        if isinstance(callback, Checkpoint):
            raise TypeError("Checkpoint is of one network; call population.save in a callback of your own")
    return callables(callbacks)


def _quality_of(prototype: Network, samples: Samples) -> Quality:
    """What is measured beside the loss; by the rules of a network's fit."""
    if has_classes(prototype, prototype.targets > 1 and samples.has_labels):
        return Quality("accuracy")
    squared = prototype.loss_name in ("squared_error", "mean_squared_error")
    named = isinstance(prototype.loss_function, str)
    return Quality("r2" if squared and named and samples.mask is None else None)


def _spreads(
    prototype: Network, quality: Quality, train: Samples, held_out: Samples | None, members: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For R², of the samples and of those held out: C of the best constant outputs, (members,)."""
    if quality.name != "r2":
        return np.empty(0), np.empty(0)
    scale = 1 / prototype.targets if prototype.loss_name == "mean_squared_error" else 1.0

    def of(samples: Samples | None) -> NDArray[np.float64]:
        if samples is None:
            return np.empty(0)
        weighted = samples.weights is not None and samples.weights.ndim == 2
        own = samples.own_y or samples.chosen is not None or weighted
        each = [samples.of_member(i) for i in range(members if own else 1)]
        spreads = [scale * spread_of(y, weights, prototype.targets) for _, y, weights, _ in each]
        return np.array(spreads if own else spreads * members)

    return of(train), of(held_out)


def _states(prototype: Network, optimizer: Optimizer, members: int) -> MemberStates:
    """What the optimizer remembers of the members, zeros before its first step."""
    if isinstance(optimizer, WholeBatch):
        raise TypeError(
            "a Population trains by descent, with SGD, Adam, AdamW or RMSprop; "
            f"{type(optimizer).__name__} is for a network, such as population[i]"
        )
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be one such as SGD(0.1), got {type(optimizer).__name__}")
    _check_rates(optimizer)
    shape = (members, prototype.parameters.size)
    if prototype.dtype == np.float32 and "epsilon" in optimizer.numbers:
        smallest = float(np.min(optimizer.numbers["epsilon"]))
        if not np.float32(smallest) > 0:
            raise ValueError(f"eps must be greater than 0 in float32, the networks' dtype, got {smallest}")
    known = optimizer.of_members
    if known is None:
        count = optimizer.state_count
        zeros = tuple(np.zeros(shape, prototype.dtype) for _ in range(count))
        known = MemberStates(zeros, np.zeros(members, np.uint64))
    if len(known.steps) != members or any(
        array.shape != shape or array.dtype != prototype.dtype for array in known.state
    ):
        raise ValueError(
            f"this optimizer's state is of another population, not of one of {members} networks of "
            f"{shape[1]} parameters of {prototype.dtype}: make a new optimizer"
        )
    optimizer.join(members, known)
    return known


def _check_rates(optimizer: Optimizer) -> None:
    """Refuses a ReduceOnPlateau: the members' plateaus are not at the same time."""
    lr = optimizer.lr
    for rate in lr if isinstance(lr, tuple) else [lr]:
        if callable(rate) and schedules.plateau_of(rate) is not None:
            raise TypeError(
                "ReduceOnPlateau watches one network; in a population, set optimizer.lr, (members,), in a "
                "callback"
            )
