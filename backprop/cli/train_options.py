"""The options of ``python -m backprop train``."""

from __future__ import annotations

import argparse
from typing import Any

from backprop import _core
from backprop._initial import INIT_NAMES
from backprop.cli.arguments import (
    add_command,
    add_data,
    add_table,
    class_weight,
    flag,
    integer,
    name_of,
    names,
    number,
    numbers,
    sizes,
)
from backprop.cli.build import HIDDEN_NODES, OPTIMIZERS, REGRESSION_RATE, SCHEDULES, WHOLE_BATCH
from backprop.cli.train import train
from backprop.fit.precision import PRECISIONS

MONITORED = ("loss", "accuracy", "r2", "validation_loss", "validation_accuracy", "validation_r2")


def add_train(commands: Any) -> None:
    """The command and all its options."""
    parser = add_command(
        commands, "train", "train a network and print what it is worth on the test part", train
    )
    parser.usage = "python -m backprop train [options]"
    _add_data(parser)
    _add_network(parser)
    _add_optimizer(parser)
    _add_schedule(parser)
    _add_fitting(parser)
    _add_course(parser)
    _add_files(parser)


def _add_data(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("data")
    add_data(data, "train and test with")
    add_table(data, learns=True)
    number(data, "--test-fraction", "F", "share to test with if the data has no test part (default 0.2)")
    number(data, "--validation", "F", "share of the training samples to validate with after each epoch")
    flag(data, "--regression", "targets are real numbers, not labels; they are standardised")
    data.add_argument(
        "--standardize", action=argparse.BooleanOptionalAction,
        help="give each input mean 0 and deviation 1, instead of all of them one scale (default: the numbers "
        "of a table, unless they are pixels)",
    )
    data.add_argument(
        "--class-weight", type=class_weight, metavar="W",
        help='"balanced", or weights such as 0:1,1:5; classes that are not named have 1',
    )


def _add_network(parser: argparse.ArgumentParser) -> None:
    network = parser.add_argument_group("network")
    network.add_argument(
        "--layers", type=sizes, metavar="784-30-10",
        help=f"widths, inputs first (default: one hidden layer of {HIDDEN_NODES} nodes)",
    )
    names(network, "--hidden", "activation", _core.activations, "default sigmoid", several=True)
    network.add_argument(
        "--output", type=name_of("activation", _core.activations), metavar="NAME",
        help="one of the same (default sigmoid; softmax with cross_entropy; identity for a regression)",
    )
    names(
        network, "--loss", "loss", _core.losses,
        "default squared_error; mean_squared_error for a regression",
    )
    names(network, "--init", "init", INIT_NAMES, "default auto")
    flag(network, "--no-bias", "weighted sums without biases")
    names(network, "--dtype", "dtype", ("float32", "float64"), "default float32")
    integer(network, "--seed", "of the first weights, the order of samples and the parts (default 0)")


def _add_optimizer(parser: argparse.ArgumentParser) -> None:
    optimizer = parser.add_argument_group("optimizer")
    known = (*OPTIMIZERS, *WHOLE_BATCH)
    names(optimizer, "--optimizer", "optimizer", known, "default sgd; lbfgs and lm take all samples at once")
    number(
        optimizer, "--lr", "R",
        f"learning rate (default: sgd 1, or {REGRESSION_RATE:g} for a regression; others 0.001)",
    )
    number(optimizer, "--momentum", "M", "of sgd and rmsprop (default 0)")
    flag(optimizer, "--nesterov", "make the momentum of sgd Nesterov's")
    optimizer.add_argument(
        "--betas", type=float, nargs=2, metavar="B", help="of adam and adamw (default 0.9 0.999)"
    )
    number(optimizer, "--alpha", "A", "of rmsprop (default 0.99)")
    number(optimizer, "--eps", "E", "of adam, adamw and rmsprop (default 1e-8)")
    number(optimizer, "--weight-decay", "W", "(default 0; adamw 0.01)")
    number(optimizer, "--clip-norm", "C", "scale the gradient down to this 2-norm")
    number(optimizer, "--clip-value", "C", "hold each entry of the gradient within ±C")


def _add_schedule(parser: argparse.ArgumentParser) -> None:
    schedule = parser.add_argument_group("learning rate over time")
    names(schedule, "--schedule", "schedule", tuple(SCHEDULES), "default constant")
    number(schedule, "--decay", "F", "factor of step and plateau (default 0.1), of exponential per epoch")
    integer(schedule, "--decay-every", "epochs between two steps of step (default 10)")
    integer(schedule, "--schedule-epochs", "length of cosine and one_cycle (default: --epochs)")
    integer(schedule, "--plateau-patience", "epochs without a better loss before plateau (default 10)")
    integer(schedule, "--warm-up", "epochs of a linear rise before the schedule; not for one_cycle")


def _add_fitting(parser: argparse.ArgumentParser) -> None:
    fitting = parser.add_argument_group("against overfitting")
    for option, what in (
        ("--l1", "factor of Σ|w|; one for each layer after commas, or one for all"),
        ("--l2", "factor of ½Σw², likewise"),
        ("--dropout", "share of nodes left out; one for each hidden layer, or one for all"),
    ):
        fitting.add_argument(option, type=numbers, metavar="F,...", help=what)
    integer(fitting, "--early-stopping", "stop after so many epochs without a better value")
    names(
        fitting, "--monitor", "monitor", MONITORED, "default validation_loss, or loss without --validation"
    )
    number(fitting, "--min-delta", "D", "by how much a better value must be better (default 0)")
    flag(fitting, "--keep-last", "keep the last epoch's weights, not the best one's")


def _add_course(parser: argparse.ArgumentParser) -> None:
    course = parser.add_argument_group("course")
    integer(course, "--epochs", "how often to train on every sample", 30)
    integer(course, "--batch-size", "samples a step (default 10)")
    course.add_argument(
        "--no-shuffle", dest="shuffle", action="store_false", help="keep the order of the samples"
    )
    integer(course, "--threads", "(default: as many as pay)")
    names(course, "--precision", "precision", PRECISIONS, "of the products, default float32")
    flag(course, "--norms", "measure the norms of weights and gradient too")
    course.add_argument(
        "--progress", action=argparse.BooleanOptionalAction,
        help="a bar instead of lines (default: in a terminal)",
    )


def _add_files(parser: argparse.ArgumentParser) -> None:
    kept = parser.add_argument_group("files")
    kept.add_argument("--save", metavar="FILE", help="write network and optimizer to this safetensors file")
    kept.add_argument(
        "--resume", metavar="FILE",
        help="go on with what --save or --checkpoint wrote, on the same --data; the file says the rest",
    )
    kept.add_argument(
        "--checkpoint", metavar="FILE",
        help="save while training; {epoch}, {loss} and so on in the name become figures",
    )
    integer(kept, "--checkpoint-every", "epochs between two checkpoints (default 1)")
    flag(kept, "--checkpoint-best", "only where the loss, validated if possible, is the best so far")
    kept.add_argument("--history", metavar="FILE", help="write the figures to a .json or .csv file")
