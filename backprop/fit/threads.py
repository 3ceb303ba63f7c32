"""How many threads a step is worth."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from backprop._validate import whole_number

if TYPE_CHECKING:
    from backprop._base import BaseNetwork

MOST_THREADS_ASKED = 2**20  # the engine starts no more than can have a share

SHORTEST_STEP = 3e6  # operations that a step has at least, for more threads than one
MANY_PARAMETERS = 1e5  # or it has so many: half of them stay in the cache of a core that all would not
LONG_TRAINING = 3e8  # operations that such a training has at least: to find out what pays takes milliseconds
LONG_STEP = 3e7  # operations from which on all threads begin at once, 0.3 to 1 ms on one
SHORTEST_TRAINING = 3e7  # operations that a training has at least for each thread, about 0.3 ms


def threads_asked(threads: int | None) -> int | None:
    """The user's number of threads, checked; None for what suits.

    Raises
    ------
    TypeError, ValueError
        If it is not a whole number of at least 1.
    """
    return None if threads is None else min(whole_number("threads", threads), MOST_THREADS_ASKED)


def operations(parameters: int, samples: int) -> int:
    """Multiplications and additions of a step: forward, for the deltas and for the gradient."""
    return 6 * parameters * samples


def multiplied_weights(network: BaseNetwork, density: float) -> int:
    """How many parameters a sample is multiplied with, where so many of its numbers are not 0."""
    if density == 1:
        return network.parameters.size
    first = network.layers[0]
    return network.parameters.size - round((1 - density) * first.inputs * first.outputs)


def suitable_threads(
    parameters: int, batch: int, count_usable: Callable[[], int], samples: float = math.inf
) -> int:
    """One thread where a step's work, or that of all `samples` of a training, is too little to share.

    Else all that are usable, counted only then: the engine finds out how many of them pay, while it trains.
    """
    work = operations(parameters, 1) * samples
    if operations(parameters, batch) < SHORTEST_STEP and (
        parameters < MANY_PARAMETERS or work < LONG_TRAINING
    ):
        return 1
    usable = count_usable()
    return max(1, min(usable, int(min(work / SHORTEST_TRAINING, usable))))


def usable_threads() -> int:
    """The cores that this process may use: those of its affinity, as far as its cgroup's quota lets it."""
    return min(_affine_cores(), whole_quota())


@cache
def whole_quota() -> int:
    """`cgroup_quota` in whole cores, rounded up, as it was when first asked for: to read it takes 0.1 ms."""
    return max(1, math.ceil(min(cgroup_quota(), MOST_THREADS_ASKED)))


def cgroup_quota(root: Path = Path("/")) -> float:
    """The processor time a second that Linux gives this process' cgroups, in cores; infinite without a limit.

    ``cpu.max`` of the unified hierarchy, in the process' own group and in those around it, or
    ``cpu.cfs_quota_us`` of the older one (Linux, Documentation/admin-guide/cgroup-v2.rst).
    """
    quota = math.inf
    groups = [line.split(":", 2) for line in _read(root / "proc/self/cgroup").splitlines()]
    mount = root / "sys/fs/cgroup"
    for _, controllers, name in (group for group in groups if len(group) == 3):
        if not controllers:
            own = mount / name.lstrip("/")
            for folder in (own, *own.parents):
                if folder.is_relative_to(mount):
                    quota = min(quota, _ratio(_read(folder / "cpu.max").split()))
        elif "cpu" in controllers.split(","):
            for folder in (mount / "cpu" / name.lstrip("/"), mount / "cpu"):
                of_period = (_read(folder / f"cpu.cfs_{word}_us").strip() for word in ("quota", "period"))
                quota = min(quota, _ratio(list(of_period)))
    return quota


def _affine_cores() -> int:
    if hasattr(os, "process_cpu_count"):  # Python 3.13, where -X cpu_count counts too
        cores = os.process_cpu_count()
    elif hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count()
    return cores or 1


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _ratio(words: list[str]) -> float:
    """quota / period; infinite for "max", -1 and what cannot be read."""
    try:
        quota, period = map(float, words)
    except ValueError:
        return math.inf
    return quota / period if quota > 0 and period > 0 else math.inf
