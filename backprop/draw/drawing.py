"""A picture of a network, which shows and saves itself."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from backprop.draw.svg import document

if TYPE_CHECKING:
    from backprop.draw.shapes import Shape

DOTS_PER_INCH = 80  # of a PNG in a notebook


class Drawing:
    """A picture of a network: shows itself in a notebook, and saves itself as SVG or PNG."""

    def __init__(
        self, shapes: Sequence[Shape], width: float, height: float, description: str
    ) -> None:
        self._shapes = shapes
        self.width, self.height = width, height
        self.description = description  #: in words, for those who can't see it

    @property
    def svg(self) -> str:
        """The picture as an SVG document."""
        return document(self._shapes, self.width, self.height, self.description)

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_png_(self) -> bytes | None:
        """For notebooks that are not trusted, which show no SVG; None without the extra ``plot``."""
        from backprop.draw.png import save_png

        content = io.BytesIO()
        try:
            save_png(self._shapes, self.width, self.height, self.description, content, DOTS_PER_INCH)
        except ImportError:
            return None
        return content.getvalue()

    def __repr__(self) -> str:
        return f"<Drawing: {self.description}>"

    def save(self, path: str | os.PathLike[str], *, dpi: float = 200) -> None:
        """Writes the picture to a file; its ending, .svg or .png, says in which format.

        Parameters
        ----------
        path : str or path
        dpi : float
            Dots per inch of a PNG, an inch being 100 of the picture's units.

        Raises
        ------
        ImportError
            If a PNG is asked for and Matplotlib is missing.
        ValueError
            If the ending is another.
        OSError
            If the file cannot be written.
        """
        path = os.fspath(path)
        ending = os.path.splitext(path)[1].lower()
        if ending == ".svg":
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.svg)
        elif ending == ".png":
            from backprop.draw.png import save_png

            save_png(self._shapes, self.width, self.height, self.description, path, dpi)
        else:
            raise ValueError(f"a drawing is saved as .svg or .png, got the path {path!r}")
