"""What the columns of a table are: inputs that are numbers, inputs that are categories, labels; and how the
table of a later command gives the same inputs."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop.cli.dialect import Dialect, is_number
from backprop.cli.tables import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABELS = ("label", "target", "class", "species", "y")  # names of columns with the labels
MOST_CATEGORIES = 100
FEW = 10  # texts that are nearly all numbers are categories, such as 2, 3, 4, 5more, if they are this few
DATE = re.compile(
    r"\d{1,4}[-/.](\d{1,2}|[A-Za-z]{3,9})[-/.]\d{1,4}\b.*|\d{4}-\d{2}|\d{1,2}:\d{2}(:\d{2}.*)?"
    r"|\d{1,2} [A-Za-z]{3,9}\.?,? \d{4}.*|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}.*|\d{4}-\d{2}-\d{2}.*"
)


@dataclass(frozen=True)
class Input:
    """A column of inputs: numbers, or, one-hot, categories."""

    name: str
    categories: tuple[str, ...] | None = None

    @property
    def width(self) -> int:
        """How many inputs of the network it gives."""
        return 1 if self.categories is None else len(self.categories)


@dataclass(frozen=True)
class Columns:
    """The columns of the table that a network was trained with.

    Attributes
    ----------
    names : tuple of str
        Of all of them, in order.
    has_header : bool
        Whether they are names, rather than indices.
    label : str or None
        The column of labels or targets.
    inputs : tuple of Input
    """

    names: tuple[str, ...]
    has_header: bool
    label: str | None
    inputs: tuple[Input, ...]

    @property
    def input_names(self) -> list[str]:
        """A name for each input of the network, such as ``age`` or ``island=Torgersen``."""
        return [
            column.name if category is None else f"{column.name}={category}"
            for column in self.inputs
            for category in (column.categories or (None,))
        ]

    @property
    def is_number(self) -> NDArray[np.bool_]:
        """Which inputs of the network are numbers, rather than categories."""
        return np.repeat([c.categories is None for c in self.inputs], [c.width for c in self.inputs])

    @property
    def texts(self) -> set[str]:
        """The columns to be read as texts, even where they look like numbers."""
        labels = set() if self.label is None else {self.label}
        return {column.name for column in self.inputs if column.categories is not None} | labels

    def called(self, dialect: Dialect, path: str, label: str | None = None) -> dict[str, str]:
        """From the names of columns in another table to their names here; only of those that are needed.

        By name where both tables have names, in any order; else by position, with or without the labels.

        Parameters
        ----------
        dialect : Dialect
            Of the other table.
        path : str
            What messages call it.
        label : str, optional
            Its column of labels, if it has another name or index there.

        Raises
        ------
        ValueError
            If inputs are missing.
        """
        ours = [column.name for column in self.inputs]
        names = dialect.names
        if not (self.has_header and dialect.has_header):
            if len(names) == len(self.names):
                called = dict(zip(names, self.names, strict=True))
            elif len(names) == len(ours):
                called = dict(zip(names, ours, strict=True))
            else:
                raise ValueError(
                    f"{path} has {len(names)} columns; the network was trained with {len(self.names)}, "
                    f"{len(ours)} of them inputs"
                )
        else:
            called = {name: name for name in names}
            if missing := [name for name in ours if name not in called]:
                raise ValueError(f"{path} has no column {listed(missing)}, which the network takes")
        if label is not None and self.label is not None:
            called = {name: ours for name, ours in called.items() if ours != self.label}
            called[column_named(label, dialect, path)] = self.label
        needed = {*ours, self.label}
        return {name: ours for name, ours in called.items() if ours in needed}

    def extra(self, dialect: Dialect) -> list[str]:
        """The columns of another table that the training did not know."""
        if not (self.has_header and dialect.has_header):
            return []
        names = dialect.names[1:] if dialect.row_names else dialect.names
        return [name for name in names if name not in self.names]

    def matrix(self, table: Table) -> NDArray[np.float64]:
        """The inputs (n, inputs), NaN where a value is missing; an unknown category is all zeros.

        Raises
        ------
        ValueError
            If a column of numbers holds a text.
        """
        x = np.empty((table.rows, sum(column.width for column in self.inputs)))
        begin = 0
        for column in self.inputs:
            x[:, begin : begin + column.width] = _inputs_of(table, column)
            begin += column.width
        return x

    def unknown(self, table: Table) -> dict[str, list[str]]:
        """The categories of another table that the training did not know, by column."""
        found = {}
        for column in self.inputs:
            if column.categories is not None:
                texts = dict.fromkeys(text for text in table.texts(column.name) if text is not None)
                if others := [text for text in texts if text not in column.categories]:
                    found[column.name] = others
        return found


def _inputs_of(table: Table, column: Input) -> NDArray[np.float64]:
    """Of one column (n, width)."""
    if column.categories is None:
        values = table.numbers(column.name)
        if values is None:
            row, text = _first_text(table, column.name)
            raise ValueError(
                f"{table.path}: column {column.name} holds {text!r} in {table.place(row)}, "
                "expected numbers"
            )
        return values[:, None]
    count = len(column.categories)
    place: dict[str | None, int] = {category: i for i, category in enumerate(column.categories)}
    place[None] = count + 1
    one_hot = np.vstack([np.eye(count), np.zeros(count), np.full(count, np.nan)])
    return one_hot[[place.get(text, count) for text in table.texts(column.name)]]


def learn(table: Table, label: str | None, dropped: Sequence[str], *, needs_label: bool = True) -> Columns:
    """What the columns of a table are that is trained with.

    Parameters
    ----------
    table : Table
    label : str, optional
        Name or index of the column of labels; by default one of `LABELS`.
    dropped : sequence of str
        Names or indices of columns to leave out.
    needs_label : bool
        Whether there must be labels.

    Raises
    ------
    ValueError
        If there is no such column, or one of the inputs cannot be used.
    """
    names, path = table.names, table.path
    left_out = {column_named(name, table.dialect, path) for name in dropped}
    name = label_column(table.dialect, path, label, left_out) if needs_label or label else None
    if name in left_out:
        raise ValueError(f"{path}: column {name} cannot be both label and left out")
    if table.dialect.row_names and name != names[0]:
        left_out.add(names[0])
    inputs, refused = [], {}
    for k, column in enumerate(names):
        unnamed = table.dialect.has_header and column == str(k)
        if unnamed and table.frame[column].isna().all():  # what separators at the ends of all lines make
            left_out.add(column)
        if column == name or column in left_out:
            continue
        try:
            inputs.append(_learn_input(table, column))
        except ValueError as error:
            refused[column] = str(error)
    if refused:
        options = " ".join(f"--drop-column {shlex.quote(column)}" for column in refused)
        reasons = "; ".join(f"column {column} {why}" for column, why in refused.items())
        raise ValueError(f"{path}: {reasons}: leave out with {options}")
    if not inputs:
        raise ValueError(f"{path} has no column of inputs beside {listed([name or '', *left_out])}")
    return Columns(names, table.dialect.has_header, name, tuple(inputs))


def _learn_input(table: Table, name: str) -> Input:
    if table.numbers(name) is not None:
        if table.frame[name].isna().all():
            raise ValueError("holds no values")
        return Input(name)
    texts = [text for text in table.texts(name) if text is not None]
    categories = sorted(set(texts))
    if all(map(DATE.fullmatch, categories)):
        raise ValueError(f"holds dates or times, such as {categories[0]!r}")
    point = table.dialect.decimal
    numbers = sum(is_number(text.replace(point, ".", 1)) for text in categories)
    if numbers > len(categories) / 2 and len(categories) > FEW:
        row, text = _first_text(table, name)
        raise ValueError(f"holds numbers, but {text!r} in {table.place(row)}")
    if len(categories) > MOST_CATEGORIES:
        raise ValueError(
            f"holds {len(categories)} different texts, such as {categories[0]!r:.40}; more than "
            f"{MOST_CATEGORIES} are no categories"
        )
    return Input(name, tuple(categories))


def _first_text(table: Table, name: str) -> tuple[int, str]:
    """The first row whose value is no number, and the value."""
    point = table.dialect.decimal
    for row, text in enumerate(table.texts(name)):
        if text is not None and not is_number(text.replace(point, ".", 1)):
            return row, text
    raise ValueError(f"column {name} holds numbers only")


def label_column(dialect: Dialect, path: str, label: str | None, left_out: Collection[str] = ()) -> str:
    """The column of labels: the one asked for, or the only one of `LABELS`.

    Raises
    ------
    ValueError
        If there is none, or more than one; the message lists the columns.
    """
    if label is not None:
        return column_named(label, dialect, path)
    found = [name for name in dialect.names if name.lower() in LABELS and name not in left_out]
    if dialect.has_header and len(found) == 1:
        return found[0]
    which = f"{listed(found)} may all be it" if len(found) > 1 else f"none is called {listed(LABELS)}"
    headless = "" if dialect.has_header else " (no header was found; if its first line is one, add --header)"
    raise ValueError(
        f"{path}: say with --label-column which column holds the labels or targets; {which}; it has the "
        f"columns {listed(dialect.names)}{headless}"
    )


def column_named(text: str, dialect: Dialect, path: str) -> str:
    """The column of that name, else of that index, from 0, negative from the end.

    Raises
    ------
    ValueError
        If there is none.
    """
    names = dialect.names
    if text in names:
        return text
    if re.fullmatch(r"[+-]?\d+", text):
        if -len(names) <= int(text) < len(names):
            return names[int(text)]
        raise ValueError(f"{path} has {len(names)} columns, so there is no column {text}")
    near = difflib.get_close_matches(text, names, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{path} has no column {text!r}{hint}; it has the columns {listed(names)}")


def listed(names: Sequence[str], most: int = 30) -> str:
    """Names after commas; of very many only the first."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def to_notes(columns: Columns) -> dict[str, Any]:
    """What is saved with a network."""
    return {
        "names": list(columns.names),
        "has_header": columns.has_header,
        "label": columns.label,
        "inputs": [
            {"name": column.name} | ({"categories": list(column.categories)} if column.categories else {})
            for column in columns.inputs
        ],
    }


def from_notes(notes: object, inputs: int) -> Columns:
    """What `to_notes` gave, for a network with so many inputs.

    Raises
    ------
    ValueError
        If it is something else.
    """
    saved: Mapping[str, Any] = notes if isinstance(notes, Mapping) else {}
    names, label, listed_inputs = _texts(saved.get("names")), saved.get("label"), saved.get("inputs")
    if names is None or not isinstance(listed_inputs, list):
        raise ValueError("the saved columns must have names and inputs")
    columns = []
    for entry in listed_inputs:
        known: Mapping[str, Any] = entry if isinstance(entry, Mapping) else {}
        categories = _texts(known.get("categories"))
        if known.get("name") not in names or ("categories" in known and not categories):
            raise ValueError(f"the saved columns have an input {entry!r:.60}")
        columns.append(Input(known["name"], categories))
    found = Columns(names, saved.get("has_header") is True, label, tuple(columns))
    taken = [column.name for column in columns]
    if (label is not None and label not in names) or len({*taken, label}) != len(taken) + 1:
        raise ValueError("the saved columns do not agree with their label")
    if len(found.input_names) != inputs:
        raise ValueError(f"the saved columns give {len(found.input_names)} inputs; the network has {inputs}")
    return found


def _texts(value: object) -> tuple[str, ...] | None:
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return tuple(value)
    return None
