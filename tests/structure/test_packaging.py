"""What an installed package must have, what importing it costs, and what it says unbuilt."""

import ast
import doctest
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

import backprop as bp
from backprop import _core
from backprop.play.page import MODULES

PACKAGE = Path(bp.__file__).parent


def run_python(code, cwd, *options, path=PACKAGE.parent):
    environment = os.environ | {"PYTHONPATH": str(path)}
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60)


def test_import_brings_nothing_but_numpy(tmp_path):
    code = (
        "import sys, numpy; before = set(sys.modules); import backprop; "
        "print(*sorted(name for name in set(sys.modules) - before if name.split('.')[0] != 'backprop'))"
    )
    result = run_python(code, tmp_path)
    assert result.returncode == 0, result.stderr
    assert set(result.stdout.split()) <= {"__future__", "zlib"}


def test_names_that_are_imported_when_first_used(tmp_path):
    code = (
        "import sys, backprop as bp; "
        "late = {'backprop.plots', 'backprop.population', 'backprop.files.format'}; "
        "assert not late & set(sys.modules); assert {*bp.__all__, 'lesson', 'Widget'} <= set(dir(bp)); "
        "print(bp.Population.__name__, bp.find_rate.__name__, bp.plots.__name__, bp.population.__name__)"
    )
    result = run_python(code, tmp_path)
    assert result.stdout == "Population find_rate backprop.plots backprop.population\n", result.stderr
    with pytest.raises(AttributeError, match="has no attribute 'Populations'"):
        bp.Populations  # noqa: B018


def test_package_has_its_data_and_types():
    page = [f"play/page/{name}" for name in ("widget.css", "play.html", "exercises.json", *MODULES)]
    for name in ("py.typed", "_core.pyi", "data/SOURCE.txt", "data/digits-images-idx3-ubyte.gz", *page):
        assert (PACKAGE / name).is_file(), name
    source = (PACKAGE / "data/SOURCE.txt").read_text(encoding="utf-8")
    assert "CC BY 4.0" in source
    assert "10.24432/C50P49" in source


def test_without_its_extension_it_says_how_to_build_it(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "backprop", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    # -S keeps an editable installation from lending its extension.
    result = run_python("import backprop", tmp_path, "-S", path=tmp_path)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert "pip install -e ." in last


def test_an_impossible_instruction_set_is_an_import_error(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKPROP_ISA", "z80")
    result = run_python("import backprop", tmp_path)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert "z80" in last


def is_typed_dict(node):
    return isinstance(node, ast.ClassDef) and [ast.unparse(base) for base in node.bases] == ["TypedDict"]


def test_stub_names_the_arguments_that_the_engine_reads():
    """In the engine's order, in which they may be given by place."""
    tree, stubs = ast.parse((PACKAGE / "_core.pyi").read_text(encoding="utf-8")), {}
    for node in tree.body:
        if is_typed_dict(node):
            fields = tuple(field.target.id for field in node.body)
            stubs[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name.removesuffix("Arguments")).lower()] = fields
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    given = [argument.arg for argument in method.args.args + method.args.kwonlyargs]
                    stubs[f"{node.name}.{method.name}()"] = tuple(given[1:])
    read = _core.arguments()
    assert "x" in read["Network._train()"]
    assert read == {name: stubs[name] for name in read}


def test_stub_names_what_the_extension_has():
    tree = ast.parse((PACKAGE / "_core.pyi").read_text(encoding="utf-8"))
    stubs = {}
    for node in tree.body:
        if is_typed_dict(node):
            continue  # of what is given by name: it has no class
        if isinstance(node, ast.ClassDef):
            stubs[node.name] = {
                item.name if isinstance(item, ast.FunctionDef) else item.target.id for item in node.body
            }
        elif isinstance(node, ast.FunctionDef):
            stubs[node.name] = set()
        elif isinstance(node, ast.AnnAssign):
            stubs[node.target.id] = set()
    assert {name for name in dir(_core) if not name.startswith("_")} == set(stubs)
    for name in ("Network", "Optimizer"):
        own = {key for key in vars(getattr(_core, name)) if not key.startswith("__") or key == "__call__"}
        assert own == stubs[name], name


def test_everything_public_is_documented():
    undocumented = []
    for name in bp.__all__:
        thing = getattr(bp, name)
        members = vars(thing) if inspect.isclass(thing) or inspect.ismodule(thing) else {}
        things = {name: thing} | {
            f"{name}.{key}": value
            for key, value in members.items()
            if not key.startswith("_") and (callable(value) or isinstance(value, property))
        }
        undocumented += [path for path, value in things.items() if not inspect.getdoc(value)]
    undocumented += [
        f"_core.Network.{name}"
        for name in ("classify", "loss", "losses", "accuracy", "step", "jacobian_vector", "vector_jacobian")
        if not inspect.getdoc(getattr(_core.Network, name))
    ]
    assert undocumented == []


def test_the_extension_exports_its_init_function_only():
    nm = shutil.which("nm")
    if nm is None or sys.platform != "linux":
        pytest.skip("needs nm of GNU's binutils or LLVM")
    command = [nm, "-D", "--defined-only", _core.__file__]
    listing = subprocess.run(command, capture_output=True, text=True, check=True)
    names = {line.split()[-1] for line in listing.stdout.splitlines()}
    assert names == {"PyInit__core"}


def test_version_is_one_of_numbers():
    assert re.fullmatch(r"\d+\.\d+\.\d+", bp.__version__)


def test_readme_opens_with_the_two_commands():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    for command in ("pip install -e . && python -m backprop", "pip install -e '.[test]' && pytest"):
        assert command in lines
        assert lines.index(command) < 50


DOCS = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/howto").glob("*.md"))]
PAGES = ["README.md", *(path.relative_to(ROOT).as_posix() for path in DOCS)]


@pytest.mark.parametrize("page", [page for page in PAGES if ">>>" in (ROOT / page).read_text("utf-8")])
def test_examples_of_a_page_are_true(page, tmp_path, monkeypatch):
    text = (ROOT / page).read_text(encoding="utf-8")
    if "bp.sklearn" in text and page != "README.md":
        pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)  # they save files
    example = "\n".join(re.findall(r"```python\n(>>>.*?)```", text, flags=re.DOTALL))
    assert example.count(">>>") == text.count(">>>"), "all of it is in ```python blocks"
    test = doctest.DocTestParser().get_doctest(example, {}, page, page, 0)
    assert test.examples
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failures = doctest.DocTestRunner(optionflags=flags).run(test)
    assert failures.failed == 0
