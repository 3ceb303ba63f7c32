"""Several networks for one estimator: which samples each is trained on, and what those left out say of all.

Bagging (Breiman 1996): each network has its own seed and, with bootstrap, n of the n samples drawn with
repetition, of which about 63 % are different ones. The others are out of its bag, and test it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop.sklearn.warn import warn_user

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.network import Network

# What a fit of several members leaves, where they have bags.
OF_BAGS = ("oob_score_", "oob_decision_function_", "oob_prediction_")


def seeds_and_rows(
    random: np.random.RandomState, members: int, samples: int, bootstrap: bool
) -> list[tuple[int, NDArray[np.int64]]]:
    """A seed and the rows of the samples for each member."""
    every = np.arange(samples)
    return [
        (int(random.randint(2**31 - 1)), random.randint(0, samples, samples) if bootstrap else every)
        for _ in range(members)
    ]


def out_of_bag(
    networks: Sequence[Network], rows: Sequence[NDArray[np.int64]], x: Any
) -> NDArray[np.float64]:
    """The mean outputs of each sample, (n, outputs), of the networks that were not trained on it; NaN where
    there are none."""
    n = x.shape[0]
    total = np.zeros((n, networks[0].layers[-1].outputs))
    count = np.zeros((n, 1))
    for network, trained in zip(networks, rows, strict=True):
        left_out = np.ones(n, np.bool_)
        left_out[trained] = False
        if left_out.any():
            total[left_out] += network(x[left_out])
            count[left_out] += 1
    if (count == 0).any():
        warn_user(
            f"{int((count == 0).sum())} samples are in the bags of all members, and have no out-of-bag "
            "prediction; take more members"
        )
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
