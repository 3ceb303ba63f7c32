"""Populations in safetensors files: ``population.save(path)`` and ``Population.load(path)``.

A file holds the tensors "parameters" (members, P), "l1" and "l2" (members, layers), of a layer with a mask
"layers.<i>.mask" (outputs, inputs) of bool, and of an optimizer
"optimizer.<i>" (members, P) and "optimizer.steps" (members,). In its metadata, under "backprop.population", a
JSON text describes the network, the members' generators and the optimizer. Reading one runs no code.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._base import DTYPES
from backprop._of_members import MemberStates
from backprop._optimizer import Optimizer
from backprop._validate import name_among
from backprop.files.descriptions import describe_optimizer, describe_rng, restore_optimizer, restore_rng
from backprop.files.format import (
    describe_layer,
    description_of,
    field,
    mask_name,
    masks_of,
    restore_layer,
    restore_masks,
)
from backprop.files.writing import refuse_own_functions, write_whole
from backprop.network import Network
from backprop.population.members import Members, prototype_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

METADATA_KEY = "backprop.population"
FORMAT_VERSION = 1
DTYPE_NAMES = {"float32": "F32", "float64": "F64"}


def save(members: Members, path: str | os.PathLike[str], optimizer: Optimizer | None) -> None:
    """`Population.save`, which documents it."""
    import json

    from safetensors.numpy import save as to_bytes

    prototype = members.prototype
    refuse_own_functions(prototype)
    if not isinstance(prototype.loss_function, str):
        raise ValueError(f"a file holds no code, so {prototype.loss_function!r} cannot be saved")
    description = {
        "version": FORMAT_VERSION,
        "members": len(members),
        "layers": [describe_layer(layer) for layer in prototype.layers],
        "loss": prototype.loss_name,
        "dtype": str(prototype.dtype),
        "rngs": [describe_rng(rng) for rng in members.rngs],
        "diverged": members.diverged.tolist(),
    }
    tensors = {"parameters": members.parameters.copy(), "l1": members.l1, "l2": members.l2}
    tensors |= masks_of(prototype)
    if optimizer is not None:
        states = _states_to_save(optimizer, members)
        description["optimizer"] = describe_optimizer(optimizer)
        tensors |= {f"optimizer.{i}": array for i, array in enumerate(states.state)}
        tensors["optimizer.steps"] = states.steps
    write_whole(path, to_bytes(tensors, {METADATA_KEY: json.dumps(description)}))


def _states_to_save(optimizer: Optimizer, members: Members) -> MemberStates:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be one such as SGD(0.1), got {type(optimizer).__name__}")
    states = optimizer.of_members
    shape = members.parameters.shape
    if states is None or len(states.steps) != shape[0] or any(a.shape != shape for a in states.state):
        raise ValueError(f"this optimizer has not trained a population of {shape[0]} such networks")
    return states


def load(path: str | os.PathLike[str]) -> tuple[Members, Optimizer | None]:
    """`Population.load`, which documents it.

    Raises
    ------
    ValueError, OSError
        If the file is damaged or not a population's, or cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    path = os.fspath(path)
    with open(path, "rb"):  # a missing or unreadable file is an OSError that names it
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            description = description_of(file.metadata(), METADATA_KEY, FORMAT_VERSION)
            layers = [restore_layer(layer) for layer in field(description, "layers", list)]
            dtype = name_among("dtype", field(description, "dtype", str), DTYPES)
            network = Network(*layers, loss=field(description, "loss", str), dtype=dtype, seed=0)
            optimizer = restore_optimizer(description["optimizer"]) if "optimizer" in description else None
            rngs = [restore_rng(state) for state in field(description, "rngs", list)]
            tensors = _tensors(file, network, len(rngs), optimizer)
            restore_masks(file, network)
    except (ValueError, RecursionError, SafetensorError) as error:
        raise ValueError(f"{path} is not a saved population, or is damaged: {error}") from error
    members = Members(prototype_of(network), rngs, tensors["l1"], tensors["l2"], tensors["parameters"])
    if optimizer is None:
        return members, None
    assert isinstance(optimizer, Optimizer)
    states = tuple(tensors[f"optimizer.{i}"] for i in range(optimizer.state_count))
    optimizer.steps = 0
    optimizer.join(len(rngs), MemberStates(states, tensors["optimizer.steps"]))
    return members, optimizer


def _tensors(file: Any, network: Network, members: int, optimizer: Any) -> dict[str, NDArray[Any]]:
    """Copies of the file's tensors, which are exactly those that such a population has."""
    if members == 0:
        raise ValueError("it has no members")
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise ValueError(f"it has the optimizer {type(optimizer).__name__}, which trains no population")
    of_dtype = DTYPE_NAMES[network.dtype.name]
    wide, deep = [members, network.parameters.size], [members, len(network.layers)]
    expected = {"parameters": (wide, of_dtype), "l1": (deep, "F64"), "l2": (deep, "F64")}
    if optimizer is not None:
        if optimizer.members not in (None, members):
            raise ValueError(f"its optimizer is of {optimizer.members} members, not of {members}")
        expected |= {f"optimizer.{i}": (wide, of_dtype) for i in range(optimizer.state_count)}
        expected["optimizer.steps"] = ([members], "U64")
    found = set(file.keys())
    for i, layer in enumerate(network.layers):
        if mask_name(i) in found:
            expected[mask_name(i)] = ([layer.outputs, layer.inputs], "BOOL")
    if found != expected.keys():
        raise ValueError(f"it has the tensors {sorted(found)}, expected {sorted(expected)}")
    for name, (shape, kind) in expected.items():
        tensor = file.get_slice(name)
        if tensor.get_shape() != shape or tensor.get_dtype() != kind:
            raise ValueError(
                f"its tensor {name} is {tensor.get_dtype()} {tensor.get_shape()}, expected {kind} {shape}"
            )
    tensors = {name: np.array(file.get_tensor(name)) for name in expected}
    for name in ("l1", "l2"):
        if not (np.isfinite(tensors[name]).all() and (tensors[name] >= 0).all()):
            raise ValueError(f"its tensor {name} must hold finite numbers of at least 0")
    return tensors
