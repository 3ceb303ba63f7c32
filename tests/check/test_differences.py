"""Gradients without PyTorch: the engine against the oracle, and both against differences."""

import itertools

import numpy as np
import pytest
import reference
from cases import OUTPUTS_AND_LOSSES, kink_margin
from conftest import ROUNDOFF, assert_close, make_data, make_network, oracle_layers

# Against the oracle, which sums in float64: 335 roundings in float32 (the contract of 2e-5), and as
# many in float64, times 8 for terms that cancel in these small networks.
TOLERANCE = {"float32": 2e-5, "float64": 8 * 335 * ROUNDOFF["float64"]}

# A central difference of step h is off by about h²/6·f''' + 1.1e-16·|f|/h: with h = 1e-5 that is
# 2e-11 + 1e-11 for derivatives of order one; the contract allows 1e-6.
STEP, DIFFERENCE_TOLERANCE = 1e-5, 1e-6

HIDDEN = itertools.cycle(reference.ACTIVATIONS)
SMALL = [
    (hidden, *output_and_loss)
    for output_and_loss, hidden in zip(OUTPUTS_AND_LOSSES, HIDDEN, strict=False)
]


def draw(hidden, output, loss, dtype):
    """A network 3-5-4-3 with data away from kinks and without a layer of dead nodes."""
    for seed in range(50):
        net = make_network((3, 5, 4, 3), (hidden, "tanh", output), loss, dtype, seed=seed)
        x, y = make_data(net, 5, seed=seed)
        passes = [reference.forward(oracle_layers(net), x_n.tolist()) for x_n in x]
        z_of = [np.array([p.z[index] for p in passes]) for index in range(3)]
        dead = any((z.max(axis=1) <= 0).all() for z in z_of)
        if not dead and kink_margin(z_of, (hidden, "tanh", output)) > 1e-3:
            return net, x, y
    raise AssertionError("no draw away from the kinks")


@pytest.mark.parametrize(("hidden", "output", "loss"), SMALL)
def test_gradient_agrees_with_the_oracle(hidden, output, loss, dtype):
    net, x, y = draw(hidden, output, loss, dtype)
    expected = reference.batch_gradient(oracle_layers(net), x.tolist(), y.tolist(), loss)
    gradient = net.gradient(x, y)
    for index in range(3):
        actual = gradient.layers[index]
        assert_close(actual.weights, expected.weights[index], TOLERANCE[dtype], f"w of {index}")
        assert_close(actual.bias, expected.bias[index], TOLERANCE[dtype], f"b of {index}")
    assert_close(gradient.inputs, expected.inputs, TOLERANCE[dtype], "inputs")
    assert_close(gradient.loss, expected.loss, TOLERANCE[dtype], "loss")


@pytest.mark.parametrize(("hidden", "output", "loss"), SMALL)
def test_oracle_agrees_with_central_differences(hidden, output, loss):
    """The oracle must be right by itself: its loss needs no derivative at all."""
    net, x, y = draw(hidden, output, loss, "float64")
    layers, x, y = oracle_layers(net), x.tolist(), y.tolist()

    def mean_loss(layers, x):
        outputs = [reference.output(layers, x_n) for x_n in x]
        pairs = zip(outputs, y, strict=True)
        return reference.average([reference.loss(loss, *pair) for pair in pairs])

    def difference(numbers, k):
        middle, sides = numbers[k], []
        for sign in (1, -1):
            numbers[k] = middle + sign * STEP
            sides.append(mean_loss(layers, x))
        numbers[k] = middle
        return (sides[0] - sides[1]) / (2 * STEP)

    gradient = reference.batch_gradient(layers, x, y, loss)
    for index, layer in enumerate(layers):
        slopes = [[difference(w_j, k) for k in range(len(w_j))] for w_j in layer.weights]
        assert_close(gradient.weights[index], slopes, DIFFERENCE_TOLERANCE, f"w of {index}")
        slopes = [difference(layer.bias, j) for j in range(len(layer.bias))]
        assert_close(gradient.bias[index], slopes, DIFFERENCE_TOLERANCE, f"b of {index}")
    slopes = [sum(difference(x_n, k) for x_n in x) for k in range(3)]
    assert_close(gradient.inputs, slopes, DIFFERENCE_TOLERANCE, "inputs")


@pytest.mark.parametrize(("hidden", "output", "loss"), SMALL[::3])
def test_engine_agrees_with_its_own_central_differences(hidden, output, loss):
    """The engine's loss and the engine's gradient belong together, entry by entry."""
    net, x, y = draw(hidden, output, loss, "float64")
    parameters, slopes = net.parameters, np.empty_like(net.parameters)
    for p in range(parameters.size):
        middle = parameters[p]
        parameters[p] = middle + STEP
        above = net.loss(x, y)
        parameters[p] = middle - STEP
        slopes[p] = (above - net.loss(x, y)) / (2 * STEP)
        parameters[p] = middle
    assert_close(net.gradient(x, y).parameters, slopes, DIFFERENCE_TOLERANCE)


def test_check_gradient_passes_and_says_what_it_compared(dtype):
    net = make_network((4, 6, 3), ("gelu", "softmax"), "cross_entropy", dtype)
    x, y = make_data(net, 5)
    before = net.parameters.tobytes()
    result = net.check_gradient(x, y)
    assert result.passed
    assert 0 < result.max_relative_error <= {"float64": 1e-6, "float32": 2e-5}[dtype]
    assert sum(part.compared for part in result.layers) == net.parameters.size <= result.compared
    assert len(result.layers) == 2
    assert net.parameters.tobytes() == before


def test_check_gradient_skips_kinks():
    net = make_network((2, 3, 1), ("relu", "identity"))
    x, y = make_data(net, 2)
    # The first node stands exactly on its kink for the first sample.
    net.layers[0].weights[0] = 0
    net.layers[0].bias[0] = 0
    result = net.check_gradient(x, y)
    assert result.skipped > 0
    assert result.passed
    assert result.compared > 0


def test_check_gradient_of_nothing_but_zeros_fails():
    net = make_network((2, 3, 1), ("relu", "identity"))
    net.parameters[...] = 0
    net.layers[0].bias[...] = -1
    x, y = make_data(net, 4)
    y[...] = 0
    assert not net.gradient(x, y).parameters.any()
    assert not net.check_gradient(x, y).passed


def test_check_gradient_finds_a_wrong_gradient(monkeypatch):
    """It checks the gradient the engine gives, so a spoilt one must be found."""
    net = make_network((3, 4, 2), "tanh")
    x, y = make_data(net, 5)
    right = type(net)._gradient

    def spoilt(self, *arguments, **options):
        flat, inputs, loss = right(self, *arguments, **options)
        flat = flat.copy()
        flat[..., 3] *= 1.01
        return flat, inputs, loss

    monkeypatch.setattr(type(net), "_gradient", spoilt)
    assert not net.check_gradient(x, y).passed


def test_comparing_only_zeros_is_refused():
    """The comparison that all these tests rely on does not pass on nothing."""
    with pytest.raises(AssertionError, match="vacuous"):
        assert_close(np.zeros((2, 3)), np.zeros((2, 3)), 1.0)
    with pytest.raises(AssertionError, match="shape"):
        assert_close(np.ones((2, 3)), np.ones((3, 2)), 1.0)
    with pytest.raises(AssertionError, match="relative error"):
        assert_close([1.0, 2.0], [1.0, 2.1], 1e-3)
    with pytest.raises(AssertionError, match="not finite"):
        assert_close([1.0, np.nan], [1.0, 2.0], 1e-3)


def test_a_network_whose_relus_are_dead_has_nothing_to_compare():
    """Its gradient is right: it is not passed, but has not failed either."""
    net = make_network((3, 4, 2), ("relu", "identity"), dtype="float64")
    net.layers[0].bias[:] = -100
    check = net.check_gradient(np.ones((5, 3)), np.zeros((5, 2)))
    assert not check.passed
    assert str(check).endswith("nothing to compare in layer 2: not passed")
