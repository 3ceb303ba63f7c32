"""The libraries to compare with, each at its ordinary best, on the same minibatches.

All train sigmoid layers with the squared error summed over outputs and averaged over the batch, plain SGD,
float32. PyTorch's loop is in `backprop.cli.bench`, which needs it as well. Every class is made from a case,
its first parameters and the data, and has `train(pieces)`, `piece` (steps) and `parameters()`; see
`backprop.cli.bench.Peer`.
"""

import concurrent.futures
import functools
import itertools
import time
import warnings

import numpy as np

from backprop.cli.bench import RATE, Backprop, PyTorch

MOST_STEPS = 500  # in a piece, for libraries whose epochs would take long


class NumPy:
    """The same equations by hand; the products are BLAS's."""

    name = "NumPy"

    def __init__(
        self, case, parameters, x, y, *, rate=RATE, shuffle=True, dtype=np.float32, output="sigmoid"
    ):
        self._sigmoids = len(parameters) - (output == "identity")
        self._x, self._y = x.astype(dtype, copy=False), y.astype(dtype, copy=False)
        self._batch, self._rate = case.batch, dtype(rate)
        self._rng = np.random.default_rng(2) if shuffle else None
        self._layers = [(weights.T.astype(dtype), bias.astype(dtype)) for weights, bias in parameters]
        self._left = iter(())
        self.piece = min(len(x) // case.batch, MOST_STEPS)

    def train(self, pieces):
        for _ in range(pieces * self.piece):
            rows = next(self._left, None)
            if rows is None:
                self._left = self._minibatches()
                rows = next(self._left)
            self._step(self._x[rows], self._y[rows])

    def _minibatches(self):
        order = np.arange(len(self._x)) if self._rng is None else self._rng.permutation(len(self._x))
        return iter(order.reshape(-1, self._batch))

    def _step(self, x, y):
        activations = [x]
        for number, (weights, bias) in enumerate(self._layers):
            a = activations[-1] @ weights
            a += bias
            if number < self._sigmoids:
                np.negative(a, out=a)
                np.exp(a, out=a)
                a += 1
                np.reciprocal(a, out=a)
            activations.append(a)
        dC_da = activations[-1] - y
        dC_da *= 2 * self._rate / self._batch  # the rate and the mean, folded in where it is smallest
        for number in range(len(self._layers) - 1, -1, -1):
            weights, bias = self._layers[number]
            a_prev, a = activations[number], activations[number + 1]
            delta = dC_da
            if number < self._sigmoids:
                delta *= a
                delta *= 1 - a
            if number:
                dC_da = delta @ weights.T
            weights -= a_prev.T @ delta
            bias -= delta.sum(0)

    def parameters(self):
        return [(weights.T, bias) for weights, bias in self._layers]


class JAX:
    """An epoch is one call: `lax.scan` over its minibatches, jitted, parameters donated.

    The order of the samples comes from NumPy, which is faster than a permutation within; the minibatches
    are gathered within the scan or all of them before it, whichever is faster here.
    """

    name = "JAX"

    def __init__(self, case, parameters, x, y, *, rate=RATE, shuffle=True):
        import jax
        import jax.numpy as jnp

        self._jax, self._batch, self._rng = jax, case.batch, np.random.default_rng(2) if shuffle else None
        self._parameters = [(jnp.asarray(weights.T), jnp.asarray(bias)) for weights, bias in parameters]
        self._x, self._y = jnp.asarray(x), jnp.asarray(y)
        self.piece = len(x) // case.batch

        def loss(parameters, x, y):
            a = x
            for weights, bias in parameters:
                a = jax.nn.sigmoid(a @ weights + bias)
            return ((a - y) ** 2).sum(1).mean()

        def step(parameters, x, y):
            gradient = jax.grad(loss)(parameters, x, y)
            return jax.tree.map(lambda w, g: w - rate * g, parameters, gradient), None

        def gather_within(parameters, x, y, order):
            return jax.lax.scan(lambda p, rows: step(p, x[rows], y[rows]), parameters, order)[0]

        def gather_before(parameters, x, y, order):
            return jax.lax.scan(lambda p, batch: step(p, *batch), parameters, (x[order], y[order]))[0]

        ways = [jax.jit(way, donate_argnums=0) for way in (gather_within, gather_before)]
        self._epoch = ways[0]
        if shuffle:
            self._epoch = min(ways, key=self._least_seconds)

    def _least_seconds(self, epoch):
        self._epoch = epoch
        times = []
        for _ in range(3):  # the first one compiles
            begin = time.perf_counter()
            self.train(1)
            times.append(time.perf_counter() - begin)
        return min(times)

    def train(self, pieces):
        n = len(self._x)
        for _ in range(pieces):
            order = np.arange(n) if self._rng is None else self._rng.permutation(n)
            order = order.astype(np.int32).reshape(-1, self._batch)
            self._parameters = self._epoch(self._parameters, self._x, self._y, order)
        self._jax.block_until_ready(self._parameters)

    def parameters(self):
        return [(np.asarray(weights).T, np.asarray(bias)) for weights, bias in self._parameters]


class ScikitLearn:
    """`MLPRegressor.partial_fit`: its nearest equal.

    Its output layer is the identity, and its loss is half the squared error; twice the rate makes up for
    that. So it does the work of the others less a sigmoid of the outputs.
    """

    name = "scikit-learn"

    def __init__(self, case, parameters, x, y, *, rate=RATE, shuffle=True):
        from sklearn.neural_network import MLPRegressor

        self.piece = min(len(x) // case.batch, MOST_STEPS)
        samples = self.piece * case.batch
        self._x, self._y = x[:samples], y[:samples].reshape(samples, -1)
        if self._y.shape[1] == 1:
            self._y = self._y.ravel()
        self._model = MLPRegressor(
            hidden_layer_sizes=case.sizes[1:-1],
            activation="logistic",
            solver="sgd",
            alpha=0,
            batch_size=case.batch,
            learning_rate_init=2 * rate,
            shuffle=shuffle,
            momentum=0,
            nesterovs_momentum=False,
            random_state=0,
        )
        self._fit(self._x[: case.batch], self._y[: case.batch])  # makes its arrays
        for (weights, bias), own_weights, own_bias in zip(
            parameters, self._model.coefs_, self._model.intercepts_, strict=True
        ):
            own_weights[...] = weights.T
            own_bias[...] = bias

    def _fit(self, x, y):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._model.partial_fit(x, y)

    def train(self, pieces):
        for _ in range(pieces):
            self._fit(self._x, self._y)

    def parameters(self):
        pairs = zip(self._model.coefs_, self._model.intercepts_, strict=True)
        return [(weights.T, bias) for weights, bias in pairs]


class PyTorchCompiled(PyTorch):
    """The same loop with the network and its loss compiled by `torch.compile`."""

    name = "PyTorch compiled"

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self._compiled = self._torch.compile(super()._loss_of)

    def _loss_of(self, x, y):
        return self._compiled(x, y)


class PyTorchBfloat16(PyTorch):
    """The same loop under `torch.autocast` with bfloat16; the loss and the optimizer stay float32."""

    name = "PyTorch bfloat16"

    def _loss_of(self, x, y):
        with self._torch.autocast("cpu", self._torch.bfloat16):
            a = self.model(x)
        return self._loss(a.float(), y) / len(y)


class Independent:
    """As many fits at once as there are threads, with one thread each: no fit on all of them can pass it."""

    name = "independent fits"

    def __init__(self, case, parameters, x, y, *, threads, **settings):
        self._fits = [Backprop(case, parameters, x, y, threads=1, **settings) for _ in range(threads)]
        self._pool = concurrent.futures.ThreadPoolExecutor(threads)
        self.piece = threads * self._fits[0].piece

    def train(self, pieces):
        list(self._pool.map(lambda fit: fit.train(pieces), self._fits))

    def parameters(self):
        return self._fits[-1].parameters()


PEERS = (PyTorch, JAX, NumPy, ScikitLearn)
LIBRARIES = {
    "backprop": Backprop,
    "backprop, 1 thread": functools.partial(Backprop, threads=1),
    "backprop bfloat16": functools.partial(Backprop, precision="bfloat16"),
    Independent.name: Independent,
    **{peer.name: peer for peer in (PyTorch, PyTorchCompiled, PyTorchBfloat16, JAX, NumPy, ScikitLearn)},
}
ROUNDED = ("backprop bfloat16", PyTorchBfloat16.name)


def make(library, case, threads):
    """What makes a peer of that name, and the share that `check_same` found; None for rounded products."""
    made = LIBRARIES[library]
    if made is Independent:
        made = functools.partial(made, threads=threads)
    if library.startswith("PyTorch"):
        import torch

        torch.set_num_threads(threads)
    return made, None if library in ROUNDED else check_same(library, made, case)


def check_same(library, made, case, steps=5):
    """Makes sure that a library computes what others do: the same parameters after a few unshuffled steps.

    The reference is `NumPy` in float64. A float32 library may be off, in an array of parameters w, by

        steps * u * (max |w| + m * max |w - w at the start|),     u = 2**-24

    as every step rounds each parameter once, to u |w| at most, and makes its change from sums of at most
    m terms, m the largest of the widths and the batch, each sum wrong by m u of itself at most (where its
    terms do not cancel). The change itself must be 100 times that, or nothing would be checked. As
    scikit-learn's output layer is the identity, its reference has that too.

    Returns
    -------
    float
        The largest share of that tolerance that any array took.
    """
    from backprop.cli.bench import first_parameters, make_data

    x, y = make_data(case, steps * case.batch)
    # wider weights than training begins with: the delta of the first of many layers would vanish
    start = [(2 * weights, bias) for weights, bias in first_parameters(case)]
    settings = {"rate": 0.5, "shuffle": False}
    output = "sigmoid"
    if made is ScikitLearn:  # outputs without bounds want a rate that falls with the width before them
        output = "identity"
        settings["rate"] /= case.sizes[-2]
    reference = NumPy(case, start, x, y, **settings, dtype=np.float64, output=output)
    reference.train(steps // reference.piece)
    peer = made(case, start, x, y, **settings)
    peer.train(1)  # all steps, as they are so few
    arrays = [itertools.chain(*pairs) for pairs in (peer.parameters(), reference.parameters(), start)]
    share = max(_share(case, steps, *three) for three in zip(*arrays, strict=True))
    if not share <= 1:
        raise ArithmeticError(
            f"{library} computes something else on {case.name}: {share:.3g} times the tolerance off"
        )
    return share


def _share(case, steps, actual, expected, start):
    change = np.abs(expected - start).max()
    terms = max(*case.sizes, case.batch)
    tolerance = steps * 2.0**-24 * (np.abs(expected).max() + terms * change)
    if not change >= 100 * tolerance:
        raise ArithmeticError(f"the check on {case.name} is vacuous: the parameters changed by {change:.3g}")
    return float(np.abs(actual - expected).max() / tolerance)
