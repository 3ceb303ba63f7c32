"""Update rules: what a step does with the gradient. The arithmetic is in the engine.

All follow the optimizers of the same names in PyTorch, with g the gradient of C over the batch, averaged
over its samples. Weight decay applies to weights and biases alike, as it does there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from backprop import _core
from backprop._attributes import KnownAttributes
from backprop._validate import fraction, not_negative, positive

if TYPE_CHECKING:
    from backprop._types import Rate


class Optimizer(KnownAttributes, _core.Optimizer):
    """What all optimizers have in common; make one of `SGD`, `Adam`, `AdamW`, `RMSprop`.

    Every optimizer takes, besides the settings of its own,

    lr : float or callable
        The learning rate, > 0, or a schedule: one of `backprop.schedules`, or any callable that is given
        the number of steps done and returns the rate of the next one, ≥ 0. ``optimizer.lr = ...`` changes
        it between calls and in callbacks.
    clip_norm : float, optional
        Scales the whole gradient down to this 2-norm where it is larger, before the rule and its weight
        decay see it, as ``torch.nn.utils.clip_grad_norm_`` does.
    clip_value : float, optional
        Holds every entry of the gradient within ±clip_value instead. At most one of the two.

    ``optimizer.state`` is a tuple of what the rule remembers, each (parameters,) in the order of
    `Network.parameters`, and ``optimizer.steps`` the steps done. State belongs to the network first
    stepped; one of another layout is refused with a ValueError.
    """

    remedies: ClassVar[dict[str, str]] = {
        "learning_rate": "the learning rate is optimizer.lr",
        "clip_norm": "it is fixed; give it to a new optimizer, such as SGD(0.1, clip_norm=...)",
        "clip_value": "it is fixed; give it to a new optimizer, such as SGD(0.1, clip_value=...)",
    }

    def _start(
        self,
        kind: str,
        lr: Rate,
        settings: dict[str, Any],
        clip_norm: float | None,
        clip_value: float | None,
        **engine: float,
    ) -> None:
        """Checks what all have in common, and sets the engine up: with `engine`, the rest being checked."""
        lr = lr if callable(lr) else positive("lr", lr)
        clips = {"clip_norm": clip_norm, "clip_value": clip_value}
        limits = {name: positive(name, value) for name, value in clips.items() if value is not None}
        if len(limits) > 1:
            raise ValueError(f"at most one of clip_norm and clip_value, got {clip_norm} and {clip_value}")
        self._settings = {**settings, **limits}
        self._engine = kind, {**engine, **limits}
        self._setup(kind, **engine, **limits)
        self.lr = lr

    def __getstate__(self) -> dict[str, Any]:
        return {
            "attributes": self.__dict__.copy(),
            "lr": self.lr,
            "steps": self.steps,
            "state": tuple(array.copy() for array in self.state),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state["attributes"])
        kind, settings = self._engine
        self._setup(kind, **settings)
        self.lr = state["lr"]
        self.steps = state["steps"]
        self._set_state(state["state"])

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments that make an optimizer with these settings, lr as it is now; no state."""
        return {"lr": self.lr, **self._settings}

    @property
    def weight_decay(self) -> float:
        """What share of a parameter is added to its gradient, or for AdamW taken off it; fixed."""
        weight_decay: float = self._settings["weight_decay"]
        return weight_decay

    def __repr__(self) -> str:
        lr = f"{self.lr:g}" if isinstance(self.lr, float) else repr(self.lr)
        rest = (f", {name}={value!r}" for name, value in self.settings.items() if name != "lr")
        return f"{type(self).__name__}({lr}{''.join(rest)})"


class SGD(Optimizer):
    """Stochastic gradient descent.

    The update rule is that of ``torch.optim.SGD``::

        g ← g + weight_decay · w
        v ← momentum · v + g                  (v = g at the first step)
        w ← w − lr · g                        without momentum
        w ← w − lr · v                        with momentum
        w ← w − lr · (g + momentum · v)       with Nesterov momentum

    Parameters
    ----------
    lr : float or callable
        The learning rate, > 0, or a schedule; see `Optimizer`.
    momentum : float
        0 ≤ momentum < 1.
    nesterov : bool
        Needs a momentum > 0.
    weight_decay : float
        ≥ 0.
    clip_norm, clip_value : float, optional
        Bounds of the gradient; see `Optimizer`.

    Raises
    ------
    ValueError, TypeError
        If a setting makes no sense.
    """

    def __init__(
        self,
        lr: Rate,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        settings = {
            "momentum": fraction("momentum", momentum),
            "nesterov": bool(nesterov),
            "weight_decay": not_negative("weight_decay", weight_decay),
        }
        if nesterov and settings["momentum"] == 0:
            raise ValueError("nesterov=True needs a momentum greater than 0, got 0")
        self._start("sgd", lr, settings, clip_norm, clip_value, **settings)

    @property
    def momentum(self) -> float:
        """The share of the last velocity that is kept; fixed."""
        momentum: float = self._settings["momentum"]
        return momentum

    @property
    def nesterov(self) -> bool:
        """Whether the momentum is Nesterov's; fixed."""
        nesterov: bool = self._settings["nesterov"]
        return nesterov


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, arXiv:1412.6980).

    The update rule is that of ``torch.optim.Adam``. In step t::

        g ← g + weight_decay · w
        m ← β₁ m + (1 − β₁) g
        v ← β₂ v + (1 − β₂) g²
        w ← w − lr · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + eps)

    Parameters
    ----------
    lr : float or callable
        The learning rate, > 0, or a schedule; see `Optimizer`.
    betas : (float, float)
        β₁ and β₂, each 0 ≤ β < 1.
    eps : float
        > 0, also in the dtype of the network.
    weight_decay : float
        ≥ 0.
    clip_norm, clip_value : float, optional
        Bounds of the gradient; see `Optimizer`.

    Raises
    ------
    ValueError, TypeError
        If a setting makes no sense.
    """

    _kind = "adam"

    def __init__(
        self,
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"betas must be a pair of numbers, got {betas!r}")
        settings = {
            "betas": (fraction("the first of betas", betas[0]), fraction("the second of betas", betas[1])),
            "eps": positive("eps", eps),
            "weight_decay": not_negative("weight_decay", weight_decay),
        }
        self._start(
            self._kind,
            lr,
            settings,
            clip_norm,
            clip_value,
            beta_1=betas[0],
            beta_2=betas[1],
            epsilon=eps,
            weight_decay=weight_decay,
        )

    @property
    def betas(self) -> tuple[float, float]:
        """β₁ and β₂; fixed."""
        betas: tuple[float, float] = self._settings["betas"]
        return betas

    @property
    def eps(self) -> float:
        """What is added to the denominator; fixed."""
        eps: float = self._settings["eps"]
        return eps


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101), as in
    ``torch.optim.AdamW``: not g ← g + weight_decay · w, but first w ← w − lr · weight_decay · w.

    Parameters
    ----------
    lr, betas, eps, weight_decay, clip_norm, clip_value
        As for `Adam`.

    Raises
    ------
    ValueError, TypeError
        If a setting makes no sense.
    """

    _kind = "adamw"

    def __init__(
        self,
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay, clip_norm=clip_norm, clip_value=clip_value)


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012).

    The update rule is that of ``torch.optim.RMSprop``::

        g ← g + weight_decay · w
        v ← alpha · v + (1 − alpha) g²
        w ← w − lr · g / (√v + eps)                           without momentum
        b ← momentum · b + g / (√v + eps);  w ← w − lr · b    with momentum

    Parameters
    ----------
    lr : float or callable
        The learning rate, > 0, or a schedule; see `Optimizer`.
    alpha : float
        0 ≤ alpha < 1.
    eps : float
        > 0, also in the dtype of the network.
    momentum : float
        0 ≤ momentum < 1.
    weight_decay : float
        ≥ 0.
    clip_norm, clip_value : float, optional
        Bounds of the gradient; see `Optimizer`.

    Raises
    ------
    ValueError, TypeError
        If a setting makes no sense.
    """

    def __init__(
        self,
        lr: Rate = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        settings = {
            "alpha": fraction("alpha", alpha),
            "eps": positive("eps", eps),
            "momentum": fraction("momentum", momentum),
            "weight_decay": not_negative("weight_decay", weight_decay),
        }
        self._start(
            "rmsprop",
            lr,
            settings,
            clip_norm,
            clip_value,
            beta_2=alpha,
            epsilon=eps,
            momentum=momentum,
            weight_decay=weight_decay,
        )

    @property
    def alpha(self) -> float:
        """The share of the mean square that is kept; fixed."""
        alpha: float = self._settings["alpha"]
        return alpha

    @property
    def eps(self) -> float:
        """What is added to the denominator; fixed."""
        eps: float = self._settings["eps"]
        return eps

    @property
    def momentum(self) -> float:
        """The share of the last move that is kept; fixed."""
        momentum: float = self._settings["momentum"]
        return momentum

