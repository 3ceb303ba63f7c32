"""`Network.check_gradient`: the engine's gradient against differences of the loss.

The differences are those of `backprop.check.differences`. A parameter whose step takes any sample across a
kink is skipped, and a sample that lies on different sides of one in the two precisions is left out.

Errors are relative to the largest entry of the array: weights, bias or inputs. The tolerance is 1e-6 for the
differences, plus what rounding may make of the array in the network's dtype (`backprop.check.rounding`). An
array is skipped where that exceeds 1 %, or where its largest entry is so small that the rounding of C itself
exceeds the tolerance: agreement would then say nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from backprop._validate import whole_number
from backprop.check.differences import (
    LARGEST_TOLERANCE,
    TOLERANCE,
    Differences,
    rounded_to,
    sides_of_kinks,
    twin_of,
)
from backprop.check.rounding import Rounding, rounding_errors
from backprop.layer import parts_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop._base import BaseNetwork
    from backprop._types import Seed

    Array = NDArray[np.float64]


class PartCheck(NamedTuple):
    """The comparison for one layer's parameters, or for the inputs."""

    max_relative_error: float  #: relative to the largest entry of the array
    tolerance: float  #: for the relative error, argued from the dtype's arithmetic
    passed: bool  #: whether the errors of each array are within its tolerance
    compared: int  #: entries compared
    skipped: int  #: entries at a kink, or too small to be told from rounding
    only_zeros: bool  #: whether nothing but zeros was compared, which checks nothing


def _nothing(skipped: int) -> PartCheck:
    return PartCheck(0.0, 0.0, True, 0, skipped, True)


def _together(*parts: PartCheck) -> PartCheck:
    errors, tolerances, passed, compared, skipped, only_zeros = zip(*parts, strict=True)
    return PartCheck(
        float(np.max(errors)), max(tolerances), all(passed), sum(compared), sum(skipped), all(only_zeros)
    )


class GradientCheck(NamedTuple):
    """What `backprop.Network.check_gradient` found; ``print`` shows it as a table."""

    layers: tuple[PartCheck, ...]  #: for each layer, its weights and bias
    inputs: PartCheck  #: for ∂C/∂a of the input layer
    samples_skipped: int  #: samples left out, as they lie at a kink

    @property
    def max_relative_error(self) -> float:
        """The largest relative error of all; NaN if any is."""
        return _together(self.inputs, *self.layers).max_relative_error

    @property
    def compared(self) -> int:
        """How many parameters and inputs were compared."""
        return _together(self.inputs, *self.layers).compared

    @property
    def skipped(self) -> int:
        """How many parameters and inputs were skipped."""
        return _together(self.inputs, *self.layers).skipped

    @property
    def passed(self) -> bool:
        """Whether all errors are within the tolerance and each layer had more to compare than zeros."""
        return _together(self.inputs, *self.layers).passed and not any(
            part.only_zeros for part in self.layers
        )

    def __str__(self) -> str:
        lines = ["layer   compared   skipped   max relative error   tolerance"]
        names = ["inputs", *(str(number) for number in range(2, len(self.layers) + 2))]
        for name, part in zip(names, (self.inputs, *self.layers), strict=True):
            errors = f"{part.max_relative_error:>18.1e}{part.tolerance:>12.1e}"
            if part.only_zeros:
                errors = "only zeros, which check nothing" if part.compared else "nothing to compare"
            lines.append(f"{name:<6}{part.compared:>10,}{part.skipped:>10,}   {errors}")
        if self.samples_skipped:
            lines.append(f"{self.samples_skipped} samples lie at a kink and were left out")
        return "\n".join([*lines, self._verdict()])

    def _verdict(self) -> str:
        if self.passed:
            return "passed"
        if not _together(self.inputs, *self.layers).passed:
            return "FAILED"
        empty = [str(number) for number, part in enumerate(self.layers, start=2) if part.only_zeros]
        return f"nothing to compare in layer {', '.join(empty)}: not passed"

    def __repr__(self) -> str:
        return str(self)


def check_gradient(
    network: BaseNetwork, x: ArrayLike, y: ArrayLike, entries: int, rng: Seed
) -> GradientCheck:
    """`Network.check_gradient`, which documents it."""
    entries = whole_number("entries", entries)
    return network._locked(lambda: _check(network, x, y, entries, rng))


def _check(network: BaseNetwork, x: ArrayLike, y: ArrayLike, entries: int, rng: Seed) -> GradientCheck:
    network.gradient(x, y)  # raises if x or y does not fit
    samples, targets = rounded_to(network, x, y)
    twin = twin_of(network)
    same = (sides_of_kinks(network, samples, targets) == sides_of_kinks(twin, samples, targets)).all(axis=1)
    left_out = int(np.count_nonzero(~same))
    if left_out == len(same):
        none = tuple(_nothing(layer.size) for layer in network.layers)
        return GradientCheck(none, _nothing(samples.shape[1]), left_out)
    differences = Differences(twin, np.ascontiguousarray(samples[same]), targets[same])
    layers, inputs = _Comparison(network, differences, entries, rng).parts()
    return GradientCheck(layers, inputs, left_out)


class _Comparison:
    """A network's gradient at the samples of `differences`, array by array."""

    def __init__(self, network: BaseNetwork, differences: Differences, entries: int, rng: Seed) -> None:
        self.network, self.differences = network, differences
        self.entries, self.rng = entries, rng
        twin, x, y = differences.twin, differences.x, differences.y
        trace = twin.trace(x).layers
        self.before = [x, *(layer.a for layer in trace)]
        self.noise = float(differences.noise(twin.loss(x, y), np.abs(trace[-1].z).max()))

    def parts(self) -> tuple[tuple[PartCheck, ...], PartCheck]:
        """Of every layer, and of the inputs."""
        twin, x, y = self.differences.twin, self.differences.x, self.differences.y
        rounding = rounding_errors(twin, x, y, float(np.finfo(self.network.dtype).eps) / 2)
        gradient = self.network.gradient(x, y)
        of_layers = parts_of(twin.layers, gradient.parameters)
        layers = [self._layer(i, g, rounding) for i, g in enumerate(of_layers)]
        largest_w = np.abs(twin.layers[0].weights).max(axis=0)
        return tuple(layers), self._compare(gradient.inputs, x.T, largest_w, rounding.inputs)

    def _layer(self, i: int, gradient: Array, rounding: Rounding) -> PartCheck:
        twin = self.differences.twin
        layer, numbers = twin.layers[i], parts_of(twin.layers, twin.parameters)[i]
        split = layer.inputs * layer.outputs
        multiplied = np.repeat(np.abs(self.before[i]).max(axis=0), layer.outputs)
        mask = self.network.layers[i].mask
        there = None if mask is None else np.flatnonzero(mask.T)
        weights = self._compare(gradient[:split], numbers[:split], multiplied, rounding.weights[i], there)
        if mask is not None and gradient[:split][~mask.T.ravel()].any():
            weights = weights._replace(passed=False)
        if layer.bias is None:
            return weights
        ones = np.ones(layer.outputs)
        return _together(weights, self._compare(gradient[split:], numbers[split:], ones, rounding.bias[i]))

    def _compare(
        self,
        gradient: Array,
        numbers: Array,
        multiplied: Array,
        error: float,
        there: NDArray[np.int64] | None = None,
    ) -> PartCheck:
        """An array's gradient (m,) with the differences. numbers, (m, ...), is a view of the twin's numbers
        whose rows are shifted; multiplied, (m,), is the largest number that each of them multiplies; error
        is what rounding may do to an entry of the gradient; there, the places of those that are parameters,
        all by default: where weights are masked, only the others."""
        gradient = gradient.astype(np.float64)
        chosen = _choose(len(numbers) if there is None else len(there), self.entries, self.rng)
        chosen = chosen if there is None else there[chosen]
        factors = np.maximum(1, multiplied)
        h = self.differences.h
        numeric = np.array([self.differences.of_mean(numbers[i : i + 1], h / factors[i]) for i in chosen])
        numeric, compared = numeric[~np.isnan(numeric)], chosen[~np.isnan(numeric)]
        skipped = len(chosen) - len(compared)
        scale = float(max(np.abs(gradient).max(), np.abs(numeric).max(initial=0)))
        if scale == 0:
            return PartCheck(0.0, 0.0, True, len(compared), skipped, True)
        tolerance = TOLERANCE + error / scale
        if tolerance > LARGEST_TOLERANCE or scale * tolerance < self.noise * factors.max():
            return _nothing(len(chosen))
        largest = float((np.abs(gradient[compared] - numeric) / scale).max(initial=0))
        only_zeros = not (np.any(gradient[compared]) or np.any(numeric))
        return PartCheck(largest, tolerance, largest <= tolerance, len(compared), skipped, only_zeros)


def _choose(size: int, entries: int, rng: Seed) -> NDArray[np.int64]:
    if size <= entries:
        return np.arange(size)
    return np.sort(np.random.default_rng(rng).choice(size, entries, replace=False))
