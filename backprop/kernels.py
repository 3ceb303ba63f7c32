"""The steps of backpropagation one by one, for those who write their own loop.

Every function takes NumPy arrays of float32 or float64 of any strides and returns an array of the same
dtype, in `out` if one is given (an array of that dtype and of the result's shape, which is returned). All
raise a TypeError for another dtype, and a ValueError for shapes that do not fit or an unknown name. n is
the number of samples; a 1-D array in place of an (n, nodes) one is one sample, and the result then lacks
the n.

>>> z = weighted_sum(a_prev, weights, bias)
>>> a = activation("sigmoid", z)
>>> delta = delta_output(loss_derivative("squared_error", a, y), activation_derivative("sigmoid", z))
>>> delta_prev = delta_hidden(delta, weights, activation_derivative("sigmoid", z_prev))
>>> sgd_update(weights, weight_gradient(delta, a_prev), lr)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backprop import _core
from backprop._validate import name_among

if TYPE_CHECKING:
    from backprop._core import Real

__all__ = [
    "activation",
    "activation_derivative",
    "delta_hidden",
    "delta_output",
    "loss",
    "loss_derivative",
    "sgd_update",
    "weight_gradient",
    "weighted_sum",
]


def weighted_sum(a: Real, weights: Real, bias: Real | None = None, *, out: Real | None = None) -> Real:
    """z_j = Σ_k w_jk a_k + b_j.

    Parameters
    ----------
    a : ndarray, (n, inputs) or (inputs,)
        Activation outputs of the layer before.
    weights : ndarray, (outputs, inputs)
    bias : ndarray, (outputs,), optional
    out : ndarray, optional
        Where to write the result, which is then returned.

    Returns
    -------
    ndarray, (n, outputs) or (outputs,)

    Raises
    ------
    TypeError
        For an array, `out` included, that is not of float32 or float64, or not of the others' dtype.
    ValueError
        For shapes that do not fit, or an `out` that is read-only.
    """
    return _core.weighted_sum(a, weights, bias, out)


def activation(name: str, z: Real, *, out: Real | None = None) -> Real:
    """a = g(z).

    Parameters
    ----------
    name : str
        identity, sigmoid, tanh, relu, leaky_relu (slope 0.01), elu (α = 1), gelu (z Φ(z), the exact erf
        form), silu (z σ(z)), softplus (ln(1 + eᶻ)) or softmax (over the last axis).
    z : ndarray, (n, nodes) or (nodes,)
    out : ndarray, optional
        Where to write the result, which is then returned.

    Returns
    -------
    ndarray of z's shape

    Raises
    ------
    TypeError
        For an array, `out` included, that is not of float32 or float64, or not of the others' dtype; for
        a name that is no string.
    ValueError
        For shapes that do not fit, or an `out` that is read-only; for an unknown name.
    """
    return _core.activation(name_among("activation", name, _core.activations), z, out)


def activation_derivative(name: str, z: Real, *, out: Real | None = None) -> Real:
    """∂a/∂z = g'(z).

    Parameters
    ----------
    name : str
        As for `activation`. relu'(0) = 0.
    z : ndarray, (n, nodes) or (nodes,)
    out : ndarray, optional
        Where to write the result, which is then returned.

    Returns
    -------
    ndarray of z's shape; for softmax (n, nodes, nodes) or (nodes, nodes), the matrices
    ∂a_i/∂z_j = a_i (δ_ij − a_j)

    Raises
    ------
    TypeError
        For an array, `out` included, that is not of float32 or float64, or not of the others' dtype; for
        a name that is no string.
    ValueError
        For shapes that do not fit, or an `out` that is read-only; for an unknown name.
    """
    return _core.activation_derivative(name_among("activation", name, _core.activations), z, out)


def loss(name: str, a: Real, y: Real, *, out: Real | None = None) -> Real:
    """C_0 of each sample, summed over output nodes.

    Parameters
    ----------
    name : str
        squared_error Σ(a−y)², mean_squared_error (that divided by the outputs), binary_cross_entropy
        −Σ[y ln a + (1−y) ln(1−a)], cross_entropy −Σ y ln a, or huber (½d² where |d| ≤ 1, else |d| − ½).
    a, y : ndarray, (n, outputs) or (outputs,)
        Activation outputs and targets, of one shape and dtype.
    out : ndarray, optional
        Where to write the result, which is then returned.

    Returns
    -------
    ndarray, (n,) or ()

    Raises
    ------
    TypeError
        For an array, `out` included, that is not of float32 or float64, or not of the others' dtype; for
        a name that is no string.
    ValueError
        For shapes that do not fit, or an `out` that is read-only; for an unknown name.
    """
    return _core.loss(name_among("loss", name, _core.losses), a, y, out)


def loss_derivative(name: str, a: Real, y: Real, *, out: Real | None = None) -> Real:
    """∂C_0/∂a_j.

    Parameters
    ----------
    name : str
        As for `loss`.
    a, y : ndarray, (n, outputs) or (outputs,)
    out : ndarray, optional
        Where to write the result, which is then returned.

    Returns
    -------
    ndarray of a's shape

    Raises
    ------
    TypeError
        For an array, `out` included, that is not of float32 or float64, or not of the others' dtype; for
        a name that is no string.
    ValueError
        For shapes that do not fit, or an `out` that is read-only; for an unknown name.
    """
    return _core.loss_derivative(name_among("loss", name, _core.losses), a, y, out)


def delta_output(dC_da: Real, da_dz: Real, *, out: Real | None = None) -> Real:
    """δ_j = ∂C_0/∂z_j of the output layer: ∂C_0/∂a_j · ∂a_j/∂z_j.

    Parameters
    ----------
    dC_da : ndarray, (n, nodes) or (nodes,)
    da_dz : ndarray of dC_da's shape, or for softmax with one more axis (nodes, nodes)
        Where it is a matrix, δ_j = Σ_i ∂C_0/∂a_i · ∂a_i/∂z_j.
    out : ndarray, optional
        Where to write the result, which is then returned.

    Returns
    -------
    ndarray of dC_da's shape

    Raises
    ------
    TypeError
        For an array, `out` included, that is not of float32 or float64, or not of the others' dtype.
    ValueError
        For shapes that do not fit, or an `out` that is read-only.
    """
    return _core.delta_output(dC_da, da_dz, out)


def delta_hidden(delta: Real, weights: Real, da_dz: Real, *, out: Real | None = None) -> Real:
    """δ_k of a hidden layer from the next one's: ∂a_k/∂z_k · Σ_j δ_j w_jk.

    Parameters
    ----------
    delta : ndarray, (n, outputs) or (outputs,)
        Of the next layer.
    weights : ndarray, (outputs, inputs)
        Of the next layer.
    da_dz : ndarray, (n, inputs) or (inputs,)
        Of this layer; for softmax with one more axis, as in `delta_output`.
    out : ndarray, optional
        Where to write the result, which is then returned.

    Returns
    -------
    ndarray, (n, inputs) or (inputs,)

    Raises
    ------
    TypeError
        For an array, `out` included, that is not of float32 or float64, or not of the others' dtype.
    ValueError
        For shapes that do not fit, or an `out` that is read-only.
    """
    return _core.delta_hidden(delta, weights, da_dz, out)


def weight_gradient(delta: Real, a: Real, *, out: Real | None = None) -> Real:
    """∂C/∂w_jk, the mean of δ_j a_k over the batch.

    Parameters
    ----------
    delta : ndarray, (n, outputs) or (outputs,)
    a : ndarray, (n, inputs) or (inputs,)
        Activation outputs of the layer before.
    out : ndarray, optional
        Where to write the result, which is then returned.

    Returns
    -------
    ndarray, (outputs, inputs)

    Raises
    ------
    TypeError
        For an array, `out` included, that is not of float32 or float64, or not of the others' dtype.
    ValueError
        For shapes that do not fit, or an `out` that is read-only.
    """
    return _core.weight_gradient(delta, a, out)


def sgd_update(weights: Real, gradient: Real, lr: float, *, out: Real | None = None) -> Real:
    """w − lr · gradient.

    Parameters
    ----------
    weights, gradient : ndarray of one shape
        Weights, biases, or all parameters at once.
    lr : float
    out : ndarray, optional
        ``out=weights`` updates in place.

    Returns
    -------
    ndarray of the weights' shape

    Raises
    ------
    TypeError
        For an array, `out` included, that is not of float32 or float64, or not of the others' dtype; for
        an lr that is no number.
    ValueError
        For shapes that do not fit, or an `out` that is read-only.
    """
    return _core.sgd_update(weights, gradient, lr, out)
