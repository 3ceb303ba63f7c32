"""Data that the command line reads: folders of IDX files, ``.npz`` and tables."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backprop._idx import find_idx
from backprop._npz import check_archive
from backprop.cli import columns as columns_of
from backprop.cli.columns import Columns, column_named, label_column
from backprop.cli.dialect import Dialect
from backprop.cli.tables import ENDINGS, Table, is_table
from backprop.datasets import read_idx, read_idx_pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_WEIGHT = "sample_weight"  # the array's name in an .npz file
PAIRS = (("x_train", "y_train"), ("x_test", "y_test"))
IDX_FILE = re.compile(r".*[-.]idx\d+(-\w+)?(\.gz)?", re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """What the options say about reading.

    Attributes
    ----------
    label_column : str or None
        The name or index of the column with labels or targets.
    dropped : sequence of str
        Names or indices of columns to leave out.
    header : bool or None
        Whether a table's first line names the columns; None decides it by the lines.
    regression : bool
        Whether y is real numbers, (n,) or (n, outputs), instead of labels.
    needs_labels : bool
        Whether data without labels are an error.
    """

    label_column: str | None = None
    dropped: Sequence[str] = ()
    header: bool | None = None
    regression: bool = False
    needs_labels: bool = True


@dataclass(frozen=True)
class Part:
    """Samples as a file has them.

    Attributes
    ----------
    x : ndarray
        (n, inputs) numbers, NaN where one is missing.
    y : ndarray or None
        (n,) labels: numbers, or texts with None for a missing one; or targets (n,) or (n, outputs).
    where : callable
        What messages call the place of sample i.
    """

    x: NDArray[Any]
    y: NDArray[Any] | None
    where: Callable[[int], str]


class Data(NamedTuple):
    """A part to train on, or a whole; a part meant for testing, where the data tell them apart; the weights
    of the former's samples, where there are some; what a table's columns are; and what a user should know."""

    path: str
    whole: Part
    test: Part | None = None
    sample_weight: NDArray[Any] | None = None
    columns: Columns | None = None
    remarks: tuple[str, ...] = ()


def read(path: str, asked: Asked, trained: Columns | None = None, inputs: int | None = None) -> Data:
    """Reads a data set.

    Parameters
    ----------
    path : str
        A folder of IDX files, or its path and what their names begin with, or one IDX file; an ``.npz`` file
        with x_train, y_train, x_test, y_test, or x and y, and perhaps sample_weight; or a table, perhaps
        packed by gzip; or "-", a table at standard input.
    asked : Asked
    trained : Columns, optional
        The columns of the table that the network was trained with.
    inputs : int, optional
        How many inputs the network has, where it was not trained with a table: a table of just as many
        columns has no labels.

    Raises
    ------
    ValueError
        If the file is damaged or not of its format.
    OSError
        If it cannot be read.
    """
    if is_table(path):
        return _read_table(path, asked, trained, inputs)
    if asked.label_column is not None or asked.dropped or asked.header is not None:
        raise ValueError(f"--label-column, --drop-column and --header are for tables, and {path} is none")
    if path.lower().endswith(".npz"):
        return _read_npz(path, asked)
    if os.path.isdir(path) or IDX_FILE.fullmatch(os.path.basename(path)):
        return _read_idx(path, asked)
    folder, prefix = os.path.split(path)
    if prefix and not os.path.exists(path) and find_idx(folder or ".", prefix):
        return _read_idx(folder or ".", asked, prefix)
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no {path}")
    raise ValueError(f"{path} is neither a folder of IDX files nor an .npz, {', '.join(ENDINGS)} file")


def _read_idx(path: str, asked: Asked, prefix: str | None = None) -> Data:
    def part(images: str | None, labels: str | None) -> Part | None:
        if images is None or (labels is None and asked.needs_labels):
            return None
        y = None
        if labels is None:
            x = read_idx(images)
        else:
            x, y = read_idx_pair(images, labels)
        return Part(x.reshape(len(x), -1), y, lambda i: f"sample {i}, from 0, of {images}")

    files = find_idx(path, prefix) if os.path.isdir(path) else {"train-images": path}
    train = part(files.get("train-images"), files.get("train-labels"))
    test = part(files.get("test-images"), files.get("test-labels"))
    whole = train or test
    if whole is None:
        labels = " and train-labels-idx1-ubyte" * asked.needs_labels
        raise FileNotFoundError(f"{path} has no file train-images-idx3-ubyte{labels}, or with .gz")
    if train is not None and test is not None and train.x.shape[1] != test.x.shape[1]:
        raise ValueError(
            f"{path}: training images have {train.x.shape[1]} pixels, test images {test.x.shape[1]}"
        )
    return Data(path, whole, test if train is not None else None)


def _read_npz(path: str, asked: Asked) -> Data:
    with open(path, "rb"):  # a missing or unreadable file is an OSError
        pass
    try:
        check_archive(path)
        with np.load(path, allow_pickle=False) as file:
            found = list(file)
            pairs: list[tuple[str, ...]] = [pair for pair in PAIRS if pair[0] in file] or [("x", "y")]
            if not asked.needs_labels:
                pairs = [pair if pair[1] in file else (pair[0],) for pair in pairs]
            if lacking := [name for pair in pairs for name in pair if name not in file]:
                raise ValueError(
                    f"there is no {lacking[0]}; it has {', '.join(found) or 'nothing'}, and should have "
                    "x_train, y_train, x_test and y_test, or x and y"
                )
            arrays = [[_array_in(file, name) for name in pair] for pair in pairs]
            sample_weight = _array_in(file, SAMPLE_WEIGHT) if SAMPLE_WEIGHT in file else None
    except Exception as error:  # a damaged archive makes zipfile raise nearly anything, OSError included
        raise ValueError(f"{path} is not an .npz file of a data set, or is damaged: {error}") from error
    parts = [_part(path, names, values, asked) for names, values in zip(pairs, arrays, strict=True)]
    return Data(path, parts[0], parts[1] if len(parts) > 1 else None, sample_weight)


def _part(path: str, names: Sequence[str], arrays: Sequence[NDArray[Any]], asked: Asked) -> Part:
    x, y = arrays[0], arrays[1] if len(arrays) > 1 else None
    if x.ndim < 2 or x.size == 0 or x.dtype.kind not in "biuf":
        raise ValueError(f"{path}: {names[0]} must hold numbers by rows, got {x.dtype} {x.shape}")
    if y is not None:
        if y.shape == (len(x), 1):
            y = y[:, 0]
        several = asked.regression and y.ndim == 2 and len(y) == len(x) and y.size > 0
        if y.shape != x.shape[:1] and not several:
            raise ValueError(f"{path}: {names[1]} must have shape {x.shape[:1]}, got {y.shape}")
        if y.dtype.kind not in ("biuf" if asked.regression else "biufU"):
            expected = "finite numbers" if asked.regression else "labels, whole numbers or texts"
            raise ValueError(f"{path}: {names[1]} must hold {expected}; got {y.dtype}")
    return Part(x.reshape(len(x), -1), y, lambda i: f"row {i}, from 0, of {names[0]}")


def _array_in(file: Mapping[str, object], name: str) -> NDArray[Any]:
    member = file[name]
    if not isinstance(member, np.ndarray):  # bytes: it does not begin as an array does
        raise ValueError(f"{name} is no array")
    return member


def _read_table(path: str, asked: Asked, trained: Columns | None, inputs: int | None) -> Data:
    if trained is not None:
        return _read_again(path, asked, trained)

    def plan(dialect: Dialect) -> tuple[dict[str, str], set[str]]:
        names = dialect.names
        unlabelled = inputs is not None and len(names) == inputs and asked.label_column is None
        if not (asked.needs_labels or asked.label_column is not None) or unlabelled:
            return {name: name for name in names}, set()
        left_out = [column_named(name, dialect, path) for name in asked.dropped]
        label = label_column(dialect, path, asked.label_column, left_out)
        return {name: name for name in names}, set() if asked.regression else {label}

    table = Table(path, asked.header, plan=plan)
    labelled = asked.label_column is not None or (asked.needs_labels and len(table.names) != inputs)
    columns = columns_of.learn(table, asked.label_column, asked.dropped, needs_label=labelled)
    remarks = []
    if table.dialect.row_names and columns.label != table.names[0]:
        remarks.append("left out: the names of the rows (the first column, which has no name)")
    if not table.dialect.has_header:
        remarks.append("no header, so the columns are called 0, 1 and so on")
    return _data_of(table, columns, asked, remarks)


def _read_again(path: str, asked: Asked, trained: Columns) -> Data:
    """The columns that a network was trained with, of another table."""

    def plan(dialect: Dialect) -> tuple[dict[str, str], set[str]]:
        texts = trained.texts - ({trained.label or ""} if asked.regression else set())
        return trained.called(dialect, path, asked.label_column), texts

    known = {column.name for column in trained.inputs} if trained.has_header else set()
    table = Table(path, asked.header, plan=plan, known=known)
    remarks = []
    if extra := trained.extra(table.dialect):
        remarks.append(f"columns that the training did not know are left out: {columns_of.listed(extra)}")
    for name, texts in trained.unknown(table).items():
        remarks.append(
            f"column {name} has categories that the training did not know, whose inputs are all 0: "
            f"{columns_of.listed(texts)}"
        )
    if trained.label not in table.names and asked.needs_labels:
        raise ValueError(
            f"{path} has no column {trained.label}, which holds the labels; name another one with "
            "--label-column"
        )
    return _data_of(table, trained, asked, remarks)


def _data_of(table: Table, columns: Columns, asked: Asked, remarks: Sequence[str]) -> Data:
    y: NDArray[Any] | None = None
    if columns.label is not None and columns.label in table.names:
        if asked.regression:
            y = table.numbers(columns.label)
            if y is None:
                raise ValueError(
                    f"{table.path}: column {columns.label} must hold numbers; labels that are texts need a "
                    "training without --regression"
                )
        else:
            y = np.array(table.texts(columns.label), object)
    part = Part(columns.matrix(table), y, table.place)
    return Data(table.path, part, columns=columns, remarks=tuple(remarks))
