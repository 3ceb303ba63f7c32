"""Layers of 1024 inputs and outputs and more: their sums in quarters, on any number of threads."""

import copy
import itertools

import numpy as np
import pytest
from conftest import assert_same_bits, make_data, make_network

import backprop as bp
from backprop import kernels

# Panels are 16 columns in float32 and 8 in float64: the numbers of panels of these divide by 4 and do not.
SHAPES = [(5, 1024, 1056, 3), (4, 1061, 1030, 2)]
THREADS = (2, 3, 4, 6, 8, 16, 17, 32)


def quarters(terms, dtype):
    """Slices of a sum's terms: whole panels of 64 bytes, the first ones a panel longer where they must be."""
    panel = 64 // np.dtype(dtype).itemsize
    parts = np.array_split(np.arange(-(-terms // panel)), 4)
    return [slice(part[0] * panel, min(terms, (part[-1] + 1) * panel)) for part in parts]


def in_quarters(sums):
    return (sums[0] + sums[1]) + (sums[2] + sums[3])


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_sums_are_quarters_added_in_pairs(sizes, dtype):
    net = make_network(sizes, ("tanh", "identity", "identity"), dtype=dtype)
    x, y = make_data(net, 7)
    layers = net.trace(x, y).layers
    a, large, weights = layers[0].a, layers[1], net.layers[1].weights
    bias = [net.layers[1].bias, None, None, None]
    forward = [
        kernels.weighted_sum(a[:, part], np.ascontiguousarray(weights[:, part]), start)
        for part, start in zip(quarters(sizes[1], dtype), bias, strict=True)
    ]
    assert_same_bits(large.z, in_quarters(forward))
    ones = np.ones((7, sizes[1]), dtype)
    backward = [
        kernels.delta_hidden(np.ascontiguousarray(large.dC_dz[:, part]), weights[part], ones)
        for part in quarters(sizes[2], dtype)
    ]
    assert_same_bits(layers[0].dC_da, in_quarters(backward))
    whole = kernels.weighted_sum(a, weights, net.layers[1].bias)
    assert large.z.tobytes() != whole.tobytes()  # the order shows in the bits
    tolerance = 1200 * np.finfo(dtype).eps * (np.abs(a) @ np.abs(weights.T))
    assert (np.abs(large.z - whole) <= tolerance).all()


@pytest.mark.parametrize("sizes", [(1024, 1023, 1100, 3), (5, 1023, 1024, 3), (1030, 1024, 9)], ids=str)
def test_sums_of_other_layers_are_one(sizes, dtype):
    """The first layer, and layers with fewer inputs or outputs, in order."""
    net = make_network(sizes, "identity", dtype=dtype)
    x, y = make_data(net, 3)
    layers = net.trace(x, y).layers
    for before, layer, terms in zip([x, *(term.a for term in layers)], net.layers, layers, strict=False):
        assert_same_bits(terms.z, kernels.weighted_sum(before, layer.weights, layer.bias))


def network(activations, dtype):
    return make_network(SHAPES[1], activations, dtype=dtype)


def network_that_drops(activations, dtype):
    """Two large layers, one after the other, with nodes left out before the second."""
    shapes = zip(itertools.pairwise((3, 1030, 1024, 1047)), activations, (0.2, 0.3, 0), strict=True)
    layers = [bp.Layer(*shape, name, dropout=rate) for shape, name, rate in shapes]
    return bp.Network(*layers, loss="squared_error", dtype=dtype, seed=0)


# what makes the network, activations, batch size, optimizer
TRAININGS = {
    "one sample": (network, ("tanh", "softmax", "sigmoid"), 1, lambda: bp.SGD(0.05)),
    "descent": (network, ("tanh", "softmax", "sigmoid"), 19, lambda: bp.SGD(0.05)),
    "momentum": (network, ("softmax", "gelu", "softmax"), 19, lambda: bp.SGD(0.05, 0.9, weight_decay=1e-3)),
    "clipped": (network, ("elu", "gelu", "softmax"), 19, lambda: bp.SGD(0.05, clip_norm=0.1)),
    "many samples": (network, ("tanh", "softmax", "sigmoid"), 1100, lambda: bp.SGD(0.05)),
    "dropout": (network_that_drops, ("relu", "tanh", "sigmoid"), 40, lambda: bp.Adam(1e-3)),
}


def trained(training, dtype, threads):
    make, activations, batch, optimizer = training
    net, method = make(activations, dtype), optimizer()
    x, y = make_data(net, batch + 3)
    fit = {"epochs": 2, "batch_size": batch, "threads": threads}
    history = net.fit(x, y, method, validation=(x[:5], y[:5]), **fit)
    return net.parameters, method.state, [history[key] for key in history if key not in ("lr", "seconds")]


@pytest.mark.parametrize("training", TRAININGS)
def test_same_bits_for_any_number_of_threads(training, dtype):
    one = trained(TRAININGS[training], dtype, 1)
    for threads in THREADS:
        other = trained(TRAININGS[training], dtype, threads)
        assert_same_bits(one[0], other[0], f"{threads} threads")
        for here, there in zip(one[1], other[1], strict=True):
            assert_same_bits(here, there, f"state with {threads} threads")
        assert one[2] == other[2], f"{threads} threads"


@pytest.mark.parametrize("batch", [1, 4])
def test_fit_is_one_step_after_the_other(batch, dtype):
    x, y = make_data(network("tanh", dtype), 9)
    one, other = network("tanh", dtype), network("tanh", dtype)
    optimizers = bp.SGD(0.05), bp.SGD(0.05)
    for first in range(0, 9, batch):
        one.step(x[first : first + batch], y[first : first + batch], optimizers[0])
    other.fit(x, y, optimizers[1], epochs=1, batch_size=batch, shuffle=False, threads=1)
    assert_same_bits(one.parameters, other.parameters)


def test_a_sample_alone_has_the_bits_that_it_has_in_company(dtype, monkeypatch):
    net = network("tanh", dtype)
    x, _ = make_data(net, 300)
    for threads in (1, 5):
        monkeypatch.setattr(bp.Network, "_usable_threads", lambda _, n=threads: n)
        outputs = net(x)
        for n in (0, 130, 299):
            assert_same_bits(net(x[n : n + 1]), outputs[n : n + 1])


def test_gradient_is_that_of_float64(dtype):
    """Beside NumPy's sums, within what rounding and 1100 terms allow."""
    net = make_network(SHAPES[0], "tanh", dtype=dtype)
    x, y = make_data(net, 600)
    a, deltas = [x.astype("float64")], []
    for layer in net.layers:
        a.append(np.tanh(a[-1] @ layer.weights.T.astype("float64") + layer.bias))
    delta = 2 * (a[-1] - y) * (1 - a[-1] ** 2)
    for layer, before in zip(net.layers[::-1], a[-2::-1], strict=True):
        deltas.insert(0, delta)
        delta = delta @ layer.weights.astype("float64") * (1 - before**2)
    for found, delta, before in zip(net.gradient(x, y).layers, deltas, a, strict=False):
        expected = delta.T @ before / 600
        assert np.abs(found.weights - expected).max() <= 100 * np.finfo(dtype).eps * np.abs(expected).max()


def test_a_step_of_many_samples_is_the_mean_of_steps_of_few(dtype):
    """Whose sums are made at once, and those of so many rows are not."""
    net = network("tanh", dtype)
    x, y = make_data(net, 700)
    parts = [slice(n, n + 100) for n in range(0, 700, 100)]
    expected = np.mean([net.gradient(x[part], y[part]).parameters for part in parts], axis=0)
    before = net.parameters.copy()
    net.fit(x, y, bp.SGD(1), epochs=1, batch_size=700, shuffle=False, threads=1)
    tolerance = np.finfo(dtype).eps * (np.abs(before).max() + 100 * np.abs(expected).max())
    assert np.abs(before - net.parameters - expected).max() <= tolerance


@pytest.mark.parametrize("way", ["fastest", "in lanes"])
def test_members_of_a_population_have_the_bits_of_their_own_fits(way, dtype, monkeypatch):
    """Lanes add in order: what asks for them does not get them."""
    sizes = (3, 1024, 1024, 2)
    x, y = make_data(make_network(sizes, "tanh", dtype=dtype), 6)
    members = bp.Population.dense(*sizes, members=4, hidden="tanh", dtype=dtype, seed=0)
    nets = copy.deepcopy(list(members))
    train = bp.Network._train_population
    monkeypatch.setattr(bp.Network, "_train_population", lambda self, **given: train(self, **given, way=way))
    fit = {"epochs": 1, "batch_size": 3, "shuffle": False}
    members.fit(x, y, bp.SGD(0.1), **fit)
    for net, member in zip(nets, members, strict=True):
        net.fit(x, y, bp.SGD(0.1), **fit)
        assert_same_bits(member.parameters, net.parameters)
