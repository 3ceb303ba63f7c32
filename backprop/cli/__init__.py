"""The command line, ``python -m backprop``: what it reads, and its commands. It knows the whole package, and
nothing of the package knows it."""
