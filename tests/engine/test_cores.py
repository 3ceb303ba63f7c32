"""On which cores a team's threads run: tests/c/test_cores.c."""

import sys

import pytest
from conftest import ROOT, run_c


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nothing is done")
def test_threads_begin_and_wake_on_cores_of_their_own(tmp_path, capfd):
    sources = [ROOT / "tests/c/test_cores.c"]
    failed = run_c(sources, ["-O1", f"-I{ROOT / 'csrc'}", "-pthread"], tmp_path)
    assert (failed, capfd.readouterr().out) == (0, "")
