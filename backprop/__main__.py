"""The command line, ``python -m backprop``: train, predict, bench, info.

Exit codes: 0, 1 for bad data or a failed training, 2 for a wrong command line, 130 for Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

import backprop as bp
from backprop import _core, datasets, files, reading, training
from backprop._validate import name_among

if TYPE_CHECKING:
    from backprop.network import Network

HIDDEN_NODES = 30
SCALE = "scale"  # the note in a saved network: what its inputs were divided by


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        options = parser.parse_args(["train"])
    try:
        options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (OSError, ValueError, TypeError, ArithmeticError, ImportError, MemoryError) as error:
        print(f"backprop: error: {error or type(error).__name__}", file=sys.stderr)
        return 1
    return 0


def _train(options: argparse.Namespace) -> None:
    if options.data is None:
        data = reading.Data(*datasets.load_digits())
    else:
        data = _with_test_part(reading.read(options.data, options.label_column), options)
    assert data.y is not None
    assert data.x_test is not None
    assert data.y_test is not None
    scale = reading.scale_of(data.x)
    x, x_test = data.x / np.float32(scale), data.x_test / np.float32(scale)
    classes = max(2, int(data.y.max()) + 1)
    sizes = options.layers or [x.shape[1], HIDDEN_NODES, classes]
    if sizes[0] != x.shape[1] or sizes[-1] < classes:
        raise ValueError(
            f"--layers {'-'.join(map(str, sizes))} does not fit the data: it has {x.shape[1]} inputs and "
            f"{classes} classes"
        )
    net = bp.Network.dense(
        *sizes,
        hidden=options.hidden,
        output=options.output,
        loss=options.loss,
        dtype=options.dtype,
        seed=options.seed,
    )
    optimizer = bp.SGD(options.lr, options.momentum, options.nesterov, options.weight_decay)
    print(f"{len(x)} samples to train on, {len(x_test)} to test with; layers {'-'.join(map(str, sizes))}")
    in_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    net.fit(
        x,
        data.y,
        optimizer,
        epochs=options.epochs,
        batch_size=options.batch_size,
        threads=options.threads,
        progress=in_terminal,
        callbacks=() if in_terminal else (_print_epoch,),
    )
    if options.save is not None:
        files.save(net, options.save, {SCALE: scale})
        print(f"saved {options.save}")
    print(f"test accuracy {net.accuracy(x_test, data.y_test):.4f}")


def _with_test_part(data: reading.Data, options: argparse.Namespace) -> reading.Data:
    """Takes a random part of the samples for testing, if the data set does not say which."""
    assert data.y is not None
    if data.x_test is not None:
        return data
    samples = len(data.x)
    tests = round(options.test_fraction * samples)
    if not 0 < tests < samples:
        raise ValueError(f"--test-fraction {options.test_fraction} of {samples} samples leaves a part empty")
    order = np.random.default_rng(options.seed).permutation(samples)
    train, test = order[tests:], order[:tests]
    return reading.Data(data.x[train], data.y[train], data.x[test], data.y[test])


def _print_epoch(network: Network, record: dict[str, float]) -> None:
    print(
        f"epoch {record['epoch']:3d}  loss {record['loss']:.4f}  accuracy {record['accuracy']:.4f}",
        flush=True,
    )


def _predict(options: argparse.Namespace) -> None:
    net, notes = files.load_with_notes(options.model)
    if options.data is None:
        data = reading.Data(*datasets.load_digits())
    else:
        data = reading.read(options.data, options.label_column, net.layers[0].inputs)
    x, y = (data.x, data.y) if data.x_test is None else (data.x_test, data.y_test)
    scaled = x / np.float32(notes.get(SCALE, 1.0))
    sys.stdout.writelines(f"{label}\n" for label in net.classify(scaled))
    if y is not None:
        print(f"accuracy {net.accuracy(scaled, y):.4f} of {len(y)} samples", file=sys.stderr)


def _bench(options: argparse.Namespace) -> None:
    from backprop import bench

    if options.threads is not None and options.threads < 1:
        raise ValueError(f"--threads must be at least 1, got {options.threads}")
    bench.short(options.threads)


def _info(options: argparse.Namespace) -> None:
    if options.model is not None:
        net, notes = files.load_with_notes(options.model)
        print(net.summary())
        print(f"inputs were divided by {notes.get(SCALE, 1.0):g} before training")
        return
    print(f"backprop         {bp.__version__}")
    print(f"python           {sys.version.split()[0]}")
    print(f"numpy            {np.__version__}")
    print(f"instruction set  {_core.isa}  (this processor has {', '.join(_core.candidates)})")
    print(f"threads          {training.usable_threads()}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m backprop",
        description="Multilayer perceptrons trained by backpropagation. Without a command: train on the "
        "handwritten digits that come with the package.",
    )
    parser.add_argument("--version", action="version", version=f"backprop {bp.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")

    train = commands.add_parser("train", help="train a classifier and print its test accuracy")
    train.set_defaults(run=_train)
    _add_data(train, "train and test with")
    train.add_argument(
        "--test-fraction", type=float, default=0.2, metavar="F",
        help="share to test with if the data has no test part (default 0.2)",
    )
    train.add_argument(
        "--layers", type=_sizes, metavar="784-30-10",
        help=f"widths, inputs first (default: one hidden layer of {HIDDEN_NODES} nodes)",
    )
    names = (
        ("--hidden", "activation", _core.activations, "sigmoid"),
        ("--output", "activation", _core.activations, "sigmoid"),
        ("--loss", "loss", _core.losses, "squared_error"),
        ("--dtype", "dtype", ("float32", "float64"), "float32"),
    )
    for option, what, known, default in names:
        train.add_argument(
            option, type=_name(what, known), default=default, metavar="NAME",
            help=f"{', '.join(known)} (default {default})",
        )
    train.add_argument("--lr", type=float, default=1.0, metavar="R", help="learning rate (default 1)")
    train.add_argument("--momentum", type=float, default=0.0, metavar="M", help="(default 0)")
    train.add_argument("--nesterov", action="store_true", help="Nesterov's momentum")
    train.add_argument("--weight-decay", type=float, default=0.0, metavar="W", help="(default 0)")
    train.add_argument("--epochs", type=int, default=30, metavar="N", help="(default 30)")
    train.add_argument("--batch-size", type=int, default=10, metavar="N", help="(default 10)")
    train.add_argument("--threads", type=int, metavar="N", help="(default: as many as pay)")
    train.add_argument("--seed", type=int, default=0, metavar="N", help="(default 0)")
    train.add_argument("--save", metavar="FILE", help="write the network to this safetensors file")

    predict = commands.add_parser("predict", help="print the class of every sample, one a line")
    predict.set_defaults(run=_predict)
    predict.add_argument("model", help="a file that train --save wrote")
    _add_data(predict, "classify")

    bench = commands.add_parser("bench", help="measure how fast networks of several sizes train here")
    bench.set_defaults(run=_bench)
    bench.add_argument("--threads", type=int, metavar="N", help="(default: as many as pay)")

    info = commands.add_parser("info", help="describe this installation, or a saved network")
    info.set_defaults(run=_info)
    info.add_argument("model", nargs="?", help="a file that train --save wrote")
    return parser


def _add_data(parser: argparse.ArgumentParser, purpose: str) -> None:
    parser.add_argument(
        "--data", metavar="PATH",
        help=f"what to {purpose}: a folder of MNIST-format files, an .npz file (x_train, y_train, x_test, "
        "y_test, or x, y), or a .csv file (default: the digits of the package)",
    )
    parser.add_argument(
        "--label-column", type=int, metavar="N",
        help='the column of a .csv file with the labels, from 0 (default: the one called "label", or 0)',
    )


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(size) for size in text.split("-")]
    except ValueError:
        sizes = []
    if len(sizes) < 2 or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"expected widths such as 784-30-10, got {text!r}")
    return sizes


def _name(what: str, known: Iterable[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        try:
            return name_among(what, text, known)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


if __name__ == "__main__":
    sys.exit(main())
