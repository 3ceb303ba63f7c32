"""From the options of ``train`` to a network, an optimizer and its schedule."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from backprop import schedules
from backprop.layer import Layer
from backprop.network import Network
from backprop.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from backprop.solvers import LBFGS, LevenbergMarquardt, WholeBatch

if TYPE_CHECKING:
    from backprop._types import Rate
    from backprop.cli.parts import Parts

HIDDEN_NODES = 30

# The options that only some optimizers, or schedules, have.
OPTIMIZERS: dict[str, tuple[type[Optimizer], tuple[str, ...]]] = {
    "sgd": (SGD, ("momentum", "nesterov")),
    "adam": (Adam, ("betas", "eps")),
    "adamw": (AdamW, ("betas", "eps")),
    "rmsprop": (RMSprop, ("momentum", "alpha", "eps")),
}
WHOLE_BATCH: dict[str, type[LBFGS] | type[LevenbergMarquardt]] = {"lbfgs": LBFGS, "lm": LevenbergMarquardt}
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
FOR_DESCENT = ("lr", "batch_size", *OF_OPTIMIZER[1:], *OF_SCHEDULE)
OF_DATA = ("regression", "standardize", "seed", "test_fraction", "validation", "drop_column")


def refuse_idle_options(options: argparse.Namespace) -> None:
    """A usage error for an option that would change nothing."""
    if options.resume is not None:
        idle = _given(options, (*OF_NETWORK, *OF_OPTIMIZER, *OF_SCHEDULE, *OF_DATA))
        _refuse(options, idle, "does not go with --resume: the file says it")
    _refuse_idle_of_optimizer(options)
    if options.early_stopping is None:
        _refuse(options, _given(options, ("monitor", "min_delta", "keep_last")), "needs --early-stopping")
    if options.checkpoint is None:
        _refuse(options, _given(options, ("checkpoint_every", "checkpoint_best")), "needs --checkpoint")
    if options.regression and options.class_weight is not None:
        _refuse(options, ["class_weight"], "does not go with --regression")
    if options.history is not None and not options.history.endswith((".json", ".csv")):
        options.error(f"--history takes a file that ends in .json or .csv, got {options.history!r}")


def _refuse_idle_of_optimizer(options: argparse.Namespace) -> None:
    optimizer, schedule = options.optimizer or "sgd", options.schedule or "constant"
    if optimizer in WHOLE_BATCH:
        _refuse(options, _given(options, FOR_DESCENT), f"is no setting of --optimizer {optimizer}")
        return
    of_optimizers = {name for _, names in OPTIMIZERS.values() for name in names}
    idle = _given(options, sorted(of_optimizers - set(OPTIMIZERS[optimizer][1])))
    _refuse(options, idle, f"is no setting of --optimizer {optimizer}")
    of_schedules = {name for names in SCHEDULES.values() for name in names}
    idle = _given(options, sorted(of_schedules - set(SCHEDULES[schedule])))
    _refuse(options, idle, f"is no setting of --schedule {schedule}")


def _given(options: argparse.Namespace, names: Iterable[str]) -> list[str]:
    values = {name: getattr(options, name) for name in names}
    off_is_a_value = ("standardize",)  # which has a --no-standardize
    return [
        name
        for name, value in values.items()
        if value is not None and (value is not False or name in off_is_a_value)
    ]


def _refuse(options: argparse.Namespace, names: Sequence[str], why: str) -> None:
    if names:
        options.error(f"--{names[0].replace('_', '-')} {why}")


def new_network(options: argparse.Namespace, sizes: Sequence[int], regression: bool) -> Network:
    """The network of these sizes that the options describe."""
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


def new_optimizer(options: argparse.Namespace, steps: int, parts: Parts) -> Optimizer | WholeBatch:
    """The optimizer; an epoch has `steps` steps."""
    name = options.optimizer or "sgd"
    if name in WHOLE_BATCH:
        return WHOLE_BATCH[name]()
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


def _rate(options: argparse.Namespace, lr: float, steps: int, validated: bool) -> Rate:
    """The rate or schedule; its options count in epochs."""
    name = options.schedule or "constant"
    decay = options.decay
    total = steps * (options.epochs if options.schedule_epochs is None else options.schedule_epochs)
    rate: Rate = lr
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
