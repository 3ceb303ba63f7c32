"""The bits of what is trained and computed, as a hash for each combination: for comparing two versions.

    python tests/long/bits.py [--only WORD] >bits
    python tests/long/bits.py --compare bits

A line is an instruction set, a dtype, a number of threads, a case and a hash: of the parameters after two
calls of fit with one optimizer, and of the histories' losses and norms. Public names only, so that an older
version can run it: PYTHONPATH names the one to run. Every instruction set of the processor has a process of
its own, and so have the ranks, which need mpi4py and mpiexec. With --compare the exit status is 1 where a
hash differs or a combination of the file is no more; new ones do not count.
"""

import argparse
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

import backprop as bp
from backprop import _core

THREADS = (1, 2, 7)
RANKS = (2, 4)
DTYPES = ("float32", "float64")
SAMPLES, FEATURES, CLASSES = 75, 13, 10

OPTIMIZERS = {
    "sgd": lambda: bp.SGD(0.1),
    "momentum": lambda: bp.SGD(0.1, 0.9),
    "nesterov": lambda: bp.SGD(0.1, 0.9, nesterov=True, weight_decay=1e-3),
    "decay": lambda: bp.SGD(0.1, weight_decay=1e-2),
    "adam": lambda: bp.Adam(1e-2, weight_decay=1e-3),
    "adamw": lambda: bp.AdamW(1e-2),
    "rmsprop": lambda: bp.RMSprop(1e-3),
    "rmsprop-momentum": lambda: bp.RMSprop(1e-3, momentum=0.5, weight_decay=1e-3),
    "clip-norm": lambda: bp.SGD(0.1, 0.5, clip_norm=0.05),
    "clip-value": lambda: bp.Adam(1e-2, clip_value=1e-3),
    "cosine": lambda: bp.SGD(bp.schedules.Cosine(0.1, 40)),
}
# What takes its time; and which of the two a history has depends on the version.
LEFT_OUT = ("seconds", "accuracy", "r2")
POSITIVE = {"cross_entropy": ("softmax", "sigmoid"), "binary_cross_entropy": ("sigmoid", "softmax")}


def network(dtype, *sizes, hidden="tanh", output="softmax", loss="cross_entropy", dropout=0.0, **layer):
    layers = [bp.Layer(k, j, hidden, dropout=dropout, **layer) for k, j in itertools.pairwise(sizes[:-1])]
    layers.append(bp.Layer(sizes[-2], sizes[-1], output, **layer))
    return bp.Network(*layers, loss=loss, dtype=dtype, seed=0)


def made_of(*sizes, **settings):
    """A function of a dtype."""
    return partial(network_of, sizes, settings)


def network_of(sizes, settings, dtype):
    return network(dtype, FEATURES, *sizes, **settings)


def data(dtype):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(SAMPLES, FEATURES)).astype(dtype)
    return x, rng.integers(CLASSES, size=SAMPLES)


usual = made_of(50, 33, CLASSES)


def hashed(*things):
    text = hashlib.sha256()
    for thing in things:
        text.update(np.ascontiguousarray(thing).tobytes())
    return text.hexdigest()[:16]


def trained(net, optimizer, threads, x, y, **settings):
    """The hash of two calls of fit, and of the figures they leave."""
    settings = {"epochs": 2, "batch_size": 10, "threads": threads, "rng": 3, "progress": False} | settings
    figures = []
    for _ in range(2):
        history = net.fit(x, y, optimizer, **settings)
        figures += [column for key, column in history.items() if not key.endswith(LEFT_OUT)]
    figures = [np.array(column, dtype=np.float64) for column in figures]
    return hashed(net.parameters, *figures)


def case(make=usual, optimizer=OPTIMIZERS["momentum"], of=data, **settings):
    """The hash of a dtype and a number of threads."""
    return lambda dtype, threads: trained(make(dtype), optimizer(), threads, *of(dtype), **settings)


PLAIN = OPTIMIZERS["sgd"]
WEIGHTS = np.random.default_rng(2).uniform(0, 2, SAMPLES)
MASK = np.random.default_rng(3).random((SAMPLES, CLASSES)) < 0.7


def soft(dtype):
    return data(dtype)[0], np.random.default_rng(4).uniform(0.05, 0.95, (SAMPLES, CLASSES)).astype(dtype)


def of_one_output(dtype):
    return data(dtype)[0], (data(dtype)[1] % 2).astype(dtype)


def methods():
    """One sample at a time, in registers where the network is small (a chain), else online; batches."""
    for name, make in OPTIMIZERS.items():
        yield f"batches {name}", case(optimizer=make)
        yield f"one at a time {name}", case(made_of(8, CLASSES), make, batch_size=1)
    for hidden in ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "identity"):
        yield f"chain {hidden}", case(made_of(12, CLASSES, hidden=hidden), PLAIN, batch_size=1)
    squared = made_of(7, 1, output="sigmoid", loss="squared_error")
    yield "chain squared error", case(squared, PLAIN, of_one_output, batch_size=1)
    yield "chain weights", case(squared, PLAIN, of_one_output, batch_size=1, sample_weight=WEIGHTS)
    for sizes in ((100, CLASSES), (40, 30, 20, CLASSES), (300, 200, CLASSES)):
        yield f"online {sizes}", case(made_of(*sizes), PLAIN, batch_size=1)
        no_bias = made_of(*sizes, bias=False)
        yield f"online no bias {sizes}", case(no_bias, PLAIN, batch_size=1, shuffle=False)
        yield f"batches {sizes}", case(made_of(*sizes), PLAIN, batch_size=32)
    for batch in (1, 2, 7, 64, 100):
        yield f"batch {batch}", case(batch_size=batch)


def functions():
    for hidden in _core.activations:
        yield f"hidden {hidden}", case(made_of(20, 20, CLASSES, hidden=hidden))
    for loss in _core.losses:
        for output in POSITIVE.get(loss, _core.activations):
            make = made_of(20, CLASSES, output=output, loss=loss)
            yield f"{output} {loss}", case(make, lambda: bp.SGD(1e-2), soft)
            yield f"{output} {loss} one at a time", case(make, lambda: bp.SGD(1e-3), soft, batch_size=1)
    yield "numbers", numbers


def options():
    """Of fit and of layers."""
    yield "in order", case(shuffle=False)
    yield "weights", case(sample_weight=WEIGHTS)
    yield "class weights", case(class_weight={0: 2.0, 3: 0.5})
    yield "balanced", case(class_weight="balanced", sample_weight=WEIGHTS)
    yield "mask", case(of=soft, target_mask=MASK)
    binary = made_of(20, CLASSES, output="sigmoid", loss="binary_cross_entropy")
    yield "mask of binary", case(binary, of=soft, target_mask=MASK, sample_weight=WEIGHTS)
    yield "validation", case(validation=0.2)
    yield "norms", case(norms=True)
    yield "norms of adam", case(optimizer=OPTIMIZERS["adam"], norms=True, validation=0.2)
    dropping = made_of(40, 20, CLASSES, output="sigmoid", dropout=0.3, loss="squared_error")
    yield "dropout", case(dropping)
    yield "dropout one at a time", case(dropping, PLAIN, batch_size=1)
    yield "penalties", case(made_of(40, CLASSES, l1=1e-3, l2=1e-2))
    both = made_of(40, CLASSES, l1=1e-3, l2=1e-2, dropout=0.5)
    yield "penalties and dropout", case(both, OPTIMIZERS["adamw"])
    yield "no bias", case(made_of(40, CLASSES, bias=False), OPTIMIZERS["adam"])
    for init in ("he", "glorot_uniform", "lecun", "zeros"):
        yield f"init {init}", case(made_of(40, CLASSES, init=init))
    yield "strided", case(of=lambda d: (np.asfortranarray(data("float64")[0]), data(d)[1]))
    yield "other dtypes", case(of=lambda d: (data(d)[0].astype(np.float16), data(d)[1].astype(np.int8)))
    s = bp.schedules
    for rate in (s.Exponential(0.1, 0.9), s.Step(0.1, 10, 0.5), s.OneCycle(0.2, 32)):
        yield f"rates {type(rate).__name__}", case(optimizer=partial(bp.SGD, rate))


def streams(folder):
    def batches(dtype):
        x, y = data(dtype)
        return [(x[i : i + 10], y[i : i + 10], WEIGHTS[i : i + 10]) for i in range(0, SAMPLES, 10)]

    def mapped(dtype, classes=CLASSES):
        path = Path(folder) / f"{dtype}.npy"
        np.save(path, np.random.default_rng(5).normal(size=(3000, FEATURES)).astype(dtype))
        return np.load(path, mmap_mode="r"), np.arange(3000) % classes

    yield "iterable", case(of=lambda d: (batches(d), None), epochs=1)
    yield "function", case(of=lambda d: (lambda: batches(d), None))
    yield "iterable norms", case(of=lambda d: (batches(d), None), epochs=1, norms=True)
    for shuffle in (True, False, "blocks"):
        yield f"mapped {shuffle}", case(of=mapped, shuffle=shuffle, batch_size=100)
    small = made_of(7, 3)
    yield "mapped chain", case(small, PLAIN, partial(mapped, classes=3), shuffle="blocks", batch_size=1)


def numbers(dtype, threads):
    """What a pass computes: the threads are its own choice."""
    del threads
    found = []
    x, y = data(dtype)
    for hidden in _core.activations:
        net = network(dtype, FEATURES, 30, 17, CLASSES, hidden=hidden)
        gradient, each = net.gradient(x, y), net.gradient(x, y, per_sample=True)
        trace = net.trace(x, y)
        for layer in (*gradient.layers, *each.layers, *trace.layers):
            found += [value for value in layer if value is not None]
        v = np.random.default_rng(6).normal(size=net.parameters.size).astype(dtype)
        found += [net(x), net.losses(x, y), net.classify(x), net.jacobian(x[:5]), net.hessian_vector(x, y, v)]
        net.step(x, y, bp.Adam())
        found.append(net.parameters)
    return hashed(*found)


RANK_CASES = {
    "momentum": (OPTIMIZERS["momentum"], {}),
    "adam": (OPTIMIZERS["adam"], {}),
    "clip-norm": (OPTIMIZERS["clip-norm"], {}),
    "one at a time": (OPTIMIZERS["sgd"], {"batch_size": 1}),
    "norms": (OPTIMIZERS["sgd"], {"norms": True, "validation": 0.2}),
    "sharded": (OPTIMIZERS["momentum"], {"sharded": True}),
    "averaging": (OPTIMIZERS["momentum"], {"sync_every": 3}),
}


def print_ranks():
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    for dtype in DTYPES:
        for size in (50, 700):  # the second lies in memory of all ranks
            for name, (make, settings) in RANK_CASES.items():
                net = network(dtype, FEATURES, size, size, CLASSES)
                found = trained(net, make(), 1, *data(dtype), comm=comm, **settings)
                same = set(comm.allgather(found))
                if comm.Get_rank() == 0:
                    what = f"ranks {_core.isa} {dtype} {comm.Get_size()} {size} {name}"
                    print(f"{what}: {'-'.join(sorted(same))}", flush=True)


def print_hashes(only):
    with tempfile.TemporaryDirectory() as folder:
        for name, of in itertools.chain(methods(), functions(), options(), streams(folder)):
            if only not in name:
                continue
            for dtype in DTYPES:
                for threads in THREADS if name != "numbers" else (1,):
                    print(f"{_core.isa} {dtype} {threads} {name}: {of(dtype, threads)}", flush=True)


def run(only, with_ranks):
    """The lines of every instruction set, and of ranks."""
    lines = []
    mine = [sys.executable, __file__, "--only", only]
    commands = [(isa, [*mine, "--here"]) for isa in _core.candidates]
    mpiexec = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
    if with_ranks and mpiexec:
        of_ranks = [sys.executable, "-m", "mpi4py", __file__, "--ranks"]
        commands += [(_core.isa, [mpiexec, "-n", str(ranks), *of_ranks]) for ranks in RANKS]
    for isa, command in commands:
        environment = os.environ | {"BACKPROP_ISA": isa, "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(f"{command}: exit status {done.returncode}")
        lines += done.stdout.splitlines()
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="cases whose name has this in it; no ranks")
    parser.add_argument("--compare", type=Path, help="a file that an earlier run has printed")
    parser.add_argument("--here", action="store_true", help="in this process and its instruction set")
    parser.add_argument("--ranks", action="store_true", help="as one of several ranks")
    arguments = parser.parse_args()
    if arguments.ranks:
        print_ranks()
        return
    if arguments.here:
        print_hashes(arguments.only)
        return
    lines = run(arguments.only, not arguments.only)
    if not arguments.compare:
        print(*lines, sep="\n")
        return
    new = dict(line.rsplit(": ", 1) for line in lines)
    text = arguments.compare.read_text(encoding="utf-8")
    old = dict(line.rsplit(": ", 1) for line in text.splitlines() if arguments.only in line)
    gone = [name for name in old if name not in new]
    other = [name for name in old if name in new and new[name] != old[name]]
    print(*(f"gone: {name}" for name in gone), *(f"other bits: {name}" for name in other), sep="\n")
    same = len(old) - len(gone) - len(other)
    print(f"{same} of {len(old)} combinations have the same bits; {len(new)} were run")
    sys.exit(bool(gone or other))


if __name__ == "__main__":
    main()
