"""Optimizers that look at all samples before they move: `LBFGS` and `LevenbergMarquardt`.

Where descent ends at two or three digits of an exact fit, they go on to the last: for curves, calibrations
and dynamic systems. ``net.fit(x, y, LBFGS(), epochs=500)`` does at most 500 iterations; C, with penalties,
never rises from one to the next. The arithmetic is in the engine.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from backprop import _core
from backprop._attributes import KnownAttributes
from backprop._validate import flag, not_negative, positive, whole_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    States = tuple[NDArray[np.float64], ...]


class WholeBatch(KnownAttributes):
    """What `LBFGS` and `LevenbergMarquardt` have in common; make one of those.

    Each takes

    gradient_tolerance : float
        Training ends where no entry of ∂C/∂w is larger, ≥ 0; ``history.stopped`` is then "gradient".

    ``optimizer.state`` is a tuple of what it remembers, and ``optimizer.steps`` counts the iterations done.
    """

    remedies: ClassVar[dict[str, str]] = {"lr": "a whole-batch optimizer finds how far to step itself"}

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._state: States = ()
        self._steps = 0  # while there is no state

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments that make an optimizer with these settings; no state."""
        return dict(self._settings)

    @property
    def state(self) -> tuple[NDArray[np.float64], ...]:
        """What it remembers, as arrays of float64; empty before the first iteration."""
        return self._state

    @property
    def steps(self) -> int:
        """Iterations done so far."""
        return int(self._state[-1][-1]) if self._state else self._steps

    @steps.setter
    def steps(self, steps: int) -> None:
        self._steps = whole_number("steps", steps, 0)
        if self._state:
            self._state[-1][-1] = steps

    @property
    def gradient_tolerance(self) -> float:
        """The largest entry of the gradient at which training ends; fixed."""
        tolerance: float = self._settings["gradient_tolerance"]
        return tolerance

    def state_shapes(self, parameters: int, layers: int, inputs: int) -> tuple[tuple[int, ...], ...]:
        """The shapes of `state`, once it is not empty, for a network of this size.

        Parameters
        ----------
        parameters, layers, inputs : int

        Returns
        -------
        tuple of shapes
        """
        raise NotImplementedError

    def _set_state(self, state: tuple[NDArray[Any], ...]) -> None:
        for array in state:
            if array.dtype != np.float64 or not np.isfinite(array).all():
                raise ValueError("the state of a whole-batch optimizer must be finite numbers of float64")
        if state and state[-1][-1] != self._steps:
            raise ValueError(f"the state is that after {state[-1][-1]:g} steps, but {self._steps} were done")
        self._state = tuple(np.array(array, order="C") for array in state)

    def ready(self, parameters: int, layers: int, inputs: int) -> None:
        """Makes the state, if there is none.

        Parameters
        ----------
        parameters, layers, inputs : int
            How many the network has.

        Raises
        ------
        MemoryError
            If there is none for it.
        """
        shapes = self.state_shapes(parameters, layers, inputs)
        if not self._state:
            state = tuple(np.zeros(shape) for shape in shapes)
            state[-1][-1] = self._steps
            self._state = state
        elif tuple(array.shape for array in self._state) != shapes:
            raise ValueError(
                f"this optimizer's state belongs to another network than one of {parameters} parameters "
                f"in {layers} layers: make a new optimizer for it"
            )

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self._settings.items())
        return f"{type(self).__name__}({settings})"


class LBFGS(WholeBatch):
    """Limited-memory BFGS (Nocedal 1980) with a line search for the strong Wolfe conditions (Moré and
    Thuente 1994), for any network and any loss.

    The direction is −H ∂C/∂w, where H follows from the last moves s of the parameters and changes y of the
    gradient by the two-loop recursion. A step satisfies C(step) ≤ C(0) + 1e-4 · step · C'(0) and
    |C'(step)| ≤ 0.9 |C'(0)|, C' being the slope along the direction.

    Parameters
    ----------
    memory : int
        How many pairs (s, y) to keep; ≥ 1. They take memory · 2 · parameters · 8 bytes.
    gradient_tolerance : float
        Training ends where no entry of ∂C/∂w is larger; ≥ 0.

    Raises
    ------
    ValueError, TypeError
        If a setting makes no sense.
    """

    def __init__(self, memory: int = 50, *, gradient_tolerance: float = 1e-12) -> None:
        super().__init__(
            {
                "memory": whole_number("memory", memory),
                "gradient_tolerance": not_negative("gradient_tolerance", gradient_tolerance),
            }
        )

    @property
    def memory(self) -> int:
        """How many pairs it keeps; fixed."""
        memory: int = self._settings["memory"]
        return memory

    def state_shapes(self, parameters: int, layers: int, inputs: int) -> tuple[tuple[int, ...], ...]:
        """Of the pairs, (memory, 2, parameters); then of their count, the next one's place, and ``steps``.

        Parameters
        ----------
        parameters, layers, inputs : int

        Returns
        -------
        tuple of shapes
        """
        return (self.memory, 2, parameters), (3,)

    def _set_state(self, state: tuple[NDArray[Any], ...]) -> None:
        if state:
            count, place, _ = state[1].tolist()
            if not (count in range(self.memory + 1) and place in range(self.memory)):
                raise ValueError(f"the state of LBFGS has {count} pairs and goes on at {place}")
        super()._set_state(state)


class LevenbergMarquardt(WholeBatch):
    """Levenberg-Marquardt with geodesic acceleration (Transtrum and Sethna 2012, arXiv:1201.5885), for
    the losses "squared_error" and "mean_squared_error" and some thousands of parameters.

    With r the residuals a − y, each times √w for a sample weight w, J = ∂r/∂w and D the penalties, a step
    v + a is

        (JᵀJ + D + μI) v = −(Jᵀr + Dw)        (JᵀJ + D + μI) 2a = −Jᵀr''

    where r'' is the exact second derivative of r along v. One that does not lower C, or whose acceleration
    is longer than 3/8 of v, is refused: μ doubles, until a step is taken; then μ falls to a third. It works
    in float64 whatever the network's dtype; a float32 network's parameters are rounded after every step,
    and C is compared there.

    Parameters
    ----------
    damping : float, optional
        The first μ, > 0; by default 1e-3 of the largest entry on the diagonal of JᵀJ.
    acceleration : bool, optional
        Whether to use it; by default where the network has second derivatives: no softmax, and no
        activation of the user's.
    bayesian : bool
        Bayesian regularization (MacKay 1992, 1994): penalties λ w² are added to Σ r², and λ follows from the
        data, by their evidence ln p(y). First all weights have one, which falls until the evidence has not
        risen for some; then those of each input, of each other layer and the biases of each layer have their
        own, so that inputs that mean nothing lose their weights. Training ends with the better of the two,
        some hundreds of iterations later. It needs no validation data, and reports how many parameters the
        data determine, the relevance of inputs, and the evidence, by which starts, sizes and activations can
        be compared. x and y are to be standardized. Σ r² with the penalties never rises for the λ of a step;
        C may when one grows, or where training goes back to better weights.
    gradient_tolerance : float
        Training ends where no entry of ∂C/∂w is larger; ≥ 0.

    Raises
    ------
    ValueError, TypeError
        If a setting makes no sense.
    """

    def __init__(
        self,
        damping: float | None = None,
        *,
        acceleration: bool | None = None,
        bayesian: bool = False,
        gradient_tolerance: float = 1e-12,
    ) -> None:
        super().__init__(
            {
                "damping": None if damping is None else positive("damping", damping),
                "acceleration": None if acceleration is None else flag("acceleration", acceleration),
                "bayesian": flag("bayesian", bayesian),
                "gradient_tolerance": not_negative("gradient_tolerance", gradient_tolerance),
            }
        )

    @property
    def acceleration(self) -> bool | None:
        """Whether steps are accelerated; None for where it can be. Fixed."""
        acceleration: bool | None = self._settings["acceleration"]
        return acceleration

    @property
    def bayesian(self) -> bool:
        """Whether the penalty follows from the data; fixed."""
        bayesian: bool = self._settings["bayesian"]
        return bayesian

    @property
    def damping(self) -> float | None:
        """μ of the next step; None before the first where it follows from the data."""
        if self._state:
            return float(self._state[-1][0])
        damping: float | None = self._settings["damping"]
        return damping

    @property
    def penalties(self) -> tuple[float, ...]:
        """λ of each layer's weights, beside Σ r²; empty before the first iteration and without `bayesian`.

        Of the first layer it is that of the most relevant input's. It is 0 where no weight moves.
        """
        of_inputs, of_layers, _ = self._penalties()
        least = min((rate for rate in of_inputs if rate > 0), default=0.0)
        return tuple([least, *of_layers] if of_inputs else [])

    @property
    def bias_penalties(self) -> tuple[float, ...]:
        """λ of each layer's biases, likewise; 0 for the last layer's, which have none."""
        return tuple(self._penalties()[2])

    @property
    def relevance(self) -> NDArray[np.float64]:
        """The prior variance of each input's weights beside the largest, (inputs,); empty where `penalties`
        is.

        It is the first of `penalties` / λ, between 0 and 1: 1 for all where they have one λ, next to 0 where
        y does not depend on the input, as far as the data say, and 0 where no weight of it moves.
        """
        least = min(self.penalties[:1], default=0.0)
        return np.array([least / rate if rate > 0 else 0.0 for rate in self._penalties()[0]])

    def _penalties(self) -> tuple[list[float], list[float], list[float]]:
        """λ of the inputs' weights, of the other layers' weights, and of biases."""
        layers = int(self._number("layers"))
        if layers == 0:  # before the first iteration
            return [], [], []
        every: list[float] = self._state[1][0].tolist()
        inputs = len(every) - 2 * layers + 1
        return every[:inputs], every[inputs:-layers], every[-layers:]

    @property
    def effective_parameters(self) -> float:
        """γ, how many parameters the data determine; NaN before λ is found anew once, and without it."""
        return self._number("effective") or math.nan

    @property
    def log_evidence(self) -> float:
        """ln p(y), y in the units of the network's outputs, of what the last λ followed from; NaN before.

        Of several fits of the same data the one with the largest is the most probable.
        """
        return self._number("log_evidence") or math.nan

    def _number(self, name: str) -> float:
        """Of a Bayesian state; 0 where there is none."""
        known = bool(self._state and self.bayesian)
        return float(self._state[-1][_core.bayesian_numbers.index(name)]) if known else 0.0

    def state_shapes(self, parameters: int, layers: int, inputs: int) -> tuple[tuple[int, ...], ...]:
        """Of μ of the next step and ``steps``. Bayesian: of the best parameters; of the λ and those of the
        best parameters, (2, groups); of μ, γ, ln p(y), and where it stands, then ``steps``.

        Parameters
        ----------
        parameters, layers, inputs : int

        Returns
        -------
        tuple of shapes
        """
        if not self.bayesian:
            return ((2,),)
        return (parameters,), (2, inputs + 2 * layers - 1), (len(_core.bayesian_numbers),)

    def _set_state(self, state: tuple[NDArray[Any], ...]) -> None:
        if state:
            _check_numbers(state, self.bayesian)
        super()._set_state(state)

    def ready(self, parameters: int, layers: int, inputs: int) -> None:
        fresh = not self._state
        super().ready(parameters, layers, inputs)
        if fresh:
            self._state[-1][0] = self._settings["damping"] or 0.0  # 0: from the first J


def _check_numbers(state: tuple[NDArray[Any], ...], bayesian: bool) -> None:
    if not bayesian:
        possible = bool((state[-1] >= 0).all())
    else:
        numbers = dict(zip(_core.bayesian_numbers, state[-1].tolist(), strict=True))
        stage, layers = numbers["stage"], numbers["layers"]
        counts = (numbers[name] for name in ("damping", "effective", "waited", "kept_effective"))
        possible = min(counts) >= 0 and stage in range(4)
        possible = possible and layers in range(state[1].shape[-1] // 2 + 1) and (layers > 0) == (stage > 0)
        possible = possible and bool((state[1] >= 0).all())
    if not possible:
        raise ValueError(f"the state of LevenbergMarquardt is {state}, which it cannot be")
