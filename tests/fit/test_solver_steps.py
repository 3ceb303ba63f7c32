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


# of 2-6-2: weights of each input, of the second layer; biases
GROUPS = slice(0, 6), slice(6, 12), slice(18, 30), slice(12, 18), slice(30, 32)


def rates_of(optimizer):
    """λ of each group: the first layer's inputs, the other layers' weights, biases of all layers."""
    rates = [optimizer.penalties[0] / optimizer.relevance, optimizer.penalties[1:], optimizer.bias_penalties]
    return np.concatenate(rates)


def jacobian_of(net, x):
    rows = []
    for j in range(net.layers[-1].outputs):
        aimed = net(x)
        aimed[:, j] -= 0.5
        rows.append(net.gradient(x, aimed, per_sample=True).parameters)
    return np.concatenate(rows)


def cost_of(gamma):
    """What a λ costs that was found to within √(2/γ) of six decades."""
    return np.minimum(0, np.log(4 * np.pi / gamma) / 2 - np.log(np.log(1e6)))


class Weighed:
    """γ of each group, σ² and ln p(y) where the parameters of a 2-6-2 network rest with some λ."""

    def __init__(self, net, x, y, jacobian, rates, one):
        penalties = np.repeat(rates[[0, 1, 3, 2, 4]], [6, 6, 6, 12, 2])  # biases lie behind weights
        matrix = jacobian.T @ jacobian + np.diag(penalties)
        gamma = 1 - penalties * np.diag(np.linalg.inv(matrix))
        self.gammas = np.array([gamma[of].sum() for of in GROUPS])
        errors = len(x) * net.loss(x, y)
        self.variance = errors / (y.size - gamma.sum())
        some = penalties[penalties > 0]
        self.log_evidence = (
            cost_of(self.gammas[:3].sum()) if one else cost_of(self.gammas[:4]).sum()
        ) - 0.5 * (
            (errors + penalties @ net.parameters**2) / self.variance
            + np.linalg.slogdet(matrix)[1]
            - np.log(some).sum()
            + (y.size - 2) * np.log(2 * np.pi * self.variance)
        )
        squares = np.array([np.sum(net.parameters[of] ** 2) for of in GROUPS])
        mackays = self.variance * self.gammas / squares
        self.next = [*rates[:3] / 1.5, self.variance / 10, 0] if one else [*mackays[:4], 0]


@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_bayesian_penalties_follow_from_the_evidence(noise):
    """One λ of all weights falls by 1.5 until the evidence has not risen for more than six; from the best of
    these each group's follow MacKay's equation; J is that where the step began."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(80, 2))
    y = np.tanh(x @ rng.normal(size=(2, 2))) ** 2 + noise * rng.normal(size=(80, 2))
    net, optimizer = network((2, 6, 2)), bp.LevenbergMarquardt(bayesian=True)
    first, begun = np.sqrt(y.size * len(x) * net.loss(x, y)) / 6, net.parameters.copy()
    kept, waited, one, weighed, stopped = None, 0, True, [], "epochs"
    while stopped == "epochs":
        rates = rates_of(optimizer) if weighed or optimizer.steps else None
        jacobian = jacobian_of(net, x)
        stopped = net.fit(x, y, optimizer, epochs=1).stopped
        found = rates_of(optimizer)
        if rates is None:
            np.testing.assert_allclose(found[:3], first, rtol=1e-12)
            continue
        if kept is None and (net.parameters == begun).all():  # all weights had gone to 0
            np.testing.assert_allclose(found[:3], rates[:3] / 1.5, rtol=1e-12)
            continue
        if kept is not None and (net.parameters == kept[0]).all():  # gone back
            np.testing.assert_array_equal(found, kept[1])
            assert optimizer.log_evidence == kept[2]
            assert waited == 6 if one else stopped == "settled"
            one = False
            continue
        if (found == rates).all() and stopped == "epochs":
            continue
        here = Weighed(net, x, y, jacobian, rates, one)
        weighed.append(one)
        assert optimizer.effective_parameters == pytest.approx(here.gammas.sum(), rel=1e-6)
        assert optimizer.log_evidence == pytest.approx(here.log_evidence, rel=1e-6, abs=1e-6)
        if one:
            better = kept is None or here.log_evidence > kept[2]
            kept = (net.parameters.copy(), rates, optimizer.log_evidence) if better else kept
            waited = 0 if better else waited + 1
        expected = rates if stopped == "settled" else here.next
        rounding = here.gammas < 1e-7  # what the data do not determine
        np.testing.assert_allclose(found[~rounding], np.array(expected)[~rounding], rtol=1e-6)
        assert (found[rounding] > 1e4).all() or one
    assert stopped == "settled"
    assert weighed.count(True) >= 7
    assert weighed.count(False) > 2
    assert optimizer.log_evidence >= kept[2]


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_the_evidence_is_the_density_of_y(scale):
    """Of a linear network without biases it is known: y is normal with variance σ² (1 + Σ xxᵀ / λ); what λ
    costs comes to it."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(60, 5))
    y = scale * (x @ rng.normal(size=(5, 1)) + rng.normal(size=(60, 1)))
    net = bp.Network(bp.Layer(5, 1, "identity", bias=False), dtype="float64", seed=0)
    optimizer = bp.LevenbergMarquardt(bayesian=True)
    history = net.fit(x, y, optimizer, epochs=1000)
    assert history.stopped == "settled"
    rates = optimizer.penalties[0] / optimizer.relevance
    gammas = 1 - rates * np.diag(np.linalg.inv(x.T @ x + np.diag(rates)))
    assert optimizer.effective_parameters == pytest.approx(gammas.sum(), rel=1e-8)
    variance = 60 * net.loss(x, y) / (60 - gammas.sum())
    covariance = variance * (np.eye(60) + (x / rates) @ x.T)
    logarithm = np.linalg.slogdet(2 * np.pi * covariance)[1]
    density = -(logarithm + (y.T @ np.linalg.solve(covariance, y)).item()) / 2
    cost = cost_of(gammas.sum()) if (rates == rates[0]).all() else cost_of(gammas).sum()
    assert optimizer.log_evidence == pytest.approx(density + cost, rel=1e-6)
    assert history["log_evidence"][-1] == optimizer.log_evidence


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
        network((2, 6, 1)).fit(x[chosen], y[chosen], optimizers[-1], epochs=40, **settings)
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
