"""Runs scripts on several MPI ranks: for the tests of training on many processes."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PATIENCE = 60  # seconds for a whole script, on a busy machine

# What every script begins with. `tell` prints a line of its own for each rank.
HEAD = """
import os, sys
import numpy as np
from mpi4py import MPI
import backprop as bp
from conftest import make_data, make_network

comm = MPI.COMM_WORLD
rank, size = comm.Get_rank(), comm.Get_size()

def tell(*what):
    sys.stdout.write(" ".join(map(str, ("rank", rank, *what))) + "\\n")
    sys.stdout.flush()

def same_bits(net):
    return len(set(comm.allgather(net.parameters.tobytes()))) == 1
"""

# What a script begins with besides, so that small networks lie in memory of all ranks as large ones do;
# `shared` notes for each fit whether they did. MPI promises nothing about what that memory holds: here NaN.
SHARING = """
from backprop.fit import ranks
ranks.LEAST_TO_SHARE, shared = 0, []
def note(self, *arguments, share=ranks.Ranks.share_memory):
    share(self, *arguments)
    shared.append(self.common_memory is not None)
    if rank == 0 and self.common_memory is not None:
        self.common_memory["memory"][:] = 255
    comm.Barrier()
ranks.Ranks.share_memory = note
"""


# After SHARING: the network is so wide that ranks have x, a and delta in common, and no gradients.
ROWS = """
def note_rows(self, network, optimizer, rows, share=ranks.Ranks.share_memory):
    room = [network._room_to_share(optimizer, ranks=size, rows=n) for n in (max(comm.allgather(rows)), 0)]
    assert room[0] < room[1] or room == [0, 0] or rows == 0
    share(self, network, optimizer, rows)
ranks.Ranks.share_memory = note_rows
"""


def mpiexec():
    """The path of mpiexec; without it or mpi4py the test is skipped, or fails if they were promised.

    Set BACKPROP_REQUIRE_MPI=1 where they are expected to be installed.
    """
    beside = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("mpiexec")
    if os.environ.get("BACKPROP_REQUIRE_MPI") == "1":
        import mpi4py  # noqa: F401

        assert found, "there is no mpiexec"
    else:
        pytest.importorskip("mpi4py")
        if not found:
            pytest.skip("there is no mpiexec")
    return found


def start(ranks, script, *arguments, path=None):
    """Starts a script, text after HEAD or a file, on so many ranks."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), environment.get("PYTHONPATH")]))
    # Open MPI otherwise refuses root, and more ranks than cores
    environment |= {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }
    program = [str(path)] if path else ["-c", HEAD + textwrap.dedent(script)]
    # -m mpi4py: an assertion that fails on one rank ends all
    command = [mpiexec(), "-n", str(ranks), sys.executable, "-m", "mpi4py", *program, *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(ranks, script, *arguments, path=None, patience=PATIENCE):
    """Runs it to its end: (exit status, lines of stdout, stderr)."""
    process = start(ranks, script, *arguments, path=path)
    try:
        out, err = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it hangs; so far: {out}\n{err}") from None
    return process.returncode, sorted(out.splitlines()), err


def succeed(ranks, script, *arguments, path=None):
    """Runs it; the lines of stdout, sorted."""
    status, lines, err = run(ranks, script, *arguments, path=path)
    assert status == 0, err
    return lines
