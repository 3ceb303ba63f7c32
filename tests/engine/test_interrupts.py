"""Ctrl-C during every loop over samples. Nothing measures a time: what is interrupted would take minutes."""

import contextlib
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import make_network

import backprop as bp
from backprop.fit.samples import samples_of

HANGING = 60  # seconds

ENDLESS = """
    import os, signal, sys, threading
    import numpy as np
    import backprop as bp

    rows = 10**11
    net = bp.Network.dense(4, 3, 2, output="{output}", loss="{loss}", seed=1)
    x = np.broadcast_to(np.ones(4), (rows, 4))
    y = np.broadcast_to(np.array([0.0, 1.0]), (rows, 2))
    labels = np.broadcast_to(np.int64(1), (rows,))
    before = net.parameters.copy()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        {call}
    except KeyboardInterrupt:
        assert (net.parameters == before).all()
        assert net.loss(x[:3], y[:3]) > 0
        print("interrupted")
"""

CALLS = {
    "loss": "net.loss(x, y)",
    "accuracy": "net.accuracy(x, y)",
    "gradient": "net.gradient(x, y)",
    "Hessian": "net.hessian_vector(x, y, before)",
    "labels": "net.loss(x, labels)",
    "labels of fit": "net.fit(x, labels, bp.SGD(0.1))",
}


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_in_a_loop_over_samples(call):
    interrupted(ENDLESS.format(call=CALLS[call], output="sigmoid", loss="squared_error"))


def test_ctrl_c_while_targets_are_checked():
    interrupted(ENDLESS.format(call=CALLS["loss"], output="softmax", loss="cross_entropy"))


def test_ctrl_c_in_a_wide_gradient_on_threads():
    """Its groups of rows wait for each other's turn."""
    code = ENDLESS.format(call="wide.gradient(x, y)", output="sigmoid", loss="squared_error")
    wide = """
    class Wide(bp.Network):
        def _usable_threads(self):
            return 3
    wide = Wide(bp.Layer(4, 500, "relu"), bp.Layer(500, 2, "sigmoid"), seed=1)
    """
    interrupted(code.replace("\n    before =", wide + "\n    before ="))


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_in_a_step_of_many_samples(threads):
    """Its groups of rows would be added up for hours. Bytes are finite: nobody looks."""
    call = f"net.fit(x, y, bp.SGD(0.1), batch_size=rows, shuffle=False, threads={threads})"
    code = ENDLESS.format(call=call, output="sigmoid", loss="squared_error")
    for old, new in (
        ("10**11", "2**32 - 1"),
        ("(4, 3, 2", "(4, 12000, 2"),
        ("np.ones(4)", "np.ones(4, np.uint8)"),
        ("np.array([0.0, 1.0])", "np.array([0, 1], np.uint8)"),
    ):
        assert old in code
        code = code.replace(old, new)
    interrupted(code)


def interrupted(code):
    command = [sys.executable, "-c", "if True:" + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGING, check=False)
    assert done.stdout == "interrupted\n", done.stdout + done.stderr


@pytest.fixture
def alarm():
    """Has a function called after so many seconds, and then every so many, as a signal handler."""

    def start(handler, seconds, again=0.0):
        signal.signal(signal.SIGALRM, lambda *_: handler())
        signal.setitimer(signal.ITIMER_REAL, seconds, again)

    previous = signal.getsignal(signal.SIGALRM)
    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


needs_timer = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")


@needs_timer
@pytest.mark.parametrize(
    "name", ["__call__", "classify", "losses", "trace", "jacobian", "per_sample", "sparse", "population"]
)
def test_handlers_run_during_calls_whose_results_are_long(alarm, name):
    """A handler runs more than once within one call, if that is long enough."""
    net = make_network((4, 3, 2), ("tanh", "sigmoid"))
    population = bp.Population(net, members=3, seed=1)
    calls = []
    alarm(lambda: calls.append(None), 0.005, 0.005)
    for rows in 2 ** np.arange(17, 25):
        x, y = np.broadcast_to(np.ones(4), (rows, 4)), np.broadcast_to(np.ones(2), (rows, 2))
        calls.clear()
        if name == "sparse":
            sparse = pytest.importorskip("scipy.sparse")
            ones = np.ones(rows), np.zeros(rows, int), np.arange(rows + 1)
            net.loss(sparse.csr_array(ones, shape=(rows, 4)), y)
        elif name == "population":
            population.loss(x, y)
        elif name == "per_sample":
            net._gradient(x, y, per_sample=True)
        elif name in ("losses",):
            net.losses(x, y)
        else:
            getattr(net, {"trace": "_trace", "jacobian": "_jacobian"}.get(name, name))(x)
        if len(calls) > 2:
            return
    pytest.fail("no handler ran amid a call")


class Stop(Exception):
    pass


@needs_timer
def test_a_handler_that_raises_while_samples_are_shuffled(alarm):
    """Before the first step: nothing has moved."""
    net, optimizer = make_network((4, 2), "tanh"), bp.SGD(0.1)
    rows = 2 * 10**7
    x, y = np.broadcast_to(np.ones(4), (rows, 4)), np.broadcast_to(np.ones(2), (rows, 2))
    before = net.parameters.copy()

    def stop():
        raise Stop

    alarm(stop, 0.05)
    with pytest.raises(Stop):
        net.fit(x, y, optimizer, batch_size=1)
    assert optimizer.steps == 0
    assert (net.parameters == before).all()
    net.fit(x[:10], y[:10], optimizer)
    assert optimizer.steps == 1


@needs_timer
@pytest.mark.parametrize("sizes", [(4, 3, 2), (33, 40, 2)], ids=["lanes", "panels"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_handler_that_raises_amid_a_step_of_many_samples(alarm, sizes, threads):
    """Groups of samples are added up before anything moves."""
    net, optimizer = make_network(sizes, ("tanh", "sigmoid")), bp.SGD(0.1)
    before = net.parameters.copy()

    def stop():
        raise Stop

    for rows in 2 ** np.arange(17, 27):
        x = np.broadcast_to(np.float32(1), (rows, sizes[0]))
        y = np.broadcast_to(np.float32(1), (rows, 2))
        alarm(stop, 0.03)
        try:
            net.fit(x, y, optimizer, batch_size=rows, shuffle=False, threads=threads)
            alarm(stop, 0)
        except Stop:
            if optimizer.steps == 0:
                break
        net.parameters[:], optimizer.steps = before, 0
    else:
        pytest.fail("every step went to its end")
    assert (net.parameters == before).all()


# how steps move the weights, threads, steps of an epoch
LONG_STEPS = {
    "descent": (lambda: bp.SGD(0.1), {}, 1, 1),
    "descent on threads, later steps": (lambda: bp.SGD(0.1), {}, 3, 3),
    "Adam on threads": (lambda: bp.Adam(1e-3), {}, 3, 1),
    "Adam, later steps": (lambda: bp.Adam(1e-3), {}, 1, 3),
    "clipped on threads, later steps": (lambda: bp.SGD(0.1, clip_norm=0.1), {}, 3, 3),
    "bfloat16 on threads": (lambda: bp.SGD(0.1), {"precision": "bfloat16-emulated"}, 2, 1),
}


@needs_timer
@pytest.mark.parametrize("name", LONG_STEPS)
def test_a_handler_that_raises_amid_a_long_step(alarm, name):
    """What stays is what whole steps left; of an epoch's only step, whatever it had moved is gone."""
    for rows in (600, 1800, 5400):
        if stopped_amid_steps(alarm, rows, *LONG_STEPS[name]) > 2:
            return
    pytest.fail("no handler ran amid a step")


def stopped_amid_steps(alarm, rows, make_optimizer, given, threads, steps):
    """How many of some fits, stopped sooner and later, have left a step undone."""
    rng = np.random.default_rng(0)
    x, y = rng.random((rows * steps, 5), np.float32), rng.random((rows * steps, 2), np.float32)
    given = {"batch_size": rows, "shuffle": False, "threads": threads, **given}
    left = stopped = 0

    def stop():
        nonlocal left
        left -= 1
        if left == 0:
            raise Stop

    def begin():
        net = make_network((5, 1200, 1030, 2), ("tanh", "sigmoid", "sigmoid"), dtype="float32")
        return net, make_optimizer()

    net, optimizer = begin()
    after = [net.parameters.copy()]
    for first in range(0, rows * steps, rows):
        net.fit(x[first : first + rows], y[first : first + rows], optimizer, **given)
        after.append(net.parameters.copy())
    for calls in (1, 2, 4, 7, 11, 16, 22):
        left, (net, optimizer) = calls, begin()
        alarm(stop, 0.005, 0.005)
        try:
            net.fit(x, y, optimizer, **given)
            left = 0  # from here on the handler does not raise
        except Stop:
            stopped += 1
        alarm(stop, 0)
        assert net.parameters.tobytes() == after[optimizer.steps].tobytes()
    return stopped


OF_STEPS = {
    "descent": lambda: bp.SGD(0.1),
    "momentum": lambda: bp.SGD(0.1, momentum=0.9),
    "Adam, clipped": lambda: bp.Adam(1e-3, clip_norm=0.1),
}


@needs_timer
@pytest.mark.parametrize("name", OF_STEPS)
def test_a_handler_that_raises_amid_a_step_of_its_own_leaves_it_undone(alarm, name):
    rng = np.random.default_rng(0)
    for rows in (600, 1800, 5400):
        x, y = rng.random((rows, 5), np.float32), rng.random((rows, 2), np.float32)
        whole = amid_a_step(alarm, x, y, OF_STEPS[name], np.inf)[1]
        undone = [amid_a_step(alarm, x, y, OF_STEPS[name], calls) for calls in (1, 2, 4, 7, 11, 16, 22)]
        for steps, parameters, before in undone:
            assert parameters == (whole if steps else before)
        if sum(steps == 0 for steps, _, _ in undone) > 2:
            return
    pytest.fail("no handler ran amid a step")


def amid_a_step(alarm, x, y, make_optimizer, calls):
    """Steps that were done, the parameters after that and before; a handler raises when it ran so often."""
    net = make_network((5, 1200, 1030, 2), ("tanh", "sigmoid", "sigmoid"), dtype="float32")
    optimizer, before, left = make_optimizer(), net.parameters.tobytes(), calls

    def stop():
        nonlocal left
        left -= 1
        if left == 0:
            raise Stop

    alarm(stop, 0.005, 0.005)
    with contextlib.suppress(Stop):
        net.step(x, y, optimizer)
        left = 0  # from here on the handler does not raise
    alarm(stop, 0)
    for state in optimizer.state if optimizer.steps == 0 else ():
        assert not state.any()
    return optimizer.steps, net.parameters.tobytes(), before


def many(rows, what):
    labels = np.broadcast_to(np.int64(1), (rows,))
    weights = np.broadcast_to(np.float32(1), (rows,))
    if what == "rates":
        return lambda: bp.schedules.rates(bp.schedules.Cosine(0.1, rows), 0, rows)
    given = {"class_weight": None, "target_mask": None, "sample_weight": weights, "validation": None}
    if what == "classes":
        given["class_weight"] = "balanced"
    return lambda: samples_of(labels[:, np.newaxis], labels, outputs=3, **given)


@needs_timer
@pytest.mark.parametrize("what", ["weights", "classes", "rates"])
def test_handlers_run_while_numpy_prepares_many_rows(alarm, what):
    """More often than there are calls of NumPy, which each put a handler off."""
    calls = []
    alarm(lambda: calls.append(None), 0.002, 0.002)
    for rows in 2 ** np.arange(18, 26):
        call = many(rows, what)
        calls.clear()
        call()
        if len(calls) > 30:
            return
    pytest.fail("handlers had to wait")
