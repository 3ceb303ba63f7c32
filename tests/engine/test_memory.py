"""No call leaks a reference or a byte, and none spoils the network when memory runs out."""

import gc
import subprocess
import sys
import textwrap
import weakref

import numpy as np
import pytest
from conftest import ROOT, make_data, make_network

import backprop as bp
from backprop import _core

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's /proc")


def calls(net, x, y, optimizer):
    """Every call of a network, those that fail included."""
    good = [
        lambda: net(x), lambda: net(x[0]), lambda: net.classify(x), lambda: net.loss(x, y),
        lambda: net.losses(x, y), lambda: net.accuracy(x, y), lambda: net.gradient(x, y),
        lambda: net.gradient(x, y, per_sample=True), lambda: net.trace(x, y), lambda: net.trace(x),
        lambda: net.step(x, y, optimizer), lambda: net.fit(x, y, optimizer, validation=(x, y)),
        lambda: net.fit(x, y, optimizer, sample_weight=np.ones(len(x)), threads=2),
        lambda: net.layers[0].weights, lambda: net.parameters, lambda: optimizer.state,
    ]  # fmt: skip
    bad = [
        lambda: net(x[:, :1]), lambda: net(x.astype(complex)), lambda: net.loss(x, y[:3]),
        lambda: net.loss(x, y.astype(complex)), lambda: net.loss(x, np.full(len(x), 99)),
        lambda: net.gradient(x, y[:2]), lambda: net.trace(x, y[:2]), lambda: net.step(x, y, None),
        lambda: net.step(x, y[:2], optimizer), lambda: net.fit(x, y[:2], optimizer),
        lambda: net.fit(x, y, optimizer, validation=(x, y[:1])), lambda: net.fit(x, y, None),
        lambda: net.fit(x, y, optimizer, sample_weight=-np.ones(len(x))),
        lambda: net.fit(x * np.nan, y, optimizer),
    ]  # fmt: skip
    return good, bad


def call_all(net, x, y, optimizer):
    good, bad = calls(net, x, y, optimizer)
    for call in good:
        call()
    for call in bad:
        try:
            call()
        except (TypeError, ValueError, ArithmeticError):
            continue
        raise AssertionError("a bad call was not refused")


def test_no_reference_is_kept(dtype):
    net = make_network((5, 7, 3), ("tanh", "softmax"), "cross_entropy", dtype)
    x, y = make_data(net, 20)
    held = [x, y, bp.SGD(0.01, momentum=0.5), net, net.parameters]
    call_all(net, x, y, held[2])
    gc.collect()
    before = [sys.getrefcount(thing) for thing in held]
    for _ in range(5):
        call_all(net, x, y, held[2])
    gc.collect()
    assert [sys.getrefcount(thing) for thing in held] == before


def test_no_memory_is_kept():
    """A block that one of the calls loses makes 300 more from one level to the next, every time.

    The interpreter keeps some hundred freed numbers, tuples and the like for later, but does not
    go on doing so.
    """
    net = make_network((5, 7, 3), ("tanh", "softmax"), "cross_entropy")
    x, y = make_data(net, 20)
    optimizer = bp.SGD(0.01, momentum=0.5)

    def held():
        for _ in range(300):
            call_all(net, x, y, optimizer)
        gc.collect()
        return sys.getallocatedblocks()

    levels = [held() for _ in range(5)]
    assert np.diff(levels).min() < 300 / 2, levels


def test_a_network_is_freed_when_it_is_dropped():
    net = bp.Network.dense(3, 4, 2)
    optimizer = bp.SGD(0.1, momentum=0.5)
    net.fit(*make_data(net, 9), optimizer)
    layer, vector = net.layers[0], net.parameters
    gone = weakref.ref(net)
    gc.disable()
    try:
        del net
        assert gone() is None
    finally:
        gc.enable()
    # Views stay alive by themselves.
    layer.weights = np.full((4, 3), 3.0)
    assert (vector[:12] == 3).all()


HUNGRY = """
    import resource, sys
    import numpy as np
    import backprop as bp

    net = bp.Network.dense(2000, 50, 10, dtype="float64", seed=0)
    x, y = np.broadcast_to(0.5, (40_000, 2000)), np.broadcast_to(np.int8(1), (40_000,))
    optimizer = bp.SGD(0.01, momentum=0.5)
    net.fit(x[:64], y[:64], optimizer, threads=1)
    before, steps = net.parameters.copy(), optimizer.steps
    velocity = optimizer.state[0].copy()
    with open("/proc/self/statm") as sizes:  # AddressSanitizer alone has 20 TB
        now = int(sizes.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 2**30, now + 2**30))
    # Each needs more than 1 GiB at once: 40 000 times 2000 doubles are 640 MB, in two copies.
    hungry = {
        "per sample": lambda: net.gradient(x, y, per_sample=True),
        "one big batch": lambda: net.fit(x, y, optimizer, batch_size=40_000, threads=1),
        "step": lambda: net.step(x, y, optimizer),
        "wide": lambda: bp.Network.dense(20_000, 20_000),
    }
    for name, call in hungry.items():
        try:
            call()
        except MemoryError:
            pass
        else:
            sys.exit(f"{name}: there was enough memory, so nothing was tested")
        assert net.parameters.tobytes() == before.tobytes(), name
        assert optimizer.steps == steps, name
        assert optimizer.state[0].tobytes() == velocity.tobytes(), name
    net.fit(x[:64], y[:64], optimizer, threads=1)
    assert net.parameters.tobytes() != before.tobytes()
    print("done")
"""


@LINUX
def test_running_out_of_memory_changes_nothing():
    command = [sys.executable, "-c", textwrap.dedent(HUNGRY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == "done\n", done.stderr


LOOP = """
    import gc, sys
    import numpy as np
    import backprop as bp

    def private_bytes():
        with open("/proc/self/status") as status:
            return 1024 * next(int(l.split()[1]) for l in status if l.startswith("RssAnon"))

    def work(rounds):
        for _ in range(rounds):
            net = bp.Network.dense(40, 50, 10, seed=0)
            optimizer = bp.SGD(0.01, momentum=0.5)
            net.fit(x, y, optimizer, batch_size=8, threads=2)
            net.step(x, y, optimizer)
            net(x), net.loss(x, y), net.gradient(x, y), net.trace(x, y)
            net.gradient(x, y, per_sample=True)
            for bad in (x[:, :3], x.astype(complex)):
                try:
                    net.fit(bad, y, optimizer)
                except (TypeError, ValueError):
                    pass
        gc.collect()

    x, y = np.ones((32, 40)), np.zeros(32, int)
    work(100)
    before = private_bytes()
    work(400)
    # The smallest thing the engine allocates for each network, its 2560 parameters in float32,
    # makes 4 MB when lost 400 times.
    grown = private_bytes() - before
    sys.exit(f"{grown} bytes more" if grown > 2 * 2**20 else 0)
"""


@LINUX
def test_the_engine_frees_what_it_allocates():
    command = [sys.executable, "-c", textwrap.dedent(LOOP)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@LINUX
def test_networks_of_many_kinds_are_gone_when_they_are_dropped():
    """tests/long/soak.py, which `make soak` runs for longer: the process stays as small as it was."""
    command = [sys.executable, ROOT / "tests/long/soak.py", "--cycles", "150", "--warm-up", "100"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def arguments_of_every_call(net, x, y, optimizer):
    """Pairs of a call and whether it is refused."""
    good, bad = calls(net, x, y, optimizer)
    direction = np.ones_like(net.parameters)
    good += [lambda: net.jacobian(x), lambda: net.hessian_vector(x, y, direction)]
    bad += [lambda: net.jacobian(x[:, :1]), lambda: net.hessian_vector(x, y[:2], direction)]
    return [(call, False) for call in good] + [(call, True) for call in bad]


@pytest.mark.parametrize("refused", [False, True])
def test_references_balance_over_many_calls(refused):
    """1000 calls of each kind, those that are refused too: a reference that one keeps shows 1000 times.

    Not those of dtypes: np.ones of NumPy 2.4 keeps one itself.
    """
    net = make_network((3, 4, 2), ("tanh", "softmax"), "cross_entropy")
    x, y = make_data(net, 4)
    optimizer = bp.SGD(1e-3, momentum=0.5)
    held = [x, y, optimizer, net, net.parameters, type(net), None, True]
    for call, is_refused in arguments_of_every_call(net, x, y, optimizer):
        if is_refused != refused:
            continue
        gc.collect()
        before = [sys.getrefcount(thing) for thing in held]
        for _ in range(1000):
            try:
                call()
            except (TypeError, ValueError, ArithmeticError):
                continue
        gc.collect()
        after = [sys.getrefcount(thing) for thing in held]
        # the state of the optimizer, made once, and what the interpreter caches: a handful, not 1000
        assert max(abs(a - b) for a, b in zip(after, before, strict=True)) < 100, (call, before, after)


# The garbage collector.


def test_cycles_through_functions_and_schedules_are_collected():
    """A network, an optimizer, and functions of the user's that refer back to them."""
    gone = []

    def make():
        holder = {}

        def g(z):
            return z + 0 * len(holder)

        def value(a, y):
            return ((a - y) ** 2).sum(axis=1) + 0 * len(holder)

        holder["net"] = bp.Network(
            bp.Layer(2, 3, bp.Activation(g, np.ones_like)),
            loss=bp.Loss(value, lambda a, y: 2 * (a - y)),
        )
        holder["optimizer"] = bp.SGD(lambda step: 0.1 + 0 * len(holder), momentum=0.5)
        holder["net"].fit(np.ones((4, 2)), np.ones((4, 3)), holder["optimizer"])
        holder["callback"] = lambda net, record: holder
        holder["net"].fit(
            np.ones((4, 2)), np.ones((4, 3)), holder["optimizer"], callbacks=[holder["callback"]]
        )
        gone.extend(weakref.ref(holder[name]) for name in ("net", "optimizer"))

    gc.collect()
    blocks = _core._allocations()
    for _ in range(3):
        make()
    gc.collect()
    assert [ref() for ref in gone] == 6 * [None]
    assert _core._allocations() == blocks


def test_types_visit_what_they_refer_to():
    """Their own type too, as types that were made at run time must."""
    net = bp.Network(bp.Layer(2, 3, bp.Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2)))
    optimizer = bp.SGD(lambda step: 0.1, momentum=0.5)
    net.step(np.ones((1, 2)), np.ones((1, 3)), optimizer)
    of_net, of_optimizer = gc.get_referents(net), gc.get_referents(optimizer)
    assert any(thing is type(net) for thing in of_net)
    assert any(thing is np.tanh for thing in of_net)
    assert any(thing is type(optimizer) for thing in of_optimizer)
    assert any(thing is optimizer.lr for thing in of_optimizer)


RELOAD = """
    import gc, importlib, sys, weakref
    import numpy as np
    import backprop._core as first

    names = [name for name in sys.modules if name.split(".")[0] == "backprop"]
    types = [weakref.ref(first.Network), weakref.ref(first.Optimizer), weakref.ref(first.DivergenceError)]
    import backprop as bp
    net = bp.Network.dense(2, 3, 2, seed=0)
    for name in [name for name in sys.modules if name.split(".")[0] == "backprop"]:
        del sys.modules[name]
    import backprop as again
    from backprop import _core as second
    assert second is not first and second.Network is not first.Network, "it is the same module"
    x, y = np.ones((4, 2)), np.ones((4, 2))
    other = again.Network.dense(2, 3, 2, seed=0)
    for package, network in ((bp, net), (again, other)):
        network.fit(x, y, package.SGD(0.1))
    assert net.parameters.tobytes() == other.parameters.tobytes()
    try:
        net.fit(x, y, again.SGD(0.1))
    except TypeError:
        pass
    else:
        sys.exit("an optimizer of another module was taken")
    del bp, first, net, network, package
    gc.collect()
    assert [kind() for kind in types] == [None, None, None], "the first module's types are still there"
    other.fit(x, y, again.SGD(0.1))
    print("done")
"""


def test_the_module_may_be_loaded_twice_and_unloaded():
    """Each has its own state and types, and takes them with it."""
    command = [sys.executable, "-c", textwrap.dedent(RELOAD)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == "done\n", done.stderr


INTERPRETERS = """
    import sys
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        import _interpreters as interpreters
    import backprop as bp
    import numpy as np

    net = bp.Network.dense(2, 3, 2, seed=0)
    other = interpreters.create()
    try:
        interpreters.run_string(other, "import backprop")
        print("imported")
    except Exception as error:
        print("refused")
    interpreters.destroy(other)
    net.fit(np.ones((4, 2)), np.ones((4, 2)), bp.SGD(0.1))
    assert np.isfinite(net.parameters).all()
    print("done")
"""


def test_a_second_interpreter_harms_nothing():
    """NumPy itself can't be imported into one safely: refused or not, the first one goes on."""
    command = [sys.executable, "-c", textwrap.dedent(INTERPRETERS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if "interpreters" in done.stderr and "No module" in done.stderr:
        pytest.skip("this Python has no module for it")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("done\n")
