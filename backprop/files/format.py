"""Networks in safetensors files: ``net.save(path)`` and ``backprop.load(path)``.

A file holds the tensors "layers.<i>.weights" (outputs, inputs) and "layers.<i>.bias" (outputs,), of a layer
with a mask "layers.<i>.mask" (outputs, inputs) of bool, of an optimizer's state "optimizer.<i>" (P,), and in
its metadata, under "backprop", a JSON text that describes the network, the state of its generator and the
optimizer. Reading one runs no code.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from backprop._base import DTYPES, BaseNetwork
from backprop._validate import name_among
from backprop.files.descriptions import describe_optimizer, describe_rng, restore_optimizer, restore_rng
from backprop.files.writing import refuse_own_functions, write_whole
from backprop.layer import Layer
from backprop.optimizers import Optimizer
from backprop.solvers import WholeBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    T = TypeVar("T")
    AnyNetwork = TypeVar("AnyNetwork", bound=BaseNetwork)
    Notes = dict[str, Any]  # values that JSON has

METADATA_KEY = "backprop"
FORMAT_VERSION = 1
# Settings of a layer, in the file where they are not these.
EXTRAS = {"l1": 0.0, "l2": 0.0, "dropout": 0.0, "lr": 1.0, "bias_lr": None}
MOST_STATES = 3  # arrays of an optimizer
TENSOR_DTYPES = {"float32": "F32", "float64": "F64"}


def save(
    network: BaseNetwork,
    path: str | os.PathLike[str],
    notes: Mapping[str, Any] | None = None,
    optimizer: Optimizer | WholeBatch | None = None,
) -> None:
    """`Network.save`, which documents it; `load_all` returns the notes."""
    import json

    from safetensors.numpy import save as to_bytes

    refuse_own_functions(network)
    if not isinstance(network.loss_function, str):
        raise ValueError(f"a file holds no code, so {network.loss_function!r} cannot be saved")
    tensors, changing = network._locked(lambda: _state(network, optimizer))
    description = {
        "version": FORMAT_VERSION,
        "layers": [describe_layer(layer) for layer in network.layers],
        "loss": network.loss_name,
        "dtype": str(network.dtype),
        "notes": dict(notes or {}),
    } | changing
    write_whole(path, to_bytes(tensors, {METADATA_KEY: json.dumps(description)}))


def _state(
    network: BaseNetwork, optimizer: Optimizer | WholeBatch | None
) -> tuple[dict[str, NDArray[Any]], Notes]:
    """Copies of all that training changes: tensors, and entries of the description."""
    description = {"rng": describe_rng(network.rng)}
    tensors = {name: array.copy(order="C") for name, array in _tensors(network).items()} | masks_of(network)
    if optimizer is not None:
        _check_state(network, optimizer)
        description["optimizer"] = describe_optimizer(optimizer)
        tensors |= {f"optimizer.{i}": array.copy() for i, array in enumerate(optimizer.state)}
    return tensors, description


def load_all(
    path: str | os.PathLike[str], kind: type[AnyNetwork]
) -> tuple[AnyNetwork, Notes, Optimizer | WholeBatch | None]:
    """`backprop.load`, which documents it: a network of this kind, the notes, and the optimizer if any."""
    from safetensors import SafetensorError, safe_open

    path = os.fspath(path)
    with open(path, "rb"):  # a missing or unreadable file is an OSError that names it
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            description = description_of(file.metadata(), METADATA_KEY, FORMAT_VERSION)
            layers = [restore_layer(layer) for layer in field(description, "layers", list)]
            dtype = name_among("dtype", field(description, "dtype", str), DTYPES)
            notes: Notes = field(description, "notes", dict)
            rng = restore_rng(description["rng"]) if "rng" in description else None
            optimizer = restore_optimizer(description["optimizer"]) if "optimizer" in description else None
            names = set(file.keys())
            count = sum(name.startswith("optimizer.") for name in names)
            states = [f"optimizer.{i}" for i in range(min(count, MOST_STATES))]
            _compare_tensors(file, layers, states, optimizer, TENSOR_DTYPES[dtype])
            network = kind(*layers, loss=field(description, "loss", str), dtype=dtype, seed=rng)
            for name, array in _tensors(network).items():
                array[...] = file.get_tensor(name)
            if isinstance(optimizer, Optimizer) and optimizer.members is not None:
                raise ValueError(f"its optimizer is of a population of {optimizer.members} members")
            restore_masks(file, network)
            if optimizer is not None:
                optimizer._set_state(tuple(map(file.get_tensor, states)))
            elif states:
                raise ValueError(f"it has the tensors {states}, but no optimizer")
    except (ValueError, RecursionError, SafetensorError) as error:
        raise ValueError(f"{path} is not a saved network, or is damaged: {error}") from error
    return network, notes, optimizer


def masks_of(network: BaseNetwork) -> dict[str, NDArray[Any]]:
    """The tensors of the layers' masks, where there are any."""
    masks = {mask_name(i): layer.mask for i, layer in enumerate(network.layers)}
    return {name: mask.copy(order="C") for name, mask in masks.items() if mask is not None}


def mask_name(layer: int) -> str:
    """The name of the tensor of a layer's mask."""
    return f"layers.{layer}.mask"


def restore_masks(file: Any, network: BaseNetwork) -> None:
    """Sets the masks of a network to those of an open file.

    Raises
    ------
    ValueError
        If one leaves no weight.
    """
    names = set(file.keys())
    for i, layer in enumerate(network.layers):
        if mask_name(i) in names:
            layer.mask = file.get_tensor(mask_name(i))


def _tensors(network: BaseNetwork) -> dict[str, NDArray[Any]]:
    tensors = {}
    for i, layer in enumerate(network.layers):
        tensors[f"layers.{i}.weights"] = layer.weights
        if layer.bias is not None:
            tensors[f"layers.{i}.bias"] = layer.bias
    return tensors


def description_of(metadata: Mapping[str, str] | None, key: str, version: int) -> dict[str, Any]:
    """The description in a file's metadata.

    Raises
    ------
    ValueError
        If there is none by this key, it is no JSON, or it is not of this version of the format.
    """
    import json

    if metadata is None or key not in metadata:
        raise ValueError(f"its metadata has no entry {key!r}")
    description: dict[str, Any] = json.loads(metadata[key])
    found = field(description, "version", int)
    if found != version:
        raise ValueError(f"it has format version {found}; this backprop reads {version}")
    return description


def field(mapping: object, key: str, kind: type[T]) -> T:
    value = mapping.get(key) if isinstance(mapping, dict) else None
    if type(value) is not kind:
        raise ValueError(f"its description has {value!r:.60} for {key!r}, expected {kind.__name__}")
    return value


def describe_layer(layer: Layer) -> dict[str, Any]:
    extras = {name: getattr(layer, name) for name in EXTRAS}
    return {
        "inputs": layer.inputs,
        "outputs": layer.outputs,
        "activation": str(layer.activation),
        "bias": layer.bias is not None,
        **{name: value for name, value in extras.items() if value != EXTRAS[name]},
    }


def restore_layer(description: object) -> Layer:
    known = description if isinstance(description, dict) else {}
    extras = {name: known[name] for name in EXTRAS if name in known}
    if not all(type(value) is float for value in extras.values()):
        raise ValueError(f"its description has a layer with {extras!r:.60}, expected numbers")
    return Layer(
        field(description, "inputs", int),
        field(description, "outputs", int),
        field(description, "activation", str),
        bias=field(description, "bias", bool),
        init="zeros",
        **extras,
    )


def _check_state(network: BaseNetwork, optimizer: Optimizer | WholeBatch) -> None:
    if isinstance(optimizer, WholeBatch):
        shapes = tuple(array.shape for array in optimizer.state)
        if shapes and shapes != optimizer.state_shapes(
            network.parameters.size, len(network.layers), network.layers[0].inputs
        ):
            raise ValueError(
                f"the optimizer's state is not that of a network of {network.parameters.size} parameters"
            )
        return
    if isinstance(optimizer, Optimizer) and optimizer.members is not None:
        raise ValueError(
            f"this optimizer is of a population of {optimizer.members} members: population.save takes it"
        )
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be one such as SGD(0.1), got {type(optimizer).__name__}")
    for array in optimizer.state:
        if array.shape != network.parameters.shape or array.dtype != network.dtype:
            raise ValueError(
                f"the optimizer's state is that of a network of {array.size} parameters of {array.dtype}; "
                f"this one has {network.parameters.size} of {network.dtype}"
            )


def _compare_tensors(
    file: Any,
    layers: Sequence[Layer],
    states: Sequence[str],
    optimizer: Optimizer | WholeBatch | None,
    dtype: str,
) -> None:
    """Raises a ValueError unless the file has exactly the tensors that layers and optimizer need."""
    parameters = sum(layer.size for layer in layers)
    expected = {name: [parameters] for name in states}
    dtypes = dict.fromkeys(states, dtype)
    found = set(file.keys())
    if isinstance(optimizer, WholeBatch) and states:
        shapes = optimizer.state_shapes(parameters, len(layers), layers[0].inputs)
        expected = {f"optimizer.{i}": list(shape) for i, shape in enumerate(shapes)}
        dtypes = dict.fromkeys(expected, "F64")
    for i, layer in enumerate(layers):
        expected[f"layers.{i}.weights"] = [layer.outputs, layer.inputs]
        if layer.has_bias:
            expected[f"layers.{i}.bias"] = [layer.outputs]
        if mask_name(i) in found:
            expected[mask_name(i)] = [layer.outputs, layer.inputs]
            dtypes[mask_name(i)] = "BOOL"
    if found != expected.keys():
        raise ValueError(f"it has the tensors {sorted(found)}, expected {sorted(expected)}")
    for name, shape in expected.items():
        tensor = file.get_slice(name)
        kind = dtypes.get(name, dtype)
        if tensor.get_shape() != shape or tensor.get_dtype() != kind:
            raise ValueError(
                f"its tensor {name} is {tensor.get_dtype()} {tensor.get_shape()}, expected {kind} {shape}"
            )
