"""Every call of the package with the n-th request for memory refused, for every n until it succeeds.

    python tests/engine/out_of_memory.py core|numpy|python|python-for-ever [call ...]

``core`` refuses one request of the core, for memory or for a thread; ``numpy`` one for the numbers of an
array; ``python`` one of the interpreter's, and ``python-for-ever`` all of them from the n-th on. Every failed
call must raise a MemoryError, leave the parameters, the optimizer and the arguments as they were, and no
block, reference or lock behind; a fit of two epochs may leave what one of them made. A process of its own,
because a crash would end it; it prints a line for each call, and ends with status 0 where all is well.
"""

import _imp
import copy
import functools
import gc
import importlib.util
import itertools
import pickle
import sys
import tempfile
from pathlib import Path

import numpy as np

import backprop as bp
from backprop import _core, kernels

MOST = 20_000  # requests of a call; more would be a loop without an end
FOLDER = Path(tempfile.mkdtemp())


class World:
    """A network, its data and an optimizer, made alike every time."""

    def __init__(self, sizes=(3, 4, 2), optimizer=None, **layer):
        *hidden, last = itertools.pairwise(sizes)
        layers = [bp.Layer(*shape, "tanh", **layer) for shape in hidden]
        self.net = bp.Network(*layers, bp.Layer(*last, "sigmoid"), seed=1)
        rng = np.random.default_rng(2)
        self.many = rng.normal(size=(600, 3)), rng.uniform(0.1, 0.9, (600, 2))
        self.x = rng.normal(size=(7, sizes[0])).astype("float32")
        self.y = rng.uniform(0.1, 0.9, (7, sizes[-1])).astype("float32")
        self.optimizer = bp.SGD(0.1) if optimizer is None else optimizer

    def state(self):
        """All that a failed call must not change."""
        states = b"".join(array.tobytes() for array in self.optimizer.state)
        return self.net.parameters.tobytes(), self.optimizer.steps, states if any(states) else b""


# Calls that change nothing whether they succeed or not.


def wide(world):
    """A network whose gradient of many samples is summed in groups of rows, on several threads."""
    net = bp.Network(bp.Layer(3, 900, "relu"), bp.Layer(900, 2, "sigmoid"), seed=1)
    net._usable_threads = lambda: 2
    return net


def custom():
    return bp.Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2)


def kernel_calls():
    rng = np.random.default_rng(3)
    a, w, b, d = (rng.normal(size=s) for s in ((5, 4), (3, 4), (3,), (5, 3)))
    z, y = rng.normal(size=(5, 4)), rng.uniform(0.1, 0.9, (5, 4))
    matrices = kernels.activation_derivative("softmax", z)
    strided = np.zeros((5, 8))[:, ::2]
    return {
        "weighted_sum": lambda: kernels.weighted_sum(a, w, b),
        "activation": lambda: kernels.activation("gelu", z),
        "activation into strides": lambda: kernels.activation("gelu", z, out=strided),
        "softmax": lambda: kernels.activation("softmax", z, out=strided),
        "activation_derivative": lambda: kernels.activation_derivative("tanh", z),
        "softmax's": lambda: kernels.activation_derivative("softmax", z),
        "kernels.loss": lambda: kernels.loss("huber", z, y),
        "loss_derivative": lambda: kernels.loss_derivative("squared_error", z, y),
        "delta_output": lambda: kernels.delta_output(z, y),
        "delta_output of softmax": lambda: kernels.delta_output(z, matrices),
        "delta_hidden": lambda: kernels.delta_hidden(d, w, z),
        "weight_gradient": lambda: kernels.weight_gradient(d, a),
        "sgd_update": lambda: kernels.sgd_update(w, w, 0.1),
    }


def reading_calls():
    path = FOLDER / "net.safetensors"
    World().net.save(path)
    pickled = pickle.dumps(World().net)
    return {
        "Network": lambda w: bp.Network(bp.Layer(3, 4), bp.Layer(4, 2, "softmax"), seed=0),
        "Network.dense": lambda w: bp.Network.dense(3, 4, 2),
        "Adam": lambda w: bp.Adam(0.1),
        "call": lambda w: w.net(w.x),
        "call of lists": lambda w: w.net([[1, 2, 3]]),
        "call of one": lambda w: w.net(w.x[0]),
        "classify": lambda w: w.net.classify(w.x),
        "call of many": lambda w: w.net(w.many[0]),
        "loss of many": lambda w: w.net.loss(*w.many),
        "gradient of many": lambda w: w.net.gradient(*w.many),
        "gradient of many, wide": lambda w: wide(w).gradient(*w.many),
        "loss": lambda w: w.net.loss(w.x, w.y),
        "losses": lambda w: w.net.losses(w.x, w.y),
        "accuracy": lambda w: w.net.accuracy(w.x, w.y),
        "gradient": lambda w: w.net.gradient(w.x, w.y),
        "gradient per sample": lambda w: w.net.gradient(w.x, w.y, per_sample=True),
        "trace": lambda w: w.net.trace(w.x, w.y),
        "trace without targets": lambda w: w.net.trace(w.x),
        "explain": lambda w: w.net.explain(w.x, w.y, layer=-1, j=0, k=1).product,
        "check_gradient": lambda w: w.net.check_gradient(w.x, w.y),
        "jacobian": lambda w: w.net.jacobian(w.x),
        "hessian_vector": lambda w: w.net.hessian_vector(w.x, w.y, w.net.parameters),
        "_gradient": lambda w: w.net._gradient(w.x, w.y),
        "_gradient per sample": lambda w: w.net._gradient(w.x, w.y, per_sample=True),
        "_trace": lambda w: w.net._trace(w.x, w.y),
        "_trace without targets": lambda w: w.net._trace(w.x),
        "jacobian in C": lambda w: w.net._jacobian(w.x),
        "_hessian_vector": lambda w: w.net._hessian_vector(w.x, w.y, w.net.parameters),
        "summary": lambda w: w.net.summary(),
        "copy": lambda w: copy.deepcopy(w.net),
        "pickle": lambda w: pickle.dumps(w.net),
        "unpickle": lambda w: pickle.loads(pickled),
        "save": lambda w: w.net.save(path),
        "load": lambda w: bp.load(path),
    }


# Calls that train; each gets a world of its own for every attempt.

OPTIMIZERS = {
    "SGD": lambda: bp.SGD(0.1),
    "SGD with momentum": lambda: bp.SGD(0.1, momentum=0.9),
    "Adam": lambda: bp.Adam(0.01),
    "AdamW": lambda: bp.AdamW(0.01),
    "RMSprop": lambda: bp.RMSprop(0.01, momentum=0.5),
    "clipping": lambda: bp.SGD(0.1, clip_norm=0.5),
    "a schedule": lambda: bp.SGD(bp.schedules.Exponential(0.1, 0.9)),
}
WHOLE_BATCH = {
    "LBFGS": lambda: bp.LBFGS(memory=3),
    "LevenbergMarquardt": bp.LevenbergMarquardt,  # in double, for a network of float
    "Bayesian": lambda: bp.LevenbergMarquardt(bayesian=True),
}


def layer(inputs, outputs, activation):
    """What _setup takes for a layer."""
    penalties = {"l1": 0.0, "l2": 0.0, "dropout": 0.0}
    return {"inputs": inputs, "outputs": outputs, "activation": activation, "bias": True} | penalties


OWN = [layer(3, 4, (np.tanh, np.cos))], (np.add, np.multiply), "float64"  # _setup's arguments

STEPS = [f"step, {name}" for name in [*OPTIMIZERS, "dropout", "custom"]]


def training_calls():
    def step(world):
        world.net.step(world.x, world.y, world.optimizer)

    def fit(**settings):
        settings = {"batch_size": 2, "rng": 5, "epochs": 2, "threads": 1} | settings
        return lambda world: world.net.fit(world.x, world.y, world.optimizer, **settings)

    def validated(world):
        held_out = world.x, world.y
        world.net.fit(world.x, world.y, world.optimizer, validation=held_out, rng=5, epochs=2, threads=1)

    def stream(world):
        batches = [(world.x[:4], world.y[:4]), (world.x[4:], world.y[4:])]
        world.net.fit(batches, None, world.optimizer, epochs=2, rng=5)

    def lanes(world):
        settings = {"batch_size": 600, "rng": 5, "epochs": 2, "threads": 2}
        world.net.fit(*world.many, world.optimizer, **settings)

    def replace(world):
        world.net.layers[0].weights = np.ones((4, 3))

    states = np.ones(3), np.ones(3)

    def new_module():
        world = World()
        world.module = _imp.create_dynamic(importlib.util.find_spec("backprop._core"))
        return world

    def make(optimizer="SGD", sizes=(3, 4, 2), **layer):
        return lambda: World(sizes, (OPTIMIZERS | WHOLE_BATCH)[optimizer](), **layer)

    wide = (3, 40, 2)
    calls = {f"step, {name}": (make(name), step) for name in OPTIMIZERS}
    calls |= {f"fit, {name}": (make(name, wide), fit()) for name in OPTIMIZERS}
    calls |= {f"fit, {name}": (make(name, wide), fit(batch_size=None)) for name in WHOLE_BATCH}
    together = fit(batch_size=None, threads=2)
    calls |= {f"fit, {name}, two threads": (make(name), together) for name in WHOLE_BATCH}
    watched = fit(batch_size=None, threads=2, callbacks=[lambda net, record: None])
    calls |= {f"fit, {name}, a callback": (make(name), watched) for name in WHOLE_BATCH}
    calls |= {
        "step, dropout": (make(dropout=0.3), step),
        "fit, chain": (make(), fit(batch_size=1)),
        "fit, lanes": (make("Adam"), lanes),
        "fit, online": (make(sizes=wide), fit(batch_size=1)),
        "fit, dropout": (make(sizes=wide, dropout=0.3), fit()),
        "fit, norms": (make(), fit(norms=True)),
        "fit, penalties": (make(sizes=wide, l2=0.1), fit()),
        "fit, weights of samples": (make(), fit(sample_weight=np.ones(7))),
        "fit, missing targets": (make(), fit(target_mask=np.ones((7, 2), bool))),
        "fit, a callback": (make(), fit(callbacks=[lambda net, record: None])),
        "fit, validation": (make(), validated),
        "fit, two threads": (make(sizes=wide), fit(threads=2)),
        "fit, bfloat16": (make(sizes=wide), fit(threads=2, precision="bfloat16-emulated")),
        "fit, two threads, online": (make(sizes=wide), fit(threads=2, batch_size=1)),
        "fit, a stream": (make(), stream),
        "weights": (make(), replace),
        "_set_state": (make("Adam"), lambda world: world.optimizer._set_state(states)),
        "_setup, custom": (make(), lambda world: _core.Network()._setup(*OWN)),
        "the module": (new_module, lambda world: _imp.exec_dynamic(world.module)),
        **{name: (make, lambda world: world.train()) for name, make in ENGINE.items()},
        "step, custom": (lambda: custom_world(), step),
        "fit, custom": (lambda: custom_world(), fit()),
    }
    return calls


def custom_world():
    world = World()
    world.net = bp.Network(bp.Layer(3, 4, custom()), bp.Layer(4, 2, "sigmoid"), seed=1)
    return world


RATES = np.full(8, 0.1)

# CPython's own answers, from before or beneath our code.
OF_CPYTHON = {
    "can't allocate lock": "threading.Lock, of which every generator of NumPy has one",
    "Can't pickle": "pickle takes any error of an import for a missing name",
    "not PosixPath": "os.fspath takes any error of a look-up for a missing method",
    "execution of module": "PyType_FromModuleAndSpec without memory for the type's name raises nothing",
}

def blocks_of(world):
    """What _train takes for a stream: an epoch of a small block and a larger one."""
    blocks = [(world.x[:2], world.y[:2], None), (world.x[2:], world.y[2:], np.ones(5)), None]
    rates = lambda first, count: RATES[:count]  # noqa: E731
    return {"next_block": iter(blocks).__next__, "rates": rates, "whole": False, "thread": 0}


def engine(**changed):
    """A world whose `train` is fit's call of the engine, without the Python around it."""

    def make():
        world = World(optimizer=bp.Adam(0.01))
        settings = {"x": world.x, "y": world.y, "optimizer": world.optimizer, "epochs": 2, "batch_size": 2}
        settings |= {name: of(world) if callable(of) else of for name, of in changed.items()}
        settings |= {"record": np.zeros((settings["epochs"], 6)), "shuffle": "bit_generator" in settings}
        world.train = functools.partial(world.net._train, **settings)
        return world

    return make


ENGINE = {
    "_train, chain": engine(batch_size=1),
    "_train, batches": engine(),
    "_train, drawn": engine(bit_generator=lambda w: w.net.rng.bit_generator),
    "_train, rates": engine(rates=np.full(8, 0.1)),
    "_train, weights": engine(sample_weight=np.ones(7)),
    "_train, validation": engine(validation=lambda w: (w.x, w.y)),
    "_train, mask": engine(target_mask=np.ones((7, 2), bool)),
    "_train, norms": engine(norms=True),
    "_train, two threads": engine(threads=2),
    "_train, stream": engine(
        stream=lambda w: blocks_of(w), epochs=1, bit_generator=lambda w: w.net.rng.bit_generator
    ),
}

# Where all is C from the call on, so that references must balance. CPython 3.11 itself loses the arguments
# of a Python function when it finds no memory for the frame.
ALL_IN_C = {
    "call", "call of lists", "call of one", "classify", "loss", "losses", "accuracy", "jacobian in C",
    "_gradient", "_gradient per sample", "_trace", "_trace without targets", "_hessian_vector", *STEPS,
    *ENGINE, "_set_state", "_setup, custom", "the module",
}  # fmt: skip

# What cannot be asked of CPython 3.11 and NumPy 2, whose own code ends the process, or answers otherwise.
NOT_WITH_PYTHON = {
    "fit, a stream": "a thread without memory never tells Thread.start that it runs, which waits for ever",
    "Network.dense": "dict.items() crashes (dictiter_new)",
    "copy": "dict.items() crashes (dictiter_new)",
    "check_gradient": "a reduction of NumPy's returns NULL without an exception",
    "fit, a schedule": "a reduction of NumPy's returns NULL without an exception",
    "pickle": "ndarray.__reduce__ returns a result with an exception set",
    "save": "the encoder of json calls Py_BuildValue with NULL",
}


class Refusing:
    """Refuses requests while it is entered."""

    def __init__(self, mode):
        self.mode = mode
        if mode.startswith("python"):
            import _testcapi

            self.testcapi = _testcapi

    def after(self, n, call):
        """What call() raised, or None, when it has n requests."""
        if self.mode == "core":
            _core._refuse_request(n + 1)
            try:
                call()
            except BaseException as error:
                return type(error), str(error)
            else:
                return None if is_refused_later(n) else (AssertionError, "a refusal made no difference")
            finally:
                _core._refuse_request(0)
        if self.mode == "numpy":
            import refusing_numpy

            error = refusing_numpy.refuse(n, call)
            return None if error is None else (type(error), str(error))
        start, remove = self.testcapi.set_nomemory, self.testcapi.remove_mem_hooks
        stop = n + 1 if self.mode == "python" else 0
        raised = None
        kept = [n + 0.5 for _ in range(200)]  # the numbers that CPython has freed and would hand out again
        start(n, stop)
        try:
            call()
        except BaseException as error:
            remove()
            raised = type(error), str(error)
        remove()
        del kept
        return raised


def is_refused_later(most):
    """Whether the request that is to be refused has still to come, after so many or fewer."""
    for _ in range(most + 1):
        try:
            _core.Network()._setup([layer(1, 1, "tanh")], "huber", "float32")
        except MemoryError:
            return True
    return False


def is_right(raised):
    kind, text = raised
    if not issubclass(kind, MemoryError) and any(known in text for known in OF_CPYTHON):
        return True
    if issubclass(kind, RuntimeError) and "refused to start a thread" in text:
        return True  # documented: fit says so, and how many threads there are is the caller's to choose
    return issubclass(kind, MemoryError)


def attempts(refusing, make, call, allowed, balanced):
    """Calls with n = 0, 1, ... requests until it succeeds three times on end; what was wrong, or None.

    allowed : the states that a failed call may leave, or None for the one before it
    balanced : whether no reference may be kept
    """
    good, failures, lost, n = 0, 0, 0, 0
    while good < 3:
        gc.collect()
        blocks, world = _core._allocations(), make()
        before = world.state()
        held = [world.net, world.x, world.y, world.optimizer]
        counts = [sys.getrefcount(thing) for thing in held]
        raised = refusing.after(n, lambda world=world: call(world))
        good = good + 1 if raised is None else 0
        if raised is not None:
            failures += 1
            if not is_right(raised):
                return f"after {n} requests {raised[0].__name__}: {raised[1]}"
            if world.state() not in (allowed or {before}):
                return f"after {n} requests the network or the optimizer is changed"
            gc.collect()
            counted = [sys.getrefcount(thing) for thing in held]
            lost += counted != counts
            if counted != counts and balanced:
                return f"after {n} requests references are {counted}, not {counts}"
            lock = world.net.rng.bit_generator.lock
            if lock._is_owned() if hasattr(lock, "_is_owned") else lock.locked():
                return f"after {n} requests the generator's lock is held"
        world = held = lock = None
        gc.collect()
        if _core._allocations() != blocks and balanced:
            return f"after {n} requests {_core._allocations() - blocks} blocks of the core are left"
        n += 1
        if n > MOST:
            return "it never succeeds"
    print(f"{failures} failures,", f"{lost} with arguments lost by CPython," if lost else "", end=" ")
    return None


def main():
    mode, *names = sys.argv[1:]
    refusing = Refusing(mode)
    calls = {name: (World, call) for name, call in reading_calls().items()}
    calls |= {name: (World, lambda _, call=call: call()) for name, call in kernel_calls().items()}
    calls |= training_calls()
    bad = []
    for name, (make, call) in calls.items():
        in_c = name in ALL_IN_C or name in kernel_calls()
        if names and name not in names:
            continue
        # With no memory at all, Python code crashes in CPython 3.11 (PyContextVar_Set); others are not known.
        in_python = mode == "python" and name not in NOT_WITH_PYTHON and sys.version_info[:2] == (3, 11)
        if not names and not (mode in ("core", "numpy") or in_c or in_python):
            continue
        print(f"{name}:", end=" ", flush=True)
        for _ in range(2):
            call(make())  # what is made once is made now
        allowed = states_of_fit(make, call) if name.startswith(("fit", "_train")) else None
        gc.collect()
        gc.freeze()  # what is there already is not looked at again
        wrong = attempts(refusing, make, call, allowed, mode in ("core", "numpy") or name in ALL_IN_C)
        print(wrong or "good", flush=True)
        if wrong:
            bad.append(name)
    sys.exit(f"{mode}: {', '.join(bad)}" if bad else 0)


def states_of_fit(make, call):
    """What a fit of two epochs may leave: the state before it, or after one of them."""
    states, whole = set(), make()
    states.add(whole.state())
    call(whole)
    states.add(whole.state())
    return states | half(make, call)


def half(make, call):
    """The state after the first epoch, as observers see it."""
    from backprop.fit.observers import Observers

    world, seen = make(), set()
    after_epoch, observed = Observers.after_epoch, Observers.__bool__

    def looking(observers, record):
        seen.add(world.state())
        return after_epoch(observers, record)

    Observers.after_epoch = looking
    Observers.__bool__ = lambda observers: True
    try:
        call(world)
    finally:
        Observers.after_epoch = after_epoch
        Observers.__bool__ = observed
    return seen


if __name__ == "__main__":
    main()
