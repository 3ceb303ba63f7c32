"""Resident memory over many networks: created, trained, saved, loaded, used, and dropped.

    python tests/long/soak.py [--cycles 10000] [--minutes 0] [--warm-up 500]

Ends with status 1 where the process has grown by more than 4 MiB, or keeps a block of the core. ``--minutes``
goes on for as long, and prints the growth every minute. Linux only.
"""

import argparse
import gc
import itertools
import os
import sys
import tempfile
import time

import numpy as np

import backprop as bp
from backprop import _core

MOST = 4 * 2**20  # bytes


def private_bytes():
    with open("/proc/self/status", encoding="utf-8") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


def cycle(number, folder, x, y):
    """One network, of one of many kinds, from its first weights to its end."""
    layer = {"dropout": 0.2} if number % 3 == 0 else {"l2": 1e-3} if number % 3 == 1 else {}
    dtype = ("float32", "float64")[number % 2]
    net = bp.Network(bp.Layer(8, 20, "tanh", **layer), bp.Layer(20, 3, "softmax"), dtype=dtype, seed=number)
    optimizer = (bp.SGD(0.1), bp.SGD(0.1, momentum=0.9), bp.Adam(0.01), bp.RMSprop(0.01))[number % 4]
    settings = {"batch_size": (1, 8, 40)[number % 3], "threads": 1 + number % 2}
    if number % 5 == 0:
        net.fit([(x, y), (x, y)], None, optimizer, epochs=1, callbacks=[lambda net, record: net(x[0])])
    else:
        net.fit(x, y, optimizer, epochs=2, validation=(x, y), **settings)
    path = os.path.join(folder, "net.safetensors")
    net.save(path, optimizer=optimizer)
    loaded, again = bp.load(path, optimizer=True)
    loaded.step(x, y, again)
    assert np.isfinite(loaded(x)).all()
    loaded.gradient(x, y), loaded.trace(x, y), loaded.loss(x, y)
    for bad in (x[:, :3], x.astype(complex)):
        try:
            loaded.fit(bad, y, again)
        except (TypeError, ValueError):
            continue
        raise AssertionError("bad data were taken")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cycles", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--warm-up", type=int, default=500, help="cycles before the first look")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 8)), rng.integers(3, size=40)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.warm_up):
            cycle(number, folder, x, y)
        gc.collect()
        before, blocks, begun = private_bytes(), _core._allocations(), time.monotonic()
        reported = begun
        for number in itertools.count(1):
            cycle(number, folder, x, y)
            now = time.monotonic()
            if now - reported > 60:
                reported = now
                grown = (private_bytes() - before) / 2**20
                print(f"{(now - begun) / 60:.0f} min, {number} cycles: {grown:+.2f} MiB", flush=True)
            if number >= arguments.cycles and now - begun >= 60 * arguments.minutes:
                break
        gc.collect()
        grown = private_bytes() - before
    print(f"{number} cycles in {time.monotonic() - begun:.0f} s: {grown / 2**20:+.2f} MiB, "
          f"{_core._allocations() - blocks:+d} blocks of the core")  # fmt: skip
    sys.exit(grown > MOST or _core._allocations() != blocks)


if __name__ == "__main__":
    main()
