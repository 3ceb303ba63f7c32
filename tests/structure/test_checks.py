"""What the checks of .ci and the Makefile read: every C file, however deep, and tests that are there."""

import re
import subprocess

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
