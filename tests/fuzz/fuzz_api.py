"""Calls with odd arguments: only the documented exceptions come out, and a refused call changes nothing.

    python tests/fuzz/fuzz_api.py [libFuzzer's options] [folder of a corpus]

needs atheris. An input is a string of choices: which network, which calls, and for each argument a value that
fits or one that does not.
"""

import contextlib
import itertools
import sys
import tempfile
import warnings

import atheris
import numpy as np

with atheris.instrument_imports(include=["backprop"]):
    import backprop as bp
    from backprop import callbacks, check, draw, explain, results  # noqa: F401
    from backprop.fit import loop, reader, streams  # noqa: F401

DOCUMENTED = (TypeError, ValueError, IndexError, KeyError)
FOLDER = tempfile.mkdtemp(prefix="fuzz_api")
ACTIVATIONS = (
    "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "softmax",
)
LOSSES = ("squared_error", "mean_squared_error", "binary_cross_entropy", "cross_entropy", "huber")
DTYPES = ("f4", "f8", "f2", ">f4", ">f8", "i1", "u1", "<i8", ">u2", "?", "c8", "O", "U3", "M8[s]", "g")
NAN, INFINITY = float("nan"), float("inf")


class Broken:
    """Says that it is many things, and is none."""

    shape, ndim, dtype = (3, 2), 2, np.dtype("f4")

    def __len__(self):
        return 3

    def __getitem__(self, key):
        raise IndexError(key)

    def __float__(self):
        raise ValueError("no float")

    def __index__(self):
        raise TypeError("no index")

    def __array__(self, dtype=None, copy=None):
        raise ValueError("no array")


def odd(p):
    """A value that hardly fits anywhere."""
    k = p.ConsumeIntInRange(0, 19)
    if k < 14:
        return (None, True, 0, -1, 2**31, 2**63, -(2**70), 0.5, NAN, INFINITY, "", "tanh", b"x", ())[k]
    return (lambda: [[]], lambda: [1, [2]], dict, Broken, lambda: (lambda *_: None), object)[k - 14]()


def array(p, *shape):
    """An array of about that shape, of any dtype and strides."""
    k = p.ConsumeIntInRange(0, 15)
    if k == 15:
        return odd(p)
    if k == 14:
        shape = (*shape[p.ConsumeIntInRange(0, 1) :], p.ConsumeIntInRange(0, 3))
    dtype = np.dtype(DTYPES[p.ConsumeIntInRange(0, 4 if k < 8 else len(DTYPES) - 1)])
    numbers = np.random.default_rng(p.ConsumeIntInRange(0, 255)).integers(-3, 4, shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a = (numbers / 2 if dtype.kind in "fc" else abs(numbers) % 2).astype(dtype)
    view = p.ConsumeIntInRange(0, 7)
    if view == 1 and a.ndim:
        a = a[::-1]
    elif view == 2:
        a = np.asfortranarray(a)
    elif view == 3 and a.ndim:
        a = np.repeat(a, 2, axis=0)[::2]
    elif view == 4:
        return a.tolist()
    elif view == 5 and a.size and dtype.kind == "f":
        a.flat[p.ConsumeIntInRange(0, a.size - 1)] = (NAN, INFINITY)[p.ConsumeIntInRange(0, 1)]
    elif view == 6:
        a.flags.writeable = False
    return a


def number(p, *usual):
    return odd(p) if p.ConsumeIntInRange(0, 7) == 7 else usual[p.ConsumeIntInRange(0, len(usual) - 1)]


def layer(p, inputs, outputs):
    keywords = {}
    if p.ConsumeIntInRange(0, 3) == 3:
        keywords = {
            "bias": number(p, True, False),
            "init": number(p, "auto", "zeros", "he_normal", "nothing"),
            "l1": number(p, 0, 0.1),
            "l2": number(p, 0, 0.1),
            "dropout": number(p, 0, 0.5),
        }
    return bp.Layer(inputs, outputs, number(p, *ACTIVATIONS), **keywords)


def optimizer(p):
    rate = number(p, 0.1, 0.01, bp.schedules.Cosine(0.1, steps=4), bp.schedules.ReduceOnPlateau(0.1, "loss"))
    kind = p.ConsumeIntInRange(0, 4)
    if kind == 4:
        return odd(p)
    keywords = {"weight_decay": number(p, 0, 0.1)} if p.ConsumeBool() else {}
    if p.ConsumeBool():
        keywords[("clip_norm", "clip_value")[p.ConsumeIntInRange(0, 1)]] = number(p, 1.0, None)
    if kind == 0:
        keywords["momentum"] = number(p, 0, 0.9)
        keywords["nesterov"] = number(p, False, True)
    return (bp.SGD, bp.Adam, bp.AdamW, bp.RMSprop)[kind](rate, **keywords)


def schedule(p):
    kind = p.ConsumeIntInRange(0, 5)
    made = (
        lambda: bp.schedules.Step(number(p, 0.1), number(p, 2), number(p, 0.5)),
        lambda: bp.schedules.Exponential(number(p, 0.1), number(p, 0.5, 2.0)),
        lambda: bp.schedules.Cosine(number(p, 0.1), number(p, 3), number(p, 0, 0.01)),
        lambda: bp.schedules.WarmUp(number(p, 0.1, bp.schedules.Step(0.1, 2)), number(p, 3)),
        lambda: bp.schedules.OneCycle(number(p, 0.1), number(p, 9), *(number(p, 0.3, 25) for _ in range(3))),
        lambda: bp.schedules.ReduceOnPlateau(
            number(p, 0.1), number(p, "loss"), factor=number(p, 0.1), patience=number(p, 1),
            min_delta=number(p, 0), lowest=number(p, 0),
        ),
    )[kind]()
    if kind < 5:
        made(number(p, 0, 5))


def fit(p, net, x, y):
    n = len(x) if hasattr(x, "__len__") else 3
    keywords = {}
    choices = (
        ("epochs", lambda: number(p, 1, 2)),
        ("batch_size", lambda: number(p, 1, 2, 100)),
        ("shuffle", lambda: number(p, True, False, "blocks")),
        ("validation", lambda: number(p, (x, y), 0.5)),
        ("rng", lambda: number(p, 0, np.random.default_rng(0), np.random.PCG64(0))),
        ("threads", lambda: number(p, 1, 2)),
        ("progress", lambda: number(p, False)),
        ("sample_weight", lambda: array(p, n)),
        ("class_weight", lambda: number(p, "balanced", {0: 1.0, 1: 2.0}, {5: 1})),
        ("target_mask", lambda: array(p, n, net.layers[-1].outputs)),
        ("norms", lambda: number(p, True)),
        ("callbacks", lambda: number(p, [bp.EarlyStopping("loss", patience=1)], [print], [3])),
    )
    for name, draw_value in choices:
        if p.ConsumeIntInRange(0, 3) == 3:
            keywords[name] = draw_value()
    if p.ConsumeIntInRange(0, 7) == 7:
        batches = [(x, y)] * 2
        x, y = number(p, batches, lambda: iter(batches), iter(batches), [(x,)], [x, y]), None
    if type(keywords.get("epochs")) is int and keywords["epochs"] > 1000:
        return  # as many as were asked for: years, and a record of each
    with contextlib.redirect_stdout(None):
        net.fit(x, y, optimizer(p), **keywords)


def kernels(p):
    n, i, o = (p.ConsumeIntInRange(0, 18) for _ in range(3))
    k = bp.kernels
    keywords = {"out": array(p, n, o)} if p.ConsumeIntInRange(0, 3) == 3 else {}
    calls = (
        lambda: k.weighted_sum(array(p, n, i), array(p, o, i), array(p, o), **keywords),
        lambda: k.activation(number(p, *ACTIVATIONS), array(p, n, o), **keywords),
        lambda: k.activation_derivative(number(p, *ACTIVATIONS), array(p, n, o), **keywords),
        lambda: k.loss(number(p, *LOSSES), array(p, n, o), array(p, n, o), **keywords),
        lambda: k.loss_derivative(number(p, *LOSSES), array(p, n, o), array(p, n, o), **keywords),
        lambda: k.delta_output(array(p, n, o), array(p, n, o), **keywords),
        lambda: k.delta_output(array(p, n, o), array(p, n, o, o), **keywords),
        lambda: k.delta_hidden(array(p, n, o), array(p, o, i), array(p, n, i), **keywords),
        lambda: k.weight_gradient(array(p, n, o), array(p, n, i), **keywords),
        lambda: k.sgd_update(array(p, o, i), array(p, o, i), number(p, 0.1), **keywords),
    )
    calls[p.ConsumeIntInRange(0, len(calls) - 1)]()


def plane_set(p):
    sets = (bp.datasets.two_spirals, bp.datasets.circles, bp.datasets.xor, bp.datasets.moons)
    samples = number(p, 10, 11, 1)
    if type(samples) is int and samples > 1000:
        return  # as many as were asked for, which may be all of memory
    sets[p.ConsumeIntInRange(0, 3)](samples, noise=number(p, 0, 0.1), rng=number(p, 0, None))


def call(p, net):
    """One call of a network, which changes no parameters unless it returns."""
    inputs, outputs = net.layers[0].inputs, net.layers[-1].outputs
    n = p.ConsumeIntInRange(0, 4)
    shape = (inputs,) if n == 4 else (n, inputs)
    x = array(p, *shape)
    if p.ConsumeIntInRange(0, 3) == 3 and n < 4:
        y = array(p, n)
    else:
        y = array(p, outputs) if n == 4 else array(p, n, outputs)
    calls = (
        lambda: fit(p, net, x, y),
        lambda: fit(p, net, x, y),
        lambda: net.step(x, y, optimizer(p)),
        lambda: net(x),
        lambda: net.classify(x),
        lambda: (net.loss(x, y), net.losses(x, y)),
        lambda: net.accuracy(x, y),
        lambda: net.r2(x, y),
        lambda: net.gradient(x, y, per_sample=number(p, True, False)),
        lambda: net.trace(x, number(p, y, None)),
        lambda: str(net.explain(x, y, number(p, 0, -1), number(p, 0, None), number(p, 0, None))),
        lambda: net.explain(x, y, -1, 0, 0).check(),
        lambda: net.check_gradient(x, y),
        lambda: net.jacobian(x),
        lambda: net.hessian_vector(x, y, array(p, net.parameters.size)),
        lambda: str(net.largest_moves(x, y, number(p, 3))),
        lambda: str(net.watch_step(x, y, optimizer(p))),
        lambda: net.draw(x, y),
        lambda: net.layers[0].__setattr__("weights", array(p, net.layers[0].outputs, inputs)),
        lambda: net.to_c(name=number(p, "f", "1", "int")),
        lambda: net.save(FOLDER + "/net", optimizer=number(p, None, bp.SGD(0.1))),
    )
    calls[p.ConsumeIntInRange(0, len(calls) - 1)]()


def documented(function, *arguments):
    """Whether the call may have changed something; an exception the documents do not name ends it all."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            function(*arguments)
        except bp.DivergenceError:
            return True  # which keeps the weights of the epoch before
        except DOCUMENTED:
            return False
    return True


def make(p):
    sizes = [p.ConsumeIntInRange(1, 18) for _ in range(p.ConsumeIntInRange(2, 4))]
    layers = [layer(p, inputs, outputs) for inputs, outputs in itertools.pairwise(sizes)]
    return bp.Network(*layers, loss=number(p, *LOSSES), dtype=number(p, "float32", "float64", np.float32),
                      seed=number(p, 0, 1))


def run_input(data):
    p = atheris.FuzzedDataProvider(data)
    kind = p.ConsumeIntInRange(0, 15)
    if kind < 3:
        documented((kernels, schedule, plane_set)[kind], p)
        return
    made = []
    if not documented(lambda: made.append(make(p))):
        return
    net = made[0]
    for _ in range(p.ConsumeIntInRange(1, 3)):
        before = net.parameters.tobytes()
        if not documented(call, p, net):
            assert net.parameters.tobytes() == before, "a refused call moved parameters"
        assert net(np.zeros(net.layers[0].inputs)).shape == (net.layers[-1].outputs,)


if __name__ == "__main__":
    atheris.Setup(sys.argv, run_input)
    atheris.Fuzz()
