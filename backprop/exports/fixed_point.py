"""A network in whole numbers: int8 weights and activations, int32 sums, and what turns one into the other.

A number r stands for scale · (q - zero) where q is int8, and for q / 2^bits where q is int32. With x of a
layer's inputs, s_j the scale of row j of its weights and s of its inputs,

    sum_j = b_j / (s_j s) - zero Σ_k w_jk + Σ_k w_jk q_k            int32, exact
    z_j   = sum_j · s_j s 2^bits, as multiplier_j · sum_j / 2^shift, rounded

Each row of weights has a scale of its own; what a layer's outputs span follows from samples (Jacob et al.
2018, arXiv:1712.05877). Activations are looked up: tables of functions from 0 to 1, of |z| in steps of
1/16, with straight lines between. What is computed here in NumPy is, bit for bit, what the C file computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop.layer import arrays_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop._base import BaseNetwork

    Integers = NDArray[np.int64]

MOST_INPUTS = 2**15  # of a layer: a sum of them fits an int32
MOST_BIAS = 2**29
MOST = 2**30 - 1  # of what `scaled` gives
Z_BITS, A_BITS = 12, 15  # of z before a table, and of what lies between -1 and 1
TABLE_STEPS, TABLE_END = 16, 16  # steps of 1, and where a table ends

# What the tables hold, of t = |z|; 2^A_BITS times that, rounded.
TABLES: dict[str, Callable[[float], float]] = {
    "sigmoid": lambda t: 1 / (1 + math.exp(-t)),
    "tanh": math.tanh,
    "gelu": lambda t: 0.5 * math.erfc(-t / math.sqrt(2)),
    "softplus": lambda t: math.log1p(math.exp(-t)),
    "elu": lambda t: -math.expm1(-t),
    "softmax": lambda t: math.exp(-t),
}
TABLE_OF = {**{name: name for name in TABLES}, "silu": "sigmoid"}  # of an activation
BETWEEN_ONES = ("sigmoid", "tanh", "softmax")


def table_of(activation: str) -> Integers:
    """The table that an activation looks up; it ends with one place more than is needed."""
    places = np.arange(TABLE_STEPS * TABLE_END + 2) / TABLE_STEPS
    function = TABLES[TABLE_OF[activation]]
    return np.array([round(function(t) * 2**A_BITS) for t in places.tolist()], np.int64)


@dataclass(frozen=True)
class Bytes:
    """How numbers lie in int8: as scale · (q - zero).

    Attributes
    ----------
    scale : float
    zero : int
        From -128 to 127.
    """

    scale: float
    zero: int

    def of(self, values: NDArray[Any]) -> Integers:
        """Values as int8, rounded and held within their range."""
        whole: Integers = np.clip(np.rint(values / self.scale) + self.zero, -128, 127).astype(np.int64)
        return whole


@dataclass(frozen=True)
class Scaling:
    """value · multiplier / 2^shift, rounded, halves away from 0, and held within ±`MOST`.

    Attributes
    ----------
    multipliers : ndarray of int64, (columns,)
        Below 2^31.
    shift : int
        From 1 to 62.
    """

    multipliers: Integers
    shift: int

    def of(self, values: Integers) -> Integers:
        """Of each row of values, (n, columns)."""
        product = values * self.multipliers
        size = (np.abs(product) + (1 << (self.shift - 1))) >> self.shift
        scaled: Integers = np.sign(product) * np.minimum(size, MOST)
        return scaled


def scaling_by(factors: NDArray[np.float64]) -> Scaling:
    """The scaling by these factors > 0, one a column, as exactly as 31 bits of the largest allow."""
    _, exponent = math.frexp(float(factors.max()))
    shift = min(max(31 - exponent, 1), 62)
    return Scaling(np.minimum(np.rint(np.ldexp(factors, shift)), 2**31 - 1).astype(np.int64), shift)


@dataclass(frozen=True)
class FixedLayer:
    """One layer in whole numbers.

    Attributes
    ----------
    activation : str
    weights : ndarray of int64, (outputs, inputs)
        From -127 to 127.
    bias : ndarray of int64, (outputs,)
        In units of the sum; with what the inputs' zero adds.
    to_z : Scaling
        From the sum to z.
    bits : int
        Of the activation's results, each an int32.
    to_bytes : Scaling or None
        From these to int8; None for the output layer.
    outputs : Bytes or None
        What that int8 stands for.
    """

    activation: str
    weights: Integers
    bias: Integers
    to_z: Scaling
    bits: int
    to_bytes: Scaling | None
    outputs: Bytes | None

    def results(self, inputs: Integers) -> Integers:
        """The activation's results of each row of inputs, (n, outputs)."""
        return activated(self.activation, self.to_z.of(inputs @ self.weights.T + self.bias))


@dataclass(frozen=True)
class FixedNetwork:
    """A network in whole numbers.

    Attributes
    ----------
    inputs : Bytes
    layers : tuple of FixedLayer
    """

    inputs: Bytes
    layers: tuple[FixedLayer, ...]

    @property
    def bits(self) -> int:
        """Of the outputs: they stand for a / 2^bits."""
        return self.layers[-1].bits

    def outputs(self, x: Integers) -> Integers:
        """The outputs, each an int32, of samples in int8, (n, inputs)."""
        for layer in self.layers:
            results = layer.results(x)
            if layer.to_bytes is None or layer.outputs is None:
                return results
            x = np.clip(layer.to_bytes.of(results) + layer.outputs.zero, -128, 127)
        raise AssertionError("the output layer has no int8")


def fixed_network(network: BaseNetwork, parameters: NDArray[Any], x: NDArray[Any]) -> FixedNetwork:
    """A network with these parameters, finite, in whole numbers that suit the samples, (n, inputs).

    Raises
    ------
    ValueError
        If the samples are not finite or all zeros, or a layer has too many inputs.
    """
    widest = max(layer.inputs for layer in network.layers)
    if widest > MOST_INPUTS:
        raise ValueError(f"int32 sums are for at most {MOST_INPUTS} inputs of a layer, got {widest}")
    if not np.isfinite(x).all() or not x.any():
        raise ValueError("x must be samples that are finite and not all zeros: they say what inputs span")
    arrays = arrays_of(network.layers, parameters.astype(np.float64))
    before = inputs = _spanned(x)
    layers = []
    trace = network.trace(x).layers
    for i, (layer, terms) in enumerate(zip(network.layers, trace, strict=True)):
        name = str(layer.activation)
        last = i == len(trace) - 1
        z_bits = Z_BITS if name in TABLE_OF else _bits_for(terms.z)
        bits = A_BITS if name in BETWEEN_ONES else z_bits
        after = None if last else _span_of(name, terms.a)
        weights, bias, scales = _rows(*arrays[i], before)
        layers.append(
            FixedLayer(
                activation=name,
                weights=weights,
                bias=bias,
                to_z=scaling_by(np.ldexp(scales, z_bits)),
                bits=bits,
                to_bytes=None if after is None else scaling_by(np.array([2.0**-bits / after.scale])),
                outputs=after,
            )
        )
        before = after if after is not None else before
    return FixedNetwork(inputs, tuple(layers))


def _rows(
    weights: NDArray[np.float64], bias: NDArray[np.float64] | None, before: Bytes
) -> tuple[Integers, Integers, NDArray[np.float64]]:
    """Weights and bias of a layer whose inputs lie so, in whole numbers, and each row's scale of the sum."""
    wanted = np.zeros(len(weights)) if bias is None else bias
    scales = np.abs(weights).max(axis=1) / 127
    scales = np.maximum(scales, np.abs(wanted) / before.scale / MOST_BIAS)
    scales[scales == 0] = 1.0  # a node whose z is always 0
    whole = np.rint(weights / scales[:, None]).astype(np.int64)
    of_bias = np.rint(wanted / (scales * before.scale)).astype(np.int64)
    return whole, of_bias - before.zero * whole.sum(axis=1), scales * before.scale


def _spanned(values: NDArray[Any]) -> Bytes:
    """int8 over all values and 0, which it has exactly."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = (high - low) / 255 or 1.0
    return Bytes(scale, min(max(round(-128 - low / scale), -128), 127))


def _span_of(activation: str, a: NDArray[Any]) -> Bytes:
    """int8 over what an activation gives: by its formula, or by the samples."""
    if activation == "tanh":
        return Bytes(1 / 127, 0)
    return Bytes(1 / 255, -128) if activation in ("sigmoid", "softmax") else _spanned(a)


def _bits_for(z: NDArray[Any]) -> int:
    """Such that the largest z of the samples is about 2^20: room for larger ones, and digits enough."""
    largest = float(np.abs(z).max()) or 1.0
    return min(max(20 - math.frexp(largest)[1], 0), 30)


def activated(activation: str, z: Integers) -> Integers:
    """g(z) for each row of z, (n, nodes), in whole numbers."""
    if activation == "identity":
        return z
    if activation == "relu":
        return np.maximum(z, 0)
    if activation == "leaky_relu":
        return np.where(z < 0, -(-z // 100), z)
    table, one = table_of(activation), 1 << A_BITS
    results: Integers
    if activation == "softmax":
        e = looked_up(table, z.max(axis=1, keepdims=True) - z)
        whole = e.sum(axis=1, keepdims=True)
        results = (e * one + whole // 2) // whole
        return results
    value = looked_up(table, np.abs(z))
    if activation == "sigmoid":
        return np.where(z < 0, one - value, value)
    if activation == "tanh":
        return np.where(z < 0, -value, value)
    if activation in ("silu", "gelu"):
        share = np.where(z < 0, one - value, value)
        return Scaling(share, A_BITS).of(z)
    small = (value + 4) >> (A_BITS - Z_BITS)
    if activation == "softplus":
        results = np.maximum(z, 0) + small
        return results
    return np.where(z < 0, -small, z)


def looked_up(table: Integers, t: Integers) -> Integers:
    """A table's function of t ≥ 0 with `Z_BITS` bits."""
    bits = Z_BITS - int(math.log2(TABLE_STEPS))
    t = np.minimum(t, TABLE_END << Z_BITS)
    place = t >> bits
    rest = t - (place << bits)
    step = (table[place + 1] - table[place]) * rest
    values: Integers = table[place] + np.sign(step) * (np.abs(step) >> bits)
    return values
