"""Update rules: what a step does with the gradient. The arithmetic is in the engine.

All follow the optimizers of the same names in PyTorch, with g the gradient of C over the batch, averaged
over its samples. Weight decay applies to weights and biases alike, as it does there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backprop._of_members import checked, numbers_of
from backprop._optimizer import Optimizer
from backprop._validate import fraction, not_negative, positive

if TYPE_CHECKING:
    from backprop._types import Number, Rates

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop"]


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
    lazy : bool
        Moves only what occurs in a batch of a sparse x; see `Optimizer`.

    Raises
    ------
    ValueError, TypeError
        If a setting makes no sense.
    """

    def __init__(
        self,
        lr: Rates,
        momentum: Number = 0.0,
        nesterov: bool = False,
        weight_decay: Number = 0.0,
        *,
        clip_norm: Number | None = None,
        clip_value: Number | None = None,
        lazy: bool = False,
    ) -> None:
        settings = {
            "momentum": checked(fraction, "momentum", momentum),
            "nesterov": bool(nesterov),
            "weight_decay": checked(not_negative, "weight_decay", weight_decay),
        }
        if nesterov and min(numbers_of(settings["momentum"])) == 0:
            raise ValueError("nesterov=True needs a momentum greater than 0, got 0")
        self._start("sgd", lr, settings, clip_norm, clip_value, lazy, **settings)

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
    lazy : bool
        Moves only what occurs in a batch of a sparse x; see `Optimizer`.

    Raises
    ------
    ValueError, TypeError
        If a setting makes no sense.
    """

    _kind = "adam"

    def __init__(
        self,
        lr: Rates = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        *,
        clip_norm: Number | None = None,
        clip_value: Number | None = None,
        lazy: bool = False,
    ) -> None:
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"betas must be a pair of numbers, got {betas!r}")
        settings: dict[str, Any] = {
            "betas": (
                checked(fraction, "the first of betas", betas[0]),
                checked(fraction, "the second of betas", betas[1]),
            ),
            "eps": checked(positive, "eps", eps),
            "weight_decay": checked(not_negative, "weight_decay", weight_decay),
        }
        self._start(
            self._kind,
            lr,
            settings,
            clip_norm,
            clip_value,
            lazy,
            beta_1=settings["betas"][0],
            beta_2=settings["betas"][1],
            epsilon=settings["eps"],
            weight_decay=settings["weight_decay"],
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
    lr, betas, eps, weight_decay, clip_norm, clip_value, lazy
        As for `Adam`.

    Raises
    ------
    ValueError, TypeError
        If a setting makes no sense.
    """

    _kind = "adamw"

    def __init__(
        self,
        lr: Rates = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0.01,
        *,
        clip_norm: Number | None = None,
        clip_value: Number | None = None,
        lazy: bool = False,
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay, clip_norm=clip_norm, clip_value=clip_value, lazy=lazy)


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
    lazy : bool
        Moves only what occurs in a batch of a sparse x; see `Optimizer`.

    Raises
    ------
    ValueError, TypeError
        If a setting makes no sense.
    """

    def __init__(
        self,
        lr: Rates = 0.01,
        alpha: Number = 0.99,
        eps: Number = 1e-8,
        momentum: Number = 0.0,
        weight_decay: Number = 0.0,
        *,
        clip_norm: Number | None = None,
        clip_value: Number | None = None,
        lazy: bool = False,
    ) -> None:
        settings = {
            "alpha": checked(fraction, "alpha", alpha),
            "eps": checked(positive, "eps", eps),
            "momentum": checked(fraction, "momentum", momentum),
            "weight_decay": checked(not_negative, "weight_decay", weight_decay),
        }
        self._start(
            "rmsprop",
            lr,
            settings,
            clip_norm,
            clip_value,
            lazy,
            beta_2=settings["alpha"],
            epsilon=settings["eps"],
            momentum=settings["momentum"],
            weight_decay=settings["weight_decay"],
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
