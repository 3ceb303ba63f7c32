"""NaN and infinity in data, named by array and place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBERS_AT_A_TIME = 1 << 18


def check_finite(what: str, array: NDArray[Any], mask: NDArray[Any] | None = None) -> None:
    """Raises a ValueError that names the first entry which is NaN or infinite, but where mask is False."""
    if array.dtype.kind != "f" or (array.ndim == 0 and np.isfinite(array)):
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
