"""Which weights gradient descent moves most, and what a step does: `largest_moves` and `watch_step`.

The direction in which an output lowers C_0 is `Trace.nudges`, -∂C_0/∂a.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backprop._notation import Notation, layer_name, subscript
from backprop._table import table
from backprop._validate import whole_number
from backprop.explain.wording import largest

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop import _core
    from backprop._base import BaseNetwork

SHOWN_SAMPLES = 3
SHOWN_OUTPUTS = 12


class Move(NamedTuple):
    """One parameter and its gradient."""

    layer: int  #: which of ``net.layers``, from 0
    j: int  #: the node of that layer, from 0
    k: int | None  #: the node of the layer before, from 0; None for a bias
    gradient: float  #: ∂C/∂w_jk; gradient descent moves w against it
    share: float  #: |∂C/∂w_jk| divided by the sum of that over all parameters; 0 where all are zero


class Moves(tuple[Move, ...]):
    """Parameters by the size of their gradient, the largest first; ``print`` shows them as a table."""

    layers: int

    def __new__(cls, moves: list[Move], layers: int) -> Moves:
        self = super().__new__(cls, moves)
        self.layers = layers
        return self

    def __getnewargs__(self) -> tuple[list[Move], int]:
        """What `copy` and `pickle` make it from."""
        return list(self), self.layers

    def __str__(self) -> str:
        n = Notation()
        rows = [("", "∂C/∂w", "moves", "share")]
        for move in self:
            name = layer_name(move.layer, self.layers)
            nodes = [move.j] if move.k is None else [move.j, move.k]
            symbol = n.symbol("b" if move.k is None else "w", subscript(*nodes), name)
            direction = "down" if move.gradient > 0 else "up" if move.gradient < 0 else "–"
            rows.append((symbol, n.number(move.gradient), direction, f"{move.share:.1%}"))
        return "\n".join(table(rows))

    __repr__ = __str__


class StepEffect(NamedTuple):
    """What one step of an optimizer did; the arrays lack the leading n for a 1-D x."""

    nudges: NDArray[Any]  #: -∂C_0/∂a before the step: the direction that lowers C_0, (n, outputs)
    before: NDArray[Any]  #: the outputs before, (n, outputs)
    after: NDArray[Any]  #: and after
    loss_before: float  #: C before
    loss_after: float  #: and after
    expected: float  #: Σ ∂C/∂w · Δw over all parameters: what C would have changed by, were it linear

    @property
    def change(self) -> NDArray[Any]:
        """What the step did to each output, (n, outputs)."""
        change: NDArray[Any] = self.after - self.before
        return change

    def __str__(self) -> str:
        n = Notation()
        before, change, nudges = (np.atleast_2d(part) for part in (self.before, self.change, self.nudges))
        rows: list[tuple[str, ...]] = [("sample", "output", "before", "nudge", "change", "after", "")]
        for i in range(min(len(before), SHOWN_SAMPLES)):
            for j in range(min(before.shape[1], SHOWN_OUTPUTS)):
                verdict = "as wished" if change[i, j] * nudges[i, j] > 0 else "against"
                if not change[i, j] or not nudges[i, j]:
                    verdict = ""
                numbers = (before[i, j], nudges[i, j], change[i, j], np.atleast_2d(self.after)[i, j])
                rows.append((str(i), n.symbol("a", subscript(j)), *map(n.number, numbers), verdict))
        lines = table(rows)
        left_out = before.size - len(rows) + 1
        if left_out:
            lines.append(f"and {left_out} more outputs")
        change_of_loss = self.loss_after - self.loss_before
        lines.append(
            f"C: {n.number(self.loss_before)} → {n.number(self.loss_after)}, a change of "
            f"{n.number(change_of_loss)}; by the gradient alone {n.number(self.expected)}"
        )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


def largest_moves(network: BaseNetwork, x: ArrayLike, y: ArrayLike, count: int) -> Moves:
    """`Network.largest_moves`, which documents it."""
    count = whole_number("count", count)
    gradient = network.gradient(x, y).parameters
    size = np.abs(gradient)
    total = float(size.sum(dtype=np.float64))
    ends = np.cumsum([layer.size for layer in network.layers])
    moves = []
    for place in largest(gradient, count):
        layer = int(np.searchsorted(ends, place, side="right"))
        shape = network.layers[layer]
        k, j = divmod(place - int(ends[layer]) + shape.size, shape.outputs)
        share = float(size[place]) / total if total else 0.0
        moves.append(Move(layer, j, None if k == shape.inputs else k, float(gradient[place]), share))
    return Moves(moves, len(network.layers))


def watch_step(network: BaseNetwork, x: ArrayLike, y: ArrayLike, optimizer: _core.Optimizer) -> StepEffect:
    """`Network.watch_step`, which documents it."""

    def watched() -> StepEffect:
        trace, gradient, parameters = network.trace(x, y), network.gradient(x, y), network.parameters.copy()
        loss = network.step(x, y, optimizer)
        moved = network.parameters.astype(np.float64) - parameters
        expected = float(np.dot(gradient.parameters.astype(np.float64), moved))
        return StepEffect(trace.nudges, trace.layers[-1].a, network(x), loss, network.loss(x, y), expected)

    return network._locked(watched)
