"""The order in which gradients of a batch are added: rows in blocks, blocks in groups, groups."""

import numpy as np
import pytest
from conftest import assert_same_bits, make_data, make_network

import backprop as bp

BLOCK = 16
SIZES = (5, 20, 32, 3)
ACTIVATIONS = ("tanh", "sigmoid", "identity")


def group_of(dtype):
    """Rows of a group: a block for each number in 64 bytes."""
    return BLOCK * 64 // np.dtype(dtype).itemsize


def in_groups(parts, blocks):
    """The sum of blocks' gradients, `blocks` of them in a group, each sum from zero and in order."""
    total = np.zeros_like(parts[0])
    for first in range(0, len(parts), blocks):
        group = np.zeros_like(parts[0])
        for part in parts[first : first + blocks]:
            group = group + part
        total = total + group
    return total


def flat(gradient):
    """As net.parameters lies."""
    return np.concatenate(
        [part.T.ravel() for layer in gradient.layers for part in (layer.weights, layer.bias)]
    )


@pytest.mark.parametrize("rows", [512, 1000, 1024, 2048, 131072])
def test_gradient_is_the_sum_in_groups(rows, dtype):
    """Weights of samples add up to a power of two in each block and in all, so that means are exact sums."""
    net = make_network(SIZES, ACTIVATIONS, "squared_error", dtype)
    x, y = make_data(net, rows)
    weights = np.ones(rows)
    if rows == 1000:
        weights[-8:] = 4
    total = weights.sum()
    parts = []
    for first in range(0, rows, BLOCK):
        own = slice(first, first + BLOCK)
        gradient = net.gradient(x[own], y[own], sample_weight=weights[own])
        parts.append(flat(gradient) * np.dtype(dtype).type(weights[own].sum() / total))
    expected = in_groups(parts, group_of(dtype) // BLOCK)
    found = flat(net.gradient(x, y, sample_weight=weights))
    assert np.ptp(found) > 0
    assert_same_bits(found, expected)
    assert found.tobytes() != np.sum(parts, axis=0, dtype=dtype).tobytes() or rows == 512


def test_fewer_rows_are_one_block(dtype):
    net = make_network(SIZES, ACTIVATIONS, "squared_error", dtype)
    x, y = make_data(net, 256)
    parts = [flat(net.gradient(x[n : n + BLOCK], y[n : n + BLOCK])) / 16 for n in range(0, 256, BLOCK)]
    in_blocks = in_groups(parts, group_of(dtype) // BLOCK)
    assert flat(net.gradient(x, y)).tobytes() != in_blocks.tobytes()


@pytest.mark.parametrize("optimizer", [bp.SGD, bp.Adam])
def test_fit_and_step_add_like_the_gradient(optimizer, dtype):
    nets = [make_network(SIZES, ACTIVATIONS, "squared_error", dtype) for _ in range(3)]
    x, y = make_data(nets[0], 1100)
    step, fit = optimizer(0.01), optimizer(0.01)
    gradient = nets[2].gradient(x, y)
    nets[0].step(x, y, step)
    nets[1].fit(x, y, fit, epochs=1, batch_size=1100, shuffle=False, threads=2)
    assert_same_bits(nets[1].parameters, nets[0].parameters)
    if optimizer is bp.Adam:
        first = nets[2].parameters.dtype.type(1 - 0.9) * flat(gradient)
        assert_same_bits(step.state[0], first)
