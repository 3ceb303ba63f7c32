"""The page's JavaScript without a browser: its modules in Node.js, with `answers.answer` as their engine.

Skipped where Node.js is missing.
"""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

import backprop as bp
from backprop.play import page
from backprop.play.answers import answer, sent
from backprop.play.stage import Stage

HERE = Path(__file__).parent


class Node:
    """The modules in a process of their own, asked line by line."""

    def __init__(self, process, stage=None):
        self.process, self.stage = process, stage

    def ask(self, do, **more):
        self.write({"do": do, **more})
        while True:
            line = self.process.stdout.readline()
            assert line, "Node.js has ended"
            told = json.loads(line)
            if "ask" not in told:
                break
            self.write(answer(self.stage, told["ask"]))
        if "error" in told:
            raise ValueError(told["error"])
        return told["answer"]

    def write(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """The page's modules, named as Node.js wants modules to be named."""
    folder = tmp_path_factory.mktemp("page")
    for name in page.MODULES:
        text = page.text(name).replace('.js"', '.mjs"')
        if name == "exercises.js":
            text = f"const EXERCISES = {page.text('exercises.json')};\n{text}"
        (folder / name.replace(".js", ".mjs")).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def running(node, modules):
    command = [node, HERE / "in_node.mjs", modules]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.write('{"do": "end"}\n')
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.fixture
def js(running):
    return Node(running)


def test_the_whole_page_is_one_module_of_javascript(node, tmp_path):
    (tmp_path / "widget.mjs").write_text(page.script(), encoding="utf-8")
    done = subprocess.run(
        [node, "--check", tmp_path / "widget.mjs"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_numbers_are_written_as_python_writes_them(js, rng):
    values = [*(rng.normal(size=200) * 10.0 ** rng.integers(-9, 9, 200)), 0.0, 1, -1, 9999.5, 0.00012344]
    values = np.array(values)
    texts = js.ask("digits", values=[sent(value[np.newaxis]) for value in values])
    assert texts == [f"{value:.4g}".replace("-", "−") for value in values]


def test_arrays_travel_without_losing_a_bit(js):
    values = np.array([0.1, -0.0, np.inf, -np.inf, np.nan, 5e-324, 1.7976931348623157e308])
    assert js.ask("arrays", values=sent(values)) == sent(values)


@pytest.mark.parametrize("hidden", ["tanh", "relu", "sigmoid"])
def test_a_round_has_the_numbers_of_the_network(running, hidden):
    x, y = bp.datasets.circles(40, rng=0)
    net = bp.Network.dense(2, 4, 3, 1, hidden=hidden, dtype="float64", seed=1)
    twin = bp.Network.dense(2, 4, 3, 1, hidden=hidden, dtype="float64", seed=1)
    told = Node(running, Stage(net, x, y)).ask("round", index=5)
    assert np.array_equal(net.parameters, twin.parameters), "stepped back to where it was"
    losses = [twin.loss(x[5], y[5])]
    seen = {key: dict(value) for key, value in told["seen"].items()}
    for key, terms in seen.items():
        layer, j, k = (None if part == "null" else int(part) for part in key.split(","))
        e = (
            twin.explain(x[5], y[5], layer, j, bias=True)
            if k is None
            else twin.explain(x[5], y[5], layer, j, k)
        )
        assert [terms[name] for name in ("dC_da", "da_dz", "dz_dw", "product")] == [
            e.dC_da, e.da_dz, e.dz_dw, e.product,
        ]  # fmt: skip
    values = lambda key, layer: {  # noqa: E731
        (j, k): seen[f"{layer},{j},{k}"][key] for j in range(twin.layers[layer].outputs)
        for k in range(twin.layers[layer].inputs)
    }  # fmt: skip
    for key in ("was", "now"):
        for i, layer in enumerate(twin.layers):
            assert all(layer.weights[place] == value for place, value in values(key, i).items())
        twin.step(x[5], y[5], bp.SGD(0.5))
        losses.append(twin.loss(x[5], y[5]))
    assert told["loss"] == losses[:2]
    assert told["verdict"].startswith(f"label {int(y[5].item())}, predicted ")


@pytest.mark.parametrize("kind", ["way", "bias"])
def test_questions_after_an_update_are_of_the_network_as_it_is_now(running, kind):
    x, y = bp.datasets.circles(40, rng=0)
    net = bp.Network.dense(2, 4, 1, hidden="tanh", dtype="float64", seed=1)
    net.fit(x, y, bp.SGD(0.5), epochs=3, progress=False)
    stage = Stage(net, x, y, optimizer=bp.SGD(0.5))
    told = Node(running, stage).ask("question", kind=kind, index=7, place=[1, 0, 2], updated=True)
    question = bp.lesson.ask(kind, net, x[7], y[7], layer=1, j=0, lr=0.5)
    assert told["text"] in repr(question)
    assert told["right"] == question.right


@pytest.mark.parametrize("kind", ["way", "gradient", "largest", "bias", "wrong"])
def test_questions_have_the_answers_of_the_lesson(running, kind):
    x, y = bp.datasets.circles(40, rng=0)
    net = bp.Network.dense(2, 4, 1, hidden="tanh", dtype="float64", seed=1)
    net.fit(x, y, bp.SGD(0.5), epochs=3, progress=False)
    layer, j, k = (1, 0, 2) if kind in ("way", "wrong") else (0, 1, 1)
    stage = Stage(net, x, y, optimizer=bp.SGD(0.5))
    before = net.parameters.copy()
    told = Node(running, stage).ask("question", kind=kind, index=7, place=[layer, j, k])
    assert np.array_equal(net.parameters, before), "asking changes nothing"
    more = {} if kind in ("way", "bias", "largest") else {"k": k}
    question = bp.lesson.ask(kind, net, x[7], y[7], layer=layer, j=j, **more)
    right = question.right
    assert told["right"] == (pytest.approx(right, rel=1e-12) if isinstance(right, float) else right)


def test_samples_of_a_csv(js):
    text = "\ufeffa;b;kind\r\n1;2;yes\r\n3;5;no\r\n\r\n# a note\n5;2;yes\n"
    told = js.ask("samples", text=text)
    assert (told["inputs"], told["classes"]) == (2, ["no", "yes"])
    assert list(told["y"].values()) == [1, 0, 1]
    x = np.array([[1, 2], [3, 5], [5, 2]], float)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    assert np.allclose(list(told["x"].values()), scaled.ravel(), rtol=1e-12)
    for bad, says in (
        ("", "the file has no lines"),
        ("1,2,a\n1,x,b\n", "line 2 has inputs that are no numbers"),
        ("1,2,a\n1,b\n", "line 2 has 2 columns, the first 3"),
        ("1,a\n2,a\n", "2 to 20 classes, and has 1"),
    ):
        with pytest.raises(ValueError, match=says):
            js.ask("samples", text=bad)


def test_a_link_says_what_to_build(js):
    told = js.ask(
        "link", text="layers=2-16-1&activation=relu&optimizer=adam&rate=0.02&weight=1.0.b&epochs=7&data=xor"
    )
    assert told["sizes"] == [2, 16, 1]
    assert told["optimizer"] == {"rule": "adam", "lr": 0.02, "momentum": 0}
    assert told["weight"] == {"layer": 1, "j": 0, "k": None}
    assert (told["epochs"], told["data"], told["hidden"]) == (7, "xor", "relu")
    assert js.ask("link", text="data=xor") is None


def test_first_weights_are_drawn_as_the_initialisation_says(js):
    layers = [{"inputs": 50, "outputs": 80, "bias": True, "activation": name} for name in ("relu", "tanh")]
    weights = np.array(js.ask("weights", layers=layers, seed=4)).reshape(2, 50 * 80 + 80)
    assert np.all(weights[:, 4000:] == 0)
    for row, variance in zip(weights[:, :4000], (2 / 50, 2 / 130), strict=True):
        # 4000 normal numbers: the mean within 5 of its deviations, the variance, too
        assert abs(row.mean()) < 5 * np.sqrt(variance / 4000)
        assert abs(row.var() / variance - 1) < 5 * np.sqrt(2 / 4000)
    assert js.ask("weights", layers=layers, seed=4) == js.ask("weights", layers=layers, seed=4)
