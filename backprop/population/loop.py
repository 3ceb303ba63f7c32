"""The loop of `Population.fit`: epochs, a call of the engine after the other."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._columns import add_later
from backprop.fit.figures import norms_of
from backprop.fit.progress import Progress, is_watched
from backprop.population.engine import Engine
from backprop.population.history import PopulationHistory
from backprop.population.patience import Patience
from backprop.population.plan import Plan, plan_of
from backprop.population.rates import MemberRates

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop.optimizers import Optimizer
    from backprop.population.members import Members
    from backprop.population.stopping import Stopping

NUMBERS_OF_RECORD = 1 << 21  # written in one call of the engine at most


def fit(
    population: Members,
    x: ArrayLike,
    y: ArrayLike,
    optimizer: Optimizer,
    *,
    progress: bool | None,
    resting: NDArray[np.bool_] | None = None,
    stopping: Stopping | None = None,
    **settings: Any,
) -> PopulationHistory:
    """`Population.fit`, which documents it; but members that are `resting` are left as they are, and
    others may end by `stopping`."""
    plan = plan_of(population.prototype, len(population), x, y, optimizer, **settings)
    history = PopulationHistory(plan.keys, len(population))
    rest = np.zeros(len(population), np.bool_) if resting is None else resting
    population.diverged &= rest
    for callback in plan.callbacks:
        if hasattr(callback, "start"):
            callback.start(population, plan.keys)
    patience = Patience(plan, population.parameters)
    watched = is_watched() if progress is None else progress
    with Progress(bool(watched), plan.epochs) as bar:
        _train(population, plan, history, patience, bar, ~rest, stopping)
    patience.finish(population.diverged)
    if plan.patience is not None:
        history.best_epoch = patience.best_epoch
    for callback in plan.callbacks:
        if hasattr(callback, "finish"):
            callback.finish(population)
    return history


def _train(
    population: Members,
    plan: Plan,
    history: PopulationHistory,
    patience: Patience,
    bar: Progress,
    training: NDArray[np.bool_],
    stopping: Stopping | None,
) -> None:
    """All epochs of those that are `training`, in as few calls of the engine as those that look on allow."""
    members = len(population)
    engine = Engine(population, plan)
    one_by_one = bool(plan.callbacks) or plan.norms or (patience.watches and not engine.monitors)
    in_engine = patience if patience.watches and not one_by_one else None
    ends = in_engine or stopping
    rates = MemberRates(plan.optimizer.lr, members)
    most = 1 if one_by_one or bar.budget < np.inf else NUMBERS_OF_RECORD // (members * engine.figures)
    done = 0
    while done < plan.epochs and training.any():
        epochs = min(plan.epochs - done, max(1, most))
        if rates.scheduled:
            epochs = min(epochs, rates.epochs_at_a_time(plan.steps))
        before = plan.states.steps.copy()
        try:
            trained = engine.train(rates, training, epochs, stopping, in_engine)
        finally:
            plan.optimizer.join(members, plan.states)
        epochs = len(trained[0]["loss"])
        done += epochs
        _extend(history, population, plan, trained, _rates_of(rates, plan, before, epochs, training))
        history.stopped[training & population.diverged] = "diverged"
        training &= ~population.diverged
        for reason, ended in () if ends is None else ends.reasons():
            history.stopped[training & ended] = reason
            training &= ~ended
        if bar or one_by_one:
            last: dict[str, Any] = {"epoch": done} | {key: values[-1] for key, values in history.items()}
        if bar:
            bar.advance(epochs, _median(last))
        if one_by_one:
            _observe(population, plan, history, patience, training, last)
            rates = MemberRates(plan.optimizer.lr, members)  # a callback may have changed it
        elif bar.budget < np.inf:
            most = int(bar.budget / max(trained[1], 1e-9))


def _rates_of(
    rates: MemberRates, plan: Plan, before: NDArray[np.uint64], epochs: int, training: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The rate of the last step of each of these epochs, (epochs, members)."""
    if not rates.scheduled:
        return np.broadcast_to(rates.constant.copy(), (epochs, len(before)))
    last_steps = [before + np.uint64((epoch + 1) * plan.steps - 1) for epoch in range(epochs)]
    each = [rates.of_steps(training, done, 1)[..., 0] for done in last_steps]
    return np.stack([np.broadcast_to(lr, before.shape) for lr in each])


def _extend(
    history: PopulationHistory,
    population: Members,
    plan: Plan,
    trained: tuple[dict[str, NDArray[np.float64]], float],
    rates: NDArray[np.float64],
) -> None:
    """Adds an engine's figures, (epochs, members) each, and seconds an epoch to the history."""
    columns = trained[0] | {"lr": rates, "seconds": np.broadcast_to(trained[1], len(rates))}
    if plan.norms:
        columns["weight_norm"] = norms_of(population.parameters)[np.newaxis]
    spreads = plan.spreads if plan.quality.name == "r2" else None
    add_later(history, partial(_complete, columns, spreads, plan.samples.mask is not None))


def _complete(
    columns: dict[str, NDArray[np.float64]], spreads: tuple[Any, Any] | None, masked: bool
) -> dict[str, NDArray[np.float64]]:
    """With what follows from an engine's figures, and nothing known of members that rest or have diverged."""
    columns = dict(columns)
    if spreads is not None:
        columns["r2"] = _r2(columns["loss"], spreads[0])
        if "validation_loss" in columns:
            columns["validation_r2"] = _r2(columns["validation_loss"], spreads[1])
    if masked:
        columns["accuracy"] = np.full_like(columns["loss"], np.nan)
    known = np.isfinite(columns["loss"])
    if known.all():
        return columns
    return {
        key: np.where(known, column, np.nan) if key != "seconds" else column
        for key, column in columns.items()
    }


def _r2(losses: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - C / C of the best constant outputs, in one array: new memory costs more than the sums."""
    parts = losses / spread
    return np.subtract(1, parts, out=parts)


def _median(record: dict[str, Any]) -> dict[str, float]:
    """What the bar shows: the median member's figures."""
    known = {key: np.asarray(value, np.float64) for key, value in record.items()}
    return {
        key: float(np.nanmedian(value)) if np.isfinite(value).any() else np.nan
        for key, value in known.items()
    }


def _observe(
    population: Members,
    plan: Plan,
    history: PopulationHistory,
    patience: Patience,
    training: NDArray[np.bool_],
    record: dict[str, Any],
) -> None:
    """Calls the callbacks, and ends the training of members whose time has come."""
    for reason, ended in (
        ("callback", _called_back(population, plan, record)),
        ("patience", patience.after_epoch(history.epochs, record, training)),
        ("target", training & (record["loss"] <= plan.target)),
    ):
        history.stopped[training & ended] = reason
        training &= ~ended


def _called_back(population: Members, plan: Plan, record: dict[str, Any]) -> NDArray[np.bool_]:
    """Which members a callback wants to stop: all where it returns True, or those of a mask."""
    members = len(population)
    stop = np.zeros(members, np.bool_)
    for callback in plan.callbacks:
        answer = callback(population, dict(record))
        if isinstance(answer, list):
            answer = np.asarray(answer)
        if isinstance(answer, (bool, np.bool_)):
            stop |= answer
        elif isinstance(answer, np.ndarray) and answer.dtype == np.bool_:
            if answer.shape != (members,):
                raise ValueError(f"a callback's mask must have shape {(members,)}, got {answer.shape}")
            stop |= answer
    return stop
