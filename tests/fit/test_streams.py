"""Data that do not lie in memory: iterables of batches, and memory maps read in blocks."""

import _thread
import gc
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from functools import partial

import numpy as np
import pytest
from conftest import assert_same_bits, make_data, make_network

import backprop as bp
from backprop.fit import reader, streams

SMALL_NETWORK = ((3, 4, 2), ("tanh", "sigmoid"))


def batches_of(x, y, *rest, size=7):
    return [tuple(a[i : i + size] for a in (x, y, *rest)) for i in range(0, len(x), size)]


@pytest.mark.parametrize(
    "optimizer", [lambda: bp.SGD(0.5), lambda: bp.Adam(bp.schedules.Cosine(0.02, 12)), lambda: bp.SGD(1, 0.5)]
)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_an_iterable_trains_as_the_array_does(optimizer, threads, weighted, rng):
    one, other = make_network(*SMALL_NETWORK), make_network(*SMALL_NETWORK)
    x, y = make_data(one, 33)
    weight = rng.uniform(0.1, 2, 33) if weighted else None
    kept, given = optimizer(), optimizer()
    settings = {"epochs": 3, "threads": threads, "validation": (x[:5], y[:5])}
    expected = one.fit(x, y, kept, batch_size=7, shuffle=False, sample_weight=weight, **settings)
    data = batches_of(x, y, weight) if weighted else batches_of(x, y)
    history = other.fit(data, None, given, **settings)
    assert_same_bits(other.parameters, one.parameters)
    assert given.steps == kept.steps == 15
    for key in ("loss", "accuracy", "lr", "validation_loss", "validation_accuracy"):
        assert history[key] == expected[key]


def test_a_function_is_asked_for_every_epoch():
    net, asked = make_network(*SMALL_NETWORK), []
    x, y = make_data(net, 20)

    def epoch():
        asked.append(threading.get_ident())
        yield from batches_of(x, y)

    net.fit(epoch, None, bp.SGD(0.1), epochs=3)
    assert len(asked) == 3
    assert threading.get_ident() not in asked


def test_batches_may_grow_and_shrink():
    one, other = make_network(*SMALL_NETWORK), make_network(*SMALL_NETWORK)
    x, y = make_data(one, 300)
    edges = [0, 1, 4, 200, 201, 300]
    data = [(x[a:b], y[a:b]) for a, b in itertools.pairwise(edges)]
    one.fit(data, None, bp.Adam(0.01), threads=2)
    optimizer = bp.Adam(0.01)
    for batch in data:
        other.step(*batch, optimizer)
    assert_same_bits(one.parameters, other.parameters)


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        (3, TypeError, "iterable of (x, y) batches"),
        (iter([]), ValueError, "gone through once"),
        ([], ValueError, "no batch"),
        ([np.ones((2, 3))], TypeError, "a batch must be (x, y)"),
        ([(np.ones((2, 4)), np.ones((2, 2)))], ValueError, "x of a batch must have shape (n, 3)"),
        ([(np.ones((2, 3)), np.ones((3, 2)))], ValueError, "y of a batch must have shape (2, 2)"),
        ([(np.ones((2, 3)), [0, 5])], ValueError, "one is 5"),
        ([(np.ones((2, 3)), [0, 1], [1, -1])], ValueError, "not negative"),
        ([(np.ones((2, 3)), [0, 1], [1])], ValueError, "must have shape (2,)"),
        (lambda: 3, TypeError, "must return an iterable"),
    ],
)
def test_bad_sources(source, error, says):
    net, optimizer = make_network(*SMALL_NETWORK), bp.Adam()
    before = net.parameters.copy()
    with pytest.raises(error) as caught:
        net.fit(source, None, optimizer, epochs=2)
    assert says in str(caught.value)
    assert_same_bits(net.parameters, before)
    assert optimizer.steps == 0


def test_options_that_need_arrays():
    net = make_network(*SMALL_NETWORK)
    x, y = make_data(net, 20)
    for option in ({"sample_weight": [1] * 20}, {"class_weight": "balanced"}, {"target_mask": y > 0}):
        with pytest.raises(ValueError, match="are for arrays"):
            net.fit(batches_of(x, y), None, bp.SGD(0.1), **option)
    with pytest.raises(ValueError, match="got a share"):
        net.fit(batches_of(x, y), None, bp.SGD(0.1), validation=0.1)
    with pytest.raises(ValueError, match="did you mean 'blocks'"):
        net.fit(x, y, bp.SGD(0.1), shuffle="block")
    with pytest.raises(ValueError, match="target_mask"):
        net.fit(x, y, bp.SGD(0.1), shuffle="blocks", target_mask=y > 0)


def test_an_error_in_the_source_keeps_the_last_epoch():
    net, other = make_network(*SMALL_NETWORK), make_network(*SMALL_NETWORK)
    x, y = make_data(net, 20)
    epochs = iter([0, 1])

    def source():
        broken = next(epochs) == 1
        for i, batch in enumerate(batches_of(x, y)):
            if broken and i == 2:
                raise OSError("the disk is gone")
            yield batch

    optimizer = bp.Adam()
    with pytest.raises(OSError, match="the disk is gone"):
        net.fit(source, None, optimizer, epochs=5)
    other.fit(batches_of(x, y), None, bp.Adam())
    assert_same_bits(net.parameters, other.parameters)
    assert optimizer.steps == 3


def test_divergence_in_a_stream():
    net = make_network(*SMALL_NETWORK)
    x, y = make_data(net, 20)
    data = batches_of(x, y)
    data[1][1][0, 0] = np.finfo(y.dtype).max
    before = net.parameters.copy()
    with pytest.raises(bp.DivergenceError) as caught:
        net.fit(data, None, bp.SGD(0.1))
    assert (caught.value.epoch, caught.value.layer) == (1, 3)
    assert_same_bits(net.parameters, before)


def test_an_endless_source_can_be_stopped_early():
    """The reader does not outlive the training by more than a batch."""
    net, threads = make_network(*SMALL_NETWORK), _thread._count()
    x, y = make_data(net, 20)
    given = 0

    def endless():
        nonlocal given
        while True:
            given += 1
            yield (x, y) if given < 20 else (x, y * 1e200)

    with pytest.raises(bp.DivergenceError):
        net.fit(endless, None, bp.SGD(0.1))
    assert given <= 20 + reader.READ_AHEAD + 1
    assert _thread._count() == threads


@pytest.mark.parametrize("own", [False, True], ids=["the network's", "rng"])
def test_a_source_may_draw_from_the_generator_of_fit(own):
    """The engine draws dropout meanwhile, and holds a lock: of another generator."""

    def train():
        layers = bp.Layer(3, 4, "tanh", dropout=0.5), bp.Layer(4, 2, "sigmoid")
        net = bp.Network(*layers, seed=1)
        rng = np.random.default_rng(2) if own else net.rng
        drawn = []

        def source():
            for _ in range(5):
                drawn.append(rng.normal(size=(4, 3)))
                yield drawn[-1], [0, 1, 0, 1]

        net.fit(source, None, bp.SGD(0.1), epochs=3, rng=rng if own else None)
        return net.parameters.tobytes(), np.array(drawn)

    thread_of_test = threading.Thread(target=lambda: results.append(train()), daemon=True)
    results = []
    thread_of_test.start()
    thread_of_test.join(60)
    assert results, "fit waits for ever"
    (bits, drawn), (again, _) = results[0], train()
    assert bits == again
    assert len(np.unique(drawn)) == drawn.size


def interrupted_at(line, act):
    """Whether act was ended by a KeyboardInterrupt at its n-th line where a reader starts, waits and ends."""
    count = itertools.count()

    def trace(frame, event, argument):
        if not frame.f_code.co_filename.endswith(("engine.py", "reader.py", "/threading.py", "/queue.py")):
            return None
        if event == "line" and next(count) == line:
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def assert_nothing_is_left(threads, data, where):
    """No more threads than there were, so no reader that reads, and no data: a weak reference to them."""
    until = time.monotonic() + 10
    while _thread._count() > threads:
        assert time.monotonic() < until, where
        time.sleep(0.005)
    gc.collect()
    assert data() is None, where


def test_ctrl_c_leaves_no_reader_and_no_data():
    """Wherever it comes: while a stream starts, while it is read, and while it ends."""
    for line in itertools.count():
        net, threads = make_network(*SMALL_NETWORK), _thread._count()
        x, y = make_data(net, 20)
        data = weakref.ref(x)
        act = partial(net.fit, [(x, y)], None, bp.SGD(0.1))
        interrupted = interrupted_at(line, act)
        del act, x, y
        assert_nothing_is_left(threads, data, f"line {line}")
        if not interrupted:
            break
    assert line > 50


def test_ctrl_c_while_the_reader_starts(monkeypatch):
    start = _thread.start_new_thread

    def started_and_interrupted(*arguments):
        start(*arguments)
        raise KeyboardInterrupt

    net, threads = make_network(*SMALL_NETWORK), _thread._count()
    x, y = make_data(net, 20)
    data = weakref.ref(x)
    with monkeypatch.context() as patch:
        patch.setattr(_thread, "start_new_thread", started_and_interrupted)
        with pytest.raises(KeyboardInterrupt):
            net.fit([(x, y)], None, bp.SGD(0.1))
    del x, y
    assert_nothing_is_left(threads, data, "start")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("where", ["a batch", "a rate"])
def test_ctrl_c_keeps_whole_steps_of_a_stream(where, threads):
    """Of this epoch too: as many as the optimizer counts."""
    net, other = make_network((3, 40, 2), "tanh"), make_network((3, 40, 2), "tanh")
    x, y = make_data(net, 140)
    data = batches_of(x, y)
    over = threading.Event()

    def source():
        yield from data[:12]
        time.sleep(0.2)  # for the engine to wait
        os.kill(os.getpid(), signal.SIGINT)
        over.wait(10)
        yield from data[12:]

    def rate(step):
        if where == "a rate" and step == 10:
            raise KeyboardInterrupt
        return 0.1

    optimizer = bp.SGD(rate, momentum=0.9)
    net_source = source if where == "a batch" else data
    with pytest.raises(KeyboardInterrupt):
        net.fit(net_source, None, optimizer, epochs=2, threads=threads)
    over.set()
    assert 5 <= optimizer.steps <= 12
    twin = bp.SGD(0.1, momentum=0.9)
    other.fit(data[: optimizer.steps], None, twin)
    assert_same_bits(net.parameters, other.parameters)
    assert_same_bits(optimizer.state[0], twin.state[0])


def mapped(path, array):
    np.save(path, array)
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize("batch_size", [1, 10])
def test_a_memory_map_in_order_trains_as_the_array_does(tmp_path, monkeypatch, batch_size):
    monkeypatch.setattr(streams, "WINDOW_BYTES", 3 * 8 * 37)
    one, other = make_network(*SMALL_NETWORK), make_network(*SMALL_NETWORK)
    x, y = make_data(one, 203)
    a, b = bp.SGD(0.1), bp.SGD(bp.schedules.Step(0.1, 10**6))
    one.fit(x, y, a, epochs=2, batch_size=batch_size, shuffle=False)
    other.fit(mapped(tmp_path / "x.npy", x), y, b, epochs=2, batch_size=batch_size, shuffle=False)
    assert_same_bits(other.parameters, one.parameters)


@pytest.mark.parametrize("widths", [(3, 4, 2), (3, 40, 2)], ids=["chain", "online"])
def test_every_step_of_a_window_has_its_rate(tmp_path, widths):
    """A window of more steps than are loaded together, and than any rates that are asked for ahead."""
    one, other = make_network(widths, "tanh"), make_network(widths, "tanh")
    x, y = make_data(one, 5003)
    a, b = (bp.SGD(bp.schedules.Exponential(0.1, 0.9995)) for _ in range(2))
    one.fit(x, y, a, batch_size=1, shuffle=False)
    other.fit(mapped(tmp_path / "x.npy", x), y, b, batch_size=1, shuffle=False)
    assert_same_bits(other.parameters, one.parameters)


def windows_of(n, seed, block_rows, window_blocks, monkeypatch, batch_size=1):
    x = np.arange(n, dtype=np.float64)[:, None]
    monkeypatch.setattr(streams, "BLOCK_BYTES", 8 * block_rows)
    monkeypatch.setattr(streams, "WINDOW_BYTES", 8 * block_rows * window_blocks)
    blocks = streams.Blocks(x, 2 * x, x[:, 0] + 1, batch_size=batch_size, outputs=1, mix=True)
    return list(blocks.epoch(np.random.default_rng(seed)))


def test_blocks_are_mixed_and_every_sample_comes_once(monkeypatch):
    windows = windows_of(1003, 0, 10, 7, monkeypatch, batch_size=8)
    order = np.concatenate([x[:, 0] for x, _, _ in windows])
    assert sorted(order) == list(range(1003))
    assert {len(x) % 8 for x, _, _ in windows[:-1]} == {0}
    for x, y, weights in windows:
        assert (y == 2 * x).all()
        assert (weights == x[:, 0] + 1).all()
        assert len(np.unique(x // 10)) >= len(x) / 10  # from many places of the file
    consecutive = np.diff(order) == 1
    assert 0.85 < consecutive.mean() < 0.95  # blocks, not single rows
    again = windows_of(1003, 0, 10, 7, monkeypatch, batch_size=8)
    other = windows_of(1003, 1, 10, 7, monkeypatch, batch_size=8)
    assert (np.concatenate([x for x, _, _ in again])[:, 0] == order).all()
    assert (np.concatenate([x for x, _, _ in other])[:, 0] != order).any()


@pytest.mark.parametrize("threads", [1, 2])
def test_training_in_blocks_is_deterministic_and_learns(tmp_path, threads):
    x, y, xt, yt = bp.datasets.load_digits()
    order = np.argsort(y, kind="stable")  # the worst order: one digit after the other
    x, y = mapped(tmp_path / "x.npy", x[order]), mapped(tmp_path / "y.npy", y[order])
    nets = [bp.Network.dense(64, 30, 10, seed=0) for _ in range(2)]
    for net in nets:
        net.fit(x, y, bp.SGD(1.0), epochs=15, batch_size=10, shuffle="blocks", threads=threads)
    assert_same_bits(nets[0].parameters, nets[1].parameters)
    assert nets[0].accuracy(xt, yt) > 0.95


def test_blocks_refuse_bad_labels_before_anything_changes():
    net = make_network(*SMALL_NETWORK)
    before, state = net.parameters.copy(), net.rng.bit_generator.state
    with pytest.raises(ValueError, match="labels in y must be 0 to 1"):
        net.fit(np.ones((50, 3)), [0] * 49 + [2], bp.SGD(0.1), shuffle="blocks")
    with pytest.raises(TypeError, match="float64"):
        net.fit(np.ones((50, 3)), [0.5] * 50, bp.SGD(0.1), shuffle="blocks")
    with pytest.raises(ValueError, match="one entry a sample"):
        net.fit(np.ones((50, 3)), [0] * 49, bp.SGD(0.1), shuffle="blocks")
    assert_same_bits(net.parameters, before)
    assert net.rng.bit_generator.state == state


def test_changes_of_a_private_map_are_not_forgotten(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((5000, 10)))
    private = np.load(path, mmap_mode="c")
    private[:] = 1
    streams.forget(private)
    assert private.min() == 1
    shared = np.load(path, mmap_mode="r+")
    shared[:] = 2
    streams.forget(shared[7:])
    assert shared.min() == 2
    assert streams.is_mapped(shared.T)
    assert not streams.is_mapped(np.zeros(3))


BOUNDED = """
    import resource, sys
    import numpy as np
    import backprop as bp

    x = np.lib.format.open_memmap(sys.argv[1], "w+", np.uint8, (1_000_000, 784))  # 784 MB, a hole in the file
    y = np.zeros(len(x), np.uint8)
    net = bp.Network.dense(784, 4, 10, seed=0)
    net.fit(x[:200], y[:200], bp.SGD(0.1), shuffle="blocks")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    shuffle = {"blocks": "blocks", "none": False}[sys.argv[2]]
    net.fit(x, y, bp.SGD(0.1), batch_size=1000, shuffle=shuffle)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in KiB on Linux")
@pytest.mark.parametrize("shuffle", ["blocks", "none"])
def test_memory_is_bounded_whatever_the_size(tmp_path, shuffle):
    """Six windows: trained on, waiting (2), just read, being read, and its pages of the file."""
    command = [sys.executable, "-c", textwrap.dedent(BOUNDED), str(tmp_path / "x.npy"), shuffle]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 < 7 * streams.WINDOW_BYTES
