"""python -m backprop bench, and what benchmarks/ builds upon."""

import re
import sys

import numpy as np
import pytest
from conftest import ROUNDOFF, assert_close, assert_same_bits, require_torch

from backprop.__main__ import main
from backprop.cli import bench

SMALL = bench.Case((4, 3, 2), 5, 20)


def test_a_case_counts_what_the_lesson_counts():
    case = bench.Case((2, 3, 1), 4, 10)
    assert (case.name, case.steps, case.parameters) == ("2-3-1", 2, 2 * 3 + 3 + 3 * 1 + 1)
    forward = weight_gradients = 2 * 3 + 3 * 1
    deltas = 3 * 1
    assert case.flops == 2 * 4 * (forward + weight_gradients + deltas)


class Turn:
    """A library that takes its time: so many seconds a piece, of two steps, on a clock of its own."""

    piece = 2
    clock = 0.0

    def __init__(self, name, seconds, log):
        self.name, self.seconds, self.log = name, seconds, log

    def train(self, pieces):
        Turn.clock += pieces * self.seconds
        self.log.append((self.name, pieces))


def test_the_peers_take_turns_of_about_one_length():
    log = []
    peers = [Turn("a", 0.5, log), Turn("b", 2.0, log), Turn("c", 0.25, log)]
    times = bench.take_turns(peers, 2, 1.0, clock=lambda: Turn.clock)
    assert times == [[0.25, 0.25], [1.0, 1.0], [0.125, 0.125]]
    tried = [("a", 1), ("a", 1), ("b", 1), ("c", 1), ("c", 1)]  # twice where a piece is short
    assert log == [*tried, ("a", 2), ("b", 1), ("c", 4), ("b", 1), ("c", 4), ("a", 2)]


def test_both_libraries_train_alike():
    require_torch()
    parameters, (x, y) = bench.first_parameters(SMALL), bench.make_data(SMALL, SMALL.samples)
    ours = bench.Backprop(SMALL, parameters, x, y, rate=0.5, shuffle=False)
    theirs = bench.PyTorch(SMALL, parameters, x, y, rate=0.5, shuffle=False)
    assert ours.piece == theirs.piece == SMALL.steps
    for peer in (ours, theirs):
        for own, first in zip(peer.parameters(), parameters, strict=True):
            assert_same_bits(own[0], first[0])
        peer.train(3)
    # 3 pieces of 20 samples; a term of each moves a parameter, by less than 1
    tolerance = 60 * ROUNDOFF["float32"]
    for one, other, first in zip(ours.parameters(), theirs.parameters(), parameters, strict=True):
        assert_close(one[0], other[0], tolerance)
        assert_close(one[1], other[1], tolerance)
        assert np.abs(one[0] - first[0]).max() > 100 * tolerance


def test_minibatches_in_random_order_hold_every_sample_once():
    torch = require_torch()
    peer = bench.PyTorch(SMALL, bench.first_parameters(SMALL), *bench.make_data(SMALL, SMALL.samples))
    torch.manual_seed(1)
    one, other = (torch.cat(peer._minibatches()) for _ in range(2))
    assert sorted(one) == sorted(other) == list(range(SMALL.samples))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("torch", [True, False])
def test_the_short_form(capsys, monkeypatch, torch):
    if torch:
        require_torch()
    else:
        monkeypatch.setitem(sys.modules, "torch", None)
    cases, measured, take_turns = (SMALL, bench.Case((3, 2), 1, 10)), [], bench.take_turns

    def take_short_turns(peers, repetitions, seconds):
        measured.append(take_turns(peers, repetitions, seconds / 100))
        if len(measured) == 2:  # the last one stood still for a while
            measured[-1][-1] = [1e6 * time for time in measured[-1][-1]]
        return measured[-1]

    monkeypatch.setattr(bench, "usable_threads", lambda: 3)
    monkeypatch.setattr(bench, "SHORT", cases)
    monkeypatch.setattr(bench, "take_turns", take_short_turns)
    assert not main(["bench", *(["--threads", "1"] if torch else [])])
    out = capsys.readouterr().out
    assert ("PyTorch is not installed" in out) is not torch
    assert (", 1 thread;" if torch else ", threads as it chooses of") in out
    table = out.split("\n\n")[1].splitlines()
    assert len(table) == 1 + len(cases)
    assert re.findall(r"\d+ threads?", table[0]) == ([] if torch else ["1 thread", "2 threads", "3 threads"])
    for line, case, times in zip(table[1:], cases, measured, strict=True):
        assert len(line) == len(table[0])
        name, batch, *columns = line.split()
        columns = [float(column.replace(",", "")) for column in columns]
        medians = [np.median(of_peer) for of_peer in times]
        step = medians[0]
        expected = [1e6 * step, 1 / step, case.flops / step / 1e9]
        expected += [1e6 * medians[1], medians[1] / step] if torch else list(np.multiply(1e6, medians[1:]))
        assert (name, int(batch)) == (case.name, case.batch)
        # to 4 digits, to whole steps, to a digit after the point; to 4 digits and to 3, or all to 4
        relative = [5e-4, 5e-3] if torch else 5e-4
        rounding = [5e-4 * expected[0], 0.5, 0.05, *np.multiply(expected[3:], relative)]
        assert (np.abs(np.subtract(columns, expected)) <= rounding).all()
    assert re.search(r"peak \d+ GFLOP/s", out)
