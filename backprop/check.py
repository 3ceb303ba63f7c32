"""`Network.check_gradient`: the engine's gradient against differences of the loss.

A twin in float64 with the same parameters gives ∂C/∂w from values of C alone, by central differences:

    smooth networks      [8 (C(w+h) − C(w−h)) − (C(w+2h) − C(w−2h))] / 12h    h = 1e-3, error h⁴/30 C⁽⁵⁾
    networks with kinks  [C(w+h) − C(w−h)] / 2h                               h = 1e-5, error h²/6 C‴

h is divided by the largest number that the parameter multiplies, so that no z of its layer moves by more.
relu and its like have a kink at z = 0, huber where |a − y| = 1, users' functions perhaps at
any whole number of z, or of a − y: a parameter whose h takes any sample across one is skipped, and a sample
that lies on different sides of one in the two precisions is left out.

Errors are relative to the largest entry of the array: weights, bias or inputs. The tolerance is 1e-6 for the
differences, plus what rounding may make of the array in the network's dtype (`backprop.rounding`). An array
is skipped where that exceeds 1 %, or where its largest entry is so small that the rounding of C itself,
u (|C| + max|z^(L)|) / h, exceeds the tolerance: agreement would then say nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backprop._base import BaseNetwork
from backprop._validate import whole_number
from backprop.layer import Layer, parts_of
from backprop.losses import Loss
from backprop.rounding import rounding_errors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop._types import Seed

KINKED = ("relu", "leaky_relu", "elu")
DIFFERENCES_TOLERANCE = 1e-6
LARGEST_TOLERANCE = 1e-2

Measure = Callable[[], tuple[float, bytes]]


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
        return "\n".join([*lines, "passed" if self.passed else "FAILED"])

    def __repr__(self) -> str:
        return str(self)


def check_gradient(
    network: BaseNetwork, x: ArrayLike, y: ArrayLike, entries: int, rng: Seed
) -> GradientCheck:
    """`Network.check_gradient`, which documents it."""
    entries = whole_number("entries", entries)
    network.gradient(x, y)  # raises if x or y does not fit
    samples, targets = _as_the_engine_sees_them(network, x, y)
    twin = _twin(network)
    same = (_sides(network, samples, targets) == _sides(twin, samples, targets)).all(axis=1)
    left_out = int(np.count_nonzero(~same))
    if left_out == len(same):
        none = tuple(_nothing(layer.size) for layer in network.layers)
        return GradientCheck(none, _nothing(samples.shape[1]), left_out)
    samples, targets = np.ascontiguousarray(samples[same]), targets[same]

    kinks = _sides(twin, samples, targets).size > 0
    h, stencil = (1e-5, ((1, 1 / 2),)) if kinks else (1e-3, ((1, 2 / 3), (2, -1 / 12)))
    rounding = rounding_errors(twin, samples, targets, float(np.finfo(network.dtype).eps) / 2)
    trace, loss = twin.trace(samples).layers, twin.loss(samples, targets)
    noise = np.finfo(np.float64).eps * (abs(loss) + float(np.abs(trace[-1].z).max())) / h

    def measure() -> tuple[float, bytes]:
        return twin.loss(samples, targets), _sides(twin, samples, targets).tobytes() if kinks else b""

    def compare(
        gradient: NDArray[Any], numbers: NDArray[Any], multiplied: NDArray[Any], error: float
    ) -> PartCheck:
        """An array's gradient (m,) with the differences. numbers, (m, ...), is a view of the twin's numbers
        whose rows are shifted; multiplied, (m,), is the largest number that each of them multiplies; error
        is what rounding may do to an entry of the gradient."""
        gradient, chosen = gradient.astype(np.float64), _choose(len(numbers), entries, rng)
        factors = np.maximum(1, multiplied)
        numeric = np.array(
            [_difference(numbers[i : i + 1], h / factors[i], stencil, measure) for i in chosen]
        )
        numeric, compared = numeric[~np.isnan(numeric)], chosen[~np.isnan(numeric)]
        skipped = len(chosen) - len(compared)
        scale = float(max(np.abs(gradient).max(), np.abs(numeric).max(initial=0)))
        if scale == 0:
            return PartCheck(0.0, 0.0, True, len(compared), skipped, True)
        tolerance = DIFFERENCES_TOLERANCE + error / scale
        if tolerance > LARGEST_TOLERANCE or scale * tolerance < noise * factors.max():
            return _nothing(len(chosen))
        largest = float((np.abs(gradient[compared] - numeric) / scale).max(initial=0))
        only_zeros = not (np.any(gradient[compared]) or np.any(numeric))
        return PartCheck(largest, tolerance, largest <= tolerance, len(compared), skipped, only_zeros)

    gradient = network.gradient(samples, targets)
    numbers_of = parts_of(twin.layers, twin.parameters)
    checks = []
    before = samples
    for i, (layer, part, g) in enumerate(
        zip(twin.layers, numbers_of, parts_of(twin.layers, gradient.parameters), strict=True)
    ):
        split = layer.inputs * layer.outputs
        largest_a = np.abs(before).max(axis=0)
        check = compare(g[:split], part[:split], np.repeat(largest_a, layer.outputs), rounding.weights[i])
        if layer.bias is not None:
            ones = np.ones(layer.outputs)
            check = _together(check, compare(g[split:], part[split:], ones, rounding.bias[i]))
        checks.append(check)
        before = trace[i].a
    largest_w = np.abs(twin.layers[0].weights).max(axis=0)
    inputs = compare(gradient.inputs, samples.T, largest_w, rounding.inputs)
    return GradientCheck(tuple(checks), inputs, left_out)


def _as_the_engine_sees_them(
    network: BaseNetwork, x: ArrayLike, y: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x (n, inputs) and y (n, outputs) rounded to the network's dtype, in float64."""
    samples, targets = np.asarray(x), np.asarray(y)
    if samples.ndim == 1:
        samples, targets = samples[None], targets[None]
    outputs = network.layers[-1].outputs
    if targets.ndim == 1:
        targets = targets[:, None] if outputs == 1 else np.eye(outputs)[targets.astype(np.int64)]
    return samples.astype(network.dtype).astype(np.float64), targets.astype(network.dtype).astype(np.float64)


def _twin(network: BaseNetwork) -> BaseNetwork:
    """The same network in float64."""
    layers = [
        Layer(layer.inputs, layer.outputs, layer.activation, bias=layer.bias is not None, init="zeros")
        for layer in network.layers
    ]
    twin = BaseNetwork(*layers, loss=network.loss_function, dtype="float64")
    twin.parameters[:] = network.parameters
    return twin


def _sides(network: BaseNetwork, x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """On which side of its kinks each sample lies, (n, kinks)."""
    trace = network.trace(x).layers
    sides = []
    for layer, now in zip(network.layers, trace, strict=True):
        if layer.activation.is_custom:
            sides.append(np.floor(now.z))
        elif str(layer.activation) in KINKED:
            sides.append(now.z > 0)
    if isinstance(network.loss_function, Loss):
        sides.append(np.floor(trace[-1].a - y))
    elif network.loss_name == "huber":
        sides.append(np.abs(trace[-1].a - y) > 1)
    return np.concatenate(sides, axis=1) if sides else np.empty((len(x), 0), bool)


def _choose(size: int, entries: int, rng: Seed) -> NDArray[np.int64]:
    if size <= entries:
        return np.arange(size)
    return np.sort(np.random.default_rng(rng).choice(size, entries, replace=False))


def _difference(
    view: NDArray[Any], h: float, stencil: Sequence[tuple[int, float]], measure: Measure
) -> float:
    """dC/dh for a shift of the numbers in view by h; NaN if that takes any sample across a kink, or is
    lost in the rounding of huge numbers."""
    old, total = view.copy(), 0.0
    for steps, weight in stencil:
        view[...] = old + steps * h
        high, (up, sides_up) = view.copy(), measure()
        view[...] = old - steps * h
        width, (down, sides_down) = float((high - view).mean()), measure()
        crossed = sides_up != sides_down or width == 0
        total += math.nan if crossed else 2 * steps * weight * (up - down) / width
    view[...] = old
    return total
