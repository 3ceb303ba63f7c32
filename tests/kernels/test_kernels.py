"""The steps of backpropagation one by one, backprop.kernels, against the oracle."""

import numpy as np
import pytest
import reference
from conftest import assert_close, assert_same_bits

import backprop as bp
from backprop import kernels

SHAPES = [(1,), (3,), (16,), (35,), (1, 1), (1, 5), (2, 16), (7, 33), (130, 3)]

# Functions are good to a few units in the last place, relative to the largest entry, and sums here
# have at most 130 terms, of which roundings add up to less than 130/2 in practice.
FUNCTION_ROUNDINGS, SUM_ROUNDINGS = 8, 64


@pytest.fixture
def draw(dtype):
    """draw(*shape): random numbers of the dtype, the same ones in the same order in each test."""
    rng = np.random.default_rng(99)
    return lambda *shape: rng.normal(size=shape).astype(dtype)


def rows(array):
    """The samples of a 1-D or 2-D array as lists of floats."""
    return np.atleast_2d(array).astype(float).tolist()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", reference.ACTIVATIONS)
def test_activation(name, shape, draw, dtype, roundoff):
    z = 3 * draw(*shape)
    a = kernels.activation(name, z)
    assert a.dtype == np.dtype(dtype)
    expected = [reference.activation(name, row) for row in rows(z)]
    if np.any(expected):
        assert_close(a, np.reshape(expected, shape), FUNCTION_ROUNDINGS * roundoff, name)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", reference.ACTIVATIONS)
def test_activation_derivative(name, shape, draw, dtype, roundoff):
    z = 3 * draw(*shape)
    da_dz = kernels.activation_derivative(name, z)
    assert da_dz.dtype == np.dtype(dtype)
    matrices = np.array([reference.activation_jacobian(name, row) for row in rows(z)])
    if name == "softmax":
        expected = matrices.reshape(*shape, shape[-1])
    else:
        expected = np.einsum("njj->nj", matrices).reshape(shape)
    if np.any(expected):
        # z stands as a factor in some of them: |z| roundings more.
        roundings = FUNCTION_ROUNDINGS + np.abs(z).max()
        assert_close(da_dz, expected, roundings * roundoff, name)
    else:
        # A softmax of one node, or relus that are all off: exactly nothing.
        assert not da_dz.any()


def test_results_without_axes_are_numbers(draw, dtype):
    """As those of NumPy's own functions; an `out` that is given is returned as it is."""
    a, y, z, out = draw(3), draw(3), draw(1)[0], np.empty((), dtype)
    z = np.asarray(z)
    assert type(kernels.loss("huber", a, y)) is np.dtype(dtype).type
    assert type(kernels.activation("tanh", z)) is np.dtype(dtype).type
    assert type(kernels.activation_derivative("tanh", z)) is np.dtype(dtype).type
    assert kernels.loss("huber", a, y, out=out) is out
    assert kernels.activation("tanh", z, out=out) is out


SIZES = np.array([0, 1e-300, 1e-30, 1, 20, 88, 104, 700, 745, 1e4, 1e30])
EXTREMES = np.concatenate([SIZES, -SIZES])


@pytest.mark.parametrize("name", reference.ELEMENTWISE)
def test_elementwise_functions_far_out(name, dtype, roundoff):
    """Entry by entry, so that a small value counts as much as a large one."""
    z = EXTREMES.astype(dtype)
    a, da_dz = kernels.activation(name, z), kernels.activation_derivative(name, z)
    assert a.dtype == da_dz.dtype == np.dtype(dtype)
    g, g_prime = reference.ELEMENTWISE[name]
    expected = np.array([g(z_j) for z_j in z.tolist()])
    # The oracle's erfc(-z/√2) rounds z/√2, which counts z² times: as much as float64 is off by there.
    oracle = 2.0**-53 * np.minimum(z.astype(float) ** 2, 1e6) if name == "gelu" else 0
    allowed = (FUNCTION_ROUNDINGS * roundoff + oracle) * np.abs(expected)
    error = np.abs(a.astype(float) - expected)
    assert (error <= allowed + np.finfo(dtype).tiny).all(), np.c_[z, a, expected]
    # A derivative that is computed from a, such as a (1 - a), is as exact as its largest value,
    # about 1, is. In silu's a rounding of 1 - σ is multiplied by z, up to z = 37, where σ is 1.
    roundings = FUNCTION_ROUNDINGS + np.minimum(np.abs(z.astype(float)), 37)
    expected = np.array([g_prime(z_j) for z_j in z.tolist()])
    error = np.abs(da_dz.astype(float) - expected)
    assert (error <= roundings * roundoff).all(), np.c_[z, da_dz, expected]


@pytest.mark.parametrize("name", reference.ACTIVATIONS)
def test_activations_of_infinity_and_nan(name, dtype):
    z = np.array([np.nan, 0.5], dtype)
    assert np.isnan(kernels.activation(name, z)[0])
    if name == "softmax":
        return
    slopes = {
        "identity": (1, 1), "sigmoid": (0, 0), "tanh": (0, 0), "relu": (0, 1), "leaky_relu": (0.01, 1),
        "elu": (0, 1), "softplus": (0, 1), "gelu": (0, 1), "silu": (0, 1),
    }  # fmt: skip
    limits = {
        "identity": (-np.inf, np.inf), "sigmoid": (0, 1), "tanh": (-1, 1), "relu": (0, np.inf),
        "leaky_relu": (-np.inf, np.inf), "elu": (-1, np.inf), "softplus": (0, np.inf),
        "gelu": (-0.0, np.inf), "silu": (-0.0, np.inf),
    }  # fmt: skip
    ends = np.array([-np.inf, np.inf], dtype)
    assert_same_bits(kernels.activation(name, ends), np.array(limits[name], dtype))
    assert_same_bits(kernels.activation_derivative(name, ends), np.array(slopes[name], dtype))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", reference.LOSSES)
def test_losses(name, shape, draw, dtype, roundoff):
    """a near one half, where subtracting from 1 loses nothing, and targets on both sides."""
    a = (0.5 + 0.1 * draw(*shape)).clip(0.05, 0.95)
    y = np.abs(draw(*shape)).clip(0, 1)
    pairs = list(zip(rows(a), rows(y), strict=True))
    expected = np.reshape([reference.loss(name, *pair) for pair in pairs], shape[:-1])
    actual = kernels.loss(name, a, y)
    assert np.asarray(actual).dtype == np.dtype(dtype)
    assert_close(actual, expected, SUM_ROUNDINGS * roundoff, name)
    expected = np.reshape([reference.loss_derivative(name, *pair) for pair in pairs], shape)
    actual = kernels.loss_derivative(name, a, y)
    assert actual.dtype == np.dtype(dtype)
    # One of a, 1 - a and a - y may have lost a digit: 10 roundings for each one.
    assert_close(actual, expected, 10 * FUNCTION_ROUNDINGS * roundoff, name)


@pytest.mark.parametrize("columns", [1, 2, 7, 8, 9, 16, 17, 100, 256, 257])
def test_a_row_alone_has_the_bits_that_it_has_among_others(columns, draw, dtype):
    """Many rows go through the lanes of vectors, one does not."""
    special = [0, -0.0, 1e-40, np.finfo(dtype).max, 1, np.nan, np.inf, -np.inf]
    rng = np.random.default_rng(columns)
    far = rng.random((53, columns)) < np.linspace(0, 0.6, 53)[:, np.newaxis]
    z, a, y = (draw(53, columns) * scale for scale in (50, 1, 1))
    for numbers, most in ((z, 8), (a, 6), (y, 5)):
        numbers[far] = rng.choice(special[:most], size=far.sum())
    net = bp.Network(bp.Layer(columns, columns, "identity"), dtype=dtype)
    net.layers[0].weights[:] = np.eye(columns)

    def of_rows(n):
        losses = [kernels.loss(name, np.abs(a[n]), np.abs(y[n])) for name in reference.LOSSES]
        return [kernels.activation("softmax", z[n]), *losses, net.classify(np.nan_to_num(z[n]))]

    with np.errstate(all="ignore"):
        among = of_rows(slice(None))
        for n in range(53):
            for one, other in zip(of_rows(n), among, strict=True):
                assert_same_bits(one_nan(one), one_nan(other[n]))


def one_nan(numbers):
    """Their bits, but for those of NaN, which are the processor's."""
    numbers = np.asarray(numbers)
    return np.where(np.isnan(numbers), np.nan, numbers).astype(numbers.dtype)


def test_huber_on_both_sides_of_its_corner(dtype):
    a = np.array([[0.0], [1.0], [1.5], [-3.0]], dtype)
    y = np.zeros((4, 1), dtype)
    assert kernels.loss("huber", a, y).tolist() == [0.0, 0.5, 1.0, 2.5]
    assert kernels.loss_derivative("huber", a, y).tolist() == [[0.0], [1.0], [1.0], [-1.0]]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("n", [None, 1, 2, 13])
@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (3, 17), (33, 16), (16, 300)])
def test_weighted_sum(outputs, inputs, n, bias, draw, dtype, roundoff):
    a = draw(inputs) if n is None else draw(n, inputs)
    weights, b = draw(outputs, inputs), draw(outputs) if bias else None
    expected = [reference.weighted_sum(rows(weights), b, row) for row in rows(a)]
    z = kernels.weighted_sum(a, weights, b)
    assert z.shape == (*a.shape[:-1], outputs)
    assert z.dtype == np.dtype(dtype)
    assert_close(z, np.reshape(expected, z.shape), SUM_ROUNDINGS * roundoff)


@pytest.mark.parametrize("n", [None, 1, 9])
@pytest.mark.parametrize("softmax", [True, False])
def test_deltas(n, softmax, draw, roundoff):
    """δ_i = Σ_j ∂C/∂a_j ∂a_j/∂z_i; in a hidden layer ∂C/∂a_k = Σ_j δ_j w_jk."""
    lead = () if n is None else (n,)
    name, width, outputs = "softmax" if softmax else "tanh", 18, 5
    z, dC_da = draw(*lead, width), draw(*lead, width)
    da_dz = kernels.activation_derivative(name, z)
    matrices = [np.array(reference.activation_jacobian(name, row)) for row in rows(z)]
    pairs = zip(rows(dC_da), matrices, strict=True)
    expected = np.reshape([row @ matrix for row, matrix in pairs], z.shape)
    tolerance = SUM_ROUNDINGS * roundoff
    assert_close(kernels.delta_output(dC_da, da_dz), expected, tolerance, "output")

    delta, weights = draw(*lead, outputs), draw(outputs, width)
    dC_da = np.atleast_2d(delta).astype(float) @ weights.astype(float)
    pairs = zip(dC_da, matrices, strict=True)
    expected = np.reshape([row @ matrix for row, matrix in pairs], z.shape)
    assert_close(kernels.delta_hidden(delta, weights, da_dz), expected, tolerance, "hidden")


@pytest.mark.parametrize("n", [None, 1, 6, 40])
def test_weight_gradient_is_the_mean_over_the_batch(n, draw, roundoff):
    lead = () if n is None else (n,)
    delta, a = draw(*lead, 5), draw(*lead, 19)
    products = [np.outer(*pair) for pair in zip(rows(delta), rows(a), strict=True)]
    expected = np.mean(products, axis=0)
    # The mean of n terms cancels by about √n.
    assert_close(kernels.weight_gradient(delta, a), expected, SUM_ROUNDINGS * roundoff)


@pytest.mark.parametrize("shape", [(1,), (17,), (5, 33)], ids=str)
def test_sgd_update(shape, draw, dtype, roundoff):
    weights, gradient = np.asarray(draw(*shape)), np.asarray(draw(*shape))
    before = weights.copy()
    updated = kernels.sgd_update(weights, gradient, 0.25)
    assert_same_bits(weights, before)
    expected = before.astype(float) - 0.25 * gradient.astype(float)
    assert_close(updated, expected, 4 * roundoff)
    returned = kernels.sgd_update(weights, gradient, 0.25, out=weights)
    assert returned is weights
    assert_same_bits(weights, np.asarray(updated))


CALLS = {
    "weighted_sum": (lambda d: (d(4, 7), d(3, 7), d(3)), (4, 3)),
    "activation": (lambda d: ("gelu", d(4, 7)), (4, 7)),
    "activation_derivative": (lambda d: ("tanh", d(4, 7)), (4, 7)),
    "loss": (lambda d: ("huber", d(4, 7), d(4, 7)), (4,)),
    "loss_derivative": (lambda d: ("squared_error", d(4, 7), d(4, 7)), (4, 7)),
    "delta_output": (lambda d: (d(4, 7), d(4, 7)), (4, 7)),
    "delta_hidden": (lambda d: (d(4, 3), d(3, 7), d(4, 7)), (4, 7)),
    "weight_gradient": (lambda d: (d(4, 3), d(4, 7)), (3, 7)),
    "sgd_update": (lambda d: (d(4, 7), d(4, 7), 0.1), (4, 7)),
}


def change(arguments, function):
    """The arguments with every array replaced by function(array)."""
    return [function(a) if isinstance(a, np.ndarray) else a for a in arguments]


@pytest.mark.parametrize("name", CALLS)
def test_strides_and_out(name, draw, dtype):
    """Any strides give the same bits; out is filled, returned, and may itself be strided."""
    make, shape = CALLS[name]
    function, arguments = getattr(kernels, name), make(draw)
    before = [np.array(a) for a in arguments]
    expected = function(*arguments)
    assert expected.shape == shape
    assert expected.any()
    for layout in (
        np.asfortranarray,
        lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
        lambda array: array[::-1].copy()[::-1],
    ):
        assert_same_bits(function(*change(arguments, layout)), expected)
    for out in (
        np.full(shape, np.nan, dtype),
        np.full(shape, np.nan, dtype, order="F"),
        np.full((*shape[:-1], 2 * shape[-1]), np.nan, dtype)[..., ::2],
    ):
        assert function(*arguments, out=out) is out
        assert_same_bits(np.ascontiguousarray(out), expected)
    for argument, old in zip(arguments, before, strict=True):
        assert_same_bits(np.array(argument), old)


@pytest.mark.parametrize("name", ["activation", "activation_derivative", "delta_output"])
def test_out_may_be_an_argument(name, draw):
    make, _ = CALLS[name]
    arguments = make(draw)
    expected = getattr(kernels, name)(*arguments)
    assert getattr(kernels, name)(*arguments, out=arguments[-1]) is arguments[-1]
    assert_same_bits(arguments[-1], expected)


@pytest.mark.parametrize("name", CALLS)
def test_bad_arguments(name, draw, dtype):
    make, shape = CALLS[name]
    function, arguments = getattr(kernels, name), make(draw)
    arrays = [index for index, a in enumerate(arguments) if isinstance(a, np.ndarray)]
    for kind in ("int64", "float16", "complex128", "object"):
        with pytest.raises(TypeError, match="float32"):
            function(*change(arguments, lambda array, kind=kind: array.astype(kind)))
    if len(arrays) > 1:
        mixed = list(arguments)
        mixed[arrays[-1]] = mixed[arrays[-1]].astype({"float32": "float64"}.get(dtype, "float32"))
        with pytest.raises(TypeError):
            function(*mixed)
        # The outputs and inputs of a weight gradient are free, its samples must agree.
        shorter = (lambda a: a[:-1]) if name == "weight_gradient" else (lambda a: a[..., :-1])
        for bad in (shorter, lambda array: array[None, None]):
            wrong = list(arguments)
            wrong[arrays[0]] = bad(wrong[arrays[0]])
            with pytest.raises(ValueError, match=r"shape|axes"):
                function(*wrong)
    out = np.zeros((*shape[:-1], shape[-1] + 1), dtype)
    with pytest.raises(ValueError, match="out"):
        function(*arguments, out=out)
    for wrong in (np.zeros(shape, "int64"), np.zeros(shape, "float16"), [0.0]):
        with pytest.raises(TypeError, match="out"):
            function(*arguments, out=wrong)
    read_only = np.zeros(shape, dtype)
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="out"):
        function(*arguments, out=read_only)
    assert not out.any()


def test_misspelt_names(draw):
    z = draw(3)
    for function, arguments in (
        (kernels.activation, (z,)),
        (kernels.activation_derivative, (z,)),
        (kernels.loss, (z, z)),
        (kernels.loss_derivative, (z, z)),
    ):
        with pytest.raises(ValueError, match="sigmiod"):
            function("sigmiod", *arguments)
        with pytest.raises(TypeError):
            function(7, *arguments)


@pytest.mark.parametrize("rows", [2**60, 2**59 - 1, 2**57])
def test_more_numbers_than_any_memory(rows, dtype):
    """Their panels' bytes do not fit into a size_t; arrays of stride 0 hold as many in no memory."""
    rows //= np.dtype(dtype).itemsize // 4
    many = np.broadcast_to(np.ones((), dtype), (rows, 1))
    wide = np.broadcast_to(np.ones((), dtype), (1, rows))
    one = np.ones((1, 1), dtype)
    calls = (
        lambda: kernels.weighted_sum(many, one),
        lambda: kernels.weighted_sum(wide, wide),
        lambda: kernels.weighted_sum(one, many),
        lambda: kernels.activation("softmax", many),
        lambda: kernels.activation_derivative("softmax", wide),
        lambda: kernels.loss("huber", many, many),
        lambda: kernels.loss_derivative("huber", wide, wide),
        lambda: kernels.delta_output(many, many),
        lambda: kernels.delta_hidden(many, one, many),
        lambda: kernels.weight_gradient(many, many),
        lambda: kernels.weight_gradient(wide, wide),
    )
    for call in calls:
        with pytest.raises(MemoryError):
            call()


@pytest.mark.parametrize(
    ("name", "shapes", "text"),
    [
        ("weighted_sum", [(4, 7), (3, 6)], r"weights must have shape \(3, 7\), but has shape \(3, 6\)"),
        ("weighted_sum", [(4, 7), (3, 7), (4,)], r"bias must have shape \(3,\), but has shape \(4,\)"),
        ("weighted_sum", [(2, 2, 2), (2, 2)], "a must have 1 to 2 axes, but has 3"),
        ("weighted_sum", [(4, 7), (7,)], "weights must have 2 to 2 axes, but has 1"),
        ("delta_output", [(3,), (2, 3, 3)], r"da_dz must have shape \(3,\) or \(3, 3\), but has"),
        ("delta_hidden", [(4, 3), (3, 7), (4, 7, 6)], r"da_dz must have shape \(4, 7\) or \(4, 7, 7\)"),
        ("weight_gradient", [(4, 3), (3, 2)], r"a must have shape \(4, k\), but has shape \(3, 2\)"),
        ("weighted_sum", [(4, 0), (3, 0)], "a must not be empty"),
    ],
)
def test_shapes_are_named(name, shapes, text, draw):
    """With the lengths that other arguments fix, and a letter for one that is free."""
    with pytest.raises(ValueError, match=text):
        getattr(kernels, name)(*(np.ones(shape) for shape in shapes))
