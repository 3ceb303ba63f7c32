"""Data sets: the digits that come with the package, readers of common file formats, and sets in the plane.

The digits and files give ``(x_train, y_train, x_test, y_test)``, the sets in the plane ``(x, y)``: samples by
rows, and int64 labels.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._validate import not_negative, positive, whole_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop._types import Seed

    Plane = tuple[NDArray[np.float64], NDArray[np.int64]]
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


def load_idx(folder: str | os.PathLike[str], *, scale: bool = False, mapped: bool = False) -> Split:
    """Images and labels from a folder of IDX files, the format of MNIST and its like.

    The files are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``
    and ``t10k-labels-idx1-ubyte``, plain or with ``.gz``; a dot before ``idx`` is fine too.

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
        x (n, rows · columns) uint8, or float32 if scaled; y (n,) int64.

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
    train, test = (
        _read_pair(_find(folder, f"{part}-images", 3), _find(folder, f"{part}-labels", 1), mapped)
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


def _read_pair(
    images: str, labels: str, mapped: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    x, y = (map_idx if mapped else read_idx)(images, 3), read_idx(labels, 1)
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


def map_idx(path: str | os.PathLike[str], axes: int) -> NDArray[np.uint8]:
    """The same as `read_idx` of a plain file, but as a read-only memory map.

    Parameters
    ----------
    path, axes
        As for `read_idx`.

    Returns
    -------
    numpy.memmap of uint8

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
            shape = _read_head(file, axes, os.path.getsize(path))
        begin = 4 + 4 * axes
        if os.path.getsize(path) - begin != math.prod(shape):
            raise ValueError(f"its head claims the shape {shape}, but it has {os.path.getsize(path)} bytes")
    except ValueError as error:
        raise ValueError(f"{path} is not an IDX file of {axes} axes, or is damaged: {error}") from error
    return np.memmap(path, np.uint8, "r", begin, shape)


def _read_head(file: Any, axes: int, most: int) -> tuple[int, ...]:
    """The shape that the head of an IDX file claims."""
    head = file.read(4 + 4 * axes)
    if head[:4] != bytes([0, 0, UNSIGNED_BYTE, axes]):
        raise ValueError(f"it starts with the bytes {head[:4].hex(' ')}, expected 00 00 08 {axes:02x}")
    if len(head) < 4 + 4 * axes:
        raise ValueError("it ends within its head")
    shape = tuple(np.frombuffer(head[4:], ">u4").tolist())
    size = math.prod(shape)
    if size == 0 or size > most:
        raise ValueError(f"its head claims the shape {shape}")
    return shape


def _read_idx(file: Any, axes: int, most: int) -> NDArray[np.uint8]:
    shape = _read_head(file, axes, most)
    size = math.prod(shape)
    content = np.empty(size, np.uint8)
    filled = 0
    while filled < size and (count := file.readinto(content.data[filled:])):
        filled += count
    if filled < size:
        raise ValueError(f"its head claims the shape {shape}, but only {filled} bytes follow")
    if file.read(1):
        raise ValueError(f"its head claims the shape {shape}, but more bytes follow")
    return content.reshape(shape)


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
