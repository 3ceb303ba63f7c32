"""What `Network.fit` returns: one number per epoch and quantity."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from backprop._columns import Columns
from backprop._table import table
from backprop._validate import suggestion

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

SHOWN_ROWS = 20


class History(Columns):
    """The figures of a training, a dict from a name to a list with one entry per epoch.

    Keys are "loss", the mean of C over the epoch's samples as they were trained on; "accuracy", the
    same for the accuracy, where there are classes; "r2", 1 - C / (C of the best constant outputs), for a
    regression with a squared error on arrays; with ``validation=`` "validation_loss" and
    "validation_accuracy" or "validation_r2", taken after the epoch; "lr", the rate of the epoch's last step;
    with ``metrics=`` their names, likewise with ``"validation_"`` before them where there are such samples;
    with ``norms=True`` "weight_norm", the 2-norm of all parameters after the epoch, and "gradient_norm", the
    mean over its steps of that of the gradient, penalties included, before clipping; and "seconds", which
    epochs of less than two microseconds share, up to 16 of them.
    ``print(history)`` shows a table, and ``pandas.DataFrame(history)`` is one.

    With `LBFGS` and `LevenbergMarquardt`, "loss" is C after the iteration, and instead of "lr" there are
    "gradient_norm", the 2-norm of ∂C/∂w there; "step", how far the parameters moved, 2-norm; "evaluations",
    how often C was computed, of which the first iteration has one more, where it began; and, with
    Levenberg-Marquardt, "damping", the μ of the step, and if it is Bayesian "effective_parameters" and
    "log_evidence", which is NaN until the penalties were found anew once. An iteration that found no better
    point has a step of 0 and is the last.

    Parameters
    ----------
    keys : sequence of str
        The quantities; fit makes it, and fills it.

    Attributes
    ----------
    stopped : str
        Why training ended: "epochs", all were done; "target", C reached the target; "callback", one returned
        True; "gradient", no entry of the gradient was above the tolerance; "stalled", no better point was
        found; "settled", the Bayesian penalties are found, and the parameters rest.
    steps : dict of str to ndarray of float64, (steps,)
        With ``record="steps"`` "loss", C over each step's batch before it moved anything, and "lr", its rate;
        else empty.

    Raises
    ------
    KeyError
        On asking for a quantity that was not measured; the message names those that were.
    """

    stopped = "epochs"  # of a history that was pickled before it had a reason

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__({key: [] for key in keys})
        self.steps: dict[str, NDArray[np.float64]] = {}

    def __missing__(self, key: str) -> list[float]:
        near = suggestion(key, self) if isinstance(key, str) else ""
        raise KeyError(f"no {key!r} in this history{near}; it has {', '.join(self)}")

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.update(state.pop("_columns", {}))  # of a history that was pickled before it was a dict
        self.__dict__.update({"steps": {}} | state)

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return len(next(iter(self.values())))

    def to_dict(self) -> dict[str, list[float]]:
        """A plain dict of lists.

        Returns
        -------
        dict of str to list of float
            Copies.
        """
        return {key: list(values) for key, values in self.items()}

    def plot(self, *keys: str, ax: Axes | None = None) -> Axes:
        """Draws quantities over the epochs with Matplotlib (the extra ``plot``).

        Parameters
        ----------
        *keys : str
            What to draw; the loss and, where there is one, the validation loss if none is given.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If Matplotlib is missing.
        KeyError
            If the history has no such quantity.
        """
        keys = keys or tuple(key for key in ("loss", "validation_loss") if key in self)
        curves = [(key, self[key]) for key in keys]
        from backprop._axes import axes_or_new

        ax = axes_or_new(ax)
        for key, values in curves:
            ax.plot(range(1, len(values) + 1), values, label=key.replace("_", " "))
        ax.set_xlabel("epoch")
        ax.legend()
        return ax

    def __str__(self) -> str:
        rows = [["epoch", *(key.replace("_", " ") for key in self)], *self._rows()]
        return "\n".join(table(rows, gap=2))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{key.replace('_', ' ')}</th>" for key in ("epoch", *self))
        body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in self._rows())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _rows(self) -> Iterator[list[str]]:
        """The table's cells, a row per epoch; of a long history the first and the last ones."""
        for i in range(self.epochs):
            if self.epochs > SHOWN_ROWS and i == SHOWN_ROWS // 2:
                yield ["…"] * (1 + len(self))
            if self.epochs <= SHOWN_ROWS or not SHOWN_ROWS // 2 <= i < self.epochs - SHOWN_ROWS // 2:
                yield [str(i + 1), *(_cell(values[i]) for values in self.values())]


def _cell(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4g}"
