"""A tour of the whole interface, with types: ``mypy --strict`` and pyright pass on it.

    python examples/typed_tour.py

What needs an extra that is missing (scikit-learn, onnx, PyTorch, Matplotlib, anywidget) is left out.
"""

from __future__ import annotations

import copy
import ctypes
import ctypes.util
import importlib.util
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import backprop as bp
from backprop.explain import Explanation, LayerExplanation
from backprop.optimizers import Optimizer

Floats = NDArray[Any]


def has(*modules: str) -> bool:
    """Whether all of them are installed."""
    return all(importlib.util.find_spec(module) is not None for module in modules)


def networks() -> bp.Network:
    """Layers, losses, and what a network tells of itself."""
    own_init = bp.Layer(64, 16, "relu", init=lambda rng, shape: rng.normal(0.0, 0.1, shape))
    net = bp.Network(
        own_init,
        bp.Layer(16, 12, bp.Activation("tanh"), bias=False, init="lecun", l1=1e-5, l2=1e-4, dropout=0.1),
        bp.Layer(12, 10, "softmax"),
        loss="cross_entropy",
        dtype=np.float64,
        seed=np.random.default_rng(0),
    )
    dense: bp.Network = bp.Network.dense(64, 30, 10, hidden="gelu", output="sigmoid", bias=True, seed=0)
    layer: bp.Layer = dense.layers[0]
    weights: Floats = layer.weights
    layer.weights = weights * 0.5
    bias: Floats | None = layer.bias
    if bias is not None:
        layer.bias = bias + 1
    names: list[str] = [str(net.layers[0].activation), net.layers[1].activation.name, net.loss_name]
    sizes: tuple[int, int] = (layer.inputs, layer.outputs)
    settings: tuple[float, float, float] = (net.layers[1].l1, net.layers[1].l2, net.layers[1].dropout)
    parameters: Floats = net.parameters
    kept: str | bp.Loss = net.loss_function
    print(names, sizes, settings, parameters.size, net.dtype, kept)
    print(net.summary())
    return net


def own_functions(x: Floats, y: NDArray[np.int64]) -> None:
    """An activation in Python, one in C, and a loss."""
    softsign = bp.Activation(lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2, name="softsign")
    prototype = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    sine = bp.Activation(prototype(("sin", libm)), prototype(("cos", libm)), name="sine")

    def value(a: Floats, target: Floats) -> Floats:
        losses: Floats = np.log(np.cosh(a - target)).sum(axis=1)
        return losses

    def derivative(a: Floats, target: Floats) -> Floats:
        slopes: Floats = np.tanh(a - target)
        return slopes

    log_cosh = bp.Loss(value, derivative, name="log_cosh")
    net = bp.Network(bp.Layer(64, 8, softsign), bp.Layer(8, 10, sine), loss=log_cosh)
    history: bp.History = net.fit(x, y, bp.SGD(0.05))
    a: Floats = softsign(np.linspace(-1, 1, 5))
    da_dz: Floats = softsign.derivative(a)
    print(softsign.is_custom, log_cosh.name, a.shape, da_dz.shape, history.epochs)
    try:
        bp.Activation(np.sin, np.sin)
    except ValueError as error:
        print("refused:", str(error).split(":")[0])


def optimizers() -> list[Optimizer]:
    """All rules and schedules."""
    cosine = bp.schedules.Cosine(0.1, 200, last=0.001)
    plateau = bp.schedules.ReduceOnPlateau(0.1, "loss", factor=0.5, patience=1, lowest=1e-4)
    rate: float = cosine(3)
    rates: NDArray[np.float64] = cosine(np.arange(5))
    some: list[Optimizer] = [
        bp.SGD(cosine, momentum=0.9, nesterov=True, weight_decay=1e-4, clip_norm=1.0),
        bp.SGD(bp.schedules.Step(0.1, every=50, factor=0.5), clip_value=0.1),
        bp.SGD(bp.schedules.Exponential(0.1, 0.999)),
        bp.SGD(bp.schedules.WarmUp(bp.schedules.OneCycle(0.1, 200), 20)),
        bp.SGD(plateau),
        bp.Adam(1e-3, (0.9, 0.99), 1e-8, 1e-4),
        bp.AdamW(lambda step: 1e-3 / (1 + step / 100)),
        bp.RMSprop(1e-3, alpha=0.9, momentum=0.5),
    ]
    print(rate, rates.shape, plateau.lr, plateau.best, cosine.settings["steps"])
    return some


def training(net: bp.Network, x: Floats, y: NDArray[np.int64], folder: Path) -> None:
    """fit with all that goes with it; step; and data that come in batches."""
    held_out = (x[-100:], y[-100:])
    for optimizer in optimizers():
        history = copy.deepcopy(net).fit(x, y, optimizer, epochs=2, batch_size=64, rng=1)
        state: tuple[Floats, ...] = optimizer.state
        print(optimizer, optimizer.steps, len(state), f"{history['loss'][-1]:.4f}")

    def shrink(network: bp.Network, record: dict[str, float]) -> bool:
        network.parameters[:] *= 0.999
        return record["loss"] < 0.01

    adam = bp.Adam(1e-3)
    stop = bp.EarlyStopping("validation_loss", patience=3, min_delta=0.0, restore_best=True)
    saved = bp.Checkpoint(folder / "net-{epoch}.safetensors", every=2, monitor="loss", optimizer=adam)
    history = net.fit(
        x,
        y,
        adam,
        epochs=4,
        batch_size=32,
        shuffle=True,
        validation=held_out,
        rng=np.random.default_rng(3),
        threads=2,
        progress=False,
        callbacks=[shrink, stop, saved],
        sample_weight=np.ones(len(x)),
        class_weight="balanced",
        norms=True,
    )
    losses: list[float] = history["validation_loss"]
    columns: dict[str, list[float]] = history.to_dict()
    print(history, losses, stop.best, stop.best_epoch, saved.best, list(columns))
    adam.lr = 1e-4
    net.fit(x, y, adam, validation=0.1, class_weight={0: 2.0}, shuffle=False)
    targets = np.eye(10)[y]
    net.fit(x, targets, adam, target_mask=np.random.default_rng(0).random(targets.shape) < 0.9)

    def batches() -> Iterator[tuple[Floats, Floats]]:
        for begin in range(0, len(x), 100):
            yield x[begin : begin + 100], targets[begin : begin + 100]

    net.fit(batches, None, adam, epochs=2)
    before: float = net.step(x[:32], y[:32], adam)
    print(before)
    try:
        bp.Network.dense(64, 8, 10, output="identity", seed=0).fit(x, y, bp.SGD(1e6), epochs=5)
    except bp.DivergenceError as error:
        epoch: int = error.epoch
        layer: int = error.layer
        print("diverged", epoch, layer)


def results(net: bp.Network, x: Floats, y: NDArray[np.int64]) -> None:
    """What a network says of samples, and the terms of the chain rule."""
    a: Floats = net(x)
    classes: NDArray[np.int64] = net.classify(x)
    loss: float = net.loss(x, y)
    losses: Floats = net.losses(x, y)
    accuracy: float = net.accuracy(x, y)
    print(a.shape, classes.shape, loss, losses.shape, accuracy)

    gradient = net.gradient(x, y)
    whole: Floats = gradient.parameters
    of_weights: Floats = gradient.layers[0].weights
    of_bias: Floats | None = gradient.layers[1].bias
    each: Floats = net.gradient(x[:5], y[:5], per_sample=True).inputs
    print(whole.shape, of_weights.shape, of_bias, each.shape, gradient.loss)

    trace = net.trace(x, y)
    z: Floats = trace.layers[0].z
    da_dz: Floats | None = trace.layers[0].da_dz
    nudges: Floats = trace.nudges
    print(z.shape, da_dz is not None and da_dz.shape, nudges.shape)

    e: Explanation = net.explain(x[0], y[0], layer=-1, j=3, k=7)
    of_layer: LayerExplanation = net.explain(x[:3], y[:3], layer=0)
    print(e, e.product, len(e.chain), e.check().passed, len(e.latex()), of_layer.product.shape)
    for layer, j, k, derivative, share in net.largest_moves(x, y, 3):
        print(layer, j, k, derivative, share)
    effect = net.watch_step(x[:10], y[:10], bp.SGD(0.1))
    print(effect.loss_before, effect.loss_after, effect.expected, effect.change.shape)
    svg: str = net.draw(x[0], y[0], show="deltas", nodes=6).svg

    jacobian: Floats = net.jacobian(x[:2])
    curvature: Floats = net.hessian_vector(x, y, np.ones_like(net.parameters))
    check = net.check_gradient(x[:10], y[:10], entries=100, rng=0)
    passed: bool = check.passed
    print(len(svg), jacobian.shape, curvature.shape, passed, check.max_relative_error, check.compared)


def files(net: bp.Network, x: Floats, folder: Path) -> None:
    """Files, copies, and other formats."""
    optimizer: Optimizer = bp.SGD(0.1, momentum=0.9)
    net.save(folder / "net.safetensors", optimizer=optimizer)
    again: bp.Network = bp.load(folder / "net.safetensors")
    again, kept = bp.load(folder / "net.safetensors", optimizer=True)
    assert isinstance(kept, Optimizer)
    optimizer = kept
    same: bp.Network = pickle.loads(pickle.dumps(net))
    text: str = net.to_c(folder / "net.c", name="digits")
    print(np.array_equal(again(x), same(x)), optimizer.steps, len(text))
    if has("onnx"):
        net.to_onnx(folder / "net.onnx")
    if has("torch"):
        module = net.to_torch()
        back: bp.Network = bp.Network.from_torch(module, loss="cross_entropy", seed=0)
        print(np.array_equal(back(x), net(x)))


def by_hand(net: bp.Network, x: Floats, y: NDArray[np.int64]) -> None:
    """The steps of backpropagation on plain arrays."""
    k = bp.kernels
    layer = net.layers[-1]
    a_prev = np.ascontiguousarray(net.trace(x[:5]).layers[-2].a)
    weights = np.ascontiguousarray(layer.weights)
    z = k.weighted_sum(a_prev, weights, layer.bias)
    a = k.activation("sigmoid", z)
    da_dz = k.activation_derivative("sigmoid", z)
    targets = np.eye(10, dtype=a.dtype)[y[:5]]
    print(k.loss("squared_error", a, targets).shape)
    delta = k.delta_output(k.loss_derivative("squared_error", a, targets), da_dz)
    before = k.delta_hidden(delta, weights, np.ones_like(a_prev))
    k.sgd_update(weights, k.weight_gradient(delta, a_prev), 0.1, out=weights)
    print(before.shape)


def many(x: Floats, y: NDArray[np.int64]) -> None:
    """A population: training, figures, members, and what they say together."""
    population = bp.Population.dense(64, 8, 10, members=3, seed=0, l2=[0.0, 1e-4, 1e-3])
    optimizer = bp.SGD([0.1, 0.5, 1.0], momentum=0.9)
    history = population.fit(x, y, optimizer, epochs=2, validation=0.2, patience=1)
    best: int = int(history.best("validation_accuracy").argmax())
    net: bp.Network = population[best]
    kept: bp.Population = population[[best, best]]
    outputs: Floats = population(x)
    interval = population.predict_interval(x, share=0.8)
    print(net.accuracy(x, y), len(kept), outputs.shape, interval.mean.shape, optimizer.of_member(best))


def around(net: bp.Network, x: Floats, y: NDArray[np.int64]) -> None:
    """Data sets, plots, scikit-learn's interface, the widget."""
    plane: Floats
    label: NDArray[np.int64]
    for plane, label in (
        bp.datasets.moons(40, noise=0.1, rng=0),
        bp.datasets.two_spirals(40),
        bp.datasets.circles(40),
        bp.datasets.xor(40),
    ):
        print(plane.shape, label.shape)
    if has("matplotlib"):
        history = net.fit(x, y, bp.SGD(0.01))
        history.plot("loss")
        bp.plots.plot_gradient_flow(net, x, y)
        bp.plots.plot_confusion_matrix(net, x, y)
        bp.plots.plot_weights(net, layer=0, shape=(8, 8))
    if has("sklearn"):
        classifier = bp.sklearn.BackpropClassifier((16,), max_iter=30, tol=10.0, random_state=0)
        predicted: Floats = classifier.fit(x, y).predict(x)
        probabilities: Floats = classifier.predict_proba(x)
        regressor = bp.sklearn.BackpropRegressor(8, solver="sgd", max_iter=30, tol=10.0, random_state=0)
        print(predicted.shape, probabilities.shape, regressor.fit(x, y).predict(x).shape)
    if has("anywidget"):
        widget = bp.Widget(net, x, y)
        print(type(widget).__name__)


def main() -> None:
    x, y, x_test, y_test = bp.datasets.load_digits()
    net = networks()
    own_functions(x, y)
    with tempfile.TemporaryDirectory() as folder:
        training(net, x, y, Path(folder))
        results(net, x_test, y_test)
        files(net, x_test, Path(folder))
    by_hand(net, x, y)
    many(x, y)
    around(net, x, y)
    print("backprop", bp.__version__)


if __name__ == "__main__":
    main()
