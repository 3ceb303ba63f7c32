"""The numbers of every instruction set that this processor has; the others' tests take the best one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"instruction set {isa} of" in done.stdout or " passed" in done.stdout
