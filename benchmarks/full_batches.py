"""Adam on all samples at once: µs a step of backprop and JAX, each in a process of its own, in turn.

    python benchmarks/full_batches.py
    python benchmarks/full_batches.py --rounds 5 --seconds 0.1

The networks are those of docs/speed.md: 4-32-16-4 with 10,000 samples, the case that SimpleChains.jl
published, and 64-256-256-1 with 1024; tanh, an identity at the end, the squared error, float32. JAX runs many
steps in one call: `lax.scan`, jitted, parameters and states donated. A process keeps to as many cores as it
has threads; "None" is backprop's own choice on all of them, beside JAX with all. Before the first turn the
parameters after five steps are compared. Needs JAX.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
CASES = {"4-32-16-4": 10_000, "64-256-256-1": 1024}
STEPS = 50  # in a call
RATE, BETA1, BETA2, EPSILON = 0.001, 0.9, 0.999, 1e-8


def data_of(case):
    """x and y, float32 (n, inputs) and (n, outputs)."""
    sizes = [int(size) for size in case.split("-")]
    rng = np.random.default_rng(1)
    x = rng.standard_normal((CASES[case], sizes[0]), dtype=np.float32)
    return x, rng.standard_normal((CASES[case], sizes[-1]), dtype=np.float32)


def network_of(case):
    import backprop as bp

    sizes = [int(size) for size in case.split("-")]
    return bp.Network.dense(
        *sizes, hidden="tanh", output="identity", loss="squared_error", seed=0, dtype="float32"
    )


def of_backprop(case, threads):
    """What does so many steps and returns all parameters."""
    import backprop as bp

    net, (x, y), adam = network_of(case), data_of(case), bp.Adam(RATE)

    def train(steps):
        net.fit(x, y, adam, epochs=steps, batch_size=len(x), shuffle=False, threads=threads, progress=False)
        return net.parameters

    return train


def of_jax(case, threads):
    import jax
    import jax.numpy as jnp

    net, (x, y) = network_of(case), (jnp.asarray(part) for part in data_of(case))
    start = [(jnp.asarray(layer.weights.T), jnp.asarray(layer.bias)) for layer in net.layers]
    zeros = jax.tree.map(jnp.zeros_like, start)

    def loss(parameters, x, y):
        for weights, bias in parameters[:-1]:
            x = jnp.tanh(x @ weights + bias)
        weights, bias = parameters[-1]
        return ((x @ weights + bias - y) ** 2).sum(1).mean()

    def step(carry, _):
        parameters, m, v, t = carry
        gradient = jax.grad(loss)(parameters, x, y)
        m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, gradient)
        v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, gradient)
        first, second = 1 - BETA1**t, 1 - BETA2**t
        moved = jax.tree.map(
            lambda w, m, v: w - RATE * (m / first) / (jnp.sqrt(v / second) + EPSILON), parameters, m, v
        )
        return (moved, m, v, t + 1), None

    scan = jax.jit(lambda carry, steps: jax.lax.scan(step, carry, steps)[0], donate_argnums=0)
    state = [(start, zeros, jax.tree.map(jnp.copy, zeros), jnp.float32(1))]

    def train(steps):
        state[0] = jax.block_until_ready(scan(state[0], np.zeros(steps)))
        return np.concatenate([np.ravel(part) for pair in state[0][0] for part in pair])

    return train


def work(library, case, threads):
    """Prints the parameters after five steps, then seconds of a step for each line that comes in."""
    import compare

    compare.confine(threads or len(os.sched_getaffinity(0)))
    train = {"backprop": of_backprop, "JAX": of_jax}[library](case, threads)
    print(json.dumps(train(5).tolist()), flush=True)
    train(STEPS)
    for line in sys.stdin:
        best, end = np.inf, time.perf_counter() + float(line)
        while time.perf_counter() < end:
            begin = time.perf_counter()
            train(STEPS)
            best = min(best, (time.perf_counter() - begin) / STEPS)
        print(best, flush=True)


def start(library, case, threads):
    from compare import environment

    command = [sys.executable, __file__, "--work", library, "--case", case, "--threads", str(threads)]
    variables = environment(threads or len(os.sched_getaffinity(0)))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, env=variables, text=True, **pipes)
    return process, np.array(json.loads(process.stdout.readline()))


def measure(case, threads, options):
    """Least seconds of a step of each library."""
    libraries = ("backprop", "JAX")
    workers = {library: start(library, case, threads) for library in libraries}
    one, other = (parameters for _, parameters in workers.values())
    if not np.abs(np.sort(one) - np.sort(other)).max() < 5 * RATE / 10:
        raise ArithmeticError(f"the libraries compute different things on {case}")
    best = dict.fromkeys(libraries, np.inf)
    for turn in range(options.rounds):
        for library in libraries[:: 1 if turn % 2 else -1]:
            process = workers[library][0]
            process.stdin.write(f"{options.seconds}\n")
            process.stdin.flush()
            best[library] = min(best[library], float(process.stdout.readline()))
    for process, _ in workers.values():
        process.stdin.close()
        process.wait()
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.2, help="of a turn, at least")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--threads", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.case, None if options.threads == "None" else int(options.threads))
        return
    for case in CASES:
        for threads in (1, len(os.sched_getaffinity(0)), None):
            best = measure(case, threads, options)
            ours, theirs = best["backprop"] * 1e6, best["JAX"] * 1e6
            times = theirs / ours
            print(f"{case}, {threads} threads: {ours:.0f} µs, JAX {theirs:.0f}, {times:.2f} times as long")


if __name__ == "__main__":
    main()
