"""An explanation as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backprop._notation import Notation, subscript
from backprop._table import table
from backprop.explain.terms import SOFTMAX
from backprop.explain.wording import (
    SHOWN_ENTRIES,
    SHOWN_SAMPLES,
    Names,
    columns,
    largest,
    names,
    not_finite,
    opened,
    put_in,
    rest_of,
    row_put_in,
    row_sum,
    where,
)

if TYPE_CHECKING:
    from backprop.explain.terms import Chain, LayerTerms, Node, WeightTerms


def text(e: WeightTerms) -> str:
    """The terms of one weight, with the chain that a hidden layer's first term opens into."""
    n = Notation()
    s = names(e, n)
    lines = [f"{s.weight} = {n.number(e.value)}, {where(e)}", "", *_formula(e, s)]
    one = e
    if not e.snapshot.single:
        lines += ["", *_table(e, s), ""]
        gradient = s.gradient.replace("C₀", "C")
        lines.append(f"{gradient} = {n.number(e.mean.product)}, the mean of the products")
        one = e.sample(0)
        if one.chain or one.row is not None:
            lines += ["", f"For sample 0 of {len(e.snapshot.x)}; e.sample(n) opens another:"]
    if one.row is not None:
        lines += ["", f"{s.dC_dz} = {row_sum(one, n)}"]
        lines.append(f"  = {row_put_in(one, n)} = {n.number(one.dC_dz)}")
    if one.chain:
        lines += ["", *_chain_lines(one, n, 0)]
    if not_finite(e):
        lines += ["", f"The terms are not all finite; the product is {s.dC_dz}{n.times}{s.dz_dw}."]
    return "\n".join(lines)


def _formula(e: WeightTerms, s: Names) -> list[str]:
    n = Notation()
    indent = " " * len(s.gradient)
    if e.activation == SOFTMAX:
        lines = [
            f"{s.gradient} = ({row_sum(e, n)}){n.times}{s.dz_dw}",
            f"{indent} = {s.dC_dz}{n.times}{s.before}      softmax: each a depends on every z of its layer",
        ]
        numbers = [e.dC_dz, e.dz_dw]
    else:
        g = n.symbol("z", subscript(e.j), e.snapshot.layer_name(e.layer))
        lines = [
            f"{s.gradient} = {n.times.join((s.dC_da, s.da_dz, s.dz_dw))}",
            f"{indent} = {s.slope}{n.times}g'({g}){n.times}{s.before}      g = {e.activation}",
        ]
        numbers = [e.dC_da, e.da_dz, e.dz_dw]
    if e.snapshot.single:
        lines.append(f"{indent} = {n.times.join(map(n.factor, numbers))}")
        lines.append(f"{indent} = {n.number(e.product)}")
    return lines


def _table(e: WeightTerms, s: Names) -> list[str]:
    n = Notation()
    parts = columns(e, s)
    samples = len(e.snapshot.x)
    rows = [["sample", *(head for head, _, _ in parts)]]
    for i in range(min(samples, SHOWN_SAMPLES)):
        rows.append([str(i), *(n.number(numbers[i]) for _, numbers, _ in parts)])
    if samples > SHOWN_SAMPLES:
        rows.append(["…"] * (1 + len(parts)))
    rows.append(["mean", *(n.number(mean) for _, _, mean in parts)])
    return table(rows)


def _chain_lines(node: Node, n: Notation, depth: int) -> list[str]:
    """A node's dC_da opened, and that of the entries shown, indented by their depth."""
    chain: Chain = node.chain  # type: ignore[assignment]
    indent = "    " * depth
    after = node.snapshot.layer_name(node.layer + 1)
    a = n.symbol("a", subscript(node.j), node.snapshot.layer_name(node.layer))
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


def layer_text(e: LayerTerms) -> str:
    """All weights of a layer, as plain text: the largest of ∂C/∂w_jk."""
    n = Notation()
    here = e.snapshot.layer_name(e.layer)
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
