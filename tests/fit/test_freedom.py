"""`Layer(lr=, bias_lr=, mask=)`: layers that move slowly, or not at all, and weights that are not there."""

import copy
import pickle

import numpy as np
import pytest
from conftest import assert_close, assert_same_bits, make_data, require_torch

import backprop as bp
from backprop import _core

SIZES = (5, 17, 11, 3)
# The gradients of both sides agree to about 1e-15; 1e-9 after 40 steps is what is promised.
TOLERANCE = 1e-9
KINDS = {
    "SGD": [{"lr": 0.1}, {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.02}],
    "Adam": [{"lr": 0.01, "weight_decay": 0.1}],
    "AdamW": [{"lr": 0.01, "weight_decay": 0.3}],
    "RMSprop": [{"lr": 0.005, "momentum": 0.7, "weight_decay": 0.1}],
}
CASES = [(name, settings) for name, several in KINDS.items() for settings in several]
OPTIMIZERS = [
    bp.SGD(0.1),
    bp.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    bp.SGD(0.1, clip_norm=0.1),
    bp.SGD(0.1, clip_value=0.01),
    bp.Adam(0.01),
    bp.AdamW(0.01, weight_decay=0.1, clip_norm=1),
    bp.RMSprop(0.01, momentum=0.5),
    bp.LBFGS(),
    bp.LevenbergMarquardt(),
]


def some_mask(outputs=17, inputs=5, seed=0):
    return np.random.default_rng(seed).random((outputs, inputs)) < 0.4


def free_network(dtype="float64", seed=1, **extras):
    """Layers with a mask, with frozen weights, and slow; the biases differ."""
    net = bp.Network(
        bp.Layer(5, 17, "tanh", mask=some_mask(), bias_lr=2, **extras),
        bp.Layer(17, 11, "tanh", lr=0, bias_lr=0.5, **extras),
        bp.Layer(11, 3, "sigmoid", lr=0.1, **extras),
        dtype=dtype,
        seed=seed,
    )
    rng = np.random.default_rng(seed)
    for layer in net.layers:
        layer.bias = rng.normal(0, 0.1, layer.outputs)
    return net


def snapshot(net):
    return [(layer.weights.copy(), layer.bias.copy()) for layer in net.layers]


def assert_kept_its_promises(net, before):
    first, second, third = net.layers
    assert_same_bits(second.weights, before[1][0])
    mask = first.mask
    assert (first.weights[~mask] == 0).all()
    for now, then in [
        (first.weights[mask], before[0][0][mask]),
        (first.bias, before[0][1]),
        (second.bias, before[1][1]),
        (third.weights, before[2][0]),
        (third.bias, before[2][1]),
    ]:
        assert (now != then).any()


class Peer:
    """The same in PyTorch: parameter groups of scaled rates, and gradients that are masked."""

    def __init__(self, torch, net, name, settings):
        self.torch, self.net = torch, net
        self.leaves = [
            torch.tensor(array.copy(), dtype=torch.float64, requires_grad=True)
            for layer in net.layers
            for array in (layer.weights, layer.bias)
        ]
        groups = [{"params": [leaf], "lr": 1.0} for leaf in self.leaves]
        self.optimizer, self.lr = getattr(torch.optim, name)(groups, **settings), settings["lr"]

    def step(self, x, y, clip_norm=None):
        torch = self.torch
        factors = []
        for layer in self.net.layers:
            factors += [layer.lr, layer.lr if layer.bias_lr is None else layer.bias_lr]
        for group, factor in zip(self.optimizer.param_groups, factors, strict=True):
            group["lr"] = self.lr * factor
        a = torch.tensor(x)
        for i, layer in enumerate(self.net.layers):
            z = a @ self.leaves[2 * i].T + self.leaves[2 * i + 1]
            a = torch.tanh(z) if str(layer.activation) == "tanh" else torch.sigmoid(z)
        self.optimizer.zero_grad()
        ((a - torch.tensor(y)) ** 2).sum(1).mean().backward()
        for i, layer in enumerate(self.net.layers):
            if layer.mask is not None:
                self.leaves[2 * i].grad *= torch.tensor(layer.mask)
        if clip_norm:
            moving = [leaf for leaf, factor in zip(self.leaves, factors, strict=True) if factor]
            torch.nn.utils.clip_grad_norm_(moving, clip_norm)
        self.optimizer.step()

    def assert_same(self):
        ours = [array for layer in self.net.layers for array in (layer.weights, layer.bias)]
        for array, leaf in zip(ours, self.leaves, strict=True):
            assert_close(array, leaf.detach().numpy(), TOLERANCE)


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
@pytest.mark.parametrize("how", ["fit", "step"])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_follows_pytorchs_parameter_groups_also_when_a_layer_thaws(name, settings, how, sparse):
    torch = require_torch()
    net = free_network()
    x, y = make_data(net, 24)
    given = x
    if sparse:
        x = x * (np.random.default_rng(2).random(x.shape) < 0.4)
        given = pytest.importorskip("scipy.sparse").csr_array(x)
    before = snapshot(net)
    optimizer, peer = getattr(bp, name)(**settings), Peer(torch, net, name, settings)
    for epoch in range(10):
        if epoch == 6:
            assert_kept_its_promises(net, before)
            net.layers[1].lr, net.layers[2].lr = 1, 0
        if how == "fit":
            net.fit(given, y, optimizer, batch_size=6, shuffle=False)
        for first in range(0, 24, 6):
            rows = slice(first, first + 6)
            if how == "step":
                net.step(given[rows], y[rows], optimizer)
            peer.step(x[rows], y[rows])
    peer.assert_same()
    assert (net.layers[1].weights != before[1][0]).any()


def test_clip_norm_counts_what_moves():
    torch = require_torch()
    for how in ("fit", "step"):
        net = free_network()
        x, y = make_data(net, 24)
        optimizer = bp.SGD(0.5, momentum=0.5, clip_norm=0.05)
        peer = Peer(torch, net, "SGD", {"lr": 0.5, "momentum": 0.5})
        for _ in range(10):
            if how == "fit":
                net.fit(x, y, optimizer, batch_size=24, shuffle=False)
            else:
                net.step(x, y, optimizer)
            peer.step(x, y, clip_norm=0.05)
        # clip_grad_norm_ divides by the norm + 1e-6, and so do we
        peer.assert_same()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_frozen_weights_keep_their_bits_and_masked_ones_stay_0(optimizer, dtype):
    net = free_network(dtype, l2=1e-3)
    net.layers[1].weights[0, 0] = -0.0
    x, y = make_data(net, 50)
    before = snapshot(net)
    net.fit(x, y, copy.deepcopy(optimizer), epochs=4)
    assert_kept_its_promises(net, before)
    assert np.signbit(net.layers[1].weights[0, 0])


@pytest.mark.parametrize(
    "optimizer", [o for o in OPTIMIZERS if isinstance(o, bp.optimizers.Optimizer)], ids=repr
)
@pytest.mark.parametrize("batch_size", [1, 7, 50, 600])
def test_the_bits_do_not_depend_on_threads_nor_on_calls(optimizer, batch_size, dtype):
    nets = [free_network(dtype, l2=1e-3) for _ in range(3)]
    x, y = make_data(nets[0], 50 if batch_size <= 50 else 1000)  # from 512 rows on, sums go by blocks
    before = snapshot(nets[0])
    for net, threads in zip(nets[:2], (1, 3), strict=True):
        net.fit(x, y, copy.deepcopy(optimizer), epochs=4, batch_size=batch_size, threads=threads)
    goes_on = copy.deepcopy(optimizer)
    for _ in range(4):
        nets[2].fit(x, y, goes_on, batch_size=batch_size, callbacks=[lambda net, figures: None])
    assert_kept_its_promises(nets[0], before)
    for net in nets[1:]:
        assert_same_bits(net.parameters, nets[0].parameters)


@pytest.mark.parametrize("batch_size", [1, 10])
def test_a_network_that_is_frozen_below_trains_its_last_layer_as_one_alone(batch_size, dtype):
    whole = bp.Network.dense(6, 40, 30, 4, hidden="tanh", dtype=dtype, seed=0)
    last = bp.Network(bp.Layer(30, 4), dtype=dtype)
    last.layers[0].weights, last.layers[0].bias = whole.layers[2].weights, whole.layers[2].bias
    last.rng = copy.deepcopy(whole.rng)
    x, y = make_data(whole, 60)
    hidden = whole.trace(x).layers[1].a
    for layer in whole.layers[:2]:
        layer.lr = 0
    for optimizer in (bp.SGD(0.1), bp.Adam(0.01)):
        for net, inputs in ((whole, x), (last, hidden)):
            net.fit(inputs, y, copy.deepcopy(optimizer), epochs=3, batch_size=batch_size)
        # batches of 1 are summed in another method there: it only rounds differently
        assert_close(whole.layers[2].weights, last.layers[0].weights, 1e-5 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("optimizer", OPTIMIZERS[:7], ids=repr)
def test_masks_of_wide_layers(optimizer, dtype):
    """More rows and columns than are worked on at a time, and shares of several threads."""
    mask = some_mask(90, 300)
    net = bp.Network(bp.Layer(300, 90, "tanh", mask=mask), bp.Layer(90, 2), dtype=dtype, seed=0)
    before = net.layers[0].weights.copy()
    x, y = make_data(net, 40)
    net.fit(x, y, copy.deepcopy(optimizer), epochs=2, batch_size=20, threads=3)
    assert (net.layers[0].weights[~mask] == 0).all()
    assert (net.layers[0].weights[mask] != before[mask]).mean() > 0.99


def test_all_frozen_moves_nothing(dtype):
    net = bp.Network.dense(4, 20, 3, dtype=dtype, seed=0)
    before = net.parameters.copy()
    for layer in net.layers:
        layer.lr = 0
    x, y = make_data(net, 30)
    for optimizer in OPTIMIZERS:
        net.fit(x, y, copy.deepcopy(optimizer), epochs=2)
        assert_same_bits(net.parameters, before)
    assert net.summary().count("frozen") == 2


@pytest.mark.parametrize(
    "solver", [bp.LBFGS(), bp.LevenbergMarquardt(), bp.LevenbergMarquardt(bayesian=True)]
)
@pytest.mark.parametrize("samples", [8, 300])  # JJᵀ and JᵀJ
def test_frozen_and_masked_parameters_leave_the_problem_of_a_solver(solver, samples):
    """The last layer of a frozen network, three of whose inputs are masked, is a network of one layer."""
    whole = bp.Network(
        bp.Layer(3, 12, "tanh", lr=0),
        bp.Layer(12, 2, "tanh", mask=[[True] * 9 + [False] * 3] * 2),
        dtype="float64",
        seed=0,
    )
    last = bp.Network(bp.Layer(9, 2, "tanh"), dtype="float64")
    last.layers[0].weights = whole.layers[1].weights[:, :9]
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(samples, 3)), rng.uniform(-0.8, 0.8, (samples, 2))
    hidden = whole.trace(x).layers[0].a[:, :9]
    before = snapshot(whole)
    optimizers = copy.deepcopy(solver), copy.deepcopy(solver)
    histories = [
        net.fit(inputs, y, optimizer, epochs=6)
        for net, inputs, optimizer in zip((whole, last), (x, hidden), optimizers, strict=True)
    ]
    assert_same_bits(whole.layers[0].weights, before[0][0])
    assert (whole.layers[1].weights[:, 9:] == 0).all()
    # rounding differs, as sums over 12 inputs are grouped otherwise, and six iterations amplify it
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-9)
    np.testing.assert_allclose(whole.layers[1].weights[:, :9], last.layers[0].weights, rtol=1e-6, atol=1e-9)
    if getattr(solver, "bayesian", False):
        effective = [optimizer.effective_parameters for optimizer in optimizers]
        assert effective[0] == pytest.approx(effective[1], rel=1e-6)
        assert effective[0] <= 20
        assert optimizers[0].penalties[0] == 0


def test_lbfgs_forgets_moves_of_what_is_frozen_now():
    net = bp.Network.dense(2, 9, 1, hidden="tanh", output="identity", dtype="float64", seed=0)
    x, y = make_data(net, 40)
    solver = bp.LBFGS()
    net.fit(x, y, solver, epochs=5)
    net.layers[0].lr = 0
    before = net.layers[0].weights.copy()
    loss = net.loss(x, y)
    history = net.fit(x, y, solver, epochs=5)
    assert_same_bits(net.layers[0].weights, before)
    assert history["loss"][-1] < loss


def test_masked_weights_have_no_gradient(dtype):
    net = free_network(dtype)
    mask = net.layers[0].mask
    x, y = make_data(net, 20)
    assert (net.gradient(x, y).layers[0].weights[~mask] == 0).all()
    assert (net.gradient(x, y).layers[0].weights[mask] != 0).all()
    assert (net.gradient(x, y, per_sample=True).layers[0].weights[:, ~mask] == 0).all()
    assert (net.gradient(x, y).layers[1].weights != 0).any(), "a frozen weight has one"
    check = net.check_gradient(x, y, entries=1000)
    assert check.passed
    assert check.layers[0].compared + check.layers[0].skipped == mask.sum() + 17


def test_the_hessian_knows_the_mask():
    net = free_network()
    mask = net.layers[0].mask
    x, y = make_data(net, 20)
    rng = np.random.default_rng(0)
    v = rng.normal(size=net.parameters.shape)
    along = v.copy()
    along[: mask.size][~mask.T.ravel()] = 0
    product = net.hessian_vector(x, y, v)
    start, h = net.parameters.copy(), 1e-5
    sides = []
    for sign in (1, -1):
        net.parameters[:] = start + sign * h * along
        sides.append(net.gradient(x, y).parameters)
    # the difference's own error is about h² and u / h
    assert_close(product, (sides[0] - sides[1]) / (2 * h), 1e-8)
    assert (product[: mask.size][~mask.T.ravel()] == 0).all()


def test_an_explanation_of_a_masked_weight():
    net = free_network()
    mask = net.layers[0].mask
    x, y = make_data(net, 6)
    (j, k), (there_j, there_k) = np.argwhere(~mask)[0], np.argwhere(mask)[0]
    whole = net.explain(x, y, 0)
    assert (whole.product[:, ~mask] == 0).all()
    assert_close(whole.mean, net.gradient(x, y).layers[0].weights, 1e-15)
    one = net.explain(x, y, 0, int(j), int(k))
    assert one.masked
    assert (one.dz_dw == 0).all()
    assert (one.product == 0).all()
    assert "which is masked" in str(one)
    assert not one.check().passed
    there = net.explain(x, y, 0, int(there_j), int(there_k))
    assert not there.masked
    assert there.check().passed
    assert "masked" not in str(there)


def test_a_mask_can_be_set_and_taken_away(dtype):
    net = bp.Network.dense(5, 17, 3, dtype=dtype, seed=0)
    x, y = make_data(net, 30)
    optimizer = bp.SGD(0.1, momentum=0.9)
    net.fit(x, y, optimizer, epochs=2)
    mask = some_mask()
    layer = net.layers[0]
    layer.mask = mask
    assert (layer.weights[~mask] == 0).all()
    assert_same_bits(layer.mask, mask)
    assert not layer.mask.flags.writeable
    assert layer.mask is not mask
    layer.weights = np.ones((17, 5))
    assert_same_bits(layer.weights == 1, mask)
    net.parameters[:] = 1  # through a view: the next step knows
    net.fit(x, y, optimizer, epochs=2)
    assert (layer.weights[~mask] == 0).all()
    momentum = optimizer.state[0][: mask.size].reshape(5, 17).T
    assert (momentum[~mask] == 0).all()
    net.parameters[:] = 1
    net.step(x, y, optimizer)
    assert (layer.weights[~mask] == 0).all()
    net.parameters[:] = 1
    net.fit(x, y, bp.LBFGS(), epochs=1)
    assert (layer.weights[~mask] == 0).all()
    layer.mask = None
    net.fit(x, y, optimizer, epochs=2)
    assert (layer.weights != 0).all()


def test_rates_can_be_set_in_callbacks():
    net = bp.Network.dense(5, 17, 3, seed=0)
    x, y = make_data(net, 30)
    seen = []

    def thaw(net, figures):
        seen.append(net.layers[0].weights.copy())
        net.layers[0].lr = float(figures["epoch"] == 2)

    net.layers[0].lr = 0
    start = net.layers[0].weights.copy()
    net.fit(x, y, bp.Adam(0.01), epochs=4, callbacks=[thaw])
    assert_same_bits(seen[0], start)
    assert_same_bits(seen[1], start)
    assert (seen[2] != start).any()
    assert_same_bits(seen[3], seen[2])


def test_copies_pickles_and_files_keep_them(tmp_path):
    net = free_network("float32")
    x, y = make_data(net, 30)
    net.save(tmp_path / "net.safetensors")
    copies = [copy.deepcopy(net), pickle.loads(pickle.dumps(net)), bp.load(tmp_path / "net.safetensors")]
    net.fit(x, y, bp.Adam(0.01), epochs=3)
    for one in copies:
        assert [(layer.lr, layer.bias_lr) for layer in one.layers] == [(1, 2), (0, 0.5), (0.1, None)]
        assert_same_bits(one.layers[0].mask, net.layers[0].mask)
        assert one.layers[1].mask is None
        one.fit(x, y, bp.Adam(0.01), epochs=3)
        assert_same_bits(one.parameters, net.parameters)
    copies[0].layers[1].lr = 1
    assert net.layers[1].lr == 0


def test_a_layer_brings_them_into_the_next_network():
    layer = bp.Layer(5, 3, lr=0.5, mask=some_mask(3, 5))
    net = bp.Network(layer)
    taken = copy.copy(net.layers[0])
    del net
    other = bp.Network(taken)
    assert other.layers[0].lr == 0.5
    assert_same_bits(other.layers[0].mask, layer.mask)
    layer.mask = some_mask(3, 5, seed=1)  # its network is gone, its views are there
    assert (layer.weights[~layer.mask] == 0).all()


def test_a_file_of_a_wrong_mask_is_refused(tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "net.safetensors"
    free_network("float32").save(path)
    tensors = load_file(path)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    for wrong in (np.zeros((17, 5), bool), np.ones((5, 17), bool), np.ones((17, 5), np.float32)):
        save_file(tensors | {"layers.0.mask": wrong}, path, metadata)
        with pytest.raises(ValueError, match="mask"):
            bp.load(path)


def test_the_summary_says_so():
    lines = free_network().summary().splitlines()
    assert lines[0].split()[-1] == "moves"
    assert "weights 1 lr, biases 2 lr, 31 weights, the others masked" in lines[2]
    assert lines[3].endswith("weights frozen, biases 0.5 lr")
    assert lines[4].endswith("0.1 lr")
    assert "moves" not in bp.Network.dense(2, 3).summary()
    assert repr(free_network().layers[0]) == "Layer(5, 17, 'tanh', bias_lr=2, mask=...)"


@pytest.mark.parametrize(
    ("setting", "error", "message"),
    [
        ({"lr": -1}, ValueError, "lr must be at least 0, got -1"),
        ({"lr": np.inf}, ValueError, "lr must be finite"),
        ({"lr": "0"}, TypeError, "lr must be a number"),
        ({"bias_lr": -1}, ValueError, "bias_lr must be at least 0"),
        ({"mask": np.ones((5, 3), bool)}, ValueError, r"shape \(outputs, inputs\), \(3, 5\), got \(5, 3\)"),
        ({"mask": np.ones((3, 5))}, TypeError, "mask must hold bool, .* got dtype float64"),
        ({"mask": np.zeros((3, 5), bool)}, ValueError, "at least one weight"),
    ],
)
def test_bad_settings(setting, error, message):
    with pytest.raises(error, match=message):
        bp.Layer(5, 3, **setting)
    net = bp.Network.dense(5, 3, seed=0)
    before = net.parameters.copy()
    ((name, value),) = setting.items()
    with pytest.raises(error, match=message):
        setattr(net.layers[0], name, value)
    assert_same_bits(net.parameters, before)
    assert (net.layers[0].lr, net.layers[0].bias_lr, net.layers[0].mask) == (1, None, None)


def test_exports_have_zeros():
    net = free_network("float32")
    torch = require_torch()
    weights = next(part for part in net.to_torch() if isinstance(part, torch.nn.Linear)).weight
    assert (weights.detach().numpy()[~net.layers[0].mask] == 0).all()


@pytest.mark.parametrize("optimizer", [bp.SGD(0.1), bp.Adam(0.01), bp.SGD(0.1, clip_norm=0.1)], ids=repr)
@pytest.mark.parametrize("batch_size", [1, 8])
def test_members_of_a_population_have_the_bits_of_their_own_fit(tmp_path, optimizer, batch_size):
    net = free_network("float32")
    population = bp.Population(net, seed=[3, 4, 5])
    population.save(tmp_path / "population.safetensors")
    loaded, _ = bp.Population.load(tmp_path / "population.safetensors")
    x, y = make_data(net, 40)
    alone = [population[i] for i in range(3)]
    for one in (population, loaded):
        one.fit(x, y, copy.deepcopy(optimizer), epochs=2, batch_size=batch_size)
    for i, member in enumerate(alone):
        before = snapshot(member)
        member.fit(x, y, copy.deepcopy(optimizer), epochs=2, batch_size=batch_size)
        assert_kept_its_promises(member, before)
        assert_same_bits(population.parameters[i], member.parameters)
        assert_same_bits(loaded.parameters[i], member.parameters)


@pytest.mark.parametrize("ending", [KeyboardInterrupt, ValueError, MemoryError])
def test_what_ends_before_its_first_step_leaves_what_a_new_mask_would_clear(ending):
    """The optimizer's state too, which has to do with masked weights until the first step clears it."""
    net = bp.Network(bp.Layer(5, 17, "tanh"), bp.Layer(17, 3), seed=1)
    x, y = make_data(net, 20)
    optimizer = bp.Adam(0.01)
    net.fit(x, y, optimizer)
    net.layers[0].mask = some_mask()
    net.parameters[:] = 1
    before = [array.copy() for array in (net.parameters, *optimizer.state)]

    def batches():
        raise ending
        yield x, y

    if ending is MemoryError:
        _core._refuse_request(1)
    with pytest.raises(ending):
        net.fit(x if ending is MemoryError else batches(), y if ending is MemoryError else None, optimizer)
    for array, old in zip((net.parameters, *optimizer.state), before, strict=True):
        assert_same_bits(array, old)
    net.step(x, y, optimizer)
    for array in (net.parameters, *optimizer.state):
        assert (array[: 5 * 17].reshape(5, 17).T[~some_mask()] == 0).all()
