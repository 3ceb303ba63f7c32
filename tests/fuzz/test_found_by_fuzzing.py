"""What the fuzzers of tests/fuzz have found in Python; what they found in C is in tests/fuzz/corpus."""

import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from conftest import ROOT

import backprop as bp
from backprop.cli import classes, reading


def test_a_packed_table_whose_stream_is_damaged_is_a_value_error(tmp_path):
    """zlib raises an error of its own, which is no ValueError."""
    path = tmp_path / "table.csv.gz"
    path.write_bytes(bytes.fromhex("1f8b0800e6fd056b02ff33d431e232d0ffffffff6eaa98f208000000"))
    with pytest.raises(ValueError, match=r"table\.csv\.gz is not a table"):
        reading.read(str(path), reading.Asked())


def test_an_archive_that_points_before_its_beginning_is_a_value_error(tmp_path):
    """zipfile then seeks to a negative place, an OSError."""
    path = tmp_path / "data.npz"
    np.savez(path, x=np.eye(3), y=[0, 1, 1])
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + whole[54:])
    with pytest.raises(ValueError, match=r"data\.npz is not an \.npz file"):
        reading.read(str(path), reading.Asked())


@pytest.mark.parametrize("name", ["x", "y", "sample_weight"])
def test_a_member_of_an_archive_that_is_no_array_is_a_value_error(tmp_path, name):
    """NumPy returns its bytes."""
    path = tmp_path / "data.npz"
    np.savez(path, **{key: value for key, value in (("x", np.eye(3)), ("y", [0, 1, 1])) if key != name})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{name}.npy", b"no array")
    with pytest.raises(ValueError, match=rf"data\.npz is not an \.npz file.*: {name} is no array"):
        reading.read(str(path), reading.Asked())


@pytest.mark.parametrize("label", ["inf", "1e300"])
def test_labels_beyond_all_integers_are_refused(tmp_path, label):
    path = tmp_path / "table.csv"
    path.write_text(f"label,a\n0,1\n{label},2\n", encoding="utf-8")
    data = reading.read(str(path), reading.Asked())
    with pytest.raises(ValueError, match="must hold labels"):
        classes.learn(data.whole.y, "column label", data.whole.where)


def test_no_samples_and_a_schedule_are_a_value_error():
    """The steps of an epoch, none, were divided by."""
    net = bp.Network(bp.Layer(2, 1), seed=0)
    with pytest.raises(ValueError, match="at least one sample"):
        net.fit(np.zeros((0, 2)), np.zeros((0, 1)), bp.SGD(bp.schedules.Cosine(0.1, steps=4)))


@pytest.mark.parametrize("batch_size", [2**40, 2**62, 2**63])
def test_a_large_hint_for_an_iterable_takes_no_memory(batch_size):
    """Room was made for it: a MemoryError, a ValueError, an OverflowError."""
    x, y = np.ones((3, 2)), np.zeros((3, 1))
    hinted, usual = (bp.Network(bp.Layer(2, 1), seed=0) for _ in range(2))
    hinted.fit([(x, y)], None, bp.SGD(0.1), batch_size=batch_size)
    usual.fit([(x, y)], None, bp.SGD(0.1))
    assert hinted.parameters.tobytes() == usual.parameters.tobytes()


@pytest.mark.parametrize("fuzzer", ["files", "api"])
def test_the_fuzzers_follow_the_package(fuzzer, tmp_path):
    """One that calls what is no longer there stops at its first input."""
    pytest.importorskip("atheris")
    run = [sys.executable, "-W", "ignore", ROOT / "tests" / "fuzz" / f"fuzz_{fuzzer}.py"]
    setting = {"capture_output": True, "text": True, "check": False, "cwd": tmp_path,
               "env": {**os.environ, "PYTHONPATH": str(ROOT)}}  # fmt: skip
    if fuzzer == "files":
        subprocess.run([*run, "--seeds", tmp_path], **setting)
    done = subprocess.run([*run, "-seed=1", "-runs=100", tmp_path], **setting)
    assert done.returncode == 0, done.stderr
