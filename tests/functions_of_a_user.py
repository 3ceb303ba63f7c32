"""The functions that the golden pickles name: as in a module of a user's own."""

import numpy as np


def bent(z):
    """g(z) = z / (1 + |z|), (n, j) -> (n, j)."""
    return z / (1 + np.abs(z))


def slope_of_bent(z):
    return 1 / (1 + np.abs(z)) ** 2


def cubic_error(a, y):
    """Σ |a − y|³, (n, j), (n, j) -> (n,)."""
    return np.sum(np.abs(a - y) ** 3, axis=-1)


def slope_of_cubic_error(a, y):
    return 3 * (a - y) * np.abs(a - y)


def halving(step):
    """A schedule that is a function."""
    return 0.5 / (1 + step)
