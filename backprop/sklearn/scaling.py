"""Standardised units: (v − mean) / scale by columns, and networks that take the units over.

Training works with standardised samples x̃ = (x − m) / s and targets ỹ = (y − μ) / d. The trained network is
in the user's units: its first layer has W / s and b − (W / s) m, its last d V and d c + μ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._sparse import is_sparse

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from backprop.layer import Layer
    from backprop.network import Network

ROWS_AT_A_TIME = 1 << 14  # so that the copies in float64 take little memory beside the samples
MOST_RATIO = 3.0  # how far from that of a typical column the share of a column of X may be
MOST_DEVIATIONS = 5.0  # of a target from the mean
MOST_OFFSET = 1e3  # scales that the mean may lie from 0 until float32 holds too little of the rest


@dataclass(frozen=True)
class Moments:
    """Weighted mean and squared deviations of columns, by the updates of Chan, Golub and LeVeque (1979).

    Attributes
    ----------
    total : float
        Σ w over all rows.
    mean : ndarray, (columns,)
        Σ w v / Σ w.
    squares : ndarray, (columns,)
        Σ w (v − mean)².
    centred : bool
        Whether the values may be shifted by their mean: not where some were sparse, which they would not be
        then.
    """

    total: float
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    centred: bool = True

    @classmethod
    def of(cls, what: str, values: Any, weights: NDArray[Any] | None) -> Moments:
        """Those of values (n, columns), an array or compressed sparse rows, with weights (n,), all 1 if None.

        Raises
        ------
        ValueError
            If squares of the values overflow.
        """
        found = None
        with np.errstate(over="ignore", invalid="ignore"):
            for first in range(0, values.shape[0], ROWS_AT_A_TIME):
                rows = slice(first, first + ROWS_AT_A_TIME)
                part = values[rows].astype(np.float64)
                weight = np.ones(part.shape[0]) if weights is None else weights[rows]
                total = float(weight.sum())
                if total == 0:
                    continue
                if is_sparse(part):
                    of_part = cls._of_nonzeros(part, weight, total)
                    found = of_part if found is None else found.joined(of_part)
                    continue
                shift = part[weight.argmax()].copy()  # makes the mean of equal values exact
                part -= shift
                mean = weight @ part / total
                of_part = cls(total, shift + mean, weight @ (part - mean) ** 2)
                found = of_part if found is None else found.joined(of_part)
        if found is None:
            raise ValueError("the sample weights must have a non-zero sum, got 0")
        for column in np.flatnonzero(~np.isfinite(found.squares)):
            raise ValueError(f"{what} must have squares that are finite; column {column} is too large")
        return found

    @classmethod
    def _of_nonzeros(cls, part: Any, weight: NDArray[np.float64], total: float) -> Moments:
        """Those of some rows of a sparse matrix, whose zeros count too."""
        columns = part.shape[1]
        of_each = np.repeat(weight, np.diff(part.indptr))

        def sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.bincount(part.indices, values, columns).astype(np.float64, copy=False)

        mean = sums(of_each * part.data) / total
        zeros = total - sums(of_each)  # their weight
        squares = sums(of_each * (part.data - mean[part.indices]) ** 2) + np.maximum(zeros, 0) * mean**2
        return cls(total, mean, squares, centred=False)

    def joined(self, other: Moments) -> Moments:
        """Those of both sets of rows together."""
        total = self.total + other.total
        shift = other.mean - self.mean
        squares = self.squares + other.squares + shift**2 * (self.total * other.total / total)
        centred = self.centred and other.centred
        return Moments(total, self.mean + shift * (other.total / total), squares, centred)

    @property
    def deviation(self) -> NDArray[np.float64]:
        """The standard deviations, (columns,); 0 where all that differs is rounding."""
        deviation = np.sqrt(self.squares / self.total)
        tiny = 10 * np.finfo(np.float64).eps * np.abs(self.mean)
        return np.where(deviation > tiny, deviation, 0.0)


@dataclass(frozen=True)
class Units:
    """Units in which (v − mean) / scale is a number about as large as 1, by columns.

    Attributes
    ----------
    mean, scale : ndarray, (columns,)
        The scale of a constant column is 0.
    limit : float
        What standardised values are held within for training.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    limit: float = np.inf

    @classmethod
    def of_inputs(cls, moments: Moments) -> Units:
        """Of columns of X: the deviations, but columns that vary more than others keep up to `MOST_RATIO`
        times a typical column's share, and those that vary less as little a share. A sparse X keeps its
        zeros: the mean is 0."""
        deviation = moments.deviation
        mean = moments.mean if moments.centred else np.zeros_like(moments.mean)
        varies = deviation > 0
        if not varies.any():
            return cls(mean, deviation)
        typical = np.exp(np.log(deviation[varies]).mean())
        share = np.clip(deviation / typical, 1 / MOST_RATIO, MOST_RATIO)
        return cls(mean, deviation * np.sqrt((share[varies] ** 2).mean()) / share)

    @classmethod
    def of_targets(cls, moments: Moments) -> Units:
        """Of columns of y: the deviations, and targets further from the mean than `MOST_DEVIATIONS` count as
        if they were just as far."""
        return cls(moments.mean, moments.deviation, MOST_DEVIATIONS)

    @property
    def fits_float32(self) -> bool:
        """Whether float32 holds the values about as well as it holds standardised ones."""
        return bool((np.abs(self.mean) <= MOST_OFFSET * self.scale)[self.scale > 0].all())

    def standardised(self, values: Any, dtype: DTypeLike) -> Any:
        """(values − mean) / scale as a new array (n, columns); 0 where the scale is 0. Of a sparse matrix one
        with its indices: the mean is then 0."""
        factor = inverse(self.scale)
        if is_sparse(values):
            data = (values.data * factor[values.indices]).astype(dtype, copy=False)
            parts = data, values.indices, values.indptr
            return type(values)(parts, shape=values.shape, copy=False)
        result = np.empty(values.shape, dtype)
        for first in range(0, len(values), ROWS_AT_A_TIME):
            rows = slice(first, first + ROWS_AT_A_TIME)
            result[rows] = np.clip((values[rows] - self.mean) * factor, -self.limit, self.limit)
        return result


def inverse(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / scale, and 0 where it is 0: a constant column tells nothing."""
    return np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)


def to_units(network: Network, x: Units | None, y: Units | None) -> None:
    """Makes a network of standardised samples one of the user's units."""
    if x is not None:
        layer = network.layers[0]
        weights = layer.weights * inverse(x.scale)
        layer.bias = bias_of(layer) - weights @ x.mean
        layer.weights = weights
    if y is not None:
        layer = network.layers[-1]
        layer.bias = y.scale * bias_of(layer) + y.mean
        layer.weights = y.scale[:, None] * layer.weights


def from_units(network: Network, x: Units | None, y: Units | None) -> None:
    """The inverse of `to_units`, also in units that have changed meanwhile: predictions stay.

    For targets that is the rescaling of van Hasselt et al. (2016, arXiv:1602.07714).
    """
    if y is not None:
        layer = network.layers[-1]
        factor = inverse(y.scale)
        layer.bias = (bias_of(layer) - y.mean) * factor
        layer.weights = factor[:, None] * layer.weights
    if x is not None:
        layer = network.layers[0]
        layer.bias = bias_of(layer) + layer.weights @ x.mean
        layer.weights = layer.weights * x.scale


def bias_of(layer: Layer) -> NDArray[np.float64]:
    """The biases in float64, (outputs,)."""
    assert layer.bias is not None
    return layer.bias.astype(np.float64)
