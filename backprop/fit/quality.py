"""The figure beside the loss that says how good an epoch was: accuracy of classes, R² of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._classes import has_classes
from backprop.fit.samples import is_masked

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop._base import BaseNetwork
    from backprop.fit.samples import Samples

ROWS_AT_A_TIME = 1 << 16


@dataclass(frozen=True)
class Quality:
    """What is measured beside the loss.

    Attributes
    ----------
    name : "accuracy", "r2" or None
        None where outputs are no classes and R² cannot be had from the loss, which is then the only figure.
    spread : float
        C of the best constant outputs for the samples, by which R² = 1 - C / spread; NaN without R².
    held_out : float
        The same for the samples to validate on.
    """

    name: str | None
    spread: float = math.nan
    held_out: float = math.nan

    def keys(self, validated: bool) -> tuple[str, ...]:
        """The figures of loss and quality, as `History` names them."""
        own = ("loss",) if self.name is None else ("loss", self.name)
        return (*own, *(f"validation_{key}" for key in own)) if validated else own

    def measured(self, columns: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.float64]]:
        """R² by its names, from the columns of an engine's record."""
        if self.name != "r2":
            return {}
        figures = {"r2": _r2(columns["loss"], self.spread)}
        if "validation_loss" in columns:
            figures["validation_r2"] = _r2(columns["validation_loss"], self.held_out)
        return figures


def _r2(losses: ArrayLike, spread: float) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):  # of losses far larger than the spread
        return 1 - np.asarray(losses, np.float64) / spread


ACCURACY = Quality("accuracy")


def quality_of(network: BaseNetwork, samples: Samples | None, held_out: Any, *, shared: bool) -> Quality:
    """What fit measures of these samples, None where they come from an iterable; `shared` between ranks.

    R² is had where C is a squared error and all of y is at hand.
    """
    targets = network.targets
    if has_classes(network, targets > 1 and (samples is None or samples.y.ndim < samples.x.ndim)):
        return ACCURACY
    if samples is None:
        return Quality(None)
    scale = {"squared_error": 1.0, "mean_squared_error": 1 / targets}.get(network.loss_name)
    if scale is None or samples.mask is not None or shared or not isinstance(network.loss_function, str):
        return Quality(None)
    spread = scale * spread_of(samples.y, samples.weights, targets)
    if held_out is None:
        return Quality("r2", spread)
    if is_masked(held_out):
        return Quality("r2", spread)
    weights = held_out[2] if len(held_out) == 3 else None
    return Quality("r2", spread, scale * spread_of(held_out[1], weights, targets))


def spread_of(y: NDArray[Any], weights: NDArray[np.float64] | None, targets: int) -> float:
    """Σ_n w_n Σ_j (y_nj - mean_j)² / Σ w, the means weighted; a piece of y at a time."""
    if y.dtype.kind not in "biuf" or y.size % targets or y.size == 0:
        return math.nan  # which the engine refuses with its own message
    rows = y.reshape(-1, targets)
    if weights is not None and len(weights) != len(rows):
        return math.nan
    whole = float(len(rows)) if weights is None else float(weights.sum())
    if not whole > 0:
        return math.nan
    mean = _sum(rows, weights, np.zeros(targets), 1) / whole
    return float(_sum(rows, weights, mean, 2).sum() / whole) or math.nan


def _sum(
    rows: NDArray[Any], weights: NDArray[np.float64] | None, origin: NDArray[np.float64], power: int
) -> NDArray[np.float64]:
    """Σ_n w_n (y_nj - origin_j)^power, (targets,)."""
    total = np.zeros(rows.shape[1])
    for first in range(0, len(rows), ROWS_AT_A_TIME):
        with np.errstate(over="ignore"):  # targets of 1e200: training diverges, and says so
            apart = (rows[first : first + ROWS_AT_A_TIME].astype(np.float64) - origin) ** power
        total += apart.sum(axis=0) if weights is None else weights[first : first + ROWS_AT_A_TIME] @ apart
    return total
