"""`Network.explain`: the terms of the chain rule, which show and check themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backprop._validate import index_below
from backprop.explain.terms import LayerTerms, Snapshot, WeightTerms

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from backprop._base import BaseNetwork
    from backprop.explain.check import ExplanationCheck


class Explanation(WeightTerms):
    """What `Network.explain` returns for one weight or bias.

    ``print`` shows the chain rule with the numbers put in, a notebook the same to open level by level;
    `latex` gives it in the lesson's notation, nodes counted from 1 and layers as L, L-1, ….
    """

    def check(self) -> ExplanationCheck:
        """Compares the product of every sample with a central difference of its C_0, taken in float64."""
        from backprop.explain.check import check_explanation

        return check_explanation(self)

    def latex(self) -> str:
        """The chain rule with the numbers put in, as LaTeX without dollars around it."""
        from backprop.explain.latex import latex

        return latex(self)

    def __str__(self) -> str:
        from backprop.explain.text import text

        return text(self)

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def _repr_html_(self) -> str:
        from backprop.explain.html import html

        return html(self)


class LayerExplanation(LayerTerms):
    """What `Network.explain` returns for all weights, or all biases, of a layer.

    ``e[j, k]``, or ``e[j]`` for a bias, is the `Explanation` of one.
    """

    def __getitem__(self, index: int | tuple[int, int]) -> Explanation:
        nodes = index if isinstance(index, tuple) else (index,)
        if len(nodes) != (1 if self.bias else 2):
            raise ValueError(f"expected {'e[j]' if self.bias else 'e[j, k]'}, got the index {index}")
        return _one(self.snapshot, self.layer, *nodes)

    def __str__(self) -> str:
        from backprop.explain.text import layer_text

        return layer_text(self)

    __repr__ = __str__


def explain(
    network: BaseNetwork, x: ArrayLike, y: ArrayLike, layer: int, j: int | None, k: int | None, bias: bool
) -> Explanation | LayerExplanation:
    """`Network.explain`, which documents it."""
    layer = index_below("layer", layer, len(network.layers), "layers")
    if bias and k is not None:
        raise ValueError(f"a bias has no k, the node of the layer before; got k={k}")
    if bias and network.layers[layer].bias is None:
        raise ValueError(f"layers[{layer}], {network.layers[layer]!r}, has no bias")
    if not bias and (j is None) != (k is None):
        raise ValueError(f"give j and k for one weight, or neither for all of the layer; got j={j}, k={k}")
    if j is not None:
        _check_nodes(network, layer, j, k)
    snapshot = Snapshot(network, x, y)
    return LayerExplanation(snapshot, layer, bias) if j is None else _one(snapshot, layer, j, k)


def _check_nodes(network: BaseNetwork, layer: int, j: int, k: int | None) -> tuple[int, int | None]:
    shape = network.layers[layer]
    j = index_below("j", j, shape.outputs, f"outputs of layers[{layer}]")
    return j, k if k is None else index_below("k", k, shape.inputs, f"inputs of layers[{layer}]")


def _one(snapshot: Snapshot, layer: int, j: int, k: int | None = None) -> Explanation:
    return Explanation(snapshot, layer, *_check_nodes(snapshot.network, layer, j, k))
