"""What people hold: tables of several types, nullable columns, masked arrays."""

import numpy as np
import pytest

import backprop as bp

pd = pytest.importorskip("pandas")

CALLS = [
    lambda net, x, y: net(x),
    lambda net, x, y: net.loss(x, y),
    lambda net, x, y: net.fit(x, y, bp.SGD(0.1)),
    lambda net, x, y: net.fit(x, y, bp.LBFGS()),
    lambda net, x, y: net.fit([[1.0, 2, 3]], [[1.0]], bp.SGD(0.1), validation=(x, y)),
    lambda net, x, y: net.fit([(x, y)], None, bp.SGD(0.1)),
    lambda net, x, y: net.explain(x, y),
]


def network():
    return bp.Network.dense(3, 4, 1, output="identity", seed=0)


def mixed():
    return pd.DataFrame(
        {
            "number": [0.5, -1.0, 2.0],
            "flag": [True, False, True],
            "nullable": pd.array([1, 2, 3], dtype="Int64"),
        }
    )


class OfAnotherLibrary:
    """Columns of several types as polars and Arrow hand them to NumPy: an array of objects."""

    def __init__(self, frame):
        self.frame = frame

    def __array__(self, dtype=None, copy=None):
        return np.array(self.frame.astype(object).values.tolist(), dtype=dtype or object)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", [lambda x: x, OfAnotherLibrary, lambda x: x.to_numpy()])
def test_columns_of_several_types_are_numbers(call, kind):
    frame, y = mixed(), pd.Series([1, 0, 1], dtype="Int64")
    nets = [network(), network()]
    call(nets[0], kind(frame), kind(y) if kind is not OfAnotherLibrary else y)
    call(nets[1], frame.astype("float64").to_numpy(), y.astype("float64").to_numpy()[:, None])
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)
    np.testing.assert_array_equal(nets[0](kind(frame)), nets[0](frame.astype("float64").to_numpy()))


def test_whole_numbers_stay_labels():
    net = bp.Network.dense(3, 4, 2, seed=0)
    labels = pd.Series([1, 0, 1], dtype="Int64")
    assert net.loss(mixed(), labels) == net.loss(mixed(), labels.to_numpy(int))
    assert net.loss(mixed(), labels.astype("boolean")) == net.loss(mixed(), labels.to_numpy(int))


@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_number_is_named_with_the_remedy(call):
    net = network()
    before = net.parameters.copy()
    for value, text in ((pd.NA, "<NA>"), ("a", "'a'"), (None, "None"), ("1.5", "'1.5'")):
        frame = mixed().astype(object)
        frame.iloc[2, 1] = value
        with pytest.raises(
            TypeError, match=rf"must hold numbers, but .*x.*\[2, 1\] is {text}.*astype\('float32'\)"
        ):
            call(net, frame, np.ones(3))
    np.testing.assert_array_equal(net.parameters, before)


def test_weights_and_targets_are_named_too():
    net, x = network(), np.ones((3, 3))
    with pytest.raises(TypeError, match=r"sample_weight must hold numbers, but sample_weight\[1\] is <NA>"):
        net.fit(x, np.ones(3), bp.SGD(0.1), sample_weight=np.array([1, pd.NA, 2]))
    with pytest.raises(TypeError, match=r"y must hold numbers, but y is None"):
        net.loss(x, None)


@pytest.mark.parametrize("call", CALLS)
def test_masked_entries_are_refused(call):
    net = network()
    before = net.parameters.copy()
    x, y = np.ones((3, 3)), np.ones((3, 1))
    masked = np.ma.masked_array(x, mask=np.eye(3))
    with pytest.raises(ValueError, match=r"x.* is a masked array with masked entries.*\.filled\(0\)"):
        call(net, masked, y)
    np.testing.assert_array_equal(net.parameters, before)
    call(net, np.ma.masked_array(x), np.ma.masked_array(y, mask=np.zeros((3, 1))))  # nothing is masked


def test_masked_targets_and_weights_are_refused():
    net, x, y = network(), np.ones((3, 3)), np.ones((3, 1))
    masked = np.ma.masked_array(y, mask=[[0], [1], [0]])
    for call in CALLS[1:]:
        with pytest.raises(ValueError, match=r"y.* is a masked array.*target_mask"):
            call(net, x, masked)
    with pytest.raises(ValueError, match="sample_weight is a masked array"):
        net.fit(x, y, bp.SGD(0.1), sample_weight=masked[:, 0])
    net.fit(x, masked.filled(9), bp.SGD(0.1), target_mask=~masked.mask)


def test_a_history_is_a_table():
    net = network()
    history = net.fit(np.ones((3, 3)), np.ones(3), bp.SGD(0.1), epochs=4)
    frame = pd.DataFrame(history)
    assert list(frame.columns) == list(history)
    assert len(frame) == 4
    assert frame["loss"].tolist() == history["loss"]
    frame = pd.DataFrame(history, columns=["loss"], index=[1, 2, 3, 4])
    assert frame["loss"].tolist() == history["loss"]
