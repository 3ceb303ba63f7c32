"""Builds the one extension module; everything else is declared in pyproject.toml."""

from pathlib import Path

import numpy
from setuptools import Extension, setup

SOURCES = sorted(path.as_posix() for path in Path("csrc").rglob("*.c"))
HEADERS = sorted(path.as_posix() for suffix in ("h", "inc") for path in Path("csrc").rglob(f"*.{suffix}"))

setup(
    ext_modules=[
        Extension(
            "backprop._core",
            sources=SOURCES,
            depends=HEADERS,
            include_dirs=["csrc", numpy.get_include()],
            define_macros=[
                ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
                ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION"),
            ],
            # Never -ffast-math: at link time it makes the whole process flush subnormals.
            extra_compile_args=["-O3", "-std=c11", "-fvisibility=hidden", "-ffp-contract=off"],
            libraries=["m", "pthread"],
        )
    ]
)
