"""The rules of `LBFGS` and `LevenbergMarquardt` one by one: direction, line search, damping, penalties."""

import copy
import itertools

import numpy as np
import pytest

import backprop as bp


def network(sizes, l2=0.0, seed=0):
    layers = [
        bp.Layer(inputs, outputs, "identity" if i == len(sizes) - 2 else "tanh", l2=l2)
        for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes))
    ]
    return bp.Network(*layers, dtype="float64", seed=seed)


def noisy(samples=120, inputs=2, outputs=1):
    rng = np.random.default_rng(samples)
    x = rng.uniform(-2, 2, (samples, inputs))
    y = np.sin(2 * x[:, :1]) * x[:, -1:] + np.zeros(outputs)
    return x, y + 0.1 * rng.normal(size=y.shape)


def test_lbfgs_goes_along_the_direction_of_bfgs():
    """-H g, with H from the pairs it remembers by the update of the inverse, H = VᵀHV + s sᵀ / s·y with
    V = 1 - y sᵀ / s·y, from (s·y / y·y of the newest) times 1."""
    x, y = noisy()
    net, optimizer, checked = network((2, 6, 1)), bp.LBFGS(memory=4), 0
    net.fit(x, y, optimizer, epochs=1)
    for _ in range(12):  # three times as many as there is room for
        pairs, (count, place, _) = optimizer.state[0], optimizer.state[1].astype(int)
        kept = [pairs[(place - i) % 4] for i in range(count, 0, -1)]  # the oldest first
        newest_s, newest_y = kept[-1]
        h = np.eye(net.parameters.size) * (newest_s @ newest_y) / (newest_y @ newest_y)
        for s, of_gradient in kept:
            v = np.eye(s.size) - np.outer(of_gradient, s) / (s @ of_gradient)
            h = v.T @ h @ v + np.outer(s, s) / (s @ of_gradient)
        before, direction = net.parameters.copy(), -h @ net.gradient(x, y).parameters
        net.fit(x, y, optimizer, epochs=1)
        moved = net.parameters - before
        cosine = moved @ direction / np.linalg.norm(moved) / np.linalg.norm(direction)
        assert cosine == pytest.approx(1, abs=1e-12)
        checked += count == 4
    assert checked >= 8


@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_steps_of_lbfgs_meet_the_strong_wolfe_conditions(l2):
    """In every iteration: C + penalty falls by 1e-4 of what the slope promises, and the slope to 0.9."""
    x, y = noisy()
    net, optimizer = network((2, 6, 1), l2), bp.LBFGS()

    def look():
        g, w = net.gradient(x, y), net.parameters.copy()
        of_weights = np.r_[np.ones(12), np.zeros(6), np.ones(6), 0]  # biases have no penalty
        return g.loss + l2 / 2 * np.sum(of_weights * w**2), g.parameters + l2 * of_weights * w, w

    steps = 0
    value, gradient, w = look()
    for _ in range(60):
        net.fit(x, y, optimizer, epochs=1)
        value_after, gradient_after, w_after = look()
        s = w_after - w
        slope, slope_after = gradient @ s, gradient_after @ s
        assert slope < 0
        assert value_after <= value + 1e-4 * slope + 1e-14
        assert abs(slope_after) <= 0.9 * abs(slope) * (1 + 1e-9)
        steps += np.linalg.norm(s) > 0
        value, gradient, w = value_after, gradient_after, w_after
    assert steps == 60


@pytest.mark.parametrize("samples", [80, 700])  # one block of rows, and several
@pytest.mark.parametrize("solver", [bp.LBFGS, bp.LevenbergMarquardt])
def test_with_l2_a_linear_network_ends_at_ridge_regression(solver, samples):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(samples, 5)), 3 + rng.normal(size=(samples, 2))
    net = network((5, 2), l2=0.3)
    net.fit(x, y, solver(), epochs=100)
    columns = np.c_[x, np.ones(samples)]
    # Σ r² / n + l2/2 Σ w², biases left out
    penalty = np.diag([0.3 / 2 * samples] * 5 + [0.0])
    solution = np.linalg.solve(columns.T @ columns + penalty, columns.T @ y)
    np.testing.assert_allclose(net.parameters.reshape(6, 2), solution, rtol=0, atol=1e-7)


def steps_of(net, x, y, damping):
    """v, a and the loss behind both, by NumPy; a from differences of outputs along v."""
    a = net(x)
    jacobian = net.gradient(x, a - 0.5, per_sample=True).parameters
    r = (a - y).ravel()
    matrix = jacobian.T @ jacobian + damping * np.eye(net.parameters.size)
    v = -np.linalg.solve(matrix, jacobian.T @ r)

    def moved(by):
        other = copy.deepcopy(net)
        other.parameters[:] += by
        return other

    h = 1e-3
    bend = (moved(h * v)(x) - 2 * a + moved(-h * v)(x)).ravel() / h**2
    acceleration = -0.5 * np.linalg.solve(matrix, jacobian.T @ bend)
    return v, acceleration, moved(v + acceleration).loss(x, y)


def test_a_step_that_bends_too_much_is_refused_and_the_damping_doubles_until_one_is_taken():
    x, y = noisy()
    refused = 0
    for seed in range(6):
        net, damping = network((2, 6, 1), seed=seed), 1e-5
        before, expected = net.loss(x, y), damping
        while True:
            v, a, loss = steps_of(net, x, y, expected)
            if np.linalg.norm(a) <= 0.375 * np.linalg.norm(v) and loss < before:
                break
            refused += loss < before
            expected *= 2
        optimizer = bp.LevenbergMarquardt(damping)
        history = net.fit(x, y, optimizer)
        assert history["damping"] == [expected]
        assert optimizer.damping == pytest.approx(expected / 3, rel=1e-12)
    assert refused > 0  # for its acceleration alone


def test_bayesian_penalties_follow_from_targets_that_are_there():
    """N counts residuals: of missing targets there are none. So they are those of the samples alone."""
    x, y = noisy()
    mask = np.arange(len(x)) % 3 > 0
    optimizers = []
    for chosen, settings in ((slice(None), {"target_mask": mask[:, None]}), (mask, {})):
        optimizers.append(bp.LevenbergMarquardt(bayesian=True))
        network((2, 6, 1)).fit(x[chosen], y[chosen], optimizers[-1], epochs=10, **settings)
    for name in ("effective_parameters", "penalties", "damping"):
        assert getattr(optimizers[0], name) == pytest.approx(getattr(optimizers[1], name), rel=1e-6)
