"""Dropout: which nodes are left out, what is trained then, and that nothing but training does it."""

import numpy as np
import pytest
from conftest import assert_close, assert_same_bits, make_data, make_network

import backprop as bp

MASK_64 = 2**64 - 1
INCREMENT = 0x9E3779B97F4A7C15


def mixed(x):
    """The mixing function of SplitMix64."""
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK_64
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK_64
    return x ^ x >> 31


def kept(key, place, nodes, rate):
    """Which nodes of a layer are kept for the sample in this place of the epoch."""
    sample = mixed((key + (place + 1) * INCREMENT) & MASK_64)
    draws = [mixed((sample + (j + 1) * INCREMENT) & MASK_64) >> 32 for j in range(nodes)]
    return np.array([draw >= int(rate * 2**32) for draw in draws])


class Halves:
    """The 32-bit numbers that NumPy's PCG64 hands out: the lower half of a 64-bit draw, then the upper."""

    def __init__(self, rng):
        self.bits, self.left = rng.bit_generator, []

    def next(self):
        if not self.left:
            raw = int(self.bits.random_raw())
            self.left = [raw & 0xFFFFFFFF, raw >> 32]
        return self.left.pop(0)


def dropout_step(weights, x, y, rates, masks, lr):
    """One step of SGD on squared error of a tanh-tanh-sigmoid network without biases, in NumPy."""
    w1, w2, w3 = weights
    a1 = np.tanh(x @ w1.T)
    d1 = a1 * masks[0] / (1 - rates[0])
    a2 = np.tanh(d1 @ w2.T)
    d2 = a2 * masks[1] / (1 - rates[1])
    a3 = 1 / (1 + np.exp(-d2 @ w3.T))
    loss = ((a3 - y) ** 2).sum(1).mean()
    delta3 = 2 * (a3 - y) * a3 * (1 - a3) / len(x)
    delta2 = delta3 @ w3 * masks[1] / (1 - rates[1]) * (1 - a2**2)
    delta1 = delta2 @ w2 * masks[0] / (1 - rates[0]) * (1 - a1**2)
    steps = delta1.T @ x, delta2.T @ d1, delta3.T @ d2
    return [w - lr * step for w, step in zip(weights, steps, strict=True)], loss


@pytest.mark.parametrize("optimizer", [lambda: bp.SGD(0.5), lambda: bp.SGD(0.5, clip_value=1e9)])
@pytest.mark.parametrize("how", ["fit", "step"])
def test_training_with_the_documented_masks(optimizer, how):
    rates, sizes = (0.2, 0.5), (4, 35, 18, 3)
    layers = [
        bp.Layer(4, 35, "tanh", bias=False, dropout=rates[0]),
        bp.Layer(35, 18, "tanh", bias=False, dropout=rates[1]),
        bp.Layer(18, 3, bias=False),
    ]
    net = bp.Network(*layers, dtype="float64", seed=3)
    weights = [layer.weights.copy() for layer in net.layers]
    x, y = make_data(net, 11)
    draws = Halves(np.random.default_rng(77))
    losses = []
    for _ in range(3):
        keys = [draws.next() << 32 | draws.next() for _ in rates]
        masks = [
            np.array([kept(key, n, nodes, rate) for n in range(11)])
            for key, nodes, rate in zip(keys, sizes[1:], rates, strict=False)
        ]
        batches = [slice(0, 11)] if how == "step" else [slice(0, 4), slice(4, 8), slice(8, 11)]
        for rows in batches:
            part = [mask[rows] for mask in masks]
            weights, loss = dropout_step(weights, x[rows], y[rows], rates, part, 0.5)
            losses.append(loss)
    if how == "step":
        net.rng = np.random.default_rng(77)
        own = optimizer()
        reported = [net.step(x, y, own) for _ in range(3)]
        assert reported == pytest.approx(losses, rel=1e-12)
    else:
        net.fit(x, y, optimizer(), epochs=3, batch_size=4, shuffle=False, rng=77)
    for layer, expected in zip(net.layers, weights, strict=True):
        assert_close(layer.weights, expected, 1e-12)


SMOOTH = [
    ("tanh", "gelu", "sigmoid", "squared_error"),
    ("silu", "softplus", "softmax", "cross_entropy"),
    ("sigmoid", "elu", "sigmoid", "binary_cross_entropy"),
    ("softmax", "tanh", "identity", "mean_squared_error"),
]


@pytest.mark.parametrize("rows", [7, 600])
@pytest.mark.parametrize("choice", SMOOTH, ids=str)
def test_the_gradient_agrees_with_differences_under_the_same_mask(choice, rows):
    """A step of rate 1 moves by the gradient, and returns C before it, without the nodes that it left out."""
    *names, loss = choice
    rates = 0.3, 0.5, 0.0
    sizes = zip((5, 13, 9), (13, 9, 4), names, rates, strict=True)
    layers = [bp.Layer(k, j, name, dropout=rate) for k, j, name, rate in sizes]
    net = bp.Network(*layers, loss=loss, dtype="float64", seed=3)
    x, y = make_data(net, rows)
    start = net.parameters.copy()

    def stepped(parameters):
        net.parameters[:] = parameters
        net.rng = np.random.default_rng(7)  # the same keys, and so the same nodes
        return net.step(x, y, bp.SGD(1.0))

    stepped(start)
    gradient = start - net.parameters
    assert stepped(start) != net.loss(x, y)
    h, some = 1e-5, np.random.default_rng(1).choice(start.size, 40, replace=False)
    differences = []
    for i in some:
        at = np.zeros(start.size)
        at[i] = h
        differences.append((stepped(start + at) - stepped(start - at)) / (2 * h))
    # h² / 6 times the third derivative is about 1e-11 here, and so is the rounding of C over h
    assert np.abs(gradient[some]).max() > 1e-3
    assert_close(gradient[some], np.array(differences), 1e-8)


@pytest.mark.parametrize("name", ["relu", "softmax", "gelu", "sigmoid"])
def test_same_bits_for_any_number_of_threads(name, dtype):
    def train(threads):
        layers = (bp.Layer(30, 70, name, dropout=0.4), bp.Layer(70, 33, name, dropout=0.1))
        net = bp.Network(*layers, bp.Layer(33, 4, "softmax"), loss="cross_entropy", dtype=dtype, seed=1)
        x, y = make_data(net, 75)
        net.fit(x, y, bp.Adam(0.01), epochs=2, batch_size=32, threads=threads, rng=5)
        return net.parameters

    for threads in (2, 3, 8):
        assert_same_bits(train(threads), train(1))


def test_masks_do_not_depend_on_batches_and_callbacks():
    """One sample a step or all at once, its mask is the same: it is drawn for its place in the epoch."""

    def train(**keywords):
        net = bp.Network(bp.Layer(6, 40, dropout=0.5), bp.Layer(40, 2), dtype="float64", seed=1)
        x, y = make_data(net, 9)
        history = net.fit(x, y, bp.SGD(1e-12), rng=5, **keywords)
        return history["loss"], net.parameters

    whole, single = train(batch_size=9, epochs=3), train(batch_size=1, epochs=3)
    # The rate of 1e-12 moves nothing that matters at 1e-9.
    assert whole[0] == pytest.approx(single[0], rel=1e-9)
    assert len(set(whole[0])) == 3, "a new epoch has new masks"
    watched = train(batch_size=9, epochs=3, callbacks=[lambda net, record: None])
    assert watched[0] == whole[0]
    assert_same_bits(watched[1], whole[1])


def test_dropout_is_for_training_only():
    net = bp.Network(bp.Layer(6, 40, dropout=0.5, init="normal"), bp.Layer(40, 2), dtype="float64", seed=1)
    plain = make_network((6, 40, 2), "sigmoid")
    plain.parameters[:] = net.parameters
    x, y = make_data(net, 20)
    assert_same_bits(net(x), plain(x))
    assert_same_bits(net.losses(x, y), plain.losses(x, y))
    assert_same_bits(net.gradient(x, y).parameters, plain.gradient(x, y).parameters)
    assert net.check_gradient(x, y).passed
    history = net.fit(x, y, bp.SGD(1e-12), validation=(x, y), batch_size=20)
    assert history["validation_loss"][0] == pytest.approx(plain.loss(x, y), rel=1e-9)
    assert history["loss"][0] != pytest.approx(plain.loss(x, y), rel=1e-3)


def test_the_share_left_out_and_the_mean():
    """Of 40,000 nodes a share of 0.3 ± 5 standard deviations, 0.0115; and E[out] = a."""
    rows, nodes, rate = 200, 200, 0.3
    mask = np.array([kept(0x0123456789ABCDEF, n, nodes, rate) for n in range(rows)])
    assert abs((~mask).mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / mask.size)
    for axis in (0, 1):
        spread = np.abs(mask.mean(axis=axis) - (1 - rate)).max()
        assert spread < 5 * np.sqrt(rate * (1 - rate) / 200)
    neighbours = np.corrcoef(mask[:, :-1].ravel(), mask[:, 1:].ravel())[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(mask.size)


def test_networks_without_dropout_draw_what_they_drew():
    """The keys are drawn for layers with dropout only."""
    nets = [make_network((3, 4, 2), "tanh") for _ in range(2)]
    x, y = make_data(nets[0], 10)
    rng = np.random.default_rng(3)
    nets[0].fit(x, y, bp.SGD(0.1), rng=rng, shuffle=False)
    assert rng.bit_generator.state == np.random.default_rng(3).bit_generator.state


def test_a_rate_of_zero_is_no_dropout():
    several = ({"dropout": 0}, {})
    nets = [bp.Network(bp.Layer(3, 4, "tanh", **extra), bp.Layer(4, 2), seed=2) for extra in several]
    x, y = make_data(nets[0], 6)
    for net in nets:
        net.fit(x, y, bp.SGD(0.3), epochs=2)
    assert_same_bits(nets[0].parameters, nets[1].parameters)


def test_wrong_arguments():
    for rate in (1, -0.1, 1.5):
        with pytest.raises(ValueError, match="dropout must be at least 0 and less than 1"):
            bp.Layer(2, 2, dropout=rate)
    with pytest.raises(TypeError, match="dropout must be a number"):
        bp.Layer(2, 2, dropout="half")
    with pytest.raises(ValueError, match="output layer has no dropout"):
        bp.Network(bp.Layer(2, 2, dropout=0.5))
    assert repr(bp.Layer(2, 3, l2=0.1, dropout=0.5)) == "Layer(2, 3, 'sigmoid', l2=0.1, dropout=0.5)"
