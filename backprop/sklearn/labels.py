"""Classes of labels: as the engine takes them and back, and their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from backprop._classes import at_threshold, classes_of
from backprop._validate import finite_number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Labels:
    """What is known of y since the first call.

    Attributes
    ----------
    classes : ndarray, (classes,)
        The labels in order; of multilabel targets the numbers of the columns.
    multilabel : bool
        Whether y is (n, labels) of 0 and 1.
    sparse : type or None
        SciPy's class of such a y if it was sparse, as predictions then are.
    """

    def __init__(self, y: Any, classes: ArrayLike | None) -> None:
        self.multilabel = is_multilabel(y)
        self.sparse = type(y) if is_sparse(y) else None
        if not self.multilabel:
            self.classes = unique_labels(column_or_1d(y) if classes is None else np.asarray(classes))
            return
        self.classes = np.arange(y.shape[1])
        self._check_classes(classes)

    @property
    def outputs(self) -> int:
        """Output nodes: one for two classes or fewer."""
        return len(self.classes) if self.multilabel or len(self.classes) > 2 else 1

    def learned(self, y: Any) -> NDArray[Any]:
        """y (n,) of labels, or (n, labels), after a check that it goes with what is known."""
        if is_multilabel(y) != self.multilabel or (self.multilabel and y.shape[1] != len(self.classes)):
            raise ValueError("y must be of the same kind and number of labels as before")
        if self.multilabel:
            return np.asarray(y.toarray() if is_sparse(y) else y)
        labels: NDArray[Any] = column_or_1d(y, warn=True)
        if not np.isin(labels, self.classes).all():
            raise ValueError(f"y must have classes of {self.classes} only, got {np.unique(labels)}")
        return labels

    def check_same(self, y: Any, classes: ArrayLike | None, whole: bool) -> None:
        """Refuses other `classes` than before, or, of a `whole` data set, other classes in y."""
        if self.multilabel:
            self._check_classes(classes)
            return
        if classes is None and not whole:
            return
        again = unique_labels(column_or_1d(y) if classes is None else np.asarray(classes))
        if not np.array_equal(again, self.classes):
            raise ValueError(f"classes must be the same as before, {self.classes}; got {again}")

    def _check_classes(self, classes: ArrayLike | None) -> None:
        """Of multilabel targets: their columns' numbers, or what np.unique finds in them, 0 and 1."""
        if classes is None:
            return
        given = np.unique(np.asarray(classes))
        if not (np.array_equal(given, self.classes) or np.array_equal(given, [0, 1])):
            raise ValueError(
                f"classes of multilabel targets must be [0, 1] or the numbers of the {len(self.classes)} "
                f"columns of y, got {given}"
            )

    def encoded(self, y: NDArray[Any]) -> NDArray[Any]:
        """What the engine takes: indices into the classes, (n,), or (n, labels)."""
        return y if self.multilabel else np.searchsorted(self.classes, y)

    def decoded(self, a: NDArray[Any]) -> Any:
        """The labels of outputs (n, outputs), by the rule of `Network.classify`: 1 from 0.5 on."""
        if self.multilabel:
            labels = at_threshold(a)
            return labels if self.sparse is None else self.sparse(labels)
        return self.classes[np.minimum(classes_of(a), len(self.classes) - 1)]

    def probabilities(self, a: NDArray[Any]) -> NDArray[Any]:
        """Of each class, (n, classes), or of each label, (n, labels)."""
        if self.multilabel or a.shape[1] > 1:
            return a
        return np.ones_like(a) if len(self.classes) == 1 else np.hstack([1 - a, a])

    def weights(self, class_weight: Any, y: NDArray[Any], incremental: bool) -> NDArray[np.float64]:
        """Each sample's weight by its class, (n,): `class_weight` as in scikit-learn."""
        if isinstance(class_weight, str) and class_weight == "balanced" and incremental:
            raise ValueError("class_weight='balanced' needs all samples; give partial_fit a dict of weights")
        if not isinstance(class_weight, Mapping) or self.multilabel:
            try:
                return np.asarray(compute_sample_weight(class_weight, y))
            except (ValueError, TypeError) as error:
                raise ValueError(f"class_weight does not go with y: {error}") from error
        of_class = np.ones(len(self.classes))
        known = self.classes.tolist()
        for label, weight in class_weight.items():
            if label not in known:
                raise ValueError(f"class_weight must name classes of {self.classes}, got {label!r}")
            if finite_number(f"class_weight[{label!r}]", weight) < 0:
                raise ValueError(f"class_weight[{label!r}] must be at least 0, got {weight}")
            of_class[known.index(label)] = weight
        return np.asarray(of_class[self.encoded(y)])


def is_sparse(y: Any) -> bool:
    """Whether y is a sparse matrix or array of SciPy's."""
    return hasattr(y, "toarray")


def is_multilabel(y: Any) -> bool:
    """Whether y is (n, labels) of 0 and 1; refuses what no classification has."""
    check_classification_targets(y)
    return bool(type_of_target(y).startswith("multilabel"))
