"""The figures of what is pickled or saved, as a dict of arrays: what another version must find again.

Keys that begin with "~" are computed after loading, and agree up to rounding, which the instruction set
decides; the others have the same bits.
"""

import re

import numpy as np
from conftest import ROUNDOFF, assert_close, assert_same_bits

import backprop as bp

ROUNDINGS = 4096  # of a training of eight steps at most, each of sums of at most 20 samples in four layers


def compare(path, figures):
    """The figures of a golden file are those of the version that wrote it."""
    expected = np.load(path.with_name("figures.npz"))
    mine = [key for key in expected if key.startswith(f"{path.stem}/")]
    assert sorted(f"{path.stem}/{key}" for key in figures) == sorted(mine)
    computed = [key for key in mine if "/~" in key]  # losses are float64 whatever they were computed in
    unit = ROUNDOFF["float32" if any(expected[key].dtype == np.float32 for key in computed) else "float64"]
    for key in mine:
        actual = np.asarray(figures[key.split("/")[1]])
        if key in computed:
            assert_close(actual, expected[key], ROUNDINGS * unit, key)
        elif key.endswith("/text"):
            assert actual.tobytes().decode() == expected[key].tobytes().decode()
        else:
            assert_same_bits(actual, expected[key], key)


def data(net, labels=True):
    rng = np.random.default_rng(11)
    x = rng.normal(size=(20, net.layers[0].inputs))
    outputs = net.layers[-1].outputs
    return x, rng.integers(outputs, size=20) if labels else rng.uniform(0, 1, (20, outputs))


def figures_of(thing):
    """By what the thing is."""
    kind = type(thing).__name__
    if kind == "tuple":
        return of_training(*thing)
    if isinstance(thing, bp.Network):
        return of_network(thing)
    if isinstance(thing, bp.schedules.Schedule):
        return {"~rates": thing(np.arange(60)), "text": text(repr(thing))}
    figures = OF_KIND.get(kind, of_fields)(thing)
    assert figures, f"no figures of a {kind}"
    return figures


def text(words):
    """Words as an array; where a function lies is not among them."""
    return np.frombuffer(re.sub(" at 0x[0-9a-f]+", "", words).encode(), np.uint8)


def of_network(net):
    x, y = data(net, isinstance(net.loss_function, str))
    return {
        "parameters": net.parameters.copy(),
        "text": text(f"{net.summary()} {[of_layer(layer)['text'].tobytes() for layer in net.layers]}"),
        "draw": net.rng.integers(2**40, size=3),
        "~outputs": net(x),
        "~losses": net.losses(x, y),
        "~gradient": net.gradient(x, y).parameters,
    }


def of_training(net, optimizer):
    """Two more epochs with the optimizer's own state: what it has done so far is in them."""
    x, y = data(net)
    state = np.array([np.asarray(vector) for vector in optimizer.state])
    begun = {"state": state, "text": text(repr(optimizer))}
    history = net.fit(x, y, optimizer, epochs=2, batch_size=6, rng=3, progress=False)
    return begun | {"~parameters": net.parameters.copy(), "~loss": np.array(history["loss"])}


def of_layer(layer):
    figures = {"text": text(f"{layer!r} {layer.l1} {layer.l2} {layer.dropout}")}
    if hasattr(layer, "weights"):  # a layer alone has none yet
        figures["weights"] = layer.weights.copy()
        if layer.bias is not None:
            figures["bias"] = layer.bias.copy()
    return figures


def of_optimizer(optimizer):
    return {"text": text(repr(optimizer)), "lr": np.array(optimizer.lr), "steps": np.array(optimizer.steps)}


def of_function(function):
    """Of a function alone, through a network of it."""
    if isinstance(function, bp.Loss):
        net = bp.Network(bp.Layer(2, 3, "tanh"), loss=function, dtype="float64", seed=1)
    else:
        net = bp.Network(bp.Layer(2, 3, function), dtype="float64", seed=1)
    return {"text": text(str(function))} | of_network(net)


def of_history(history):
    """All of it but the seconds, which are what they are."""
    return {"text": text(" ".join(history))} | {key: np.array(column) for key, column in history.items()}


def of_callback(callback):
    public = {name: getattr(callback, name, None) for name in dir(callback) if not name.startswith("_")}
    return {name: np.array(value) for name, value in public.items() if isinstance(value, float | int | str)}


def of_words(thing):
    """What it shows."""
    return {"text": text(str(thing))}


def of_drawing(drawing):
    return {"text": text(drawing.svg)}


def of_fields(result):
    """A named tuple, of arrays and of others like it."""
    figures = {}
    for name, value in zip(result._fields, result, strict=True):
        if value is None:
            continue
        if isinstance(value, tuple):
            for i, part in enumerate(value):
                figures |= {f"{name}.{i}.{key}": each for key, each in of_fields(part).items()}
        else:
            figures[name] = np.asarray(value)
    return figures


OF_KIND = {
    "Layer": of_layer, "SGD": of_optimizer, "Activation": of_function, "Loss": of_function,
    "History": of_history, "EarlyStopping": of_callback, "Checkpoint": of_callback, "Explanation": of_words,
    "LayerExplanation": of_words, "GradientCheck": of_words,
    "Drawing": of_drawing,
}  # fmt: skip
