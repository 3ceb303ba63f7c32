"""Settings of Sphinx; `make docs` builds the pages."""

import re
import shutil
from pathlib import Path

import backprop

HERE = Path(__file__).resolve().parent

# The notebooks live in examples/; Sphinx reads only what lies below this folder.
shutil.rmtree(HERE / "tutorial", ignore_errors=True)
shutil.copytree(HERE.parent / "examples", HERE / "tutorial", ignore=shutil.ignore_patterns(".*"))

project = "backprop"
author = "The backprop developers"
copyright = author
version = release = backprop.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax", "numpydoc", "myst_nb"]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
default_role = "autolink"

autosummary_generate = False
autodoc_typehints = "none"  # the docstrings say it in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # they are saved with their outputs; tests/examples/test_notebooks.py runs them

nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(numpy|copy|pickle|str|torch|onnx|matplotlib|sklearn)\b.*")]  # not ours

html_theme = "furo"
html_title = f"backprop {release}"
html_theme_options = {"navigation_with_keys": True}


def escape_bars(app, what, name, obj, options, lines):
    """|d| in a docstring is a size, not a substitution of reStructuredText's."""
    for i, line in enumerate(lines):
        parts = re.split("(``.*?``)", line)
        lines[i] = "".join(part if part.startswith("``") else part.replace("|", r"\|") for part in parts)


def setup(app):
    app.connect("autodoc-process-docstring", escape_bars, priority=900)
