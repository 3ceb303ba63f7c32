"""Every kernel at the sizes where tiles and panels end, against sums of higher precision; NaN, infinity and
numbers below the normal ones. tests/kernels/test_instruction_sets.py runs this file for each instruction set.

A sum of k products in order, each product and each addition rounded once at most, is off by no more than
(k + 1) u Σ |factors|, to first order in the roundoff u: that bound, entry by entry, is the tolerance.
"""

import mpmath
import numpy as np
import pytest
import reference
from conftest import assert_same_bits, make_network

import backprop as bp
from backprop import kernels

# Around vectors (2 to 16 numbers), tiles (3, 6, 12 rows), panels (8 and 16) and groups of them; primes.
WIDTHS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 33, 47, 48, 49, 63, 64, 65, 97)
ROWS = (1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 17, 25, 31)
DEPTHS = (1, 2, 7, 8, 9, 15, 16, 17, 31, 127, 255, 256, 257, 509)


def sizes():
    """Triples in which every value of each list has its turn, with many of the others'."""
    rng = np.random.default_rng(7)
    lists = [rng.permutation(np.resize(values, 4 * len(WIDTHS))) for values in (ROWS, WIDTHS, DEPTHS)]
    return [tuple(int(v) for v in triple) for triple in zip(*lists, strict=True)]


@pytest.fixture
def draw(dtype):
    rng = np.random.default_rng(99)
    return lambda *shape: rng.normal(size=shape).astype(dtype)


def assert_within(actual, expected, bound, what):
    """Entry by entry, against numbers and bounds of long double."""
    assert actual.shape == expected.shape, what
    assert np.isfinite(expected).all(), what
    assert expected.any(), f"{what}: vacuous"
    error = np.abs(actual.astype(np.longdouble) - expected)
    assert (error <= bound).all(), f"{what}: {float((error / bound).max()):.3g} times the bound"


def long(array):
    return np.asarray(array).astype(np.longdouble)


def test_weighted_sums_of_every_size(draw, roundoff):
    for n, outputs, inputs in sizes():
        a, w, b = draw(n, inputs), draw(outputs, inputs), draw(outputs)
        expected = long(a) @ long(w).T + long(b)
        size = np.abs(long(a)) @ np.abs(long(w)).T + np.abs(long(b))
        z = kernels.weighted_sum(a, w, b)
        assert_within(z, expected, (inputs + 2) * roundoff * size, (n, outputs, inputs))
        # one sample alone has the bits that it has in a batch
        assert_same_bits(kernels.weighted_sum(a[-1], w, b), z[-1], (n, outputs, inputs))


def test_gradients_of_every_size(draw, roundoff):
    for inputs, outputs, n in sizes():
        delta, a = draw(n, outputs), draw(n, inputs)
        expected = long(delta).T @ long(a) / n
        bound = (n + 3) * roundoff * (np.abs(long(delta)).T @ np.abs(long(a)) / n)
        assert_within(kernels.weight_gradient(delta, a), expected, bound, (inputs, outputs, n))


def test_deltas_of_every_size(draw, roundoff):
    for n, nodes, outputs in sizes():
        delta, w, da_dz = draw(n, outputs), draw(outputs, nodes), draw(n, nodes)
        expected = (long(delta) @ long(w)) * long(da_dz)
        bound = (outputs + 3) * roundoff * (np.abs(long(delta)) @ np.abs(long(w))) * np.abs(long(da_dz))
        assert_within(kernels.delta_hidden(delta, w, da_dz), expected, bound, (n, nodes, outputs))


def test_updates_of_every_size(draw, roundoff):
    for n in WIDTHS:
        w, g = draw(n), draw(n)
        bound = 3 * roundoff * (np.abs(long(w)) + np.abs(long(g)))
        assert_within(kernels.sgd_update(w, g, 0.25), long(w) - long(g) / 4, bound, n)


MPMATH = {
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "tanh": mpmath.tanh,
    "elu": lambda z: z if z > 0 else mpmath.expm1(z),
    "gelu": lambda z: z * mpmath.erfc(-z / mpmath.sqrt(2)) / 2,
    "silu": lambda z: z / (1 + mpmath.exp(-z)),
    "softplus": lambda z: mpmath.log1p(mpmath.exp(z)),
}
FUNCTION_ROUNDINGS = 6  # 2.5 ulp of a vector function, two roundings each at most, and a product's own


@pytest.mark.parametrize("name", MPMATH)
def test_functions_of_every_size_with_30_digits(name, draw, roundoff):
    """Relative to each value."""
    with mpmath.workdps(30):
        for n in WIDTHS:
            z = 3 * draw(n)
            exact = [MPMATH[name](mpmath.mpf(float(v))) for v in z]
            expected = np.array([np.longdouble(mpmath.nstr(value, 25)) for value in exact])
            bound = FUNCTION_ROUNDINGS * roundoff * np.abs(expected)
            assert_within(kernels.activation(name, z), expected, bound, (name, n))


@pytest.mark.parametrize("name", reference.ACTIVATIONS)
def test_an_entry_does_not_depend_on_its_neighbours(name, draw):
    """The same bits at every place of a vector, alone or among others; softmax: each row."""
    z = 3 * draw(5, 97)
    for function in (kernels.activation, kernels.activation_derivative):
        whole = function(name, z)
        for n in range(len(z)):
            assert_same_bits(function(name, z[n]), whole[n], name)
        if name != "softmax":
            for j in range(0, 97, 5):
                assert_same_bits(function(name, z[:, j : j + 1])[:, 0], whole[:, j], name)


@pytest.mark.parametrize("offset", [1, 2, 3, 5])
def test_numbers_at_any_address(offset, draw, dtype):
    a, w, b = draw(7, 33), draw(17, 33), draw(17)
    expected = kernels.weighted_sum(a, w, b)

    def moved(array):
        memory = bytearray(offset + array.nbytes)
        memory[offset:] = array.tobytes()
        return np.frombuffer(memory, dtype, array.size, offset).reshape(array.shape)

    assert not moved(a).flags.aligned
    assert_same_bits(kernels.weighted_sum(moved(a), moved(w), moved(b)), expected)
    assert_same_bits(kernels.activation("tanh", moved(a)), kernels.activation("tanh", a))
    assert_same_bits(kernels.sgd_update(moved(a), moved(a), 0.5), kernels.sgd_update(a, a, 0.5))
    out = moved(expected)
    assert kernels.weighted_sum(a, w, b, out=out) is out
    assert_same_bits(out, expected)


# Below the normal numbers.


def flushes(dtype):
    """Whether this thread takes subnormal numbers for zeros."""
    tiny = np.array([np.finfo(dtype).smallest_subnormal * 5], dtype)
    return bool((tiny * np.array([1], dtype))[0] == 0 or (tiny + tiny)[0] == 0)


def test_subnormal_numbers_are_kept(dtype):
    least, tiny = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny
    z = (np.arange(-20, 20) * least).astype(dtype)
    for name in ("identity", "tanh", "elu"):
        assert_same_bits(kernels.activation(name, z), z if name == "identity" else z + 0, name)
    assert_same_bits(kernels.activation("relu", z), np.maximum(z, 0))
    a, w = np.full((3, 4), tiny / 8, dtype), np.full((17, 4), 0.5, dtype)
    assert (kernels.weighted_sum(a, w) == tiny / 4).all()
    assert (kernels.weight_gradient(a[:, :3], np.ones((3, 4), dtype)) > 0).all()
    weights = np.full(33, tiny, dtype)
    moved = kernels.sgd_update(weights, np.full(33, tiny / 2, dtype), 0.5)
    assert (moved == np.dtype(dtype).type(0.75) * tiny).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_training_leaves_subnormal_numbers_as_they_were(threads, dtype):
    """In the process that trains, and in the weights: no unit is set to flush them."""
    assert not flushes(dtype)
    least = np.finfo(dtype).smallest_subnormal
    net = make_network((3, 33, 2), "identity", dtype=dtype)
    net.parameters[...] = 0
    net.layers[0].weights[...] = 7 * least
    x, y = np.ones((8, 3), dtype), np.zeros((8, 2), dtype)
    before = net.parameters.copy()
    net.fit(x, y, bp.SGD(0.1), batch_size=4, threads=threads)
    assert not flushes(dtype)
    assert_same_bits(net.parameters, before)  # all gradients are zero, and so is none of the weights
    assert (net.trace(x).layers[0].z == 21 * least).all()


# NaN and infinity.


def test_nan_stays_in_its_row(draw):
    """A sample that is not finite spoils its own results and nobody else's, whatever tile they share."""
    for n, outputs, inputs in sizes()[::3]:
        a, w = draw(n, inputs), draw(outputs, inputs)
        clean = kernels.weighted_sum(a, w)
        for bad in (np.nan, np.inf):
            spoilt = a.copy()
            spoilt[n // 2, -1] = bad
            z = kernels.weighted_sum(spoilt, w)
            assert not np.isfinite(z[n // 2]).any()
            assert_same_bits(np.delete(z, n // 2, 0), np.delete(clean, n // 2, 0))


@pytest.mark.parametrize("name", reference.LOSSES)
def test_nan_in_losses(name, draw, dtype):
    a, y = np.full((3, 17), 0.5, dtype), np.full((3, 17), 0.25, dtype)
    for part in (a, y):
        whole = part[1, 16]
        part[1, 16] = np.nan
        assert np.isnan(kernels.loss(name, a, y)).tolist() == [False, True, False]
        slopes = np.isnan(kernels.loss_derivative(name, a, y))
        assert slopes[1, 16]
        assert slopes.sum() == 1
        part[1, 16] = whole


def test_nan_in_a_network(dtype):
    """Outputs and losses of other samples have the same bits; the mean is NaN."""
    net = make_network((9, 17, 5), ("tanh", "softmax"), "cross_entropy", dtype=dtype)
    x = np.random.default_rng(1).normal(size=(13, 9)).astype(dtype)
    y = np.zeros(13, int)
    outputs, losses = net(x), net.losses(x, y)
    x[6, 3] = np.nan
    assert np.isnan(net(x)[6]).all()
    assert_same_bits(np.delete(net(x), 6, 0), np.delete(outputs, 6, 0))
    assert np.isnan(net.losses(x, y)[6])
    assert_same_bits(np.delete(net.losses(x, y), 6), np.delete(losses, 6))
    assert np.isnan(net.loss(x, y))
    with pytest.raises(ValueError, match=r"x\[6, 3\] is nan"):
        net.fit(x, y, bp.SGD(0.1))


def test_weights_that_are_not_finite_are_seen(dtype):
    """The first and the last entry of each layer; an infinity that tanh hides, once its step is done."""
    for bad in (np.nan, np.inf, -np.inf):
        for layer in (0, 1):
            for place in (0, -1):
                net = make_network((3, 17, 5), "tanh", dtype=dtype)
                net.layers[layer].weights.T.reshape(-1)[place] = bad
                with pytest.raises(bp.DivergenceError) as caught:
                    net.fit(np.ones((4, 3), dtype), np.zeros((4, 5), dtype), bp.SGD(0.1))
                assert caught.value.layer == (layer + 2 if np.isnan(bad) else 2)
