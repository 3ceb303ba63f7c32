"""What text, LaTeX and HTML of an explanation have in common: its symbols, and what of it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backprop._notation import Notation, subscript
from backprop.explain.terms import SOFTMAX

if TYPE_CHECKING:
    from backprop.explain.terms import ChainEntry, Node, WeightTerms

SHOWN_SAMPLES = 8
# How many entries of a chain are shown at each level, so that wide and deep networks stay readable: the
# largest products come first. Deeper levels are not shown; ``e.chain[j].chain`` has them.
SHOWN_ENTRIES = (6, 3, 2, 1)
SHOWN_SUMMANDS = 4

LOSS_SLOPES = {
    "squared_error": "2({a} - {y})",
    "mean_squared_error": "2({a} - {y})/{outputs}",
    "binary_cross_entropy": "((1 - {y})/(1 - {a}) - {y}/{a})",
    "cross_entropy": "(-{y}/{a})",
}

class Names(NamedTuple):
    """The symbols of one explanation."""

    weight: str  #: w_jk or b_j
    gradient: str  #: ∂C_0/∂w_jk
    dC_da: str
    da_dz: str
    dz_dw: str
    dC_dz: str
    slope: str  #: what dC_da is at the output layer, such as 2(a - y); else dC_da
    before: str  #: what dz_dw is: a_k, or 1 for a bias, or 0 for a masked weight


def names(e: WeightTerms, notation: Notation) -> Names:
    """The symbols of an explanation."""
    snapshot, n = e.snapshot, notation
    here, below = snapshot.layer_name(e.layer), snapshot.layer_name(e.layer - 1)
    a, z = n.symbol("a", subscript(e.j), here), n.symbol("z", subscript(e.j), here)
    weight = (
        n.symbol("b", subscript(e.j), here)
        if e.k is None
        else n.symbol("w", subscript(e.j, e.k), here)
    )
    dC_da = n.partial(n.loss(), a)
    slope = LOSS_SLOPES.get(snapshot.network.loss_name, "") if not e.chain else ""
    outputs = len(snapshot.weights[-1][0])
    return Names(
        weight=weight,
        gradient=n.partial(n.loss(), weight),
        dC_da=dC_da,
        da_dz=n.partial(a, z),
        dz_dw=n.partial(z, weight),
        dC_dz=n.partial(n.loss(), z),
        slope=slope.format(a=a, y=n.symbol("y", subscript(e.j)), outputs=outputs) or dC_da,
        before="1" if e.k is None else "0" if e.masked else n.symbol("a", subscript(e.k), below),
    )


def opened(node: Node, notation: Notation) -> str:
    """Σ_i ∂C_0/∂a_i · ∂a_i/∂z_i · w_ij of the layer after: what a node's dC_da is made of."""
    n, snapshot = notation, node.snapshot
    after = snapshot.layer_name(node.layer + 1)
    a, z = n.symbol("a", "i", after), n.symbol("z", "i", after)
    w = n.symbol("w", subscript("i", node.j), after)
    if snapshot.activations[node.layer + 1] == SOFTMAX:
        terms = [n.partial(n.loss(), z), w]
    else:
        terms = [n.partial(n.loss(), a), n.partial(a, z), w]
    return n.sum("i", len(node.chain)) + n.times.join(terms)


def put_in(entry: ChainEntry, notation: Notation) -> str:
    """The factors of a chain's entry, ∂C_0/∂a_i · ∂a_i/∂z_i · w_ij; before softmax ∂C_0/∂z_i · w_ij."""
    first = [entry.dC_da, entry.da_dz] if entry.row is None else [entry.dC_dz]
    return notation.times.join(map(notation.factor, [*first, entry.w_jk]))


def largest(products: Any, count: int) -> list[int]:
    """Where the largest numbers lie, in the order of their size; NaN first."""
    size = np.where(np.isnan(products), np.inf, np.abs(products))
    if count < size.size:
        chosen = np.argpartition(-size, count)[:count]
        chosen = chosen[np.argsort(-size[chosen], kind="stable")]
    else:
        chosen = np.argsort(-size, kind="stable")
    return [int(i) for i in chosen]


def rest_of(products: Any, shown: list[int]) -> float:
    """What the numbers that are not shown come to."""
    with np.errstate(invalid="ignore"):
        return float(np.delete(products, shown).sum(dtype=np.float64))


def row_put_in(node: Node, notation: Notation) -> str:
    """Softmax's Σ_i ∂C_0/∂a_i · ∂a_i/∂z_j of one sample, its largest summands put in."""
    n, products = notation, node.row
    dC_da, da_dz = node.snapshot.trace[node.layer].dC_da, node.da_dz
    assert dC_da is not None
    chosen = sorted(i for i in largest(products, SHOWN_SUMMANDS) if products[i])
    shown = [n.factor(dC_da[i]) + n.times + n.factor(da_dz[i]) for i in chosen]
    if len(chosen) < np.count_nonzero(products):
        shown.append(n.more)
    return " + ".join(shown) or "0"


def where(e: WeightTerms) -> str:
    """Which weight or bias it is, in words."""
    node = f"node {e.j + 1} of layer {e.snapshot.layer_name(e.layer)}"
    if e.k is None:
        return f"the bias of {node}"
    inputs = " (the inputs)" if e.layer == 0 else ""
    masked = ", which is masked" if e.masked else ""
    below = e.snapshot.layer_name(e.layer - 1)
    return f"the weight from node {e.k + 1} of layer {below}{inputs} to {node}{masked}"


def not_finite(e: WeightTerms) -> bool:
    """Whether the terms are not all finite, so that they do not multiply to the product."""
    return not all(np.isfinite(term).all() for term in (e.dC_da, e.da_dz, e.dz_dw))


def row_sum(node: Node, n: Notation) -> str:
    """Softmax's Σ_i ∂C_0/∂a_i · ∂a_i/∂z_j."""
    here = node.snapshot.layer_name(node.layer)
    a, z = n.symbol("a", "i", here), n.symbol("z", subscript(node.j), here)
    nodes = len(node.snapshot.weights[node.layer][0])
    return n.sum("i", nodes) + n.partial(n.loss(), a) + n.times + n.partial(a, z)


def columns(e: WeightTerms, s: Names) -> list[tuple[str, Any, Any]]:
    """The columns of the table of samples: a head, (n,) numbers, and their mean."""
    mean = e.mean
    last = [(s.dz_dw, e.dz_dw, mean.dz_dw), (s.gradient, e.product, mean.product)]
    if e.activation == SOFTMAX:
        return [(s.dC_dz, e.dC_dz, np.mean(e.dC_dz)), *last]
    return [(s.dC_da, e.dC_da, mean.dC_da), (s.da_dz, e.da_dz, mean.da_dz), *last]
