"""What objects say of themselves, and refusals that no other test meets."""

import copy
import re
import runpy
import sys

import numpy as np
import pytest
from command_line import run
from conftest import make_network

import backprop as bp
from backprop._custom import CFunction
from backprop.files.format import save


def test_an_extension_that_is_not_built(monkeypatch):
    monkeypatch.setitem(sys.modules, "backprop._core", None)
    with pytest.raises(ImportError, match="is not built for this Python"):
        runpy.run_path(bp.__file__)


def test_an_extension_that_was_built_from_other_sources(monkeypatch):
    monkeypatch.setattr("backprop._core.interface", 1)
    with pytest.raises(ImportError, match="built from other sources"):
        runpy.run_path(bp.__file__)
    monkeypatch.delattr("backprop._core.interface")
    with pytest.raises(ImportError, match="build it again with: pip install -e"):
        runpy.run_path(bp.__file__)


def test_texts(small):
    tanh = small.net.layers[0].activation
    assert {tanh: 1}[copy.deepcopy(tanh)] == 1
    loss = bp.Loss(lambda a, y: ((a - y) ** 2).sum(1), lambda a, y: 2 * (a - y), name="squares")
    assert (str(loss), repr(loss), copy.deepcopy(loss)) == ("squares", "Loss('squares')", loss)
    checked = small.net.check_gradient(small.x, small.y)
    assert repr(checked) == str(checked)
    explained = small.net.explain(small.x, small.y, layer=0, j=0, k=1)
    assert repr(explained.check()) == str(explained.check())
    assert repr(explained.chain) == "<Chain of 2 entries, for the nodes of layers[1]>"
    assert repr(explained.chain[1]).startswith("<ChainEntry of layers[1] j=1 k=0: product ")
    assert repr(CFunction(0x1234, None)) == "<C function at 0x1234>"


def test_samples_that_all_lie_at_a_kink():
    """In float32 10^8 + 1 - 10^8 is 0, where relu has two slopes: nothing is left to compare."""
    net = bp.Network(bp.Layer(3, 1, "relu", bias=False), dtype="float32")
    net.layers[0].weights = [[1, 1, -1]]
    checked = net.check_gradient([[1e8, 1, 1e8]], [[1]])
    assert checked.samples_skipped == 1
    assert not checked.passed
    assert checked.compared == 0
    assert "nothing to compare" in str(checked)


@pytest.mark.parametrize(("value", "shown"), [(np.inf, r"\infty"), (-np.inf, r"-\infty"), (np.nan, "NaN")])
def test_numbers_that_are_not_finite(small, value, shown):
    small.x[:, 1] = value
    assert shown in small.net.explain(small.x, small.y, layer=0, j=0, k=1).latex()


X, Y = np.zeros((6, 3)), np.zeros((6, 2))
MASK = np.ones((6, 2), bool)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"validation": 0.5, "target_mask": MASK}, "where there is a target_mask"),
        ({"validation": 0.5, "y": np.zeros((5, 2))}, "one entry for each of the 6 samples"),
        ({"class_weight": {7: 1}}, "classes of 0 to 1, got 7"),
        ({"class_weight": {1: -1}}, "at least 0, got -1"),
        ({"class_weight": "fair"}, "'balanced', got 'fair'"),
    ],
)
def test_fit_refuses(settings, text):
    net = make_network((3, 2), "sigmoid")
    settings = {"y": Y} | settings
    with pytest.raises(ValueError, match=text):
        net.fit(X, settings.pop("y"), bp.SGD(0.1), **settings)


def test_a_bias_that_is_not_there():
    layer = make_network((3, 2), "sigmoid", bias=False).layers[0]
    with pytest.raises(AttributeError, match="has no bias to assign to"):
        layer.bias = [0, 0]


@pytest.mark.parametrize(
    ("arrays", "options", "text"),
    [
        ({"x": X, "y": Y[:5, 0]}, [], r"y must have shape \(6,\), got \(5,\)"),
        ({"x": X, "y": np.full(6, np.nan)}, ["--regression"], "missing values: y 6 of 6"),
        ({"x": Y[:, 0], "y": Y[:, 0]}, [], r"x must hold numbers by rows, got float64 \(6,\)"),
    ],
)
def test_data_that_do_not_fit(capsys, tmp_path, arrays, options, text):
    np.savez(tmp_path / "data.npz", **arrays)
    code, _, err = run(capsys, "train", "--data", tmp_path / "data.npz", *options)
    assert code == 1
    assert re.search(text, err)


def test_commands_that_do_not_fit_a_network(capsys, tmp_path):
    np.savez(tmp_path / "data.npz", x=np.eye(3), y=np.array([1.0, 2, 3]))
    (tmp_path / "samples.csv").write_text("1,2,3\n4,5,6\n")
    options = ["--data", tmp_path / "data.npz", "--standardize", "--epochs", 1, "--save", tmp_path / "net"]
    assert run(capsys, "train", "--regression", *options)[0] == 0
    code, _, err = run(capsys, "evaluate", tmp_path / "net", "--confusion", "--data", tmp_path / "data.npz")
    assert (code, "no classes to confuse" in err) == (1, True)
    code, _, err = run(capsys, "evaluate", tmp_path / "net")
    assert (code, "a regression needs --data" in err) == (1, True)
    code, _, err = run(capsys, "evaluate", tmp_path / "net", "--data", tmp_path / "samples.csv")
    assert (code, "has no labels, which a loss needs" in err) == (1, True)


@pytest.mark.parametrize(
    ("notes", "bias", "command", "text"),
    [
        ({"target_scale": [1, 2], "target_mean": [1]}, True, "check", "must have shape (1,), got (2,)"),
        ({"target_scale": [1]}, True, "check", "a target_scale without a target_mean"),
        ({"target_scale": [2], "target_mean": [1]}, False, "export", "only an output layer of"),
    ],
)
def test_notes_that_do_not_fit(capsys, tmp_path, notes, bias, command, text):
    net = make_network((3, 1), "identity", bias=bias)
    save(net, tmp_path / "net", notes)
    np.savez(tmp_path / "data.npz", x=X, y=Y[:, 0])
    rest = ["--data", tmp_path / "data.npz"] if command == "check" else [tmp_path / "net.c"]
    code, _, err = run(capsys, command, tmp_path / "net", *rest)
    assert (code, text in err) == (1, True)


def test_threads_of_bench(capsys):
    code, _, err = run(capsys, "bench", "--threads", 0)
    assert (code, "--threads must be at least 1, got 0" in err) == (1, True)


def test_a_loss_of_ones_own_is_not_saved(tmp_path):
    loss = bp.Loss(lambda a, y: ((a - y) ** 2).sum(1), lambda a, y: 2 * (a - y))
    net = bp.Network(bp.Layer(3, 1), loss=loss)
    with pytest.raises(ValueError, match="cannot be saved"):
        net.save(tmp_path / "net")
    assert not list(tmp_path.iterdir())
