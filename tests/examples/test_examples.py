"""The example programs, as a reader would run them; memory-mapped IDX files."""

import gzip
import runpy
import struct
import sys

import mpi_ranks
import numpy as np
import pytest
from conftest import ROOT

import backprop as bp

EXAMPLES = ROOT / "examples"


def write_idx(path, array):
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(head + array.astype(np.uint8).tobytes())


def digits_as_idx(folder):
    x, y, x_test, y_test = bp.datasets.load_digits()
    for part, images, labels in (("train", x, y), ("t10k", x_test, y_test)):
        write_idx(folder / f"{part}-images-idx3-ubyte", (255 * images).reshape(-1, 8, 8))
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)


def test_mpi_mnist(tmp_path):
    """On two ranks, then, from its checkpoint, on one, on mapped files."""
    digits_as_idx(tmp_path)
    arguments = tmp_path, "--checkpoint", tmp_path / "net.safetensors", "--batch-size", 20, "--epochs"
    example = EXAMPLES / "mpi_mnist.py"
    first = mpi_ranks.succeed(2, "", *arguments, 4, path=example)
    assert sum(line.startswith("    ") for line in first) >= 4
    then = mpi_ranks.succeed(2, "", *arguments, 6, path=example)
    assert sum(line[:5].strip().isdigit() for line in then) == 2  # epochs
    assert float(then[-1].split()[-1]) > 0.9
    again = mpi_ranks.succeed(1, "", *arguments, 6, path=example)
    assert again == then[-1:]


@pytest.mark.parametrize("name", ["search_threads", "search_dask"])
def test_search(name, monkeypatch, capsys):
    pytest.importorskip("sklearn")
    if name == "search_dask":
        pytest.importorskip("distributed")
    monkeypatch.setattr(sys, "argv", [name])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert float(capsys.readouterr().out.split()[-1]) > 0.9


def test_typed_tour(monkeypatch, capsys):
    """It runs; its types are checked by .ci/run."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    runpy.run_path(str(EXAMPLES / "typed_tour.py"), run_name="__main__")
    assert capsys.readouterr().out.splitlines()[-1] == f"backprop {bp.__version__}"


def test_reinforce_cart_pole():
    lengths = runpy.run_path(str(EXAMPLES / "reinforce_cart_pole.py"))["main"]()
    assert np.mean(lengths[:3]) < 60
    assert np.mean(lengths[-3:]) > 150


def test_two_networks():
    errors = runpy.run_path(str(EXAMPLES / "two_networks.py"))["main"]()
    assert errors[-1] < 0.6 * errors[0]


def test_physics_informed():
    assert runpy.run_path(str(EXAMPLES / "physics_informed.py"))["main"]() < 1e-3


def test_mapped_idx(tmp_path):
    digits_as_idx(tmp_path)
    mapped, read = bp.datasets.load_idx(tmp_path, mapped=True), bp.datasets.load_idx(tmp_path)
    assert isinstance(mapped[0], np.memmap)
    assert all(np.array_equal(a, b) for a, b in zip(mapped, read, strict=True))
    with pytest.raises(ValueError, match="mapped must be False"):
        bp.datasets.load_idx(tmp_path, mapped=True, scale=True)
    images = tmp_path / "t10k-images-idx3-ubyte"
    whole = images.read_bytes()
    for damaged in (whole[:-1], whole + b"0", whole[:9], b"1" + whole[1:]):
        images.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            bp.datasets.load_idx(tmp_path, mapped=True)
    images.unlink()
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(whole))
    with pytest.raises(ValueError, match="packed"):
        bp.datasets.load_idx(tmp_path, mapped=True)
