"""Writing a file: all of it or nothing, and no code in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backprop._base import BaseNetwork


def refuse_own_functions(network: BaseNetwork) -> None:
    """Raises a ValueError if an activation is the user's own."""
    for layer in network.layers:
        if layer.activation.is_custom:
            raise ValueError(f"a file holds no code, so {layer.activation!r} cannot be saved")


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes all of the file or nothing: into a new file beside it, which then takes its place.

    File and folder are synced: when this returns, the new file outlasts a crash of the machine.
    """
    target = os.path.realpath(path)
    if not os.path.isdir(os.path.dirname(target)):  # an error that names what was asked for
        import errno

        raise FileNotFoundError(errno.ENOENT, "there is no such folder to write to", os.fspath(path))
    temporary = f"{target}.{os.urandom(4).hex()}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        folder = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
