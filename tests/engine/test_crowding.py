"""Whether a thread has a core of its own, as Linux tells: tests/c/test_crowding.c."""

import sys

import pytest
from conftest import ROOT, run_c


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system does not tell")
def test_three_threads_on_one_core_are_crowded(tmp_path, capfd):
    sources = [ROOT / "tests/c/test_crowding.c", ROOT / "csrc/core/base/crowding.c"]
    failed = run_c(sources, ["-O1", f"-I{ROOT / 'csrc'}", "-pthread"], tmp_path)
    if failed == 77:
        pytest.skip("the system does not tell how long a thread waits for a core")
    assert (failed, capfd.readouterr().out) == (0, "")
