"""Adam, AdamW, RMSprop and SGD against PyTorch; clipping, penalties, settings, state."""

import numpy as np
import pytest
from conftest import assert_close, assert_same_bits, make_data, make_network, require_torch

import backprop as bp

# What is followed for 100 steps in float64. The gradients of both sides agree to about 1e-15 and the rules
# amplify that little: 1e-8 is what is promised, 1e-10 is what is seen.
TOLERANCE = 1e-8
SIZES, ACTIVATIONS, LOSS = (5, 17, 3), ("tanh", "sigmoid"), "squared_error"
KINDS = {
    "SGD": [{"lr": 0.1}, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.02}],
    "Adam": [{}, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}],
    "AdamW": [{}, {"lr": 0.02, "betas": (0.5, 0.9), "weight_decay": 0.3}],
    "RMSprop": [{}, {"lr": 0.005, "alpha": 0.9, "eps": 1e-4, "momentum": 0.7, "weight_decay": 0.1}],
}
CASES = [(name, settings) for name, several in KINDS.items() for settings in several]


def torch_copies(torch, net):
    """Leaf tensors of every layer's weights and bias."""
    return [
        torch.tensor(array.copy(), dtype=torch.float64, requires_grad=True)
        for layer in net.layers
        for array in (layer.weights, layer.bias)
        if array is not None
    ]


def torch_loss(torch, leaves, x, y):
    """C of the network of SIZES, in PyTorch."""
    w1, b1, w2, b2 = leaves
    a = torch.sigmoid(torch.tanh(x @ w1.T + b1) @ w2.T + b2)
    return ((a - y) ** 2).sum(1).mean()


def assert_same_as_torch(net, leaves, tolerance=TOLERANCE):
    actual = [array for layer in net.layers for array in (layer.weights, layer.bias)]
    for array, leaf in zip(actual, leaves, strict=True):
        assert_close(array, leaf.detach().numpy(), tolerance)


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
@pytest.mark.parametrize("how", ["fit", "step"])
def test_follows_pytorch_for_100_steps(name, settings, how):
    torch = require_torch()
    net = make_network(SIZES, ACTIVATIONS, LOSS)
    start = net.parameters.copy()
    x, y = make_data(net, 24)
    leaves = torch_copies(torch, net)
    peer = getattr(torch.optim, name)(leaves, **settings)
    optimizer = getattr(bp, name)(**settings)
    assert optimizer.settings == optimizer.settings | settings
    if how == "fit":
        net.fit(x, y, optimizer, epochs=25, batch_size=6, shuffle=False)
    for step in range(100):
        first = 6 * (step % 4)
        rows = slice(first, first + 6)
        if how == "step":
            net.step(x[rows], y[rows], optimizer)
        peer.zero_grad()
        torch_loss(torch, leaves, torch.tensor(x[rows]), torch.tensor(y[rows])).backward()
        peer.step()
    assert optimizer.steps == 100
    assert np.abs(net.parameters - start).max() > 0.01
    assert_same_as_torch(net, leaves)


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
def test_step_and_fit_and_threads_give_the_same_bits(name, settings, dtype):
    nets = [make_network((40, 150, 20), ("relu", "softmax"), "cross_entropy", dtype) for _ in range(3)]
    x, y = make_data(nets[0], 33)
    optimizers = [getattr(bp, name)(**settings) for _ in nets]
    for _ in range(3):
        nets[0].step(x, y, optimizers[0])
    for net, optimizer, threads in zip(nets[1:], optimizers[1:], (1, 3), strict=True):
        net.fit(x, y, optimizer, epochs=3, batch_size=33, shuffle=False, threads=threads)
    for net, optimizer in zip(nets[1:], optimizers[1:], strict=True):
        assert_same_bits(net.parameters, nets[0].parameters)
        for one, other in zip(optimizer.state, optimizers[0].state, strict=True):
            assert_same_bits(one, other)
            assert one.any()


@pytest.mark.parametrize("extra", [{}, {"clip_norm": 0.05}, {"clip_value": 0.01}], ids=str)
@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
def test_five_epochs_twice_are_ten_epochs(name, settings, extra, dtype):
    """With the optimizer and the generator kept; with dropout and penalties too."""

    def train(*epochs):
        layers = (bp.Layer(5, 19, "relu", dropout=0.3, l2=0.01), bp.Layer(19, 3, l1=0.001))
        net = bp.Network(*layers, dtype=dtype, seed=8)
        x, y = make_data(net, 33)
        optimizer = getattr(bp, name)(**settings, **extra)
        for several in epochs:
            net.fit(x, y, optimizer, epochs=several, batch_size=8)
        return net.parameters, optimizer

    (whole, one), (parts, other) = train(10), train(5, 5)
    assert_same_bits(whole, parts)
    assert one.steps == other.steps == 50
    for a, b in zip(one.state, other.state, strict=True):
        assert_same_bits(a, b)
        assert a.any()


@pytest.mark.parametrize("kind", ["clip_norm", "clip_value"])
@pytest.mark.parametrize("how", ["fit", "step"])
def test_clipping_follows_pytorch(kind, how):
    torch = require_torch()
    net = make_network(SIZES, ACTIVATIONS, LOSS)
    x, y = make_data(net, 24)
    leaves = torch_copies(torch, net)
    limit = {"clip_norm": 0.17, "clip_value": 0.03}[kind]
    clip = {
        "clip_norm": torch.nn.utils.clip_grad_norm_,
        "clip_value": torch.nn.utils.clip_grad_value_,
    }[kind]
    peer = torch.optim.SGD(leaves, lr=0.2, momentum=0.5, weight_decay=0.01)
    optimizer = bp.SGD(0.2, momentum=0.5, weight_decay=0.01, **{kind: limit})
    norms = []
    for _ in range(30):
        if how == "step":
            net.step(x, y, optimizer)
        peer.zero_grad()
        torch_loss(torch, leaves, torch.tensor(x), torch.tensor(y)).backward()
        norms.append(torch.cat([leaf.grad.ravel() for leaf in leaves]).norm().item())
        clip(leaves, limit)
        peer.step()
    if how == "fit":
        history = net.fit(x, y, optimizer, epochs=30, batch_size=24, shuffle=False, norms=True)
        np.testing.assert_allclose(history["gradient_norm"], norms, rtol=1e-9)
        assert history["weight_norm"][-1] == pytest.approx(np.linalg.norm(net.parameters), rel=1e-14)
    if kind == "clip_norm":
        assert min(norms) < limit < max(norms), "both branches were taken"
    assert_same_as_torch(net, leaves)


@pytest.mark.parametrize("clip", [{}, {"clip_norm": 0.3}], ids=str)
@pytest.mark.parametrize("how", ["fit", "step"])
def test_penalties_are_in_the_gradient_but_not_in_the_loss(clip, how):
    torch = require_torch()
    layers = (bp.Layer(5, 17, "tanh", l1=0.01), bp.Layer(17, 3, "sigmoid", l2=0.2, l1=0.002))
    net = bp.Network(*layers, dtype="float64", seed=4)
    x, y = make_data(net, 24)
    leaves = torch_copies(torch, net)
    peer = torch.optim.SGD(leaves, lr=0.1)
    optimizer = bp.SGD(0.1, **clip)
    losses = []
    for _ in range(20):
        peer.zero_grad()
        plain = torch_loss(torch, leaves, torch.tensor(x), torch.tensor(y))
        penalty = 0.01 * leaves[0].abs().sum() + 0.002 * leaves[2].abs().sum() + 0.1 * (leaves[2] ** 2).sum()
        (plain + penalty).backward()
        losses.append(plain.item())
        if clip:
            torch.nn.utils.clip_grad_norm_(leaves, clip["clip_norm"])
        peer.step()
    if how == "fit":
        reported = net.fit(x, y, optimizer, epochs=20, batch_size=24, shuffle=False)["loss"]
    else:
        reported = [net.step(x, y, optimizer) for _ in range(20)]
    np.testing.assert_allclose(reported, losses, rtol=1e-10)
    assert_same_as_torch(net, leaves)
    gradient = net.gradient(x, y)
    unpenalized = bp.Network.dense(5, 17, 3, hidden="tanh", dtype="float64")
    unpenalized.parameters[:] = net.parameters
    assert_same_bits(gradient.parameters, unpenalized.gradient(x, y).parameters)


def test_clipping_and_norms_give_the_same_bits_for_any_threads(dtype):
    results = []
    for threads in (1, 2, 5):
        layers = (bp.Layer(300, 70, "relu", l2=0.01), bp.Layer(70, 10, "softmax"))
        net = bp.Network(*layers, loss="cross_entropy", dtype=dtype, seed=1)
        x, y = make_data(net, 90)
        optimizer = bp.Adam(clip_norm=0.5)
        history = net.fit(x, y, optimizer, epochs=2, batch_size=32, threads=threads, norms=True)
        results.append((net.parameters.tobytes(), history["gradient_norm"], history["weight_norm"]))
    assert results[0] == results[1] == results[2]
    assert results[0][1][0] > 0.5


@pytest.mark.parametrize("betas", [(0.5, 0.9), (0.9, 0.999)])
def test_adams_corrections_are_those_of_its_step(betas):
    """1 - beta^t in any step, also where the engine knows without the power that it is 1."""
    net = bp.Network.dense(1, 1, output="identity", loss="squared_error", dtype="float64", seed=0)
    for t in (1, 30, 75, 76, 77, 300, 379, 381, 30_000, 38_001):
        adam = bp.Adam(1.0, betas=betas, eps=1e-300)
        adam._set_state((np.full(2, 0.25), np.full(2, 1.0)))
        adam.steps = t - 1
        before = net.parameters.copy()
        net.step([[1.0]], net([[1.0]]), adam)  # of no gradient: what is remembered alone moves it
        expected = betas[0] * 0.25 / (1 - betas[0] ** t) / np.sqrt(betas[1] / (1 - betas[1] ** t))
        assert_close(before - net.parameters, np.full(2, expected), 1e-14)


def test_state_is_given_back_and_taken(dtype):
    net = make_network(SIZES, ACTIVATIONS, LOSS, dtype)
    x, y = make_data(net, 12)
    first, second = bp.Adam(0.01), bp.Adam(0.01)
    assert first.state == ()
    net.fit(x, y, first, epochs=2, shuffle=False)
    twin = make_network(SIZES, ACTIVATIONS, LOSS, dtype)
    twin.parameters[:] = net.parameters
    second._set_state(first.state)
    second.steps = first.steps
    assert [array.shape for array in second.state] == 2 * [net.parameters.shape]
    for one, optimizer in ((net, first), (twin, second)):
        one.fit(x, y, optimizer, epochs=2, shuffle=False)
    assert_same_bits(net.parameters, twin.parameters)
    with pytest.raises(ValueError, match="2 arrays"):
        second._set_state(first.state[:1])
    other = make_network((5, 18, 3), ACTIVATIONS, LOSS, dtype)
    before = other.parameters.copy()
    with pytest.raises(ValueError, match="belongs to a network of"):
        other.step(*make_data(other, 3), first)
    assert_same_bits(other.parameters, before)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: bp.Adam(0), "lr must be greater than 0"),
        (lambda: bp.Adam(float("inf")), "lr must be finite"),
        (lambda: bp.Adam(betas=(0.9, 1.0)), "second of betas .* less than 1"),
        (lambda: bp.Adam(betas=(-0.1, 0.9)), "first of betas"),
        (lambda: bp.AdamW(eps=0), "eps must be greater than 0"),
        (lambda: bp.AdamW(weight_decay=-1), "weight_decay must be at least 0"),
        (lambda: bp.RMSprop(alpha=1), "alpha must be at least 0 and less than 1"),
        (lambda: bp.RMSprop(momentum=1.5), "momentum"),
        (lambda: bp.SGD(1, clip_norm=0), "clip_norm must be greater than 0"),
        (lambda: bp.SGD(1, clip_norm=1, clip_value=1), "at most one"),
        (lambda: bp.Layer(1, 1, l1=-0.1), "l1 must be at least 0"),
        (lambda: bp.Layer(1, 1, l2=float("nan")), "l2 must be finite"),
    ],
)
def test_settings_must_make_sense(make, text):
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.parametrize("make", [bp.Adam, bp.AdamW, bp.RMSprop])
def test_eps_is_more_than_0_in_the_dtype_of_the_network(make, dtype):
    """0 / (√0 + 0), of a gradient of 0 as pads have it, is NaN."""
    net = bp.Network.dense(2, 3, 1, dtype=dtype, seed=0)
    optimizer = make(1e-6, eps=1e-300)
    x, y = make_data(net, 4)
    before = net.parameters.copy()
    if dtype == "float64":
        net.step(x, y, optimizer)
        net.fit(x, y, optimizer)
        assert optimizer.steps == 2
        return
    for train in (net.step, net.fit):
        with pytest.raises(ValueError, match=r"eps must be greater than 0 in float32, .*, got 1e-300"):
            train(x, y, optimizer)
    assert_same_bits(net.parameters, before)
    assert optimizer.steps == 0
    assert not optimizer.state


@pytest.mark.parametrize(
    "make", [lambda: bp.Adam("fast"), lambda: bp.Adam(betas=0.9), lambda: bp.SGD(0.1, clip_norm="1")]
)
def test_settings_of_the_wrong_type(make):
    with pytest.raises(TypeError):
        make()


def test_repr_names_the_settings():
    assert repr(bp.AdamW(0.5)) == "AdamW(0.5, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01)"
    assert repr(bp.SGD(0.5, clip_norm=2)) == (
        "SGD(0.5, momentum=0.0, nesterov=False, weight_decay=0.0, clip_norm=2.0)"
    )


@pytest.mark.parametrize(
    "optimizer",
    [
        bp.SGD(0.1, momentum=0.5, nesterov=True, weight_decay=0.25),
        bp.Adam(0.1, betas=(0.5, 0.75), eps=1e-3, weight_decay=0.25),
        bp.AdamW(0.1, betas=(0.5, 0.75), eps=1e-3, weight_decay=0.25),
        bp.RMSprop(0.1, alpha=0.5, eps=1e-3, weight_decay=0.25, momentum=0.75),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_settings_can_be_read(optimizer):
    fixed = {name: value for name, value in optimizer.settings.items() if not name.startswith("clip_")}
    assert len(fixed) > 3
    for name, value in fixed.items():
        assert getattr(optimizer, name) == value
        if name != "lr":
            with pytest.raises(AttributeError):
                setattr(optimizer, name, value)


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
def test_the_number_of_remembered_arrays_is_the_engines(name, settings):
    net = make_network(SIZES, ACTIVATIONS, LOSS)
    optimizer = getattr(bp, name)(**settings)
    net.step(*make_data(net, 4), optimizer)
    assert optimizer.state_count == len(optimizer.state)
