"""Whether the engine was built from the sources that this package is of."""

from __future__ import annotations

import os
import zlib

from backprop import _core

STUB = os.path.join(os.path.dirname(__file__), "_core.pyi")


def check_interface() -> None:
    """Compares the stub of the engine with that of the engine's build, which setup.py put into it.

    Raises
    ------
    ImportError
        If they differ.
    """
    try:
        with open(STUB, "rb") as file:  # without pathlib, which takes a millisecond to import
            stub = file.read()
    except OSError:  # an application may be packed without it
        return
    if zlib.crc32(stub) != getattr(_core, "interface", None):
        raise ImportError(
            "backprop's C extension, backprop._core, was built from other sources than this package. "
            "In a checkout, build it again with: pip install -e .   (or: python setup.py build_ext --inplace)"
        )
