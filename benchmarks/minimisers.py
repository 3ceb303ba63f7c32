"""Ways to minimise the same C from the same start: `WAYS`, for `whole_batch.py`.

Each is a function of a network's sizes, a seed, x and y. It ends when the mean squared error is at most
`TARGET`, when it gives up, or, for torchimize and pyrenn, after `PATIENCE` seconds of the processor's, and
returns the last error and the number of iterations or calls. SciPy and torchimize go on our residuals,
Jacobian and gradient, the others on their own; scikit-learn has a start of its own.
"""

from __future__ import annotations

import contextlib
import io
import time

import numpy as np

import backprop as bp

PATIENCE = 5.0
TARGET = 1e-10


class Reached(Exception):
    """The target is."""


def network(sizes, seed):
    return bp.Network.dense(*sizes, hidden="tanh", output="identity", dtype="float64", seed=seed)


def value_and_gradient(net, x, y):
    """C and its gradient as SciPy takes them; ends at the target."""

    def f(w, target=-np.inf):
        net.parameters[:] = w
        g = net.gradient(x, y)
        if g.loss <= target:
            raise Reached
        return g.loss, g.parameters.copy()

    return f


def residuals_and_jacobian(net, x, y):
    """r = a - y and J as least_squares takes them; ends at the target."""

    def r(w, target=-np.inf):
        net.parameters[:] = w
        values = (net(x) - y).ravel()
        if values @ values / len(x) <= target:
            raise Reached
        return values

    def jacobian(w, target=-np.inf):
        net.parameters[:] = w
        a, rows = net(x), []
        for j in range(a.shape[1]):
            aimed = a.copy()
            aimed[:, j] -= 0.5
            rows.append(net.gradient(x, aimed, per_sample=True).parameters)
        return np.stack(rows, axis=1).reshape(a.size, -1)

    return r, jacobian


def by_backprop(optimizer):
    def run(sizes, seed, x, y):
        net = network(sizes, seed)
        history = net.fit(
            x, y, optimizer(), epochs=20000 if "LBFGS" in str(optimizer) else 3000, target=TARGET
        )
        return history["loss"][-1], history.epochs

    return run


class Counted:
    """A function of the parameters, with the target, and how often it was called."""

    def __init__(self, function):
        self._function, self.calls = function, 0

    def __call__(self, w):
        self.calls += 1
        return self._function(w, TARGET)


def by_scipy_minimize(memory):
    def run(sizes, seed, x, y):
        from scipy.optimize import minimize

        net = network(sizes, seed)
        f = Counted(value_and_gradient(net, x, y))
        options = {"maxcor": memory, "maxiter": 20000, "maxfun": 100000, "ftol": 0, "gtol": 0}
        with contextlib.suppress(Reached):
            minimize(f, net.parameters.copy(), jac=True, method="L-BFGS-B", options=options)
        return net.loss(x, y), f.calls

    return run


def by_least_squares(method):
    def run(sizes, seed, x, y):
        from scipy.optimize import least_squares

        net = network(sizes, seed)
        if method == "lm" and net.parameters.size > y.size:
            return np.nan, 0
        residuals, jacobian = residuals_and_jacobian(net, x, y)
        r = Counted(residuals)
        with contextlib.suppress(Reached):
            least_squares(
                r,
                net.parameters.copy(),
                jacobian,
                method=method,
                max_nfev=3000,
                ftol=1e-15,
                xtol=1e-15,
                gtol=1e-15,
            )
        return net.loss(x, y), r.calls

    return run


def by_scikit_learn(sizes, seed, x, y):
    from sklearn.neural_network import MLPRegressor

    model = MLPRegressor(
        hidden_layer_sizes=sizes[1:-1],
        activation="tanh",
        solver="lbfgs",
        alpha=0,
        tol=1e-15,
        max_iter=20000,
        max_fun=100000,
        random_state=seed,
    )
    model.fit(x, y.ravel())
    return float(np.mean((model.predict(x) - y.ravel()) ** 2)), model.n_iter_


def by_torch(sizes, seed, x, y):
    import torch

    module = network(sizes, seed).to_torch()
    data, wanted = torch.from_numpy(x), torch.from_numpy(y)
    optimizer = torch.optim.LBFGS(
        module.parameters(),
        max_iter=5000,
        max_eval=50000,
        history_size=50,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )
    calls = 0

    def closure():
        nonlocal calls
        calls += 1
        optimizer.zero_grad()
        loss = ((module(data) - wanted) ** 2).mean()
        if loss.item() <= TARGET:
            raise Reached
        loss.backward()
        return loss

    with contextlib.suppress(Reached):
        optimizer.step(closure)
    return float(((module(data) - wanted) ** 2).mean()), calls


def functional(net):
    """a(module, w, x): module is torch or jax.numpy, and w in the order of net.parameters, which are lost."""
    net.parameters[:] = np.arange(net.parameters.size)
    places = [(layer.weights.astype(int), layer.bias.astype(int)) for layer in net.layers]

    def outputs(module, w, x):
        a = x
        for i, (weights, bias) in enumerate(places):
            z = a @ w[weights].T + w[bias]
            a = module.tanh(z) if i < len(places) - 1 else z
        return a

    return outputs


class Watch:
    """Of the residuals that a method asks for: ends it at the target, or when patience does."""

    def __init__(self):
        self.until, self.calls, self.best = time.process_time() + PATIENCE, 0, np.inf

    def __call__(self, loss):
        self.calls += 1
        self.best = min(self.best, loss)
        if loss <= TARGET or time.process_time() > self.until:
            raise Reached


def by_torchimize(sizes, seed, x, y):
    import torch
    from torchimize.functions import lsq_lma

    net, watch = network(sizes, seed), Watch()
    r, jacobian = residuals_and_jacobian(net, x, y)

    def residuals(w):
        found = r(w.numpy())
        watch(found @ found / len(x))
        return torch.from_numpy(found)

    torch.set_default_dtype(torch.float64)  # its matrices are of the default dtype
    try:
        with contextlib.suppress(Reached):
            lsq_lma(
                torch.from_numpy(net.parameters.copy()),
                residuals,
                lambda w: torch.from_numpy(jacobian(w.numpy())),
                max_iter=3000,
                ftol=0,
                ptol=0,
                gtol=0,
            )
    finally:
        torch.set_default_dtype(torch.float32)
    return watch.best, watch.calls


def by_optimistix(sizes, seed, x, y):
    """Compiled once for each of the sizes."""
    import jax

    net = network(sizes, seed)
    start, outputs = net.parameters.copy(), functional(net)
    found, steps = compiled_by_jax(sizes, outputs, x, y)(jax.numpy.asarray(start))
    r = np.asarray(outputs(jax.numpy, found, x) - y)
    return float(np.mean(np.sum(r**2, axis=1))), int(steps)


COMPILED = {}


def compiled_by_jax(sizes, outputs, x, y):
    import jax
    import optimistix

    jax.config.update("jax_enable_x64", True)

    class UntilTarget(optimistix.LevenbergMarquardt):
        def terminate(self, fn, y, args, options, state, tags):
            ended, result = super().terminate(fn, y, args, options, state, tags)
            reached = jax.numpy.mean(state.f_info.residual**2) <= TARGET
            return ended | (reached & (state.num_accepted_steps > 0)), result

    def solve(start):
        solver = UntilTarget(rtol=1e-15, atol=1e-15)
        found = optimistix.least_squares(
            lambda w, _: (outputs(jax.numpy, w, x) - y).ravel(), solver, start, max_steps=3000, throw=False
        )
        return found.value, found.stats["num_steps"]

    if sizes not in COMPILED:
        COMPILED[sizes] = jax.jit(solve)
    return lambda start: jax.block_until_ready(COMPILED[sizes](start))


def by_pyrenn(sizes, seed, x, y):
    import pyrenn

    net, watch = network(sizes, seed), Watch()
    theirs = pyrenn.CreateNN(list(sizes))
    scale = max(abs(y).max(), 1.0)  # it divides y by that
    of_inputs, of_layers, biases = {}, {}, {}
    for m, layer in enumerate(net.layers, 1):
        by = scale if m == len(net.layers) else 1.0
        if m == 1:
            of_inputs[1, 1, 0] = layer.weights / by
        else:
            of_layers[m, m - 1, 0] = layer.weights / by
        biases[m] = layer.bias / by
    theirs["w"] = pyrenn.Wb2w(theirs, of_inputs, of_layers, biases)
    error = pyrenn.calc_error

    def watched(*given):
        found = error(*given)
        watch(float(found) * scale**2 / len(x))
        return found

    pyrenn.calc_error = watched
    try:
        silent = contextlib.redirect_stdout(io.StringIO())
        with contextlib.suppress(Reached), silent, np.errstate(all="ignore"):
            pyrenn.train_LM(x.T, y.T, theirs, k_max=3000, E_stop=0)
    finally:
        pyrenn.calc_error = error
    return watch.best, watch.calls


WAYS = {
    "backprop LevenbergMarquardt": by_backprop(bp.LevenbergMarquardt),
    "backprop LBFGS": by_backprop(bp.LBFGS),
    "SciPy least_squares lm": by_least_squares("lm"),
    "SciPy least_squares trf": by_least_squares("trf"),
    "SciPy L-BFGS-B, memory 50": by_scipy_minimize(50),
    "SciPy L-BFGS-B, memory 10": by_scipy_minimize(10),
    "scikit-learn lbfgs": by_scikit_learn,
    "PyTorch LBFGS": by_torch,
    "torchimize lsq_lma": by_torchimize,
    "optimistix LevenbergMarquardt": by_optimistix,
    "pyrenn train_LM": by_pyrenn,
}


MODULES = {
    "scikit-learn lbfgs": "sklearn",
    "PyTorch LBFGS": "torch",
    "torchimize lsq_lma": "torchimize",
    "optimistix LevenbergMarquardt": "optimistix",
    "pyrenn train_LM": "pyrenn",
} | {name: "scipy" for name in WAYS if name.startswith("SciPy")}
