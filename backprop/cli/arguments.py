"""How commands and options are declared: one function for each kind of option, and how values are read."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from backprop._validate import name_among
from backprop.cli.data import MISSING


class Help(argparse.HelpFormatter):
    """With a column that is wide enough for most options, and the line breaks of descriptions kept."""

    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(prog, max_help_position=32, **settings)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(textwrap.fill(line, width) for line in text.splitlines())


def add_command(
    commands: Any, name: str, what: str, run: Callable[[argparse.Namespace], None], more: str = ""
) -> argparse.ArgumentParser:
    """A command, with its --help and the function that does it."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.{more}",
        formatter_class=Help,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run, error=parser.error)
    return parser


def add_model(parser: argparse.ArgumentParser, optional: str | None = None) -> None:
    """The saved network; `optional` says what stands in for it."""
    text = "a file that train --save wrote"
    if optional is None:
        parser.add_argument("model", help=text)
    else:
        parser.add_argument("model", nargs="?", help=f"{text} (default: {optional})")


def add_data(
    parser: argparse._ActionsContainer, purpose: str, default: str = "the digits of the package"
) -> None:
    """--data: what to do with it, and what it is otherwise."""
    parser.add_argument(
        "--data", metavar="PATH",
        help=f"what to {purpose}: a table (.csv, .tsv, .txt and such, or - for standard input), an .npz file "
        "(x_train, y_train, x_test, y_test, or x, y), or a folder of MNIST-format files "
        f"(default: {default})",
    )


def add_table(parser: argparse._ActionsContainer, *, learns: bool = False) -> None:
    """How a table is to be understood; `learns` where there is no network yet that knows the columns."""
    by_default = "by default one called label, target, class, species or y" if learns else (
        "by default as in the training"
    )
    parser.add_argument(
        "--label-column", metavar="C",
        help=f"name, or index from 0, of the column of a table with the labels or targets; {by_default}",
    )
    parser.add_argument(
        "--missing", choices=MISSING,
        help="what becomes of samples with missing values: an error (the default), the mean of the column in "
        "their place, or left out",
    )
    parser.add_argument(
        "--header", action=argparse.BooleanOptionalAction,
        help="whether the first line names the columns (default: if it is not like the lines below it)",
    )
    if learns:
        parser.add_argument(
            "--drop-column", action="append", metavar="C",
            help="name or index of a column to leave out; may be given several times",
        )


def flag(parser: argparse._ActionsContainer, option: str, what: str) -> None:
    """An option without a value."""
    parser.add_argument(option, action="store_true", help=what)


def number(
    parser: argparse._ActionsContainer, option: str, letter: str, what: str, default: float | None = None
) -> None:
    """An option with a number."""
    _add_value(parser, option, float, letter, what, default)


def integer(
    parser: argparse._ActionsContainer, option: str, what: str, default: int | None = None
) -> None:
    """An option with a whole number."""
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


def names(
    parser: argparse._ActionsContainer,
    option: str,
    what: str,
    known: Sequence[str],
    default: str,
    *,
    several: bool = False,
) -> None:
    """An option with one of several names; `several` takes one for each layer."""
    parse = name_of(what, known)
    more = "; one for each hidden layer, after commas, or one for all" if several else ""
    parser.add_argument(
        option,
        type=(lambda text: [parse(part) for part in text.split(",")]) if several else parse,
        metavar="NAME,..." if several else "NAME",
        help=f"{', '.join(known)}{more} ({default})",
    )


def sizes(text: str) -> list[int]:
    """The widths in a text such as 784-30-10."""
    try:
        sizes = [int(size) for size in text.split("-")]
    except ValueError:
        sizes = []
    if len(sizes) < 2 or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"expected widths such as 784-30-10, got {text!r}")
    return sizes


def numbers(text: str) -> list[float]:
    """The numbers in a text such as 0.2,0.5."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers such as 0.2,0.5, got {text!r}") from None


def class_weight(text: str) -> str | dict[str, float]:
    """"balanced", or the weights in a text such as 0:1,1:5."""
    if text == "balanced":
        return text
    try:
        pairs = [part.rsplit(":", 1) for part in text.split(",")]
        return {label: float(weight) for label, weight in pairs}
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected balanced, or such as 0:1,1:5; got {text!r}") from None


def name_of(what: str, known: Iterable[str]) -> Callable[[str], str]:
    """A parser of one of the names, which suggests the nearest."""
    def parse(text: str) -> str:
        try:
            return name_among(what, text, known)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse
