"""The figures that fit measures itself, and which of all figures are better when they are larger: accuracies,
R², and the user's own metrics, which are scores unless the user says otherwise."""

from __future__ import annotations

import math

UPWARDS = ("accuracy", "r2", "log_evidence")
DOWNWARDS = (
    "loss", "lr", "seconds", "weight_norm", "gradient_norm", "damping", "step", "evaluations",
    "effective_parameters",
)  # fmt: skip
VALIDATION = "validation_"
MODES = ("auto", "min", "max")


def is_own(figure: str) -> bool:
    """Whether a figure is not one of fit's: one of the user's metrics."""
    return figure.removeprefix(VALIDATION) not in (*UPWARDS, *DOWNWARDS)


def rises(figure: str, mode: str = "auto") -> bool:
    """Whether a figure improves upwards; `mode` is "auto", "min" or "max"."""
    upwards = is_own(figure) or figure.removeprefix(VALIDATION) in UPWARDS
    return upwards if mode == "auto" else mode == "max"


def worst(figure: str, mode: str = "auto") -> float:
    """The value that every other one improves on: -inf for what improves upwards, inf for the rest."""
    return -math.inf if rises(figure, mode) else math.inf


def improves(figure: str, value: float, best: float, by: float = 0.0, mode: str = "auto") -> bool:
    """Whether `value` is better than `best` by more than `by`; never true of NaN."""
    gain = value - best if rises(figure, mode) else best - value
    return gain > by
