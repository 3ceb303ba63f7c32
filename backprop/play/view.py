"""What a page needs to draw a `Stage`: its numbers, symbols and words as a dict that JSON can carry.

A number goes as ``{"value": float or None, "text": four digits}``, so that the page formats nothing and
strict JSON holds NaN and infinities.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._classes import has_classes
from backprop._notation import Notation, layer_name, subscript
from backprop.draw.scales import fraction_of, largest_size, short_number, shown_nodes
from backprop.explain.html import Html, html
from backprop.explain.terms import SOFTMAX
from backprop.explain.wording import names, row_sum
from backprop.optimizers import SGD
from backprop.play.plane import base64_of, regions

if TYPE_CHECKING:

    from backprop.explain import Explanation
    from backprop.play.stage import Stage

MEASURED = 2000  # samples that C and the accuracy are measured on
MOST_PIXELS = 4096


class Fractions(Html):
    """Symbols as HTML, derivatives as fractions."""

    def partial(self, above: str, below: str) -> str:
        return f'<span class="bp-fraction"><span>∂{above}</span><span>∂{below}</span></span>'


def number(value: Any) -> dict[str, Any]:
    """A number for the page."""
    value = float(value)
    text = Notation().number(value).replace("-", "−")
    return {"value": value if math.isfinite(value) else None, "text": text}


def state(stage: Stage) -> dict[str, Any]:
    """All that is to be seen, but for the terms of a weight."""
    network = stage.network
    x, y = stage.x[:MEASURED], stage.y[:MEASURED]
    rate, labels = stage.optimizer.lr, network.targets > 1 and y.ndim == 1
    coming, layer = stage.coming
    where = layer_name(layer, stage.layers)
    return {
        "layers": _layers(stage),
        "edges": [_edge(stage, *edge) for edge in _drawn_edges(stage)],
        "sizes": [network.layers[0].inputs, *(layer.outputs for layer in network.layers)],
        "biases": [layer.bias is not None for layer in network.layers],
        "done": _done(stage),
        "coming": {"phase": coming, "layer": layer, "text": f"{coming}, layer {where}"},
        "data": {"name": stage.data, "names": list(stage.sets)},
        "sample": {"index": stage.sample, "count": len(stage.x), "image": _image(stage)},
        "rate": None if callable(rate) else float(rate),
        "optimizer": repr(stage.optimizer),
        "epochs": stage.epochs,
        "loss": number(network.loss(x, y)),
        "accuracy": number(network.accuracy(x, y) if has_classes(network, labels) else math.nan),
        "measured": len(x),
        "plane": regions(network, stage.x, stage.points),
    }


def _done(stage: Stage) -> dict[str, Any]:
    """The step just taken, as a formula and as words."""
    n = Fractions()
    if stage.done == 0:
        text = "Nothing is computed yet for this sample."
        return {"phase": None, "layer": None, "html": text, "text": text}
    phase, place = divmod(stage.done - 1, stage.layers)
    layer = place if phase == 0 else stage.layers - 1 - place
    here, before = layer_name(layer, stage.layers), layer_name(layer - 1, stage.layers)
    w, a, z = (n.symbol(letter, sub, here) for letter, sub in (("w", "jk"), ("a", "j"), ("z", "j")))
    last = layer == stage.layers - 1
    if phase == 0:
        bias = "" if stage.network.layers[layer].bias is None else f" + {n.symbol('b', 'j', here)}"
        rule = f"{z} = {n.sum('k', 0)}{w} {n.symbol('a', 'k', before)}{bias}, &ensp;{a} = <i>g</i>({z})"
        rule += f", &ensp;<i>g</i> = {escape(stage.run.activations[layer])}"
        if last:
            loss = number(stage.network.losses(stage.x[stage.sample], stage.y[stage.sample]))
            rule += f"; &ensp;{n.loss()} = {loss['text']}"
        words = f"Forward through layer {here}: its weighted sums z and activation outputs a are there."
    elif phase == 1:
        dC_da, dC_dz = n.partial(n.loss(), a), n.partial(n.loss(), z)
        if stage.run.activations[layer] == SOFTMAX:
            a_i = n.symbol("a", "i", here)
            rule = f"{dC_dz} = {n.sum('i', 0)}{n.partial(n.loss(), a_i)}{n.times}{n.partial(a_i, z)}"
        else:
            rule = f"{dC_dz} = {dC_da}{n.times}<i>g</i>′({z})"
        if last:
            rule += f", &ensp;{dC_da} from the loss, {escape(stage.network.loss_name)}"
        else:
            after = layer_name(layer + 1, stage.layers)
            terms = [n.partial(n.loss(), n.symbol("z", "i", after)), n.symbol("w", "ij", after)]
            rule += f", &ensp;{dC_da} = {n.sum('i', 0)}{n.times.join(terms)}"
        rule += f", &ensp;{n.partial(n.loss(), w)} = {dC_dz}{n.times}{n.symbol('a', 'k', before)}"
        words = f"Backward through layer {here}: its δ are there, and the derivatives of its weights."
    else:
        dC_dw, optimizer = n.partial(n.loss(), w), stage.optimizer
        if _descends_plainly(stage, layer):
            rule = f"{w} ← {w} − {n.number(optimizer.lr)}{n.times}{dC_dw}"
        else:
            rule = f"{w} moved by {escape(repr(optimizer))}, against {dC_dw}"
        words = f"Layer {here} is updated."
    return {"phase": ("forward", "backward", "update")[phase], "layer": layer, "html": rule, "text": words}


def _descends_plainly(stage: Stage, layer: int) -> bool:
    """Whether a layer's update is w - lr ∂C_0/∂w and nothing else."""
    rate, layers = stage.optimizer.lr, stage.network.layers
    if callable(rate) or repr(stage.optimizer) != repr(SGD(rate)):
        return False
    here = layers[layer]
    moves_freely = here.lr == 1 and here.bias_lr in (None, 1) and here.mask is None
    return moves_freely and not (here.l1 or here.l2 or any(each.dropout for each in layers))


def _layers(stage: Stage) -> list[dict[str, Any]]:
    """The nodes that are drawn, layer by layer, the input layer first."""
    run, n = stage.run, Notation()
    sizes = [stage.network.layers[0].inputs, *(layer.outputs for layer in stage.network.layers)]
    columns = []
    for column, size in enumerate(sizes):
        layer = column - 1
        here, drawn = layer_name(layer, stage.layers), shown_nodes(size, stage.nodes)
        forward = column == 0 or stage.has("forward", layer)
        backward = column > 0 and stage.has("backward", layer)
        a = run.before(column)
        largest_a = largest_size(a[drawn]) if forward else 0.0
        nodes = []
        for j in drawn:
            spoken = n.symbol("a", subscript(j), here)
            node: dict[str, Any] = {"j": j, "a": None, "delta": None, "target": None, "label": spoken}
            if forward:
                value = float(a[j])
                share = fraction_of(value, largest_a)
                node["a"] = {**number(value), "short": short_number(value), "share": share}
                node["label"] += f" = {node['a']['text']}"
            if backward:
                delta = run.trace[layer].dC_dz
                assert delta is not None
                node["delta"] = {**number(delta[j]), "short": short_number(float(delta[j]))}
                node["label"] += f", δ = {node['delta']['text']}"
            if column == len(sizes) - 1:
                target = run.targets()[j]
                node["target"] = {**number(target), "short": short_number(float(target))}
                node["label"] += f", target {node['target']['text']}"
                if backward:
                    dC_da = run.trace[layer].dC_da
                    assert dC_da is not None
                    nudge, most = -float(dC_da[j]), largest_size(dC_da[drawn])
                    node["nudge"] = {**number(nudge), "share": fraction_of(nudge, most)}
                    way = "rise" if nudge > 0 else "fall" if nudge < 0 else "stay"
                    node["label"] += f", should {way}, −∂C₀/∂a = {node['nudge']['text']}"
            nodes.append(node)
        kind = "inputs" if column == 0 else run.activations[layer]
        columns.append(
            {
                "name": here,
                "kind": f"{size} {kind}",
                "nodes": nodes,
                "left_out": size - len(drawn),
                "split": len(drawn) - len(drawn) // 2,
                "active": stage.done > 0 and _done_layer(stage) == layer,
            }
        )
    return columns


def _done_layer(stage: Stage) -> int:
    phase, place = divmod(stage.done - 1, stage.layers)
    return place if phase == 0 else stage.layers - 1 - place


def _drawn_edges(stage: Stage) -> list[tuple[int, int, int, float]]:
    """Layer, j, k and the layer's largest drawn weight."""
    edges = []
    for place, layer in enumerate(stage.network.layers):
        ks, js = shown_nodes(layer.inputs, stage.nodes), shown_nodes(layer.outputs, stage.nodes)
        most = largest_size(layer.weights[np.ix_(js, ks)])
        edges += [(place, j, k, most) for k in ks for j in js]
    return edges


def _edge(stage: Stage, layer: int, j: int, k: int, most: float) -> dict[str, Any]:
    w = float(stage.network.layers[layer].weights[j, k])
    symbol = Notation().symbol("w", subscript(j, k), layer_name(layer, stage.layers))
    return {
        "layer": layer,
        "j": j,
        "k": k,
        "share": fraction_of(w, most),
        "negative": w < 0,
        "label": f"{symbol} = {number(w)['text']}",
    }


def explanation(stage: Stage, e: Explanation) -> dict[str, Any]:
    """The terms of one weight or bias, those that the round has reached; the others are None."""
    n, plain = Fractions(), Notation()
    s, words = names(e, n), names(e, plain)
    forward, backward = stage.has("forward", e.layer), stage.has("backward", e.layer)
    before = e.layer == 0 or e.k is None or stage.has("forward", e.layer - 1)
    here = layer_name(e.layer, stage.layers)
    last = ("dz_dw", s.dz_dw, words.dz_dw, e.dz_dw, before, f"how strongly {_from(stage, e, n)} comes in")
    if e.row is None:
        z, a = n.symbol("z", subscript(e.j), here), n.symbol("a", subscript(e.j), here)
        slope = f"<i>g</i>′({z}), <i>g</i> = {escape(e.activation)}"
        terms = [
            ("dC_da", s.dC_da, words.dC_da, e.dC_da, backward, f"how {n.loss()} depends on {a}"),
            ("da_dz", s.da_dz, words.da_dz, e.da_dz, forward, slope),
            last,
        ]
    else:
        meaning = f"softmax: {row_sum(e, n)}"
        terms = [("dC_dz", s.dC_dz, words.dC_dz, e.dC_dz, backward, meaning), last]
    now = stage.network.layers[e.layer]
    value = now.weights[e.j, e.k] if e.k is not None else now.bias[e.j]  # type: ignore[index]
    told = [(word, term, known) for _, _, word, term, known, _ in terms]
    told.append((f"the product, {words.gradient},", e.product, backward))
    spoken = f"{words.weight} = {number(value)['text']}: " + "; ".join(
        f"{word} = {number(term)['text']}" if known else f"{word} comes later" for word, term, known in told
    )
    return {
        "layer": e.layer,
        "j": e.j,
        "k": e.k,
        "weight": {"html": s.weight, **number(value)},
        "was": number(e.value) if value != e.value else None,
        "moved": number(float(value) - float(e.value)) if value != e.value else None,
        "terms": [
            {"name": name, "html": symbol, "number": number(term) if known else None, "meaning": meaning}
            for name, symbol, _, term, known, meaning in terms
        ],
        "product": {"html": s.gradient, "number": number(e.product) if backward else None},
        "factors": n.times.join(n.factor(term) for _, _, _, term, _, _ in terms) if backward else None,
        "whole": html(e) if backward else None,
        "spoken": spoken,
    }


def _from(stage: Stage, e: Explanation, n: Notation) -> str:
    return "the bias" if e.k is None else n.symbol("a", subscript(e.k), layer_name(e.layer - 1, stage.layers))


def _image(stage: Stage) -> dict[str, Any] | None:
    """A sample that may be a square picture, as shares of its largest number; None for any other."""
    inputs = stage.network.layers[0].inputs
    side = math.isqrt(inputs)
    if not 16 <= side * side == inputs <= MOST_PIXELS:
        return None
    pixels = np.asarray(stage.x[stage.sample], dtype=np.float64)
    most = largest_size(pixels) or 1.0
    shares = np.clip(np.nan_to_num(pixels / most), 0, 1)
    return {"side": side, "pixels": base64_of(255 * shares)}
