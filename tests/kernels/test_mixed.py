"""kernels/mixed.h: every table that this processor has, and AMX's code on emulated tiles."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT, run_c

from backprop import _core

ISA = ("amx", "avx512_bf16", "bf16_emulated")
SOURCES = ["tests/c/test_mixed.c", *(f"csrc/kernels/isa/{name}.c" for name in ISA)]


def test_rounded_factors_and_their_sums(tmp_path, capfd):
    flags = ["-O2", "-ffp-contract=off", f"-I{ROOT / 'csrc'}"]
    failed = run_c([ROOT / source for source in SOURCES], flags, tmp_path, _bfloat16() or "any")
    assert failed == 0, capfd.readouterr().out


def _bfloat16():
    try:
        return _core.products("float32", "bfloat16")
    except ValueError:
        return ""


@pytest.mark.skipif(len(_core.candidates) == 1, reason="there is one instruction set only")
def test_other_instructions_asked_for_have_no_bfloat16():
    done = subprocess.run(
        [sys.executable, "-c", "import backprop._core as c; c.products('float32', 'bfloat16')"],
        env={**os.environ, "BACKPROP_ISA": "baseline"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "BACKPROP_ISA asks for other instructions than the best" in done.stderr
