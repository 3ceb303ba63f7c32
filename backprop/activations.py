"""Activation functions g^(l): what ``layer.activation`` is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backprop import _core
from backprop._custom import Function, as_function, check_activation, for_engine
from backprop._validate import name_among

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Activation:
    """An activation function: one of the engine's, by its name, or one of your own; ``str()`` gives the name.

    Parameters
    ----------
    g : str or function
        One of identity, sigmoid, tanh, relu, leaky_relu (slope 0.01), elu (α = 1), gelu (the exact erf
        form), silu, softplus, softmax. Or a function: given an array z it returns g(z), entry by entry,
        an array of the same shape; or a C function double(double), as a ``ctypes`` or ``cffi`` function,
        ``scipy.LowLevelCallable``, ``numba.cfunc`` or address.
    g_prime : function, optional
        The derivative of a g that is a function, likewise.
    name : str, optional
        What ``str()`` gives; by default g's own name.

    Raises
    ------
    ValueError
        If a name is unknown; if g_prime is not the derivative of g, with a point where it is not (compared
        with central differences within ±8); if g is not elementwise or not finite there.
    TypeError
        If an argument is of the wrong type, or a C function of another signature.

    Notes
    -----
    A Python function is called with the GIL held, on one thread, and with arrays of the network's dtype,
    (samples, nodes). An exception that it raises ends the computation and comes out of it; a network in
    training keeps the weights of the last whole epoch. C functions run without the GIL on any number of
    threads.

    Examples
    --------
    >>> g = net.layers[0].activation
    >>> a, da_dz = g(z), g.derivative(z)
    >>> bent = bp.Activation(lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2, name="softsign")
    >>> net = bp.Network(bp.Layer(2, 8, bent), bp.Layer(8, 1))
    """

    __slots__ = ("_functions", "_name")

    def __init__(
        self, g: str | Callable[..., Any] | Any, g_prime: Any = None, *, name: str | None = None
    ) -> None:
        self._functions: tuple[Function, Function] | None = None
        if isinstance(g, str) or (g_prime is None and not callable(g)):
            if g_prime is not None or name is not None:
                raise TypeError(f"the engine's {g!r} takes neither g_prime nor name")
            self._name = name_among("activation", g, _core.activations)
            return
        if g_prime is None:
            raise TypeError("an activation of your own needs its derivative: Activation(g, g_prime)")
        self._functions = as_function("g", g, 1), as_function("g_prime", g_prime, 1)
        self._name = own_name(name, g, _core.activations)
        check_activation(*self._functions)

    @property
    def name(self) -> str:
        """The name, as `Layer` takes it if it is the engine's."""
        return self._name

    @property
    def is_custom(self) -> bool:
        """Whether it is made of functions rather than the engine's own."""
        return self._functions is not None

    def __call__(self, z: NDArray[Any]) -> NDArray[Any]:
        """a = g(z); softmax takes its sum over the last axis.

        Parameters
        ----------
        z : ndarray of float32 or float64

        Returns
        -------
        ndarray of z's shape and dtype

        Raises
        ------
        TypeError, ValueError
            For another dtype or no numbers, if g is the engine's.
        """
        a: NDArray[Any] = self._functions[0](z) if self._functions else _core.activation(self._name, z)
        return a

    def derivative(self, z: NDArray[Any]) -> NDArray[Any]:
        """∂a/∂z = g'(z). relu'(0) = 0.

        Parameters
        ----------
        z : ndarray of float32 or float64

        Returns
        -------
        ndarray of z's shape and dtype; for softmax one matrix for each sample, (n, nodes, nodes)

        Raises
        ------
        TypeError, ValueError
            For another dtype or no numbers, if g is the engine's.
        """
        da_dz: NDArray[Any] = (
            self._functions[1](z) if self._functions else _core.activation_derivative(self._name, z)
        )
        return da_dz

    def __deepcopy__(self, memo: dict[int, Any]) -> Activation:
        return self  # it never changes; and a C function has no copy

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"Activation({self._name!r})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Activation)
            and self._name == other._name
            and self._functions == other._functions
        )

    def __hash__(self) -> int:
        return hash(self._name)


def activation_setup(activation: Activation) -> str | tuple[Callable[..., Any] | int, ...]:
    """What the engine takes for an activation: a name, or g and g_prime."""
    functions = activation._functions
    return tuple(map(for_engine, functions)) if functions else activation._name


def own_name(name: str | None, function: object, taken: tuple[str, ...]) -> str:
    """The name of a function of the user's: the one given, or its own, or "custom"."""
    if name is None:
        name = str(getattr(function, "__name__", "custom")).strip("<>")
        return "custom" if name in taken else name
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, got {type(name).__name__}")
    if name in taken:
        raise ValueError(f"{name!r} is the name of one of the engine's functions; give yours another")
    return name
