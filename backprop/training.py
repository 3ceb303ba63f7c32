"""The loop of `Network.fit`: what happens between calls of the engine, which trains whole epochs."""

from __future__ import annotations

import contextlib
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import _core, schedules
from backprop._validate import name_among, whole_number
from backprop.fit.figures import columns_of, new_record, quantities
from backprop.fit.progress import Progress, is_watched
from backprop.fit.rates import Rates, epochs_at_a_time, first_rates
from backprop.fit.reader import Reader
from backprop.fit.samples import Samples, pair, samples_of
from backprop.fit.streams import Batches, Blocks, is_mapped
from backprop.fit.threads import suitable_threads, threads_asked
from backprop.history import History
from backprop.ranks import Alone, Ranks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop._base import BaseNetwork
    from backprop._types import Seed

    Callback = Callable[[Any, dict[str, float]], object]

MOST_HINTED = 4096  # samples of an iterable's batch that room is made for before any has come
ROWS_OF_RECORD = 1000  # epochs trained in one call of the engine at most


class Plan:
    """What one call of fit is to do, checked as far as Python can."""

    network: BaseNetwork
    optimizer: _core.Optimizer
    samples: Samples | None  # None where nobody knows them before
    source: Batches | Blocks | None  # where they come in blocks
    held_out: tuple[NDArray[Any], NDArray[Any]] | None
    generator: np.random.Generator
    epochs: int
    batch_size: int  # of this rank, where each has data of its own
    shuffle: bool | str
    norms: bool
    threads: int | None
    callbacks: tuple[Callback, ...]
    steps: int = 0  # in an epoch; 0 where nobody knows
    first_rates: list[float]  # of a schedule

    def __init__(self, **settings: Any) -> None:
        vars(self).update(settings)

    @property
    def drawn(self) -> bool:
        """Whether the engine draws random numbers."""
        return bool(self.shuffle) or any(layer.dropout for layer in self.network.layers)


def run(
    network: BaseNetwork,
    x: Any,
    y: ArrayLike | None,
    optimizer: _core.Optimizer,
    *,
    comm: Any,
    sharded: bool,
    sync_every: int | None,
    progress: bool | None,
    **settings: Any,
) -> History:
    """`Network.fit`, which documents it."""
    if comm is None and (sharded or sync_every is not None):
        raise ValueError("sharded and sync_every are for training with comm, but comm is None")
    if comm is None:
        ranks = Alone()
    else:
        average_every = 0 if sync_every is None else whole_number("sync_every", sync_every)
        ranks = Ranks(comm, bool(sharded), average_every)
    plan: Plan

    def prepare() -> dict[str, Any]:
        nonlocal plan
        plan = _plan(network, x, y, optimizer, ranks, **settings)
        plan.first_rates = [] if comm is None else first_rates(optimizer)
        return {"steps": plan.steps, "observed": bool(plan.callbacks)}

    with ranks:
        told = ranks.together(prepare)
        plan.steps = max(of_rank["steps"] for of_rank in told)
        if isinstance(ranks, Ranks):
            _start_alike(plan, ranks)
        return _train(plan, ranks, progress, any(of_rank["observed"] for of_rank in told))


def _plan(
    network: BaseNetwork,
    x: Any,
    y: ArrayLike | None,
    optimizer: _core.Optimizer,
    ranks: Alone,
    *,
    epochs: int,
    batch_size: int,
    shuffle: bool | str,
    validation: tuple[ArrayLike, ArrayLike] | float | None,
    rng: Seed,
    threads: int | None,
    callbacks: Sequence[Callback],
    sample_weight: ArrayLike | None,
    class_weight: Mapping[int, float] | str | None,
    target_mask: ArrayLike | None,
    norms: bool,
) -> Plan:
    """Checks the arguments."""
    if not isinstance(optimizer, _core.Optimizer):
        raise TypeError(f"optimizer must be one such as SGD(0.1), got {type(optimizer).__name__}")
    plan = Plan(
        network=network,
        optimizer=optimizer,
        samples=None,
        source=None,
        held_out=None,
        generator=network.rng if rng is None else np.random.default_rng(rng),
        epochs=whole_number("epochs", epochs),
        batch_size=whole_number("batch_size", batch_size),
        shuffle=_shuffle(shuffle),
        norms=bool(norms),
        threads=threads_asked(threads),
        callbacks=_callables(callbacks),
    )
    if ranks.rank > 0:
        plan.callbacks = tuple(c for c in plan.callbacks if not getattr(c, "first_rank_only", False))
    if y is None:
        if any(given is not None for given in (sample_weight, class_weight, target_mask)):
            raise ValueError(
                "sample_weight, class_weight and target_mask are for arrays; an iterable gives "
                "(x, y, sample_weight) instead"
            )
        if isinstance(validation, numbers.Real):
            raise ValueError("validation must be a pair (x, y) where x is an iterable, got a share")
        plan.source = Batches(x, plan.epochs)
        plan.batch_size = min(plan.batch_size, MOST_HINTED)
        plan.shuffle = False
        plan.held_out = None if validation is None else pair(validation)
        return plan
    plan.samples = samples_of(
        x,
        y,
        outputs=network.layers[-1].outputs,
        sample_weight=sample_weight,
        class_weight=class_weight,
        target_mask=target_mask,
        validation=validation,
    )
    plan.held_out = plan.samples.held_out
    _divide(plan, ranks)
    return plan


def _shuffle(shuffle: object) -> bool | str:
    if isinstance(shuffle, str):
        return name_among("shuffle", shuffle, ("blocks",))
    return bool(shuffle)


def _divide(plan: Plan, ranks: Alone) -> None:
    """Cuts the samples into batches and, where they are to be read in blocks, into those."""
    samples = plan.samples
    assert samples is not None
    if ranks.sharded:
        each, more = divmod(plan.batch_size, ranks.size)
        if each == 0:
            raise ValueError(
                f"batch_size must be at least 1 for each of the {ranks.size} ranks, got {plan.batch_size}"
            )
        plan.batch_size = each + (ranks.rank < more)
    plan.batch_size = max(1, min(plan.batch_size, samples.count))
    plan.steps = -(-samples.count // plan.batch_size)
    if plan.shuffle == "blocks" and samples.mask is not None:
        raise ValueError("shuffle='blocks' does not go with a target_mask")
    if plan.shuffle is True:
        return
    mapped = samples.mask is None and samples.x.ndim == 2 and is_mapped(samples.x)
    if plan.shuffle == "blocks" or mapped:
        plan.source = Blocks(
            samples.x,
            samples.y,
            samples.weights,
            batch_size=plan.batch_size,
            outputs=plan.network.layers[-1].outputs,
            mix=plan.shuffle == "blocks",
        )


def _start_alike(plan: Plan, ranks: Ranks) -> None:
    """Makes sure that all ranks are about to do the same."""
    of_optimizer: dict[str, Any] = getattr(plan.optimizer, "settings", {})
    settings = {
        "the network": str(plan.network.summary()),
        "the instruction set": _core.isa,
        "the optimizer": type(plan.optimizer).__name__,
        "whether lr is a schedule": callable(plan.optimizer.lr),
        **{name: value for name, value in of_optimizer.items() if not callable(value)},
        "epochs": plan.epochs,
        "shuffle": plan.shuffle,
        "norms": plan.norms,
        "whether there is validation": plan.held_out is not None,
        "the kind of data": type(plan.source).__name__,
        "sharded": ranks.sharded,
        "sync_every": ranks.average_every,
        "the schedule's first rates": plan.first_rates,
    }
    if not ranks.sharded:
        count = 0 if plan.samples is None else plan.samples.count
        settings |= {"the number of samples": count, "batch_size": plan.batch_size}
    ranks.start_alike(plan.network, plan.optimizer, plan.generator, settings)
    if not (plan.norms or ranks.average_every):
        rows = plan.batch_size if ranks.sharded else -(-plan.batch_size // ranks.size)
        whole = plan.source is not None and plan.source.whole
        ranks.share_memory(plan.network, plan.optimizer, 0 if whole else rows)
    if plan.threads is None:
        suitable = suitable_threads(plan.network.parameters.size, plan.batch_size)
        plan.threads = min(ranks.usable_threads(), suitable)


def _train(plan: Plan, ranks: Alone, progress: bool | None, observed: bool) -> History:
    """All epochs, call by call of the engine."""
    network, optimizer = plan.network, plan.optimizer
    if plan.threads is None:
        plan.threads = suitable_threads(network.parameters.size, plan.batch_size)
    history = History(quantities(plan.held_out is not None, plan.norms))
    observers: list[Callback] = []
    ranks.together(lambda: observers.extend(_observers(network, optimizer, plan.callbacks, tuple(history))))
    watched = ranks.rank == 0 and is_watched() if progress is None else progress
    one_by_one = observed or bool(observers) or plan.norms or plan.source or (ranks.sharded and plan.drawn)
    rates, stop = Rates(optimizer), False
    with Progress(bool(watched), plan.epochs) as bar:
        while history.epochs < plan.epochs and not stop:
            most = 1 if one_by_one else min(plan.epochs - history.epochs, ROWS_OF_RECORD)
            if rates.scheduled:
                most = min(most, epochs_at_a_time(plan.steps))
            before = optimizer.steps
            if rates.scheduled and not plan.source:
                rates.of_steps(before, most * plan.steps)
            record = new_record(most)
            call = partial(_call, plan, ranks, most, rates, bar.budget, history.epochs, record)
            done = ranks.together(call)[0]
            ranks.share(record)
            columns = columns_of(record[:done])
            steps = (optimizer.steps - before) // max(1, done)
            columns["lr"] = rates.at([before + (epoch + 1) * steps - 1 for epoch in range(done)])
            if plan.norms:
                columns["weight_norm"] = [float(np.linalg.norm(network.parameters.astype(np.float64)))]
            if plan.samples is not None and plan.samples.mask is not None:
                columns["accuracy"] = done * [math.nan]
            for key, values in history.items():
                values.extend(columns[key])
            last = {"epoch": history.epochs} | {key: values[-1] for key, values in history.items()}
            bar.advance(done, last)
            if one_by_one:
                stop = _observe(plan, ranks, observers, last)
                rates = Rates(optimizer)  # which an observer may have changed
    ranks.together(partial(_finish, plan))
    return history


def _finish(plan: Plan) -> None:
    for callback in plan.callbacks:
        if hasattr(callback, "finish"):
            callback.finish(plan.network)


def _call(
    plan: Plan,
    ranks: Alone,
    epochs: int,
    rates: Rates,
    budget: float,
    first_epoch: int,
    record: NDArray[np.float64],
) -> int:
    """One call of the engine: the epochs done, or -1 where another rank ended the training."""
    generator, samples = plan.generator, plan.samples if plan.source is None else None
    if isinstance(ranks, Ranks) and ranks.sharded and plan.drawn:
        generator = ranks.own(generator)
    before = plan.optimizer.steps
    reader, stream, all_rates = None, None, None
    if plan.source is not None:
        reader = Reader(plan.source.epoch(generator), ranks.asked_to_stop)
        of_steps = (lambda first, count: rates.of_steps(before + first, count)) if rates.scheduled else None
        stream = reader.next_block, of_steps, plan.source.whole, reader.thread
    elif rates.scheduled:
        all_rates = rates.of_steps(before, epochs * plan.steps)
    try:
        with generator.bit_generator.lock if plan.drawn else contextlib.nullcontext():
            return plan.network._train(
                None if samples is None else samples.x,
                None if samples is None else samples.y,
                plan.optimizer,
                epochs,
                plan.batch_size,
                generator.bit_generator if plan.drawn else None,
                plan.threads or 1,
                all_rates,
                None if samples is None else samples.weights,
                plan.held_out,
                budget,
                first_epoch,
                record,
                bool(plan.shuffle),
                None if samples is None else samples.mask,
                plan.norms,
                stream,
                ranks.engine(plan.steps),
            )
    finally:
        if reader is not None:
            reader.close()


def _observe(plan: Plan, ranks: Alone, observers: list[Callback], record: dict[str, float]) -> bool:
    """Calls all observers; whether one on any rank wants to stop."""

    def call() -> tuple[bool, int, object]:
        stop = False
        for observe in observers:
            stop |= observe(plan.network, dict(record)) is True
        lr = plan.optimizer.lr
        return stop, ranks.fingerprint(plan.network), None if callable(lr) else lr

    stops, *after = zip(*ranks.together(call), strict=True)
    if any(len(set(of_ranks)) > 1 for of_ranks in after):
        raise RuntimeError(
            "after the callbacks the ranks no longer have the same weights and learning rate: a callback "
            "must change them alike on every rank"
        )
    return any(stops)


def _observers(
    network: BaseNetwork,
    optimizer: _core.Optimizer,
    callbacks: tuple[Callback, ...],
    quantities: tuple[str, ...],
) -> list[Callback]:
    """What is called after each epoch; tells all of them that training starts."""
    observers: list[Callback] = []
    plateau = schedules.plateau_of(optimizer.lr)
    if plateau is not None:
        plateau.start(quantities)
        observers.append(lambda network, record: plateau.observe(record))
    for callback in callbacks:
        if hasattr(callback, "start"):
            callback.start(network, quantities)
    return [*observers, *callbacks]


def _callables(callbacks: Sequence[Callback]) -> tuple[Callback, ...]:
    if not isinstance(callbacks, (tuple, list)) or not all(map(callable, callbacks)):
        raise TypeError(f"callbacks must be a list of callables, got {callbacks!r}")
    return tuple(callbacks)
