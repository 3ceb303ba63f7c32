"""NaN and infinity in data: named by array and place, and not taken for a divergence.

Targets, weights and validation data are looked at before training. x, which may be larger than memory, is
looked at once training has diverged, when what it has done to the parameters is undone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._core import DivergenceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.fit.plan import Plan
    from backprop.fit.reader import Reader

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


@contextlib.contextmanager
def blamed_on_data(plan: Plan, reader: Reader | None) -> Iterator[None]:
    """Makes a divergence that comes from x, or from a batch of the user's iterable, a ValueError.

    One epoch with such data never ends, so nothing has changed but the generator, which is put back.
    """
    before = plan.generator.bit_generator.state if plan.draws else None
    try:
        yield
    except DivergenceError:
        for what, array in _suspects(plan, reader):
            try:
                check_finite(what, array)
            except ValueError as error:
                if before is not None:
                    plan.generator.bit_generator.state = before
                raise error from None
        raise


def _suspects(plan: Plan, reader: Reader | None) -> list[tuple[str, NDArray[Any]]]:
    """What may have made training diverge, and has not been looked at."""
    if plan.samples is not None:
        return [("x", plan.samples.x)]
    if reader is None or reader.last is None:
        return []
    x, y, _ = reader.last
    return [("x of a batch", x), ("y of a batch", y)]
