"""Outputs, losses and gradients of many samples: the same bits on any threads as a few at a time."""

import numpy as np
import pytest
from conftest import assert_same_bits, make_data, make_network

import backprop as bp

# sizes, activations, loss, rows: those that are divided among threads
SHAPES = [
    ((20, 32, 32, 5), ("tanh", "relu", "softmax"), "cross_entropy", 9001),
    ((30, 32, 32, 1), ("elu", "gelu", "sigmoid"), "binary_cross_entropy", 8200),
    ((32, 32, 20, 18), ("silu", "sigmoid", "softmax"), "mean_squared_error", 8000),
    ((32, 32, 32, 4), ("tanh", "softmax", "identity"), "huber", 7000),
    ((64, 300, 33), ("tanh", "sigmoid"), "squared_error", 700),
    ((40, 50, 3), ("relu", "softmax"), "cross_entropy", 4500),  # sums of several blocks each
]


def answers(net, x, y, weights):
    """All that is asked of samples: (what is of each, sums)."""
    gradient = net.gradient(x, y, sample_weight=weights)
    each = [net(x), net.classify(x), net.losses(x, y, sample_weight=weights)]
    sums = [net.loss(x, y, sample_weight=weights), net.loss(x, y), gradient.loss]
    parts = [part for layer in gradient.layers for part in (layer.weights, layer.bias)]
    return each, sums, [*parts, gradient.inputs]


def in_order(numbers):
    total = 0.0
    for number in numbers.tolist():
        total += number
    return total


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_as_a_few_samples_at_a_time(shape, dtype, monkeypatch):
    sizes, activations, loss, rows = shape
    net = make_network(sizes, activations, loss, dtype)
    x, y = make_data(net, rows)
    weights = np.random.default_rng(1).uniform(0, 2, rows)
    pieces = [slice(first, first + 100) for first in range(0, rows, 100)]
    expected = [
        np.concatenate([net(x[piece]) for piece in pieces]),
        np.concatenate([net.classify(x[piece]) for piece in pieces]),
        np.concatenate([net.losses(x[piece], y[piece], sample_weight=weights[piece]) for piece in pieces]),
    ]
    asked, one = [], None
    for threads in (1, 2, 5, 17, 64):
        monkeypatch.setattr(bp.Network, "_usable_threads", lambda _, n=threads: asked.append(n) or n)
        each, sums, gradient = answers(net, x, y, weights)
        for found, right in zip(each, expected, strict=True):
            assert_same_bits(found, right, f"{threads} threads")
        assert sums[0] == in_order(expected[2]) / in_order(weights)
        one = one or (sums, gradient)
        assert sums == one[0], f"{threads} threads"
        for found, right in zip(gradient, one[1], strict=True):
            assert_same_bits(found, right, f"{threads} threads")
    assert set(asked) == {1, 2, 5, 17, 64}


@pytest.mark.parametrize("target", ["labels", "mask"])
def test_accuracy_and_masks(target, dtype, monkeypatch):
    net = make_network((20, 32, 32, 5), ("tanh", "relu", "sigmoid"), "binary_cross_entropy", dtype)
    x, y = make_data(net, 9000)
    labels = y.argmax(axis=1)
    mask = np.random.default_rng(2).random(y.shape) < 0.6
    few = [slice(first, first + 100) for first in range(0, 9000, 100)]
    for threads in (1, 3):
        monkeypatch.setattr(bp.Network, "_usable_threads", lambda _, n=threads: n)
        if target == "labels":
            right = sum(round(net.accuracy(x[part], labels[part]) * 100) for part in few)
            assert net.accuracy(x, labels) == right / 9000
        else:
            expected = np.concatenate([net.losses(x[part], y[part], target_mask=mask[part]) for part in few])
            assert_same_bits(net.losses(x, y, target_mask=mask), expected)
            assert net.loss(x, y, target_mask=mask) == in_order(expected) / 9000


def test_masks_of_a_wide_network(dtype, monkeypatch):
    monkeypatch.setattr(bp.Network, "_usable_threads", lambda _: 3)
    net = make_network((64, 300, 33), "sigmoid", "squared_error", dtype)
    x, y = make_data(net, 1500)
    mask = np.random.default_rng(2).random(y.shape) < 0.6
    few = [slice(first, first + 100) for first in range(0, 1500, 100)]
    expected = np.concatenate([net.losses(x[part], y[part], target_mask=mask[part]) for part in few])
    assert_same_bits(net.losses(x, y, target_mask=mask), expected)


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("hidden", [8, 40], ids=["lanes", "panels"])
def test_classes_of_equals_and_of_nan(hidden, outputs, dtype):
    """The first of equal outputs; a sample with NaN is never right, whatever its label."""
    net = make_network((3, hidden, outputs), ("tanh", "sigmoid"), "squared_error", dtype)
    x, _ = make_data(net, 600)
    net.layers[-1].weights[...] = 0
    net.layers[-1].bias[...] = 0
    assert (net.classify(x) == (1 if outputs == 1 else 0)).all()
    x[::2] = np.nan
    labels = net.classify(x)
    assert net.accuracy(x, labels) == 0.5


def test_into_an_array_that_is_there(monkeypatch):
    monkeypatch.setattr(bp.Network, "_usable_threads", lambda _: 2)
    net = make_network((20, 32, 32, 5), "tanh")
    x, _ = make_data(net, 9000)
    out = np.empty((9000, 5))
    assert net(x, out=out) is out
    assert_same_bits(out, net(x))


def test_any_rows_of_any_array(monkeypatch):
    """Narrow rows are read a panel at a time: never past the end of the array."""
    monkeypatch.setattr(bp.Network, "_usable_threads", lambda _: 2)
    net = make_network((3, 32, 32, 2), "tanh", dtype="float32")
    x, _ = make_data(net, 15000)
    expected = net(x)
    wide = np.full((15000, 40), np.nan, np.float32)
    wide[:, 7:10] = x
    for view in (wide[:, 7:10], x.astype(">f4"), np.asfortranarray(x), x[::-1][::-1], x.astype(float)):
        assert_same_bits(net(view), expected)
    assert_same_bits(net(x[::-1]), expected[::-1])
    assert_same_bits(net(np.broadcast_to(x[0], x.shape)), np.broadcast_to(expected[0], expected.shape))


def test_threads_that_are_none(monkeypatch):
    net = make_network((20, 32, 32, 5), "tanh")
    x, _ = make_data(net, 9000)
    monkeypatch.setattr(bp.Network, "_usable_threads", lambda _: -1)
    with pytest.raises(ValueError, match="at least 1"):
        net(x)
    monkeypatch.setattr(bp.Network, "_usable_threads", lambda _: "two")
    with pytest.raises(TypeError):
        net(x)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [129, 700, 4500])
def test_gradient_of_a_wide_network_is_the_mean_of_its_parts(rows, bias, dtype, monkeypatch):
    monkeypatch.setattr(bp.Network, "_usable_threads", lambda _: 3)
    layers = [bp.Layer(40, 60, "tanh", bias=bias), bp.Layer(60, 7, "sigmoid")]
    net = bp.Network(*layers, loss="squared_error", dtype=dtype, seed=1)
    x, y = make_data(net, rows)
    weights = np.random.default_rng(1).uniform(0, 2, rows)
    mask = np.random.default_rng(2).random(y.shape) < 0.6
    whole = net.gradient(x, y, sample_weight=weights, target_mask=mask)
    assert whole.loss == pytest.approx(net.loss(x, y, sample_weight=weights, target_mask=mask), rel=1e-12)
    sums = np.zeros(net.parameters.size), np.zeros(40)
    for part in (slice(first, first + 64) for first in range(0, rows, 64)):
        few = net.gradient(x[part], y[part], sample_weight=weights[part], target_mask=mask[part])
        sums[0][:] += few.parameters * weights[part].sum()
        sums[1][:] += few.inputs * weights[part].sum()
    for found, expected in zip((whole.parameters, whole.inputs), sums, strict=True):
        expected /= weights.sum()
        # sums of `rows` terms, in two orders: each is off by less than rows · eps · Σ|terms|
        error = rows * np.finfo(dtype).eps * np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=error)
