"""The floors of both languages: nothing imports upwards, nothing goes round in a circle, names with an
underscore stay in their file, and files, functions and structs are of a readable size.

What does not hold today is listed beside each test: an exception that has been mended must leave its list.
"""

import ast
import re

import floors
from conftest import ROOT

from backprop import _core

MOST_LINES = 400  # of a file
MOST_OF_A_FUNCTION = 60  # lines of its body
MOST_FIELDS = 15  # of a struct

UPWARDS = floors.HANDED_ON
UPWARDS_IN_C = set()
LONG_FILES = set()
LONG_FUNCTIONS = set()
LARGE_STRUCTS = set()
PRIVATE_NAMES = set()


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def test_every_module_has_its_place():
    listed = [module for modules in floors.python_rooms().values() for module in modules]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(floors.python_files())
    assert len(listed) >= 90


def test_python_imports_downwards():
    order = [module for modules in floors.python_rooms().values() for module in modules]
    edges = floors.python_edges()
    assert sum(map(len, edges.values())) >= 250
    found = {
        (module, name)
        for module, imported in edges.items()
        for name in imported
        if order.index(name) > order.index(module)
        # a package's __init__.py is above its modules, and is run before them, which hand themselves on
        and not module.startswith(f"{name}.")
    }
    assert found == UPWARDS


def test_wings_know_nothing_of_the_face():
    rooms = floors.python_rooms()
    above = {*rooms["face"]}
    wings = [module for room in list(rooms)[: list(rooms).index("face")] for module in rooms[room]]
    edges = floors.python_edges()
    assert len(wings) >= 55
    assert [module for module in wings if edges[module] & above] == []


def test_c_includes_downwards():
    edges = floors.c_edges()
    assert len(edges) >= 130
    assert sum(map(len, edges.values())) >= 300
    order = floors.C
    assert {floors.room_of(path) for path in edges} == set(order)
    found = set()
    for path, included in edges.items():
        mine = floors.room_of(path)
        for name in included:
            other = floors.room_of(name)
            if order.index(other) > order.index(mine) or (mine, other) in floors.APART:
                found.add((name_of(path), name_of(name)))
    assert found == UPWARDS_IN_C


def test_no_headers_include_each_other():
    edges = {path: included for path, included in floors.c_edges().items() if path.suffix == ".h"}
    assert len(edges) >= 55
    assert circle_in(edges) is None


def circle_in(edges):
    """A circle as a list, or None."""
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node) :]
        if node in done:
            return None
        path.append(node)
        found = next((circle for other in sorted(edges.get(node, ())) if (circle := visit(other))), None)
        path.pop()
        done.add(node)
        return found

    return next((circle for node in edges if (circle := visit(node))), None)


def test_a_circle_is_found():
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert circle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


# Names with an underscore that others define, and mean to be used.
OTHERS = {
    "_ActionsContainer", "_modules", "_forward_hooks", "_forward_pre_hooks", "_asdict", "_fields", "_replace",
    "_getframe",
}  # fmt: skip


def own_names(tree):
    """The names that a module defines, its classes' attributes among them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "cls"):
            yield node.attr


def test_names_with_an_underscore_stay_in_their_file():
    files = floors.python_files()
    engine = {name for kind in (_core, _core.Network, _core.Optimizer) for name in dir(kind)} | {"_core"}
    found, used = set(), 0
    for module, path in files.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        own = set(own_names(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                names = [node.attr]
            elif isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "backprop":
                names = [alias.name for alias in node.names if alias.name not in files]
            else:
                continue
            private = [name for name in names if name.startswith("_") and not name.endswith("_")]
            used += len(private)
            found |= {(module, name) for name in private if name not in own | engine | OTHERS}
    assert used >= 300
    assert found == PRIVATE_NAMES


def python_functions(path):
    """(name, lines of the body without its docstring) of each function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            yield node.name, node.end_lineno - body[0].lineno + 1 if body else 0


def c_functions(path):
    """(its line of arguments, lines of the body) of each function; its braces stand alone."""
    lines, start = path.read_text(encoding="utf-8").splitlines(), None
    for i, line in enumerate(lines):
        if line == "{":
            start = i
        elif line == "}" and start is not None:
            yield lines[start - 1], i - start - 1
            start = None


def structs(path):
    """(name, fields) of each struct."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for struct in re.finditer(r"\bstruct (\w*)\s*\{", text):
        depth, fields, at = 1, 0, struct.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            fields += depth == 1 and text[at] == ";"
            at += 1
        yield struct[1], fields


def test_files_are_short():
    files = [*floors.python_files().values(), *floors.c_files()]
    assert len(files) >= 250
    long = {name_of(path) for path in files if len(path.read_text("utf-8").splitlines()) > MOST_LINES}
    assert long == LONG_FILES


def test_functions_are_short():
    python = [each for path in floors.python_files().values() for each in python_functions(path)]
    c = [each for path in floors.c_files() for each in c_functions(path)]
    assert len(python) >= 800
    assert len(c) >= 600
    assert {name for name, lines in [*python, *c] if lines > MOST_OF_A_FUNCTION} == LONG_FUNCTIONS


def test_structs_are_small():
    found = [each for path in floors.c_files() for each in structs(path)]
    assert len(found) >= 60
    assert {name for name, fields in found if fields > MOST_FIELDS} == LARGE_STRUCTS


def test_the_picture_in_the_docs_is_drawn_from_the_imports():
    """make floors draws it anew."""
    drawn = (ROOT / "docs/images/floors.svg").read_text(encoding="utf-8")
    assert drawn == floors.picture(), "make floors"
