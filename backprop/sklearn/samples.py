"""Which samples train, which are held out, and how the former are cut into minibatches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Samples(NamedTuple):
    """Samples x (n, features), perhaps sparse, and their targets and weights (n,), None for all 1."""

    x: Any
    y: NDArray[Any]
    weights: NDArray[Any] | None

    def of(self, rows: NDArray[np.int64]) -> Samples:
        """Copies of these rows."""
        return Samples(self.x[rows], self.y[rows], None if self.weights is None else self.weights[rows])


def hold_out(
    samples: Samples, fraction: float, stratum: NDArray[Any] | None, random: np.random.RandomState
) -> tuple[Samples, Samples]:
    """The samples to train on and the `fraction` to judge by, in equal shares of each stratum if there are
    enough for that.

    Raises
    ------
    ValueError
        If there are fewer than two samples.
    """
    n = samples.x.shape[0]
    if n < 2:
        raise ValueError(f"early_stopping needs 2 samples or more, one to hold out; got n_samples = {n}")
    held_out = min(n - 1, max(1, round(fraction * n)))
    if stratum is not None:
        counts = np.unique(stratum, return_counts=True)[1]
        if counts.min() < 2 or len(counts) > min(held_out, n - held_out):
            stratum = None
    train, rest = train_test_split(np.arange(n), test_size=held_out, random_state=random, stratify=stratum)
    return samples.of(train), samples.of(rest)


def even_batch(samples: int, most: int) -> int:
    """The largest size of minibatches up to `most` that leaves a last one of at least half that size.

    A last batch of one sample would move the weights as far as one of many does, by noise alone.
    """
    batches = -(-samples // most)
    while True:
        size = -(-samples // batches)
        last = samples - size * (-(-samples // size) - 1)
        if 2 * last >= size:
            return size
        batches += 1
