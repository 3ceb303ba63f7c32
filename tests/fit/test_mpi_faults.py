"""Whatever happens to one MPI rank ends all of them with a clear error, and training can go on after it."""

import os
import random
import signal
import time

import mpi_ranks
import numpy as np
import pytest

import backprop as bp

KILLS = int(os.environ.get("BACKPROP_KILLS", "2"))
SECONDS_TO_END = 10

# Rank 1 gets into trouble; every rank tells what fit raised.
TROUBLE = """
import signal, threading, time
import backprop.fit.loop  # which takes a while, and fit would do
x, y = make_data(make_network((3, 4, 2), "tanh"), 64)
net = make_network((3, 4, 2), "tanh")
before = net.parameters.copy()
settings = {"epochs": 1000, "batch_size": 8, "comm": comm}
data, optimizer = (x, y), bp.Adam()
def source():
    for i in range(8):
        if rank == 1 and i == 5:
            raise OSError("the disk is gone")
        yield x[:8], y[:8]
def break_callback(net, record):
    if rank == 1 and record["epoch"] == 3:
        raise KeyError("a callback failed")
class BreakAtTheEnd:
    def __call__(self, net, record):
        pass
    def finish(self, net):
        if rank == 1:
            raise KeyError("a callback failed")
def interrupt():
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
TROUBLE
try:
    net.fit(*data, optimizer, **settings)
    tell("nothing")
except BaseException as error:
    tell(type(error).__name__, error)
assert same_bits(net) and np.isfinite(net.parameters).all()
assert net.fit(np.ones((9, 3)), y[:9], bp.SGD(0.1), comm=comm).epochs == 1  # they can still speak
"""
TROUBLES = {
    "a callback raises": (
        "settings |= {'callbacks': [break_callback]}",
        "KeyError 'a callback failed'",
        "RuntimeError rank 1 of 3 ended the training: KeyError: 'a callback failed'",
    ),
    "a callback raises at the end": (
        "settings |= {'epochs': 2, 'callbacks': [BreakAtTheEnd()]}",
        "KeyError 'a callback failed'",
        "RuntimeError rank 1 of 3 ended the training: KeyError: 'a callback failed'",
    ),
    "a source raises": (
        "data = (source, None)",
        "OSError the disk is gone",
        "RuntimeError rank 1 of 3 ended the training: OSError: the disk is gone",
    ),
    "a source raises while ranks step alone": (
        "data = (source, None); settings |= {'sync_every': 3}",
        "OSError the disk is gone",
        "RuntimeError rank 1 of 3 ended the training: OSError: the disk is gone",
    ),
    "Ctrl-C": (
        "settings |= {'epochs': 10**9}; interrupt() if rank == 1 else None",
        "KeyboardInterrupt",
        "RuntimeError rank 1 of 3 ended the training: KeyboardInterrupt:",
    ),
    "Ctrl-C before the others have begun": (
        "settings |= {'epochs': 10**9}; interrupt() if rank == 1 else time.sleep(1.5)",
        "KeyboardInterrupt",
        "RuntimeError rank 1 of 3 ended the training: KeyboardInterrupt:",
    ),
    "Ctrl-C while ranks step alone": (
        "settings |= {'epochs': 10**9, 'sync_every': 5}; rank == 1 and interrupt()",
        "KeyboardInterrupt",
        "RuntimeError rank 1 of 3 ended the training: KeyboardInterrupt:",
    ),
    "bad data": (
        "data = (x[:, :2] if rank == 1 else x, y)",
        "ValueError every rank must call fit alike, but the data (a checksum) is",
        "ValueError every rank must call fit alike, but the data (a checksum) is",
    ),
    "an optimizer of another network": (
        "settings['epochs'] = 2; rank == 1 and make_network((2, 2), 'tanh').step([1, 2], [0, 1], optimizer)",
        "nothing",  # rank 0's state is everyone's
        "nothing",
    ),
    "other settings": (
        "settings |= {'batch_size': 8 + rank}",
        "ValueError every rank must call fit alike, but batch_size is 8 on rank 0 and 9",
        "ValueError every rank must call fit alike, but batch_size is 8 on rank 0 and 9",
    ),
    "another momentum": (
        "optimizer = bp.SGD(0.1, momentum=0.5 + 0.25 * (rank == 1))",
        "ValueError every rank must call fit alike, but momentum is 0.5 on rank 0 and 0.75",
        "ValueError every rank must call fit alike, but momentum is 0.5 on rank 0 and 0.75",
    ),
    "another clipping": (
        "optimizer = bp.SGD(0.1, clip_norm=1.0 if rank == 1 else None)",
        "ValueError every rank must call fit alike, but clip_norm is None on rank 0 and 1.0",
        "ValueError every rank must call fit alike, but clip_norm is None on rank 0 and 1.0",
    ),
    "another schedule": (
        "optimizer = bp.SGD(lambda step: 0.1 * (1 + rank % 2))",
        "ValueError every rank must call fit alike, but the schedule's first rates is [0.1, 0.1",
        "ValueError every rank must call fit alike, but the schedule's first rates is [0.1, 0.1",
    ),
    "a shard that diverges": (
        "settings |= {'sharded': True}; data = (x, y * 1e200 if rank == 1 else y)",
        "DivergenceError training diverged in epoch 1: layer 3, net.layers[1]",
        "DivergenceError training diverged in epoch 1: layer 3, net.layers[1]",
    ),
    "a shard that diverges alone": (
        "settings |= {'sharded': True, 'sync_every': 2}; data = (x, y * 1e200 if rank == 1 else y)",
        "DivergenceError training diverged in epoch 1: layer 3, net.layers[1]",
        "DivergenceError training diverged in epoch 1: layer 3, net.layers[1]",
    ),
}


IN_SHARED_MEMORY = "a source raises", "Ctrl-C", "a shard that diverges"


@pytest.mark.parametrize(
    ("name", "sharing", "width"),
    [(name, "", 4) for name in TROUBLES]
    + [(name, mpi_ranks.SHARING, 4) for name in IN_SHARED_MEMORY]
    + [(name, mpi_ranks.SHARING, 200) for name in IN_SHARED_MEMORY],
    ids=[
        *TROUBLES,
        *(f"{name}, {what} in common" for what in ("gradients", "rows") for name in IN_SHARED_MEMORY),
    ],
)
def test_trouble_on_one_rank(name, sharing, width):
    trouble, own, others = TROUBLES[name]
    script = TROUBLE.replace("\nTROUBLE\n", f"\n{trouble}\n").replace("(3, 4,", f"(3, {width},")
    lines = mpi_ranks.succeed(3, sharing + script)
    assert len(lines) == 3
    for rank, line in enumerate(lines):
        assert line.startswith(f"rank {rank} {own if rank == 1 else others}"), line


# Trains to the end, from the checkpoint if there is one; writes its process id and then its weights.
RESUMES = """
folder, epochs = sys.argv[1], 60
path = folder + "/net.safetensors"
x, y, _, _ = bp.datasets.load_digits()
x, y = x[:400], y[:400]
if os.path.exists(path):
    net, optimizer = bp.load(path, optimizer=True)
else:
    net, optimizer = bp.Network.dense(64, 20, 10, dtype="float64", seed=0), bp.Adam(0.01)
done = optimizer.steps // 10
with open(f"{folder}/pid{rank}", "w") as file:
    file.write(str(os.getpid()))
checkpoint = bp.Checkpoint(path, optimizer=optimizer)
if done < epochs:
    net.fit(x, y, optimizer, epochs=epochs - done, batch_size=40, comm=comm, callbacks=[checkpoint])
assert same_bits(net) and optimizer.steps == 10 * epochs
if rank == 0:
    np.save(folder + "/weights.npy", net.parameters)
tell("from", done)
"""


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks at processes in /proc")
@pytest.mark.parametrize("seed", range(KILLS))
def test_a_killed_rank_ends_all_and_training_goes_on(tmp_path, seed):
    chance = random.Random(seed)
    ranks, again = chance.choice([2, 3]), chance.choice([1, 2, 4])
    victim = chance.randrange(ranks)
    script = mpi_ranks.SHARING + RESUMES if seed % 2 == 0 else RESUMES
    process = mpi_ranks.start(ranks, script, tmp_path)
    checkpoint = tmp_path / "net.safetensors"
    begun = time.monotonic()
    while not checkpoint.exists():
        assert process.poll() is None
        assert time.monotonic() - begun < mpi_ranks.PATIENCE
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.05))
    pids = [int((tmp_path / f"pid{rank}").read_text()) for rank in range(ranks)]
    os.kill(pids[victim], signal.SIGKILL)
    killed = time.monotonic()
    process.communicate(timeout=mpi_ranks.PATIENCE)
    assert process.returncode != 0 or (tmp_path / "weights.npy").exists()  # it had ended just before
    while any(map(is_alive, pids)):
        assert time.monotonic() - killed < SECONDS_TO_END
        time.sleep(0.01)
    assert time.monotonic() - killed < SECONDS_TO_END
    lines = mpi_ranks.succeed(again, script, tmp_path)
    assert len(lines) == again
    assert int(lines[0].split()[-1]) >= 1  # the checkpoint's epochs were not done again

    x, y, _, _ = bp.datasets.load_digits()
    unbroken = bp.Network.dense(64, 20, 10, dtype="float64", seed=0)
    unbroken.fit(x[:400], y[:400], bp.Adam(0.01), epochs=60, batch_size=40)
    assert np.abs(np.load(tmp_path / "weights.npy") - unbroken.parameters).max() < 1e-9
