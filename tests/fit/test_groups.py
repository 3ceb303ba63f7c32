"""Large batches of networks that are not large: each thread takes groups of samples through all layers.

`step`, and `fit` on an iterable of whole batches, go the ordinary way: the bits are the same.
"""

import numpy as np
import pytest
from conftest import assert_same_bits, make_data, make_network

import backprop as bp

SHAPES = [
    ((33, 40, 3), ("tanh", "sigmoid"), "squared_error", 1024),
    ((40, 50, 35, 5), ("relu", "softmax", "softmax"), "cross_entropy", 1535),
    ((34, 21, 20), ("elu", "sigmoid"), "binary_cross_entropy", 10240),  # groups of two blocks
    ((7, 20, 4), ("tanh", "sigmoid"), "mean_squared_error", 900),  # narrow, but not for lanes with dropout
]
OF_LAYERS = ["penalties", "dropout", "frozen", "rates", "weight masks"]
SETTINGS = ["", "weights", "mask", "norms", "labels", *OF_LAYERS]


def network_of(setting, shape, dtype):
    sizes, activations, loss, _ = shape
    layers = []
    for n, activation in enumerate(activations):
        options = {}
        if setting == "penalties":
            options = {"l1": 0.01, "l2": 0.1}
        if setting == "dropout" and n + 1 < len(activations):
            options["dropout"] = 0.3
        if setting == "weight masks":
            options["mask"] = np.random.default_rng(n).random((sizes[n + 1], sizes[n])) < 0.5
        layers.append(bp.Layer(sizes[n], sizes[n + 1], activation, **options))
    net = bp.Network(*layers, loss=loss, dtype=dtype, seed=3)
    if setting in ("frozen", "rates"):
        net.layers[0].lr = 0 if setting == "frozen" else 0.25
    return net


def trained(shape, dtype, setting, threads, source=None):
    """Parameters, states and history, of arrays, or of an iterable or a sparse matrix of the same batch."""
    net = network_of(setting, shape, dtype)
    rows = shape[-1]
    x, y = make_data(net, rows)
    if setting == "labels":
        y = y.argmax(axis=1)
    rng = np.random.default_rng(5)
    settings = {}
    if setting == "weights":
        settings["sample_weight"] = rng.uniform(0, 3, rows)
    if setting == "mask":
        settings["target_mask"] = rng.random(y.shape) < 0.7
    if setting == "norms":
        settings["norms"] = True
    optimizer = bp.SGD(0.05) if setting == "frozen" else bp.Adam(0.02)
    if source == "iterable":
        batches = [(x, y, settings.pop("sample_weight", np.ones(rows)))]
        history = net.fit(batches, None, optimizer, epochs=2, threads=threads, rng=7, **settings)
    else:
        x = x if source is None else pytest.importorskip("scipy.sparse").csr_array(x)
        held_out = (x[:200], y[:200])
        history = net.fit(
            x, y, optimizer, epochs=2, batch_size=rows, shuffle=False, threads=threads, rng=7,
            validation=held_out, **settings,
        )  # fmt: skip
    figures = {key: history[key] for key in history if key not in ("lr", "seconds")}
    return [net.parameters.copy(), *(state.copy() for state in optimizer.state)], figures


def assert_same(one, other, what=""):
    for a, b in zip(one, other, strict=True):
        assert_same_bits(a, b, what)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("setting", [name for name in SETTINGS if name not in ("mask", "labels")])
def test_the_ordinary_way_has_the_same_bits(shape, setting, dtype):
    way, figures = trained(shape, dtype, setting, 2)
    # an iterable has other random numbers
    ordinary, expected = trained(shape, dtype, setting, 1, "sparse" if setting == "dropout" else "iterable")
    assert_same(way, ordinary)
    assert {key: repr(figures[key]) for key in expected} == {key: repr(expected[key]) for key in expected}


@pytest.mark.parametrize("shape", SHAPES[:3], ids=str)
@pytest.mark.parametrize("setting", SETTINGS)
def test_same_bits_for_any_number_of_threads(shape, setting, dtype):
    if setting in ("mask", "labels") and shape[2] != "binary_cross_entropy":
        shape = (*shape[:2], "squared_error", shape[3]) if setting == "mask" else shape
    one = trained(shape, dtype, setting, 1)
    for threads in (2, 3, 17):
        other = trained(shape, dtype, setting, threads)
        assert_same(other[0], one[0], f"{threads} threads")
        assert repr(other[1]) == repr(one[1]), f"{threads} threads"


@pytest.mark.parametrize("threads", [*range(1, 18), 32, 64])
def test_same_bits_for_each_number_of_threads(threads, dtype):
    """Shuffled, with a last batch that is short and one block."""

    def run(threads):
        net = make_network((33, 40, 12), ("relu", "softmax"), "cross_entropy", dtype)
        x, y = make_data(net, 2200)
        history = net.fit(
            x, y, bp.AdamW(0.01, clip_norm=0.1), epochs=2, batch_size=1300, threads=threads, rng=3
        )
        return net.parameters.tobytes(), history["loss"]

    assert run(threads) == run(1)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: bp.SGD(0.05),
        lambda: bp.SGD(0.01, momentum=0.9, nesterov=True, weight_decay=0.01),
        lambda: bp.Adam(0.01, clip_value=1e-3),
        lambda: bp.SGD(bp.schedules.Exponential(0.2, 0.5)),
        lambda: bp.RMSprop(0.01, momentum=0.5),
        lambda: bp.AdamW(0.01, clip_norm=0.01),
    ],
)
def test_fit_takes_the_step_of_step(optimizer, dtype):
    nets = [make_network((33, 40, 3), ("tanh", "identity"), "huber", dtype) for _ in range(2)]
    one, other = optimizer(), optimizer()
    x, y = make_data(nets[0], 1100)
    losses = [nets[0].step(x, y, one) for _ in range(3)]
    history = nets[1].fit(x, y, other, epochs=3, batch_size=1100, shuffle=False, threads=2)
    assert_same([nets[1].parameters, *other.state], [nets[0].parameters, *one.state])
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-12)


def test_divergence_names_the_layer(dtype):
    net = make_network((33, 40, 2), ("relu", "identity"), "squared_error", dtype)
    x, y = make_data(net, 1200)
    before = net.parameters.copy()
    x[777] = np.finfo(dtype).max
    with pytest.raises(bp.DivergenceError, match=r"epoch 1|first epoch|layer"):
        net.fit(x, y, bp.SGD(0.1), epochs=3, batch_size=1200, threads=2)
    assert_same_bits(net.parameters, before)


def test_gradient_is_the_sum_in_groups(dtype):
    """Blocks of 128 rows of 1024: weights of samples add up to a power of two in each, and in all."""
    net = make_network((33, 40, 3), ("tanh", "identity"), "squared_error", dtype)
    x, y = make_data(net, 1024)
    whole = net.gradient(x, y).parameters
    total = np.zeros_like(whole)
    for first in range(0, 1024, 128):
        total = total + net.gradient(x[first : first + 128], y[first : first + 128]).parameters / 8
    assert_same_bits(whole, total)
