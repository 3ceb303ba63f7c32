"""`fit(metrics=)`, `fit(record="steps")` and `find_rate`."""

import copy
import pickle

import mpi_ranks
import numpy as np
import pytest
from conftest import assert_same_bits, make_data, make_network

import backprop as bp
from backprop._figures import improves


def largest_error(a, y):
    return np.abs(a - y).max()


def network_and_data(samples=20, loss="squared_error", dtype="float64"):
    net = make_network((3, 8, 2), ("tanh", "sigmoid"), loss, dtype)
    return net, *make_data(net, samples)


@pytest.mark.parametrize("optimizer", [bp.SGD(0.5), bp.Adam(0.01), bp.LBFGS()], ids=repr)
def test_metrics_are_measured_after_every_epoch(optimizer):
    for validated in (True, False):
        net, x, y = network_and_data()
        held_out = make_data(net, 7) if validated else (x, y)
        seen = []

        def note(net, figures, seen=seen, held_out=held_out):
            seen.append((largest_error(net(held_out[0]), held_out[1]), figures))

        history = net.fit(
            x, y, copy.deepcopy(optimizer), epochs=4, validation=held_out if validated else None,
            metrics={"worst": largest_error, "rows": lambda a, y: len(a)}, callbacks=[note],
        )  # fmt: skip
        key = "validation_worst" if validated else "worst"
        assert history[key] == [error for error, _ in seen]
        assert history[key] == [figures[key] for _, figures in seen]
        assert history[key.replace("worst", "rows")] == [len(held_out[0])] * 4
        assert ("worst" in history) != validated
        assert key.replace("_", " ") in str(history)


def test_metrics_get_targets_as_they_were_given():
    net, x, _ = network_and_data()
    labels = np.arange(20) % 2
    got = []

    def accuracy_of_my_own(a, y):
        got.append(y)
        assert not a.flags.writeable
        return (a.argmax(1) == y).mean()

    history = net.fit(x, labels, bp.SGD(0.1), epochs=2, metrics={"own": accuracy_of_my_own})
    assert history["own"][-1] == net.accuracy(x, labels)
    assert got[0] is labels
    share = net.fit(x, labels, bp.SGD(0.1), validation=0.25, metrics={"own": accuracy_of_my_own})
    assert share["validation_own"] == [net.accuracy(x[15:], labels[15:])]


def test_metrics_change_no_bit():
    plain, x, y = network_and_data()
    measured = copy.deepcopy(plain)
    plain.fit(x, y, bp.Adam(0.01), epochs=5, batch_size=4)
    measured.fit(
        x, y, bp.Adam(0.01), epochs=5, batch_size=4, metrics={"worst": largest_error}, record="steps"
    )
    assert_same_bits(plain.parameters, measured.parameters)


def test_metrics_of_an_iterable_need_validation():
    net, x, y = network_and_data()
    batches = [(x[:10], y[:10]), (x[10:], y[10:])]
    with pytest.raises(ValueError, match=r"need validation=\(x, y\) where x is an iterable"):
        net.fit(batches, None, bp.SGD(0.1), metrics={"worst": largest_error})
    history = net.fit(batches, None, bp.SGD(0.1), validation=(x, y), metrics={"worst": largest_error})
    assert history["validation_worst"] == [largest_error(net(x), y)]


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        ([largest_error], TypeError, "dict of names to functions"),
        ({1: largest_error}, TypeError, "must have names, got 1"),
        ({"f 1": largest_error}, ValueError, "as Python's variables have, got 'f 1'"),
        ({"loss": largest_error}, ValueError, "'loss' is one of fit's figures"),
        ({"epoch": largest_error}, ValueError, "'epoch' is one of fit's figures"),
        ({"validation_x": largest_error}, ValueError, "'validation_x' is one of fit's"),
        ({"f1": 3}, TypeError, r"metrics\['f1'\] must be a function f\(a, y\), got int"),
    ],
)
def test_metrics_that_are_none(metrics, error, message):
    net, x, y = network_and_data()
    before = net.parameters.copy()
    with pytest.raises(error, match=message):
        net.fit(x, y, bp.SGD(0.1), metrics=metrics)
    assert_same_bits(net.parameters, before)


@pytest.mark.parametrize("wrong", [None, "0.5", np.ones(2), 1j])
def test_a_metric_must_be_a_number(wrong):
    net, x, y = network_and_data()
    with pytest.raises(TypeError, match="the metric 'own' must return a number, got"):
        net.fit(x, y, bp.SGD(0.1), metrics={"own": lambda a, y: wrong})
    for right in (1, True, np.float32(1), np.array(1.0), np.bool_(True)):
        history = net.fit(x, y, bp.SGD(0.1), metrics={"own": lambda a, y, right=right: right})
        assert history["own"] == [1.0]


def test_early_stopping_and_checkpoints_watch_metrics(tmp_path):
    values = [0.1, 0.5, 0.4, 0.3, 0.2]
    for mode, best in (("auto", 2), ("max", 2), ("min", 1)):
        net, x, y = network_and_data()
        figures = iter(values)
        stopping = bp.EarlyStopping("validation_f1", patience=2, mode=mode)
        saving = bp.Checkpoint(tmp_path / (mode + "{validation_f1}"), monitor="validation_f1", mode=mode)
        history = net.fit(
            x, y, bp.SGD(0.1), epochs=5, validation=(x, y), callbacks=[stopping, saving],
            metrics={"f1": lambda a, y, figures=figures: next(figures)},
        )  # fmt: skip
        assert stopping.best_epoch == best
        assert history.epochs == best + 2
        assert saving.best == values[best - 1]
        assert (tmp_path / f"{mode}{saving.best}").exists()
    with pytest.raises(ValueError, match=r"watches 'f1', but .*watch 'validation_f1'"):
        net.fit(
            x, y, bp.SGD(0.1), validation=(x, y), callbacks=[bp.EarlyStopping("f1")],
            metrics={"f1": largest_error},
        )  # fmt: skip
    with pytest.raises(ValueError, match=r"watches 'f1', .*metrics=\{name: f\}"):
        net.fit(x, y, bp.SGD(0.1), callbacks=[bp.EarlyStopping("f1")])
    with pytest.raises(TypeError, match="monitor must be the name"):
        bp.EarlyStopping(3)
    with pytest.raises(ValueError, match="mode"):
        bp.EarlyStopping("f1", mode="up")
    old = bp.EarlyStopping("loss")
    del old.__dict__["_mode"]
    assert pickle.loads(pickle.dumps(old))._mode == "auto"


def test_what_improves_which_way():
    assert improves("f1", 2, 1)
    assert improves("validation_r2", 2, 1)
    assert improves("validation_loss", 1, 2)
    assert improves("gradient_norm", 1, 2)
    assert improves("rmse", 1, 2, mode="min")
    assert not improves("f1", np.nan, 1)


def test_a_plateau_may_be_of_a_metric():
    net, x, y = network_and_data()
    plateau = bp.schedules.ReduceOnPlateau(0.1, factor=0.5, patience=0, monitor="f1")
    history = net.fit(x, y, bp.SGD(plateau), epochs=4, metrics={"f1": lambda a, y: 1.0})
    assert history["lr"] == [0.1, 0.1, 0.05, 0.025]


def test_the_bar_shows_metrics(capsys):
    net, x, y = network_and_data()
    net.fit(x, y, bp.SGD(0.1), epochs=2, metrics={"f1": lambda a, y: 0.125}, progress=True)
    assert "f1=0.1250" in capsys.readouterr().err


# Batches of one sample and of several, by every method that does the steps.
@pytest.mark.parametrize(
    ("sizes", "batch_size"), [((3, 8, 2), 1), ((3, 40, 2), 1), ((3, 8, 2), 6), ((3, 40, 2), 6)]
)
@pytest.mark.parametrize(
    "optimizer", [bp.SGD(0.1), bp.Adam(0.01), bp.SGD(bp.schedules.Cosine(0.1, 99))], ids=repr
)
def test_steps_are_recorded(sizes, batch_size, optimizer, dtype):
    net = make_network(sizes, ("tanh", "sigmoid"), dtype=dtype)
    other, (x, y) = copy.deepcopy(net), make_data(net, 20)
    weights = np.arange(1.0, 21)
    steps = -(-20 // batch_size)
    history = net.fit(
        x, y, copy.deepcopy(optimizer), epochs=3, batch_size=batch_size, shuffle=False, record="steps",
        sample_weight=weights, threads=2,
    )  # fmt: skip
    mine = copy.deepcopy(optimizer)
    expected, rates = [], []
    for _ in range(3):
        for first in range(0, 20, batch_size):
            rows = slice(first, first + batch_size)
            rates.append(mine.lr(mine.steps) if callable(mine.lr) else mine.lr)
            expected.append(other.step(x[rows], y[rows], mine, sample_weight=weights[rows]))
    assert set(history.steps) == {"loss", "lr"}
    assert history.steps["loss"].shape == (3 * steps,)
    np.testing.assert_allclose(history.steps["loss"], expected, rtol=1e-4 if dtype == "float32" else 1e-10)
    np.testing.assert_allclose(history.steps["lr"], rates, rtol=1e-15)
    assert "steps" not in history


def test_steps_of_streams_and_of_calls_one_by_one(tmp_path):
    net, x, y = network_and_data(100)
    pair = [copy.deepcopy(net) for _ in range(3)]
    batches = [(x[i : i + 9], y[i : i + 9]) for i in range(0, 100, 9)]
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    histories = [
        pair[0].fit(batches, None, bp.Adam(0.01), epochs=3, record="steps"),
        pair[1].fit(x, y, bp.Adam(0.01), epochs=3, batch_size=9, shuffle=False, record="steps",
                    callbacks=[lambda net, figures: None]),
        pair[2].fit(mapped, y, bp.Adam(0.01), epochs=3, batch_size=9, shuffle=False, record="steps"),
    ]  # fmt: skip
    for history in histories:
        assert_same_bits(history.steps["loss"], histories[0].steps["loss"])
        assert history.steps["lr"].tolist() == 36 * [0.01]
    kept = pickle.loads(pickle.dumps(histories[0]))
    assert_same_bits(kept.steps["loss"], histories[0].steps["loss"])
    assert net.fit(x, y, bp.SGD(0.1)).steps == {}


@pytest.mark.parametrize("threads", [1, 2])
def test_steps_of_large_batches(threads, dtype):
    net = make_network((3, 8, 2), ("tanh", "sigmoid"), dtype=dtype)
    other, (x, y) = copy.deepcopy(net), make_data(net, 1300)
    weights = np.linspace(0, 1, 1300)
    settings = {"epochs": 2, "record": "steps", "threads": threads}
    history = net.fit(x, y, bp.SGD(0.1), batch_size=600, shuffle=False, sample_weight=weights, **settings)
    batches = [(x[i : i + 600], y[i : i + 600], weights[i : i + 600]) for i in (0, 600, 1200)]
    assert_same_bits(history.steps["loss"], other.fit(batches, None, bp.SGD(0.1), **settings).steps["loss"])


def test_what_has_no_steps_says_so():
    net, x, y = network_and_data()
    with pytest.raises(ValueError, match="an epoch of LBFGS is one step"):
        net.fit(x, y, bp.LBFGS(), record="steps")
    with pytest.raises(ValueError, match="there is no record 'batches'"):
        net.fit(x, y, bp.SGD(0.1), record="batches")


def test_ranks_measure_alike():
    script = """
    net = make_network((3, 8, 2), ("tanh", "sigmoid"))
    x, y = make_data(net, 20)
    def differs(a, y):
        return rank + 0.5
    history = net.fit(x, y, bp.SGD(0.1), epochs=2, metrics={"own": differs}, comm=comm)
    assert history["own"] == [0.5, 0.5]
    def fails(a, y):
        raise KeyError("mine")
    first = KeyError if rank == 0 else RuntimeError
    for metrics, error in (({"own": fails}, first), ({"loss": differs}, ValueError)):
        try:
            net.fit(x, y, bp.SGD(0.1), metrics=metrics, comm=comm)
        except error:
            tell("well")
    try:
        net.fit(x, y, bp.SGD(0.1), record="steps", comm=comm)
    except ValueError:
        tell("well")
    """
    assert len(mpi_ranks.succeed(2, script)) == 6


@pytest.mark.parametrize(
    "optimizer", [bp.SGD(1), bp.SGD(1, momentum=0.9), bp.Adam(1), bp.RMSprop(1)], ids=repr
)
def test_find_rate_suggests_a_rate_that_trains(optimizer):
    x, y, _, _ = bp.datasets.load_digits()
    net = bp.Network.dense(64, 30, 10, hidden="relu", loss="cross_entropy", seed=0)
    before, state = net.parameters.copy(), net.rng.bit_generator.state
    search = bp.find_rate(net, x, y, optimizer)
    assert_same_bits(net.parameters, before)
    assert net.rng.bit_generator.state == state
    assert (optimizer.lr, optimizer.steps) == (1.0, 0)
    assert search.rates.shape == search.losses.shape == search.smoothed.shape
    assert (np.diff(np.log(search.rates)) > 0).all()
    optimizer = copy.deepcopy(optimizer)
    optimizer.lr = search.suggestion
    net.fit(x, y, optimizer, epochs=5)
    assert net.accuracy(x, y) > 0.93
    again = bp.find_rate(net, x, y, optimizer, rng=3)
    assert_same_bits(again.losses, bp.find_rate(net, x, y, optimizer, rng=3).losses)


def test_find_rate_ends_where_the_loss_explodes():
    net = bp.Network.dense(5, 30, 1, hidden="tanh", output="identity", seed=0)
    x, y = make_data(net, 200)
    search = bp.find_rate(net, x, y, highest=1e6, steps=100)
    assert len(search.rates) < 100
    assert np.isfinite(search.losses).all()
    assert 1e-4 < search.suggestion < 1
    high = bp.find_rate(net, x, y, lowest=100, highest=1e4)
    assert np.isnan(high.suggestion)
    assert "no rate lowers the loss" in repr(high)


def test_find_rate_plots():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    net, x, y = network_and_data()
    search = bp.find_rate(net, x, y, bp.Adam())
    ax = search.plot()
    assert ax.get_xscale() == "log"
    assert ax.lines[0].get_ydata().tolist() == search.losses.tolist()
    assert search.plot(ax=ax) is ax


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"lowest": 0}, ValueError, "lowest must be greater than 0"),
        ({"lowest": 1, "highest": 1}, ValueError, "lowest must be below highest"),
        ({"steps": 9}, ValueError, "steps must be at least 10"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"optimizer": bp.LBFGS()}, TypeError, "optimizer must be one such as SGD"),
        ({"x": np.ones(3), "y": np.ones(2)}, ValueError, "got one sample"),
        ({"x": np.ones((4, 2)), "y": np.ones((4, 2))}, ValueError, r"x must have shape \(n, 3\)"),
        ({"x": np.full((4, 3), np.nan), "y": np.ones((4, 2))}, ValueError, "not finite"),
    ],
)
def test_find_rate_refuses(arguments, error, message):
    net, x, y = network_and_data()
    with pytest.raises(error, match=message):
        bp.find_rate(net, **({"x": x, "y": y} | arguments))
