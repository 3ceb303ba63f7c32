"""The engine of the page where there is Python: every answer is the network's own, nothing is half done."""

import base64
import copy
import json

import numpy as np
import pytest
from conftest import assert_same_bits, make_data, make_network

import backprop as bp
from backprop.play.answers import answer, numbers_of, sent
from backprop.play.stage import BYTES_UNDONE, OWN, SETS, Stage


def tell(stage, do, **rest):
    """The answer, which must be strict JSON."""
    answered = json.loads(json.dumps(answer(stage, {"do": do, **rest}), allow_nan=False))
    assert len(answered) == 1
    return answered


def state(stage, do="state", **rest):
    answered = tell(stage, do, **rest)
    assert "state" in answered, answered
    return answered["state"]


def refused(stage, do, **rest):
    return tell(stage, do, **rest)["error"]


@pytest.fixture
def own():
    """A stage of a float64 network 3-4-2 and its data."""
    net = make_network((3, 4, 2), ("tanh", "sigmoid"))
    x, y = make_data(net, 5)
    return Stage(net, x, y, optimizer=bp.SGD(0.1), sample=2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_a_trace_is_the_networks_bit_by_bit(dtype, output):
    net = make_network((3, 4, 2), ("tanh", output), "cross_entropy", dtype=dtype)
    x, y = make_data(net, 5)
    stage = Stage(net, x, y)
    told = tell(stage, "trace", index=3)["trace"]
    trace = net.trace(x[3], y[3])
    for shown, layer in zip(told["layers"], trace.layers, strict=True):
        for name in ("z", "a", "dC_da", "da_dz", "dC_dz"):
            assert_same_bits(numbers_of(shown[name]), getattr(layer, name).ravel())
    assert told["loss"] == net.loss(x[3:4], y[3:4])
    assert numbers_of(told["x"]).tolist() == x[3].astype(dtype).tolist()
    assert numbers_of(told["y"]).tolist() == y[3].tolist()


def test_labels_are_told_one_hot():
    net = bp.Network.dense(4, 3, output="softmax", loss="cross_entropy", seed=0)
    stage = Stage(net, np.zeros((3, 4)), [2, 0, 1], classes=("a", "b", "c"))
    told = tell(stage, "trace", index=0)["trace"]
    assert told["label"] == 2
    assert numbers_of(told["y"]).tolist() == [0, 0, 1]
    assert state(stage)["data"]["classes"] == ["a", "b", "c"]


def test_a_step_is_the_networks_and_can_be_undone(own):
    net, first = own.network, own.network.parameters.copy()
    own.optimizer = bp.Adam(0.01)
    twin, optimizer = copy.deepcopy(net), bp.Adam(0.01)
    for i in (2, 4):
        twin.step(own.x[i], own.y[i], optimizer)
        told = state(own, "step", first=i)
        assert_same_bits(net.parameters, twin.parameters)
        assert_same_bits(numbers_of(told["parameters"]), net.parameters)
    assert told["undo"] == own.optimizer.steps == 2
    state(own, "undo")
    told = state(own, "undo")
    assert_same_bits(net.parameters, first)
    assert (told["undo"], own.optimizer.steps) == (0, 0)
    assert "nothing to undo" in refused(own, "undo")
    state(own, "step", first=2)
    state(own, "step", first=4)
    assert_same_bits(net.parameters, twin.parameters), "the optimizer went back, too"


def test_a_step_for_a_batch(own):
    twin = copy.deepcopy(own.network)
    twin.step(own.x[1:4], own.y[1:4], bp.SGD(0.1))
    state(own, "step", first=1, count=3)
    assert_same_bits(own.network.parameters, twin.parameters)
    assert "there are 5 samples, not 6" in refused(own, "step", first=4, count=2)


def test_undo_keeps_within_its_memory():
    net = bp.Network.dense(2, 3, 1, seed=0)
    stage = Stage(net, *bp.datasets.xor(4, rng=0))
    for _ in range(250):
        stage.step(0)
    assert stage.undoable == 200
    wide = Stage(bp.Network.dense(2, 600_000, 1, seed=0))
    most = BYTES_UNDONE // (3 * wide.network.parameters.nbytes)
    assert 1 <= most < 10
    for _ in range(most + 2):
        wide.step(0)
    assert wide.undoable == most


def test_undo_and_restart_take_the_generator_back():
    """Else the same epochs from the same weights would end elsewhere."""
    stage = Stage()
    stage.train(3)
    once = stage.network.parameters.copy()
    for back in (stage.undo, stage.restart):
        back()
        stage.train(3)
        assert np.array_equal(stage.network.parameters, once)
    stage.set_parameters(stage._beginning.parameters)
    stage.train(3)
    assert np.array_equal(stage.network.parameters, once)


def test_training_is_fit_and_restart_takes_it_back():
    stage = Stage(optimizer=bp.SGD(0.5, momentum=0.5))
    net = stage.network
    first, twin = net.parameters.copy(), copy.deepcopy(net)
    shown = state(stage, "train", epochs=20)
    twin.fit(stage.x, stage.y, bp.SGD(0.5, momentum=0.5), epochs=20, batch_size=10)
    assert_same_bits(net.parameters, twin.parameters)
    assert shown["epochs"] == 20
    assert shown["train"]["loss"] == net.loss(stage.x, stage.y)
    assert shown["train"]["accuracy"] == net.accuracy(stage.x, stage.y) > 0.8
    tests = stage.tests
    assert shown["test"]["loss"] == net.loss(tests.x, tests.y) != shown["train"]["loss"]
    state(stage, "rate", lr=0.25)
    shown = state(stage, "restart")
    assert_same_bits(net.parameters, first)
    assert (shown["epochs"], shown["optimizer"]["lr"], stage.optimizer.steps) == (0, 0.25, 0)


def test_the_plain_rule_is_known(own):
    assert state(own)["optimizer"]["plain"]
    own.optimizer = bp.SGD(0.1, momentum=0.5)
    told = state(own)["optimizer"]
    assert not told["plain"]
    assert (told["rule"], told["momentum"]) == ("sgd", 0.5)
    assert told["text"].startswith("SGD(0.1, momentum=0.5")


def test_outputs_activations_and_points():
    stage = Stage(name="circles")
    x = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    outputs = numbers_of(tell(stage, "outputs", x=sent(x))["outputs"])
    assert_same_bits(outputs, stage.network(x).ravel())
    layers = [numbers_of(each) for each in tell(stage, "activations", x=sent(x))["activations"]]
    for told, layer in zip(layers, stage.network.trace(x).layers, strict=True):
        assert_same_bits(told, layer.a.ravel())
    points = tell(stage, "points")["points"]
    assert numbers_of(points["train"]["x"]).tolist() == stage.x.ravel().tolist()
    assert numbers_of(points["test"]["y"]).tolist() == stage.tests.y.ravel().tolist()
    assert (points["inputs"], points["columns"]) == (2, 1)
    assert "no rows of 2 inputs" in refused(stage, "outputs", x=sent(x.ravel()[:3]))


def test_points_only_of_the_plane(own):
    assert numbers_of(tell(own, "points")["points"]["train"]["x"]).size == 0


@pytest.mark.parametrize("name", list(SETS))
def test_the_sets_in_the_plane(name):
    for outputs in (1, 2):
        stage = Stage(bp.Network.dense(2, 3, outputs, seed=0))
        shown = state(stage, "data", name=name)["data"]
        assert (shown["name"], shown["names"]) == (name, list(SETS))
        assert (shown["samples"], shown["tests"]) == (200, 100)


def test_own_data_and_the_sets():
    x, y = bp.datasets.xor(30, rng=0)
    held_out = bp.datasets.xor(12, rng=1)
    stage = Stage(bp.Network.dense(2, 2, 1, seed=0), x, y, validation=held_out)
    assert stage.data == OWN
    told = state(stage)["data"]
    assert (told["names"], told["tests"]) == ([OWN, *SETS], 12)
    before = stage.network.parameters.copy()
    assert tell(stage, "trace", index=3, set="test")["trace"]["loss"] is not None
    assert_same_bits(stage.network.parameters, before)
    state(stage, "data", name="moons")
    assert len(stage.x) == 200
    state(stage, "data", name=OWN)
    assert stage.x is x
    assert "there is no set 'tests'" in refused(stage, "trace", index=0, set="tests")


def test_the_page_builds_networks_of_its_own():
    stage = Stage()
    optimizer = {"rule": "adam", "lr": 0.01}
    told = state(stage, "build", sizes=[2, 7, 1], hidden="relu", loss="huber", output="identity",
                 optimizer=optimizer, data="xor", batch=5)  # fmt: skip
    assert [layer["outputs"] for layer in told["layers"]] == [7, 1]
    assert [layer["activation"] for layer in told["layers"]] == ["relu", "identity"]
    assert (told["loss"], told["batch"], told["data"]["name"]) == ("huber", 5, "xor")
    assert told["optimizer"]["rule"] == "adam"
    weights = np.linspace(-1, 1, stage.network.parameters.size)
    told = state(stage, "set", parameters=sent(weights))
    assert_same_bits(stage.network.parameters, weights.astype(np.float32))
    state(stage, "train", epochs=2)
    state(stage, "restart")
    assert_same_bits(stage.network.parameters, weights.astype(np.float32))
    assert "parameters" in refused(stage, "set", parameters=sent(weights[1:]))
    assert "must be finite" in refused(stage, "set", parameters=sent(weights + np.inf))
    assert "no activation" in refused(stage, "build", sizes=[2, 3, 1], hidden="relux")
    assert "at most 1024" in refused(stage, "build", sizes=[2, 5000, 1])


def test_a_network_that_was_given_stays(own):
    assert not state(own)["builds"]
    assert "is yours" in refused(own, "build", sizes=[3, 2])


def test_samples_that_the_page_brings():
    stage = Stage()
    x = np.arange(12.0)
    told = state(stage, "own", name="a.csv", inputs=3, x=sent(x), y=sent([0.0, 1, 2, 1]), labels=True,
                 classes=["u", "v", "w"])  # fmt: skip
    assert "a.csv" not in told["data"]["names"], "the network has two inputs"
    told = state(stage, "build", sizes=[3, 4, 3], data="a.csv", output="softmax", loss="cross_entropy")
    assert (told["data"]["name"], told["data"]["samples"]) == ("a.csv", 4)
    assert told["data"]["classes"] == ["u", "v", "w"]
    before = stage.network
    assert "labels in y must be 0 to 1" in refused(stage, "build", sizes=[3, 2, 2], data="a.csv")
    assert stage.network is before
    assert "no rows of 5 inputs" in refused(stage, "own", name="b", inputs=5, x=sent(x), y=sent([0.0]))
    assert "finite" in refused(stage, "own", name="b", inputs=3, x=sent(x * np.nan), y=sent([0.0] * 4))


def test_numbers_that_are_not_finite_arrive(own):
    own.network.parameters[:] = np.nan
    assert np.isnan(numbers_of(tell(own, "trace", index=0)["trace"]["layers"][0]["a"])).all()
    assert state(own)["train"]["loss"] is None


def test_divergence_is_told():
    x, y = np.full((4, 2), 1e30), np.zeros((4, 1))
    net = bp.Network.dense(2, 1, output="identity", seed=0)
    assert "finite" in refused(Stage(net, x, y, optimizer=bp.SGD(1e30)), "train", epochs=3)


def test_versions_tell_whether_anything_changed(own):
    first = state(own)["version"]
    tell(own, "trace", index=1)
    assert state(own)["version"] == first
    for do, more in (("step", {"first": 0}), ("undo", {}), ("train", {"epochs": 1}), ("restart", {})):
        version = state(own, do, **more)["version"]
        assert version > first
        first = version


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (None, "a message must be a dict, got NoneType"),
        ([], "a message must be a dict, got list"),
        ({}, "message must be one of"),
        ({"do": "trian"}, "did you mean 'train'"),
        ({"do": "train"}, 'needs "epochs"'),
        ({"do": "train", "epochs": 0}, "epochs must be at least 1"),
        ({"do": "train", "epochs": 10**6}, "epochs must be at most 1000"),
        ({"do": "train", "epochs": 1.5}, "epochs must be a whole number"),
        ({"do": "trace", "index": 5}, "sample must be below 5"),
        ({"do": "step", "first": "1"}, "sample must be a whole number"),
        ({"do": "data", "name": "moons"}, "no data 'moons'"),
        ({"do": "rate", "lr": -1}, "lr must be greater than 0"),
        ({"do": "rate", "lr": None}, "lr must be a number"),
        ({"do": "batch", "size": 0}, "batch_size must be at least 1"),
        ({"do": "set", "parameters": [1, 2]}, "numbers come as"),
        ({"do": "set", "parameters": {"f8": 3}}, "numbers come as base64"),
        ({"do": "set", "parameters": {"f8": "AAAA"}}, "buffer size must be a multiple"),
        ({"do": "set", "parameters": {"f8": "no base64"}}, "base64"),
    ],
)
def test_bad_messages_change_nothing(own, message, told):
    before, version = own.network.parameters.copy(), own.version
    answered = answer(own, message)
    assert list(answered) == ["error"]
    assert told.lower() in answered["error"].lower()
    assert_same_bits(own.network.parameters, before)
    assert (own.version, own.optimizer.lr) == (version, 0.1)


def test_schedules_stay():
    stage = Stage(bp.Network.dense(2, 2, 1, bias=False, seed=0), optimizer=bp.SGD(lambda step: 0.1))
    assert state(stage)["optimizer"]["lr"] is None
    assert "schedule" in refused(stage, "rate", lr=0.5)
    assert [layer["bias"] for layer in state(stage)["layers"]] == [False, False]


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_numbers_travel_unchanged(dtype):
    numbers = np.array([0.1, -0.0, np.nan, np.inf, 1e-45, 3], dtype)
    told = sent(numbers)
    assert base64.b64decode(told[dtype[1:]]) == numbers.tobytes()
    assert_same_bits(numbers_of(told), numbers)


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
