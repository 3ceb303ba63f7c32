"""`Widget`: a `Stage` in a notebook, with anywidget (the extra ``notebook``)."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from backprop.play import page
from backprop.play.answers import answer
from backprop.play.stage import Stage

try:
    import anywidget
except ImportError as error:
    raise ImportError(
        f"backprop.Widget needs anywidget; install it with: pip install 'cbackprop[notebook]' ({error})"
    ) from error

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from backprop.network import Network
    from backprop.optimizers import Optimizer


class Widget(anywidget.AnyWidget):
    """A network in a notebook, to step through and to train by clicks.

    Tested in JupyterLab; VS Code and Colab, where anywidget runs too, are untested.

    Pick a sample; go forward, backward and update one layer at a time; point at a weight, or go to it with
    the arrow keys, to see its three terms and their product; train, and watch the decision boundary of a
    network of two inputs. The network is trained itself, not a copy. It needs a running kernel.

    Parameters
    ----------
    network : Network, optional
        By default a small new one for the sets in the plane, `backprop.datasets.moons` and its like.
    x : array_like, (n, inputs), optional
        Samples. Without x and y a network of two inputs is shown the sets in the plane.
    y : array_like, optional
        Targets, as for `Network.fit`.
    optimizer : Optimizer, optional
        What updates; by default ``SGD(0.5)``.
    batch_size : int
        For training.
    nodes : int
        How many nodes of a layer to draw at most, at least 2.
    sample : int
        Which sample to begin with.

    Attributes
    ----------
    stage : Stage
        What is shown: ``widget.stage.network``, ``.optimizer``, ``.sample``.

    Raises
    ------
    ImportError
        If anywidget, the extra ``notebook``, is missing.
    TypeError, ValueError
        If the data does not fit the network, or an argument makes no sense.

    Examples
    --------
    >>> x, y = bp.datasets.circles(rng=0)  # doctest: +SKIP
    >>> net = bp.Network.dense(2, 6, 1, hidden="tanh", seed=0)  # doctest: +SKIP
    >>> bp.Widget(net, x, y, optimizer=bp.Adam(0.03))  # doctest: +SKIP
    """

    _esm = page.script()
    _css = page.text("widget.css")

    def __init__(
        self,
        network: Network | None = None,
        x: ArrayLike | None = None,
        y: ArrayLike | None = None,
        *,
        optimizer: Optimizer | None = None,
        batch_size: int = 10,
        nodes: int = 8,
        sample: int = 0,
    ) -> None:
        self.stage = Stage(
            network, x, y, optimizer=optimizer, batch_size=batch_size, nodes=nodes, sample=sample
        )
        super().__init__()
        self.on_msg(self._receive)

    # Shown by help, notebooks and the API pages, which would else take it from a base class's __new__.
    __signature__ = inspect.Signature(list(inspect.signature(__init__).parameters.values())[1:])

    def __repr__(self) -> str:
        return f"Widget({self.stage.network!r}, {len(self.stage.x)} samples)"

    def _receive(self, widget: object, content: Any, buffers: object) -> None:
        """A question of the page: ``{"id": ..., "message": ...}``; the answer goes back with its id."""
        if isinstance(content, dict) and "message" in content:
            self.send({"id": content.get("id"), "answer": answer(self.stage, content["message"])})
