"""`LBFGS` and `LevenbergMarquardt` beside SciPy's from the same starts, and on a dynamic system."""

import numpy as np
import pytest

import backprop as bp

optimize = pytest.importorskip("scipy.optimize")
stats = pytest.importorskip("scipy.stats")

PROBLEMS, ITERATIONS = 50, 100
SAME = 1e-3  # losses closer than that are called equal


def network(sizes, seed):
    return bp.Network.dense(*sizes, hidden="tanh", output="identity", dtype="float64", seed=seed)


def problem(seed):
    """Sizes, x and y: outputs of a network of the same sizes, in two of three cases with noise."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5), *rng.integers(3, 13, rng.integers(1, 3)), rng.integers(1, 3)
    x = rng.uniform(-2, 2, (rng.integers(20, 300), sizes[0]))
    teacher = network(sizes, 1000 + seed)
    teacher.parameters[:] *= 2
    return sizes, x, teacher(x) + rng.choice([0, 0.05, 0.3]) * rng.normal(size=(len(x), sizes[-1]))


def by_minimize(net, x, y):
    def value_and_gradient(w):
        net.parameters[:] = w
        g = net.gradient(x, y)
        return g.loss, g.parameters.copy()

    options = {"maxcor": 50, "maxiter": ITERATIONS, "maxfun": 10**6, "ftol": 0, "gtol": 1e-12}
    found = optimize.minimize(
        value_and_gradient, net.parameters.copy(), jac=True, method="L-BFGS-B", options=options
    )
    return found.fun


def by_least_squares(net, x, y):
    def residuals(w):
        net.parameters[:] = w
        return (net(x) - y).ravel()

    def jacobian(w):
        net.parameters[:] = w
        a, rows = net(x), []
        for j in range(a.shape[1]):
            aimed = a.copy()
            aimed[:, j] -= 0.5
            rows.append(net.gradient(x, aimed, per_sample=True).parameters)
        return np.stack(rows, axis=1).reshape(a.size, -1)

    method = "lm" if y.size >= net.parameters.size else "trf"
    ends = {"max_nfev": ITERATIONS, "ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15}
    found = optimize.least_squares(residuals, net.parameters.copy(), jacobian, method=method, **ends)
    return 2 * found.cost / len(x)


@pytest.mark.parametrize(
    ("solver", "theirs"), [(bp.LBFGS, by_minimize), (bp.LevenbergMarquardt, by_least_squares)]
)
def test_no_worse_than_scipy_from_the_same_starts(solver, theirs):
    """A network has many minima, and rounding decides which is found; if neither finds the lower one oftener,
    those where ours is the higher are a binomial number. The sign test is to fail once in a hundred then."""
    lower = higher = 0
    for seed in range(PROBLEMS):
        sizes, x, y = problem(seed)
        ours = network(sizes, seed).fit(x, y, solver(), epochs=ITERATIONS)["loss"][-1]
        ratio = (ours + 1e-16) / (theirs(network(sizes, seed), x, y) + 1e-16)
        lower += ratio < 1 - SAME
        higher += ratio > 1 + SAME
    assert lower + higher > 0
    found = stats.binomtest(higher, lower + higher, alternative="greater")
    assert found.pvalue > 0.01, (lower, higher)


def test_a_dynamic_system_is_identified():
    """Narendra and Parthasarathy's plant (1990), y' = y / (1 + y²) + u³, from two lags of y and u each."""
    rng = np.random.default_rng(0)
    u, y = rng.uniform(-1, 1, 1002), np.zeros(1003)
    for t in range(1002):
        y[t + 1] = y[t] / (1 + y[t] ** 2) + u[t] ** 3
    t = np.arange(1, 1002)
    x, y_next = np.c_[y[t], y[t - 1], u[t], u[t - 1]], y[t + 1]
    for seed in range(4):
        net = network((4, 10, 1), seed)
        history = net.fit(x[:700], y_next[:700], bp.LevenbergMarquardt(), epochs=300, target=1e-7)
        assert history.stopped == "target"
        assert net.loss(x[700:], y_next[700:]) < 1e-5
