"""Types that several modules annotate with; imported where types are checked only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

# What `numpy.random.default_rng` takes.
Seed = (
    int
    | Sequence[int]
    | np.random.SeedSequence
    | np.random.BitGenerator
    | np.random.Generator
    | np.random.RandomState
    | None
)


class SparseMatrix(Protocol):
    """A matrix or array of scipy.sparse."""

    @property
    def format(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def tocsr(self) -> Any: ...


# Samples: an array, or a sparse matrix.
SamplesLike = ArrayLike | SparseMatrix

# One step of an iterable that fit is given: x and y, or x, y and the weights of the samples.
Batch = tuple[SamplesLike, ArrayLike] | tuple[SamplesLike, ArrayLike, ArrayLike]

# How the products of a training are rounded.
Precision = Literal["float32", "bfloat16", "bfloat16-emulated"]

# A learning rate: a number, or a function of the number of steps done.
Rate = float | Callable[[int], float]

# A number of an optimizer: of a network or of all members of a population, or one for each member.
Number = float | Sequence[float] | NDArray[Any]

# The same of a learning rate.
Rates = Rate | Sequence[Rate] | NDArray[Any]
