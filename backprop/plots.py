"""Plots with Matplotlib (the extra ``plot``). Each returns axes and takes ``ax=``.

The colours are those of Okabe and Ito (2008, Color Universal Design), of Matplotlib's "cividis" and of a
blue-orange scale: colour-blind readers tell them apart. Classes have markers of their own besides.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._axes import COLOURS, axes_or_new, needs_matplotlib
from backprop._classes import at_threshold, classes_of
from backprop._notation import layer_name
from backprop._plots_of_members import plot_bands as plot_bands
from backprop._plots_of_members import plot_parallel as plot_parallel
from backprop._validate import as_array, index_below, whole_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from backprop._base import BaseNetwork

MARKERS = "os^DvPX*"


def plot_decision_boundary(
    network: BaseNetwork,
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    ax: Axes | None = None,
    resolution: int = 200,
    margin: float = 0.1,
) -> Axes:
    """The outputs of a network of two inputs over the plane, and the samples on it.

    Parameters
    ----------
    network : Network
        With two inputs. One output is shown as it is, the boundary being 0.5; of several, the node with
        the highest activation, the fuller the surer it is of the next.
    x : array_like, (n, 2)
        Samples; they say what part of the plane is shown.
    y : array_like, optional
        Labels (n,), or targets (n, outputs), to mark the samples with.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    resolution : int
        Points along each side, at least 2.
    margin : float
        Room around the samples, as a share of their range.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If the network has not two inputs, or x is not (n, 2).
    ImportError
        If Matplotlib is missing.
    """
    points = np.asarray(as_array("x", x), dtype=np.float64)
    if network.layers[0].inputs != 2:
        raise ValueError(f"a plane needs a network of 2 inputs, got one of {network.layers[0].inputs}")
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ValueError(f"x must have shape (n, 2) with n at least 1, got {points.shape}")
    labels = None if y is None else class_labels(y, len(points))
    low, high, plane = plane_of(network, points, whole_number("resolution", resolution, 2), margin)
    ax = axes_or_new(ax)
    with needs_matplotlib():
        from matplotlib.colors import LinearSegmentedColormap, ListedColormap

    extent = (low[0], high[0], low[1], high[1])
    if plane.shape[2] == 1:
        two = LinearSegmentedColormap.from_list("two", [COLOURS[0], "#ffffff", COLOURS[1]])
        ax.imshow(
            plane[..., 0], origin="lower", extent=extent, cmap=two, vmin=0, vmax=1, alpha=0.6, aspect="auto"
        )
        if plane.min() < 0.5 < plane.max():
            ax.contour(plane[..., 0], [0.5], extent=extent, colors="black", linewidths=1.5)
        count = 2
    else:
        count = plane.shape[2]
        winners = plane.argmax(axis=2)
        two_best = np.sort(plane, axis=2)[..., -2:]
        sure = np.clip(two_best[..., 1] - two_best[..., 0], 0, 1)
        each = ListedColormap([COLOURS[i % len(COLOURS)] for i in range(count)])
        ax.imshow(
            winners, origin="lower", extent=extent, cmap=each, vmin=-0.5, vmax=count - 0.5,
            alpha=0.15 + 0.45 * sure, aspect="auto", interpolation="nearest",
        )  # fmt: skip
    if labels is None:
        ax.scatter(points[:, 0], points[:, 1], s=18, color="black")
    else:
        for label in range(count):
            chosen = points[labels == label]
            ax.scatter(
                chosen[:, 0], chosen[:, 1], s=22, marker=MARKERS[label % len(MARKERS)],
                color=COLOURS[label % len(COLOURS)], edgecolors="black", linewidths=0.6, label=str(label),
            )  # fmt: skip
        ax.legend(title="class")
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="input 1", ylabel="input 2")
    return ax


def plane_of(
    network: BaseNetwork, points: NDArray[Any], resolution: int, margin: float
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The corners of the plane around the points, and the network's outputs on it, (rows, columns, outputs),
    the lowest row first."""
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.where(high > low, high - low, 1.0) * margin
    low, high = low - room, high + room
    across, up = (np.linspace(low[i], high[i], resolution) for i in (0, 1))
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    return low, high, network(grid).reshape(resolution, resolution, -1)


def class_labels(y: ArrayLike, samples: int) -> NDArray[np.int64]:
    """The classes that labels (n,), or targets (n, outputs), stand for; one output counts from 0.5."""
    targets = as_array("y", y)
    if targets.ndim not in (1, 2) or len(targets) != samples or targets.dtype.kind not in "biuf":
        raise ValueError(
            f"y must be {samples} labels or targets, one for each sample; got shape {targets.shape} of "
            f"{targets.dtype}"
        )
    if targets.ndim == 2 and targets.shape[1] > 1:
        return classes_of(targets)
    column = targets.reshape(-1)
    return at_threshold(column) if column.dtype.kind == "f" else np.asarray(column, np.int64)


def plot_weights(
    network: BaseNetwork,
    *,
    layer: int = 0,
    shape: tuple[int, int] | None = None,
    nodes: Sequence[int] | int = 25,
    ax: Axes | None = None,
) -> Axes:
    """The weights into each node as an image, side by side: what the node looks for.

    Parameters
    ----------
    network : Network
    layer : int
        Which of ``net.layers``.
    shape : (rows, columns), optional
        Of one image; by default square if the inputs allow, else one row.
    nodes : int or sequence of int
        How many nodes to show, from the first, or which.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there is no such layer or node, or the shape does not hold the inputs.
    ImportError
        If Matplotlib is missing.
    """
    chosen = network.layers[index_below("layer", layer, len(network.layers), "layers")]
    inputs, outputs = chosen.inputs, chosen.outputs
    if shape is None:
        side = math.isqrt(inputs)
        shape = (side, side) if side * side == inputs else (1, inputs)
    rows, columns = (whole_number("shape", size) for size in shape)
    if rows * columns != inputs:
        raise ValueError(f"shape must hold the {inputs} inputs of the layer, got {rows} x {columns}")
    if isinstance(nodes, (int, np.integer)):
        nodes = range(min(whole_number("nodes", nodes), outputs))
    picked = [index_below("a node", node, outputs, "outputs") for node in nodes]
    if not picked:
        raise ValueError("nodes must name at least one node, got none")
    ax = axes_or_new(ax)
    across = math.ceil(math.sqrt(len(picked)))
    down = math.ceil(len(picked) / across)
    sheet = np.full((down * (rows + 1) - 1, across * (columns + 1) - 1), np.nan)
    for place, node in enumerate(picked):
        top, left = place // across * (rows + 1), place % across * (columns + 1)
        sheet[top : top + rows, left : left + columns] = chosen.weights[node].reshape(rows, columns)
    largest = float(np.nanmax(np.abs(sheet))) or 1.0
    image = ax.imshow(sheet, cmap=_diverging(), vmin=-largest, vmax=largest, interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label="weight")
    ax.set(xticks=[], yticks=[], title=f"weights into {len(picked)} of {outputs} nodes")
    return ax


def plot_gradient_flow(
    network: BaseNetwork, x: ArrayLike, y: ArrayLike, *, ax: Axes | None = None, bins: int = 60
) -> Axes:
    """How large the gradients of each layer are: a histogram of log₁₀ |∂C/∂w_jk| for each layer.

    Gradients that shrink from the output layer to the first one vanish, others explode.

    Parameters
    ----------
    network : Network
    x, y : array_like
        As for `Network.fit`.
    ax : matplotlib.axes.Axes, optional
    bins : int

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If Matplotlib is missing.
    """
    bins = whole_number("bins", bins)
    sizes = [np.abs(layer.weights).ravel() for layer in network.gradient(x, y).layers]
    ax = axes_or_new(ax)
    logs = [np.log10(size[np.isfinite(size) & (size > 0)]) for size in sizes]
    together = np.concatenate(logs)
    edges: Any = np.histogram_bin_edges(together if together.size else [-1, 0], bins)
    for number, (log, size) in enumerate(zip(logs, sizes, strict=True)):
        zeros = size.size - log.size
        label = f"layer {layer_name(number, len(sizes))}"
        label += f" ({zeros} zero or not finite)" if zeros else ""
        colour = COLOURS[number % len(COLOURS)]
        weights = np.full(log.size, 1 / max(size.size, 1))
        ax.hist(log, edges, weights=weights, histtype="stepfilled", color=colour, alpha=0.35)
        style = ("-", "--", "-.", ":")[number % 4]
        ax.hist(
            log, edges, weights=weights, histtype="step", color=colour, linewidth=1.5, linestyle=style,
            label=label,
        )  # fmt: skip
    ax.set(xlabel="log₁₀ |∂C/∂w|", ylabel="share of the layer's weights")
    ax.legend()
    return ax


def plot_confusion_matrix(
    network: BaseNetwork, x: ArrayLike, y: ArrayLike, *, ax: Axes | None = None
) -> Axes:
    """How often samples of each class (rows) were taken for each class (columns).

    Parameters
    ----------
    network : Network
    x : array_like, (n, inputs)
    y : array_like
        Labels (n,), or targets (n, outputs).
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If y does not fit x, or has a class that the network has not.
    ImportError
        If Matplotlib is missing.
    """
    counts = confusion_matrix(network, x, y)
    ax = axes_or_new(ax)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = ax.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for (true, guessed), count in np.ndenumerate(counts):
        colour = "black" if shares[true, guessed] > 0.6 else "white"
        ax.text(guessed, true, str(count), ha="center", va="center", color=colour, fontsize=8)
    classes = range(len(counts))
    ax.set(xticks=classes, yticks=classes, xlabel="class given by the network", ylabel="true class")
    ax.figure.colorbar(image, ax=ax, label="share of the true class")
    return ax


def confusion_matrix(network: BaseNetwork, x: ArrayLike, y: ArrayLike) -> NDArray[np.int64]:
    """Counts (classes, classes): [i, j] samples of class i were taken for class j.

    Parameters and errors are those of `plot_confusion_matrix`.
    """
    guessed = network.classify(x)
    if guessed.ndim != 1:
        raise ValueError("x must have shape (n, inputs), got one sample")
    labels, classes = class_labels(y, len(guessed)), max(2, network.layers[-1].outputs)
    if labels.min(initial=0) < 0 or labels.max(initial=0) >= classes:
        raise ValueError(f"labels must lie in 0 … {classes - 1}, got {labels.min()} … {labels.max()}")
    counts = np.bincount(labels * classes + guessed, minlength=classes * classes)
    return counts.reshape(classes, classes)


def _diverging() -> Any:
    """Orange to white to blue; grey between images."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("sign", ["#d55e00", "#ffffff", "#0072b2"]).with_extremes(
        bad="#808080"
    )
