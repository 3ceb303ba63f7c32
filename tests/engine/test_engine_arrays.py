"""Arrays that the engine reads or refuses: samples and targets of every type, masks, results of functions."""

import numpy as np
import pytest
from conftest import assert_same_bits, make_network
from test_engine import X, Y, own, train

from backprop import _core

WHOLE = [f"{order}{kind}{size}" for order in "<>" for kind in "iu" for size in (1, 2, 4, 8)]
FLOATS = [f"{order}f{size}" for order in "<>" for size in (2, 4, 8)]


A, W, Z = np.ones((5, 4)), np.ones((3, 4)), np.ones((5, 3))
KERNELS = {  # arguments that fit, and others that do not
    "weighted_sum": ((A, W), [((A, W, np.ones(2)), r"bias must have shape \(3,\), but has shape \(2,\)")]),
    "activation": (("tanh", A), [(("tahn", A), "unknown activation tahn")]),
    "activation_derivative": (("tanh", A), [(("tahn", A), "unknown activation tahn")]),
    "loss": (("huber", A, A), [(("hubert", A, A), "unknown loss hubert")]),
    "loss_derivative": (("huber", A, A), [(("hubert", A, A), "unknown loss hubert")]),
    "delta_output": ((A, A), [
        ((A, np.ones((4, 4))), r"da_dz must have shape \(5, 4\)"),
        ((A, np.ones((5, 3))), r"da_dz must have shape \(5, 4\)"),
        ((A, np.ones((5, 4, 3))), r"da_dz must have shape \(5, 4\)"),
        ((A[0], np.ones((4, 3))), r"da_dz must have shape"),
    ]),
    "delta_hidden": ((Z, W, A), [((Z, W.T, A), r"weights must have shape \(3, k\)")]),
    "weight_gradient": ((Z, A), [
        ((Z, A[:4]), r"a must have shape \(5, k\)"),
        ((Z[0], A[:1]), r"a must have shape"),
    ]),
    "sgd_update": ((W, W, 0.1), [((W, A, 0.1), r"gradient must have shape \(3, 4\)")]),
}  # fmt: skip


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel(name):
    function, (fitting, others) = getattr(_core, name), KERNELS[name]
    assert np.isfinite(function(*fitting)).all()
    for wrong, text in others:
        with pytest.raises(ValueError, match=text):
            function(*wrong)
    with pytest.raises(TypeError, match="argument"):
        function()
    for i, argument in enumerate(fitting):
        if isinstance(argument, str):
            for other, error in ((7, TypeError), ("\ud800", UnicodeEncodeError)):
                with pytest.raises(error):
                    function(other, *fitting[1:])
        elif isinstance(argument, np.ndarray):
            for other, error in (([1.0], TypeError), (argument[:0], ValueError), (np.ones(()), ValueError)):
                if name.startswith("activation") and other is not None and np.ndim(other) == 0:
                    continue  # a number of its own is a shape like any other
                with pytest.raises(error):
                    function(*fitting[:i], other, *fitting[i + 1 :])


def test_softmax_into_a_place_that_does_not_fit():
    for function, shape in ((_core.activation, (5, 4)), (_core.activation_derivative, (5, 4, 4))):
        out = np.empty(shape)
        assert function("softmax", A, out) is out
        with pytest.raises(ValueError, match="out must be"):
            function("softmax", A, out[1:])


@pytest.mark.parametrize(
    ("returned", "error", "text"),
    [
        (np.zeros((1, 2), complex), TypeError, "real numbers, not an array of dtype complex128"),
        (np.zeros(2), ValueError, r"shape \(1, 2\), not \(2,\)"),
        (np.zeros((2, 2)), ValueError, r"shape \(1, 2\), not \(2, 2\)"),
        (np.zeros((1, 3)), ValueError, r"shape \(1, 2\), not \(1, 3\)"),
        ([[1, 2], [3]], ValueError, "inhomogeneous"),
        (np.zeros((1, 2), bool), None, ""),
        (np.zeros((1, 2), "int8"), None, ""),
        (np.zeros((1, 2), ">f4"), None, ""),
    ],
)
def test_what_a_function_returns(returned, error, text):
    net = own(lambda z: returned)
    if error is None:
        assert_same_bits(net(X), np.zeros((1, 2)))
        return
    with pytest.raises(error, match=text):
        net(X)


@pytest.mark.parametrize("returned", [np.zeros(2), np.zeros((1, 2)), np.zeros(())])
def test_what_a_loss_returns(returned):
    net = own(lambda a, y: returned, lambda a, y: a, loss=True)
    with pytest.raises(ValueError, match=r"a loss's value must return an array of shape \(1,\)"):
        net.loss(X, Y)


def test_masks(small):
    net, x, y = small.net, small.x, small.y
    for mask, error, text in (
        (np.ones((5, 2)), TypeError, "target_mask must be of dtype bool"),
        ([[True], [True, False]], ValueError, "target_mask must be an array or nested lists"),
        (np.ones((5, 1), bool), ValueError, r"target_mask must have shape \(5, 2\), as y has"),
    ):
        with pytest.raises(error, match=text):
            train(net, (x, y), target_mask=mask)
    with pytest.raises(ValueError, match=r"target_mask needs targets of shape \(n, outputs\)"):
        train(net, (x, [0, 1, 1, 0, 1]), target_mask=np.ones(5, bool))
    with pytest.raises(ValueError, match="target_mask needs one of the engine's losses"):
        train(own(lambda a, y: a, lambda a, y: a, loss=True), (X, Y), target_mask=np.ones((1, 2), bool))
    single = make_network((3, 1), "tanh")
    with pytest.raises(ValueError, match=r"target_mask must have shape \(5,\) or \(5, 1\), as y has"):
        train(single, (x, y[:, 0]), target_mask=np.ones((5, 1), bool))
    assert train(single, (x[0], y[0, :1]), target_mask=np.ones(1, bool)) == 1
    assert train(single, (x, y[:, 0]), target_mask=np.ones(5, bool)) == 1


def test_targets_of_one_sample_and_one_output():
    net = make_network((3, 1), "tanh")
    with pytest.raises(ValueError, match=r"y must have shape \(1,\) or \(\) for one sample"):
        net.loss(X[0], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"y must have shape \(1, 1\), or \(1,\), but has shape \(2,\)"):
        net.loss(X, [1.0, 2.0])


@pytest.mark.parametrize("dtype", ["bool", *WHOLE])
def test_labels_of_every_type(small, dtype):
    net, x = small.net, small.x
    labels = np.array([0, 1, 1, 0, 1])
    expected = net.losses(x, np.eye(2)[labels])
    assert_same_bits(net.losses(x, labels.astype(dtype)), expected)
    assert_same_bits(net.losses(x, np.repeat(labels.astype(dtype), 2)[::2]), expected)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["bool", *WHOLE, *FLOATS])
def test_samples_of_every_type(dtype, precision):
    """Rows of neighbours that fill a panel and more, and others."""
    net = make_network((37, 2), "identity", dtype=precision)
    numbers = np.random.default_rng(0).integers(0, 2, (3, 37)).astype(dtype)
    expected = net(numbers.astype(precision))
    assert_same_bits(net(numbers), expected)
    assert_same_bits(net(np.repeat(numbers, 2, axis=1)[:, ::2]), expected)
    assert_same_bits(net(np.asfortranarray(numbers)), expected)
