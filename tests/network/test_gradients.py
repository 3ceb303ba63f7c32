"""The engine's gradients against PyTorch's autograd, on random networks of every kind."""

import numpy as np
import pytest
import reference
from cases import BATCHES, CASES, DTYPES, OUTPUTS_AND_LOSSES, WIDTHS, kink_margin
from conftest import assert_close, make_data, make_network, require_torch

import backprop as bp

# The contract, relative to the largest entry of each array. Both dtypes are compared with autograd
# in float64, run on the very same (float32-rounded) parameters and data: that is stricter than to
# compare two float32 results, whose roundings might agree.
TOLERANCE = {"float64": 1e-9, "float32": 2e-5}

# 2e-5 is 335 units of float32's roundoff. A mean over samples that cancels by a factor A is
# relatively less exact by that factor than its summands: at A = 32 there remain ten roundings for
# each entry of a per-sample gradient, at A = 335 none. Draws that cancel more are ill-conditioned.
MOST_CANCELLATION = 32

# A sum of up to 784 terms in float32 is off by 784 · 2^-24 = 5e-5 of its summands at the very most:
# closer to a kink, the engine may rightly stand on its other side.
LEAST_KINK_MARGIN = 1e-4


@pytest.fixture(scope="module")
def autograd():
    require_torch()
    import autograd

    return autograd


def ill_posed(case, expected):
    """Why these numbers cannot be compared, or None."""
    if kink_margin(expected.z, case.activations) < LEAST_KINK_MARGIN:
        return "a weighted sum lies at a kink"
    for name, mean, each in expected.arrays():
        magnitude = np.abs(each).mean(axis=0).max()
        if np.abs(mean).max() * MOST_CANCELLATION <= magnitude or magnitude == 0:
            return f"the {name} cancel or are all zero"
    return None


def well_posed_draw(case, autograd):
    """(net, x, y for the engine, expected) of the first draw that can be compared."""
    for attempt in range(20):
        net = case.network(attempt)
        x, y, y_rows = case.data(attempt)
        expected = autograd.Result(net, x, y_rows)
        if ill_posed(case, expected) is None:
            return net, x, y, expected
    raise AssertionError(f"20 draws were ill-posed; the last because {ill_posed(case, expected)}")


def test_the_cases_cover_every_choice():
    assert len(CASES) >= 200
    assert {len(case.activations) for case in CASES} == {1, 2, 3, 4}
    assert {(case.activations[-1], case.loss) for case in CASES} == set(OUTPUTS_AND_LOSSES)
    assert {loss for _, loss in OUTPUTS_AND_LOSSES} == set(reference.LOSSES)
    hidden = {(name, i) for case in CASES for i, name in enumerate(case.activations[:-1])}
    assert hidden == {(name, i) for name in reference.ACTIVATIONS for i in range(3)}
    assert {case.batch for case in CASES} >= set(BATCHES) == {1, 2, 5, 16, 33}
    assert set(WIDTHS) >= {1, 7, 15, 16, 17, 33}
    assert {size for case in CASES for size in case.sizes} >= set(WIDTHS)
    kinds = {(has_bias, case.targets, case.dtype) for case in CASES for has_bias in case.bias}
    assert len(kinds) == 2 * 2 * len(DTYPES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_agrees_with_autograd(case, autograd):
    net, x, y, expected = well_posed_draw(case, autograd)
    tolerance = TOLERANCE[case.dtype]
    gradient = net.gradient(x, y)
    each = net.gradient(x, y, per_sample=True)
    actual = {"inputs": (gradient.inputs, each.inputs)}
    for index, layer in enumerate(net.layers):
        mean, samples = gradient.layers[index], each.layers[index]
        actual[f"weights of layer {index}"] = mean.weights, samples.weights
        if layer.bias is None:
            assert mean.bias is None
            assert samples.bias is None
        else:
            actual[f"bias of layer {index}"] = mean.bias, samples.bias
    compared = 0
    for name, mean, samples in expected.arrays():
        assert_close(actual[name][0], mean, tolerance, name)
        assert_close(actual[name][1], samples, tolerance, f"{name}, per sample")
        compared += 1
    assert compared == len(actual)
    # The terms of a soft-target loss may differ in sign, so the largest sample is the scale.
    assert_close(net.losses(x, y), expected.loss_each, tolerance, "losses")
    assert_close(each.loss, expected.loss_each, tolerance, "loss per sample")
    scale = np.abs(expected.loss_each).max()
    for loss in (gradient.loss, net.loss(x, y)):
        assert abs(loss - expected.loss) <= tolerance * scale


@pytest.mark.parametrize("case", CASES[::5], ids=str)
def test_trace_agrees_with_gradient(case):
    """δ of the trace is the bias gradient, and δ times a_prev the weight gradient."""
    net = case.network()
    x, y, _ = case.data()
    trace, each = net.trace(x, y), net.gradient(x, y, per_sample=True)
    a_prev = x
    for index, layer in enumerate(trace.layers):
        # One product, rounded once more at most.
        expected = np.einsum("nj,nk->njk", layer.dC_dz.astype(float), a_prev.astype(float))
        if expected.any():
            weights = each.layers[index].weights
            assert_close(weights, expected, 4 * np.finfo(case.dtype).eps, f"layer {index}")
        a_prev = layer.a
    assert np.any(layer.dC_dz)


@pytest.mark.parametrize("labels", ["int8", "uint8", "int32", "int64", "uint64", ">i4"])
def test_integer_labels_are_one_hot_rows(labels, dtype):
    net = make_network((4, 6, 5), ("tanh", "softmax"), "cross_entropy", dtype)
    x, _ = make_data(net, 9)
    y = np.arange(9) % 5
    rows = np.array(reference.one_hot(y, 5))
    by_label, by_row = net.gradient(x, y.astype(labels)), net.gradient(x, rows)
    for one, other in zip(by_label.layers, by_row.layers, strict=True):
        assert one.weights.tobytes() == other.weights.tobytes()
        assert one.weights.any()
    assert by_label.loss == by_row.loss > 0
    assert net.losses(x[3], y[3]) == net.losses(x[3], rows[3])
    assert net.loss(x, y.tolist()) == by_row.loss


def test_a_column_for_one_output_may_be_flat(dtype):
    net = make_network((3, 4, 1), "sigmoid", "binary_cross_entropy", dtype)
    x, y = make_data(net, 6)
    column, flat = net.gradient(x, y), net.gradient(x, y[:, 0])
    assert column.layers[0].weights.tobytes() == flat.layers[0].weights.tobytes()
    assert column.layers[0].weights.any()
    # 0 and 1 as integers are targets of one output, not classes of a network with one class.
    ones = np.array([0, 1, 1, 0, 1, 0])
    assert net.loss(x, ones) == net.loss(x, ones[:, None].astype(dtype)) > 0


SETTINGS = [
    {"lr": 0.1},
    {"lr": 0.1, "weight_decay": 0.01},
    {"lr": 0.05, "momentum": 0.9},
    {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.02},
    {"lr": 0.05, "momentum": 0.9, "nesterov": True},
    {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.02},
]


@pytest.mark.parametrize("how", ["step", "fit"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_sgd_follows_torch_for_100_steps(settings, how, autograd):
    """25 epochs of 4 batches, the last one short, in float64.

    1e-8 is the contract: 100 steps may multiply a rounding of 1e-16 by no more than 1e8.
    """
    net = make_network((5, 9, 3), ("tanh", "sigmoid"))
    x, y = make_data(net, 17)
    leaves = autograd.parameters(net)
    twin = autograd.torch.optim.SGD([p for pair in leaves for p in pair], **settings)
    optimizer = bp.SGD(**settings)
    before = net.parameters.copy()
    for _ in range(25):
        for start in range(0, 17, 5):
            rows = slice(start, start + 5)
            x_batch = autograd.torch.tensor(x[rows])
            loss = autograd.forward(net, x_batch, y[rows], leaves)[0].mean()
            twin.zero_grad()
            loss.backward()
            twin.step()
            if how == "step":
                assert net.step(x[rows], y[rows], optimizer) == pytest.approx(loss.item(), rel=1e-8)
        if how == "fit":
            net.fit(x, y, optimizer, batch_size=5, shuffle=False)
    assert optimizer.steps == 100
    assert np.abs(net.parameters - before).max() > 0.1
    for layer, (weights, bias) in zip(net.layers, leaves, strict=True):
        assert_close(layer.weights, weights.detach().numpy(), 1e-8, "weights")
        assert_close(layer.bias, bias.detach().numpy(), 1e-8, "bias")
