"""Copies: pickle and copy of networks, layers and optimizers, and saving with the optimizer."""

import copy
import io
import json
import pickle

import numpy as np
import pytest
from conftest import assert_same_bits, make_data, make_network
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import backprop as bp
from backprop import optimizers, schedules, solvers
from backprop.files import descriptions
from backprop.files.descriptions import BIT_GENERATORS, describe_rng, restore_optimizer, restore_rng


def by_pickle(thing):
    return pickle.loads(pickle.dumps(thing))


WAYS = {"pickle": by_pickle, "copy": copy.copy, "deepcopy": copy.deepcopy}


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


def trained(dtype="float32"):
    """A network and its optimizer, both with a state that training has left, and the data."""
    net = make_network((3, 5, 2), ("tanh", "sigmoid"), dtype=dtype, bias=(True, False))
    x, y = make_data(net, 23)
    optimizer = bp.SGD(0.3, momentum=0.9, nesterov=True, weight_decay=1e-3)
    net.fit(x, y, optimizer, epochs=3, batch_size=4)
    return net, optimizer, x, y


def go_on(net, optimizer, x, y):
    return net.fit(x, y, optimizer, epochs=3, batch_size=4)["loss"]


def test_training_goes_on_in_a_copy_bit_for_bit(way, dtype):
    net, optimizer, x, y = trained(dtype)
    net2, optimizer2 = way(net), way(optimizer)
    assert repr(net2) == repr(net)
    assert repr(optimizer2) == repr(optimizer)
    assert optimizer2.steps == optimizer.steps > 0
    assert go_on(net2, optimizer2, x, y) == go_on(net, optimizer, x, y)
    assert_same_bits(net2.parameters, net.parameters)
    assert_same_bits(optimizer2.state[0], optimizer.state[0])


def test_training_goes_on_from_a_file_bit_for_bit(tmp_path, dtype):
    net, optimizer, x, y = trained(dtype)
    net.save(tmp_path / "net", optimizer=optimizer)
    net2, optimizer2 = bp.load(tmp_path / "net", optimizer=True)
    assert repr(optimizer2) == repr(optimizer)
    assert go_on(net2, optimizer2, x, y) == go_on(net, optimizer, x, y)
    assert_same_bits(net2.parameters, net.parameters)
    assert_same_bits(optimizer2.state[0], optimizer.state[0])
    assert optimizer2.steps == optimizer.steps


def test_a_copy_shares_nothing(way):
    net, optimizer, x, y = trained()
    before, state = net.parameters.copy(), optimizer.state[0].copy()
    net2, optimizer2 = way(net), way(optimizer)
    go_on(net2, optimizer2, x, y)
    assert_same_bits(net.parameters, before)
    assert_same_bits(optimizer.state[0], state)
    assert net2.rng is not net.rng
    for layer, layer2 in zip(net.layers, net2.layers, strict=True):
        assert not np.shares_memory(layer.weights, layer2.weights)
        assert np.shares_memory(layer2.weights, net2.parameters)


def test_attributes_and_identities_are_kept(way):
    class_attributes = make_network((2, 2), "relu")
    class_attributes.remark = "mine"
    assert way(class_attributes).remark == "mine"
    net = make_network((2, 3, 2), "relu")
    layer, net2 = by_pickle((net.layers[0], net))
    assert net2.layers[0] is layer
    assert np.shares_memory(layer.weights, net2.parameters)


def test_a_copied_layer_brings_its_parameters(way):
    net = make_network((2, 3), "tanh")
    layer = way(net.layers[0])
    assert_same_bits(layer.weights, net.layers[0].weights)
    assert not np.shares_memory(layer.weights, net.parameters)
    net2 = bp.Network(layer, dtype="float64")
    assert_same_bits(net2.parameters, net.parameters)
    assert np.shares_memory(layer.bias, net2.parameters)
    with pytest.raises(ValueError, match="already in a network"):
        bp.Network(layer)


def test_a_new_layer_stays_new(way):
    layer = way(bp.Layer(2, 3, "relu", init="zeros"))
    with pytest.raises(AttributeError, match="no parameters yet"):
        _ = layer.weights
    assert not bp.Network(layer).layers[0].weights.any()


def test_a_layer_drawn_by_a_lambda_pickles_with_its_network():
    net = bp.Network(bp.Layer(2, 3, init=lambda rng, shape: rng.normal(size=shape)), seed=1)
    assert_same_bits(by_pickle(net).parameters, net.parameters)


def test_an_unused_optimizer_copies(way):
    optimizer = way(bp.SGD(0.1, momentum=0.5))
    assert optimizer.state == ()
    assert repr(optimizer) == repr(bp.SGD(0.1, momentum=0.5))


def test_copies_of_copies_of_activations():
    g = make_network((2, 2), "gelu").layers[0].activation
    assert by_pickle(g) == g


@pytest.mark.parametrize("name", BIT_GENERATORS)
def test_every_generator_of_numpy_goes_on(name, tmp_path):
    net = bp.Network.dense(2, 2, seed=getattr(np.random, name)(7))
    net.rng.random(5)
    net.rng.integers(9, size=3, dtype=np.uint16)
    net.save(tmp_path / "net")
    loaded = bp.load(tmp_path / "net")
    assert type(loaded.rng.bit_generator).__name__ == name
    drawn = [(g.integers(9, size=5, dtype=np.uint16), g.random(1000)) for g in (loaded.rng, net.rng)]
    for one, other in zip(*drawn, strict=True):
        assert_same_bits(one, other)


def damaged_states(template, path=()):
    """Every state with one entry replaced, for every entry and several replacements."""
    for key, value in template.items():
        others = [None, "7", -1, 2**200, 0.5, [], {}, [1], True]
        if isinstance(value, list):
            others += [value[:-1], [*value, 1], [-1, *value[1:]], [2**64, *value[1:]], [0.5, *value[1:]]]
        for other in others:
            yield {**template, key: other}
        yield {k: v for k, v in template.items() if k != key}
        if isinstance(value, dict):
            yield from ({**template, key: inner} for inner in damaged_states(value))


@pytest.mark.parametrize("name", BIT_GENERATORS)
def test_a_wrong_state_of_a_generator_is_refused(name):
    state = describe_rng(np.random.Generator(getattr(np.random, name)(7)))
    restore_rng(json.loads(json.dumps(state)))
    count = 0
    for damaged in damaged_states(state):
        with pytest.raises(ValueError, match="its rng"):
            restore_rng(damaged)
        count += 1
    assert count > 20


def test_positions_beyond_the_buffer_are_refused():
    for name, keys, most in (("MT19937", ("state", "pos"), 624), ("Philox", ("buffer_pos",), 4)):
        state = describe_rng(np.random.Generator(getattr(np.random, name)(7)))
        part = state["state"] if len(keys) == 2 else state
        part[keys[-1]] = most
        restore_rng(state).random()
        part[keys[-1]] = most + 1
        with pytest.raises(ValueError, match=keys[-1]):
            restore_rng(state)


class Mine(bp.SGD):
    pass


def test_what_a_file_cannot_hold_is_refused_before_anything_is_written(tmp_path):
    net, optimizer, *_ = trained()
    path = tmp_path / "net"
    net.rng = np.random.RandomState(3)
    with pytest.raises(ValueError, match="RandomState"):
        net.save(path)
    net.rng = np.random.default_rng(3)
    for other, words in (
        (Mine(0.1), "Mine"),
        (bp.SGD(lambda step: 0.1), "lambda"),
        (bp.Adam(schedules.WarmUp(lambda step: 0.1, 3)), "lambda"),
    ):
        with pytest.raises(ValueError, match=f"holds no code.*{words}"):
            net.save(path, optimizer=other)
    with pytest.raises(ValueError, match="30 parameters of float32"):
        make_network((2, 2), "relu").save(path, optimizer=optimizer)
    with pytest.raises(TypeError, match="optimizer"):
        net.save(path, optimizer="SGD")
    assert list(tmp_path.iterdir()) == []


OPTIMIZERS = [
    bp.SGD(0.1),
    bp.SGD(schedules.Step(0.1, every=3), momentum=0.5, clip_norm=0.3),
    bp.Adam(schedules.WarmUp(schedules.Cosine(0.1, steps=9), 3), betas=(0.8, 0.99)),
    bp.AdamW(schedules.OneCycle(0.1, 20), clip_value=0.1),
    bp.RMSprop(schedules.Exponential(0.01, 0.99), momentum=0.5),
    bp.RMSprop(schedules.ReduceOnPlateau(0.1, "loss", patience=0, min_delta=10.0)),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("by_file", [True, False])
def test_every_optimizer_and_schedule_goes_on(tmp_path, optimizer, by_file):
    net = bp.Network(bp.Layer(3, 5, "tanh", l1=1e-3, l2=1e-2, dropout=0.25), bp.Layer(5, 2), seed=1)
    x, y = make_data(net, 23)
    optimizer = by_pickle(optimizer)
    net.fit(x, y, optimizer, epochs=3, batch_size=4)
    net.save(tmp_path / "net", optimizer=optimizer)
    if by_file:
        net2, optimizer2 = bp.load(tmp_path / "net", optimizer=True)
    else:
        net2, optimizer2 = by_pickle((net, optimizer))
    assert repr(net2) == repr(net)
    assert repr(optimizer2) == repr(optimizer)
    histories = [n.fit(x, y, o, epochs=3, batch_size=4) for n, o in ((net, optimizer), (net2, optimizer2))]
    assert histories[0]["loss"] == histories[1]["loss"]
    assert histories[0]["lr"] == histories[1]["lr"]
    assert_same_bits(net2.parameters, net.parameters)
    assert len(optimizer.state) == len(optimizer2.state)
    for one, other in zip(optimizer.state, optimizer2.state, strict=True):
        assert_same_bits(one, other)


def twice(z):
    return 2 * z


def two(z):
    return np.full_like(z, 2)


def test_functions_of_your_own_are_pickled_by_name(way):
    net = bp.Network(bp.Layer(2, 3, bp.Activation(twice, two)), seed=0)
    net2 = way(net)
    x = np.ones(2)
    assert_same_bits(net2(x), net(x))
    assert net2.layers[0].activation == net.layers[0].activation


def test_a_file_without_an_optimizer_says_so(tmp_path):
    net, optimizer, *_ = trained()
    net.save(tmp_path / "net")
    with pytest.raises(ValueError, match="without an optimizer"):
        bp.load(tmp_path / "net", optimizer=True)
    net.save(tmp_path / "net", optimizer=optimizer)
    assert isinstance(bp.load(tmp_path / "net"), bp.Network)


def plateau(**changes):
    settings = {"lr": 0.1, "monitor": "loss", "factor": 0.5, "patience": 1, "min_delta": 0.0, "lowest": 0.0}
    learned = changes.pop("learned", [0.1, None, 0])
    return {"name": "ReduceOnPlateau", "settings": settings | changes, "learned": learned}


WRONG_OPTIMIZERS = {
    "name": ["Sgd", None, 3, "__import__", "Adam"],
    "settings": [{}, None, [], {"momentum": 0.9}, {"lr": 0.1}],
    "lr": [
        0.0, -1.0, "0.1", None, float("inf"), float("nan"), [0.1], {}, {"name": "Step"}, {"name": "print"},
        {"name": "Step", "settings": {"lr": 0.1, "every": 0, "factor": 0.1}},
        {"name": "Step", "settings": {"lr": 0.1}},
        plateau(factor=2), plateau(monitor=3), plateau(learned=None), plateau(learned=[-1.0, None, 0]),
        plateau(learned=[0.1, "1", 0]), plateau(learned=[0.1, None, -1]), plateau(learned=[0.1]),
        plateau(learned=7), plateau(learned={}),
    ],
    "momentum": [2, "a", None, [0.5], {}, -0.1],
    "nesterov": ["a", 1.5, None],
    "more": [1],
    "steps": [-1, 0.5, None, 2**70, "1"],
}


def change(description, key, value):
    """The optimizer's description with an entry, of it or of its settings, changed."""
    if key in description:
        return description | {key: value}
    return description | {"settings": description["settings"] | {key: value}}


@pytest.mark.parametrize("key", WRONG_OPTIMIZERS)
def test_a_wrong_optimizer_is_a_value_error(tmp_path, key):
    net, optimizer, *_ = trained()
    path = tmp_path / "net"
    net.save(path, optimizer=optimizer)
    tensors = load_file(path)
    with safe_open(path, "numpy") as file:
        description = json.loads(file.metadata()["backprop"])
    right = description["optimizer"]
    assert isinstance(restore_optimizer(change(right, "lr", plateau())).lr, schedules.ReduceOnPlateau)
    for wrong in WRONG_OPTIMIZERS[key]:
        changed = description | {"optimizer": change(right, key, wrong)}
        save_file(tensors, path, {"backprop": json.dumps(changed)})
        with pytest.raises(ValueError, match="is not a saved network, or is damaged: "):
            bp.load(path)


@pytest.mark.parametrize("key", ["l1", "l2", "dropout"])
def test_wrong_extras_of_a_layer_are_a_value_error(tmp_path, key):
    net = bp.Network(bp.Layer(3, 5, l1=0.5, l2=0.25, dropout=0.125), bp.Layer(5, 2))
    path = tmp_path / "net"
    net.save(path)
    tensors = load_file(path)
    with safe_open(path, "numpy") as file:
        description = json.loads(file.metadata()["backprop"])
    assert description["layers"][0][key] == getattr(net.layers[0], key)
    for wrong in (-1.0, "0.1", None, True, [], float("nan"), 10**400):
        description["layers"][0][key] = wrong
        save_file(tensors, path, {"backprop": json.dumps(description)})
        with pytest.raises(ValueError, match="is not a saved network, or is damaged: "):
            bp.load(path)


def test_every_optimizer_can_be_saved():
    public = {name for name in bp.__all__ if isinstance(getattr(bp, name), type)
              and issubclass(getattr(bp, name), (optimizers.Optimizer, solvers.WholeBatch))}
    assert public - {"Optimizer"} == set(descriptions.OPTIMIZERS)


def test_an_unpickled_file_runs_nothing(tmp_path):
    """A pickle that would run code is not a network's file."""

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    buffer = io.BytesIO()
    pickle.dump(Evil(), buffer)
    (tmp_path / "net").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="not a saved network"):
        bp.load(tmp_path / "net")
    assert not (tmp_path / "ran").exists()
