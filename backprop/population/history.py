"""What a population's fit returns: a number per epoch, quantity and member."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop.history import SHOWN_ROWS, History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray


class PopulationHistory(History):
    """The figures of a population's training, a dict from a name to a list with one entry per epoch.

    The keys are `backprop.History`'s. Each entry is an array (members,), NaN where a member was not trained
    any more; only "seconds" has a number for all of them. ``np.stack(history["loss"])`` is (epochs, members).

    Parameters
    ----------
    keys : sequence of str
        The quantities; fit makes it, and fills it.
    members : int

    Attributes
    ----------
    stopped : ndarray of str, (members,)
        Why each member's training ended: "epochs", all were done; "patience", it brought nothing any more;
        "target", its loss reached the target; "diverged"; "callback".
    best_epoch : ndarray of int64, (members,)
        With ``patience=`` the epoch, from 1, whose parameters each member has; else 0.
    """

    stopped: Any
    best_epoch: NDArray[np.int64]

    def __init__(self, keys: Sequence[str], members: int) -> None:
        super().__init__(keys)
        self.stopped = np.full(members, "epochs", dtype="<U8")
        self.best_epoch = np.zeros(members, np.int64)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (tuple(self), len(self.stopped)), dict(vars(self)), None, iter(self.items())

    def of_member(self, i: int) -> History:
        """The history of one member alone, up to where its training ended.

        Parameters
        ----------
        i : int

        Returns
        -------
        History

        Raises
        ------
        IndexError
            If there is no such member.
        """
        trained = sum(math.isfinite(losses[i]) for losses in self["loss"])
        history = History(tuple(self))
        for key, values in self.items():
            every: list[Any] = values[:trained]
            history[key] = [float(value if key == "seconds" else value[i]) for value in every]
        history.stopped = str(self.stopped[i])
        return history

    def to_dict(self) -> dict[str, Any]:
        """A plain dict of arrays.

        Returns
        -------
        dict of str to ndarray, (epochs, members), and of "seconds", (epochs,)
            Copies.
        """
        shape = (0, len(self.stopped))
        return {
            key: np.array(values) if len(values) or key == "seconds" else np.empty(shape)
            for key, values in self.items()
        }

    def plot(self, *keys: str, ax: Axes | None = None) -> Axes:
        """Draws quantities over the epochs: the members' median, and bands of the inner half and of all.

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
        from backprop._plots_of_members import plot_bands

        keys = keys or tuple(key for key in ("loss", "validation_loss") if key in self)
        for number, key in enumerate(keys):
            values = np.array(self[key])
            values = values[:, np.newaxis] if values.ndim == 1 else values  # seconds are of all members
            ax = plot_bands(values, label=key.replace("_", " "), number=number, ax=ax)
        assert ax is not None
        ax.set_xlabel("epoch")
        ax.legend()
        return ax

    def plot_parallel(
        self, settings: Mapping[str, ArrayLike], *, key: str | None = None, ax: Axes | None = None
    ) -> Axes:
        """Draws each member as a line through its settings to how it ended; see
        `backprop.plots.plot_parallel`.

        Parameters
        ----------
        settings : dict of str to array_like, (members,)
            What the members differ in: ``{"lr": rates, "momentum": momenta}``.
        key : str, optional
            The quantity at the right, each member's best over the epochs; the validation loss by default, or
            the loss.
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        KeyError
            If the history has no such quantity.
        ValueError
            If the settings are not of all members.
        ImportError
            If Matplotlib is missing.
        """
        from backprop._plots_of_members import plot_parallel

        key = key or ("validation_loss" if "validation_loss" in self else "loss")
        return plot_parallel(settings, self.best(key), label=key.replace("_", " "), ax=ax)

    def best(self, key: str) -> NDArray[np.float64]:
        """The best value of each member over the epochs: the highest of an accuracy or R², else the lowest.

        Parameters
        ----------
        key : str

        Returns
        -------
        ndarray of float64, (members,)
            NaN of a member that has none.

        Raises
        ------
        KeyError
            If the history has no such quantity.
        """
        values = np.array(self[key], np.float64).reshape(-1, len(self.stopped))
        upwards = key.endswith(("accuracy", "r2"))
        lost = -np.inf if upwards else np.inf
        filled = np.where(np.isnan(values), lost, values)
        best = filled.max(axis=0, initial=lost) if upwards else filled.min(axis=0, initial=lost)
        return np.where(best == lost, np.nan, best)

    def __str__(self) -> str:
        return f"{len(self.stopped)} members, median (lowest to highest)\n{super().__str__()}"

    __repr__ = __str__

    def _rows(self) -> Iterator[list[str]]:
        """The table's cells, a row per epoch; of a long history the first and the last ones."""
        half = SHOWN_ROWS // 2
        for i in range(self.epochs):
            if self.epochs > SHOWN_ROWS and i == half:
                yield ["…"] * (1 + len(self))
            if self.epochs <= SHOWN_ROWS or not half <= i < self.epochs - half:
                yield [str(i + 1), *(_cell(np.asarray(values[i])) for values in self.values())]


def _cell(values: NDArray[Any]) -> str:
    known = values[~np.isnan(values)]
    if known.size == 0:
        return "–"
    low, middle, high = float(known.min()), float(np.median(known)), float(known.max())
    if values.ndim == 0 or math.isclose(low, high):
        return f"{middle:.4g}"
    return f"{middle:.4g} ({low:.4g} to {high:.4g})"
