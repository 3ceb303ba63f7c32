"""`Network.draw`: the network as a picture, without dependencies; as PNG through Matplotlib.

Blue is positive, orange negative and dashed, colours that colour-blind readers tell apart (after Okabe and
Ito 2008, Color Universal Design); the thicker an edge and the fuller a node, the larger its number. At the
outputs an arrow shows -∂C_0/∂a, up or down, as long as it is strong. The picture has its own ground, light or
dark as the reader's system asks.
"""

from __future__ import annotations

import os
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backprop._notation import Notation, layer_name, subscript
from backprop._validate import as_array, name_among, whole_number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop._base import BaseNetwork

SHOWS = ("weights", "activations", "deltas", "gradients")

POSITIVE, NEGATIVE = "#0072b2", "#d55e00"
INK, LINE, GROUND = "#1a1a1a", "#767676", "#ffffff"
STYLE = (
    ".bp-ink{fill:#1a1a1a}.bp-line{stroke:#767676}.bp-ground{fill:#ffffff}"
    "@media(prefers-color-scheme:dark){.bp-ink{fill:#f2f2f2}.bp-line{stroke:#a0a0a0}.bp-ground{fill:#16191d}"
    ".bp-up{stroke:#56b4e9}.bp-down{stroke:#f08a3c}}"
)

COLUMN, ROW, RADIUS, MARGIN, TOP = 150.0, 44.0, 17.0, 40.0, 64.0
FULLEST = 0.55  # of a node's colour, so that its number stays legible
THINNEST, THICKEST = 0.4, 5.0
LONGEST_ARROW = 18.0


class Line(NamedTuple):
    """An edge, with the number it stands for."""

    x1: float
    y1: float
    x2: float
    y2: float
    width: float
    positive: bool
    title: str


class Circle(NamedTuple):
    """A node."""

    x: float
    y: float
    fullness: float
    positive: bool
    title: str


class Text(NamedTuple):
    """Words; `anchor` is start, middle or end."""

    x: float
    y: float
    text: str
    size: float
    anchor: str


class Arrow(NamedTuple):
    """From (x, y) up or down by `length`; positive lengths point up."""

    x: float
    y: float
    length: float
    title: str


class Drawing:
    """A picture of a network: shows itself in a notebook, and saves itself as SVG or PNG."""

    def __init__(
        self, shapes: list[Line | Circle | Text | Arrow], width: float, height: float, description: str
    ) -> None:
        self._shapes = shapes
        self.width, self.height = width, height
        self.description = description  #: in words, for those who can't see it

    @property
    def svg(self) -> str:
        """The picture as an SVG document."""
        box = f"0 0 {self.width:g} {self.height:g}"
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{self.width:g}" '
            f'height="{self.height:g}" role="img" aria-label="{escape(self.description)}" '
            f'font-family="system-ui, sans-serif"><title>{escape(self.description)}</title>'
            f"<style>{STYLE}</style>"
            f'<rect class="bp-ground" width="{self.width:g}" height="{self.height:g}" fill="{GROUND}"/>'
        )
        return head + "".join(map(_svg, self._shapes)) + "</svg>"

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Drawing: {self.description}>"

    def save(self, path: str | os.PathLike[str], *, dpi: float = 200) -> None:
        """Writes the picture to a file; its ending, .svg or .png, says in which format.

        Parameters
        ----------
        path : str or path
        dpi : float
            Dots per inch of a PNG, an inch being 100 of the picture's units.

        Raises
        ------
        ImportError
            If a PNG is asked for and Matplotlib is missing.
        ValueError
            If the ending is another.
        OSError
            If the file cannot be written.
        """
        path = os.fspath(path)
        ending = os.path.splitext(path)[1].lower()
        if ending == ".svg":
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.svg)
        elif ending == ".png":
            from backprop.draw_png import save_png

            save_png(self, path, dpi)
        else:
            raise ValueError(f"a drawing is saved as .svg or .png, got the path {path!r}")


def _svg(shape: Line | Circle | Text | Arrow) -> str:
    if isinstance(shape, Line):
        kind, colour = ("up", POSITIVE) if shape.positive else ("down", NEGATIVE)
        dash = "" if shape.positive else ' stroke-dasharray="6 3"'
        ends = f'x1="{shape.x1:g}" y1="{shape.y1:g}" x2="{shape.x2:g}" y2="{shape.y2:g}"'
        return (
            f'<line class="bp-{kind}" {ends} stroke="{colour}" stroke-width="{shape.width:.2f}"{dash} '
            f'stroke-opacity="0.8">'
            f"<title>{escape(shape.title)}</title></line>"
        )
    if isinstance(shape, Circle):
        place = f'cx="{shape.x:g}" cy="{shape.y:g}" r="{RADIUS:g}"'
        colour = POSITIVE if shape.positive else NEGATIVE
        return (
            f'<circle class="bp-ground" {place} fill="{GROUND}"/>'
            f'<circle class="bp-line" {place} fill="{colour}" fill-opacity="{shape.fullness:.2f}" '
            f'stroke="{LINE}"><title>{escape(shape.title)}</title></circle>'
        )
    if isinstance(shape, Text):
        return (
            f'<text class="bp-ink" x="{shape.x:g}" y="{shape.y:g}" font-size="{shape.size:g}" '
            f'text-anchor="{shape.anchor}" dominant-baseline="central" fill="{INK}">'
            f"{escape(shape.text)}</text>"
        )
    kind, colour = ("up", POSITIVE) if shape.length > 0 else ("down", NEGATIVE)
    tip, barb = shape.y - shape.length, 5.0 if shape.length > 0 else -5.0
    x = shape.x
    return (
        f'<path class="bp-{kind}" d="M{x:g} {shape.y:g}V{tip:.2f}m-4 {barb:g}l4 {-barb:g}l4 {barb:g}" '
        f'fill="none" stroke="{colour}" stroke-width="2.5"><title>{escape(shape.title)}</title></path>'
    )


def shown_nodes(count: int, most: int) -> list[int]:
    """The nodes of a layer that are drawn: all, or the first and the last ones."""
    if count <= most:
        return list(range(count))
    return [*range(most - most // 2), *range(count - most // 2, count)]


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
        shapes: list[Line | Circle | Text | Arrow] = []
        for layer in range(len(self.weights)):
            shapes += self._edges(layer)
        for column in range(len(self.sizes)):
            shapes += self._column(column)
        if self.nudges is not None:
            shapes += self._arrows(self.nudges)
        return Drawing(shapes, self.width, self.height, self._description())

    def _place(self, column: int, row: int) -> tuple[float, float]:
        """Of the row-th node that is drawn; the gap where others are left out takes one row."""
        nodes, size = self.nodes[column], self.sizes[column]
        rows = len(nodes) + (len(nodes) < size)
        top = TOP + (self.height - TOP - MARGIN / 2 - ROW * rows) / 2 + ROW / 2
        gap = len(nodes) < size and nodes[row] != row
        return MARGIN + COLUMN * column, top + ROW * (row + gap)

    def _edges(self, layer: int) -> list[Line]:
        weights = self.weights[layer]
        largest = max(_largest(weights[np.ix_(js, ks)]) for weights, ks, js in self._drawn())
        lines = []
        for row_k, k in enumerate(self.nodes[layer]):
            for row_j, j in enumerate(self.nodes[layer + 1]):
                value = float(weights[j, k])
                x1, y1 = self._place(layer, row_k)
                x2, y2 = self._place(layer + 1, row_j)
                width = THINNEST + (THICKEST - THINNEST) * _share(value, largest)
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
                shapes += [Circle(x, y, 0.0, True, name), Text(x, y, str(node + 1), 11, "middle")]
                continue
            value = float(values[node])
            fullness = FULLEST * _share(value, _largest(shown))
            shapes.append(Circle(x, y, fullness, not value < 0, f"{name} = {value:.4g}"))
            shapes.append(Text(x, y, _short(value), 10, "middle"))
        if len(nodes) < size:
            split = len(nodes) - len(nodes) // 2
            y = (self._place(column, split - 1)[1] + self._place(column, split)[1]) / 2
            shapes.append(Text(x, y, f"⋮ {size - len(nodes)} more", 11, "middle"))
        return shapes

    def _arrows(self, nudges: NDArray[Any]) -> list[Arrow]:
        last = len(self.sizes) - 1
        largest = _largest(nudges[self.nodes[last]])
        arrows = []
        for row, node in enumerate(self.nodes[last]):
            x, y = self._place(last, row)
            length = LONGEST_ARROW * _share(float(nudges[node]), largest)
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
            shown = ", ".join(_short(float(self.values[-1][node])) for node in self.nodes[-1])
            text += f", nodes the {words}, at the outputs {shown}"
        if self.nudges is not None:
            ways = ("up" if self.nudges[node] > 0 else "down" for node in self.nodes[-1])
            text += f"; the outputs should go {', '.join(ways)}"
        return text + "."


def _average(values: NDArray[Any] | None) -> NDArray[Any]:
    """Over the samples, for display."""
    assert values is not None
    return values if values.ndim == 1 else np.mean(values, axis=0)


def _largest(values: NDArray[Any]) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max(initial=0))


def _share(value: float, largest: float) -> float:
    if not np.isfinite(value):
        return 1.0
    return abs(value) / largest if largest else 0.0


def _short(value: float) -> str:
    """A number that fits into a node."""
    if value == 0 or 0.01 <= abs(value) < 100:
        return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e") if np.isfinite(value) else str(value)
