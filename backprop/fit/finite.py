"""NaN and infinity in data, named by array and place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._sparse import is_sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBERS_AT_A_TIME = 1 << 18


def check_finite(what: str, array: Any, mask: NDArray[Any] | None = None) -> None:
    """Raises a ValueError that names the first entry which is NaN or infinite, but where mask is False; of an
    array, or of a sparse matrix in compressed rows.
    """
    if is_sparse(array):
        _check_nonzeros(what, array)
        return
    if array.dtype.kind != "f" or (array.ndim == 0 and np.isfinite(array)):
        return
    if array.size <= NUMBERS_AT_A_TIME and np.count_nonzero(np.isfinite(array)) == array.size:
        return
    rows = array if array.ndim > 0 else array[np.newaxis]
    masks = mask if mask is not None and mask.shape == array.shape and mask.dtype == np.bool_ else None
    together = max(1, NUMBERS_AT_A_TIME // max(1, rows[:1].size))
    for first in range(0, len(rows), together):
        finite = np.isfinite(rows[first : first + together])
        if masks is not None:
            finite |= ~masks[first : first + together]
        if np.count_nonzero(finite) < finite.size:
            place = np.argwhere(~finite)[0]
            place[0] += first
            raise ValueError(
                f"{what} must be finite, but {what}[{', '.join(map(str, place))}] is {rows[tuple(place)]}"
            )


def _check_nonzeros(what: str, x: Any) -> None:
    for first in range(0, x.data.size, NUMBERS_AT_A_TIME):
        finite = np.isfinite(x.data[first : first + NUMBERS_AT_A_TIME])
        if np.count_nonzero(finite) < finite.size:
            i = first + int(finite.argmin())
            row = int(np.searchsorted(x.indptr, i, side="right")) - 1
            place = f"{row}, {x.indices[i]}" if x.ndim > 1 else f"{x.indices[i]}"
            raise ValueError(f"{what} must be finite, but {what}[{place}] is {x.data[i]}")
