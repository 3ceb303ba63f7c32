"""`bp.lesson.ask`: what is right is what the network does, and answers are told apart."""

import copy

import numpy as np
import pytest

import backprop as bp


@pytest.fixture
def net():
    net = bp.Network.dense(2, 3, 2, dtype="float64", seed=0)
    net.fit(*bp.datasets.xor(40, rng=0), bp.SGD(0.5), epochs=5, batch_size=4, progress=False)
    return net


X, Y = np.array([0.7, -0.4]), np.array([1.0, 0.0])


@pytest.mark.parametrize("j", [0, 1])
def test_which_way_an_output_goes(net, j):
    stepped = copy.deepcopy(net)
    stepped.step(X, Y, bp.SGD(0.1))
    question = bp.lesson.ask("way", net, X, Y, j=j)
    assert question.right == ("rise" if stepped(X)[j] > net(X)[j] else "fall")
    assert {bp.lesson.ask("way", net, X, Y, j=i).right for i in (0, 1)} == {"rise", "fall"}


def test_the_derivative_within_two_percent(net, capsys):
    question = bp.lesson.ask("gradient", net, X, Y, layer=0, j=2, k=1)
    exact = net.gradient(X, Y).layers[0].weights[2, 1]
    assert question.right == pytest.approx(exact, rel=1e-12)
    assert question.answer(1.019 * exact)
    assert not question.answer(1.021 * exact)
    assert not question.answer(-exact)
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("Right. The chain rule multiplies the three")
    assert out[1:] == ["Not yet. Think again, or ask for .reveal()."] * 2
    question.reveal()
    assert capsys.readouterr().out.startswith(f"{exact:.4g}. ")


def test_the_weight_that_moves_most(net):
    for layer, count in ((0, 3), (1, 2)):
        for j in range(count):
            gradient = net.gradient(X, Y).layers[layer].weights[j]
            question = bp.lesson.ask("largest", net, X, Y, layer=layer, j=j)
            assert question.right == np.abs(gradient).argmax() + 1


def test_without_the_bias(net):
    for layer, j in ((0, 1), (1, 0), (1, 1)):
        without = copy.deepcopy(net)
        without.layers[layer].bias[j] = 0
        right = "rise" if without.loss(X, Y) > net.loss(X, Y) else "fall"
        assert bp.lesson.ask("bias", net, X, Y, layer=layer, j=j).right == right


def test_the_wrong_line(net):
    seen = set()
    for j in (0, 1):
        for k in range(3):
            question = bp.lesson.ask("wrong", net, X, Y, j=j, k=k)
            e = net.explain(X, Y, -1, j, k)
            right = [f"{number:.4g}" for number in (e.dC_da, e.da_dz, e.dz_dw, e.product)]
            told = [line.split(" = ")[-1] for line in question.text.splitlines() if line.startswith("  ")]
            differing = [i + 1 for i in range(4) if told[i] != right[i]]
            assert differing[0] == question.right, "the first line that differs is the wrong one"
            assert differing[1:] in ([], [4])
            assert question.answer(str(question.right))
            seen.add(question.right)
    assert len(seen) > 2


def test_labels_are_targets(net):
    assert bp.lesson.ask("wrong", net, X, 0).text == bp.lesson.ask("wrong", net, X, Y).text


def test_the_network_stays(net):
    before = net.parameters.copy()
    for kind in bp.lesson.KINDS:
        assert "Answer with" in repr(bp.lesson.ask(kind, net, X, Y))
    assert np.array_equal(net.parameters, before)


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (("gradients",), ValueError, "did you mean 'gradient'"),
        (("way", "net"), TypeError, "network must be a Network"),
        (("way", None, 0), ValueError, "asked of the last layer"),
        (("wrong", None, 0), ValueError, "in the last layer"),
        (("gradient", None, 2), ValueError, "layer must be below 2"),
    ],
)
def test_bad_questions(net, arguments, error, told):
    kind, network, layer = (*arguments, *(None, -1)[len(arguments) - 1 :])
    with pytest.raises(error, match=told):
        bp.lesson.ask(kind, network or net, X, Y, layer=layer)


def test_bad_answers_and_biases_of_zero(net):
    with pytest.raises(ValueError, match="rise"):
        bp.lesson.ask("way", net, X, Y).answer("up")
    with pytest.raises(ValueError, match="could not convert"):
        bp.lesson.ask("gradient", net, X, Y).answer("much")
    new = bp.Network.dense(2, 3, 1, seed=0)
    with pytest.raises(ValueError, match="this bias is 0"):
        bp.lesson.ask("bias", new, X, [1.0])
    with pytest.raises(ValueError, match="softmax"):
        bp.lesson.ask("gradient", bp.Network.dense(2, 3, output="softmax", seed=0), X, 1)
