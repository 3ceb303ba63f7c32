"""fit and step against the oracle's training loop, and what they promise about the network."""

import itertools

import numpy as np
import pytest
import reference
from conftest import (
    assert_close,
    assert_same_bits,
    make_data,
    make_network,
    oracle_layers,
)

import backprop as bp

# Some 20 steps of sums of at most 12 terms. Each step adds about 100 roundings of 1.1e-16 and the
# small learning rates do not amplify them: 2e-13, and ten times that for terms that cancel.
TOLERANCE = 2e-12

OPTIMIZERS = [
    {"lr": 0.3},
    {"lr": 0.2, "weight_decay": 0.05},
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.1, "momentum": 0.7, "nesterov": True, "weight_decay": 0.01},
]

NETWORKS = [
    ((4, 1), ("sigmoid",), "binary_cross_entropy"),
    ((3, 5, 2), ("tanh", "sigmoid"), "squared_error"),
    ((5, 7, 3), ("gelu", "softmax"), "cross_entropy"),
    ((2, 4, 3, 2), ("silu", "softplus", "identity"), "huber"),
]


def assert_same_parameters(net, layers, what=""):
    for index, layer in enumerate(net.layers):
        assert_close(layer.weights, layers[index].weights, TOLERANCE, f"{what} weights {index}")
        if layer.bias is not None:
            assert_close(layer.bias, layers[index].bias, TOLERANCE, f"{what} bias {index}")


@pytest.mark.parametrize("settings", OPTIMIZERS, ids=str)
@pytest.mark.parametrize(("sizes", "activations", "loss"), NETWORKS, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_fit_equals_the_oracle_step_for_step(sizes, activations, loss, settings, bias):
    """Three epochs of 13 samples in batches of 5, the last of 3; weights and history after each."""
    net = make_network(sizes, activations, loss, bias=bias)
    x, y = make_data(net, 13)
    layers, oracle = oracle_layers(net), reference.SGD(**settings)
    optimizer, before = bp.SGD(**settings), net.parameters.copy()
    for epoch in range(3):
        history = net.fit(x, y, optimizer, batch_size=5, shuffle=False)
        expected, accuracy = reference.train_epoch(
            layers, x.tolist(), y.tolist(), loss, oracle, batch_size=5
        )
        assert_same_parameters(net, layers, f"epoch {epoch}")
        assert history["loss"] == [pytest.approx(expected, rel=TOLERANCE)]
        if "accuracy" in history:
            assert history["accuracy"] == [pytest.approx(accuracy, rel=TOLERANCE)]
    assert np.abs(net.parameters - before).max() > 0.01
    assert optimizer.steps == 9


@pytest.mark.parametrize("settings", OPTIMIZERS, ids=str)
def test_step_equals_a_fit_of_one_batch(settings, dtype, roundoff):
    """The same bits; step returns C before the step, which is what the history holds."""
    nets = [make_network((6, 9, 4), ("tanh", "softmax"), "cross_entropy", dtype) for _ in range(2)]
    optimizers = [bp.SGD(**settings) for _ in range(2)]
    x, y = make_data(nets[0], 21)
    tolerance = 64 * roundoff  # the mean of 21 terms in another order
    for _ in range(4):
        before = nets[0].loss(x, y)
        loss = nets[0].step(x, y, optimizers[0])
        history = nets[1].fit(x, y, optimizers[1], batch_size=21, shuffle=False)
        assert isinstance(loss, float)
        assert loss == pytest.approx(before, rel=tolerance)
        assert history["loss"] == [pytest.approx(loss, rel=tolerance)]
        assert_same_bits(nets[0].parameters, nets[1].parameters)
    assert optimizers[0].steps == optimizers[1].steps == 4


def test_a_batch_larger_than_the_data_is_all_of_the_data(small):
    twin = make_network((3, 4, 2), ("tanh", "sigmoid"))
    small.net.fit(small.x, small.y, bp.SGD(0.1), epochs=2, batch_size=5, shuffle=False)
    twin.fit(small.x, small.y, bp.SGD(0.1), epochs=2, batch_size=1000, shuffle=False)
    assert_same_bits(small.net.parameters, twin.parameters)


def test_a_vector_is_one_sample_for_step_and_fit(small):
    twin = make_network((3, 4, 2), ("tanh", "sigmoid"))
    small.net.step(small.x[0], small.y[0], bp.SGD(0.1))
    twin.fit(small.x[0], small.y[0], bp.SGD(0.1))
    assert_same_bits(small.net.parameters, twin.parameters)
    layers = oracle_layers(make_network((3, 4, 2), ("tanh", "sigmoid")))
    reference.train_epoch(
        layers, small.x[:1].tolist(), small.y[:1].tolist(), "squared_error", reference.SGD(0.1), 1
    )
    assert_same_parameters(small.net, layers)


@pytest.mark.parametrize(("lr", "weight_decay"), [(1e-3, 1e-5), (1e-2, 1e-5), (3e-2, 1e-4)])
def test_a_small_weight_decay_is_not_rounded_away(lr, weight_decay):
    """In float32 1 - lr · decay has few digits, or none, left of lr · decay.

    Added to the gradient, as PyTorch does, it is rounded with each step at random: 20 000 of at
    most 2^-25 each (the weight stays below 1), which add up to √20000 · 2^-25 = 4e-6, or three
    times that.
    """
    rng = np.random.default_rng(0)
    x, y = np.full((20_000, 1), 1e-3), rng.normal(size=(20_000, 1))
    ends = {}
    for dtype in ("float32", "float64"):
        net = bp.Network(bp.Layer(1, 1, "identity", bias=False), dtype=dtype)
        net.layers[0].weights[...] = 0.9
        net.fit(x, y, bp.SGD(lr, weight_decay=weight_decay), batch_size=1, shuffle=False)
        ends[dtype] = float(net.layers[0].weights[0, 0])
    assert abs(ends["float32"] - ends["float64"]) < 3 * 4e-6


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_batch_without_weight_moves_nothing(batch_size, momentum):
    """Of samples of weight zero nothing is learnt, whatever they are."""
    nets = [make_network((3, 4, 2), "tanh") for _ in range(2)]
    x, y = make_data(nets[0], 10)
    weights = np.array([1.0] * 5 + [0.0] * 5)
    changed = x.copy()
    changed[5:] *= -7
    for net, data in zip(nets, (x, changed), strict=True):
        optimizer = bp.SGD(0.2, momentum=momentum)
        net.fit(data, y, optimizer, batch_size=batch_size, shuffle=False, sample_weight=weights)
    assert_same_bits(nets[0].parameters, nets[1].parameters)
    plain = make_network((3, 4, 2), "tanh")
    plain.fit(x[:5], y[:5], bp.SGD(0.2, momentum=momentum), batch_size=batch_size, shuffle=False)
    if not momentum and batch_size != 2:
        assert_same_bits(nets[0].parameters, plain.parameters)


def test_sample_weights(small):
    """A batch's loss is Σ w_i C_0i / Σ w_i, and its gradient likewise."""
    net, x, y = small.net, small.x, small.y
    weights = [0.5, 0.0, 2.0, 1.0, 3.0]
    layers = oracle_layers(net)
    history = net.fit(
        x, y, bp.SGD(0.3), epochs=1, batch_size=3, shuffle=False, sample_weight=weights
    )
    loss, _ = reference.train_epoch(
        layers, x.tolist(), y.tolist(), "squared_error", reference.SGD(0.3), 3, None, weights
    )
    assert_same_parameters(net, layers)
    assert history["loss"] == [pytest.approx(loss, rel=TOLERANCE)]


def test_class_weights_are_sample_weights():
    nets = [make_network((3, 4, 2), ("tanh", "softmax"), "cross_entropy") for _ in range(2)]
    x, _ = make_data(nets[0], 6)
    labels = np.array([0, 1, 1, 1, 0, 1])
    nets[0].fit(x, labels, bp.SGD(0.3), shuffle=False, class_weight={0: 2.0, 1: 0.5})
    weights = np.where(labels == 0, 2.0, 0.5)
    nets[1].fit(x, labels, bp.SGD(0.3), shuffle=False, sample_weight=weights)
    assert_same_bits(nets[0].parameters, nets[1].parameters)


# Shuffling.


def orders_seen(seeds, epochs=1):
    """The orders in which four samples were trained on, found by trying all 24 in the oracle."""
    start = make_network((2, 1), "identity", seed=3)
    x, y = make_data(start, 4, seed=3)
    results = {}
    for order in itertools.permutations(range(4)):
        layers = oracle_layers(start)
        reference.train_epoch(
            layers, x.tolist(), y.tolist(), "squared_error", reference.SGD(0.2), 1, order
        )
        results[order] = np.array(reference.flatten([layers[0].weights, layers[0].bias]))
    seen = []
    for seed in seeds:
        net = make_network((2, 1), "identity", seed=3)
        net.fit(x, y, bp.SGD(0.2), epochs=epochs, batch_size=1, rng=seed)
        actual = np.concatenate([net.layers[0].weights[0], net.layers[0].bias])
        distance = {order: np.abs(actual - result).max() for order, result in results.items()}
        nearest = min(distance, key=distance.get)
        assert distance[nearest] < 1e-12, "not one of the orders that visit each sample once"
        seen.append(nearest)
    return seen


def test_shuffling_visits_every_sample_once_in_any_order():
    """400 seeds: each of the 24 orders, 16.7 times on average.

    For a fair shuffle, Σ (observed - expected)² / expected is χ² with 23 degrees of freedom: mean
    23, standard deviation 6.8. 57 is five of them away; and the seeds are fixed.
    """
    seen = orders_seen(range(400))
    counts = [seen.count(order) for order in set(seen)]
    assert len(counts) == 24
    assert sum((count - 400 / 24) ** 2 / (400 / 24) for count in counts) < 57


def test_shuffling_over_epochs_visits_every_sample_every_epoch(dtype):
    """With one-hot inputs and no bias each sample owns one weight, so the order cannot matter."""
    n = 37
    net = bp.Network(bp.Layer(n, 1, "identity", bias=False, init="zeros"), dtype=dtype)
    y = np.arange(1, n + 1, dtype=dtype)
    net.fit(np.eye(n, dtype=dtype), y, bp.SGD(0.25), epochs=3, batch_size=1, rng=1)
    # w ← w - 0.25 · 2 (w - y) = (w + y) / 2: after three visits 7/8 y, exactly.
    assert_same_bits(net.layers[0].weights[0], y * np.dtype(dtype).type(0.875))


def test_same_seed_same_bits_other_seed_other_bits(dtype):
    def train(seed, **keywords):
        net = bp.Network.dense(4, 8, 3, dtype=dtype, seed=seed)
        net.fit(*make_data(net, 50), bp.SGD(0.5), epochs=3, batch_size=7, **keywords)
        return net.parameters

    assert_same_bits(train(5), train(5))
    assert train(5).tobytes() != train(6).tobytes()
    assert_same_bits(train(5, rng=9), train(5, rng=np.random.default_rng(9)))
    assert train(5, rng=9).tobytes() != train(5, rng=10).tobytes()
    assert train(5, shuffle=False).tobytes() != train(5).tobytes()


@pytest.mark.parametrize("settings", OPTIMIZERS, ids=str)
@pytest.mark.parametrize("own_rng", [False, True])
def test_five_epochs_twice_are_ten_epochs(settings, own_rng, dtype):
    """Bit for bit, with the optimizer and the generator kept."""
    nets = [bp.Network.dense(5, 9, 3, dtype=dtype, seed=8) for _ in range(2)]
    x, y = make_data(nets[0], 33)
    optimizers = [bp.SGD(**settings) for _ in range(2)]
    rngs = [np.random.default_rng(4) if own_rng else None for _ in range(2)]
    histories = [
        nets[0].fit(x, y, optimizers[0], epochs=5, batch_size=8, rng=rngs[0]) for _ in range(2)
    ]
    whole = nets[1].fit(x, y, optimizers[1], epochs=10, batch_size=8, rng=rngs[1])
    assert_same_bits(nets[0].parameters, nets[1].parameters)
    assert [*histories[0]["loss"], *histories[1]["loss"]] == whole["loss"]
    assert optimizers[0].steps == optimizers[1].steps == 50
    for one, other in zip(optimizers[0].state, optimizers[1].state, strict=True):
        assert_same_bits(one, other)
        assert one.any()


# What else is measured on the way.


def test_history_and_validation_after_the_epoch(small):
    """Training figures are those of the samples as trained on; validation comes after the epoch."""
    net, x, y = small.net, small.x, small.y
    rng = np.random.default_rng(3)
    x_new, y_new = rng.normal(size=(9, 3)), rng.uniform(size=(9, 2))
    for _ in range(3):
        history = net.fit(x, y, bp.SGD(0.4), batch_size=2, validation=(x_new, y_new))
        assert history["validation_loss"] == [pytest.approx(net.loss(x_new, y_new), rel=1e-14)]
        assert history["validation_accuracy"] == [net.accuracy(x_new, y_new)]
    history = net.fit(x, y, bp.SGD(0.4), epochs=4)
    assert "validation_loss" not in history
    for key in ("loss", "accuracy", "lr", "seconds"):
        assert isinstance(history[key], list)
        assert len(history[key]) == 4
        assert all(type(value) is float for value in history[key])
    assert history["lr"] == [0.4] * 4
    assert min(history["seconds"]) >= 0


def test_validation_and_callbacks_change_nothing_else():
    def train(**keywords):
        net = bp.Network.dense(4, 7, 3, seed=2)
        net.fit(*make_data(net, 40), bp.SGD(0.5, momentum=0.5), epochs=6, batch_size=9, **keywords)
        return net.parameters

    plain = train()
    net = bp.Network.dense(4, 7, 3, seed=2)
    assert_same_bits(train(validation=make_data(net, 11, seed=1)), plain)
    assert_same_bits(train(callbacks=[lambda net, record: None]), plain)
    assert_same_bits(train(progress=False), plain)
    assert plain.tobytes() != net.parameters.tobytes()


def test_callbacks_see_the_true_weights(small):
    """After epoch e they are those of e epochs; what a callback changes is trained on."""
    net, x, y = small.net, small.x, small.y
    seen = []
    net.fit(
        x, y, bp.SGD(0.3), epochs=3, batch_size=2, shuffle=False,
        callbacks=[lambda net, record: seen.append((record["epoch"], net.parameters.copy()))],
    )  # fmt: skip
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    twin = make_network((3, 4, 2), ("tanh", "sigmoid"))
    for _, parameters in seen:
        twin.fit(x, y, bp.SGD(0.3), batch_size=2, shuffle=False)
        assert_same_bits(parameters, twin.parameters)

    def put_ones(net, record):
        net.layers[0].weights = np.ones((4, 3))

    net.fit(x, y, bp.SGD(0.3), epochs=2, batch_size=2, shuffle=False, callbacks=[put_ones])
    assert (net.layers[0].weights == 1).all()


def test_an_error_in_a_callback_leaves_a_usable_network(small):
    def fail(net, record):
        if record["epoch"] == 2:
            raise RuntimeError("enough")

    twin = make_network((3, 4, 2), ("tanh", "sigmoid"))
    with pytest.raises(RuntimeError, match="enough"):
        small.net.fit(
            small.x, small.y, bp.SGD(0.3), epochs=5, batch_size=2, shuffle=False, callbacks=[fail]
        )
    twin.fit(small.x, small.y, bp.SGD(0.3), epochs=2, batch_size=2, shuffle=False)
    assert_same_bits(small.net.parameters, twin.parameters)
    small.net.fit(small.x, small.y, bp.SGD(0.3))


def test_fit_learns_xor():
    """The end of it all: a function that no single layer can represent."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    net = bp.Network.dense(2, 8, 1, hidden="tanh", seed=1)
    history = net.fit(x, [0, 1, 1, 0], bp.SGD(0.5), epochs=2000, batch_size=4)
    assert net.accuracy(x, [0, 1, 1, 0]) == 1.0
    assert net.classify(x).tolist() == [0, 1, 1, 0]
    assert history["loss"][-1] < history["loss"][0] / 10


def test_a_nan_is_never_right(dtype):
    """Neither as an output nor as a target, also where its row's largest entry would be the right one."""
    x = np.array([[np.nan, 1], [1, 1], [1, np.nan]])
    for outputs in (1, 3):
        net = bp.Network(bp.Layer(2, outputs, "sigmoid", init="zeros"), dtype=dtype)
        net.layers[0].bias[...] = np.arange(0, -outputs, -1) - 1
        wanted = np.zeros((3, outputs))
        assert net.accuracy(x, wanted) == 1 / 3
        assert net.classify(x).tolist() == [0, 0, 0]
        wanted[1] = np.nan
        assert net.accuracy(x, wanted) == 0
        if outputs > 1:
            assert net.accuracy(x, [0, 0, 0]) == 1 / 3
