"""The parts of the data: to train on, to validate with and to test with."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop.cli.data import learn_scaling, read, split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.cli.data import Notes, Scaling

TEST_FRACTION = 0.2
BATCH_SIZE = 10


class Parts:
    """The samples to train on, to validate with (or None) and to test with, scaled.

    A training that goes on has scaling and parts from its file, so that no sample changes sides.
    """

    def __init__(self, options: argparse.Namespace, scaling: Scaling | None, notes: Notes) -> None:
        seed = int(_number_in(notes, "seed", options.seed or 0))
        test_share = TEST_FRACTION if options.test_fraction is None else options.test_fraction
        test_share = _number_in(notes, "test_fraction", test_share)
        held_share = _number_in(notes, "validation", options.validation)
        self.batch_size = options.batch_size or int(_number_in(notes, "batch_size", BATCH_SIZE))
        regression = options.regression if scaling is None else scaling.is_regression
        data = read(options, regression=regression)
        assert data.y is not None
        x, y, weight = data.x, data.y, data.sample_weight
        if weight is not None and weight.shape != (len(x),):
            raise ValueError(
                f"{options.data}: sample_weight must have shape {(len(x),)}, got {weight.shape}"
            )
        x_test, y_test = data.x_test, data.y_test
        if x_test is None:
            test, rest = split(len(x), test_share, "--test-fraction", seed)
            x_test, y_test = x[test], y[test]
            x, y, weight = x[rest], y[rest], None if weight is None else weight[rest]
        x_held, y_held = None, None
        if held_share is not None:
            held, rest = split(len(x), held_share, "--validation", seed)
            x_held, y_held = x[held], y[held]
            x, y, weight = x[rest], y[rest], None if weight is None else weight[rest]
        if scaling is None:
            scaling = learn_scaling(x, y, standardize=options.standardize, regression=regression)
        self.scaling = scaling
        self.notes = {**scaling.to_notes(), "seed": seed, "test_fraction": test_share}
        self.notes["batch_size"] = self.batch_size
        if held_share is not None:
            self.notes["validation"] = held_share
        self.x, self.y, self.weight = scaling.of_inputs(x), scaling.of_targets(y), weight
        if not np.isfinite(self.x).all():
            raise ValueError(f"{options.data} holds inputs that are not finite")
        self.validation: tuple[NDArray[Any], NDArray[Any]] | None = None
        if x_held is not None and y_held is not None:
            self.validation = scaling.of_inputs(x_held), scaling.of_targets(y_held)
        assert y_test is not None
        self.x_test, self.y_test = scaling.of_inputs(x_test), y_test
        # What the network needs: one output for each class, or one for two classes.
        labels = y if regression else np.concatenate([y, y_test])
        self.outputs = self.y.shape[1] if regression else max(2, int(labels.max()) + 1)

    def check_sizes(self, sizes: Sequence[int], option: str) -> None:
        """Raises a ValueError if a network of these sizes does not fit."""
        inputs, outputs = self.x.shape[1], self.outputs
        if self.scaling.is_regression:
            fits, kind = sizes[-1] == outputs, "targets"
        else:
            fits, kind = sizes[-1] >= outputs or (sizes[-1] == 1 and outputs == 2), "classes"
        if sizes[0] != inputs or not fits:
            raise ValueError(
                f"{option} {'-'.join(map(str, sizes))} does not fit the data: it has {inputs} inputs and "
                f"{outputs} {kind}"
            )


def _number_in(notes: Notes, name: str, otherwise: Any) -> Any:
    value = notes.get(name, otherwise)
    if isinstance(value, list):
        raise ValueError(f"the saved {name} must be a number, got a list")
    return value
