"""``python -m backprop train``: what it trains, what it prints and what it writes."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backprop._validate import whole_number
from backprop.callbacks import Checkpoint, EarlyStopping
from backprop.cli.build import HIDDEN_NODES, new_network, new_optimizer, refuse_idle_options
from backprop.cli.columns import listed
from backprop.cli.data import load, r_squared
from backprop.cli.parts import BATCH_SIZE, Parts, divide
from backprop.files.format import save
from backprop.files.writing import write_whole
from backprop.network import Network
from backprop.solvers import WholeBatch

if TYPE_CHECKING:
    from backprop._base import BaseNetwork
    from backprop.history import History
    from backprop.optimizers import Optimizer


def train(options: argparse.Namespace) -> None:
    """Trains a network and measures it on the test part."""
    refuse_idle_options(options)
    _check_values(options)
    network, optimizer, parts = _begin(options) if options.resume is None else _resume(options)
    class_weight = _by_index(options.class_weight, parts)
    in_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    progress = in_terminal if options.progress is None else options.progress
    callbacks: list[Any] = [] if progress else [_PrintEpoch(parts, callable(getattr(optimizer, "lr", None)))]
    history = network.fit(
        parts.x,
        parts.y,
        optimizer,
        epochs=options.epochs,
        batch_size=None if isinstance(optimizer, WholeBatch) else parts.batch_size,
        shuffle=options.shuffle,
        validation=parts.validation,
        threads=options.threads,
        precision=options.precision,
        progress=progress,
        callbacks=[*callbacks, *_callbacks(options, parts, optimizer)],
        sample_weight=parts.weight,
        class_weight=class_weight,
        norms=options.norms,
    )
    if options.history is not None:
        _write_history(history, options.history)
    if options.save is not None:
        save(network, options.save, parts.notes, optimizer)
        print(f"saved {options.save}")
    if parts.scaling.is_regression:
        predicted = parts.scaling.of_outputs(network(parts.x_test))
        print(f"test R2 {r_squared(parts.y_test, predicted):.4f}")
    else:
        print(f"test accuracy {network.accuracy(parts.x_test, parts.y_test):.4f}")


def _by_index(weights: str | dict[str, float] | None, parts: Parts) -> str | dict[int, float] | None:
    """--class-weight with the indices of classes in place of their names."""
    if weights is None or isinstance(weights, str):
        return weights
    assert parts.classes is not None
    place = {str(name): i for i, name in enumerate(parts.classes.names)}
    if unknown := [name for name in weights if name not in place]:
        raise ValueError(
            f"--class-weight names {unknown[0]}, which is none of the classes {listed(list(place))}"
        )
    return {place[name]: weight for name, weight in weights.items()}


def _check_values(options: argparse.Namespace) -> None:
    whole_number("--epochs", options.epochs)
    whole_number("--seed", options.seed or 0, 0)
    whole_number("--batch-size", BATCH_SIZE if options.batch_size is None else options.batch_size)
    for path in filter(None, (options.save, options.history, options.checkpoint)):
        folder = os.path.dirname(os.path.realpath(path))
        if "{" not in folder and not os.path.isdir(folder):
            raise FileNotFoundError(f"there is no folder {folder} to write {path} into")


def _begin(options: argparse.Namespace) -> tuple[Network, Optimizer | WholeBatch, Parts]:
    """A new network and what it is trained with."""
    parts = divide(options)
    sizes = options.layers or [parts.x.shape[1], HIDDEN_NODES, parts.outputs]
    parts.check_sizes(sizes, "--layers")
    network = new_network(options, sizes, parts.scaling.is_regression)
    optimizer = new_optimizer(options, -(-len(parts.x) // parts.batch_size), parts)
    _print_parts(parts, sizes, "")
    return network, optimizer, parts


def _resume(options: argparse.Namespace) -> tuple[Network, Optimizer | WholeBatch, Parts]:
    """The network of a file, to go on with."""
    model = load(options.resume)
    network, optimizer = model.network, model.optimizer
    if optimizer is None:
        raise ValueError(f"{options.resume} was saved without an optimizer, so it cannot be resumed")
    parts = divide(options, model)
    sizes = [network.layers[0].inputs, *(layer.outputs for layer in network.layers)]
    parts.check_sizes(sizes, options.resume)
    if isinstance(optimizer, WholeBatch):
        if options.lr is not None or options.batch_size is not None:
            raise ValueError(f"{options.resume} goes on with {optimizer}, which has no --lr or --batch-size")
    elif options.lr is not None:
        optimizer.lr = options.lr
    _print_parts(parts, sizes, f", going on after {optimizer.steps} steps")
    return network, optimizer, parts


def _print_parts(parts: Parts, sizes: Sequence[int], resumed: str) -> None:
    if parts.understood:
        print(parts.understood)
    held = "" if parts.validation is None else f" {len(parts.validation[0])} to validate with,"
    print(
        f"{len(parts.x)} samples to train on,{held} {len(parts.x_test)} to test with; layers "
        f"{'-'.join(map(str, sizes))}{resumed}"
    )


class _Checkpoint(Checkpoint):
    """A checkpoint that `train --resume` can go on from: with scaling and parts."""

    def __init__(self, notes: Mapping[str, Any], *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._notes = notes

    def write(self, network: BaseNetwork, path: str) -> None:
        save(network, path, self._notes, self.optimizer)


def _callbacks(options: argparse.Namespace, parts: Parts, optimizer: Optimizer | WholeBatch) -> list[Any]:
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
        quality = "r2" if parts.scaling.is_regression else "accuracy"
        self.keys = ["loss", quality, "validation_loss", f"validation_{quality}"]
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
    write_whole(os.fspath(path), text.encode())
