"""A misspelt attribute is refused, with the nearest right one, and nothing is kept."""

import copy
import pickle

import pytest

import backprop as bp


def objects():
    net = bp.Network.dense(2, 3, 1, seed=0)
    return {"network": net, "layer": net.layers[0], "optimizer": bp.Adam(0.1)}


@pytest.mark.parametrize(
    ("owner", "name", "remedy"),
    [
        ("network", "loss", r"Network.loss is a method: .*loss=.*net.loss_name"),
        ("network", "fit", "Network.fit is a method"),
        ("network", "paramters", r"no attribute 'paramters': did you mean 'parameters'"),
        ("network", "learning_rate", "optimizer.lr"),
        ("layer", "weight", "layer.weights"),
        ("layer", "biases", "layer.bias"),
        ("layer", "trainable", "a Layer has no attribute 'trainable'"),
        ("optimizer", "learning_rate", "optimizer.lr"),
        ("optimizer", "clip_norm", "clip_norm=..."),
        ("optimizer", "weight_dcay", "weight_decay"),
    ],
)
def test_unknown_attributes_are_refused(owner, name, remedy):
    item = objects()[owner]
    before = dict(vars(item))
    with pytest.raises(AttributeError, match=remedy):
        setattr(item, name, 1)
    assert vars(item) == before


@pytest.mark.parametrize(
    ("owner", "name"), [("layer", "l2"), ("optimizer", "weight_decay"), ("network", "dtype")]
)
def test_fixed_attributes_stay(owner, name):
    item = objects()[owner]
    with pytest.raises(AttributeError, match="no setter"):
        setattr(item, name, 1)


def test_attributes_that_exist_are_set():
    items = objects()
    items["optimizer"].lr = 0.5
    items["optimizer"].steps = 3
    items["network"].rng = generator = copy.deepcopy(items["network"].rng)
    items["layer"].bias = [1, 2, 3]
    assert (items["optimizer"].lr, items["optimizer"].steps) == (0.5, 3)
    assert items["network"].rng is generator
    assert items["layer"].bias.tolist() == [1, 2, 3]


def test_notes_of_the_users_are_kept():
    for item in objects().values():
        item.title = "mine"
        assert pickle.loads(pickle.dumps(item)).title == "mine"
