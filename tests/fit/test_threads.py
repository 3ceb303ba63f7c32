"""How many threads fit begins with, and what the system lets it have."""

import math
import os

import numpy as np
import pytest

import backprop as bp
from backprop.fit import threads


@pytest.mark.parametrize(
    ("parameters", "batch", "usable", "samples", "count"),
    [
        (9, 1, 16, math.inf, 1),  # a step of nanoseconds
        (238_510, 32, 16, math.inf, 16),
        (238_510, 32, 16, 32, 1),  # one step
        (238_510, 32, 16, 100, 4),
        (238_510, 32, 1, math.inf, 1),
        (238_510, 1, 16, 1000, 16),
        (238_510, 1, 16, 100, 1),  # over before it is known what pays
        (23_860, 10, 16, math.inf, 1),  # as many operations a step, but all of W stays in the nearest caches
    ],
)
def test_a_short_training_and_a_short_step_take_one_thread(parameters, batch, usable, samples, count):
    assert threads.suitable_threads(parameters, batch, lambda: usable, samples) == count


@pytest.mark.parametrize("name", ["process_cpu_count", "sched_getaffinity", "cpu_count"])
def test_usable_threads_are_those_of_this_process(monkeypatch, name):
    counts = {
        "process_cpu_count": lambda: 40,
        "sched_getaffinity": lambda _: set(range(40)),
        "cpu_count": lambda: 40,
    }
    for other, function in counts.items():
        monkeypatch.delattr(os, other, raising=False)
        if other == name:
            monkeypatch.setattr(os, other, function, raising=False)
    for quota, usable in ((math.inf, 40), (2.5, 3), (0.2, 1)):
        monkeypatch.setattr(threads, "cgroup_quota", lambda quota=quota: quota)
        threads.whole_quota.cache_clear()
        assert threads.usable_threads() == usable
    monkeypatch.undo()
    threads.whole_quota.cache_clear()


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, math.inf),
        ({"proc/self/cgroup": "0::/a/b\n"}, math.inf),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, math.inf),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "50000 100000\n"}, 0.5),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/x\n0::/\n",
                "sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us": "100000\n",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            math.inf,
        ),
        ({"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "nonsense\n"}, math.inf),
    ],
)
def test_a_quota_of_the_cgroups_is_heeded(tmp_path, files, quota):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert threads.cgroup_quota(tmp_path) == quota


def test_same_bits_whether_threads_are_there_at_once_or_join():
    """The second fit begins with what paid in the first."""
    rng = np.random.default_rng(0)
    x, y = rng.random((4096, 64), np.float32), rng.random((4096, 3), np.float32)
    nets = []
    for settings in ({"threads": 1}, {"threads": 3}, {"threads": None}, {"threads": None}):
        net = bp.Network.dense(64, 128, 64, 3, seed=1)
        for _ in range(2):
            net.fit(x, y, bp.Adam(), epochs=2, batch_size=128, progress=False, rng=5, **settings)
        nets.append(net.parameters.tobytes())
    assert len(set(nets)) == 1
