"""Losses C_0 of one sample: those of the engine have names, your own are a `Loss`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backprop import _core
from backprop._custom import CFunction, as_function, check_loss, for_engine, summed
from backprop._validate import whole_number
from backprop.activations import Activation, own_name

if TYPE_CHECKING:
    from numpy.typing import NDArray


# For which output activations a cross-entropy has its logarithms and a lower bound.
OUTPUTS_OF = {
    "cross_entropy": ("softmax", "sigmoid"),
    "binary_cross_entropy": ("sigmoid", "softmax"),
}


class Loss:
    """A loss of your own, for ``Network(..., loss=Loss(value, derivative))``.

    Parameters
    ----------
    value : function
        Given outputs a, (n, outputs), and targets y, (n, targets), it returns C_0 of each sample, (n,). Or a
        C function double(double a, double y) that gives one node's part of it, which are added up; in the
        forms that `Activation` takes.
    derivative : function
        ∂C_0/∂a_j, (n, outputs); in C that of one node's part.
    outputs, targets : int, optional
        How many columns a and y have, where the functions count on it: 2 and 1 for a mean and a log variance
        of one target. By default y has as many as a, and there may be any number of them.
    name : str, optional
        What ``str()`` gives; by default value's own name.

    Raises
    ------
    ValueError
        If derivative is not the derivative of value, with a point where it is not: compared with central
        differences at outputs and targets between 0 and 1, where both must be finite; and at outputs about
        ±1 and ±10 with targets between 0 and 1 and of ±1, wherever value is finite. Where it is not to be
        asked for, let value be NaN. Or if a C function has other numbers of outputs and targets.
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

    __slots__ = ("_derivative", "_name", "_outputs", "_targets", "_value")

    def __init__(
        self,
        value: Callable[..., Any] | Any,
        derivative: Any,
        outputs: int | None = None,
        targets: int | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self._value = as_function("value", value, 2)
        self._derivative = as_function("derivative", derivative, 2)
        self._name = own_name(name, value, _core.losses)
        self._outputs = None if outputs is None else whole_number("outputs", outputs)
        self._targets = self._outputs if targets is None else whole_number("targets", targets)
        in_c = isinstance(self._value, CFunction) or isinstance(self._derivative, CFunction)
        if in_c and self._outputs != self._targets:
            raise ValueError("a loss in C is one node's, and has a target for each output")
        check_loss(self._value, self._derivative, self._outputs, self._targets)

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        self._outputs = self._targets = None  # of losses pickled before they had these
        for name, value in state[1].items():
            setattr(self, name, value)

    @property
    def outputs(self) -> int | None:
        """How many columns a must have, or None for any number."""
        return self._outputs

    @property
    def targets(self) -> int | None:
        """How many columns y must have, or None for as many as a."""
        return self._targets

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    def __call__(self, a: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        """C_0 of each sample.

        Parameters
        ----------
        a : ndarray, (n, outputs)
            Activation outputs.
        y : ndarray, (n, targets)
            Targets.

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
        a : ndarray, (n, outputs)
            Activation outputs.
        y : ndarray, (n, targets)
            Targets.

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


def output_for(loss: str | Loss) -> str:
    """The activation of the output layer that goes with a loss: softmax for cross-entropy, else sigmoid."""
    return "softmax" if str(loss) == "cross_entropy" else "sigmoid"


def check_output(loss: str | Loss, activation: Activation, outputs: int) -> None:
    """Raises a ValueError where no training can lower the loss of such outputs to a minimum.

    A loss of the user's own may need another number. Cross-entropies need outputs between 0 and 1: for
    others there is no logarithm, or the loss falls without end. Plain cross-entropy rewards a_j for targets
    y_j > 0 only: with a sigmoid nothing keeps the other outputs down, which is a warning, as soft targets may
    mean it so; one softmax output is always 1.
    Activations of the user's own are taken as they are.
    """
    name = str(activation)
    if isinstance(loss, Loss) and loss.outputs not in (None, outputs):
        raise ValueError(f"loss {loss} is of {loss.outputs} outputs, but the output layer has {outputs}")
    if not isinstance(loss, str) or loss not in OUTPUTS_OF or name not in _core.activations:
        return
    if name not in OUTPUTS_OF[loss]:
        raise ValueError(
            f"loss {loss!r} takes logarithms of outputs between 0 and 1, but the output layer has the "
            f"activation {name!r}; use {output_for(loss)!r} there, or the loss 'squared_error'"
        )
    if loss == "cross_entropy" and name == "softmax" and outputs == 1:
        raise ValueError(
            "loss 'cross_entropy' needs an output for each class: a single softmax output is always 1; use "
            "two outputs, or 'sigmoid' with the loss 'binary_cross_entropy'"
        )
    if loss == "cross_entropy" and name == "sigmoid":
        warnings.warn(
            "loss 'cross_entropy' with 'sigmoid' outputs is lowest where all outputs are 1; use 'softmax' "
            "for one class of several, or the loss 'binary_cross_entropy'",
            UserWarning,
            stacklevel=3,
        )


def target_count(loss: str | Loss, outputs: int) -> int:
    """How many columns y has, for a network of so many outputs."""
    return loss.targets if isinstance(loss, Loss) and loss.targets is not None else outputs


def loss_setup(loss: str | Loss) -> str | tuple[Callable[..., Any] | int, Callable[..., Any] | int, int]:
    """What the engine takes for a loss: a name, or value, derivative, and columns of y, 0 for those of a."""
    if isinstance(loss, str):
        return loss
    return for_engine(loss._value), for_engine(loss._derivative), loss.targets or 0
