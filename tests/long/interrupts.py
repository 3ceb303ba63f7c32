"""Ctrl-C at random moments of many kinds of training: how soon it is heeded, and what it leaves.

    python tests/long/interrupts.py [--count 200] [--seed 0] [--most SECONDS]

After each, parameters and optimizer must be exactly those after as many steps as the optimizer counts, as
a twin has them that was not interrupted. Prints the times from the signal to the exception; ``--most`` makes
a longer one an error.
"""

import argparse
import os
import random
import signal
import statistics
import sys
import threading
import time

import numpy as np

import backprop as bp

N, LONG = 96, 10**7


def network(sizes):
    return bp.Network.dense(*sizes, hidden="tanh", output="sigmoid", seed=3)


# name: sizes, optimizer, settings of fit
KINDS = {
    "chain": ((4, 6, 2), lambda: bp.SGD(0.01), {"batch_size": 1, "threads": 1}),
    "online": ((64, 100, 2), lambda: bp.SGD(0.01), {"batch_size": 1, "threads": 1}),
    "online, two threads": ((64, 100, 2), lambda: bp.SGD(0.01), {"batch_size": 1, "threads": 2}),
    "batches": ((64, 100, 2), lambda: bp.SGD(0.01), {"batch_size": 8, "threads": 1}),
    "two threads": ((64, 100, 2), lambda: bp.Adam(0.001), {"batch_size": 8, "threads": 2}),
    "momentum": ((64, 100, 2), lambda: bp.SGD(0.01, momentum=0.5), {"batch_size": 32, "threads": 1}),
    "clipping": ((64, 100, 2), lambda: bp.SGD(0.01, clip_norm=0.1), {"batch_size": 32, "threads": 2}),
    "callbacks": ((64, 100, 2), lambda: bp.Adam(0.001), {"batch_size": 8, "callbacks": [lambda *_: None]}),
    "validation": ((64, 100, 2), lambda: bp.SGD(0.01), {"batch_size": 8, "validation": True}),
    "wide": ((64, 1500, 1500, 2), lambda: bp.SGD(0.01), {"batch_size": 32, "threads": 2}),
}


def data(sizes):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(N, sizes[0])), rng.uniform(size=(N, sizes[-1]))
    return x.astype("float32"), y.astype("float32")


def steps_of_twin(kind, steps):
    """A network and its optimizer after exactly so many steps, no one having interrupted them."""
    sizes, make, settings = KINDS[kind]
    net, optimizer, (x, y) = network(sizes), make(), data(sizes)
    batch = settings["batch_size"]
    whole, rest = divmod(steps, N // batch)
    for epochs, rows in ((whole, N), (1, rest * batch)):
        if epochs and rows:
            net.fit(x[:rows], y[:rows], optimizer, epochs=epochs, batch_size=batch, shuffle=False, threads=1)
    return net, optimizer


def interrupt(kind, delay):
    """Seconds from the signal to the exception; checks what is left."""
    sizes, make, settings = KINDS[kind]
    net, optimizer, (x, y) = network(sizes), make(), data(sizes)
    if settings.get("validation"):
        held_out = tuple(np.broadcast_to(part[0], (20_000, len(part[0]))) for part in (x, y))
        settings = settings | {"validation": held_out}
    sent = []

    def send():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(delay, send)
    try:
        timer.start()
        net.fit(x, y, optimizer, epochs=LONG, shuffle=False, **settings)
        raise AssertionError(f"{kind}: fit ended by itself")
    except KeyboardInterrupt:
        caught = time.perf_counter()
    timer.join()
    twin, its = steps_of_twin(kind, optimizer.steps)
    what = f"{kind}, {delay:.3f} s, {optimizer.steps} steps"
    assert net.parameters.tobytes() == twin.parameters.tobytes(), f"{what}: parameters of other steps"
    assert its.steps == optimizer.steps, what
    for one, other in zip(optimizer.state, its.state, strict=True):
        assert one.tobytes() == other.tobytes(), f"{what}: the optimizer's state of other steps"
    net.fit(x, y, optimizer, batch_size=8)
    assert np.isfinite(net(x)).all(), what
    return caught - sent[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=float, default=None)
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    drawn = random.Random(arguments.seed)
    times = {kind: [] for kind in KINDS}
    for i in range(arguments.count):
        kind = list(KINDS)[i % len(KINDS)]
        times[kind].append(interrupt(kind, drawn.uniform(0.002, 0.25)))
    for kind, seconds in times.items():
        if seconds:
            print(f"{kind}: {len(seconds)} times, median {1e3 * statistics.median(seconds):.1f} ms, "
                  f"most {1e3 * max(seconds):.1f} ms")  # fmt: skip
    every = sorted(t for seconds in times.values() for t in seconds)
    median = statistics.median(every)
    print(f"{len(every)} interrupts: median {1e3 * median:.1f} ms, most {1e3 * every[-1]:.1f} ms")
    if arguments.most is not None and every[-1] > arguments.most:
        sys.exit(f"one took longer than {1e3 * arguments.most:.0f} ms")


if __name__ == "__main__":
    main()
