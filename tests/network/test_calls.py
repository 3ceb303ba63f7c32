"""What net(x) takes by name: out, and dropout with rng."""

import numpy as np
import pytest
from conftest import assert_same_bits, make_data, make_network

import backprop as bp


def dropping(loss="squared_error", dtype="float64"):
    hidden = bp.Layer(4, 50, "tanh", dropout=0.5), bp.Layer(50, 9, "relu", dropout=0.2)
    return bp.Network(*hidden, bp.Layer(9, 3, "sigmoid"), loss=loss, dtype=dtype, seed=0)


@pytest.mark.parametrize("n", [1, 5, 300])
def test_out_is_filled_and_returned(n, dtype):
    net = make_network((4, 7, 3), "tanh", dtype=dtype)
    x, _ = make_data(net, n)
    out = np.full((n, 3), np.nan, dtype)
    assert net(x, out=out) is out
    assert_same_bits(out, net(x))
    one = np.empty(3, dtype)
    assert net(x[0], out=one) is one
    assert_same_bits(one, net(x[0]))
    assert_same_bits(net(x, out=None), out)


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (np.empty((5, 3)), ValueError, r"out must have shape \(5, 2\), but has shape \(5, 3\)"),
        (np.empty(2), ValueError, r"out must have shape \(5, 2\)"),
        (np.empty((5, 2), "f4"), TypeError, "writable, C-contiguous array of float64"),
        (np.empty((2, 5)).T, TypeError, "C-contiguous"),
        (np.empty((5, 2), ">f8"), TypeError, "C-contiguous"),
        (np.broadcast_to(0.0, (5, 2)), TypeError, "writable"),
        ([[0.0, 0.0]] * 5, TypeError, "C-contiguous"),
    ],
)
def test_wrong_out(small, out, error, message):
    with pytest.raises(error, match=message):
        small.net(small.x, out=out)


def test_out_lies_apart(small):
    room = np.zeros(25)
    x = room[:15].reshape(5, 3)
    for out in (room[5:15], room[14:24], small.net.parameters[:10]):
        before = out.copy()
        with pytest.raises(ValueError, match="must not overlap"):
            small.net(x, out=out.reshape(5, 2))
        assert_same_bits(out, before)
    assert small.net(x, out=room[15:].reshape(5, 2)).any()
    with pytest.raises(ValueError, match="must not overlap"):
        small.net(x[::-1, ::-1], out=room[5:15].reshape(5, 2))


@pytest.mark.parametrize("n", [6, 300])
def test_dropout_is_that_of_a_step(n, dtype):
    """C before a step is of the outputs with dropout: the same nodes are left out, in every block of rows."""
    net = dropping(dtype=dtype)
    x, y = make_data(net, n)
    state = net.rng.bit_generator.state
    outputs = net(x, dropout=True)
    net.rng.bit_generator.state = state
    expected = net.step(x, y, bp.SGD(0.1))
    assert ((outputs.astype(float) - y) ** 2).sum(1).mean() == pytest.approx(expected, rel=1e-6)
    assert expected != pytest.approx(dropping(dtype=dtype).loss(x, y), rel=1e-3)


def test_dropout_follows_rng():
    net = dropping()
    x, _ = make_data(net, 10)
    plain, state = net(x), net.rng.bit_generator.state
    assert_same_bits(net(x, dropout=True, rng=3), net(x, dropout=True, rng=np.random.default_rng(3)))
    assert (net(x, dropout=True, rng=3) != net(x, dropout=True, rng=4)).any()
    assert net.rng.bit_generator.state == state
    assert (net(x, dropout=True) != net(x, dropout=True)).any()
    assert net.rng.bit_generator.state != state
    assert_same_bits(net(x, dropout=False), plain)
    assert_same_bits(net(x), plain)
    out = np.empty((10, 3))
    assert_same_bits(net(x, dropout=True, rng=3, out=out), net(x, dropout=True, rng=3))


def test_dropout_by_hand():
    """One layer of identities: each node is 0 or its value over 1 - rate."""
    layers = bp.Layer(3, 40, "identity", dropout=0.25), bp.Layer(40, 40, "identity", bias=False)
    net = bp.Network(*layers, dtype="float64", seed=0)
    net.layers[1].weights = np.eye(40)
    x = np.ones((200, 3))
    kept = net(x, dropout=True, rng=0) != 0
    np.testing.assert_allclose(net(x, dropout=True, rng=0), np.where(kept, net(x) / 0.75, 0), rtol=1e-14)
    # 8000 draws: the standard deviation of the share is 0.0048
    assert abs(kept.mean() - 0.75) < 5 * 0.0048


def test_wrong_dropout(small):
    with pytest.raises(ValueError, match="needs a layer with dropout"):
        small.net(small.x, dropout=True)
    with pytest.raises(ValueError, match="rng is for dropout=True"):
        small.net(small.x, rng=1)
    with pytest.raises(TypeError):
        dropping()(np.ones((2, 4)), dropout=True, rng="dice")
    with pytest.raises(TypeError):
        small.net(small.x, small.x)
    with pytest.raises(TypeError, match=r"unexpected|invalid"):
        small.net(small.x, wrong=1)
