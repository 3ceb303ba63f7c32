"""Networks in safetensors files: ``net.save(path)`` and ``backprop.load(path)``.

A file holds the tensors "layers.<i>.weights" (outputs, inputs) and "layers.<i>.bias" (outputs,), and in
its metadata, under "backprop", a JSON text that describes the network. Reading one runs no code.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from backprop._validate import name_among
from backprop.layer import Layer
from backprop.network import DTYPES, Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    T = TypeVar("T")

METADATA_KEY = "backprop"
FORMAT_VERSION = 1
TENSOR_DTYPES = {"float32": "F32", "float64": "F64"}


def save(network: Network, path: str | os.PathLike[str], notes: Mapping[str, float] | None = None) -> None:
    """`Network.save`, which documents it; `load_with_notes` gives the notes back."""
    import json

    from safetensors.numpy import save as to_bytes

    description = {
        "version": FORMAT_VERSION,
        "layers": [
            {
                "inputs": layer.inputs,
                "outputs": layer.outputs,
                "activation": str(layer.activation),
                "bias": layer.bias is not None,
            }
            for layer in network.layers
        ],
        "loss": network.loss_name,
        "dtype": str(network.dtype),
        "notes": dict(notes or {}),
    }
    tensors = {name: array.copy(order="C") for name, array in _tensors(network).items()}
    _write_whole(path, to_bytes(tensors, {METADATA_KEY: json.dumps(description)}))


def load(path: str | os.PathLike[str]) -> Network:
    """Reads a network that `Network.save` wrote.

    The network draws from a fresh generator; no optimizer is in the file.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        If the file is damaged, or is not a network's. Nothing is allocated before all of it fits.
    OSError
        If the file cannot be read.
    """
    return load_with_notes(path)[0]


def load_with_notes(path: str | os.PathLike[str]) -> tuple[Network, dict[str, float]]:
    """`load`, and the notes that were saved with the network."""
    from safetensors import SafetensorError, safe_open

    path = os.fspath(path)
    with open(path, "rb"):  # a missing or unreadable file is an OSError that names it
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            description = _description(file.metadata())
            layers = [
                Layer(
                    _field(layer, "inputs", int),
                    _field(layer, "outputs", int),
                    _field(layer, "activation", str),
                    bias=_field(layer, "bias", bool),
                    init="zeros",
                )
                for layer in _field(description, "layers", list)
            ]
            dtype = name_among("dtype", _field(description, "dtype", str), DTYPES)
            notes = _notes(description)
            _compare_tensors(file, layers, TENSOR_DTYPES[dtype])
            network = Network(*layers, loss=_field(description, "loss", str), dtype=dtype)
            for name, array in _tensors(network).items():
                array[...] = file.get_tensor(name)
    except (ValueError, RecursionError, SafetensorError) as error:
        raise ValueError(f"{path} is not a saved network, or is damaged: {error}") from error
    return network, notes


def _tensors(network: Network) -> dict[str, NDArray[Any]]:
    tensors = {}
    for i, layer in enumerate(network.layers):
        tensors[f"layers.{i}.weights"] = layer.weights
        if layer.bias is not None:
            tensors[f"layers.{i}.bias"] = layer.bias
    return tensors


def _description(metadata: Mapping[str, str] | None) -> object:
    import json

    if metadata is None or METADATA_KEY not in metadata:
        raise ValueError(f"its metadata has no entry {METADATA_KEY!r}")
    description: object = json.loads(metadata[METADATA_KEY])
    version = _field(description, "version", int)
    if version != FORMAT_VERSION:
        raise ValueError(f"it has format version {version}; this backprop reads {FORMAT_VERSION}")
    return description


def _field(mapping: object, key: str, kind: type[T]) -> T:
    value = mapping.get(key) if isinstance(mapping, dict) else None
    if type(value) is not kind:
        raise ValueError(f"its description has {value!r:.60} for {key!r}, expected {kind.__name__}")
    return value


def _notes(description: object) -> dict[str, float]:
    notes: dict[Any, Any] = _field(description, "notes", dict)
    if not all(type(value) in (int, float) for value in notes.values()):
        raise ValueError("its description has notes that are not numbers")
    return notes


def _compare_tensors(file: Any, layers: Sequence[Layer], dtype: str) -> None:
    """Raises a ValueError unless the file has exactly the tensors that the layers need."""
    expected: dict[str, list[int]] = {}
    for i, layer in enumerate(layers):
        expected[f"layers.{i}.weights"] = [layer.outputs, layer.inputs]
        if layer._has_bias:
            expected[f"layers.{i}.bias"] = [layer.outputs]
    found = set(file.keys())
    if found != expected.keys():
        raise ValueError(f"it has the tensors {sorted(found)}, expected {sorted(expected)}")
    for name, shape in expected.items():
        tensor = file.get_slice(name)
        if tensor.get_shape() != shape or tensor.get_dtype() != dtype:
            raise ValueError(
                f"its tensor {name} is {tensor.get_dtype()} {tensor.get_shape()}, expected {dtype} {shape}"
            )


def _write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes all of the file or nothing: into a new file beside it, which then takes its place."""
    target = os.path.realpath(path)
    temporary = f"{target}.{os.urandom(4).hex()}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
