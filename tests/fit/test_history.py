"""History: lists by name, a table, a dict, a plot; and the callbacks that see the same figures."""

import copy
import gc
import json
import math
import pickle
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from conftest import make_data, make_network

import backprop as bp
from backprop._columns import add_later
from backprop.callbacks import EarlyStopping


def train(epochs=4, validation=True, **options):
    net = make_network((3, 4, 2), ("tanh", "sigmoid"))
    x, y = make_data(net, 20)
    options.setdefault("batch_size", 6)
    history = net.fit(
        x, y, bp.SGD(0.1), epochs=epochs, validation=(x[:5], y[:5]) if validation else None, **options
    )
    return net, x, y, history


def test_one_entry_per_epoch():
    history = train(epochs=4)[3]
    assert list(history) == [
        "loss",
        "accuracy",
        "validation_loss",
        "validation_accuracy",
        "lr",
        "seconds",
    ]
    assert history.epochs == 4
    for values in history.values():
        assert isinstance(values, list)
        assert len(values) == 4
        assert all(type(value) is float and math.isfinite(value) for value in values)
    assert history["lr"] == [0.1] * 4
    assert min(history["seconds"]) >= 0


@pytest.mark.parametrize("epochs", [1, 2, 17, 40, 1000])
def test_the_shortest_epochs_are_timed_together(epochs):
    """Every epoch has its seconds, whatever epoch they were taken after, and together they are the call's."""
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "f4"), np.array([[0], [1], [1], [0]], "f4")
    net = bp.Network.dense(2, 3, 1, seed=0)
    before = time.perf_counter()
    seconds = net.fit(x, y, bp.SGD(1.0), epochs=epochs, batch_size=1, threads=1)["seconds"]
    assert len(seconds) == epochs
    assert all(each > 0 for each in seconds)
    assert sum(seconds) <= time.perf_counter() - before


def test_without_validation_there_is_none():
    history = train(validation=False)[3]
    assert list(history) == ["loss", "accuracy", "lr", "seconds"]
    with pytest.raises(KeyError, match=r"validation_loss"):
        history["validation_loss"]


def test_a_misspelt_name_is_answered():
    history = train(epochs=1)[3]
    with pytest.raises(KeyError, match="did you mean 'validation_loss'"):
        history["validaton_loss"]
    assert "loss" in history
    assert "losses" not in history
    assert history.get("losses") is None


def test_validation_is_measured_after_the_epoch():
    net, x, y, history = train(epochs=3)
    assert history["validation_loss"][-1] == pytest.approx(net.loss(x[:5], y[:5]), rel=1e-12)
    assert history["validation_accuracy"][-1] == net.accuracy(x[:5], y[:5])


def test_loss_is_the_mean_over_samples_as_trained_on():
    net = make_network((3, 4, 2), ("tanh", "sigmoid"))
    x, y = make_data(net, 20)
    other = make_network((3, 4, 2), ("tanh", "sigmoid"))
    history = net.fit(x, y, bp.SGD(0.1), batch_size=6, shuffle=False)
    optimizer = bp.SGD(0.1)
    batches = [slice(0, 6), slice(6, 12), slice(12, 18), slice(18, 20)]
    total = sum(len(x[b]) * other.step(x[b], y[b], optimizer) for b in batches)
    assert history["loss"][0] == pytest.approx(total / 20, rel=1e-12)
    assert np.allclose(net.parameters, other.parameters, rtol=1e-12, atol=0)


@pytest.mark.parametrize("samples", [7, 150])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("kind", [bp.SGD, bp.Adam])
def test_loss_and_accuracy_of_one_sample_a_step(kind, outputs, samples):
    """Where hardly anything moves they are the network's own, whatever the order of the samples."""
    net = make_network((3, 4, outputs), ("tanh", "sigmoid"))
    x, y = make_data(net, samples)
    y = y > np.median(y, axis=0)
    history = net.fit(x, y, kind(1e-30), epochs=2, batch_size=1)
    assert 0 < net.accuracy(x, y) < 1
    assert history["accuracy"] == [net.accuracy(x, y)] * 2
    assert history["loss"] == pytest.approx([net.loss(x, y)] * 2, rel=1e-6)


def test_callbacks_change_no_bit():
    plain = train(epochs=5)
    watched = train(epochs=5, callbacks=[lambda net, record: None])
    assert plain[0].parameters.tobytes() == watched[0].parameters.tobytes()
    assert plain[3]["loss"] == watched[3]["loss"]


def test_a_progress_bar_changes_no_bit(capsys):
    plain = train(epochs=5, progress=False)
    assert capsys.readouterr().err == ""
    shown = train(epochs=5, progress=True)
    assert "5/5" in capsys.readouterr().err
    assert plain[0].parameters.tobytes() == shown[0].parameters.tobytes()


def test_nothing_is_shown_outside_a_terminal(capsys):
    train(epochs=2)
    assert capsys.readouterr() == ("", "")


def test_table():
    text = str(train(epochs=3)[3])
    lines = text.splitlines()
    assert lines[0].split() == (
        ["epoch", "loss", "accuracy", "validation", "loss", "validation", "accuracy", "lr", "seconds"]
    )
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "3"]
    assert len({len(line) for line in lines}) == 1


def test_a_long_table_leaves_out_the_middle():
    history = train(epochs=50)[3]
    numbers = [line.split()[0] for line in str(history).splitlines()[1:]]
    assert numbers == [*map(str, range(1, 11)), "…", *map(str, range(41, 51))]
    assert history._repr_html_().count("<tr>") == 1 + 21


def test_to_dict_is_plain_and_apart():
    history = train(epochs=2)[3]
    plain = history.to_dict()
    assert json.loads(json.dumps(plain)) == plain == dict(history)
    plain["loss"].append(0.0)
    assert history.epochs == 2


LOOKS = {
    "dict": dict,
    "stars": lambda history: {**history},
    "items": lambda history: dict(history.items()),
    "values": lambda history: dict(zip(history.keys(), history.values(), strict=True)),
    "get": lambda history: {key: history.get(key) for key in history},
    "[]": lambda history: {key: history[key] for key in ("loss", "lr")},
    "|": lambda history: history | {},
    "| of another": lambda history: {} | history,
    "update": lambda history: plain({}, history),
    "copy": lambda history: history.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda history: pickle.loads(pickle.dumps(history)),
    "json": lambda history: json.loads(json.dumps(history)),
    "pop": lambda history: {key: history.pop(key) for key in list(history)},
    "popitem": lambda history: dict(history.popitem() for _ in range(2)),
    "setdefault": lambda history: {key: history.setdefault(key, None) for key in history},
    "to_dict": lambda history: history.to_dict(),
}


def plain(to, history):
    to.update(history)
    return to


def unread(rows=3):
    """A history of two times so many epochs that nobody has looked at."""
    history = bp.History(["loss", "lr"])
    for first in (0, rows):
        losses = np.arange(first, first + rows, dtype=float)
        figures = {"loss": losses, "lr": np.broadcast_to(0.5, rows), "r2": losses}
        add_later(history, lambda figures=figures: figures)
    return history


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_whoever_looks_first_sees_all_epochs(look):
    """Figures become entries of the lists when the history is read, by whatever method that is."""
    expected = {"loss": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "lr": [0.5] * 6}
    seen = look(unread())
    assert seen == expected
    assert all(type(value) is float for values in seen.values() for value in values)


def test_changing_an_unread_history_changes_what_it_holds():
    history = unread()
    history["loss"] = [1.0]
    assert history == {"loss": [1.0], "lr": [0.5] * 6}
    history = unread()
    history |= {"lr": []}
    del history["loss"]
    assert history == {"lr": []}
    history = unread()
    history.clear()
    assert dict(history) == {}
    assert unread() == unread()
    assert unread() != unread(2)
    assert unread().epochs == 6
    assert len(str(unread()).splitlines()) == 7


def test_what_is_added_while_another_thread_looks_is_not_lost():
    history, done, interval = bp.History(["loss"]), threading.Event(), sys.getswitchinterval()
    figures = {"loss": np.ones(1)}

    def look():
        while not done.is_set():
            history["loss"]

    thread = threading.Thread(target=look)
    sys.setswitchinterval(1e-6)
    try:
        thread.start()
        for _ in range(20000):
            add_later(history, lambda: figures)
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert len(history["loss"]) == 20000


def test_several_threads_may_look_first():
    """Who comes second waits for all entries, and adds none."""
    history, start = bp.History(["loss"]), threading.Barrier(4)
    seen = []

    def figures():
        time.sleep(0.01)
        return {"loss": np.arange(3.0)}

    def look():
        start.wait()
        seen.append(list(history["loss"]))

    add_later(history, figures)
    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == 4 * [[0.0, 1.0, 2.0]]


@pytest.mark.parametrize("members", [0, 3])
def test_an_unread_history_keeps_no_samples(members):
    x, y = np.zeros((8, 2), "f4"), np.zeros((8, 1), "f4")
    net = bp.Population.dense(2, 3, 1, members=members) if members else bp.Network.dense(2, 3, 1)
    history = net.fit(x, y, bp.SGD(0.1), epochs=3)
    gone = [weakref.ref(x), weakref.ref(y), weakref.ref(net)]
    del x, y, net
    gc.collect()
    assert [ref() is None for ref in gone] == [True, True, True]
    assert len(history["loss"]) == 3


def test_plot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    history = train(epochs=3)[3]
    ax = history.plot()
    assert [line.get_label() for line in ax.lines] == ["loss", "validation loss"]
    assert ax.lines[0].get_xdata().tolist() == [1, 2, 3]
    assert ax.lines[0].get_ydata().tolist() == history["loss"]
    assert history.plot("accuracy", ax=ax) is ax
    assert len(ax.lines) == 3
    with pytest.raises(KeyError, match="did you mean 'accuracy'"):
        history.plot("acuracy", ax=ax)


def test_plotting_without_matplotlib_names_the_extra(monkeypatch):
    history = train(epochs=1)[3]
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"cbackprop\[plot\]"):
        history.plot()


def test_callbacks_see_each_epoch():
    seen = []

    class Watcher:
        def start(self, network, quantities):
            seen.append(tuple(quantities))

        def __call__(self, network, record):
            seen.append((record, network.parameters.copy()))

        def finish(self, network):
            seen.append("end")

    net, _, _, history = train(epochs=3, callbacks=[Watcher()])
    assert seen[0] == tuple(history)
    assert seen[-1] == "end"
    records = [entry[0] for entry in seen[1:-1]]
    assert [record["epoch"] for record in records] == [1, 2, 3]
    assert [record["loss"] for record in records] == history["loss"]
    assert np.array_equal(seen[-2][1], net.parameters)
    assert not np.array_equal(seen[1][1], net.parameters)


def test_a_callback_stops_training_and_changes_the_rate():
    optimizer = bp.SGD(0.5)

    def halve(network, record):
        optimizer.lr /= 2
        return record["epoch"] == 3

    net = make_network((3, 4, 2), "sigmoid")
    x, y = make_data(net, 20)
    history = net.fit(x, y, optimizer, epochs=10, callbacks=[halve])
    assert history["lr"] == [0.5, 0.25, 0.125]


def test_early_stopping_restores_the_best_epoch():
    parameters = {}
    values = iter([3.0, 2.0, 1.0, 1.5, 1.0, 2.0, 0.5])
    stopping = EarlyStopping("loss", patience=3)

    def remember(network, record):
        parameters[record["epoch"]] = network.parameters.copy()

    def staged(network, record):
        return stopping(network, record | {"loss": next(values)})

    staged.start, staged.finish = stopping.start, stopping.finish
    net, *_, history = train(epochs=20, callbacks=[remember, staged])
    assert history.epochs == 6
    assert stopping.best_epoch == 3
    assert stopping.best == 1.0
    assert np.array_equal(net.parameters, parameters[3])


def test_early_stopping_restores_the_best_when_epochs_run_out():
    stopping = EarlyStopping(patience=100)
    net = make_network((3, 8, 2), ("tanh", "sigmoid"))
    x, y = make_data(net, 12)
    # A rate this high makes the validation loss go up and down.
    history = net.fit(x, y, bp.SGD(20.0), epochs=15, validation=(x[:4], y[:4]), callbacks=[stopping])
    assert history.epochs == 15
    best = min(history["validation_loss"])
    assert stopping.best == best
    assert net.loss(x[:4], y[:4]) == pytest.approx(best, rel=1e-12)


def test_early_stopping_says_what_is_not_measured():
    net = make_network((3, 4, 2), "sigmoid")
    x, y = make_data(net, 20)
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=r"validation_loss.*validation="):
        net.fit(x, y, bp.SGD(0.1), callbacks=[EarlyStopping()])
    assert np.array_equal(net.parameters, before)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"monitor": "val_loss"}, ValueError),
        ({"patience": 0}, ValueError),
        ({"patience": 1.5}, TypeError),
        ({"min_delta": -1.0}, ValueError),
        ({"min_delta": float("nan")}, ValueError),
    ],
)
def test_early_stopping_refuses_settings_without_sense(options, error):
    with pytest.raises(error):
        EarlyStopping(**options)
