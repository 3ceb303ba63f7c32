"""The choice between a team of threads and one, on machines whose times are numbers: tests/c/test_pace.c."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_faster_of_the_two_is_found(tmp_path):
    sources = [ROOT / "tests/c/test_pace.c", ROOT / "csrc/core/pace.c"]
    program = tmp_path / "test_pace"
    command = ["cc", "-std=c11", "-O1", f"-I{ROOT / 'csrc'}", "-o", program, *sources, "-lm"]
    subprocess.run(command, check=True)
    result = subprocess.run([program], capture_output=True, text=True)
    assert (result.stdout, result.returncode) == ("", 0)
