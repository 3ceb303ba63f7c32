"""Writing a file: all of it or nothing, and no code in it."""

from __future__ import annotations

import contextlib
import os
import stat
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backprop._base import BaseNetwork


def refuse_own_functions(network: BaseNetwork) -> None:
    """Raises a ValueError if an activation is the user's own."""
    for layer in network.layers:
        if layer.activation.is_custom:
            raise ValueError(f"a file holds no code, so {layer.activation!r} cannot be saved")


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes all of a file or nothing: into a new file beside it, which then takes its place.

    What stands there already must be a regular file; the new one has its mode and, where the system allows
    it, its owner. A symbolic link goes on pointing to the file. Other names of the old one, hard links, keep
    its content. File and folder are synced: when this returns, the new file outlasts a crash of the machine.

    Raises
    ------
    OSError
        If it cannot be written, or something else than a file stands there. All is then as before.

    Warns
    -----
    RuntimeWarning
        If the file is written, but its folder cannot be synced.
    """
    import errno

    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):  # an error that names what was asked for
        raise FileNotFoundError(errno.ENOENT, "there is no such folder to write to", os.fspath(path))
    old = os.stat(target) if os.path.lexists(target) else None
    if old is not None and not stat.S_ISREG(old.st_mode):
        number = errno.EISDIR if stat.S_ISDIR(old.st_mode) else errno.EINVAL
        text = f"only a regular file can be replaced, but this is {_kind(old)}"
        raise OSError(number, text, os.fspath(path))
    temporary = os.path.join(folder, f".{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb", opener=None if old is None else _open_closed) as file:
            if old is not None:
                _make_like(file.fileno(), old)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
    _sync_folder(folder, path)


def _kind(found: os.stat_result) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(found.st_mode), "something else")


def _open_closed(path: str, flags: int) -> int:
    """Opens a new file that nobody else may read until it has the mode of the one that it replaces."""
    return os.open(path, flags, 0o600)


def _make_like(file: int, old: os.stat_result) -> None:
    """Gives a new file the owner, if that is allowed, and the mode of another."""
    if hasattr(os, "fchown"):
        with contextlib.suppress(PermissionError):
            os.fchown(file, old.st_uid, old.st_gid)
    if hasattr(os, "fchmod"):
        os.fchmod(file, stat.S_IMODE(old.st_mode))


def _sync_folder(folder: str, path: str | os.PathLike[str]) -> None:
    """Makes a file's new name outlast a crash. The file is there by now: a failure is a warning only."""
    if not hasattr(os, "O_DIRECTORY"):  # no system that has none syncs folders
        return
    import errno

    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTSUP):  # a file system that does not
            return
        warnings.warn(
            f"{os.fspath(path)} is written, but may not outlast a crash of the machine, as its folder cannot "
            f"be synced: {error}",
            RuntimeWarning,
            stacklevel=4,
        )
