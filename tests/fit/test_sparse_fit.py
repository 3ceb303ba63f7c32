"""fit with x as a matrix of scipy.sparse: weights and history have the bits of x.toarray()."""

import copy
import signal
import subprocess
import sys

import mpi_ranks
import numpy as np
import pytest
from conftest import ROOT

import backprop as bp

sp = pytest.importorskip("scipy.sparse")

SHAPES = {  # samples, inputs, hidden, outputs
    "wide": (70, 300, 37, 5),
    "one panel": (130, 40, 16, 2),
    "sums by blocks": (1200, 30, 20, 2),
    "a part of a vector": (30, 25, 3, 2),
    "more nodes than a chunk has": (9, 70, 800, 2),
}
OPTIMIZERS = {
    "sgd": lambda: bp.SGD(0.1),
    "momentum": lambda: bp.SGD(0.1, momentum=0.9, nesterov=True),
    "decay": lambda: bp.SGD(0.1, momentum=0.9, weight_decay=0.01),
    "adam": lambda: bp.Adam(0.01),
    "adamw": lambda: bp.AdamW(0.01, weight_decay=0.1),
    "rmsprop": lambda: bp.RMSprop(0.01, momentum=0.5),
    "clip_norm": lambda: bp.SGD(0.1, clip_norm=0.05),
    "clip_value": lambda: bp.Adam(0.01, clip_value=0.001),
    "schedule": lambda: bp.Adam(bp.schedules.Exponential(0.01, 0.9)),
    "lbfgs": lambda: bp.LBFGS(),
}


def samples_of(shape, density=0.1, seed=0):
    rng = np.random.default_rng(seed)
    x = sp.csr_array(sp.random(*shape[:2], density, random_state=seed))
    return x, rng.random((shape[0], shape[-1]))


def network_of(shape, dtype="float64", **settings):
    return bp.Network.dense(*shape[1:], **{"hidden": "tanh", "dtype": dtype, "seed": 1, **settings})


def assert_same(net, x, y, make, **settings):
    """Both fits end with the same bits, for 1, 2 and 7 threads."""
    dense = copy.deepcopy(net)
    expected = dense.fit(x.toarray(), y, make(), threads=1, **settings)
    for threads in (1, 2, 7):
        sparse = copy.deepcopy(net)
        history = sparse.fit(x, y, make(), threads=threads, **settings)
        np.testing.assert_array_equal(sparse.parameters, dense.parameters)
        assert {k: v for k, v in history.items() if k != "seconds"} == {
            k: v for k, v in expected.items() if k != "seconds"
        }


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_optimizer(optimizer, shape, dtype):
    x, y = samples_of(SHAPES[shape])
    batch = None if optimizer == "lbfgs" else 32 if shape != "sums by blocks" else 600
    assert_same(network_of(SHAPES[shape], dtype), x, y, OPTIMIZERS[optimizer], epochs=3, batch_size=batch)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_one_sample_a_step(optimizer):
    x, y = samples_of(SHAPES["wide"])
    assert_same(network_of(SHAPES["wide"]), x, y, OPTIMIZERS[optimizer], epochs=2, batch_size=1)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "clip_norm"])
def test_weights_masks_dropout_and_penalties(optimizer):
    shape = SHAPES["wide"]
    x, y = samples_of(shape)
    rng = np.random.default_rng(3)
    net = bp.Network(
        bp.Layer(shape[1], shape[2], "tanh", dropout=0.3, l1=0.001, l2=0.01),
        bp.Layer(shape[2], shape[3]),
        dtype="float64",
        seed=0,
    )
    assert_same(
        net,
        x,
        y,
        OPTIMIZERS[optimizer],
        epochs=3,
        sample_weight=rng.random(shape[0]),
        target_mask=rng.random(y.shape) < 0.8,
        norms=True,
    )


@pytest.mark.parametrize("optimizer", ["sgd", "decay", "adam", "adamw", "rmsprop", "clip_norm"])
def test_rates_masks_and_deeper_layers(optimizer):
    """Layers behind the first are trained in storage order, too."""
    shape = SHAPES["wide"]
    x, y = samples_of(shape)
    masks = [np.random.default_rng(4).random((a, b)) < 0.7 for a, b in ((shape[2], shape[1]), (70, shape[2]))]
    net = bp.Network(
        bp.Layer(shape[1], shape[2], "tanh", lr=0.5, bias_lr=2, mask=masks[0]),
        bp.Layer(shape[2], 70, "relu", mask=masks[1], l2=0.01),
        bp.Layer(70, 33, "tanh", lr=0),
        bp.Layer(33, shape[3], bias_lr=0),
        dtype="float64",
        seed=0,
    )
    frozen = net.layers[2].weights.copy()
    assert_same(net, x, y, OPTIMIZERS[optimizer], epochs=2, batch_size=16)
    net.fit(x, y, OPTIMIZERS[optimizer]())
    assert not net.layers[0].weights[~masks[0]].any()
    np.testing.assert_array_equal(net.layers[2].weights, frozen)


@pytest.mark.parametrize("optimizer", ["momentum", "adam", "clip_norm"])
def test_what_a_new_mask_would_clear(optimizer):
    """Written into the weights, and remembered from before the mask was there."""
    shape = SHAPES["wide"]
    x, y = samples_of(shape)
    mask = np.random.default_rng(4).random((shape[2], shape[1])) < 0.7
    results = []
    for given in (x, x.toarray()):
        net, rule = network_of(shape), OPTIMIZERS[optimizer]()
        net.fit(given, y, rule)
        net.layers[0].mask = mask
        net.parameters[:] = 0.01
        net.fit(given, y, rule, threads=2)
        assert not net.layers[0].weights[~mask].any()
        results.append([net.parameters, *rule.state])
    for array, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(array, expected)


FAILING = {
    "sgd": lambda rate: bp.SGD(rate),
    "momentum": lambda rate: bp.SGD(rate, momentum=0.9),
    "adamw, lazy": lambda rate: bp.AdamW(rate, weight_decay=0.01, lazy=True),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("optimizer", FAILING)
def test_an_epoch_that_fails_is_taken_back(optimizer, threads):
    """To the parameters before it, and, where a rule remembers anything, to an optimizer as new."""
    shape = SHAPES["wide"]
    x, y = samples_of(shape)
    settings = {"batch_size": 32, "shuffle": False, "threads": threads}  # three steps an epoch
    net, two_epochs = (network_of(shape, hidden="relu", output="identity") for _ in range(2))
    make = FAILING[optimizer]
    two_epochs.fit(x, y, make(0.01), epochs=2, **settings)
    failing = make(lambda step: 0.01 if step < 7 else 1e200)
    with pytest.raises(bp.DivergenceError, match="epoch 3"):
        net.fit(x, y, failing, epochs=5, **settings)
    np.testing.assert_array_equal(net.parameters, two_epochs.parameters)
    assert failing.steps == (6 if optimizer == "sgd" else 0)
    assert not any(state.any() for state in failing.state)
    failing.lr = 0.01
    net.fit(x, y, failing, epochs=2, **settings)
    two_epochs.fit(x, y, make(0.01), epochs=2, **settings)
    np.testing.assert_array_equal(net.parameters, two_epochs.parameters)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_leaves_the_steps_that_were_done(threads):
    shape = SHAPES["wide"]
    x, y = samples_of(shape)
    net, again, optimizer = network_of(shape), network_of(shape), bp.Adam(0.001)
    previous = signal.getsignal(signal.SIGALRM)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(KeyboardInterrupt):
            net.fit(x, y, optimizer, epochs=10**7, batch_size=len(y), shuffle=False, threads=threads)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert optimizer.steps > 0
    again.fit(x, y, bp.Adam(0.001), epochs=optimizer.steps, batch_size=len(y), shuffle=False)
    np.testing.assert_array_equal(net.parameters, again.parameters)


@pytest.mark.parametrize("given", ["pair", "share", "dense pair"])
def test_validation(given):
    shape = SHAPES["one panel"]
    x, y = samples_of(shape)
    xv, yv = samples_of((41, *shape[1:]), seed=5)
    net, dense = network_of(shape), network_of(shape)
    validations = {
        "pair": ((xv, yv), (xv.toarray(), yv)),
        "share": (0.2, 0.2),
        "dense pair": ((xv.toarray(), yv), (xv.toarray(), yv)),
    }
    one, two = validations[given]
    history = net.fit(x, y, bp.Adam(0.01), epochs=2, validation=one)
    expected = dense.fit(x.toarray(), y, bp.Adam(0.01), epochs=2, validation=two)
    np.testing.assert_array_equal(net.parameters, dense.parameters)
    assert history["validation_loss"] == expected["validation_loss"]


def test_validation_may_be_sparse_where_x_is_dense():
    shape = SHAPES["one panel"]
    x, y = samples_of(shape)
    net, dense = network_of(shape), network_of(shape)
    history = net.fit(x.toarray(), y, bp.SGD(0.1), epochs=2, validation=(x, y))
    expected = dense.fit(x.toarray(), y, bp.SGD(0.1), epochs=2, validation=(x.toarray(), y))
    assert history["validation_loss"] == expected["validation_loss"]


@pytest.mark.parametrize("threads", [1, 2])
def test_streams_of_batches_of_both_kinds(threads):
    shape = SHAPES["wide"]
    x, y = samples_of(shape)
    d = x.toarray()
    cuts = [(0, 10), (10, 40), (40, 41), (41, 70)]
    net, dense = network_of(shape), network_of(shape)
    batches = [(x[a:b] if a != 10 else d[a:b], y[a:b], np.ones(b - a)) for a, b in cuts]
    net.fit(batches, None, bp.SGD(0.1, momentum=0.5), epochs=3, threads=threads)
    dense.fit([(d[a:b], y[a:b]) for a, b in cuts], None, bp.SGD(0.1, momentum=0.5), epochs=3, threads=1)
    np.testing.assert_array_equal(net.parameters, dense.parameters)


def test_a_stream_whose_batches_grow():
    shape = SHAPES["wide"]
    net, dense = network_of(shape), network_of(shape)
    parts = [samples_of((30, *shape[1:]), density=density) for density in (0, 0.01, 0.3, 1.0, 0.02)]
    net.fit(parts, None, bp.SGD(0.1))
    dense.fit([(x.toarray(), y) for x, y in parts], None, bp.SGD(0.1))
    np.testing.assert_array_equal(net.parameters, dense.parameters)


def test_labels_and_class_weights():
    shape = SHAPES["wide"]
    x, y = samples_of(shape)
    labels = y.argmax(1)
    net = network_of(shape, loss="cross_entropy")
    assert_same(net, x, labels, OPTIMIZERS["sgd"], epochs=2, class_weight="balanced")


def test_the_matrix_is_left_as_it_was():
    shape = SHAPES["wide"]
    x, y = samples_of(shape)
    x.indices[: x.indptr[1]] = x.indices[: x.indptr[1]][::-1]
    parts = [x.data.copy(), x.indices.copy(), x.indptr.copy()]
    net, dense = network_of(shape), network_of(shape)
    net.fit(x, y, bp.SGD(0.1), epochs=2, validation=0.2)
    for now, before in zip((x.data, x.indices, x.indptr), parts, strict=True):
        np.testing.assert_array_equal(now, before)
    dense.fit(x.toarray(), y, bp.SGD(0.1), epochs=2, validation=0.2)
    np.testing.assert_array_equal(net.parameters, dense.parameters)


def test_numbers_that_are_not_finite_are_named():
    shape = SHAPES["one panel"]
    x, y = samples_of(shape)
    net = network_of(shape)
    before = net.parameters.copy()
    i = 7
    row = int(np.searchsorted(x.indptr, i, side="right")) - 1
    x.data[i] = np.nan
    optimizer = bp.Adam(0.01)
    optimizer._set_state((np.ones(net.parameters.size),) * 2)
    for given, settings in (
        (bp.SGD(0.1), {}),
        (bp.SGD(0.1), {"validation": (x, y)}),
        (bp.LBFGS(), {}),
        (optimizer, {}),
    ):
        with pytest.raises(ValueError, match=rf"x\[{row}, {x.indices[i]}\] is nan"):
            net.fit(x, y, given, **settings)
        np.testing.assert_array_equal(net.parameters, before)
    assert all((state == 1).all() for state in optimizer.state)


def test_what_does_not_take_a_sparse_x():
    shape = SHAPES["one panel"]
    x, y = samples_of(shape)
    net = network_of(shape)
    with pytest.raises(ValueError, match="shuffle='blocks' is for dense x"):
        net.fit(x, y, bp.SGD(0.1), shuffle="blocks")
    with pytest.raises(ValueError, match=r"LevenbergMarquardt .* takes a dense x, x\.toarray\(\)"):
        net.fit(x, y, bp.LevenbergMarquardt())
    with pytest.raises(TypeError, match="y must be an array"):
        net.fit(x, None, bp.SGD(0.1))


def test_a_broken_matrix_changes_nothing():
    shape = SHAPES["one panel"]
    x, y = samples_of(shape)
    net, optimizer = network_of(shape), bp.Adam(0.01)
    before, state = net.parameters.copy(), net.rng.bit_generator.state
    x.indices[3] = shape[1]
    for validation in (None, (x, y)):
        with pytest.raises(ValueError, match="x is a broken sparse matrix"):
            net.fit(x, y, optimizer, validation=validation)
    np.testing.assert_array_equal(net.parameters, before)
    assert net.rng.bit_generator.state == state
    assert optimizer.steps == 0


LAZY = {
    "sgd": lambda: bp.SGD(0.1, lazy=True),
    "momentum": lambda: bp.SGD(0.1, momentum=0.9, lazy=True),
    "nesterov and decay": lambda: bp.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1, lazy=True),
    "adam": lambda: bp.Adam(0.01, eps=1e-3, lazy=True),
    "adam and decay": lambda: bp.Adam(0.01, eps=1e-3, weight_decay=0.1, lazy=True),
    "adamw": lambda: bp.AdamW(0.01, eps=1e-3, weight_decay=0.1, lazy=True),
    "rmsprop": lambda: bp.RMSprop(0.01, eps=1e-3, lazy=True),
    "rmsprop and momentum": lambda: bp.RMSprop(0.01, momentum=0.5, lazy=True),
    "clip_value": lambda: bp.Adam(0.01, clip_value=0.001, lazy=True),
    "clip_norm": lambda: bp.SGD(0.1, momentum=0.9, clip_norm=0.01, lazy=True),
}


def moved(optimizer, w, g, state, step, eps_of_root):
    """Parameters after one step of PyTorch's rule; eps_of_root: eps is added to the root of the raw v."""
    s = optimizer.settings
    lr, decay = optimizer.lr, s.get("weight_decay", 0.0)
    g = np.clip(g, -s.get("clip_value", np.inf), s.get("clip_value", np.inf))
    if isinstance(optimizer, bp.AdamW):
        w = w - lr * decay * w
    else:
        g = g + decay * w
    if isinstance(optimizer, bp.Adam):
        (beta_1, beta_2), t = s["betas"], step + 1
        state[0][:] = beta_1 * state[0] + (1 - beta_1) * g
        state[1][:] = beta_2 * state[1] + (1 - beta_2) * g * g
        root = np.sqrt(1 - beta_2**t)
        eps = s["eps"] if eps_of_root else s["eps"] * root
        return w - lr * root / (1 - beta_1**t) * state[0] / (np.sqrt(state[1]) + eps)
    if isinstance(optimizer, bp.RMSprop):
        state[0][:] = s["alpha"] * state[0] + (1 - s["alpha"]) * g * g
        move = g / (np.sqrt(state[0]) + s["eps"])
        state[1][:] = s["momentum"] * state[1] + move
        return w - lr * (state[1] if s["momentum"] else move)
    state[0][:] = s["momentum"] * state[0] + g
    return w - lr * (g + s["momentum"] * state[0] if s["nesterov"] else state[0])


@pytest.mark.parametrize("threads", [None, 1, 2, 7])
@pytest.mark.parametrize("optimizer", LAZY)
def test_lazy_moves_only_what_occurs(optimizer, threads):
    """Against NumPy, with fit for a number of threads, and with net.step for None."""
    shape = SHAPES["wide"]
    x, y = samples_of(shape, density=0.01)
    net, optimizer = network_of(shape), LAZY[optimizer]()
    inputs, hidden = shape[1:3]
    before, state = net.parameters.copy(), [np.zeros(net.parameters.size) for _ in range(2)]
    w = before.copy()
    for step, (a, b) in enumerate([(0, 20), (20, 40), (40, 60), (60, 70)]):
        reference = network_of(shape)
        reference.parameters[:] = w
        g = reference.gradient(x[a:b], y[a:b]).parameters
        norm = np.linalg.norm(g)
        g = g * min(1, optimizer.settings.get("clip_norm", np.inf) / (norm + 1e-6))
        occurring = np.zeros(inputs, bool)
        occurring[x[a:b].indices] = True
        of_columns = np.zeros(w.size, bool)
        of_columns[: inputs * hidden] = np.repeat(occurring, hidden)
        rest = np.arange(w.size) >= inputs * hidden
        for part, eps_of_root in ((of_columns, True), (rest, False)):
            own = [each[part] for each in state]
            w[part] = moved(optimizer, w[part], g[part], own, step, eps_of_root)
            for each, new in zip(state, own, strict=True):
                each[part] = new
    if threads is None:
        for a, b in [(0, 20), (20, 40), (40, 60), (60, 70)]:
            net.step(x[a:b], y[a:b], optimizer)
    else:
        net.fit(x, y, optimizer, batch_size=20, shuffle=False, threads=threads)
    never = ~np.isin(np.arange(inputs), x.indices)
    assert 0 < never.sum() < inputs
    np.testing.assert_array_equal(
        net.layers[0].weights[:, never], before[: inputs * hidden].reshape(inputs, hidden)[never].T
    )
    np.testing.assert_allclose(net.parameters, w, rtol=0, atol=1e-13)


def test_lazy_means_nothing_for_a_dense_x():
    shape = SHAPES["wide"]
    x, y = samples_of(shape)
    net, other = network_of(shape), network_of(shape)
    net.fit(x.toarray(), y, bp.Adam(0.01, lazy=True), epochs=2)
    other.fit(x.toarray(), y, bp.Adam(0.01), epochs=2)
    np.testing.assert_array_equal(net.parameters, other.parameters)


def test_lazy_is_kept(tmp_path):
    import pickle

    optimizer = bp.Adam(0.01, lazy=True)
    assert optimizer.lazy
    assert not bp.Adam().lazy
    assert repr(optimizer).endswith(", lazy=True)")
    assert pickle.loads(pickle.dumps(optimizer)).lazy
    net = network_of(SHAPES["one panel"])
    net.save(tmp_path / "net.safetensors", optimizer=optimizer)
    assert bp.load(tmp_path / "net.safetensors", optimizer=True)[1].lazy
    with pytest.raises(AttributeError, match="lazy"):
        optimizer.lazy = False


@pytest.mark.parametrize("how", ["fit", "step"])
def test_lazy_adam_is_sparse_adam(how):
    """PyTorch's EmbeddingBag with SparseAdam, and Adam for what follows it."""
    torch = pytest.importorskip("torch")
    shape = SHAPES["wide"]
    x, y = samples_of(shape, density=0.02)
    net = bp.Network(
        bp.Layer(shape[1], shape[2], "identity", bias=False),
        bp.Layer(shape[2], shape[3]),
        dtype="float64",
        seed=0,
    )
    bag = torch.nn.EmbeddingBag(shape[1], shape[2], mode="sum", sparse=True, dtype=torch.float64)
    last = torch.nn.Linear(shape[2], shape[3], dtype=torch.float64)
    with torch.no_grad():
        bag.weight[:] = torch.tensor(net.layers[0].weights.T.copy())
        last.weight[:] = torch.tensor(net.layers[1].weights.copy())
        last.bias[:] = torch.tensor(net.layers[1].bias.copy())
    settings = {"lr": 0.01, "betas": (0.9, 0.99), "eps": 1e-4}
    optimizers = (
        torch.optim.SparseAdam(bag.parameters(), **settings),
        torch.optim.Adam(last.parameters(), **settings),
    )
    own = bp.Adam(**settings, lazy=True)
    for a in (0, 20, 40, 0, 20):
        part, targets = x[a : a + 20], y[a : a + 20]
        if how == "fit":
            net.fit(part, targets, own, batch_size=20)
        else:
            net.step(part, targets, own)
        indices, offsets = torch.tensor(part.indices.astype(np.int64)), torch.tensor(part.indptr[:-1])
        out = torch.sigmoid(last(bag(indices, offsets, per_sample_weights=torch.tensor(part.data))))
        for optimizer in optimizers:
            optimizer.zero_grad()
        ((out - torch.tensor(targets)) ** 2).sum(1).mean().backward()
        for optimizer in optimizers:
            optimizer.step()
    np.testing.assert_allclose(net.layers[0].weights, bag.weight.detach().numpy().T, rtol=0, atol=1e-12)
    np.testing.assert_allclose(net.layers[1].weights, last.weight.detach().numpy(), rtol=0, atol=1e-12)


MEMORY = """
import numpy as np, scipy.sparse as sp
import backprop as bp

rng = np.random.default_rng(0)
n, inputs, each = 20_000, 100_000, 60
k = np.sort(rng.integers(0, inputs, (n, each)), 1)
x = sp.csr_array((np.ones(n * each, np.float32), k.ravel(), np.arange(n + 1) * each), shape=(n, inputs))
x.sum_duplicates()
y = rng.integers(0, 20, n)
bp.Network.dense(2, 2, seed=0).fit(np.ones((4, 2)), np.ones((4, 2)), bp.Adam(0.1))
def resident(name):  # not ru_maxrss, which begins with what the parent had
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith(name))

before = resident("VmRSS")
net = bp.Network.dense(inputs, HIDDEN, 20, loss="cross_entropy", seed=0)
net.fit(x, y, OPTIMIZER, epochs=1)
print(resident("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("hidden", "optimizer"),
    [
        (100, "bp.SGD(0.1)"),
        (90, "bp.SGD(0.1, momentum=0.9)"),
        (70, "bp.Adam()"),
        (70, "bp.Adam(lazy=True)"),
    ],
)
def test_memory(hidden, optimizer):
    """x.toarray() would be 8 GB: less than 120 MB beside the data. W and a copy of it, and one vector of that
    size for each thing that the rule remembers, are 80, 108 and 112 MB.
    """
    done = subprocess.run(
        [sys.executable, "-c", MEMORY.replace("HIDDEN", str(hidden)).replace("OPTIMIZER", optimizer)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 120_000_000


RANKS = """
import scipy.sparse as sp
rng = np.random.default_rng(0)
x, y = sp.csr_array(sp.random(60, 80, 0.1, random_state=0)), rng.random((60, 3))
make_net = lambda: bp.Network.dense(80, 20, 3, hidden="tanh", dtype="float64", seed=0)
for make in (lambda: bp.SGD(0.1), lambda: bp.Adam(0.01), lambda: bp.SGD(0.1, clip_norm=0.1)):
    one, many, averaged = make_net(), make_net(), make_net()
    expected = one.fit(x, y, make(), epochs=2, batch_size=16, validation=(x, y))
    history = many.fit(x, y, make(), epochs=2, batch_size=16, validation=(x, y), comm=comm)
    np.testing.assert_allclose(many.parameters, one.parameters, rtol=0, atol=1e-10)
    np.testing.assert_allclose(history["validation_loss"], expected["validation_loss"], rtol=1e-10)
    averaged.fit(x, y, make(), epochs=2, batch_size=16, sync_every=2, comm=comm)
    assert same_bits(many) and same_bits(averaged)
    sharded = make_net()
    sharded.fit(x[rank::size], y[rank::size], make(), epochs=1, batch_size=16, comm=comm, sharded=True)
    assert same_bits(sharded)
try:
    make_net().fit(x, y, bp.Adam(lazy=True), comm=comm)
except ValueError as error:
    assert "lazy=True moves what occurs" in str(error)
    tell("well")
"""


@pytest.mark.parametrize("shared", [False, True])
def test_ranks(shared):
    lines = mpi_ranks.succeed(2, (mpi_ranks.SHARING if shared else "") + RANKS)
    assert lines == ["rank 0 well", "rank 1 well"]
