"""Gradients and steps from dC_0/da of the outputs, for losses from elsewhere, against PyTorch's."""

import numpy as np
import pytest
import reference
from conftest import assert_close, assert_same_bits, make_data, make_network, require_torch

import backprop as bp

TOLERANCE = {"float32": 2e-5, "float64": 1e-9}


def torch_outputs(net, x, leaves):
    import autograd

    a = x
    for layer, (w, b) in zip(net.layers, leaves, strict=True):
        z = a @ w.T if b is None else a @ w.T + b
        a = autograd.ACTIVATIONS[str(layer.activation)](z)
    return a


def some_derivatives(net, n, seed=7):
    return np.random.default_rng(seed).normal(size=(n, net.layers[-1].outputs)).astype(net.dtype)


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
@pytest.mark.parametrize(("sizes", "n"), [((5, 7, 3), 6), ((19, 33, 17), 150), ((4, 6, 1), 129)], ids=str)
def test_gradient_is_pytorchs(activation, sizes, n, dtype):
    require_torch()
    import autograd

    net = make_network(sizes, ("tanh", activation), dtype=dtype)
    x, _ = make_data(net, n)
    d = some_derivatives(net, n)
    leaves = autograd.parameters(net)
    point = autograd.tensor(x)
    (torch_outputs(net, point, leaves) * autograd.tensor(d).detach()).sum(1).mean().backward()
    if activation == "softmax" and sizes[-1] == 1:  # whose only output is always 1
        assert not net.gradient(x, dC_da=d).parameters.any()
        return
    mean = net.gradient(x, dC_da=d)
    each = net.gradient(x, dC_da=d, per_sample=True)
    for index, (w, b) in enumerate(leaves):
        assert_close(mean.layers[index].weights, w.grad.numpy(), TOLERANCE[dtype], f"weights {index}")
        assert_close(mean.layers[index].bias, b.grad.numpy(), TOLERANCE[dtype], f"bias {index}")
        assert_close(
            each.layers[index].weights.mean(0, dtype=float), w.grad.numpy(), TOLERANCE[dtype], "their mean"
        )
    assert_close(each.inputs, n * point.grad.numpy(), TOLERANCE[dtype], "inputs")
    assert_close(mean.inputs, point.grad.numpy().sum(0), TOLERANCE[dtype], "mean of the inputs")
    assert np.isnan(mean.loss)
    assert np.isnan(each.loss).all()
    assert each.loss.shape == (n,)
    assert_same_bits(net.vector_jacobian(x, d), each.inputs)


@pytest.mark.parametrize("loss", reference.LOSSES)
def test_of_the_networks_own_loss_it_is_the_gradient(loss, dtype):
    net = make_network((4, 6, 5), ("silu", "softmax"), loss, dtype)
    x, y = make_data(net, 140)
    own = net.gradient(x, y)
    given = net.gradient(x, dC_da=bp.kernels.loss_derivative(loss, net(x), y))
    assert_close(given.parameters, own.parameters, TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: bp.SGD(0.05), lambda torch, p: torch.optim.SGD(p, 0.05)),
        (lambda: bp.SGD(0.05, momentum=0.9), lambda torch, p: torch.optim.SGD(p, 0.05, momentum=0.9)),
        (lambda: bp.Adam(0.01), lambda torch, p: torch.optim.Adam(p, 0.01)),
        (lambda: bp.AdamW(0.01), lambda torch, p: torch.optim.AdamW(p, 0.01)),
        (lambda: bp.RMSprop(0.01), lambda torch, p: torch.optim.RMSprop(p, 0.01)),
    ],
    ids=["plain", "momentum", "Adam", "AdamW", "RMSprop"],
)
@pytest.mark.parametrize("activation", ["identity", "tanh", "softmax"])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_steps_are_pytorchs(ours, theirs, activation, sparse):
    """30 steps down log cosh(a - y), a loss that the network does not have."""
    torch = require_torch()
    import autograd

    net = make_network((4, 9, 3), ("gelu", activation))
    x, y = make_data(net, 20)
    given = x
    if sparse:
        x = x * (np.random.default_rng(2).random(x.shape) < 0.5)
        given = pytest.importorskip("scipy.sparse").csr_array(x)
    leaves = autograd.parameters(net)
    optimizer = ours()
    other = theirs(torch, [p for pair in leaves for p in pair])
    for _ in range(30):
        d = np.tanh(net(given) - y)
        assert np.isnan(net.step(given, dC_da=d, optimizer=optimizer))
        other.zero_grad()
        a = torch_outputs(net, torch.tensor(x), leaves)
        torch.log(torch.cosh(a - torch.tensor(y))).sum(1).mean().backward()
        other.step()
    for layer, (w, b) in zip(net.layers, leaves, strict=True):
        assert_close(layer.weights, w.detach().numpy(), 1e-9)
        assert_close(layer.bias, b.detach().numpy(), 1e-9)


def test_two_networks_in_a_chain_are_one(dtype):
    first = make_network((5, 8, 3), ("tanh", "softmax"), dtype=dtype)
    second = make_network((3, 6, 2), ("silu", "sigmoid"), "binary_cross_entropy", dtype, seed=1)
    activations = ("tanh", "softmax", "silu", "sigmoid")
    both = make_network((5, 8, 3, 6, 2), activations, "binary_cross_entropy", dtype)
    for layer, part in zip(both.layers, first.layers + second.layers, strict=True):
        layer.weights, layer.bias = part.weights, part.bias
    x, y = make_data(both, 40)
    expected = both.gradient(x, y)
    behind = second.gradient(first(x), y, per_sample=True)
    before = first.gradient(x, dC_da=behind.inputs)
    found = np.concatenate([before.parameters, behind.parameters.mean(0)])
    assert_close(found, expected.parameters, TOLERANCE[dtype])
    assert_close(before.inputs, expected.inputs, TOLERANCE[dtype])


def test_one_sample_lists_and_any_numbers(small):
    net, x = small.net, small.x
    d = np.arange(10).reshape(5, 2)
    expected = net.gradient(x, dC_da=d.astype(float))
    for same in (d, d.tolist(), np.asfortranarray(d).astype(">i2"), np.repeat(d, 2, axis=1)[:, ::2]):
        assert_same_bits(net.gradient(x, dC_da=same).parameters, expected.parameters)
    one = net.gradient(x[2], dC_da=[4, 5])
    assert_same_bits(one.parameters, net.gradient(x, dC_da=d, per_sample=True).parameters[2])
    column = make_network((3, 4, 1), "tanh")
    assert_same_bits(
        column.gradient(x, dC_da=d[:, 0]).parameters, column.gradient(x, dC_da=d[:, :1]).parameters
    )


def test_the_loss_is_not_used():
    """Neither one of the user's own, nor the common form of output and loss."""
    x, d = np.ones((3, 2)), np.ones((3, 2))

    loss = bp.Loss(lambda a, y: ((a - y) ** 2).sum(1), lambda a, y: 2 * (a - y))
    net = bp.Network(bp.Layer(2, 2, "sigmoid"), loss=loss, dtype="float64", seed=0)
    fused = bp.Network(bp.Layer(2, 2, "sigmoid"), loss="binary_cross_entropy", dtype="float64", seed=0)
    assert_same_bits(net.gradient(x, dC_da=d).parameters, fused.gradient(x, dC_da=d).parameters)
    assert net.gradient(x, dC_da=d).parameters.any()


def test_a_step_leaves_no_node_out():
    """dC_da belongs to net(x), from which no node is dropped; nothing is drawn."""
    with_dropout = bp.Network(
        bp.Layer(4, 50, "tanh", dropout=0.5), bp.Layer(50, 2, "identity"), dtype="float64", seed=0
    )
    without = bp.Network(bp.Layer(4, 50, "tanh"), bp.Layer(50, 2, "identity"), dtype="float64", seed=0)
    x, d = np.ones((3, 4)), np.ones((3, 2))
    state = with_dropout.rng.bit_generator.state
    for net in (with_dropout, without):
        net.step(x, dC_da=d, optimizer=bp.SGD(0.1))
    assert_same_bits(with_dropout.parameters, without.parameters)
    assert with_dropout.rng.bit_generator.state == state


def test_weights_of_samples(small):
    net, x = small.net, small.x
    d, w = some_derivatives(net, 5), np.array([0, 1, 2, 0.5, 1])
    each = net.gradient(x, dC_da=d, per_sample=True).parameters
    mean = (w[:, np.newaxis] * each).sum(0) / w.sum()
    assert_close(net.gradient(x, dC_da=d, sample_weight=w).parameters, mean, 1e-13)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, TypeError, "or dC_da be given in its place, but y is None"),
        ({"y": np.ones((5, 2)), "dC_da": np.ones((5, 2))}, TypeError, "both given"),
        ({"dC_da": np.ones((5, 3))}, ValueError, r"dC_da must have shape \(5, 2\), but has shape \(5, 3\)"),
        ({"dC_da": np.zeros(5, int)}, ValueError, r"dC_da must have shape \(5, 2\), but has shape \(5,\)"),
        ({"dC_da": np.ones((5, 2), complex)}, TypeError, "dC_da must be of float16"),
        ({"dC_da": np.ones((5, 2)), "target_mask": np.ones((5, 2), bool)}, ValueError, "mask is for y"),
    ],
)
def test_wrong_arguments(small, given, error, message):
    before = small.net.parameters.copy()
    with pytest.raises(error, match=message):
        small.net.gradient(small.x, **given)
    with pytest.raises(error, match=message):
        small.net.step(small.x, optimizer=bp.SGD(0.1), **given)
    with pytest.raises(TypeError, match="needs argument 'optimizer'"):
        small.net.step(small.x, dC_da=np.ones((5, 2)))
    assert_same_bits(small.net.parameters, before)


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
@pytest.mark.parametrize(("sizes", "n"), [((5, 7, 3), 6), ((19, 33, 17), 150)], ids=str)
def test_products_with_the_jacobian(activation, sizes, n, dtype):
    net = make_network(sizes, (activation, activation), dtype=dtype)
    x, _ = make_data(net, n)
    u, v = some_derivatives(net, n), np.random.default_rng(3).normal(size=x.shape)
    jacobian = net.jacobian(x).astype(float)
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    assert_close(net.vector_jacobian(x, u), np.einsum("njk,nj->nk", jacobian, u), tolerance)
    assert_close(net.jacobian_vector(x, v), np.einsum("njk,nk->nj", jacobian, v), tolerance)
    assert net.jacobian_vector(x, v).dtype == net.vector_jacobian(x, u).dtype == net.dtype
    assert_same_bits(net.jacobian_vector(x[3], v[3]), net.jacobian_vector(x, v)[3])
    assert_same_bits(net.vector_jacobian(x[3], u[3]), net.vector_jacobian(x, u)[3])


def test_products_with_the_jacobian_of_own_functions():
    sine = bp.Activation(np.sin, np.cos)
    net = bp.Network(bp.Layer(3, 4, sine), bp.Layer(4, 2, sine), dtype="float64", seed=0)
    x, _ = make_data(net, 5)
    v, u = np.ones((5, 3)), np.ones((5, 2))
    jacobian = net.jacobian(x)
    assert_close(net.jacobian_vector(x, v), jacobian.sum(2), 1e-13)
    assert_close(net.vector_jacobian(x, u), jacobian.sum(1), 1e-13)


def test_wrong_vectors(small):
    with pytest.raises(ValueError, match=r"v must have shape \(5, 3\), as x has, but has shape \(5, 2\)"):
        small.net.jacobian_vector(small.x, np.ones((5, 2)))
    with pytest.raises(ValueError, match=r"v must have shape \(3,\), as x has"):
        small.net.jacobian_vector(small.x[0], np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"u must have shape \(5, 2\), but has shape \(5, 3\)"):
        small.net.vector_jacobian(small.x, np.ones((5, 3)))
