"""How inputs and targets are scaled, and how a saved network remembers it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.network import Network

    Notes = Mapping[str, Any]

IMAGE_INPUTS = 49  # 7 by 7 pixels


class Scaling(NamedTuple):
    """What a network is given for x, (x − mean) / scale, and what its outputs a stand for,
    a · target_scale + target_mean; None where targets stay as they are, as labels do. In place of a missing
    input (NaN) stands `fill`, its mean over the training samples."""

    scale: float | NDArray[np.float64]
    mean: NDArray[np.float64] | None = None
    target_scale: NDArray[np.float64] | None = None
    target_mean: NDArray[np.float64] | None = None
    fill: NDArray[np.float64] | None = None

    @property
    def is_regression(self) -> bool:
        """Whether the targets are numbers rather than labels."""
        return self.target_scale is not None

    def of_inputs(self, x: NDArray[Any]) -> NDArray[Any]:
        """x as the network takes it; float32 unless x is float64."""
        if self.fill is not None and x.dtype.kind == "f" and (missing := np.isnan(x)).any():
            x = np.where(missing, self.fill, x).astype(x.dtype)
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


def scale_of(x: NDArray[Any]) -> float:
    """What to divide by to bring samples to [0, 1]: 255 for bytes, else the largest magnitude above 1."""
    if x.dtype == np.uint8:
        return 255.0
    return float(np.fmax(1.0, np.fmax.reduce(np.abs(x), axis=None, initial=0)))


def are_images(x: NDArray[Any]) -> bool:
    """Whether all inputs are pixels: bytes, or at least 7 × 7 columns of whole numbers from 0 to 255."""
    if x.dtype == np.uint8:
        return True
    return x.shape[1] >= IMAGE_INPUTS and bool(((x >= 0) & (x <= 255) & (x == np.floor(x))).all())


def learn_scaling(
    x: NDArray[Any],
    y: NDArray[Any],
    *,
    standardize: bool,
    regression: bool,
    numbers: NDArray[np.bool_] | None = None,
) -> Scaling:
    """The scaling of training data.

    Parameters
    ----------
    x, y : ndarray
        What is trained on; x is NaN where a value is missing.
    standardize : bool
        Whether each input gets mean 0 and deviation 1, rather than all of them one scale.
    regression : bool
        Whether the targets get mean 0 and deviation 1.
    numbers : ndarray of bool, optional
        Which inputs to standardise; the others are categories, 0 or 1.
    """
    scaling = Scaling(scale_of(x))
    incomplete = x.dtype.kind == "f" and bool(np.isnan(x).any())
    if standardize or incomplete:
        mean = _mean(x)
        if incomplete or numbers is not None:
            scaling = scaling._replace(fill=mean)
    if standardize:
        deviation = _deviation(x)
        if numbers is not None:
            mean, deviation = np.where(numbers, mean, 0.0), np.where(numbers, deviation, 1.0)
        scaling = scaling._replace(scale=deviation, mean=mean)
    if regression:
        targets = y.reshape(len(y), -1)
        scaling = scaling._replace(target_scale=_deviation(targets), target_mean=targets.mean(axis=0))
    return scaling


def _mean(x: NDArray[Any]) -> NDArray[np.float64]:
    """The mean of what is there of each column; 0 of nothing."""
    if x.dtype.kind != "f":
        return np.asarray(x.mean(axis=0, dtype=np.float64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nan_to_num(np.nanmean(x, axis=0, dtype=np.float64))


def _deviation(columns: NDArray[Any]) -> NDArray[np.float64]:
    """The deviation of each column; 1 for one that is constant but for rounding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        deviation = np.nan_to_num(np.nanstd(columns, axis=0, dtype=np.float64))
        tiny = 10 * np.finfo(np.float64).eps * np.fmax.reduce(np.abs(columns), axis=0)
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
        value = _numbers_in(notes, name)
        expected = (sizes.get(name, network.layers[0].inputs),)
        if not (value.shape == expected or (name == "scale" and value.ndim == 0)):
            raise ValueError(f"the saved {name} must have shape {expected}, got {value.shape}")
        if not np.isfinite(value).all() or (name.endswith("scale") and not (value > 0).all()):
            raise ValueError(f"the saved {name} must be finite{', and above 0' * name.endswith('scale')}")
        values[name] = float(value) if value.ndim == 0 else value
    if ("target_scale" in values) != ("target_mean" in values):
        raise ValueError("the file has a target_scale without a target_mean, or the other way round")
    return Scaling(**values)


def _numbers_in(notes: Notes, name: str) -> NDArray[np.float64]:
    value = notes[name]
    numbers = value if isinstance(value, list) else [value]
    if not all(type(number) in (int, float) for number in numbers):
        raise ValueError(f"the saved {name} must be a number, or a list of numbers")
    return np.asarray(value, np.float64)
