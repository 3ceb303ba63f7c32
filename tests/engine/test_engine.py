"""What the engine refuses by itself: calls that the Python layer, which checks first, never makes.

Each is answered with an exception that says what was expected, and moves nothing.
"""

import ctypes
import gc
import importlib.util
import signal
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROUNDOFF, assert_close, assert_same_bits, make_data, make_network

import backprop as bp
from backprop import _core

TOO_MANY = 2**32  # samples: their places are 32 bits


def train(net, data, **changed):
    """net._train, one epoch in batches of 2 with nothing special."""
    settings = {
        "x": data[0], "y": data[1], "optimizer": bp.SGD(0.1), "epochs": 1, "batch_size": 2,
        "record": np.zeros((1, 6)),
    }  # fmt: skip
    return net._train(**settings | changed)


def stream(blocks, rates=None):
    """What _train takes for a stream of such blocks."""
    return {"next_block": iter([*blocks, None]).__next__, "rates": rates, "whole": True, "thread": 0}


@pytest.fixture
def world():
    net = make_network((3, 4, 2), ("tanh", "sigmoid"))
    return SimpleNamespace(net=net, data=make_data(net, 5))


def many(columns):
    """As many samples as no index of 32 bits holds, in a few bytes."""
    return np.broadcast_to(np.zeros(columns, "int8"), (TOO_MANY, columns))


SETTINGS = [
    ({"epochs": 0}, ValueError, "at least 1"),
    ({"batch_size": 0}, ValueError, "at least 1"),
    ({"threads": 0}, ValueError, "at least 1"),
    ({"epochs": "2"}, TypeError, "integer"),
    ({"validation": (1, 2, 3, 4, 5)}, TypeError, "validation must be"),
    ({"validation": ([[1, 2]], [[1]])}, ValueError, "validation x must have shape"),
    ({"validation": ([[1, 2, 3]], [[1]])}, ValueError, "validation y must have shape"),
    ({"record": np.zeros((1, 5))}, ValueError, "record must be a contiguous float64 array of 6"),
    ({"record": np.zeros((1, 6), "float32")}, ValueError, "record must be"),
    ({"record": np.zeros((1, 12))[:, ::2]}, ValueError, "record must be"),
    ({"record": [0.0] * 6}, ValueError, "record must be"),
    ({"bit_generator": 7}, AttributeError, "lock"),
    ({"bit_generator": SimpleNamespace(lock=threading.Lock(), capsule=None)}, ValueError, "PyCapsule"),
    ({"shuffle": True}, ValueError, "bit generator"),
    ({"rates": np.ones(2)}, ValueError, "rates must be a contiguous float64 array of 3"),
    ({"sample_weight": np.ones(4)}, ValueError, r"sample_weight must have shape \(5,\)"),
    ({"sample_weight": np.array([1, 1, -1, 1, 1.0])}, ValueError, "entry 2"),
    ({"sample_weight": np.array([1, 1, np.inf, 1, 1])}, ValueError, "entry 2"),
    ({"sample_weight": np.zeros(5)}, ValueError, "zero for every sample"),
    ({"optimizer": 7}, TypeError, "optimizer"),
    ({"optimizer": _core.Optimizer()}, TypeError, "optimizer"),
    ({"x": many(3), "y": many(2)}, ValueError, f"x has {TOO_MANY} samples"),
    ({"stream": (1, 2)}, TypeError, "stream must be"),
    ({"stream": {"next_block": 1}}, TypeError, "stream needs argument 'rates'"),
    ({"stream": stream([]) | {"thread": 2**70}}, OverflowError, "large"),
    ({"stream": stream([]) | {"thread": None}}, TypeError, "identifier of a thread"),
    ({"stream": stream([(1, 2)])}, TypeError, "a block must be"),
    ({"stream": stream([([[1, 2]], [[0, 1]], None)])}, ValueError, "x of a batch must have shape"),
    ({"stream": stream([(many(3), many(2), None)])}, ValueError, f"a batch has {TOO_MANY} samples"),
    ({"stream": stream([([[1, 2, 3]], [1], np.array([-1.0]))])}, ValueError, "entry 0"),
    ({"stream": stream([([[1, 2, 3]], [1], None)], lambda first, count: [0.1])}, ValueError, "rates must be"),
    ({"stream": stream([([[1, 2, 3]], [1], None)], lambda first, count: 1 / 0)}, ZeroDivisionError, "zero"),
    ({"ranks": (0, 1)}, TypeError, "ranks must be"),
    ({"ranks": {"rank": 0, "crew": 1}}, TypeError, "ranks got an unexpected argument 'crew'"),
    ({"ranks": {1: 2}}, TypeError, "ranks got an unexpected argument 1"),
]


@pytest.mark.parametrize(("changed", "error", "text"), SETTINGS)
def test_train_refuses(world, changed, error, text):
    before = world.net.parameters.copy()
    with pytest.raises(error, match=text):
        train(world.net, world.data, **changed)
    assert_same_bits(world.net.parameters, before)
    assert train(world.net, world.data) == 1  # and goes on
    assert (world.net.parameters != before).all()


def a_layer(inputs=3, outputs=2, g="tanh", bias=True, l1=0.0, l2=0.0, dropout=0.0):
    return {
        "inputs": inputs, "outputs": outputs, "activation": g, "bias": bias, "l1": l1, "l2": l2,
        "dropout": dropout,
    }  # fmt: skip


SET_UP = [
    (([], "huber", "float32"), ValueError, "at least one layer"),
    (((), "huber", "float32"), TypeError, "list"),
    (([a_layer()], "huber", "float16"), ValueError, "unknown dtype float16"),
    (([a_layer()], "hubert", "float32"), ValueError, "unknown loss hubert"),
    (([a_layer()], 7, "float32"), TypeError, "bad argument type"),
    (([a_layer()], "huber", 32), TypeError, "dtype to be a str, but it is 32"),
    (([a_layer()], (np.add,), "float32"), TypeError, "2"),
    (([a_layer()], (np.add, 0), "float32"), ValueError, "address of a function must not be 0"),
    (([a_layer()], (np.add, 2**70), "float32"), OverflowError, "large"),
    (([a_layer()], (7.5, np.add), "float32"), TypeError, "callable or an address, not 7.5"),
    (([7], "huber", "float32"), TypeError, "layer must be a dict"),
    (([{"inputs": 3}], "huber", "float32"), TypeError, "layer needs argument 'outputs'"),
    (([a_layer(inputs=0)], "huber", "float32"), ValueError, "inputs to be at least 1, but it is 0"),
    (([a_layer(inputs=2**70)], "huber", "float32"), OverflowError, "cannot fit"),
    (([a_layer(outputs=0)], "huber", "float32"), ValueError, "outputs to be at least 1, but it is 0"),
    (([a_layer(l1=-1)], "huber", "float32"), ValueError, "l1 to be at least 0, but it is -1"),
    (([a_layer(l2=np.nan)], "huber", "float32"), ValueError, "l2 to be at least 0, but it is nan"),
    (([a_layer(l2="1")], "huber", "float32"), TypeError, "real number"),
    (([a_layer(l1=np.inf)], "huber", "float32"), ValueError, "l1 and l2"),
    (([a_layer(dropout=1)], "huber", "float32"), ValueError, "dropout"),
    (([a_layer(dropout=-0.1)], "huber", "float32"), ValueError, "dropout"),
    (([a_layer(g="tan")], "huber", "float32"), ValueError, "unknown activation tan"),
    (([a_layer(), a_layer()], "huber", "float32"), ValueError, "layer 1 has 2 outputs, but layer 2 has 3"),
    (([a_layer(inputs=2**62)], "huber", "float32"), ValueError, "too large"),
    (([a_layer(outputs=2**62)], "huber", "float32"), ValueError, "too large"),
    (([a_layer(inputs=2**30, outputs=2**30)], "huber", "float32"), ValueError, "too large"),
    (([a_layer(inputs=2**40, outputs=2**40)], "huber", "float32"), ValueError, "too large"),
    (([a_layer(inputs=2**40, outputs=2**10)], "huber", "float32"), MemoryError, "parameters, 4 bytes each"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "error", "text"), SET_UP)
def test_a_network_that_cannot_be_set_up(arguments, error, text):
    net = _core.Network()
    with pytest.raises(error, match=text):
        net._setup(*arguments)
    net._setup([a_layer()], "huber", "float32")  # as if nothing had been tried
    assert net.parameters.size == 8
    with pytest.raises(RuntimeError, match="only once"):
        net._setup([a_layer()], "huber", "float32")


X, Y = [[1.0, 2, 3]], [[0.5, 0.5]]
SGD = bp.SGD(0.1)
CALLS = {
    "call": lambda net, *more: net(X, *more),
    "classify": lambda net, *more: net.classify(X, *more),
    "loss": lambda net, *more: net.loss(X, Y, *more),
    "losses": lambda net, *more: net.losses(X, Y, *more),
    "accuracy": lambda net, *more: net.accuracy(X, [0], *more),
    "step": lambda net, *more: net.step(X, Y, SGD, *more),
    "_gradient": lambda net, *more: net._gradient(X, Y, *more),
    "_trace": lambda net, *more: net._trace(X, Y, *more),
    "_jacobian": lambda net, *more: net._jacobian(X, *more),
    "_hessian_vector": lambda net, *more: net._hessian_vector(X, Y, np.zeros(8, "float32"), *more),
    "_room_to_share": lambda net, *more: net._room_to_share(SGD, *more, ranks=2, rows=0),
    "_train": lambda net, *more: train(net, (X, Y)) if not more else net._train(*more),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_network_that_was_never_set_up_and_an_argument_too_many(name):
    net = _core.Network()
    with pytest.raises(RuntimeError, match="__init__ has not been called"):
        CALLS[name](net)
    with pytest.raises(AttributeError, match="__init__ has not been called"):
        net.parameters  # noqa: B018
    net._setup([a_layer()], "huber", "float32")
    CALLS[name](net)
    with pytest.raises(TypeError, match="argument"):
        CALLS[name](net, 7)


def test_names_of_arguments(world):
    x, y = world.data
    for wrong in ({"x": x, "y": y, "z": 1}, {"x": x}, {}):
        with pytest.raises(TypeError, match=r"Network\.loss\(\)"):
            world.net.loss(**wrong)
    with pytest.raises(TypeError, match="more than one argument 'x'"):
        world.net.loss(x, y, x=x)
    with pytest.raises(TypeError, match="argument 'x'"):
        world.net(y=x)
    assert_same_bits(world.net(x=x), world.net(x))
    assert world.net.loss(y=y, x=x) == world.net.loss(x, y)


def test_samples_are_read_before_anything_else(world):
    """Each call that takes samples refuses wrong ones, and is free again."""
    net, (x, y) = world.net, world.data
    direction = np.zeros_like(net.parameters)
    for call in (
        lambda x: net._gradient(x, y, per_sample=True),
        lambda x: net._trace(x, y),
        lambda x: net._jacobian(x),
        lambda x: net._hessian_vector(x, y, direction),
        lambda x: net.step(x, y, bp.SGD(0.1)),
        lambda x: train(net, (x, y)),
    ):
        with pytest.raises(ValueError, match="x must have shape"):
            call(x[:, :2])
        call(x)
    for wrong in (direction[:-1], direction.astype("float32"), np.zeros(2 * direction.size)[::2]):
        with pytest.raises(ValueError, match=f"contiguous array of {direction.size} numbers"):
            net._hessian_vector(x, y, wrong)


def test_an_optimizer(world):
    wrong = np.zeros(3)
    optimizer = _core.Optimizer()
    assert optimizer.state == ()
    optimizer._set_state(())
    with pytest.raises(ValueError, match="a tuple of 0 arrays, or of none, not 1"):
        optimizer._set_state((wrong,))
    with pytest.raises(TypeError, match="optimizer must be one of backprop's"):
        world.net._room_to_share(optimizer, ranks=2, rows=0)
    with pytest.raises(ValueError, match="unknown optimizer sdg"):
        optimizer._setup("sdg")
    with pytest.raises(TypeError, match="argument"):
        optimizer._setup("sgd", lr=1)
    optimizer._setup("adam", beta_1=0.9, beta_2=0.99, epsilon=1e-8)
    for state, error, text in (
        ([wrong, wrong], TypeError, "tuple of arrays"),
        ((wrong,), ValueError, "a tuple of 2 arrays, or of none, not 1"),
        ((wrong, [0.0] * 3), TypeError, "1-D array of float32 or float64"),
        ((wrong, np.zeros((3, 1))), TypeError, "1-D array of float32 or float64"),
        ((wrong, np.zeros(3, "int64")), TypeError, "1-D array of float32 or float64"),
    ):
        with pytest.raises(error, match=text):
            optimizer._set_state(state)
        assert optimizer.state == ()
    optimizer._set_state((wrong, wrong))
    optimizer.lr = 0.1
    with pytest.raises(ValueError, match="a network of 3 parameters of float64, but this one has 26"):
        world.net.step(*world.data, optimizer)
    optimizer._set_state((np.zeros(26, "float32"),) * 2)
    with pytest.raises(ValueError, match="26 parameters of float32, but this one has 26 of float64"):
        world.net.step(*world.data, optimizer)
    optimizer._set_state(())
    world.net.step(*world.data, optimizer)
    assert [array.shape for array in optimizer.state] == [(26,), (26,)]
    with pytest.raises(ValueError, match="lr must be a finite number above 0"):
        del optimizer.lr
    with pytest.raises(TypeError):
        optimizer.lr = "fast"
    with pytest.raises(AttributeError, match="steps can't be deleted"):
        del optimizer.steps
    with pytest.raises(OverflowError):
        optimizer.steps = -1
    assert (optimizer.lr, optimizer.steps) == (0.1, 1)


def test_an_optimizer_that_is_made_again_is_as_new(world):
    """Its states were of the rule before, and maybe of a smaller network: no step may use them."""
    larger = make_network((30, 40, 20), ("tanh", "sigmoid"))
    optimizer, twin = bp.SGD(0.1, momentum=0.9), bp.SGD(0.1)
    world.net.step(*world.data, optimizer)
    optimizer.__init__(0.1)
    assert (optimizer.state, optimizer.steps) == ((), 0)
    again = make_network((30, 40, 20), ("tanh", "sigmoid"))
    larger.step(*make_data(larger, 5), optimizer)
    again.step(*make_data(larger, 5), twin)
    assert_same_bits(larger.parameters, again.parameters)
    optimizer = bp.RMSprop(0.01, momentum=0.5)
    world.net.step(*world.data, optimizer)
    optimizer.__init__(0.01)
    larger.step(*make_data(larger, 5), optimizer)
    optimizer.__init__(0.01, momentum=0.5)
    larger.step(*make_data(larger, 5), optimizer)
    assert [array.size for array in optimizer.state] == 2 * [larger.parameters.size]


def test_a_schedule_that_makes_its_optimizer_again(world):
    """In the middle of what needs the optimizer's states."""

    def schedule(step):
        optimizer.__init__(schedule)
        return 0.1

    optimizer = bp.SGD(schedule, momentum=0.9)
    world.net.step(*world.data, optimizer)
    assert optimizer.state == ()


@pytest.mark.parametrize(
    "bend",
    [
        lambda array: setattr(array, "shape", (1, -1)),
        lambda array: setattr(array, "shape", (array.size, 1)),
        lambda array: setattr(array, "dtype", "int8"),
        lambda array: array.flags.__setattr__("writeable", False),
    ],
)
def test_arrays_of_the_engine_that_users_bend(world, bend):
    """The engine works with its own memory; a new array on it is as it should be."""
    twin, optimizers = make_network((3, 4, 2), ("tanh", "sigmoid")), (bp.Adam(0.1), bp.Adam(0.1))
    for net, optimizer in zip((world.net, twin), optimizers, strict=True):
        net.step(*world.data, optimizer)
        if net is world.net:
            for array in (net.parameters, *optimizer.state):
                bend(array)
        net.step(*world.data, optimizer)
        net.fit(*world.data, optimizer)
    assert_same_bits(world.net.parameters, twin.parameters)
    assert world.net.parameters.flags.writeable
    for bent, right in zip(*(optimizer.state for optimizer in optimizers), strict=True):
        assert_same_bits(bent, right)


def test_a_dict_of_arguments_that_changes_while_it_is_read():
    """What has been read of it stays alive."""
    layer = a_layer(g=("".join(["no", "such"]), 7.5))

    class Changing:
        def __float__(self):
            layer.clear()
            return 0.5

    layer["l1"] = Changing()
    with pytest.raises(TypeError, match="callable or an address"):
        _core.Network()._setup([layer], "huber", "float32")


def test_a_network_that_is_set_up_while_it_is_set_up():
    net = _core.Network()

    class Early:
        def __float__(self):
            net._setup([a_layer()], "huber", "float32")
            return 0.0

    with pytest.raises(RuntimeError, match="only once"):
        net._setup([a_layer(l1=Early())], "huber", "float64")
    assert net.parameters.dtype == "float32"


def test_networks_and_layers_that_are_set_up_twice(world):
    """They are refused, and go on as they were."""
    before = world.net(world.data[0])
    with pytest.raises(RuntimeError, match="only once"):
        world.net.__init__(bp.Layer(2, 2))
    with pytest.raises(RuntimeError, match=r"Layer\(3, 4, 'tanh'\) is in a network: it is set up only once"):
        world.net.layers[0].__init__(30, 40)
    assert_same_bits(world.net(world.data[0]), before)
    assert [layer.inputs for layer in world.net.layers] == [3, 4]
    layer = bp.Layer(2, 3)
    layer.__init__(4, 5)
    assert layer.inputs == 4


def test_functions_at_addresses():
    one = np.arange(6.0).reshape(2, 3)
    for arguments, error, text in (
        ((0, one), ValueError, "an address must not be 0"),
        ((2**70, one), OverflowError, "large"),
        ((1, one, one[:1]), ValueError, "the same shape"),
        ((1, one.astype(complex), one), TypeError, "Cannot cast"),
        ((1, one, one.astype(complex)), TypeError, "Cannot cast"),
        ((1, [1.0]), TypeError, "ndarray"),
        ((1,), TypeError, "2"),
    ):
        with pytest.raises(error, match=text):
            _core.call_address(*arguments)
    with pytest.raises(TypeError, match="a capsule is needed, not 7"):
        _core.capsule_address(7)


def test_dropout_is_drawn_from_somewhere():
    with pytest.raises(ValueError, match="dropout need a bit generator"):
        train(WithDropout(), (np.array(X), np.array(Y)))


class WithDropout(_core.Network):
    """What step draws from is the attribute rng; `missing` leaves one of its parts out."""

    def __init__(self, missing=None, let_go=lambda: None):
        self._setup([a_layer(dropout=0.5), a_layer(inputs=2)], "huber", "float32")
        lock = SimpleNamespace(acquire=lambda: True, release=let_go)
        self.bits = np.random.PCG64(1)  # its capsule does not keep it
        parts = {"lock": lock, "capsule": self.bits.capsule}
        parts.pop(missing, None)
        self.rng = SimpleNamespace(bit_generator=SimpleNamespace(**parts))
        if missing == "rng":
            del self.rng
        elif missing == "bit_generator":
            del self.rng.bit_generator
        elif missing in ("acquire", "release"):
            delattr(lock, missing)


@pytest.mark.parametrize("missing", ["rng", "bit_generator", "lock", "capsule", "acquire", "release"])
def test_a_generator_that_is_not_one(missing):
    net, optimizer = WithDropout(missing), bp.SGD(0.1)
    before = net.parameters.copy()
    with pytest.raises(AttributeError, match=missing):
        net.step(X, Y, optimizer)
    assert optimizer.steps == 0
    assert_same_bits(net.parameters, before)


def test_a_generator_that_is_not_let_go(monkeypatch):
    """The step is made, and what went wrong is reported."""

    def let_go():
        raise OSError("the key is lost")

    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: reported.append(str(report.exc_value)))
    net, optimizer = WithDropout(let_go=let_go), bp.SGD(0.1)
    net.parameters[:] = 0.1
    assert net.step(X, Y, optimizer) > 0
    assert optimizer.steps == 1
    with pytest.raises(ValueError, match="x must have shape"):
        net.step([[1.0]], Y, optimizer)
    assert reported == ["the key is lost"]  # the second one drew nothing


def test_a_batch_of_more_than_all_samples(world):
    """Is one of all."""
    net, twin = world.net, make_network((3, 4, 2), ("tanh", "sigmoid"))
    train(net, world.data, batch_size=100)
    train(twin, world.data, batch_size=5)
    assert_same_bits(net.parameters, twin.parameters)


@pytest.mark.parametrize(("samples", "outputs"), [(2**52, 1024), (2**58, 1)])
def test_more_samples_than_any_memory(samples, outputs):
    net = _core.Network()
    net._setup([a_layer(inputs=1, outputs=outputs)], "squared_error", "float32")
    x, y = (np.broadcast_to(np.zeros(n, "int8"), (samples, n)) for n in (1, outputs))
    with pytest.raises(ValueError, match="too large"):
        net.step(x, y, SGD)
    assert net.step(x[:1], y[:1], bp.SGD(0.1)) == 0


def own(function, derivative=None, loss=False):
    """A network with a function of its own, which nothing has looked at before."""
    pair = function, derivative or function
    net = _core.Network()
    net._setup([a_layer(g="identity" if loss else pair)], pair if loss else "squared_error", "float64")
    return net


def test_a_waiting_call_can_be_interrupted():
    """Another thread has the network: Ctrl-C, or whatever a signal's handler raises, ends the wait."""
    begun, go_on, waited = threading.Event(), threading.Event(), []

    def g(z):
        begun.set()
        waited.append(go_on.wait(10))
        return z

    def interrupted(number, frame):
        raise KeyboardInterrupt

    net = own(g)
    other = threading.Thread(target=net, args=(X,))
    before = signal.signal(signal.SIGALRM, interrupted)
    other.start()
    try:
        assert begun.wait(30)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            net(X)
        assert waited == []
    finally:
        signal.signal(signal.SIGALRM, before)
        go_on.set()
        other.join()
    assert_same_bits(net(X), own(lambda z: z)(X))


def test_referrers_are_found(world):
    """What a type visits can end the visit, as gc.get_referrers does."""
    function = lambda z: z  # noqa: E731
    net, optimizer = own(function), bp.Adam(lambda step: 0.1)
    world.net.step(*world.data, optimizer)
    for owner, thing in (
        (net, _core.Network), (net, net.parameters.base), (net, function), (optimizer, type(optimizer)),
        (optimizer, optimizer.state[1].base), (optimizer, optimizer.lr), (_core, _core.Network),
        (_core, _core.Optimizer), (_core, _core.DivergenceError),
    ):  # fmt: skip
        assert any(found is owner for found in gc.get_referrers(thing))


def test_an_instruction_set_of_no_name(monkeypatch):
    """An empty BACKPROP_ISA is none."""
    spec = importlib.util.find_spec("backprop._core")
    for isa, chosen in (("", _core.candidates[0]), (_core.candidates[-1], _core.candidates[-1])):
        monkeypatch.setenv("BACKPROP_ISA", isa)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert module.isa == chosen
    monkeypatch.setenv("BACKPROP_ISA", "mmx")
    with pytest.raises(ImportError, match="BACKPROP_ISA is 'mmx', but this processor can use only"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


class BitGenerator:
    """NumPy's bitgen_t, whose 32-bit numbers are those that are given, and then `otherwise`."""

    def __init__(self, numbers, otherwise):
        self.left, self.lock = list(numbers), threading.Lock()
        signature = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)
        self.next_uint32 = signature(lambda _: self.left.pop(0) if self.left else otherwise)
        address = ctypes.cast(self.next_uint32, ctypes.c_void_p).value
        self.bitgen = (ctypes.c_void_p * 5)(None, None, address, None, None)  # the state; of 64 bits, 32, ...
        new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        self.name, new = b"BitGenerator", new(("PyCapsule_New", ctypes.pythonapi))
        self.capsule = new(ctypes.addressof(self.bitgen), self.name, None)


def test_an_order_is_drawn_without_a_bias(world):
    """The first of six places is drawn again: products below 2^32 mod 6 = 4 would be one too many."""
    x, y = make_data(world.net, 6)
    generator = BitGenerator([0, 0, 2**31], 2**31 + 1000)  # a bit above the middle
    order = list(range(6))
    for i in range(5, 0, -1):
        j = (i + 1) // 2
        order[i], order[j] = order[j], order[i]
    twin = make_network((3, 4, 2), ("tanh", "sigmoid"))
    train(world.net, (x, y), bit_generator=generator, shuffle=True)
    train(twin, (x[order], y[order]))
    assert_same_bits(world.net.parameters, twin.parameters)
    assert generator.left == []


@pytest.mark.parametrize("changed", [{"norms": True}, {"target_mask": np.ones((5, 2), bool)}])
def test_single_samples_in_other_ways(world, changed):
    """A step of one sample has ways of its own; what they cannot do is done as for any batch."""
    twin = make_network((3, 4, 2), ("tanh", "sigmoid"))
    train(world.net, world.data, batch_size=1, **changed)
    train(twin, world.data, batch_size=1)
    # 5 steps; a parameter is a sum of one term of each
    assert_close(world.net.parameters, twin.parameters, 50 * ROUNDOFF["float64"])


@pytest.mark.parametrize("threads", [1, 3])
def test_a_team_that_diverges(threads):
    net = make_network((3, 90, 2), ("relu", "identity"))
    x, y = make_data(net, 6)
    before = net.parameters.copy()
    with pytest.raises(_core.DivergenceError, match=r"epoch 1: layer 3, net\.layers\[1\]"):
        train(net, (x, y), threads=threads, optimizer=bp.SGD(1e200))
    assert_same_bits(net.parameters, before)


def test_c_functions_and_threads_without_a_share():
    """More threads than rows and panels: some have nothing to call a function for."""
    functions = {name: getattr(ctypes.CDLL(None), name) for name in ("sin", "cos", "fdim", "fmax")}
    address = {name: ctypes.cast(f, ctypes.c_void_p).value for name, f in functions.items()}
    results = []
    for threads in (1, 4):
        net = _core.Network()
        layers = [a_layer(3, 20, (address["sin"], address["cos"])), a_layer(20, 3, "tanh")]
        net._setup(layers, (address["fdim"], address["fmax"]), "float64")
        net.parameters[:] = np.linspace(-1, 1, net.parameters.size)
        x, y = np.linspace(-1, 1, 15).reshape(5, 3), np.linspace(0, 1, 15).reshape(5, 3)
        train(net, (x, y), threads=threads, optimizer=bp.Adam(0.01), validation=(x, y))
        results.append(net.parameters)
    assert_same_bits(*results)
