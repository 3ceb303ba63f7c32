"""Which figures of a training are better when they are larger: accuracies and R². All others should fall."""

from __future__ import annotations

import math

UPWARDS = ("accuracy", "r2")


def worst(figure: str) -> float:
    """The value that every other one improves on: -inf for an accuracy or R², inf for the rest."""
    return -math.inf if figure.endswith(UPWARDS) else math.inf


def improves(figure: str, value: float, best: float, by: float = 0.0) -> bool:
    """Whether `value` is better than `best` by more than `by`; never true of NaN."""
    gain = value - best if figure.endswith(UPWARDS) else best - value
    return gain > by
