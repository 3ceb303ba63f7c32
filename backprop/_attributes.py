"""Objects that refuse a misspelt attribute, which would be kept and do nothing."""

from __future__ import annotations

from typing import Any, ClassVar


class KnownAttributes:
    """Refuses to set a public attribute that is a method, or that looks like a mistake for one that exists.

    A mistake is a name that other libraries have for it, or one that differs in a few letters; the
    AttributeError has the right one. Other names are the user's own notes, kept and pickled.
    """

    __slots__ = ()

    # What other libraries call an attribute, or what cannot be set, and what to do instead.
    remedies: ClassVar[dict[str, str]] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        kind = type(self)
        found = getattr(kind, name, None)
        if callable(found) and not name.startswith("_"):
            raise AttributeError(f"{kind.__name__}.{name} is a method{_after_colon(self.remedies.get(name))}")
        if found is None and not name.startswith("_") and name not in self.__dict__:
            remedy = self.remedies.get(name) or _nearest(kind, name)
            if remedy:
                raise AttributeError(f"a {kind.__name__} has no attribute {name!r}: {remedy}")
        super().__setattr__(name, value)


def _after_colon(remedy: str | None) -> str:
    return "" if remedy is None else f": {remedy}"


def _nearest(kind: type, name: str) -> str:
    """The public attributes of a class that a name may be a misspelling of, as a question; or nothing."""
    import difflib
    import inspect

    known = {attribute for attribute in dir(kind) if not attribute.startswith("_")}
    for base in kind.__mro__:
        known |= set(inspect.get_annotations(base))
    if name in known:
        return ""
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.8)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else ""
