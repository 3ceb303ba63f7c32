"""The loop of `Network.fit`: what happens between calls of the engine, which trains whole epochs."""

from __future__ import annotations

import contextlib
import math
import numbers
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import _core, schedules
from backprop._validate import as_array, finite_number, real_array, whole_number
from backprop.history import History

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop.callbacks import Callback
    from backprop.network import Network, Seed

MOST_THREADS = 16
MOST_THREADS_ASKED = 2**20  # the engine starts no more than can have a share
SECONDS_BETWEEN_UPDATES = 0.05  # of the progress bar
ROWS_OF_RECORD = 1000  # epochs trained in one call of the engine at most
RATES_AT_A_TIME = 1 << 20  # steps whose rates are computed at a time, except that an epoch is never split
RECORD = (  # the engine's columns
    "loss",
    "accuracy",
    "validation_loss",
    "validation_accuracy",
    "seconds",
    "gradient_norm",
)


def run(
    network: Network,
    x: ArrayLike,
    y: ArrayLike,
    optimizer: _core.Optimizer,
    *,
    epochs: int,
    batch_size: int,
    shuffle: bool,
    validation: tuple[ArrayLike, ArrayLike] | float | None,
    rng: Seed,
    threads: int | None,
    progress: bool | None,
    callbacks: Sequence[Callback],
    sample_weight: ArrayLike | None,
    class_weight: Mapping[int, float] | str | None,
    target_mask: ArrayLike | None,
    norms: bool,
) -> History:
    """`Network.fit`, which documents it."""
    if not isinstance(optimizer, _core.Optimizer):
        raise TypeError(f"optimizer must be one such as SGD(0.1), got {type(optimizer).__name__}")
    epochs = whole_number("epochs", epochs)
    batch_size = whole_number("batch_size", batch_size)
    x, y = as_array("x", x), as_array("y", y)
    samples = len(x) if x.ndim > 1 else 1
    mask = None if target_mask is None else as_array("target_mask", target_mask)
    generator = network.rng if rng is None else np.random.default_rng(rng)
    callbacks = _callables(callbacks)
    weights = None
    if sample_weight is not None:
        weights = np.array(real_array("sample_weight", sample_weight, (samples,)), dtype=np.float64)
    if class_weight is not None:
        of_class = _weights_of_classes(class_weight, y, samples, network.layers[-1].outputs)
        weights = of_class if weights is None else weights * of_class
    held_out = None
    if isinstance(validation, numbers.Real):
        x, y, weights, held_out = _hold_out(float(validation), x, y, weights, mask)
        samples = len(x)
    elif validation is not None:
        held_out = _pair(validation)
    if threads is None:
        threads = _suitable_threads(network.parameters.size, min(batch_size, samples))
    threads = min(whole_number("threads", threads), MOST_THREADS_ASKED)
    batch_size = max(1, min(batch_size, samples))

    steps = -(-samples // batch_size)  # in an epoch
    history = History(_quantities(held_out is not None, norms))
    observers = _observers(network, optimizer, callbacks, tuple(history))
    bar = _progress_bar(epochs) if (_watched() if progress is None else progress) else None
    try:
        stop = False
        while history.epochs < epochs and not stop:
            most = 1 if observers or norms else min(epochs - history.epochs, ROWS_OF_RECORD)
            lr, rates = optimizer.lr, None
            if callable(lr):
                most = min(most, max(1, RATES_AT_A_TIME // steps))
                rates = schedules.rates(lr, optimizer.steps, most * steps)
            record = np.full((most, len(RECORD)), np.nan)
            drawn = shuffle or any(layer.dropout for layer in network.layers)
            with generator.bit_generator.lock if drawn else contextlib.nullcontext():
                done = network._train(
                    x,
                    y,
                    optimizer,
                    most,
                    batch_size,
                    generator.bit_generator if drawn else None,
                    threads,
                    rates,
                    weights,
                    held_out,
                    math.inf if bar is None else SECONDS_BETWEEN_UPDATES,
                    history.epochs,
                    record,
                    bool(shuffle),
                    mask,
                    bool(norms),
                )
            columns = dict(zip(RECORD, record[:done].T.tolist(), strict=True))
            columns["lr"] = done * [lr] if rates is None else rates[steps - 1 :: steps][:done].tolist()
            if norms:
                columns["weight_norm"] = [float(np.linalg.norm(network.parameters.astype(np.float64)))]
            if mask is not None:
                columns["accuracy"] = done * [math.nan]
            for key, values in history.items():
                values.extend(columns[key])
            last = {"epoch": history.epochs} | {key: values[-1] for key, values in history.items()}
            if bar is not None:
                bar.set_postfix(_postfix(last), refresh=False)
                bar.update(done)
            for observe in observers:
                stop |= observe(network, dict(last)) is True
    finally:
        if bar is not None:
            bar.close()
    for callback in callbacks:
        if hasattr(callback, "finish"):
            callback.finish(network)
    return history


def _quantities(validated: bool, norms: bool) -> list[str]:
    """The keys of the history."""
    validation = ["validation_loss", "validation_accuracy"] if validated else []
    measured = ["weight_norm", "gradient_norm"] if norms else []
    return ["loss", "accuracy", *validation, "lr", *measured, "seconds"]


def _observers(
    network: Network, optimizer: _core.Optimizer, callbacks: tuple[Callback, ...], quantities: tuple[str, ...]
) -> list[Callback]:
    """What is called after each epoch; tells all of them that training starts."""
    observers: list[Callback] = []
    if isinstance(optimizer.lr, schedules.ReduceOnPlateau):
        plateau = optimizer.lr
        plateau.start(quantities)
        observers.append(lambda network, record: plateau.observe(record))
    for callback in callbacks:
        if hasattr(callback, "start"):
            callback.start(network, quantities)
    return [*observers, *callbacks]


def _postfix(record: Mapping[str, float]) -> dict[str, str]:
    """What the progress bar shows beside the epochs."""
    figures = {key: f"{record[key]:.4f}" for key in RECORD[:4] if not math.isnan(record.get(key, math.nan))}
    return {**figures, "lr": f"{record['lr']:.3g}"}


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


def _suitable_threads(parameters: int, batch: int) -> int:
    """One thread where a step's work is below about 100 µs at 30 GFLOP/s, else one per usable core.

    A step multiplies and adds every parameter with every sample three times: forward, for the deltas
    and for the gradient.
    """
    if 6 * parameters * batch < 100e-6 * 30e9:
        return 1
    return usable_threads()


def usable_threads() -> int:
    """The cores that this process may use, 16 at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_THREADS)


def _watched() -> bool:
    """Whether someone looks on: in a terminal or a notebook."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())


def _progress_bar(epochs: int) -> Any:
    from tqdm.auto import tqdm

    try:
        size_unknown = os.get_terminal_size(sys.stderr.fileno()).columns == 0
    except (OSError, ValueError, AttributeError):  # no terminal
        size_unknown = False
    # tqdm shows nothing in a terminal that does not know its size.
    size = {"ncols": 80, "nrows": 24} if size_unknown else {"dynamic_ncols": True}
    return tqdm(total=epochs, unit="epoch", **size)


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
