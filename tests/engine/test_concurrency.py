"""Python threads, Ctrl-C and fork. Nothing here measures a time: limits are for what hangs."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from conftest import ROOT, assert_same_bits, exit_code_of, make_data, make_network

import backprop as bp

HANGING = 60  # seconds after which something that should have happened never will


def train(seed, threads=1, epochs=20):
    net = bp.Network.dense(20, 30, 5, seed=seed)
    x, y = make_data(net, 200, seed=seed)
    net.fit(x, y, bp.SGD(0.2, momentum=0.5), epochs=epochs, batch_size=10, threads=threads)
    return net.parameters


def run_in_threads(*functions):
    """Runs functions side by side, each in a thread; returns their results, raises their errors."""
    results, errors = [None] * len(functions), []

    def run(index, function):
        try:
            results[index] = function()
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(functions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANGING)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]
    return results


# Ctrl-C.


@pytest.fixture
def interrupt_soon():
    """Sends this process SIGINT a moment after it is called, as Ctrl-C does."""
    timers = []

    def start(seconds=0.2):
        timers.append(threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)))
        timers[-1].start()

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield start
    for timer in timers:
        timer.cancel()
        timer.join()
    signal.signal(signal.SIGINT, previous)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_ctrl_c_leaves_a_usable_network(interrupt_soon, dtype, threads, momentum):
    net = bp.Network.dense(20, 30, 5, dtype=dtype, seed=1)
    x, y = make_data(net, 200)
    before, optimizer = net.parameters.copy(), bp.SGD(1e-3, momentum)
    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        net.fit(x, y, optimizer, epochs=10**9, threads=threads)
    assert np.isfinite(net.parameters).all()
    assert (net.parameters != before).any()
    assert optimizer.steps > 0
    assert np.isfinite(net.loss(x, y))
    steps = optimizer.steps
    net.fit(x, y, optimizer, batch_size=50)
    assert optimizer.steps == steps + 4


def test_ctrl_c_at_random_moments_leaves_whole_steps():
    """tests/long/interrupts.py, which `make interrupts` runs for longer: the bits after as many steps."""
    command = [sys.executable, ROOT / "tests/long/interrupts.py", "--count", "10"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=5 * HANGING, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ctrl_c_in_the_middle_of_an_endless_epoch(interrupt_soon):
    """One epoch of this takes hours: the engine must look for signals between steps."""
    net = bp.Network.dense(4, 3, 2, dtype="float64", seed=1)
    x = np.broadcast_to(np.ones(4), (10**9, 4))
    y = np.broadcast_to(np.ones(2), (10**9, 2))
    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        net.fit(x, y, bp.SGD(1e-6), batch_size=1, shuffle=False)
    assert np.isfinite(net.parameters).all()


LONG_VALIDATION = """
    import os, signal, threading
    import numpy as np
    import backprop as bp

    net = bp.Network.dense(4, 3, 2, seed=1)
    x, y = np.ones((10, 4)), np.ones((10, 2))
    held_out = np.broadcast_to(x[0], (10**10, 4)), np.broadcast_to(y[0], (10**10, 2))
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        net.fit(x, y, bp.SGD(0.1), epochs=1000, validation=held_out)
    except KeyboardInterrupt:
        assert np.isfinite(net.parameters).all()
        print("interrupted")
"""


def test_ctrl_c_during_a_long_validation():
    """Validating on these takes minutes; run apart, as nothing but a kill would end it."""
    command = [sys.executable, "-c", textwrap.dedent(LONG_VALIDATION)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=HANGING / 2, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.fail("Ctrl-C is not heeded")
    assert done.stdout == "interrupted\n", done.stderr


def test_a_signal_handler_may_not_use_the_network_in_training(dtype):
    """It would wait for ever for the training that it interrupts: an error ends both."""
    net = bp.Network.dense(20, 30, 5, dtype=dtype, seed=1)
    x, y = make_data(net, 200)
    previous = signal.signal(signal.SIGALRM, lambda number, frame: net(x))
    try:
        # again and again: between two calls of the engine the network may be used
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.003)
        with pytest.raises(RuntimeError, match="signal"):
            net.fit(x, y, bp.SGD(1e-3), epochs=10**9)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert np.isfinite(net(x)).all()


def test_a_signal_handler_that_does_not_raise_lets_training_go_on(dtype):
    """SIGALRM interrupts fit several times; the result is as if it never came."""
    calls = []
    expected = train(7, epochs=400)
    previous = signal.signal(signal.SIGALRM, lambda number, frame: calls.append(number))
    try:
        while not calls:
            signal.setitimer(signal.ITIMER_REAL, 1e-3, 5e-3)
            actual = train(7, epochs=400)
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert_same_bits(actual, expected)


# The GIL.


def test_other_python_threads_go_on_during_fit():
    """One epoch is one call of the engine: with the GIL held, nobody would count during it."""
    net = bp.Network.dense(64, 64, 10, seed=0)
    x, y = np.broadcast_to(np.float32(0.5), (1, 64)), np.broadcast_to(np.float32(0.1), (1, 10))
    counted, stop = [], threading.Event()

    def count():
        while not stop.is_set():
            counted.append(time.perf_counter())
            time.sleep(1e-4)

    counter = threading.Thread(target=count)
    interval = sys.getswitchinterval()
    counter.start()
    try:
        n = 20_000
        while True:
            start = time.perf_counter()
            net.fit(
                np.broadcast_to(x, (n, 64)), np.broadcast_to(y, (n, 10)), bp.SGD(1e-6),
                batch_size=32, shuffle=False, threads=1,
            )  # fmt: skip
            end = time.perf_counter()
            # Only what is counted well inside the call counts: the first and last switch of
            # threads may be late by some intervals.
            if end - start > 40 * interval:
                break
            n *= 2
    finally:
        stop.set()
        counter.join()
    inside = [t for t in counted if start + 10 * interval < t < end - 10 * interval]
    assert len(inside) >= 3


def test_two_networks_in_two_threads_give_the_same_bits_as_one_after_the_other():
    one, other = train(1), train(2)
    for threads in (1, 2):
        together = run_in_threads(lambda t=threads: train(1, t), lambda t=threads: train(2, t))
        assert_same_bits(together[0], one)
        assert_same_bits(together[1], other)
    assert one.tobytes() != other.tobytes()


# Two threads on one network.


def test_two_threads_may_use_one_network(dtype):
    """Reading while it is trained: every call sees finite numbers, and training is undisturbed."""
    x, y = make_data(make_network((20, 30, 5), "sigmoid"), 300)
    nets = [make_network((20, 30, 5), "sigmoid", dtype=dtype) for _ in range(2)]
    done = threading.Event()

    def fit():
        try:
            for _ in range(10):
                nets[0].fit(x, y, bp.SGD(0.05), epochs=5, batch_size=10)
        finally:
            done.set()

    def look():
        looks = 0
        while not done.is_set() or not looks:
            assert np.isfinite(nets[0](x)).all()
            assert np.isfinite(nets[0].loss(x, y))
            assert np.isfinite(nets[0].gradient(x, y).parameters).all()
            assert np.isfinite(nets[0].trace(x[0], y[0]).layers[0].z).all()
            looks += 1

    run_in_threads(fit, look, look)
    for _ in range(10):
        nets[1].fit(x, y, bp.SGD(0.05), epochs=5, batch_size=10)
    assert_same_bits(nets[0].parameters, nets[1].parameters)


def test_two_threads_may_train_one_network():
    """In what order is open, but every step is done, whole, and once."""
    n = 8
    net = bp.Network(bp.Layer(n, 1, "identity", bias=False, init="zeros"), dtype="float64")
    x, y = np.eye(n), np.arange(1.0, n + 1)
    optimizers = [bp.SGD(0.25), bp.SGD(0.25)]

    def work(optimizer):
        net.fit(x, y, optimizer, epochs=10, batch_size=1)
        for k in range(n):
            net.step(x[k], y[k : k + 1], optimizer)

    run_in_threads(*(lambda o=optimizer: work(o) for optimizer in optimizers))
    # Each visit halves the way to y: after 22 of them (1 - 2^-22) y, exactly.
    assert_same_bits(net.layers[0].weights[0], y * (1 - 2.0**-22))
    assert [optimizer.steps for optimizer in optimizers] == [88, 88]


def test_steps_with_dropout_beside_a_training_do_not_wait_for_ever():
    """Both need the network and its random generator: they must take them in one order."""
    net = bp.Network(bp.Layer(4, 8, "tanh", dropout=0.3), bp.Layer(8, 2, "tanh"), seed=0)
    x, y = make_data(net, 50)
    optimizer = bp.SGD(1e-3)

    def fit():
        for _ in range(1000):
            net.fit(x, y, optimizer, batch_size=10)

    def step():
        for _ in range(10_000):
            net.step(x, y, optimizer)

    run_in_threads(fit, step)


def test_one_plain_optimizer_may_serve_two_networks_at_once():
    optimizer = bp.SGD(0.1)
    nets = [bp.Network.dense(3, 4, 2, seed=seed) for seed in (0, 1)]
    x, y = make_data(nets[0], 40)

    def work(net):
        for _ in range(50):
            net.fit(x, y, optimizer, batch_size=10)

    run_in_threads(*(lambda net=net: work(net) for net in nets))
    assert all(np.isfinite(net.parameters).all() for net in nets)
    for net in nets:
        twin = bp.Network.dense(3, 4, 2, seed=nets.index(net))
        for _ in range(50):
            twin.fit(x, y, bp.SGD(0.1), batch_size=10)
        assert_same_bits(net.parameters, twin.parameters)


# Fork.


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_threads_work_in_a_child_after_fork():
    """Having trained with threads, the parent forks; the child trains with threads too."""
    expected = train(3, threads=3).tobytes()
    child = os.fork()
    if child == 0:
        os._exit(0 if train(3, threads=3).tobytes() == expected else 17)
    assert exit_code_of(child, HANGING) == 0
    assert train(3, threads=3).tobytes() == expected
