"""Training on MPI ranks: what a step costs, and what a model makes of it for many nodes.

    mpiexec -n 1 python benchmarks/scaling.py measure one.json
    mpiexec -n 2 python benchmarks/scaling.py measure two.json
    mpiexec -n 4 python benchmarks/scaling.py measure four.json
    mpiexec -n 2 python benchmarks/scaling.py overlap
    python benchmarks/scaling.py model one.json two.json four.json

`measure` takes the best of interleaved rounds, in µs a step: a step of one rank on its share of the
batch (`share`) and on the whole of it (`whole`, the other ranks waiting asleep), of all ranks together,
with messages (`together`) and with memory in common (`in memory`), and an Allreduce of as many
numbers. Every rank has one thread. A step is an epoch's seconds by its steps, without what fit does before
and after it.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np

import backprop as bp
from backprop.fit import ranks

NETWORKS = {  # widths, batch, steps in an epoch, rounds
    "8-8-4, batch 16": ((8, 8, 4), 16, 4000, 15),
    "784-30-10, batch 128": ((784, 30, 10), 128, 100, 15),
    "784-2048-2048-10, batch 256": ((784, 2048, 2048, 10), 256, 16, 7),
    "784-2048-2048-10, batch 1024": ((784, 2048, 2048, 10), 1024, 5, 5),
}
SLOW_NETWORK = (30e-6, 1e9 / 8)  # seconds, bytes a second: 1 Gbit/s Ethernet
FAST_NETWORK = (2e-6, 100e9 / 8)  # 100 Gbit/s
NODES = (1, 2, 4, 8, 16, 64, 256, 1000)


def parameters_of(sizes):
    return sum((a + 1) * b for a, b in itertools.pairwise(sizes))


def seconds_of(act, repeats=1):
    begun = time.perf_counter()
    for _ in range(repeats):
        act()
    return (time.perf_counter() - begun) / repeats


def measure_network(comm, mpi, sizes, batch, steps, rounds):
    x = np.random.default_rng(comm.rank).normal(size=(batch * steps, sizes[0])).astype(np.float32)
    y = np.arange(len(x)) % sizes[-1]
    share = batch // comm.size
    numbers = np.zeros(parameters_of(sizes) + 4, np.float32)
    net, optimizer = bp.Network.dense(*sizes, seed=0), bp.SGD(1e-4, momentum=0.9)

    def train(rows, whole, **settings):
        n = rows * steps
        history = net.fit(x[:n], y[:n], optimizer, batch_size=whole, threads=1, shuffle=False, **settings)
        return history["seconds"][0] / steps

    def with_messages(messages):
        """Of one Allreduce a step, or with memory in common."""
        ranks.LEAST_TO_SHARE = 1 << 60 if messages else 0
        return train(share, batch, comm=comm, sharded=True)

    def one_at_a_time(act):
        """Everyone's turn comes; who waits sleeps, so that it takes no core."""
        seconds = 0.0
        for rank in range(comm.size):
            if rank == comm.rank:
                seconds = act()
            done = comm.Ibarrier()
            while not done.Test():
                time.sleep(1e-3)
        return seconds

    kinds = {
        # sharded: every rank's data are its share, and a step is on as many rows as alone
        "together": lambda: with_messages(True),
        "in memory": lambda: with_messages(False),
        "share": lambda: train(share, share),
        "whole": lambda: one_at_a_time(lambda: train(batch, batch)),
        "allreduce": lambda: seconds_of(lambda: comm.Allreduce(mpi.IN_PLACE, numbers), steps),
    }
    times = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, act in kinds.items():
            comm.Barrier()
            times[kind].append(comm.allreduce(act(), mpi.MAX))
    best = {kind: min(values) for kind, values in times.items()}
    return best | {"spread": float(np.mean(times["share"]) / best["share"] - 1)}


def measure(path):
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    results = {"ranks": comm.size}
    for name, setting in NETWORKS.items():
        best = results[name] = measure_network(comm, MPI, *setting)
        if comm.rank == 0:
            beyond = best["together"] - best["share"] - best["allreduce"]
            figures = ", ".join(f"{kind} {1e6 * best[kind]:.1f}" for kind in list(best)[:5])
            speeds = ", ".join(f"x {best['whole'] / best[kind]:.2f} {kind}" for kind in list(best)[:2])
            print(f"{comm.size} ranks, {name}: {figures} µs; beyond {1e6 * beyond:.1f} µs; {speeds}")
    if comm.rank == 0:
        Path(path).write_text(json.dumps(results), encoding="utf-8")


def overlap():
    """A gradient sent layer by layer while the layers below are computed, against all of it at the end."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    sizes, batch = NETWORKS["784-2048-2048-10, batch 256"][:2]
    shapes = list(itertools.pairwise(sizes))[::-1]
    a = [np.ones((n, batch // comm.size), np.float32) for n, _ in shapes]
    delta = [np.ones((batch // comm.size, m), np.float32) for _, m in shapes]
    flat = np.zeros(sum(n * m for n, m in shapes), np.float32)
    edges = np.cumsum([0, *(n * m for n, m in shapes)])
    parts = [flat[i:j] for i, j in itertools.pairwise(edges)]

    def backward(after):
        for left, right, part, (n, m) in zip(a, delta, parts, shapes, strict=True):
            np.matmul(left, right, out=part.reshape(n, m))
            after(part)

    def layer_by_layer():
        requests = []
        backward(lambda part: requests.append(comm.Iallreduce(MPI.IN_PLACE, part)))
        MPI.Request.Waitall(requests)

    def at_the_end():
        backward(lambda part: None)
        comm.Allreduce(MPI.IN_PLACE, flat)

    kinds = {"layer by layer": layer_by_layer, "at the end": at_the_end}
    times = {kind: [] for kind in kinds}
    for _ in range(15):
        for kind, act in kinds.items():
            comm.Barrier()
            times[kind].append(comm.allreduce(seconds_of(act, 3), MPI.MAX))
    if comm.rank == 0:
        print({kind: f"{1e3 * min(values):.1f} ms" for kind, values in times.items()})


def allreduce_seconds(nodes, size, latency, bandwidth):
    """Reduce-scatter and allgather by halves: 2 log2 P messages, 2 (P - 1)/P of the vector sent."""
    return 0 if nodes == 1 else 2 * np.log2(nodes) * latency + 2 * (nodes - 1) / nodes * size / bandwidth


def simulate(nodes, compute, spread, reduction, every=1, steps=200, seed=0):
    """Mean seconds a step where nodes that take `compute`, more or less, wait for each other."""
    rng = np.random.default_rng(seed)
    rounds = max(1, steps // every)
    # time lost to noise is never negative: an exponential distribution on top of the best
    noise = rng.exponential(spread, (rounds, every, nodes))
    of_nodes = compute * (1 + noise).sum(axis=1)
    return float(of_nodes.max(axis=1).sum() + rounds * reduction) / (rounds * every)


def model(*paths):
    measured = [json.loads(Path(path).read_text(encoding="utf-8")) for path in paths]
    for name, (sizes, batch, _, _) in NETWORKS.items():
        print(f"\n{name}: µs a step, measured and simulated from its parts")
        for point in measured:
            p = point[name]
            # `share` was measured while all ranks computed at once: it has the sharing of cores in it
            reduction = p["allreduce"] if point["ranks"] > 1 else 0
            simulated = simulate(point["ranks"], p["share"], p["spread"], reduction)
            both = f"measured {1e6 * p['together']:10.1f}   simulated {1e6 * simulated:10.1f}"
            print(f"  {point['ranks']} ranks: {both}")
        one = measured[0][name]
        halves = [m[name] for m in measured if m["ranks"] == 2]
        # seconds = fixed + each · rows, from a whole batch and half of one
        each = (one["share"] - halves[0]["share"]) / (batch / 2)
        fixed = max(0.0, one["share"] - each * batch)
        spread, size = one["spread"], 4 * parameters_of(sizes)
        for kind, network in (("100 Gbit/s, 2 µs", FAST_NETWORK), ("1 Gbit/s, 30 µs", SLOW_NETWORK)):
            print(f"  {kind}: speed against one node")
            print("    nodes  strong  weak  weak, average every 32")
            for nodes in NODES:
                cost = allreduce_seconds(nodes, size, *network)
                states = 2 if nodes > 1 else 0  # weights and velocity
                rows = max(1, batch / nodes)
                strong = one["share"] / simulate(nodes, fixed + each * rows, spread, cost)
                weak = nodes * one["share"] / simulate(nodes, one["share"], spread, cost)
                local = simulate(nodes, one["share"], spread, states * cost, every=32)
                local = nodes * one["share"] / local
                print(f"    {nodes:5} {strong:7.1f} {weak:7.1f} {local:7.1f}")


if __name__ == "__main__":
    {"measure": measure, "overlap": overlap, "model": model}[sys.argv[1]](*sys.argv[2:])
