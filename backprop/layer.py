"""One layer, a^(l) = g^(l)(W^(l) a^(l-1) + b^(l)): its sizes, its activation and its first parameters.

The numbers themselves belong to the network. A layer holds views of them and no reference to the
network, so that a network is freed as soon as it is dropped.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from backprop._attributes import KnownAttributes
from backprop._validate import fraction, name_among, not_negative, real_array, whole_number
from backprop.activations import Activation, activation_setup

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop._core import LayerArguments

    Initializer = Callable[[np.random.Generator, tuple[int, int]], ArrayLike]

MOST_NODES = 2**31 - 1
MOST_PARAMETERS = 2**40  # of a network

# The distribution of each and its standard deviation, or its limit, for (outputs, inputs). He: He et al. 2015
# (arXiv:1502.01852); Glorot: Glorot and Bengio 2010; LeCun: LeCun et al. 1998, Efficient BackProp.
INITIALIZERS: dict[str, tuple[str, Callable[[int, int], float]]] = {
    "he": ("normal", lambda o, i: (2 / i) ** 0.5),
    "he_uniform": ("uniform", lambda o, i: (6 / i) ** 0.5),
    "glorot": ("normal", lambda o, i: (2 / (o + i)) ** 0.5),
    "xavier": ("normal", lambda o, i: (2 / (o + i)) ** 0.5),
    "glorot_uniform": ("uniform", lambda o, i: (6 / (o + i)) ** 0.5),
    "lecun": ("normal", lambda o, i: (1 / i) ** 0.5),
    "normal": ("normal", lambda o, i: 1.0),
    "uniform": ("uniform", lambda o, i: 1.0),
    "zeros": ("zeros", lambda o, i: 0.0),
}
DRAWN_TOGETHER = 2**16  # numbers in float64, so that they take little memory beside the weights

HE_ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu")


class Layer(KnownAttributes):
    """A fully connected layer.

    Parameters
    ----------
    inputs, outputs : int
        Nodes of the layer before and of this one.
    activation : str or Activation
        The name of g: identity, sigmoid, tanh, relu, leaky_relu, elu, gelu, silu, softplus, softmax; or
        one of your own.
    bias : bool
        Whether the weighted sum has a bias b_j. Biases start at zero.
    init : str or callable
        How the weights are drawn: "auto" is "he" before the relu family, gelu and silu, and "glorot"
        before the rest. With i inputs and o outputs: "he" N(0, 2/i), "he_uniform" U(±√(6/i)), "glorot"
        or "xavier" N(0, 2/(i+o)), "glorot_uniform" U(±√(6/(i+o))), "lecun" N(0, 1/i), "normal" N(0, 1),
        "uniform" U(±1), "zeros"; N(mean, variance). A callable is given a `numpy.random.Generator` and
        the shape (outputs, inputs), and returns an array of that shape.
    l1, l2 : float
        A penalty on the layer's weights, not its biases: training adds the gradient of
        l1 Σ |w_jk| + ½ l2 Σ w_jk², l1 sign(w_jk) + l2 w_jk, to that of C, before any clipping and weight
        decay. ≥ 0. C itself, and so every loss and gradient that is reported, is without it.
    dropout : float
        The share of the layer's nodes, 0 ≤ dropout < 1, that is left out of a sample while training, by
        fit and step only: their a becomes 0, and that of the others a / (1 − dropout). Not for the
        output layer. Which ones is drawn anew for every sample and epoch, from fit's generator; it does
        not depend on threads.

    Raises
    ------
    ValueError, TypeError
        If a size is not a whole number of at least 1, a name is unknown, or a setting makes no sense.

    Notes
    -----
    A copy of a layer that is in a network, by `copy` or `pickle`, has its own copy of the parameters and
    is in no network; a network that takes it starts from them.
    """

    remedies: ClassVar[dict[str, str]] = {
        "weight": "the weights are layer.weights",
        "biases": "the bias is layer.bias",
        "kernel": "the weights are layer.weights",
        "trainable": "every layer is trained",
        "requires_grad": "every layer is trained",
    }

    def __init__(
        self,
        inputs: int,
        outputs: int,
        activation: str | Activation = "sigmoid",
        *,
        bias: bool = True,
        init: str | Initializer = "auto",
        l1: float = 0.0,
        l2: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        if getattr(self, "_in_network", False):
            raise RuntimeError(f"{self!r} is in a network: it is set up only once")
        self._inputs = _size("inputs", inputs)
        self._outputs = _size("outputs", outputs)
        self._activation = activation if isinstance(activation, Activation) else Activation(activation)
        if not isinstance(bias, (bool, np.bool_)):
            raise TypeError(f"bias must be True or False, got {type(bias).__name__} {bias!r}")
        self._has_bias = bool(bias)
        if not callable(init):
            init = name_among("init", init, ("auto", *INITIALIZERS))
        self._init = init
        self._l1, self._l2 = not_negative("l1", l1), not_negative("l2", l2)
        self._dropout = fraction("dropout", dropout)
        self._weights: NDArray[Any] | None = None
        self._bias: NDArray[Any] | None = None
        self._in_network = False

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._weights is not None:
            state["_weights"] = self._weights.copy()
            state["_bias"] = None if self._bias is None else self._bias.copy()
            state["_init"] = "auto"  # of no more use, and a callable could be one that does not pickle
        state["_in_network"] = False
        return state

    @property
    def inputs(self) -> int:
        """Nodes of the layer before."""
        return self._inputs

    @property
    def outputs(self) -> int:
        """Nodes of this layer."""
        return self._outputs

    @property
    def activation(self) -> Activation:
        """The activation function g; ``str()`` of it is its name."""
        return self._activation

    @property
    def has_bias(self) -> bool:
        """Whether the weighted sum has a bias."""
        return self._has_bias

    @property
    def size(self) -> int:
        """How many parameters the layer has: outputs · inputs weights, and outputs biases if any."""
        return self._outputs * (self._inputs + self._has_bias)

    @property
    def weights(self) -> NDArray[Any]:
        """The live, writable weights w_jk, shape (outputs, inputs); assigning copies in.

        Raises
        ------
        AttributeError
            If the layer is in no network yet.
        TypeError, ValueError
            On assigning anything but real numbers of exactly this shape.
        """
        return self._bound(self._weights)

    @weights.setter
    def weights(self, values: ArrayLike) -> None:
        weights = self._bound(self._weights)
        np.copyto(weights, real_array("weights", values, weights.shape), casting="unsafe")

    @property
    def bias(self) -> NDArray[Any] | None:
        """The live, writable biases b_j, shape (outputs,), or None without; assigning copies in.

        Raises
        ------
        AttributeError
            If the layer is in no network yet, or, on assigning, has no bias.
        TypeError, ValueError
            On assigning anything but real numbers of exactly this shape.
        """
        return self._bound(self._bias) if self._has_bias else None

    @bias.setter
    def bias(self, values: ArrayLike) -> None:
        if not self._has_bias:
            raise AttributeError(f"{self!r} has no bias to assign to")
        bias = self._bound(self._bias)
        np.copyto(bias, real_array("bias", values, bias.shape), casting="unsafe")

    @property
    def l1(self) -> float:
        """The factor of Σ |w_jk| in the penalty; fixed."""
        return self._l1

    @property
    def l2(self) -> float:
        """The factor of ½ Σ w_jk² in the penalty; fixed."""
        return self._l2

    @property
    def dropout(self) -> float:
        """The share of nodes that is left out while training; fixed."""
        return self._dropout

    def __repr__(self) -> str:
        bias = "" if self._has_bias else ", bias=False"
        extras = {"l1": self._l1, "l2": self._l2, "dropout": self._dropout}
        rest = "".join(f", {name}={value:g}" for name, value in extras.items() if value)
        return f"Layer({self._inputs}, {self._outputs}, {str(self._activation)!r}{bias}{rest})"

    def _bound(self, view: NDArray[Any] | None) -> NDArray[Any]:
        if view is None:
            raise AttributeError(f"{self!r} has no parameters yet: put it in a Network, which draws them")
        return view

    def _draw(self, weights: NDArray[Any], rng: np.random.Generator) -> None:
        """Writes the first weights, (outputs, inputs), which are zeros.

        They are drawn in float64, so that a float32 and a float64 network of one seed agree.
        """
        init = self._init
        if not isinstance(init, str):
            what = f"what init returns for {self!r}"
            weights[...] = real_array(what, init(rng, weights.shape), weights.shape)
            return
        if init == "auto":
            init = "he" if str(self._activation) in HE_ACTIVATIONS else "glorot"
        distribution, width_of = INITIALIZERS[init]
        width = width_of(*weights.shape)
        rows = max(1, DRAWN_TOGETHER // self._inputs)
        for part in (weights[first : first + rows] for first in range(0, self._outputs, rows)):
            if distribution == "normal":
                part[...] = rng.normal(0.0, width, part.shape)
            elif distribution == "uniform":
                part[...] = rng.uniform(-width, width, part.shape)

    def _views(self, part: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
        split = self._inputs * self._outputs
        weights = part[..., :split].reshape(*part.shape[:-1], self._inputs, self._outputs)
        return weights.swapaxes(-1, -2), part[..., split:] if self._has_bias else None


def check_layers(layers: Sequence[Layer]) -> None:
    """Raises a TypeError or ValueError unless the layers, in their order, make a network."""
    if not layers:
        raise ValueError("a Network takes at least one Layer, got none")
    seen = set()  # by identity: a layer has no other
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(
                f"a Network takes Layers, got {type(layer).__name__} {layer!r} as layer {i}; "
                "Network.dense takes sizes"
            )
        if layer._in_network or id(layer) in seen:
            raise ValueError(f"layers[{i}], {layer!r}, is already in a network; make a new Layer")
        seen.add(id(layer))
    for i, (before, after) in enumerate(itertools.pairwise(layers)):
        if before.outputs != after.inputs:
            raise ValueError(
                f"layers do not chain: layers[{i}], {before!r}, has {before.outputs} outputs, but "
                f"layers[{i + 1}], {after!r}, takes {after.inputs} inputs"
            )
    if layers[-1].dropout > 0:
        raise ValueError(f"the output layer has no dropout: {layers[-1]!r}")
    parameters = sum(layer.size for layer in layers)
    if parameters > MOST_PARAMETERS:
        raise ValueError(f"a Network may have at most {MOST_PARAMETERS:,} parameters, got {parameters:,}")


def layer_setup(layer: Layer) -> LayerArguments:
    """What the engine takes for a layer."""
    return {
        "inputs": layer._inputs,
        "outputs": layer._outputs,
        "activation": activation_setup(layer._activation),
        "bias": layer._has_bias,
        "l1": layer._l1,
        "l2": layer._l2,
        "dropout": layer._dropout,
    }


def parts_of(layers: Sequence[Layer], flat: NDArray[Any]) -> list[NDArray[Any]]:
    """Each layer's part (..., size) of a vector (..., P) in storage order, as views."""
    ends = list(itertools.accumulate(layer.size for layer in layers))
    return [flat[..., start:end] for start, end in zip([0, *ends], ends, strict=False)]


def arrays_of(
    layers: Sequence[Layer], flat: NDArray[Any]
) -> list[tuple[NDArray[Any], NDArray[Any] | None]]:
    """Views of a vector (..., P): each layer's weights (..., outputs, inputs) and bias (..., outputs).

    Storage order: of each layer the weights as (inputs, outputs) by rows, then the bias, if there is one.
    """
    return [layer._views(part) for layer, part in zip(layers, parts_of(layers, flat), strict=True)]


def like(
    layer: Layer, *, l1: float | None = None, l2: float | None = None, parameters: NDArray[Any] | None = None
) -> Layer:
    """A layer with these settings, init included, that is in no network yet; with other penalties if they are
    given, and with these parameters, (size,), or else with none yet."""
    one = Layer.__new__(Layer)
    vars(one).update(vars(layer), _in_network=False, _weights=None, _bias=None)
    one._l1 = layer.l1 if l1 is None else not_negative("l1", l1)
    one._l2 = layer.l2 if l2 is None else not_negative("l2", l2)
    if parameters is not None:
        one._weights, one._bias = layer._views(parameters)
    return one


def bind(layers: Sequence[Layer], parameters: NDArray[Any], rng: np.random.Generator) -> None:
    """Writes the first parameters into a network's, (P,), which are zeros, and makes the layers hold views
    of them. A layer that has parameters brings them; those of the others are drawn from rng."""
    arrays = arrays_of(layers, parameters)
    for layer, (weights, bias) in zip(layers, arrays, strict=True):
        if layer._weights is None:
            layer._draw(weights, rng)
            continue
        weights[...] = layer._weights
        if bias is not None:
            bias[...] = layer._bias
    for layer, views in zip(layers, arrays, strict=True):
        layer._weights, layer._bias = views
        layer._in_network = True


def _size(what: str, value: object) -> int:
    size = whole_number(what, value)
    if size > MOST_NODES:
        raise ValueError(f"{what} must be at most {MOST_NODES}, got {size}")
    return size
