"""Activation functions g^(l): what ``layer.activation`` is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backprop import _core
from backprop._validate import name_among

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Activation:
    """An activation function of the engine, known by its name; ``str()`` gives that name.

    Parameters
    ----------
    name : str
        One of identity, sigmoid, tanh, relu, leaky_relu (slope 0.01), elu (α = 1), gelu (the exact erf
        form), silu, softplus, softmax.

    Examples
    --------
    >>> g = net.layers[0].activation
    >>> a, da_dz = g(z), g.derivative(z)
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name_among("activation", name, _core.activations)

    @property
    def name(self) -> str:
        """The name, as `Layer` takes it."""
        return self._name

    def __call__(self, z: NDArray[Any]) -> NDArray[Any]:
        """a = g(z), of z's shape and dtype (float32 or float64); softmax takes its sum over the last axis."""
        a: NDArray[Any] = _core.activation(self._name, z)
        return a

    def derivative(self, z: NDArray[Any]) -> NDArray[Any]:
        """∂a/∂z, of z's shape; for softmax one matrix for each sample, (n, nodes, nodes). relu'(0) = 0."""
        da_dz: NDArray[Any] = _core.activation_derivative(self._name, z)
        return da_dz

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"Activation({self._name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Activation) and self._name == other._name

    def __hash__(self) -> int:
        return hash(self._name)
