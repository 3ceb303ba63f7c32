"""How a table is written: its encoding, its separator, its decimal sign, its comments and its header.

The fields are taken apart by the csv module of Python and by pandas; here is only decided what to tell them.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import NamedTuple

WHITESPACE = r"\s+"  # as pandas says it
SEPARATORS = ("\t", ";", "|", ",", WHITESPACE)  # of two that suit equally well, the first
COMMENT = "#"
MISSING = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
     "NA", "NULL", "NaN", "n/a", "nan", "null", "?", ".")
)  # fmt: skip
"""Texts that stand for a missing value: those of pandas but "None", a category in many tables; "?" (UCI) and
"." (SAS)."""

SAMPLE_LINES = 1000
SAMPLE_LENGTH = 200_000  # characters
NUMBER = re.compile(r"\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)\s*", re.IGNORECASE)
COMMA_NUMBER = re.compile(r"\s*[+-]?(\d+,\d*|,\d+)(e[+-]?\d+)?\s*", re.IGNORECASE)


class Dialect(NamedTuple):
    """How one table is written.

    Attributes
    ----------
    separator : str
        One character, or `WHITESPACE`.
    decimal : str
        "." or ",".
    names : tuple of str
        Of the columns, as many as a line has fields: from the header, a column without a name having its
        index; without a header the indices "0", "1" and so on.
    has_header : bool
    row_names : bool
        Whether the first column has no name although there is a header, as R and pandas write the names, or
        numbers, of rows.
    skipped : tuple of int
        The lines, from 0, that are no samples: comments and the header.
    """

    separator: str
    decimal: str
    names: tuple[str, ...]
    has_header: bool
    row_names: bool
    skipped: tuple[int, ...]


def decode(data: bytes) -> str:
    """The text: UTF-8, with a byte order mark or without, UTF-16 with one, else Windows-1252.

    Raises
    ------
    ValueError
        If it is not a text.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1252")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ValueError(f"line {line} holds a zero byte, so it is not a text")
    return text


def is_number(text: str) -> bool:
    """Whether a field is a number with a decimal point, or an infinity."""
    return NUMBER.fullmatch(text) is not None


def records(lines: Iterable[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """The fields of each record and the line, from 1, on which it begins; not of comments and blank lines."""
    spaces = separator == WHITESPACE

    def prepared() -> Iterator[str]:
        for line in lines:
            if line.startswith(COMMENT) or not line.strip(" \r\n"):
                yield "\n"
            else:
                yield f"{line.expandtabs().strip()}\n" if spaces else line

    reader = csv.reader(prepared(), delimiter=" " if spaces else separator, skipinitialspace=True)
    while True:
        begin = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(f"line {begin}: {error}") from error
        if fields:
            yield begin, fields


def detect(lines: Sequence[str], header: bool | None, known: Set[str] = frozenset()) -> Dialect:
    """How the table of these lines is written.

    Parameters
    ----------
    lines : sequence of str
        All lines, with their ends.
    header : bool, optional
        Whether there is one; by default it is decided by `_is_header`.
    known : set of str
        Names of columns that make a line a header if it has all of them.

    Raises
    ------
    ValueError
        If there is no table, or a header does not fit the lines below it.
    """
    lengths = itertools.accumulate(len(line) for line in lines[:SAMPLE_LINES])
    count = sum(length <= SAMPLE_LENGTH for length in lengths)
    sample = lines[: max(2, count)]
    whole = len(sample) == len(lines)
    suits = {candidate: _suitability(sample, candidate, whole) for candidate in SEPARATORS}
    separator = max(SEPARATORS, key=suits.__getitem__) if any(map(any, suits.values())) else ","
    found = list(_sample_records(sample, separator, whole))
    if not found:
        if any(line.startswith(COMMENT) for line in lines):
            raise ValueError(f"it has no samples; lines that begin with {COMMENT} are comments")
        raise ValueError("it has no samples")
    rows = [fields for _, fields in found]
    decimal = "," if separator != "," and _has_decimal_commas(rows) else "."
    if header is None:
        named = bool(known) and known <= {" ".join(name.split()) for name in rows[0]}
        header = named or _is_header(rows[0], rows[1:], decimal)
    skipped = [i for i, line in enumerate(lines) if line.startswith(COMMENT)]
    if not header:
        names = tuple(map(str, range(len(rows[0]))))
        return Dialect(separator, decimal, names, False, False, tuple(skipped))
    end = found[1][0] - 1 if len(found) > 1 else len(lines)
    skipped += [i for i in range(found[0][0] - 1, end) if i not in skipped]
    given = _fitted([" ".join(name.split()) for name in rows[0]], rows[1:])  # each on one line
    row_names = given[0] == "" and len(given) > 1
    return Dialect(separator, decimal, _unique(given), True, row_names, tuple(sorted(skipped)))


def _sample_records(sample: Sequence[str], separator: str, whole: bool) -> list[tuple[int, list[str]]]:
    found = list(records(sample, separator))
    return found if whole or len(found) < 3 else found[:-1]  # the last one may go on beyond the sample


def _suitability(sample: Sequence[str], separator: str, whole: bool) -> tuple[float, float]:
    """How well a separator suits: the share of lines with as many fields as most have, and of numbers."""
    try:
        rows = [fields for _, fields in _sample_records(sample, separator, whole)]
    except ValueError:
        return 0.0, 0.0
    widths = list(map(len, rows))
    usual = _usual(widths)
    if usual < 2:
        return 0.0, 0.0
    fields = [field for row in rows[1:] or rows for field in row]
    commas = separator != ","
    numbers = sum(is_number(field) or (commas and bool(COMMA_NUMBER.fullmatch(field))) for field in fields)
    return widths.count(usual) / len(widths), numbers / len(fields)


def _usual(widths: Sequence[int]) -> int:
    return max(set(widths), key=lambda width: (widths.count(width), width), default=0)


def _has_decimal_commas(rows: Sequence[Sequence[str]]) -> bool:
    fields = [field for row in rows[1:] or rows for field in row]
    points = any("." in field and is_number(field) for field in fields)
    return not points and any(COMMA_NUMBER.fullmatch(field) for field in fields)


def _is_header(first: Sequence[str], rest: Sequence[Sequence[str]], decimal: str) -> bool:
    """Whether the first record names the columns.

    It does if it begins with an empty field and no line below does, as R and pandas write the names of rows;
    it does if a column of numbers begins with a text, and does not if one begins with a number. In a table
    without columns of numbers it does unless each of its texts occurs again below it.
    """

    def numeric(text: str) -> bool:
        return is_number(text.replace(decimal, ".", 1))

    if not rest:
        return not any(map(numeric, first))
    if len(first) > 1 and not first[0].strip() and all(row[0].strip() for row in rest):
        return True
    shift = max(0, _usual(list(map(len, rest))) - len(first))  # a header of R lacks the name of the row names
    starts_with_number = False
    for k, text in enumerate(first):
        values = [row[k + shift] for row in rest if k + shift < len(row)]
        values = [value for value in values if value.strip() not in MISSING]
        if not values or not all(map(numeric, values)):
            continue
        if not numeric(text) and text.strip() not in MISSING - {"."}:
            return True
        starts_with_number = starts_with_number or numeric(text)
    if starts_with_number:
        return False
    columns = [{row[k] for row in rest if k < len(row)} for k in range(len(first))]
    return not all(text in below for text, below in zip(first, columns, strict=True))


def _fitted(names: list[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The header's names, one for each field of the lines below it."""
    if not rows:
        return names
    width = _usual(list(map(len, rows)))
    if width == len(names) + 1:  # separators at the ends of lines, or R's names of rows
        at_the_end = all(len(row) < width or row[-1] == "" for row in rows)
        return [*names, ""] if at_the_end else ["", *names]
    if width != len(names):
        raise ValueError(f"its first line has {len(names)} fields, but most lines have {width}")
    return names


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Each name once: a column without one has its index, and further ones of a name get .1, .2."""
    unique: list[str] = []
    for k, name in enumerate(names):
        name = name or str(k)
        further = itertools.chain([name], (f"{name}.{i}" for i in itertools.count(1)))
        unique.append(next(candidate for candidate in further if candidate not in unique))
    return tuple(unique)
