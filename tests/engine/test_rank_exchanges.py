"""Ranks, as the engine of one of them sees them: an exchange fails, or another rank is in trouble.

No MPI is needed: the others are functions. tests/fit/test_mpi.py has real ones.
"""

import itertools
import signal
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROUNDOFF, assert_close, assert_same_bits, make_data, make_network
from test_engine import SGD, a_layer, stream, train

import backprop as bp
from backprop import _core


class Ranks:
    """What _train takes for a rank of `size`; the others are reply(number of the exchange, what is sent)."""

    def __init__(self, reply=None, size=1, me=0, sharded=False, steps=3, average_every=0, shared=None):
        self.reply, self.sent, self.asked = reply, [], np.zeros(1, bool)
        self.engine = {
            "rank": me, "size": size, "sharded": sharded, "steps": steps, "average_every": average_every,
            "allreduce": self.add, "in_place": None, "interrupted": self.asked, "common_memory": shared,
        }  # fmt: skip

    def add(self, _, numbers):
        self.sent.append(np.array(numbers))
        if self.reply:
            self.reply(len(self.sent), numbers)


@pytest.fixture
def world():
    net = make_network((3, 4, 2), ("tanh", "sigmoid"))
    return SimpleNamespace(net=net, data=make_data(net, 5))


def cut_at(n):
    """A reply: the n-th exchange fails."""

    def reply(exchange, numbers):
        if exchange == n:
            raise OSError("the wire is cut")

    return reply


def in_memory(world, n=None, rows=0):
    """Memory in common with nobody, for gradients or for that many rows, whose n-th barrier fails."""
    room = world.net._room_to_share(SGD, ranks=1, rows=rows)
    assert rows == 0 or room < world.net._room_to_share(SGD, ranks=1, rows=0)
    calls = itertools.count(1)

    def barrier():
        if next(calls) == n:
            raise OSError("the wire is cut")

    # at a cache line, as that of MPI is at a page
    memory = np.zeros(room + 63, "uint8")
    memory = memory[-memory.ctypes.data % 64 :][:room]
    return {"memory": memory, "rows": rows, "barrier": barrier, "sync": lambda: None}


WAYS = {
    "together": {},
    "alone": {"average_every": 1},
    "alone for two steps": {"average_every": 2},
    "alone on a stream": {"average_every": 2, "sharded": True},
    "on a stream": {"sharded": True},
    "in common memory": {"shared": 0},
    "with rows in common memory": {"shared": 2},
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("way", WAYS)
def test_an_exchange_of_ranks_that_fails(way, threads):
    """Whichever it is: training ends, with what an epoch of it left, and says what has happened."""

    def make():
        net = make_network((70, 40, 2), ("tanh", "sigmoid"))
        return SimpleNamespace(net=net, data=make_data(net, 5))

    def call(world, n, epochs):
        settings = dict(WAYS[way])
        if "shared" in settings:
            settings["shared"] = in_memory(world, n, settings["shared"])
        changed = {}
        if "stream" in way:
            x, y = world.data
            changed["stream"] = stream(2 * [(x[:2], y[:2], None), (x[2:], y[2:], None), None])
        ranks = Ranks(cut_at(None if "memory" in way else n), **settings)
        return train(world.net, world.data, ranks=ranks.engine, epochs=epochs, record=np.zeros((epochs, 6)),
                     threads=threads, **changed)  # fmt: skip

    allowed = set()
    for epochs in (0, 1):
        world = make()
        if epochs:
            assert call(world, None, epochs) == epochs
        allowed.add(world.net.parameters.tobytes())
    failures = 0
    for n in range(1, 100):
        world = make()
        try:
            assert call(world, n, 2) == 2
        except OSError:
            failures += 1
            assert world.net.parameters.tobytes() in allowed, f"exchange {n}"
            assert train(world.net, world.data) == 1
        else:
            break
    assert failures > 4
    assert world.net.parameters.tobytes() not in allowed


STOPPED, LOST = -4, -3  # of what is sent behind a gradient
FIGURES = 12
OTHERS = {  # what another rank says, and what _train returns
    "it is not ready": (lambda n, sent: n == 1 and add(sent, 0), -1),
    "it is asked to stop": (lambda n, sent: n == 2 and add(sent, STOPPED), -1),
    "it is lost": (lambda n, sent: n == 2 and add(sent, LOST), -1),
    "it has had time enough": (lambda n, sent: len(sent) == FIGURES and add(sent, 9), 1),
    "it is asked to stop after the epoch": (lambda n, sent: len(sent) == FIGURES and add(sent, 10), -1),
    "its function failed": (lambda n, sent: len(sent) == FIGURES and add(sent, 11), -1),
}


def add(sent, place):
    sent[place] += 1


@pytest.mark.parametrize("what", OTHERS)
def test_what_another_rank_says(world, what):
    reply, returned = OTHERS[what]
    before = world.net.parameters.copy()
    ranks = Ranks(reply, size=2).engine
    assert train(world.net, world.data, ranks=ranks, epochs=2, record=np.zeros((2, 6))) == returned
    if returned < 0 and "stop" not in what:
        assert_same_bits(world.net.parameters, before)


def test_a_rank_whose_batch_has_no_weight(world):
    """It moves nothing: there is no weight to divide a gradient by."""
    (x, y), twin = world.data, make_network((3, 4, 2), ("tanh", "sigmoid"))
    weights = np.array([0.0, 0, 1, 1, 1])
    train(world.net, (x, y), ranks=Ranks().engine, sample_weight=weights)
    train(twin, (x[2:], y[2:]), ranks=Ranks(steps=2).engine)
    assert_same_bits(world.net.parameters, twin.parameters)


def test_another_rank_that_makes_more_steps_on_its_stream(world):
    """Steps are counted alike everywhere, so that schedules and rules agree."""
    x, y = world.data
    optimizer = bp.Adam(0.01)

    def reply(n, sent):
        if len(sent) == 2 and sent[0] > 0:  # the steps of two ranks since the last exchange
            sent[1] = sent[0] + 3

    ranks = Ranks(reply, size=2, average_every=2, sharded=True).engine
    blocks = stream([(x, y, None)] * 3)  # a step each
    assert train(world.net, world.data, stream=blocks, ranks=ranks, optimizer=optimizer) == 1
    exchanges = 2  # after 2 of its 3 steps, and after the last
    assert optimizer.steps == 3 + 3 * exchanges


def test_a_function_that_fails_on_a_rank():
    """The others hear of it in the next exchange; the exception is the function's."""
    for average_every, shared in ((0, False), (1, False), (0, True)):
        for fails_at in range(1, 12):
            calls = itertools.count(1)

            def g(z, calls=calls, fails_at=fails_at):
                if next(calls) == fails_at:
                    raise KeyError("g")
                return 2 * z

            net = _core.Network()
            net._setup([a_layer(g=(g, lambda z: 0 * z + 2))], "squared_error", "float64")
            net.parameters[:] = 0.1
            world = SimpleNamespace(net=net)
            data = np.ones((5, 3)), np.ones((5, 2))
            memory = in_memory(world) if shared else None
            ranks = Ranks(average_every=average_every, shared=memory)
            with pytest.raises(KeyError):
                train(net, data, ranks=ranks.engine, validation=data, epochs=3, record=np.zeros((3, 6)))


def test_a_rank_that_is_refused_a_thread_goes_on_alone(world):
    """The others have begun by then."""
    expected = make_network((3, 40, 2), ("tanh", "sigmoid"))
    x, y = make_data(expected, 6)
    train(expected, (x, y), ranks=Ranks().engine, batch_size=3)
    answers = set()
    for n in range(1, 50):
        net = make_network((3, 40, 2), ("tanh", "sigmoid"))
        _core._refuse_request(n)
        try:
            train(net, (x, y), ranks=Ranks().engine, batch_size=3, threads=3)
        except (MemoryError, RuntimeError) as error:
            answers.add(str(error))
        else:
            assert_same_bits(net.parameters, expected.parameters)
            answers.add("trained")
        finally:
            _core._refuse_request(0)
    assert "trained" in answers
    assert not any("thread" in answer for answer in answers)


def test_what_is_not_finite_is_not_kept():
    """Another rank is asked to stop: the step made so far would stay, but for a weight of -inf."""
    net = make_network((3, 4, 2), ("relu", "sigmoid"))
    net.layers[0].weights[0, 0] = -np.inf
    before = net.parameters.copy()
    x, y = make_data(net, 6)

    def stopped_after_a_step():
        optimizer = bp.SGD(0.1)
        ranks = Ranks(lambda n, sent: n == 2 and add(sent, 0), average_every=1)
        assert train(net, (abs(x), y), ranks=ranks.engine, optimizer=optimizer) == -1
        return optimizer.steps

    assert stopped_after_a_step() == 0
    assert_same_bits(net.parameters, before)
    net.layers[0].weights[0, 0] = -1
    assert stopped_after_a_step() == 1
    assert (net.parameters != before).any()


@pytest.mark.parametrize("own", [False, True])
def test_a_rank_without_rows(own):
    """Two samples for three ranks: the last has none, of training or validation, and follows the others."""
    pair = (np.tanh, lambda z: 1 - np.tanh(z) ** 2) if own else "tanh"
    loss = (lambda a, y: ((a - y) ** 2).sum(1), lambda a, y: 2 * (a - y)) if own else "squared_error"
    net = _core.Network()
    net._setup([a_layer(g=pair)], loss, "float64")
    data, record = (np.ones((2, 3)), np.ones((2, 2))), np.zeros((1, 6))

    def reply(n, sent):
        if len(sent) > FIGURES:  # gradients: those of the others are 1, as a mean over their two rows
            assert not sent[:-4].any()
            sent[:-4].reshape(4, -1)[:, :2] += 1  # three inputs and the bias; two outputs, and pads
            sent[-2:] += 2  # rows, and their weight
        elif len(sent) == FIGURES:  # losses, weights, right ones, samples; of the validation as well
            sent[:9] += [3, 2, 1, 2, 0, 8, 2, 2, 2]

    ranks = Ranks(reply, size=3, me=2, steps=1).engine
    assert train(net, data, ranks=ranks, validation=data, record=record, optimizer=bp.SGD(0.5)) == 1
    assert_same_bits(net.parameters, np.full(8, -0.5))
    assert record[0, :4].tolist() == [3 / 2, 1 / 2, 8 / 2, 2 / 2]


def test_a_network_that_was_never_set_up_says_so_to_the_others():
    ranks = Ranks()
    with pytest.raises(RuntimeError, match="__init__ has not been called"):
        train(_core.Network(), (None, None), ranks=ranks.engine)
    assert [numbers.tolist() for numbers in ranks.sent] == [[1.0]]
    with pytest.raises(RuntimeError, match="__init__ has not been called"):  # whatever becomes of the message
        train(_core.Network(), (None, None), ranks=Ranks(cut_at(1)).engine)


@pytest.mark.parametrize(
    "changed",
    [
        {"memory": lambda memory: memory[:-1]},
        {"memory": lambda memory: np.repeat(memory, 2)[::2]},
        {"norms": True},
        {"average_every": 2},
        {"optimizer": bp.SGD(0.1, clip_norm=1)},
        {"l2": 0.1},
    ],
)
def test_memory_in_common_that_does_not_suit(changed):
    changed = dict(changed)
    net = _core.Network()
    net._setup([a_layer(l2=changed.pop("l2", 0))], "squared_error", "float64")
    room = net._room_to_share(SGD, ranks=1, rows=0) or 4096
    memory = changed.pop("memory", lambda memory: memory)(np.zeros(room, "uint8"))
    shared = {"memory": memory, "rows": 0, "barrier": lambda: None, "sync": lambda: None}
    ranks = Ranks(shared=shared, average_every=changed.pop("average_every", 0)).engine
    with pytest.raises(ValueError, match="the ranks' common memory must have"):
        train(net, (np.ones((5, 3)), np.ones((5, 2))), ranks=ranks, **changed)
    with pytest.raises(ValueError, match="a rank has more rows of a batch than it says"):
        train(
            net,
            (np.ones((5, 3)), np.ones((5, 2))),
            batch_size=5,
            ranks=Ranks(shared=shared | {"rows": 4}).engine,
        )
    for wrong in ((1, 2, 3, 4), shared | {"memory": b"bytes"}):
        with pytest.raises(TypeError, match=r"common_memory must be a dict|must be an ndarray"):
            train(net, (np.ones((5, 3)), np.ones((5, 2))), ranks=Ranks(shared=wrong).engine)


@pytest.mark.parametrize("settings", [{"clip_norm": 0.01}, {"momentum": 0.9}])
@pytest.mark.parametrize("batch", [1, 2])
def test_one_rank_is_as_none(world, batch, settings):
    twin = make_network((3, 4, 2), ("tanh", "sigmoid"))
    for net, ranks in ((world.net, Ranks(steps=-(-5 // batch)).engine), (twin, None)):
        train(net, world.data, ranks=ranks, batch_size=batch, optimizer=bp.SGD(0.1, **settings))
    # at most 5 steps of 2 samples, each rounded a few times in either way
    assert_close(world.net.parameters, twin.parameters, 100 * ROUNDOFF["float64"])


@pytest.mark.parametrize("rows", [0, 1, 2**62])
@pytest.mark.parametrize("ranks", [2**58, 2**62])
def test_more_ranks_than_any_memory(world, ranks, rows):
    """No product wraps round to a few bytes, which the ranks would then write past."""
    assert world.net._room_to_share(SGD, ranks=ranks, rows=rows) > 2**60


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
def test_handlers_run_while_a_rank_shuffles(world):
    """And one that raises ends the training of all at the first exchange, before a step."""
    rows, calls, exchanges = 2 * 10**7, [], []

    class Stop(Exception):
        pass

    def handle(*_):
        calls.append(None)
        if len(calls) == 5:  # once, lest it meet pytest.raises
            raise Stop

    def reply(exchange, numbers):
        exchanges.append(exchange)

    x, y = np.broadcast_to(np.ones(3), (rows, 3)), np.broadcast_to(np.ones(2), (rows, 2))
    before, optimizer = world.net.parameters.copy(), bp.SGD(0.1)
    ranks = Ranks(reply, steps=rows)
    generator = np.random.default_rng(0).bit_generator
    previous = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    try:
        with pytest.raises(Stop):
            train(
                world.net, (x, y), optimizer=optimizer, batch_size=1, shuffle=True, bit_generator=generator,
                ranks=ranks.engine,
            )  # fmt: skip
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert_same_bits(world.net.parameters, before)
    assert optimizer.steps == 0
    assert exchanges == [1, 2]  # whether it can begin, and the first step's
