"""Bad input: the type of every error, what it says, and that nothing has changed."""

import re

import numpy as np
import pytest
from conftest import assert_same_bits, make_network

import backprop as bp

X, Y = np.linspace(-1, 1, 15).reshape(5, 3), np.linspace(0, 1, 10).reshape(5, 2)

LONG_DOUBLE = str(np.dtype(np.longdouble))

# name: (x, error, what the text must contain), for a network of 3 inputs and 2 outputs
BAD_X = {
    "too wide": (np.ones((5, 4)), ValueError, ["3", "(5, 4)"]),
    "too narrow": (np.ones((5, 2)), ValueError, ["3", "(5, 2)"]),
    "the wrong way round": (np.ones((3, 5)), ValueError, ["3", "(3, 5)"]),
    "one sample, too wide": (np.ones(4), ValueError, ["3", "(4,)"]),
    "no axis": (np.float64(1), ValueError, ["3", "()"]),
    "a number": (1.5, ValueError, ["3", "()"]),
    "three axes": (np.ones((5, 1, 3)), ValueError, ["3", "(5, 1, 3)"]),
    "no samples": (np.ones((0, 3)), ValueError, ["3", "(0, 3)"]),
    "no columns": (np.ones((5, 0)), ValueError, ["3", "(5, 0)"]),
    "an empty list": ([], ValueError, ["3", "(0,)"]),
    "complex": (np.ones((5, 3), complex), TypeError, ["float", "complex128"]),
    "objects": (np.array([[1, 1, "a"]] * 5, object), TypeError, ["numbers", "'a'"]),
    "strings": (np.full((5, 3), "1"), TypeError, ["float", "<U1"]),
    "bytes": (np.full((5, 3), b"1"), TypeError, ["float", "|S1"]),
    "dates": (np.zeros((5, 3), "M8[s]"), TypeError, ["float", "datetime64[s]"]),
    "durations": (np.zeros((5, 3), "m8[s]"), TypeError, ["float", "timedelta64[s]"]),
    "a structure": (np.zeros((5, 3), "f4,f4"), TypeError, ["float", "f0"]),
    "long doubles": (np.zeros((5, 3), np.longdouble), TypeError, ["float", LONG_DOUBLE]),
    "None": (None, TypeError, ["numbers", "None"]),
    "a string": ("abc", TypeError, ["float", "<U3"]),
    "a dict": ({}, TypeError, ["numbers", "{"]),
    "a ragged list": ([[1.0, 2.0, 3.0], [1.0]], ValueError, ["x must be", "lists of one length"]),
}
if np.dtype(np.longdouble).itemsize == 8:
    del BAD_X["long doubles"]

BAD_Y = {
    "too few": (Y[:4], ValueError, ["(5, 2)", "(4, 2)"]),
    "too many": (np.ones((6, 2)), ValueError, ["(5, 2)", "(6, 2)"]),
    "too wide": (np.ones((5, 3)), ValueError, ["(5, 2)", "(5, 3)"]),
    "a column": (np.ones((5, 1)), ValueError, ["(5, 2)", "(5, 1)"]),
    "three axes": (np.ones((5, 2, 1)), ValueError, ["(5, 2)", "(5, 2, 1)"]),
    "no axis": (np.int64(1), ValueError, ["(5, 2)", "()"]),
    "empty": (np.ones((0, 2)), ValueError, ["(5, 2)", "(0, 2)"]),
    "too few labels": (np.zeros(4, int), ValueError, ["(5, 2)", "(5,)", "(4,)"]),
    "too many labels": (np.zeros(6, int), ValueError, ["(5, 2)", "(5,)", "(6,)"]),
    "a ragged list": ([[1.0, 0.0]] * 4 + [[1.0]], ValueError, ["y must be", "lists of one length"]),
    "a label too high": ([0, 1, 2, 0, 0], ValueError, ["0 to 1", "2"]),
    "a label below zero": ([0, 1, 0, -1, 0], ValueError, ["0 to 1", "-1"]),
    "a huge label": (np.array([0, 2**63, 0, 0, 0], np.uint64), ValueError, ["0 to 1", "9223372036854775808"]),
    "a label of 2^32": (np.array([0, 0, 2**32, 0, 0]), ValueError, ["0 to 1", "4294967296"]),
    "swapped labels": (np.array([0, 1, 0, 256, 0], ">i2"), ValueError, ["0 to 1", "256"]),
    "float labels": (np.zeros(5), TypeError, ["integer", "float64"]),
    "complex": (Y.astype(complex), TypeError, ["float", "complex128"]),
    "objects": (np.where(Y < 0.5, "a", Y.astype(object)), TypeError, ["numbers", "'a'"]),
    "strings": (np.full(5, "cat"), TypeError, ["float", "<U3"]),
    "None": (None, TypeError, ["y"]),
}

CALLS_WITH_X = {
    "call": lambda net, x: net(x),
    "classify": lambda net, x: net.classify(x),
    "trace": lambda net, x: net.trace(x),
    "jacobian": lambda net, x: net.jacobian(x),
}
CALLS_WITH_Y = {
    "loss": lambda net, x, y: net.loss(x, y),
    "losses": lambda net, x, y: net.losses(x, y),
    "accuracy": lambda net, x, y: net.accuracy(x, y),
    "gradient": lambda net, x, y: net.gradient(x, y),
    "per sample": lambda net, x, y: net.gradient(x, y, per_sample=True),
    "step": lambda net, x, y: net.step(x, y, bp.SGD(0.1, momentum=0.5)),
    "fit": lambda net, x, y: net.fit(x, y, bp.SGD(0.1)),
    "validation": lambda net, x, y: net.fit(X, Y, bp.SGD(0.1), validation=(x, y)),
    "check_gradient": lambda net, x, y: net.check_gradient(x, y),
    "explain": lambda net, x, y: net.explain(x, y, j=0, k=0),
    "largest_moves": lambda net, x, y: net.largest_moves(x, y),
    "watch_step": lambda net, x, y: net.watch_step(x, y, bp.SGD(0.1)),
    "hessian_vector": lambda net, x, y: net.hessian_vector(x, y, net.parameters),
}
TRACE_WITH_Y = {"trace": lambda net, x, y: net.trace(x, y)}


def network():
    return make_network((3, 4, 2), ("tanh", "sigmoid"), dtype="float32")


def assert_refused(net, call, error, texts):
    """The error is raised, says all of texts, and the network is as it was."""
    before, state = net.parameters.copy(), net.rng.bit_generator.state
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    message = str(caught.value)
    for text in texts:
        assert text in message, f"{text!r} is not in: {message}"
    assert_same_bits(net.parameters, before)
    assert net.rng.bit_generator.state == state
    assert net.fit(X, Y, bp.SGD(0.1)).epochs == 1


@pytest.mark.parametrize("call", [*CALLS_WITH_X, *CALLS_WITH_Y, "trace with y"])
@pytest.mark.parametrize("bad", BAD_X)
def test_bad_x(bad, call):
    x, error, texts = BAD_X[bad]
    net = network()
    if call in CALLS_WITH_X:
        function = CALLS_WITH_X[call]
        assert_refused(net, lambda: function(net, x), error, texts)
    else:
        function = (CALLS_WITH_Y | {"trace with y": TRACE_WITH_Y["trace"]})[call]
        assert_refused(net, lambda: function(net, x, Y), error, texts)


@pytest.mark.parametrize("call", CALLS_WITH_Y)
@pytest.mark.parametrize("bad", BAD_Y)
def test_bad_y(bad, call):
    y, error, texts = BAD_Y[bad]
    net = network()
    assert_refused(net, lambda: CALLS_WITH_Y[call](net, X, y), error, texts)


@pytest.mark.parametrize("bad", sorted(set(BAD_Y) - {"None"}))
def test_bad_y_of_a_trace(bad):
    """None means no targets there."""
    y, error, texts = BAD_Y[bad]
    net = network()
    assert_refused(net, lambda: net.trace(X, y), error, texts)


@pytest.mark.parametrize(
    ("y", "error", "texts"),
    [
        (np.ones(3), ValueError, ["(2,)", "(3,)"]),
        (np.ones((1, 2)), ValueError, ["(2,)", "(1, 2)"]),
        (2, ValueError, ["0 to 1", "2"]),
        (-1, ValueError, ["0 to 1", "-1"]),
        (1.0, TypeError, ["integer", "float64"]),
        ([], ValueError, ["(2,)", "(0,)"]),
    ],
)
def test_bad_y_of_one_sample(y, error, texts):
    net = network()
    for call in CALLS_WITH_Y.values():
        assert_refused(net, lambda call=call: call(net, X[0], y), error, texts)


@pytest.mark.parametrize(
    ("y", "texts"),
    [(np.ones((5, 2)), ["(5, 1), or (5,)", "(5, 2)"]), (np.ones(4), ["(5, 1), or (5,)", "(4,)"])],
)
def test_bad_y_of_one_output(y, texts):
    net = make_network((3, 1), "sigmoid")
    with pytest.raises(ValueError, match=re.escape(texts[1])) as caught:
        net.loss(X, y)
    assert texts[0] in str(caught.value)


ONES = np.ones(5)
BAD_FIT = {
    "epochs": [(0, ValueError), (-1, ValueError), (1.0, TypeError), ("3", TypeError),
               (True, TypeError), (None, TypeError)],
    "batch_size": [(0, ValueError), (-5, ValueError), (2.0, TypeError), ("all", TypeError)],
    "threads": [(0, ValueError), (-2, ValueError), (1.5, TypeError)],
    "validation": [(X, TypeError), ((X,), TypeError), ((X, Y, Y), ValueError), ((X, Y, ONES, Y), TypeError)],
    "callbacks": [(7, TypeError), ([7], TypeError)],
    "rng": [("abc", (TypeError, ValueError)), (-1, ValueError), (1.5, (TypeError, ValueError))],
    "sample_weight": [
        (np.ones(4), ValueError), (np.ones((5, 2)), ValueError), (-ONES, ValueError),
        (np.nan * ONES, ValueError), (np.inf * ONES, ValueError), (0 * ONES, ValueError),
        (ONES.astype(str), (TypeError, ValueError)), (1j * ONES, (TypeError, ValueError)),
    ],
    "class_weight": [({5: 1.0}, ValueError), ("balance", ValueError)],
}  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "value", "error"),
    [(setting, *pair) for setting, pairs in BAD_FIT.items() for pair in pairs],
    ids=lambda value: repr(value)[:20].replace("\n", ""),
)
def test_bad_settings_of_fit(setting, value, error):
    net = network()
    before, state = net.parameters.copy(), net.rng.bit_generator.state
    with pytest.raises(error) as caught:
        net.fit(X, Y, bp.SGD(0.1), **{setting: value})
    if setting != "rng":
        assert setting in str(caught.value)
    assert_same_bits(net.parameters, before)
    assert net.rng.bit_generator.state == state


@pytest.mark.parametrize("optimizer", [0.1, None, "SGD", bp.SGD])
def test_bad_optimizer(optimizer):
    net = network()
    assert_refused(net, lambda: net.fit(X, Y, optimizer), TypeError, ["SGD"])
    assert_refused(net, lambda: net.step(X, Y, optimizer), TypeError, ["SGD"])


@pytest.mark.parametrize("sizes", [(3, 5, 2), (3, 2)])
def test_optimizer_with_the_state_of_another_network(sizes):
    optimizer, net = bp.SGD(0.1, momentum=0.9), network()
    make_network(sizes, "tanh", dtype="float32").fit(X, Y, optimizer)
    (state,) = optimizer.state
    before = state.copy()
    for train in (net.fit, net.step):
        with pytest.raises(ValueError, match="optimizer"):
            train(X, Y, optimizer)
    assert_same_bits(optimizer.state[0], before)
    assert optimizer.steps == 1


@pytest.mark.parametrize(
    ("arguments", "error", "texts"),
    [
        ({"lr": 0.0}, ValueError, ["lr", "0.0"]),
        ({"lr": -1}, ValueError, ["lr", "-1"]),
        ({"lr": np.nan}, ValueError, ["lr", "nan"]),
        ({"lr": np.inf}, ValueError, ["lr", "inf"]),
        ({"lr": "0.1"}, TypeError, ["lr", "'0.1'"]),
        ({"lr": None}, TypeError, ["lr", "None"]),
        ({"lr": 1j}, TypeError, ["lr", "1j"]),
        ({"lr": 0.1, "momentum": 1.0}, ValueError, ["momentum", "1.0"]),
        ({"lr": 0.1, "momentum": -0.1}, ValueError, ["momentum", "-0.1"]),
        ({"lr": 0.1, "momentum": np.nan}, ValueError, ["momentum", "nan"]),
        ({"lr": 0.1, "weight_decay": -1e-3}, ValueError, ["weight_decay", "-0.001"]),
        ({"lr": 0.1, "weight_decay": np.inf}, ValueError, ["weight_decay", "inf"]),
        ({"lr": 0.1, "nesterov": True}, ValueError, ["nesterov", "momentum"]),
    ],
)
def test_bad_settings_of_sgd(arguments, error, texts):
    with pytest.raises(error) as caught:
        bp.SGD(**arguments)
    for text in texts:
        assert text in str(caught.value)


@pytest.mark.parametrize("lr", [0, -1, np.nan, np.inf])
def test_a_bad_rate_cannot_be_set_later(lr):
    optimizer = bp.SGD(0.1)
    with pytest.raises(ValueError, match="lr"):
        optimizer.lr = lr
    assert optimizer.lr == 0.1


@pytest.mark.parametrize(
    ("make", "nearest"),
    [
        (lambda: bp.Layer(2, 2, "sigmiod"), "sigmoid"),
        (lambda: bp.Layer(2, 2, "ReLU"), "relu"),
        (lambda: bp.Layer(2, 2, "leaky-relu"), "leaky_relu"),
        (lambda: bp.Layer(2, 2, "soft_max"), "softmax"),
        (lambda: bp.Network.dense(2, 3, 2, hidden="tahn"), "tanh"),
        (lambda: bp.Network.dense(2, 2, output="softmaxx"), "softmax"),
        (lambda: bp.Network(bp.Layer(2, 2), loss="squared_eror"), "squared_error"),
        (lambda: bp.Network(bp.Layer(2, 2), loss="crossentropy"), "cross_entropy"),
        (lambda: bp.Layer(2, 2, init="glorott"), "glorot"),
        (lambda: bp.Layer(2, 2, init="zeroes"), "zeros"),
        (lambda: bp.Network(bp.Layer(2, 2), dtype="float46"), "float64"),
        (lambda: bp.Network(bp.Layer(2, 2), dtype="flaot32"), "float32"),
    ],
)
def test_misspelt_names_are_answered_with_the_nearest(make, nearest):
    with pytest.raises(ValueError, match=f"did you mean.*'{nearest}'"):
        make()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: bp.Layer(2, 2, 7), TypeError),
        (lambda: bp.Layer(2, 2, None), TypeError),
        (lambda: bp.Layer(2, 2, init=7), TypeError),
        (lambda: bp.Layer(2, 2, bias="yes"), TypeError),
        (lambda: bp.Network(bp.Layer(2, 2), loss=None), TypeError),
        (lambda: bp.Network(bp.Layer(2, 2), dtype="int32"), ValueError),
        (lambda: bp.Network(bp.Layer(2, 2), dtype=np.float16), ValueError),
        (lambda: bp.Network(bp.Layer(2, 2), seed="abc"), (TypeError, ValueError)),
        (lambda: bp.Network(), ValueError),
        (lambda: bp.Network.dense(2), ValueError),
        (lambda: bp.Network.dense(), ValueError),
        (lambda: bp.Network(2, 3), TypeError),
        (lambda: bp.Network([bp.Layer(2, 2)]), TypeError),
    ],
)
def test_bad_networks(make, error):
    with pytest.raises(error):
        make()


@pytest.mark.parametrize("position", ["inputs", "outputs"])
@pytest.mark.parametrize(
    ("size", "error"),
    [(0, ValueError), (-3, ValueError), (10**12, ValueError), (10**30, ValueError),
     (2.0, TypeError), (2.5, TypeError), ("2", TypeError), (None, TypeError), (True, TypeError)],
)  # fmt: skip
def test_absurd_sizes(position, size, error):
    sizes = (size, 2) if position == "inputs" else (2, size)
    for make in (bp.Layer, bp.Network.dense):
        with pytest.raises(error) as caught:
            make(*sizes)
        assert str(size) in str(caught.value)


def test_a_network_too_large_for_any_memory():
    """Each size is possible, their product is not: refused at once, not after swapping."""
    with pytest.raises((ValueError, MemoryError)):
        bp.Network.dense(2**31 - 1, 2**31 - 1)
    with pytest.raises(MemoryError, match="1000001000000 parameters"):
        bp.Network.dense(10**6, 10**6)


def test_widths_that_do_not_chain_name_both_layers():
    with pytest.raises(ValueError, match="chain") as caught:
        bp.Network(bp.Layer(3, 4), bp.Layer(4, 5, "tanh"), bp.Layer(6, 2, "relu"))
    for text in ("4, 5, 'tanh'", "6, 2, 'relu'", "5", "6"):
        assert text in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda net: net(),
        lambda net: net(X, Y),
        lambda net: net.loss(X),
        lambda net: net.loss(X, Y, Y),
        lambda net: net.loss(X, z=Y),
        lambda net: net.loss(X, Y, x=X),
        lambda net: net.fit(X, Y),
        lambda net: net.fit(X, Y, bp.SGD(0.1), epoch=3),
        lambda net: net.fit(X, Y, bp.SGD(0.1), 3),
        lambda net: net.step(X, Y),
        lambda net: net.gradient(X, Y, True),
        lambda net: bp.Layer(3, 2, "tanh", True),
    ],
)
def test_wrong_arguments(call):
    net = network()
    assert_refused(net, lambda: call(net), TypeError, [])


@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (2,), ()])
def test_an_init_that_returns_the_wrong_shape(shape):
    with pytest.raises(ValueError, match="init"):
        bp.Network(bp.Layer(3, 2, init=lambda rng, wanted: np.zeros(shape)))


def test_a_network_that_was_never_initialised():
    net = bp.Network.__new__(bp.Network)
    for call in (lambda: net(X), lambda: net.loss(X, Y), lambda: net.step(X, Y, bp.SGD(0.1))):
        with pytest.raises((RuntimeError, AttributeError)):
            call()
