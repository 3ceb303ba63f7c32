"""How many threads a step is worth."""

from __future__ import annotations

import os

from backprop._validate import whole_number

MOST_THREADS = 16  # by default
MOST_THREADS_ASKED = 2**20  # the engine starts no more than can have a share


def threads_asked(threads: int | None) -> int | None:
    """The user's number of threads, checked; None for what suits.

    Raises
    ------
    TypeError, ValueError
        If it is not a whole number of at least 1.
    """
    return None if threads is None else min(whole_number("threads", threads), MOST_THREADS_ASKED)


def suitable_threads(parameters: int, batch: int, usable: int) -> int:
    """One thread where a step's work is below about 100 µs at 30 GFLOP/s, else all that are usable.

    A step multiplies and adds every parameter with every sample three times: forward, for the deltas
    and for the gradient.
    """
    if 6 * parameters * batch < 100e-6 * 30e9:
        return 1
    return usable


def usable_threads() -> int:
    """The cores that this process may use, 16 at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_THREADS)
