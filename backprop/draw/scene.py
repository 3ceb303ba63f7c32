"""`Network.draw`: what the picture of a network shows, and where.

The thicker an edge and the fuller a node, the larger its number. At the outputs an arrow shows -∂C_0/∂a, up
or down, as long as it is strong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._notation import Notation, layer_name, subscript
from backprop._validate import as_array, name_among, whole_number
from backprop.draw.drawing import Drawing
from backprop.draw.scales import fraction_of, largest_size, short_number, shown_nodes
from backprop.draw.shapes import FULLEST, RADIUS, Arrow, Circle, Line, Shape, Text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop._base import BaseNetwork

SHOWS = ("weights", "activations", "deltas", "gradients")

COLUMN, ROW, MARGIN, TOP, LEGEND = 150.0, 44.0, 40.0, 64.0, 36.0
THINNEST, THICKEST = 0.4, 5.0
LONGEST_ARROW = 18.0


def draw(
    network: BaseNetwork, x: ArrayLike | None, y: ArrayLike | None, show: str | None, most: int
) -> Drawing:
    """`Network.draw`, which documents it."""
    show = name_among("show", show, SHOWS) if show is not None else "weights" if x is None else "activations"
    most = whole_number("nodes", most, 2)
    if show != "weights" and x is None:
        raise ValueError(f"to show {show}, draw needs x, got none")
    if y is None and show in ("deltas", "gradients"):
        raise ValueError(f"to show {show}, draw needs y, got none")
    if x is None and y is not None:
        raise ValueError("draw got y without x")
    return _Scene(network, x, y, show, most).drawing()


class _Scene:
    """Numbers and places of what `draw` shows."""

    def __init__(
        self, network: BaseNetwork, x: ArrayLike | None, y: ArrayLike | None, show: str, most: int
    ) -> None:
        self.network, self.show = network, show
        self.sizes = [network.layers[0].inputs, *(layer.outputs for layer in network.layers)]
        self.nodes = [shown_nodes(size, most) for size in self.sizes]
        self.values: list[NDArray[Any] | None] = [None] * len(self.sizes)
        self.nudges: NDArray[Any] | None = None
        self.weights = [layer.weights for layer in network.layers]
        if x is not None:
            trace = network.trace(x, y)
            inputs = _average(np.asarray(as_array("x", x), dtype=np.float64))
            if show in ("weights", "activations"):
                self.values = [inputs, *(_average(layer.a) for layer in trace.layers)]
            else:
                self.values = [None, *(_average(layer.dC_dz) for layer in trace.layers)]
            if y is not None:
                self.nudges = _average(trace.nudges)
        if show == "gradients":
            assert x is not None
            assert y is not None
            self.weights = [layer.weights for layer in network.gradient(x, y).layers]
        self.height = TOP + ROW * max(len(nodes) + (len(nodes) < n) for nodes, n in self._each()) + MARGIN / 2
        self.width = 2 * MARGIN + COLUMN * (len(self.sizes) - 1) + (34.0 if self.nudges is not None else 0)

    def _each(self) -> list[tuple[list[int], int]]:
        return list(zip(self.nodes, self.sizes, strict=True))

    def drawing(self) -> Drawing:
        shapes: list[Shape] = []
        for layer in range(len(self.weights)):
            shapes += self._edges(layer)
        for column in range(len(self.sizes)):
            shapes += self._column(column)
        if self.nudges is not None:
            shapes += self._arrows(self.nudges)
        shapes += self._legend()
        return Drawing(shapes, self.width, self.height + LEGEND, self._description())

    def _legend(self) -> list[Text]:
        """What edges and nodes show, in two lines below the network."""
        edges = "∂C/∂w" if self.show == "gradients" else "weights"
        nodes = "" if self.values[-1] is None else "; nodes: δ" if self.values[0] is None else "; nodes: a"
        lines = (f"edges: {edges}{nodes}", "blue +, orange and dashed −; thick, full: large")
        middle = self.width / 2
        return [Text(middle, self.height + 8 + 15 * i, line, 10, "middle") for i, line in enumerate(lines)]

    def _place(self, column: int, row: int) -> tuple[float, float]:
        """Of the row-th node that is drawn; the gap where others are left out takes one row."""
        nodes, size = self.nodes[column], self.sizes[column]
        rows = len(nodes) + (len(nodes) < size)
        top = TOP + (self.height - TOP - MARGIN / 2 - ROW * rows) / 2 + ROW / 2
        gap = len(nodes) < size and nodes[row] != row
        return MARGIN + COLUMN * column, top + ROW * (row + gap)

    def _edges(self, layer: int) -> list[Line]:
        weights = self.weights[layer]
        largest = max(largest_size(weights[np.ix_(js, ks)]) for weights, ks, js in self._drawn())
        lines = []
        for row_k, k in enumerate(self.nodes[layer]):
            for row_j, j in enumerate(self.nodes[layer + 1]):
                value = float(weights[j, k])
                x1, y1 = self._place(layer, row_k)
                x2, y2 = self._place(layer + 1, row_j)
                width = THINNEST + (THICKEST - THINNEST) * fraction_of(value, largest)
                title = f"{self._edge_name(layer, j, k)} = {value:.4g}"
                lines.append(Line(x1 + RADIUS, y1, x2 - RADIUS, y2, width, value >= 0, title))
        return lines

    def _drawn(self) -> list[tuple[NDArray[Any], list[int], list[int]]]:
        return list(zip(self.weights, self.nodes, self.nodes[1:], strict=False))

    def _edge_name(self, layer: int, j: int, k: int) -> str:
        n = Notation()
        weight = n.symbol("w", subscript(j, k), self._layer_name(layer + 1))
        return f"∂C/∂{weight}" if self.show == "gradients" else weight

    def _layer_name(self, column: int) -> str:
        return layer_name(column - 1, len(self.weights))

    def _column(self, column: int) -> list[Circle | Text]:
        nodes, size, values = self.nodes[column], self.sizes[column], self.values[column]
        x = MARGIN + COLUMN * column
        kind = "inputs" if column == 0 else str(self.network.layers[column - 1].activation)
        shapes: list[Circle | Text] = [
            Text(x, 20, f"layer {self._layer_name(column)}", 13, "middle"),
            Text(x, 38, f"{size} {kind}", 11, "middle"),
        ]
        shown = values if values is None else values[nodes]
        letter = "δ" if self.show in ("deltas", "gradients") else "a"
        for row, node in enumerate(nodes):
            x, y = self._place(column, row)
            name = Notation().symbol(letter, subscript(node), self._layer_name(column))
            if values is None or shown is None:
                shapes.append(Circle(x, y, 0.0, True, name))
                if self.values[-1] is None:  # amid values a node's number would be taken for one
                    shapes.append(Text(x, y, str(node + 1), 11, "middle"))
                continue
            value = float(values[node])
            fullness = FULLEST * fraction_of(value, largest_size(shown))
            shapes.append(Circle(x, y, fullness, not value < 0, f"{name} = {value:.4g}"))
            shapes.append(Text(x, y, short_number(value), 10, "middle"))
        if len(nodes) < size:
            split = len(nodes) - len(nodes) // 2
            y = (self._place(column, split - 1)[1] + self._place(column, split)[1]) / 2
            shapes.append(Text(x, y, f"⋮ {size - len(nodes)} more", 11, "middle"))
        return shapes

    def _arrows(self, nudges: NDArray[Any]) -> list[Arrow]:
        last = len(self.sizes) - 1
        largest = largest_size(nudges[self.nodes[last]])
        arrows = []
        for row, node in enumerate(self.nodes[last]):
            x, y = self._place(last, row)
            length = LONGEST_ARROW * fraction_of(float(nudges[node]), largest)
            length = max(length, 6.0) if nudges[node] else 0.0
            length = length if nudges[node] > 0 else -length
            if length:
                name = Notation().symbol("a", subscript(node), "L")
                title = f"-∂C₀/∂{name} = {float(nudges[node]):.4g}"
                arrows.append(Arrow(x + RADIUS + 14, y + length / 2, length, title))
        return arrows

    def _description(self) -> str:
        sizes = ", ".join(map(str, self.sizes[:-1])) + f" and {self.sizes[-1]}"
        edges = "the gradients of the weights" if self.show == "gradients" else "the weights"
        text = f"A network of {len(self.sizes)} layers with {sizes} nodes; edges show {edges}"
        if self.values[-1] is not None:
            words = "∂C/∂z" if self.show in ("deltas", "gradients") else "activation outputs"
            shown = ", ".join(short_number(float(self.values[-1][node])) for node in self.nodes[-1])
            text += f", nodes the {words}, at the outputs {shown}"
        if self.nudges is not None:
            ways = ("up" if self.nudges[node] > 0 else "down" for node in self.nodes[-1])
            text += f"; the outputs should go {', '.join(ways)}"
        return text + "."


def _average(values: NDArray[Any] | None) -> NDArray[Any]:
    """Over the samples, for display."""
    assert values is not None
    return values if values.ndim == 1 else np.mean(values, axis=0)
