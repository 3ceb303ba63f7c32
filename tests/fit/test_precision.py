"""fit(precision=): products of factors rounded to bfloat16, sums and everything else in float32."""

import copy

import numpy as np
import pytest
from conftest import assert_same_bits, make_data, make_network

import backprop as bp
from backprop import _core

EMULATED = "bfloat16-emulated"

# sizes, activations, loss, batch size
SHAPES = [
    ((20, 30, 10), ("sigmoid", "softmax"), "cross_entropy", 32),
    ((50, 17, 33, 7), ("relu", "tanh", "softmax"), "cross_entropy", 10),
    ((784, 100, 10), "sigmoid", "squared_error", 64),
    ((3, 2, 2), "tanh", "mean_squared_error", 2),
    ((64, 200, 48, 5), ("silu", "softmax", "softplus"), "huber", 65),
    ((33, 49, 1), ("gelu", "sigmoid"), "binary_cross_entropy", 1),
    ((7, 6), "identity", "squared_error", 600),
]


def has_bfloat16():
    try:
        return _core.products("float32", "bfloat16")
    except ValueError:
        return ""


needs_bfloat16 = pytest.mark.skipif(not has_bfloat16(), reason="no bfloat16 faster than float32 here")
HERE = [EMULATED, pytest.param("bfloat16", marks=needs_bfloat16)]


def trained(shape, precision, threads=1, optimizer=None, epochs=2, **of_fit):
    """The network, its optimizer and figures after some epochs with a short last batch."""
    sizes, activations, loss, batch = shape
    net = make_network(sizes, activations, loss, np.float32)
    n = min(2 * batch + batch // 2 + 1, 700)
    x, y = make_data(net, n)
    optimizer = bp.SGD(0.05) if optimizer is None else optimizer
    history = net.fit(
        x, y, optimizer, epochs=epochs, batch_size=batch, threads=threads, precision=precision,
        validation=(x[:7], y[:7]), **of_fit,
    )  # fmt: skip
    figures = [history[key] for key in history if key not in ("lr", "seconds")]
    return net, optimizer, figures


def rounded(a):
    """float32 numbers at the nearest bfloat16, ties to even."""
    bits = np.ascontiguousarray(a, np.float32).view(np.uint32)
    cut = bits & 0xFFFF
    up = (cut > 0x8000) | ((cut == 0x8000) & (bits & 0x10000 > 0))
    return ((bits - cut) + up * np.uint32(0x10000)).view(np.float32)


def step_by_hand(net, x, y, lr):
    """One step of plain descent in float64, of factors rounded to bfloat16; sigmoid and squared error."""
    a, weighted = [x], []
    for layer in net.layers:
        z = rounded(a[-1]).astype(np.float64) @ rounded(layer.weights.T).astype(np.float64) + layer.bias
        weighted.append(z)
        a.append((1 / (1 + np.exp(-z))).astype(np.float32))
    delta = 2 * (a[-1] - y) * a[-1] * (1 - a[-1]) * np.float32(-lr / len(x))
    steps = []
    for i in reversed(range(len(net.layers))):
        exact = rounded(delta).astype(np.float64)
        steps.append((exact.T @ rounded(a[i]).astype(np.float64), delta.sum(axis=0)))
        dC_da = exact @ rounded(net.layers[i].weights).astype(np.float64)
        delta = (dC_da * a[i] * (1 - a[i])).astype(np.float32)
    return steps[::-1]


@pytest.mark.parametrize("precision", HERE)
def test_a_step_is_that_of_rounded_factors(precision):
    net = make_network((300, 280, 40, 12), "sigmoid", "squared_error", np.float32)
    x, y = make_data(net, 50)
    x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
    before = net.parameters.copy()
    expected = step_by_hand(net, x, y, lr=8.0)
    exact = make_network((300, 280, 40, 12), "sigmoid", "squared_error", np.float32)
    assert_same_bits(exact.parameters, before)
    exact.fit(x, y, bp.SGD(8.0), batch_size=50, shuffle=False)
    net.fit(x, y, bp.SGD(8.0), batch_size=50, shuffle=False, precision=precision)
    start = make_network((300, 280, 40, 12), "sigmoid", "squared_error", np.float32)
    for layer, old, plain, (weights, bias) in zip(
        net.layers, start.layers, exact.layers, expected, strict=True
    ):
        moved = (layer.weights - old.weights).astype(np.float64)
        # Sums in float32 of at most 300 terms, in two pieces; and what is rounded to bfloat16 after such
        # a sum may be one of its units off, 2**-8, in single entries of 50.
        off = np.abs(moved - weights).max() / np.abs(weights).max()
        assert off < 2**-8 / 8
        assert np.abs((plain.weights - old.weights) - weights).max() / np.abs(weights).max() > off
        np.testing.assert_allclose(layer.bias - old.bias, bias, atol=np.abs(bias).max() * 2**-8)


@pytest.mark.parametrize("precision", HERE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["descent", "adam", "clipped"])
def test_same_bits_for_any_number_of_threads(shape, precision, kind):
    def run(threads):
        optimizer = {
            "descent": lambda: bp.SGD(0.05),
            "adam": lambda: bp.Adam(1e-3),
            "clipped": lambda: bp.SGD(0.05, momentum=0.9, clip_norm=0.1),
        }[kind]()
        return trained(shape, precision, threads, optimizer)

    net, optimizer, figures = run(1)
    plain = trained(shape, "float32", 1, bp.SGD(0.05))[0]
    assert net.parameters.tobytes() != plain.parameters.tobytes()
    for threads in (2, 3, 5, 17, 32) if precision == "bfloat16" else (2, 3):
        other, its_optimizer, its_figures = run(threads)
        assert_same_bits(net.parameters, other.parameters, f"{threads} threads")
        for one, two in zip(optimizer.state, its_optimizer.state, strict=True):
            assert_same_bits(one, two, f"state with {threads} threads")
        assert figures == its_figures


@pytest.mark.skipif(has_bfloat16() != "avx512_bf16", reason="the emulation has the order of AVX512-BF16")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_emulation_has_the_bits_of_avx512_bf16(shape):
    for optimizer in (lambda: bp.SGD(0.05), lambda: bp.Adam(1e-3)):
        one, two = (trained(shape, p, optimizer=optimizer())[0] for p in ("bfloat16", EMULATED))
        assert_same_bits(one.parameters, two.parameters)


@pytest.mark.parametrize("precision", HERE)
def test_it_goes_with_everything_that_fit_can(precision):
    net = bp.Network(
        bp.Layer(40, 50, "relu", dropout=0.2, l2=1e-3),
        bp.Layer(50, 30, "softmax", dropout=0.2, l1=1e-4),
        bp.Layer(30, 6, "sigmoid"),
        loss="binary_cross_entropy",
        seed=0,
    )
    x, y = make_data(net, 90)
    mask = np.random.default_rng(0).random(np.shape(y)) < 0.9
    losses = []
    for threads in (1, 3):
        twin = copy.deepcopy(net)
        history = twin.fit(
            x, y, bp.AdamW(0.01), epochs=5, batch_size=20, rng=4, threads=threads, norms=True,
            sample_weight=np.linspace(0, 1, 90), target_mask=mask, validation=(x[:9], y[:9]),
            precision=precision,
        )  # fmt: skip
        losses.append((history["loss"], history["gradient_norm"], twin.parameters.tobytes()))
    assert losses[0] == losses[1]
    assert losses[0][0][-1] < losses[0][0][0]
    batches = [(x[i : i + 30], y[i : i + 30]) for i in (0, 30, 60)]
    history = copy.deepcopy(net).fit(batches, None, bp.SGD(0.1), epochs=2, precision=precision)
    assert history["loss"][1] < history["loss"][0]


@pytest.mark.parametrize("precision", HERE)
@pytest.mark.parametrize("optimizer", [bp.SGD(0.1), bp.Adam(0.01), bp.SGD(0.1, clip_norm=0.5)], ids=repr)
def test_masks_and_rates_of_layers_hold(precision, optimizer):
    mask = np.random.default_rng(3).random((40, 30)) < 0.5
    net = bp.Network(
        bp.Layer(20, 30, "tanh", lr=0),
        bp.Layer(30, 40, "tanh", mask=mask),
        bp.Layer(40, 3, "softmax"),
        loss="cross_entropy",
        seed=0,
    )
    x, y = make_data(net, 50)
    frozen, before = net.layers[0].weights.copy(), net.layers[1].weights.copy()
    net.fit(x, y, copy.deepcopy(optimizer), epochs=2, batch_size=20, precision=precision)
    assert_same_bits(net.layers[0].weights, frozen)
    assert not net.layers[1].weights[~mask].any()
    assert (net.layers[1].weights[mask] != before[mask]).mean() > 0.9


@pytest.mark.parametrize("precision", HERE)
def test_the_same_nodes_are_left_out(precision):
    losses = []
    for which in ("float32", precision):
        net = bp.Network(bp.Layer(40, 50, "sigmoid", dropout=0.5), bp.Layer(50, 6, "identity"), seed=0)
        x, y = make_data(net, 30)
        losses.append(net.fit(x, y, bp.SGD(0.1), batch_size=30, rng=1, precision=which)["loss"][0])
    # each z is a sum of 50 products with a relative error of 2**-8 at most; C is a mean of 180 squares
    assert losses[0] == pytest.approx(losses[1], rel=2**-7)


@pytest.mark.parametrize("precision", HERE)
def test_a_sparse_first_layer_is_exact(precision):
    """Its sums run over the non-zeros, in float32; with one layer it is all there is."""
    sparse = pytest.importorskip("scipy.sparse")
    x = np.random.default_rng(0).random((50, 60)).astype(np.float32)
    x[x < 0.8] = 0
    for sizes in ((60, 5), (60, 20, 5)):
        nets = [make_network(sizes, "sigmoid", "squared_error", np.float32) for _ in range(3)]
        y = make_data(nets[0], 50)[1]
        for net, which, threads in zip(nets, ("float32", precision, precision), (1, 1, 3), strict=True):
            net.fit(
                sparse.csr_array(x), y, bp.SGD(0.5), epochs=2, batch_size=20, threads=threads, precision=which
            )
        same = nets[0].parameters.tobytes() == nets[1].parameters.tobytes()
        assert same == (len(sizes) == 2)
        assert_same_bits(nets[1].parameters, nets[2].parameters)
        np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, atol=0.01)


@pytest.mark.parametrize("precision", HERE)
def test_what_is_measured_is_exact(precision):
    """Validation, and anything that is asked afterwards, has float32's products."""
    net, _, figures = trained(SHAPES[0], precision, epochs=1)
    x, y = make_data(net, 81)
    assert figures[2][-1] == pytest.approx(net.loss(x[:7], y[:7]), rel=1e-6)


@pytest.mark.parametrize("precision", HERE)
def test_digits_are_learned_as_well(precision):
    x, y, x_test, y_test = bp.datasets.load_digits()
    accuracies = []
    for which in ("float32", precision):
        net = bp.Network.dense(64, 30, 10, hidden="relu", loss="cross_entropy", seed=0)
        net.fit(x, y, bp.Adam(0.003), epochs=8, precision=which)
        accuracies.append(net.accuracy(x_test, y_test))
    assert min(accuracies) > 0.95
    assert abs(accuracies[0] - accuracies[1]) < 0.015  # of 450: six samples


@pytest.mark.parametrize("precision", HERE)
def test_divergence_is_named(precision):
    net = make_network((5, 4, 2), "identity", "squared_error", np.float32)
    x, y = make_data(net, 30)
    before = net.parameters.copy()
    with pytest.raises(bp.DivergenceError, match="epoch 1"):
        net.fit(x, y, bp.SGD(1e30), epochs=3, batch_size=10, precision=precision)
    assert_same_bits(net.parameters, before)


@pytest.mark.parametrize(
    ("dtype", "precision", "error", "message"),
    [
        ("float64", "bfloat16", ValueError, "precision is for float32 networks; this one is float64"),
        ("float64", EMULATED, ValueError, "this one is float64, got 'bfloat16-emulated'"),
        ("float64", "float32", ValueError, "this one is float64, got 'float32'"),
        ("float32", "float16", ValueError, "there is no precision 'float16'"),
        ("float32", "bfloat", ValueError, "did you mean 'bfloat16'"),
        ("float32", 16, TypeError, "precision must be one of the names float32, bfloat16"),
    ],
)
def test_bad_precisions(dtype, precision, error, message):
    net = make_network((3, 2), "sigmoid", "squared_error", dtype)
    x, y = make_data(net, 5)
    before = net.parameters.copy()
    with pytest.raises(error, match=message):
        net.fit(x, y, bp.SGD(0.1), precision=precision)
    assert_same_bits(net.parameters, before)


def test_solvers_are_exact():
    net = make_network((3, 2), "sigmoid", "squared_error", "float32")
    x, y = make_data(net, 5)
    with pytest.raises(ValueError, match="LBFGS needs exact gradients: precision must be 'float32'"):
        net.fit(x, y, bp.LBFGS(), precision=EMULATED)


def test_the_engine_refuses_the_same():
    assert _core.products("float32", "float32") == _core.isa
    assert _core.products("float32", EMULATED) == "emulated"
    with pytest.raises(ValueError, match="unknown precision half"):
        _core.products("float32", "half")
    with pytest.raises(ValueError, match="is for float32 networks, not for float64"):
        _core.products("float64", "bfloat16")


@pytest.mark.skipif(bool(has_bfloat16()), reason="this processor has it")
def test_a_processor_without_says_so():
    net = make_network((3, 2), "sigmoid", "squared_error", "float32")
    x, y = make_data(net, 5)
    with pytest.raises(ValueError, match="'bfloat16' needs AMX, or AVX512-BF16 of an AMD processor: "):
        net.fit(x, y, bp.SGD(0.1), precision="bfloat16")
