"""The version of this package, for those who should not import all of it."""

__version__ = "0.1.0"
