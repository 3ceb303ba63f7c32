"""Members that end by themselves in one call of the engine, as a rule in NumPy after each epoch has it."""

import os
import signal
import threading

import numpy as np
import pytest
from populations import new_record

import backprop as bp

MEMBERS, EPOCHS, SAMPLES = 21, 40, 50


def arguments_of(net, dtype, seed):
    """Rates and penalties that differ, two sets of rows, each in an order of its own, and few seeds."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(80, 3)).astype(dtype), rng.integers(0, 3, 80)
    numbers = np.tile([1.0, 0, 0, 0.9, 0.999, 1e-8, np.inf, np.inf], (MEMBERS, 1))
    numbers[:, 0] = np.logspace(-4, 0, MEMBERS)
    penalties = np.zeros((MEMBERS, 2, 2))
    penalties[:, :, 1] = rng.choice([0, 0.01, 0.5], (MEMBERS, 1))
    rows = [rng.permutation(80)[:SAMPLES] for _ in range(2)]
    return {
        "parameters": np.tile(net.parameters, (MEMBERS, 1)),
        "states": tuple(np.zeros((MEMBERS, net.parameters.size), dtype) for _ in range(2)),
        "steps": np.zeros(MEMBERS, np.uint64),
        "active": np.arange(MEMBERS) != 4,
        "optimizer": bp.Adam(),
        "numbers": numbers,
        "penalties": penalties,
        "x": x,
        "y": y,
        "samples": np.stack([rows[i % 2] for i in range(MEMBERS)]).astype(np.uint32),
        "batch_size": 16,
        "bit_generators": [np.random.default_rng(i % 3).bit_generator for i in range(MEMBERS)],
        "shuffle": True,
    }


def new_patience(parameters, epochs, tol=0.005, most=3):
    members = len(parameters)
    rule = np.full(members, tol), np.full(members, float(most))
    counts = np.zeros(members, np.uint64), np.zeros(members, np.uint64)
    kept = np.zeros(members, bool), parameters.copy()
    return (*rule, np.full(members, -np.inf), *counts, *kept, np.full((epochs, members), np.nan))


def penalty(net, parameters, l2):
    """½ l2 Σ w² in NumPy, of one member."""
    net.parameters[...] = parameters
    squares = [float(np.square(layer.weights.T.reshape(-1)).sum()) for layer in net.layers]
    return 0.0 + 0.5 * l2 * squares[0] + 0.5 * l2 * squares[1]


def by_single_epochs(net, arguments, patience):
    tol, most, best, waited, epochs, ended, kept, objective = patience
    parameters, active, penalties = arguments["parameters"], arguments["active"], arguments["penalties"]
    losses = []
    for epoch in range(EPOCHS):
        before, record = parameters.copy(), new_record(MEMBERS, 1)
        net._train_population(**arguments, epochs=1, record=record)
        losses.append(record[0][0])
        for i in np.flatnonzero(active):
            objective[epoch, i] = record[0][0, i] + penalty(net, before[i], penalties[i, 0, 1])
            value = -objective[epoch, i]
            waited[i] = 0 if value >= best[i] + tol[i] else waited[i] + 1
            epochs[i] += 1
            if value > best[i]:
                best[i], kept[i] = value, before[i]
            ended[i] = waited[i] > most[i]
            active[i] &= not ended[i]
    return np.array(losses)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("way", ["fastest", "one by one", "in lanes"])
@pytest.mark.parametrize("hidden", [5, 70])  # of weights more than NumPy adds up at once
def test_members_end_as_by_single_epochs(way, threads, dtype, hidden):
    net, twin = (
        bp.Network.dense(3, hidden, 3, hidden="tanh", loss="cross_entropy", dtype=dtype, seed=1)
        for _ in range(2)
    )
    mine, theirs = (arguments_of(net, dtype, 0) for _ in range(2))
    my_patience, their_patience = (new_patience(mine["parameters"], EPOCHS) for _ in range(2))
    record = new_record(MEMBERS, EPOCHS)
    losses = by_single_epochs(twin, theirs, their_patience)
    given = {"epochs": EPOCHS, "record": record, "way": way, "threads": threads, "patience": my_patience}
    net._train_population(**mine, **given)
    np.testing.assert_array_equal(record[0], losses)
    for one, other in zip(my_patience, their_patience, strict=True):
        np.testing.assert_array_equal(one, other)
    for name in ("parameters", "steps", "active"):
        np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)
    for one, other in zip(mine["states"], theirs["states"], strict=True):
        np.testing.assert_array_equal(one, other)
    assert [g.state for g in mine["bit_generators"]] == [g.state for g in theirs["bit_generators"]]
    epochs, ended = my_patience[4], my_patience[5]
    assert len(set(epochs.tolist())) > 5  # they end one after the other,
    assert ended[epochs < EPOCHS].sum() > 5  # and not all
    assert not ended.all()
    assert epochs[4] == 0


def test_one_that_diverges_has_not_ended_by_itself():
    net = bp.Network.dense(3, 4, 2, hidden="identity", output="identity", seed=0)
    parameters = np.tile(net.parameters, (3, 1))
    patience = new_patience(parameters, 9, tol=0.0, most=100)
    numbers = np.tile([0.01, 0, 0, 0, 0, 0, np.inf, np.inf], (3, 1))
    numbers[1, 0] = 1e30
    active, record = np.ones(3, bool), new_record(3, 9)
    rng = np.random.default_rng(0)
    net._train_population(
        parameters=parameters, states=(), steps=np.zeros(3, np.uint64), active=active,
        optimizer=bp.SGD(0.1), numbers=numbers, x=rng.normal(size=(8, 3)), y=rng.random((8, 2)),
        epochs=9, batch_size=4, record=record, patience=patience,
    )  # fmt: skip
    assert active.tolist() == [True, False, True]
    assert not patience[5].any()
    assert patience[4].tolist() == [9, 0, 9]
    np.testing.assert_array_equal(parameters[1], net.parameters)


def test_an_objective_that_is_as_low_as_before_is_no_worse_with_tol_0():
    net = bp.Network.dense(3, 4, 3, loss="cross_entropy", seed=1)
    arguments = arguments_of(net, "float32", 0)
    arguments["numbers"][:, 0] = 0  # nothing moves
    arguments |= {"shuffle": False, "record": new_record(MEMBERS, 9), "epochs": 9}
    for tol, ended in ((0.0, False), (1e-9, True)):
        patience = new_patience(arguments["parameters"], 9, tol)
        net._train_population(**arguments, patience=patience)
        assert set(patience[5][arguments["steps"] > 0].tolist()) == {ended}


@pytest.mark.parametrize("way", ["one by one", "in lanes"])
def test_ctrl_c_leaves_members_that_have_ended_and_others_in_an_epoch(way):
    net = bp.Network.dense(3, 40, 3, loss="cross_entropy", seed=1)
    arguments, epochs = arguments_of(net, "float32", 0), 10**5  # minutes
    patience = new_patience(arguments["parameters"], epochs, most=epochs)
    patience[1][:5] = 0
    arguments |= {"epochs": epochs, "record": new_record(MEMBERS, epochs), "patience": patience}
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        net._train_population(**arguments, way=way, threads=2)
    whole, begun = np.divmod(arguments["steps"], 4)
    done, ended = patience[4], patience[5]
    assert np.isfinite(arguments["parameters"]).all()
    assert ended.sum() >= 1
    assert (done > 0).sum() > ended.sum()
    assert (begun[ended] == 0).all()
    np.testing.assert_array_equal(whole[ended], done[ended])
    assert ((whole - done == 0) | ((whole - done == 1) & (begun == 0))).all()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
@pytest.mark.parametrize("way", ["one by one", "in lanes"])
def test_handlers_run_between_epochs_that_are_short(way):
    """Members are divided anew every few epochs, sooner than a signal is looked for again."""
    net, calls = bp.Network.dense(3, 40, 3, loss="cross_entropy", seed=1), []
    previous = signal.signal(signal.SIGALRM, lambda *_: calls.append(None))
    try:
        for epochs in (1000, 4000):
            arguments = arguments_of(net, "float32", 0)
            patience = new_patience(arguments["parameters"], epochs, most=epochs)
            record = new_record(MEMBERS, epochs)
            calls.clear()
            signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
            net._train_population(**arguments, epochs=epochs, record=record, patience=patience, way=way)
            signal.setitimer(signal.ITIMER_REAL, 0)
            if len(calls) > 5:
                return
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    pytest.fail("handlers had to wait")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda patience, record: (patience[:-1], record), "patience must be a tuple of 8 arrays"),
        (lambda patience, record: (patience, (None, *record[1:])), "and losses be recorded"),
        (lambda patience, record: ((patience[0][:4], *patience[1:]), record), "tol of patience"),
        (lambda patience, record: ((*patience[:7], patience[7][:3]), record), "objective of patience"),
    ],
)
def test_what_is_refused(change, message):
    net = bp.Network.dense(3, 4, 3, output="softmax", loss="cross_entropy", seed=1)
    arguments = arguments_of(net, "float32", 0)
    patience, record = change(new_patience(arguments["parameters"], 5), new_record(MEMBERS, 5))
    with pytest.raises(ValueError, match=message):
        net._train_population(**arguments, epochs=5, record=record, patience=patience)
    np.testing.assert_array_equal(arguments["parameters"][0], net.parameters)
