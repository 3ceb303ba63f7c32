"""Any network, data, layout and settings, against the oracle of reference.py.

BACKPROP_EXAMPLES sets how many examples hypothesis draws; ``make fuzz`` draws thousands.
"""

import os
import re

import numpy as np
import reference
from cases import OUTPUTS_AND_LOSSES, POSITIVE_OUTPUTS
from conftest import ROUNDOFF, assert_same_bits, make_network, oracle_layers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import backprop as bp

EXAMPLES = int(os.environ.get("BACKPROP_EXAMPLES", "40"))
SMOOTH = tuple(name for name in reference.ACTIVATIONS if name not in ("relu", "leaky_relu", "elu"))
KINDS = ("f4", "f8", ">f4", ">f8", "f2", ">f2", "i1", "u1", "<i2", ">i4", "<u8", "?")
WIDTHS = st.one_of(st.integers(1, 9), st.sampled_from([15, 16, 17, 24, 31, 32, 33]))


def lay_out(draw, array):
    """The same numbers in memory that lies otherwise."""
    kind = draw(st.integers(0, 6))
    if kind == 1:
        return np.asfortranarray(array)
    if kind == 2:
        return array[::-1].copy()[::-1]
    if kind == 3:
        return np.repeat(np.repeat(array, 2, axis=0), 3, axis=1)[::2, ::3]
    if kind == 4:
        return np.pad(array, 1)[1:-1, 1:-1]
    if kind == 5:  # unaligned
        buffer = np.zeros(array.nbytes + 1, np.uint8)
        view = buffer[1:].view(array.dtype).reshape(array.shape)
        view[...] = array
        return view
    return array.tolist() if kind == 6 else array


@st.composite
def problems(draw):
    """A network, x and y as handed to it, and both as plain float64."""
    output, loss = draw(st.sampled_from(OUTPUTS_AND_LOSSES))
    sizes = draw(st.lists(WIDTHS, min_size=2, max_size=5))
    if output == "softmax" and sizes[-1] == 1:
        sizes[-1] = 2  # of one node it is always 1, where the logarithm of 1 - a is not defined
    hidden = [draw(st.sampled_from(SMOOTH)) for _ in sizes[2:]]
    biases = [draw(st.booleans()) for _ in sizes[1:]]
    dtype = draw(st.sampled_from(["float32", "float64"]))
    seed = draw(st.integers(0, 2**16))
    net = make_network(sizes, (*hidden, output), loss, dtype, biases, seed=seed)
    rng = np.random.default_rng(seed + 1)
    n = draw(st.integers(1, 20))
    kind = np.dtype(draw(st.sampled_from(KINDS)))
    x = rng.normal(size=(n, sizes[0])) if kind.kind == "f" else rng.integers(0, 3, (n, sizes[0]))
    x = x.astype(kind)
    if sizes[-1] > 1 and draw(st.booleans()):
        labels = rng.integers(sizes[-1], size=n)
        y_rows = np.array(reference.one_hot(labels, sizes[-1]))
        y = labels.astype(draw(st.sampled_from(["u1", ">i8"])))
    else:
        y = rng.uniform(0.05, 0.95, (n, sizes[-1])).astype(draw(st.sampled_from(["f4", ">f8", "f2"])))
        y_rows, y = y.astype(dtype).astype(np.float64), lay_out(draw, y)
    return net, lay_out(draw, x), y, x.astype(dtype).astype(np.float64), y_rows


def bound(net, scale):
    """What rounding can do: each of the sums of every layer is off by its length in roundings."""
    longest = max(layer.inputs for layer in net.layers) + 20
    return 8 * longest * len(net.layers) * ROUNDOFF[str(net.dtype)] * scale


def assert_near(net, actual, expected, what, scale=0.0):
    """Compared on the scale of the largest summand, which is at least the largest entry."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, what
    scale = max(scale, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound(net, scale), err_msg=what)


def undefined(net, layers, x):
    """Whether an output is so close to 0 or 1 that the loss's logarithms are not defined there."""
    if net.loss_name not in POSITIVE_OUTPUTS:
        return False
    a = np.array([reference.output(layers, row) for row in x])
    return bool((a < 1e-3).any() or (net.loss_name == "binary_cross_entropy" and (a > 1 - 1e-3).any()))


def near_kink(net, layers, x):
    """Whether some z of an output layer with a kink is so small that rounding may change its side."""
    if str(net.layers[-1].activation) not in ("relu", "leaky_relu", "elu"):
        return False
    z = np.array([reference.forward(layers, row).z[-1] for row in x])
    return bool(np.abs(z).min() < 1e-3 * max(1.0, np.abs(z).max()))


def compare(problem):
    """Outputs, losses, traces and gradients."""
    net, x, y, x_rows, y_rows = problem
    layers = oracle_layers(net)
    if near_kink(net, layers, x_rows) or undefined(net, layers, x_rows):
        return
    passes = [reference.backward(layers, a.tolist(), b.tolist(), net.loss_name)
              for a, b in zip(x_rows, y_rows, strict=True)]
    assert_near(net, net(x), [p.a[-1] for p in passes], "outputs", 1.0)
    losses = [p.loss for p in passes]
    # a loss is a sum over outputs of terms whose slope is dC_da
    slope = max(np.abs(p.dC_da[-1]).sum() for p in passes)
    assert_near(net, net.losses(x, y), losses, "losses", max(1.0, slope))
    trace = net.trace(x, y)
    for i, layer in enumerate(trace.layers):
        steep = 1 + max(np.abs(p.dC_da[-1]).max() for p in passes) ** 2
        z = [p.z[i] for p in passes]
        assert_near(net, layer.z, z, f"z of layer {i}", 1 + np.abs(x_rows).max())
        assert_near(net, layer.dC_dz, [p.dC_dz[i] for p in passes], f"dC_dz of layer {i}", steep)
    each = net.gradient(x, y, per_sample=True)
    mean = net.gradient(x, y)
    reach = steep * (1 + np.abs(x_rows).max())
    for i in range(len(net.layers)):
        expected = np.array([p.weights[i] for p in passes])
        assert_near(net, each.layers[i].weights, expected, f"weights of layer {i}", reach)
        assert_near(net, mean.layers[i].weights, expected.mean(axis=0), f"mean weights of layer {i}", reach)
    assert_near(net, mean.inputs, np.mean([p.inputs for p in passes], axis=0), "inputs", reach)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(problems())
def test_a_network_agrees_with_the_oracle(problem):
    compare(problem)


@st.composite
def plans(draw):
    """What to train with: SGD's settings, and fit's."""
    sgd = {
        "lr": draw(st.sampled_from([0.01, 0.05])),
        "momentum": draw(st.sampled_from([0.0, 0.9])),
        "weight_decay": draw(st.sampled_from([0.0, 0.01])),
    }
    sgd["nesterov"] = sgd["momentum"] > 0 and draw(st.booleans())
    fit = {"epochs": draw(st.integers(1, 2)), "batch_size": draw(st.integers(1, 21))}
    return sgd, fit, draw(st.booleans()), draw(st.integers(2, 4))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(problems(), plans())
def test_training_agrees_with_the_oracle_and_with_itself(problem, plan):
    """The oracle's steps; and the same bits with other threads, and from plain arrays."""
    net, x, y, x_rows, y_rows = problem
    sgd, fit, weighted, threads = plan
    layers, oracle = oracle_layers(net), reference.SGD(**sgd)
    weights = 0.5 + np.arange(len(x_rows)) % 3 if weighted else None
    before = net.parameters.copy()
    try:
        net.fit(x, y, bp.SGD(**sgd), shuffle=False, sample_weight=weights, threads=1, **fit)
    except bp.DivergenceError as error:
        kept = net.parameters.copy()
        whole = int(re.search(r"in epoch (\d+)", str(error))[1]) - 1
        net.parameters[...] = before
        if whole:
            net.fit(x, y, bp.SGD(**sgd), shuffle=False, sample_weight=weights, **fit | {"epochs": whole})
        assert_same_bits(net.parameters, kept)
        return
    trained = net.parameters.copy()
    others = ((x, y, threads), (x_rows.astype(net.dtype), y_rows.astype(net.dtype), 1))
    for x_given, y_given, count in others:
        net.parameters[...] = before
        net.fit(x_given, y_given, bp.SGD(**sgd), shuffle=False, sample_weight=weights, threads=count, **fit)
        assert_same_bits(net.parameters, trained)
    if net.dtype == np.float32 or near_kink(net, layers, x_rows):
        return
    if undefined(net, layers, x_rows):
        return
    try:
        for _ in range(fit["epochs"]):
            reference.train_epoch(layers, x_rows.tolist(), y_rows.tolist(), net.loss_name, oracle,
                                  fit["batch_size"], sample_weight=weights)
    except ZeroDivisionError:  # an output has become 0, where -y / a is not defined; delta = a - y still is
        return
    expected = [layer.weights for layer in layers]
    # Some 40 steps at most, each of which may double an error where a loss is steep: far above rounding,
    # far below what a wrong step would do.
    for layer, w in zip(net.layers, expected, strict=True):
        if np.abs(w).max() < 10:
            np.testing.assert_allclose(layer.weights, w, rtol=0, atol=1e-7)
