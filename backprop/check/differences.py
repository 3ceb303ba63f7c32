"""Central differences of the loss, from which a gradient follows without any derivative.

A twin in float64 with the network's parameters gives ∂C/∂w from values of C alone:

    smooth networks      [8 (C(w+h) − C(w−h)) − (C(w+2h) − C(w−2h))] / 12h    h = 1e-3, error h⁴/30 C⁽⁵⁾
    networks with kinks  [C(w+h) − C(w−h)] / 2h                               h = 1e-5, error h²/6 C‴

h is divided by the largest number that the parameter multiplies, so that no z of its layer moves by more.
relu and its like have a kink at z = 0, huber where |a − y| = 1, users' functions perhaps at any whole number
of z, or of a − y: a difference whose h takes a sample across one is NaN. The rounding of C makes a difference
uncertain by u (|C| + max|z^(L)|) / h.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._base import BaseNetwork
from backprop._validate import as_array
from backprop.layer import Layer
from backprop.losses import Loss

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

KINKED = ("relu", "leaky_relu", "elu")
TOLERANCE = 1e-6  # of a difference, relative to the largest entry of its array
LARGEST_TOLERANCE = 1e-2  # with what rounding may add in the network's dtype; more would check nothing

# h, and pairs (i, weight): a difference is the sum of weight · 2i · [C(w+ih) − C(w−ih)] / 2ih.
Stencil = tuple[tuple[int, float], ...]
SMOOTH: tuple[float, Stencil] = (1e-3, ((1, 2 / 3), (2, -1 / 12)))
WITH_KINKS: tuple[float, Stencil] = (1e-5, ((1, 1 / 2),))


def twin_of(network: BaseNetwork) -> BaseNetwork:
    """The same network in float64."""
    layers = [
        Layer(layer.inputs, layer.outputs, layer.activation, bias=layer.bias is not None, init="zeros")
        for layer in network.layers
    ]
    twin = BaseNetwork(*layers, loss=network.loss_function, dtype="float64")
    twin.parameters[:] = network._locked(network.parameters.copy)
    return twin


def rounded_to(network: BaseNetwork, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """x (n, inputs) and y (n, targets) rounded to the network's dtype, in float64."""
    samples, targets = as_array("x", x), as_array("y", y)
    if samples.ndim == 1:
        samples, targets = samples[None], targets[None]
    if targets.ndim == 1:
        columns = network.targets
        targets = targets[:, None] if columns == 1 else np.eye(columns)[targets.astype(np.int64)]
    return samples.astype(network.dtype).astype(np.float64), targets.astype(network.dtype).astype(np.float64)


def sides_of_kinks(network: BaseNetwork, x: Array, y: Array) -> NDArray[Any]:
    """On which side of its kinks each sample lies, (n, kinks)."""
    trace = network.trace(x).layers
    sides = []
    for layer, now in zip(network.layers, trace, strict=True):
        if layer.activation.is_custom:
            sides.append(np.floor(now.z))
        elif str(layer.activation) in KINKED:
            sides.append(now.z > 0)
    if isinstance(network.loss_function, Loss):
        a = trace[-1].a
        apart = a - y if a.shape == y.shape else a[:, :, None] - y[:, None, :]
        sides.append(np.floor(apart.reshape(len(x), -1)))
    elif network.loss_name == "huber":
        sides.append(np.abs(trace[-1].a - y) > 1)
    return np.concatenate(sides, axis=1) if sides else np.empty((len(x), 0), bool)


class Differences:
    """Central differences on a twin at samples x (n, inputs) and y (n, outputs), both in float64."""

    def __init__(self, twin: BaseNetwork, x: Array, y: Array) -> None:
        self.twin, self.x, self.y = twin, x, y
        self._has_kinks = sides_of_kinks(twin, x, y).size > 0
        self.h, self._stencil = WITH_KINKS if self._has_kinks else SMOOTH

    def noise(self, values: Any, largest_z: Any) -> Any:
        """What rounding may do to a difference with this h of the values, given the largest |z^(L)|."""
        return np.finfo(np.float64).eps * (np.abs(values) + largest_z) / self.h

    def of_mean(self, numbers: Array, h: float) -> float:
        """∂C/∂h for a shift by h of all numbers in a view of the twin's, or of x.

        NaN if that takes any sample across a kink, or is lost in the rounding of huge numbers.
        """

        def measure() -> tuple[Array, NDArray[Any]]:
            return np.array([self.twin.loss(self.x, self.y)]), self._sides().reshape(1, -1)

        return float(self._difference(numbers, h, measure)[0])

    def of_each(self, numbers: Array, h: float) -> Array:
        """∂C_0/∂h of each sample, (n,), likewise."""

        def measure() -> tuple[Array, NDArray[Any]]:
            return self.twin.losses(self.x, self.y), self._sides()

        return self._difference(numbers, h, measure)

    def _sides(self) -> NDArray[Any]:
        if not self._has_kinks:
            return np.empty((len(self.x), 0), bool)
        return sides_of_kinks(self.twin, self.x, self.y)

    def _difference(
        self, numbers: Array, h: float, measure: Callable[[], tuple[Array, NDArray[Any]]]
    ) -> Array:
        """Of the measured values, (m,), NaN where the sides, (m, kinks), change on the way."""
        old = numbers.copy()
        total: Any = 0.0
        for steps, weight in self._stencil:
            numbers[...] = old + steps * h
            high, (up, sides_up) = numbers.copy(), measure()
            numbers[...] = old - steps * h
            width, (down, sides_down) = float((high - numbers).mean()), measure()
            crossed = (sides_up != sides_down).any(axis=1)
            slope = 2 * steps * weight * (up - down) / width if width else np.full(up.shape, np.nan)
            total = total + np.where(crossed, np.nan, slope)
        numbers[...] = old
        result: Array = total
        return result
