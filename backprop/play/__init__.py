"""What `Widget` and ``python -m backprop play`` show: a round, stepped through on a page."""
