"""A network as an ONNX model."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop.files.writing import refuse_own_functions, write_whole
from backprop.layer import arrays_of

if TYPE_CHECKING:
    import onnx

    from backprop._base import BaseNetwork

MOST_IN_ONE_FILE = 2**31 - 2**24  # bytes of numbers: a message of Protocol Buffers has less than 2 GiB
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
    if network.parameters.nbytes > MOST_IN_ONE_FILE:
        if path is None:
            raise ValueError(
                "a model of more than 2 GiB needs a path: ONNX keeps its numbers in a second file beside it"
            )
        _write_in_two_files(model, path)
        checker.check_model(os.fspath(path), full_check=True)
        return onnx.load(path, load_external_data=False)
    checker.check_model(model, full_check=True)
    if path is not None:
        write_whole(path, model.SerializeToString())
    return model


def _write_in_two_files(model: onnx.ModelProto, path: str | os.PathLike[str]) -> None:
    """The numbers into path + ".data", and what says where each is into path."""
    from onnx.external_data_helper import set_external_data

    beside, at, numbers = f"{os.fspath(path)}.data", 0, []
    for tensor in model.graph.initializer:
        numbers.append(tensor.raw_data)
        set_external_data(tensor, os.path.basename(beside), offset=at, length=len(numbers[-1]))
        tensor.ClearField("raw_data")
        at += len(numbers[-1])
    write_whole(beside, b"".join(numbers))
    write_whole(path, model.SerializeToString())


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
    """z · Φ(z); ONNX has a Gelu from opset 20 on only."""
    root = graph.constant("sqrt_half", math.sqrt(0.5))
    if graph.dtype == np.float32:  # Φ(z) = (1 + erf(z/√2)) / 2
        erf = graph.add("Erf", graph.add("Mul", z, root))
        half_z = graph.add("Mul", z, graph.constant("half", 0.5))
        return graph.add("Add", half_z, graph.add("Mul", half_z, erf))
    tail = graph.add(
        "Mul", _erfc(graph, graph.add("Mul", graph.add("Abs", z), root)), graph.constant("half", 0.5)
    )
    below = graph.add("Less", z, graph.constant("zero", 0.0))
    above = graph.add("Sub", graph.constant("one", 1.0), tail)
    return graph.add("Mul", z, graph.add("Where", below, tail, above))


# ln(erfc(u) exp(u²) / t) in Chebyshev polynomials of 2t − 1, t = 2 / (2 + u), u ≥ 0, by interpolation in
# 60 nodes in 200-bit arithmetic; the first one counts half. What is left out is below 2e-18.
ERFC = (
    -1.3026537197817094, 0.6419697923564903, 0.019476473204185836, -0.009561514786808632,
    -0.0009465953444820369, 0.00036683949785276145, 4.2523324806907772e-05, -2.0278578112534243e-05,
    -1.6242900046470255e-06, 1.3036558355805232e-06, 1.5626441722066143e-08, -8.523809591492655e-08,
    6.529054439098852e-09, 5.059343495551469e-09, -9.913641564933031e-10, -2.273651222931836e-10,
    9.646791102015529e-11, 2.394038083039092e-12, -6.886027526497531e-12, 8.944879273090508e-13,
    3.1309213993431723e-13, -1.1270822361369361e-13, 3.810905255396653e-16, 7.106097713588855e-15,
    -1.5230282014370956e-15, -9.457494573253267e-17, 1.2102371894164836e-16, -2.816663089627822e-17,
)  # fmt: skip


def _erfc(graph: _Graph, u: str) -> str:
    """t exp(−u² + f(t)) for u ≥ 0, f by Clenshaw's recurrence: onnxruntime has no Erf in float64."""
    two = graph.constant("two", 2.0)
    t = graph.add("Div", two, graph.add("Add", u, two))
    twice = graph.add("Sub", graph.add("Mul", t, graph.constant("four", 4.0)), two)  # 2 (2t − 1)
    before, sums = graph.constant("zero", 0.0), graph.constant(f"erfc{len(ERFC) - 1}", ERFC[-1])
    for i in range(len(ERFC) - 2, 0, -1):
        term = graph.add("Sub", graph.constant(f"erfc{i}", ERFC[i]), before)
        before, sums = sums, graph.add("Add", graph.add("Mul", twice, sums), term)
    half = graph.add("Mul", graph.add("Mul", twice, sums), graph.constant("half", 0.5))
    f = graph.add("Add", half, graph.add("Sub", graph.constant("erfc0", ERFC[0] / 2), before))
    return graph.add("Mul", t, graph.add("Exp", graph.add("Sub", f, graph.add("Mul", u, u))))


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


def _silu(graph: _Graph, z: str) -> str:
    """z σ(z); in float64 z / (1 + exp(−z)): of the product onnxruntime 1.30 makes an operator it has in
    float32 only.
    """
    if graph.dtype == np.float32:
        return graph.add("Mul", z, graph.add("Sigmoid", z))
    exp = graph.add("Exp", graph.add("Neg", z))
    return graph.add("Div", z, graph.add("Add", exp, graph.constant("one", 1.0)))


ACTIVATIONS: dict[str, Callable[[_Graph, str], str]] = {
    "identity": lambda graph, z: z,
    "sigmoid": lambda graph, z: graph.add("Sigmoid", z),
    "tanh": lambda graph, z: graph.add("Tanh", z),
    "relu": lambda graph, z: graph.add("Relu", z),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "gelu": _gelu,
    "silu": _silu,
    "softplus": _softplus,
    "softmax": lambda graph, z: graph.add("Softmax", z, axis=-1),
}
