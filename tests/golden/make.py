"""Writes the golden pickles and files: what an earlier version leaves behind must be read by every later one.

    PYTHONPATH=CHECKOUT_OF_THE_VERSION:tests python tests/golden/make.py

It writes tests/golden/<version>/: a pickle or a file for each thing below, and figures.npz with the figures
of each as that version gives them. Public names only. A released version's folder is never written again.
"""

import pickle
import sys
from pathlib import Path

import functions_of_a_user
import numpy as np
from golden_figures import figures_of

import backprop as bp

SIZES = (4, 6, 5, 3)


def data():
    rng = np.random.default_rng(11)
    return rng.normal(size=(20, SIZES[0])), rng.integers(SIZES[-1], size=20)


def network(dtype="float64", **settings):
    layers = [
        bp.Layer(4, 6, "tanh", l2=1e-3),
        bp.Layer(6, 5, "relu", dropout=0.25, init="he"),
        bp.Layer(5, 3, "softmax", bias=False),
    ]
    return bp.Network(*layers, **{"loss": "cross_entropy", "dtype": dtype, "seed": 5} | settings)


def trained(optimizer, net=None, **settings):
    """(the network after two epochs, the optimizer with its state, the history)."""
    net = network() if net is None else net
    x, y = data()
    settings = {"epochs": 2, "batch_size": 6, "progress": False} | settings
    return net, optimizer, net.fit(x, y, optimizer, **settings)


def networks():
    yield "network", trained(bp.SGD(0.1))[0]
    yield "network_float32", trained(bp.SGD(0.1), network("float32"))[0]
    yield "layer_of_a_network", network().layers[1]
    yield "layer_alone", bp.Layer(3, 2, "gelu", bias=False, init="glorot_uniform", l1=0.1)
    activation = bp.Activation(functions_of_a_user.bent, functions_of_a_user.slope_of_bent)
    loss = bp.Loss(functions_of_a_user.cubic_error, functions_of_a_user.slope_of_cubic_error, name="cubic")
    yield "activation", activation
    yield "activation_of_the_engine", bp.Activation("silu")
    yield "loss", loss
    layers = bp.Layer(4, 5, activation), bp.Layer(5, 3, "identity")
    yield "network_of_own_functions", bp.Network(*layers, loss=loss, dtype="float64", seed=2)


def optimizers():
    s = bp.schedules
    for name, optimizer in {
        "sgd": bp.SGD(0.1, 0.9, nesterov=True, weight_decay=1e-3, clip_norm=1.0),
        "adam": bp.Adam(1e-2, (0.8, 0.95), 1e-7, 1e-3, clip_value=0.5),
        "adamw": bp.AdamW(1e-2),
        "rmsprop": bp.RMSprop(1e-2, 0.9, 1e-7, 0.5, 1e-3),
        "sgd_of_a_function": bp.SGD(functions_of_a_user.halving),
        "sgd_of_cosine": bp.SGD(s.Cosine(0.1, 30), 0.5),
    }.items():
        yield name, trained(optimizer)[:2]
    yield "sgd_unused", bp.SGD(0.25, 0.5)
    schedules = {
        "step": s.Step(0.1, 10, 0.5),
        "exponential": s.Exponential(0.1, 0.99),
        "cosine": s.Cosine(0.1, 50),
        "one_cycle": s.OneCycle(0.2, 50),
        "warm_up": s.WarmUp(s.Cosine(0.1, 50), 5),
    }
    for name, schedule in schedules.items():
        yield f"schedule_{name}", schedule
    plateau = s.ReduceOnPlateau(0.1, "loss", patience=0, min_delta=0.5)
    trained(bp.SGD(plateau))
    yield "schedule_plateau", plateau


def results():
    x, y = data()
    net = network("float32")
    yield "gradient", net.gradient(x, y)
    yield "gradients_per_sample", net.gradient(x, y, per_sample=True)
    yield "trace", net.trace(x, y)
    yield "trace_of_one", net.trace(x[0])
    yield "history", trained(bp.SGD(0.1), validation=0.2, norms=True)[2]
    stopping = bp.EarlyStopping("loss", patience=5)
    trained(bp.SGD(0.1), callbacks=[stopping])
    yield "early_stopping", stopping
    yield "checkpoint", bp.Checkpoint("somewhere-{epoch}", every=2)
    yield "explanation", net.explain(x[0], y[0], layer=1, j=2, k=3)
    yield "explanation_of_layer", net.explain(x[0], y[0], layer=1)
    yield "gradient_check", net.check_gradient(x, y, entries=20, rng=0)
    yield "drawing", net.draw(x[0])


def files():
    for name, make in {"file": None, "file_with_adam": bp.Adam, "file_with_rmsprop": bp.RMSprop}.items():
        if make is None:
            yield name, network("float32"), None
        else:
            yield name, *trained(make(1e-2, weight_decay=1e-3), network("float32"))[:2]
    scheduled = bp.SGD(bp.schedules.OneCycle(0.2, 40), 0.9, clip_norm=1.0)
    yield "file_with_a_schedule", *trained(scheduled)[:2]


def main():
    folder = Path(__file__).parent / bp.__version__
    folder.mkdir(exist_ok=True)
    figures = {}
    for make in (networks, optimizers, results):
        for name, thing in make():
            pickled = pickle.dumps(thing, protocol=4)
            (folder / f"{name}.pickle").write_bytes(pickled)
            # of a copy: what is read from a figure, such as a training that goes on, changes the thing
            figures |= {f"{name}/{key}": value for key, value in figures_of(pickle.loads(pickled)).items()}
    for name, net, optimizer in files():
        path = folder / f"{name}.safetensors"
        net.save(path, optimizer=optimizer)
        thing = bp.load(path) if optimizer is None else bp.load(path, optimizer=True)
        figures |= {f"{name}/{key}": value for key, value in figures_of(thing).items()}
    np.savez_compressed(folder / "figures.npz", **figures)
    print(f"{len(figures)} figures of {bp.__file__} in {folder}", file=sys.stderr)


if __name__ == "__main__":
    main()
