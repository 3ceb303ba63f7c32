"""What the options of ``python -m backprop train`` do, against the same said in Python; and what the commands
that use a saved network do with it."""

import csv
import ctypes
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from command_line import run
from conftest import assert_close, assert_same_bits, require_torch
from test_cli import accuracy_in

import backprop as bp
from backprop.files.format import save

TRAINED, TESTED = 1150, 288  # of the digits' 1438 training images, where 20 % of them validate
STEPS = -(-TRAINED // 50)  # of an epoch


def parts(x, y, seed=0, share=0.2):
    """The training samples and the held-out ones, as the command line draws them."""
    order = np.random.default_rng(seed).permutation(len(x))
    held = round(share * len(x))
    return x[order[held:]], y[order[held:]], (x[order[:held]], y[order[:held]])


def net_with(*, sizes=(64, 12, 10), loss="squared_error", dtype="float32", seed=0, **first):
    output = "softmax" if loss == "cross_entropy" else "sigmoid"
    layers = bp.Layer(sizes[0], sizes[1], "tanh", **first), bp.Layer(sizes[1], sizes[2], output)
    return bp.Network(*layers, loss=loss, dtype=dtype, seed=seed)


SCHEDULED = {
    "step": (
        ["--schedule", "step", "--decay", 0.5, "--decay-every", 2],
        bp.schedules.Step(0.3, 2 * STEPS, 0.5),
    ),
    "exponential": (
        ["--schedule", "exponential", "--decay", 0.8],
        bp.schedules.Exponential(0.3, 0.8 ** (1 / STEPS)),
    ),
    "cosine": (
        ["--schedule", "cosine", "--warm-up", 1],
        bp.schedules.WarmUp(bp.schedules.Cosine(0.3, 3 * STEPS), STEPS),
    ),
    "longer": (
        ["--schedule", "cosine", "--schedule-epochs", 9],
        bp.schedules.Cosine(0.3, 9 * STEPS),
    ),
    "one_cycle": (["--schedule", "one_cycle"], bp.schedules.OneCycle(0.3, 4 * STEPS)),
    "plateau": (
        ["--schedule", "plateau", "--plateau-patience", 0, "--decay", 0.5],
        bp.schedules.ReduceOnPlateau(0.3, factor=0.5, patience=0),
    ),
    "warm_up": (["--warm-up", 2], bp.schedules.WarmUp(0.3, 2 * STEPS)),
}
OPTIMIZERS = {
    "sgd": (
        ["--momentum", 0.8, "--nesterov", "--weight-decay", 0.001, "--clip-norm", 0.5],
        lambda: bp.SGD(0.3, 0.8, True, 0.001, clip_norm=0.5),
    ),
    "adam": (
        ["--optimizer", "adam", "--betas", 0.8, 0.99, "--eps", 1e-6, "--clip-value", 0.01],
        lambda: bp.Adam(0.3, (0.8, 0.99), 1e-6, clip_value=0.01),
    ),
    "adamw": (["--optimizer", "adamw", "--weight-decay", 0.1], lambda: bp.AdamW(0.3, weight_decay=0.1)),
    "rmsprop": (
        ["--optimizer", "rmsprop", "--alpha", 0.9, "--momentum", 0.5, "--eps", 1e-4],
        lambda: bp.RMSprop(0.3, 0.9, 1e-4, 0.5),
    ),
}
COMMON = ["--layers", "64-12-10", "--hidden", "tanh", "--epochs", 4, "--batch-size", 50, "--validation", 0.2]


def same(capsys, tmp_path, options, net, optimizer, **settings):
    """Trains with options, and `net` in Python: they must be the same networks."""
    code, out, err = run(capsys, "train", *COMMON, *options, "--save", tmp_path / "net")
    assert (code, err) == (0, "")
    x, y, held = parts(*bp.datasets.load_digits()[:2])
    history = net.fit(x, y, optimizer, epochs=4, batch_size=50, validation=held, **settings)
    again, its_optimizer = bp.load(tmp_path / "net", optimizer=True)
    assert repr(again) == repr(net)
    assert repr(its_optimizer) == repr(optimizer)
    assert_same_bits(again.parameters, net.parameters)
    return out, history


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(capsys, tmp_path, name):
    options, optimizer = OPTIMIZERS[name]
    same(capsys, tmp_path, [*options, "--lr", 0.3], net_with(), optimizer())


def test_precision(capsys, tmp_path):
    precision = "bfloat16-emulated"
    options = ["--lr", 0.3, "--dtype", "float32", "--precision", precision]
    same(capsys, tmp_path, options, net_with(dtype="float32"), bp.SGD(0.3), precision=precision)
    code, _, err = run(capsys, "train", *COMMON, "--dtype", "float64", "--precision", precision)
    assert code != 0
    assert "precision is for float32 networks; this one is float64" in err


@pytest.mark.parametrize("name", SCHEDULED)
def test_schedules(capsys, tmp_path, name):
    options, schedule = SCHEDULED[name]
    out, history = same(capsys, tmp_path, [*options, "--lr", 0.3], net_with(), bp.SGD(schedule))
    printed = [float(line.split()[-1]) for line in out.splitlines() if line.startswith("epoch")]
    assert_close(printed, np.array(history["lr"]), 5e-3)


def test_network_and_regularisation(capsys, tmp_path):
    options = ["--dtype", "float64", "--loss", "cross_entropy", "--init", "lecun", "--seed", 3, "--no-bias"]
    options += ["--l1", "0.001,0", "--l2", "0.01,0.02", "--dropout", 0.3, "--class-weight", "0:2,7:0.5"]
    code, _, err = run(capsys, "train", *COMMON, *options, "--threads", 2, "--save", tmp_path / "net")
    assert (code, err) == (0, "")
    net = bp.Network(
        bp.Layer(64, 12, "tanh", bias=False, init="lecun", l1=0.001, l2=0.01, dropout=0.3),
        bp.Layer(12, 10, "softmax", bias=False, init="lecun", l2=0.02),
        loss="cross_entropy",
        dtype="float64",
        seed=3,
    )
    x, y, _ = parts(*bp.datasets.load_digits()[:2], seed=3)
    net.fit(x, y, bp.SGD(1.0), epochs=4, batch_size=50, class_weight={0: 2, 7: 0.5})
    again = bp.load(tmp_path / "net")
    assert repr(again) == repr(net)
    assert_same_bits(again.parameters, net.parameters)


def test_hidden_layers_of_their_own(capsys, tmp_path):
    options = ["--layers", "64-9-8-10", "--hidden", "relu,tanh", "--dropout", "0.1,0.2", "--epochs", 1]
    code, _, err = run(capsys, "train", *options, "--save", tmp_path / "net")
    assert (code, err) == (0, "")
    layers = bp.load(tmp_path / "net").layers
    assert [str(layer.activation) for layer in layers] == ["relu", "tanh", "sigmoid"]
    assert [layer.dropout for layer in layers] == [0.1, 0.2, 0.0]


def test_early_stopping_checkpoint_norms_history(capsys, tmp_path):
    """No later epoch is better than the first by 100, so that three are trained and the first one is kept."""
    stop = ["--early-stopping", 2, "--monitor", "loss", "--min-delta", 100]
    figures, net = tmp_path / "figures.csv", tmp_path / "net"
    options = [*stop, "--norms", "--checkpoint", tmp_path / "net-{epoch}", "--history", figures]
    code, out, err = run(capsys, "train", *COMMON, *options, "--save", net)
    assert (code, err) == (0, "")
    with open(figures, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert {"weight_norm", "gradient_norm", "validation_loss", "lr"} <= rows[0].keys()
    assert f"gradient norm {float(rows[0]['gradient_norm']):.4f}" in out
    assert_same_bits(bp.load(net).parameters, bp.load(tmp_path / "net-1").parameters)

    run(capsys, "train", *COMMON, *options, "--keep-last", "--save", net)
    assert_same_bits(bp.load(net).parameters, bp.load(tmp_path / "net-3").parameters)

    run(capsys, "train", "--epochs", 2, "--history", tmp_path / "figures.json")
    assert len(json.loads((tmp_path / "figures.json").read_text())["loss"]) == 2
    run(capsys, "train", *COMMON, "--checkpoint", tmp_path / "even-{epoch}", "--checkpoint-every", 2)
    assert sorted(path.name for path in tmp_path.glob("even*")) == ["even-2", "even-4"]
    best = ["--checkpoint", tmp_path / "best-{epoch}", "--checkpoint-best", "--history", tmp_path / "b.json"]
    run(capsys, "train", *COMMON, *best, "--lr", 20, "--epochs", 12)
    losses = json.loads((tmp_path / "b.json").read_text())["validation_loss"]
    kept = [n + 1 for n in range(12) if losses[n] < min(losses[:n], default=np.inf)]
    assert 1 <= len(kept) < 12
    assert {path.name for path in tmp_path.glob("best-*")} == {f"best-{n}" for n in kept}


def test_resume_is_as_if_it_had_not_stopped(capsys, tmp_path):
    options = ["--optimizer", "adam", "--dropout", 0.2, "--clip-norm", 1, "--validation", 0.1, "--seed", 5]
    options += ["--schedule", "cosine", "--schedule-epochs", 6, "--warm-up", 1, "--batch-size", 30]
    _, whole, _ = run(capsys, "train", *options, "--epochs", 6, "--save", tmp_path / "whole")
    run(capsys, "train", *options, "--epochs", 4, "--checkpoint", tmp_path / "part-{epoch}")
    more = ["--epochs", 2, "--save", tmp_path / "again"]
    code, again, err = run(capsys, "train", "--resume", tmp_path / "part-4", *more)
    assert (code, err) == (0, "")
    assert again.splitlines()[0].endswith(f"going on after {4 * -(-1294 // 30)} steps")

    def figures(out):
        return [line[9:] for line in out.splitlines() if line.startswith("epoch")]

    assert figures(again) == figures(whole)[4:]
    assert again.splitlines()[-1] == whole.splitlines()[-1]
    assert_same_bits(bp.load(tmp_path / "again").parameters, bp.load(tmp_path / "whole").parameters)

    run(capsys, "train", "--resume", tmp_path / "part-4", *more, "--lr", 0.5)
    assert bp.load(tmp_path / "again", optimizer=True)[1].lr == 0.5


@pytest.fixture
def regression(tmp_path):
    """A linear law with noise, inputs of very different sizes, two targets; as .npz."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 4)) * [1, 1000, 0.01, 1] + [0, 5000, 0, 2]
    y = ((x - x.mean(0)) / x.std(0)) @ rng.standard_normal((4, 2)) * [3, 500] + [100, -7]
    np.savez(tmp_path / "data.npz", x=x, y=y + 0.01 * rng.standard_normal(y.shape))
    return tmp_path / "data.npz"


def train_regression(capsys, path, model, *options):
    code, out, err = run(
        capsys, "train", "--data", path, "--regression", "--standardize", "--epochs", 20, "--save", model,
        "--optimizer", "adam", "--lr", 0.01, *options,
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "accuracy" not in out
    assert float(out.splitlines()[-1].removeprefix("test R2 ")) > 0.95
    return out


def test_regression(capsys, tmp_path, regression):
    model = tmp_path / "net"
    out = train_regression(
        capsys, regression, model, "--validation", 0.1, "--early-stopping", 30, "--monitor", "validation_r2"
    )
    line = r"^epoch +1  loss \S+  r2 \S+  validation loss \S+  validation r2 \S+"
    assert re.search(line, out, re.MULTILINE)
    with np.load(regression) as file:
        x, y = file["x"], file["y"]
    code, out, err = run(capsys, "evaluate", model, "--data", regression)
    assert (code, err) == (0, "")
    r2 = float(out.splitlines()[2].split()[1])
    code, out, err = run(capsys, "predict", model, "--data", regression)
    predicted = np.array([line.split(",") for line in out.splitlines()], float)
    assert predicted.shape == y.shape
    residue = ((y - predicted) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)
    assert np.mean(1 - residue) == pytest.approx(r2, abs=1e-4)
    assert r2 > 0.95
    assert err == f"R2 {r2:.4f} of 300 samples\n"
    code, out, _ = run(capsys, "info", model)
    assert "targets were standardised" in out
    for command in ("check", "explain", "jacobian"):
        assert run(capsys, command, model, "--data", regression)[0] == 0

    # Exported, it takes x and gives y as they are.
    runtime = pytest.importorskip("onnxruntime")
    assert run(capsys, "export", model, tmp_path / "net.onnx")[0] == 0
    session = runtime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    a = session.run(["a"], {"x": x.astype(np.float32)})[0]
    assert_close(a, predicted, 1e-4)  # 5000 ± 1000, standardised in float32


def test_targets_that_cannot_be_folded(capsys, tmp_path, regression):
    model = tmp_path / "net"
    train_regression(capsys, regression, model, "--no-bias")
    code, _, err = run(capsys, "export", model, tmp_path / "net.c")
    assert code == 1
    assert "--as-trained" in err
    assert run(capsys, "export", model, tmp_path / "net.c", "--as-trained")[0] == 0


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_export_takes_data_as_they_are(capsys, tmp_path):
    x, y, x_test, y_test = bp.datasets.load_digits()
    arrays = {"x_train": 16 * x, "y_train": y, "x_test": 16 * x_test, "y_test": y_test}
    np.savez(tmp_path / "digits.npz", **arrays)
    data = ["--data", tmp_path / "digits.npz"]
    code, out, _ = run(capsys, "train", *data, "--epochs", 8, "--save", tmp_path / "net")
    assert code == 0
    expected = accuracy_in(out)
    raw = (16 * x_test).astype(np.float32)
    outputs = bp.load(tmp_path / "net")(x_test)

    header = tmp_path / "net.h"
    named = ["--name", "digits", "--header", header]
    assert run(capsys, "export", tmp_path / "net", tmp_path / "net.c", *named)[0] == 0
    assert "digits_predict" in header.read_text(encoding="utf-8")
    code, _, err = run(capsys, "export", tmp_path / "net", tmp_path / "net.pt", "--header", header)
    assert code == 1
    assert "--header is for C" in err
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, tmp_path / "net.c", "-o", tmp_path / "net.so", "-lm"], check=True)
    library = ctypes.CDLL(str(tmp_path / "net.so"))
    a = np.empty(10, np.float32)
    hits = 0
    for sample, label, output in zip(raw, y_test, outputs, strict=True):
        library.digits_predict(sample.ctypes, a.ctypes)
        assert_close(a, output, 1e-5)
        hits += library.digits_classify(sample.ctypes) == label
    assert round(hits / len(raw), 4) == expected

    torch = require_torch()
    assert run(capsys, "export", tmp_path / "net", tmp_path / "net.pt")[0] == 0
    module = bp.load(tmp_path / "net").to_torch()
    module.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
    with torch.no_grad():
        assert_close(module(torch.from_numpy(raw)).numpy(), outputs, 1e-5)
    code, _, err = run(capsys, "export", tmp_path / "net", tmp_path / "net.h5")
    assert code == 1
    assert ".onnx, .c or .pt" in err


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("as_trained", [False, True])
def test_export_in_whole_numbers(capsys, tmp_path, as_trained):
    x, y, x_test, y_test = bp.datasets.load_digits()
    arrays = {"x_train": 16 * x, "y_train": y, "x_test": 16 * x_test, "y_test": y_test}
    np.savez(tmp_path / "digits.npz", **arrays)
    model, data = tmp_path / "net", ["--data", tmp_path / "digits.npz"]
    code, out, _ = run(capsys, "train", *data, "--epochs", 8, "--save", model)
    assert code == 0
    options = ["--as-trained"] if as_trained else []
    assert run(capsys, "export", model, tmp_path / "net.c", "--integers", *data, *options)[0] == 0
    text = (tmp_path / "net.c").read_text(encoding="utf-8")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, tmp_path / "net.c", "-o", tmp_path / "net.so"], check=True)
    library = ctypes.CDLL(str(tmp_path / "net.so"))
    scale, zero = (
        float(re.search(rf"define NETWORK_X_{what} +\(?([-+.0-9e]+)", text)[1]) for what in ("SCALE", "ZERO")
    )
    taken = x_test if as_trained else 16 * x_test
    whole = np.clip(np.rint(taken / scale) + zero, -128, 127).astype(np.int8)
    hits = sum(
        library.network_classify(sample.ctypes) == label for sample, label in zip(whole, y_test, strict=True)
    )
    assert abs(hits / len(whole) - accuracy_in(out)) <= 0.01


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["net.onnx", "--integers"], "--integers is for C"),
        (["net.c", "--data", "digits.npz"], "--data is for --integers"),
    ],
)
def test_options_of_export_that_would_change_nothing(capsys, tmp_path, options, words):
    assert run(capsys, "train", "--epochs", 1, "--save", tmp_path / "net")[0] == 0
    code, _, err = run(capsys, "export", tmp_path / "net", *options)
    assert code == 1
    assert words in err


def test_evaluate_and_outputs(capsys, tmp_path):
    run(capsys, "train", "--epochs", 4, "--save", tmp_path / "net")
    net, (_, _, x, y) = bp.load(tmp_path / "net"), bp.datasets.load_digits()
    code, out, err = run(capsys, "evaluate", tmp_path / "net", "--confusion")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:3] == [
        f"samples   {len(x)}",
        f"loss      {net.loss(x, y):.6g}",
        f"accuracy  {net.accuracy(x, y):.4f}",
    ]
    counts = np.array([line.split() for line in lines[5:]], int)
    assert counts.sum(axis=1).tolist() == np.bincount(y).tolist()
    assert counts.trace() == round(net.accuracy(x, y) * len(x))
    code, out, _ = run(capsys, "predict", tmp_path / "net", "--outputs")
    assert_close(np.array([line.split(",") for line in out.splitlines()], float), net(x), 1e-8)
    code, out, _ = run(capsys, "jacobian", tmp_path / "net", "--sample", 3)
    assert_close(np.array([line.split(",") for line in out.splitlines()], float), net.jacobian(x[3]), 1e-8)
    code, out, _ = run(capsys, "check", tmp_path / "net", "--samples", 4)
    assert (code, out.splitlines()[-1]) == (0, "passed")


def test_two_classes_with_one_output(capsys, tmp_path):
    x, y = bp.datasets.moons(200, rng=0)
    np.savez(tmp_path / "moons.npz", x=x, y=y)
    options = ["--data", tmp_path / "moons.npz", "--standardize", "--layers", "2-8-1", "--epochs", 100]
    code, out, err = run(capsys, "train", *options, "--hidden", "tanh", "--save", tmp_path / "net")
    assert (code, err) == (0, "")
    assert accuracy_in(out) > 0.9
    code, out, _ = run(capsys, "evaluate", tmp_path / "net", *options[:2], "--confusion")
    assert code == 0
    assert np.array([line.split() for line in out.splitlines()[5:]], int).sum(axis=1).tolist() == [100, 100]


def test_sample_weights_of_a_file(capsys, tmp_path):
    x, y, _, _ = bp.datasets.load_digits()
    weight = np.random.default_rng(0).random(len(x))
    np.savez(tmp_path / "w.npz", x=x, y=y, sample_weight=weight)
    code, _, _ = run(capsys, "train", "--data", tmp_path / "w.npz", "--epochs", 2, "--save", tmp_path / "net")
    assert code == 0
    net = bp.Network.dense(64, 30, 10, seed=0)
    x, y, _ = parts(x, y)
    weight = parts(weight, weight)[0]
    net.fit(x, y, bp.SGD(1.0), epochs=2, batch_size=10, sample_weight=weight)
    assert_same_bits(bp.load(tmp_path / "net").parameters, net.parameters)
    np.savez(tmp_path / "w.npz", x=x, y=y, sample_weight=weight[:-1])
    code, _, err = run(capsys, "train", "--data", tmp_path / "w.npz")
    assert code == 1
    assert "sample_weight must have shape" in err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--optimizer", "adam", "--momentum", 0.9], "--momentum is no setting of --optimizer adam"),
        (["--decay", 0.5], "--decay is no setting of --schedule constant"),
        (["--schedule", "one_cycle", "--warm-up", 1], "--warm-up is no setting of --schedule one_cycle"),
        (["--min-delta", 1], "--min-delta needs --early-stopping"),
        (["--checkpoint-best"], "--checkpoint-best needs --checkpoint"),
        (["--resume", "net", "--hidden", "relu"], "--hidden does not go with --resume"),
        (["--resume", "net", "--seed", 0], "--seed does not go with --resume"),
        (["--regression", "--class-weight", "balanced"], "--class-weight does not go with --regression"),
        (["--dropout", "0.1,x"], "such as 0.2,0.5"),
        (["--class-weight", "2"], "such as 0:1,1:5"),
        (["--hidden", "relu,tahn"], "did you mean 'tanh'"),
        (["--history", "figures.txt"], ".json or .csv"),
        (["--ep", 3], "--ep"),
    ],
)
def test_options_that_would_be_idle_are_exit_code_2(capsys, options, says):
    code, out, err = run(capsys, "train", *options)
    assert (code, out) == (2, "")
    assert says in err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--schedule", "exponential"], "--decay"),
        (["--schedule", "step", "--decay-every", 0], "every must be at least 1"),
        (["--schedule", "cosine", "--warm-up", 30], "--warm-up 30"),
        (["--clip-norm", 0], "clip_norm"),
        (["--clip-norm", 1, "--clip-value", 1], "at most one"),
        (["--batch-size", 0], "--batch-size"),
        (["--hidden", "relu,tanh"], "--hidden takes one value or one for each of 1 layers"),
        (["--class-weight", "11:2"], "names 11"),
        (["--regression"], "needs --data"),
        (["--seed", -1], "--seed must be at least 0"),
        (["--validation", 1.5], "--validation 1.5"),
        (["--early-stopping", 0], "patience"),
        (["--monitor", "validation_loss", "--early-stopping", 2], "validation"),
        (["--checkpoint", "{foo}"], "'foo'"),
        (["--history", "no/such/folder.csv"], "no folder"),
        (["--resume", "figures"], "figures"),
    ],
)
def test_bad_settings_are_exit_code_1_and_one_line(capsys, options, says):
    code, _, err = run(capsys, "train", *options)
    assert code == 1
    assert err.startswith("backprop: error: ")
    assert says in err
    assert err.count("\n") == 1


def test_bad_data_of_other_commands(capsys, tmp_path):
    bp.Network.dense(64, 5, 10, seed=0).save(tmp_path / "net")
    (tmp_path / "nan.csv").write_text("0,1,nan\n1,2,2\n0,1,1\n1,3,3\n", encoding="utf-8")
    for command, says in (
        (["check", tmp_path / "net", "--samples", 0], "--samples must be at least 1"),
        (["train", "--data", tmp_path / "nan.csv", "--label-column", 0], "missing values: column 2 1 of 4"),
        (
                ["evaluate", tmp_path / "net", "--data", tmp_path / "nan.csv", "--label-column", 0],
                "has 2 inputs; the network takes 64",
            ),
        (["predict", tmp_path / "net", "--data", tmp_path / "net"], "neither a folder"),
        (["export", tmp_path / "net", tmp_path], ".onnx, .c or .pt"),
        (["explain", tmp_path / "net", "--j", 10], "j must be below 10"),
        (["jacobian", tmp_path / "net", "--sample", 999], "--sample must be below 359"),
    ):
        code, out, err = run(capsys, *command)
        assert (code, out) == (1, ""), command
        assert says in err


def test_resume_needs_what_it_needs(capsys, tmp_path):
    net = bp.Network.dense(64, 5, 10, seed=0)
    net.save(tmp_path / "bare")
    code, _, err = run(capsys, "train", "--resume", tmp_path / "bare")
    assert code == 1
    assert "without an optimizer" in err
    save(net, tmp_path / "odd", {"scale": -1.0}, bp.SGD(0.1))
    for command in (["train", "--resume"], ["predict"], ["info"]):
        code, _, err = run(capsys, *command, tmp_path / "odd")
        assert code == 1
        assert "scale" in err
    save(net, tmp_path / "odd", {"mean": [1.0, 2.0]}, bp.SGD(0.1))
    code, _, err = run(capsys, "predict", tmp_path / "odd")
    assert code == 1
    assert "mean must have shape (64,)" in err


@pytest.mark.parametrize("command", ["", "train", "predict", "evaluate", "check", "export", "play"])
def test_help_fits_100_columns(capsys, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "100")
    code, out, err = run(capsys, *filter(None, [command]), "--help")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize(("name", "optimizer"), [("lbfgs", bp.LBFGS), ("lm", bp.LevenbergMarquardt)])
def test_whole_batch_optimizers(name, optimizer, tmp_path, capsys):
    """As in Python, and gone on with from a file bit for bit."""
    x, y, x_test, y_test = bp.datasets.load_digits()
    settings = ["train", "--layers", "64-4-10", "--optimizer", name]
    three, two, again = (tmp_path / f"{file}.safetensors" for file in ("three", "two", "again"))
    code, out, err = run(capsys, *settings, "--epochs", 3, "--save", three)
    assert code == 0, err
    net = bp.Network.dense(64, 4, 10, seed=0)
    net.fit(x, y, optimizer(), epochs=3)
    assert f"test accuracy {net.accuracy(x_test, y_test):.4f}" in out
    run(capsys, *settings, "--epochs", 2, "--save", two)
    code, _, err = run(capsys, "train", "--resume", two, "--epochs", 1, "--save", again)
    assert code == 0, err
    assert_same_bits(bp.load(three).parameters, bp.load(again).parameters)
    code, _, err = run(capsys, "train", "--resume", two, "--batch-size", 9)
    assert code != 0
    assert "which has no --lr or --batch-size" in err
    for option, value in (("--lr", 0.1), ("--batch-size", 10), ("--schedule", "cosine"), ("--momentum", 0.9)):
        code, _, err = run(capsys, *settings, option, value)
        assert code == 2
        assert f"{option} is no setting of --optimizer {name}" in err
