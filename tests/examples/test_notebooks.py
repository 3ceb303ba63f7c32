"""The notebooks run from top to bottom, and what they show is what they were saved with."""

import ast
import contextlib
import importlib.util
import io
import json
import re
from decimal import Decimal

import pytest
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")
LARGEST = 400_000  # bytes of a notebook


def run_cell(source, names, filename):
    """Runs a cell as Jupyter does; its printed text, and its last expression or None."""
    tree = ast.parse(source, filename)
    shown = []
    if tree.body and isinstance(tree.body[-1], ast.Expr) and not source.rstrip().endswith(";"):
        names["_show"] = lambda value: shown.append(value)
        last = tree.body[-1]
        last.value = ast.Call(ast.Name("_show", ast.Load()), [last.value], [])
        ast.fix_missing_locations(tree)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, filename, "exec"), names)
    return printed.getvalue(), (shown or [None])[0]


def shown_as(result):
    """What a notebook shows of a cell's result, by type; nothing of None."""
    makers = {"text/html": "_repr_html_", "text/latex": "_repr_latex_", "image/svg+xml": "_repr_svg_"}
    shown = {} if result is None else {"text/plain": repr(result)}
    return shown | {kind: getattr(result, name)() for kind, name in makers.items() if hasattr(result, name)}


def saved_text(cell):
    """What a cell printed, and showed by type, when the notebook was saved."""
    printed = "".join("".join(out["text"]) for out in cell["outputs"] if out["output_type"] == "stream")
    results = [out["data"] for out in cell["outputs"] if out["output_type"] == "execute_result"]
    return printed, {kind: "".join(text) for kind, text in results[0].items()} if results else {}


def same_text(text, saved):
    """Whether the words are the same, and the numbers within two units of the last digit that is shown."""
    if text is None or saved is None:
        return text == saved
    if NUMBER.sub("#", " ".join(text.split())) != NUMBER.sub("#", " ".join(saved.split())):
        return False
    pairs = zip(map(Decimal, NUMBER.findall(text)), map(Decimal, NUMBER.findall(saved)), strict=True)
    return all(
        abs(one - two) <= 2 * Decimal(1).scaleb(two.as_tuple().exponent) * ("." in str(two))
        for one, two in pairs
    )


def check_widget(cell, names):
    """A cell that shows the page: its saved picture stands for it where no kernel runs."""
    (saved,) = cell["outputs"]
    assert saved["data"].keys() == {"image/png", "text/plain"}
    if importlib.util.find_spec("anywidget") is None:  # an extra that the tests do without
        return
    _, widget = run_cell("".join(cell["source"]), names, "widget")
    assert widget.stage.network is names["net"]
    assert repr(widget) == "".join(saved["data"]["text/plain"])


def test_chapters_4_to_7_have_the_page_in_a_cell():
    for path in NOTEBOOKS[3:7]:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        tags = [cell["metadata"].get("tags") for cell in cells]
        assert tags.count(["widget"]) == 1, path.name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_runs_and_shows_what_was_saved(path):
    pytest.importorskip("matplotlib").use("Agg")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.close("all")  # what other tests left
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 4
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1)), "saved in order"
    names = {}
    for number, cell in enumerate(cells, start=1):
        if cell["metadata"].get("tags") == ["widget"]:
            check_widget(cell, names)
            continue
        printed, result = run_cell("".join(cell["source"]), names, f"{path.name}, cell {number}")
        saved_print, saved_result = saved_text(cell)
        assert same_text(printed, saved_print), f"cell {number} prints {printed!r}, saved was {saved_print!r}"
        shown = shown_as(result)
        png = saved_result.pop("image/png", None)  # beside an SVG, for notebooks that are not trusted
        assert (png is not None) == ("image/svg+xml" in shown), f"cell {number}"
        assert shown.keys() == saved_result.keys(), f"cell {number}"
        for kind, text in shown.items():
            saved = saved_result[kind]
            assert same_text(text, saved), f"cell {number} shows {text!r} as {kind}, saved was {saved!r}"
        displayed = [out for out in cell["outputs"] if out["output_type"] == "display_data"]
        pictures = [out for out in displayed if "image/png" in out["data"]]
        assert bool(pyplot.get_fignums()) == bool(pictures), f"cell {number}: its picture is saved"
        pyplot.close("all")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_small_and_anonymous(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < LARGEST
    assert not re.search(r"/(home|tmp|root|Users|work)/|ipykernel_\d", text)
    outputs = [out for cell in json.loads(text)["cells"] for out in cell.get("outputs", ())]
    assert {out["output_type"] for out in outputs} <= {"display_data", "execute_result", "stream"}
    assert {out["name"] for out in outputs if "name" in out} <= {"stdout"}, "no warnings are saved"


def test_there_is_a_notebook_for_each_chapter():
    assert [int(path.name[:2]) for path in NOTEBOOKS] == list(range(1, 13))


def test_numbers_are_compared():
    assert same_text("loss 0.835, 3 nodes", "loss 0.836, 3 nodes")
    assert not same_text("loss 0.839, 3 nodes", "loss 0.836, 3 nodes")
    assert not same_text("loss 0.835, 4 nodes", "loss 0.835, 3 nodes")
    assert not same_text("loss 0.835", "cost 0.835")
    assert not same_text("2.1e-06", "2.6e-06")
