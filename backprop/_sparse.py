"""Matrices of scipy.sparse, without importing it: who passes one has done so. The engine reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import _core

if TYPE_CHECKING:
    from numpy.typing import NDArray

is_sparse = _core.is_sparse


def as_rows(what: str, value: object) -> Any:
    """`value` as samples: of a matrix of scipy.sparse, one in compressed rows whose columns rise, checked;
    else an array. Itself where it is that already.
    """
    return _core.as_rows(what, value)


def rows_between(x: Any, first: int, last: int) -> Any:
    """Rows first ... last - 1 of samples, on the same numbers."""
    if not is_sparse(x):
        return x[first:last]
    begin, end = x.indptr[first], x.indptr[last]
    parts = x.data[begin:end], x.indices[begin:end], x.indptr[first : last + 1] - begin
    return type(x)(parts, shape=(last - first, x.shape[1]), copy=False)


def numbers_of(x: Any) -> NDArray[Any]:
    """The numbers that lie in memory: an array itself, or a sparse matrix's non-zeros."""
    numbers: NDArray[Any] = x.data if is_sparse(x) else x
    return numbers


def density_of(x: Any) -> float:
    """How many of x's numbers there are: of each sample's, on average, from 0 to 1; 1 for an array."""
    if not is_sparse(x):
        return 1.0
    return float(numbers_of(x).size / max(1, np.prod(x.shape, dtype=np.float64)))
