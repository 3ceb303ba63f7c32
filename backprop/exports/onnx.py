"""A network as an ONNX model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop.files.writing import refuse_own_functions, write_whole
from backprop.layer import arrays_of

if TYPE_CHECKING:
    import os

    import onnx

    from backprop._base import BaseNetwork

OPSET = 13  # what any runtime since 2020 reads
IR_VERSION = 7


def to_onnx(network: BaseNetwork, path: str | os.PathLike[str] | None) -> onnx.ModelProto:
    """`Network.to_onnx`, which documents it."""
    refuse_own_functions(network)
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            f"to_onnx needs onnx; install it with: pip install 'cbackprop[onnx]' ({error})"
        ) from error
    from onnx import checker, helper, numpy_helper

    graph = _Graph(network.dtype)
    a = "x"
    arrays = arrays_of(network.layers, network._locked(network.parameters.copy))
    for number, (layer, (weights, bias)) in enumerate(zip(network.layers, arrays, strict=True), start=2):
        graph.layer = f"layer{number}"
        z_inputs = [a, graph.constant("weights", weights)]
        if bias is not None:
            z_inputs.append(graph.constant("bias", bias))
        z = graph.add("Gemm", *z_inputs, transB=1)
        a = ACTIVATIONS[str(layer.activation)](graph, z)
    graph.nodes.append(("Identity", (a,), "a", {}))

    kind = onnx.TensorProto.FLOAT if network.dtype == np.float32 else onnx.TensorProto.DOUBLE
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node(operator, list(inputs), [output], name=output, **attributes)
                for operator, inputs, output, attributes in graph.nodes
            ],
            "network",
            [helper.make_tensor_value_info("x", kind, ["n", network.layers[0].inputs])],
            [helper.make_tensor_value_info("a", kind, ["n", network.layers[-1].outputs])],
            [numpy_helper.from_array(array, name) for name, array in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="backprop",
    )
    checker.check_model(model, full_check=True)
    if path is not None:
        write_whole(path, model.SerializeToString())
    return model


class _Graph:
    """The nodes (operator, inputs, output, attributes) and constants of a model, as they are added."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.layer = ""
        self.nodes: list[tuple[str, tuple[str, ...], str, dict[str, Any]]] = []
        self.constants: dict[str, np.ndarray[Any, Any]] = {}

    def constant(self, name: str, value: Any) -> str:
        name = f"{self.layer}.{name}"
        self.constants[name] = np.array(value, self.dtype)
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"{self.layer}.{operator}{len(self.nodes)}"
        self.nodes.append((operator, inputs, output, attributes))
        return output


def _gelu(graph: _Graph, z: str) -> str:
    """z · (1 + erf(z/√2)) / 2; ONNX has a Gelu from opset 20 on only."""
    erf = graph.add("Erf", graph.add("Mul", z, graph.constant("sqrt_half", math.sqrt(0.5))))
    half_z = graph.add("Mul", z, graph.constant("half", 0.5))
    return graph.add("Add", half_z, graph.add("Mul", half_z, erf))


# onnxruntime has LeakyRelu, Elu and Softplus in float32 only, so in float64 they are made of what it has.


def _leaky_relu(graph: _Graph, z: str) -> str:
    if graph.dtype == np.float32:
        return graph.add("LeakyRelu", z, alpha=0.01)
    return graph.add("Max", z, graph.add("Mul", z, graph.constant("slope", 0.01)))


def _elu(graph: _Graph, z: str) -> str:
    """In float64 max(z, 0) + (exp(min(z, 0)) − 1)."""
    if graph.dtype == np.float32:
        return graph.add("Elu", z, alpha=1.0)
    exp = graph.add("Exp", graph.add("Min", z, graph.constant("zero", 0.0)))
    return graph.add("Add", graph.add("Relu", z), graph.add("Sub", exp, graph.constant("one", 1.0)))


def _softplus(graph: _Graph, z: str) -> str:
    """In float64 max(z, 0) + ln(1 + exp(−|z|)), which does not overflow."""
    if graph.dtype == np.float32:
        return graph.add("Softplus", z)
    exp = graph.add("Exp", graph.add("Neg", graph.add("Abs", z)))
    log = graph.add("Log", graph.add("Add", exp, graph.constant("one", 1.0)))
    return graph.add("Add", graph.add("Relu", z), log)


ACTIVATIONS: dict[str, Callable[[_Graph, str], str]] = {
    "identity": lambda graph, z: z,
    "sigmoid": lambda graph, z: graph.add("Sigmoid", z),
    "tanh": lambda graph, z: graph.add("Tanh", z),
    "relu": lambda graph, z: graph.add("Relu", z),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "gelu": _gelu,
    "silu": lambda graph, z: graph.add("Mul", z, graph.add("Sigmoid", z)),
    "softplus": _softplus,
    "softmax": lambda graph, z: graph.add("Softmax", z, axis=-1),
}
