"""A small table of flowers, and what its tests share."""

import numpy as np
from test_cli import run

RNG = np.random.default_rng(0)
NAMES = ("setosa", "versicolor", "virginica")


def flowers(count=90):
    """Rows of length, width, colour and species; length and width tell all species apart, the colour one."""
    rows = []
    for i in range(count):
        kind = i % 3
        length, width = np.array([[1, 5], [5, 1], [9, 9]][kind]) + RNG.normal(0, 0.3, 2)
        rows.append([f"{length:.2f}", f"{width:.2f}", "blue" if kind == 0 else "red", NAMES[kind]])
    return rows


FLOWERS = flowers()
HEADER = ["length", "width", "colour", "species"]


def text_of(rows=FLOWERS, header=HEADER, separator=",", end="\n"):
    return end.join(separator.join(row) for row in ([header] if header else []) + list(rows)) + end


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def train(capsys, path, *options):
    """The lines that a training on a table prints."""
    code, out, err = run(capsys, "train", "--data", path, "--epochs", 20, *options)
    assert (code, err) == (0, ""), err
    return out.splitlines()


def refused(capsys, path, *options):
    """The line that says why a table cannot be trained with."""
    code, out, err = run(capsys, "train", "--data", path, "--epochs", 2, *options)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert err.startswith("backprop: error: ")
    return err


def table_in(folder):
    """The table as a file."""
    return write(folder / "flowers.csv", text_of())


def model_in(folder, capsys):
    """A network that was trained with the table, as a file."""
    path = folder / "model.safetensors"
    train(capsys, table_in(folder), "--save", path)
    return path


def with_gaps(gaps, text="NA"):
    rows = [row.copy() for row in FLOWERS]
    for row, column in gaps:
        rows[row][column] = text
    return text_of(rows)
