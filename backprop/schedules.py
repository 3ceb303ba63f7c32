"""Learning rates that change while training: what an optimizer takes as its ``lr``.

A schedule is any callable that is given the number of steps done so far, from 0, and returns the rate of
the next step, a finite number ≥ 0. Steps are counted by the optimizer, over all calls of fit, so that a
training that goes on follows the schedule on. An epoch has ⌈n / batch_size⌉ steps. Those of this module
can also be called with an array of step numbers.

>>> net.fit(x, y, bp.SGD(bp.schedules.Cosine(0.5, steps=1000), momentum=0.9), epochs=10)
>>> net.fit(x, y, bp.Adam(lambda step: 1e-3 / (1 + step / 500)), epochs=10)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from backprop._figures import improves
from backprop._validate import finite_number, not_negative, positive, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from backprop._types import Rate


STEPS_AT_A_TIME = 1 << 18
MOST_STEPS = 2**53


class Schedule:
    """What the schedules have in common. A subclass fills ``_settings`` and defines ``_rates``."""

    _settings: Mapping[str, Any]

    @overload
    def __call__(self, step: int) -> float: ...
    @overload
    def __call__(self, step: NDArray[Any]) -> NDArray[np.float64]: ...
    def __call__(self, step: int | NDArray[Any]) -> float | NDArray[np.float64]:
        """The rate of the step after `step` steps, or, for an array, of each of those steps."""
        # Always through an array: NumPy's functions of a single number may round otherwise.
        rates = self._rates(np.array(step, np.float64, ndmin=1))
        return rates if isinstance(step, np.ndarray) else float(rates[0])

    def _rates(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        raise NotImplementedError

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments that make an equal schedule."""
        return dict(self._settings)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._settings.items())})"


class Step(Schedule):
    """lr, multiplied by factor after every `every` steps: lr · factor^⌊step / every⌋.

    Parameters
    ----------
    lr : float
        The first rate, > 0.
    every : int
        Steps between two changes, ≥ 1.
    factor : float
        > 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is not a number, or makes no sense.
    """

    def __init__(self, lr: float, every: int, factor: float = 0.1) -> None:
        self._settings = {
            "lr": positive("lr", lr),
            "every": _steps("every", every),
            "factor": positive("factor", factor),
        }

    def _rates(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        s = self._settings
        return np.asarray(s["lr"] * s["factor"] ** np.floor(step / s["every"]))


class Exponential(Schedule):
    """lr · factor^step, a constant factor from each step to the next.

    Parameters
    ----------
    lr : float
        The first rate, > 0.
    factor : float
        > 0; 0.999 halves the rate every 693 steps.

    Raises
    ------
    TypeError, ValueError
        If a setting is not a number, or makes no sense.
    """

    def __init__(self, lr: float, factor: float) -> None:
        self._settings = {"lr": positive("lr", lr), "factor": positive("factor", factor)}

    def _rates(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self._settings["lr"] * self._settings["factor"] ** step)


class Cosine(Schedule):
    """Half a cosine from lr down to `last` within some steps, and `last` from then on.

    last + (lr − last) (1 + cos(π step / steps)) / 2: Loshchilov and Hutter 2017, arXiv:1608.03983,
    without restarts.

    Parameters
    ----------
    lr : float
        The first rate, > 0.
    steps : int
        ≥ 1.
    last : float
        The last rate, ≥ 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is not a number, or makes no sense.
    """

    def __init__(self, lr: float, steps: int, last: float = 0.0) -> None:
        self._settings = {
            "lr": positive("lr", lr),
            "steps": _steps("steps", steps),
            "last": not_negative("last", last),
        }

    def _rates(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        s = self._settings
        return _half_cosine(s["lr"], s["last"], step / s["steps"])


class WarmUp(Schedule):
    """A rise over the first steps, then another schedule or a constant rate.

    In the first `steps` steps the rate is (step + 1) / (steps + 1) of the first rate of `after`; then
    `after` takes over, counting from its own step 0. A `ReduceOnPlateau` watches from the first epoch on.

    Parameters
    ----------
    after : float or callable
        A rate > 0, or a schedule.
    steps : int
        ≥ 1.

    Raises
    ------
    TypeError, ValueError
        If a setting is not a number, or makes no sense.
    """

    def __init__(self, after: Rate, steps: int) -> None:
        self._settings = {
            "after": after if callable(after) else positive("after", after),
            "steps": _steps("steps", steps),
        }

    def _rates(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        after, steps = self._settings["after"], self._settings["steps"]
        rates, first = np.full(step.shape, after if not callable(after) else 0.0), after
        if callable(after):  # asked once for all: asked twice, nested warm-ups would double the work each
            later = np.maximum(step - steps, 0).astype(np.int64)
            asked = _each(after, np.concatenate([[0], later.ravel()]))
            first, rates = asked[0], asked[1:].reshape(step.shape)
        return np.where(step < steps, first * (step + 1) / (steps + 1), rates)


class OneCycle(Schedule):
    """Up to the highest rate and down again, both along half a cosine, as ``OneCycleLR`` of PyTorch does.

    From highest / start_divisor in step 0 to `highest` in step rise · steps − 1, and from there to
    highest / (start_divisor · end_divisor) in step steps − 1; then constant. Smith and Topin 2018,
    arXiv:1708.07120, with cosines.

    Parameters
    ----------
    highest : float
        > 0.
    steps : int
        Of the whole cycle, ≥ 2.
    rise : float
        0 < rise < 1; rise · steps > 1.
    start_divisor, end_divisor : float
        ≥ 1.

    Raises
    ------
    TypeError, ValueError
        If a setting is not a number, or makes no sense.
    """

    def __init__(
        self,
        highest: float,
        steps: int,
        rise: float = 0.3,
        start_divisor: float = 25.0,
        end_divisor: float = 1e4,
    ) -> None:
        self._settings = {
            "highest": positive("highest", highest),
            "steps": _steps("steps", steps, least=2),
            "rise": finite_number("rise", rise),
            "start_divisor": finite_number("start_divisor", start_divisor),
            "end_divisor": finite_number("end_divisor", end_divisor),
        }
        if not 0 < rise < 1:
            raise ValueError(f"rise must be greater than 0 and less than 1, got {rise}")
        if rise * steps <= 1:
            raise ValueError(f"rise must be more than one step, got {rise} of {steps} steps")
        for name in ("start_divisor", "end_divisor"):
            if self._settings[name] < 1:
                raise ValueError(f"{name} must be at least 1, got {self._settings[name]}")

    def _rates(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        s = self._settings
        top, peak = s["highest"], s["rise"] * s["steps"] - 1
        first = top / s["start_divisor"]
        up = _half_cosine(first, top, step / peak)
        down = _half_cosine(top, first / s["end_divisor"], (step - peak) / (s["steps"] - 1 - peak))
        return np.where(step < peak, up, down)


class ReduceOnPlateau(Schedule):
    """A rate that is multiplied by a factor whenever a figure has not improved for some epochs.

    fit shows it every epoch's figures. What it has learned stays with it, so that a training that goes
    on goes on with the rate it had.

    Parameters
    ----------
    lr : float
        The first rate, > 0.
    monitor : str
        A key of `History`. Accuracies improve upwards, all others downwards.
    factor : float
        0 < factor < 1.
    patience : int
        How many epochs in a row may bring no improvement before the rate is reduced; ≥ 0.
    min_delta : float
        By how much a better value must be better, ≥ 0.
    lowest : float
        The rate is never reduced below it; ≥ 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is not a number, or makes no sense.
    """

    def __init__(
        self,
        lr: float,
        monitor: str = "validation_loss",
        *,
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 0.0,
        lowest: float = 0.0,
    ) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be a key of the history, got {monitor!r}")
        self._settings = {
            "lr": positive("lr", lr),
            "monitor": monitor,
            "factor": finite_number("factor", factor),
            "patience": _steps("patience", patience, least=0),
            "min_delta": not_negative("min_delta", min_delta),
            "lowest": not_negative("lowest", lowest),
        }
        if not 0 < factor < 1:
            raise ValueError(f"factor must be greater than 0 and less than 1, got {factor}")
        self.lr: float = self._settings["lr"]  #: the rate now
        self.best: float | None = None  #: the best value so far
        self.waited = 0  #: epochs since then, or since the last reduction

    def _rates(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.full(step.shape, self.lr)

    def start(self, quantities: Sequence[str]) -> None:
        """Raises a ValueError if fit does not measure what this watches."""
        if self._settings["monitor"] not in quantities:
            raise ValueError(
                f"ReduceOnPlateau watches {self._settings['monitor']!r}, but this fit measures only "
                f"{', '.join(quantities)}"
            )

    def observe(self, record: Mapping[str, float]) -> None:
        """Learns an epoch's figures, and reduces the rate if it is time to."""
        s = self._settings
        value = record[s["monitor"]]
        if self.best is None or improves(s["monitor"], value, self.best, s["min_delta"]):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited > s["patience"]:
            self.lr, self.waited = min(self.lr, max(self.lr * s["factor"], s["lowest"])), 0


def plateau_of(rate: Rate) -> ReduceOnPlateau | None:
    """The `ReduceOnPlateau` that a rate is, alone or after warm-ups.

    Parameters
    ----------
    rate : float or callable

    Returns
    -------
    ReduceOnPlateau or None
    """
    while isinstance(rate, WarmUp):
        rate = rate.settings["after"]
    return rate if isinstance(rate, ReduceOnPlateau) else None


def rates(schedule: Callable[[int], float], first: int, count: int) -> NDArray[np.float64]:
    """The rates of `count` steps after `first` steps, from any callable.

    Parameters
    ----------
    schedule : callable
        Given the number of steps done, it returns the rate of the next one.
    first, count : int

    Returns
    -------
    ndarray of float64, (count,)

    Raises
    ------
    ValueError, TypeError
        If it returns anything but finite numbers ≥ 0.
    """
    values = np.empty(count)
    for begin in range(0, count, STEPS_AT_A_TIME):
        steps = np.arange(first + begin, first + min(begin + STEPS_AT_A_TIME, count))
        some = values[begin : begin + len(steps)]
        some[:] = _each(schedule, steps)
        wrong = ~(np.isfinite(some) & (some >= 0))
        if wrong.any():
            i = int(np.argmax(wrong))
            raise ValueError(
                f"a schedule must return finite rates of at least 0, but gave {some[i]} for step {steps[i]}"
            )
    return values


def _each(schedule: Callable[[int], float], steps: NDArray[np.int64]) -> NDArray[np.float64]:
    if isinstance(schedule, Schedule):
        return schedule(steps)
    return np.array([float(schedule(step)) for step in steps.ravel().tolist()]).reshape(steps.shape)


def _steps(what: str, value: object, least: int = 1) -> int:
    """A number of steps or epochs, which a float64 and an int64 can hold."""
    steps = whole_number(what, value, least)
    if steps > MOST_STEPS:
        raise ValueError(f"{what} must be at most {MOST_STEPS}, got a number of {steps.bit_length()} bits")
    return steps


def _half_cosine(first: float, last: float, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """From first, where share is 0, to last, where it is 1 or more."""
    turn = np.cos(math.pi * np.clip(share, 0, 1))
    return np.asarray(last + (first - last) * (1 + turn) / 2)

