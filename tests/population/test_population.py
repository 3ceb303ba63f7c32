"""A population gives each member what its own fit would: weights, history, generator, optimizer."""

import copy
import itertools

import numpy as np
import pytest
from alone import first_network, fit_alone

import backprop as bp


def assert_same_member(population, optimizer, i, network, his_optimizer):
    np.testing.assert_array_equal(population.parameters[i], network.parameters, err_msg=f"member {i}")
    assert population.rngs[i].bit_generator.state == network.rng.bit_generator.state
    assert optimizer.member_steps[i] == his_optimizer.steps
    for mine, his in zip(optimizer.of_member(i).state, his_optimizer.state, strict=True):
        np.testing.assert_array_equal(mine, his)


def assert_like_alone(population, network, seed, x, y, optimizer, settings, penalties, own_y):
    """Trains the population twice, and each member alone, and compares all there is."""
    members = len(population)
    networks = [first_network(network, seed, members, i, **penalties) for i in range(members)]
    single = optimizer.members is None
    optimizers = [copy.deepcopy(optimizer) if single else optimizer.of_member(i) for i in range(members)]
    np.testing.assert_array_equal(population.parameters, [net.parameters for net in networks])
    for _ in range(2):
        history = population.fit(x, y, optimizer, **settings)
        for i, alone in enumerate(networks):
            records, diverged = fit_alone(alone, x, y, optimizers[i], i, settings, own_y)
            assert population.diverged[i] == diverged
            assert_same_member(population, optimizer, i, alone, optimizers[i])
            for key in set(history) - {"seconds"}:
                of_member = [values[i] for values in history[key]]
                his = [record[key] for record in records]
                np.testing.assert_array_equal(of_member[: len(his)], his, err_msg=key)
                assert np.isnan(of_member[len(his) :]).all()


OPTIMIZERS = {
    "sgd": lambda r, m: bp.SGD(r.uniform(0.01, 0.5, m)),
    "momentum": lambda r, m: bp.SGD(
        0.1, momentum=np.where(r.random(m) < 0.5, 0, 0.9), weight_decay=r.uniform(0, 0.1, m)
    ),
    "nesterov": lambda r, m: bp.SGD(r.uniform(0.01, 0.5, m), momentum=0.5, nesterov=True, clip_norm=0.3),
    "decay": lambda r, m: bp.SGD(r.uniform(0.01, 0.5, m), weight_decay=np.where(r.random(m) < 0.5, 0, 0.01)),
    "adam": lambda r, m: bp.Adam(r.uniform(0.001, 0.1, m), betas=(r.uniform(0.5, 0.9, m), 0.99)),
    "adamw": lambda r, m: bp.AdamW(0.01, weight_decay=r.uniform(0, 0.1, m), clip_value=r.uniform(0.01, 1, m)),
    "rmsprop": lambda r, m: bp.RMSprop(r.uniform(0.001, 0.01, m), momentum=r.choice([0, 0.5], m), alpha=0.9),
    "cosine": lambda r, m: bp.SGD(bp.schedules.Cosine(0.5, steps=20)),
    "schedules": lambda r, m: bp.Adam([bp.schedules.Exponential(0.1 / (1 + i), 0.9) for i in range(m)]),
    "mixed": lambda r, m: bp.SGD([0.1 if i % 2 else bp.schedules.Step(0.5, 3) for i in range(m)]),
    "plain": lambda r, m: bp.SGD(0.3),
}
OUTPUTS = [
    ("squared_error", "sigmoid"), ("mean_squared_error", "identity"), ("binary_cross_entropy", "sigmoid"),
    ("cross_entropy", "softmax"), ("huber", "tanh"), ("squared_error", "softmax"),
]  # fmt: skip
HIDDEN = ["identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "softmax"]


def a_case(number):
    """A random network, data and settings; all follow from the number."""
    r = np.random.default_rng(number)
    members = int(r.choice([1, 2, 7, 15, 16, 17, 33]))
    loss, output = OUTPUTS[r.integers(len(OUTPUTS))]
    sizes = [int(r.integers(1, 7)), *r.integers(1, 20, r.integers(0, 3)).tolist(), int(r.integers(1, 5))]
    if loss == "cross_entropy":
        sizes[-1] = max(2, sizes[-1])
    hidden = str(r.choice(HIDDEN))
    dropout = float(r.choice([0, 0, 0.3]))
    layers = []
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        last = i == len(sizes) - 2
        freedom = {}
        if r.random() < 0.1:
            freedom = {"lr": float(r.choice([0, 0.5])), "bias_lr": float(r.choice([0, 2]))}
        if r.random() < 0.1:
            freedom["mask"] = (r.random((b, a)) < 0.7) | (np.arange(a) == 0)
        layers.append(
            bp.Layer(a, b, output if last else hidden, bias=bool(r.random() < 0.8),
                     dropout=0.0 if last else dropout, **freedom)
        )  # fmt: skip
    network = bp.Network(*layers, loss=loss, dtype=str(r.choice(["float32", "float64"])), seed=0)
    n, chosen = int(r.integers(1, 30)), int(r.integers(1, 20))
    own_x, own_y = bool(r.random() < 0.3), bool(r.random() < 0.3)
    labels = sizes[-1] > 1 and r.random() < 0.4
    lead = (members,) if own_y else ()
    y = r.integers(0, sizes[-1], (*lead, n)) if labels else r.uniform(0, 1, (*lead, n, sizes[-1]))
    if own_y and labels and members == n:  # refused: it may be anything
        n = n + 1
        y = r.integers(0, sizes[-1], (*lead, n))
    x = r.normal(size=(members, n, sizes[0]) if own_x else (n, sizes[0]))
    settings = {"epochs": int(r.integers(1, 6)), "batch_size": int(r.integers(1, 12))}
    settings["shuffle"] = bool(r.random() < 0.7)
    if not own_x and not own_y and r.random() < 0.4:
        settings["samples"] = r.integers(0, n, (members, chosen))
    if r.random() < 0.3:
        settings["sample_weight"] = r.uniform(0.1, 2, (members, n) if r.random() < 0.5 else n)
    if labels and r.random() < 0.3:
        settings["class_weight"] = "balanced" if r.random() < 0.5 else {0: 0.5, sizes[-1] - 1: 3.0}
    if not labels and r.random() < 0.2:
        settings["target_mask"] = r.random(y.shape) < 0.8
    if r.random() < 0.6:
        xv = r.normal(size=(members, 9, sizes[0]) if own_x else (9, sizes[0]))
        of_each = (members,) if own_x and own_y else ()
        yv = r.integers(0, sizes[-1], (*of_each, 9)) if labels else r.uniform(0, 1, (*of_each, 9, sizes[-1]))
        settings["validation"] = (xv, yv)
        if r.random() < 0.5:
            settings |= {"patience": int(r.integers(1, 3)), "min_delta": 1e-4}
    kind = str(r.choice(list(OPTIMIZERS)))
    penalties = {}
    if r.random() < 0.4:
        penalties["l2"] = r.choice([0, 0.01, 0.1], (members, len(layers)))
    if r.random() < 0.2:
        penalties["l1"] = r.choice([0, 0.01], members)
    seed = r.integers(0, 100, members).tolist() if r.random() < 0.5 else int(r.integers(100))
    return network, members, seed, x, y, OPTIMIZERS[kind](r, members), settings, penalties, own_y


@pytest.mark.parametrize("number", range(200))
def test_each_member_has_the_bits_of_its_own_fit(number):
    network, members, seed, x, y, optimizer, settings, penalties, own_y = a_case(number)
    population = bp.Population(network, members, seed, **penalties)
    assert_like_alone(population, network, seed, x, y, optimizer, settings, penalties, own_y)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("of_folds", [(37, 5, 16, 30), (70, 1, 1), (7, 17), (17, 7), (15, 33), (33, 15)])
def test_members_of_folds_have_the_bits_of_their_own_fit(of_folds, dtype, threads):
    """The settings of a search: equal seeds, and the same rows in the same order on each fold, so that some
    blocks share samples, some are not full, and what is left of the folds is side by side or alone."""
    r = np.random.default_rng(len(of_folds))
    members, n = sum(of_folds), 23
    network = bp.Network.dense(
        20, 22, 4, hidden="relu", output="softmax", loss="cross_entropy", dtype=dtype, seed=0
    )
    x, y = r.normal(size=(40, 20)).astype(dtype), r.integers(0, 4, 40)
    folds = [r.choice(40, n, replace=False) for _ in of_folds]
    which = r.permutation(np.repeat(np.arange(len(of_folds)), of_folds))
    settings = {
        "epochs": 2,
        "batch_size": 9,
        "samples": np.array([folds[i] for i in which]),
        "threads": threads,
    }
    population = bp.Population(network, members, [7] * members)
    optimizer = bp.Adam(r.uniform(0.001, 0.03, members))
    assert_like_alone(population, network, [7] * members, x, y, optimizer, settings, {}, False)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_members_with_many_inputs_and_samples_a_step(dtype):
    """Deep products, which go in parts, and steps that are loaded in parts."""
    r = np.random.default_rng(0)
    members, x, y = 17, r.normal(size=(300, 150)).astype(dtype), r.integers(0, 3, 300)
    network = bp.Network.dense(
        150, 9, 3, hidden="tanh", output="softmax", loss="cross_entropy", dtype=dtype, seed=0
    )
    population, optimizer = bp.Population(network, members, 3), bp.Adam(r.uniform(0.001, 0.03, members))
    settings = {"epochs": 1, "batch_size": 270}
    assert_like_alone(population, network, 3, x, y, optimizer, settings, {}, False)
