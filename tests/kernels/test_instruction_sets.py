"""The numbers of every instruction set that this processor has; the others' tests take the best one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, run_c

from backprop import _core

HERE = Path(__file__).parent


@pytest.mark.parametrize("isa", [isa for isa in _core.candidates if isa != _core.isa] or [None])
def test_kernels(isa):
    if isa is None:
        pytest.skip("the only one is tested by the others")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, HERE / "test_numbers.py", HERE / "test_kernels.py"],
        env={**os.environ, "BACKPROP_ISA": isa},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"instruction set {isa} of" in done.stdout or " passed" in done.stdout


FLAGS = {
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl"],
    "avx2": ["-mavx2", "-mfma"],
    "neon": [],
    "baseline": ["-DBASELINE"],
}


@pytest.mark.parametrize("isa", _core.candidates)
def test_elementary_functions(isa, tmp_path, capfd):
    """tests/c/test_math.c, which says by how many ulp each may be off, with a part of float32's numbers."""
    flags = ["-O2", "-ffp-contract=off", *FLAGS[isa], f"-I{ROOT / 'csrc'}"]
    failed = run_c([ROOT / "tests/c/test_math.c"], flags, tmp_path, "25013")
    report = capfd.readouterr().out
    assert failed == 0, report
