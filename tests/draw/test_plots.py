"""Plots return axes, draw on the axes they are given, and show the numbers of the network."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import make_data, make_network

import backprop as bp
from backprop import plots

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")
from matplotlib import pyplot  # noqa: E402


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    pyplot.close("all")


@pytest.fixture
def plane():
    """A network of two inputs and one output, x (40, 2), labels (40,)."""
    net = make_network((2, 6, 1), ("tanh", "sigmoid"))
    x = np.random.default_rng(0).normal(size=(40, 2))
    return net, x, (x[:, 0] > 0).astype(int)


PLOTS = {
    "history": lambda net, x, y, ax: net.fit(x, y[:, None], bp.SGD(0.1)).plot(ax=ax),
    "boundary": lambda net, x, y, ax: plots.plot_decision_boundary(net, x, y, ax=ax, resolution=20),
    "weights": lambda net, x, y, ax: plots.plot_weights(net, ax=ax),
    "flow": lambda net, x, y, ax: plots.plot_gradient_flow(net, x, y, ax=ax),
    "confusion": lambda net, x, y, ax: plots.plot_confusion_matrix(net, x, y, ax=ax),
}


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_each_returns_axes_and_takes_them(plane, plot):
    ax = pyplot.subplots()[1]
    assert plot(*plane, ax) is ax
    assert ax.has_data()
    other = plot(*plane, None)
    assert isinstance(other, matplotlib.axes.Axes)
    assert other.figure is not ax.figure
    other.figure.canvas.draw()


def test_the_boundary_lies_where_the_output_is_a_half(plane):
    net, x, y = plane
    ax = plots.plot_decision_boundary(net, x, y)
    image = ax.images[0].get_array()
    low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
    # the image's corners are the outputs at the corners of the plane, the lowest row first
    corners = net([low, [high[0], low[1]], [low[0], high[1]], high])[:, 0]
    np.testing.assert_array_equal(
        [image[0, 0], image[0, -1], image[-1, 0], image[-1, -1]], corners
    )
    lines = np.concatenate([path.vertices for path in ax.collections[0].get_paths()])
    # linear interpolation between points 1/200 of the range apart
    assert np.abs(net(lines) - 0.5).max() < 0.01
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "1"]


def test_the_boundary_of_several_classes(plane):
    _, x, _ = plane
    net = make_network((2, 5, 3), ("tanh", "softmax"), loss="cross_entropy")
    ax = plots.plot_decision_boundary(net, x, resolution=30)
    low, high, outputs = plots.plane_of(net, x, 30, 0.1)
    np.testing.assert_array_equal(ax.images[0].get_array(), outputs.argmax(axis=2))
    np.testing.assert_array_equal(outputs[29, 0], net([low[0], high[1]]))


def test_weights_are_shown_as_images():
    net = make_network((6, 3), "tanh")
    ax = plots.plot_weights(net, shape=(2, 3), nodes=[2, 0])
    sheet = ax.images[0].get_array().filled(np.nan)
    np.testing.assert_array_equal(sheet[:, :3], net.layers[0].weights[2].reshape(2, 3))
    np.testing.assert_array_equal(sheet[:, 4:], net.layers[0].weights[0].reshape(2, 3))
    assert np.isnan(sheet[:, 3]).all()


def test_histograms_hold_every_weight():
    net = make_network((4, 5, 6, 3), "tanh")
    x, y = make_data(net, 5)
    ax = plots.plot_gradient_flow(net, x, y, bins=7)
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["layer L-2", "layer L-1", "layer L"]
    # the outlines' heights are shares that add up to 1 for each layer
    outlines = [patch.get_xy() for patch in ax.patches[1::2]]
    assert [round(float(xy[1::2, 1].sum()), 12) for xy in outlines] == [1, 1, 1]
    dead = make_network((4, 3), "relu", bias=False)
    dead.layers[0].weights[...] = 0
    ax = plots.plot_gradient_flow(dead, np.abs(x), y)
    assert ax.get_legend().get_texts()[0].get_text() == "layer L (12 zero or not finite)"


def test_confusion_matrix_by_hand():
    net = make_network((3, 3), "identity", bias=False)
    net.layers[0].weights[...] = np.eye(3)
    x = np.eye(3)[[0, 0, 1, 2, 2, 2]]
    expected = [[1, 0, 1], [1, 1, 0], [0, 0, 2]]
    for y in ([0, 1, 1, 2, 2, 0], np.eye(3)[[0, 1, 1, 2, 2, 0]]):
        assert plots.confusion_matrix(net, x, y).tolist() == expected
    ax = plots.plot_confusion_matrix(net, x, [0, 1, 1, 2, 2, 0])
    assert [text.get_text() for text in ax.texts] == [str(c) for row in expected for c in row]


def test_what_does_not_fit_is_refused(plane):
    net, x, y = plane
    cases = [
        (lambda: plots.plot_decision_boundary(make_network((3, 1), "tanh"), x), "network of 2 inputs"),
        (lambda: plots.plot_decision_boundary(net, x[0]), r"shape \(n, 2\)"),
        (lambda: plots.plot_decision_boundary(net, x, y[1:]), "y must be 40 labels"),
        (lambda: plots.plot_decision_boundary(net, x, resolution=1), "resolution must be at least 2"),
        (lambda: plots.plot_weights(net, layer=2), "layer must be below 2"),
        (lambda: plots.plot_weights(net, shape=(3, 3)), "must hold the 2 inputs"),
        (lambda: plots.plot_weights(net, nodes=[6]), "must be below 6"),
        (lambda: plots.plot_weights(net, nodes=[]), "at least one node"),
        (lambda: plots.plot_confusion_matrix(net, x, y + 1), r"labels must lie in 0 … 1"),
        (lambda: plots.plot_confusion_matrix(net, x[0], y), "got one sample"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()
    assert not pyplot.get_fignums(), "nothing was drawn"


def test_without_matplotlib_the_extra_is_named():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import backprop as bp\n"
        "net = bp.Network.dense(2, 1)\n"
        "for call in (lambda: bp.plots.plot_weights(net), lambda: net.draw().save('never.png')):\n"
        "    try: call()\n"
        "    except ImportError as error: print('cbackprop[plot]' in str(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
