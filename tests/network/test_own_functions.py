"""Activations and losses that the user wrote, in Python and in C."""

import ctypes
import ctypes.util
import gc
import itertools
import threading
import weakref

import numpy as np
import pytest
from conftest import assert_close, assert_same_bits, make_data

import backprop as bp

LIBM = ctypes.CDLL(ctypes.util.find_library("m"))


def c_function(name, arguments=1):
    """A function of libm."""
    prototype = ctypes.CFUNCTYPE(ctypes.c_double, *arguments * [ctypes.c_double])
    return prototype((name, LIBM))


def own_tanh():
    return bp.Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2, name="own_tanh")


def own_squared_error():
    return bp.Loss(lambda a, y: ((a - y) ** 2).sum(axis=1), lambda a, y: 2 * (a - y), name="own_squared")


def pair_of(hidden, loss, dtype, sizes=(5, 19, 18, 3), seed=3):
    layers = [bp.Layer(*shape, hidden) for shape in itertools.pairwise(sizes[:-1])]
    return bp.Network(*layers, bp.Layer(*sizes[-2:]), loss=loss, dtype=dtype, seed=seed)


@pytest.mark.parametrize("own", ["activation", "loss", "both"])
def test_a_python_pair_does_what_the_engines_does(own, dtype, roundoff):
    """float64 differs by the last bits of tanh; float32 by its rounding too."""
    hidden = own_tanh() if own != "loss" else "tanh"
    loss = own_squared_error() if own != "activation" else "squared_error"
    net, twin = pair_of(hidden, loss, dtype), pair_of("tanh", "squared_error", dtype)
    twin.parameters[:] = net.parameters
    x, y = make_data(net, 150)
    tolerance = 200 * roundoff
    assert_close(net(x), twin(x), tolerance)
    assert_close(net.losses(x, y), twin.losses(x, y), tolerance)
    assert_close(net.gradient(x, y).parameters, twin.gradient(x, y).parameters, tolerance)
    assert_close(net.gradient(x, y).inputs, twin.gradient(x, y).inputs, tolerance)
    assert_close(net.jacobian(x), twin.jacobian(x), tolerance)
    each = net.gradient(x[:9], y[:9], per_sample=True).parameters
    assert_close(each, twin.gradient(x[:9], y[:9], per_sample=True).parameters, tolerance)
    for mine, its in zip(net.trace(x, y).layers, twin.trace(x, y).layers, strict=True):
        for one, other in zip(mine, its, strict=True):
            assert_close(one, other, tolerance)
    for optimizer in (bp.SGD, bp.Adam):
        one, other = optimizer(0.01), optimizer(0.01)
        histories = [
            network.fit(x, y, o, epochs=2, batch_size=16, shuffle=False, validation=(x, y))
            for network, o in ((net, one), (twin, other))
        ]
        assert_close(histories[0]["loss"], histories[1]["loss"], tolerance)
        assert_close(histories[0]["validation_loss"], histories[1]["validation_loss"], tolerance)
        net.step(x, y, one), twin.step(x, y, other)
    assert_close(net.parameters, twin.parameters, 100 * tolerance)
    assert net.check_gradient(x, y, entries=30).passed


def test_functions_get_whole_layers_in_the_networks_dtype(dtype):
    seen = []

    def g(z):
        seen.append((z.shape, z.dtype))
        return z

    net = bp.Network(bp.Layer(2, 19, bp.Activation(g, np.ones_like)), dtype=dtype)
    seen.clear()
    net(np.zeros((7, 2)))
    assert seen == [((7, 19), np.dtype(dtype))]


def test_step_equals_fit_and_batches_do_not_matter(dtype):
    nets = [pair_of(own_tanh(), own_squared_error(), dtype) for _ in range(2)]
    x, y = make_data(nets[0], 21)
    for _ in range(3):
        nets[0].step(x, y, bp.SGD(0.1))
        nets[1].fit(x, y, bp.SGD(0.1), batch_size=21, shuffle=False, threads=4)
    assert_same_bits(nets[0].parameters, nets[1].parameters)


# C functions.


def test_c_functions_of_all_kinds(dtype):
    sine, cosine = c_function("sin"), c_function("cos")
    kinds = {"ctypes": (sine, cosine)}
    kinds["address"] = tuple(ctypes.cast(f, ctypes.c_void_p).value for f in (sine, cosine))
    cffi = pytest.importorskip("cffi")
    ffi = cffi.FFI()
    ffi.cdef("double sin(double); double cos(double); float sinf(float); double pow(double, double);")
    libm = ffi.dlopen(ctypes.util.find_library("m"))
    kinds["cffi"] = tuple(ffi.addressof(libm, name) for name in ("sin", "cos"))
    scipy = pytest.importorskip("scipy")
    kinds["scipy"] = scipy.LowLevelCallable(sine), scipy.LowLevelCallable(cosine)
    make_capsule = ctypes.pythonapi.PyCapsule_New
    make_capsule.restype, signature = ctypes.py_object, b"double (double)"
    make_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    kinds["capsule"] = tuple(
        scipy.LowLevelCallable(make_capsule(address, signature, None)) for address in kinds["address"]
    )
    x = np.random.default_rng(0).normal(size=(40, 5))
    results = {}
    for kind, (g, g_prime) in kinds.items():
        net = pair_of(bp.Activation(g, g_prime, name="sine"), "squared_error", dtype)
        y = np.zeros((40, 3))
        net.fit(x, y, bp.SGD(0.1), epochs=3, rng=1, threads=3)
        results[kind] = net.parameters.tobytes(), net.jacobian(x).tobytes()
        a = net.layers[0].activation(x.astype(dtype))
        assert a.dtype == dtype
        assert_close(a, np.sin(x), 1e-6)
    assert len(set(results.values())) == 1
    python = pair_of(bp.Activation(np.sin, np.cos), "squared_error", dtype)
    python.fit(x, np.zeros((40, 3)), bp.SGD(0.1), epochs=3, rng=1)
    expected = np.frombuffer(results["ctypes"][0], dtype)
    assert_close(python.parameters, expected, 1e-5 if dtype == "float32" else 1e-13)
    for wrong in (ffi.addressof(libm, "sinf"), ffi.addressof(libm, "pow")):
        with pytest.raises(TypeError, match=r"g must be a double \(double\), got a"):
            bp.Activation(wrong, wrong)


def test_an_object_like_numbas_cfunc():
    class CFunc:
        native_name = "sine"

        def __init__(self, function):
            self.address = ctypes.cast(function, ctypes.c_void_p).value
            self.ctypes = function

        def __call__(self, z):
            raise AssertionError("called in Python")

    g = bp.Activation(CFunc(c_function("sin")), CFunc(c_function("cos")))
    assert bp.Network(bp.Layer(1, 1, g, init=lambda rng, shape: np.ones(shape)))([0.5]) == pytest.approx(
        np.sin(0.5), rel=1e-6
    )
    single = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_float)
    wrong = CFunc(single(("sinf", LIBM))), CFunc(single(("cosf", LIBM)))
    with pytest.raises(TypeError, match="restype = c_double"):
        bp.Activation(*wrong)


def test_a_c_loss(dtype):
    """hypot(a, y) has the derivative a / hypot(a, y); written with callbacks, as libm has no such pair."""
    prototype = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_double)
    derivative = prototype(lambda a, y: a / (a * a + y * y) ** 0.5)
    in_c = bp.Loss(c_function("hypot", 2), derivative, name="hypot")
    in_python = bp.Loss(lambda a, y: np.hypot(a, y).sum(1), lambda a, y: a / np.hypot(a, y), name="hypot")
    nets = [pair_of("tanh", loss, dtype) for loss in (in_c, in_python)]
    x, y = make_data(nets[0], 30)
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    assert_close(nets[0].losses(x, y), nets[1].losses(x, y), tolerance)
    assert_close(in_c(y, y), np.hypot(y, y).sum(axis=1), tolerance)
    for net in nets:
        net.fit(x, y, bp.SGD(0.1), epochs=2, rng=0)
    assert_close(nets[0].parameters, nets[1].parameters, tolerance)


def test_c_functions_must_be_declared_right():
    undeclared = LIBM.sin
    for wrong in (undeclared, c_function("pow", 2)):
        with pytest.raises(TypeError, match="restype = c_double"):
            bp.Activation(wrong, c_function("cos"))
    with pytest.raises(TypeError, match="value must be declared as double"):
        bp.Loss(c_function("sin"), c_function("cos"))
    with pytest.raises(ValueError, match="address"):
        bp.Activation(-1, 5)


# Wrong derivatives.


@pytest.mark.parametrize(
    ("g", "g_prime", "text"),
    [
        (np.tanh, lambda z: 1 - np.tanh(z), r"not the derivative of g: at z = -8\.017 it is 2, but"),
        (np.sin, lambda z: np.cos(z) * (1 + 1e-4), "not the derivative"),
        (lambda z: z * z, lambda z: np.where(z > 1, 0, 2 * z), r"at z = 1\.\d+ it is 0, but the slope of g"),
        (np.sqrt, lambda z: 0.5 / np.sqrt(z), "must be finite everywhere; at z = -8.017"),
        (lambda z: z - z.mean(), np.ones_like, "elementwise"),
        (lambda z: z.sum(), np.ones_like, r"shape \(85,\), got \(\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_wrong_derivative_is_refused_with_its_point(g, g_prime, text):
    with pytest.raises(ValueError, match=text):
        bp.Activation(g, g_prime)


@pytest.mark.parametrize(
    ("g", "g_prime"),
    [
        (lambda z: np.clip(z, 0, 6), lambda z: (z > 0) & (z < 6)),
        (lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2),
        (np.sin, np.cos),
    ],
)
def test_check_gradient_knows_of_kinks_at_whole_numbers(g, g_prime, dtype):
    loss = bp.Loss(lambda a, y: abs(a - y).sum(1), lambda a, y: np.sign(a - y))
    net = pair_of(bp.Activation(g, g_prime), loss, dtype)
    result = net.check_gradient(*make_data(net, 20))
    assert result.passed
    assert result.compared > 100


def test_kinks_at_round_numbers_are_allowed():
    bp.Activation(lambda z: np.clip(z, 0, 6), lambda z: (z > 0) & (z < 6), name="relu6")
    bp.Activation(np.abs, np.sign)


@pytest.mark.parametrize(
    ("value", "derivative", "text"),
    [
        (lambda a, y: ((a - y) ** 2).sum(1), lambda a, y: a - y, r"at a = \[.*\], y = \[.*\] its entry 0 is"),
        (lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y), r"value must return an array of shape \(7,\)"),
        (lambda a, y: ((a - y) ** 2).mean() + a[:, 0], lambda a, y: a, "depends on the others"),
        (lambda a, y: np.full(len(a), np.nan), lambda a, y: a, "finite"),
    ],
)
def test_a_wrong_loss_is_refused(value, derivative, text):
    with pytest.raises(ValueError, match=text):
        bp.Loss(value, derivative)


def test_wrong_arguments():
    for make in (
        lambda: bp.Activation(np.sin),
        lambda: bp.Activation(np.sin, 0.5),
        lambda: bp.Activation("tanh", np.cos),
        lambda: bp.Activation(None),
        lambda: bp.Activation(lambda z: z + 0j, np.ones_like),
        lambda: bp.Loss(np.sin, None),
        lambda: bp.Activation(np.sin, np.cos, name=5),
    ):
        with pytest.raises(TypeError):
            make()
    with pytest.raises(ValueError, match="one of the engine's"):
        bp.Activation(np.sin, np.cos, name="relu")


def test_names():
    assert str(bp.Activation(np.sin, np.cos)) == "sin"
    assert str(bp.Activation(lambda z: z, np.ones_like)) == "lambda"
    assert str(bp.Activation(np.tanh, own_tanh().derivative)) == "custom", "tanh is the engine's"
    net = pair_of(own_tanh(), own_squared_error(), "float32")
    assert net.loss_name == "own_squared"
    assert "own_tanh" in net.summary()
    with pytest.raises(ValueError, match="holds no code"):
        net.save("nowhere")


# Exceptions.


class Trap:
    """tanh, until it has been called some times."""

    def __init__(self):
        self.left = 10**9

    def __call__(self, z):
        self.left -= 1
        if self.left < 0:
            raise ZeroDivisionError("trapped")
        return np.tanh(z)

    def derivative(self, z):
        return 1 - self(z) ** 2


@pytest.mark.parametrize("optimizer", [bp.SGD, bp.Adam])
@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_an_exception_ends_fit_with_the_weights_of_the_last_epoch(optimizer, epochs):
    trap = Trap()
    g = bp.Activation(trap, trap.derivative)
    nets = [pair_of(g, "squared_error", "float64") for _ in range(2)]
    x, y = make_data(nets[0], 20)
    if epochs:
        nets[1].fit(x, y, optimizer(0.1), epochs=epochs, batch_size=5, shuffle=False)
    # An epoch calls it 2 layers x 2 functions x 4 batches = 16 times: from its first to its last call.
    for calls in range(0, 16, 3):
        net, own = pair_of(g, "squared_error", "float64"), optimizer(0.1)
        trap.left = 16 * epochs + calls
        with pytest.raises(ZeroDivisionError, match="trapped"):
            net.fit(x, y, own, epochs=10, batch_size=5, shuffle=False, threads=2)
        trap.left = 10**9
        assert_same_bits(net.parameters, nets[1].parameters)
        assert own.steps == 4 * epochs
        net.fit(x, y, own)


def test_an_exception_leaves_everything_as_it_was():
    trap = Trap()
    net = pair_of(bp.Activation(trap, trap.derivative), "squared_error", "float64")
    x, y = make_data(net, 20)
    before = net.parameters.copy()
    optimizer = bp.SGD(0.1)
    calls = [
        lambda: net(x), lambda: net.loss(x, y), lambda: net.losses(x, y), lambda: net.classify(x),
        lambda: net.gradient(x, y), lambda: net.gradient(x, y, per_sample=True), lambda: net.trace(x, y),
        lambda: net.trace(x), lambda: net.step(x, y, optimizer), lambda: net.jacobian(x),
    ]  # fmt: skip
    for call in calls:
        for calls_left in range(4):
            if calls_left < 2 or call in calls[4:7] or call is calls[8]:
                trap.left = calls_left
                with pytest.raises(ZeroDivisionError):
                    call()
                trap.left = 10**9
    assert_same_bits(net.parameters, before)
    assert optimizer.steps == 0
    net.step(x, y, optimizer)


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (lambda z: z[:1], ValueError),
        (lambda z: z + 1j, TypeError),
        (lambda z: "text", TypeError),
        (lambda z: None, TypeError),
        (lambda z: z.ravel(), ValueError),
    ],
)
def test_a_function_that_changes_its_mind_is_an_error(broken, error):
    mind = [np.sin]
    net = pair_of(bp.Activation(lambda z: mind[0](z), np.cos), "squared_error", "float32")
    mind[0] = broken
    with pytest.raises(error, match="an activation's g must return"):
        net(np.zeros((3, 5)))


def test_a_function_may_not_use_its_own_network():
    nets = []

    def g(z):
        for net in nets:
            net([0, 0, 0, 0, 0])
        return z

    net = pair_of(bp.Activation(g, np.ones_like), "squared_error", "float32")
    nets.append(net)
    with pytest.raises(RuntimeError, match="computing with the network already"):
        net(np.zeros((3, 5)))


def test_a_function_that_holds_its_network_is_freed_with_it():
    class Holder:
        def __call__(self, z):
            return z

    holder = Holder()
    net = bp.Network(bp.Layer(2, 1, bp.Activation(holder, np.ones_like)))
    holder.network = net
    watch = weakref.ref(holder)
    del holder, net
    gc.collect()
    assert watch() is None


def test_two_networks_in_two_python_threads():
    nets = [pair_of(own_tanh(), own_squared_error(), "float64") for _ in range(3)]
    x, y = make_data(nets[0], 30)

    def train(net):
        net.fit(x, y, bp.SGD(0.1), epochs=20, rng=1)

    threads = [threading.Thread(target=train, args=(net,)) for net in nets[:2]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    train(nets[2])
    for net in nets[:2]:
        assert_same_bits(net.parameters, nets[2].parameters)
