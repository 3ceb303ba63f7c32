"""The sets in the plane: their formulas, balance, order, and what they refuse."""

import numpy as np
import pytest
from conftest import assert_same_bits

from backprop import datasets

SETS = ("two_spirals", "circles", "xor", "moons")


@pytest.fixture(params=SETS)
def make(request):
    return getattr(datasets, request.param)


@pytest.mark.parametrize("n", [2, 3, 10, 201])
def test_shape_and_balance(make, n):
    x, y = make(n, rng=0)
    assert x.shape == (n, 2)
    assert x.dtype == np.float64
    assert y.shape == (n,)
    assert y.dtype == np.int64
    assert np.bincount(y).tolist() == [n - n // 2, n // 2]


def test_a_seed_gives_the_same_set_and_another_seed_another(make):
    x, y = make(rng=7)
    again, labels = make(rng=np.random.default_rng(7))
    assert_same_bits(x, again)
    assert_same_bits(y, labels)
    assert len(x) == 200
    assert not np.array_equal(x, make(rng=8)[0])


def test_the_order_is_random(make):
    _, y = make(200, rng=0)
    assert abs(y[:100].sum() - 50) < 25
    assert not np.array_equal(y, np.arange(200) % 2)
    assert not np.array_equal(y, np.sort(y))


def test_without_noise_the_nearest_neighbour_has_the_same_class(make):
    """True of separate curves and false of mixed ones; of xor only away from its borders."""
    x, y = make(400, noise=0, rng=0)
    inside = np.abs(x).min(axis=1) > 0.1 if make is datasets.xor else np.ones(len(x), bool)
    x, y = x[inside], y[inside]
    distance = np.linalg.norm(x[:, None] - x, axis=2) + 1e9 * np.eye(len(x))
    assert len(x) > 200
    assert (y[distance.argmin(axis=1)] == y).all()


def test_without_noise_samples_lie_on_the_documented_curves():
    x, y = datasets.circles(101, noise=0, factor=0.25, rng=0)
    np.testing.assert_allclose(np.hypot(*x.T), np.where(y == 0, 1, 0.25), rtol=1e-15)

    x, y = datasets.two_spirals(100, noise=0, turns=2, rng=0)
    r = np.hypot(*x.T)
    angle = 4 * np.pi * r + np.pi * y
    np.testing.assert_allclose(x, r[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1), atol=1e-14)
    for label in (0, 1):
        np.testing.assert_allclose(np.sort(r[y == label]), np.arange(1, 51) / 50, rtol=1e-14)

    x, y = datasets.moons(100, noise=0, rng=0)
    centre = np.where(y[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
    np.testing.assert_allclose(np.hypot(*(x - centre).T), 1, rtol=1e-14)
    assert ((x - centre)[:, 1] * np.where(y == 0, 1, -1) >= -1e-15).all(), "each is half a circle"
    for label in (0, 1):
        assert np.ptp(x[y == label, 0]) == 2, "from end to end"

    x, y = datasets.xor(400, rng=0)
    assert np.array_equal(y, (x[:, 0] > 0) != (x[:, 1] > 0))
    quadrants = (x[:, 0] > 0) * 2 + (x[:, 1] > 0)
    assert np.bincount(quadrants).tolist() == [100] * 4
    assert np.abs(x).max() <= 1
    assert np.abs(np.abs(x).mean() - 0.5) < 0.06, "uniform: 800 numbers, standard error 0.01"


def test_noise_is_a_standard_deviation(make):
    still, _ = make(4000, noise=0, rng=3)
    moved, _ = make(4000, noise=0.5, rng=3)
    assert abs((moved - still).std() - 0.5) < 0.03, "8000 numbers, standard error 0.004"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_samples": 1}, ValueError, "n_samples must be at least 2, got 1"),
        ({"n_samples": 10.0}, TypeError, "n_samples must be a whole number"),
        ({"noise": -0.1}, ValueError, "noise must be at least 0"),
        ({"noise": float("nan")}, ValueError, "noise must be finite"),
        ({"noise": "much"}, TypeError, "noise must be a number"),
    ],
)
def test_bad_arguments(make, arguments, error, message):
    with pytest.raises(error, match=message):
        make(**arguments)


def test_bad_shapes():
    with pytest.raises(ValueError, match="turns must be greater than 0, got 0"):
        datasets.two_spirals(turns=0)
    for factor in (0, 1, 1.5):
        with pytest.raises(ValueError, match="factor must be"):
            datasets.circles(factor=factor)
