"""The page that draws a `Stage`: a JavaScript module and a style sheet, for notebooks and for ``play``."""

from __future__ import annotations

import os

FOLDER = os.path.dirname(__file__)


def text(name: str) -> str:
    """One of the page's files."""
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()
