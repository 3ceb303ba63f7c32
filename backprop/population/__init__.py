"""Many networks of one shape, trained in one call: `Population`."""

from backprop.population.population import Population

__all__ = ["Population"]
