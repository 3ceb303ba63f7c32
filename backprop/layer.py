"""One layer, a^(l) = g^(l)(W^(l) a^(l-1) + b^(l)): its sizes, its activation, and how its parameters move.

The numbers themselves belong to the network. A layer holds views of them and a weak reference to the
network, so that a network is freed as soon as it is dropped.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from backprop._attributes import KnownAttributes
from backprop._initial import INIT_NAMES, draw_weights
from backprop._validate import (
    fraction,
    name_among,
    node_count,
    not_negative,
    real_array,
    weight_mask,
)
from backprop.activations import Activation, activation_setup

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop._core import LayerArguments, Network
    from backprop._initial import Initializer

MOST_PARAMETERS = 2**40  # of a network


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
    lr, bias_lr : float
        Factors of the optimizer's rate for the layer's weights and its biases, ≥ 0 and finite; a bias_lr
        of None is lr. With 0 they are frozen: training, weight decay and penalties do not move one bit of
        them, and clip_norm does not count their gradient. What the optimizer remembers of them, such as
        Adam's moments, goes on as in a PyTorch parameter group of rate 0, so that they may thaw at any
        time; plain `SGD` remembers nothing, and does not even compute their gradient. The whole-batch
        optimizers find how far to step themselves: to them, any factor above 0 is the same.
    mask : array_like of bool, (outputs, inputs), optional
        False where there is no weight: w_jk is 0 and stays so, and its gradient is 0. What is written
        there through a view, ``weights[...]`` or ``net.parameters[...]``, is 0 again from the next step
        on. At least one entry must be True.

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
        "trainable": "layer.lr = 0 freezes the layer, and layer.lr = 1 lets it move again",
        "requires_grad": "layer.lr = 0 freezes the layer, and layer.lr = 1 lets it move again",
        "frozen": "layer.lr = 0 freezes the layer, and layer.lr = 1 lets it move again",
        "learning_rate": "its factor of the optimizer's rate is layer.lr",
    }

    # of layers that were pickled before there were any
    _lr: float = 1.0
    _bias_lr: float | None = None
    _mask: NDArray[np.bool_] | None = None
    _network: Callable[[], Network | None] | None = None
    _place = 0

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
        lr: float = 1.0,
        bias_lr: float | None = None,
        mask: ArrayLike | None = None,
    ) -> None:
        if getattr(self, "_in_network", False):
            raise RuntimeError(f"{self!r} is in a network: it is set up only once")
        self._inputs = node_count("inputs", inputs)
        self._outputs = node_count("outputs", outputs)
        self._activation = activation if isinstance(activation, Activation) else Activation(activation)
        if not isinstance(bias, (bool, np.bool_)):
            raise TypeError(f"bias must be True or False, got {type(bias).__name__} {bias!r}")
        self._has_bias = bool(bias)
        if not callable(init):
            init = name_among("init", init, INIT_NAMES)
        self._init = init
        self._l1, self._l2 = not_negative("l1", l1), not_negative("l2", l2)
        self._dropout = fraction("dropout", dropout)
        self._lr = not_negative("lr", lr)
        self._bias_lr = None if bias_lr is None else not_negative("bias_lr", bias_lr)
        self._mask = None if mask is None else weight_mask(mask, (self._outputs, self._inputs))
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
        state["_network"] = None
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
    def init(self) -> str | Initializer:
        """How first weights are drawn; fixed."""
        return self._init

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
        if self._mask is not None:
            weights[~self._mask] = 0

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

    @property
    def lr(self) -> float:
        """The factor of the optimizer's rate for the weights, and for the biases where bias_lr is None; 0
        freezes them. May be set at any time, in callbacks too.

        Raises
        ------
        TypeError, ValueError
            On assigning anything but a finite number of at least 0.
        """
        return self._lr

    @lr.setter
    def lr(self, factor: float) -> None:
        self._set_freedom(not_negative("lr", factor), self._bias_lr, self._mask)

    @property
    def bias_lr(self) -> float | None:
        """The factor for the biases, or None: then it is lr. May be set at any time.

        Raises
        ------
        TypeError, ValueError
            On assigning anything but None or a finite number of at least 0.
        """
        return self._bias_lr

    @bias_lr.setter
    def bias_lr(self, factor: float | None) -> None:
        self._set_freedom(self._lr, None if factor is None else not_negative("bias_lr", factor), self._mask)

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """Which weights there are, (outputs, inputs) of bool, read-only; or None: all. May be set at any
        time, which copies it: weights where it is False are 0 at once.

        Raises
        ------
        TypeError, ValueError
            On assigning anything but None or an array of bool of this shape that is not False everywhere.
        """
        return self._mask

    @mask.setter
    def mask(self, mask: ArrayLike | None) -> None:
        shape = self._outputs, self._inputs
        self._set_freedom(self._lr, self._bias_lr, None if mask is None else weight_mask(mask, shape))

    def _set_freedom(self, lr: float, bias_lr: float | None, mask: NDArray[np.bool_] | None) -> None:
        network = self._network() if self._network is not None else None
        if network is not None:  # first: it may be refused
            network._set_freedom(
                layer=self._place,
                lr=lr,
                bias_lr=lr if bias_lr is None else bias_lr,
                mask=None if mask is None else np.ascontiguousarray(mask.T),
            )
        elif self._weights is not None and mask is not None:
            self._weights[~mask] = 0
        self._lr, self._bias_lr, self._mask = lr, bias_lr, mask

    def __repr__(self) -> str:
        bias = "" if self._has_bias else ", bias=False"
        extras = {"l1": self._l1, "l2": self._l2, "dropout": self._dropout}
        rest = "".join(f", {name}={value:g}" for name, value in extras.items() if value)
        rest += "" if self._lr == 1 else f", lr={self._lr:g}"
        rest += "" if self._bias_lr is None else f", bias_lr={self._bias_lr:g}"
        rest += "" if self._mask is None else ", mask=..."
        return f"Layer({self._inputs}, {self._outputs}, {str(self._activation)!r}{bias}{rest})"

    def _bound(self, view: NDArray[Any] | None) -> NDArray[Any]:
        if view is None:
            raise AttributeError(f"{self!r} has no parameters yet: put it in a Network, which draws them")
        return view

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


def arrays_of(layers: Sequence[Layer], flat: NDArray[Any]) -> list[tuple[NDArray[Any], NDArray[Any] | None]]:
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
    vars(one).update(vars(layer), _in_network=False, _network=None, _weights=None, _bias=None)
    one._l1 = layer.l1 if l1 is None else not_negative("l1", l1)
    one._l2 = layer.l2 if l2 is None else not_negative("l2", l2)
    if parameters is not None:
        one._weights, one._bias = layer._views(parameters)
    return one


def bind(layers: Sequence[Layer], network: Network, rng: np.random.Generator) -> None:
    """Writes the first parameters into a network's, which are zeros, and makes the layers hold views of
    them. A layer that has parameters brings them; those of the others are drawn from rng."""
    arrays = arrays_of(layers, network.parameters)
    for layer, (weights, bias) in zip(layers, arrays, strict=True):
        if layer._weights is None:
            draw_weights(layer._init, str(layer._activation), weights, rng)
            continue
        weights[...] = layer._weights
        if bias is not None:
            bias[...] = layer._bias
    for place, (layer, views) in enumerate(zip(layers, arrays, strict=True)):
        layer._weights, layer._bias = views
        layer._in_network = True
        layer._network, layer._place = weakref.ref(network), place
        if layer._lr != 1 or layer._bias_lr is not None or layer._mask is not None:
            layer._set_freedom(layer._lr, layer._bias_lr, layer._mask)
