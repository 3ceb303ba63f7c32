"""What the checks of .ci and the Makefile read: every C file, however deep, and tests that are there."""

import re
import subprocess
import tomllib

import pytest
from conftest import ROOT

CHECKS = sorted(path for path in (ROOT / ".ci").iterdir() if path.is_file())


@pytest.mark.parametrize("folders", [(), ("core",), ("kernels",), ("core", "kernels")])
def test_sources_are_every_c_file(folders):
    done = subprocess.run([ROOT / ".ci/sources", *folders], capture_output=True, text=True, check=True)
    found = [path for folder in folders or (".",) for path in (ROOT / "csrc" / folder).rglob("*.c")]
    assert sorted(done.stdout.split()) == sorted(path.relative_to(ROOT).as_posix() for path in found)
    assert len(found) >= 6 * max(1, len(folders))


def test_a_folder_without_sources_is_an_error():
    done = subprocess.run([ROOT / ".ci/sources", "nowhere"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("no C file in csrc/nowhere\n")


@pytest.mark.parametrize("path", [*CHECKS, ROOT / "Makefile"], ids=lambda path: path.name)
def test_no_check_reads_one_folder_deep(path):
    """A pattern such as csrc/core/*.c goes on working when files move into folders below, and checks less."""
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"csrc[\w/]*/\*[^ )]+", text) == []
    if path.name not in ("sources", "Makefile"):
        assert re.findall(r"find csrc.*", text) == []


@pytest.mark.parametrize("name", ["core-checks", "fuzz", "neon", "strict", "valgrind"])
def test_checks_that_compile_take_their_files_from_one_place(name):
    text = (ROOT / ".ci" / name).read_text(encoding="utf-8")
    assert re.search(r"[$<]\(\.ci/sources\b", text)


def test_tests_that_are_named_are_there():
    """A path that is not there is an error of pytest, but only where the check runs."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "csrc/README.md"]
    named = {
        name
        for path in [*CHECKS, ROOT / "Makefile", *pages]
        for name in re.findall(r"\btests/[\w/]+\.(?:py|c)\b", path.read_text(encoding="utf-8"))
    }
    assert len(named) >= 30
    assert sorted(name for name in named if not (ROOT / name).is_file()) == []


def test_make_build_asks_for_what_a_build_needs():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (needs,) = re.findall(r"^BUILD_NEEDS = (.*)$", makefile, re.MULTILINE)
    assert re.findall(r"'([^']+)'", needs) == settings["build-system"]["requires"]


def ignored(path):
    """What a build or an import left."""
    return re.search(r"/__pycache__/|/\.|\.(so|pyd|py[co]|dylib|gc..)$", path.as_posix())


def test_packages_with_data_are_found():
    """A folder of backprop/ with a file that is not Python is a package that names its data."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert settings["packages"]["find"]["include"] == ["backprop*"]
    files = [path for path in (ROOT / "backprop").rglob("*") if path.is_file() and ignored(path) is None]
    assert len(files) >= 60
    for path in files:
        package = ".".join(path.parent.relative_to(ROOT).parts)
        if path.suffix == ".py":
            assert (path.parent / "__init__.py").is_file() or package == "backprop.data", path
        else:
            patterns = settings["package-data"][package]
            assert any(path.match(pattern) for pattern in patterns), path
