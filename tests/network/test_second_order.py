"""Jacobians and Hessian-vector products against PyTorch's, and against differences of the gradient."""

import numpy as np
import pytest
from conftest import assert_close, assert_same_bits, make_data, make_network, require_torch

import backprop as bp

# The exact derivative of a chain of a few dozen roundings each; the products' sums cancel somewhat.
TOLERANCE = {"float32": 2e-4, "float64": 1e-9}
PAIRS = [
    (("tanh", "sigmoid"), "squared_error"),
    (("sigmoid", "tanh"), "mean_squared_error"),
    (("softplus", "identity"), "huber"),
    (("gelu", "sigmoid"), "binary_cross_entropy"),
    (("silu", "softmax"), "cross_entropy"),
    (("elu", "softmax"), "squared_error"),
    (("relu", "softmax"), "binary_cross_entropy"),
    (("softmax", "sigmoid"), "cross_entropy"),
    (("leaky_relu", "sigmoid"), "cross_entropy"),
    (("tanh", "elu"), "squared_error"),
]
SHAPES = [((5, 7, 3), 6), ((19, 33, 17), 150)]


def torch_loss_of(net, x, y):
    """C as a function of the flat parameters, in float64, by tests/autograd.py's forms."""
    import autograd
    import torch

    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)

    def loss(flat):
        leaves, at = [], 0
        for layer in net.layers:
            size = layer.inputs * layer.outputs
            w = flat[at : at + size].reshape(layer.inputs, layer.outputs).T
            at += size
            b = None
            if layer.bias is not None:
                b = flat[at : at + layer.outputs]
                at += layer.outputs
            leaves.append((w, b))
        return autograd.forward(net, torch.tensor(x), y, leaves)[0].mean()

    return loss


@pytest.mark.parametrize(("activations", "loss"), PAIRS, ids=str)
@pytest.mark.parametrize(("sizes", "n"), SHAPES, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_hessian_vector_is_pytorchs(activations, loss, sizes, n, bias, dtype):
    torch = require_torch()
    net = make_network(sizes, activations, loss, dtype, bias)
    x, y = make_data(net, n)
    v = np.random.default_rng(1).normal(size=net.parameters.size).astype(dtype)
    before = net.parameters.copy()
    actual = net.hessian_vector(x, y, v)
    assert actual.dtype == net.dtype
    assert_same_bits(net.parameters, before)
    point = torch.tensor(net.parameters.astype(np.float64), requires_grad=True)
    (gradient,) = torch.autograd.grad(torch_loss_of(net, x, y)(point), point, create_graph=True)
    (expected,) = torch.autograd.grad(gradient @ torch.tensor(v.astype(np.float64)), point)
    assert_close(actual, expected.numpy(), TOLERANCE[dtype])


def test_hessian_vector_through_four_layers_is_a_difference_of_gradients():
    """Central differences of the gradient: error h²/6 of the fourth derivative, and 1e-16/h of rounding."""
    net = make_network((4, 9, 8, 7, 3), ("tanh", "softmax", "silu", "softmax"), "cross_entropy")
    x, y = make_data(net, 11)
    v = np.random.default_rng(1).normal(size=net.parameters.size)
    actual, h, start = net.hessian_vector(x, y, v), 1e-5, net.parameters.copy()
    gradients = []
    for sign in (1, -1):
        net.parameters[:] = start + sign * h * v
        gradients.append(net.gradient(x, y).parameters)
    assert_close(actual, (gradients[0] - gradients[1]) / (2 * h), 1e-7)


def test_hessian_is_symmetric_and_linear(small):
    net, x, y = small.net, small.x, small.y
    hessian = np.stack([net.hessian_vector(x, y, row) for row in np.eye(net.parameters.size)])
    assert_close(hessian, hessian.T, 1e-13)
    v = np.arange(net.parameters.size)
    assert_close(net.hessian_vector(x, y, v), hessian @ v, 1e-12)


@pytest.mark.parametrize(("activations", "loss"), PAIRS, ids=str)
@pytest.mark.parametrize(("sizes", "n"), SHAPES, ids=str)
def test_jacobian_is_pytorchs(activations, loss, sizes, n, dtype):
    torch = require_torch()
    import autograd

    net = make_network(sizes, activations, loss, dtype)
    x, _ = make_data(net, n)
    leaves = [torch.tensor(x.astype(np.float64), requires_grad=True)]
    a = leaves[0]
    for layer in net.layers:
        w, b = (torch.tensor(array.astype(np.float64)) for array in (layer.weights, layer.bias))
        a = autograd.ACTIVATIONS[str(layer.activation)](a @ w.T + b)
    expected = np.stack(
        [torch.autograd.grad(a[:, j].sum(), leaves, retain_graph=True)[0].numpy() for j in range(a.shape[1])],
        axis=1,
    )
    actual = net.jacobian(x)
    assert actual.dtype == net.dtype
    assert_close(actual, expected, 2e-5 if dtype == "float32" else 1e-12)
    assert_same_bits(net.jacobian(x[3]), actual[3])


def test_wrong_arguments(small):
    net = small.net
    with pytest.raises(ValueError, match=r"v must have shape \(26,\), got \(25,\)"):
        net.hessian_vector(small.x, small.y, np.ones(25))
    with pytest.raises(TypeError, match="real numbers"):
        net.hessian_vector(small.x, small.y, np.ones(26, complex))
    with pytest.raises(ValueError, match="shape"):
        net.jacobian(np.ones((2, 5)))
    own = bp.Activation(np.sin, np.cos)
    with pytest.raises(ValueError, match="second derivatives"):
        bp.Network(bp.Layer(2, 1, own)).hessian_vector([[1, 2]], [[1]], np.ones(3))
