"""The learning-rate range test: steps whose rate grows, and what the loss makes of it (Smith 2017,
arXiv:1506.01186)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._axes import COLOURS, axes_or_new
from backprop._sparse import as_rows
from backprop._validate import as_array, positive, whole_number
from backprop.optimizers import SGD, Optimizer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from backprop._base import BaseNetwork
    from backprop._types import Seed

MEMORY = 0.9  # of the smoothed loss, a step
TOO_HIGH = 4.0  # times the lowest smoothed loss: there the search ends
LEAST_STEPS = 10


class RateSearch:
    """What `backprop.find_rate` returns; ``print`` shows the suggestion, `plot` the curve.

    Attributes
    ----------
    rates : ndarray of float64, (steps,)
        The rate of each step, rising; up to where the loss was no longer finite, or four times its lowest.
    losses : ndarray of float64, (steps,)
        C over the batch of each step, before it moved anything.
    smoothed : ndarray of float64, (steps,)
        Their exponential average, with weights 0.9^k of the k-th loss before, which add up to 1.
    """

    def __init__(self, rates: NDArray[np.float64], losses: NDArray[np.float64]) -> None:
        self.rates, self.losses = rates, losses
        self.smoothed = _smoothed(losses)

    @property
    def suggestion(self) -> float:
        """A rate to begin with: the geometric mean of two readings of the curve, a tenth of the rate where
        the smoothed loss is lowest, and the rate at which half of its fall is done. NaN where it only
        rises."""
        lowest = int(np.argmin(self.smoothed))
        start = float(np.median(self.smoothed[: max(5, len(self.smoothed) // 10)]))
        least = float(self.smoothed[lowest])
        above = np.flatnonzero(self.smoothed[:lowest] > (start + least) / 2)
        if not above.size or least >= start:
            return math.nan
        return float(np.sqrt(self.rates[lowest] / 10 * self.rates[above[-1] + 1]))

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draws the losses over the rates, and the suggestion, with Matplotlib (the extra ``plot``).

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If Matplotlib is missing.
        """
        ax = axes_or_new(ax)
        ax.plot(self.rates, self.losses, color=COLOURS[4], alpha=0.5, label="loss of a batch")
        ax.plot(self.rates, self.smoothed, color=COLOURS[0], label="smoothed")
        if not math.isnan(self.suggestion):
            ax.axvline(self.suggestion, color=COLOURS[5], linestyle="--", label=f"lr {self.suggestion:.2g}")
        ax.set(xscale="log", xlabel="lr", ylabel="loss")
        ax.set_ylim(top=min(self.losses.max(), TOO_HIGH * self.smoothed.min()))
        ax.legend()
        return ax

    def __repr__(self) -> str:
        found = "no rate lowers the loss" if math.isnan(self.suggestion) else f"lr {self.suggestion:.3g}"
        tried = f"{len(self.rates)} rates from {self.rates[0]:g} to {self.rates[-1]:g}"
        return f"<RateSearch: {found}, of {tried}>"


def find_rate(
    network: BaseNetwork,
    x: ArrayLike,
    y: ArrayLike,
    optimizer: Optimizer | None = None,
    *,
    lowest: float = 1e-5,
    highest: float = 10.0,
    steps: int = 200,
    batch_size: int = 32,
    rng: Seed = 0,
) -> RateSearch:
    """Tries learning rates on a copy of a network: each step has a higher one than the last, and the loss
    says which were good. The network and the optimizer stay as they are.

    Parameters
    ----------
    network : Network
    x, y : array_like
        As for `Network.fit`.
    optimizer : SGD, Adam, AdamW or RMSprop, optional
        The one that is to train the network: a copy of it takes the steps; its lr does not matter. `SGD` by
        default.
    lowest, highest : float
        The first and the last rate, 0 < lowest < highest; the others lie between them, by equal factors.
    steps : int
        At least 10. The search ends early where the loss is no longer finite, or four times its lowest.
    batch_size : int
        That of the training: a rate is good for a size of batch.
    rng : optional
        What the batches are drawn with, anything that `numpy.random.default_rng` takes.

    Returns
    -------
    RateSearch

    Raises
    ------
    TypeError, ValueError
        On bad arguments, or if the loss of the network is not finite.

    Examples
    --------
    >>> search = find_rate(net, x, y, Adam())
    >>> net.fit(x, y, Adam(search.suggestion))
    """
    lowest, highest = positive("lowest", lowest), positive("highest", highest)
    if lowest >= highest:
        raise ValueError(f"lowest must be below highest, got {lowest:g} and {highest:g}")
    rates = np.geomspace(lowest, highest, whole_number("steps", steps, LEAST_STEPS))
    optimizer = SGD(lowest) if optimizer is None else optimizer
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be one such as SGD(0.1), got {type(optimizer).__name__}")
    samples: Any = as_rows("x", x)
    targets = as_array("y", y)
    network.loss(samples, targets)  # raises if x or y does not fit
    if samples.ndim != 2:
        raise ValueError(f"x must have shape (n, inputs), got one sample of shape {samples.shape}")
    size = whole_number("batch_size", batch_size)
    batches = _batches(samples.shape[0], size, np.random.default_rng(rng))
    losses = _losses(network, samples, targets, optimizer, rates, batches)
    if not losses:
        raise ValueError("the loss of the network is not finite as it is")
    return RateSearch(rates[: len(losses)], np.array(losses))


def _losses(
    network: BaseNetwork,
    x: Any,
    y: NDArray[Any],
    optimizer: Optimizer,
    rates: NDArray[np.float64],
    batches: Iterator[NDArray[np.int64]],
) -> list[float]:
    """The loss before each step, up to one that is not finite, or far above the lowest."""
    import copy

    network, optimizer = copy.deepcopy(network), copy.deepcopy(optimizer)
    losses: list[float] = []
    average, least = 0.0, math.inf
    for rate, rows in zip(rates.tolist(), batches, strict=False):
        optimizer.lr = rate
        loss = network.step(x[rows], y[rows], optimizer)
        if not math.isfinite(loss):
            break
        losses.append(loss)
        average = MEMORY * average + (1 - MEMORY) * loss
        corrected = average / (1 - MEMORY ** len(losses))
        least = min(least, corrected)
        if len(losses) >= LEAST_STEPS and corrected > TOO_HIGH * least:
            break
    return losses


def _batches(samples: int, batch_size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Rows of whole batches without end, in a new order whenever all have been there."""
    size = min(batch_size, samples)
    while True:
        order = rng.permutation(samples)
        for first in range(0, samples - size + 1, size):
            yield order[first : first + size]


def _smoothed(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    average, averages = 0.0, []
    for step, loss in enumerate(losses.tolist(), start=1):
        average = MEMORY * average + (1 - MEMORY) * loss
        averages.append(average / (1 - MEMORY**step))
    return np.array(averages)
