"""The arrow backprop → csrc/python → csrc/core → csrc/kernels → libc: nothing points back."""

import ast
import re

import floors
import pytest
from conftest import ROOT

import backprop as bp

CSRC = ROOT / "csrc"
MAY_INCLUDE = {
    "kernels": {"kernels"},
    "core": {"core", "kernels"},
    "python": {"python", "core", "kernels"},
}
# A room of the core includes only from itself and those before it; train and solve not from each other.
CORE_ROOMS = floors.C[1:-1]
# In core/train, what a file calls is declared in a header of a file before it.
TRAIN_ORDER = (
    "pace", "training", "run", "vectors", "stop", "feed", "figures",
    "ranks/words", "ranks/rows", "ranks/figures", "ranks/common_memory",
    "methods/batch", "methods/single", "methods/links", "methods/method", "methods/batches", "methods/online",
    "methods/chain", "methods/groups", "methods/methods", "ranks/together", "ranks/averaging", "ranks/epoch",
    "open", "stretches", "epoch", "train", "step",
)  # fmt: skip
C_FILES = sorted(path for path in CSRC.rglob("*") if path.suffix in (".c", ".h", ".inc"))
PYTHON_FILES = sorted((ROOT / "backprop").rglob("*.py"))


def code_of(path):
    """The text of a C file without comments."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def includes_of(path):
    """(quote, name) of every include."""
    return re.findall(r'^\s*#\s*include\s*(["<])([^">]+)[">]', code_of(path), flags=re.MULTILINE)


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def test_there_are_files_in_every_folder():
    folders = {path.relative_to(CSRC).parts[0] for path in C_FILES}
    assert folders == set(MAY_INCLUDE)
    assert len(PYTHON_FILES) > 5


@pytest.mark.parametrize("path", C_FILES, ids=name_of)
def test_includes_follow_the_arrow(path):
    folder = path.relative_to(CSRC).parts[0]
    for quote, name in includes_of(path):
        beside, from_csrc = path.parent / name, CSRC / name
        if quote == '"':
            found = beside if beside.is_file() else from_csrc
            assert found.is_file(), f"{name} is neither beside the file nor under csrc/"
            target = found.resolve().relative_to(CSRC).parts[0]
            assert target in MAY_INCLUDE[folder], f"csrc/{folder} includes {name} of csrc/{target}"
        elif folder != "python":
            assert name != "Python.h"
            assert not name.startswith("numpy/")
            assert not from_csrc.is_file(), f"{name} is ours: include it with quotes"


def included(path):
    """The files of ours that a file includes."""
    for quote, name in includes_of(path):
        beside, from_csrc = path.parent / name, CSRC / name
        if quote == '"':
            yield beside if beside.is_file() else from_csrc


CORE = CSRC / "core"
CORE_FILES = [path for path in C_FILES if CORE in path.parents]
TRAIN_FILES = [path for path in CORE_FILES if CORE / "train" in path.parents]


def train_name(path):
    return path.relative_to(CORE / "train").with_suffix("").as_posix()


def test_every_room_and_every_file_of_training_has_its_place():
    assert {path.relative_to(CORE).parts[0] for path in CORE_FILES} == set(CORE_ROOMS)
    assert {train_name(path) for path in TRAIN_FILES} == set(TRAIN_ORDER)


@pytest.mark.parametrize("path", CORE_FILES, ids=name_of)
def test_rooms_of_the_core_include_only_those_before_them(path):
    room = path.relative_to(CORE).parts[0]
    for target in included(path):
        if CORE not in target.parents:
            continue
        other = target.relative_to(CORE).parts[0]
        assert CORE_ROOMS.index(other) <= CORE_ROOMS.index(room), f"core/{room} includes {name_of(target)}"
        assert {room, other} != {"train", "solve"}, f"core/{room} includes {name_of(target)}"


@pytest.mark.parametrize("path", TRAIN_FILES, ids=name_of)
def test_training_calls_only_what_comes_before(path):
    for target in included(path):
        if CORE / "train" in target.parents:
            name, other = train_name(path), train_name(target)
            assert TRAIN_ORDER.index(other) <= TRAIN_ORDER.index(name), f"{name} includes {other}"


@pytest.mark.parametrize("path", C_FILES, ids=name_of)
def test_below_python_nothing_prints_or_exits(path):
    if path.relative_to(CSRC).parts[0] == "python":
        return
    calls = set(re.findall(r"\b(\w+)\s*\(", code_of(path)))
    assert not calls & {"printf", "fprintf", "puts", "exit", "abort"}
    assert not any(call.startswith(("Py", "NPY")) for call in calls)


@pytest.mark.parametrize("path", sorted((CSRC / "kernels").rglob("*.*")), ids=name_of)
def test_kernels_allocate_nothing(path):
    calls = set(re.findall(r"\b(\w+)\s*\(", code_of(path)))
    assert not calls & {"malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign", "mmap", "free"}


ALLOCATORS = re.compile(r"\b(bp_allocate|(?:PyMem_(?:Raw)?|PyObject_)?(?:m|c|re)alloc|PyMem_\w+alloc)\(")


def arguments_of_calls(code, name):
    """What stands between the parentheses of every call of a function that `name` matches."""
    for call in name.finditer(code):
        depth, end = 1, call.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(code[end], 0)
            end += 1
        yield code[call.end() : end - 1]


def unchecked_products(code):
    """Calls for memory whose size is a product or sum of its own, which may not fit into a size_t."""
    for given in arguments_of_calls(code, ALLOCATORS):
        plain = re.sub(r"sizeof\s*\([^()]*\)|\([\w\s]+\*+\)", "1", given)
        if re.search(r"[\w)\]]\s*[*+]\s*[\w(&]|<<", plain):
            yield given


@pytest.mark.parametrize("path", C_FILES, ids=name_of)
def test_sizes_of_memory_are_multiplied_by_one_checked_helper(path):
    if path.name != "memory.c":  # adds to a size that it has checked
        assert not list(unchecked_products(code_of(path)))


def test_an_unchecked_product_is_found():
    good = "bp_allocate(rows, sizeof(*at)); p = (char *)bp_allocate(bp_size_product(a, b), c); malloc(size);"
    assert not list(unchecked_products(good))
    for size in ("a * b, 1", "n * sizeof(*at)", "1, f(x) * y", "a + b, 1"):
        assert list(unchecked_products(f"bp_allocate({size})")), size
        assert list(unchecked_products(f"PyMem_Calloc({size})")), size


def is_type_checking(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name_of)
def test_python_reaches_c_through_the_extension_only(path):
    """Neither C by another way nor another library's arithmetic, but for exports/torch.py, to PyTorch."""
    imported = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    only_types = {id(child) for node in ast.walk(tree) if is_type_checking(node) for child in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in only_types:
            continue
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            imported.add(node.module.split(".")[0])
    allowed = {"torch"} if path.parts[-2:] == ("exports", "torch.py") else set()
    assert not imported & {"ctypes", "cffi", "torch", "scipy", "numba"} - allowed


def test_every_public_name_is_in_the_api_reference():
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md"))
    named = set(re.findall(r"^\.\. auto\w+:: (?:backprop\.)?(\S+)", pages, re.M))
    modules = {"datasets", "kernels", "plots", "schedules", "callbacks"}
    assert {*bp.__all__, "Widget"} <= named
    assert modules <= named
