"""Live views, the flat vector, and what training that diverges leaves behind."""

import math

import numpy as np
import pytest
import reference
from conftest import assert_same_bits, make_data, make_network

import backprop as bp


def test_parameters_hold_each_parameter_once_in_storage_order(dtype):
    net = make_network((3, 5, 2), "tanh", dtype=dtype, bias=(True, False))
    vector = net.parameters
    assert vector.shape == (3 * 5 + 5 + 5 * 2,)
    assert vector.dtype == np.dtype(dtype)
    assert vector.flags.writeable
    vector[...] = np.arange(vector.size)
    parts = [net.layers[0].weights, net.layers[0].bias, net.layers[1].weights]
    assert sorted(np.concatenate([part.ravel() for part in parts])) == list(range(30))
    assert net.layers[1].bias is None
    assert np.shares_memory(vector, net.layers[1].weights)


def test_equal_networks_have_equal_vectors(dtype):
    one, other = (bp.Network.dense(17, 33, 5, dtype=dtype, seed=4) for _ in range(2))
    assert_same_bits(one.parameters, other.parameters)
    x, y = make_data(one, 30)
    for net in (one, other):
        net.fit(x, y, bp.SGD(0.1), epochs=2, batch_size=7)
    assert_same_bits(one.parameters, other.parameters)


def test_views_are_live_before_and_after_every_call(small):
    net, x, y = small.net, small.x, small.y
    weights, bias, vector = net.layers[0].weights, net.layers[1].bias, net.parameters
    for train in (
        lambda: net.step(x, y, bp.SGD(0.5)),
        lambda: net.fit(x, y, bp.SGD(0.5), epochs=2, batch_size=2),
    ):
        before = weights.copy(), bias.copy(), vector.copy()
        train()
        for view, old in zip((weights, bias, vector), before, strict=True):
            assert (view != old).any()
        assert_same_bits(weights, net.layers[0].weights)
        assert_same_bits(bias, net.layers[1].bias)
        assert_same_bits(vector, net.parameters)
    out = net(x)
    weights[0, 1] += 1
    assert (net(x) != out).any()
    bias[...] = 0
    vector[...] = 0
    assert not weights.any()
    assert_same_bits(net(x), np.full((5, 2), 0.5))


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, list])
def test_assigning_copies_in(small, kind):
    layer = small.net.layers[0]
    values = np.arange(12).reshape(4, 3)
    given = values.tolist() if kind is list else values.astype(kind)
    view = layer.weights
    layer.weights = given
    assert (view == values).all()
    layer.weights[...] = 2 * values
    assert (view == 2 * values).all()
    layer.bias = given[0] + [1] if kind is list else np.append(given[0], 1).astype(kind)
    assert layer.bias.tolist() == [0, 1, 2, 1]
    if kind is not list:
        given[...] = 7
        assert (view == 2 * values).all()
    x = np.array([1.0, 0.0, 0.0])
    assert small.net.trace(x).layers[0].z.tolist() == [0, 7, 14, 19]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        (np.ones((3, 4)), ValueError),
        (np.ones(12), ValueError),
        (1.0, ValueError),
        (np.ones((4, 3), complex), TypeError),
        (np.full((4, 3), "1"), TypeError),
        ([[object()] * 3] * 4, TypeError),
        (None, TypeError),
    ],
)
def test_assigning_the_wrong_thing_changes_nothing(small, values, error):
    before = small.net.parameters.copy()
    with pytest.raises(error):
        small.net.layers[0].weights = values
    assert_same_bits(small.net.parameters, before)


def test_a_layer_alone_has_no_parameters():
    layer = bp.Layer(3, 2)
    with pytest.raises(AttributeError, match="Network"):
        _ = layer.weights
    net = bp.Network(layer)
    assert net.layers[0] is layer
    assert layer.weights.shape == (2, 3)
    with pytest.raises(ValueError, match="already"):
        bp.Network(layer)


@pytest.mark.parametrize("name", reference.ACTIVATIONS)
def test_auto_init_is_he_before_the_relu_family_and_glorot_before_the_rest(name):
    """The spread of 200 · 300 weights is known to 1/√(2 · 60000) = 0.3 %; 1.5 % is five of that."""
    net = bp.Network(bp.Layer(200, 300, name), seed=0)
    he = name in ("relu", "leaky_relu", "elu", "gelu", "silu")
    variance = 2 / 200 if he else 2 / 500
    weights = net.layers[0].weights.astype(float)
    assert weights.std() == pytest.approx(math.sqrt(variance), rel=0.015)
    assert abs(weights.mean()) < 5 * math.sqrt(variance / weights.size)
    # Normal, not uniform: beyond two standard deviations lie 4.6 % (uniform: none).
    assert 0.04 < (np.abs(weights) > 2 * math.sqrt(variance)).mean() < 0.051
    assert not net.layers[0].bias.any()


def test_both_dtypes_of_one_seed_start_from_the_same_draws():
    wide, narrow = (bp.Network.dense(6, 5, 4, dtype=d, seed=3) for d in ("float64", "float32"))
    assert_same_bits(wide.parameters.astype(np.float32), narrow.parameters)
    assert wide.parameters.any()
    other = bp.Network.dense(6, 5, 4, dtype="float64", seed=4)
    assert (other.parameters != wide.parameters).any()


# Divergence.


def diverging(dtype, outputs=1):
    """x = 1 and y = 0, 24 times: w ← (1 - 2 lr) w grows 1.5 times in a step of lr = 1.25.

    With momentum 0.9 and lr = 2.5 it grows 2.8 times. It takes more than 43 steps to overflow.
    """
    net = bp.Network(bp.Layer(1, outputs, "identity", bias=False), dtype=dtype, seed=0)
    return net, np.ones((24, 1)), np.zeros((24, outputs))


@pytest.mark.parametrize(("lr", "momentum"), [(1.25, 0.0), (2.5, 0.9)])
@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("outputs", [1, 20])
def test_divergence_keeps_the_last_finite_epoch(dtype, lr, momentum, batch_size, outputs):
    net, x, y = diverging(dtype, outputs)
    optimizer = bp.SGD(lr, momentum=momentum)
    kept = [(net.parameters.copy(), optimizer.steps)]

    def keep(net, record):
        assert math.isfinite(record["loss"])
        kept.append((net.parameters.copy(), optimizer.steps))

    with pytest.raises(bp.DivergenceError) as caught:
        net.fit(
            x, y, optimizer, epochs=10_000, batch_size=batch_size, shuffle=False, callbacks=[keep]
        )
    assert isinstance(caught.value, ArithmeticError)
    assert caught.value.epoch == len(kept)
    assert caught.value.epoch > 1
    assert caught.value.layer == 2  # the input layer is layer 1
    assert f"epoch {caught.value.epoch}" in str(caught.value)
    assert f"layer {caught.value.layer}" in str(caught.value)
    assert_same_bits(net.parameters, kept[-1][0])
    assert np.isfinite(net.parameters).all()
    assert optimizer.steps == kept[-1][1] == 24 // batch_size * (len(kept) - 1)
    for state in optimizer.state:
        assert np.isfinite(state).all()


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("outputs", [2, 9, 17, 33])
def test_only_numbers_of_the_network_diverge(dtype, outputs, batch_size):
    """Three hidden nodes stand still, as no output looks at them. The engine fills them up to a whole vector,
    for which the numbers that follow their weights, the bias b, would give ∂C₀/∂w ∝ b² x: it overflows."""
    large = float(np.finfo(dtype).max) ** 0.4
    net = bp.Network(bp.Layer(1, 3, "identity"), bp.Layer(3, outputs, "identity"), dtype=dtype)
    net.parameters[:] = 0
    net.layers[1].bias[:] = large
    after = net.layers[1].bias * 0.5 ** (2 // batch_size)
    net.fit(np.full((2, 1), large), np.zeros((2, outputs)), bp.SGD(0.25), batch_size=batch_size)
    assert_same_bits(net.layers[1].bias, after)
    assert np.count_nonzero(net.parameters) == outputs


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("hidden", [7, 15])
def test_only_nodes_of_the_network_diverge(dtype, hidden, batch_size):
    """The output is what it should be, and moves nothing. Were it filled up with nodes that are not 0 as they
    should be, σ(0) = 1/2, their weights would overflow."""
    large = float(np.finfo(dtype).max) ** 0.7
    net = bp.Network(bp.Layer(1, hidden, "identity"), bp.Layer(hidden, 1), dtype=dtype)
    net.parameters[:] = 0
    net.layers[0].weights[:] = 1
    before = net.parameters.copy()
    net.fit(np.full((4, 1), large), np.full((4, 1), 0.5), bp.SGD(large), batch_size=batch_size)
    assert_same_bits(net.parameters, before)


def test_divergence_in_one_call_is_divergence_epoch_by_epoch(dtype):
    """Without callbacks, epochs run in one call of the engine: the same epoch and weights."""
    found = []
    for callbacks in ([], [lambda net, record: None]):
        net, x, y = diverging(dtype)
        with pytest.raises(bp.DivergenceError) as caught:
            net.fit(x, y, bp.SGD(1.25), epochs=10_000, batch_size=8, callbacks=callbacks)
        found.append((caught.value.epoch, caught.value.layer, net.parameters.tobytes()))
    assert found[0] == found[1]


def test_divergence_in_the_first_epoch_keeps_the_start(dtype):
    net, x, y = diverging(dtype)
    before = net.parameters.copy()
    x[7] = np.finfo(dtype).max  # its products with weights add up to infinity
    with pytest.raises(bp.DivergenceError) as caught:
        net.fit(x, y, bp.SGD(0.01), batch_size=4, epochs=3)
    assert (caught.value.epoch, caught.value.layer) == (1, 2)
    assert_same_bits(net.parameters, before)
    x[7] = 0
    net.fit(x, y, bp.SGD(0.01))
    assert (net.parameters != before).any()


@pytest.mark.parametrize("batch_size", [1, 5, 32])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("hidden", [4, 50])
def test_divergence_names_the_first_layer_that_is_not_finite(batch_size, momentum, hidden):
    """tanh keeps the first layer's outputs finite: only the second one's are not."""
    net = bp.Network(
        bp.Layer(3, hidden, "tanh"), bp.Layer(hidden, 2, "identity"), dtype="float64", seed=0
    )
    x, y = make_data(net, 24)
    net.layers[1].bias[...] = 1e200
    net.layers[1].weights[...] = 0
    before = net.parameters.copy()
    with pytest.raises(bp.DivergenceError) as caught:
        net.fit(x, y, bp.SGD(1e-3, momentum=momentum), batch_size=batch_size)
    assert (caught.value.epoch, caught.value.layer) == (1, 3)
    assert_same_bits(net.parameters, before)


def test_divergence_counts_epochs_of_this_fit(small):
    """The second call counts from one again."""
    small.net.fit(small.x, small.y, bp.SGD(0.1), epochs=4)
    small.net.layers[-1].bias[0] = np.nan
    with pytest.raises(bp.DivergenceError) as caught:
        small.net.fit(small.x, small.y, bp.SGD(0.1), epochs=4)
    assert caught.value.epoch == 1


# Of (300, 700), drawn in pieces: the standard deviation, or, negative, the limit of uniform numbers.
FIRST_WEIGHTS = {
    "auto": (2 / 1000) ** 0.5,
    "he": (2 / 700) ** 0.5,
    "he_uniform": -((6 / 700) ** 0.5),
    "glorot": (2 / 1000) ** 0.5,
    "xavier": (2 / 1000) ** 0.5,
    "glorot_uniform": -((6 / 1000) ** 0.5),
    "lecun": (1 / 700) ** 0.5,
    "normal": 1.0,
    "uniform": -1.0,
    "zeros": 0.0,
}


@pytest.mark.parametrize("init", FIRST_WEIGHTS)
def test_first_weights(init):
    """The numbers that a generator of this seed gives, whatever the dtype; biases are 0."""
    rng, width = np.random.default_rng(3), FIRST_WEIGHTS[init]
    expected = rng.normal(0, width, (300, 700)) if width >= 0 else rng.uniform(width, -width, (300, 700))
    for dtype in ("float32", "float64"):
        layer = bp.Layer(700, 300, "tanh", init=init)
        bp.Network(layer, dtype=dtype, seed=3)
        assert_same_bits(layer.weights, expected.astype(dtype))
        assert not layer.bias.any()


def test_first_weights_before_relu():
    layers = [bp.Layer(7, 3, "relu", init=init) for init in ("auto", "he")]
    for layer in layers:
        bp.Network(layer, seed=3)
    assert_same_bits(layers[0].weights, layers[1].weights)
