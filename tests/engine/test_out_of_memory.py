"""Memory running out at every request: out_of_memory.py, which a crash would end, as a process."""

import gc
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import assert_same_bits, make_data, make_network

import backprop as bp
from backprop import _core

SCRIPT = Path(__file__).with_name("out_of_memory.py")


@pytest.mark.parametrize("mode", ["core", "numpy", "python", "python-for-ever"])
def test_every_failed_call_raises_changes_nothing_and_keeps_nothing(mode):
    if mode.startswith("python"):
        pytest.importorskip("_testcapi", reason="this Python comes without its own tests' module")
    done = subprocess.run(
        [sys.executable, SCRIPT, mode], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr}"
    failures = [int(count) for count in re.findall(r"(\d+) failures", done.stdout)]
    assert len(failures) > 30
    assert sum(failures) > 100, "nothing has failed, so nothing was tested"


def test_a_thread_that_is_refused_is_said(dtype):
    """fit starts all its threads or none; what it names is what can be done about it."""
    net = make_network((4, 40, 40, 3), "tanh", dtype=dtype)
    x, y = make_data(net, 20)
    before, optimizer, seen = net.parameters.copy(), bp.SGD(0.1), set()
    for n in range(1, 100):
        _core._refuse_request(n)
        try:
            net.fit(x, y, optimizer, batch_size=10, threads=3)
        except (MemoryError, RuntimeError) as error:
            seen.add(str(error))
            assert_same_bits(net.parameters, before)
            assert optimizer.steps == 0
        else:
            break
        finally:
            _core._refuse_request(0)
    assert any("refused to start a thread" in text for text in seen)
    assert optimizer.steps == 2


def test_requests_are_refused_once():
    gc.collect()  # networks of other tests
    blocks = _core._allocations()
    _core._refuse_request(2)
    first = bp.Network.dense(2, 2)
    with pytest.raises(MemoryError, match="6 parameters"):
        bp.Network.dense(2, 2)
    last = bp.Network.dense(2, 2)
    assert _core._allocations() == blocks + 2
    del first, last
    assert _core._allocations() == blocks
    for wrong, kind in ((-1, OverflowError), ("2", TypeError)):
        with pytest.raises(kind):
            _core._refuse_request(wrong)
