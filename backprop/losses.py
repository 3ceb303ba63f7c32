"""Losses C_0 of one sample: those of the engine have names, your own are a `Loss`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backprop import _core
from backprop._custom import as_function, check_loss, for_engine, summed
from backprop.activations import own_name

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Loss:
    """A loss of your own, for ``Network(..., loss=Loss(value, derivative))``.

    Parameters
    ----------
    value : function
        Given outputs a and targets y, (n, outputs) each, it returns C_0 of each sample, (n,). Or a C
        function double(double a, double y) that gives one node's part of it, which are added up; in the
        forms that `Activation` takes.
    derivative : function
        ∂C_0/∂a_j, (n, outputs); in C that of one node's part.
    name : str, optional
        What ``str()`` gives; by default value's own name.

    Raises
    ------
    ValueError
        If derivative is not the derivative of value, with a point where it is not (compared with central
        differences at outputs and targets between 0 and 1), or if either is not finite there.
    TypeError
        If an argument is of the wrong type, or a C function of another signature.

    Examples
    --------
    >>> def value(a, y):
    ...     return np.log(np.cosh(a - y)).sum(axis=1)
    >>> def derivative(a, y):
    ...     return np.tanh(a - y)
    >>> net = bp.Network.dense(2, 8, 1, output="identity", loss=bp.Loss(value, derivative, name="log_cosh"))
    """

    __slots__ = ("_derivative", "_name", "_value")

    def __init__(
        self, value: Callable[..., Any] | Any, derivative: Any, *, name: str | None = None
    ) -> None:
        self._value = as_function("value", value, 2)
        self._derivative = as_function("derivative", derivative, 2)
        self._name = own_name(name, value, _core.losses)
        check_loss(self._value, self._derivative)

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    def __call__(self, a: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        """C_0 of each sample.

        Parameters
        ----------
        a, y : ndarray, (n, outputs)
            Activation outputs and targets.

        Returns
        -------
        ndarray, (n,)

        Raises
        ------
        Exception
            Whatever the function of yours raises.
        """
        losses: NDArray[Any] = summed(self._value)(a, y)
        return losses

    def derivative(self, a: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        """∂C_0/∂a_j of each sample.

        Parameters
        ----------
        a, y : ndarray, (n, outputs)
            Activation outputs and targets.

        Returns
        -------
        ndarray, (n, outputs)

        Raises
        ------
        Exception
            Whatever the function of yours raises.
        """
        dC_da: NDArray[Any] = self._derivative(a, y)
        return dC_da

    def __deepcopy__(self, memo: dict[int, Any]) -> Loss:
        return self  # it never changes; and a C function has no copy

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"Loss({self._name!r})"


def loss_setup(loss: str | Loss) -> str | tuple[Callable[..., Any] | int, Callable[..., Any] | int]:
    """What the engine takes for a loss: a name, or value and derivative."""
    if isinstance(loss, str):
        return loss
    return for_engine(loss._value), for_engine(loss._derivative)
