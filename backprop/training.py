"""The loop of `Network.fit`: what happens between calls of the engine, which trains whole epochs."""

from __future__ import annotations

import contextlib
import math
import numbers
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import _core, schedules
from backprop._validate import as_array, finite_number, name_among, real_array, whole_number
from backprop.fit.figures import columns_of, new_record, quantities
from backprop.fit.progress import Progress, is_watched
from backprop.fit.threads import suitable_threads, threads_asked
from backprop.history import History
from backprop.ranks import Alone, Ranks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop.callbacks import Callback
    from backprop.network import Network, Seed
    from backprop.streams import Batches, Blocks

MOST_HINTED = 4096  # samples of an iterable's batch that room is made for before any has come
ROWS_OF_RECORD = 1000  # epochs trained in one call of the engine at most
RATES_AT_A_TIME = 1 << 20  # steps whose rates are computed at a time, except that an epoch is never split
RATES_TO_COMPARE = 16  # of a schedule, between ranks


class Plan:
    """What one call of fit is to do, checked as far as Python can."""

    network: Network
    optimizer: _core.Optimizer
    x: NDArray[Any] | None
    y: NDArray[Any] | None
    weights: NDArray[np.float64] | None
    mask: NDArray[Any] | None
    source: Batches | Blocks | None  # instead of x, y and weights
    held_out: tuple[NDArray[Any], NDArray[Any]] | None
    generator: np.random.Generator
    epochs: int
    batch_size: int  # of this rank, where each has data of its own
    shuffle: bool | str
    norms: bool
    threads: int | None
    callbacks: tuple[Callback, ...]
    samples: int  # 0 where nobody knows
    steps: int = 0  # in an epoch; 0 where nobody knows
    first_rates: list[float]  # of a schedule

    def __init__(self, **settings: Any) -> None:
        vars(self).update(settings)

    @property
    def drawn(self) -> bool:
        """Whether the engine draws random numbers."""
        return bool(self.shuffle) or any(layer.dropout for layer in self.network.layers)


def run(
    network: Network,
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
        if comm is not None and callable(optimizer.lr):
            plan.first_rates = schedules.rates(optimizer.lr, 0, RATES_TO_COMPARE).tolist()
        return {"steps": plan.steps, "observed": bool(plan.callbacks)}

    with ranks:
        told = ranks.together(prepare)
        plan.steps = max(of_rank["steps"] for of_rank in told)
        if isinstance(ranks, Ranks):
            _start_alike(plan, ranks)
        return _train(plan, ranks, progress, any(of_rank["observed"] for of_rank in told))


def _plan(
    network: Network,
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
        x=None,
        y=None,
        weights=None,
        mask=None if target_mask is None else as_array("target_mask", target_mask),
        source=None,
        held_out=None,
        generator=network.rng if rng is None else np.random.default_rng(rng),
        epochs=whole_number("epochs", epochs),
        batch_size=whole_number("batch_size", batch_size),
        shuffle=_shuffle(shuffle),
        norms=bool(norms),
        threads=threads_asked(threads),
        callbacks=_callables(callbacks),
        samples=0,
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
        from backprop.streams import Batches

        plan.source = Batches(x, plan.epochs)
        plan.batch_size = min(plan.batch_size, MOST_HINTED)
        plan.shuffle = False
        plan.held_out = None if validation is None else _pair(validation)
        return plan
    _take_arrays(plan, as_array("x", x), as_array("y", y), sample_weight, class_weight, validation)
    _divide(plan, ranks)
    return plan


def _shuffle(shuffle: object) -> bool | str:
    if isinstance(shuffle, str):
        return name_among("shuffle", shuffle, ("blocks",))
    return bool(shuffle)


def _take_arrays(
    plan: Plan,
    x: NDArray[Any],
    y: NDArray[Any],
    sample_weight: ArrayLike | None,
    class_weight: Mapping[int, float] | str | None,
    validation: tuple[ArrayLike, ArrayLike] | float | None,
) -> None:
    samples = len(x) if x.ndim > 1 else 1
    weights = None
    if sample_weight is not None:
        weights = np.array(real_array("sample_weight", sample_weight, (samples,)), dtype=np.float64)
    if class_weight is not None:
        of_class = _weights_of_classes(class_weight, y, samples, plan.network.layers[-1].outputs)
        weights = of_class if weights is None else weights * of_class
    if isinstance(validation, numbers.Real):
        x, y, weights, plan.held_out = _hold_out(float(validation), x, y, weights, plan.mask)
        samples = len(x)
    elif validation is not None:
        plan.held_out = _pair(validation)
    plan.x, plan.y, plan.weights, plan.samples = x, y, weights, samples


def _divide(plan: Plan, ranks: Alone) -> None:
    """Cuts the samples into batches and, where they are to be read in blocks, into those."""
    x, y = plan.x, plan.y
    assert x is not None
    assert y is not None
    if ranks.sharded:
        each, more = divmod(plan.batch_size, ranks.size)
        if each == 0:
            raise ValueError(
                f"batch_size must be at least 1 for each of the {ranks.size} ranks, got {plan.batch_size}"
            )
        plan.batch_size = each + (ranks.rank < more)
    plan.batch_size = max(1, min(plan.batch_size, plan.samples))
    plan.steps = -(-plan.samples // plan.batch_size)
    if plan.shuffle == "blocks" and plan.mask is not None:
        raise ValueError("shuffle='blocks' does not go with a target_mask")
    if plan.shuffle is True:
        return
    from backprop.streams import Blocks, is_mapped

    if plan.shuffle == "blocks" or (not plan.shuffle and plan.mask is None and x.ndim == 2 and is_mapped(x)):
        plan.source = Blocks(
            x,
            y,
            plan.weights,
            batch_size=plan.batch_size,
            outputs=plan.network.layers[-1].outputs,
            mix=plan.shuffle == "blocks",
        )
        plan.x = plan.y = plan.weights = None


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
    }
    if callable(plan.optimizer.lr):
        settings["the schedule's first rates"] = plan.first_rates
    if not ranks.sharded:
        settings |= {"the number of samples": plan.samples, "batch_size": plan.batch_size}
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
    with Progress(bool(watched), plan.epochs) as bar:
        stop = False
        while history.epochs < plan.epochs and not stop:
            most = 1 if one_by_one else min(plan.epochs - history.epochs, ROWS_OF_RECORD)
            lr, rates = optimizer.lr, None
            if callable(lr) and not plan.source:
                most = min(most, max(1, RATES_AT_A_TIME // max(1, plan.steps)))
                rates = schedules.rates(lr, optimizer.steps, most * plan.steps)
            record = new_record(most)
            call = partial(_call, plan, ranks, most, rates, bar.budget, history.epochs, record)
            done = ranks.together(call)[0]
            ranks.share(record)
            columns = columns_of(record[:done])
            if rates is not None:
                columns["lr"] = rates[plan.steps - 1 :: plan.steps][:done].tolist()
            elif callable(lr):
                columns["lr"] = schedules.rates(lr, optimizer.steps - 1, 1).tolist()
            else:
                columns["lr"] = done * [lr]
            if plan.norms:
                columns["weight_norm"] = [float(np.linalg.norm(network.parameters.astype(np.float64)))]
            if plan.mask is not None:
                columns["accuracy"] = done * [math.nan]
            for key, values in history.items():
                values.extend(columns[key])
            last = {"epoch": history.epochs} | {key: values[-1] for key, values in history.items()}
            bar.advance(done, last)
            if one_by_one:
                stop = _observe(plan, ranks, observers, last)
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
    rates: NDArray[np.float64] | None,
    budget: float,
    first_epoch: int,
    record: NDArray[np.float64],
) -> int:
    """One call of the engine: the epochs done, or -1 where another rank ended the training."""
    generator = plan.generator
    if isinstance(ranks, Ranks) and ranks.sharded and plan.drawn:
        generator = ranks.own(generator)
    reader = None
    if plan.source is not None:
        from backprop.streams import Reader

        reader = Reader(plan.source, generator, plan.optimizer, ranks.asked_to_stop)
    try:
        with generator.bit_generator.lock if plan.drawn else contextlib.nullcontext():
            return plan.network._train(
                plan.x,
                plan.y,
                plan.optimizer,
                epochs,
                plan.batch_size,
                generator.bit_generator if plan.drawn else None,
                plan.threads or 1,
                rates,
                plan.weights,
                plan.held_out,
                budget,
                first_epoch,
                record,
                bool(plan.shuffle),
                plan.mask,
                plan.norms,
                None if reader is None else reader.engine,
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
    network: Network, optimizer: _core.Optimizer, callbacks: tuple[Callback, ...], quantities: tuple[str, ...]
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


def _hold_out(
    share: float,
    x: NDArray[Any],
    y: NDArray[Any],
    weights: NDArray[np.float64] | None,
    mask: NDArray[np.bool_] | None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64] | None, tuple[NDArray[Any], NDArray[Any]]]:
    """The first samples to train on, and the last `share` of them, rounded, as a pair; all of them views."""
    held_out = round(share * len(x)) if x.ndim > 1 and 0 < share < 1 else 0
    if not 0 < held_out < len(x):
        raise ValueError(
            f"validation must be a pair (x, y), or a share between 0 and 1 that leaves samples on both "
            f"sides; got {share} for x of shape {x.shape}"
        )
    if mask is not None:
        raise ValueError("validation must be a pair (x, y) where there is a target_mask, got a share")
    if y.ndim == 0 or len(y) != len(x):
        raise ValueError(f"y must have one entry for each of the {len(x)} samples, got shape {y.shape}")
    first = len(x) - held_out
    rest = None if weights is None else weights[:first].copy()
    return x[:first], y[:first], rest, (x[first:], y[first:])


def _pair(validation: object) -> tuple[NDArray[Any], NDArray[Any]]:
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise TypeError(f"validation must be a pair (x, y), got {type(validation).__name__}")
    return as_array("validation x", validation[0]), as_array("validation y", validation[1])


def _callables(callbacks: Sequence[Callback]) -> tuple[Callback, ...]:
    if not isinstance(callbacks, (tuple, list)) or not all(map(callable, callbacks)):
        raise TypeError(f"callbacks must be a list of callables, got {callbacks!r}")
    return tuple(callbacks)


def _weights_of_classes(
    class_weight: Mapping[int, float] | str, y: NDArray[Any], samples: int, outputs: int
) -> NDArray[np.float64]:
    """Each sample's weight by its class.

    "balanced" gives every class that occurs the same total, n / (classes · samples of the class), as
    scikit-learn does. A class that a dict does not name has weight 1. The class of a sample is its
    label, its largest target, or for one output whether the target is at least 0.5.
    """
    known = range(max(outputs, 2))
    if isinstance(class_weight, Mapping):
        for label, weight in class_weight.items():
            if label not in known:
                raise ValueError(f"class_weight must name classes of 0 to {known[-1]}, got {label!r}")
            if finite_number(f"class_weight[{label}]", weight) < 0:
                raise ValueError(f"class_weight[{label}] must be at least 0, got {weight}")
    elif class_weight != "balanced":
        raise ValueError(f"class_weight must be a dict or 'balanced', got {class_weight!r}")
    if y.dtype.kind not in "biuf" or y.size not in (samples, samples * outputs):
        return np.ones(samples)  # which the engine never uses: it refuses such a y, with its own message
    targets = y.reshape(samples, -1)
    if outputs == 1:
        labels = (targets[:, 0] >= 0.5).astype(np.int64)
    else:
        labels = targets[:, 0] if targets.shape[1] == 1 else targets.argmax(axis=1)
    classes, of_sample, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if isinstance(class_weight, Mapping):
        of_class = np.array([class_weight.get(label, 1.0) for label in classes.tolist()], dtype=np.float64)
    else:
        of_class = samples / (len(classes) * counts)
    weights: NDArray[np.float64] = of_class[of_sample]
    return weights
