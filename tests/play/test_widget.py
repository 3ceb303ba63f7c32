"""`bp.Widget` without a browser: what goes to the page and comes back. test_browser.py shows it."""

import inspect
import re
import subprocess
import sys

import numpy as np
import pytest

import backprop as bp
from backprop.play import page
from backprop.play.answers import numbers_of


@pytest.fixture
def widget():
    """A widget of a small network, and the list of what it sends."""
    pytest.importorskip("anywidget", reason="the widget needs anywidget: pip install 'cbackprop[notebook]'")
    x, y = bp.datasets.circles(20, rng=0)
    widget = bp.Widget(bp.Network.dense(2, 3, 1, seed=0), x, y, sample=3, nodes=4, optimizer=bp.SGD(0.25))
    widget.sent = []
    widget.send = lambda content, buffers=None: widget.sent.append(content)
    return widget


def test_a_message_is_answered_with_its_id(widget):
    widget._handle_custom_msg({"id": "a-1", "message": {"do": "step", "first": 3}}, [])
    (sent,) = widget.sent
    assert sent["id"] == "a-1"
    shown = sent["answer"]["state"]
    assert np.array_equal(numbers_of(shown["parameters"]), widget.stage.network.parameters)
    assert (shown["optimizer"]["lr"], shown["first"], shown["nodes"], shown["undo"]) == (0.25, 3, 4, 1)


def test_what_is_no_message_is_let_be(widget):
    for content in (None, "next", {}, {"event": "other"}):
        widget._handle_custom_msg(content, [])
    assert widget.sent == []
    widget._handle_custom_msg({"id": 1, "message": None}, [])
    assert "must be a dict" in widget.sent[0]["answer"]["error"]


def test_it_shows_itself_with_the_page_of_play(widget):
    assert widget._esm == page.script()
    assert widget._css == page.text("widget.css")
    assert "application/vnd.jupyter.widget-view+json" in widget._repr_mimebundle_()[0]


def test_no_name_stands_in_two_modules_of_the_page():
    """All are one script in a notebook."""
    names = []
    for module in page.MODULES:
        text = page.text(module)
        names += re.findall(r"^(?:export )?(?:async )?(?:function|class) (\w+)", text, flags=re.MULTILINE)
        for declared in re.findall(r"^(?:export )?const ([^;]+?);", text, flags=re.MULTILINE | re.DOTALL):
            names += re.findall(r"(?:^|, )(\w+) = ", declared.split("=>")[0])
    assert len(names) > 80
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_its_signature_is_what_sphinx_and_notebooks_read(widget):
    """traitlets' __new__ takes anything; Sphinx asks for __signature__ before that."""
    assert list(bp.Widget.__signature__.parameters)[:3] == ["network", "x", "y"]
    assert inspect.signature(bp.Widget) == bp.Widget.__signature__


def test_without_anywidget_the_error_names_the_extra():
    code = "import sys; sys.modules['anywidget'] = None; import backprop as bp; bp.Widget"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: backprop.Widget needs anywidget; install it with: pip install")
    assert "'cbackprop[notebook]'" in last
