"""Accuracy where there are classes, R² where there are numbers: in History, in callbacks, and asked for."""

import numpy as np
import pytest
from conftest import make_data, make_network

import backprop as bp

SCORES = pytest.importorskip("sklearn.metrics")


def r2_of(net, x, y, weight=None):
    return SCORES.r2_score(y, net(x), sample_weight=weight, multioutput="variance_weighted")


@pytest.mark.parametrize("optimizer", [lambda: bp.SGD(0.01), bp.LBFGS, bp.LevenbergMarquardt])
@pytest.mark.parametrize("loss", ["squared_error", "mean_squared_error"])
@pytest.mark.parametrize("weighted", [False, True])
def test_r2_of_an_epoch_is_scikit_learns(optimizer, loss, weighted):
    """With penalties, which are no part of C; of training where the loss is that after the last iteration."""
    net = bp.Network(
        bp.Layer(3, 5, "tanh", l2=0.1), bp.Layer(5, 2, "identity"), loss=loss, dtype="float64", seed=0
    )
    x, y = make_data(net, 60)
    y = y * 3 + 7
    weight = np.linspace(0.1, 2, 60) if weighted else None
    new_x, new_y = x[:20] + 0.1, y[:20] - 0.5
    history = net.fit(x, y, optimizer(), epochs=4, sample_weight=weight, validation=(new_x, new_y))
    assert list(history)[:4] == ["loss", "r2", "validation_loss", "validation_r2"]
    assert history["validation_r2"][-1] == pytest.approx(r2_of(net, new_x, new_y), rel=1e-10)
    assert net.r2(new_x, new_y) == pytest.approx(r2_of(net, new_x, new_y), rel=1e-10)
    if optimizer().__class__ is not bp.SGD:
        assert history["r2"][-1] == pytest.approx(r2_of(net, x, y, weight), rel=1e-9)


def test_of_the_epoch_as_it_was_trained_on():
    net = make_network((3, 1), "identity")
    x, y = make_data(net, 40)
    before = net.r2(x, y)
    assert net.fit(x, y[:, 0], bp.SGD(1e-3), batch_size=40)["r2"] == [pytest.approx(before, rel=1e-12)]


def accuracy_or_r2(loss, output, y):
    net = bp.Network.dense(2, 3, y.shape[1] if y.ndim == 2 else 3, output=output, loss=loss)
    history = net.fit(np.zeros((6, 2)), y, bp.SGD(0.1))
    return [key for key in history if key in ("accuracy", "r2")]


def test_the_rule():
    labels, numbers = np.array([0, 1, 2, 0, 1, 2]), np.eye(6)[:, :3] + np.arange(6)[:, None] / 9
    numbers = np.clip(numbers, 0, 1)
    for loss, output, y, expected in (
        ("squared_error", "sigmoid", numbers, ["accuracy"]),
        ("squared_error", "softmax", numbers, ["accuracy"]),
        ("cross_entropy", "softmax", numbers, ["accuracy"]),
        ("binary_cross_entropy", "sigmoid", numbers[:, :1], ["accuracy"]),
        ("squared_error", "identity", labels, ["accuracy"]),
        ("huber", "tanh", labels, ["accuracy"]),
        ("squared_error", "identity", numbers, ["r2"]),
        ("squared_error", "tanh", numbers, ["r2"]),
        ("mean_squared_error", "relu", numbers[:, :1], ["r2"]),
        ("huber", "identity", numbers, []),
    ):
        assert accuracy_or_r2(loss, output, y) == expected, (loss, output)


def test_what_is_not_measured_is_refused_by_name():
    net = make_network((3, 4, 1), ("tanh", "identity"))
    x, y = make_data(net, 20)
    before = net.parameters.copy()
    for monitor in ("accuracy", "validation_accuracy"):
        with pytest.raises(
            ValueError, match=f"watches '{monitor}', but .* loss, r2.*accuracy is for classes"
        ):
            net.fit(x, y, bp.SGD(0.1), validation=(x, y), callbacks=[bp.EarlyStopping(monitor)])
    with pytest.raises(ValueError, match=r"accuracy is for classes.*net\.r2\(x, y\)"):
        net.accuracy(x, y)
    np.testing.assert_array_equal(net.parameters, before)
    other = make_network((3, 4, 2), ("tanh", "sigmoid"))
    with pytest.raises(ValueError, match="watches 'r2', but this fit measures only loss, accuracy"):
        other.fit(*make_data(other, 20), bp.SGD(0.1), callbacks=[bp.EarlyStopping("r2")])


def test_early_stopping_on_r2_keeps_the_best():
    net = make_network((3, 4, 1), ("tanh", "identity"))
    x, y = make_data(net, 30)
    best = bp.EarlyStopping("validation_r2", patience=3)
    history = net.fit(x, y, bp.SGD(0.3), epochs=40, validation=(x[:9], y[:9]), callbacks=[best])
    assert best.best == max(history["validation_r2"])
    assert net.r2(x[:9], y[:9]) == pytest.approx(best.best, rel=1e-12)


def test_r2_of_targets_that_do_not_fit():
    net = make_network((3, 4, 2), ("tanh", "identity"))
    x, y = make_data(net, 20)
    for wrong in (np.zeros(20, int), y[:, :1], y[:5]):
        with pytest.raises(
            ValueError, match=r"R² is of numbers: y must have the shape of the outputs, \(20, 2\)"
        ):
            net.r2(x, wrong)
    with pytest.raises(ValueError, match=r"R² is of numbers"):
        net.r2(x[0], y[0])
    with pytest.raises(TypeError, match="y must hold real numbers"):
        net.r2(x, y.astype(complex))
    assert net.r2(x, np.ones((20, 2))) == -np.inf
    history = net.fit(x, np.ones((20, 2)), bp.SGD(0.1))
    assert np.isnan(history["r2"]).all()
