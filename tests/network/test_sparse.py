"""x as a matrix of scipy.sparse: the numbers are those of x.toarray(), and nobody's matrix changes."""

import copy
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

import backprop as bp
from backprop import _core

sp = pytest.importorskip("scipy.sparse")

FORMATS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]
SHAPES = [  # samples, inputs, hidden, outputs; the last one adds samples up by blocks
    (200, 50, 37, 5),
    (7, 300, 130, 3),
    (1, 9, 1, 1),
    (130, 40, 16, 2),
    (3, 20, 300, 2),
    (1100, 30, 20, 3),
]
EPSILON = {"float32": 2.0**-24, "float64": 2.0**-53}


def sparse_and_dense(samples, inputs, kind=sp.csr_array, density=0.1):
    x = kind(sp.random(samples, inputs, density, random_state=samples + inputs))
    return x, x.toarray()


def network_and_targets(dtype, samples, inputs, hidden, outputs, **settings):
    net = bp.Network.dense(inputs, hidden, outputs, hidden="tanh", dtype=dtype, seed=1, **settings)
    return net, np.random.default_rng(2).random((samples, outputs))


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.mark.parametrize("shape", SHAPES)
def test_results_are_those_of_the_dense_array(dtype, shape):
    net, y = network_and_targets(dtype, *shape)
    x, d = sparse_and_dense(*shape[:2])
    np.testing.assert_array_equal(net(x), net(d))
    np.testing.assert_array_equal(net.losses(x, y), net.losses(d, y))
    np.testing.assert_array_equal(net.classify(x), net.classify(d))
    assert net.loss(x, y) == net.loss(d, y)
    assert net.loss(x, y, sample_weight=np.arange(1, len(y) + 1)) == net.loss(
        d, y, sample_weight=np.arange(1, len(y) + 1)
    )
    if shape[-1] > 1:
        labels = y.argmax(1)
        assert net.accuracy(x, labels) == net.accuracy(d, labels)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_those_of_the_dense_array(dtype, shape):
    net, y = network_and_targets(dtype, *shape)
    x, d = sparse_and_dense(*shape[:2])
    mask = np.random.default_rng(3).random(y.shape) < 0.7
    for given in ({}, {"target_mask": mask}, {"sample_weight": np.arange(1, len(y) + 1)}):
        sparse, dense = net.gradient(x, y, **given), net.gradient(d, y, **given)
        np.testing.assert_array_equal(sparse.parameters, dense.parameters)
        assert sparse.loss == dense.loss
        # Σ_n Σ_j against Σ_j Σ_n: each term is rounded once more at most for each of the terms after it
        terms = len(y) * shape[2]
        most = np.abs(net.layers[0].weights).max() * np.abs(net.trace(d, y).layers[0].dC_dz).max()
        np.testing.assert_allclose(
            sparse.inputs, dense.inputs, rtol=0, atol=2 * terms * EPSILON[dtype] * most * len(y)
        )
    sparse, dense = (net.gradient(each, y, per_sample=True) for each in (x, d))
    np.testing.assert_array_equal(sparse.parameters, dense.parameters)
    np.testing.assert_array_equal(sparse.inputs, dense.inputs)
    np.testing.assert_array_equal(sparse.loss, dense.loss)
    sparse, dense = (net.gradient(each, dC_da=y) for each in (x, d))
    np.testing.assert_array_equal(sparse.parameters, dense.parameters)


def test_jacobians_and_second_order(dtype):
    net, y = network_and_targets(dtype, 20, 30, 12, 3)
    x, d = sparse_and_dense(20, 30)
    direction = np.random.default_rng(4).standard_normal(net.parameters.size)
    np.testing.assert_array_equal(net.hessian_vector(x, y, direction), net.hessian_vector(d, y, direction))
    np.testing.assert_array_equal(net.jacobian(x), net.jacobian(d))
    np.testing.assert_array_equal(net.jacobian_vector(x, 2 * d), net.jacobian_vector(d, 2 * d))
    np.testing.assert_array_equal(net.vector_jacobian(x, y), net.vector_jacobian(d, y))
    assert net.r2(x, y) == net.r2(d, y)


OPTIMIZERS = {
    "sgd": lambda: bp.SGD(0.1),
    "momentum": lambda: bp.SGD(0.1, momentum=0.9, nesterov=True),
    "decay": lambda: bp.SGD(0.1, weight_decay=0.01),
    "adam": lambda: bp.Adam(0.01),
    "adamw": lambda: bp.AdamW(0.01),
    "rmsprop": lambda: bp.RMSprop(0.01),
    "clipped": lambda: bp.Adam(0.01, clip_norm=0.1),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("samples", [1, 20, 1100])
def test_steps_are_those_of_the_dense_array(dtype, optimizer, samples):
    net, y = network_and_targets(dtype, samples, 30, 20, 3)
    x, d = sparse_and_dense(samples, 30)
    other, one, two = copy.deepcopy(net), OPTIMIZERS[optimizer](), OPTIMIZERS[optimizer]()
    for _ in range(3):
        assert net.step(x, y, one) == other.step(d, y, two)
        np.testing.assert_array_equal(net.parameters, other.parameters)


@pytest.mark.parametrize("optimizer", [bp.SGD(0.1), bp.SGD(0.1, clip_norm=0.1), bp.Adam(0.01)], ids=repr)
@pytest.mark.parametrize("samples", [1, 40, 1100])
def test_masks_and_frozen_layers_are_those_of_the_dense_array(dtype, optimizer, samples):
    mask = np.random.default_rng(0).random((20, 30)) < 0.5
    x, d = sparse_and_dense(samples, 30)
    for settings in ({"mask": mask}, {"lr": 0, "bias_lr": 0.5}, {"lr": 0.5}):
        layers = bp.Layer(30, 20, "tanh", **settings), bp.Layer(20, 3)
        one = bp.Network(*layers, dtype=dtype, seed=1)
        other, y = copy.deepcopy(one), np.random.default_rng(2).random((samples, 3))
        for each in (False, True):
            np.testing.assert_array_equal(
                one.gradient(x, y, per_sample=each).parameters, one.gradient(d, y, per_sample=each).parameters
            )
        optimizers = copy.deepcopy(optimizer), copy.deepcopy(optimizer)
        before = one.layers[0].weights.copy()
        for _ in range(3):
            one.step(x, y, optimizers[0])
            other.step(d, y, optimizers[1])
        np.testing.assert_array_equal(one.parameters, other.parameters)
        if "mask" in settings:
            assert (one.layers[0].weights[~mask] == 0).all()
        assert (one.layers[0].weights == before).all() == (settings.get("lr") == 0)


@pytest.mark.parametrize("kind", ["matrix", "array"])
@pytest.mark.parametrize("format", FORMATS)
def test_every_format(format, kind):
    net, y = network_and_targets("float64", 20, 30, 8, 2)
    x, d = sparse_and_dense(20, 30, getattr(sp, f"{format}_{kind}"))
    assert x.format == format
    np.testing.assert_array_equal(net(x), net(d))
    assert net.loss(x, y) == net.loss(d, y)


NUMBERS = ["bool", "int8", "uint8", "int16", "int32", "int64", "uint64", "float32", "float64", ">f4", ">i8"]


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("index", ["int32", "int64"])
def test_types_of_numbers_and_of_indices(dtype, index):
    net, _ = network_and_targets("float32", 20, 30, 8, 2)
    x, _ = sparse_and_dense(20, 30)
    x.data = np.ceil(3 * x.data).astype(dtype)
    x.indices, x.indptr = x.indices.astype(index), x.indptr.astype(index)
    d = np.zeros(x.shape)
    d[np.repeat(np.arange(20), np.diff(x.indptr)), x.indices] = x.data
    np.testing.assert_array_equal(net(x), net(d))


def test_numbers_that_are_not_neighbours():
    net, _ = network_and_targets("float32", 20, 30, 8, 2)
    x, d = sparse_and_dense(20, 30)
    x.data = np.repeat(x.data, 2)[::2]
    assert not x.data.flags.c_contiguous
    np.testing.assert_array_equal(net(x), net(d))


def test_one_sample():
    net, y = network_and_targets("float64", 3, 9, 4, 2)
    x, d = sparse_and_dense(3, 9, density=0.5)
    one = sp.coo_array(d[1])
    assert one.ndim == 1
    np.testing.assert_array_equal(net(one), net(d[1]))
    assert net.loss(one, y[1]) == net.loss(d[1], y[1])
    np.testing.assert_array_equal(net(x[[1]]), net(d[1:2]))


def test_samples_without_an_entry():
    net, y = network_and_targets("float64", 4, 9, 3, 2)
    x, d = sp.csr_array((4, 9)), np.zeros((4, 9))
    np.testing.assert_array_equal(net(x), net(d))
    np.testing.assert_array_equal(net.gradient(x, y).parameters, net.gradient(d, y).parameters)


def test_duplicates_are_summed_and_columns_sorted_in_a_copy():
    net, y = network_and_targets("float64", 2, 5, 3, 2)
    data = np.array([1.0, 2, 3, 4, 5])
    indices, indptr = np.array([3, 1, 3, 4, 0]), np.array([0, 3, 5])
    x = sp.csr_array((data.copy(), indices.copy(), indptr.copy()), shape=(2, 5))
    d = np.array([[0, 2.0, 0, 4, 0], [5, 0, 0, 0, 4]])
    np.testing.assert_array_equal(net(x), net(d))
    np.testing.assert_array_equal(net.gradient(x, y).parameters, net.gradient(d, y).parameters)
    for now, before in ((x.data, data), (x.indices, indices), (x.indptr, indptr)):
        np.testing.assert_array_equal(now, before)


def test_what_scipy_remembers_of_the_order_is_not_believed():
    net, _ = network_and_targets("float64", 1, 5, 3, 2)
    x = sp.csr_array((np.array([1.0, 2]), np.array([3, 1]), np.array([0, 2])), shape=(1, 5))
    x.has_sorted_indices = x.has_canonical_format = True
    np.testing.assert_array_equal(net(x), net([[0, 2.0, 0, 1, 0]]))


BROKEN = {
    "a column past the last": ("indices", 0, 30),
    "a column before the first": ("indices", 0, -1),
    "begins past the end": ("indptr", -1, 10**6),
    "begins below 0": ("indptr", 0, -5),
    "begins that fall": ("indptr", 1, 10**5),
    "a far column": ("indices", 3, 2**31 - 1),
}


@pytest.mark.parametrize("format", ["csr", "csc", "bsr"])
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_matrix_is_refused(format, fault):
    net, y = network_and_targets("float64", 20, 30, 8, 2)
    x, _ = sparse_and_dense(20, 30, getattr(sp, f"{format}_array"))
    attribute, place, value = BROKEN[fault]
    getattr(x, attribute)[place] = value
    before = net.parameters.copy()
    for call in (lambda: net(x), lambda: net.loss(x, y), lambda: net.step(x, y, bp.SGD(0.1))):
        with pytest.raises(ValueError, match="x is a broken sparse matrix"):
            call()
    np.testing.assert_array_equal(net.parameters, before)


def test_coordinates_outside_the_shape_are_refused():
    net, _ = network_and_targets("float64", 20, 30, 8, 2)
    for axis, value in ((0, 20), (1, 30), (1, -1)):
        x, _ = sparse_and_dense(20, 30, sp.coo_array)
        x.coords[axis][0] = value
        with pytest.raises(ValueError, match="x is a broken sparse matrix: a coordinate"):
            net(x)


def test_arrays_that_do_not_fit_each_other_are_refused():
    net, _ = network_and_targets("float64", 20, 30, 8, 2)
    for attribute in ("indices", "data", "indptr"):
        x, _ = sparse_and_dense(20, 30)
        setattr(x, attribute, getattr(x, attribute)[:-1])
        with pytest.raises(ValueError, match="x is a broken sparse matrix"):
            net(x)
    x, _ = sparse_and_dense(20, 30)
    x.indices = x.indices.astype(np.float64)
    with pytest.raises(TypeError, match=r"x\.indices must be a 1-D array of integers"):
        net(x)


def test_what_it_must_be():
    net, y = network_and_targets("float32", 3, 9, 4, 2)
    x, _ = sparse_and_dense(3, 9)
    with pytest.raises(ValueError, match=r"x must have shape \(n, 9\).*but has shape \(3, 4\)"):
        net(sp.csr_matrix((3, 4)))
    with pytest.raises(ValueError, match=r"x must have shape \(n, 9\) with at least one sample.*\(0, 9\)"):
        net(sp.csr_matrix((0, 9)))
    with pytest.raises(TypeError, match=r"x must be of float16.*complex128"):
        net(sp.csr_matrix((3, 9), dtype=complex))
    with pytest.raises(TypeError, match=r"y must be an array here, but is a sparse matrix: y.toarray\(\)"):
        net.loss(x, sp.csr_matrix(y))


@pytest.mark.parametrize(
    "call",
    [
        lambda net, x, y: net.trace(x),
        lambda net, x, y: net.trace(x, y),
        lambda net, x, y: net.explain(x, y),
        lambda net, x, y: net.draw(x, y),
        lambda net, x, y: net.check_gradient(x, y),
    ],
)
def test_what_needs_every_number_says_so(call):
    net, y = network_and_targets("float64", 3, 9, 4, 2)
    x, _ = sparse_and_dense(3, 9)
    with pytest.raises(TypeError, match=r"x must be an array here, but is a sparse matrix: x.toarray\(\)"):
        call(net, x, y)


def test_outputs_into_an_array():
    net, _ = network_and_targets("float32", 20, 30, 8, 2)
    x, d = sparse_and_dense(20, 30)
    out = np.empty((20, 2), np.float32)
    assert net(x, out=out) is out
    np.testing.assert_array_equal(out, net(d))


MEMORY = """
import resource
import numpy as np, scipy.sparse as sp
import backprop as bp

net = bp.Network.dense(1_000_000, 2, 1, seed=0)
x = sp.csr_array((np.ones(1000), np.arange(1000), np.arange(1001)), shape=(1000, 1_000_000))
y = np.ones((1000, 1))
net(x[:1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
net(x), net.loss(x, y), net.step(x[:100], y[:100], bp.SGD(0.1))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts KiB on Linux")
def test_memory_is_in_proportion_to_the_entries():
    """100 samples of 1,000,000 numbers would be 400 MB; a column takes 4 bytes while a step is taken."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 20_000


@pytest.mark.parametrize("isa", [isa for isa in _core.candidates if isa != _core.isa])
def test_every_instruction_set(isa, monkeypatch):
    monkeypatch.setenv("BACKPROP_ISA", isa)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", __file__, "-k", "dense_array"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_scipy_is_not_imported():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, backprop as bp; net = bp.Network.dense(2, 1, seed=0); net([[1.0, 2]]); "
            "net.fit([[1.0, 2]], [[1.0]], bp.SGD(0.1)); assert 'scipy' not in sys.modules",
        ],
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0
