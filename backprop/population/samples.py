"""What each member is trained on: samples of all members, of its own, or its own choice of those of all."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._validate import as_array
from backprop.fit.finite import check_finite
from backprop.fit.samples import weights_of_classes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Samples:
    """Samples of all members, or of each.

    Attributes
    ----------
    x : ndarray, (n, inputs) of all, or (members, n, inputs)
    y : ndarray
        Labels (n,), or targets (n, outputs), of all; or with a leading (members,).
    own_x, own_y : bool
        Whether each member has its own.
    chosen : ndarray of uint32, (members, n'), or None
        Which rows of x and y of all are a member's; None for all of them.
    weights : ndarray of float64, (n,) of all, or (members, n), or None
        Of the rows of x.
    mask : ndarray of y's shape, or None
        False where a target is missing.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    own_x: bool
    own_y: bool
    chosen: NDArray[np.uint32] | None = None
    weights: NDArray[np.float64] | None = None
    mask: NDArray[Any] | None = None

    @property
    def count(self) -> int:
        """How many samples a member has."""
        if self.chosen is not None:
            return int(self.chosen.shape[1])
        return len(self.x[0]) if self.own_x else len(self.x)

    @property
    def has_labels(self) -> bool:
        """Whether y has labels, or one number a sample."""
        return self.y.ndim - self.own_y == 1

    def of_member(self, i: int) -> tuple[NDArray[Any], ...]:
        """x, y and the weights and mask, if any, of member i: views where rows are not chosen."""
        x = self.x[i] if self.own_x else self.x
        y = self.y[i] if self.own_y else self.y
        mask = None if self.mask is None else self.mask[i] if self.own_y else self.mask
        weights = self.weights[i] if self.weights is not None and self.weights.ndim == 2 else self.weights
        if self.chosen is not None:
            rows = self.chosen[i]
            x, y = x[rows], y[rows]
            weights, mask = (None if array is None else array[rows] for array in (weights, mask))
        return x, y, weights, mask  # type: ignore[return-value]


def samples_of(
    x: ArrayLike,
    y: ArrayLike,
    *,
    members: int,
    targets: int,
    samples: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    class_weight: Mapping[int, float] | str | None = None,
    target_mask: ArrayLike | None = None,
    what: str = "",
    finite: bool = True,
) -> Samples:
    """Arguments of fit that describe samples, checked as far as Python can; `what` is before their names, and
    `finite` whether x and y must be.

    Raises
    ------
    TypeError, ValueError
        On arguments that do not fit each other.
    """
    xs, own_x = inputs_of(x, members, what)
    ys = as_array(f"{what}y", y)
    mask = None if target_mask is None else as_array("target_mask", target_mask)
    if xs.ndim == 1:  # one sample
        xs, ys = xs[np.newaxis], ys[np.newaxis]
        mask = None if mask is None else mask[np.newaxis]
        sample_weight = None if sample_weight is None else np.atleast_1d(sample_weight)
    n = xs.shape[1] if own_x else xs.shape[0]
    own_y = _has_own_targets(ys, members, n, targets, what)
    if mask is not None and mask.shape != ys.shape:
        raise ValueError(f"target_mask must have the shape of y, {ys.shape}, got {mask.shape}")
    chosen = None if samples is None else _choice(samples, members, n, own_x or own_y)
    if finite:
        _check_used(f"{what}x", xs, chosen, None)
        _check_used(f"{what}y", ys, chosen, mask)
    weights = None if sample_weight is None else _weights(f"{what}sample_weight", sample_weight, members, n)
    if class_weight is not None:
        of_class = _weights_of_classes(class_weight, ys, (members, n, targets), own_y, chosen)
        weights = of_class if weights is None else weights * of_class
    return Samples(xs, ys, own_x, own_y, chosen, weights, mask)


def inputs_of(x: ArrayLike, members: int, what: str = "") -> tuple[NDArray[Any], bool]:
    """x as an array, and whether each member has its own.

    Raises
    ------
    TypeError, ValueError
        If it is neither (n, inputs), or (inputs,) for one sample, nor (members, n, inputs).
    """
    if hasattr(x, "toarray"):
        raise TypeError(f"a Population takes no sparse {what}x; give x.toarray()")
    if callable(x) or hasattr(x, "__next__"):
        raise TypeError(f"iterables of batches are for a network; a Population takes an array {what}x")
    array = as_array(f"{what}x", x)
    if array.ndim == 3 and len(array) != members:
        raise ValueError(f"{what}x of each member must have shape ({members}, n, inputs), got {array.shape}")
    if array.ndim not in (1, 2, 3):
        raise ValueError(
            f"{what}x must have shape (n, inputs), or (inputs,) for one sample, of all members, or "
            f"({members}, n, inputs), got {array.shape}"
        )
    return array, array.ndim == 3


def _has_own_targets(y: NDArray[Any], members: int, n: int, targets: int, what: str) -> bool:
    """Whether y is of each member; by its shape."""
    shape = y.shape
    of_all = [(n,), (n, targets)]
    own = [(members, n), (members, n, targets)]
    if shape in of_all and shape in own and members > 1:
        raise ValueError(
            f"{what}y of shape {shape} may be targets of all members or labels of each; give those of each "
            f"one-hot, as {(members, n, targets)}"
        )
    if shape in of_all:
        return False
    if shape not in own:
        known = ", ".join(map(str, [*of_all, *own]))
        raise ValueError(f"{what}y must have one of the shapes {known}, got {shape}")
    return True


def _choice(samples: ArrayLike, members: int, n: int, own: bool) -> NDArray[np.uint32]:
    """Row numbers (members, n'), checked."""
    if own:
        raise ValueError("samples are rows of x and y of all members, but here each has x or y of its own")
    try:
        rows = as_array("samples", samples)
    except ValueError as error:
        raise ValueError(
            f"samples must be equally many row numbers for each member, shape ({members}, n'): {error}"
        ) from None
    if rows.dtype.kind not in "iu":
        raise TypeError(f"samples must hold row numbers, got dtype {rows.dtype}")
    if rows.ndim != 2 or len(rows) != members or rows.shape[1] == 0:
        raise ValueError(f"samples must have shape ({members}, n') with n' at least 1, got {rows.shape}")
    if rows.min() < 0 or rows.max() >= n:
        raise ValueError(f"samples must be row numbers from 0 to {n - 1}, got {rows.min()} to {rows.max()}")
    return np.ascontiguousarray(rows, dtype=np.uint32)


def _check_used(
    what: str, array: NDArray[Any], chosen: NDArray[np.uint32] | None, mask: NDArray[Any] | None
) -> None:
    """Checks that the rows that some member is trained on are finite, but where the mask is False."""
    if chosen is not None:
        used = np.zeros((len(array), *(array.ndim - 1) * (1,)), np.bool_)
        used[chosen] = True
        mask = np.broadcast_to(used, array.shape) if mask is None else mask & used
    check_finite(what, array, mask)


def _weights_of_classes(
    class_weight: Mapping[int, float] | str,
    y: NDArray[Any],
    shape: tuple[int, int, int],
    own_y: bool,
    chosen: NDArray[np.uint32] | None,
) -> NDArray[np.float64]:
    """The weights of samples by their classes, (n,), or (members, n) where members have samples of their own;
    `shape` is (members, n, targets)."""
    members, n, targets = shape
    if not own_y and chosen is None:
        return weights_of_classes(class_weight, y, n, targets)
    weights = np.ones((members, n))
    for i in range(members):
        rows = np.arange(n) if chosen is None else chosen[i]
        weights[i, rows] = weights_of_classes(class_weight, (y[i] if own_y else y)[rows], len(rows), targets)
    return weights


def _weights(what: str, weights: ArrayLike, members: int, n: int) -> NDArray[np.float64]:
    """A copy, (n,) or (members, n); the engine checks their signs."""
    array = as_array(what, weights)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{what} must hold real numbers, got dtype {array.dtype}")
    if array.shape not in ((n,), (members, n)):
        raise ValueError(f"{what} must have shape {(n,)} or {(members, n)}, got {array.shape}")
    check_finite(what, array)
    return np.array(array, dtype=np.float64)


def with_held_out(
    samples: Samples, validation: object, members: int, targets: int
) -> tuple[Samples, Samples | None]:
    """The samples to train on, and those to validate on, as fit's `validation` says.

    Raises
    ------
    TypeError, ValueError
        If it is neither a share nor a pair of samples.
    """
    if validation is None:
        return samples, None
    if isinstance(validation, numbers.Real) and not isinstance(validation, bool):
        return _hold_out(float(validation), samples)
    if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3):
        got = f"{len(validation)} of them" if isinstance(validation, (tuple, list)) else repr(validation)[:60]
        raise TypeError(f"validation must be a pair (x, y), or (x, y, sample_weight), got {got}")
    x, y, *weights = validation
    held_out = samples_of(
        x,
        y,
        members=members,
        targets=targets,
        sample_weight=weights[0] if weights else None,
        what="validation ",
    )
    return samples, held_out


def _hold_out(fraction: float, samples: Samples) -> tuple[Samples, Samples]:
    """Each member's first samples, and its last `fraction`, rounded, held out, counting equally."""
    n = samples.count
    count = round(fraction * n) if 0 < fraction < 1 else 0
    if not 0 < count < n:
        raise ValueError(
            "validation must be a pair (x, y), or a share between 0 and 1 that leaves samples on both sides; "
            f"got {fraction} for {n} samples"
        )
    if samples.mask is not None or samples.chosen is not None:
        given = "target_mask" if samples.mask is not None else "samples"
        raise ValueError(f"validation must be a pair (x, y) where {given} is given, got a share")
    first = slice(None, n - count), slice(n - count, None)
    parts = []
    for rows in first:
        x = samples.x[:, rows] if samples.own_x else samples.x[rows]
        y = samples.y[:, rows] if samples.own_y else samples.y[rows]
        parts.append(Samples(x, y, samples.own_x, samples.own_y))
    train, held_out = parts
    weights = None if samples.weights is None else samples.weights[..., first[0]].copy()
    return Samples(train.x, train.y, train.own_x, train.own_y, None, weights), held_out
