"""Builds the one extension module; everything else is declared in pyproject.toml.

Its files are compiled side by side, as many at a time as there are processors, or as ``build_ext -j`` says.
"""

import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = sorted(path.as_posix() for path in Path("csrc").rglob("*.c"))
HEADERS = sorted(path.as_posix() for suffix in ("h", "inc") for path in Path("csrc").rglob(f"*.{suffix}"))
# What the engine offers Python. Its CRC-32 goes into the extension, and `import backprop` compares the two.
STUB = Path("backprop/_core.pyi")


def processors():
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class BuildSideBySide(build_ext):
    """build_ext, which compiles file after file, with a compiler for each processor."""

    def build_extension(self, ext):
        """Compiles and links an extension unless it is newer than all that it is made of."""
        built = Path(self.get_ext_fullpath(ext.name))
        made_of = [*ext.sources, *ext.depends, STUB.as_posix()]
        if not self.force and built.is_file():
            newest = max(os.stat(path).st_mtime for path in made_of)
            if newest <= built.stat().st_mtime:
                return
        # the kernels of the widest vectors take longest, by far
        longest_first = sorted(ext.sources, key=lambda path: ("/isa/avx512" not in path, "/isa/" not in path))
        jobs = self.parallel if type(self.parallel) is int else processors()
        with ThreadPoolExecutor(jobs) as pool:
            objects = list(pool.map(lambda path: self.compile_one(ext, path), longest_first))
        self.force = True  # what follows links: no file is left to compile
        ext.extra_objects, ext.depends, ext.sources = sorted(objects), made_of, []
        super().build_extension(ext)

    def compile_one(self, ext, source):
        """The path of the object file."""
        knows_stub = source == "csrc/python/module.c"
        interface = [("BP_INTERFACE", f"{zlib.crc32(STUB.read_bytes())}UL")] if knows_stub else []
        (compiled,) = self.compiler.compile(
            [source],
            output_dir=self.build_temp,
            macros=[*ext.define_macros, *interface],
            include_dirs=ext.include_dirs,
            debug=self.debug,
            extra_postargs=ext.extra_compile_args,
            depends=[*ext.depends, STUB.as_posix()] if knows_stub else ext.depends,
        )
        return compiled


setup(
    cmdclass={"build_ext": BuildSideBySide},
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
            # Never -ffast-math: at link time it makes the whole process flush subnormals. -g1: backtraces
            # have names and lines; where each variable lies at each instruction took two fifths of the time.
            extra_compile_args=["-O3", "-g1", "-std=c11", "-fvisibility=hidden", "-ffp-contract=off"],
            libraries=["m", "pthread"],
        )
    ],
)
