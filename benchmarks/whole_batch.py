"""Whole-batch optimizers beside others, from the same starts, as Markdown.

1. sin 3x + 0.3 cos 9x on [-1, 1], 200 samples, float64, to a mean squared error of 1e-10: seconds, iterations
   and how many of five seeds get there; `minimisers.py` has the ways.
2. Fifty random problems: the final C beside SciPy's L-BFGS-B and least_squares.
3. Noisy sets: R² on held-out data of many splits, with early stopping and the Bayesian way, beside
   scikit-learn's MLPRegressor with each of seven penalties and with that of its own cross-validation.
4. NARX identification of a dynamic system: one-step error over twenty seeds.

Seconds are the processor's, with one thread. Peers that are not installed are left out and named.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
import warnings

import numpy as np
from minimisers import MODULES, TARGET, WAYS, network, residuals_and_jacobian, value_and_gradient

import backprop as bp


def curve():
    x = np.linspace(-1, 1, 200)[:, None]
    return x, np.sin(3 * x) + 0.3 * np.cos(9 * x)


def is_installed(name):
    try:
        importlib.import_module(MODULES.get(name, "backprop"))
    except ImportError:
        return False
    return True


def to_ten_digits(ways, seeds):
    x, y = curve()
    for sizes in ((1, 10, 1), (1, 20, 20, 1)):
        print(f"\n## {'-'.join(map(str, sizes))} to a mean squared error of {TARGET:g}\n")
        print("Medians of the seeds that get there; s of one thread's processor time.\n")
        print(f"| | seconds | iterations or calls | of {seeds} seeds | best of the rest |")
        print("|---|---:|---:|---:|---:|")
        for name in ways:
            if not is_installed(name):
                print(f"| {name} | not installed | | | |")
                continue
            rows = []
            WAYS[name](sizes, 0, x, y)  # what is made once
            for seed in range(seeds):
                begun = time.process_time()
                loss, count = WAYS[name](sizes, seed, x, y)
                rows.append((loss, time.process_time() - begun, count))
            there = [row for row in rows if row[0] <= TARGET * 1.0001]
            rest = [row[0] for row in rows if not row[0] <= TARGET * 1.0001]
            seconds = f"{statistics.median(row[1] for row in there):.4f}" if there else "never"
            counts = f"{statistics.median(row[2] for row in there):.0f}" if there else ""
            best = "" if not rest else f"{min(rest):.1e}"
            if rest and np.isnan(rest).all():
                best = "takes no fewer residuals than parameters"
            print(f"| {name} | {seconds} | {counts} | {len(there)} | {best} |", flush=True)


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


def by_minimize(net, x, y, iterations, shift=0.0):
    from scipy.optimize import minimize

    found = minimize(
        value_and_gradient(net, x, y),
        net.parameters * (1 + shift),
        jac=True,
        method="L-BFGS-B",
        options={"maxcor": 50, "maxiter": iterations, "maxfun": 10**6, "ftol": 0, "gtol": 1e-12},
    )
    return found.fun


def by_shifted(net, x, y, iterations):
    """What rounding alone makes of it."""
    return by_minimize(net, x, y, iterations, shift=1e-14)


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
        "L-BFGS-B and itself, begun 1e-14 away": (by_shifted, by_minimize),
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


BAYESIAN = ("Bayesian", "Bayesian, of 5 starts that of the largest evidence", "Bayesian, mean of 5 starts")
ALPHAS = (1e-4, 1e-2, 0.1, 1, 3, 10, 30)


def standardized(x, y, train, test):
    """x and y of both parts, in the units of the first."""
    x_mean, x_scale, y_mean, y_scale = x[train].mean(0), x[train].std(0), y[train].mean(), y[train].std()
    x, y = (x - x_mean) / x_scale, (y[:, None] - y_mean) / y_scale
    return x[train], y[train], x[test], y[test]


def by_scikit_learn(alpha, seed, a, b, at, bt):
    from sklearn.neural_network import MLPRegressor

    settings = {"hidden_layer_sizes": (10,), "activation": "tanh", "solver": "lbfgs", "max_iter": 1000}
    model = MLPRegressor(**settings, alpha=alpha, random_state=seed)
    return r_squared(model.fit(a, b.ravel()).predict(at), bt)


def by_bayes(starts, seed, a, b, at, bt):
    """Of one start, of the start with the largest evidence, and of the mean of all."""
    found = []
    for start in range(starts):
        net = network((a.shape[1], 10, 1), seed + 1000 * start)
        optimizer = bp.LevenbergMarquardt(bayesian=True)
        net.fit(a, b, optimizer, epochs=3000, threads=1)
        found.append((optimizer.log_evidence, net(at)))
    outputs = [a for _, a in found]
    best = max(range(starts), key=lambda start: found[start][0])
    return [r_squared(a, bt) for a in (outputs[0], outputs[best], np.mean(outputs, axis=0))]


def by_early_stopping(starts, seed, a, b, at, bt):
    """The mean of networks that each keep a fifth of their own for validation."""
    outputs = []
    for start in range(starts):
        net, stop = network((a.shape[1], 10, 1), seed + 1000 * start), bp.EarlyStopping(patience=30)
        order = np.random.default_rng(1000 * seed + start).permutation(len(a))
        a_own, b_own = a[order], b[order]
        optimizer = bp.LevenbergMarquardt()
        net.fit(a_own, b_own, optimizer, epochs=200, validation=0.2, callbacks=[stop], threads=1)
        outputs.append(net(at))
    return r_squared(np.mean(outputs, axis=0), bt)


def scores_of_split(x, y, seed):
    """R² of each way on the part that none of them has seen."""
    from sklearn.model_selection import KFold, train_test_split

    train, test = train_test_split(np.arange(len(x)), test_size=0.3, random_state=seed)
    data = standardized(x, y, train, test)
    scores = {f"scikit-learn lbfgs, alpha {alpha:g}": by_scikit_learn(alpha, seed, *data) for alpha in ALPHAS}
    folds = [(train[i], train[j]) for i, j in KFold(5, shuffle=True, random_state=seed).split(train)]
    parts = [standardized(x, y, *fold) for fold in folds]
    validated = [np.mean([by_scikit_learn(alpha, seed, *part) for part in parts]) for alpha in ALPHAS]
    scores["scikit-learn lbfgs, alpha by cross-validation"] = list(scores.values())[int(np.argmax(validated))]
    scores |= dict(zip(BAYESIAN, by_bayes(5, seed, *data), strict=True))
    scores["LM, early stopping"] = by_early_stopping(1, seed, *data)
    scores["LM, early stopping, mean of 10"] = by_early_stopping(10, seed, *data)
    return scores


def noisy_sets(splits):
    from sklearn.datasets import load_diabetes, make_friedman1

    sets = {
        "diabetes": load_diabetes(return_X_y=True),
        "friedman1": make_friedman1(n_samples=400, noise=1.0, random_state=0),
    }
    for name, (x, y) in sets.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's, of 1000 iterations
            rows = [scores_of_split(x, y, seed) for seed in range(splits)]
        scores = {key: np.array([row[key] for row in rows]) for key in rows[0]}
        theirs = scores["scikit-learn lbfgs, alpha by cross-validation"]
        print(f"\n{name}: R² on held-out parts of {splits} splits, and less scikit-learn's validated")
        for key, values in scores.items():
            error, less = values.std(ddof=1) / splits**0.5, values - theirs
            error_less = less.std(ddof=1) / splits**0.5
            print(f"  {key:52} {values.mean():.3f} ± {error:.3f}   {less.mean():+.4f} ± {error_less:.4f}")


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
    parser.add_argument("--iterations", type=int, default=100, help="for the second part")
    parser.add_argument("--splits", type=int, default=30, help="for the third part")
    parser.add_argument("--parts", nargs="+", default=["digits", "random", "noisy", "narx"])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), help="for the first part")
    options = parser.parse_args()
    if "digits" in options.parts:
        to_ten_digits(options.ways, options.seeds)
    if "random" in options.parts:
        fifty_problems(50, options.iterations)
    if "noisy" in options.parts:
        noisy_sets(options.splits)
    if "narx" in options.parts:
        narx(4 * options.seeds)


if __name__ == "__main__":
    main()
