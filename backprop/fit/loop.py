"""The loop of `Network.fit`: epochs, a call of the engine after the other."""

from __future__ import annotations

import dataclasses
import math
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._columns import add_later
from backprop._sparse import is_sparse
from backprop._validate import finite_number, name_among, whole_number
from backprop.fit import engine
from backprop.fit.figures import columns_of, new_record, norms_of, quantities
from backprop.fit.observers import Observers
from backprop.fit.plan import plan_of
from backprop.fit.progress import Progress, is_watched
from backprop.fit.ranks import Alone, Ranks
from backprop.fit.rates import Rates, epochs_at_a_time, first_rates
from backprop.fit.samples import is_masked
from backprop.fit.whole_batch import fit as fit_whole_batch
from backprop.history import History
from backprop.solvers import WholeBatch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop._base import BaseNetwork
    from backprop._core import Optimizer
    from backprop.fit.plan import Plan
    from backprop.fit.quality import Quality

ROWS_OF_RECORD = 4096  # epochs trained in one call of the engine at most


def fit(
    network: BaseNetwork,
    x: Any,
    y: ArrayLike | None,
    optimizer: Optimizer | WholeBatch,
    *,
    target: float | None,
    comm: Any,
    sharded: bool,
    sync_every: int | None,
    progress: bool | None,
    record: str,
    **settings: Any,
) -> History:
    """`Network.fit`, which documents it."""
    of_steps = name_among("record", record, ("epochs", "steps")) == "steps"
    least = -math.inf if target is None else finite_number("target", target)
    if isinstance(optimizer, WholeBatch):
        if of_steps:
            name = type(optimizer).__name__
            raise ValueError(f"record='steps' is for descent: an epoch of {name} is one step")
        return fit_whole_batch(
            network,
            x,
            y,
            optimizer,
            target=least,
            comm=comm,
            sharded=sharded,
            sync_every=sync_every,
            progress=progress,
            **settings,
        )
    if of_steps and comm is not None:
        raise ValueError("record='steps' is for one process: with comm each rank sees a part of every batch")
    with _ranks_of(comm, sharded, sync_every) as ranks:
        plan = ranks.attempt(partial(plan_of, network, x, y, optimizer, ranks, **settings))
        if isinstance(ranks, Ranks):
            plan = _start_alike(plan, ranks)
        observers = Observers(network, optimizer, plan.callbacks)
        history = History(
            quantities(plan.quality, plan.held_out is not None, plan.norms, tuple(plan.metrics.of_names))
        )
        steps: list[tuple[NDArray[np.float64], NDArray[np.float64]]] | None = [] if of_steps else None
        ranks.attempt(partial(observers.start, tuple(history)))
        watched = ranks.rank == 0 and is_watched() if progress is None else progress
        with Progress(bool(watched), plan.epochs) as bar:
            _train(plan, ranks, observers, history, bar, least, steps)
        ranks.attempt(observers.finish)
        if steps is not None:
            losses, rates = zip(*steps, strict=True)
            history.steps = {"loss": np.concatenate(losses), "lr": np.concatenate(rates)}
        return history


def _ranks_of(comm: Any, sharded: bool, sync_every: int | None) -> Alone:
    """The processes that train together."""
    if comm is None:
        if sharded or sync_every is not None:
            raise ValueError("sharded and sync_every are for training with comm, but comm is None")
        return Alone()
    return Ranks(comm, bool(sharded), 0 if sync_every is None else whole_number("sync_every", sync_every))


def _start_alike(plan: Plan, ranks: Ranks) -> Plan:
    """Makes sure that all ranks are about to do the same, from the same state; the plan of all of them."""
    of_ranks = ranks.gather(lambda: (plan.steps, plan.observed, first_rates(plan.optimizer)))
    steps, observed, rates = zip(*of_ranks, strict=True)
    plan = dataclasses.replace(plan, steps=max(steps), observed=any(observed))
    ranks.require_same(plan.settings(ranks) | {"the schedule's first rates": rates[ranks.rank]})
    ranks.broadcast_state(plan.network, plan.optimizer, plan.generator)
    if not (plan.norms or ranks.average_every or plan.precision != "float32"):
        rows = plan.batch_size if ranks.sharded else -(-plan.batch_size // ranks.size)
        whole = plan.source is not None and plan.source.whole
        sparse = plan.samples is not None and is_sparse(plan.samples.x)
        ranks.share_memory(plan.network, plan.optimizer, 0 if whole or sparse else rows)
    return plan


def _train(
    plan: Plan,
    ranks: Alone,
    observers: Observers,
    history: History,
    bar: Progress,
    target: float,
    steps: list[tuple[NDArray[np.float64], NDArray[np.float64]]] | None,
) -> None:
    """All epochs, in as few calls of the engine as observers, norms and sources allow."""
    optimizer = plan.optimizer
    looked_at = plan.observed or bool(observers) or plan.norms or plan.metrics.of_names or target > -math.inf
    one_by_one = looked_at or plan.source is not None or (ranks.sharded and plan.draws)
    most = 1 if one_by_one else ROWS_OF_RECORD
    rates = Rates(optimizer)
    if rates.scheduled:
        most = min(most, epochs_at_a_time(plan.steps))
    trained, record = 0, new_record(min(plan.epochs, most))
    while trained < plan.epochs and history.stopped == "epochs":
        epochs, before = min(plan.epochs - trained, most), optimizer.steps
        if rates.scheduled and plan.steps and (plan.source is None or ranks.size > 1):
            _compare_rates(rates, ranks, before, epochs * plan.steps)
        losses: list[NDArray[np.float64]] = []
        done = ranks.attempt(
            partial(
                engine.train,
                plan,
                ranks,
                rates,
                epochs=epochs,
                first_epoch=trained,
                budget=bar.budget,
                record=record[:epochs],
                losses=None if steps is None else losses,
            )
        )
        if rates.scheduled and not plan.steps and ranks.size > 1:
            _compare_rates(rates, ranks, before, optimizer.steps - before)
        ranks.broadcast(record[:epochs])
        trained += done
        of_epochs = _rates_of_epochs(rates, before, optimizer.steps, done)
        own = plan.metrics.measured(plan.network, ranks)
        _extend(history, plan, record[:done], of_epochs, own)
        if steps is not None:
            steps.append((np.concatenate(losses), _rates_of_steps(rates, before, optimizer.steps)))
        if not (bar or one_by_one):
            continue
        last = {"epoch": trained} | {key: values[-1] for key, values in history.items()}
        bar.advance(done, last)
        if one_by_one:
            if _observe(plan, ranks, observers, last):
                history.stopped = "callback"
            elif last["loss"] <= target:
                history.stopped = "target"
            rates = Rates(optimizer)  # an observer may have changed it


def _compare_rates(rates: Rates, ranks: Alone, first: int, count: int) -> None:
    """Asks for the rates of these steps here, where no rank waits for one that raises; they must be the same.

    Of the next steps; or, where batches come from an iterable and nobody knew their number, of those made.
    """
    sums = ranks.gather(lambda: zlib.crc32(rates.of_steps(first, count).data))
    if len(set(sums)) > 1:
        raise ValueError(
            f"every rank must call fit alike, but the schedules of the ranks give different rates for the "
            f"steps {first} to {first + count - 1}"
        )


def _rates_of_epochs(rates: Rates, before: int, after: int, epochs: int) -> NDArray[np.float64]:
    """The rate of the last step of each of these epochs, between two numbers of steps."""
    if not rates.scheduled:
        return np.full(epochs, rates.at([before])[0])
    steps = (after - before) // epochs
    return np.array(rates.at([before + (epoch + 1) * steps - 1 for epoch in range(epochs)]))


def _rates_of_steps(rates: Rates, before: int, after: int) -> NDArray[np.float64]:
    """The rate of each step between two numbers of steps."""
    if rates.scheduled:
        return rates.of_steps(before, after - before).copy()
    return np.full(after - before, rates.at([before])[0])


def _extend(
    history: History,
    plan: Plan,
    record: NDArray[np.float64],
    rates: NDArray[np.float64],
    own: dict[str, float],
) -> None:
    """Adds an engine's record, and metrics of its last epoch, to the history."""
    columns = columns_of(record, history)
    columns["lr"] = rates
    for name, figure in own.items():
        columns[name] = np.array([figure])
    if plan.norms:
        columns["weight_norm"] = norms_of(plan.network.parameters[np.newaxis])
    if plan.samples is not None and plan.samples.mask is not None:
        columns["accuracy"] = np.full(len(record), np.nan)
    if is_masked(plan.held_out):
        columns["validation_accuracy"] = np.full(len(record), np.nan)
    add_later(history, partial(_with_quality, plan.quality, columns))


def _with_quality(
    quality: Quality, columns: dict[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    return columns | quality.measured(columns)


def _observe(plan: Plan, ranks: Alone, observers: Observers, record: dict[str, float]) -> bool:
    """Calls all observers; whether one on any rank wants to stop."""

    def call() -> tuple[bool, int, object]:
        stop = observers.after_epoch(record)
        lr = plan.optimizer.lr
        return stop, ranks.checksum(plan.network), None if callable(lr) else lr

    stops, *after = zip(*ranks.gather(call), strict=True)
    if any(len(set(of_ranks)) > 1 for of_ranks in after):
        raise RuntimeError(
            "after the callbacks the ranks no longer have the same weights and learning rate: a callback "
            "must change them alike on every rank"
        )
    return any(stops)
