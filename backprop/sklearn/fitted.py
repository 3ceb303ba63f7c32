"""What a fitted estimator shows of its network."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop.network import Network

# X as it is taken, for `validate_data`.
OF_X: dict[str, Any] = {"accept_sparse": "csr", "dtype": (np.float64, np.float32)}


class Fitted(BaseEstimator):
    """An estimator with a network, once it is fitted."""

    network_: Network
    estimators_: list[Any]

    @classmethod
    @functools.cache
    def _get_param_names(cls) -> list[str]:
        """scikit-learn's: a search asks thousands of times, and each time it reads the signature."""
        return super()._get_param_names()  # type: ignore[no-any-return]

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in vars(self) or "estimators_" in vars(self)

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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __getattr__(self, name: str) -> Any:
        if name == "network_" and "estimators_" in vars(self):
            raise AttributeError("each of the members has a network: estimators_[i].network_")
        return object.__getattribute__(self, name)  # raises what a property did, or that there is none

    def _outputs_of_members(self, X: ArrayLike) -> NDArray[Any]:
        """(members, n, outputs)"""
        check_is_fitted(self)
        x = validate_data(self, X, **OF_X, reset=False)
        members = [self] if "network_" in vars(self) else self.estimators_
        return np.stack([one.network_(x) for one in members])

    def _outputs_of(self, X: ArrayLike) -> NDArray[Any]:
        """(n, outputs), the mean over the members."""
        a = self._outputs_of_members(X)
        return a[0] if len(a) == 1 else np.asarray(a.mean(axis=0))
