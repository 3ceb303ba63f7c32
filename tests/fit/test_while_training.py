"""What may be done to a network, and to its data, while it is trained, and what may not."""

import array
import contextlib
import gc
import os
import signal
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from conftest import assert_same_bits, exit_code_of, make_data, make_network

import backprop as bp

HANGING = 60  # seconds after which something that should have happened never will


class Training:
    """A fit in a thread of its own, for as long as a test works on its data.

    After every epoch the engine lets go of the network; in between it reads x and y.
    """

    def __init__(self, net, x, y, **settings):
        self.stop, self.epochs, self.error = threading.Event(), 0, None
        self.thread = threading.Thread(target=self.run, args=(net, x, y), kwargs=settings, daemon=True)

    def run(self, net, x, y, **settings):
        try:
            net.fit(x, y, bp.SGD(1e-3), epochs=10**9, callbacks=[self.look], **settings)
        except BaseException as error:
            self.error = error

    def look(self, net, record):
        self.epochs += 1
        return self.stop.is_set()

    def wait(self, epochs=2):
        """Until so many more epochs are done."""
        wanted, deadline = self.epochs + epochs, time.monotonic() + HANGING
        while self.epochs < wanted and self.thread.is_alive():
            assert time.monotonic() < deadline, "it hangs"
            time.sleep(1e-3)

    def __enter__(self):
        self.thread.start()
        self.wait()
        return self

    def __exit__(self, *error):
        self.stop.set()
        self.thread.join(HANGING)
        assert not self.thread.is_alive(), "it hangs"
        if error[0] is None and self.error is not None:
            raise self.error


@pytest.fixture
def net():
    return make_network((6, 20, 3), "tanh", dtype="float32")


def fill(net, n=500):
    """x and y that own their memory, of float32."""
    return tuple(np.array(part, order="C") for part in make_data(net, n))


# The data.


def test_arrays_are_not_resized_while_they_are_trained_on(net):
    x, y = fill(net)
    shapes = x.shape, y.shape
    with Training(net, x, y, threads=1) as training:
        for part in (x, y):
            with pytest.raises(ValueError, match="resize"):
                part.resize((1, part.shape[1]))
        training.wait()
    assert (x.shape, y.shape) == shapes
    assert np.isfinite(net.parameters).all()


def test_a_buffer_is_not_resized_while_it_is_trained_on(net):
    x, y = fill(net)
    buffer, numbers = bytearray(x), array.array("f", y.ravel())
    training = Training(
        net,
        np.frombuffer(buffer, "float32").reshape(x.shape),
        np.frombuffer(numbers, "float32").reshape(y.shape),
        threads=1,
    )
    with training:
        with pytest.raises(BufferError):
            buffer.extend(b"more")
        with pytest.raises(BufferError):
            numbers.append(0.0)
        training.wait()
    gc.collect()
    del training
    buffer.extend(b"more")  # it is let go


def test_arrays_that_nobody_else_holds_live_until_training_ends(net):
    x, y = fill(net)
    gone = weakref.ref(x)
    training = Training(net, x, y, threads=2)
    del x, y
    with training:
        training.wait()
        assert gone() is not None
    del training
    gc.collect()
    assert gone() is None


def test_arrays_may_be_written_to_while_they_are_trained_on(net):
    """Which numbers a step reads is then open, but they are old ones or new ones."""
    x, y = fill(net)
    with Training(net, x, y, threads=2, batch_size=16) as training:
        for factor in (-1, -1, 0, 1):
            x *= factor
            y[...] = 1 - y
            training.wait(1)
    assert np.isfinite(net.parameters).all()


def test_labels_that_become_wrong_while_they_are_trained_on_crash_nothing():
    """Each call of the engine checks them first: one that is wrong afterwards is a target of zeros."""
    net = make_network((6, 20, 3), ("tanh", "softmax"), "cross_entropy", dtype="float32")
    x, _ = fill(net)
    labels = np.zeros(len(x), np.int64)
    for wrong in (-1, 3, 2**62, -(2**62)):
        labels[...] = 0
        training = Training(net, x, labels, threads=1)
        with contextlib.suppress(ValueError), training:
            labels[...] = wrong
            training.wait()
        assert "labels" in str(training.error)
    assert np.isfinite(net.parameters).all()


def test_parameters_written_by_another_thread_are_not_torn(net):
    """The engine trains on a copy: what is written meanwhile is overwritten as an epoch ends, or used."""
    x, y = fill(net)
    with Training(net, x, y, threads=1) as training:
        for value in (0.5, -0.5):
            net.parameters[...] = value
            training.wait(1)
    assert np.isfinite(net.parameters).all()
    assert not net.parameters.flags.owndata
    with pytest.raises(ValueError, match="resize"):
        net.parameters.resize(3)


# Callbacks.


class Stop(Exception):
    pass


def test_a_callback_that_raises_ends_training_with_a_whole_network(net, dtype):
    net = make_network((6, 20, 3), "tanh", dtype=dtype)
    x, y = make_data(net, 40)
    optimizer, seen = bp.SGD(0.1, momentum=0.5), []

    def callback(net, record):
        seen.append(net.parameters.copy())
        if len(seen) == 3:
            raise Stop

    held = [x, y, net, optimizer]
    before = [sys.getrefcount(thing) for thing in held]
    with pytest.raises(Stop):
        net.fit(x, y, optimizer, epochs=9, batch_size=10, callbacks=[callback])
    assert optimizer.steps == 12
    assert_same_bits(net.parameters, seen[-1])
    gc.collect()
    assert before == [sys.getrefcount(thing) for thing in held]
    net.fit(x, y, optimizer, batch_size=10)
    assert optimizer.steps == 16


def test_a_callback_may_use_the_network(net):
    """The numbers are those of the epoch that has ended."""
    x, y = fill(net, 40)
    twin = make_network((6, 20, 3), "tanh", dtype="float32")
    seen = []

    def look(net, record):
        seen.append((net(x), net.loss(x, y), net.gradient(x, y).parameters, net.trace(x[0]).layers[0].z))

    net.fit(x, y, bp.SGD(0.1), epochs=3, batch_size=10, shuffle=False, callbacks=[look])
    assert len(seen) == 3
    for outputs, loss, gradient, z in seen:
        twin.fit(x, y, bp.SGD(0.1), batch_size=10, shuffle=False)
        assert_same_bits(outputs, twin(x))
        assert loss == twin.loss(x, y)
        assert_same_bits(gradient, twin.gradient(x, y).parameters)
        assert_same_bits(z, twin.trace(x[0]).layers[0].z)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_callback_may_train_the_network(net, momentum):
    """A fit within a fit, and a step: the outer one goes on from where they have left it."""
    x, y = fill(net, 40)
    twin = make_network((6, 20, 3), "tanh", dtype="float32")
    settings = {"batch_size": 10, "shuffle": False}

    def train(net, optimizer):
        net.fit(x[:20], y[:20], optimizer, epochs=2, **settings)
        net.step(x, y, optimizer)

    optimizer = bp.SGD(0.1, momentum=momentum)
    net.fit(x, y, optimizer, epochs=2, callbacks=[lambda net, record: train(net, optimizer)], **settings)
    its = bp.SGD(0.1, momentum=momentum)
    for _ in range(2):
        twin.fit(x, y, its, **settings)
        train(twin, its)
    assert optimizer.steps == its.steps == 2 * (4 + 4 + 1)
    assert_same_bits(net.parameters, twin.parameters)


def test_a_nested_fit_that_fails_leaves_the_outer_one_whole(net):
    x, y = fill(net, 40)
    optimizer = bp.SGD(0.1)

    def train(net, record):
        net.fit(x, y + np.finfo(y.dtype).max, bp.SGD(0.1))

    with pytest.raises(bp.DivergenceError):
        net.fit(x, y, optimizer, epochs=5, batch_size=10, callbacks=[train])
    assert optimizer.steps == 4
    assert np.isfinite(net.parameters).all()
    net.fit(x, y, optimizer)


# What would wait for itself.


def test_an_activation_may_not_use_its_network():
    nets = []

    def g(z):
        if nets and nets[0] is not None:
            nets[0](np.zeros((1, 2)))
        return z

    net = bp.Network(bp.Layer(2, 2, bp.Activation(g, np.ones_like)), seed=0)
    nets.append(net)
    x, y = np.ones((3, 2)), np.ones((3, 2))
    before = net.parameters.copy()
    for call in (lambda: net(x), lambda: net.fit(x, y, bp.SGD(0.1)), lambda: net.step(x, y, bp.SGD(0.1))):
        with pytest.raises(RuntimeError, match="its own functions"):
            call()
        assert_same_bits(net.parameters, before)
    nets[0] = None
    assert np.isfinite(net(x)).all()


def test_an_iterable_may_not_use_the_network_that_trains_on_it(net):
    """Training waits for its batch, and it would wait for training. A copy of the network may be used."""
    x, _ = fill(net, 20)
    before, optimizer, result = net.parameters.copy(), bp.SGD(0.1), []

    def batches(teacher):
        yield x, teacher(x)
        yield x, teacher(x)

    def fit():
        try:
            net.fit(batches(net), None, optimizer)
        except RuntimeError as error:
            result.append(str(error))

    thread = threading.Thread(target=fit, daemon=True)
    thread.start()
    thread.join(HANGING)
    assert not thread.is_alive(), "each waits for the other"
    assert len(result) == 1
    assert "copy" in result[0]
    assert_same_bits(net.parameters, before)
    assert optimizer.steps == 0
    net.fit(batches(make_network((6, 20, 3), "tanh", dtype="float32")), None, optimizer)
    assert optimizer.steps == 2
    assert np.isfinite(net(x)).all()


# Fork.


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("threads", [1, 2])
def test_fork_while_another_thread_trains(net, threads):
    """The child has no training thread, but has a network that it holds: other networks work, and all of them
    in the parent go on. In the child that network itself is busy for ever, as any lock is that another thread
    holds at a fork; it can still be copied from its parameters."""
    x, y = fill(net)
    with Training(net, x, y, threads=threads, batch_size=16) as training:
        child = os.fork()
        if child == 0:
            other = make_network((6, 20, 3), "tanh", dtype="float32")
            other.parameters[...] = net.parameters
            other.fit(x, y, bp.SGD(1e-3), threads=threads, batch_size=16)
            os._exit(0 if np.isfinite(other.parameters).all() else 17)
        training.wait()
        exit_code = exit_code_of(child, HANGING)
        training.wait()
    assert exit_code == 0
    assert np.isfinite(net.parameters).all()


@pytest.mark.parametrize("kind", [bp.SGD, bp.Adam])
def test_an_interrupt_of_the_smallest_networks_leaves_whole_steps(kind):
    """The weights are those after so many steps as the optimizer counts, in the middle of an epoch too."""
    samples = 6400
    x, y = np.random.default_rng(0).random((2, samples, 1), "f4")
    net, optimizer = bp.Network.dense(1, 3, 1, seed=0), kind(0.01)
    timer = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        net.fit(x, y, optimizer, epochs=1_000_000, batch_size=1, shuffle=False)
    timer.join()
    same, again = bp.Network.dense(1, 3, 1, seed=0), kind(0.01)
    epochs, rest = divmod(optimizer.steps, samples)
    if epochs:
        same.fit(x, y, again, epochs=epochs, batch_size=1, shuffle=False)
    if rest:
        same.fit(x[:rest], y[:rest], again, epochs=1, batch_size=1, shuffle=False)
    assert again.steps == optimizer.steps > 0
    assert net.parameters.tobytes() == same.parameters.tobytes()
    assert [state.tobytes() for state in optimizer.state] == [state.tobytes() for state in again.state]
