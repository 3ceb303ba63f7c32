"""A table of a CSV file and its like, read by pandas (the extra ``table``)."""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
import warnings
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._packed import unpack
from backprop.cli.dialect import MISSING, Dialect, decode, detect, is_number, records

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENDINGS = (".csv", ".tsv", ".tab", ".txt", ".dat", ".data")
STANDARD_INPUT = "-"


def is_table(path: str) -> bool:
    """Whether a path names a table: by its ending, in any case, also before .gz; or standard input."""
    return path == STANDARD_INPUT or path.lower().removesuffix(".gz").endswith(ENDINGS)


class Table:
    """The columns of a file, and where each sample stands in it.

    Parameters
    ----------
    path : str
        A file, perhaps packed by gzip, or "-" for standard input.
    header : bool, optional
        Whether the first line names the columns; by default it is decided by `dialect.detect`.
    plan : callable, optional
        From the dialect to what each column is to be called, by the name it has, others being left out; and
        which of them, by their new names, are texts even where they look like numbers.
    known : set of str
        Names that make a first line a header if it has all of them.

    Raises
    ------
    ImportError
        If pandas is not installed.
    ValueError
        If the file is damaged or no table. The message names the file and, where there is one, the line.
    OSError
        If it cannot be read.

    Attributes
    ----------
    path : str
        What messages call the file.
    dialect : Dialect
    names : tuple of str
        Of the columns, in the file's order.
    frame : pandas.DataFrame
        The columns: numbers, or texts with None or NaN for a missing one.
    """

    def __init__(
        self,
        path: str,
        header: bool | None = None,
        *,
        plan: Callable[[Dialect], tuple[Mapping[str, str], Set[str]]] | None = None,
        known: Set[str] = frozenset(),
    ) -> None:
        pandas = _pandas()
        self.path = "standard input" if path == STANDARD_INPUT else path
        try:
            self._lines = list(io.StringIO(decode(_content(path)), newline=None))  # as an editor counts them
            self.dialect = detect(self._lines, header, known)
        except (EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
            raise self._damaged(error) from error
        names = self.dialect.names
        called, texts = ({name: name for name in names}, frozenset()) if plan is None else plan(self.dialect)
        try:
            frame = self._parse(pandas, [name for name in names if called.get(name) in texts])
        except (ValueError, OverflowError) as error:
            raise self._damaged(error) from error
        self.frame = frame[[name for name in names if name in called]].rename(columns=called)
        self.names = tuple(self.frame.columns)
        self.rows = len(frame)

    def _damaged(self, error: Exception) -> ValueError:
        reason = " ".join(str(error).split())
        return ValueError(f"{self.path} is not a table of samples, or is damaged: {reason}")

    def _parse(self, pandas: Any, texts: list[str]) -> Any:
        names, skipped = self.dialect.names, set(self.dialect.skipped)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)  # of fields that are left away
            try:
                frame = self._read(pandas, names, skipped, texts)
            except (pandas.errors.ParserWarning, pandas.errors.ParserError) as error:
                self._refuse_other_widths(range(sys.maxsize), lambda count: count <= len(names))
                if quote := re.search(r"EOF inside string starting at row (\d+)", str(error)):
                    place = self.place(int(quote[1]))
                    raise ValueError(f"the sample of {place} opens a quote that nothing closes") from None
                raise ValueError(str(error)) from error
        if len(frame) == 0:
            raise ValueError("it has no samples")
        # pandas fills short lines up with missing values; an unnamed last field may be left away
        last_unnamed = self.dialect.has_header and names[-1] == str(len(names) - 1)
        least = len(names) - last_unnamed
        suspects = np.flatnonzero(frame[len(names) - 1].isna().to_numpy()).tolist()
        self._refuse_other_widths(set(suspects), lambda count: count >= least)
        frame.columns = list(names)
        return frame

    def _read(self, pandas: Any, names: Sequence[str], skipped: Set[int], texts: list[str]) -> Any:
        return pandas.read_csv(
            io.StringIO("".join(line for i, line in enumerate(self._lines) if i not in skipped)),
            sep=self.dialect.separator,
            decimal=self.dialect.decimal,
            header=None,
            names=range(len(names)),
            index_col=False,
            skipinitialspace=True,
            keep_default_na=False,
            na_values=sorted(MISSING),
            dtype={names.index(name): object for name in texts},
            low_memory=False,
        )

    def _refuse_other_widths(self, rows: Collection[int], fits: Callable[[int], bool]) -> None:
        """Raises a ValueError that names the first line, of these samples, with another number of fields."""
        if not rows:
            return
        width = len(self.dialect.names)
        for row, (line, fields) in enumerate(self._samples()):
            if row in rows and not fits(len(fields)):
                raise ValueError(f"line {line} has {len(fields)} fields, expected {width}")

    def _samples(self) -> Any:
        skipped = set(self.dialect.skipped)
        return (
            (line, fields)
            for line, fields in records(self._lines, self.dialect.separator)
            if line - 1 not in skipped
        )

    def place(self, row: int) -> str:
        """What messages call the place of a sample: the line, from 1, on which it begins."""
        for i, (line, _) in enumerate(self._samples()):
            if i == row:
                return f"line {line}"
        return f"sample {row}, from 0"  # quotes within fields, which csv and pandas understand differently

    def numbers(self, name: str) -> NDArray[np.float64] | None:
        """The column as numbers, NaN where one is missing; None if it holds texts."""
        column = self.frame[name]
        if column.dtype.kind in "biuf":
            return np.asarray(column.to_numpy(), np.float64)
        present = column[column.notna()]
        if len(present) and present.map(type).eq(bool).all():
            truth = {True: 1.0, False: 0.0}
            return np.array([truth.get(value, np.nan) for value in column.tolist()])
        texts = [str(value).replace(self.dialect.decimal, ".", 1) for value in present.tolist()]
        if not all(map(is_number, texts)):
            return None
        values = np.full(self.rows, np.nan)
        values[column.notna().to_numpy()] = list(map(float, texts))
        return values

    def texts(self, name: str) -> list[str | None]:
        """The column as texts, None where one is missing."""
        missing = self.frame[name].isna().to_numpy()
        values = self.frame[name].tolist()
        return [None if gone else str(value) for value, gone in zip(values, missing, strict=True)]


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            f"tables need pandas; install it with: pip install 'cbackprop[table]' ({error})"
        ) from error
    return pandas


def _content(path: str) -> bytes:
    if path == STANDARD_INPUT:
        data = sys.stdin.buffer.read()
    elif not os.path.exists(path):
        raise FileNotFoundError(f"there is no {path}")
    else:
        with open(path, "rb") as file:
            data = file.read()
    return unpack(data) if data.startswith(b"\x1f\x8b") else data
