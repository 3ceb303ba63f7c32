"""The progress bar: tqdm's, over the epochs."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Mapping
from typing import Any

from backprop._figures import is_own

SECONDS_BETWEEN_UPDATES = 0.05
SHOWN = ("loss", "accuracy", "r2", "validation_loss", "validation_accuracy", "validation_r2")


class Progress:
    """A bar over the epochs, or none; a context that closes it.

    Parameters
    ----------
    shown : bool
        Whether there is a bar.
    epochs : int

    Attributes
    ----------
    budget : float
        Seconds after which the bar is to be updated; infinite where there is none.
    """

    def __init__(self, shown: bool, epochs: int) -> None:
        self._bar = _tqdm(epochs) if shown and _can_be_written_to(sys.stderr) else None
        self.budget = math.inf if self._bar is None else SECONDS_BETWEEN_UPDATES

    def __bool__(self) -> bool:
        return self._bar is not None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *of_error: object) -> None:
        if self._bar is not None:
            with contextlib.suppress(OSError, ValueError):  # standard error has been closed
                self._bar.close()

    def advance(self, epochs: int, record: Mapping[str, float]) -> None:
        """So many epochs more are done; the record is of the last one."""
        if self._bar is None:
            return
        try:
            self._bar.set_postfix(_postfix(record), refresh=False)
            self._bar.update(epochs)
        except (OSError, ValueError):  # standard error has been closed: no reason to end training
            self._bar.disable = True
            self._bar, self.budget = None, math.inf


def is_watched() -> bool:
    """Whether someone looks on: in a terminal or a notebook."""
    return _can_be_written_to(sys.stderr) and ("ipykernel" in sys.modules or sys.stderr.isatty())


def _can_be_written_to(file: Any) -> bool:
    """Whether there is such a file, and it is open: a program without a console has no standard error."""
    return file is not None and not getattr(file, "closed", False)


def _postfix(record: Mapping[str, float]) -> dict[str, str]:
    """What the bar shows beside the epochs."""
    measured = {key: record.get(key, math.nan) for key in SHOWN}
    measured |= {key: value for key, value in record.items() if is_own(key) and key != "epoch"}
    figures = {key: f"{value:.4f}" for key, value in measured.items() if not math.isnan(value)}
    return figures | {
        key: f"{record[key]:.3g}" for key in ("lr", "damping", "gradient_norm") if key in record
    }


def _tqdm(epochs: int) -> Any:
    from tqdm.auto import tqdm

    try:
        size_unknown = os.get_terminal_size(sys.stderr.fileno()).columns == 0
    except (OSError, ValueError, AttributeError):  # no terminal
        size_unknown = False
    # tqdm shows nothing in a terminal that does not know its size.
    size = {"ncols": 80, "nrows": 24} if size_unknown else {"dynamic_ncols": True}
    return tqdm(total=epochs, unit="epoch", **size)
