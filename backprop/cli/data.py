"""From the options to samples that a network can take: read, completed, with classes in place of labels; and
what a saved network remembers about its data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backprop import datasets
from backprop.cli import classes as classes_of
from backprop.cli import columns as columns_of
from backprop.cli.classes import Classes
from backprop.cli.columns import Columns, listed
from backprop.cli.reading import Asked, Data, Part, read
from backprop.cli.scaling import Scaling, scaling_of
from backprop.files.format import load_all
from backprop.network import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.optimizers import Optimizer
    from backprop.solvers import WholeBatch

MISSING = ("error", "mean", "drop")
OF_TABLES = ("label_column", "drop_column", "header", "missing")  # options that the package's digits have not


class Model(NamedTuple):
    """A saved network and what it remembers about the data that it was trained with."""

    network: Network
    scaling: Scaling
    columns: Columns | None = None
    classes: Classes | None = None
    notes: Mapping[str, Any] = {}
    optimizer: Optimizer | WholeBatch | None = None

    @property
    def class_names(self) -> list[str]:
        """The name of each class, as it is printed; none of a regression."""
        return [] if self.classes is None else [str(name) for name in self.classes.names]


class Samples(NamedTuple):
    """x (n, inputs) as in the data; y (n,) int64 classes, or float64 targets, or None."""

    x: NDArray[Any]
    y: NDArray[Any] | None


def load(path: str) -> Model:
    """A saved network.

    Raises
    ------
    ValueError
        If the file is damaged.
    OSError
        If it cannot be read.
    """
    network, notes, optimizer = load_all(path, Network)
    scaling = scaling_of(network, notes)
    inputs, outputs = network.layers[0].inputs, network.layers[-1].outputs
    columns = columns_of.from_notes(notes["columns"], inputs) if "columns" in notes else None
    classes = None
    if not scaling.is_regression:
        classes = Classes(tuple(range(max(2, outputs))))
        if "classes" in notes:
            classes = classes_of.from_notes(notes["classes"], max(2, outputs))
    return Model(network, scaling, columns, classes, notes, optimizer)


def read_data(
    options: argparse.Namespace,
    model: Model | None = None,
    *,
    regression: bool = False,
    needs_labels: bool = True,
) -> Data:
    """The data that the options name, or else the digits.

    Parameters
    ----------
    options : argparse.Namespace
    model : Model, optional
        The saved network that they are for.
    regression : bool
        Whether there are targets rather than labels.
    needs_labels : bool
        Whether data without labels are an error.

    Raises
    ------
    ValueError, OSError
        As from `reading.read`.
    """
    if options.data is None:
        if regression:
            raise ValueError("a regression needs --data; the digits of the package have labels")
        given = [name for name in OF_TABLES if getattr(options, name, None)]
        if given:
            raise ValueError(f"--{given[0].replace('_', '-')} needs --data")
        x, y, x_test, y_test = datasets.load_digits()
        train, test = (Part(*pair, lambda i: f"digit {i}") for pair in ((x, y), (x_test, y_test)))
        return Data("the digits", train, test)
    asked = Asked(
        options.label_column,
        getattr(options, "drop_column", None) or (),
        options.header,
        regression,
        needs_labels,
    )
    columns, inputs = (None, None) if model is None else (model.columns, model.network.layers[0].inputs)
    return read(options.data, asked, columns, inputs)


def complete(
    part: Part, path: str, missing: str, columns: Columns | None, *, labels: bool = True
) -> tuple[Part, NDArray[np.int64]]:
    """The samples without those that have missing values, if these are to be dropped, and their indices.

    Parameters
    ----------
    part : Part
    path : str
        What messages call the data.
    missing : str
        What becomes of samples with missing inputs: "error"; "mean", they stay, with NaN; "drop". Samples
        without a label that must have one are an error, or dropped.
    columns : Columns, optional
        What the columns are, if they have names.
    labels : bool
        Whether labels must not be missing either.

    Raises
    ------
    ValueError
        If an input is infinite, or one is missing where that is an error; the message names columns and
        counts.
    """
    counts: dict[str, int] = {}
    incomplete = np.zeros(len(part.x), bool)
    if part.x.dtype.kind == "f":
        _refuse_infinite(part, path, columns)
        gone = np.isnan(part.x)
        incomplete = gone.any(axis=1)
        if incomplete.any():
            counts = _missing_by_column(gone, columns)
    unlabelled = np.zeros(len(part.x), bool)
    if labels and part.y is not None:
        unlabelled = _is_missing(part.y)
        if unlabelled.any():
            name = "y" if columns is None else f"column {columns.label}"
            counts[name] = int(unlabelled.sum())
    if counts and missing == "error":
        which = listed([f"{name} {count}" for name, count in counts.items()])
        raise ValueError(
            f"{path}: missing values: {which} of {len(part.x)}: use --missing mean or --missing drop"
        )
    left = np.flatnonzero(~(unlabelled | (incomplete & (missing == "drop"))))
    if not len(left):
        raise ValueError(f"{path}: --missing {missing} leaves no samples; a value is missing in each")
    if len(left) == len(part.x):
        return part, left
    y = None if part.y is None else part.y[left]
    return Part(part.x[left], y, lambda i: part.where(int(left[i]))), left


def _is_missing(y: NDArray[Any]) -> NDArray[np.bool_]:
    if y.dtype.kind == "O":
        return np.array([value is None for value in y.tolist()], bool)
    if y.dtype.kind == "f":
        return np.asarray(np.isnan(y).reshape(len(y), -1).any(axis=1))
    return np.zeros(len(y), bool)


def _refuse_infinite(part: Part, path: str, columns: Columns | None) -> None:
    for what, values in (("input", part.x), ("target", part.y)):
        if values is None or values.dtype.kind != "f":
            continue
        infinite = np.isinf(values.reshape(len(values), -1))
        if infinite.any():
            row, k = map(int, np.argwhere(infinite)[0])
            name = f"{what} column {k}, from 0"
            if columns is not None:
                name = f"column {columns.input_names[k] if what == 'input' else columns.label}"
            raise ValueError(
                f"{path}: {part.where(row)}, {name}: the value is infinite; a network needs finite ones"
            )


def _missing_by_column(gone: NDArray[np.bool_], columns: Columns | None) -> dict[str, int]:
    """How many values are missing of each column that lacks some."""
    if columns is None:
        return {f"column {k}": count for k, count in enumerate(gone.sum(axis=0).tolist()) if count}
    first = np.cumsum([0, *(column.width for column in columns.inputs)])[:-1]
    counts = gone[:, first].sum(axis=0).tolist()
    return {
        f"column {column.name}": count for column, count in zip(columns.inputs, counts, strict=True) if count
    }


def to_look_at(options: argparse.Namespace, model: Model, *, needs_labels: bool = False) -> Samples:
    """The test part of the data where there is one, else all of it; what a user should know goes to standard
    error.

    Parameters
    ----------
    options : argparse.Namespace
    model : Model
        The saved network that they are for.
    needs_labels : bool
        Whether samples must have labels or targets that the network knows.

    Raises
    ------
    ValueError, OSError
        If the data cannot be read, or do not fit.
    """
    regression = model.scaling.is_regression
    data = read_data(options, model, regression=regression, needs_labels=needs_labels)
    whole = data.whole if data.test is None else data.test
    if whole.x.shape[1] != model.network.layers[0].inputs:
        raise ValueError(
            f"{data.path} has {whole.x.shape[1]} inputs; the network takes {model.network.layers[0].inputs}"
        )
    missing = options.missing or "error"
    if missing == "mean" and model.scaling.fill is None:
        raise ValueError("the network knows no means of its inputs: no value was missing in its training")
    part, left = complete(whole, data.path, missing, data.columns, labels=needs_labels)
    remarks = list(data.remarks)
    if len(left) < len(whole.x):
        out = np.setdiff1d(np.arange(len(whole.x)), left).tolist()
        places = listed([*map(whole.where, out[:10]), *["" for _ in out[10:]]], 10)
        remarks.append(f"left out for missing values: {len(out)} samples, {places}")
    y: NDArray[Any] | None = None
    if part.y is not None:
        try:
            y = _labels_of(part, model)
        except ValueError as error:
            if needs_labels:
                raise ValueError(f"{data.path}: {error}") from error
            remarks.append(f"not compared with the labels: {error}")
    for remark in remarks:
        print(f"backprop: {remark}", file=sys.stderr)
    return Samples(part.x, y)


def _labels_of(part: Part, model: Model) -> NDArray[Any]:
    assert part.y is not None
    if missing := int(_is_missing(part.y).sum()):
        raise ValueError(f"{missing} of {len(part.y)} are missing")
    if model.classes is None:
        return np.asarray(part.y, np.float64)
    return model.classes.indices(part.y, part.where)


def with_targets(options: argparse.Namespace, model: Model) -> tuple[NDArray[Any], NDArray[Any]]:
    """`to_look_at` of data that must have labels or targets."""
    x, y = to_look_at(options, model, needs_labels=True)
    if y is None:
        raise ValueError(f"{options.data} has no labels, which a loss needs")
    return x, y


def split(samples: int, share: float, option: str, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A random part and the rest, as indices: the share is rounded to whole samples.

    Raises
    ------
    ValueError
        If it leaves a part empty.
    """
    part = round(share * samples) if 0 < share < 1 else 0
    if not 0 < part < samples:
        raise ValueError(f"{option} {share} of {samples} samples leaves a part empty")
    order = np.random.default_rng(seed).permutation(samples)
    return order[:part], order[part:]


def r_squared(y: NDArray[Any], predicted: NDArray[Any]) -> float:
    """1 − Σ(y − predicted)² / Σ(y − mean)², the mean of it over the targets."""
    y = y.reshape(len(y), -1)
    spread = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    return float(np.mean(1 - ((y - predicted) ** 2).sum(axis=0) / np.where(spread > 0, spread, 1.0)))
