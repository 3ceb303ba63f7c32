"""Training: what `Network.fit` does between its arguments and the engine."""
