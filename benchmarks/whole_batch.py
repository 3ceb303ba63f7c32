"""Whole-batch optimizers beside others, from the same starts: `python benchmarks/whole_batch.py`.

1. sin 3x + 0.3 cos 9x on [-1, 1], 200 samples, float64, to a mean squared error of 1e-10: seconds, iterations
   and how many of five seeds get there. SciPy and PyTorch use their own loops on our gradient or their own.
2. Fifty random problems: the final C beside SciPy's L-BFGS-B and least_squares.
3. Noisy sets: R² on held-out data, with early stopping and the Bayesian way, beside scikit-learn's
   MLPRegressor.
4. NARX identification of a dynamic system: one-step error over twenty seeds.

Peers that are not installed are left out and named.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
import warnings

import numpy as np

import backprop as bp

TARGET = 1e-10


class Reached(Exception):
    """The target is."""


def curve():
    x = np.linspace(-1, 1, 200)[:, None]
    return x, np.sin(3 * x) + 0.3 * np.cos(9 * x)


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


def by_scipy_minimize(memory):
    def run(sizes, seed, x, y):
        from scipy.optimize import minimize

        net = network(sizes, seed)
        f = value_and_gradient(net, x, y)
        options = {"maxcor": memory, "maxiter": 20000, "maxfun": 100000, "ftol": 0, "gtol": 0}
        calls = 0

        def g(w):
            nonlocal calls
            calls += 1
            return f(w, TARGET)

        with contextlib.suppress(Reached):
            minimize(g, net.parameters.copy(), jac=True, method="L-BFGS-B", options=options)
        return net.loss(x, y), calls

    return run


def by_least_squares(method):
    def run(sizes, seed, x, y):
        from scipy.optimize import least_squares

        net = network(sizes, seed)
        if method == "lm" and net.parameters.size > y.size:
            return np.nan, 0
        r, jacobian = residuals_and_jacobian(net, x, y)
        calls = 0

        def counted(w):
            nonlocal calls
            calls += 1
            return r(w, TARGET)

        with contextlib.suppress(Reached):
            least_squares(
                counted,
                net.parameters.copy(),
                jacobian,
                method=method,
                max_nfev=3000,
                ftol=1e-15,
                xtol=1e-15,
                gtol=1e-15,
            )
        return net.loss(x, y), calls

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
        if float(loss) <= TARGET:
            raise Reached
        loss.backward()
        return loss

    with contextlib.suppress(Reached):
        optimizer.step(closure)
    return float(((module(data) - wanted) ** 2).mean()), calls


WAYS = {
    "backprop LevenbergMarquardt": by_backprop(bp.LevenbergMarquardt),
    "backprop LBFGS": by_backprop(bp.LBFGS),
    "SciPy least_squares lm": by_least_squares("lm"),
    "SciPy least_squares trf": by_least_squares("trf"),
    "SciPy L-BFGS-B, memory 50": by_scipy_minimize(50),
    "SciPy L-BFGS-B, memory 10": by_scipy_minimize(10),
    "scikit-learn lbfgs": by_scikit_learn,
    "PyTorch LBFGS": by_torch,
}


def to_ten_digits(ways, seeds):
    x, y = curve()
    for sizes in ((1, 10, 1), (1, 20, 20, 1)):
        print(
            f"\n{'-'.join(map(str, sizes))} to {TARGET:g}: seconds of those that get there (median), "
            f"of {seeds}"
        )
        for name in ways:
            seconds, best, counts = [], [], []
            try:
                for seed in range(seeds):
                    begun = time.perf_counter()
                    loss, count = WAYS[name](sizes, seed, x, y)
                    taken = time.perf_counter() - begun
                    best.append(loss)
                    if loss <= TARGET * 1.0001:
                        seconds.append(taken)
                        counts.append(count)
            except ImportError as error:
                print(f"  {name:30} not installed: {error.name}")
                continue
            if seconds:
                print(
                    f"  {name:30} {statistics.median(seconds):8.4f} s  {statistics.median(counts):6.0f} "
                    f"iterations or calls  {len(seconds)} of {seeds}"
                )
            elif np.isnan(best).all():
                print(f"  {name:30}    takes no fewer residuals than parameters")
            else:
                print(f"  {name:30}    never                        best {np.nanmin(best):.1e}")


def random_problem(seed):
    rng = np.random.default_rng(seed)
    sizes = (
        int(rng.integers(1, 5)),
        *rng.integers(3, 13, rng.integers(1, 3)).tolist(),
        int(rng.integers(1, 3)),
    )
    x = rng.uniform(-2, 2, (int(rng.integers(20, 300)), sizes[0]))
    teacher = bp.Network.dense(*sizes, hidden="tanh", output="identity", dtype="float64", seed=1000 + seed)
    teacher.parameters[:] *= 2
    y = teacher(x) + rng.choice([0, 0.05, 0.3]) * rng.normal(size=(len(x), sizes[-1]))
    return sizes, x, y


def by_minimize(net, x, y, iterations):
    from scipy.optimize import minimize

    found = minimize(
        value_and_gradient(net, x, y),
        net.parameters.copy(),
        jac=True,
        method="L-BFGS-B",
        options={"maxcor": 50, "maxiter": iterations, "maxfun": 10**6, "ftol": 0, "gtol": 1e-12},
    )
    return found.fun


def by_residuals(net, x, y, iterations):
    from scipy.optimize import least_squares

    r, jacobian = residuals_and_jacobian(net, x, y)
    found = least_squares(
        r,
        net.parameters.copy(),
        jacobian,
        max_nfev=iterations,
        ftol=1e-15,
        xtol=1e-15,
        gtol=1e-15,
        method="lm" if y.size >= net.parameters.size else "trf",
    )
    return 2 * found.cost / len(x)


def by_fit(optimizer):
    return lambda net, x, y, iterations: net.fit(x, y, optimizer(), epochs=iterations)["loss"][-1]


def fifty_problems(count, iterations):
    print(f"\n{count} random problems, {iterations} iterations at most: the final C beside SciPy's")
    pairs = {
        "LBFGS and L-BFGS-B": (by_fit(bp.LBFGS), by_minimize),
        "LevenbergMarquardt and least_squares": (by_fit(bp.LevenbergMarquardt), by_residuals),
    }
    for name, ways in pairs.items():
        losses, seconds = np.empty((2, count)), np.zeros(2)
        for seed in range(count):
            sizes, x, y = random_problem(seed)
            for i, way in enumerate(ways):
                begun = time.perf_counter()
                losses[i, seed] = 1e-16 + way(network(sizes, seed), x, y, iterations)
                seconds[i] += time.perf_counter() - begun
        ratios = losses[0] / losses[1]
        lower, equal = np.sum(ratios < 0.999), np.sum(abs(ratios - 1) <= 0.001)
        print(
            f"  {name}: lower {lower}, equal to 0.1 % {equal}, higher {count - lower - equal}; ratio "
            f"{np.median(ratios):.3g} (median), {np.exp(np.mean(np.log(ratios))):.3g} (geometric mean); "
            f"{seconds[0]:.2f} s against {seconds[1]:.2f} s"
        )


def r_squared(predicted, y):
    return 1 - np.mean((predicted.ravel() - y.ravel()) ** 2) / np.var(y)


def noisy_sets(seeds):
    from sklearn.datasets import load_diabetes, make_friedman1
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPRegressor
    from sklearn.preprocessing import StandardScaler

    sets = {
        "diabetes": load_diabetes(return_X_y=True),
        "friedman1": make_friedman1(n_samples=400, noise=1.0, random_state=0),
    }
    for name, (x, y) in sets.items():
        scores = {}
        for seed in range(seeds):
            x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=seed)
            of_x, of_y = StandardScaler().fit(x_train), StandardScaler().fit(y_train[:, None])
            a, b = of_x.transform(x_train), of_y.transform(y_train[:, None])
            at, bt = of_x.transform(x_test), of_y.transform(y_test[:, None])
            sizes = (a.shape[1], 10, 1)
            net = network(sizes, seed)
            net.fit(a, b, bp.LevenbergMarquardt(bayesian=True), epochs=200)
            scores.setdefault("Bayesian", []).append(r_squared(net(at), bt))
            for key, optimizer in (
                ("LM, early stopping", bp.LevenbergMarquardt()),
                ("LBFGS, early stopping", bp.LBFGS()),
            ):
                net = network(sizes, seed)
                net.fit(
                    a, b, optimizer, epochs=200, validation=0.2, callbacks=[bp.EarlyStopping(patience=30)]
                )
                scores.setdefault(key, []).append(r_squared(net(at), bt))
            for alpha in (1e-4, 1e-2, 1, 10, 100):
                # scikit-learn's C is half of ours, its penalty alpha / n over two, of weights without biases
                l2 = 2 * alpha / len(a)
                net = bp.Network(
                    bp.Layer(a.shape[1], 10, "tanh", l2=l2),
                    bp.Layer(10, 1, "identity", l2=l2),
                    dtype="float64",
                    seed=seed,
                )
                net.fit(a, b, bp.LevenbergMarquardt(), epochs=200)
                scores.setdefault(f"LM with l2, alpha {alpha:g}", []).append(r_squared(net(at), bt))
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    for solver in ("lbfgs", "adam"):
                        model = MLPRegressor(
                            hidden_layer_sizes=(10,),
                            activation="tanh",
                            solver=solver,
                            alpha=alpha,
                            max_iter=1000,
                            random_state=seed,
                        ).fit(a, b.ravel())
                        scores.setdefault(f"scikit-learn {solver}, alpha {alpha:g}", []).append(
                            r_squared(model.predict(at), bt)
                        )
        print(
            f"\n{name}: R² on held-out data, mean over {seeds} splits; of those with alpha the best of five"
        )
        groups = (
            "Bayesian",
            "LM, early",
            "LBFGS, early",
            "LM with l2",
            "scikit-learn lbfgs",
            "scikit-learn adam",
        )
        for group in groups:
            best = max((k for k in scores if k.startswith(group)), key=lambda k: np.mean(scores[k]))
            print(f"  {best:36} {np.mean(scores[best]):.3f}")


def narx_data(samples=1000, seed=0):
    """Narendra and Parthasarathy's plant (1990): y' = y / (1 + y²) + u³, from two lags of y and u each."""
    rng = np.random.default_rng(seed)
    u = rng.uniform(-1, 1, samples + 2)
    y = np.zeros(samples + 3)
    for t in range(samples + 2):
        y[t + 1] = y[t] / (1 + y[t] ** 2) + u[t] ** 3
    t = np.arange(1, samples + 2)
    return np.c_[y[t], y[t - 1], u[t], u[t - 1]], y[t + 1][:, None]


def narx(seeds):
    x, y = narx_data()
    errors, seconds = [], []
    for seed in range(seeds):
        net = network((4, 10, 1), seed)
        begun = time.perf_counter()
        net.fit(x[:700], y[:700], bp.LevenbergMarquardt(), epochs=300, target=1e-7)
        seconds.append(time.perf_counter() - begun)
        errors.append(net.loss(x[700:], y[700:]))
    print(
        f"\nNARX, 4-10-1, 700 samples, {seeds} seeds: mean squared one-step error on 301 others "
        f"{np.median(errors):.1e} (median), {max(errors):.1e} (worst); {statistics.median(seconds):.3f} s"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--parts", nargs="+", default=["digits", "random", "noisy", "narx"])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), help="for the first part")
    options = parser.parse_args()
    if "digits" in options.parts:
        to_ten_digits(options.ways, options.seeds)
    if "random" in options.parts:
        fifty_problems(50, 100)
    if "noisy" in options.parts:
        noisy_sets(options.seeds)
    if "narx" in options.parts:
        narx(4 * options.seeds)


if __name__ == "__main__":
    main()
