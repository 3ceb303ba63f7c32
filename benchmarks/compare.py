"""Trains every case with every library in turn, in this process, and prints the times as JSON.

    python benchmarks/compare.py --threads 1

`bench.py` runs it once for each number of threads, with the environment that the libraries read theirs
from; here the process confines itself to as many cores, which all of them obey.
"""

import argparse
import concurrent.futures
import json
import os
import statistics
import sys
import time

PAUSE = 0.25  # seconds: OpenBLAS's threads look for work for half of it after a product, on all cores
ENVIRONMENT = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def environment(threads):
    """The environment in which every library has that many threads."""
    variables = dict.fromkeys(ENVIRONMENT, str(threads))
    if threads == 1:
        variables["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return os.environ | variables | {"JAX_PLATFORMS": "cpu"}


def confine(threads):
    """Keeps this process on the last of its cores, as many as it has threads."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < threads:
        sys.exit(f"{threads} threads need as many cores, and this process has {len(cores)}")
    os.sched_setaffinity(0, cores[-threads:])


class Peak:
    """The processor's multiply-adds a second, taking its turn with the libraries."""

    name = "peak"
    piece = 1

    def __init__(self, threads):
        self._threads = threads
        self.rates = []

    def train(self, pieces):
        from backprop import _core

        with concurrent.futures.ThreadPoolExecutor(self._threads) as pool:
            rates = pool.map(lambda _: _core.fma_peak("float32", 0.02), range(self._threads))
            self.rates.append(sum(rates))


def compare(case, threads, repetitions, seconds, clock):
    """The result of one case: seconds a step for each library, in lists, and the peak."""
    import peers

    from backprop.cli.bench import Backprop, first_parameters, make_data, take_turns

    shares = peers.check_same(case)
    parameters, data = first_parameters(case), make_data(case, case.samples)
    rivals = [Backprop(case, parameters, *data)]
    if threads > 1:
        single = Backprop(case, parameters, *data, threads=1)
        single.name = "backprop, 1 thread"
        rivals.append(single)
    rivals += [peer(case, parameters, *data) for peer in peers.PEERS]
    peak = Peak(threads)
    times = take_turns([*rivals, peak], repetitions, seconds, clock, PAUSE if threads > 1 else 0)
    return {
        "seconds": {rival.name: row for rival, row in zip(rivals, times, strict=False)},
        "peak": statistics.median(peak.rates),
        "tolerance_used": shares,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.15, help="of one repetition, at least")
    parser.add_argument("--cases", type=int, nargs="*", help="which of them, from 0 (default: all)")
    parser.add_argument("--cpu-time", action="store_true", help="the processor's time, not the clock's")
    options = parser.parse_args()
    clock = time.process_time if options.cpu_time else time.perf_counter
    confine(options.threads)
    import torch

    from backprop.cli.bench import CASES

    torch.set_num_threads(options.threads)
    results = {}
    for i in range(len(CASES)) if options.cases is None else options.cases:
        case = CASES[i]
        print(f"{options.threads} threads: {case.name}", file=sys.stderr, flush=True)
        results[case.name] = compare(case, options.threads, options.repetitions, options.seconds, clock)
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
