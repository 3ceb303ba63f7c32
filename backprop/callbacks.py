"""Callbacks of `Network.fit`, and two of them.

A callback is any callable ``callback(network, record)``. fit calls it after every epoch with the network,
whose parameters are up to date and may be changed, and a dict of the epoch's figures: "epoch" (from 1) and
the keys of `History`. The rate is changed by ``optimizer.lr = ...``. Training stops after an epoch for which
a callback returns True. Two methods are called where a callback has them: ``start(network, quantities)``
before training, with the names that the records will hold, and ``finish(network)`` after it, unless training
was ended by an exception.

With ``comm`` callbacks are called on every rank, and must change network and rate alike on each; one that
has an attribute ``first_rank_only = True``, as `Checkpoint` has, on rank 0 only.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._figures import MODES, improves, is_own, worst
from backprop._validate import finite_number, name_among, suggestion, whole_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop._base import BaseNetwork
    from backprop.optimizers import Optimizer
    from backprop.solvers import WholeBatch


class EarlyStopping:
    """Stops training when a quantity has not improved for some epochs.

    Parameters
    ----------
    monitor : str
        "loss", "accuracy" or "r2", as `History` has them, or the name of one of fit's ``metrics``, or any of
        these with ``"validation_"`` before it.
    mode : "auto", "min" or "max"
        Which way it improves; "auto" is downwards for losses and upwards for the others, metrics of your
        own included: of an error say "min".
    patience : int
        How many epochs in a row may bring no improvement; at least 1.
    min_delta : float
        By how much a better value must be better, ≥ 0.
    restore_best : bool
        Whether the network gets the parameters of its best epoch back when fit ends, whether stopped
        early or not. The optimizer's state stays that of the last epoch.

    Attributes
    ----------
    best : float
        The best value so far.
    best_epoch : int
        The epoch that gave it, from 1; 0 before the first.

    Raises
    ------
    ValueError
        If a setting makes no sense; from fit, before training, if monitor is not measured.
    """

    _mode = "auto"  # of one that was pickled before it had a mode

    def __init__(
        self,
        monitor: str = "validation_loss",
        *,
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = True,
        mode: str = "auto",
    ) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be the name of a figure, got {type(monitor).__name__} {monitor!r}")
        if monitor.startswith("val_"):
            raise ValueError(f"there is no {monitor!r}: did you mean {'validation' + monitor[3:]!r}?")
        self.monitor = monitor
        self._mode = name_among("mode", mode, MODES)
        self.patience = whole_number("patience", patience)
        self.min_delta = finite_number("min_delta", min_delta)
        if self.min_delta < 0:
            raise ValueError(f"min_delta must be at least 0, got {min_delta}")
        self.restore_best = restore_best
        self._reset()

    def _reset(self) -> None:
        self.best = worst(self.monitor, self._mode)
        self.best_epoch = 0
        self._parameters: NDArray[Any] | None = None

    def start(self, network: BaseNetwork, quantities: Sequence[str]) -> None:
        """Forgets an earlier training."""
        if self.monitor not in quantities:
            raise ValueError(
                f"EarlyStopping watches {self.monitor!r}, but this fit measures only "
                f"{', '.join(quantities)}{suggestion(self.monitor, quantities)}; {self._remedy(quantities)}"
            )
        self._reset()

    def _remedy(self, quantities: Sequence[str]) -> str:
        """What to do where the monitored figure is not measured."""
        if f"validation_{self.monitor}" in quantities:
            return f"watch 'validation_{self.monitor}'"
        if self.monitor.startswith("validation") and "validation_loss" not in quantities:
            return "give fit validation=(x, y)"
        if self.monitor.endswith("accuracy"):
            return "accuracy is for classes: watch the loss of a regression"
        if is_own(self.monitor):
            return "a figure of your own is one of fit's metrics={name: f}"
        return "R² is for regressions with a squared error"

    def __call__(self, network: BaseNetwork, record: dict[str, float]) -> bool:
        """True when patience has run out."""
        value = record[self.monitor]
        if improves(self.monitor, value, self.best, self.min_delta, self._mode):
            self.best, self.best_epoch = value, int(record["epoch"])
            if self.restore_best:
                self._parameters = network._locked(network.parameters.copy)
        return record["epoch"] - self.best_epoch >= self.patience

    def finish(self, network: BaseNetwork) -> None:
        """Puts the best epoch's parameters back."""
        best = self._parameters
        if best is not None:
            network._locked(lambda: np.copyto(network.parameters, best))
            self._parameters = None


class Checkpoint:
    """Saves the network while it trains, as `Network.save` does: a file is always a whole one.

    Parameters
    ----------
    path : str or path
        Where to; "{epoch}" in it becomes the epoch's number, and "{loss}", "{validation_loss}" and so on
        the figures, with a format as for `str.format`: "net-{epoch:03}.safetensors".
    every : int
        Saves after every so many epochs; ≥ 1.
    monitor : str, optional
        A key of `History`: saves only where it is better than at any save before.
    mode : "auto", "min" or "max"
        As for `EarlyStopping`.
    optimizer : optional
        The one that fit is given, to be saved too: ``backprop.load(path, optimizer=True)`` then gives all
        that is needed to go on bit for bit, and ``optimizer.steps`` is how far the training had come.

    Attributes
    ----------
    best : float or None
        The monitored figure at the last save.

    Raises
    ------
    ValueError
        From fit, before training, if monitor is not measured or path names something that is not.
    """

    first_rank_only = True
    _mode = "auto"  # of one that was pickled before it had a mode

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        every: int = 1,
        monitor: str | None = None,
        optimizer: Optimizer | WholeBatch | None = None,
        mode: str = "auto",
    ) -> None:
        self._mode = name_among("mode", mode, MODES)
        self.path = os.fspath(path)
        self.every = whole_number("every", every)
        self.monitor = monitor
        self.optimizer = optimizer
        self.best: float | None = None

    def start(self, network: BaseNetwork, quantities: Sequence[str]) -> None:
        """Forgets an earlier training."""
        if self.monitor is not None and self.monitor not in quantities:
            raise ValueError(
                f"Checkpoint watches {self.monitor!r}, but this fit measures only {', '.join(quantities)}"
            )
        try:
            self._path_of({"epoch": 1} | dict.fromkeys(quantities, 0.0))
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"the path {self.path!r} may name epoch, {', '.join(quantities)}; it has {error}"
            ) from error
        self.best = None

    def __call__(self, network: BaseNetwork, record: dict[str, float]) -> None:
        """Saves if it is time to."""
        if int(record["epoch"]) % self.every != 0:
            return
        if self.monitor is not None:
            value = record[self.monitor]
            if self.best is not None and not improves(self.monitor, value, self.best, mode=self._mode):
                return
            self.best = value
        self.write(network, self._path_of(record))

    def write(self, network: BaseNetwork, path: str) -> None:
        """Writes one file. A subclass may put more into it.

        Parameters
        ----------
        network : Network
        path : str
            With the epoch and figures put in.

        Raises
        ------
        OSError, ValueError
            As from `Network.save`.
        """
        from backprop.files.format import save

        save(network, path, optimizer=self.optimizer)

    def _path_of(self, record: dict[str, float]) -> str:
        return self.path.format(**record)
