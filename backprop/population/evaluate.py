"""The engine's calls that ask all members and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backprop.fit.threads import usable_threads
from backprop.population.samples import inputs_of, samples_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from backprop.population.members import Members

LEAST_PRODUCTS = 20_000_000  # multiplications from which on more threads are worth it


def outputs_of(members: Members, x: ArrayLike) -> NDArray[Any]:
    """Outputs of all members, (members, n, outputs), or (members, outputs) for a 1-D x."""
    inputs, own = inputs_of(x, len(members))
    return members.prototype._population_outputs(
        parameters=members.parameters, x=inputs, own_x=own, threads=_threads(members, inputs)
    )


def scores_of(
    members: Members,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    target_mask: ArrayLike | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """C and the accuracy of each member, (members,)."""
    samples = samples_of(
        x,
        y,
        members=len(members),
        targets=members.prototype.targets,
        sample_weight=sample_weight,
        target_mask=target_mask,
        finite=False,
    )
    return members.prototype._population_scores(
        parameters=members.parameters,
        x=samples.x,
        own_x=samples.own_x,
        y=samples.y,
        own_y=samples.own_y,
        sample_weight=samples.weights,
        own_weight=samples.weights is not None and samples.weights.ndim == 2,
        target_mask=samples.mask,
        own_mask=samples.mask is not None and samples.own_y,
        threads=_threads(members, samples.x),
    )


def _threads(members: Members, x: NDArray[Any]) -> int:
    """One thread where there is less than about a millisecond of work, else all that are usable."""
    n = 1 if x.ndim == 1 else x.shape[-2]
    return usable_threads() if members.parameters.size * n > LEAST_PRODUCTS else 1
