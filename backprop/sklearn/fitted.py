"""What a fitted estimator shows of its network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop.network import Network


class Fitted(BaseEstimator):
    """An estimator with a network, once it is fitted."""

    network_: Network

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in vars(self)

    @property
    def coefs_(self) -> list[NDArray[Any]]:
        """The weights of each layer, (inputs, outputs), live, in the units of X and y."""
        check_is_fitted(self)
        return [layer.weights.T for layer in self.network_.layers]

    @property
    def intercepts_(self) -> list[NDArray[Any] | None]:
        """The biases of each layer, (outputs,), live, in the units of X and y."""
        check_is_fitted(self)
        return [layer.bias for layer in self.network_.layers]

    @property
    def n_layers_(self) -> int:
        """The number of layers, the input layer included."""
        check_is_fitted(self)
        return len(self.network_.layers) + 1

    @property
    def out_activation_(self) -> str:
        """The activation function of the output layer."""
        check_is_fitted(self)
        return str(self.network_.layers[-1].activation)

    def _outputs_of(self, X: ArrayLike) -> NDArray[Any]:
        check_is_fitted(self)
        return self.network_(validate_data(self, X, dtype=(np.float64, np.float32), reset=False))
