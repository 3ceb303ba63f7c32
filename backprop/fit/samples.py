"""Samples in arrays: x and y, the weights of samples and of classes, and the part held out for validation."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._classes import classes_of
from backprop._sparse import as_rows, is_sparse, rows_between
from backprop._validate import as_array, finite_number, real_array
from backprop.fit.finite import check_finite

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    HeldOut = (
        tuple[Any, NDArray[Any]]
        | tuple[Any, NDArray[Any], NDArray[np.float64]]
        | tuple[Any, NDArray[Any], NDArray[np.float64] | None, NDArray[Any]]
    )


SAMPLES_COMPARED = 64  # of each rank's
ROWS_AT_A_TIME = 1 << 18


@dataclass(frozen=True)
class Samples:
    """What is trained on, and what is held out.

    Attributes
    ----------
    x : ndarray, or sparse matrix in compressed rows, (n, inputs), or (inputs,) for one sample
    y : ndarray
        Targets or labels; the engine checks its shape.
    weights : ndarray of float64, (n,), or None
    mask : ndarray of y's shape, or None
        False where a target is missing.
    held_out : (x, y), (x, y, sample_weight), (x, y, sample_weight, target_mask) or None
        Samples to validate on.
    """

    x: Any
    y: NDArray[Any]
    weights: NDArray[np.float64] | None
    mask: NDArray[Any] | None
    held_out: HeldOut | None

    @property
    def count(self) -> int:
        """n, how many samples are trained on."""
        return count_of(self.x)

    def checksum(self) -> int:
        """A number that tells data of ranks apart: of some samples, as x may be larger than memory."""
        import zlib

        some = np.linspace(0, self.count - 1, min(self.count, SAMPLES_COMPARED)).astype(np.int64)
        total = 0
        arrays: tuple[Any, ...] = (self.x, self.y, self.weights, self.mask)
        for array in arrays:
            if array is not None:
                rows = array[some] if array.ndim > 0 and array.shape[0] == self.count else array
                parts = (rows.data, rows.indices, rows.indptr) if is_sparse(rows) else (rows,)
                for part in parts:
                    total = zlib.crc32(np.ascontiguousarray(part).tobytes(), total)
        return total


def count_of(x: Any) -> int:
    """How many samples x holds; a 1-D x is one."""
    return int(x.shape[0]) if x.ndim > 1 else 1


def samples_of(
    x: ArrayLike,
    y: ArrayLike,
    *,
    outputs: int,
    sample_weight: ArrayLike | None,
    class_weight: Mapping[int, float] | str | None,
    target_mask: ArrayLike | None,
    validation: tuple[ArrayLike, ...] | float | None,
) -> Samples:
    """fit's arguments that describe samples, checked as far as Python can; `outputs` is the network's.

    Raises
    ------
    TypeError, ValueError
        On arguments that do not fit each other.
    """
    x, y = as_rows("x", x), as_array("y", y)
    mask = None if target_mask is None else as_array("target_mask", target_mask)
    samples = count_of(x)
    weights = None if sample_weight is None else _weights("sample_weight", sample_weight, samples)
    if class_weight is not None:
        of_class = weights_of_classes(class_weight, y, samples, outputs)
        weights = of_class if weights is None else _product(weights, of_class)
    if is_sparse(x):  # which is in memory; an array is looked at where training diverges
        check_finite("x", x)
    check_finite("y", y, mask)
    if weights is not None:
        check_finite("sample_weight", weights)
    if validation is None:
        return Samples(x, y, weights, mask, None)
    if isinstance(validation, numbers.Real):
        return _hold_out(float(validation), x, y, weights, mask)
    return Samples(x, y, weights, mask, held_out_of(validation))


def held_out_of(validation: object) -> HeldOut:
    """Samples to validate on: (x, y), and then sample_weight and target_mask, either of which may be None."""
    if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3, 4):
        got = f"{len(validation)} of them" if isinstance(validation, (tuple, list)) else repr(validation)[:60]
        raise TypeError(
            "validation must be a pair (x, y), or (x, y, sample_weight), or (x, y, sample_weight, "
            f"target_mask), got {got}"
        )
    x, y = as_rows("validation x", validation[0]), as_array("validation y", validation[1])
    check_finite("validation x", x)
    given, masked = [*validation[2:], None, None][:2]
    mask = None if masked is None else as_array("validation target_mask", masked)
    if mask is not None and mask.dtype != np.bool_:
        raise TypeError(f"validation target_mask must be of dtype bool, but is of dtype {mask.dtype}")
    if mask is not None and mask.shape != y.shape:
        raise ValueError(f"validation target_mask must have y's shape, {y.shape}, got {mask.shape}")
    check_finite("validation y", y, mask)
    weights = None if given is None else _weights("validation sample_weight", given, count_of(x))
    if mask is not None:
        return x, y, weights, mask
    return (x, y) if weights is None else (x, y, weights)


def is_masked(held_out: HeldOut | None) -> bool:
    """Whether some targets of these samples to validate on are missing."""
    return held_out is not None and len(held_out) == 4


def _weights(what: str, weights: ArrayLike, samples: int) -> NDArray[np.float64]:
    """A copy of them; the engine checks their signs."""
    given, array = real_array(what, weights, (samples,)), np.empty(samples)
    for some in _pieces(samples):
        array[some] = given[some]
    check_finite(what, array)
    return array


def _product(weights: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    for some in _pieces(len(weights)):
        weights[some] *= others[some]
    return weights


def _pieces(count: int) -> Iterator[slice]:
    """Slices of `count` rows, each of some milliseconds: in between, Python can act on Ctrl-C."""
    return (slice(first, first + ROWS_AT_A_TIME) for first in range(0, count, ROWS_AT_A_TIME))


def _hold_out(
    fraction: float,
    x: Any,
    y: NDArray[Any],
    weights: NDArray[np.float64] | None,
    mask: NDArray[Any] | None,
) -> Samples:
    """The first samples to train on, and the last `fraction` of them, rounded, held out: views of x and y.

    Those held out count equally.
    """
    samples = count_of(x)
    count = round(fraction * samples) if x.ndim > 1 and 0 < fraction < 1 else 0
    if not 0 < count < samples:
        raise ValueError(
            f"validation must be a pair (x, y), or a share between 0 and 1 that leaves samples on both "
            f"sides; got {fraction} for x of shape {x.shape}"
        )
    if mask is not None:
        raise ValueError("validation must be a pair (x, y) where there is a target_mask, got a share")
    if y.ndim == 0 or len(y) != samples:
        raise ValueError(f"y must have one entry for each of the {samples} samples, got shape {y.shape}")
    first = samples - count
    own, held_out = rows_between(x, 0, first), rows_between(x, first, samples)
    check_finite("the validation part of x", held_out)
    rest = None if weights is None else weights[:first]
    return Samples(own, y[:first], rest, None, (held_out, y[first:]))


def _single_classes(targets: NDArray[Any], first: int) -> NDArray[np.int64]:
    """The class of each row of targets, (n, outputs), from sample number `first` on."""
    if targets.shape[1] > 1:
        largest = targets.max(axis=1, keepdims=True)
        unclear = (targets == largest).sum(axis=1) != 1
        if unclear.any():
            n = int(unclear.argmax())
            raise ValueError(
                f"class_weight needs targets of one class a sample, the largest, but y[{first + n}] is "
                f"{targets[n].tolist()}; for several classes at once give sample_weight"
            )
    return classes_of(targets)


def weights_of_classes(
    class_weight: Mapping[int, float] | str, y: NDArray[Any], samples: int, outputs: int
) -> NDArray[np.float64]:
    """Each sample's weight by its class.

    "balanced" gives every class that occurs the same total, n / (classes · samples of the class), as
    scikit-learn does. A class that a dict does not name has weight 1. The class of a sample is its
    label, its largest target, or for one output whether the target is at least 0.5.
    """
    known = range(max(outputs, 2))
    if not isinstance(class_weight, (Mapping, str)):
        kind = type(class_weight).__name__
        raise TypeError(f"class_weight must be a dict of classes to weights, or 'balanced', got {kind}")
    if isinstance(class_weight, Mapping):
        for label, weight in class_weight.items():
            if label not in known:
                raise ValueError(f"class_weight must name classes of 0 to {known[-1]}, got {label!r}")
            if finite_number(f"class_weight[{label}]", weight) < 0:
                raise ValueError(f"class_weight[{label}] must be at least 0, got {weight}")
    elif class_weight != "balanced":
        raise ValueError(f"class_weight must be a dict or 'balanced', got {class_weight!r}")
    are_labels = outputs > 1 and y.size == samples
    if y.dtype.kind not in ("biu" if are_labels else "biuf") or y.size not in (samples, samples * outputs):
        return np.ones(samples)  # which the engine never uses: it refuses such a y, with its own message
    targets = y.reshape(samples, -1)

    def labels(some: slice) -> NDArray[Any]:
        return targets[some, 0] if are_labels else _single_classes(targets[some], some.start)

    seen: dict[int, int] = {}
    for some in _pieces(samples):
        for label, count in zip(*np.unique(labels(some), return_counts=True), strict=True):
            seen[label] = seen.get(label, 0) + int(count)
    classes = np.array(sorted(seen), dtype=y.dtype if are_labels else np.int64)
    if isinstance(class_weight, Mapping):
        of_class = np.array([class_weight.get(label, 1.0) for label in classes.tolist()], dtype=np.float64)
    else:
        counts = np.array([seen[label] for label in classes])
        of_class = samples / (len(classes) * counts)
    weights = np.empty(samples)
    for some in _pieces(samples):
        weights[some] = of_class[np.searchsorted(classes, labels(some))]
    return weights
