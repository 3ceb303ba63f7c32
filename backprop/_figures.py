"""Which figures of a training are better when they are larger: accuracies. All others should fall."""

from __future__ import annotations

import math


def worst(figure: str) -> float:
    """The value that every other one improves on: -inf for an accuracy, inf for the rest."""
    return -math.inf if figure.endswith("accuracy") else math.inf


def improves(figure: str, value: float, best: float, by: float = 0.0) -> bool:
    """Whether `value` is better than `best` by more than `by`; never true of NaN."""
    gain = value - best if figure.endswith("accuracy") else best - value
    return gain > by
