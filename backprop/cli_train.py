"""``python -m backprop train``: from options to a network, an optimizer and a call of fit."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import cli_data, files, schedules
from backprop._validate import whole_number
from backprop.callbacks import Checkpoint, EarlyStopping
from backprop.layer import Layer
from backprop.network import Network
from backprop.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.cli_data import Notes, Scaling
    from backprop.history import History

HIDDEN_NODES = 30

# The options that only some optimizers, or schedules, have.
OPTIMIZERS: dict[str, tuple[type[Optimizer], tuple[str, ...]]] = {
    "sgd": (SGD, ("momentum", "nesterov")),
    "adam": (Adam, ("betas", "eps")),
    "adamw": (AdamW, ("betas", "eps")),
    "rmsprop": (RMSprop, ("momentum", "alpha", "eps")),
}
FOR_ALL = ("weight_decay", "clip_norm", "clip_value")
RATES = {"sgd": 1.0, "adam": 0.001, "adamw": 0.001, "rmsprop": 0.001}
REGRESSION_RATE = 0.01  # of sgd
SCHEDULES: dict[str, tuple[str, ...]] = {
    "constant": ("warm_up",),
    "step": ("decay", "decay_every", "warm_up"),
    "exponential": ("decay", "warm_up"),
    "cosine": ("schedule_epochs", "warm_up"),
    "one_cycle": ("schedule_epochs",),
    "plateau": ("decay", "plateau_patience", "warm_up"),
}
# What a network that is trained on brings along.
OF_NETWORK = ("layers", "hidden", "output", "loss", "no_bias", "init", "dtype", "l1", "l2", "dropout")
OF_OPTIMIZER = ("optimizer", "momentum", "nesterov", "betas", "eps", "alpha", *FOR_ALL)
OF_SCHEDULE = ("schedule", "decay", "decay_every", "schedule_epochs", "warm_up", "plateau_patience")
OF_DATA = ("regression", "standardize", "seed", "test_fraction", "validation")
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
        data = cli_data.read(options, regression=regression)
        assert data.y is not None
        x, y, weight = data.x, data.y, data.sample_weight
        if weight is not None and weight.shape != (len(x),):
            raise ValueError(
                f"{options.data}: sample_weight must have shape {(len(x),)}, got {weight.shape}"
            )
        x_test, y_test = data.x_test, data.y_test
        if x_test is None:
            test, rest = cli_data.split(len(x), test_share, "--test-fraction", seed)
            x_test, y_test = x[test], y[test]
            x, y, weight = x[rest], y[rest], None if weight is None else weight[rest]
        x_held, y_held = None, None
        if held_share is not None:
            held, rest = cli_data.split(len(x), held_share, "--validation", seed)
            x_held, y_held = x[held], y[held]
            x, y, weight = x[rest], y[rest], None if weight is None else weight[rest]
        if scaling is None:
            scaling = cli_data.learn_scaling(x, y, standardize=options.standardize, regression=regression)
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


def train(options: argparse.Namespace) -> None:
    """Trains a network and measures it on the test part."""
    _refuse_idle_options(options)
    whole_number("--epochs", options.epochs)
    whole_number("--seed", options.seed or 0, 0)
    whole_number("--batch-size", BATCH_SIZE if options.batch_size is None else options.batch_size)
    for path in filter(None, (options.save, options.history, options.checkpoint)):
        folder = os.path.dirname(os.path.realpath(path))
        if "{" not in folder and not os.path.isdir(folder):
            raise FileNotFoundError(f"there is no folder {folder} to write {path} into")
    if options.resume is None:
        parts = Parts(options, None, {})
        sizes = options.layers or [parts.x.shape[1], HIDDEN_NODES, parts.outputs]
        parts.check_sizes(sizes, "--layers")
        network = _new_network(options, sizes, parts.scaling.is_regression)
        optimizer = _new_optimizer(options, -(-len(parts.x) // parts.batch_size), parts)
        resumed = ""
    else:
        network, notes, saved_optimizer = files.load_all(options.resume)
        if saved_optimizer is None:
            raise ValueError(f"{options.resume} was saved without an optimizer, so it cannot be resumed")
        optimizer = saved_optimizer
        parts = Parts(options, cli_data.scaling_of(network, notes), notes)
        sizes = [network.layers[0].inputs, *(layer.outputs for layer in network.layers)]
        parts.check_sizes(sizes, options.resume)
        if options.lr is not None:
            optimizer.lr = options.lr
        resumed = f", going on after {optimizer.steps} steps"
    held = "" if parts.validation is None else f" {len(parts.validation[0])} to validate with,"
    print(
        f"{len(parts.x)} samples to train on,{held} {len(parts.x_test)} to test with; layers "
        f"{'-'.join(map(str, sizes))}{resumed}"
    )
    in_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    progress = in_terminal if options.progress is None else options.progress
    callbacks: list[Any] = [] if progress else [_PrintEpoch(parts, callable(optimizer.lr))]
    history = network.fit(
        parts.x,
        parts.y,
        optimizer,
        epochs=options.epochs,
        batch_size=parts.batch_size,
        shuffle=options.shuffle,
        validation=parts.validation,
        threads=options.threads,
        progress=progress,
        callbacks=[*callbacks, *_callbacks(options, parts, optimizer)],
        sample_weight=parts.weight,
        class_weight=options.class_weight,
        norms=options.norms,
    )
    if options.history is not None:
        _write_history(history, options.history)
    if options.save is not None:
        files.save(network, options.save, parts.notes, optimizer)
        print(f"saved {options.save}")
    if parts.scaling.is_regression:
        predicted = parts.scaling.of_outputs(network(parts.x_test))
        print(f"test R2 {cli_data.r_squared(parts.y_test, predicted):.4f}")
    else:
        print(f"test accuracy {network.accuracy(parts.x_test, parts.y_test):.4f}")


def _refuse_idle_options(options: argparse.Namespace) -> None:
    """A usage error for an option that would change nothing."""
    if options.resume is not None:
        idle = _given(options, (*OF_NETWORK, *OF_OPTIMIZER, *OF_SCHEDULE, *OF_DATA))
        _refuse(options, idle, "does not go with --resume: the file says it")
    optimizer, schedule = options.optimizer or "sgd", options.schedule or "constant"
    of_optimizers = {name for _, names in OPTIMIZERS.values() for name in names}
    idle = _given(options, sorted(of_optimizers - set(OPTIMIZERS[optimizer][1])))
    _refuse(options, idle, f"is no setting of --optimizer {optimizer}")
    of_schedules = {name for names in SCHEDULES.values() for name in names}
    idle = _given(options, sorted(of_schedules - set(SCHEDULES[schedule])))
    _refuse(options, idle, f"is no setting of --schedule {schedule}")
    if options.early_stopping is None:
        _refuse(options, _given(options, ("monitor", "min_delta", "keep_last")), "needs --early-stopping")
    if options.checkpoint is None:
        _refuse(options, _given(options, ("checkpoint_every", "checkpoint_best")), "needs --checkpoint")
    if options.regression and options.class_weight is not None:
        _refuse(options, ["class_weight"], "does not go with --regression")
    if options.history is not None and not options.history.endswith((".json", ".csv")):
        options.error(f"--history takes a file that ends in .json or .csv, got {options.history!r}")


def _given(options: argparse.Namespace, names: Iterable[str]) -> list[str]:
    values = {name: getattr(options, name) for name in names}
    return [name for name, value in values.items() if value is not None and value is not False]


def _refuse(options: argparse.Namespace, names: Sequence[str], why: str) -> None:
    if names:
        options.error(f"--{names[0].replace('_', '-')} {why}")


def _new_network(options: argparse.Namespace, sizes: Sequence[int], regression: bool) -> Network:
    hidden = len(sizes) - 2
    loss = options.loss or ("mean_squared_error" if regression else "squared_error")
    output = options.output
    if output is None:
        output = "identity" if regression else "softmax" if loss == "cross_entropy" else "sigmoid"
    activations = [*_one_each(options.hidden or ["sigmoid"], hidden, "--hidden"), output]
    dropout = [*_one_each(options.dropout or [0.0], hidden, "--dropout"), 0.0]
    l1, l2 = (
        _one_each(getattr(options, name) or [0.0], hidden + 1, f"--{name}") for name in ("l1", "l2")
    )
    layers = [
        Layer(
            sizes[i],
            sizes[i + 1],
            activations[i],
            bias=not options.no_bias,
            init=options.init or "auto",
            l1=l1[i],
            l2=l2[i],
            dropout=dropout[i],
        )
        for i in range(hidden + 1)
    ]
    return Network(*layers, loss=loss, dtype=options.dtype or "float32", seed=options.seed or 0)


def _one_each(values: Sequence[Any], count: int, option: str) -> Sequence[Any]:
    """One value for each of `count` layers; one alone is for all of them."""
    if len(values) == 1:
        return list(values) * count
    if len(values) != count:
        raise ValueError(f"{option} takes one value or one for each of {count} layers, got {len(values)}")
    return values


def _new_optimizer(options: argparse.Namespace, steps: int, parts: Parts) -> Optimizer:
    """The optimizer; an epoch has `steps` steps."""
    name = options.optimizer or "sgd"
    kind, names = OPTIMIZERS[name]
    settings = {key: getattr(options, key) for key in _given(options, (*names, *FOR_ALL))}
    if "betas" in settings:
        settings["betas"] = tuple(settings["betas"])
    lr = options.lr
    if lr is None:
        lr = REGRESSION_RATE if name == "sgd" and parts.scaling.is_regression else RATES[name]
    make: Any = kind
    optimizer: Optimizer = make(lr, **settings)  # which refuses a bad rate before it is in a schedule
    optimizer.lr = _rate(options, lr, steps, parts.validation is not None)
    return optimizer


def _rate(options: argparse.Namespace, lr: float, steps: int, validated: bool) -> schedules.Rate:
    """The rate or schedule; its options count in epochs."""
    name = options.schedule or "constant"
    decay = options.decay
    total = steps * (options.epochs if options.schedule_epochs is None else options.schedule_epochs)
    rate: schedules.Rate = lr
    if name == "step":
        every = 10 if options.decay_every is None else options.decay_every
        rate = schedules.Step(lr, steps * every, 0.1 if decay is None else decay)
    elif name == "exponential":
        if decay is None or decay <= 0:
            raise ValueError(f"--schedule exponential needs a --decay above 0, got {decay}")
        rate = schedules.Exponential(lr, decay ** (1 / steps))
    elif name == "cosine":  # down to 0 at the end, a warm-up included
        total -= steps * (options.warm_up or 0)
        if total <= 0:
            raise ValueError(f"--warm-up {options.warm_up} leaves no epoch for the schedule")
        rate = schedules.Cosine(lr, total)
    elif name == "one_cycle":
        rate = schedules.OneCycle(lr, total)
    elif name == "plateau":
        rate = schedules.ReduceOnPlateau(
            lr,
            "validation_loss" if validated else "loss",
            factor=0.1 if decay is None else decay,
            patience=10 if options.plateau_patience is None else options.plateau_patience,
        )
    if options.warm_up is not None:
        rate = schedules.WarmUp(rate, steps * options.warm_up)
    return rate


class _Checkpoint(Checkpoint):
    """A checkpoint that `train --resume` can go on from: with scaling and parts."""

    def __init__(self, notes: Notes, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._notes = notes

    def _save(self, network: Network, path: str) -> None:
        files.save(network, path, self._notes, self.optimizer)


def _callbacks(options: argparse.Namespace, parts: Parts, optimizer: Optimizer) -> list[Any]:
    watched = "loss" if parts.validation is None else "validation_loss"
    callbacks: list[Any] = []
    if options.checkpoint is not None:
        callbacks.append(
            _Checkpoint(
                parts.notes,
                options.checkpoint,
                every=1 if options.checkpoint_every is None else options.checkpoint_every,
                monitor=watched if options.checkpoint_best else None,
                optimizer=optimizer,
            )
        )
    if options.early_stopping is not None:
        callbacks.append(
            EarlyStopping(
                options.monitor or watched,
                patience=options.early_stopping,
                min_delta=options.min_delta or 0.0,
                restore_best=not options.keep_last,
            )
        )
    return callbacks


class _PrintEpoch:
    """Prints a line for each epoch."""

    def __init__(self, parts: Parts, scheduled: bool) -> None:
        self.keys = ["loss", "accuracy", "validation_loss", "validation_accuracy"]
        if parts.scaling.is_regression:
            self.keys = ["loss", "validation_loss"]
        if scheduled:
            self.keys.append("lr")
        self.keys += ["weight_norm", "gradient_norm"]

    def __call__(self, network: Network, record: dict[str, float]) -> None:
        figures = (
            f"  {key.replace('_', ' ')} {record[key]:{'.3g' if key == 'lr' else '.4f'}}"
            for key in self.keys
            if key in record
        )
        print(f"epoch {record['epoch']:3d}{''.join(figures)}", flush=True)


def _write_history(history: History, path: str) -> None:
    columns = history.to_dict()
    if path.endswith(".json"):
        text = json.dumps(columns) + "\n"
    else:
        figures = zip(*columns.values(), strict=True)
        rows = [["epoch", *columns], *([n, *row] for n, row in enumerate(figures, start=1))]
        text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    files.write_whole(os.fspath(path), text.encode())
