"""Archives of arrays, ``.npz``: what they claim, checked before NumPy makes room for it."""

from __future__ import annotations

import math
import os
import zipfile

import numpy as np

from backprop._packed import MOST_UNPACKED, most_unpacked

HEADS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def check_archive(path: str) -> None:
    """Raises an error if the members of an .npz file would take more memory than such a file may.

    Raises
    ------
    ValueError
        If they unpack to more than `most_unpacked` allows, or one claims an array that is longer than itself.
    zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, EOFError, zlib.error
        If the archive is damaged, or of a kind that zipfile does not read.
    """
    packed = os.path.getsize(path)
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > most_unpacked(packed):
            raise ValueError(
                f"its {packed} bytes are packed more than {MOST_UNPACKED} to 1; save it without packing"
            )
        for member in members:
            _check_member(archive, member)


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    with archive.open(member) as file:
        begin = file.read(6)
        if begin != np.lib.format.MAGIC_PREFIX:
            return  # NumPy reads it as bytes, no more than it is long
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in HEADS:
            raise ValueError(f"{member.filename} is of version {version} of the format, expected 1.0 or 2.0")
        shape, _, dtype = HEADS[version](file)
        if math.prod(shape) * dtype.itemsize > member.file_size:
            raise ValueError(f"{member.filename} claims the shape {shape}, and has {member.file_size} bytes")
