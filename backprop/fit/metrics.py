"""The user's own metrics: functions of outputs and targets, measured after every epoch."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._figures import VALIDATION, is_own

if TYPE_CHECKING:
    from backprop._base import BaseNetwork
    from backprop.fit.ranks import Alone

    Metric = Callable[[Any, Any], Any]  # network.Metric, below the face


@dataclass(frozen=True)
class Metrics:
    """Metrics, and the samples that they are measured on.

    Attributes
    ----------
    of_names : dict of str to callable
        f(a, y), by the names that the history has.
    x, y : array_like
        The samples; of no meaning where there are no metrics.
    """

    of_names: dict[str, Metric]
    x: Any = None
    y: Any = None

    def measured(self, network: BaseNetwork, ranks: Alone) -> dict[str, float]:
        """Each metric of the network as it is; with ranks rank 0 measures for all.

        Raises
        ------
        TypeError
            If a metric returns anything but a number; and whatever it raises.
        """
        if not self.of_names:
            return {}
        figures = np.full((1, len(self.of_names)), np.nan)
        if ranks.rank == 0:
            figures[0] = ranks.attempt(partial(self._measure, network))
        else:
            ranks.attempt(lambda: None)
        ranks.broadcast(figures)
        return dict(zip(self.of_names, figures[0].tolist(), strict=True))

    def _measure(self, network: BaseNetwork) -> list[float]:
        a = network(self.x)
        a.flags.writeable = False  # all metrics see the same outputs
        return [_number(name, metric(a, self.y)) for name, metric in self.of_names.items()]


NONE = Metrics({})


def metrics_of(metrics: object, samples: Any, held_out: Any, *, sharded: bool = False) -> Metrics:
    """fit's argument, checked. They are measured on the samples held out, if there are any, and else on those
    that are trained on: `samples`, which has x and y, or None for an iterable.

    Raises
    ------
    TypeError, ValueError
        If they are no functions with names of their own, or there are no samples to measure them on.
    """
    if metrics is None:
        return NONE
    if not isinstance(metrics, Mapping):
        raise TypeError(f"metrics must be a dict of names to functions f(a, y), got {type(metrics).__name__}")
    for name, metric in metrics.items():
        if not isinstance(name, str):
            raise TypeError(f"metrics must have names, got {name!r}")
        if not name.isidentifier():
            raise ValueError(f"the name of a metric must be one as Python's variables have, got {name!r}")
        if name == "epoch" or name.startswith(VALIDATION) or not is_own(name):
            raise ValueError(f"a metric must have a name of its own, but {name!r} is one of fit's figures")
        if not callable(metric):
            raise TypeError(f"metrics[{name!r}] must be a function f(a, y), got {type(metric).__name__}")
    if not metrics:
        return NONE
    if held_out is not None:
        return Metrics({VALIDATION + name: f for name, f in metrics.items()}, held_out[0], held_out[1])
    if samples is None or sharded:
        kind = "x is an iterable" if samples is None else "each rank has data of its own"
        raise ValueError(f"metrics need validation=(x, y) where {kind}")
    return Metrics(dict(metrics), samples.x, samples.y)


def _number(name: str, value: object) -> float:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not isinstance(value, (numbers.Real, np.bool_)):
        what = f"shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)[:60]
        raise TypeError(
            f"the metric {name!r} must return a number, got {type(value).__name__} {what}"
        )
    return float(value)
