"""One call of fit: its arguments, checked as far as Python can."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import _core
from backprop._sparse import density_of, is_sparse
from backprop._validate import name_among, whole_number
from backprop.fit.metrics import Metrics, metrics_of
from backprop.fit.observers import callables
from backprop.fit.precision import precision_of
from backprop.fit.quality import Quality, quality_of
from backprop.fit.samples import held_out_of, samples_of
from backprop.fit.streams import Batches, Blocks, is_mapped
from backprop.fit.threads import (
    LONG_STEP,
    multiplied_weights,
    operations,
    suitable_threads,
    threads_asked,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from backprop._base import BaseNetwork
    from backprop._types import Seed
    from backprop.fit.observers import Callback
    from backprop.fit.ranks import Alone
    from backprop.fit.samples import HeldOut, Samples

DEFAULT_BATCH = 32
MOST_HINTED = 4096  # samples of an iterable's batch that room is made for before any has come


@dataclass(frozen=True)
class Plan:
    """What one call of fit is to do on this rank.

    Attributes
    ----------
    network : BaseNetwork
    optimizer : Optimizer
    samples : Samples or None
        None where they come from the user's iterable.
    source : Batches, Blocks or None
        Where samples come in blocks: of the user's iterable, or of `samples`.
    held_out : (x, y), (x, y, sample_weight), (x, y, sample_weight, target_mask) or None
        Samples to validate on.
    quality : Quality
        What is measured beside the loss.
    metrics : Metrics
        The user's own.
    generator : numpy.random.Generator
    epochs : int
    batch_size : int
        Of this rank, where each has data of its own.
    steps : int
        In an epoch, of the rank with most; 0 where nobody knows.
    shuffle : bool or "blocks"
    norms : bool
        Whether the norms of weights and gradient are measured.
    precision : str
        Of the products.
    threads : int
        At most.
    sparing : bool
        Whether training begins with one thread, which others join where they pay.
    callbacks : tuple of callables
        Those of this rank.
    observed : bool
        Whether any rank has callbacks.
    """

    network: BaseNetwork
    optimizer: _core.Optimizer
    samples: Samples | None
    source: Batches | Blocks | None
    held_out: HeldOut | None
    quality: Quality
    metrics: Metrics
    generator: np.random.Generator
    epochs: int
    batch_size: int
    steps: int
    shuffle: bool | str
    norms: bool
    precision: str
    threads: int
    sparing: bool
    callbacks: tuple[Callback, ...]
    observed: bool

    @property
    def draws(self) -> bool:
        """Whether the engine draws random numbers."""
        return bool(self.shuffle) or any(layer.dropout for layer in self.network.layers)

    def settings(self, ranks: Alone) -> dict[str, Any]:
        """What all ranks must have alike, by the names that an error message uses."""
        of_optimizer: dict[str, Any] = getattr(self.optimizer, "settings", {})
        settings = {
            "the network": str(self.network.summary()),
            "the instruction set": _core.isa,
            "the optimizer": type(self.optimizer).__name__,
            "whether lr is a schedule": callable(self.optimizer.lr),
            **{name: value for name, value in of_optimizer.items() if not callable(value)},
            "epochs": self.epochs,
            "shuffle": self.shuffle,
            "norms": self.norms,
            "the metrics' names": tuple(self.metrics.of_names),
            "precision": self.precision,
            "the instructions of its products": _core.products(str(self.network.dtype), self.precision),
            "whether there is validation": self.held_out is not None,
            "the kind of data": type(self.source).__name__,
            "sharded": ranks.sharded,
            "sync_every": ranks.average_every,
        }
        if not ranks.sharded:
            count = 0 if self.samples is None else self.samples.count
            settings |= {"the number of samples": count, "batch_size": self.batch_size}
            if self.samples is not None:
                settings["the data (a checksum)"] = self.samples.checksum()
        return settings


def plan_of(
    network: BaseNetwork,
    x: Any,
    y: ArrayLike | None,
    optimizer: _core.Optimizer,
    ranks: Alone,
    *,
    epochs: int,
    batch_size: int | None,
    shuffle: bool | str,
    rng: Seed,
    threads: int | None,
    callbacks: Sequence[Callback],
    norms: bool,
    metrics: object,
    precision: str | None,
    **of_data: Any,
) -> Plan:
    """fit's arguments as a plan; `of_data` are those that describe x and y.

    Raises
    ------
    TypeError, ValueError
        On bad arguments.
    """
    if not _is_optimizer(optimizer):
        raise TypeError(f"optimizer must be one such as SGD(0.1), got {type(optimizer).__name__}")
    if ranks.size > 1 and not ranks.average_every and getattr(optimizer, "lazy", False):
        raise ValueError(
            "lazy=True moves what occurs in one rank's samples: with comm it needs sync_every, or lazy=False"
        )
    generator = network.rng if rng is None else np.random.default_rng(rng)
    epochs = whole_number("epochs", epochs)
    precision = precision_of(network.dtype, precision)
    batch_size = DEFAULT_BATCH if batch_size is None else whole_number("batch_size", batch_size)
    shuffle = name_among("shuffle", shuffle, ("blocks",)) if isinstance(shuffle, str) else bool(shuffle)
    asked, callbacks = threads_asked(threads), callables(callbacks)
    if ranks.rank > 0:
        callbacks = tuple(c for c in callbacks if not getattr(c, "first_rank_only", False))
    data = (
        _of_iterable(x, epochs, batch_size, **of_data)
        if y is None
        else _of_arrays(x, y, network.targets, batch_size, shuffle, ranks, **of_data)
    )
    density = 1.0 if data["samples"] is None else density_of(data["samples"].x)
    parameters, batch = multiplied_weights(network, density), data["batch_size"]
    sparing = asked is None and operations(parameters, batch) < LONG_STEP
    if asked is None:
        samples = math.inf if data["samples"] is None else epochs * data["samples"].count
        asked = suitable_threads(parameters, batch, ranks.usable_threads, samples)
    return Plan(
        network=network,
        optimizer=optimizer,
        quality=quality_of(network, data["samples"], data["held_out"], shared=ranks.sharded),
        metrics=metrics_of(metrics, data["samples"], data["held_out"], sharded=ranks.sharded),
        generator=generator,
        epochs=epochs,
        norms=bool(norms),
        precision=precision,
        threads=asked,
        sparing=sparing,
        callbacks=callbacks,
        observed=bool(callbacks),
        **data,
    )


def _is_optimizer(thing: object) -> bool:
    """Whether it is the engine's, by name: the engine itself refuses one of another copy of its module."""
    name = ("backprop._core", "Optimizer")
    return isinstance(thing, _core.Optimizer) or any(
        (base.__module__, base.__name__) == name for base in type(thing).__mro__
    )


def _of_iterable(
    x: Any,
    epochs: int,
    batch_size: int,
    *,
    sample_weight: ArrayLike | None,
    class_weight: Mapping[int, float] | str | None,
    target_mask: ArrayLike | None,
    validation: tuple[ArrayLike, ...] | float | None,
) -> dict[str, Any]:
    """What a plan has of the user's iterable."""
    if any(given is not None for given in (sample_weight, class_weight, target_mask)):
        raise ValueError(
            "sample_weight, class_weight and target_mask are for arrays; an iterable gives "
            "(x, y, sample_weight) instead"
        )
    if isinstance(validation, numbers.Real):
        raise ValueError("validation must be a pair (x, y) where x is an iterable, got a share")
    return {
        "samples": None,
        "source": Batches(x, epochs),
        "held_out": None if validation is None else held_out_of(validation),
        "batch_size": min(batch_size, MOST_HINTED),
        "steps": 0,
        "shuffle": False,
    }


def _of_arrays(
    x: Any, y: ArrayLike, outputs: int, batch_size: int, shuffle: bool | str, ranks: Alone, **of_samples: Any
) -> dict[str, Any]:
    """What a plan has of samples in arrays."""
    samples = samples_of(x, y, outputs=outputs, **of_samples)
    batch_size = _batch_of_rank(batch_size, samples.count, ranks)
    return {
        "samples": samples,
        "source": _blocks(samples, batch_size, outputs, shuffle),
        "held_out": samples.held_out,
        "batch_size": batch_size,
        "steps": -(-samples.count // batch_size),
        "shuffle": shuffle,
    }


def _batch_of_rank(batch_size: int, samples: int, ranks: Alone) -> int:
    """The samples of a batch, or of this rank's part of it; no more than there are."""
    if ranks.sharded:
        each, more = divmod(batch_size, ranks.size)
        if each == 0:
            raise ValueError(
                f"batch_size must be at least 1 for each of the {ranks.size} ranks, got {batch_size}"
            )
        batch_size = each + (ranks.rank < more)
    return max(1, min(batch_size, samples))


def _blocks(samples: Samples, batch_size: int, outputs: int, shuffle: bool | str) -> Blocks | None:
    """The samples in blocks, where they are to be read so: shuffled by blocks, or mapped and in order."""
    x, mask = samples.x, samples.mask
    mix = shuffle == "blocks"
    if mix and is_sparse(x):
        raise ValueError("shuffle='blocks' is for dense x, larger than memory; shuffle=True takes a sparse x")
    if mix and mask is not None:
        raise ValueError("shuffle='blocks' does not go with a target_mask")
    if not mix and (shuffle or mask is not None or x.ndim != 2 or not is_mapped(x)):
        return None
    return Blocks(x, samples.y, samples.weights, batch_size=batch_size, outputs=outputs, mix=mix)
