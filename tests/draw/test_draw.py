"""`Network.draw`: what the picture shows, as SVG and PNG."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import make_data, make_network

import backprop as bp

SVG = "{http://www.w3.org/2000/svg}"


def parts(drawing, tag):
    return ElementTree.fromstring(drawing.svg).findall(f"{SVG}{tag}")


def titles(drawing, tag):
    return [part.find(f"{SVG}title").text for part in parts(drawing, tag) if len(part)]


def numbers(drawing, tag):
    return [float(title.split(" = ")[1]) for title in titles(drawing, tag)]


def test_every_edge_shows_its_weight(small):
    net = small.net
    drawing = net.draw()
    lines = parts(drawing, "line")
    assert len(lines) == 3 * 4 + 4 * 2
    weights = [w for layer in net.layers for w in layer.weights.T.ravel()]
    assert numbers(drawing, "line") == [float(f"{w:.4g}") for w in weights]
    assert titles(drawing, "line")[1] == f"w₂₁^(L-1) = {net.layers[0].weights[1, 0]:.4g}"
    for line, weight in zip(lines, weights, strict=True):
        assert line.get("stroke") == ("#0072b2" if weight >= 0 else "#d55e00")
        assert (line.get("stroke-dasharray") is None) == (weight >= 0)
    thick = [float(line.get("stroke-width")) for line in lines]
    first = np.abs(net.layers[0].weights.T.ravel())
    assert np.argmax(thick) == np.argmax(np.abs(weights))
    assert np.argsort(thick[:12]).tolist() == np.argsort(first).tolist()


def test_nodes_show_activations_deltas_or_nothing(small):
    net, x, y = small.net, small.x[0], small.y[0]
    trace = net.trace(x, y).layers

    def shown(values):
        return [float(f"{value:.4g}") for value in values]

    activations = [*x, *trace[0].a, *trace[1].a]
    assert numbers(net.draw(x), "circle") == shown(activations)
    assert numbers(net.draw(x, y), "circle") == shown(activations)
    deltas = net.draw(x, y, show="deltas")
    assert titles(deltas, "circle")[:3] == ["δ₁^(L-2)", "δ₂^(L-2)", "δ₃^(L-2)"]
    values = [float(title.split(" = ")[1]) for title in titles(deltas, "circle")[3:]]
    assert values == shown([*trace[0].dC_dz, *trace[1].dC_dz])
    assert numbers(deltas, "line") == numbers(net.draw(), "line")
    assert all("=" not in title for title in titles(net.draw(), "circle"))


def test_gradients_on_the_edges(small):
    gradient = small.net.gradient(small.x, small.y)
    drawing = small.net.draw(small.x, small.y, show="gradients")
    expected = [g for layer in gradient.layers for g in layer.weights.T.ravel()]
    assert numbers(drawing, "line") == [float(f"{g:.4g}") for g in expected]
    assert titles(drawing, "line")[0].startswith("∂C/∂w₁₁^(L-1)")


def test_a_batch_is_averaged(small):
    expected = small.net.trace(small.x).layers[0].a.mean(axis=0)
    assert numbers(small.net.draw(small.x), "circle")[3:7] == [float(f"{a:.4g}") for a in expected]


def test_arrows_point_where_the_outputs_should_go():
    net = make_network((3, 4), "tanh")
    x, y = make_data(net, 1)
    drawing = net.draw(x[0], y[0])
    nudges = net.trace(x[0], y[0]).nudges
    arrows = parts(drawing, "path")
    assert numbers(drawing, "path") == [float(f"{nudge:.4g}") for nudge in nudges]
    for arrow, nudge in zip(arrows, nudges, strict=True):
        start, end = map(float, re.match(r"M\S+ ([\d.]+)V([\d.]+)", arrow.get("d")).groups())
        assert (end < start) == (nudge > 0), "y runs downwards"
    assert not parts(net.draw(x[0]), "path")
    ways = ", ".join("up" if nudge > 0 else "down" for nudge in nudges)
    assert drawing.description.endswith(f"the outputs should go {ways}.")


def test_wide_layers_are_drawn_in_part():
    net = bp.Network.dense(784, 300, 10, seed=0)
    drawing = net.draw(np.linspace(0, 1, 784), 3, nodes=6)
    assert len(parts(drawing, "line")) == 6 * 6 + 6 * 6
    texts = [text.text for text in parts(drawing, "text")]
    assert "⋮ 778 more" in texts
    assert "⋮ 294 more" in texts
    names = [title.split(" = ")[0] for title in titles(drawing, "circle")]
    assert [name for name in names if name.endswith("(L)")] == [
        f"a{name}^(L)" for name in ("₁", "₂", "₃", "₈", "₉", "₁₀")
    ]


def test_the_picture_says_what_it_is(small):
    drawing = small.net.draw(small.x[0], small.y[0])
    root = ElementTree.fromstring(drawing.svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == drawing.description == root.find(f"{SVG}title").text
    assert "3 layers with 3, 4 and 2 nodes" in drawing.description
    assert "prefers-color-scheme:dark" in root.find(f"{SVG}style").text
    assert drawing._repr_svg_() == drawing.svg


def contrast(one, other):
    """The contrast ratio of the Web Content Accessibility Guidelines 2.2."""

    def luminance(colour):
        channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_numbers_are_legible_on_every_node_light_and_dark():
    """At least 4.5 : 1, the guidelines' AA, on the fullest nodes too."""
    from backprop.draw import shapes, svg

    def mixed(colour, ground):
        pairs = zip(*([int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (colour, ground)), strict=True)
        return "#" + "".join(
            f"{round(shapes.FULLEST * c + (1 - shapes.FULLEST) * g):02x}" for c, g in pairs
        )

    for ink, ground in ((shapes.INK, shapes.GROUND), ("#f2f2f2", "#16191d")):
        assert ink in svg.STYLE
        assert ground in svg.STYLE
        for colour in (shapes.POSITIVE, shapes.NEGATIVE):
            assert contrast(ink, mixed(colour, ground)) >= 4.5
    assert contrast(shapes.POSITIVE, shapes.GROUND) >= 3
    assert contrast(shapes.NEGATIVE, shapes.GROUND) >= 3


def test_odd_numbers_are_drawn(small):
    net, x = small.net, small.x[0]
    zero = make_network((2, 2), "identity", bias=False)
    zero.layers[0].weights[...] = 0
    assert "0.00" in zero.draw([0.0, 0.0], [0.0, 0.0]).svg
    ElementTree.fromstring(net.draw(x * np.nan).svg)
    ElementTree.fromstring(make_network((2, 2), "identity").draw([1e300, -np.inf], [0, 0]).svg)


def test_saving(small, tmp_path):
    drawing = small.net.draw(small.x, small.y)
    drawing.save(tmp_path / "net.svg")
    assert (tmp_path / "net.svg").read_text(encoding="utf-8") == drawing.svg
    with pytest.raises(ValueError, match=r"\.svg or \.png"):
        drawing.save(tmp_path / "net.gif")
    assert not (tmp_path / "net.gif").exists()


def test_saving_a_png(small, tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib import image

    drawing = small.net.draw(small.x, small.y)
    drawing.save(str(tmp_path / "net.png"), dpi=100)
    pixels = image.imread(tmp_path / "net.png")
    assert pixels.shape[:2] == (round(drawing.height), round(drawing.width))
    # at the first node's centre there is its number or its colour, at a corner the ground
    assert pixels[2, 2, :3].tolist() == [1, 1, 1]
    x, y = (float(parts(drawing, "circle")[0].get(name)) for name in ("cx", "cy"))
    assert pixels[int(y) - 10 : int(y) + 10, int(x) - 10 : int(x) + 10, :3].min() < 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"show": "deltas"}, "to show deltas, draw needs x"),
        ({"show": "activations"}, "to show activations, draw needs x"),
        ({"x": [1, 2, 3], "show": "gradients"}, "to show gradients, draw needs y"),
        ({"y": [0, 1]}, "draw got y without x"),
        ({"show": "weight"}, "did you mean 'weights'"),
        ({"nodes": 1}, "nodes must be at least 2"),
        ({"x": [1, 2]}, "x"),
    ],
)
def test_what_cannot_be_drawn_is_refused(small, arguments, message):
    with pytest.raises(ValueError, match=message):
        small.net.draw(**arguments)


def test_a_notebook_gets_a_png_too():
    pytest.importorskip("matplotlib")
    drawing = bp.Network.dense(3, 4, 2, seed=0).draw()
    png = drawing._repr_png_()
    assert png.startswith(b"\x89PNG")
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    assert abs(width / height - drawing.width / drawing.height) < 0.02


def test_a_legend_says_what_is_shown():
    net = bp.Network.dense(3, 4, 2, seed=0)
    x, y = [1.0, 2.0, 3.0], [0.0, 1.0]
    for arguments, words in (
        ((), "edges: weights"),
        ((x,), "edges: weights; nodes: a"),
        ((x, y, "deltas"), "edges: weights; nodes: δ"),
        ((x, y, "gradients"), "edges: ∂C/∂w; nodes: δ"),
    ):
        options = {"show": arguments[2]} if len(arguments) > 2 else {}
        texts = [text.text for text in parts(net.draw(*arguments[:2], **options), "text")]
        assert words in texts
        numbers = {"1", "2", "3"} <= set(texts)
        assert numbers == (not arguments), "node numbers do not stand amid values"
