"""What a picture of a network is made of, in units of an SVG: y grows downwards.

Blue is positive, orange negative and dashed, colours that colour-blind readers tell apart (after Okabe and
Ito 2008, Color Universal Design).
"""

from __future__ import annotations

from typing import NamedTuple

POSITIVE, NEGATIVE = "#0072b2", "#d55e00"
INK, LINE, GROUND = "#1a1a1a", "#767676", "#ffffff"
RADIUS = 17.0  # of a node
FULLEST = 0.55  # of a node's colour, so that its number stays legible


class Line(NamedTuple):
    """An edge, with the number it stands for."""

    x1: float
    y1: float
    x2: float
    y2: float
    width: float
    positive: bool
    title: str


class Circle(NamedTuple):
    """A node."""

    x: float
    y: float
    fullness: float
    positive: bool
    title: str


class Text(NamedTuple):
    """Words; `anchor` is start, middle or end."""

    x: float
    y: float
    text: str
    size: float
    anchor: str


class Arrow(NamedTuple):
    """From (x, y) up or down by `length`; positive lengths point up."""

    x: float
    y: float
    length: float
    title: str


Shape = Line | Circle | Text | Arrow
