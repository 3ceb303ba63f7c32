"""The options of ``python -m backprop``: train, predict, evaluate, check, export, explain, jacobian, play,
bench, info."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import backprop as bp
from backprop import _core
from backprop.cli import use
from backprop.cli.arguments import (
    Help,
    add_command,
    add_data,
    add_model,
    add_table,
    flag,
    integer,
    names,
    number,
    sizes,
)
from backprop.cli.train_options import add_train

EPILOG = """\
commands have a --help of their own: python -m backprop train --help

exit codes: 0; 1 for bad data or a failed training; 2 for a wrong command line; 130 for Ctrl-C
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of a command line, with ``run``, the function that does it; without a command, train's.

    Raises
    ------
    SystemExit
        After --help and --version, with 0, and on a wrong command line, with 2.
    """
    parser = argparse.ArgumentParser(
        prog="python -m backprop",
        description="Multilayer perceptrons trained by backpropagation. Without a command: train on the "
        "handwritten digits that come with the package.",
        epilog=EPILOG,
        formatter_class=Help,
    )
    parser.add_argument("--version", action="version", version=f"backprop {bp.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for add in (
        add_train,
        _add_predict,
        _add_evaluate,
        _add_check,
        _add_export,
        _add_explain,
        _add_jacobian,
        _add_play,
        _add_bench,
        _add_info,
    ):
        add(commands)
    options = parser.parse_args(arguments)
    return parser.parse_args(["train"]) if options.command is None else options


def _add_predict(commands: Any) -> None:
    predict = add_command(
        commands, "predict", "print the class of every sample, one a line", use.predict,
        " With labels, the accuracy goes to standard error. A regression prints its outputs.",
    )
    add_model(predict)
    add_data(predict, "classify")
    add_table(predict)
    flag(predict, "--outputs", "print all outputs, separated by commas, instead of the class")


def _add_evaluate(commands: Any) -> None:
    evaluate = add_command(
        commands, "evaluate", "print loss and accuracy of a saved network on labelled data", use.evaluate
    )
    add_model(evaluate)
    add_data(evaluate, "measure with")
    add_table(evaluate)
    flag(evaluate, "--confusion", "print how often each label is taken for which")


def _add_check(commands: Any) -> None:
    check = add_command(
        commands, "check", "compare the gradient with differences of the loss", use.check,
        " The exit code is 1 if they disagree.",
    )
    add_model(check, optional="one trained on the digits")
    add_data(check, "take samples from")
    add_table(check)
    integer(check, "--samples", "how many samples, the first ones", 10)


def _add_export(commands: Any) -> None:
    export = add_command(
        commands, "export", "write a saved network as ONNX, C or PyTorch's state", use.export,
        " What scaled the inputs goes into the first layer, so that the result takes data as they are.",
    )
    add_model(export)
    export.add_argument("file", help="what to write: .onnx, .c (one C99 file) or .pt (a state_dict)")
    export.add_argument(
        "--name", default="network", help="what names in C begin with (default network)"
    )
    export.add_argument("--header", metavar="FILE", help="with .c: a header that declares its functions")
    flag(export, "--integers", "with .c: in whole numbers, for processors without floating point")
    add_data(export, "take samples from that say what inputs and layers span, with --integers")
    flag(export, "--as-trained", "leave the parameters as they are: inputs must be scaled as in training")


def _add_explain(commands: Any) -> None:
    explain = add_command(
        commands, "explain", "print the chain rule of one weight or bias, term by term", use.explain
    )
    add_model(explain, optional="one trained on the digits")
    add_data(explain, "take a sample from")
    add_table(explain)
    integer(explain, "--sample", "which sample, from 0; of the test part where there is one", 0)
    integer(explain, "--layer", "which of net.layers, from 0; negative from the output layer", -1)
    integer(explain, "--j", "the node of that layer, from 0", 0)
    integer(explain, "--k", "the node of the layer before, from 0", 0)
    flag(explain, "--bias", "the bias of node j, which has no k")
    form = explain.add_mutually_exclusive_group()
    flag(form, "--latex", "as LaTeX, for a document")
    flag(form, "--html", "as a page to open level by level")


def _add_jacobian(commands: Any) -> None:
    jacobian = add_command(
        commands, "jacobian", "print the derivatives of all outputs with respect to all inputs",
        use.jacobian,
        " One line for each output, the inputs separated by commas; of the inputs as scaled in training.",
    )
    add_model(jacobian, optional="one trained on the digits")
    add_data(jacobian, "take a sample from")
    add_table(jacobian)
    integer(jacobian, "--sample", "which sample, from 0; of the test part where there is one", 0)


def _add_play(commands: Any) -> None:
    play = add_command(
        commands, "play", "step through a network in the browser, and train it", use.play
    )
    add_model(play, optional="a new network")
    shown = play.add_mutually_exclusive_group()
    add_data(shown, "show", "moons")
    shown.add_argument(
        "--set", choices=("circles", "digits", "moons", "two_spirals", "xor"),
        help="or a data set of the package; the digits come with a trained network",
    )
    add_table(play, learns=True)
    play.add_argument(
        "--layers", type=sizes, metavar="2-5-4-1",
        help="widths of a new network (default 2-5-4-1, or one hidden layer of 8 nodes for --data)",
    )
    names(play, "--hidden", "activation", _core.activations, "of a new network's hidden layers, default tanh")
    names(play, "--output", "activation", _core.activations, "of its output layer, default sigmoid")
    names(play, "--loss", "loss", _core.losses, "default squared_error")
    names(play, "--optimizer", "optimizer", ("adam", "rmsprop", "sgd"), "default sgd")
    number(play, "--lr", "R", "learning rate (default 0.5; adam and rmsprop 0.01)")
    integer(play, "--batch-size", "samples a step", 10)
    integer(play, "--sample", "to begin with", 0)
    integer(play, "--nodes", "of a layer to draw", 8)
    play.add_argument(
        "--port", type=int, default=0, metavar="N", help="to listen at (default: any free one)"
    )
    play.add_argument("--no-browser", dest="browser", action="store_false", help="only print the address")


def _add_bench(commands: Any) -> None:
    bench = add_command(
        commands, "bench", "measure how fast networks of several sizes train here", use.bench
    )
    integer(bench, "--threads", "(default: as many as pay)")


def _add_info(commands: Any) -> None:
    info = add_command(commands, "info", "describe this installation, or a saved network", use.info)
    add_model(info, optional="this installation")
