"""An explanation as HTML: the chain rule with the numbers put in, each further level opened by a click.

Plain elements (``table``, ``details``) and no colours of its own: it takes those of the notebook, light or
dark, and a keyboard opens it.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from backprop._notation import Notation, subscript
from backprop.explain.wording import (
    SHOWN_ENTRIES,
    SHOWN_SAMPLES,
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
    from backprop.explain.terms import Chain, Node, WeightTerms

WIDER = 2  # a click away there is room for more entries than in a text


class Html(Notation):
    """Symbols as HTML."""

    more = "⋯"

    def symbol(self, letter: str, sub: str, layer: str | None = None) -> str:
        above = f"<sup>({layer.replace('-', '−')})</sup>" if layer else ""  # a hyphen might end a line
        return f"<i>{letter}</i><sub>{sub}</sub>{above}"

    def partial(self, above: str, below: str) -> str:
        joiner = "\u2060"  # no line ends here; a style would do it too, but the page of play allows none
        return f"∂{above}{joiner}/{joiner}∂{below}"

    def sum(self, index: str, count: int) -> str:
        return f"Σ<sub>{index}</sub> "

    def number(self, value: object) -> str:
        return super().number(value).replace("-", "−")

    def factor(self, value: object) -> str:
        shown = self.number(value)
        return f"({shown})" if shown.startswith("−") else shown


def html(e: WeightTerms) -> str:
    """An explanation as HTML."""
    n = Html()
    s = names(e, n)
    parts = [f"<p>{s.weight} = {n.number(e.value)}, {escape(where(e))}</p>", f"<p>{_formula(e, n)}</p>"]
    one = e
    if not e.snapshot.single:
        parts += [_table(e, n)]
        one = e.sample(0)
        if one.chain or one.row is not None:
            samples = len(e.snapshot.x)
            parts.append(f"<p>For sample 0 of {samples}; <code>e.sample(n)</code> opens another:</p>")
    if one.row is not None:
        parts.append(f"<p>{s.dC_dz} = {row_sum(one, n)} = {row_put_in(one, n)} = {n.number(one.dC_dz)}</p>")
    if one.chain:
        parts.append(_chain(one, n, 0))
    if not_finite(e):
        parts.append(f"<p>The terms are not all finite; the product is {s.dC_dz}{n.times}{s.dz_dw}.</p>")
    return '<div class="backprop-explanation">' + "".join(parts) + "</div>"


def _formula(e: WeightTerms, n: Html) -> str:
    s = names(e, n)
    if e.row is None:
        symbols, numbers = [s.dC_da, s.da_dz, s.dz_dw], [e.dC_da, e.da_dz, e.dz_dw]
    else:
        symbols, numbers = [f"({row_sum(e, n)})", s.dz_dw], [e.dC_dz, e.dz_dw]
    formula = f"{s.gradient} = {n.times.join(symbols)}"
    if e.row is None:
        z = n.symbol("z", subscript(e.j), e.snapshot.layer_name(e.layer))
        slope = s.slope.replace(" - ", " − ").replace("(-", "(−")
        formula += f" = {slope}{n.times}<i>g</i>′({z}){n.times}{s.before}"
    if e.snapshot.single:
        formula += f" = {n.times.join(map(n.factor, numbers))} = <b>{n.number(e.product)}</b>"
    return formula + ("" if e.row is not None else f", where <i>g</i> is {escape(e.activation)}")


def _table(e: WeightTerms, n: Html) -> str:
    parts = columns(e, names(e, n))
    samples = len(e.snapshot.x)
    rows = [
        (str(i), [n.number(numbers[i]) for _, numbers, _ in parts])
        for i in range(min(samples, SHOWN_SAMPLES))
    ]
    if samples > SHOWN_SAMPLES:
        rows.append(("⋯", ["⋯"] * len(parts)))
    rows.append(("mean", [n.number(mean) for _, _, mean in parts]))
    head = "".join(f'<th scope="col">{name}</th>' for name in ("sample", *(name for name, _, _ in parts)))
    body = "".join(
        f'<tr><th scope="row">{name}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        for name, cells in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _chain(node: Node, n: Html, depth: int) -> str:
    """A node's dC_da, to be opened into its entries, and theirs in turn."""
    chain: Chain = node.chain  # type: ignore[assignment]
    after = node.snapshot.layer_name(node.layer + 1)
    a = n.symbol("a", subscript(node.j), node.snapshot.layer_name(node.layer))
    products = chain.products
    shown = largest(products, SHOWN_ENTRIES[depth] + (WIDER if depth == 0 else 0))
    items = []
    for j in shown:
        entry = chain[j]
        line = f"node {j + 1} of layer {after}: {put_in(entry, n)} = {n.number(entry.product)}"
        if entry.chain and depth + 1 < len(SHOWN_ENTRIES):
            line += _chain(entry, n, depth + 1)
        items.append(f"<li>{line}</li>")
    if len(shown) < len(chain):
        rest = n.number(rest_of(products, shown))
        items.append(f"<li>{len(chain) - len(shown)} more, smaller: together {rest}</li>")
    summary = f"{n.partial(n.loss(), a)} = {opened(node, n)} = {n.number(node.dC_da)}"
    return f"<details><summary>{summary}</summary><ul>{''.join(items)}</ul></details>"
