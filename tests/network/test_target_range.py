"""Cross-entropies take targets from 0 to 1: others are refused by array, place and value."""

import numpy as np
import pytest

import backprop as bp

TYPES = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]
X = np.linspace(-1, 1, 12).reshape(6, 2)
LABELS = np.array([0, 1, 1, 2, 0, 1])
MESSAGE = (
    r"'binary_cross_entropy' takes targets from 0 to 1, but y\[3\] is 2; two classes are labelled 0 and 1"
)


@pytest.fixture
def net():
    return bp.Network.dense(2, 1, loss="binary_cross_entropy", seed=0)


@pytest.mark.parametrize(
    "ask",
    [
        lambda net: net.loss(X, LABELS),
        lambda net: net.losses(X, LABELS),
        lambda net: net.accuracy(X, LABELS),
        lambda net: net.gradient(X, LABELS),
        lambda net: net.gradient(X, LABELS, per_sample=True),
        lambda net: net.step(X, LABELS, bp.SGD(0.1)),
        lambda net: net.trace(X, LABELS),
        lambda net: net.hessian_vector(X, LABELS, net.parameters),
        lambda net: net.check_gradient(X, LABELS),
        lambda net: net.fit(X, LABELS, bp.SGD(0.1)),
        lambda net: net.fit(X, LABELS, bp.LBFGS()),
        lambda net: net.fit(X, LABELS, bp.SGD(0.1), target_mask=np.ones(6, bool)),
    ],
)
def test_everything_that_takes_targets(net, ask):
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=MESSAGE):
        ask(net)
    np.testing.assert_array_equal(net.parameters, before)


def test_one_sample(net):
    with pytest.raises(ValueError, match=r"but y is 2; two classes"):
        net.loss(X[0], 2)
    with pytest.raises(ValueError, match=r"but y\[0\] is -0.5$"):
        net.explain(X[0], [-0.5])


@pytest.mark.parametrize("optimizer", [bp.SGD(0.1), bp.LBFGS()])
def test_validation(net, optimizer):
    good = np.zeros(6)
    with pytest.raises(ValueError, match=r"but validation y\[3\] is 2"):
        net.fit(X, good, optimizer, validation=(X, LABELS))


def test_a_stream(net):
    with pytest.raises(ValueError, match=r"but y of a batch\[3\] is 2"):
        net.fit([(X, LABELS)], None, bp.SGD(0.1))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("order", "=<>")
def test_every_type_stride_and_length(dtype, order):
    """The last of 1003 rows of 3, more than are looked at together, and the first; past neighbours or not."""
    net = bp.Network.dense(2, 3, loss="cross_entropy", seed=0)
    x = np.zeros((1003, 2))
    for row, column in ((1002, 2), (0, 1), (511, 0)):
        y = np.zeros((1003, 3), np.dtype(dtype).newbyteorder(order))
        y[row, column] = 3
        for of_user in (
            y,
            np.asfortranarray(y),
            np.repeat(y, 2, axis=1)[:, ::2],
            np.repeat(y, 2, axis=0)[::2],
        ):
            with pytest.raises(ValueError, match=rf"but y\[{row}, {column}\] is 3(\.0)?$"):
                net.loss(x, of_user)
        y[row, column] = 1
        assert net.loss(x, y) == pytest.approx(np.log(3) / 1003, rel=0.5)


@pytest.mark.parametrize("low", [-1, -0.001, -np.inf])
def test_below_0(net, low):
    with pytest.raises(ValueError, match=r"but y\[1, 0\] is -"):
        net.loss(X[:2], [[0.0], [low]])


def test_what_is_between_stays():
    net = bp.Network.dense(2, 3, loss="cross_entropy", seed=0)
    rounded = np.float32(1) + np.finfo(np.float32).eps  # a mixture of ones in float32
    assert np.isfinite(net.loss(X[:2], [[0, 0.5, 0.5], [0, 0, rounded]]))
    assert np.isnan(net.loss(X[:2], [[0, 0.5, np.nan], [0, 0, 1]]))
    assert np.isfinite(net.loss(X[:2], np.array([[True, False, False], [False, True, True]])))


def test_other_losses_take_any_target():
    for loss in ("squared_error", "mean_squared_error", "huber"):
        assert np.isfinite(bp.Network.dense(2, 1, loss=loss).loss(X, LABELS))


def test_a_mask_leaves_targets_out():
    net = bp.Network.dense(2, 3, loss="binary_cross_entropy", seed=0)
    other = bp.Network.dense(2, 3, loss="binary_cross_entropy", seed=0)
    y = np.eye(3)[[0, 1, 2, 0, 1, 2]]
    mask = np.ones((6, 3), bool)
    mask[2, 1] = mask[5, 2] = False
    wild = y.copy()
    wild[2, 1], wild[5, 2] = 99, -7
    net.fit(X, wild, bp.SGD(0.1), target_mask=mask, epochs=3)
    other.fit(X, y, bp.SGD(0.1), target_mask=mask, epochs=3)
    np.testing.assert_array_equal(net.parameters, other.parameters)
    wild[4, 0] = 2
    with pytest.raises(ValueError, match=r"y\[4, 0\] is 2.0"):
        net.fit(X, wild, bp.SGD(0.1), target_mask=mask)
