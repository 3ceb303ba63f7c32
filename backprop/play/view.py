"""What a page needs to draw a `Stage`: its numbers, symbols and words as a dict that JSON can carry.

A number goes as ``{"value": float or None, "text": four digits}``, so that the page formats nothing and
strict JSON holds NaN and infinities.
"""

from __future__ import annotations

import base64
import math
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._classes import classes_of
from backprop._notation import Notation, subscript
from backprop.draw.scales import fraction_of as share
from backprop.draw.scales import largest_size as largest
from backprop.draw.scales import short_number as short
from backprop.draw.scales import shown_nodes
from backprop.explain.html import Html, html
from backprop.explain.terms import SOFTMAX
from backprop.explain.wording import names, row_sum
from backprop.optimizers import SGD
from backprop.plots import class_labels, plane_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.explain import Explanation
    from backprop.stage import Stage

RESOLUTION = 72  # points of the plane along each side
MARGIN = 0.1
MOST_POINTS = 400  # samples that are drawn in the plane
MEASURED = 2000  # samples that C and the accuracy are measured on
MOST_PIXELS = 4096


class Fractions(Html):
    """Symbols as HTML, derivatives as fractions."""

    def partial(self, above: str, below: str) -> str:
        return f'<span class="bp-fraction"><span>∂{above}</span><span>∂{below}</span></span>'


def layer_of(stage: Stage, layer: int) -> str:
    """L for the output layer, L-1 for the one before; layer -1 is the input layer."""
    back = stage.layers - 1 - layer
    return f"L-{back}" if back else "L"


def number(value: Any) -> dict[str, Any]:
    """A number for the page."""
    value = float(value)
    text = Notation().number(value).replace("-", "−")
    return {"value": value if math.isfinite(value) else None, "text": text}


def state(stage: Stage) -> dict[str, Any]:
    """All that is to be seen, but for the terms of a weight."""
    network = stage.network
    x, y = stage.x[:MEASURED], stage.y[:MEASURED]
    rate = stage.optimizer.lr
    coming, layer = stage.coming
    return {
        "layers": _layers(stage),
        "edges": [_edge(stage, *edge) for edge in _drawn_edges(stage)],
        "sizes": [network.layers[0].inputs, *(layer.outputs for layer in network.layers)],
        "biases": [layer.bias is not None for layer in network.layers],
        "done": _done(stage),
        "coming": {"phase": coming, "layer": layer, "text": f"{coming}, layer {layer_of(stage, layer)}"},
        "data": {"name": stage.data, "names": list(stage.sets)},
        "sample": {"index": stage.sample, "count": len(stage.x), "image": _image(stage)},
        "rate": None if callable(rate) else float(rate),
        "optimizer": repr(stage.optimizer),
        "epochs": stage.epochs,
        "loss": number(network.loss(x, y)),
        "accuracy": number(network.accuracy(x, y)),
        "measured": len(x),
        "plane": _plane(stage),
    }


def _done(stage: Stage) -> dict[str, Any]:
    """The step just taken, as a formula and as words."""
    n = Fractions()
    if stage.done == 0:
        text = "Nothing is computed yet for this sample."
        return {"phase": None, "layer": None, "html": text, "text": text}
    phase, place = divmod(stage.done - 1, stage.layers)
    layer = place if phase == 0 else stage.layers - 1 - place
    here, before = layer_of(stage, layer), layer_of(stage, layer - 1)
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
            after = layer_of(stage, layer + 1)
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
    return not (layers[layer].l1 or layers[layer].l2 or any(each.dropout for each in layers))


def _layers(stage: Stage) -> list[dict[str, Any]]:
    """The nodes that are drawn, layer by layer, the input layer first."""
    run, n = stage.run, Notation()
    sizes = [stage.network.layers[0].inputs, *(layer.outputs for layer in stage.network.layers)]
    columns = []
    for column, size in enumerate(sizes):
        layer = column - 1
        here, drawn = layer_of(stage, layer), shown_nodes(size, stage.nodes)
        forward = column == 0 or stage.has("forward", layer)
        backward = column > 0 and stage.has("backward", layer)
        a = run.before(column)
        largest_a = largest(a[drawn]) if forward else 0.0
        nodes = []
        for j in drawn:
            spoken = n.symbol("a", subscript(j), here)
            node: dict[str, Any] = {"j": j, "a": None, "delta": None, "target": None, "label": spoken}
            if forward:
                value = float(a[j])
                node["a"] = {**number(value), "short": short(value), "share": share(value, largest_a)}
                node["label"] += f" = {node['a']['text']}"
            if backward:
                delta = run.trace[layer].dC_dz
                assert delta is not None
                node["delta"] = {**number(delta[j]), "short": short(float(delta[j]))}
                node["label"] += f", δ = {node['delta']['text']}"
            if column == len(sizes) - 1:
                target = run.targets()[j]
                node["target"] = {**number(target), "short": short(float(target))}
                node["label"] += f", target {node['target']['text']}"
                if backward:
                    dC_da = run.trace[layer].dC_da
                    assert dC_da is not None
                    nudge, most = -float(dC_da[j]), largest(dC_da[drawn])
                    node["nudge"] = {**number(nudge), "share": share(nudge, most)}
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
        most = largest(layer.weights[np.ix_(js, ks)])
        edges += [(place, j, k, most) for k in ks for j in js]
    return edges


def _edge(stage: Stage, layer: int, j: int, k: int, most: float) -> dict[str, Any]:
    w = float(stage.network.layers[layer].weights[j, k])
    symbol = Notation().symbol("w", subscript(j, k), layer_of(stage, layer))
    return {
        "layer": layer,
        "j": j,
        "k": k,
        "share": share(w, most),
        "negative": w < 0,
        "label": f"{symbol} = {number(w)['text']}",
    }


def explanation(stage: Stage, e: Explanation) -> dict[str, Any]:
    """The terms of one weight or bias, those that the round has reached; the others are None."""
    n, plain = Fractions(), Notation()
    s, words = names(e, n), names(e, plain)
    forward, backward = stage.has("forward", e.layer), stage.has("backward", e.layer)
    before = e.layer == 0 or e.k is None or stage.has("forward", e.layer - 1)
    here = layer_of(stage, e.layer)
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
    return "the bias" if e.k is None else n.symbol("a", subscript(e.k), layer_of(stage, e.layer - 1))


def _image(stage: Stage) -> dict[str, Any] | None:
    """A sample that may be a square picture, as shares of its largest number; None for any other."""
    inputs = stage.network.layers[0].inputs
    side = math.isqrt(inputs)
    if not 16 <= side * side == inputs <= MOST_PIXELS:
        return None
    pixels = np.asarray(stage.x[stage.sample], dtype=np.float64)
    most = largest(pixels) or 1.0
    shares = np.clip(np.nan_to_num(pixels / most), 0, 1)
    return {"side": side, "pixels": _bytes(255 * shares)}


def _bytes(numbers: NDArray[Any]) -> str:
    """Numbers from 0 to 255, as base64."""
    return base64.b64encode(np.rint(numbers).astype(np.uint8).tobytes()).decode("ascii")


def _plane(stage: Stage) -> dict[str, Any] | None:
    """Which class the network gives every point of the plane and how sure it is, the lowest row first.

    Of one output the classes are divided at 0.5, of several the largest wins; how sure is the distance from
    there, or from the next.
    """
    points = stage.points
    if points is None:
        return None
    _, _, outputs = plane_of(stage.network, stage.x, RESOLUTION, MARGIN)
    if outputs.shape[2] == 1:
        sure = 2 * np.abs(outputs[..., 0] - 0.5)
    else:
        best = np.sort(outputs, axis=2)
        sure = best[..., -1] - best[..., -2]
    classes = classes_of(outputs)
    sure = np.clip(np.nan_to_num(sure), 0, 1)
    return {"side": RESOLUTION, "classes": _bytes(classes), "sure": _bytes(255 * sure), "points": points}


def points(stage: Stage) -> list[dict[str, Any]] | None:
    """The samples in the plane, as shares of its sides; None if there is no plane."""
    if stage.network.layers[0].inputs != 2:
        return None
    x = np.asarray(stage.x[:MOST_POINTS], dtype=np.float64)
    everything = np.asarray(stage.x, dtype=np.float64)
    if not np.isfinite(everything).all():
        return None
    low, high = everything.min(axis=0), everything.max(axis=0)
    room = np.where(high > low, high - low, 1.0) * MARGIN
    shares = np.round((x - low + room) / (high - low + 2 * room), 4)
    labels = class_labels(stage.y, len(stage.x))
    return [
        {"x": across, "y": up, "class": label}
        for (across, up), label in zip(shares.tolist(), labels.tolist(), strict=False)
    ]
