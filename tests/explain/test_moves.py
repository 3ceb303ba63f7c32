"""Nudges, the weights that move most, and what a step did."""

import copy
import pickle
import re

import numpy as np
import pytest
from conftest import assert_same_bits, make_data, make_network

import backprop as bp


def test_nudges_point_from_the_outputs_to_the_targets(small):
    trace = small.net.trace(small.x, small.y)
    # -∂C_0/∂a of the squared error is 2 (y - a), here exactly
    assert_same_bits(trace.nudges, 2 * (small.y - trace.layers[-1].a))
    assert small.net.trace(small.x[0], small.y[0]).nudges.shape == (2,)
    with pytest.raises(ValueError, match=r"expected trace\(x, y\)"):
        _ = small.net.trace(small.x).nudges


@pytest.mark.parametrize("bias", [True, False])
def test_the_largest_moves_are_those_of_the_gradient(bias):
    net = make_network((3, 5, 2), "tanh", bias=bias)
    x, y = make_data(net, 4)
    gradient = net.gradient(x, y)
    total = np.abs(gradient.parameters).sum()
    moves = net.largest_moves(x, y, count=1000)
    assert len(moves) == net.parameters.size
    assert len({move[:3] for move in moves}) == len(moves)
    for move in moves:
        part = gradient.layers[move.layer]
        expected = part.bias[move.j] if move.k is None else part.weights[move.j, move.k]
        assert move.gradient == expected
        assert move.share == pytest.approx(abs(expected) / total, rel=1e-12)
    sizes = [abs(move.gradient) for move in moves]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(move.share for move in moves) == pytest.approx(1, rel=1e-12)
    assert tuple(net.largest_moves(x, y, count=3)) == tuple(moves[:3])


def test_moves_print_as_the_lesson_writes_them(small):
    moves = small.net.largest_moves(small.x, small.y, 2)
    lines = str(moves).splitlines()
    assert len(lines) == 3
    assert re.search(r"[wb][₀-₉]+\^\(L(-1)?\)", lines[1])
    assert ("down" in lines[1]) == (moves[0].gradient > 0)
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        small.net.largest_moves(small.x, small.y, 0)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, *(lambda m, p=p: pickle.loads(pickle.dumps(m, p)) for p in range(6))]
)
def test_copies_of_moves_are_moves(small, copied):
    moves = small.net.largest_moves(small.x, small.y, 3)
    again = copied(moves)
    assert type(again) is type(moves)
    assert again == moves
    assert str(again) == str(moves)


def test_no_gradient_no_share():
    net = make_network((2, 1), "identity", bias=False)
    moves = net.largest_moves(np.zeros((1, 2)), np.ones((1, 1)))
    assert [move.share for move in moves] == [0, 0]


def test_a_watched_step_is_a_step(small):
    net, x, y = small.net, small.x, small.y
    twin = make_network((3, 4, 2), ("tanh", "sigmoid"))
    before, nudges, outputs = net.loss(x, y), net.trace(x, y).nudges, net(x)
    gradient = net.gradient(x, y).parameters
    effect = net.watch_step(x, y, bp.SGD(0.125))
    assert effect.loss_before == twin.step(x, y, bp.SGD(0.125))
    assert effect.loss_before == pytest.approx(before, rel=1e-15)  # a sum times 1/n, not over n
    assert_same_bits(net.parameters, twin.parameters)
    assert_same_bits(effect.nudges, nudges)
    assert_same_bits(effect.before, outputs)
    assert_same_bits(effect.after, net(x))
    assert_same_bits(effect.change, net(x) - outputs)
    assert effect.loss_after == net.loss(x, y) < before
    # Σ g · (-lr g), each Δw being a difference of rounded weights
    assert effect.expected == pytest.approx(-0.125 * np.dot(gradient, gradient), rel=1e-12)


def test_the_smaller_the_step_the_better_the_gradient_foretells_it(small):
    effects = []
    for lr in (1e-2, 1e-4):
        net = make_network((3, 4, 2), ("tanh", "sigmoid"))
        effect = net.watch_step(small.x, small.y, bp.SGD(lr))
        effects.append(abs((effect.loss_after - effect.loss_before) / effect.expected - 1))
    # the next term of the series is of first order in lr
    assert effects[1] < effects[0] / 50


def test_a_step_prints_outputs_and_loss(small):
    net, x, y = small.net, small.x, small.y
    one = str(net.watch_step(x[0], y[0], bp.SGD(1.0)))
    assert one.count("as wished") + one.count("against") == 2
    assert re.search(r"^C: \S+ → \S+, a change of -", one, re.M)
    many = str(net.watch_step(x, y, bp.SGD(1.0)))
    assert "and 4 more outputs" in many
