"""What our own code reads of a network that another thread changes is of one moment, without deadlock."""

import copy
import os
import pickle
import threading

import numpy as np
import pytest
from conftest import exit_code_of, make_data, make_network

import backprop as bp

HANGING = 60  # seconds after which something that should have happened never will
X = np.linspace(-1, 1, 12).reshape(4, 3)


@pytest.fixture
def net():
    return make_network((3, 4, 2), ("tanh", "sigmoid"), dtype="float64")


@pytest.fixture
def optimizer(net):
    """A used one; its steps and every entry of its state are 1."""
    optimizer = bp.SGD(0.1, momentum=0.5)
    net.step(X, np.zeros((4, 2)), optimizer)
    optimizer.state[0][:] = 1
    return optimizer


def of_file(net, path, optimizer):
    net.save(path, optimizer=optimizer)
    loaded, its_optimizer = bp.load(path, optimizer=True)
    return np.concatenate([loaded.parameters, its_optimizer.state[0], [its_optimizer.steps]])


def of_early_stopping(net, path, optimizer):
    stopping = bp.EarlyStopping("loss")
    stopping.start(net, ("loss",))
    stopping(net, {"epoch": 1, "loss": 1.0})
    net._locked(lambda: net.parameters.__setitem__(slice(None), 7))
    stopping.finish(net)
    return net.parameters.copy()


def of_c(net, path, optimizer):
    text = net.to_c()
    words = [word.strip() for part in text.split("] = {\n")[1:] for word in part.split("};")[0].split(",")]
    return np.array([float(word.rstrip("f")) for word in words if word])


def of_onnx(net, path, optimizer):
    pytest.importorskip("onnx")
    from onnx import numpy_helper

    return np.concatenate([numpy_helper.to_array(t).ravel() for t in net.to_onnx().graph.initializer])


def of_torch(net, path, optimizer):
    pytest.importorskip("torch")
    return np.concatenate([p.detach().numpy().ravel() for p in net.to_torch().parameters()])


READINGS = {
    "save": of_file,
    "copy": lambda net, path, optimizer: copy.copy(net).parameters,
    "pickle": lambda net, path, optimizer: pickle.loads(pickle.dumps(net)).parameters,
    "EarlyStopping": of_early_stopping,
    "to_c": of_c,
    "to_onnx": of_onnx,
    "to_torch": of_torch,
    "explain": lambda net, path, optimizer: net.explain(X, np.zeros((4, 2)), j=0, k=0).snapshot.parameters,
}


@pytest.mark.parametrize("reading", READINGS)
def test_a_reader_sees_all_of_a_change_or_nothing(net, optimizer, reading, tmp_path):
    net.parameters[:] = 1
    if reading in ("to_onnx", "to_torch"):
        READINGS[reading](net, tmp_path / "net", optimizer)  # imports take long
    half_done, go_on = threading.Event(), threading.Event()

    def change():
        half = net.parameters.size // 2
        net.parameters[:half] = optimizer.state[0][:half] = 2
        half_done.set()
        go_on.wait(0.3)
        net.parameters[half:] = optimizer.state[0][half:] = optimizer.steps = 2

    writer = threading.Thread(target=net._locked, args=(change,))
    writer.start()
    assert half_done.wait(HANGING)
    seen = READINGS[reading](net, tmp_path / "net", optimizer)
    go_on.set()
    writer.join(HANGING)
    assert set(seen) == {2}, seen


def test_readers_and_trainers_side_by_side(net, tmp_path):
    """Callbacks that read, while other threads train, save and copy: no thread waits for another for ever."""
    x, y = make_data(net, 40)
    seen = []

    def train():
        path = tmp_path / f"{threading.get_ident()}"
        callbacks = [bp.EarlyStopping("loss", patience=100), bp.Checkpoint(path)]
        net.fit(x, y, bp.SGD(0.01), epochs=30, batch_size=5, callbacks=callbacks)

    def read():
        for _ in range(30):
            net.save(tmp_path / "read")
            seen.append(pickle.loads(pickle.dumps(net)))

    threads = [threading.Thread(target=function, daemon=True) for function in (train, train, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANGING)
        assert not thread.is_alive(), "a thread hangs"
    assert len(seen) == 30
    assert np.isfinite(net.parameters).all()


def test_copying_amid_its_own_computation_is_an_error_not_a_wait():
    """A function of the network's own is called while the network computes: it cannot copy that network."""

    armed = []

    def g(z):
        if armed:
            armed[0](own)
        return z

    own = bp.Network(bp.Layer(3, 2, bp.Activation(g, np.ones_like)), seed=0)
    for reading in (pickle.dumps, copy.copy, lambda net: net._locked(int)):
        armed[:] = [reading]
        with pytest.raises(RuntimeError, match="this thread is computing with the network already"):
            own(X)
    armed.clear()
    assert own(X).shape == (4, 2)


def test_an_iterable_cannot_save_the_network_that_waits_for_it(net, tmp_path):
    def batches():
        net.save(tmp_path / "net")
        yield X, np.zeros((4, 2))

    with pytest.raises(RuntimeError, match="an iterable that a network trains on can't use the network"):
        net.fit(batches, None, bp.SGD(0.1))
    assert net.loss(X, np.zeros((4, 2))) > 0


def test_what_is_locked_may_use_the_network(net):
    y = np.zeros((4, 2))

    def read():
        return net._locked(lambda: net.loss(X, y)), net.loss(X, y), net.fit(X, y, bp.SGD(0.1), epochs=2)

    inner, outer, history = net._locked(read)
    assert inner == outer
    assert history.epochs == 2
    with pytest.raises(ZeroDivisionError):
        net._locked(lambda: 1 // 0)
    assert net.loss(X, y) < inner


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_amid_training_does_not_wait_for_ever(net):
    """The thread that has the network's lock is not in the child: an error, where it would wait for ever."""
    locked, done = threading.Event(), threading.Event()
    holder = threading.Thread(target=net._locked, args=(lambda: (locked.set(), done.wait(HANGING)),))
    holder.start()
    assert locked.wait(HANGING)
    child = os.fork()
    if child == 0:
        try:
            net.loss(X, np.zeros((4, 2)))
        except RuntimeError as error:
            os._exit(0 if "forked" in str(error) else 16)
        os._exit(17)
    done.set()
    holder.join(HANGING)
    assert exit_code_of(child, HANGING) == 0
    assert net.loss(X, np.zeros((4, 2))) > 0


def test_functions_that_draw_from_the_networks_generator_do_not_stop_training():
    """fit, step and a loss that draws from one generator, in three threads: two locks, taken in one order."""
    rng = np.random.default_rng(1)

    def value(a, y):
        rng.random(3)
        return ((a - y) ** 2).sum(axis=1)

    def derivative(a, y):
        rng.random(2)
        return 2 * (a - y)

    layers = bp.Layer(3, 8, "tanh", dropout=0.3), bp.Layer(8, 2)
    own = bp.Network(*layers, loss=bp.Loss(value, derivative), seed=rng)
    x, y = np.ones((40, 3)), np.zeros((40, 2))

    def train():
        own.fit(x, y, bp.SGD(0.01), epochs=50, batch_size=5)

    def step():
        for _ in range(300):
            own.step(x[:4], y[:4], bp.SGD(0.01))

    def measure():
        for _ in range(300):
            own.loss(x, y)

    threads = [threading.Thread(target=function, daemon=True) for function in (train, step, measure)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANGING)
        assert not thread.is_alive(), "a thread hangs"
    assert np.isfinite(own.parameters).all()


def test_a_function_sees_its_generators_lock_free():
    """Older NumPys' locks cannot be taken twice by one thread: what draws would wait for itself."""
    rng = np.random.default_rng(1)
    free = []

    def g(z):
        def ask():
            free.append(rng.bit_generator.lock.acquire(timeout=0.001))
            if free[-1]:
                rng.bit_generator.lock.release()

        if asking:
            other = threading.Thread(target=ask)
            other.start()
            other.join()
        return z

    asking = False
    own = bp.Network(bp.Layer(3, 4, bp.Activation(g, np.ones_like), dropout=0.5), bp.Layer(4, 2), seed=rng)
    asking = True
    own.fit(X, np.zeros((4, 2)), bp.SGD(0.01), batch_size=2)
    own.fit(lambda: [(X, np.zeros((4, 2)))], None, bp.SGD(0.01))
    own.step(X, np.zeros((4, 2)), bp.SGD(0.01))
    assert len(free) >= 4
    assert all(free)
