"""The page that draws what an engine answers, for notebooks, ``play`` and the site."""

from __future__ import annotations

import os
import re

FOLDER = os.path.dirname(__file__)
MODULES = (  # each imports only from those before it
    "numbers.js",
    "round.js",
    "words.js",
    "network.js",
    "plane.js",
    "controls.js",
    "training.js",
    "settings.js",
    "exercises.js",
    "views.js",
    "widget.js",
)


def text(name: str) -> str:
    """One of the page's files."""
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()


def script() -> str:
    """All modules as one, as anywidget takes it: no imports, the last one's exports and `arrayOf`."""
    parts = [f"const EXERCISES = {text('exercises.json')};"]
    for name in MODULES:
        part = re.sub(r"^import [^;]+;\n", "", text(name), flags=re.MULTILINE)
        if name != MODULES[-1]:
            part = re.sub(r"^export ", "", part, flags=re.MULTILINE)
        parts.append(part)
    return "\n".join([*parts, "export { arrayOf };\n"])
