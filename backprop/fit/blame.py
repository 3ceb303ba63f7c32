"""NaN and infinity in data that training has met are not taken for a divergence.

Targets, weights and validation data are looked at before training. x, which may be larger than memory, is
looked at once training has diverged, when what it has done to the parameters is undone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backprop.fit.finite import check_finite

if TYPE_CHECKING:
    from backprop.fit.plan import Plan
    from backprop.fit.reader import Reader


def blame_data(plan: Plan, reader: Reader | None, state: Any) -> None:
    """Raises a ValueError where a divergence comes from x, or from a batch of the user's iterable.

    One epoch with such data never ends, so nothing has changed but the generator, which is put back.

    Parameters
    ----------
    plan : Plan
    reader : Reader or None
    state : dict or None
        That of the generator's bits before training, None where nothing was drawn.
    """
    for what, array in _suspects(plan, reader):
        try:
            check_finite(what, array)
        except ValueError as error:
            if state is not None:
                plan.generator.bit_generator.state = state
            raise error from None


def _suspects(plan: Plan, reader: Reader | None) -> list[tuple[str, Any]]:
    """What may have made training diverge, and has not been looked at."""
    if plan.samples is not None:
        return [("x", plan.samples.x)]
    if reader is None or reader.last is None:
        return []
    x, y, _ = reader.last
    return [("x of a batch", x), ("y of a batch", y)]
