"""A population in lanes, one member after the other, and fit alone: nanoseconds of a step of one network.

``python benchmarks/populations.py`` compares the ways on shapes of docs/decisions.md. ``--grid`` checks what
csrc/core/population/plan.c says of when lanes are worth while: the time one after the other over that in
lanes, and over that of the way that is chosen. ``--jax`` compares with JAX, an epoch in lax.scan and networks
in vmap, both with one thread and one order for all: set JAX_PLATFORMS=cpu, and run it on one processor
(taskset -c 0). ``--patience`` compares fits of as many epochs with early stopping, which never comes, and
without.
"""

import itertools
import sys
import time

import numpy as np

import backprop as bp
from backprop import _core

MEMBERS, ROUNDS = 256, 5
CALL = 8  # times as many epochs beside JAX: a call of fit takes 0.3 ms, which is a part of short ones


def step_times(
    sizes, batch, samples, optimizer="SGD", *, members=MEMBERS, shuffle=False, epochs=None, **network
):
    """{way: nanoseconds}, processor time of one thread, the least of several interleaved rounds."""
    rng = np.random.default_rng(0)
    nets = [bp.Network.dense(*sizes, seed=i, **network) for i in range(members)]
    x, y = (rng.random((samples, nodes)).astype(nets[0].dtype) for nodes in (sizes[0], sizes[-1]))
    parameters = np.stack([net.parameters for net in nets])
    steps = -(-samples // batch)
    epochs = epochs or max(1, 2000 // (steps * (1 + parameters.shape[1] * batch // 50)))
    rule = getattr(bp, optimizer)(0.01)
    record = tuple(np.full((epochs, members), np.nan) for _ in _core.figures)
    times = {}

    def note(way, begun, epochs, members):
        each = (time.thread_time() - begun) / members / epochs / steps * 1e9
        times[way] = min(each, times.get(way, np.inf))

    for _ in range(ROUNDS):
        for way in ("one by one", "in lanes", "fastest"):
            begun = time.thread_time()
            nets[0]._train_population(
                parameters=parameters.copy(),
                states=tuple(np.zeros_like(parameters) for _ in range(2 * (optimizer == "Adam"))),
                steps=np.zeros(members, np.uint64),
                active=np.ones(members, bool),
                optimizer=rule,
                x=x,
                y=y,
                epochs=epochs,
                batch_size=batch,
                record=record,
                shuffle=shuffle,
                bit_generators=[net.rng.bit_generator for net in nets],
                way=way,
            )
            note(way, begun, epochs, members)
        alone, own = bp.Network.dense(*sizes, seed=0, **network), getattr(bp, optimizer)(0.01)
        begun = time.thread_time()
        alone.fit(x, y, own, epochs=32 * epochs, batch_size=batch, shuffle=shuffle, threads=1, progress=False)
        note("fit", begun, 32 * epochs, 1)
    return times


def compare():
    """The shapes that are asked for most."""
    for sizes, batch, samples in SHAPES:
        for optimizer in ("SGD", "Adam"):
            for shuffle in (False, True):
                times = step_times(sizes, batch, samples, optimizer, shuffle=shuffle)
                name = f"{'-'.join(map(str, sizes))}, batch {batch}, {optimizer}, shuffle={shuffle}"
                print(f"{name:44}", *(f"{way} {ns:8.1f}" for way, ns in times.items()), end="  ")
                print(f"{times['fit'] / times['fastest']:5.1f} x", flush=True)


SHAPES = (((2, 3, 1), 1, 4), ((4, 16, 1), 8, 512), ((10, 32, 32, 1), 32, 1024), ((64, 30, 10), 32, 1024))


def jax_epochs(sizes, batch, samples, epochs, members, x, y):
    """A function that trains `members` networks for some epochs with JAX, compiled."""
    import jax
    import jax.numpy as jnp

    def loss(parameters, x, y):
        for w, b in parameters:
            x = jax.nn.sigmoid(x @ w + b)
        return jnp.mean(jnp.sum((x - y) ** 2, axis=1))

    def step(parameters, rows):
        slopes = jax.grad(loss)(parameters, x[rows], y[rows])
        return jax.tree.map(lambda p, g: p - 0.01 * g, parameters, slopes), None

    def epoch(parameters, order):
        return jax.lax.scan(step, parameters, order.reshape(-1, batch))

    def train(parameters, orders):
        return jax.lax.scan(epoch, parameters, orders)[0]

    rng = np.random.default_rng(0)
    parameters = [
        (rng.normal(size=(members, i, j)).astype("f4"), np.zeros((members, j), "f4"))
        for i, j in itertools.pairwise(sizes)
    ]
    orders = np.stack([rng.permutation(samples) for _ in range(epochs)]).astype(np.int32)
    x, y = jnp.asarray(x), jnp.asarray(y)
    together = jax.jit(jax.vmap(train, in_axes=(0, None)))
    return lambda: jax.block_until_ready(together(parameters, orders))


def ways_of(sizes, batch, samples, epochs):
    """{way: (what trains, how many networks)}, one thread each."""
    rng = np.random.default_rng(0)
    x, y = rng.random((samples, sizes[0])).astype("f4"), rng.random((samples, sizes[-1])).astype("f4")
    population = bp.Population.dense(*sizes, members=MEMBERS, seed=0)
    alone = bp.Network.dense(*sizes, seed=0)

    def fit(network, shuffle, times=1):
        for _ in range(times):
            given = {"epochs": epochs, "batch_size": batch, "shuffle": shuffle}
            network.fit(x, y, bp.SGD(0.01), threads=1, progress=False, **given)

    return {
        "one order": (lambda: fit(population, "shared"), MEMBERS),
        "own orders": (lambda: fit(population, True), MEMBERS),
        "JAX": (jax_epochs(sizes, batch, samples, epochs, MEMBERS, x, y), MEMBERS),
        "fit": (lambda: fit(alone, True, 16), 16),
    }


def against_jax():
    """Nanoseconds of a step of one of 256 networks, processor time of all threads and time on the wall."""
    for sizes, batch, samples in SHAPES:
        steps = samples // batch
        epochs = CALL * max(1, 2000 // (steps * (1 + sizes[0] * sizes[1] * batch // 50)))
        ways, best = ways_of(sizes, batch, samples, epochs), {}
        for _ in range(ROUNDS + 1):  # the first compiles
            for way, (train, networks) in ways.items():
                begun = time.process_time(), time.perf_counter()
                train()
                ended = time.process_time(), time.perf_counter()
                took = [1e9 * (b - a) / networks / epochs / steps for a, b in zip(begun, ended, strict=True)]
                best[way] = np.minimum(took, best.get(way, np.inf))
        text = "  ".join(f"{way} {cpu:.1f} ({wall:.1f})" for way, (cpu, wall) in best.items())
        mine = best["one order"]
        ratios = f"JAX {best['JAX'][0] / mine[0]:.1f} x, fit {best['fit'][0] / mine[0]:.1f} x"
        print(f"{'-'.join(map(str, sizes))}, batch {batch}: {text}  {ratios}", flush=True)


def grid():
    """Where lanes are slower, and whether the faster way is chosen; also with softmax, and in float64."""
    kinds = {
        "float32": {},
        "float64": {"dtype": "float64"},
        "softmax": {"output": "softmax", "loss": "cross_entropy"},
    }
    chosen = []
    for kind, optimizer, shuffle in itertools.product(kinds, ("SGD", "Adam"), (False, True)):
        for width, batch in itertools.product((8, 16, 32, 48, 64, 100, 256, 512), (1, 8, 32, 128)):
            sizes, epochs = (width, width, 10), 8 if width < 256 else 1
            given = {"members": 32, "shuffle": shuffle, "epochs": epochs, **kinds[kind]}
            times = step_times(sizes, batch, 256, optimizer, **given)
            lanes, best = (times["one by one"] / times[way] for way in ("in lanes", "fastest"))
            chosen.append(best)
            order = "own orders" if shuffle else "one order"
            print(
                f"{kind} {optimizer} {order} {width} {batch}: lanes {lanes:.2f}, chosen {best:.2f}",
                flush=True,
            )
    print("least of what is chosen", np.sort(chosen)[:10].round(2))


def with_patience():
    """Seconds of a fit without early stopping, and how many times as long it takes with it; in turn."""
    shapes = (((2, 3, 1), 1, 4, 3000), ((4, 16, 1), 8, 200, 300), ((10, 32, 32, 1), 32, 1000, 40))
    for (sizes, batch, samples, epochs), threads in itertools.product(shapes, (1, 2)):
        rng, best = np.random.default_rng(0), {}
        x, y = (rng.random((samples, nodes)).astype("f4") for nodes in (sizes[0], sizes[-1]))
        given = {"epochs": epochs, "batch_size": batch, "threads": threads, "progress": False}
        for _, patience in itertools.product(range(ROUNDS), (None, epochs)):
            population = bp.Population.dense(*sizes, members=MEMBERS, seed=0)
            begun = time.perf_counter()
            population.fit(x, y, bp.SGD(0.01), validation=(x, y), patience=patience, **given)
            best[patience] = min(time.perf_counter() - begun, best.get(patience, np.inf))
        name = f"{'-'.join(map(str, sizes))}, {samples} samples, {threads} threads"
        print(f"{name}: {best[None]:.3f} s, {best[epochs] / best[None]:.2f} x", flush=True)


if __name__ == "__main__":
    {"--grid": grid, "--jax": against_jax, "--patience": with_patience}.get(sys.argv[-1], compare)()
