"""What the widget and `play` show, without a browser: every number is the engine's, nothing is half done."""

import base64
import copy
import json

import numpy as np
import pytest
from conftest import assert_same_bits, make_data, make_network

import backprop as bp
from backprop.layer import parts_of
from backprop.play.answers import answer
from backprop.play.stage import OWN, SETS, Stage
from backprop.plots import plane_of


def tell(stage, do, **rest):
    """The answer, which must be strict JSON."""
    answered = json.loads(json.dumps(answer(stage, {"do": do, **rest}), allow_nan=False))
    assert len(answered) == 1
    return answered


def state(stage, do="state", **rest):
    answered = tell(stage, do, **rest)
    assert "state" in answered, answered
    return answered["state"]


def explanation(stage, layer, j, k):
    return tell(stage, "explain", layer=layer, j=j, k=k)["explanation"]


def refused(stage, do, **rest):
    return tell(stage, do, **rest)["error"]


@pytest.fixture
def own():
    """A stage of a float64 network 3-4-2 and its data."""
    net = make_network((3, 4, 2), ("tanh", "sigmoid"))
    x, y = make_data(net, 5)
    return Stage(net, x, y, optimizer=bp.SGD(0.1), sample=2)


def test_a_round_shows_the_trace_layer_by_layer(own):
    net, x, y = own.network, own.x[2], own.y[2]
    trace, before = net.trace(x, y).layers, net.parameters.copy()
    shown = state(own)
    assert [node["a"]["value"] for node in shown["layers"][0]["nodes"]] == x.tolist()
    assert shown["coming"]["phase"] == "forward"
    for layer in (0, 1):
        assert all(node["a"] is None for node in shown["layers"][layer + 1]["nodes"])
        shown = state(own, "forward")
        assert [node["a"]["value"] for node in shown["layers"][layer + 1]["nodes"]] == trace[layer].a.tolist()
    assert [node["target"]["value"] for node in shown["layers"][2]["nodes"]] == y.tolist()
    for layer in (1, 0):
        assert all(node["delta"] is None for node in shown["layers"][layer + 1]["nodes"])
        shown = state(own, "backward")
        deltas = [node["delta"]["value"] for node in shown["layers"][layer + 1]["nodes"]]
        assert deltas == trace[layer].dC_dz.tolist()
    assert_same_bits(net.parameters, before)

    twin = copy.deepcopy(net)
    twin.step(x, y, bp.SGD(0.1))
    state(own, "update")
    assert_same_bits(net.layers[1].weights, twin.layers[1].weights)
    assert_same_bits(net.layers[0].weights, parts_of(net.layers, before)[0][:12].reshape(3, 4).T)
    shown = state(own, "update")
    assert_same_bits(net.parameters, twin.parameters)
    assert shown["coming"] == {"phase": "forward", "layer": 0, "text": "forward, layer L-1"}
    assert own.optimizer.steps == 1
    assert all(node["a"] is None for node in state(own, "next")["layers"][2]["nodes"]), "a new round"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_terms_are_those_of_explain(dtype):
    net = make_network((3, 4, 2), ("tanh", "sigmoid"), dtype=dtype)
    x, y = make_data(net, 5)
    stage = Stage(net, x, y)
    expected = {
        (layer, j, k): net.explain(x[0], y[0], layer, j, k, bias=k is None)
        for layer, j, k in [(0, 3, 2), (1, 1, 0), (0, 0, None), (1, 1, None)]
    }
    for _ in range(6):
        state(stage, "next")
    for place, e in expected.items():
        shown = explanation(stage, *place)
        numbers = {term["name"]: term["number"]["value"] for term in shown["terms"]}
        assert numbers == {"dC_da": e.dC_da, "da_dz": e.da_dz, "dz_dw": e.dz_dw}
        assert shown["product"]["number"]["value"] == e.product
        assert shown["was"]["value"] == e.value, "the update has moved it"
        layer, j, k = place
        now = net.layers[layer]
        assert shown["weight"]["value"] == (now.bias[j] if k is None else now.weights[j, k])


def test_a_term_comes_when_its_turn_does(own):
    known = []
    for _ in range(5):
        shown = explanation(own, 0, 0, 0)
        known.append([term["number"] is not None for term in shown["terms"]])
        assert (shown["product"]["number"] is None) == (not known[-1][0])
        assert ("comes later" in shown["spoken"]) == (not all(known[-1]))
        state(own, "next")
    assert known == [
        [False, False, True],  # the inputs are there
        [False, True, True],  # forward through its layer
        [False, True, True],
        [False, True, True],  # backward through the layer after
        [True, True, True],
    ]


def test_softmax_has_two_factors_and_says_why():
    net = make_network((3, 4), "softmax", "cross_entropy")
    stage = Stage(net, *make_data(net, 2))
    state(stage, "next")
    state(stage, "next")
    shown = explanation(stage, 0, 1, 2)
    e = net.explain(stage.x[0], stage.y[0], 0, 1, 2)
    numbers = [(term["name"], term["number"]["value"]) for term in shown["terms"]]
    assert numbers == [("dC_dz", e.dC_dz), ("dz_dw", e.dz_dw)]
    assert "softmax" in shown["terms"][0]["meaning"]
    assert "Σ" in state(stage)["done"]["html"]


def test_phases_come_in_their_order(own):
    assert "not what comes next: that is forward, layer L-1" in refused(own, "backward")
    state(own, "forward")
    assert "that is forward, layer L" in refused(own, "update")
    assert own.done == 1


@pytest.mark.parametrize("leave", ["sample", "train", "data"])
def test_an_update_that_was_begun_is_finished(leave):
    net = bp.Network.dense(2, 3, 1, seed=0)
    x, y = bp.datasets.circles(20, rng=0)
    stage = Stage(net, x, y, optimizer=bp.Adam(0.01))
    twin, optimizer = copy.deepcopy(net), bp.Adam(0.01)
    twin.step(x[0], y[:1], optimizer)
    for _ in range(5):
        state(stage, "next")
    assert not np.array_equal(net.parameters, twin.parameters)
    if leave == "train":
        state(stage, "train", epochs=2)
        twin.fit(x, y, optimizer, epochs=2, batch_size=10)
    else:
        state(stage, leave, **{"sample": {"index": 3}, "data": {"name": "xor"}}[leave])
    assert_same_bits(net.parameters, twin.parameters)
    assert stage.done == 0


def test_training_is_fit_and_restart_takes_it_back():
    stage = Stage(optimizer=bp.SGD(0.5, momentum=0.5))
    net = stage.network
    first, twin = net.parameters.copy(), copy.deepcopy(net)
    shown = state(stage, "train", epochs=20)
    twin.fit(stage.x, stage.y, bp.SGD(0.5, momentum=0.5), epochs=20, batch_size=10)
    assert_same_bits(net.parameters, twin.parameters)
    assert shown["epochs"] == 20
    assert shown["loss"]["value"] == net.loss(stage.x, stage.y)
    assert shown["accuracy"]["value"] == net.accuracy(stage.x, stage.y) > 0.8
    state(stage, "rate", lr=0.25)
    shown = state(stage, "restart")
    assert_same_bits(net.parameters, first)
    assert (shown["epochs"], shown["rate"], stage.optimizer.steps) == (0, 0.25, 0)


def test_the_plane_is_the_networks():
    stage = Stage(name="circles")
    shown = state(stage, "train", epochs=50)["plane"]
    side = shown["side"]
    classes, sure = (np.frombuffer(base64.b64decode(shown[key]), np.uint8) for key in ("classes", "sure"))
    _, _, outputs = plane_of(stage.network, stage.x, side, 0.1)
    assert np.array_equal(classes.reshape(side, side), outputs[..., 0] > 0.5)
    assert 0 < classes.sum() < side**2
    np.testing.assert_allclose(sure / 255, 2 * np.abs(outputs[..., 0].ravel() - 0.5), atol=0.5 / 255 + 1e-6)
    points = shown["points"]
    assert [point["class"] for point in points] == stage.y.ravel().tolist()
    # A sample stands on the plane where the network is asked about it: the range is 0.1 wider on both sides.
    low, high = stage.x.min(axis=0), stage.x.max(axis=0)
    there = (stage.x - low + 0.1 * (high - low)) / (1.2 * (high - low))
    np.testing.assert_allclose([[point["x"], point["y"]] for point in points], there, atol=1e-4)


def test_a_plane_of_several_classes():
    net = bp.Network.dense(2, 3, output="softmax", loss="cross_entropy", seed=0)
    rng = np.random.default_rng(0)
    stage = Stage(net, rng.normal(size=(30, 2)), rng.integers(0, 3, 30))
    plane = state(stage)["plane"]
    classes = np.frombuffer(base64.b64decode(plane["classes"]), np.uint8)
    assert set(classes.tolist()) <= {0, 1, 2}
    assert len(set(classes.tolist())) > 1
    assert {point["class"] for point in plane["points"]} == {0, 1, 2}


def test_wide_networks_are_drawn_in_part_and_explained_in_whole():
    x, y, _, _ = bp.datasets.load_digits()
    net = bp.Network.dense(64, 30, 10, seed=0)
    stage = Stage(net, x, y, nodes=6)
    shown = state(stage)
    assert [len(layer["nodes"]) for layer in shown["layers"]] == [6, 6, 6]
    assert [layer["left_out"] for layer in shown["layers"]] == [58, 24, 4]
    assert [node["j"] for node in shown["layers"][1]["nodes"]] == [0, 1, 2, 27, 28, 29]
    assert len(shown["edges"]) == 2 * 36
    assert shown["plane"] is None
    assert shown["measured"] == 1438
    image = shown["sample"]["image"]
    pixels = np.frombuffer(base64.b64decode(image["pixels"]), np.uint8)
    np.testing.assert_allclose(pixels / 255, x[0] / x[0].max(), atol=0.5 / 255 + 1e-6)
    for _ in range(4):
        state(stage, "next")
    k = int(x[0].argmax())
    e = net.explain(x[0], y[0], 0, 17, k)
    assert explanation(stage, 0, 17, k)["product"]["number"]["value"] == e.product != 0


@pytest.mark.parametrize("name", list(SETS))
def test_the_sets_in_the_plane(name):
    for outputs in (1, 2):
        stage = Stage(bp.Network.dense(2, 3, outputs, seed=0))
        shown = state(stage, "data", name=name)
        assert shown["data"] == {"name": name, "names": list(SETS)}
        assert shown["sample"]["count"] == 200
        assert shown["layers"][-1]["nodes"][0]["target"]["value"] in (0, 1)


def test_own_data_and_the_sets():
    x, y = bp.datasets.xor(30, rng=0)
    stage = Stage(bp.Network.dense(2, 2, 1, seed=0), x, y)
    assert stage.data == OWN
    assert state(stage)["data"]["names"] == [OWN, *SETS]
    state(stage, "data", name="moons")
    assert len(stage.x) == 200
    state(stage, "data", name=OWN)
    assert stage.x is x


def test_numbers_that_are_not_finite_are_text(own):
    own.network.parameters[:] = np.nan
    for _ in range(4):
        shown = state(own, "next")
    assert shown["layers"][1]["nodes"][0]["a"] == {"value": None, "text": "nan", "short": "nan", "share": 1.0}
    assert explanation(own, 0, 0, 0)["product"]["number"]["text"] == "nan"
    assert shown["loss"] == {"value": None, "text": "nan"}


def test_divergence_is_told():
    x, y = np.full((4, 2), 1e30), np.zeros((4, 1))
    net = bp.Network.dense(2, 1, output="identity", seed=0)
    assert "finite" in refused(Stage(net, x, y, optimizer=bp.SGD(1e30)), "train", epochs=3)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (None, "a message must be a dict, got NoneType"),
        ([], "a message must be a dict, got list"),
        ({}, "message must be one of"),
        ({"do": "foward"}, "did you mean 'forward'"),
        ({"do": "train"}, 'needs "epochs"'),
        ({"do": "train", "epochs": 0}, "epochs must be at least 1"),
        ({"do": "train", "epochs": 10**6}, "epochs must be at most 1000"),
        ({"do": "train", "epochs": 1.5}, "epochs must be a whole number"),
        ({"do": "sample", "index": 5}, "sample must be below 5"),
        ({"do": "sample", "index": "1"}, "sample must be a whole number"),
        ({"do": "data", "name": "moons"}, "no data 'moons'"),
        ({"do": "rate", "lr": -1}, "lr must be greater than 0"),
        ({"do": "rate", "lr": None}, "lr must be a number"),
        ({"do": "explain", "layer": 2, "j": 0, "k": 0}, "layer must be below 2"),
        ({"do": "explain", "layer": 0, "j": 4, "k": 0}, "j must be below 4"),
        ({"do": "explain", "layer": 0, "j": 0, "k": 3}, "k must be below 3"),
        ({"do": "explain", "layer": 0, "j": 0}, 'needs "k"'),
    ],
)
def test_bad_messages_change_nothing(own, message, told):
    state(own, "next")
    before = own.network.parameters.copy()
    answered = answer(own, message)
    assert list(answered) == ["error"]
    assert told in answered["error"]
    assert_same_bits(own.network.parameters, before)
    assert (own.done, own.sample, own.optimizer.lr) == (1, 2, 0.1)


def test_schedules_and_missing_biases():
    net = bp.Network.dense(2, 2, 1, bias=False, seed=0)
    stage = Stage(net, optimizer=bp.SGD(lambda step: 0.1))
    assert state(stage)["rate"] is None
    assert "schedule" in refused(stage, "rate", lr=0.5)
    assert state(stage)["biases"] == [False, False]
    assert "has no bias" in refused(stage, "explain", layer=0, j=0, k=None)


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"network": "digits"}, TypeError, "network must be a Network"),
        ({"x": [[1.0, 2.0]]}, ValueError, "x and y come together; got no y"),
        ({"x": [1.0, 2.0], "y": [1.0]}, ValueError, r"x must have shape \(n, 2\)"),
        ({"x": [[1.0, 2.0, 3.0]], "y": [1.0]}, ValueError, "2"),
        ({"x": [[1.0, 2.0]], "y": [1.0, 2.0]}, ValueError, "y"),
        ({"optimizer": 0.1}, TypeError, "optimizer must be one such as SGD"),
        ({"nodes": 1}, ValueError, "nodes must be at least 2"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"sample": 200}, ValueError, "sample must be below 200"),
        ({"name": "moon"}, ValueError, "did you mean 'moons'"),
        ({"network": bp.Network.dense(3, 1)}, ValueError, "a network of 3 inputs needs x and y"),
    ],
)
def test_bad_arguments(arguments, error, told):
    with pytest.raises(error, match=told):
        Stage(**arguments)


def test_the_outputs_nudges_and_the_plain_rule_are_shown(own):
    net, x, y = own.network, own.x[own.sample], own.y[own.sample]
    nudges = net.trace(x, y).nudges
    for _ in range(2):
        assert "nudge" not in state(own, "next")["layers"][-1]["nodes"][0]
    shown = state(own, "next")
    nodes = shown["layers"][-1]["nodes"]
    assert [node["nudge"]["value"] for node in nodes] == nudges.tolist()
    assert max(node["nudge"]["share"] for node in nodes) == 1
    for node, nudge in zip(nodes, nudges, strict=True):
        assert ("should rise" in node["label"]) == (nudge > 0)
    assert "<i>w</i><sub>jk</sub>" in shown["done"]["html"], "the derivative of the weights is there"
    state(own, "next")
    assert "− 0.1 · " in state(own, "next")["done"]["html"]
    own.optimizer = bp.SGD(0.1, momentum=0.5)
    assert "moved by SGD(0.1, momentum=0.5" in state(own, "state")["done"]["html"]
