"""NaN and infinity in data are named by array and place, and nothing has changed; a divergence stays one."""

import numpy as np
import pytest
from conftest import make_data, make_network

import backprop as bp


@pytest.fixture
def task():
    net = make_network((5, 8, 2), ("tanh", "identity"))
    return net, *make_data(net, 100)


def with_bad(array, place, value=np.nan):
    array = array.copy()
    array[place] = value
    return array


def assert_refuses(net, match, *arguments, **settings):
    """fit raises such a ValueError, and network, generator and optimizer are as before."""
    optimizer = bp.Adam(0.01)
    before, draws = net.parameters.copy(), net.rng.bit_generator.state
    with pytest.raises(ValueError, match=match):
        net.fit(*arguments, optimizer, **settings)
    assert net.parameters.tobytes() == before.tobytes()
    assert net.rng.bit_generator.state == draws
    assert optimizer.steps == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shuffle", [True, False, "blocks"])
def test_x(task, value, shuffle):
    net, x, y = task
    assert_refuses(
        net, rf"x must be finite, but x\[70, 3\] is {value}", with_bad(x, (70, 3), value), y, shuffle=shuffle
    )


def test_x_while_nodes_are_left_out():
    net = bp.Network(bp.Layer(5, 8, "tanh", dropout=0.5), bp.Layer(8, 2, "identity"), seed=0)
    x, y = make_data(net, 100)
    assert_refuses(net, r"x\[99, 0\] is nan", with_bad(x, (99, 0)), y)


def test_targets_weights_and_validation(task):
    net, x, y = task
    assert_refuses(net, r"^y must be finite, but y\[5, 1\] is inf", x, with_bad(y, (5, 1), np.inf))
    assert_refuses(net, r"sample_weight\[7\] is nan", x, y, sample_weight=with_bad(np.ones(100), 7))
    assert_refuses(net, r"validation x\[3, 2\] is nan", x, y, validation=(with_bad(x, (3, 2)), y))
    assert_refuses(net, r"validation y\[3, 1\] is nan", x, y, validation=(x, with_bad(y, (3, 1))))
    assert_refuses(net, r"the validation part of x\[9, 4\] is nan", with_bad(x, (99, 4)), y, validation=0.1)


def test_long_targets_are_read_in_pieces():
    net = make_network((1, 2, 1), ("tanh", "identity"))
    y = with_bad(np.zeros(600_001), 600_000)
    assert_refuses(net, r"y\[600000\] is nan", np.zeros((600_001, 1)), y)


def test_a_batch_of_an_iterable(task):
    net, x, y = task
    with pytest.raises(ValueError, match=r"x of a batch\[4, 1\] is nan"):
        net.fit([(x, y), (with_bad(x, (4, 1)), y)], None, bp.SGD(0.01))
    with pytest.raises(ValueError, match=r"y of a batch\[4, 1\] is inf"):
        net.fit([(x, y), (x, with_bad(y, (4, 1), np.inf))], None, bp.SGD(0.01))


def test_missing_targets_may_hold_anything(task):
    net, x, y = task
    y = with_bad(y, (5, 1))
    net.fit(x, y, bp.SGD(0.01), target_mask=np.isfinite(y))
    assert np.isfinite(net.parameters).all()


def test_a_divergence_with_finite_data_stays_one(task):
    net, x, y = task
    with pytest.raises(bp.DivergenceError, match="learning rate"):
        net.fit(x, y, bp.SGD(1e6), epochs=30)


@pytest.mark.parametrize("stop", [True, np.True_])
def test_a_callback_that_returns_true_stops(task, stop):
    net, x, y = task
    history = net.fit(x, y, bp.SGD(0.01), epochs=5, callbacks=[lambda network, record: stop])
    assert history.epochs == 1


@pytest.mark.parametrize("other", [False, np.False_, None, 1, "stop", np.ones(2)])
def test_a_callback_that_returns_anything_else_does_not(task, other):
    net, x, y = task
    history = net.fit(x, y, bp.SGD(0.01), epochs=2, callbacks=[lambda network, record: other])
    assert history.epochs == 2


def test_class_weights_need_one_class_a_sample(task):
    net, x, y = task
    with pytest.raises(TypeError, match="dict of classes to weights, or 'balanced', got ndarray"):
        net.fit(x, y, bp.SGD(0.01), class_weight=np.ones(2))
    y = np.eye(2)[np.arange(100) % 2]
    y[8] = 1
    with pytest.raises(ValueError, match=r"y\[8\] is \[1.0, 1.0\].*sample_weight"):
        net.fit(x, y, bp.SGD(0.01), class_weight="balanced")


@pytest.mark.parametrize("samples", [1, 70])
@pytest.mark.parametrize("momentum", [False, True])
def test_infinite_weights_whose_losses_are_finite_are_a_divergence(momentum, samples):
    """What a rule remembers moves the weights on where the gradient is 0, as the sigmoid's is far out."""
    net = bp.Network(bp.Layer(1, 1, "sigmoid"), seed=0)
    optimizer = bp.SGD(3e38, momentum=0.9) if momentum else bp.Adam(3e38)
    x, y = np.ones((samples, 1), "f4"), np.zeros((samples, 1), "f4")
    with pytest.raises(bp.DivergenceError) as error:
        net.fit(x, y, optimizer, epochs=50, batch_size=1, shuffle=False)
    assert np.isfinite(net.parameters).all()
    assert optimizer.steps == (error.value.epoch - 1) * samples
    assert np.isfinite(net.losses(x, y)).all()
