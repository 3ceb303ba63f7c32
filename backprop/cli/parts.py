"""The parts of the data: to train on, to validate with and to test with."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backprop.cli import classes as classes_of
from backprop.cli import columns as columns_of
from backprop.cli.data import complete, read_data, split
from backprop.cli.scaling import are_images, learn_scaling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.cli.classes import Classes
    from backprop.cli.data import Model
    from backprop.cli.reading import Data, Part
    from backprop.cli.scaling import Scaling

    Pair = tuple[NDArray[Any], NDArray[Any]]

TEST_FRACTION = 0.2
BATCH_SIZE = 10


@dataclass
class Parts:
    """The samples to train on, to validate with (or None) and to test with, scaled.

    Attributes
    ----------
    x, y : ndarray
        (n, inputs); (n,) int64 classes, or (n, outputs) targets.
    weight : ndarray or None
        (n,) of the samples.
    validation : (x, y) or None
    x_test, y_test : ndarray
        These targets are not scaled.
    scaling : Scaling
    classes : Classes or None
        None for a regression.
    batch_size : int
    understood : str
        One line about a table; empty for other data.
    notes : dict
        What is saved with the network.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    weight: NDArray[Any] | None
    validation: Pair | None
    x_test: NDArray[Any]
    y_test: NDArray[Any]
    scaling: Scaling
    classes: Classes | None
    batch_size: int
    understood: str
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def outputs(self) -> int:
        """How many the network needs: one for each class, or target."""
        return int(self.y.shape[1]) if self.classes is None else len(self.classes.names)

    def check_sizes(self, sizes: Sequence[int], option: str) -> None:
        """Raises a ValueError if a network of these sizes does not fit."""
        inputs, outputs = self.x.shape[1], self.outputs
        one_for_two = self.classes is not None and sizes[-1] == 1 and outputs == 2
        if sizes[0] != inputs or not (sizes[-1] == outputs or one_for_two):
            raise ValueError(
                f"{option} {'-'.join(map(str, sizes))} does not fit the data: it has {inputs} inputs and "
                f"{outputs} {'targets' if self.classes is None else 'classes'}"
            )


class Settings(NamedTuple):
    """How the data are divided and what becomes of missing values."""

    seed: int
    test_fraction: float
    validation: float | None
    batch_size: int
    missing: str


class _Samples(NamedTuple):
    """Samples without those that were dropped; y is classes or targets."""

    x: NDArray[Any]
    y: NDArray[Any]
    weight: NDArray[Any] | None

    def part(self, rows: NDArray[np.int64]) -> _Samples:
        return _Samples(self.x[rows], self.y[rows], None if self.weight is None else self.weight[rows])


def divide(options: argparse.Namespace, model: Model | None = None) -> Parts:
    """The parts of the data that the options name.

    A training that goes on has scaling, classes and parts from its file, so that no sample changes sides.

    Parameters
    ----------
    options : argparse.Namespace
    model : Model, optional
        What is gone on with.

    Raises
    ------
    ValueError, OSError
        If the data cannot be read, or cannot be trained with.
    """
    settings = _settings(options, {} if model is None else model.notes)
    regression = options.regression if model is None else model.scaling.is_regression
    data = read_data(options, model, regression=regression)
    whole, left = complete(data.whole, data.path, settings.missing, data.columns)
    test = None if data.test is None else complete(data.test, data.path, settings.missing, data.columns)[0]
    classes = None if model is None else model.classes
    if not regression and classes is None:
        outputs = None if options.layers is None else options.layers[-1]
        classes = _learn_classes(data, [part for part in (whole, test) if part is not None], outputs)
    y, y_test = (None if part is None else _targets(part, classes, data.path) for part in (whole, test))
    assert y is not None
    weight = _checked_weight(data)
    train = _Samples(whole.x, y, None if weight is None else weight[left])
    if test is None or y_test is None:
        out, rest = split(len(train.x), settings.test_fraction, "--test-fraction", settings.seed)
        tested, train = train.part(out), train.part(rest)
    else:
        tested = _Samples(test.x, y_test, None)
    held = None
    if settings.validation is not None:
        out, rest = split(len(train.x), settings.validation, "--validation", settings.seed)
        held, train = train.part(out), train.part(rest)
    scaling = _scaling(train, data, options, regression) if model is None else model.scaling
    understood = _understood(data, whole, classes)
    return Parts(
        scaling.of_inputs(train.x),
        scaling.of_targets(train.y),
        train.weight,
        None if held is None else (scaling.of_inputs(held.x), scaling.of_targets(held.y)),
        scaling.of_inputs(tested.x),
        tested.y,
        scaling,
        classes,
        settings.batch_size,
        understood,
        _notes(settings, scaling, data, classes),
    )


def to_show(options: argparse.Namespace) -> tuple[Pair, Pair | None, Classes]:
    """The samples of new data, scaled as their training part is; those of their test part, if there is one;
    and their classes."""
    data = read_data(options)
    missing = options.missing or "error"
    given = [data.whole] if data.test is None else [data.whole, data.test]
    found = [complete(part, data.path, missing, data.columns)[0] for part in given]
    classes = _learn_classes(data, found, None)
    y = [_targets(part, classes, data.path) for part in found]
    x = found[0].x
    scaling = learn_scaling(
        x, y[0], standardize=data.columns is not None and not are_images(x), regression=False,
        numbers=None if data.columns is None else data.columns.is_number,
    )  # fmt: skip
    shown = [(scaling.of_inputs(part.x), targets) for part, targets in zip(found, y, strict=True)]
    return shown[0], shown[1] if len(shown) > 1 else None, classes


def _settings(options: argparse.Namespace, saved: Mapping[str, Any]) -> Settings:
    """Of the options; or, of a training that goes on, of its file."""

    def number(name: str, otherwise: Any) -> Any:
        value = saved.get(name, otherwise)
        if value is not None and type(value) not in (int, float):
            raise ValueError(f"the saved {name} must be a number, got {value!r:.60}")
        return value

    missing = saved.get("missing", "error")
    if missing not in ("error", "mean", "drop"):
        raise ValueError(f"the saved missing must be mean or drop, got {missing!r:.60}")
    share = TEST_FRACTION if options.test_fraction is None else options.test_fraction
    return Settings(
        int(number("seed", options.seed or 0)),
        number("test_fraction", share),
        number("validation", options.validation),
        int(options.batch_size or number("batch_size", BATCH_SIZE)),
        options.missing or missing,
    )


def _learn_classes(data: Data, parts: Sequence[Part], outputs: int | None) -> Classes:
    """Of the labels of all parts."""
    labels = [part.y for part in parts if part.y is not None]
    first = len(labels[0])

    def where(i: int) -> str:
        return parts[0].where(i) if i < first else parts[1].where(i - first)

    what = "y" if data.columns is None else f"column {data.columns.label}"
    return classes_of.learn(np.concatenate(labels), f"{data.path}: {what}", where, outputs)


def _targets(part: Part, classes: Classes | None, path: str) -> NDArray[Any]:
    assert part.y is not None
    if classes is None:
        return np.asarray(part.y, np.float64)
    try:
        return classes.indices(part.y, part.where)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _checked_weight(data: Data) -> NDArray[Any] | None:
    weight = data.sample_weight
    if weight is not None and weight.shape != (len(data.whole.x),):
        raise ValueError(
            f"{data.path}: sample_weight must have shape {(len(data.whole.x),)}, got {weight.shape}"
        )
    return weight


def _scaling(train: _Samples, data: Data, options: argparse.Namespace, regression: bool) -> Scaling:
    """A table's numbers are standardised, unless they are pixels."""
    standardize = options.standardize
    if standardize is None:
        standardize = data.columns is not None and not are_images(train.x)
    numbers = None if data.columns is None else data.columns.is_number
    return learn_scaling(train.x, train.y, standardize=standardize, regression=regression, numbers=numbers)


def _understood(data: Data, whole: Part, classes: Classes | None) -> str:
    columns = data.columns
    if columns is None:
        return ""
    what = f"labels: column {columns.label}, {len(classes.names)} classes" if classes else ""
    parts = [what or f"targets: column {columns.label}"]
    texts = [column for column in columns.inputs if column.categories is not None]
    inputs = f"{len(columns.input_names)} inputs"
    if texts:
        width = sum(column.width for column in texts)
        inputs += f", {width} of them categories of {columns_of.listed([column.name for column in texts])}"
    parts += [inputs, f"{len(whole.x)} samples"]
    if dropped := len(data.whole.x) - len(whole.x):
        parts.append(f"{dropped} left out for missing values")
    return "; ".join([*parts, *data.remarks])


def _notes(settings: Settings, scaling: Scaling, data: Data, classes: Classes | None) -> dict[str, Any]:
    """What is saved with a network."""
    notes: dict[str, Any] = {**scaling.to_notes(), **settings._asdict()}
    if settings.validation is None:
        del notes["validation"]
    if settings.missing == "error":
        del notes["missing"]
    if data.columns is not None:
        notes["columns"] = columns_of.to_notes(data.columns)
    if classes is not None and not classes.are_indices:
        notes["classes"] = list(classes.names)
    return notes
