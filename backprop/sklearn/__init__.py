"""scikit-learn estimators: `BackpropClassifier`, `BackpropRegressor` and a search over their settings,
`PopulationSearchCV` (the extra ``sklearn``).

Their parameters have the names of scikit-learn's ``MLPClassifier`` and ``MLPRegressor`` where they mean the
same. ``import backprop`` does not import this package; ``backprop.sklearn`` does.
"""

try:
    from backprop.sklearn.classifier import BackpropClassifier
    from backprop.sklearn.regressor import BackpropRegressor
    from backprop.sklearn.search import PopulationSearchCV
except ImportError as error:
    if not (error.name or "").startswith("sklearn"):
        raise
    raise ImportError(
        "backprop.sklearn needs scikit-learn 1.6 or later; install it with: pip install 'cbackprop[sklearn]' "
        f"({error})"
    ) from error

__all__ = ["BackpropClassifier", "BackpropRegressor", "PopulationSearchCV"]
