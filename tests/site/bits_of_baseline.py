"""Trains the networks that it is told of by JSON, with BACKPROP_ISA=baseline, and tells their parameters."""

import json
import sys

import numpy as np

import backprop as bp
from backprop import _core

RULES = {"sgd": bp.SGD, "adam": bp.Adam, "rmsprop": bp.RMSprop}


def train(told, sizes, hidden, output, loss, dtype, rule):
    name, lr, momentum = rule
    net = bp.Network.dense(*sizes, hidden=hidden, output=output, loss=loss, dtype=dtype, seed=0)
    x, y = bp.datasets.moons(100, rng=1)
    rng = np.random.default_rng(5)
    state = rng.bit_generator.state["state"]
    halves = [str(state[key] >> shift & 2**64 - 1) for key in ("state", "inc") for shift in (0, 64)]
    first = net.parameters.copy()
    optimizer = RULES[name](lr, momentum=momentum) if momentum else RULES[name](lr)
    net.fit(x, y, optimizer, epochs=told["epochs"], batch_size=told["batch"], rng=rng, progress=False)
    return {
        "first": first.tobytes().hex(),
        "last": net.parameters.tobytes().hex(),
        "seed": halves,
        "x": x.ravel().tolist(),
        "y": y.tolist(),
        "C": net.loss(x, y),
        "delta": net.trace(x[3], y[3]).layers[0].dC_dz.astype(float).tolist(),
    }


assert _core.isa == "baseline", _core.isa
told = json.load(sys.stdin)
json.dump([train(told, *network) for network in told["networks"]], sys.stdout)
