"""Update rules: what a step does with the gradient. The arithmetic is in the engine."""

from __future__ import annotations

from typing import Any, ClassVar

from backprop import _core
from backprop._validate import finite_number


class Optimizer(_core.Optimizer):
    """What the update rules share: they can be copied, pickled and saved, their state included."""

    SETTINGS: ClassVar[tuple[str, ...]]  # the constructor's parameters behind lr

    @property
    def states(self) -> int:
        """How many arrays its state has once it has stepped."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments behind lr, by name."""
        return {name: getattr(self, name) for name in self.SETTINGS}

    def _configure(self) -> None:
        """Tells the engine the rule and its settings."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {
            "attributes": self.__dict__.copy(),
            "lr": self.lr,
            "steps": self.steps,
            "state": tuple(array.copy() for array in self.state),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state["attributes"])
        self._configure()
        self.lr = state["lr"]
        self.steps = state["steps"]
        self._set_state(state["state"])


class SGD(Optimizer):
    """Stochastic gradient descent, with the update rule of ``torch.optim.SGD``.

    With g the gradient of C over the batch, averaged over its samples::

        g ← g + weight_decay · w
        v ← momentum · v + g                  (v = g at the first step)
        w ← w − lr · g                        without momentum
        w ← w − lr · v                        with momentum
        w ← w − lr · (g + momentum · v)       with Nesterov momentum

    Weight decay applies to weights and biases alike, as in PyTorch.

    Parameters
    ----------
    lr : float
        The learning rate, > 0. ``optimizer.lr = ...`` changes it between calls and in callbacks.
    momentum : float
        0 ≤ momentum < 1.
    nesterov : bool
        Needs a momentum > 0.
    weight_decay : float
        ≥ 0.

    Raises
    ------
    ValueError, TypeError
        If a setting makes no sense.

    Notes
    -----
    With momentum, the velocities belong to the network first stepped; an optimizer with state refuses
    a network of another layout with a ValueError.
    """

    SETTINGS = ("momentum", "nesterov", "weight_decay")

    def __init__(
        self, lr: float, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0
    ) -> None:
        rate = finite_number("lr", lr)
        if rate <= 0:
            raise ValueError(f"lr must be greater than 0, got {lr}")
        self._momentum = finite_number("momentum", momentum)
        if not 0 <= self._momentum < 1:
            raise ValueError(f"momentum must be at least 0 and less than 1, got {momentum}")
        self._nesterov = bool(nesterov)
        if self._nesterov and self._momentum == 0:
            raise ValueError("nesterov=True needs a momentum greater than 0, got 0")
        self._weight_decay = finite_number("weight_decay", weight_decay)
        if self._weight_decay < 0:
            raise ValueError(f"weight_decay must be at least 0, got {weight_decay}")
        self._configure()
        self.lr = rate

    def _configure(self) -> None:
        self._setup("sgd", (self._momentum, float(self._nesterov), self._weight_decay))

    @property
    def states(self) -> int:
        """1, the velocities, with momentum, else 0."""
        return int(self._momentum > 0)

    @property
    def momentum(self) -> float:
        """The share of the last velocity that is kept; fixed."""
        return self._momentum

    @property
    def nesterov(self) -> bool:
        """Whether the momentum is Nesterov's; fixed."""
        return self._nesterov

    @property
    def weight_decay(self) -> float:
        """What share of a parameter is added to its gradient; fixed."""
        return self._weight_decay

    def __repr__(self) -> str:
        return (
            f"SGD({self.lr:g}, momentum={self._momentum:g}, nesterov={self._nesterov}, "
            f"weight_decay={self._weight_decay:g})"
        )


OPTIMIZERS: dict[str, type[SGD]] = {"SGD": SGD}
