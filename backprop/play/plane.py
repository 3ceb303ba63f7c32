"""The plane of a network of two inputs: its samples, and which class it gives every point."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._classes import classes_of
from backprop.plots import class_labels, plane_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.network import Network

RESOLUTION = 72  # points of the plane along each side
MARGIN = 0.1
MOST_POINTS = 400  # samples that are drawn in the plane


def base64_of(numbers: NDArray[Any]) -> str:
    """Numbers from 0 to 255, as base64."""
    return base64.b64encode(np.rint(numbers).astype(np.uint8).tobytes()).decode("ascii")


def points_of(x: NDArray[Any], y: NDArray[Any]) -> list[dict[str, Any]] | None:
    """The samples in the plane, as shares of its sides; None if there is no plane."""
    if x.shape[1] != 2:
        return None
    everything = np.asarray(x, dtype=np.float64)
    if not np.isfinite(everything).all():
        return None
    low, high = everything.min(axis=0), everything.max(axis=0)
    room = np.where(high > low, high - low, 1.0) * MARGIN
    shares = np.round((everything[:MOST_POINTS] - low + room) / (high - low + 2 * room), 4)
    labels = class_labels(y, len(x))
    return [
        {"x": across, "y": up, "class": label}
        for (across, up), label in zip(shares.tolist(), labels.tolist(), strict=False)
    ]


def regions(
    network: Network, x: NDArray[Any], points: list[dict[str, Any]] | None
) -> dict[str, Any] | None:
    """Which class the network gives every point of the plane and how sure it is, the lowest row first.

    Of one output the classes are divided at 0.5, of several the largest wins; how sure is the distance from
    there, or from the next. With the points of `points_of`; None if there are none.
    """
    if points is None:
        return None
    _, _, outputs = plane_of(network, x, RESOLUTION, MARGIN)
    if outputs.shape[2] == 1:
        sure = 2 * np.abs(outputs[..., 0] - 0.5)
    else:
        best = np.sort(outputs, axis=2)
        sure = best[..., -1] - best[..., -2]
    classes = classes_of(outputs)
    sure = np.clip(np.nan_to_num(sure), 0, 1)
    sides = {"side": RESOLUTION, "points": points}
    return sides | {"classes": base64_of(classes), "sure": base64_of(255 * sure)}
