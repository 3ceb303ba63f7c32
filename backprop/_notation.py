"""The notation of the lesson as text: w_jk, z, a, ∂, numbers in four digits, layers L, L-1, ….

Nodes count from 1 and layers are called L, L-1, … from the output layer back.
"""

from __future__ import annotations

from typing import Any

SUBSCRIPTS = str.maketrans("0123456789,ijk", "₀₁₂₃₄₅₆₇₈₉‚ᵢⱼₖ")


def layer_name(layer: int, layers: int) -> str:
    """L for the last of so many layers, L-1 for the one before; layer -1 is the input layer."""
    back = layers - 1 - layer
    return f"L-{back}" if back else "L"


def subscript(*nodes: int | str) -> str:
    """Nodes, from 0, as the lesson writes them, from 1: 12, or 1,12 where that could be misread."""
    names = [str(node + 1) if isinstance(node, int) else node for node in nodes]
    return ("" if all(len(name) == 1 for name in names) else ",").join(names)


class Notation:
    """Symbols as plain text; subclasses write them in their own way."""

    times = " · "
    more = "…"

    def symbol(self, letter: str, sub: str, layer: str | None = None) -> str:
        """A letter with node numbers and, in brackets, its layer."""
        return letter + sub.translate(SUBSCRIPTS) + (f"^({layer})" if layer else "")

    def partial(self, above: str, below: str) -> str:
        """∂above/∂below."""
        return f"∂{above}/∂{below}"

    def sum(self, index: str, count: int) -> str:
        """The sign of a sum over nodes 1 to count."""
        return f"Σ{index.translate(SUBSCRIPTS)} "

    def loss(self) -> str:
        """C of one sample."""
        return self.symbol("C", "0")

    def number(self, value: Any) -> str:
        """A number in four significant digits."""
        return f"{float(value) + 0.0:.4g}"  # without the sign of a zero

    def factor(self, value: Any) -> str:
        """A number as a factor: negative ones in brackets."""
        shown = self.number(value)
        return f"({shown})" if shown.startswith("-") else shown
