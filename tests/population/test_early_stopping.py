"""Patience and target of members: the engine's rule beside Python's, which is that of fits with callbacks."""

import os
import signal
import threading

import numpy as np
import pytest
from populations import new_record

import backprop as bp
from backprop.population import loop

NETWORKS = ((2, 3, 1), (4, 16, 2), (5, 8, 6, 3), (6, 120, 3))  # the last one is no network for lanes
OPTIMIZERS = (
    lambda r, m: bp.SGD(r.uniform(0.01, 2, m)),
    lambda r, m: bp.SGD(0.3, momentum=np.where(r.random(m) < 0.5, 0, 0.9)),  # groups, one after the other
    lambda r, m: bp.Adam(bp.schedules.Cosine(0.1, steps=100)),
    lambda r, m: bp.RMSprop(r.uniform(0.001, 1, m)),
    lambda r, m: bp.SGD(10.0 ** r.uniform(0, 300, m)),  # some diverge
)


def random_fit(seed):
    """A population, its optimizer and what fit is given."""
    r = np.random.default_rng(seed)
    sizes, members = NETWORKS[seed % len(NETWORKS)], int(r.choice([1, 7, 16, 17, 33]))
    classes, held_out = sizes[-1] > 1 and r.random() < 0.5, r.random() < 0.7
    dtype, n = str(r.choice(["float32", "float64"])), int(r.choice([4, 30, 70]))
    functions = ("softmax", "cross_entropy") if classes else (str(r.choice(["sigmoid", "identity"])), None)
    population = bp.Population.dense(
        *sizes, members=members, seed=seed, dtype=dtype, output=functions[0],
        loss=functions[1] or "squared_error",
    )  # fmt: skip

    def samples(count, own):
        shape = (members, count) if own else (count,)
        targets = r.integers(sizes[-1], size=shape) if classes else r.random((*shape, sizes[-1]))
        return r.normal(size=(*shape, sizes[0])).astype(dtype), targets

    x, y = samples(n, own=r.random() < 0.3)
    figures = ["loss", "r2" if functions[0] == "identity" else "accuracy"]
    settings = {
        "epochs": int(r.choice([3, 40, 200])),
        "batch_size": int(r.choice([1, 8, n])),
        "shuffle": [True, False, "shared"][int(r.integers(3))],
        "threads": int(r.choice([1, 2, 7])),
        "progress": False,
        "target": float(10 ** r.uniform(-2, 0)) if r.random() < 0.4 else None,
    }
    if held_out:
        settings["validation"] = samples(9, own=x.ndim == 3 and r.random() < 0.5)
        figures += [f"validation_{figure}" for figure in figures]
    if settings["target"] is None or r.random() < 0.7:
        settings |= {"patience": int(r.choice([1, 3, 10])), "monitor": str(r.choice(figures))}
        settings["min_delta"] = float(r.choice([0, 1e-3]))
    return population, OPTIMIZERS[seed % len(OPTIMIZERS)](r, members), x, y, settings


@pytest.mark.parametrize("seed", range(40))
def test_the_engine_ends_members_as_it_is_done_where_a_callback_looks_on(seed, monkeypatch):
    if seed % 2:  # several calls of the engine
        monkeypatch.setattr(loop, "NUMBERS_OF_RECORD", 500)
    ends = []
    for callbacks in ([], [lambda population, record: None]):
        population, optimizer, x, y, settings = random_fit(seed)
        found = []
        for _ in range(2):
            history = population.fit(x, y, optimizer, **settings, callbacks=callbacks)
            figures = {key: np.array(values, float) for key, values in history.items() if key != "seconds"}
            best = np.asarray(getattr(history, "best_epoch", 0))
            found.append((figures, list(history.stopped), best, population.diverged.copy()))
        states = [rng.bit_generator.state for rng in population.rngs]
        remembered = optimizer.member_steps, optimizer.of_members.state
        ends.append((found, population.parameters, *remembered, states))
    np.testing.assert_equal(*ends)


def test_what_random_fits_end_by():
    reasons = set()
    for seed in range(40):
        population, optimizer, x, y, settings = random_fit(seed)
        reasons |= set(population.fit(x, y, optimizer, **settings).stopped)
    assert reasons == {"epochs", "patience", "target", "diverged"}


def still(members=3):
    """A population that does not move, a fit's arguments, and the loss of its members."""
    population = bp.Population.dense(2, 3, 1, members=members, seed=0)
    x, y = np.eye(2, dtype="f"), np.ones((2, 1), "f")
    history = population.fit(x, y, bp.SGD(1e-30), epochs=1, shuffle=False)
    return population, (x, y, bp.SGD(1e-30)), np.array(history["loss"][0])


def test_a_figure_that_stays_is_not_better_and_the_first_one_is():
    population, arguments, _ = still()
    for min_delta in (0.0, 0.5):
        history = population.fit(
            *arguments, epochs=50, shuffle=False, patience=4, monitor="loss", min_delta=min_delta
        )
        assert history.epochs == 5
        assert history.best_epoch.tolist() == [1, 1, 1]
        assert set(history.stopped) == {"patience"}


def test_a_loss_that_equals_the_target_has_reached_it():
    population, arguments, losses = still()
    order = np.argsort(losses)
    history = population.fit(*arguments, epochs=6, shuffle=False, target=float(losses[order[1]]))
    assert np.array(history.stopped)[order].tolist() == ["target", "target", "epochs"]
    assert np.isfinite(np.array(history["loss"])[:, order]).sum(axis=0).tolist() == [1, 1, 6]


def test_the_target_counts_after_patience():
    population, arguments, losses = still()
    low, settings = float(losses.min()) - 1, {"epochs": 9, "shuffle": False, "monitor": "loss"}
    for patience, target, reason, epochs in ((1, low, "patience", 2), (1, 9.0, "target", 1)):
        history = population.fit(*arguments, **settings, patience=patience, target=target)
        assert set(history.stopped) == {reason}
        assert history.epochs == epochs


@pytest.mark.parametrize("sizes", [(2, 3, 1), (6, 120, 3)])
def test_ctrl_c_leaves_finite_members_at_the_end_of_a_step(sizes):
    population = bp.Population.dense(*sizes, members=20, seed=0)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, sizes[0])), rng.random((40, sizes[-1]))
    optimizer, before = bp.SGD(0.1), population.parameters.copy()
    for seconds in (0.2, 1, 5, 25):
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            population.fit(x, y, optimizer, epochs=10**7, patience=10**6, monitor="loss", progress=False)
        moved = (population.parameters != before).any(axis=1)
        np.testing.assert_array_equal(moved, optimizer.member_steps > 0)
        assert np.isfinite(population.parameters).all()
        if moved.any():
            return
    pytest.fail("no member took a step")


def monitor_of(members, parameters):
    counts = np.zeros(members, np.uint64), np.zeros(members, np.uint64), np.zeros(members, np.uint8)
    return [0, False, None, 0.0, 3, -np.inf, 0, np.full(members, np.inf), *counts, parameters.copy()]


@pytest.mark.parametrize(
    ("place", "value", "error", "message"),
    [
        (0, 6, ValueError, "figure 6 of monitor must be recorded"),
        (0, 2, ValueError, "figure 2 of monitor must be recorded"),
        (2, np.ones(4), ValueError, "spread of monitor"),
        (7, np.ones(4), ValueError, "best of monitor"),
        (8, np.ones(3), ValueError, "best_epoch of monitor"),
        (9, np.ones(3, np.uint32), ValueError, "epochs of monitor"),
        (10, np.ones(3), ValueError, "ended of monitor"),
        (11, np.ones((2, 13), "f"), ValueError, "kept of monitor"),
        (12, None, TypeError, "monitor must be a tuple of 12"),
    ],
)
def test_what_the_engine_refuses(place, value, error, message):
    net, members = bp.Network.dense(2, 3, 1, seed=1), 3
    parameters = np.tile(net.parameters, (members, 1))
    monitor, record = monitor_of(members, parameters), list(new_record(members, 5))
    monitor[place : place + 1] = [value]
    record[2] = None
    with pytest.raises(error, match=message):
        net._train_population(
            parameters=parameters, states=(), steps=np.zeros(members, np.uint64),
            active=np.ones(members, bool), optimizer=bp.SGD(0.1), x=np.eye(2, dtype="f"),
            y=np.ones((2, 1), "f"), epochs=5, batch_size=2, record=tuple(record), monitor=tuple(monitor),
        )  # fmt: skip
    np.testing.assert_array_equal(parameters, np.tile(net.parameters, (members, 1)))
