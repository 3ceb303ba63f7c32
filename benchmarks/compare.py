"""One library at work on one network, in a process of its own: a turn for each line that comes in.

    python benchmarks/compare.py --threads 2 --case 4 "PyTorch compiled"

First it prints what `peers.check_same` says, or why it does not take part, as JSON. Then, for each line
with a number of seconds, it trains for about as long, and prints the seconds of a step. `bench.py` gives the
turns, and the environment that the libraries read their numbers of threads from; here the process confines
itself to as many cores, which all of them obey.
"""

import argparse
import json
import os
import sys
import time

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


def say(what):
    print(json.dumps(what), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", help="one of peers.LIBRARIES")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--case", type=int, default=0, help="which network, from 0")
    parser.add_argument("--cpu-time", action="store_true", help="the processor's time, not the clock's")
    options = parser.parse_args()
    clock = time.process_time if options.cpu_time else time.perf_counter
    confine(options.threads)
    import peers

    from backprop.cli.bench import CASES, first_parameters, make_data, take_turns

    case = CASES[options.case]
    try:
        made, share = peers.make(options.library, case, options.threads)
        peer = made(case, first_parameters(case), *make_data(case, case.samples))
        peer.train(1)  # compiles, where the library does
    except (ImportError, RuntimeError, ValueError) as error:
        say({"skipped": f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"})
        return
    say({"share": share})
    for line in sys.stdin:
        say(take_turns([peer], 1, float(line), clock)[0][0])


if __name__ == "__main__":
    main()
