"""The loop of `Network.fit` for optimizers that look at all samples: an epoch is one iteration."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import _core
from backprop._sparse import is_sparse
from backprop._validate import whole_number
from backprop.fit.figures import norms_of
from backprop.fit.metrics import Metrics, metrics_of
from backprop.fit.observers import Observers, callables
from backprop.fit.precision import precision_of
from backprop.fit.progress import Progress, is_watched
from backprop.fit.quality import Quality, quality_of
from backprop.fit.ranks import Alone
from backprop.fit.samples import is_masked, samples_of
from backprop.fit.threads import suitable_threads, threads_asked, usable_threads
from backprop.history import History
from backprop.solvers import LevenbergMarquardt, WholeBatch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop._base import BaseNetwork
    from backprop._types import Seed
    from backprop.fit.observers import Callback
    from backprop.fit.samples import Samples

SQUARED = ("squared_error", "mean_squared_error")
ROWS_OF_RECORD = 1000  # iterations in one call of the engine at most


@dataclass(frozen=True)
class Solving:
    """What one call of fit is to do.

    Attributes
    ----------
    network : BaseNetwork
    optimizer : WholeBatch
    samples : Samples
    quality : Quality
        What is measured beside the loss.
    metrics : Metrics
        The user's own.
    epochs : int
    target : float
        C at which training ends; -inf for none.
    norms : bool
        Whether the norm of the weights is measured.
    threads : int
    """

    network: BaseNetwork
    optimizer: WholeBatch
    samples: Samples
    quality: Quality
    metrics: Metrics
    epochs: int
    target: float
    norms: bool
    threads: int

    @property
    def quantities(self) -> tuple[str, ...]:
        """The keys of the history."""
        levenberg = isinstance(self.optimizer, LevenbergMarquardt)
        return (
            *self.quality.keys(self.samples.held_out is not None),
            *self.metrics.of_names,
            *(("weight_norm",) if self.norms else ()),
            "gradient_norm",
            *(("damping",) if levenberg else ()),
            "step",
            "evaluations",
            *(("effective_parameters", "log_evidence") if getattr(self.optimizer, "bayesian", False) else ()),
            "seconds",
        )


def fit(
    network: BaseNetwork,
    x: Any,
    y: ArrayLike | None,
    optimizer: WholeBatch,
    *,
    progress: bool | None,
    callbacks: Sequence[Callback],
    **settings: Any,
) -> History:
    """`Network.fit`, which documents it."""
    observers = Observers(network, optimizer, callables(callbacks))
    solving = _plan(network, x, y, optimizer, **settings)
    history = History(solving.quantities)
    observers.start(tuple(history))
    with Progress(is_watched() if progress is None else bool(progress), solving.epochs) as bar:
        _train(solving, observers, history, bar)
    observers.finish()
    return history


def _plan(
    network: BaseNetwork,
    x: Any,
    y: ArrayLike | None,
    optimizer: WholeBatch,
    *,
    epochs: int,
    batch_size: int | None,
    shuffle: bool | str,
    rng: Seed,
    threads: int | None,
    norms: bool,
    metrics: object,
    precision: str | None,
    target: float,
    comm: Any,
    sharded: bool,
    sync_every: int | None,
    **of_samples: Any,
) -> Solving:
    """fit's arguments, checked: those for descent alone are refused by name."""
    name = type(optimizer).__name__
    if y is None:
        raise ValueError(f"{name} takes x and y as arrays, of which it needs all at once; not an iterable")
    if comm is not None or sharded or sync_every is not None:
        raise ValueError(f"{name} trains in one process: comm, sharded and sync_every are for descent")
    if isinstance(shuffle, str):
        raise ValueError(f"{name} takes all samples at once: there are no blocks to shuffle")
    samples = samples_of(x, y, outputs=network.targets, **of_samples)
    if batch_size is not None and whole_number("batch_size", batch_size) < samples.count:
        raise ValueError(
            f"{name} takes all {samples.count} samples at once: batch_size must be None, got {batch_size}"
        )
    if precision_of(network.dtype, precision) != "float32":
        raise ValueError(f"{name} needs exact gradients: precision must be 'float32', got {precision!r}")
    _refuse_layers(network, name)
    work = samples.count
    if isinstance(optimizer, LevenbergMarquardt):
        if is_sparse(samples.x):
            raise ValueError(
                "LevenbergMarquardt has a dense matrix over all parameters and takes a dense x, x.toarray(); "
                "LBFGS takes a sparse one"
            )
        _refuse_for_levenberg(network, optimizer, samples.count)
        work *= max(1, network.layers[-1].outputs * network.parameters.size // 12)
    asked = threads_asked(threads)
    return Solving(
        network=network,
        optimizer=optimizer,
        samples=samples,
        quality=quality_of(network, samples, samples.held_out, shared=False),
        metrics=metrics_of(metrics, samples, samples.held_out),
        epochs=whole_number("epochs", epochs),
        target=target,
        norms=bool(norms),
        threads=suitable_threads(network.parameters.size, work, usable_threads) if asked is None else asked,
    )


def _refuse_layers(network: BaseNetwork, name: str) -> None:
    for i, layer in enumerate(network.layers):
        if layer.dropout > 0:
            raise ValueError(
                f"{name} needs a loss that does not change by chance, but layers[{i}] has dropout "
                f"{layer.dropout:g}"
            )
        if layer.l1 > 0:
            raise ValueError(f"{name} needs smooth penalties, but layers[{i}] has l1 {layer.l1:g}; l2 is one")


def _refuse_for_levenberg(network: BaseNetwork, optimizer: LevenbergMarquardt, samples: int) -> None:
    if network.loss_function not in SQUARED:
        raise ValueError(
            f"LevenbergMarquardt is for the losses {' and '.join(SQUARED)}, which are sums of squares; this "
            f"network's is {network.loss_name}. LBFGS takes any loss"
        )
    if optimizer.acceleration and not _has_second_derivatives(network):
        raise ValueError(
            "acceleration needs second derivatives of every layer: there are none of an activation of your "
            "own, and softmax's are not used; leave it out"
        )
    penalized = any(layer.l2 > 0 for layer in network.layers)
    if optimizer.bayesian and penalized:
        raise ValueError("bayesian=True finds the penalty itself, but a layer has l2: give one of the two")
    needed = network._levenberg_bytes(samples=samples, primal=optimizer.bayesian or penalized)
    memory = _memory_of_machine()
    if needed is None or needed > memory:
        size = "more than 2**64 bytes" if needed is None else f"{needed / 1e9:,.1f} GB"
        raise MemoryError(
            f"LevenbergMarquardt needs {size} for the normal equations of {network.parameters.size:,} "
            f"parameters and {samples:,} samples, and this machine has {memory / 1e9:,.1f} GB of memory; "
            "LBFGS needs no matrix"
        )


def _memory_of_machine() -> float:
    """Bytes; infinite where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return math.inf


def _has_second_derivatives(network: BaseNetwork) -> bool:
    activations = [layer.activation for layer in network.layers]
    return not any(g.is_custom or g.name == "softmax" for g in activations)


class _Looking:
    """What is done after each iteration while callbacks or metrics look on, inside one call of the engine.

    The engine goes on from what it knows. It is left, and called anew, where somebody changed the network or
    the optimizer meanwhile.
    """

    def __init__(
        self,
        solving: Solving,
        observers: Observers,
        history: History,
        bar: Progress,
        record: NDArray[np.float64],
    ) -> None:
        self._solving, self._observers, self._history = solving, observers, history
        self._bar, self._rows = bar, iter(record)
        self.busy = False  # stays True where something is raised
        self.stopped = False

    def __call__(self) -> bool:
        """Takes the next row of the record; whether the engine is to be left."""
        self.busy = True
        network, optimizer = self._solving.network, self._solving.optimizer
        held = [optimizer.state, *(layer.mask for layer in network.layers)]  # no other array gets their id
        before = self._moment()
        last = _extend(self._solving, self._history, next(self._rows)[np.newaxis])
        self._bar.advance(1, last)
        self.stopped = self._observers.after_epoch(last)
        changed = self._moment() != before
        del held
        self.busy = False
        return self.stopped or changed

    def _moment(self) -> tuple[Any, ...]:
        """What the engine goes on with; masks and states are replaced when they are set."""
        network, optimizer = self._solving.network, self._solving.optimizer
        freedom = [(layer.lr, layer.bias_lr, id(layer.mask)) for layer in network.layers]
        states = [id(array) for array in optimizer.state]
        return freedom, states, optimizer.state[-1].tobytes(), network.parameters.tobytes()


def _train(solving: Solving, observers: Observers, history: History, bar: Progress) -> None:
    """All iterations, in as few calls of the engine as the record's size, the bar and observers allow."""
    watched = bool(observers) or solving.norms or bool(solving.metrics.of_names)
    while history.epochs < solving.epochs:
        most = min(ROWS_OF_RECORD, solving.epochs - history.epochs)
        record = np.full((most, len(_core.solved_figures)), np.nan)
        looking = _Looking(solving, observers, history, bar, record) if watched else None
        try:
            done, history.stopped = _solve(solving, record, bar.budget, looking)
        except _core.DivergenceError as error:
            if looking is None or not looking.busy:
                error.epoch = history.epochs + 1
            raise
        if looking is None:
            bar.advance(done, _extend(solving, history, record[:done]))
        elif looking.stopped:
            history.stopped = "callback"
        if history.stopped != "epochs":
            break


def _extend(solving: Solving, history: History, record: NDArray[np.float64]) -> dict[str, float]:
    """Adds rows of the engine's record to the history, and metrics; the last row's figures."""
    network, rows = solving.network, len(record)
    columns = dict(zip(_core.solved_figures, record.T.tolist(), strict=True))
    columns |= {key: r2.tolist() for key, r2 in solving.quality.measured(columns).items()}
    if solving.norms:
        columns["weight_norm"] = norms_of(network.parameters[np.newaxis]).tolist()
    if solving.samples.mask is not None:
        columns["accuracy"] = rows * [math.nan]
    if is_masked(solving.samples.held_out):
        columns["validation_accuracy"] = rows * [math.nan]
    own = solving.metrics.measured(network, Alone())
    columns |= {name: [figure] for name, figure in own.items()}
    for key, values in history.items():
        values.extend(columns[key])
    return {"epoch": history.epochs} | {key: values[-1] for key, values in history.items()}


def _solve(
    solving: Solving, record: NDArray[np.float64], budget: float, after: Callable[[], bool] | None
) -> tuple[int, str]:
    """One call of the engine: the iterations done, and why it ended."""
    network, optimizer, samples = solving.network, solving.optimizer, solving.samples
    optimizer.ready(network.parameters.size, len(network.layers), network.layers[0].inputs)
    of_method: dict[str, Any]
    if isinstance(optimizer, LevenbergMarquardt):
        accelerated = optimizer.acceleration
        residuals = samples.count * network.layers[-1].outputs
        if samples.mask is not None:
            residuals = int(np.count_nonzero(samples.mask))
        of_method = {
            "numbers": optimizer.state[-1],
            "accelerated": _has_second_derivatives(network) if accelerated is None else accelerated,
        }
        if optimizer.bayesian:
            kept, penalties = optimizer.state[:2]
            of_method |= {"kept": kept, "penalties": penalties, "residuals": residuals}
    else:
        of_method = {"pairs": optimizer.state[0], "numbers": optimizer.state[1]}
    return network._solve(
        x=samples.x,
        y=samples.y,
        sample_weight=samples.weights,
        target_mask=samples.mask,
        validation=samples.held_out,
        record=record,
        after=after,
        iterations=len(record),
        threads=solving.threads,
        gradient=optimizer.gradient_tolerance,
        target=solving.target,
        budget=budget,
        **of_method,
    )
