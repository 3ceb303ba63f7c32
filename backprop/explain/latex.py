"""An explanation as LaTeX, in the lesson's notation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._notation import Notation, subscript
from backprop.explain.wording import (
    SHOWN_SUMMANDS,
    largest,
    names,
    opened,
    put_in,
    row_put_in,
    row_sum,
)

if TYPE_CHECKING:
    from backprop.explain.terms import Chain, WeightTerms


class Latex(Notation):
    """Symbols as LaTeX."""

    times = r" \cdot "
    more = r"\cdots"

    def symbol(self, letter: str, sub: str, layer: str | None = None) -> str:
        return f"{letter}_{{{sub}}}" + (f"^{{({layer})}}" if layer else "")

    def partial(self, above: str, below: str) -> str:
        return rf"\frac{{\partial {above}}}{{\partial {below}}}"

    def sum(self, index: str, count: int) -> str:
        return rf"\sum_{{{index}=1}}^{{{count}}} "

    def loss(self) -> str:
        return "C_0"

    def number(self, value: Any) -> str:
        value = float(value) + 0.0
        if not np.isfinite(value):
            return r"\mathrm{NaN}" if np.isnan(value) else (r"\infty" if value > 0 else r"-\infty")
        digits, _, exponent = f"{value:.4g}".partition("e")
        return rf"{digits} \times 10^{{{int(exponent)}}}" if exponent else digits


def latex(e: WeightTerms) -> str:
    """The chain rule with the numbers put in, an ``aligned`` block without dollars around it."""
    n = Latex()
    s = names(e, n)
    one = e if e.snapshot.single else e.sample(0)
    if e.row is not None:
        lines = [rf"{s.gradient} &= \left({row_sum(e, n)}\right){n.times}{s.dz_dw}"]
        factors = [rf"\left({row_put_in(one, n)}\right)", n.factor(one.dz_dw)]
    else:
        lines = [f"{s.gradient} &= {n.times.join((s.dC_da, s.da_dz, s.dz_dw))}"]
        g = n.symbol("z", subscript(e.j), e.snapshot.layer_name(e.layer))
        lines.append(rf"&= {s.slope}{n.times}g'\!\left({g}\right){n.times}{s.before}")
        factors = [n.factor(term) for term in (one.dC_da, one.da_dz, one.dz_dw)]
    lines.append(f"&= {n.times.join(factors)} = {n.number(one.product)}")
    if not e.snapshot.single:
        samples = len(e.snapshot.x)
        average = s.gradient.replace("C_0", "C", 1)
        each = s.gradient.replace("C_0", "C_n", 1)
        values = [n.factor(value) for value in e.product[:SHOWN_SUMMANDS]]
        if samples > SHOWN_SUMMANDS:
            values.append(n.more)
        lines.append(
            rf"{average} &= \frac{{1}}{{{samples}}} \sum_{{n=0}}^{{{samples - 1}}} {each} "
            rf"= \frac{{1}}{{{samples}}}\left({' + '.join(values)}\right) = {n.number(e.mean.product)}"
        )
    if one.chain:
        lines += _chain(one, n)
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def _chain(e: WeightTerms, n: Latex) -> list[str]:
    """∂C_0/∂a_j of a hidden layer as a sum over the layer after, its largest entries put in."""
    chain: Chain = e.chain  # type: ignore[assignment]
    a = n.symbol("a", subscript(e.j), e.snapshot.layer_name(e.layer))
    parts = []
    for j in sorted(largest(chain.products, SHOWN_SUMMANDS)):
        parts.append(put_in(chain[j], n))
    if len(chain) > SHOWN_SUMMANDS:
        parts.append(n.more)
    return [
        f"{n.partial('C_0', a)} &= {opened(e, n)}",
        f"&= {' + '.join(parts)} = {n.number(e.dC_da)}",
    ]
