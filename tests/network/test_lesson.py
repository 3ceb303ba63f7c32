"""The lesson's derivation, worked in plain loops, and the engine's numbers beside it."""

import math

import numpy as np
import pytest
import reference
from conftest import assert_close, assert_same_bits, make_data, make_network, oracle_layers

import backprop as bp

# Sums of at most 6 terms through 3 layers, and functions good to a few units in the last place:
# some 100 roundings of 1.1e-16 each, times 100 for terms that cancel.
TOLERANCE = 1e-12

SIZES = (3, 4, 6, 2)


@pytest.fixture(params=["sigmoid", "tanh", "softplus", "gelu"])
def lesson(request):
    """A network 3-4-6-2 with one activation function and one sample (x, y)."""
    net = make_network(SIZES, request.param, seed=4)
    x, y = make_data(net, 1, seed=4)
    return net, x[0], y[0]


def activations_by_hand(net, x):
    """z and a of every layer, node by node."""
    z_of, a_of = [], [list(x)]
    for layer in net.layers:
        g, _ = reference.ELEMENTWISE[str(layer.activation)]
        z = []
        for j in range(layer.outputs):
            z_j = float(layer.bias[j])
            for k in range(layer.inputs):
                z_j += float(layer.weights[j, k]) * a_of[-1][k]
            z.append(z_j)
        z_of.append(z)
        a_of.append([g(z_j) for z_j in z])
    return z_of, a_of


def test_forward_pass_of_one_sample(lesson):
    net, x, _ = lesson
    z, a = activations_by_hand(net, x)
    trace = net.trace(x)
    for index, layer in enumerate(trace.layers):
        assert_close(layer.z, z[index], TOLERANCE, f"z of layer {index}")
        assert_close(layer.a, a[index + 1], TOLERANCE, f"a of layer {index}")
    assert_close(net(x), a[-1], TOLERANCE, "net(x)")


def test_loss_is_the_sum_of_squares_over_output_nodes(lesson):
    net, x, y = lesson
    _, a = activations_by_hand(net, x)
    c_0 = 0.0
    for j in range(2):
        c_0 += (a[-1][j] - y[j]) ** 2
    assert_close([net.loss(x, y), float(net.losses(x, y))], [c_0, c_0], TOLERANCE)


def test_three_terms_of_the_output_layer(lesson):
    net, x, y = lesson
    z, a = activations_by_hand(net, x)
    _, g_prime = reference.ELEMENTWISE[str(net.layers[-1].activation)]
    trace = net.trace(x, y).layers[-1]
    product = np.empty((2, 6))
    for j in range(2):
        dC_da = 2 * (a[-1][j] - y[j])
        da_dz = g_prime(z[-1][j])
        assert trace.dC_da[j] == pytest.approx(dC_da, rel=TOLERANCE)
        assert trace.da_dz[j] == pytest.approx(da_dz, rel=TOLERANCE)
        assert trace.dC_dz[j] == pytest.approx(dC_da * da_dz, rel=TOLERANCE)
        for k in range(6):
            dz_dw = a[-2][k]
            product[j, k] = dC_da * da_dz * dz_dw
    assert_close(net.gradient(x, y).layers[-1].weights, product, TOLERANCE, "product")


def test_recursion_two_levels_deep(lesson):
    """∂C_0/∂a_k^(l-1) = Σ_j ∂C_0/∂a_j · g'(z_j) · w_jk, applied twice, then the weights."""
    net, x, y = lesson
    z, a = activations_by_hand(net, x)
    _, g_prime = reference.ELEMENTWISE[str(net.layers[-1].activation)]
    dC_da = [2 * (a[-1][j] - y[j]) for j in range(2)]
    trace, gradient = net.trace(x, y), net.gradient(x, y)
    for index in (2, 1):
        layer = net.layers[index]
        previous = []
        for k in range(layer.inputs):
            total = 0.0
            for j in range(layer.outputs):
                total += dC_da[j] * g_prime(z[index][j]) * float(layer.weights[j, k])
            previous.append(total)
        assert_close(trace.layers[index - 1].dC_da, previous, TOLERANCE, f"into layer {index - 1}")
        dC_da = previous
        deltas = [dC_da[j] * g_prime(z[index - 1][j]) for j in range(len(dC_da))]
        products = [[delta * a_k for a_k in a[index - 1]] for delta in deltas]
        assert_close(trace.layers[index - 1].dC_dz, deltas, TOLERANCE, f"delta {index - 1}")
        assert_close(gradient.layers[index - 1].weights, products, TOLERANCE, f"w {index - 1}")
        assert_close(gradient.layers[index - 1].bias, deltas, TOLERANCE, f"b {index - 1}")
    inputs = [
        sum(deltas[j] * float(net.layers[0].weights[j, k]) for j in range(4)) for k in range(3)
    ]
    assert_close(gradient.inputs, inputs, TOLERANCE, "inputs")


def test_gradient_over_a_batch_is_the_average_of_the_samples(dtype, roundoff):
    """For weights, biases, activations (the inputs) and the loss alike."""
    net = make_network(SIZES, "tanh", dtype=dtype)
    x, y = make_data(net, 7)
    batch, each = net.gradient(x, y), net.gradient(x, y, per_sample=True)
    # A mean of 7 rounded summands, in another order perhaps: 8 roundings of the largest summand,
    # which is at most 7 times the mean of magnitudes; a hundred for terms that cancel.
    tolerance = 100 * 8 * roundoff
    for index in range(3):
        assert each.layers[index].weights.shape == (7, *net.layers[index].weights.shape)
        assert each.layers[index].bias.shape == (7, net.layers[index].outputs)
        for name in ("weights", "bias"):
            mean = np.mean(getattr(each.layers[index], name), axis=0, dtype=np.float64)
            assert_close(getattr(batch.layers[index], name), mean, tolerance, name)
    assert each.inputs.shape == (7, 3)
    assert_close(batch.inputs, np.mean(each.inputs, axis=0, dtype=np.float64), tolerance, "inputs")
    assert each.loss.shape == (7,)
    assert_close(batch.loss, np.mean(each.loss, dtype=np.float64), tolerance, "loss")
    assert batch.layers[0].weights.dtype == each.inputs.dtype == np.dtype(dtype)


def test_one_sample_alone_lacks_the_leading_axis(lesson):
    net, x, y = lesson
    alone, batch = net.trace(x, y), net.trace(x[None], y[None])
    for one, many in zip(alone.layers, batch.layers, strict=True):
        for name in ("z", "a", "dC_da", "da_dz", "dC_dz"):
            assert getattr(many, name).shape == (1, *getattr(one, name).shape)
            assert_same_bits(getattr(one, name), getattr(many, name)[0], name)
    alone, batch = net.gradient(x, y, per_sample=True), net.gradient(x[None], y[None])
    assert_same_bits(alone.layers[0].weights, batch.layers[0].weights)
    assert alone.layers[0].weights.shape == (4, 3)
    assert alone.inputs.shape == net.gradient(x, y).inputs.shape == batch.inputs.shape == (3,)
    assert np.ndim(net.losses(x, y)) == np.ndim(alone.loss) == 0
    assert net(x).shape == (2,)


def test_trace_without_targets_has_no_derivatives(small):
    trace = small.net.trace(small.x)
    full = small.net.trace(small.x, small.y)
    for layer, whole in zip(trace.layers, full.layers, strict=True):
        assert_same_bits(layer.z, whole.z)
        assert_same_bits(layer.a, whole.a)
        assert getattr(layer, "dC_da", None) is None
        assert getattr(layer, "dC_dz", None) is None


def test_inputs_are_never_changed(small):
    net, x, y = small.net, small.x, small.y
    x_before, y_before = x.copy(), y.copy()
    for array in (x, y):
        array.flags.writeable = False
    net(x), net.classify(x), net.loss(x, y), net.losses(x, y), net.accuracy(x, y)
    net.gradient(x, y), net.gradient(x, y, per_sample=True), net.trace(x, y)
    net.step(x, y, bp.SGD(0.1))
    net.fit(x, y, bp.SGD(0.1), epochs=2, batch_size=2, validation=(x, y))
    assert_same_bits(x, x_before)
    assert_same_bits(y, y_before)


def test_without_bias_it_is_exactly_the_network_of_the_lesson():
    """z_j = Σ_k w_jk a_k and nothing else; only weights are trained."""
    net = make_network(SIZES, "sigmoid", bias=False)
    x, y = make_data(net, 4)
    assert [layer.bias for layer in net.layers] == [None] * 3
    assert net.parameters.shape == (3 * 4 + 4 * 6 + 6 * 2,)
    weights = net.layers[0].weights.tolist()
    z = [[sum(w * a for w, a in zip(w_j, x_n, strict=True)) for w_j in weights] for x_n in x]
    assert_close(net.trace(x).layers[0].z, z, TOLERANCE)
    gradient = net.gradient(x, y)
    expected = reference.batch_gradient(oracle_layers(net), x, y, "squared_error")
    for index in range(3):
        assert gradient.layers[index].bias is None
        assert_close(gradient.layers[index].weights, expected.weights[index], TOLERANCE)
    zero = np.zeros(3)
    assert_same_bits(net.trace(zero).layers[0].z, np.zeros(4), "a zero input reaches z as zero")


def test_one_step_goes_down_the_gradient(small):
    net, x, y = small.net, small.x, small.y
    weights = net.layers[0].weights.copy()
    gradient, before = net.gradient(x, y), net.loss(x, y)
    assert net.step(x, y, bp.SGD(0.25)) == pytest.approx(before, rel=TOLERANCE)
    assert_close(net.layers[0].weights, weights - 0.25 * gradient.layers[0].weights, TOLERANCE)
    assert net.loss(x, y) < before


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_softmax_has_a_matrix_of_derivatives(position, loss):
    """∂a_j/∂z_i = a_j ((j = i) - a_i), in a hidden layer and in the output layer."""
    names = ("softmax", "sigmoid") if position == 0 else ("tanh", "softmax")
    net = make_network((3, 5, 4), names, loss=loss)
    x, y = make_data(net, 6)
    trace = net.trace(x, y)
    layer = trace.layers[position]
    nodes = layer.a.shape[1]
    assert layer.da_dz.shape == (6, nodes, nodes)
    assert trace.layers[1 - position].da_dz.shape == (6, 9 - nodes)
    for n in range(6):
        expected = reference.activation_jacobian("softmax", layer.z[n].tolist())
        assert_close(layer.da_dz[n], expected, TOLERANCE, "da_dz")
        passed = reference.backward(oracle_layers(net), x[n], y[n], loss)
        for index in range(2):
            assert_close(trace.layers[index].dC_da[n], passed.dC_da[index], TOLERANCE, "dC_da")
            assert_close(trace.layers[index].dC_dz[n], passed.dC_dz[index], TOLERANCE, "dC_dz")
    # The chain rule with the matrix: δ_i = Σ_j ∂C_0/∂a_j ∂a_j/∂z_i; its rows sum to zero.
    chained = np.einsum("nj,nji->ni", layer.dC_da, layer.da_dz)
    assert_close(layer.dC_dz, chained, TOLERANCE, "delta")
    assert np.abs(layer.da_dz.sum(axis=2)).max() <= 8 * 2.0**-53


def test_fused_softmax_delta_with_soft_targets():
    """The delta of softmax and cross entropy is a·Σy - y, also where Σy is not 1."""
    net = make_network((3, 4), "softmax", loss="cross_entropy")
    x, y = make_data(net, 5)
    assert np.abs(y.sum(axis=1) - 1).min() > 1e-3
    trace = net.trace(x, y).layers[0]
    assert_close(trace.dC_dz, trace.a * y.sum(axis=1, keepdims=True) - y, TOLERANCE)


@pytest.mark.parametrize(
    ("activation", "loss"), [("sigmoid", "binary_cross_entropy"), ("softmax", "cross_entropy")]
)
@pytest.mark.parametrize("size", [20.0, 800.0, 1e30])
def test_fused_pairs_stay_finite_for_any_finite_z(dtype, roundoff, activation, loss, size):
    """Where the plain formula would take the logarithm of a zero."""
    net = make_network((2, 2), activation, loss=loss, dtype=dtype, bias=False)
    net.layers[0].weights[...] = np.eye(2)
    x = np.array([[size, -size], [-size, size / 2], [size, size / 2]])
    y = np.array([[0.0, 1.0], [1.0, 0.0], [0.25, 0.75]])
    pairs = list(zip(x.astype(dtype).tolist(), y.tolist(), strict=True))
    expected = [reference.stable_loss(loss, *pair) for pair in pairs]
    deltas = [reference.stable_delta(loss, *pair) for pair in pairs]
    # A few functions of a few units in the last place each, and sums of two terms.
    assert_close(net.losses(x, y), expected, 32 * roundoff, "losses")
    assert_close(net.trace(x, y).layers[0].dC_dz, deltas, 32 * roundoff, "dC_dz")
    assert math.isfinite(net.step(x, y, bp.SGD(0.1)))
    assert np.isfinite(net.parameters).all()


@pytest.mark.parametrize(
    ("activation", "loss"), [("sigmoid", "binary_cross_entropy"), ("softmax", "cross_entropy")]
)
def test_fused_losses_are_finite_wherever_they_have_a_value(dtype, roundoff, activation, loss):
    """z near the end of the dtype's range: differences and sums of two z leave it, the loss does not."""
    net = make_network((2, 2), activation, loss=loss, dtype=dtype, bias=False)
    net.layers[0].weights[...] = np.eye(2)
    size = 0.9 * float(np.finfo(dtype).max)
    x, y = np.array([[size, -size], [-size, size]]), np.array([[0.75, 0.25], [0.25, 0.75]])
    # Both: softmax y_2 (z_1 - z_2), sigmoid (1 - y_1) z_1 - y_2 z_2, which are y_2 · 2 size = size / 2.
    assert_close(net.losses(x, y), [size / 2] * 2, 4 * roundoff, "losses")
    assert_close(net.loss(x[:1], y[:1]), size / 2, 4 * roundoff, "loss")
    assert np.isfinite(net.trace(x, y).layers[0].dC_dz).all()
    if dtype == "float32":  # losses are float64, and hold what is twice as large
        assert_close(net.losses(x, np.eye(2)[::-1]), [2 * size] * 2, 4 * roundoff, "twice the size")
    for bad in (np.nan, np.inf):  # what is no number stays none
        assert not np.isfinite(net.losses(np.array([[bad, 1.0]]), y[:1])).any()


@pytest.mark.parametrize("loss", list(reference.LOSSES))
def test_losses_of_the_oracle_by_hand(loss):
    """Anchors that were worked on paper: a = (0.5, 0.25), y = (1, 0.75), and d = 3 for Huber."""
    a, y = [0.5, 0.25], [1.0, 0.75]
    by_hand = {
        "squared_error": 0.25 + 0.25,
        "mean_squared_error": 0.25,
        "binary_cross_entropy": math.log(2) + 0.75 * math.log(4) + 0.25 * math.log(4 / 3),
        "cross_entropy": math.log(2) + 0.75 * math.log(4),
        "huber": 0.125 + 0.125,
    }
    assert reference.loss(loss, a, y) == pytest.approx(by_hand[loss], rel=1e-15)
    assert reference.loss("huber", [3.0], [0.0]) == 2.5


def test_average_over_a_batch_of_a_worked_example():
    """Two samples through one identity node: C_0 = (w x - y)², ∂C_0/∂w = 2 (w x - y) x."""
    net = make_network((1, 1), "identity", bias=False)
    net.layers[0].weights[...] = 0.5
    x, y = np.array([[2.0], [4.0]]), np.array([[3.0], [1.0]])
    # (1 - 3)² = 4 and (2 - 1)² = 1; 2·(-2)·2 = -8 and 2·1·4 = 8; then half a step of lr 0.125.
    gradient = net.gradient(x, y)
    assert net.losses(x, y).tolist() == [4.0, 1.0]
    assert gradient.loss == 2.5
    assert gradient.layers[0].weights.tolist() == [[0.0]]
    assert net.gradient(x[:1], y[:1]).layers[0].weights.tolist() == [[-8.0]]
    # ∂C_0/∂x = 2 (w x - y) w: -2 and 1, on average -0.5.
    assert gradient.inputs.tolist() == [-0.5]
    assert net.gradient(x, y, per_sample=True).inputs.tolist() == [[-2.0], [1.0]]
    net.step(x[:1], y[:1], bp.SGD(0.125))
    assert net.layers[0].weights.tolist() == [[1.5]]
