"""Data sets: the digits that come with the package, readers of common file formats, and sets in the plane.

The digits and files give ``(x_train, y_train, x_test, y_test)``, the sets in the plane ``(x, y)``: samples by
rows, and int64 labels.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._idx import find_idx, read_all, read_head
from backprop._packed import most_unpacked
from backprop._validate import not_negative, positive, whole_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop._types import Seed

    Plane = tuple[NDArray[np.float64], NDArray[np.int64]]
    Split = tuple[NDArray[Any], NDArray[np.int64], NDArray[Any], NDArray[np.int64]]

DIGITS = os.path.join(os.path.dirname(__file__), "data")


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
    names = "digits-images-idx3-ubyte.gz", "digits-labels-idx1-ubyte.gz"
    images, labels = (os.path.join(DIGITS, name) for name in names)
    x, y = read_idx_pair(images, labels)
    scaled = x.astype(np.float32) / 16
    test = np.zeros(len(y), bool)
    test[np.argsort(y, kind="stable")[4::5]] = True
    return scaled[~test], y[~test], scaled[test], y[test]


def load_idx(folder: str | os.PathLike[str], *, scale: bool = False, mapped: bool = False) -> Split:
    """Images and labels from a folder of IDX files, the format of MNIST and its like.

    The files are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``
    and ``t10k-labels-idx1-ubyte``, plain or with ``.gz``. A dot before ``idx`` is fine too, ``test`` in place
    of ``t10k``, and the same beginning of all names, such as ``emnist-letters-``.

    Parameters
    ----------
    folder : str or path
    scale : bool
        Whether to divide the pixels by 255 and give float32 in [0, 1].
    mapped : bool
        Whether to map the images into memory instead of reading them, for files larger than it; for plain
        files, without scale.

    Returns
    -------
    x_train, y_train, x_test, y_test : ndarray
        x (n, rows · columns) of the file's type, uint8 for most, or float32 if scaled; y (n,) int64.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is damaged or not of this format; or if it is to be mapped but packed or scaled.
    """
    if mapped and scale:
        raise ValueError("scale=True reads all of the images, so mapped must be False")
    folder = os.fspath(folder)
    files = find_idx(folder)
    for part, name in (("train", "train"), ("test", "t10k")):
        for what, axes in (("images", 3), ("labels", 1)):
            if f"{part}-{what}" not in files:
                raise FileNotFoundError(f"{folder} has no file {name}-{what}-idx{axes}-ubyte, or with .gz")
    train, test = (
        read_idx_pair(files[f"{part}-images"], files[f"{part}-labels"], mapped=mapped)
        for part in ("train", "test")
    )
    x_train, x_test = train[0], test[0]
    if x_train.shape[1] != x_test.shape[1]:
        raise ValueError(
            f"{folder}: training images have {x_train.shape[1]} pixels, test images {x_test.shape[1]}"
        )
    if scale:
        return x_train / np.float32(255), train[1], x_test / np.float32(255), test[1]
    return x_train, train[1], x_test, test[1]


def read_idx_pair(
    images: str, labels: str, *, mapped: bool = False
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The images by rows, and the labels, of two IDX files.

    Parameters
    ----------
    images : str
        A file whose first axis counts the samples.
    labels : str
        A file with a number for each.
    mapped : bool
        Whether to map the images into memory.

    Returns
    -------
    x, y : ndarray
        x (n, numbers of an image); y (n,) int64, or the float32 or float64 of its file.

    Raises
    ------
    ValueError, OSError
        As from `read_idx`; and if the files have other numbers of samples.
    """
    x = (map_idx if mapped else read_idx)(images)
    y = read_idx(labels, 1)
    if len(x) != len(y):
        raise ValueError(f"{images} has {len(x)} images, but {labels} has {len(y)} labels")
    return x.reshape(len(x), -1), y if y.dtype.kind == "f" else y.astype(np.int64)


def read_idx(path: str | os.PathLike[str], axes: int | None = None) -> NDArray[Any]:
    """One IDX file, plain or gzip, as an array.

    The format: two zero bytes, the type, the number of axes, the length of each axis as a big-endian uint32,
    then the numbers, big-endian, in C order.

    Parameters
    ----------
    path : str or path
        The file; one that ends in .gz is unpacked.
    axes : int, optional
        How many axes it must have.

    Returns
    -------
    ndarray
        Of the shape and the type that the file says: uint8, int8, int16, int32, float32 or float64.

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
    packed, size = path.endswith(".gz"), os.path.getsize(path)
    most = most_unpacked(size) if packed else size
    try:
        with gzip.open(path) if packed else open(path, "rb") as file:
            return read_all(file, axes, most)
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(path, axes, error) from error


def map_idx(path: str | os.PathLike[str], axes: int | None = None) -> NDArray[Any]:
    """The same as `read_idx` of a plain file, but as a read-only memory map.

    Parameters
    ----------
    path, axes
        As for `read_idx`.

    Returns
    -------
    numpy.memmap
        Of the file's type, in its byte order, which is big-endian.

    Raises
    ------
    ValueError, OSError
        As from `read_idx`; and if the file is packed.
    """
    path = os.fspath(path)
    if path.endswith(".gz"):
        raise ValueError(f"{path} is packed, and only plain files can be mapped: unpack it first")
    try:
        with open(path, "rb") as file:
            dtype, shape = read_head(file, axes, os.path.getsize(path))
        begin = 4 + 4 * len(shape)
        if os.path.getsize(path) - begin != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"its head claims the shape {shape}, but it has {os.path.getsize(path)} bytes")
    except ValueError as error:
        raise _damaged(path, axes, error) from error
    return np.memmap(path, dtype, "r", begin, shape)


def _damaged(path: str, axes: int | None, error: Exception) -> ValueError:
    of_axes = "" if axes is None else f" of {axes} axes"
    return ValueError(f"{path} is not an IDX file{of_axes}, or is damaged: {error}")


def two_spirals(
    n_samples: int = 200, *, noise: float = 0.02, turns: float = 1.5, rng: Seed = None
) -> Plane:
    """Two spirals wound into each other, one for each class.

    Sample i of the m of class c lies at r (cos φ, sin φ) with r = (i + 1) / m, i from 0, and
    φ = 2π · turns · r + π c; normal noise is added to both coordinates.

    Parameters
    ----------
    n_samples : int
        At least 2; class 0 has one more if it is odd.
    noise : float
        The standard deviation of the noise, ≥ 0. Neighbouring arms are 1 / (2 turns) apart.
    turns : float
        How often each spiral winds around the middle, > 0.
    rng : optional
        Draws the noise and the order of the samples: anything that `numpy.random.default_rng` takes, such
        as a seed.

    Returns
    -------
    x, y : ndarray
        x (n_samples, 2) float64; y (n_samples,) int64 labels 0 and 1, in random order.

    Raises
    ------
    TypeError, ValueError
        If an argument makes no sense.
    """
    label, position, generator, noise = _plane(n_samples, noise, rng)
    winding = 2 * math.pi * positive("turns", turns)
    r = position + 1 / np.bincount(label)[label]
    x = r[:, None] * _circle(winding * r + math.pi * label)
    return _noisy(x, label, noise, generator)


def circles(n_samples: int = 200, *, noise: float = 0.05, factor: float = 0.5, rng: Seed = None) -> Plane:
    """A circle of radius 1, class 0, around a circle of radius `factor`, class 1.

    Sample i of the m of its class lies at r (cos φ, sin φ) with φ = 2π i / m and r = 1 or `factor`; normal
    noise is added to both coordinates.

    Parameters
    ----------
    n_samples, noise, rng
        As for `two_spirals`.
    factor : float
        The radius of the inner circle, above 0 and below 1.

    Returns
    -------
    x, y : ndarray
        As from `two_spirals`.

    Raises
    ------
    TypeError, ValueError
        If an argument makes no sense.
    """
    label, position, generator, noise = _plane(n_samples, noise, rng)
    if positive("factor", factor) >= 1:
        raise ValueError(f"factor must be below 1, the radius of the outer circle; got {factor}")
    r = np.where(label == 0, 1.0, float(factor))
    return _noisy(r[:, None] * _circle(2 * math.pi * position), label, noise, generator)


def xor(n_samples: int = 200, *, noise: float = 0.0, rng: Seed = None) -> Plane:
    """The four quadrants of a square: class 1 where the signs of the coordinates differ.

    |x_1| and |x_2| are uniform in (0, 1], the signs go round the quadrants; normal noise is added after the
    label was given, so that it takes samples over the border.

    Parameters
    ----------
    n_samples, noise, rng
        As for `two_spirals`.

    Returns
    -------
    x, y : ndarray
        As from `two_spirals`.

    Raises
    ------
    TypeError, ValueError
        If an argument makes no sense.
    """
    label, _, generator, noise = _plane(n_samples, noise, rng)
    first = np.where(np.arange(len(label)) % 4 < 2, 1.0, -1.0)  # label is 0 1 0 1 …, so all four come
    signs = np.stack([first, np.where(label == 0, first, -first)], axis=1)
    return _noisy(signs * (1 - generator.random((len(label), 2))), label, noise, generator)


def moons(n_samples: int = 200, *, noise: float = 0.1, rng: Seed = None) -> Plane:
    """Two half circles that reach into each other.

    Sample i of the m of its class has t = π i / (m - 1): class 0 lies at (cos t, sin t), class 1 at
    (1 - cos t, 1/2 - sin t); normal noise is added to both coordinates.

    Parameters
    ----------
    n_samples, noise, rng
        As for `two_spirals`.

    Returns
    -------
    x, y : ndarray
        As from `two_spirals`.

    Raises
    ------
    TypeError, ValueError
        If an argument makes no sense.
    """
    label, position, generator, noise = _plane(n_samples, noise, rng)
    of_class = np.bincount(label)[label]
    upper = _circle(math.pi * position * of_class / np.maximum(of_class - 1, 1))
    x = np.where(label[:, None] == 0, upper, [1.0, 0.5] - upper)
    return _noisy(x, label, noise, generator)


def _plane(
    n_samples: int, noise: float, rng: Seed
) -> tuple[NDArray[np.int64], NDArray[np.float64], np.random.Generator, float]:
    """Labels 0 1 0 1 …, i / m of each sample within its class, the generator and the noise, all checked."""
    n_samples, noise = whole_number("n_samples", n_samples, 2), not_negative("noise", noise)
    label = np.arange(n_samples) % 2
    position = np.arange(n_samples) // 2 / np.bincount(label)[label]
    return label, position, np.random.default_rng(rng), noise


def _circle(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _noisy(
    x: NDArray[np.float64], label: NDArray[np.int64], noise: float, generator: np.random.Generator
) -> Plane:
    """The samples with noise, in random order."""
    order = generator.permutation(len(x))
    return (x + noise * generator.standard_normal(x.shape))[order], label[order]
