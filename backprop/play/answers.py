"""The page's messages to a `Stage`, dicts that JSON can carry, and the answers to them.

The two front ends pass messages on from the page and hand the answers back; site/engine.js answers the same
messages. Arrays travel as the bytes of little-endian doubles in base64, ``{"f8": text}``, or of singles,
``{"f4": text}``, so that no bit is lost and NaN and infinities are no trouble to JSON.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._validate import name_among, whole_number
from backprop.network import Network
from backprop.optimizers import SGD, Optimizer
from backprop.play.stage import RULES, Part, Stage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Message = Mapping[str, Any]
    Answer = dict[str, Any]

MOST_NODES = 1024  # of a layer that the page may ask for
MOST_POINTS = 400  # samples that are drawn in the plane
MOST_MOVED = 16  # parameters that one question may try other values of


def answer(stage: Stage, message: object) -> Answer:
    """The answer to a message of the page.

    Parameters
    ----------
    stage : Stage
    message : dict
        ``{"do": name}`` and what else that needs. Asking: "state"; "trace" with "index" and perhaps "set",
        "train" or "test"; "outputs" and "activations" with "x"; "points";
        "losses" with "at", "values" and perhaps "set" and "index". Changing: "step" with "first" and
        perhaps "count", samples as one batch; "train" with "epochs"; "undo"; "restart"; "set" with
        "parameters"; "data" with "name"; "own" with "name", "x", "y", "labels" and "classes"; "rate" with
        "lr"; "batch" with "size"; "build" with "sizes", "hidden", "output", "loss", "optimizer", "data".

    Returns
    -------
    dict
        ``{"state": ...}`` after a change, what was asked for under its name or, if nothing was done,
        ``{"error": text}``.
    """
    with stage.lock:
        try:
            return _answer(stage, message)
        except (TypeError, ValueError, ArithmeticError) as error:
            return {"error": str(error)}


def _answer(stage: Stage, message: object) -> Answer:
    if not isinstance(message, Mapping):
        raise TypeError(f"a message must be a dict, got {type(message).__name__}")
    asked: dict[str, Callable[[Stage, Message], Any]] = {
        "state": lambda stage, message: state(stage),
        "trace": trace,
        "outputs": outputs,
        "activations": activations,
        "points": points,
        "losses": losses,
    }
    changes: dict[str, Callable[[Message], None]] = {
        "step": lambda message: stage.step(_wanted(message, "first"), message.get("count", 1)),
        "train": lambda message: stage.train(_wanted(message, "epochs")),
        "undo": lambda message: stage.undo(),
        "restart": lambda message: stage.restart(),
        "set": lambda message: stage.set_parameters(numbers_of(_wanted(message, "parameters"))),
        "data": lambda message: stage.take_data(_wanted(message, "name")),
        "own": lambda message: take_own(stage, message),
        "rate": lambda message: stage.set_rate(_wanted(message, "lr")),
        "batch": lambda message: stage.set_batch_size(_wanted(message, "size")),
        "build": lambda message: build(stage, message),
    }
    do = name_among("message", message.get("do"), (*asked, *changes))
    if do in asked:
        return {do: asked[do](stage, message)}
    changes[do](message)
    return {"state": state(stage)}


def _wanted(message: Message, key: str) -> Any:
    if key not in message:
        raise ValueError(f'the message {message.get("do")!r} needs "{key}"')
    return message[key]


def sent(numbers: Any) -> dict[str, str]:
    """An array for the page, flat; float32 stays that."""
    array = np.ascontiguousarray(numbers)
    array = array.astype("<f4" if array.dtype == np.float32 else "<f8", copy=False)
    return {f"f{array.itemsize}": base64.b64encode(array.tobytes()).decode("ascii")}


def numbers_of(given: object) -> NDArray[Any]:
    """An array from the page, flat."""
    if not isinstance(given, Mapping) or len(given) != 1 or not ({"f4", "f8"} & given.keys()):
        raise TypeError(f'numbers come as {{"f8": base64}}, got {type(given).__name__}')
    ((kind, text),) = given.items()
    if not isinstance(text, str):
        raise TypeError(f"numbers come as base64, got {type(text).__name__}")
    content = base64.b64decode(text, validate=True)
    return np.frombuffer(content, f"<{kind}").copy()


def finite(value: float) -> float | None:
    """A number that strict JSON holds."""
    return float(value) if math.isfinite(value) else None


def state(stage: Stage) -> dict[str, Any]:
    """The network, its parameters, and how well it does."""
    network, optimizer, rate = stage.network, stage.optimizer, stage.optimizer.lr
    figures = {}
    for name, part in (("train", Part(stage.x, stage.y)), ("test", stage.tests)):
        found = stage.figures(part)
        figures[name] = found and {key: finite(value) for key, value in found.items()}
    plain = not callable(rate) and repr(optimizer) == repr(SGD(rate))
    moved_otherwise = any(
        layer.l1 or layer.l2 or layer.dropout or layer.lr != 1 or layer.bias_lr not in (None, 1)
        or layer.mask is not None
        for layer in network.layers
    )  # fmt: skip
    return {
        "layers": [
            {
                "inputs": layer.inputs,
                "outputs": layer.outputs,
                "bias": layer.bias is not None,
                "activation": str(layer.activation),
            }
            for layer in network.layers
        ],
        "loss": network.loss_name,
        "dtype": str(network.parameters.dtype),
        "batch": stage.batch_size,
        "epochs": stage.epochs,
        "version": stage.version,
        "nodes": stage.nodes,
        "first": stage.sample,
        "optimizer": {
            "rule": type(optimizer).__name__.lower(),
            "lr": None if callable(rate) else float(rate),
            "momentum": float(getattr(optimizer, "momentum", 0.0)),
            "text": repr(optimizer),
            "plain": plain and not moved_otherwise,
        },
        "data": {
            "name": stage.data,
            "names": list(stage.sets),
            "samples": len(stage.x),
            "tests": 0 if stage.tests is None else len(stage.tests.x),
            "classes": None if stage.classes is None else list(stage.classes),
        },
        "undo": stage.undoable,
        "builds": stage.builds,
        **figures,
        "parameters": sent(network.parameters),
    }


def trace(stage: Stage, message: Message) -> dict[str, Any]:
    """Every number of the pass of one sample."""
    which = message.get("set", "train")
    traced, (x, y) = stage.trace(which, _wanted(message, "index"))
    network = stage.network
    label = int(y[0]) if y.ndim == 1 and network.targets > 1 else None
    target = y[0] if label is None else np.arange(network.layers[-1].outputs) == label
    return {
        "set": which,
        "index": int(message["index"]),
        "x": sent(x[0].astype(network.parameters.dtype)),
        "y": sent(np.atleast_1d(target).astype(np.float64)),
        "label": label,
        "loss": finite(network.loss(x, y)),
        "layers": [
            {name: sent(getattr(layer, name)) for name in ("z", "a", "dC_da", "da_dz", "dC_dz")}
            for layer in traced.layers
        ],
    }


def _rows(stage: Stage, message: Message) -> NDArray[Any]:
    inputs = stage.network.layers[0].inputs
    flat = numbers_of(_wanted(message, "x"))
    if flat.size % inputs:
        raise ValueError(f"{flat.size} numbers are no rows of {inputs} inputs")
    return flat.reshape(-1, inputs)


def outputs(stage: Stage, message: Message) -> dict[str, str]:
    """a of the output layer of the rows of x, (n, outputs)."""
    return sent(stage.network(_rows(stage, message)))


def activations(stage: Stage, message: Message) -> list[dict[str, str]]:
    """a of every layer of the rows of x, (n, nodes)."""
    return [sent(layer.a) for layer in stage.network.trace(_rows(stage, message)).layers]


def losses(stage: Stage, message: Message) -> dict[str, str]:
    """The loss for other values of some parameters, (n,)."""
    at = _wanted(message, "at")
    if not isinstance(at, list) or len(at) > MOST_MOVED:
        raise TypeError(f"at must be a list of at most {MOST_MOVED} indices, got {type(at).__name__}")
    places = np.array([whole_number("a parameter", each, 0) for each in at], np.int64)
    values = numbers_of(_wanted(message, "values"))
    return sent(stage.losses(message.get("set", "train"), message.get("index"), places, values))


def points(stage: Stage, message: Message) -> dict[str, Any]:
    """The first samples of data in the plane; of other data, none."""
    plane = stage.network.layers[0].inputs == 2
    parts = {"train": Part(stage.x, stage.y), "test": stage.tests}
    shown: dict[str, Any] = {"inputs": stage.network.layers[0].inputs, "columns": 1}
    for name, part in parts.items():
        many = MOST_POINTS if plane and part is not None else 0
        x, y = (part or parts["train"])  # type: ignore[misc]
        shown[name] = {"x": sent(x[:many].astype(np.float64)), "y": sent(y[:many].astype(np.float64))}
        shown["columns"] = 1 if y.ndim == 1 else y.shape[1]
    return shown


def take_own(stage: Stage, message: Message) -> None:
    """Samples that the page brought."""
    name, labels = _wanted(message, "name"), bool(message.get("labels"))
    if not isinstance(name, str) or not name:
        raise TypeError("data need a name")
    inputs = whole_number("inputs", _wanted(message, "inputs"))
    x, y = numbers_of(_wanted(message, "x")), numbers_of(_wanted(message, "y"))
    if x.size == 0 or x.size % inputs:
        raise ValueError(f"{x.size} numbers are no rows of {inputs} inputs")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("samples must be finite")
    x = x.reshape(-1, inputs)
    classes = message.get("classes")
    names = tuple(map(str, classes)) if isinstance(classes, list) else None
    stage.take_own(name, Part(x, y.astype(np.int64) if labels else y.reshape(len(x), -1)), names)


def build(stage: Stage, message: Message) -> None:
    """Another network, of the page's sizes."""
    sizes = _wanted(message, "sizes")
    if not isinstance(sizes, list) or len(sizes) < 2:
        raise ValueError("a network needs at least two layers")
    for size in sizes:
        if whole_number("a layer's nodes", size) > MOST_NODES:
            raise ValueError(f"a layer has at most {MOST_NODES} nodes here, got {size}")
    names = {key: message[key] for key in ("hidden", "output", "loss", "bias", "dtype") if key in message}
    asked = message.get("optimizer") or {"rule": "sgd", "lr": 0.5}
    rule = name_among("optimizer", asked.get("rule"), RULES)
    more = {"momentum": asked["momentum"]} if rule == "sgd" and asked.get("momentum") else {}
    optimizer: Optimizer = RULES[rule](asked.get("lr"), **more)
    stage.build(Network.dense(*sizes, seed=0, **names), optimizer, message.get("data", stage.data))
    if "batch" in message:
        stage.set_batch_size(message["batch"])
