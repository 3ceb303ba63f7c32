"""Large batches of narrow networks have a way of their own, with samples in the lanes of vectors.

`step`, and `fit` on an iterable of whole batches, go the ordinary way: the bits are the same.
"""

import numpy as np
import pytest
from conftest import assert_same_bits, make_data, make_network

import backprop as bp

# sizes, activations, loss, rows
SHAPES = [
    ((4, 32, 16, 4), ("tanh", "tanh", "identity"), "squared_error", 1000),
    ((1, 1), ("sigmoid",), "binary_cross_entropy", 512),
    ((2, 3, 1), ("sigmoid", "sigmoid"), "squared_error", 513),
    ((32, 32, 32), ("relu", "softmax"), "cross_entropy", 777),
    ((7, 19, 5, 3), ("elu", "silu", "softmax"), "mean_squared_error", 800),
    ((9, 17, 18), ("gelu", "sigmoid"), "huber", 1025),
    ((16, 31, 2), ("softplus", "sigmoid"), "binary_cross_entropy", 640),
    ((3, 8, 8), ("leaky_relu", "sigmoid"), "cross_entropy", 600),
    ((5, 6, 17, 1), ("identity", "tanh", "tanh"), "huber", 527),
    ((6, 20, 3), ("tanh", "softmax"), "binary_cross_entropy", 900),
    ((5, 9, 3), ("tanh", "sigmoid"), "mean_squared_error", 700),
]
OPTIMIZERS = {
    "sgd": lambda: bp.SGD(0.05),
    "momentum": lambda: bp.SGD(0.01, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda: bp.Adam(0.01, clip_value=1e-3),
    "schedule": lambda: bp.SGD(bp.schedules.Exponential(0.2, 0.5)),
    "rmsprop": lambda: bp.RMSprop(0.01, momentum=0.5),
    "clipped": lambda: bp.AdamW(0.01, clip_norm=0.01),
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_fit_takes_the_step_of_step(shape, optimizer, dtype):
    sizes, activations, loss, rows = shape
    nets = [make_network(sizes, activations, loss, dtype) for _ in range(2)]
    one, other = (OPTIMIZERS[optimizer]() for _ in range(2))
    x, y = make_data(nets[0], rows)
    start = nets[0].parameters.copy()
    losses = [nets[0].step(x, y, one) for _ in range(3)]
    history = nets[1].fit(x, y, other, epochs=3, batch_size=rows, shuffle=False, threads=2)
    assert nets[0].parameters.tobytes() != start.tobytes()
    assert_same_bits(nets[1].parameters, nets[0].parameters)
    for state, expected in zip(other.state, one.state, strict=True):
        assert_same_bits(state, expected)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-12)


def order_of(rng, count):
    """Fisher and Yates, from the last place on, with numbers below i + 1 as Lemire draws them."""
    order = np.arange(count)
    for i in range(count - 1, 0, -1):
        while True:
            product = int(rng.integers(0, 1 << 32, dtype=np.uint32)) * (i + 1)
            if product % (1 << 32) >= (1 << 32) % (i + 1):
                break
        order[[i, product >> 32]] = order[[product >> 32, i]]
    return order


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("sizes", [(4, 8, 3), (33, 20, 3)], ids=["lanes", "panels"])
def test_a_batch_of_all_samples_has_the_order_of_a_shuffle(sizes, threads):
    """Groups of samples begin while thread 0 still draws the order of those before them."""
    rows, epochs = 3001, 4
    nets = [make_network(sizes, ("tanh", "sigmoid")) for _ in range(2)]
    optimizers = [bp.Adam(0.01), bp.Adam(0.01)]
    rngs = [np.random.default_rng(9), np.random.default_rng(9)]
    x, y = make_data(nets[0], rows)
    nets[0].fit(x, y, optimizers[0], epochs=epochs, batch_size=rows, threads=threads, rng=rngs[0])
    for _ in range(epochs):
        order = order_of(rngs[1], rows)
        nets[1].fit(x[order], y[order], optimizers[1], batch_size=rows, shuffle=False, threads=1)
    assert_same_bits(nets[0].parameters, nets[1].parameters)
    assert rngs[0].bit_generator.state == rngs[1].bit_generator.state


def settings_of(name, net, rows):
    """What fit is given besides, and what is changed about the network."""
    rng = np.random.default_rng(5)
    if name == "weights":
        return {"sample_weight": rng.uniform(0, 3, rows)}
    if name == "no weight":  # of the first batch of 600
        return {"sample_weight": np.where(np.arange(rows) < 600, 0, 1)}
    if name == "mask":
        return {"target_mask": rng.random((rows, net.layers[-1].outputs)) < 0.7}
    if name == "norms":
        return {"norms": True}
    return {}


def network_of(setting, sizes, activations, loss, dtype):
    net = make_network(sizes, activations, loss, dtype)
    if setting != "penalties":
        return net
    layers = [
        bp.Layer(*shape, name, l1=0.01, l2=0.1)
        for *shape, name in zip(sizes, sizes[1:], activations, strict=False)
    ]
    penalized = bp.Network(*layers, loss=loss, dtype=dtype)
    penalized.parameters[...] = net.parameters
    return penalized


def trained(shape, dtype, setting, threads, whole=False, epochs=2, batch=None):
    """Parameters, states and history, by arrays or by an iterable of the same batches."""
    sizes, activations, loss, rows = shape
    net = network_of(setting, sizes, activations, loss, dtype)
    x, y = make_data(net, rows)
    optimizer = bp.Adam(0.02)
    settings = settings_of(setting, net, rows)
    batch = batch or rows
    if whole:
        weights = settings.pop("sample_weight", np.ones(rows))
        parts = [slice(first, first + batch) for first in range(0, rows, batch)]
        source = [(x[part], y[part], weights[part]) for part in parts]
        history = net.fit(source, None, optimizer, epochs=epochs, threads=threads, **settings)
    else:
        history = net.fit(
            x, y, optimizer, epochs=epochs, batch_size=batch, shuffle=False, threads=threads, **settings
        )
    figures = {key: history[key] for key in history if key not in ("lr", "seconds")}
    return net.parameters.copy(), [state.copy() for state in optimizer.state], figures


@pytest.mark.parametrize("setting", ["", "weights", "no weight", "norms", "penalties"])
@pytest.mark.parametrize("batch", [None, 600])
def test_the_ordinary_way_has_the_same_bits(setting, batch, dtype):
    """And the same history, with a short last batch that is one block, too."""
    shape = SHAPES[3] if batch is None else ((4, 20, 3), ("tanh", "sigmoid"), "squared_error", 1500)
    way = trained(shape, dtype, setting, 1, batch=batch)
    ordinary = trained(shape, dtype, setting, 2, whole=True, batch=batch)
    assert_same_bits(way[0], ordinary[0])
    for state, expected in zip(way[1], ordinary[1], strict=True):
        assert_same_bits(state, expected)
    assert repr(way[2]) == repr(ordinary[2])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("setting", ["", "weights", "mask", "norms", "penalties"])
def test_same_bits_for_any_number_of_threads(shape, setting, dtype):
    one = trained(shape, dtype, setting, 1)
    for threads in (2, 3, 17):
        other = trained(shape, dtype, setting, threads)
        assert_same_bits(other[0], one[0], f"{threads} threads")
        for state, expected in zip(other[1], one[1], strict=True):
            assert_same_bits(state, expected, f"state with {threads} threads")
        assert repr(other[2]) == repr(one[2]), f"{threads} threads"


def laid_out(way, a):
    """The same numbers, elsewhere in memory or in another type."""
    if way == "columns first":
        return np.asfortranarray(a)
    if way == "backwards":
        return a[::-1].copy()[::-1]
    if way == "every second row":
        return np.repeat(a, 2, axis=0)[::2]
    if way == "other byte order":
        return a.astype(a.dtype.newbyteorder())
    if way == "unaligned":
        moved = np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape)
        assert not moved.flags.aligned
        return moved
    return a.astype("float64")


@pytest.mark.parametrize("inputs", [2, 4, 7, 17])
@pytest.mark.parametrize(
    "way", ["columns first", "backwards", "every second row", "other byte order", "unaligned", "float64"]
)
def test_samples_may_lie_in_any_way(inputs, way, dtype):
    """x, y or both need no conversion, or do; in pieces of 16 bytes, and what is left of a row."""

    def run(x, y):
        net = make_network((inputs, 6, 5), ("tanh", "identity"), "squared_error", dtype)
        net.fit(x, y, bp.SGD(0.01), epochs=2, batch_size=600, rng=5)
        return net.parameters

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(900, inputs)).astype(dtype), rng.normal(size=(900, 5)).astype(dtype)
    expected = run(x, y)
    assert_same_bits(run(laid_out(way, x), y), expected, "x")
    assert_same_bits(run(x, laid_out(way, y)), expected, "y")
    assert_same_bits(run(laid_out(way, x), laid_out(way, y)), expected, "both")


@pytest.mark.parametrize("threads", [*range(1, 18), 32, 64])
def test_same_bits_for_each_number_of_threads(threads, dtype):
    """Shuffled, 9 groups of float32 and 18 of float64, a short one at the end."""

    def run(threads):
        net = make_network((5, 12, 20, 3), ("tanh", "relu", "softmax"), "cross_entropy", dtype)
        x, y = make_data(net, 2200)
        labels = y.argmax(axis=1)
        held_out = (x[:300], labels[:300])
        history = net.fit(
            x, labels, bp.SGD(0.1), epochs=2, batch_size=2100, threads=threads, rng=3, validation=held_out
        )  # fmt: skip
        return net.parameters.tobytes(), [history[key] for key in ("loss", "accuracy", "validation_loss")]

    assert run(threads) == run(1)


def test_divergence_names_the_layer(dtype):
    net = make_network((3, 8, 2), ("relu", "identity"), "squared_error", dtype)
    x, y = make_data(net, 1000)
    before = net.parameters.copy()
    x[777] = np.finfo(dtype).max
    with pytest.raises(bp.DivergenceError, match=r"epoch 1|first epoch|layer"):
        net.fit(x, y, bp.SGD(0.1), epochs=3, batch_size=1000, threads=2)
    assert_same_bits(net.parameters, before)


def test_accuracy_counts_every_sample_once(dtype):
    net = make_network((3, 8, 4), ("tanh", "softmax"), "cross_entropy", dtype)
    x, y = make_data(net, 1001)
    labels = y.argmax(axis=1)
    expected = net.accuracy(x, labels)
    history = net.fit(x, labels, bp.SGD(1e-3), epochs=1, batch_size=1001, threads=2)
    assert history["accuracy"] == [expected]
