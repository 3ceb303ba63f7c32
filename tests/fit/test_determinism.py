"""The same bits: for any number of threads, and for a sample alone or in company."""

import numpy as np
import pytest
import reference
from conftest import assert_same_bits, make_data, make_network

import backprop as bp

# sizes, activations, loss, batch size
SHAPES = [
    ((784, 30, 10), "sigmoid", "squared_error", 10),
    ((784, 30, 10), "sigmoid", "squared_error", 1),
    ((784, 30, 10), "sigmoid", "squared_error", 128),
    ((17, 33, 1), ("tanh", "sigmoid"), "binary_cross_entropy", 33),
    ((17, 33, 1), ("relu", "identity"), "huber", 1),
    ((17, 33, 1), ("gelu", "sigmoid"), "mean_squared_error", 10),
    ((50, 40, 7), ("silu", "softmax"), "cross_entropy", 33),
    ((50, 40, 7), ("softmax", "softmax"), "cross_entropy", 1),
    ((300, 64, 48, 12), ("elu", "softmax", "softplus"), "huber", 33),
    ((1, 1), "tanh", "squared_error", 10),
    ((3, 129, 2), ("leaky_relu", "identity"), "squared_error", 128),
    # One sample a step has ways of its own: for layers of a panel at most, and for wider ones.
    ((2, 3, 1), ("tanh", "sigmoid"), "binary_cross_entropy", 1),
    ((7, 8, 5, 8, 3), ("gelu", "softmax", "silu", "softmax"), "cross_entropy", 1),
    ((128, 16, 9), ("elu", "softplus"), "mean_squared_error", 1),
    ((129, 4, 4), ("relu", "softmax"), "huber", 1),
    ((5, 4, 17, 3), ("leaky_relu", "sigmoid", "sigmoid"), "cross_entropy", 1),
    ((40, 100, 60), ("tanh", "identity"), "huber", 1),
    ((6, 5), ("softmax",), "binary_cross_entropy", 1),
]


def trained(shape, dtype, threads, settings):
    """Parameters, optimizer state and history after two epochs with a short last batch."""
    sizes, activations, loss, batch = shape
    net = make_network(sizes, activations, loss, dtype)
    n = min(2 * batch + batch // 2 + 1, 300)
    x, y = make_data(net, n)
    optimizer = bp.SGD(**settings)
    history = net.fit(x, y, optimizer, epochs=2, batch_size=batch, threads=threads, validation=(x[:7], y[:7]))
    figures = [history[key] for key in history if key not in ("lr", "seconds")]
    return net.parameters, optimizer.state, figures


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "settings", [{"lr": 0.05}, {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.01}], ids=str
)
def test_same_bits_for_any_number_of_threads(shape, settings, dtype):
    parameters, state, figures = trained(shape, dtype, 1, settings)
    start = make_network(*shape[:3], dtype).parameters
    assert parameters.tobytes() != start.tobytes()
    for threads in (2, 3, 7):
        others = trained(shape, dtype, threads, settings)
        assert_same_bits(parameters, others[0], f"{threads} threads")
        for one, other in zip(state, others[1], strict=True):
            assert_same_bits(one, other, f"state with {threads} threads")
        assert figures == others[2], f"{threads} threads"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "settings", [{"lr": 0.05}, {"lr": 0.05, "weight_decay": 0.01}, {"lr": 0.01, "momentum": 0.9}],
    ids=str,
)  # fmt: skip
def test_fit_is_one_step_after_the_other(shape, settings, dtype):
    """However fit goes about it: a batch, a short last one, one sample at a time."""
    sizes, activations, loss, batch = shape
    nets = [make_network(sizes, activations, loss, dtype) for _ in range(3)]
    n = min(2 * batch + batch // 2 + 1, 300)
    x, y = make_data(nets[0], n)
    one, other, threaded = (bp.SGD(**settings) for _ in range(3))
    for _ in range(2):
        for start in range(0, n, batch):
            nets[0].step(x[start : start + batch], y[start : start + batch], one)
    nets[1].fit(x, y, other, epochs=2, batch_size=batch, shuffle=False, threads=1)
    nets[2].fit(x, y, threaded, epochs=2, batch_size=batch, shuffle=False, threads=3)
    assert_same_bits(nets[1].parameters, nets[0].parameters)
    assert_same_bits(nets[2].parameters, nets[0].parameters)
    for state, expected in zip(other.state, one.state, strict=True):
        assert_same_bits(state, expected)


def test_threads_none_gives_the_same_bits(dtype):
    """Large enough for the automatic choice to be more than one thread."""
    shape, settings = ((784, 300, 10), "sigmoid", "squared_error", 100), {"lr": 0.05}
    automatic = trained(shape, dtype, None, settings)
    assert_same_bits(automatic[0], trained(shape, dtype, 1, settings)[0])
    assert automatic[2] == trained(shape, dtype, 2, settings)[2]


@pytest.mark.parametrize("name", reference.ACTIVATIONS)
@pytest.mark.parametrize("width", [1, 5, 16, 17, 33])
def test_a_sample_alone_gives_the_same_bits_as_in_any_batch(name, width, dtype):
    if name == "softmax" and width == 1:
        width = 2
    net = make_network((19, width, 6), (name, name), dtype=dtype)
    x, y = make_data(net, 150)
    whole, trace = net(x), net.trace(x).layers[0].z
    assert np.ptp(whole) > 0
    for n in (0, 1, 63, 149):
        assert_same_bits(net(x[n]), whole[n], "alone")
        assert_same_bits(net(x[n : n + 1]), whole[n : n + 1], "a batch of one")
        assert_same_bits(net.trace(x[n]).layers[0].z, trace[n], "z alone")
    for size in (2, 3, 5, 6, 7, 12, 13, 16, 33, 127, 128, 129):
        assert_same_bits(net(x[1 : 1 + size]), whole[1 : 1 + size], f"a batch of {size}")
    backwards = net(x[::-1])
    assert_same_bits(backwards[::-1], whole, "the other way round")
    assert_same_bits(net.losses(x[5:50], y[5:50]), net.losses(x, y)[5:50], "losses")


@pytest.mark.parametrize("inputs", [255, 256, 257, 784, 1000])
def test_a_long_sum_is_the_same_for_one_sample_and_for_many(inputs, dtype):
    net = make_network((inputs, 35), "identity", dtype=dtype)
    x, _ = make_data(net, 40)
    whole = net(x)
    for n in (0, 17, 39):
        assert_same_bits(net(x[n]), whole[n])


@pytest.mark.parametrize("shape", SHAPES[3:8], ids=str)
def test_per_sample_gradients_are_the_same_alone_or_together(shape, dtype):
    sizes, activations, loss, _ = shape
    net = make_network(sizes, activations, loss, dtype)
    x, y = make_data(net, 9)
    each = net.gradient(x, y, per_sample=True)
    assert each.parameters.any()
    for n in (0, 4, 8):
        alone = net.gradient(x[n], y[n], per_sample=True)
        assert_same_bits(alone.parameters, each.parameters[n])
        assert_same_bits(alone.inputs, each.inputs[n])


def test_evaluating_does_not_change_what_training_does(dtype):
    """Nothing of a call is left behind for the next one."""
    nets = [make_network((20, 9, 4), ("tanh", "softmax"), "cross_entropy", dtype) for _ in range(2)]
    x, y = make_data(nets[0], 60)
    optimizers = bp.SGD(0.1), bp.SGD(0.1)
    for _ in range(3):
        for net, optimizer in zip(nets, optimizers, strict=True):
            net.fit(x, y, optimizer, batch_size=9)
        nets[0](x), nets[0].loss(x[:1], y[:1]), nets[0].gradient(x[:50], y[:50])
        nets[0].gradient(x, y, per_sample=True), nets[0].trace(x, y), nets[0].accuracy(x, y)
    assert_same_bits(nets[0].parameters, nets[1].parameters)


RULES = {
    "nesterov": lambda: bp.SGD(0.05, 0.9, nesterov=True, weight_decay=0.01),
    "decay": lambda: bp.SGD(bp.schedules.Exponential(0.05, 0.99), weight_decay=0.01),
    "adam": lambda: bp.Adam(bp.schedules.Exponential(0.01, 0.99), weight_decay=0.01),
    "adamw": lambda: bp.AdamW(0.01, weight_decay=0.1, clip_value=0.02),
    "rmsprop": lambda: bp.RMSprop(0.01),
    "rmsprop with momentum": lambda: bp.RMSprop(0.01, momentum=0.5, weight_decay=0.01),
}


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[3] == 1], ids=str)
@pytest.mark.parametrize("rule", RULES)
def test_a_rule_on_one_sample_at_a_time_has_the_bits_of_steps(shape, rule, dtype):
    """Of the smallest networks many such steps are one call of a kernel."""
    nets = [make_network(*shape[:3], dtype) for _ in range(2)]
    x, y = make_data(nets[0], 70)  # more than are loaded together
    stepped, fitted = (RULES[rule]() for _ in range(2))
    losses = []
    for _ in range(2):
        for n in range(70):
            losses.append(nets[0].step(x[n : n + 1], y[n : n + 1], stepped))
    history = nets[1].fit(x, y, fitted, epochs=2, batch_size=1, shuffle=False, threads=1, record="steps")
    assert_same_bits(nets[0].parameters, nets[1].parameters, rule)
    for one, other in zip(stepped.state, fitted.state, strict=True):
        assert_same_bits(one, other, rule)
    assert stepped.steps == fitted.steps == 140
    np.testing.assert_array_equal(history.steps["loss"], losses)


@pytest.mark.parametrize("rule", [*RULES, "plain"])
@pytest.mark.parametrize("n", [5, 70])
def test_one_sample_at_a_time_in_an_order_of_its_own_has_the_bits_of_batches(rule, n, dtype):
    """Few samples are converted once, then copied in the order of the epoch; a mask is not for this way."""
    nets = [make_network((18, 5, 2), ("tanh", "sigmoid"), "huber", dtype) for _ in range(2)]
    x, y = make_data(nets[0], n)
    masks, losses = (None, np.ones(y.shape, bool)), []
    weights = np.random.default_rng(0).choice(
        [0.5, 1.0, 2.0], n
    )  # by which a rate is divided without rounding
    weights[[3, n - 1]] = 0
    for net, mask in zip(nets, masks, strict=True):
        optimizer = bp.SGD(0.05) if rule == "plain" else RULES[rule]()
        history = net.fit(
            x, y, optimizer, epochs=3, batch_size=1, threads=1, rng=3, sample_weight=weights, target_mask=mask
        )
        losses.append(history["loss"])
    if rule != "plain":  # which adds up the losses of many steps at a time
        assert losses[0] == losses[1]
    assert_same_bits(nets[0].parameters, nets[1].parameters, rule)


def test_a_step_of_one_sample_that_diverges_is_named_alike():
    """Where many steps are one call of a kernel, the layer is that of the step that diverges."""
    errors = []
    for mask in (None, np.ones((40, 1), bool)):
        net = make_network((2, 3, 1), ("tanh", "identity"), "squared_error", "float32")
        x, y = make_data(net, 40)
        before = net.parameters.copy()
        with pytest.raises(bp.DivergenceError) as caught:
            net.fit(1e9 * x, 1e9 * y, bp.SGD(9.0, 0.9), epochs=9, batch_size=1, rng=0, target_mask=mask)
        assert_same_bits(before, net.parameters, "parameters before the epoch that diverged")
        errors.append((caught.value.epoch, caught.value.layer, net.rng.bit_generator.state))
    assert errors[0] == errors[1]


@pytest.mark.parametrize("first", [0, 5, 64, 90])
def test_the_layer_is_that_of_the_step_wherever_in_an_epoch_it_diverges(first):
    """Also where steps before it in the epoch have been done by other calls of the kernel."""
    layers = []
    for mask in (None, np.ones((100, 1), bool)):
        net = make_network((2, 3, 1), ("tanh", "identity"), "squared_error", "float32")
        x, y = make_data(net, 100)
        y[first:] = 1e25  # of which the square is infinite, and the step's weights are not
        with pytest.raises(bp.DivergenceError) as caught:
            net.fit(x, y, bp.SGD(0.1), epochs=1, batch_size=1, shuffle=False, target_mask=mask)
        layers.append(caught.value.layer)
    assert layers[0] == layers[1]
