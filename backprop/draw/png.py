"""A drawing as PNG, by Matplotlib (the extra ``plot``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from backprop._axes import needs_matplotlib
from backprop.draw import shapes as kinds

UNITS_PER_INCH = 100
POINTS_PER_UNIT = 72 / UNITS_PER_INCH
ALIGNMENT = {"start": "left", "middle": "center", "end": "right"}


def save_png(
    shapes: Sequence[kinds.Shape],
    width: float,
    height: float,
    description: str,
    path: str | IO[bytes],
    dpi: float,
) -> None:
    """Writes shapes as a PNG of this size, in units of the SVG; `Drawing.save` documents it."""
    with needs_matplotlib():
        from matplotlib.figure import Figure
        from matplotlib.patches import Circle, FancyArrowPatch
    figure = Figure(figsize=(width / UNITS_PER_INCH, height / UNITS_PER_INCH), dpi=dpi)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    ax.set(xlim=(0, width), ylim=(height, 0))
    for order, shape in enumerate(shapes):
        if isinstance(shape, kinds.Line):
            dashes = (0, (6 / shape.width, 3 / shape.width))  # Matplotlib counts in line widths
            ax.plot(
                (shape.x1, shape.x2),
                (shape.y1, shape.y2),
                color=kinds.POSITIVE if shape.positive else kinds.NEGATIVE,
                linestyle="-" if shape.positive else dashes,
                linewidth=shape.width * POINTS_PER_UNIT,
                alpha=0.8,
                zorder=order,
            )
        elif isinstance(shape, kinds.Circle):
            place = (shape.x, shape.y)
            colour = kinds.POSITIVE if shape.positive else kinds.NEGATIVE
            ax.add_patch(Circle(place, kinds.RADIUS, color=kinds.GROUND, zorder=order))
            ax.add_patch(Circle(place, kinds.RADIUS, color=colour, alpha=shape.fullness, lw=0, zorder=order))
            ax.add_patch(
                Circle(place, kinds.RADIUS, fill=False, edgecolor=kinds.LINE, linewidth=0.72, zorder=order)
            )
        elif isinstance(shape, kinds.Text):
            ax.text(
                shape.x,
                shape.y,
                shape.text,
                fontsize=shape.size * POINTS_PER_UNIT,
                color=kinds.INK,
                ha=ALIGNMENT[shape.anchor],
                va="center",
                zorder=order,
            )
        else:
            ax.add_patch(
                FancyArrowPatch(
                    (shape.x, shape.y),
                    (shape.x, shape.y - shape.length),
                    arrowstyle="->",
                    mutation_scale=8,
                    shrinkA=0,
                    shrinkB=0,
                    linewidth=1.8,
                    color=kinds.POSITIVE if shape.length > 0 else kinds.NEGATIVE,
                    zorder=order,
                )
            )
    figure.savefig(path, dpi=dpi, facecolor=kinds.GROUND, metadata={"Description": description})
