"""sample_weight and target_mask wherever a loss is computed, against PyTorch's and against fit."""

import numpy as np
import pytest
from conftest import assert_close, assert_same_bits, make_data, make_network, require_torch

import backprop as bp

TOLERANCE = {"float32": 2e-5, "float64": 1e-9}
PAIRS = [
    (("tanh", "sigmoid"), "squared_error"),
    (("sigmoid", "tanh"), "mean_squared_error"),
    (("softplus", "identity"), "huber"),
    (("gelu", "sigmoid"), "binary_cross_entropy"),
    (("silu", "softmax"), "cross_entropy"),
    (("elu", "softmax"), "squared_error"),
    (("tanh", "softmax"), "binary_cross_entropy"),
]


def losses_of(torch, net, flat, x, y, mask):
    """C_0 of each sample, of the targets that are there, in float64."""
    import autograd

    a, at = torch.tensor(x.astype(float)), 0
    for layer in net.layers:
        size = layer.inputs * layer.outputs
        w = flat[at : at + size].reshape(layer.inputs, layer.outputs)
        z = a @ w + flat[at + size : at + size + layer.outputs]
        at += size + layer.outputs
        a = autograd.ACTIVATIONS[str(layer.activation)](z)
    t, there = torch.tensor(y.astype(float)), torch.tensor(mask)
    if net.loss_name == "cross_entropy":
        terms = -t * torch.log_softmax(z, 1)
    elif net.loss_name == "binary_cross_entropy":
        terms = -(t * torch.log(a) + (1 - t) * torch.log(1 - a))
    elif net.loss_name == "huber":
        terms = torch.nn.functional.huber_loss(a, t, reduction="none")
    else:
        terms = (a - t) ** 2
    summed = torch.where(there, terms, torch.zeros_like(terms)).sum(1)
    return summed / y.shape[1] if net.loss_name == "mean_squared_error" else summed


@pytest.mark.parametrize(("activations", "loss"), PAIRS, ids=str)
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(("sizes", "n"), [((5, 7, 3), 6), ((9, 20, 17), 150)], ids=str)
def test_all_are_pytorchs(activations, loss, weighted, masked, sizes, n, dtype):
    torch = require_torch()
    net = make_network(sizes, activations, loss, dtype)
    x, y = make_data(net, n)
    rng = np.random.default_rng(5)
    w = rng.integers(0, 4, n) / 2 if weighted else np.ones(n)
    w[0] = 1
    mask = rng.random(y.shape) < 0.6 if masked else np.ones(y.shape, bool)
    mask[0, 0] = True
    given = ({"sample_weight": w} if weighted else {}) | ({"target_mask": mask} if masked else {})
    unseen = np.where(mask, y, np.nan).astype(dtype)

    flat = torch.tensor(net.parameters.astype(float), requires_grad=True)
    each = losses_of(torch, net, flat, x, y, mask)
    mean = (each * torch.tensor(w)).sum() / w.sum()
    (gradient,) = torch.autograd.grad(mean, flat, create_graph=True)
    v = rng.normal(size=net.parameters.size).astype(dtype)
    (product,) = torch.autograd.grad(gradient @ torch.tensor(v.astype(float)), flat)
    each, mean, gradient = each.detach().numpy(), mean.item(), gradient.detach().numpy()

    tolerance = TOLERANCE[dtype]
    assert_close(net.losses(x, unseen, **given), w * each, tolerance, "losses")
    scale = np.abs(each).max()
    assert abs(net.loss(x, unseen, **given) - mean) <= tolerance * scale
    found = net.gradient(x, unseen, **given)
    assert abs(found.loss - mean) <= tolerance * scale
    assert_close(found.parameters, gradient, 5 * tolerance, "gradient")
    of_each = net.gradient(x, unseen, per_sample=True, **given)
    assert_close(of_each.loss, w * each, tolerance, "losses with gradients")
    assert_close(of_each.parameters.sum(0, dtype=float) / w.sum(), gradient, 5 * tolerance, "their mean")
    assert_close(net.hessian_vector(x, unseen, v, **given), product.numpy(), 10 * tolerance, "Hessian")
    before = net.parameters.astype(float)
    assert abs(net.step(x, unseen, bp.SGD(0.5), **given) - mean) <= tolerance * scale
    assert_close(net.parameters, before - 0.5 * gradient, tolerance, "a step")


MAKERS = [lambda: bp.SGD(0.1), lambda: bp.SGD(0.1, momentum=0.9), lambda: bp.Adam(0.01)]


@pytest.mark.parametrize("make", MAKERS, ids=["plain", "momentum", "Adam"])
def test_a_step_is_fits(make):
    nets = [make_network((4, 6, 3), ("tanh", "sigmoid")) for _ in range(2)]
    x, y = make_data(nets[0], 10)
    w, mask = np.arange(10.0), np.arange(30).reshape(10, 3) % 4 > 0
    given = {"sample_weight": w, "target_mask": mask}
    history = nets[0].fit(x, y, make(), batch_size=10, shuffle=False, **given)
    assert nets[1].step(x, y, make(), **given) == pytest.approx(history["loss"][0], rel=1e-14)
    assert_close(nets[0].parameters, nets[1].parameters, 1e-14)


def test_equal_weights_and_a_full_mask_change_no_bit(small):
    net, x, y = small.net, small.x, small.y
    for given in ({"sample_weight": np.ones(5)}, {"target_mask": np.ones((5, 2), bool)}):
        assert net.loss(x, y, **given) == net.loss(x, y)
        assert_same_bits(net.losses(x, y, **given), net.losses(x, y))
        assert_same_bits(net.gradient(x, y, **given).parameters, net.gradient(x, y).parameters)


def test_what_is_taken_as_weights_and_masks(small):
    net, x, y = small.net, small.x, small.y
    w = np.array([1, 2, 0, 3, 1])
    expected = net.loss(x, y, sample_weight=w.astype(float))
    for same in (w, w.tolist(), w.astype(">f4"), np.repeat(w, 2)[::2], w.astype(np.float16)):
        assert net.loss(x, y, sample_weight=same) == expected
    assert net.losses(x[0], y[0], sample_weight=2) == net.losses(x[0], y[0], sample_weight=[2])
    assert net.losses(x[0], y[0], sample_weight=2) == 2 * net.losses(x[0], y[0])
    mask = np.array([[True, False]] * 5)
    assert net.loss(x, y, target_mask=mask.tolist()) == net.loss(x, y, target_mask=mask)
    assert net.loss(x[0], y[0], target_mask=mask[0]) > 0
    labels = np.zeros(5, int)
    assert net.loss(x, labels, sample_weight=w) > 0


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"sample_weight": np.ones(4)}, ValueError, r"sample_weight must have shape \(5,\), but has"),
        ({"sample_weight": np.ones((5, 1))}, ValueError, r"sample_weight must have shape \(5,\)"),
        ({"sample_weight": [1, 1, -1, 1, 1]}, ValueError, "not negative, but entry 2"),
        ({"sample_weight": [1, 1, 1, np.nan, 1]}, ValueError, "finite and not negative, but entry 3"),
        ({"sample_weight": np.zeros(5)}, ValueError, "must not be zero for every sample"),
        ({"sample_weight": np.ones(5, complex)}, TypeError, "sample_weight must be of float16"),
        ({"target_mask": np.ones((5, 3), bool)}, ValueError, r"target_mask must have shape \(5, 2\)"),
        ({"target_mask": np.ones((5, 2))}, TypeError, "must be of dtype bool"),
    ],
)
def test_wrong_weights_and_masks(small, given, error, message):
    net, x, y = small.net, small.x, small.y
    before = net.parameters.copy()
    for call in (
        lambda: net.loss(x, y, **given),
        lambda: net.losses(x, y, **given),
        lambda: net.gradient(x, y, **given),
        lambda: net.step(x, y, bp.SGD(0.1), **given),
        lambda: net.hessian_vector(x, y, before, **given),
    ):
        with pytest.raises(error, match=message):
            call()
    with pytest.raises(ValueError, match="target_mask needs targets of shape"):
        net.loss(x, np.zeros(5, int), target_mask=np.ones((5, 2), bool))
    assert_same_bits(net.parameters, before)


OPTIMIZERS = [lambda: bp.SGD(0.1), bp.LBFGS]


@pytest.mark.parametrize("make", OPTIMIZERS, ids=["SGD", "LBFGS"])
@pytest.mark.parametrize("threads", [1, 2])
def test_weights_of_validation_samples(make, threads):
    net = make_network((4, 6, 3), ("tanh", "softmax"), "cross_entropy")
    x, _ = make_data(net, 300)
    y = np.arange(300) % 3
    x_v, y_v, w = x[:150] + 1, y[:150], np.arange(150) % 4
    history = net.fit(x, y, make(), epochs=2, validation=(x_v, y_v, w), threads=threads, shuffle=False)
    losses = net.losses(x_v, y_v)
    assert history["validation_loss"][-1] == pytest.approx((w * losses).sum() / w.sum(), rel=1e-13)
    assert history["validation_loss"][-1] != pytest.approx(losses.mean(), rel=1e-3)
    assert history["validation_accuracy"][-1] == net.accuracy(x_v, y_v)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("make", [lambda: bp.SGD(0.1), lambda: bp.LBFGS()])
@pytest.mark.parametrize("weighted", [False, True])
def test_missing_targets_of_validation_samples(make, threads, weighted):
    rng = np.random.default_rng(0)
    net = make_network((3, 7, 2), ("tanh", "sigmoid"), dtype="float64")
    x, y = make_data(net, 40)
    x_v, y_v = make_data(net, 300)
    mask, w = rng.random(y_v.shape) < 0.6, rng.uniform(0, 2, 300) if weighted else None
    y_v = np.where(mask, y_v, np.nan)
    history = net.fit(x, y, make(), epochs=2, validation=(x_v, y_v, w, mask), threads=threads)
    expected = net.loss(x_v, y_v, sample_weight=w, target_mask=mask)
    assert history["validation_loss"][-1] == pytest.approx(expected, rel=1e-13)
    assert np.isnan(history["validation_accuracy"]).all()
    assert not np.isnan(history["accuracy"]).any()


def test_missing_targets_of_validation_samples_of_regressions_and_wrong_masks():
    net = make_network((3, 7, 2), ("tanh", "identity"), dtype="float64")
    x, y = make_data(net, 40)
    mask = np.random.default_rng(0).random(y.shape) < 0.6
    history = net.fit(x, y, bp.SGD(0.01), validation=(x, y, None, mask))
    assert np.isnan(history["validation_r2"]).all()
    assert not np.isnan(history["r2"]).any()
    for wrong in (mask[:, 0], mask[:5], mask.astype(float)):
        with pytest.raises((TypeError, ValueError), match="validation target_mask must"):
            net.fit(x, y, bp.SGD(0.01), validation=(x, y, None, wrong))
    assert net.fit(x, y, bp.SGD(0.01), validation=(x, y, None)).epochs == 1


def test_r2_of_weighted_validation_samples():
    """As scikit-learn's r2_score with weights: 1 - Σ w (a - y)² / Σ w (y - mean)²."""
    net = make_network((4, 6, 2), ("tanh", "identity"))
    x, y = make_data(net, 40)
    w = np.arange(40) % 3
    history = net.fit(x, y, bp.SGD(0.01), validation=(x, y, w))
    mean = w @ y / w.sum()
    expected = 1 - (w @ (net(x) - y) ** 2).sum() / (w @ (y - mean) ** 2).sum()
    assert history["validation_r2"][0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (np.ones(4), ValueError, r"validation sample_weight must have shape \(5,\), got \(4,\)"),
        (np.zeros(5), ValueError, "validation sample_weight must not be zero for every sample"),
        ([1, 1, np.inf, 1, 1], ValueError, r"validation sample_weight\[2\] is inf"),
        ([1, 1, 1, -1, 1], ValueError, "sample_weight must be finite and not negative, but entry 3"),
        (np.ones(5, complex), TypeError, "validation sample_weight must hold real numbers"),
    ],
)
@pytest.mark.parametrize("make", OPTIMIZERS, ids=["SGD", "LBFGS"])
def test_wrong_weights_of_validation_samples(small, weights, error, message, make):
    before = small.net.parameters.copy()
    with pytest.raises(error, match=message):
        small.net.fit(small.x, small.y, make(), validation=(small.x, small.y, weights))
    with pytest.raises(TypeError, match=r"target_mask\), got 5 of them"):
        small.net.fit(small.x, small.y, make(), validation=(small.x, small.y, None, None, None))
    assert_same_bits(small.net.parameters, before)
