"""Every public name says what it takes, what it gives back and what it raises."""

import inspect
import re

import pytest

import backprop as bp

MODULES = [bp, bp.datasets, bp.kernels, bp.schedules]
RAISES_NOTHING = {
    "backprop.schedules.plateau_of",
    "backprop.LBFGS.state_shapes",
    "backprop.LevenbergMarquardt.state_shapes",
}
CALLED_BY_FIT = {"start", "finish", "observe"}  # documented once, in backprop.callbacks


def public():
    """Each public function, class and method, by its name."""
    for module in MODULES:
        for name, item in vars(module).items():
            ours = str(getattr(item, "__module__", "")).startswith("backprop")
            if name.startswith("_") or not ours or (module is not bp and item.__module__ != module.__name__):
                continue
            if not isinstance(item, type):
                yield f"{module.__name__}.{name}", item
                continue
            if "__init__" in vars(item):
                yield f"{module.__name__}.{name}", item
            methods = {method for kind in item.__mro__ if kind.__module__.startswith("backprop")
                       for method in vars(kind)}  # fmt: skip
            if issubclass(item, dict):
                methods -= set(vars(dict))  # which Python documents
            for method in sorted(methods - CALLED_BY_FIT):
                if not method.startswith("_") and callable(getattr(item, method)):
                    yield f"{module.__name__}.{name}.{method}", getattr(item, method)


PUBLIC = dict(public())


def sections(item):
    """The docstring's sections by their titles."""
    parts = re.split(r"^(\w+)\n-+$", inspect.getdoc(item) or "", flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring(name):
    item = PUBLIC[name]
    signature = inspect.signature(item)
    names = [parameter for parameter in signature.parameters if parameter != "self"]
    found = sections(item)
    heads = re.findall(r"^(\S.*?)(?: :.*)?$", found.get("Parameters", ""), flags=re.MULTILINE)
    documented = [n.strip().lstrip("*") for head in heads for n in head.split(",")]
    assert sorted(documented) == sorted(names)
    if signature.return_annotation not in ("None", inspect.Signature.empty):
        assert "Returns" in found
    assert not names or ("Raises" in found) != (name in RAISES_NOTHING)


@pytest.mark.parametrize("name", ["classify", "loss", "losses", "accuracy", "step"])
def test_signature_of_a_method_in_c(name):
    """Got from the class it has a self, got from a network it has none, as any method."""
    net = bp.Network(bp.Layer(2, 2))
    of_class, of_network = (inspect.signature(getattr(owner, name)).parameters for owner in (bp.Network, net))
    assert list(of_class) == ["self", *of_network]


def test_there_is_something_to_check():
    assert {"backprop.Network.fit", "backprop.Network.loss", "backprop.kernels.loss"} <= set(PUBLIC)
