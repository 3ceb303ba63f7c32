"""Networks as ONNX models and as PyTorch modules, and PyTorch modules as networks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from backprop._base import BaseNetwork
from backprop.files.writing import refuse_own_functions, write_whole
from backprop.layer import Layer

if TYPE_CHECKING:
    import os

    import onnx
    import torch

    from backprop._types import Seed

    AnyNetwork = TypeVar("AnyNetwork", bound=BaseNetwork)

ONNX_OPSET = 13  # what any runtime since 2020 reads
ONNX_IR_VERSION = 7


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
    for number, layer in enumerate(network.layers, start=2):
        graph.layer = f"layer{number}"
        z_inputs = [a, graph.constant("weights", layer.weights)]
        if layer.bias is not None:
            z_inputs.append(graph.constant("bias", layer.bias))
        z = graph.add("Gemm", *z_inputs, transB=1)
        a = ONNX_ACTIVATIONS[str(layer.activation)](graph, z)
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
        opset_imports=[helper.make_opsetid("", ONNX_OPSET)],
        ir_version=ONNX_IR_VERSION,
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


ONNX_ACTIVATIONS: dict[str, Callable[[_Graph, str], str]] = {
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


def to_torch(network: BaseNetwork) -> torch.nn.Sequential:
    """`Network.to_torch`, which documents it."""
    refuse_own_functions(network)
    lib = _torch("to_torch")
    nn = lib.nn
    activations: dict[str, Callable[[], torch.nn.Module]] = {
        "sigmoid": nn.Sigmoid,
        "tanh": nn.Tanh,
        "relu": nn.ReLU,
        "leaky_relu": nn.LeakyReLU,
        "elu": nn.ELU,
        "gelu": nn.GELU,
        "silu": nn.SiLU,
        "softplus": nn.Softplus,
        "softmax": lambda: nn.Softmax(dim=-1),
    }
    modules: list[torch.nn.Module] = []
    for layer in network.layers:
        linear = nn.Linear(
            layer.inputs,
            layer.outputs,
            bias=layer.bias is not None,
            dtype=lib.float32 if network.dtype == np.float32 else lib.float64,
        )
        with lib.no_grad():
            linear.weight.copy_(lib.from_numpy(layer.weights))
            if layer.bias is not None:
                linear.bias.copy_(lib.from_numpy(layer.bias))
        modules.append(linear)
        if str(layer.activation) != "identity":
            modules.append(activations[str(layer.activation)]())
        if layer.dropout:
            modules.append(nn.Dropout(layer.dropout))
    sequential: torch.nn.Sequential = nn.Sequential(*modules).eval()
    return sequential


def save_torch_state(network: BaseNetwork, path: str | os.PathLike[str]) -> None:
    """Writes the ``state_dict`` of `to_torch` as ``torch.save`` does, all of it or nothing."""
    import io

    content = io.BytesIO()
    state = to_torch(network).state_dict()
    _torch("save_torch_state").save(state, content)
    write_whole(path, content.getvalue())


def from_torch(cls: type[AnyNetwork], module: torch.nn.Sequential, loss: str, seed: Seed) -> AnyNetwork:
    """`Network.from_torch`, which documents it."""
    lib = _torch("from_torch")
    nn = lib.nn
    if not isinstance(module, nn.Sequential):
        raise TypeError(f"from_torch takes a torch.nn.Sequential, got {type(module).__name__}")

    parts: list[_Part] = []
    for name, part in _flat(module, nn.Sequential):
        if isinstance(part, nn.Linear) and type(part).forward is nn.Linear.forward:
            if any(part is before.linear for before in parts):
                raise ValueError(f"module {name}, {part}, comes twice; layers here share no weights")
            parts.append(_Part(part))
        elif isinstance(part, nn.Linear):
            raise TypeError(f"module {name} is {part}, a Linear with a forward of its own")
        elif not parts or parts[-1].dropout is not None:
            raise ValueError(f"module {name}, {part}, does not follow a Linear or its activation")
        elif isinstance(part, nn.Dropout):
            parts[-1].dropout = part.p
        elif parts[-1].activation is not None:
            raise ValueError(f"module {name}, {part}, does not follow a Linear; a layer has one activation")
        else:
            parts[-1].activation = _activation(nn, name, part)
    if not parts:
        raise ValueError("from_torch needs at least one Linear, got none")

    dtypes = {parameter.dtype for part in parts for parameter in part.linear.parameters()}
    known = {lib.float32: "float32", lib.float64: "float64"}
    if len(dtypes) != 1 or not dtypes <= known.keys():
        raise ValueError(f"parameters must be all float32 or all float64, got {', '.join(map(str, dtypes))}")
    network = cls(
        *(
            Layer(
                part.linear.in_features,
                part.linear.out_features,
                part.activation or "identity",
                bias=part.linear.bias is not None,
                init="zeros",
                dropout=part.dropout or 0.0,
            )
            for part in parts
        ),
        loss=loss,
        dtype=known[dtypes.pop()],
        seed=seed,
    )
    for layer, part in zip(network.layers, parts, strict=True):
        layer.weights = part.linear.weight.detach().cpu().numpy()
        if layer.bias is not None:
            layer.bias = part.linear.bias.detach().cpu().numpy()
    return network


@dataclasses.dataclass
class _Part:
    """A Linear and what follows it."""

    linear: torch.nn.Linear
    activation: str | None = None
    dropout: float | None = None


def _activation(nn: Any, name: str, module: torch.nn.Module) -> str:
    """The name of a module's activation function, if the engine has it with just these settings."""
    settings: dict[Any, tuple[str, dict[str, tuple[object, ...]]]] = {
        nn.Identity: ("identity", {}),
        nn.Sigmoid: ("sigmoid", {}),
        nn.Tanh: ("tanh", {}),
        nn.ReLU: ("relu", {}),
        nn.LeakyReLU: ("leaky_relu", {"negative_slope": (0.01,)}),
        nn.ELU: ("elu", {"alpha": (1,)}),
        nn.GELU: ("gelu", {"approximate": ("none",)}),
        nn.SiLU: ("silu", {}),
        nn.Softplus: ("softplus", {"beta": (1,), "threshold": (20,)}),
        nn.Softmax: ("softmax", {"dim": (1, -1)}),
    }
    if type(module) not in settings:
        names = ", ".join(kind.__name__ for kind in settings)
        raise TypeError(
            f"module {name} is {module}, which is not known here; known are Linear, Dropout, {names}"
        )
    activation, expected = settings[type(module)]
    for setting, allowed in expected.items():
        if getattr(module, setting) not in allowed:
            raise ValueError(
                f"module {name} is {module}, but here {activation} means {setting}={allowed[-1]!r}"
            )
    return activation


def _flat(module: Any, sequential: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The modules in the order in which they are applied, each as often as it is."""
    if type(module).forward is not sequential.forward:
        raise TypeError(f"{type(module).__name__} is a Sequential with a forward of its own")
    for name, part in module._modules.items():  # named_children leaves repeated ones out
        if isinstance(part, sequential):
            yield from _flat(part, sequential, f"{path}{name}.")
        else:
            yield path + name, part


def _torch(method: str) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(f"{method} needs PyTorch; install it with: pip install torch ({error})") from error
    return torch
