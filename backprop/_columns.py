"""A dict of lists to which whole columns are added, whose numbers become entries when somebody looks."""

from __future__ import annotations

import functools
import math
from _thread import RLock
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_settling = RLock()


def _numbers(column: NDArray[Any]) -> list[Any]:
    """Python's numbers; all that are not known are one NaN, so that lists of equal figures are equal."""
    numbers: list[Any] = column.tolist()
    if not math.isnan(sum(numbers)):
        return numbers
    return [math.nan if math.isnan(number) else number for number in numbers]


class Columns(dict[str, list[Any]]):
    """A dict from a name to a list, to which a training adds arrays with `add_later`.

    Their numbers become entries of the lists on the next call of any method of dict, so that no Python code
    can tell. C code of other packages that looks past these methods wants dict(columns).
    A training whose epochs take less time than making Python's numbers of its figures need not wait for that.
    """

    _waiting: Sequence[Callable[[], Mapping[str, NDArray[Any]]]] = ()  # or a list; changed under the lock

    def _settle(self) -> None:
        with _settling:
            added = [columns() for columns in self._waiting]
            for key, values in dict.items(self) if added else ():
                for columns in added:
                    column = columns[key]
                    values.extend(_numbers(column) if column.ndim == 1 else column)
            self._waiting = ()


def add_later(to: Columns, columns: Callable[[], Mapping[str, NDArray[Any]]]) -> None:
    """Adds entries to all lists, which `columns` will be asked for: for each key an array of them.

    Parameters
    ----------
    to : Columns
    columns : callable
        What it returns must not depend on when it is called; other keys than those of the dict are left out.
    """
    with _settling:
        if not isinstance(to._waiting, list):
            to._waiting = []
        to._waiting.append(columns)


def _settled_first(name: str) -> Callable[..., Any]:
    """The method of dict with this name, for a dict that may have columns waiting."""
    method = getattr(dict, name)

    @functools.wraps(method)
    def call(self: Columns, *args: Any, **named: Any) -> Any:
        for each in (self, *args):
            if isinstance(each, Columns) and each._waiting:
                each._settle()
        return method(self, *args, **named)

    return call


# All that reads or changes entries. __iter__, as dict(columns) would else copy what lies in memory.
_LOOKING = """
__delitem__ __eq__ __getitem__ __ior__ __iter__ __ne__ __or__ __reduce_ex__ __reversed__ __ror__ __setitem__
clear copy get items pop popitem setdefault update values
"""
for _name in _LOOKING.split():
    setattr(Columns, _name, _settled_first(_name))
