"""The command line, ``python -m backprop``: train, predict, explain, play, bench, info.

Exit codes: 0, 1 for bad data or a failed training, 2 for a wrong command line, 130 for Ctrl-C, which is how
play ends, with 0.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import backprop as bp
from backprop import _core, datasets, files, reading, training
from backprop._validate import index_below, name_among

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def _network_to_show(options: argparse.Namespace) -> tuple[Network, float]:
    """The saved network, or what `train` makes of the digits without options; and what divides its inputs."""
    if options.model is not None:
        net, notes = files.load_with_notes(options.model)
        return net, float(notes.get(SCALE, 1.0))
    x, y, _, _ = datasets.load_digits()
    net = bp.Network.dense(x.shape[1], HIDDEN_NODES, 10, seed=0)
    net.fit(x, y, bp.SGD(1.0), epochs=30, batch_size=10, progress=False)
    return net, 1.0


def _samples_to_show(
    options: argparse.Namespace, inputs: int | None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The test part of the data where there is one, else all of it."""
    if options.data is None:
        data = reading.Data(*datasets.load_digits())
    else:
        data = reading.read(options.data, options.label_column, inputs)
    x, y = (data.x, data.y) if data.x_test is None else (data.x_test, data.y_test)
    if y is None:
        raise ValueError(f"{options.data} has no labels, which a loss needs")
    return x, y


def _explain(options: argparse.Namespace) -> None:
    net, scale = _network_to_show(options)
    x, y = _samples_to_show(options, net.layers[0].inputs)
    n = index_below("--sample", options.sample, len(x), "samples")
    k = None if options.bias else options.k
    e = net.explain(x[n] / np.float32(scale), y[n], options.layer, options.j, k, bias=options.bias)
    if options.latex:
        print(e.latex())
    elif options.html:
        print(f'<!doctype html>\n<meta charset="utf-8">\n<title>explanation</title>\n{e._repr_html_()}')
    else:
        print(e)


def _play(options: argparse.Namespace) -> None:
    from backprop import play, stage

    optimizer = bp.SGD(0.5 if options.lr is None else options.lr)
    nodes, batch_size, sample = options.nodes, options.batch_size, options.sample
    x: NDArray[Any] | None = None
    y: NDArray[np.int64] | None = None
    if options.model is not None or options.set == "digits":
        net, scale = _network_to_show(options)
        if options.data is not None or net.layers[0].inputs != 2:
            x, y = _samples_to_show(options, net.layers[0].inputs)
            x = x / np.float32(scale)
    else:
        sizes = options.layers or [2, 5, 4, 1]
        if options.data is not None:
            x, y = _samples_to_show(options, None)
            x = x / np.float32(reading.scale_of(x))
            sizes = options.layers or [x.shape[1], 8, max(2, int(y.max()) + 1)]
        net = bp.Network.dense(*sizes, hidden="tanh", seed=0)
    name = "moons" if options.set in (None, "digits") else options.set
    shown = stage.Stage(
        net, x, y, optimizer=optimizer, batch_size=batch_size, nodes=nodes, sample=sample, name=name
    )
    play.play(shown, options.port, options.browser)


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
    _add_label_column(train)
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
    _add_label_column(predict)

    explain = commands.add_parser("explain", help="print the chain rule of one weight or bias, term by term")
    explain.set_defaults(run=_explain)
    explain.add_argument(
        "model", nargs="?", help="a file that train --save wrote (default: one trained on the digits)"
    )
    _add_data(explain, "take a sample from")
    _add_label_column(explain)
    numbers = (
        ("--sample", 0, "which sample, from 0; of the test part where there is one"),
        ("--layer", -1, "which of net.layers, from 0; negative from the output layer"),
        ("--j", 0, "the node of that layer, from 0"),
        ("--k", 0, "the node of the layer before, from 0"),
    )
    for number, start, what in numbers:
        explain.add_argument(number, type=int, default=start, metavar="N", help=f"{what} (default {start})")
    explain.add_argument("--bias", action="store_true", help="the bias of node j, which has no k")
    form = explain.add_mutually_exclusive_group()
    form.add_argument("--latex", action="store_true", help="as LaTeX, for a document")
    form.add_argument("--html", action="store_true", help="as a page to open level by level")

    play = commands.add_parser("play", help="step through a network in the browser, and train it")
    play.set_defaults(run=_play)
    play.add_argument("model", nargs="?", help="a file that train --save wrote (default: a new network)")
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
    play.add_argument("--lr", type=float, metavar="R", help="learning rate (default 0.5)")
    play.add_argument("--batch-size", type=int, default=10, metavar="N", help="(default 10)")
    play.add_argument("--sample", type=int, default=0, metavar="N", help="to begin with (default 0)")
    play.add_argument("--nodes", type=int, default=8, metavar="N", help="of a layer to draw (default 8)")
    play.add_argument("--port", type=int, default=0, metavar="N", help="(default: any free one)")
    play.add_argument("--no-browser", dest="browser", action="store_false", help="only print the address")

    bench = commands.add_parser("bench", help="measure how fast networks of several sizes train here")
    bench.set_defaults(run=_bench)
    bench.add_argument("--threads", type=int, metavar="N", help="(default: as many as pay)")

    info = commands.add_parser("info", help="describe this installation, or a saved network")
    info.set_defaults(run=_info)
    info.add_argument("model", nargs="?", help="a file that train --save wrote")
    return parser


def _add_data(
    parser: argparse._ActionsContainer, purpose: str, default: str = "the digits of the package"
) -> None:
    parser.add_argument(
        "--data", metavar="PATH",
        help=f"what to {purpose}: a folder of MNIST-format files, an .npz file (x_train, y_train, x_test, "
        f"y_test, or x, y), or a .csv file (default: {default})",
    )


def _add_label_column(parser: argparse.ArgumentParser) -> None:
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
