"""Which class outputs or targets stand for: the rule of `Network.classify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop import _core


def has_classes(network: _core.Network, labels: bool) -> bool:
    """Whether outputs stand for classes; `labels` says whether y holds any."""
    return network._has_classes(labels)


def at_threshold(a: NDArray[Any]) -> NDArray[np.int64]:
    """For each output that decides alone, 1 where it is at least 0.5, else 0."""
    return np.asarray(a >= 0.5, np.int64)


def classes_of(a: NDArray[Any]) -> NDArray[np.int64]:
    """The class of outputs (..., outputs): the largest of several, or whether one is at least 0.5."""
    return at_threshold(a[..., 0]) if a.shape[-1] == 1 else np.asarray(a.argmax(axis=-1), np.int64)
