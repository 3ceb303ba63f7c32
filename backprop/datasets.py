"""Data sets: the digits that come with the package, and readers of common file formats.

Every one gives ``(x_train, y_train, x_test, y_test)``: samples by rows, and int64 labels.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Split = tuple[NDArray[Any], NDArray[np.int64], NDArray[Any], NDArray[np.int64]]

DIGITS = os.path.join(os.path.dirname(__file__), "data")
UNSIGNED_BYTE = 8
BEST_COMPRESSION = 1032  # gzip packs no run of bytes tighter than this


def load_digits() -> Split:
    """Handwritten digits, 8 by 8 pixels: the UCI optical digits, which come with the package.

    1797 images by 13 writers, the test set of "Optical Recognition of Handwritten Digits" by
    E. Alpaydin and C. Kaynak (1998), UCI Machine Learning Repository,
    https://doi.org/10.24432/C50P49, licence CC BY 4.0.

    Returns
    -------
    x_train, y_train, x_test, y_test : ndarray
        x (n, 64) float32 in [0, 1], the pixels by rows divided by 16; y (n,) int64 labels 0 to 9.
        Counted digit by digit, every fifth image is a test image: 1438 to train on, 359 to test with.
    """
    x, y = _read_pair(_find(DIGITS, "digits-images", 3), _find(DIGITS, "digits-labels", 1))
    scaled = x.astype(np.float32) / 16
    test = np.zeros(len(y), bool)
    test[np.argsort(y, kind="stable")[4::5]] = True
    return scaled[~test], y[~test], scaled[test], y[test]


def load_idx(folder: str | os.PathLike[str], *, scale: bool = False) -> Split:
    """Images and labels from a folder of IDX files, the format of MNIST and its like.

    The files are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``
    and ``t10k-labels-idx1-ubyte``, plain or with ``.gz``; a dot before ``idx`` is fine too.

    Parameters
    ----------
    folder : str or path
    scale : bool
        Whether to divide the pixels by 255 and give float32 in [0, 1].

    Returns
    -------
    x_train, y_train, x_test, y_test : ndarray
        x (n, rows · columns) uint8, or float32 if scaled; y (n,) int64.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is damaged or not of this format.
    """
    folder = os.fspath(folder)
    train, test = (
        _read_pair(_find(folder, f"{part}-images", 3), _find(folder, f"{part}-labels", 1))
        for part in ("train", "t10k")
    )
    x_train, x_test = train[0], test[0]
    if x_train.shape[1] != x_test.shape[1]:
        raise ValueError(
            f"{folder}: training images have {x_train.shape[1]} pixels, test images {x_test.shape[1]}"
        )
    if scale:
        return x_train / np.float32(255), train[1], x_test / np.float32(255), test[1]
    return x_train, train[1], x_test, test[1]


def _find(folder: str, stem: str, axes: int) -> str:
    names = [f"{stem}{dot}idx{axes}-ubyte{ending}" for dot in "-." for ending in ("", ".gz")]
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(f"{folder} has no file {names[0]} or {names[1]}")


def _read_pair(images: str, labels: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    x, y = read_idx(images, 3), read_idx(labels, 1)
    if len(x) != len(y):
        raise ValueError(f"{images} has {len(x)} images, but {labels} has {len(y)} labels")
    return x.reshape(len(x), -1), y.astype(np.int64)


def read_idx(path: str | os.PathLike[str], axes: int) -> NDArray[np.uint8]:
    """One IDX file of unsigned bytes, plain or gzip, as an array of that many axes.

    The format: two zero bytes, the type (8), the number of axes, the length of each axis as a big-endian
    uint32, then the bytes in C order.

    Parameters
    ----------
    path : str or path
        The file; one that ends in .gz is unpacked.
    axes : int
        How many axes it must have.

    Returns
    -------
    ndarray of uint8
        Of the shape that the file says.

    Raises
    ------
    ValueError
        If the file is damaged or not of this format.
    OSError
        If it cannot be read.
    """
    import gzip
    import zlib

    path = os.fspath(path)
    most = os.path.getsize(path) * BEST_COMPRESSION
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            return _read_idx(file, axes, most)
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is not an IDX file of {axes} axes, or is damaged: {error}") from error


def _read_idx(file: Any, axes: int, most: int) -> NDArray[np.uint8]:
    head = file.read(4 + 4 * axes)
    if head[:4] != bytes([0, 0, UNSIGNED_BYTE, axes]):
        raise ValueError(f"it starts with the bytes {head[:4].hex(' ')}, expected 00 00 08 {axes:02x}")
    if len(head) < 4 + 4 * axes:
        raise ValueError("it ends within its head")
    shape = tuple(np.frombuffer(head[4:], ">u4").tolist())
    size = math.prod(shape)
    if size == 0 or size > most:
        raise ValueError(f"its head claims the shape {shape}")
    content = np.empty(size, np.uint8)
    filled = 0
    while filled < size and (count := file.readinto(content.data[filled:])):
        filled += count
    if filled < size:
        raise ValueError(f"its head claims the shape {shape}, but only {filled} bytes follow")
    if file.read(1):
        raise ValueError(f"its head claims the shape {shape}, but more bytes follow")
    return content.reshape(shape)
