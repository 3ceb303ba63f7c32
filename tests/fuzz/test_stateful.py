"""Any order of calls on networks, optimizers, streams and files, from two threads, with signals.

hypothesis draws the calls; BACKPROP_STEPS and BACKPROP_EXAMPLES set how many. ``make fuzz-stateful`` draws
thousands.
"""

import copy
import os
import pickle
import signal
import tempfile
import threading
from itertools import zip_longest
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import backprop as bp

HANGING = 60  # seconds
EXAMPLES = int(os.environ.get("BACKPROP_EXAMPLES", "20"))
STEPS = int(os.environ.get("BACKPROP_STEPS", "20"))
RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(24, 3)), RNG.uniform(0.1, 0.9, (24, 2))
OPTIMIZERS = {
    "SGD": lambda: bp.SGD(0.05),
    "momentum": lambda: bp.SGD(bp.schedules.WarmUp(0.05, 5), momentum=0.9),
    "Adam": lambda: bp.Adam(0.01),
    "RMSprop": lambda: bp.RMSprop(0.001),
}


class Interrupted(Exception):
    """What the handler of a signal raises."""


def interrupted_after(seconds, function):
    """Calls a function, in which a signal comes; whether it did."""

    def interrupt(*_):
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        function()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Interrupted:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return False


class Calls(RuleBasedStateMachine):
    """A network and a twin to which the same is done; the twin's calls are plain ones in one thread."""

    @initialize(
        activation=st.sampled_from(("tanh", "relu", "gelu")),
        dropout=st.sampled_from((0.0, 0.3)),
        dtype=st.sampled_from(("float32", "float64")),
        optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    )
    def begin(self, activation, dropout, dtype, optimizer):
        self.folder = tempfile.TemporaryDirectory()
        layers = bp.Layer(3, 5, activation, dropout=dropout), bp.Layer(5, 2)
        self.net = bp.Network(*layers, dtype=dtype, seed=1)
        self.optimizer = OPTIMIZERS[optimizer]()
        self.twin, self.its_optimizer = copy.deepcopy((self.net, self.optimizer))

    def both(self, call):
        """Does the same with the network and its twin; the results."""
        return call(self.net, self.optimizer, True), call(self.twin, self.its_optimizer, False)

    @rule(batch=st.sampled_from((1, 5, 24, 100)), epochs=st.integers(1, 3), threads=st.integers(1, 3))
    def fit(self, batch, epochs, threads):
        def call(net, optimizer, first):
            count = threads if first else 1
            return net.fit(X, Y, optimizer, epochs=epochs, batch_size=batch, threads=count)["loss"]

        losses, its = self.both(call)
        assert losses == its

    @rule(size=st.sampled_from((3, 8)))
    def fit_stream(self, size):
        batches = [(X[i : i + size], Y[i : i + size]) for i in range(0, 24, size)]
        losses, its = self.both(lambda net, optimizer, first: net.fit(batches, None, optimizer)["loss"])
        assert losses == its

    @rule(first=st.integers(0, 20))
    def step(self, first):
        loss, its = self.both(lambda net, optimizer, _: net.step(X[first:], Y[first:], optimizer))
        assert loss == its

    @rule(scale=st.floats(0.5, 1.5))
    def write(self, scale):
        def scale_all(net, optimizer, first):
            net.parameters[:] *= scale

        self.both(scale_all)

    @rule(wrong=st.sampled_from(((X[:, :2], Y), (X, Y[:5]), (X, Y * np.nan), (X.astype(complex), Y))))
    def refuse(self, wrong):
        for call in (self.net.fit, self.net.step):
            if call == self.net.step and np.isnan(wrong[1]).any():
                continue
            try:
                call(*wrong, self.optimizer)
            except (TypeError, ValueError):
                continue
            raise AssertionError("it was taken")

    @rule(way=st.sampled_from(("file", "pickle", "copy")))
    def replace(self, way):
        """The network goes on as what was read from it."""
        if way == "file":
            path = Path(self.folder.name) / "net"
            self.net.save(path, optimizer=self.optimizer)
            self.net, self.optimizer = bp.load(path, optimizer=True)
        elif way == "pickle":
            self.net, self.optimizer = pickle.loads(pickle.dumps((self.net, self.optimizer)))
        else:
            self.net, self.optimizer = copy.deepcopy((self.net, self.optimizer))

    @rule(rate=st.sampled_from((0, 0.5, 1)), layer=st.integers(0, 1))
    def freeze(self, rate, layer):
        def set_rate(net, optimizer, first):
            net.layers[layer].lr = rate

        self.both(set_rate)

    @rule(seed=st.integers(0, 3))
    def mask(self, seed):
        def set_mask(net, optimizer, first):
            net.layers[0].mask = np.random.default_rng(seed).random((5, 3)) < 0.8

        self.both(set_mask)

    @rule(
        milliseconds=st.floats(0.05, 20),
        threads=st.integers(1, 3),
        what=st.sampled_from(("fit", "stream", "loss", "gradient")),
    )
    def interrupt(self, milliseconds, threads, what):
        """Whole steps are done, as many as the optimizer has counted, and all of them."""
        batches = [(X[i : i + 8], Y[i : i + 8]) for i in range(0, 24, 8)]
        long_x, long_y = np.tile(X, (2000, 1)), np.tile(Y, (2000, 1))
        settings = {"epochs": 3000, "shuffle": False, "batch_size": 8, "threads": threads}
        calls = {
            "fit": lambda: self.net.fit(X, Y, self.optimizer, **settings),
            "stream": lambda: self.net.fit(lambda: iter(batches), None, self.optimizer, epochs=3000),
            "loss": lambda: [self.net.loss(long_x, long_y) for _ in range(20)],
            "gradient": lambda: [self.net.gradient(long_x, long_y) for _ in range(20)],
        }
        before = self.optimizer.steps
        interrupted_after(milliseconds / 1000, calls[what])
        steps = self.optimizer.steps - before
        if any(layer.dropout for layer in self.net.layers):  # what was drawn for steps not done is gone
            self.twin, self.its_optimizer = copy.deepcopy((self.net, self.optimizer))
            assert np.isfinite(self.net.parameters).all()
            return
        for i in range(steps):
            self.twin.step(*batches[i % 3], self.its_optimizer)

    @rule()
    def stop_by_callback(self):
        def call(net, optimizer, first):
            stop = [lambda net, record: record["epoch"] == 2]
            return net.fit(X, Y, optimizer, epochs=5, callbacks=stop).epochs

        assert self.both(call) == (2, 2)

    @rule(what=st.sampled_from(("save", "pickle", "loss", "explain", "fit")))
    def use_from_another_thread(self, what):
        """While the one thread trains, the other reads; whatever it sees is finite, and both end."""
        path = Path(self.folder.name) / "other"
        other = copy.deepcopy(self.net)
        its_optimizer = copy.deepcopy(self.optimizer)
        readings = {
            "save": lambda: other.save(path, optimizer=its_optimizer),
            "pickle": lambda: pickle.loads(pickle.dumps(other)),
            "loss": lambda: other.loss(X, Y),
            "explain": lambda: other.explain(X, Y, j=0, k=0),
            "fit": lambda: other.fit(X, Y, its_optimizer),
        }
        errors = []

        def repeat(function):
            try:
                for _ in range(5):
                    function()
            except BaseException as error:
                errors.append(error)

        threads = [
            threading.Thread(target=repeat, args=(function,), daemon=True)
            for function in (lambda: other.fit(X, Y, its_optimizer, batch_size=5), readings[what])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANGING)
            assert not thread.is_alive(), "a thread hangs"
        assert errors == []
        assert np.isfinite(other.parameters).all()

    @invariant()
    def they_are_the_same(self):
        if not hasattr(self, "net"):
            return
        assert self.net.parameters.tobytes() == self.twin.parameters.tobytes()
        assert self.optimizer.steps == self.its_optimizer.steps
        for state, its in zip_longest(self.optimizer.state, self.its_optimizer.state):
            # what an optimizer remembers begins as zeros, before a first step that an interrupt may prevent
            assert state.tobytes() == its.tobytes() if its is not None else not state.any()
        assert self.net(X).tobytes() == self.twin(X).tobytes()

    def teardown(self):
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestCalls = Calls.TestCase
TestCalls.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize="BACKPROP_EXAMPLES" not in os.environ,
)
