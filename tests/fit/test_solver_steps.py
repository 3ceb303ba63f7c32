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


def test_bayesian_penalties_are_mackays_where_a_step_lowers_hardly():
    """γ = Σ 1 - λ diag (JᵀJ + D)⁻¹ with J where the step began, for weights and biases of each layer."""
    x, y = noisy(outputs=2)
    net, optimizer, renewed = network((2, 6, 2)), bp.LevenbergMarquardt(bayesian=True), 0
    groups = slice(0, 12), slice(18, 30), slice(12, 18), slice(30, 32)  # biases lie behind weights
    net.fit(x, y, optimizer, epochs=1)
    for _ in range(30):
        rates = np.array([*optimizer.penalties, *optimizer.bias_penalties])
        penalties = np.repeat(rates[[0, 2, 1, 3]], [12, 6, 12, 2])

        def objective(penalties=penalties):
            return len(x) * net.loss(x, y) + penalties @ net.parameters**2

        before, a, jacobian = objective(), net(x), []
        for j in range(2):
            aimed = a.copy()
            aimed[:, j] -= 0.5
            jacobian.append(net.gradient(x, aimed, per_sample=True).parameters)
        jacobian = np.concatenate(jacobian)
        net.fit(x, y, optimizer, epochs=1)
        found = np.array([*optimizer.penalties, *optimizer.bias_penalties])
        if not (before - objective() < 1e-3 * objective()):
            np.testing.assert_array_equal(found, rates)
            continue
        renewed += 1
        gamma = 1 - penalties * np.diag(np.linalg.inv(jacobian.T @ jacobian + np.diag(penalties)))
        assert optimizer.effective_parameters == pytest.approx(gamma.sum(), rel=1e-8)
        variance = len(x) * net.loss(x, y) / (y.size - gamma.sum())
        expected = [variance * gamma[of].sum() / np.sum(net.parameters[of] ** 2) for of in groups]
        np.testing.assert_allclose(found, [*expected[:3], 0], rtol=1e-7)
    assert 3 <= renewed < 30


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_the_evidence_is_the_density_of_y(scale):
    """Of a linear network without biases it is known: y is normal with variance σ² (1 + xxᵀ / λ)."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(60, 5))
    y = scale * (x @ rng.normal(size=(5, 1)) + rng.normal(size=(60, 1)))
    net = bp.Network(bp.Layer(5, 1, "identity", bias=False), dtype="float64", seed=0)
    optimizer = bp.LevenbergMarquardt(bayesian=True)
    history = net.fit(x, y, optimizer, epochs=100)
    gamma = optimizer.effective_parameters
    variance = 60 * net.loss(x, y) / (60 - gamma)
    covariance = variance * (np.eye(60) + x @ x.T / optimizer.penalties[0])
    logarithm = np.linalg.slogdet(2 * np.pi * covariance)[1]
    density = -(logarithm + (y.T @ np.linalg.solve(covariance, y)).item()) / 2
    assert optimizer.log_evidence == pytest.approx(density, rel=1e-8)
    assert history["log_evidence"][-1] == optimizer.log_evidence
    assert 0 < gamma < 5


def test_what_the_data_do_not_determine_is_given_up_and_not_set_free():
    """A constant input and y of noise alone: λ grows to its bound, and no number is negative or infinite."""
    rng = np.random.default_rng(0)
    x, y = np.ones((50, 3)), rng.normal(size=(50, 1))
    net, optimizer = network((3, 8, 1)), bp.LevenbergMarquardt(bayesian=True)
    net.fit(x, y, optimizer, epochs=300)
    assert np.isfinite(optimizer.log_evidence)
    assert 0 <= optimizer.effective_parameters < 3
    np.testing.assert_allclose(net(x), y.mean(), atol=0.1)


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


def test_lbfgs_forgets_pairs_along_which_what_is_frozen_now_moved():
    """They would move it in the engine's own point, whose C then is not that of the network."""
    x, y = noisy()
    net, optimizer = network((2, 6, 1)), bp.LBFGS()
    net.fit(x, y, optimizer, epochs=10)
    net.layers[0].lr = net.layers[0].bias_lr = 0
    frozen = net.layers[0].weights.copy()
    history = net.fit(x, y, optimizer, epochs=3)
    np.testing.assert_array_equal(net.layers[0].weights, frozen)
    assert history["loss"][-1] == pytest.approx(net.loss(x, y), rel=1e-12)


def test_a_layer_that_the_data_do_not_determine_has_no_negative_penalty():
    """Its γ is rounding, of either sign; y is linear and noisy, so that the first layer's weights go to 0."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 10))
    y = x @ rng.normal(size=(10, 1)) + 2 * rng.normal(size=(300, 1))
    y /= y.std()
    net, optimizer = network((10, 10, 1), seed=1), bp.LevenbergMarquardt(bayesian=True)
    net.fit(x, y, optimizer, epochs=200)
    assert min(optimizer.penalties + optimizer.bias_penalties) >= 0
    assert np.isfinite(optimizer.log_evidence)
    assert net.loss(x, y) < 1
