"""The commands of ``python -m backprop`` that use a network: predict, evaluate, check, export, explain,
jacobian, play; and bench and info."""

from __future__ import annotations

import argparse
import copy
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

import backprop as bp
from backprop import _core, datasets
from backprop._validate import index_below, whole_number
from backprop.cli import data, parts
from backprop.cli.build import HIDDEN_NODES
from backprop.cli.classes import Classes
from backprop.cli.data import Model
from backprop.cli.scaling import Scaling
from backprop.exports.torch import save_torch_state
from backprop.fit.threads import usable_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.network import Network
    from backprop.play.stage import Stage


def predict(options: argparse.Namespace) -> None:
    """Prints a line for each sample."""
    model = data.load(options.model)
    network, scaling = model.network, model.scaling
    x, y = data.to_look_at(options, model)
    scaled = scaling.of_inputs(x)
    if options.outputs or scaling.is_regression:
        rows = scaling.of_outputs(network(scaled))
        sys.stdout.writelines(",".join(f"{a:.9g}" for a in row) + "\n" for row in rows.tolist())
    else:
        names = model.class_names
        sys.stdout.writelines(f"{names[i]}\n" for i in network.classify(scaled).tolist())
    if y is None:
        return
    if scaling.is_regression:
        r2 = data.r_squared(y, scaling.of_outputs(network(scaled)))
        print(f"R2 {r2:.4f} of {len(y)} samples", file=sys.stderr)
    else:
        print(f"accuracy {network.accuracy(scaled, y):.4f} of {len(y)} samples", file=sys.stderr)


def evaluate(options: argparse.Namespace) -> None:
    """Prints what a saved network is worth on labelled data."""
    model = data.load(options.model)
    network, scaling = model.network, model.scaling
    if options.confusion and scaling.is_regression:
        raise ValueError("a regression has no classes to confuse")
    x, y = data.with_targets(options, model)
    scaled = scaling.of_inputs(x)
    loss = network.loss(scaled, scaling.of_targets(y))
    print(f"samples   {len(x)}")
    print(f"loss      {loss:.6g}")
    if scaling.is_regression:
        predicted = scaling.of_outputs(network(scaled))
        error = np.sqrt(np.mean((predicted - y.reshape(len(y), -1)) ** 2))
        print(f"R2        {data.r_squared(y, predicted):.4f}")
        print(f"RMSE      {error:.6g}")
        return
    print(f"accuracy  {network.accuracy(scaled, y):.4f}")
    if options.confusion:
        _print_confusion(y, network.classify(scaled), model)


def _print_confusion(y: NDArray[Any], predicted: NDArray[Any], model: Model) -> None:
    """A row for each label; with the classes' names unless they are the indices."""
    names = model.class_names
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (y, predicted), 1)
    print("\nrows are labels, columns predicted classes")
    width = len(str(counts.max())) + 1
    first = 0
    if model.classes is not None and not model.classes.are_indices:
        first, width = max(map(len, names)), max(width, *(len(name) + 1 for name in names))
        print(" " * first + "".join(f"{name:>{width}}" for name in names))
    for name, row in zip(names, counts.tolist(), strict=True):
        print(f"{name:{first}}" * (first > 0) + "".join(f"{count:{width}d}" for count in row))


def check(options: argparse.Namespace) -> None:
    """Compares the gradient with differences; fails where they disagree."""
    whole_number("--samples", options.samples)
    model = _to_show(options)
    network, scaling = model.network, model.scaling
    x, y = data.with_targets(options, model)
    first = slice(0, options.samples)
    result = network.check_gradient(scaling.of_inputs(x[first]), scaling.of_targets(y[first]))
    print(result)
    if not result.passed:
        raise ArithmeticError("the gradient does not agree with differences of the loss")


def export(options: argparse.Namespace) -> None:
    """Writes a network in another format."""
    model = data.load(options.model)
    network, scaling = model.network, model.scaling
    if not options.as_trained:
        network = _unscaled(network, scaling)
    path: str = options.file
    for option, given in (("--header", options.header is not None), ("--integers", options.integers)):
        if given and not path.endswith(".c"):
            raise ValueError(f"{option} is for C, but {path!r} does not end in .c")
    if options.data is not None and not options.integers:
        raise ValueError("--data is for --integers, whose ranges follow from samples")
    if path.endswith(".onnx"):
        network.to_onnx(path)
    elif path.endswith(".c"):
        x = _as_taken(options, model) if options.integers else None
        network.to_c(path, name=options.name, header=options.header, integers=options.integers, x=x)
    elif path.endswith(".pt"):
        save_torch_state(network, path)
    else:
        raise ValueError(f"a file to export to ends in .onnx, .c or .pt, got {path!r}")
    what = "scaled inputs, as in training" if options.as_trained else "inputs as they are in the data"
    print(f"wrote {path}, which takes {what}")


def _as_taken(options: argparse.Namespace, model: Model) -> NDArray[Any]:
    """Samples as the exported network takes them; a table is read as in the training."""
    table = argparse.Namespace(data=options.data, label_column=None, missing=None, header=None)
    x, _ = data.to_look_at(table, model)
    return model.scaling.of_inputs(x) if options.as_trained else x


def _unscaled(network: Network, scaling: Scaling) -> Network:
    """A copy that takes inputs, and gives outputs, in the units of the data: the scaling goes into the first
    and the last layer's parameters."""
    network = copy.deepcopy(network)
    first, last = network.layers[0], network.layers[-1]
    weights = first.weights / np.asarray(scaling.scale, np.float64)
    if scaling.mean is not None:
        if first.bias is None:
            raise ValueError("a first layer without bias cannot take the inputs' mean up; use --as-trained")
        first.bias = first.bias - weights @ scaling.mean
    first.weights = weights
    if scaling.target_scale is not None and scaling.target_mean is not None:
        if last.bias is None or str(last.activation) != "identity":
            raise ValueError(
                "only an output layer of activation identity, with biases, can take the targets' units up; "
                "use --as-trained"
            )
        last.weights = last.weights * scaling.target_scale[:, None]
        last.bias = last.bias * scaling.target_scale + scaling.target_mean
    return network


def _to_show(options: argparse.Namespace) -> Model:
    """The saved network, or what `train` makes of the digits without options."""
    if options.model is not None:
        return data.load(options.model)
    x, y, _, _ = datasets.load_digits()
    network = bp.Network.dense(x.shape[1], HIDDEN_NODES, 10, seed=0)
    network.fit(x, y, bp.SGD(1.0), epochs=30, batch_size=10, progress=False)
    return Model(network, Scaling(1.0), classes=Classes(tuple(range(10))))


def explain(options: argparse.Namespace) -> None:
    """Prints the chain rule of one weight."""
    model = _to_show(options)
    network, scaling = model.network, model.scaling
    x, y = data.with_targets(options, model)
    n = index_below("--sample", options.sample, len(x), "samples")
    k = None if options.bias else options.k
    x_n, y_n = scaling.of_inputs(x[n : n + 1])[0], scaling.of_targets(y[n : n + 1])[0]
    e = network.explain(x_n, y_n, options.layer, options.j, k, bias=options.bias)
    if options.latex:
        print(e.latex())
    elif options.html:
        print(f'<!doctype html>\n<meta charset="utf-8">\n<title>explanation</title>\n{e._repr_html_()}')
    else:
        print(e)


def jacobian(options: argparse.Namespace) -> None:
    """Prints a line for each output."""
    model = _to_show(options)
    network, scaling = model.network, model.scaling
    x, _ = data.to_look_at(options, model)
    n = index_below("--sample", options.sample, len(x), "samples")
    rows = network.jacobian(scaling.of_inputs(x[n : n + 1])[0])
    sys.stdout.writelines(",".join(f"{value:.9g}" for value in row) + "\n" for row in rows.tolist())


def play(options: argparse.Namespace) -> None:
    """Serves the page until Ctrl-C."""
    from backprop.play import server

    server.play(_stage(options), options.port, options.browser)


def _stage(options: argparse.Namespace) -> Stage:
    """What the page shows."""
    from backprop.play.stage import Stage

    rule = {"adam": bp.Adam, "rmsprop": bp.RMSprop}.get(options.optimizer, bp.SGD)
    usual = 0.5 if rule is bp.SGD else 0.01
    optimizer = rule(usual if options.lr is None else options.lr)
    rest: dict[str, Any] = {"optimizer": optimizer, "batch_size": options.batch_size}
    rest |= {"nodes": options.nodes, "sample": options.sample}
    if options.model is not None:
        for name in ("layers", "hidden", "output", "loss"):
            if getattr(options, name) is not None:
                raise ValueError(f"--{name} is for a new network; this one is saved and has its layers")
        model = data.load(options.model)
        if options.data is None and model.network.layers[0].inputs == 2:
            return Stage(model.network, name=options.set or "moons", **rest)
        x, y = data.with_targets(options, model)
        print("backprop: training on the page trains on the samples that it shows", file=sys.stderr)
        x, y = model.scaling.of_inputs(x), model.scaling.of_targets(y)
        return Stage(model.network, x, y, classes=tuple(model.class_names) or None, **rest)
    if options.set == "digits":
        x, y, *held_out = datasets.load_digits()
        new = options.layers or options.hidden or options.output or options.loss
        network = _new(options, [64, HIDDEN_NODES, 10]) if new else _to_show(options).network
        names = tuple(map(str, range(10)))
        return Stage(network, x, y, validation=(held_out[0], held_out[1]), classes=names, **rest)
    if options.data is None:
        network = _new(options, [2, 5, 4, 1])
        return Stage(network, name=options.set or "moons", builds=True, **rest)
    (x, y), tests, classes = parts.to_show(options)
    network = _new(options, [x.shape[1], 8, len(classes.names)])
    names = tuple(map(str, classes.names))
    return Stage(network, x, y, validation=tests, classes=names, builds=True, **rest)


def _new(options: argparse.Namespace, sizes: list[int]) -> Network:
    """A new network for the page, of these sizes unless --layers names others."""
    return bp.Network.dense(
        *(options.layers or sizes),
        hidden=options.hidden or "tanh",
        output=options.output or "sigmoid",
        loss=options.loss or "squared_error",
        seed=0,
    )


def bench(options: argparse.Namespace) -> None:
    """Measures how fast networks train."""
    from backprop.cli import bench

    if options.threads is not None and options.threads < 1:
        raise ValueError(f"--threads must be at least 1, got {options.threads}")
    bench.short(options.threads)


def info(options: argparse.Namespace) -> None:
    """Describes the installation, or a saved network."""
    if options.model is not None:
        model = data.load(options.model)
        scaling, optimizer = model.scaling, model.optimizer
        print(model.network.summary())
        if optimizer is not None:
            print(f"after {optimizer.steps:,} steps of {optimizer!r}")
        if scaling.mean is None:
            print(f"inputs were divided by {scaling.scale:g} before training")
        else:
            print("inputs were standardised, each to mean 0 and deviation 1")
        if model.columns is not None:
            print(f"inputs: {', '.join(model.columns.input_names)}")
            print(f"{'targets' if scaling.is_regression else 'labels'}: column {model.columns.label}")
        if model.classes is not None and not model.classes.are_indices:
            print(f"classes: {', '.join(model.class_names)}")
        if scaling.is_regression:
            print("targets were standardised, each to mean 0 and deviation 1")
        return
    print(f"backprop         {bp.__version__}")
    print(f"python           {sys.version.split()[0]}")
    print(f"numpy            {np.__version__}")
    print(f"instruction set  {_core.isa}  (this processor has {', '.join(_core.candidates)})")
    print(f"bfloat16         {_bfloat16()}")
    print(f"threads          {usable_threads()}")


def _bfloat16() -> str:
    """The instructions of fit(precision="bfloat16"), or why there are none."""
    try:
        return _core.products("float32", "bfloat16")
    except ValueError as error:
        return f"no: {error}"
