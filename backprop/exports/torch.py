"""Networks as PyTorch modules, and PyTorch modules as networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from backprop._base import BaseNetwork
from backprop.files.writing import refuse_own_functions, write_whole
from backprop.layer import Layer, arrays_of

if TYPE_CHECKING:
    import os

    import torch

    from backprop._types import Seed

    AnyNetwork = TypeVar("AnyNetwork", bound=BaseNetwork)


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
    arrays = arrays_of(network.layers, network._locked(network.parameters.copy))
    for layer, (weights, bias) in zip(network.layers, arrays, strict=True):
        linear = nn.Linear(
            layer.inputs,
            layer.outputs,
            bias=bias is not None,
            dtype=lib.float32 if network.dtype == np.float32 else lib.float64,
        )
        with lib.no_grad():
            linear.weight.copy_(lib.from_numpy(weights))
            if bias is not None:
                linear.bias.copy_(lib.from_numpy(bias))
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
        if isinstance(part, nn.LazyLinear):
            raise TypeError(f"module {name} is LazyLinear, whose inputs are not known: call the module once")
        if not parts and type(part) is nn.Flatten and (part.start_dim, part.end_dim) == (1, -1):
            continue
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
    if not path:
        _refuse_hooks("the module", module)
    for name, part in module._modules.items():  # named_children leaves repeated ones out
        _refuse_hooks(f"module {path}{name}", part)
        if isinstance(part, sequential):
            yield from _flat(part, sequential, f"{path}{name}.")
        else:
            yield path + name, part


def _refuse_hooks(name: str, module: Any) -> None:
    lazy = type(module).__name__.startswith("Lazy")  # which has one that makes its parameters
    if not lazy and (module._forward_hooks or module._forward_pre_hooks):
        raise TypeError(f"{name}, {type(module).__name__}, has hooks, which may change what it computes")


def _torch(method: str) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(f"{method} needs PyTorch; install it with: pip install torch ({error})") from error
    return torch
