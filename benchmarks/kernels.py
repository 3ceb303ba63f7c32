"""Single kernels, one thread: the three products against numpy.matmul, and the elementwise functions.

    python benchmarks/kernels.py build/bench_kernels.so [--dtype float64] [--isa avx2]

`make bench-kernels` builds that library from kernels.c and csrc, and runs this. GFLOP/s are medians of
rounds in which both take turns; the matrices of ours lie in panels, as while training, and NumPy's plain,
with a place for the result given. Our weight gradient is added to what is there, NumPy's is not.
"""

import argparse
import ctypes
import functools
import os
import statistics
import sys
import time

from compare import ENVIRONMENT, confine

os.environ.update(dict.fromkeys(ENVIRONMENT, "1"))  # NumPy's BLAS reads them when it is loaded

import numpy as np

SHAPES = (  # batch, inputs, outputs
    (10, 784, 30),
    (10, 30, 10),
    (32, 64, 64),
    (32, 64, 1),
    (100, 2500, 2000),
    (128, 784, 800),
    (128, 800, 10),
    (256, 2048, 2048),
)
PRODUCTS = ("forward", "deltas", "weight gradient")
ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus")
COUNT = 2048  # numbers for the elementwise functions: they stay in the nearest cache
BY_HAND = {
    "identity": lambda z, out: np.copyto(out, z),
    "sigmoid": lambda z, out: np.reciprocal(np.exp(-z, out=out) + 1, out=out),
    "tanh": lambda z, out: np.tanh(z, out=out),
    "relu": lambda z, out: np.maximum(z, 0, out=out),
    "softplus": lambda z, out: np.logaddexp(z, 0, out=out),
}


def load(path):
    library = ctypes.CDLL(path)
    size, real, whole = ctypes.c_size_t, ctypes.c_double, ctypes.c_int
    library.find_kernels.restype = ctypes.c_void_p
    library.find_kernels.argtypes = [whole, ctypes.c_char_p]
    library.time_peak.restype = library.time_product.restype = library.time_activation.restype = real
    library.time_peak.argtypes = [ctypes.c_void_p, real]
    library.time_product.argtypes = [ctypes.c_void_p, whole, size, size, size, real]
    library.time_activation.argtypes = [ctypes.c_void_p, whole, ctypes.c_bool, size, real]
    return library


def numpy_product(which, batch, inputs, outputs, dtype):
    """A call of numpy.matmul that computes the same product."""
    rng = np.random.default_rng(0)

    def random(*shape):
        return rng.random(shape).astype(dtype)

    w, a, delta = random(inputs, outputs), random(batch, inputs), random(batch, outputs)
    left, right = ((a, w), (delta, w.T), (a.T, delta))[which]
    out = np.empty((len(left), right.shape[1]), dtype)
    return lambda: np.matmul(left, right, out=out)


def time_calls(function, seconds):
    """Seconds a call of the processor's time for this thread, as kernels.c has it."""
    function()
    calls, took = 1, 0.0
    while took < seconds:
        begin = time.thread_time()
        for _ in range(calls):
            function()
        took = time.thread_time() - begin
        mean, calls = took / calls, 2 * calls
    return mean


def medians(ours, theirs, rounds):
    times = [(ours(), theirs()) for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--isa", help="instruction set (default: the best)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.01, help="of one round, at least")
    options = parser.parse_args()
    confine(1)
    library = load(os.path.abspath(options.library))
    isa = options.isa.encode() if options.isa else None
    kernels = library.find_kernels(options.dtype == "float64", isa)
    if not kernels:
        sys.exit(f"this processor has no instruction set {options.isa}")
    peak = library.time_peak(kernels, 0.2)
    print(f"{options.dtype}, one thread; peak {peak / 1e9:.1f} GFLOP/s\n")
    head = f"{'product':<17}{'batch':>6}{'inputs':>8}{'outputs':>8}"
    print(head + f"{'GFLOP/s':>9}{'of peak':>9}{'NumPy':>8}{'ratio':>7}")
    for which, name in enumerate(PRODUCTS):
        for shape in SHAPES:
            product = numpy_product(which, *shape, options.dtype)
            ours, theirs = medians(
                functools.partial(library.time_product, kernels, which, *shape, options.seconds),
                functools.partial(time_calls, product, options.seconds),
                options.rounds,
            )
            batch, inputs, outputs = shape
            rate = 2 * batch * inputs * outputs / ours
            line = f"{name:<17}{batch:>6}{inputs:>8}{outputs:>8}{rate / 1e9:>9.1f}{rate / peak:>9.0%}"
            print(line + f"{rate * ours / theirs / 1e9:>8.1f}{theirs / ours:>7.2f}")
    print(f"\n{'ns a number':<17}{'g(z)':>8}{'factor g':>10}{'NumPy g':>10}")
    z = np.random.default_rng(0).uniform(-4, 4, COUNT).astype(options.dtype)
    out = np.empty_like(z)
    for number, name in enumerate(ACTIVATIONS):
        value, derivative = (
            statistics.median(
                library.time_activation(kernels, number, which, COUNT, options.seconds)
                for _ in range(options.rounds)
            )
            for which in (False, True)
        )
        line = f"{name:<17}{1e9 * value:>8.3f}{1e9 * derivative:>10.3f}"
        if name in BY_HAND:
            seconds = time_calls(lambda g=BY_HAND[name]: g(z, out), options.seconds)
            line += f"{1e9 * seconds / COUNT:>10.3f}"
        print(line)


if __name__ == "__main__":
    main()
