"""Each member's training by `Network.fit` alone: what a population must give, bit for bit."""

import numpy as np

import backprop as bp
from backprop.callbacks import EarlyStopping
from backprop.population.members import generators_of


def first_network(network, seed, members, i, l1=None, l2=None):
    """Member i's network as its own constructor would make it."""
    rng = generators_of(seed, members)[i]
    layers = []
    for number, layer in enumerate(network.layers):
        of_layer = {name: getattr(layer, name) for name in ("dropout", "lr", "bias_lr", "mask")}
        for name, given in (("l1", l1), ("l2", l2)):
            of_layers = None if given is None else np.ravel(given[i])
            own = getattr(layer, name) if given is None else of_layers[number % len(of_layers)]
            of_layer[name] = float(own)
        activation = str(layer.activation)
        layers.append(bp.Layer(layer.inputs, layer.outputs, activation, bias=layer.has_bias, **of_layer))
    return bp.Network(*layers, loss=network.loss_name, dtype=network.dtype.name, seed=rng)


def part(array, is_own, i):
    return array[i] if array is not None and is_own else array


def fit_alone(network, x, y, optimizer, i, settings, own_y):
    """Member i's training; its records, and whether it diverged."""
    settings = dict(settings)
    y, mask = (part(array, own_y, i) for array in (y, settings.pop("target_mask", None)))
    weight = settings.pop("sample_weight", None)
    weight = part(weight, np.ndim(weight) == 2, i)
    x, samples = part(x, x.ndim == 3, i), settings.pop("samples", None)
    if samples is not None:
        x, y = x[samples[i]], y[samples[i]]
        mask, weight = (None if array is None else array[samples[i]] for array in (mask, weight))
    if isinstance(settings.get("validation"), tuple):
        xv, yv = settings["validation"]
        settings["validation"] = part(xv, xv.ndim == 3, i), part(yv, own_y and xv.ndim == 3, i)
    callbacks, records = [], []
    if "patience" in settings:
        wait, delta = settings.pop("patience"), settings.pop("min_delta")
        callbacks.append(EarlyStopping(patience=wait, min_delta=delta))
    callbacks.append(lambda net, record: records.append(record))
    try:
        network.fit(x, y, optimizer, target_mask=mask, sample_weight=weight, callbacks=callbacks, **settings)
    except bp.DivergenceError:
        return records, True
    return records, False
