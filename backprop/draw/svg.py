"""Shapes as SVG. The picture has its own ground, light or dark as the reader's system asks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from backprop.draw.shapes import GROUND, INK, LINE, NEGATIVE, POSITIVE, RADIUS, Circle, Line, Shape, Text

STYLE = (
    ".bp-ink{fill:#1a1a1a}.bp-line{stroke:#767676}.bp-ground{fill:#ffffff}"
    "@media(prefers-color-scheme:dark){.bp-ink{fill:#f2f2f2}.bp-line{stroke:#a0a0a0}.bp-ground{fill:#16191d}"
    ".bp-up{stroke:#56b4e9}.bp-down{stroke:#f08a3c}}"
)


def document(shapes: Sequence[Shape], width: float, height: float, description: str) -> str:
    """The shapes as an SVG document of this size."""
    box = f"0 0 {width:g} {height:g}"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{escape(description)}" '
        f'font-family="system-ui, sans-serif"><title>{escape(description)}</title>'
        f"<style>{STYLE}</style>"
        f'<rect class="bp-ground" width="{width:g}" height="{height:g}" fill="{GROUND}"/>'
    )
    return head + "".join(map(_element, shapes)) + "</svg>"


def _element(shape: Shape) -> str:
    if isinstance(shape, Line):
        kind, colour = ("up", POSITIVE) if shape.positive else ("down", NEGATIVE)
        dash = "" if shape.positive else ' stroke-dasharray="6 3"'
        ends = f'x1="{shape.x1:g}" y1="{shape.y1:g}" x2="{shape.x2:g}" y2="{shape.y2:g}"'
        return (
            f'<line class="bp-{kind}" {ends} stroke="{colour}" stroke-width="{shape.width:.2f}"{dash} '
            f'stroke-opacity="0.8">'
            f"<title>{escape(shape.title)}</title></line>"
        )
    if isinstance(shape, Circle):
        place = f'cx="{shape.x:g}" cy="{shape.y:g}" r="{RADIUS:g}"'
        colour = POSITIVE if shape.positive else NEGATIVE
        return (
            f'<circle class="bp-ground" {place} fill="{GROUND}"/>'
            f'<circle class="bp-line" {place} fill="{colour}" fill-opacity="{shape.fullness:.2f}" '
            f'stroke="{LINE}"><title>{escape(shape.title)}</title></circle>'
        )
    if isinstance(shape, Text):
        return (
            f'<text class="bp-ink" x="{shape.x:g}" y="{shape.y:g}" font-size="{shape.size:g}" '
            f'text-anchor="{shape.anchor}" dominant-baseline="central" fill="{INK}">'
            f"{escape(shape.text)}</text>"
        )
    kind, colour = ("up", POSITIVE) if shape.length > 0 else ("down", NEGATIVE)
    tip, barb = shape.y - shape.length, 5.0 if shape.length > 0 else -5.0
    x = shape.x
    return (
        f'<path class="bp-{kind}" d="M{x:g} {shape.y:g}V{tip:.2f}m-4 {barb:g}l4 {-barb:g}l4 {barb:g}" '
        f'fill="none" stroke="{colour}" stroke-width="2.5"><title>{escape(shape.title)}</title></path>'
    )
