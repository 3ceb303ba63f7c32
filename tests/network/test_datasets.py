"""The digits of the package, and files of the IDX format, sound and damaged."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest

from backprop import datasets

NAMES = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]


def idx(array):
    """The bytes of an IDX file."""
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def arrays():
    rng = np.random.default_rng(0)
    shapes = [(7, 3, 4), (7,), (5, 3, 4), (5,)]
    return [rng.integers(0, 256 if len(shape) == 3 else 10, shape) for shape in shapes]


def write(folder, ending="", dot="-"):
    for name, array in zip(NAMES, arrays(), strict=True):
        data = idx(array)
        path = folder / (name.replace("-idx", f"{dot}idx") + ending)
        path.write_bytes(gzip.compress(data) if ending else data)


def test_digits():
    x_train, y_train, x_test, y_test = datasets.load_digits()
    assert x_train.shape == (1438, 64)
    assert x_test.shape == (359, 64)
    assert y_train.shape == (1438,)
    assert y_test.shape == (359,)
    for x, y in ((x_train, y_train), (x_test, y_test)):
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        assert x.min() == 0
        assert x.max() == 1
        counts = np.bincount(y)
        assert len(counts) == 10
        assert counts.max() - counts.min() <= 0.05 * len(y), "every digit has about its share of both parts"
    # Facts of the source: 1797 images, 178 zeros and 180 nines, pixels that add up to 561718.
    assert np.bincount(np.concatenate([y_train, y_test])).tolist() == [
        178, 182, 177, 183, 181, 182, 181, 179, 174, 180,
    ]  # fmt: skip
    assert 16 * (x_train.sum(dtype=np.float64) + x_test.sum(dtype=np.float64)) == 561718


@pytest.mark.parametrize(("ending", "dot"), [("", "-"), (".gz", "-"), ("", ".")])
def test_load_idx(tmp_path, ending, dot):
    write(tmp_path, ending, dot)
    loaded = datasets.load_idx(tmp_path)
    for got, expected in zip(loaded, arrays(), strict=True):
        assert np.array_equal(got, expected.reshape(len(expected), -1) if expected.ndim == 3 else expected)
    assert [array.dtype for array in loaded] == [np.uint8, np.int64, np.uint8, np.int64]
    loaded[0][0] = 0  # the arrays are the caller's own


def test_load_idx_scaled(tmp_path):
    write(tmp_path)
    x_train, _, x_test, _ = datasets.load_idx(str(tmp_path), scale=True)
    for x, expected in ((x_train, arrays()[0]), (x_test, arrays()[2])):
        assert x.dtype == np.float32
        assert np.array_equal(x, (expected.reshape(len(expected), -1) / np.float32(255)).astype(np.float32))


def test_a_missing_file_is_named(tmp_path):
    write(tmp_path)
    (tmp_path / NAMES[2]).unlink()
    with pytest.raises(FileNotFoundError, match=r"t10k-images-idx3-ubyte.*\.gz"):
        datasets.load_idx(tmp_path)


def test_counts_must_agree(tmp_path):
    write(tmp_path)
    (tmp_path / NAMES[1]).write_bytes(idx(np.zeros(6)))
    with pytest.raises(ValueError, match=r"7 images.*6 labels"):
        datasets.load_idx(tmp_path)


def test_widths_must_agree(tmp_path):
    write(tmp_path)
    (tmp_path / NAMES[2]).write_bytes(idx(np.zeros((5, 4, 4))))
    with pytest.raises(ValueError, match=r"12 pixels.*16"):
        datasets.load_idx(tmp_path)


GOOD = idx(np.arange(24).reshape(2, 3, 4))
DAMAGED = {
    "empty": b"",
    "half a head": GOOD[:9],
    "one byte short": GOOD[:-1],
    "one byte long": GOOD + b"\0",
    "other type": b"\0\0\x0d\x03" + GOOD[4:],
    "other number of axes": b"\0\0\x08\x02" + GOOD[4:],
    "text": b"not an IDX file at all, just text that is long enough",
    "huge claim": b"\0\0\x08\x03" + b"\xff" * 12 + GOOD[16:],
    "no images": idx(np.zeros((0, 3, 4))),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_a_value_error(tmp_path, kind, packed):
    path = tmp_path / ("images.gz" if packed else "images")
    path.write_bytes(gzip.compress(DAMAGED[kind]) if packed else DAMAGED[kind])
    tracemalloc.start()
    with pytest.raises(ValueError, match="images"):
        datasets.read_idx(path, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6, "it allocates no more than the file can hold"


def test_damaged_gzip_is_a_value_error(tmp_path):
    packed = gzip.compress(idx(np.random.default_rng(0).integers(0, 256, (20, 5, 5))))
    path = tmp_path / "images.gz"
    for length in range(len(packed)):
        path.write_bytes(packed[:length])
        with pytest.raises(ValueError, match=r"images\.gz"):
            datasets.read_idx(path, 3)
    for position in range(0, len(packed), 7):
        if 3 <= position < 10:  # gzip's flags, time and system: bytes without a check
            continue
        path.write_bytes(packed[:position] + bytes([packed[position] ^ 0xFF]) + packed[position + 1 :])
        with pytest.raises(ValueError, match=r"images\.gz"):
            datasets.read_idx(path, 3)
