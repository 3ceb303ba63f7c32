"""Multilayer perceptrons trained by backpropagation in C, with every term of the chain rule on show.

>>> import backprop as bp
>>> x_train, y_train, x_test, y_test = bp.datasets.load_digits()
>>> net = bp.Network.dense(64, 30, 10, seed=0)
>>> history = net.fit(x_train, y_train, bp.SGD(1.0), epochs=30, batch_size=10)
>>> accuracy = net.accuracy(x_test, y_test)

The notation is that of docs/notation.md: layer l has weights ``w_jk`` from node k of layer l-1 to
node j of layer l, weighted sums ``z_j``, activation outputs ``a_j = g(z_j)`` and, for one sample, the
loss ``C_0``.
"""

from typing import TYPE_CHECKING, Any

try:
    from backprop._core import DivergenceError
    from backprop._stamp import check_interface

    check_interface()
except ModuleNotFoundError as error:
    if error.name != "backprop._core":
        raise
    raise ImportError(
        "backprop's C extension, backprop._core, is not built for this Python. In a checkout, build it "
        "with: pip install -e .   (or: python setup.py build_ext --inplace)"
    ) from None

from backprop import datasets, kernels, schedules
from backprop._version import __version__ as __version__
from backprop.activations import Activation
from backprop.callbacks import Checkpoint, EarlyStopping
from backprop.history import History
from backprop.layer import Layer
from backprop.losses import Loss
from backprop.network import Network, load
from backprop.optimizers import SGD, Adam, AdamW, RMSprop
from backprop.solvers import LBFGS, LevenbergMarquardt

if TYPE_CHECKING:
    from backprop import lesson as lesson
    from backprop import plots
    from backprop import sklearn as sklearn
    from backprop.population import Population
    from backprop.rate_search import find_rate
    from backprop.widget import Widget as Widget

__all__ = [
    "LBFGS",
    "SGD",
    "Activation",
    "Adam",
    "AdamW",
    "Checkpoint",
    "DivergenceError",
    "EarlyStopping",
    "History",
    "Layer",
    "LevenbergMarquardt",
    "Loss",
    "Network",
    "Population",
    "RMSprop",
    "datasets",
    "find_rate",
    "kernels",
    "load",
    "plots",
    "schedules",
]


# So that `import backprop` is quick.
_modules = ("lesson", "plots", "population", "rate_search", "sklearn", "widget")
_names = {"Population": "population", "find_rate": "rate_search", "Widget": "widget"}


def __getattr__(name: str) -> Any:
    """What is imported when it is first used; some of it needs other packages."""
    import importlib

    if name in _modules:
        return importlib.import_module(f"backprop.{name}")
    if name in _names:
        value = getattr(importlib.import_module(f"backprop.{_names[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_modules, *_names})
