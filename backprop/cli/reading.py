"""Data files that the command line reads: folders of IDX files, ``.npz`` and ``.csv``."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backprop.datasets import load_idx

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

SAMPLE_WEIGHT = "sample_weight"  # the array's name in an .npz file
LABEL = "label"  # the column's name in a CSV file with a head


class Data(NamedTuple):
    """Samples by rows with int64 labels or float64 targets, and those meant for testing, where the file tells
    them apart; and the weights of the former, where it has some."""

    x: NDArray[Any]
    y: NDArray[Any] | None
    x_test: NDArray[Any] | None = None
    y_test: NDArray[Any] | None = None
    sample_weight: NDArray[Any] | None = None


def read(
    path: str, label_column: int | None, inputs: int | None = None, *, regression: bool = False
) -> Data:
    """Reads a data set.

    Parameters
    ----------
    path : str
        A folder of MNIST-format files; an ``.npz`` file with x_train, y_train, x_test, y_test, or x and
        y, and perhaps sample_weight; or a ``.csv`` or ``.csv.gz`` file with a sample a line, with or
        without a line of names.
    label_column : int, optional
        The column of a CSV file that holds the labels, from 0, negative from the end; by default the
        one called "label", or the first.
    inputs : int, optional
        How many inputs to expect: a CSV file with just as many columns has no labels.
    regression : bool
        Whether y is real numbers, (n,) or (n, outputs), instead of labels.

    Raises
    ------
    ValueError
        If the file is damaged or not of its format.
    OSError
        If it cannot be read.
    """
    if os.path.isdir(path):
        return Data(*load_idx(path))
    if path.endswith(".npz"):
        return _read_npz(path, regression)
    if path.endswith((".csv", ".csv.gz")):
        return _read_csv(path, label_column, inputs, regression)
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no {path}")
    raise ValueError(f"{path} is neither a folder of IDX files nor an .npz, .csv or .csv.gz file")


def scale_of(x: NDArray[Any]) -> float:
    """What to divide by to bring samples to [0, 1]: 255 for bytes, else the largest magnitude above 1."""
    return 255.0 if x.dtype == np.uint8 else max(1.0, float(np.abs(x).max(initial=0)))


def _read_npz(path: str, regression: bool) -> Data:
    with open(path, "rb"):  # a missing or unreadable file is an OSError
        pass
    try:
        with np.load(path, allow_pickle=False) as file:
            names = ("x_train", "y_train", "x_test", "y_test") if "x_train" in file else ("x", "y")
            arrays = [_array_in(file, name) for name in names]
            sample_weight = _array_in(file, SAMPLE_WEIGHT) if SAMPLE_WEIGHT in file else None
    except Exception as error:  # a damaged archive makes zipfile raise nearly anything, OSError included
        raise ValueError(f"{path} is not an .npz file of a data set, or is damaged: {error}") from error
    for i in range(0, len(arrays), 2):
        x, y = arrays[i : i + 2]
        if x.ndim < 2 or x.size == 0 or x.dtype.kind not in "biuf":
            raise ValueError(f"{path}: {names[i]} must hold numbers by rows, got {x.dtype} {x.shape}")
        if y.shape != x.shape[:1] and not (regression and y.ndim == 2 and len(y) == len(x) and y.size):
            raise ValueError(f"{path}: {names[i + 1]} must have shape {x.shape[:1]}, got {y.shape}")
        arrays[i : i + 2] = x.reshape(len(x), -1), _targets(y, f"{path}: {names[i + 1]}", regression)
    return Data(*arrays)._replace(sample_weight=sample_weight)


def _array_in(file: Mapping[str, object], name: str) -> NDArray[Any]:
    member = file[name]
    if not isinstance(member, np.ndarray):  # bytes: it does not begin as an array does
        raise ValueError(f"{name} is no array")
    return member


def _read_csv(path: str, label_column: int | None, inputs: int | None, regression: bool) -> Data:
    import gzip
    import zlib

    try:
        opened = gzip.open if path.endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8") as file:
            names = [name.strip().strip('"').lower() for name in file.readline().split(",")]
            has_head = not all(map(_is_number, names))
            if not has_head:
                file.seek(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of an empty table, which is refused below
                table = np.loadtxt(file, delimiter=",", ndmin=2)
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is not a table of numbers, or is damaged: {error}") from error
    if table.size == 0:
        raise ValueError(f"{path} has no samples")
    columns = table.shape[1]
    if columns == inputs:
        return Data(table, None)
    if label_column is None:
        label_column = names.index(LABEL) if has_head and LABEL in names else 0
    if not -columns <= label_column < columns:
        raise ValueError(f"{path} has {columns} columns, so there is no column {label_column}")
    y = _targets(table[:, label_column], f"{path}: column {label_column}", regression)
    return Data(np.delete(table, label_column, axis=1), y)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _targets(y: NDArray[Any], what: str, regression: bool) -> NDArray[Any]:
    if regression:
        if y.dtype.kind not in "biuf" or not np.isfinite(y).all():
            raise ValueError(f"{what} must hold finite numbers; got {y[:3]} and so on")
        return y.astype(np.float64)
    whole = y.dtype.kind in "biuf" and np.array_equal(y, np.floor(y))
    if not whole or y.min() < 0 or y.max() >= 2**62:  # infinity is whole to floor, but is no int64
        raise ValueError(f"{what} must hold labels, whole numbers from 0; got {y[:3]} and so on")
    return y.astype(np.int64)
