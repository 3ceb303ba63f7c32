"""Losses of the user's own with fewer targets than outputs, and derivatives that are wrong far out."""

import copy
import pickle

import numpy as np
import pytest
from conftest import assert_close

import backprop as bp

QUANTILES = np.array([0.1, 0.5, 0.9])


def gaussian_value(a, y):
    """-ln N(y; mean, exp(log variance)), without the constant."""
    return 0.5 * (a[:, 1] + (y[:, 0] - a[:, 0]) ** 2 * np.exp(-a[:, 1]))


def gaussian_slope(a, y):
    apart, precision = a[:, 0] - y[:, 0], np.exp(-a[:, 1])
    return np.stack([apart * precision, 0.5 - 0.5 * apart**2 * precision], axis=1)


def gaussian():
    return bp.Loss(gaussian_value, gaussian_slope, outputs=2, targets=1)


def quantile():
    def value(a, y):
        return np.maximum(QUANTILES * (y - a), (QUANTILES - 1) * (y - a)).sum(axis=1)

    return bp.Loss(value, lambda a, y: np.where(y > a, -QUANTILES, 1 - QUANTILES), outputs=3, targets=1)


def mixture():
    """Two Gaussians of 2 targets each: ln weights before softmax, then 2 means each, then ln deviations."""

    def parts(a, y):
        weights, means, scales = a[:, :2], a[:, 2:6].reshape(-1, 2, 2), a[:, 6:]
        weights = weights - np.logaddexp.reduce(weights, axis=1)[:, None]
        z = (y[:, None, :] - means) * np.exp(-scales)[:, :, None]
        return weights - 2 * scales - 0.5 * (z**2).sum(axis=2), z

    def value(a, y):
        return -np.logaddexp.reduce(parts(a, y)[0], axis=1)

    def derivative(a, y):
        logs, z = parts(a, y)
        share = np.exp(logs - np.logaddexp.reduce(logs, axis=1)[:, None])
        prior = np.exp(a[:, :2] - np.logaddexp.reduce(a[:, :2], axis=1)[:, None])
        means = -share[:, :, None] * z * np.exp(-a[:, 6:])[:, :, None]
        scales = share * (2 - (z**2).sum(axis=2))
        return np.concatenate([prior - share, means.reshape(-1, 4), scales], axis=1)

    return bp.Loss(value, derivative, outputs=8, targets=2)


def net_of(loss, dtype="float64", seed=0):
    return bp.Network.dense(
        3, 5, loss.outputs, hidden="tanh", output="identity", loss=loss, dtype=dtype, seed=seed
    )


def data_of(loss, n=40):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 3)), rng.normal(size=(n, loss.targets))


@pytest.mark.parametrize("make", [gaussian, quantile, mixture])
def test_gradients_and_everything_that_takes_targets(make, dtype):
    loss = make()
    net = net_of(loss, dtype)
    x, y = data_of(loss)
    assert net.targets == loss.targets
    expected = loss(net(x).astype(float), y)
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    assert_close(net.losses(x, y), expected, tolerance)
    assert net.loss(x, y) == pytest.approx(expected.mean(), rel=tolerance)
    assert net.check_gradient(x, y).passed
    assert_close(net.trace(x, y).layers[-1].dC_da, loss.derivative(net(x).astype(float), y), 2 * tolerance)
    assert net.explain(x[0], y[0], j=1, k=0).check().passed
    assert_close(
        net.gradient(x, y, per_sample=True).parameters.mean(axis=0), net.gradient(x, y).parameters, 1e-5
    )
    twin = copy.deepcopy(net)
    first = net.fit(x, y, bp.SGD(0.01), batch_size=40, shuffle=False, validation=(x, y))
    assert first["loss"][0] == pytest.approx(expected.mean(), rel=tolerance)
    twin.step(x, y, bp.SGD(0.01))
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    twin.fit([(x, y)], None, bp.SGD(0.01))
    twin.fit(x, y, bp.LBFGS(), epochs=3)
    if loss.targets == 1:
        assert net.loss(x, y[:, 0]) == net.loss(x, y)
        assert net.loss(x[0], y[0, 0]) == net.loss(x[:1], y[:1])


def test_a_mean_and_a_log_variance_are_learnt_as_pytorch_has_them():
    torch = pytest.importorskip("torch")
    loss = gaussian()
    net = net_of(loss)
    x, y = data_of(loss)
    model = net.to_torch()
    a = model(torch.tensor(x))
    nll = torch.nn.functional.gaussian_nll_loss(a[:, :1], torch.tensor(y), a[:, 1:].exp(), eps=0)
    nll.backward()
    assert net.loss(x, y) == pytest.approx(nll.item(), rel=1e-12)
    gradient = net.gradient(x, y)
    linear = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    for mine, its in zip(gradient.layers, linear, strict=True):
        assert_close(mine.weights, its.weight.grad.numpy(), 1e-12)
        assert_close(mine.bias, its.bias.grad.numpy(), 1e-12)


def test_noise_that_grows_is_found():
    """y = 2 x with a deviation of 0.1 left of 0, and of 1 right of it: ln σ² of 2000 samples is known to
    √(2 / 2000) = 0.03, and the smooth network adds what is lost at the jump."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (4000, 1))
    y = 2 * x + rng.normal(size=x.shape) * np.where(x < 0, 0.1, 1)
    net = bp.Network.dense(1, 16, 2, hidden="tanh", output="identity", loss=gaussian(), seed=0)
    net.fit(x, y, bp.Adam(0.01), epochs=60, batch_size=100)
    calm, wild = net([[-0.6], [0.6]])
    assert np.exp(calm[1] / 2) == pytest.approx(0.1, rel=0.2)
    assert np.exp(wild[1] / 2) == pytest.approx(1, rel=0.2)
    assert calm[0] == pytest.approx(-1.2, abs=0.1)


def test_shapes_that_do_not_fit():
    loss = mixture()
    net = net_of(loss)
    x, _ = data_of(loss)
    with pytest.raises(ValueError, match=r"y must have shape \(40, 2\), but has shape \(40, 8\)"):
        net.fit(x, np.zeros((40, 8)), bp.SGD(0.1))
    with pytest.raises(ValueError, match=r"y must have shape \(40, 2\), but has shape \(40,\)"):
        net.loss(x, np.zeros(40, int))
    with pytest.raises(ValueError, match=r"y must have shape \(2,\) for one sample, but has shape \(\)"):
        net.loss(x[0], 1)
    with pytest.raises(ValueError, match=r"loss value is of 8 outputs, but the output layer has 3"):
        bp.Network.dense(3, 3, loss=loss)
    with pytest.raises(ValueError, match=r"outputs must be at least 1"):
        bp.Loss(gaussian_value, gaussian_slope, outputs=0)
    with pytest.raises(ValueError, match="in C is one node's"):
        bp.Loss(1, 1, outputs=2, targets=1)


def test_counts_are_kept():
    for loss in (gaussian(), pickle.loads(pickle.dumps(bp.Loss(gaussian_value, gaussian_slope, 2, 1)))):
        assert (loss.outputs, loss.targets) == (2, 1)
    loss = bp.Loss(lambda a, y: ((a - y) ** 2).sum(1), lambda a, y: 2 * (a - y))
    assert (loss.outputs, loss.targets) == (None, None)
    assert bp.Network.dense(2, 4, loss=loss).targets == 4


# Wrong derivatives, right between 0 and 1.


def huber(a, y):
    d = np.abs(a - y)
    return np.where(d <= 1, 0.5 * d**2, d - 0.5).sum(axis=1)


def hinge(a, y):
    return np.maximum(0, 1 - a * y).sum(axis=1)


@pytest.mark.parametrize(
    ("value", "derivative"),
    [
        (huber, lambda a, y: a - y),
        (huber, lambda a, y: np.clip(a - y, -2, 2)),
        (hinge, lambda a, y: -y),
        (hinge, lambda a, y: np.where(a < 1, -y, 0)),
        (hinge, lambda a, y: np.where(a * y < 1, -1, 0)),
    ],
)
def test_wrong_far_out(value, derivative):
    with pytest.raises(ValueError, match="not the derivative of value: at a ="):
        bp.Loss(value, derivative)


def test_right_far_out():
    bp.Loss(huber, lambda a, y: np.clip(a - y, -1, 1))
    bp.Loss(hinge, lambda a, y: np.where(a * y < 1, -y, 0))


@pytest.mark.filterwarnings("error")
def test_what_is_not_defined_far_out_is_not_asked_for():
    def entropy(a, y):
        return -(y * np.log(a) + (1 - y) * np.log(1 - a)).sum(axis=1)

    bp.Loss(entropy, lambda a, y: (a - y) / (a * (1 - a)))

    def by_label(a, y):
        if (y < 0).any():
            raise IndexError("no such class")
        return -np.log(a)[np.arange(len(a)), y[:, 0].astype(int)]

    def slope(a, y):
        return -np.eye(5)[y[:, 0].astype(int)] / a

    bp.Loss(by_label, slope, outputs=5, targets=1)
