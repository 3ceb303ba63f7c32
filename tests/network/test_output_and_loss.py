"""The loss decides dense's output layer, and pairs that no training can bring to a minimum are refused."""

import warnings

import numpy as np
import pytest

import backprop as bp
from backprop import _core

BOUNDED = ("sigmoid", "softmax")
CROSS_ENTROPIES = ("cross_entropy", "binary_cross_entropy")


@pytest.mark.parametrize("loss", _core.losses)
def test_dense_takes_the_output_that_goes_with_the_loss(loss):
    net = bp.Network.dense(3, 4, 2, loss=loss, seed=0)
    assert str(net.layers[-1].activation) == ("softmax" if loss == "cross_entropy" else "sigmoid")
    assert str(net.layers[0].activation) == "sigmoid"


def test_an_output_that_is_named_stays():
    net = bp.Network.dense(3, 4, 2, loss="binary_cross_entropy", output="softmax")
    assert str(net.layers[-1].activation) == "softmax"


def test_a_classifier_by_its_loss_alone_learns():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    x = rng.normal(0, 0.3, (300, 2)) + np.array([[0, 0], [2, 0], [0, 2]])[labels]
    net = bp.Network.dense(2, 8, 3, loss="cross_entropy", seed=0)
    net.fit(x, labels, bp.Adam(0.05), epochs=30)
    assert net.accuracy(x, labels) > 0.95  # the classes overlap in about 0.1 % of the samples


@pytest.mark.parametrize("loss", CROSS_ENTROPIES)
@pytest.mark.parametrize("name", sorted(set(_core.activations) - set(BOUNDED)))
def test_outputs_without_a_logarithm_or_a_lower_bound(loss, name):
    remedy = "softmax" if loss == "cross_entropy" else "sigmoid"
    with pytest.raises(ValueError, match=rf"{loss}.*{name}.*use '{remedy}' there"):
        bp.Network(bp.Layer(3, 2, name), loss=loss)


def test_one_softmax_output():
    with pytest.raises(ValueError, match=r"an output for each class.*binary_cross_entropy"):
        bp.Network.dense(3, 4, 1, loss="cross_entropy")


def test_sigmoid_outputs_with_cross_entropy_are_a_warning():
    with pytest.warns(UserWarning, match="lowest where all outputs are 1.*'softmax'") as caught:
        bp.Network(bp.Layer(3, 2), loss="cross_entropy")
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="lowest where all outputs are 1") as caught:
        bp.Network.dense(3, 2, output="sigmoid", loss="cross_entropy")


def test_own_functions_are_taken_as_they_are():
    half = bp.Activation(
        lambda z: 0.25 + 0.5 / (1 + np.exp(-z)), lambda z: 0.5 * np.exp(-z) / (1 + np.exp(-z)) ** 2
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bp.Network(bp.Layer(3, 2, half), loss="cross_entropy")
        bp.Network(bp.Layer(3, 2, "softmax"), loss="cross_entropy")
        bp.Network(bp.Layer(3, 2, "sigmoid"), loss="binary_cross_entropy")
