"""The command line's data: read, split and scaled; and how a saved network remembers its scaling."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backprop import datasets
from backprop.cli import reading
from backprop.files.format import load_all
from backprop.network import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Notes = Mapping[str, float | list[float]]


class Scaling(NamedTuple):
    """What a network is given for x, (x − mean) / scale, and what its outputs a stand for,
    a · target_scale + target_mean; None where targets stay as they are, as labels do."""

    scale: float | NDArray[np.float64]
    mean: NDArray[np.float64] | None = None
    target_scale: NDArray[np.float64] | None = None
    target_mean: NDArray[np.float64] | None = None

    @property
    def is_regression(self) -> bool:
        """Whether the targets are numbers rather than labels."""
        return self.target_scale is not None

    def of_inputs(self, x: NDArray[Any]) -> NDArray[Any]:
        """x as the network takes it; float32 unless x is float64."""
        kind = np.float64 if x.dtype == np.float64 and self.mean is not None else np.float32
        shifted = x if self.mean is None else x - self.mean
        return np.asarray(shifted / np.asarray(self.scale, kind))

    def of_targets(self, y: NDArray[Any]) -> NDArray[Any]:
        """y as the network is trained on it."""
        if self.target_scale is None or self.target_mean is None:
            return y
        return np.asarray((y.reshape(len(y), -1) - self.target_mean) / self.target_scale)

    def of_outputs(self, a: NDArray[Any]) -> NDArray[Any]:
        """Outputs in the targets' units."""
        if self.target_scale is None or self.target_mean is None:
            return a
        return np.asarray(a * self.target_scale + self.target_mean)

    def to_notes(self) -> dict[str, float | list[float]]:
        """What is saved with a network."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in self._asdict().items()
            if value is not None
        }


def learn_scaling(x: NDArray[Any], y: NDArray[Any], *, standardize: bool, regression: bool) -> Scaling:
    """The scaling of training data.

    Parameters
    ----------
    x, y : ndarray
        What is trained on.
    standardize : bool
        Whether each input gets mean 0 and deviation 1, rather than all of them one scale.
    regression : bool
        Whether the targets get mean 0 and deviation 1.
    """
    scaling = Scaling(reading.scale_of(x))
    if standardize:
        scaling = Scaling(_deviation(x), np.asarray(x.mean(axis=0, dtype=np.float64)))
    if regression:
        targets = y.reshape(len(y), -1)
        scaling = scaling._replace(target_scale=_deviation(targets), target_mean=targets.mean(axis=0))
    return scaling


def _deviation(columns: NDArray[Any]) -> NDArray[np.float64]:
    """The deviation of each column; 1 for one that is constant but for rounding."""
    deviation = columns.std(axis=0, dtype=np.float64)
    tiny = 10 * np.finfo(np.float64).eps * np.abs(columns).max(axis=0)
    return np.where(deviation > tiny, deviation, 1.0)


def scaling_of(network: Network, notes: Notes) -> Scaling:
    """The scaling that was saved with a network.

    Raises
    ------
    ValueError
        If the notes make no sense for the network.
    """
    sizes = {"target_scale": network.layers[-1].outputs, "target_mean": network.layers[-1].outputs}
    values: dict[str, Any] = {"scale": 1.0}
    for name in Scaling._fields:
        if name not in notes:
            continue
        value = np.asarray(notes[name], np.float64)
        expected = (sizes.get(name, network.layers[0].inputs),)
        if not (value.shape == expected or (name == "scale" and value.ndim == 0)):
            raise ValueError(f"the saved {name} must have shape {expected}, got {value.shape}")
        if not np.isfinite(value).all() or (name.endswith("scale") and not (value > 0).all()):
            raise ValueError(f"the saved {name} must be finite{', and above 0' * name.endswith('scale')}")
        values[name] = float(value) if value.ndim == 0 else value
    if ("target_scale" in values) != ("target_mean" in values):
        raise ValueError("the file has a target_scale without a target_mean, or the other way round")
    return Scaling(**values)


def load(path: str) -> tuple[Network, Scaling]:
    """A saved network, and its scaling."""
    network, notes, _ = load_all(path, Network)
    return network, scaling_of(network, notes)


def read(options: argparse.Namespace, inputs: int | None = None, *, regression: bool = False) -> reading.Data:
    """The data that the options name, or else the digits."""
    if options.data is None:
        if regression:
            raise ValueError("a regression needs --data; the digits of the package have labels")
        return reading.Data(*datasets.load_digits())
    return reading.read(options.data, options.label_column, inputs, regression=regression)


def to_look_at(
    options: argparse.Namespace, inputs: int | None, *, regression: bool = False
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The test part of the data where there is one, else all of it."""
    data = read(options, inputs, regression=regression)
    return (data.x, data.y) if data.x_test is None else (data.x_test, data.y_test)


def with_targets(
    options: argparse.Namespace, inputs: int | None, *, regression: bool = False
) -> tuple[NDArray[Any], NDArray[Any]]:
    """`to_look_at` of data that must have targets."""
    x, y = to_look_at(options, inputs, regression=regression)
    if y is None:
        raise ValueError(f"{options.data} has no labels, which a loss needs")
    return x, y


def split(samples: int, share: float, option: str, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A random part and the rest, as indices: the share is rounded to whole samples.

    Raises
    ------
    ValueError
        If it leaves a part empty.
    """
    part = round(share * samples) if 0 < share < 1 else 0
    if not 0 < part < samples:
        raise ValueError(f"{option} {share} of {samples} samples leaves a part empty")
    order = np.random.default_rng(seed).permutation(samples)
    return order[:part], order[part:]


def r_squared(y: NDArray[Any], predicted: NDArray[Any]) -> float:
    """1 − Σ(y − predicted)² / Σ(y − mean)², the mean of it over the targets."""
    y = y.reshape(len(y), -1)
    spread = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    return float(np.mean(1 - ((y - predicted) ** 2).sum(axis=0) / np.where(spread > 0, spread, 1.0)))
