"""The options of ``python -m backprop``: train, predict, evaluate, check, export, explain, jacobian, play,
bench, info."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import backprop as bp
from backprop import _core, cli_train, cli_use
from backprop._validate import name_among
from backprop.layer import INITIALIZERS

EPILOG = """\
commands have a --help of their own: python -m backprop train --help

exit codes: 0; 1 for bad data or a failed training; 2 for a wrong command line; 130 for Ctrl-C
"""
MONITORED = ("loss", "accuracy", "validation_loss", "validation_accuracy")


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
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"backprop {bp.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for add in (
        _add_train,
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


class _Help(argparse.HelpFormatter):
    """With a column that is wide enough for most options, and the line breaks of descriptions kept."""

    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(prog, max_help_position=32, **settings)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(textwrap.fill(line, width) for line in text.splitlines())


def _command(
    commands: Any, name: str, what: str, run: Callable[[argparse.Namespace], None], more: str = ""
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.{more}",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run, error=parser.error)
    return parser


def _add_train(commands: Any) -> None:
    train = _command(
        commands, "train", "train a network and print what it is worth on the test part", cli_train.train
    )
    train.usage = "python -m backprop train [options]"
    data = train.add_argument_group("data")
    _add_data(data, "train and test with")
    _add_label_column(data)
    _number(data, "--test-fraction", "F", "share to test with if the data has no test part (default 0.2)")
    _number(data, "--validation", "F", "share of the training samples to validate with after each epoch")
    _flag(data, "--regression", "targets are real numbers, not labels; they are standardised")
    _flag(data, "--standardize", "give each input mean 0 and deviation 1, instead of all of them one scale")
    data.add_argument(
        "--class-weight", type=_class_weight, metavar="W",
        help='"balanced", or weights such as 0:1,1:5; classes that are not named have 1',
    )

    network = train.add_argument_group("network")
    network.add_argument(
        "--layers", type=_sizes, metavar="784-30-10",
        help=f"widths, inputs first (default: one hidden layer of {cli_train.HIDDEN_NODES} nodes)",
    )
    _names(network, "--hidden", "activation", _core.activations, "default sigmoid", several=True)
    network.add_argument(
        "--output", type=_name("activation", _core.activations), metavar="NAME",
        help="one of the same (default sigmoid; softmax with cross_entropy; identity for a regression)",
    )
    _names(
        network, "--loss", "loss", _core.losses,
        "default squared_error; mean_squared_error for a regression",
    )
    _names(network, "--init", "init", ("auto", *INITIALIZERS), "default auto")
    _flag(network, "--no-bias", "weighted sums without biases")
    _names(network, "--dtype", "dtype", ("float32", "float64"), "default float32")
    _integer(network, "--seed", "of the first weights, the order of samples and the parts (default 0)")

    optimizer = train.add_argument_group("optimizer")
    _names(optimizer, "--optimizer", "optimizer", tuple(cli_train.OPTIMIZERS), "default sgd")
    _number(
        optimizer, "--lr", "R",
        f"learning rate (default: sgd 1, or {cli_train.REGRESSION_RATE:g} for a regression; others 0.001)",
    )
    _number(optimizer, "--momentum", "M", "of sgd and rmsprop (default 0)")
    _flag(optimizer, "--nesterov", "make the momentum of sgd Nesterov's")
    optimizer.add_argument(
        "--betas", type=float, nargs=2, metavar="B", help="of adam and adamw (default 0.9 0.999)"
    )
    _number(optimizer, "--alpha", "A", "of rmsprop (default 0.99)")
    _number(optimizer, "--eps", "E", "of adam, adamw and rmsprop (default 1e-8)")
    _number(optimizer, "--weight-decay", "W", "(default 0; adamw 0.01)")
    _number(optimizer, "--clip-norm", "C", "scale the gradient down to this 2-norm")
    _number(optimizer, "--clip-value", "C", "hold each entry of the gradient within ±C")

    schedule = train.add_argument_group("learning rate over time")
    _names(schedule, "--schedule", "schedule", tuple(cli_train.SCHEDULES), "default constant")
    _number(schedule, "--decay", "F", "factor of step and plateau (default 0.1), of exponential per epoch")
    _integer(schedule, "--decay-every", "epochs between two steps of step (default 10)")
    _integer(schedule, "--schedule-epochs", "length of cosine and one_cycle (default: --epochs)")
    _integer(schedule, "--plateau-patience", "epochs without a better loss before plateau (default 10)")
    _integer(schedule, "--warm-up", "epochs of a linear rise before the schedule; not for one_cycle")

    fitting = train.add_argument_group("against overfitting")
    for option, what in (
        ("--l1", "factor of Σ|w|; one for each layer after commas, or one for all"),
        ("--l2", "factor of ½Σw², likewise"),
        ("--dropout", "share of nodes left out; one for each hidden layer, or one for all"),
    ):
        fitting.add_argument(option, type=_numbers, metavar="F,...", help=what)
    _integer(fitting, "--early-stopping", "stop after so many epochs without a better value")
    _names(
        fitting, "--monitor", "monitor", MONITORED, "default validation_loss, or loss without --validation"
    )
    _number(fitting, "--min-delta", "D", "by how much a better value must be better (default 0)")
    _flag(fitting, "--keep-last", "keep the last epoch's weights, not the best one's")

    course = train.add_argument_group("course")
    _integer(course, "--epochs", "how often to train on every sample", 30)
    _integer(course, "--batch-size", "samples a step (default 10)")
    course.add_argument(
        "--no-shuffle", dest="shuffle", action="store_false", help="keep the order of the samples"
    )
    _integer(course, "--threads", "(default: as many as pay)")
    _flag(course, "--norms", "measure the norms of weights and gradient too")
    course.add_argument(
        "--progress", action=argparse.BooleanOptionalAction,
        help="a bar instead of lines (default: in a terminal)",
    )

    kept = train.add_argument_group("files")
    kept.add_argument("--save", metavar="FILE", help="write network and optimizer to this safetensors file")
    kept.add_argument(
        "--resume", metavar="FILE",
        help="go on with what --save or --checkpoint wrote, on the same --data; the file says the rest",
    )
    kept.add_argument(
        "--checkpoint", metavar="FILE",
        help="save while training; {epoch}, {loss} and so on in the name become figures",
    )
    _integer(kept, "--checkpoint-every", "epochs between two checkpoints (default 1)")
    _flag(kept, "--checkpoint-best", "only where the loss, validated if possible, is the best so far")
    kept.add_argument("--history", metavar="FILE", help="write the figures to a .json or .csv file")


def _add_predict(commands: Any) -> None:
    predict = _command(
        commands, "predict", "print the class of every sample, one a line", cli_use.predict,
        " With labels, the accuracy goes to standard error. A regression prints its outputs.",
    )
    _add_model(predict)
    _add_data(predict, "classify")
    _add_label_column(predict)
    _flag(predict, "--outputs", "print all outputs, separated by commas, instead of the class")


def _add_evaluate(commands: Any) -> None:
    evaluate = _command(
        commands, "evaluate", "print loss and accuracy of a saved network on labelled data", cli_use.evaluate
    )
    _add_model(evaluate)
    _add_data(evaluate, "measure with")
    _add_label_column(evaluate)
    _flag(evaluate, "--confusion", "print how often each label is taken for which")


def _add_check(commands: Any) -> None:
    check = _command(
        commands, "check", "compare the gradient with differences of the loss", cli_use.check,
        " The exit code is 1 if they disagree.",
    )
    _add_model(check, optional="one trained on the digits")
    _add_data(check, "take samples from")
    _add_label_column(check)
    _integer(check, "--samples", "how many samples, the first ones", 10)


def _add_export(commands: Any) -> None:
    export = _command(
        commands, "export", "write a saved network as ONNX, C or PyTorch's state", cli_use.export,
        " What scaled the inputs goes into the first layer, so that the result takes data as they are.",
    )
    _add_model(export)
    export.add_argument("file", help="what to write: .onnx, .c (one C99 file) or .pt (a state_dict)")
    export.add_argument(
        "--name", default="network", help="what names in C begin with (default network)"
    )
    _flag(export, "--as-trained", "leave the parameters as they are: inputs must be scaled as in training")


def _add_explain(commands: Any) -> None:
    explain = _command(
        commands, "explain", "print the chain rule of one weight or bias, term by term", cli_use.explain
    )
    _add_model(explain, optional="one trained on the digits")
    _add_data(explain, "take a sample from")
    _add_label_column(explain)
    _integer(explain, "--sample", "which sample, from 0; of the test part where there is one", 0)
    _integer(explain, "--layer", "which of net.layers, from 0; negative from the output layer", -1)
    _integer(explain, "--j", "the node of that layer, from 0", 0)
    _integer(explain, "--k", "the node of the layer before, from 0", 0)
    _flag(explain, "--bias", "the bias of node j, which has no k")
    form = explain.add_mutually_exclusive_group()
    _flag(form, "--latex", "as LaTeX, for a document")
    _flag(form, "--html", "as a page to open level by level")


def _add_jacobian(commands: Any) -> None:
    jacobian = _command(
        commands, "jacobian", "print the derivatives of all outputs with respect to all inputs",
        cli_use.jacobian,
        " One line for each output, the inputs separated by commas; of the inputs as scaled in training.",
    )
    _add_model(jacobian, optional="one trained on the digits")
    _add_data(jacobian, "take a sample from")
    _add_label_column(jacobian)
    _integer(jacobian, "--sample", "which sample, from 0; of the test part where there is one", 0)


def _add_play(commands: Any) -> None:
    play = _command(
        commands, "play", "step through a network in the browser, and train it", cli_use.play
    )
    _add_model(play, optional="a new network")
    shown = play.add_mutually_exclusive_group()
    _add_data(shown, "show", "moons")
    shown.add_argument(
        "--set", choices=("circles", "digits", "moons", "two_spirals", "xor"),
        help="or a data set of the package; the digits come with a trained network",
    )
    _add_label_column(play)
    play.add_argument(
        "--layers", type=_sizes, metavar="2-5-4-1",
        help="widths of a new network (default 2-5-4-1, or one hidden layer of 8 nodes for --data)",
    )
    _number(play, "--lr", "R", "learning rate (default 0.5)")
    _integer(play, "--batch-size", "samples a step", 10)
    _integer(play, "--sample", "to begin with", 0)
    _integer(play, "--nodes", "of a layer to draw", 8)
    play.add_argument(
        "--port", type=int, default=0, metavar="N", help="to listen at (default: any free one)"
    )
    play.add_argument("--no-browser", dest="browser", action="store_false", help="only print the address")


def _add_bench(commands: Any) -> None:
    bench = _command(
        commands, "bench", "measure how fast networks of several sizes train here", cli_use.bench
    )
    _integer(bench, "--threads", "(default: as many as pay)")


def _add_info(commands: Any) -> None:
    info = _command(commands, "info", "describe this installation, or a saved network", cli_use.info)
    _add_model(info, optional="this installation")


# One option each.


def _add_model(parser: argparse.ArgumentParser, optional: str | None = None) -> None:
    text = "a file that train --save wrote"
    if optional is None:
        parser.add_argument("model", help=text)
    else:
        parser.add_argument("model", nargs="?", help=f"{text} (default: {optional})")


def _add_data(
    parser: argparse._ActionsContainer, purpose: str, default: str = "the digits of the package"
) -> None:
    parser.add_argument(
        "--data", metavar="PATH",
        help=f"what to {purpose}: a folder of MNIST-format files, an .npz file (x_train, y_train, x_test, "
        f"y_test, or x, y), or a .csv file (default: {default})",
    )


def _add_label_column(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--label-column", type=int, metavar="N",
        help='the column of a .csv file with the labels or targets, from 0 (default: the one called '
        '"label", or 0)',
    )


def _flag(parser: argparse._ActionsContainer, option: str, what: str) -> None:
    parser.add_argument(option, action="store_true", help=what)


def _number(
    parser: argparse._ActionsContainer, option: str, letter: str, what: str, default: float | None = None
) -> None:
    _add_value(parser, option, float, letter, what, default)


def _integer(
    parser: argparse._ActionsContainer, option: str, what: str, default: int | None = None
) -> None:
    _add_value(parser, option, int, "N", what, default)


def _add_value(
    parser: argparse._ActionsContainer,
    option: str,
    kind: Callable[[str], Any],
    letter: str,
    what: str,
    default: Any,
) -> None:
    text = what if default is None else f"{what} (default {default})"
    parser.add_argument(option, type=kind, default=default, metavar=letter, help=text)


def _names(
    parser: argparse._ActionsContainer,
    option: str,
    what: str,
    known: Sequence[str],
    default: str,
    *,
    several: bool = False,
) -> None:
    parse = _name(what, known)
    more = "; one for each hidden layer, after commas, or one for all" if several else ""
    parser.add_argument(
        option,
        type=(lambda text: [parse(part) for part in text.split(",")]) if several else parse,
        metavar="NAME,..." if several else "NAME",
        help=f"{', '.join(known)}{more} ({default})",
    )


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(size) for size in text.split("-")]
    except ValueError:
        sizes = []
    if len(sizes) < 2 or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"expected widths such as 784-30-10, got {text!r}")
    return sizes


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers such as 0.2,0.5, got {text!r}") from None


def _class_weight(text: str) -> str | dict[int, float]:
    if text == "balanced":
        return text
    try:
        pairs = [part.split(":") for part in text.split(",")]
        return {int(label): float(weight) for label, weight in pairs}
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected balanced, or such as 0:1,1:5; got {text!r}") from None


def _name(what: str, known: Iterable[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        try:
            return name_among(what, text, known)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse
