"""How an explanation prints, and what its text, LaTeX and HTML have in common: names, symbols, numbers.

Nodes count from 1 and layers are called L, L-1, … from the output layer back, as in the lesson.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backprop._notation import Notation, subscript
from backprop.explain import SOFTMAX

if TYPE_CHECKING:
    from backprop.explain import Chain, ChainEntry, Explanation, LayerExplanation, Node

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
    before: str  #: what dz_dw is: a_k, or 1 for a bias


def names(e: Explanation, notation: Notation) -> Names:
    """The symbols of an explanation."""
    run, n = e._run, notation
    here, below = run.layer_name(e.layer), run.layer_name(e.layer - 1)
    a, z = n.symbol("a", subscript(e.j), here), n.symbol("z", subscript(e.j), here)
    weight = (
        n.symbol("b", subscript(e.j), here)
        if e.k is None
        else n.symbol("w", subscript(e.j, e.k), here)
    )
    dC_da = n.partial(n.loss(), a)
    slope = LOSS_SLOPES.get(run.network.loss_name, "") if not e.chain else ""
    return Names(
        weight=weight,
        gradient=n.partial(n.loss(), weight),
        dC_da=dC_da,
        da_dz=n.partial(a, z),
        dz_dw=n.partial(z, weight),
        dC_dz=n.partial(n.loss(), z),
        slope=slope.format(a=a, y=n.symbol("y", subscript(e.j)), outputs=len(run.weights[-1][0])) or dC_da,
        before="1" if e.k is None else n.symbol("a", subscript(e.k), below),
    )


def opened(node: Node, notation: Notation) -> str:
    """Σ_i ∂C_0/∂a_i · ∂a_i/∂z_i · w_ij of the layer after: what a node's dC_da is made of."""
    n, run = notation, node._run
    after = run.layer_name(node.layer + 1)
    a, z = n.symbol("a", "i", after), n.symbol("z", "i", after)
    w = n.symbol("w", subscript("i", node.j), after)
    if run.activations[node.layer + 1] == SOFTMAX:
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
    dC_da, da_dz = node._run.trace[node.layer].dC_da, node.da_dz
    assert dC_da is not None
    chosen = sorted(i for i in largest(products, SHOWN_SUMMANDS) if products[i])
    shown = [n.factor(dC_da[i]) + n.times + n.factor(da_dz[i]) for i in chosen]
    if len(chosen) < np.count_nonzero(products):
        shown.append(n.more)
    return " + ".join(shown) or "0"


def where(e: Explanation) -> str:
    """Which weight or bias it is, in words."""
    node = f"node {e.j + 1} of layer {e._run.layer_name(e.layer)}"
    if e.k is None:
        return f"the bias of {node}"
    inputs = " (the inputs)" if e.layer == 0 else ""
    return (
        f"the weight from node {e.k + 1} of layer {e._run.layer_name(e.layer - 1)}{inputs} to {node}"
    )


def not_finite(e: Explanation) -> bool:
    """Whether the terms are not all finite, so that they do not multiply to the product."""
    return not all(np.isfinite(term).all() for term in (e.dC_da, e.da_dz, e.dz_dw))


def text(e: Explanation) -> str:
    """An explanation as plain text."""
    n = Notation()
    s = names(e, n)
    lines = [f"{s.weight} = {n.number(e.value)}, {where(e)}", "", *_formula(e, s)]
    one = e
    if not e._run.single:
        lines += ["", *_table(e, s), ""]
        gradient = s.gradient.replace("C₀", "C")
        lines.append(f"{gradient} = {n.number(e.mean.product)}, the mean of the products")
        one = e.sample(0)
        if one.chain or one.row is not None:
            lines += ["", f"For sample 0 of {len(e._run.x)}; e.sample(n) opens another:"]
    if one.row is not None:
        lines += ["", f"{s.dC_dz} = {row_sum(one, n)}"]
        lines.append(f"  = {row_put_in(one, n)} = {n.number(one.dC_dz)}")
    if one.chain:
        lines += ["", *_chain_lines(one, n, 0)]
    if not_finite(e):
        lines += ["", f"The terms are not all finite; the product is {s.dC_dz}{n.times}{s.dz_dw}."]
    return "\n".join(lines)


def row_sum(node: Node, n: Notation) -> str:
    """Softmax's Σ_i ∂C_0/∂a_i · ∂a_i/∂z_j."""
    here = node._run.layer_name(node.layer)
    a, z = n.symbol("a", "i", here), n.symbol("z", subscript(node.j), here)
    nodes = len(node._run.weights[node.layer][0])
    return n.sum("i", nodes) + n.partial(n.loss(), a) + n.times + n.partial(a, z)


def _formula(e: Explanation, s: Names) -> list[str]:
    n = Notation()
    indent = " " * len(s.gradient)
    if e.activation == SOFTMAX:
        lines = [
            f"{s.gradient} = ({row_sum(e, n)}){n.times}{s.dz_dw}",
            f"{indent} = {s.dC_dz}{n.times}{s.before}      softmax: each a depends on every z of its layer",
        ]
        numbers = [e.dC_dz, e.dz_dw]
    else:
        g = n.symbol("z", subscript(e.j), e._run.layer_name(e.layer))
        lines = [
            f"{s.gradient} = {n.times.join((s.dC_da, s.da_dz, s.dz_dw))}",
            f"{indent} = {s.slope}{n.times}g'({g}){n.times}{s.before}      g = {e.activation}",
        ]
        numbers = [e.dC_da, e.da_dz, e.dz_dw]
    if e._run.single:
        lines.append(f"{indent} = {n.times.join(map(n.factor, numbers))}")
        lines.append(f"{indent} = {n.number(e.product)}")
    return lines


def columns(e: Explanation, s: Names) -> list[tuple[str, Any, Any]]:
    """The columns of the table of samples: a head, (n,) numbers, and their mean."""
    mean = e.mean
    last = [(s.dz_dw, e.dz_dw, mean.dz_dw), (s.gradient, e.product, mean.product)]
    if e.activation == SOFTMAX:
        return [(s.dC_dz, e.dC_dz, np.mean(e.dC_dz)), *last]
    return [(s.dC_da, e.dC_da, mean.dC_da), (s.da_dz, e.da_dz, mean.da_dz), *last]


def _table(e: Explanation, s: Names) -> list[str]:
    n = Notation()
    parts = columns(e, s)
    samples = len(e._run.x)
    rows = [["sample", *(head for head, _, _ in parts)]]
    for i in range(min(samples, SHOWN_SAMPLES)):
        rows.append([str(i), *(n.number(numbers[i]) for _, numbers, _ in parts)])
    if samples > SHOWN_SAMPLES:
        rows.append(["…"] * (1 + len(parts)))
    rows.append(["mean", *(n.number(mean) for _, _, mean in parts)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["   ".join(map(str.rjust, row, widths)) for row in rows]


def _chain_lines(node: Node, n: Notation, depth: int) -> list[str]:
    """A node's dC_da opened, and that of the entries shown, indented by their depth."""
    chain: Chain = node.chain  # type: ignore[assignment]
    indent = "    " * depth
    after = node._run.layer_name(node.layer + 1)
    a = n.symbol("a", subscript(node.j), node._run.layer_name(node.layer))
    lines = [
        f"{indent}{n.partial(n.loss(), a)} = {opened(node, n)} = {n.number(node.dC_da)}",
    ]
    products = chain.products
    shown = largest(products, SHOWN_ENTRIES[depth])
    for j in shown:
        entry = chain[j]
        line = f"{indent}  i = {j + 1} of layer {after}: {put_in(entry, n)} = {n.number(entry.product)}"
        lines.append(line)
        if entry.chain and depth + 1 < len(SHOWN_ENTRIES):
            lines += _chain_lines(entry, n, depth + 1)
    if len(shown) < len(chain):
        rest = n.number(rest_of(products, shown))
        lines.append(f"{indent}  {len(chain) - len(shown)} more, smaller: together {rest}")
    return lines


def layer_text(e: LayerExplanation) -> str:
    """All weights of a layer, as plain text: the largest of ∂C/∂w_jk."""
    n = Notation()
    here = e._run.layer_name(e.layer)
    mean = e.mean
    letter, indices = ("b", "j") if e.bias else ("w", "jk")
    general = n.symbol(letter, indices, here)
    lines = [f"∂C/∂{general}, {' × '.join(map(str, mean.shape))}: the largest"]
    for place in largest(mean.ravel(), SHOWN_SAMPLES):
        index = [int(i) for i in np.unravel_index(place, mean.shape)]
        symbol = n.symbol(letter, subscript(*index), here)
        lines.append(f"  ∂C/∂{symbol} = {n.number(mean[tuple(index)])}")
    lines.append("e[j] explains one of them." if e.bias else "e[j, k] explains one of them.")
    return "\n".join(lines)
