"""The IDX format of MNIST and its like: how files are called, and what their bytes say.

A file is two zero bytes, the type, the number of axes, the length of each axis as a big-endian uint32, then
the numbers, big-endian, in C order.
"""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
NAME = re.compile(
    r"((?P<prefix>.+)-)?(?P<part>train|t10k|test)-(?P<what>images|labels)[-.]idx\d+(-\w+)?(?P<packed>\.gz)?",
    re.IGNORECASE,
)


def find_idx(folder: str, prefix: str | None = None) -> dict[str, str]:
    """The IDX files of a folder.

    Parameters
    ----------
    folder : str
    prefix : str, optional
        What names begin with, as in ``emnist-letters-train-images-idx3-ubyte``; by default anything, but the
        same for all.

    Returns
    -------
    dict
        "train-images", "train-labels", "test-images" and "test-labels", those that are there, and their
        paths. A plain file goes before a packed one.

    Raises
    ------
    ValueError
        If there are several data sets.
    """
    found: dict[str, dict[str, str]] = {}
    matches = filter(None, map(NAME.fullmatch, sorted(os.listdir(folder), reverse=True)))
    for match in matches:  # a name comes after the same with .gz
        part = "train" if match["part"].lower() == "train" else "test"
        files = found.setdefault(match["prefix"] or "", {})
        files[f"{part}-{match['what'].lower()}"] = os.path.join(folder, match[0])
    if prefix is not None:
        return found.get(prefix, {})
    if len(found) > 1:
        names = ", ".join(os.path.join(folder, name) for name in sorted(found) if name)
        raise ValueError(f"{folder} holds several data sets; name one of them: {names}")
    return next(iter(found.values()), {})


def read_head(file: Any, axes: int | None, most: int) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """The type, and the shape that the head of a file claims, of at most so many bytes.

    Raises
    ------
    ValueError
        If it is no such head, or has another number of axes.
    """
    head = file.read(4)
    known = len(head) == 4 and head[:2] == b"\0\0" and head[2] in TYPES and head[3] > 0
    if not known or (axes is not None and head[3] != axes):
        expected = "a number of axes" if axes is None else f"{axes:02x}"
        types = ", ".join(f"{kind:02x}" for kind in TYPES)
        raise ValueError(
            f"it starts with the bytes {head.hex(' ')}, expected 00 00, a type ({types}) and {expected}"
        )
    lengths = file.read(4 * head[3])
    if len(lengths) < 4 * head[3]:
        raise ValueError("it ends within its head")
    shape = tuple(np.frombuffer(lengths, ">u4").tolist())
    dtype = np.dtype(TYPES[head[2]])
    size = math.prod(shape) * dtype.itemsize
    if size == 0 or size > most:
        raise ValueError(f"its head claims the shape {shape}: {size} bytes, where at most {most} can be")
    return dtype, shape


def read_all(file: Any, axes: int | None, most: int) -> NDArray[Any]:
    """The array of a whole file, in the machine's byte order.

    Raises
    ------
    ValueError
        If the file is no array of so many axes, or is damaged.
    """
    dtype, shape = read_head(file, axes, most)
    size = math.prod(shape) * dtype.itemsize
    content = np.empty(size, np.uint8)
    filled = 0
    while filled < size and (count := file.readinto(content.data[filled:])):
        filled += count
    if filled < size:
        raise ValueError(f"its head claims the shape {shape}, but only {filled} bytes follow")
    if file.read(1):
        raise ValueError(f"its head claims the shape {shape}, but more bytes follow")
    return content.view(dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
