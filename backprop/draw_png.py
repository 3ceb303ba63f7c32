"""A drawing as PNG, by Matplotlib (the extra ``plot``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backprop import draw
from backprop.plots import needs_matplotlib

if TYPE_CHECKING:
    from backprop.draw import Drawing

UNITS_PER_INCH = 100
POINTS_PER_UNIT = 72 / UNITS_PER_INCH
ALIGNMENT = {"start": "left", "middle": "center", "end": "right"}


def save_png(drawing: Drawing, path: str, dpi: float) -> None:
    """Writes the drawing as PNG; `Drawing.save` documents it."""
    with needs_matplotlib():
        from matplotlib.figure import Figure
        from matplotlib.patches import Circle, FancyArrowPatch
    figure = Figure(figsize=(drawing.width / UNITS_PER_INCH, drawing.height / UNITS_PER_INCH), dpi=dpi)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    ax.set(xlim=(0, drawing.width), ylim=(drawing.height, 0))
    for order, shape in enumerate(drawing._shapes):
        if isinstance(shape, draw.Line):
            dashes = (0, (6 / shape.width, 3 / shape.width))  # Matplotlib counts in line widths
            ax.plot(
                (shape.x1, shape.x2),
                (shape.y1, shape.y2),
                color=draw.POSITIVE if shape.positive else draw.NEGATIVE,
                linestyle="-" if shape.positive else dashes,
                linewidth=shape.width * POINTS_PER_UNIT,
                alpha=0.8,
                zorder=order,
            )
        elif isinstance(shape, draw.Circle):
            place = (shape.x, shape.y)
            colour = draw.POSITIVE if shape.positive else draw.NEGATIVE
            ax.add_patch(Circle(place, draw.RADIUS, color=draw.GROUND, zorder=order))
            ax.add_patch(Circle(place, draw.RADIUS, color=colour, alpha=shape.fullness, lw=0, zorder=order))
            ax.add_patch(
                Circle(place, draw.RADIUS, fill=False, edgecolor=draw.LINE, linewidth=0.72, zorder=order)
            )
        elif isinstance(shape, draw.Text):
            ax.text(
                shape.x,
                shape.y,
                shape.text,
                fontsize=shape.size * POINTS_PER_UNIT,
                color=draw.INK,
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
                    color=draw.POSITIVE if shape.length > 0 else draw.NEGATIVE,
                    zorder=order,
                )
            )
    figure.savefig(path, dpi=dpi, facecolor=draw.GROUND, metadata={"Description": drawing.description})
