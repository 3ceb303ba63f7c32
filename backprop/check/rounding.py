"""How far rounding may take a computed gradient from the exact one: a running error analysis.

Every operation's result is off by a share u of itself, u being half the spacing of numbers at 1, a sum of
K terms by about √K u of the sum of their magnitudes, an activation, its derivative or a loss derivative by
a few u. Errors, e(·), then spread by the rules of calculus, with magnitudes so that none cancel:

    e(z)     = |W| e(a_prev) + √K u (|W| |a_prev| + |b|)
    e(a)     = |∂a/∂z| e(z) + FEW u |a|
    e(∂a/∂z) = |g'(z ± e(z)) − g'(z)| + FEW u max(1, |g'|)          (1 − a² and the like cancel)
    e(δ)     = e(∂C/∂a) |∂a/∂z| + |∂C/∂a| e(∂a/∂z) + u |δ|
    e(∂C/∂a_prev) = |W|ᵀ e(δ) + √J u |W|ᵀ |δ|
    e(∂C/∂W) = mean over n of [ |a_prev| e(δ) + e(a_prev) |δ| ] + √n u · mean of |a_prev| |δ|

The method: N. J. Higham, Accuracy and Stability of Numerical Algorithms, chapters 3 and 4.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backprop import kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop._base import BaseNetwork

    Array = NDArray[np.float64]

FEW = 8
FUSED = {("sigmoid", "binary_cross_entropy"), ("softmax", "cross_entropy")}


class Rounding(NamedTuple):
    """Bounds for one array each: weights and bias of every layer, and the inputs."""

    weights: list[float]
    bias: list[float]
    inputs: float


def rounding_errors(network: BaseNetwork, x: Array, y: Array, unit: float) -> Rounding:
    """The largest error of an entry of each array of the gradient.

    Parameters
    ----------
    network : BaseNetwork
        In float64, with the parameters of the one whose gradient is in question.
    x, y : ndarray, (n, inputs) and (n, outputs), float64
    unit : float
        u of the dtype in question, 2**-24 for float32.
    """
    trace: Any = network.trace(x, y).layers
    few = FEW * unit
    a = [np.abs(x), *(np.abs(terms.a) for terms in trace)]
    e_a = [np.zeros_like(x)]
    e_z = []
    for layer, terms, before in zip(network.layers, trace, a, strict=False):
        w = np.abs(layer.weights).T
        b = 0 if layer.bias is None else np.abs(layer.bias)
        e_z.append(e_a[-1] @ w + 2 * np.sqrt(layer.inputs + 1) * unit * (before @ w + b))
        e_a.append(_times(np.abs(terms.da_dz), e_z[-1]) + few * np.abs(terms.a))

    n = len(x)
    weights: list[float] = []
    bias: list[float] = []
    e_dC_da = _of_loss(network, trace[-1].a, e_a[-1], y, few)
    for i in reversed(range(len(trace))):
        layer, terms = network.layers[i], trace[i]
        delta = np.abs(terms.dC_dz)
        if i == len(trace) - 1 and (str(layer.activation), network.loss_name) in FUSED:
            labels = y.sum(axis=1, keepdims=True) if str(layer.activation) == "softmax" else 1.0
            e_delta = e_a[-1] * labels + few * (a[-1] * labels + np.abs(y))
        else:
            e_delta = _times(np.abs(terms.da_dz), e_dC_da) + few * delta
            e_delta += _of_derivative(layer, terms, e_z[i], e_a[i + 1], few)
        terms_of_sum = 2 * np.sqrt(n) * unit * delta
        weights.append(float(((a[i].T @ (e_delta + terms_of_sum) + e_a[i].T @ delta) / n).max()))
        bias.append(float((e_delta + terms_of_sum).mean(axis=0).max()))
        e_dC_da = (e_delta + 2 * np.sqrt(layer.outputs) * unit * delta) @ np.abs(layer.weights)
    return Rounding(weights[::-1], bias[::-1], float(e_dC_da.mean(axis=0).max()))


def _times(derivative: Array, error: Array) -> Array:
    """|∂a/∂z| times the error of one of the two; softmax's is a symmetric matrix."""
    if derivative.ndim == error.ndim:
        return derivative * error
    product: Array = np.einsum("nij,nj->ni", derivative, error)
    return product


def _of_loss(network: BaseNetwork, a: Array, e_a: Array, y: Array, few: float) -> Array:
    """e(∂C/∂a) of the output layer."""
    loss = network.loss_function
    slope = functools.partial(kernels.loss_derivative, loss) if isinstance(loss, str) else loss.derivative
    at_a = slope(a, y)
    beside = (slope(a + e, y) for e in (e_a, -e_a))
    spread: Array = np.maximum(*(np.abs(values - at_a) for values in beside))
    return spread + few * np.abs(at_a)


def _of_derivative(layer: Any, terms: Any, e_z: Array, e_a: Array, few: float) -> Array:
    """|∂C/∂a| e(∂a/∂z), or for softmax, δ_i = a_i (∂C/∂a_i − Σ_j a_j ∂C/∂a_j), the same of its parts."""
    a, dC_da = np.abs(terms.a), np.abs(terms.dC_da)
    if str(layer.activation) == "softmax":
        inner = dC_da + (a * dC_da).sum(axis=1, keepdims=True)
        product: Array = (e_a + few * a) * inner + a * (e_a * dC_da).sum(axis=1, keepdims=True)
        return product
    spread = np.zeros_like(e_z)
    for e in (e_z, -e_z):
        # A sample that crosses no kink in either precision is as far from it as it is.
        beside = np.where((terms.z + e > 0) == (terms.z > 0), terms.z + e, terms.z)
        spread = np.maximum(spread, np.abs(layer.activation.derivative(beside) - terms.da_dz))
    error: Array = dC_da * (spread + few * np.maximum(1, np.abs(terms.da_dz)))
    return error
