"""Missing targets, held-out shares, norms, checkpoints, early stopping, the progress bar."""

import math

import numpy as np
import pytest
from conftest import assert_close, assert_same_bits, make_data, make_network, require_torch

import backprop as bp

# Missing targets.

PAIRS = [
    (("tanh", "sigmoid"), "squared_error"),
    (("tanh", "identity"), "mean_squared_error"),
    (("relu", "tanh"), "huber"),
    (("tanh", "sigmoid"), "binary_cross_entropy"),
    (("tanh", "softmax"), "binary_cross_entropy"),
    (("tanh", "softmax"), "squared_error"),
    (("tanh", "sigmoid"), "cross_entropy"),
    (("tanh", "softmax"), "cross_entropy"),
]


def masked_torch(torch, net, x, y, mask):
    """C and its gradient with respect to net.parameters, each missing target's part left out."""
    import autograd

    leaves = autograd.parameters(net)
    a = torch.tensor(np.asarray(x, np.float64))
    for layer, (w, b) in zip(net.layers, leaves, strict=True):
        a = autograd.ACTIVATIONS[str(layer.activation)](a @ w.T + b)
    y = torch.tensor(y)
    d = a - y
    parts = {
        "squared_error": lambda: d**2,
        "mean_squared_error": lambda: d**2 / a.shape[1],
        "huber": lambda: torch.where(d.abs() <= 1, d**2 / 2, d.abs() - 0.5),
        "binary_cross_entropy": lambda: -(y * a.log() + (1 - y) * (1 - a).log()),
        "cross_entropy": lambda: -y * a.log(),
    }[net.loss_name]()
    loss = torch.where(torch.tensor(mask), parts, 0.0).sum(1).mean()
    loss.backward()
    gradient = [part.grad.numpy().T.ravel() for pair in leaves for part in pair]
    return loss.item(), np.concatenate(gradient)


@pytest.mark.parametrize(("activations", "loss"), PAIRS, ids=str)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("hidden_value", [math.nan, math.inf, 7.0])
def test_missing_targets_are_no_part_of_the_loss(activations, loss, threads, hidden_value):
    torch = require_torch()
    net = make_network((5, 21, 18), activations, loss)
    x, y = make_data(net, 12)
    mask = np.random.default_rng(0).random(y.shape) < 0.6
    mask[3] = False
    expected, gradient = masked_torch(torch, net, x, y, mask)
    before = net.parameters.copy()
    hidden = np.where(mask, y, hidden_value)
    history = net.fit(
        x, hidden, bp.SGD(0.1), batch_size=12, shuffle=False, target_mask=mask, threads=threads
    )
    assert history["loss"] == [pytest.approx(expected, rel=1e-12)]
    assert np.isnan(history.to_dict().get("accuracy", [np.nan])).all()
    assert "r2" not in history
    assert_close((before - net.parameters) / 0.1, gradient, 1e-10)


def test_a_full_mask_changes_nothing(dtype):
    nets = [make_network((5, 21, 18), ("tanh", "softmax"), "cross_entropy", dtype) for _ in range(2)]
    x, y = make_data(nets[0], 30)
    nets[0].fit(x, y, bp.Adam(0.01), epochs=3, batch_size=7, rng=1, target_mask=np.ones(y.shape, bool))
    nets[1].fit(x, y, bp.Adam(0.01), epochs=3, batch_size=7, rng=1)
    assert_same_bits(nets[0].parameters, nets[1].parameters)


def test_a_nan_that_is_not_masked_is_refused(small):
    y = small.y.copy()
    y[2, 1] = math.nan
    mask = np.ones(y.shape, bool)
    with pytest.raises(ValueError, match=r"y\[2, 1\] is nan"):
        small.net.fit(small.x, y, bp.SGD(0.1), target_mask=mask)
    mask[2, 1] = False
    small.net.fit(small.x, y, bp.SGD(0.1), target_mask=mask)
    small.net.fit(small.x, y, bp.SGD(0.1), target_mask=mask, batch_size=1)


def test_masks_of_one_output_and_of_any_strides():
    nets = [make_network((3, 6, 1), ("tanh", "identity")) for _ in range(3)]
    x, y = make_data(nets[0], 10)
    mask = np.arange(10) % 3 > 0
    nets[0].fit(x, y[:, 0], bp.SGD(0.1), shuffle=False, target_mask=mask)
    nets[1].fit(x, y, bp.SGD(0.1), shuffle=False, target_mask=mask[:, None].tolist())
    nets[2].fit(x, y[:, 0], bp.SGD(0.1), shuffle=False, target_mask=np.repeat(mask, 2)[::2])
    for net in nets[1:]:
        assert_same_bits(net.parameters, nets[0].parameters)


@pytest.mark.parametrize(
    ("y", "mask", "error", "text"),
    [
        ("y", np.ones((5, 2)), TypeError, "target_mask must be of dtype bool"),
        ("y", np.ones((5, 3), bool), ValueError, r"target_mask must have shape \(5, 2\), as y has"),
        ("y", np.ones(5, bool), ValueError, r"target_mask must have shape"),
        (np.zeros(5, int), np.ones(5, bool), ValueError, "target_mask needs targets of shape"),
    ],
)
def test_wrong_masks(small, y, mask, error, text):
    before = small.net.parameters.copy()
    with pytest.raises(error, match=text):
        small.net.fit(small.x, small.y if isinstance(y, str) else y, bp.SGD(0.1), target_mask=mask)
    assert_same_bits(small.net.parameters, before)


# A share held out.


def test_a_share_holds_out_the_last_samples():
    nets = [make_network((4, 7, 3), "tanh") for _ in range(2)]
    x, y = make_data(nets[0], 20)
    weights = np.arange(1.0, 21)
    histories = [
        nets[0].fit(x, y, bp.SGD(0.1), epochs=2, validation=0.25, sample_weight=weights, rng=1),
        nets[1].fit(
            x[:15],
            y[:15],
            bp.SGD(0.1),
            epochs=2,
            validation=(x[15:], y[15:]),
            sample_weight=weights[:15],
            rng=1,
        ),
    ]
    assert_same_bits(nets[0].parameters, nets[1].parameters)
    for key in ("loss", "validation_loss", "validation_r2"):
        assert histories[0][key] == histories[1][key]


@pytest.mark.parametrize("share", [0, 1, 1.5, -0.1, math.nan, True, 0.01, 0.99])
def test_a_share_must_leave_samples_on_both_sides(small, share):
    with pytest.raises(ValueError, match="share between 0 and 1"):
        small.net.fit(small.x, small.y, bp.SGD(0.1), validation=share)


# Norms.


def test_norms_are_those_of_weights_and_gradients():
    net = make_network((4, 7, 3), "tanh")
    twin = make_network((4, 7, 3), "tanh")
    x, y = make_data(net, 20)
    history = net.fit(x, y, bp.SGD(0.1), epochs=3, batch_size=10, shuffle=False, norms=True)
    assert list(history) == ["loss", "r2", "lr", "weight_norm", "gradient_norm", "seconds"]
    for epoch in range(3):
        norms = []
        for rows in (slice(0, 10), slice(10, 20)):
            norms.append(np.linalg.norm(twin.gradient(x[rows], y[rows]).parameters))
            twin.step(x[rows], y[rows], bp.SGD(0.1))
        assert history["gradient_norm"][epoch] == pytest.approx(np.mean(norms), rel=1e-12)
        assert history["weight_norm"][epoch] == pytest.approx(np.linalg.norm(twin.parameters), rel=1e-12)
    assert_close(net.parameters, twin.parameters, 1e-13)
    assert "gradient_norm" not in net.fit(x, y, bp.SGD(0.1))


# Callbacks.


def test_checkpoint_saves_now_and_then(tmp_path):
    pytest.importorskip("safetensors")
    net = make_network((4, 7, 3), "tanh")
    x, y = make_data(net, 20)
    seen = []
    checkpoint = bp.Checkpoint(tmp_path / "net-{epoch:02}.safetensors", every=2)
    callbacks = [checkpoint, lambda net, record: seen.append(net.parameters.copy())]
    net.fit(x, y, bp.SGD(0.1), epochs=5, callbacks=callbacks)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net-02.safetensors", "net-04.safetensors"]
    for epoch in (2, 4):
        saved = bp.load(tmp_path / f"net-{epoch:02}.safetensors")
        assert_same_bits(saved.parameters, seen[epoch - 1])


def test_training_goes_on_from_a_checkpoint(tmp_path):
    pytest.importorskip("safetensors")
    net = make_network((4, 7, 3), "tanh")
    x, y = make_data(net, 20)
    optimizer = bp.Adam(0.01)
    checkpoint = bp.Checkpoint(tmp_path / "net-{epoch}", optimizer=optimizer)
    net.fit(x, y, optimizer, epochs=5, callbacks=[checkpoint])
    again, its_optimizer = bp.load(tmp_path / "net-3", optimizer=True)
    assert its_optimizer.steps == 3
    again.fit(x, y, its_optimizer, epochs=2)
    assert_same_bits(again.parameters, net.parameters)


def test_checkpoint_keeps_the_best(tmp_path):
    pytest.importorskip("safetensors")
    net = make_network((4, 7, 3), "tanh")
    x, y = make_data(net, 20)
    path = tmp_path / "best.safetensors"
    checkpoint, seen = bp.Checkpoint(path, monitor="loss"), []

    def worsen(network, record):
        seen.append((record["loss"], network.parameters.copy()))
        if record["epoch"] == 3:
            network.parameters[:] += 1

    net.fit(x, y, bp.SGD(0.05), epochs=5, callbacks=[checkpoint, worsen])
    loss, parameters = min(seen, key=lambda pair: pair[0])
    assert seen[3][0] > loss, "the fourth epoch is worse"
    assert checkpoint.best == loss
    assert_same_bits(bp.load(path).parameters, parameters)


def test_checkpoint_is_checked_before_training(tmp_path, small):
    before = small.net.parameters.copy()
    for checkpoint in (
        bp.Checkpoint(tmp_path / "x", monitor="validation_loss"),
        bp.Checkpoint(tmp_path / "{val_loss}"),
        bp.Checkpoint(tmp_path / "{epoch:q}"),
        bp.Checkpoint(tmp_path / "{"),
    ):
        with pytest.raises(ValueError, match=r"measures only|may name epoch"):
            small.net.fit(small.x, small.y, bp.SGD(0.1), callbacks=[checkpoint])
    with pytest.raises(ValueError, match="every must be at least 1"):
        bp.Checkpoint("x", every=0)
    assert_same_bits(small.net.parameters, before)
    assert list(tmp_path.iterdir()) == []


def test_callbacks_are_told_of_start_and_end(small):
    told = []

    class Teller:
        def start(self, network, quantities):
            told.append(("start", network is small.net, quantities))

        def __call__(self, network, record):
            told.append(("epoch", record["epoch"], sorted(record)))
            return record["epoch"] == 2

        def finish(self, network):
            told.append(("finish", network is small.net))

    history = small.net.fit(small.x, small.y, bp.SGD(0.1), epochs=9, callbacks=[Teller()])
    assert history.epochs == 2
    keys = ("loss", "accuracy", "lr", "seconds")
    assert told == [
        ("start", True, keys),
        ("epoch", 1, sorted([*keys, "epoch"])),
        ("epoch", 2, sorted([*keys, "epoch"])),
        ("finish", True),
    ]


def test_early_stopping_restores_the_best_with_any_optimizer():
    net = make_network((4, 7, 3), "tanh")
    x, y = make_data(net, 20)
    seen = []
    stopping = bp.EarlyStopping("loss", patience=2)

    def keep(network, record):
        seen.append(network.parameters.copy())
        network.parameters[:] *= -2 if record["epoch"] >= 4 else 1

    net.fit(x, y, bp.Adam(0.01), epochs=50, callbacks=[stopping, keep])
    assert stopping.best_epoch == 4
    assert len(seen) == 6
    assert_same_bits(net.parameters, seen[3])


# The progress bar.


def test_progress_can_be_forced_and_shows_loss_and_rate(small, capsys):
    pytest.importorskip("tqdm")
    small.net.fit(small.x, small.y, bp.SGD(0.125), epochs=3, progress=True)
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert "loss=" in shown
    assert "lr=0.125" in shown
    for keywords in ({}, {"progress": False}):
        small.net.fit(small.x, small.y, bp.SGD(0.125), epochs=3, **keywords)
        assert capsys.readouterr() == ("", "")
