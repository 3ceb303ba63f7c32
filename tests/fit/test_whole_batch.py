"""`LBFGS` and `LevenbergMarquardt`: against NumPy, and as part of fit."""

import copy
import itertools
import math
import os
import pickle
import signal
import threading

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import backprop as bp

SOLVERS = (bp.LBFGS, bp.LevenbergMarquardt)


def curve(samples=200):
    x = np.linspace(-1, 1, samples)[:, None]
    return x, np.sin(3 * x) + 0.3 * np.cos(9 * x)


def small_network(dtype="float64", seed=0):
    return bp.Network.dense(1, 10, 1, hidden="tanh", output="identity", dtype=dtype, seed=seed)


def jacobian_of_parameters(net, x):
    """∂a_j/∂w of each sample, (n, outputs, parameters), by targets whose dC/da is 1 in one output."""
    a = net(x)
    rows = []
    for j in range(a.shape[1]):
        y = a.copy()
        y[:, j] -= 0.5
        rows.append(net.gradient(x, y, per_sample=True).parameters)
    return np.stack(rows, axis=1)


def problem(samples, sizes, l2=0.0, weighted=False, masked=False, loss="squared_error"):
    rng = np.random.default_rng(samples)
    x, y = rng.normal(size=(samples, sizes[0])), rng.normal(size=(samples, sizes[-1]))
    layers = [
        bp.Layer(inputs, outputs, "identity" if i == len(sizes) - 2 else "tanh", l2=l2)
        for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes))
    ]
    net = bp.Network(*layers, dtype="float64", seed=1, loss=loss)
    weights = rng.uniform(0.5, 2, samples) if weighted else None
    mask = rng.random(y.shape) < 0.7 if masked else None
    return net, x, y, {"sample_weight": weights, "target_mask": mask}


@pytest.mark.parametrize(
    ("samples", "sizes", "l2", "weighted", "masked"),
    [
        (200, (3, 6, 2), 0.0, False, False),  # JᵀJ, one block
        (2000, (3, 6, 2), 0.0, True, False),  # several blocks
        (5, (3, 6, 2), 0.0, False, False),  # JJᵀ
        (13, (4, 9, 3), 0.0, True, True),  # JJᵀ, blocks that are not whole panels
        (37, (3, 6, 2), 0.01, True, True),
        (700, (9, 17, 17, 3), 0.001, False, False),
    ],
)
def test_a_step_of_levenberg_marquardt_is_numpys(samples, sizes, l2, weighted, masked):
    net, x, y, settings = problem(samples, sizes, l2, weighted, masked)
    w = np.ones(samples) if settings["sample_weight"] is None else settings["sample_weight"]
    mask = np.ones(y.shape) if settings["target_mask"] is None else settings["target_mask"]
    root = np.sqrt(w)[:, None] * mask
    jacobian = (jacobian_of_parameters(net, x) * root[..., None]).reshape(y.size, -1)
    r = ((net(x) - y) * root).ravel()
    before, penalties = net.parameters.copy(), []
    for layer in net.layers:
        penalties += layer.weights.size * [l2 / 2 * w.sum()] + layer.outputs * [0.0]
    damping = 30.0
    matrix = jacobian.T @ jacobian + np.diag(np.array(penalties) + damping)
    step = -np.linalg.solve(matrix, jacobian.T @ r + penalties * before)

    plain = bp.LevenbergMarquardt(damping, acceleration=False)
    history = net.fit(x, y, plain, **settings)
    assert history["damping"] == [damping]  # the step was taken
    np.testing.assert_allclose(net.parameters - before, step, rtol=0, atol=1e-10 * abs(step).max())
    assert history["step"][0] == pytest.approx(np.linalg.norm(step), rel=1e-10)


@pytest.mark.parametrize("samples", [200, 5])
def test_acceleration_is_the_second_derivative_along_the_step(samples):
    net, x, y, _ = problem(samples, (3, 6, 2))
    jacobian, damping = jacobian_of_parameters(net, x).reshape(y.size, -1), 30.0
    matrix = jacobian.T @ jacobian + damping * np.eye(net.parameters.size)
    before = net.parameters.copy()
    step = -np.linalg.solve(matrix, jacobian.T @ (net(x) - y).ravel())

    def outputs(t):
        moved = copy.deepcopy(net)
        moved.parameters[:] = before + t * step
        return moved(x).ravel()

    h = 1e-3  # the fourth derivative leaves h², rounding 1e-16 / h²
    bend = (outputs(h) - 2 * outputs(0) + outputs(-h)) / h**2
    acceleration = -0.5 * np.linalg.solve(matrix, jacobian.T @ bend)
    history = net.fit(x, y, bp.LevenbergMarquardt(damping))
    assert history["damping"] == [damping]
    moved = net.parameters - before - step
    np.testing.assert_allclose(moved, acceleration, rtol=0, atol=1e-5 * abs(acceleration).max())


@pytest.mark.parametrize("loss", ["squared_error", "mean_squared_error"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_linear_network_ends_at_least_squares(solver, loss):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 8)), rng.normal(size=(300, 2))
    net = bp.Network.dense(8, 2, output="identity", loss=loss, dtype="float64", seed=0)
    history = net.fit(x, y, solver(), epochs=100)
    solution = np.linalg.lstsq(np.c_[x, np.ones(300)], y, rcond=None)[0]
    np.testing.assert_allclose(net.parameters.reshape(9, 2), solution, rtol=0, atol=1e-8)
    assert history.stopped in ("gradient", "stalled")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_loss_never_rises(solver, dtype):
    x, y = curve()
    for seed in range(5):
        net = small_network(dtype, seed)
        before = net.loss(x, y)
        history = net.fit(x, y, solver(), epochs=200)
        # float32: LevenbergMarquardt sums the first loss in float64
        assert history["loss"][0] <= before * (1 + 1e-6)
        assert all(np.diff(history["loss"]) <= 0)
        assert history["loss"][-1] == pytest.approx(net.loss(x, y), rel=1e-5 if dtype == "float32" else 1e-12)


def test_levenberg_marquardt_fits_a_curve_to_ten_digits():
    x, y = curve()
    reached = 0
    for seed in range(5):
        history = small_network(seed=seed).fit(x, y, bp.LevenbergMarquardt(), epochs=600, target=1e-10)
        reached += history.stopped == "target" and history["loss"][-1] <= 1e-10 < history["loss"][-2]
    assert reached >= 4


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("samples", "sizes"), [(3000, (5, 30, 3)), (40, (5, 30, 3))])
def test_threads_change_no_bit(solver, samples, sizes):
    net, x, y, _ = problem(samples, sizes)
    runs = []
    for threads in (1, 2, 3):
        own = copy.deepcopy(net)
        history = own.fit(x, y, solver(), epochs=8, threads=threads, validation=(x[:50], y[:50]))
        runs.append((own.parameters.tobytes(), history["loss"], history["validation_loss"]))
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_callbacks_saving_and_a_second_call_change_no_bit(solver, dtype, tmp_path):
    x, y = curve(50)
    net = small_network(dtype)
    watched, resumed, whole = copy.deepcopy(net), copy.deepcopy(net), solver()
    history = net.fit(x, y, whole, epochs=20)
    assert whole.steps == 20
    seen = []
    again = watched.fit(x, y, solver(), epochs=20, callbacks=[lambda n, record: seen.append(dict(record))])
    assert again["loss"] == history["loss"]
    assert [record["loss"] for record in seen] == history["loss"]
    np.testing.assert_array_equal(watched.parameters, net.parameters)

    half = solver()
    resumed.fit(x, y, half, epochs=10)
    resumed.save(tmp_path / "half.safetensors", optimizer=half)
    loaded, optimizer = bp.load(tmp_path / "half.safetensors", optimizer=True)
    assert (type(optimizer), optimizer.settings, optimizer.steps) == (solver, half.settings, 10)
    loaded.fit(x, y, optimizer, epochs=10)
    np.testing.assert_array_equal(loaded.parameters, net.parameters)
    resumed.fit(x, y, copy.deepcopy(half), epochs=10)
    np.testing.assert_array_equal(resumed.parameters, net.parameters)


def bayesian_problem():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 4))
    y = np.tanh(x[:, :1] * x[:, 1:2]) + 0.2 * rng.normal(size=(300, 1))
    return bp.Network.dense(4, 8, 1, hidden="tanh", output="identity", dtype="float64", seed=2), x, y


def test_inputs_that_mean_nothing_lose_their_weights():
    net, x, y = bayesian_problem()
    optimizer = bp.LevenbergMarquardt(bayesian=True)
    assert optimizer.relevance.shape == (0,)
    assert optimizer.penalties == optimizer.bias_penalties == ()
    before = copy.deepcopy(net)
    history = net.fit(x, y, optimizer, epochs=2000)
    assert history.stopped == "settled"
    loose = bp.LevenbergMarquardt(bayesian=True, gradient_tolerance=1.0)  # ends nothing before that
    assert before.fit(x, y, loose, epochs=2000)["loss"][: history.epochs - 1] == history["loss"][:-1]
    assert optimizer.relevance.shape == (4,)
    assert optimizer.relevance.max() == 1
    assert min(optimizer.relevance[:2]) > 100 * max(optimizer.relevance[2:])
    assert abs(net.layers[0].weights[:, 2:]).max() < 0.1 * abs(net.layers[0].weights[:, :2]).max()
    plain, x, y = bayesian_problem()
    plain.fit(x, y, bp.LevenbergMarquardt(), epochs=300)
    x = np.random.default_rng(4).normal(size=(2000, 4))
    errors = [np.mean((n(x) - np.tanh(x[:, :1] * x[:, 1:2])) ** 2) for n in (net, plain)]
    assert errors[0] < errors[1] / 2  # 15 to 20 parameters of 49


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_bayesian_fit_goes_on_to_the_bit_in_every_stage(dtype, tmp_path):
    net, x, y = bayesian_problem()
    if dtype == "float32":
        net = bp.Network.dense(4, 8, 1, hidden="tanh", output="identity", seed=2)
    whole, stages = copy.deepcopy(net), set()
    history = whole.fit(x, y, bp.LevenbergMarquardt(bayesian=True), epochs=2000, threads=2)
    assert history.stopped == "settled"
    optimizer, losses = bp.LevenbergMarquardt(bayesian=True), []
    while True:
        callbacks = [lambda n, record: None][: len(losses) % 2]  # every other time
        part = net.fit(x, y, optimizer, epochs=17, threads=1, callbacks=callbacks)
        losses += part["loss"]
        stages.add(optimizer.state[-1][3])
        if part.stopped != "epochs":
            break
        net.save(tmp_path / "part.safetensors", optimizer=optimizer)
        net, optimizer = bp.load(tmp_path / "part.safetensors", optimizer=True)
    assert losses == history["loss"]
    np.testing.assert_array_equal(net.parameters, whole.parameters)
    assert stages == {1, 2, 3}
    assert net.fit(x, y, optimizer, epochs=500).stopped in ("gradient", "stalled", "epochs")  # λ as they are
    assert net.loss(x, y) == pytest.approx(losses[-1], rel=1e-2)


def test_history_says_what_was_measured():
    x, y = curve(50)
    history = small_network().fit(x, y, bp.LBFGS(), epochs=3, validation=0.2, norms=True)
    assert tuple(history) == (
        "loss",
        "r2",
        "validation_loss",
        "validation_r2",
        "weight_norm",
        "gradient_norm",
        "step",
        "evaluations",
        "seconds",
    )
    assert all(len(history[key]) == 3 for key in history)
    net = small_network()
    history = net.fit(x, y, bp.LevenbergMarquardt(), epochs=3)
    assert tuple(history) == ("loss", "r2", "gradient_norm", "damping", "step", "evaluations", "seconds")
    gradient = net.gradient(x, y).parameters
    assert history["gradient_norm"][-1] == pytest.approx(np.linalg.norm(gradient), rel=1e-9)
    assert history.stopped == "epochs"


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("callbacks", [[], [lambda net, record: None]])
def test_evaluations_are_counted_and_callbacks_cost_none(solver, callbacks):
    calls = []

    def g(z):
        calls.append(1)
        return np.tanh(z)

    own = bp.Activation(g, lambda z: 1 - np.tanh(z) ** 2)
    net = bp.Network.dense(1, 5, 1, hidden=own, output="identity", dtype="float64", seed=0)
    x, y = curve(50)
    del calls[:]
    history = net.fit(x, y, solver(), epochs=30, callbacks=callbacks)
    assert sum(history["evaluations"]) == len(calls)
    assert min(history["evaluations"]) == 1 < history["evaluations"][0]


def move(net, optimizer):
    net.parameters[3] += 0.5


def freeze(net, optimizer):
    net.layers[0].lr = 0


def cut(net, optimizer):
    net.layers[0].mask = np.arange(10)[:, None] % 2 == 0


def restart(net, optimizer):
    optimizer.state[-1][:] = 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("change", [move, freeze, cut, restart])
def test_what_a_callback_changes_holds_from_the_next_iteration_on(solver, dtype, change):
    x, y = curve(50)
    net, optimizer = small_network(dtype), solver()
    apart, other = copy.deepcopy(net), solver()

    def look(network, record):
        if record["epoch"] == 5:
            change(network, optimizer)

    history = net.fit(x, y, optimizer, epochs=12, callbacks=[look])
    losses = apart.fit(x, y, other, epochs=5)["loss"]
    change(apart, other)
    losses += apart.fit(x, y, other, epochs=7)["loss"]
    assert history["loss"] == losses
    assert optimizer.steps == other.steps
    np.testing.assert_array_equal(net.parameters, apart.parameters)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_callback_may_use_the_network_and_so_may_another_thread(solver, threads):
    net, x, y, _ = problem(3000, (5, 30, 3))
    losses = []

    def look(network, record):
        other = threading.Thread(target=lambda: losses.append(network.loss(x, y)))
        other.start()
        other.join()
        if record["epoch"] == 3:
            network.fit(x[:20], y[:20], solver())

    history = net.fit(x, y, solver(), epochs=3, threads=threads, callbacks=[look])
    assert losses == pytest.approx(history["loss"], rel=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_what_a_callback_raises_ends_training_and_nothing_else(solver):
    x, y = curve(50)
    net, optimizer, seen = small_network(), solver(), []

    def fail(network, record):
        seen.append(network.parameters.copy())
        if len(seen) == 3:
            error = bp.DivergenceError("of another network")
            error.epoch = 77
            raise error

    with pytest.raises(bp.DivergenceError, match="of another network") as caught:
        net.fit(x, y, optimizer, epochs=10, callbacks=[fail])
    assert (caught.value.epoch, optimizer.steps) == (77, 3)
    np.testing.assert_array_equal(net.parameters, seen[-1])
    assert net.fit(x, y, optimizer, epochs=2).epochs == 2


@pytest.mark.parametrize("solver", [*SOLVERS, lambda: bp.SGD(0.1)])
def test_why_training_stopped(solver):
    x, y = curve(50)
    assert small_network().fit(x, y, solver(), epochs=5).stopped == "epochs"
    assert small_network().fit(x, y, solver(), epochs=50, target=0.5).stopped == "target"
    stop = small_network().fit(x, y, solver(), epochs=5, callbacks=[lambda net, record: True])
    assert (stop.stopped, stop.epochs) == ("callback", 1)


@pytest.mark.parametrize("solver", SOLVERS)
def test_it_ends_where_the_gradient_is_small_or_nothing_is_lower(solver):
    x, y = curve(50)
    history = small_network().fit(x, y, solver(gradient_tolerance=0.1), epochs=500)
    assert history.stopped == "gradient"
    assert history["gradient_norm"][-1] <= 0.1 * math.sqrt(31)
    net = bp.Network(bp.Layer(1, 1, "identity", init="zeros"), dtype="float64")
    history = net.fit(x, 0 * y, solver(), epochs=10)
    assert (history.stopped, history["step"], history["loss"]) == ("gradient", [0.0], [0.0])
    net = bp.Network.dense(1, 1, output="identity", dtype="float64", seed=0)
    history = net.fit(x, y, solver(gradient_tolerance=0), epochs=500)
    assert history.stopped == "stalled"
    assert history["step"][-1] == 0


def test_early_stopping_keeps_the_best():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(60, 1))
    y = np.sin(3 * x) + 0.3 * rng.normal(size=x.shape)
    net = bp.Network.dense(1, 30, 1, hidden="tanh", output="identity", dtype="float64", seed=0)
    stopper = bp.EarlyStopping(patience=10)
    history = net.fit(
        x[:40], y[:40], bp.LevenbergMarquardt(), epochs=200, validation=(x[40:], y[40:]), callbacks=[stopper]
    )
    assert history.stopped == "callback"
    assert net.loss(x[40:], y[40:]) == pytest.approx(min(history["validation_loss"]), rel=1e-12)


def test_bayesian_regularization_finds_the_noise():
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, size=(200, 1))
    y = np.sin(3 * x) + 0.1 * rng.normal(size=x.shape)
    net = bp.Network.dense(1, 30, 1, hidden="tanh", output="identity", dtype="float64", seed=0)
    plain = copy.deepcopy(net)
    optimizer = bp.LevenbergMarquardt(bayesian=True)
    history = net.fit(x, y, optimizer, epochs=300)
    plain.fit(x, y, bp.LevenbergMarquardt(), epochs=300)
    assert optimizer.effective_parameters == history["effective_parameters"][-1]
    assert 3 < optimizer.effective_parameters < 20  # of 91
    assert all(penalty > 0 for penalty in optimizer.penalties)
    grid = np.linspace(-1, 1, 500)[:, None]
    errors = [np.sqrt(np.mean((n(grid) - np.sin(3 * grid)) ** 2)) for n in (net, plain)]
    assert errors[0] < 0.03  # noise 0.1, about 8 parameters, 200 samples: 0.1 √(8/200) = 0.02
    assert errors[1] > errors[0]


@pytest.mark.parametrize("solver", SOLVERS)
def test_what_is_for_descent_is_refused_by_name(solver):
    x, y = curve(50)
    net, name = small_network(), solver.__name__
    before = net.parameters.copy()
    with pytest.raises(ValueError, match="50 samples at once: batch_size must be None, got 10"):
        net.fit(x, y, solver(), batch_size=10)
    with pytest.raises(ValueError, match=f"{name} takes x and y as arrays"):
        net.fit([(x, y)], None, solver())
    with pytest.raises(ValueError, match="no blocks to shuffle"):
        net.fit(x, y, solver(), shuffle="blocks")
    with pytest.raises(ValueError, match="comm, sharded and sync_every are for descent"):
        net.fit(x, y, solver(), sharded=True)
    for layer, match in ((bp.Layer(1, 9, dropout=0.5), "dropout 0.5"), (bp.Layer(1, 9, l1=0.1), "l1 0.1")):
        with pytest.raises(ValueError, match=match):
            bp.Network(layer, bp.Layer(9, 1)).fit(x, y, solver())
    np.testing.assert_array_equal(net.parameters, before)
    assert net.fit(x, y, solver(), batch_size=50).epochs == 1
    with pytest.raises(TypeError, match="optimizer must be one of backprop's, such as SGD"):
        net.step(x, y, solver())


def test_levenberg_marquardt_refuses_what_is_no_sum_of_squares():
    x, y = curve(50)
    for loss in ("huber", "binary_cross_entropy"):
        with pytest.raises(ValueError, match=f"this network's is {loss}. LBFGS takes any loss"):
            bp.Network.dense(1, 9, 1, loss=loss).fit(x, y, bp.LevenbergMarquardt())
    own = bp.Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2, name="tanh2")
    net = bp.Network.dense(1, 5, 1, hidden=own, output="identity", dtype="float64", seed=0)
    with pytest.raises(ValueError, match="second derivatives"):
        net.fit(x, y, bp.LevenbergMarquardt(acceleration=True))
    same = bp.Network.dense(1, 5, 1, hidden="tanh", output="identity", dtype="float64", seed=0)
    own_loss = net.fit(x, y, bp.LevenbergMarquardt(), epochs=10)["loss"]
    assert own_loss == pytest.approx(
        same.fit(x, y, bp.LevenbergMarquardt(acceleration=False), epochs=10)["loss"], rel=1e-6
    )
    penalized = bp.Network(bp.Layer(1, 1, l2=0.1))
    with pytest.raises(ValueError, match="give one of the two"):
        penalized.fit(x, y, bp.LevenbergMarquardt(bayesian=True))
    with pytest.raises(MemoryError, match="LBFGS needs no matrix"):
        bp.Network.dense(1000, 1000, 1).fit(np.zeros((9999, 1000)), np.zeros(9999), bp.LevenbergMarquardt())


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "huber", "mean_squared_error"])
def test_lbfgs_takes_any_loss(loss):
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(90, 4)), rng.integers(0, 3, 90)
    output = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}.get(loss, "identity")
    net = bp.Network.dense(4, 12, 3, hidden="tanh", output=output, loss=loss, dtype="float64", seed=0)
    before = net.loss(x, labels)
    history = net.fit(x, labels, bp.LBFGS(), epochs=100)
    assert history["loss"][-1] < 0.2 * before
    assert all(np.diff(history["loss"]) <= 0)
    assert history["accuracy"][-1] == net.accuracy(x, labels)


def test_a_state_of_another_network_is_refused():
    x, y = curve(50)
    optimizer = bp.LBFGS(memory=5)
    small_network().fit(x, y, optimizer, epochs=2)
    other = bp.Network.dense(1, 3, 1, dtype="float64")
    with pytest.raises(ValueError, match="another network than one of 10 parameters in 2 layers"):
        other.fit(x, y, optimizer)


@pytest.mark.parametrize("solver", SOLVERS)
def test_what_is_not_finite_at_the_start_is_a_divergence(solver):
    x, y = curve(50)
    net = small_network()
    net.layers[1].weights[0, 0] = np.nan
    with pytest.raises(bp.DivergenceError, match="where training begins") as caught:
        net.fit(x, y, solver(), epochs=3)
    assert (caught.value.epoch, caught.value.layer) == (1, 3)


@pytest.mark.parametrize("settings", [{"memory": 0}, {"gradient_tolerance": -1.0}])
def test_settings_that_make_no_sense(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        bp.LBFGS(**settings)


@pytest.mark.parametrize("settings", [{"acceleration": "no"}, {"bayesian": "no"}, {"bayesian": None}])
def test_what_is_neither_true_nor_false(settings):
    with pytest.raises(TypeError, match=f"{next(iter(settings))} must be True or False"):
        bp.LevenbergMarquardt(**settings)


def test_a_damping_must_be_above_zero():
    with pytest.raises(ValueError, match="damping must be greater than 0"):
        bp.LevenbergMarquardt(0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_ctrl_c_leaves_the_last_whole_iteration(solver):
    """And an optimizer that goes on from there as if nothing had happened."""
    net, x, y, _ = problem(3000, (5, 40, 2))
    optimizer, whole, again = solver(gradient_tolerance=0), solver(gradient_tolerance=0), copy.deepcopy(net)
    threading.Timer(0.6, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        net.fit(x, y, optimizer, epochs=10**6)
    assert optimizer.steps > 0
    history = again.fit(x, y, whole, epochs=optimizer.steps)
    np.testing.assert_array_equal(net.parameters, again.parameters)
    assert history["loss"][-1] == pytest.approx(net.loss(x, y), rel=1e-12)
    net.fit(x, y, optimizer, epochs=2)
    again.fit(x, y, whole, epochs=2)
    np.testing.assert_array_equal(net.parameters, again.parameters)


def test_an_own_function_that_raises_ends_it():
    calls = []

    def g(z):
        calls.append(1)
        if len(calls) > 60:
            raise RuntimeError("enough")
        return np.tanh(z)

    own = bp.Activation(g, lambda z: 1 - np.tanh(z) ** 2)
    net = bp.Network.dense(1, 5, 1, hidden=own, output="identity", dtype="float64", seed=0)
    x, y = curve(50)
    for solver in SOLVERS:
        del calls[:]
        before, optimizer = net.loss(x, y), solver()
        with pytest.raises(RuntimeError, match="enough"):
            net.fit(x, y, optimizer, epochs=1000)
        assert optimizer.steps > 0
        del calls[:]
        assert net.loss(x, y) < before


def test_pickles_and_repr():
    x, y = curve(50)
    for optimizer in (bp.LBFGS(memory=7), bp.LevenbergMarquardt(0.5, bayesian=True)):
        small_network().fit(x, y, optimizer, epochs=4)
        same = pickle.loads(pickle.dumps(optimizer))
        assert (same.settings, same.steps) == (optimizer.settings, 4)
        for one, other in zip(same.state, optimizer.state, strict=True):
            np.testing.assert_array_equal(one, other)
        names = {"bp": bp, "LBFGS": bp.LBFGS, "LevenbergMarquardt": bp.LevenbergMarquardt}
        assert eval(repr(optimizer), names).settings == optimizer.settings


def test_misspelt_attributes_are_refused():
    with pytest.raises(AttributeError, match="finds how far to step itself"):
        bp.LBFGS().lr = 0.1
    with pytest.raises(AttributeError):
        bp.LBFGS().memory = 3


@pytest.mark.parametrize(
    "state",
    [
        lambda pairs, numbers: (pairs, np.array([99.0, 0, 2])),
        lambda pairs, numbers: (pairs, np.array([1.5, 0, 2])),
        lambda pairs, numbers: (pairs, np.array([1.0, 3, 2])),
        lambda pairs, numbers: (pairs, np.array([1.0, 0, 3])),
        lambda pairs, numbers: (pairs * np.nan, numbers),
        lambda pairs, numbers: (pairs.astype("float32"), numbers),
        lambda pairs, numbers: (pairs[:1], numbers),
        lambda pairs, numbers: (numbers, pairs),
    ],
)
def test_a_file_with_a_state_that_cannot_be_is_refused(state, tmp_path):
    path = tmp_path / "net.safetensors"
    x, y = curve(50)
    net, optimizer = small_network(), bp.LBFGS(memory=3)
    net.fit(x, y, optimizer, epochs=2)
    net.save(path, optimizer=optimizer)
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    wrong = state(tensors["optimizer.0"], tensors["optimizer.1"])
    save_file(tensors | {"optimizer.0": wrong[0], "optimizer.1": wrong[1]}, path, metadata)
    with pytest.raises(ValueError, match="is not a saved network, or is damaged"):
        bp.load(path, optimizer=True)


@pytest.mark.parametrize(
    ("tensor", "place", "number"),
    [(2, 0, -1), (2, 3, 4), (2, 3, 0), (2, 3, 1.5), (2, 4, -1), (2, 7, 4), (2, 7, 0.5), (1, 0, -1)],
)
def test_a_file_with_a_bayesian_state_that_cannot_be_is_refused(tensor, place, number, tmp_path):
    path, (net, x, y) = tmp_path / "net.safetensors", bayesian_problem()
    optimizer = bp.LevenbergMarquardt(bayesian=True)
    net.fit(x, y, optimizer, epochs=60)
    net.save(path, optimizer=optimizer)
    assert bp.load(path, optimizer=True)[1].relevance.tolist() == optimizer.relevance.tolist()
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors[f"optimizer.{tensor}"].flat[place] = number
    save_file(tensors, path, metadata)
    with pytest.raises(ValueError, match="which it cannot be"):
        bp.load(path, optimizer=True)
