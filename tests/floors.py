"""The order of the floors of both languages, what each file imports, and the picture of that in the docs.

    python tests/floors.py >docs/images/floors.svg
"""

import ast
import re
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# A module imports from modules before it only. The name of a package stands for its __init__.py.
PYTHON = """
ground:    _version _stamp _types _validate _sparse _notation _table _columns _figures _classes _idx _packed
           _npz _attributes _initial _of_members _axes _plots_of_members
objects:   _custom activations losses layer schedules _optimizer optimizers solvers results kernels datasets
base:      _base
files:     files.writing files.descriptions files.format files
check:     check.differences check.rounding check.gradient check
plots:     plots
history:   history
callbacks: callbacks
exports:   exports.fixed_point exports.integers exports.c99 exports.onnx exports.torch exports
draw:      draw.shapes draw.scales draw.svg draw.png draw.drawing draw.scene draw
explain:   explain.terms explain.wording explain.text explain.latex explain.html explain.check
           explain.explanation explain.moves explain
fit:       fit.threads fit.precision fit.progress fit.rates fit.streams fit.reader fit.ranks fit.finite
           fit.samples fit.quality fit.metrics fit.figures fit.observers fit.plan fit.blame fit.whole_batch
           fit.engine fit.loop fit
face:      _explainable _exportable network rate_search
           population.members population.samples population.evaluate population.asked population.rates
           population.plan population.patience population.stopping population.history population.engine
           population.loop population.files population.population population backprop
sklearn:   sklearn.warn sklearn.labels sklearn.samples sklearn.scaling sklearn.parameters sklearn.stopping
           sklearn.halving sklearn.watching sklearn.training sklearn.fitted sklearn.bagging
           sklearn.estimator sklearn.classifier sklearn.regressor
           sklearn.candidates sklearn.search sklearn
play:      play.page play.stage play.answers play.server play
widget:    widget
lesson:    lesson
cli:       cli.dialect cli.tables cli.columns cli.classes cli.scaling cli.reading cli.data cli.arguments
           cli.parts cli.build cli.bench cli.train cli.use cli.train_options cli.options cli __main__
"""
# A room includes from itself and from rooms before it only; solve stands beside train and population.
C = ("kernels", "base", "network", "data", "passes", "evaluate", "train", "solve", "population", "python")
APART = {("solve", "train"), ("population", "solve")}
# What the package hands on when it is first asked for, since it needs other packages.
HANDED_ON = {("backprop", "sklearn"), ("backprop", "widget"), ("backprop", "lesson")}


def python_rooms():
    """The modules of each room, in their order."""
    rooms = {}
    for line in PYTHON.strip().splitlines():
        name, colon, modules = line.partition(":")
        if not colon:
            name, modules = list(rooms)[-1], line
        rooms.setdefault(name, []).extend(modules.split())
    return rooms


def module_of(path):
    """A file's name as it stands in the order: cli.data; explain and backprop for their __init__.py."""
    parts = [*path.relative_to(ROOT / "backprop").with_suffix("").parts]
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts) or "backprop"


def python_files():
    return {module_of(path): path for path in sorted((ROOT / "backprop").rglob("*.py"))}


def imports_of(path, modules):
    """The modules of ours that a file imports, anywhere in it and for types too; not the engine."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # of a package either a module of it or a name of its __init__.py
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package != "backprop" or rest.split(".")[0] == "_core":
                continue
            within = rest if rest in modules else rest.rpartition(".")[0]
            found.add(within or "backprop")
    return found - {module_of(path)}


def python_edges():
    """(a module, what it imports) of all modules."""
    files = python_files()
    return {name: imports_of(path, files) for name, path in files.items()}


def room_of(path):
    """The room of a C file."""
    parts = path.relative_to(ROOT / "csrc").parts
    return parts[1] if parts[0] == "core" else parts[0]


def c_files():
    return sorted(path for path in (ROOT / "csrc").rglob("*") if path.suffix in (".c", ".h", ".inc"))


def includes_of(path):
    """The files of ours that a C file includes."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for name in re.findall(r'^\s*#\s*include\s*"([^"]+)"', text, flags=re.MULTILINE):
        beside = path.parent / name
        yield beside.resolve() if beside.is_file() else ROOT / "csrc" / name


def c_edges():
    return {path: set(includes_of(path)) for path in c_files()}


def room_edges():
    """(a room, the rooms that it uses) of both languages, those of Python first."""
    of_module = {module: room for room, modules in python_rooms().items() for module in modules}
    edges = {room: set() for room in python_rooms()}
    for module, imported in python_edges().items():
        downwards = {name for name in imported if (module, name) not in HANDED_ON}
        edges[of_module[module]] |= {of_module[name] for name in downwards}
    for path, included in c_edges().items():
        used = edges.setdefault(f"csrc: {room_of(path)}", set())
        used |= {f"csrc: {room_of(name)}" for name in included}
    for path in python_files().values():  # the engine is csrc/python
        if re.search(r"\b_core\b", path.read_text(encoding="utf-8")):
            edges[of_module[module_of(path)]].add("csrc: python")
    return {room: used - {room} for room, used in edges.items()}


def needed(edges):
    """The edges without those that others imply: of a → b → c and a → c the last."""

    def reach(room):
        return edges[room].union(*(reach(used) for used in edges[room]))

    return {room: used - set().union(*(reach(other) for other in used)) for room, used in edges.items()}


def levels(edges):
    """The floor of each room, from 0: above all that it uses; one that uses nothing just below its users."""
    level = {}

    def of(room):
        if room not in level:
            level[room] = 1 + max((of(used) for used in edges[room]), default=-1)
        return level[room]

    for room in edges:
        of(room)
    for room in (room for room, used in edges.items() if not used):
        level[room] = min(level[user] for user, used in edges.items() if room in used) - 1
    return level


WIDTH, HEIGHT, GAP, BETWEEN = 128, 30, 18, 34


def picture():
    """The rooms as SVG, each above all that it uses; a line is an import that no others imply."""
    edges = room_edges()
    level = levels(edges)
    rows = [[room for room in edges if level[room] == n] for n in range(max(level.values()) + 1)]
    across = max(map(len, rows)) * (WIDTH + GAP) + GAP
    down = len(rows) * (HEIGHT + BETWEEN) + GAP
    place = {}
    for n, row in enumerate(rows):
        left = (across - len(row) * (WIDTH + GAP) + GAP) / 2
        for i, room in enumerate(row):
            place[room] = left + i * (WIDTH + GAP), down - GAP - HEIGHT - n * (HEIGHT + BETWEEN)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across} {down}" role="img" '
        'font-family="sans-serif" font-size="13" text-anchor="middle">',
        "<title>The floors: what a room uses lies below it</title>",
        f'<rect width="{across}" height="{down}" fill="#ffffff"/>',
    ]
    for room, used in needed(edges).items():
        x, y = place[room]
        for other in sorted(used):
            to_x, to_y = place[other]
            start, end = f"{x + WIDTH / 2:g} {y + HEIGHT:g}", f"{to_x + WIDTH / 2:g} {to_y:g}"
            bend = (y + HEIGHT + to_y) / 2
            curve = f"C {x + WIDTH / 2:g} {bend:g} {to_x + WIDTH / 2:g} {bend:g} {end}"
            lines.append(f'<path d="M {start} {curve}" fill="none" stroke="#8090a0"/>')
    for room, (x, y) in place.items():
        ground = "#f3e3c8" if room.startswith("csrc") else "#dbe8f5"
        box = f'x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="5"'
        lines.append(f'<rect {box} fill="{ground}" stroke="#405060"/>')
        lines.append(f'<text x="{x + WIDTH / 2:g}" y="{y + 20:g}" fill="#102030">{escape(room)}</text>')
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    sys.stdout.write(picture())
