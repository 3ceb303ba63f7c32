"""What the columns of a table become: inputs, one-hot or scaled, without missing values."""

import re

import numpy as np
import pytest
from flowers import (
    FLOWERS,
    HEADER,
    RNG,
    flowers,
    model_in,
    refused,
    table_in,
    text_of,
    train,
    with_gaps,
    write,
)
from test_cli import accuracy_in, run

import backprop as bp


@pytest.fixture
def table(tmp_path):
    return table_in(tmp_path)


@pytest.fixture
def model(capsys, tmp_path):
    return model_in(tmp_path, capsys)


# Inputs.


def test_one_hot_keeps_categories(capsys, tmp_path, model):
    path = write(tmp_path / "t.csv", "length,width,colour\n1,5,blue\n1,5,green\n")
    code, out, err = run(capsys, "predict", model, "--data", path, "--outputs")
    assert code == 0
    assert err == (
        "backprop: column colour has categories that the training did not know, whose inputs are all 0: "
        "green\n"
    )
    net, notes = bp.load(model), bp.cli.data.load(str(model)).scaling
    for line, colour in zip(out.splitlines(), ([1, 0], [0, 0]), strict=True):
        x = (np.array([1, 5, *colour]) - notes.mean) / notes.scale
        assert np.allclose(np.array(line.split(","), float), net(x), atol=1e-6)  # float32 near 1
    assert notes.mean[2:].tolist() == [0, 0]  # categories are not standardised
    assert notes.scale[2:].tolist() == [1, 1]


@pytest.mark.parametrize(
    "dates",
    [
        [f"2024-01-{i % 28 + 1:02d}" for i in range(90)],
        [f"{i % 28 + 1}/3/2024" for i in range(90)],
        [f"2024-01-02 {i % 24:02d}:15:00" for i in range(90)],
        [f"{i % 24}:30" for i in range(90)],
        [f"Jan {i % 28 + 1}, 2024" for i in range(90)],
    ],
)
def test_dates_are_refused_by_name(capsys, tmp_path, dates):
    rows = [[f'"{date}"', *row] for date, row in zip(dates, FLOWERS, strict=True)]
    path = write(tmp_path / "t.csv", text_of(rows, ["seen on", *HEADER]))
    err = refused(capsys, path)
    assert "column seen on holds dates or times" in err
    option = re.search(r"--drop-column '(.*)'", err)[1]
    assert "4 inputs" in train(capsys, path, "--drop-column", option)[0]


def test_ranges_are_no_dates(capsys, tmp_path):
    ages = ("25-34", "35-44", "45-54")
    rows = [[*row, ages[i % 3]] for i, row in enumerate(FLOWERS)]
    path = write(tmp_path / "t.csv", text_of(rows, [*HEADER, "age"]))
    assert "5 of them categories of colour, age" in train(capsys, path)[0]


def test_many_categories_are_refused_by_name(capsys, tmp_path):
    rows = [[f"name {i}", *row] for i, row in enumerate(flowers(120))]
    path = write(tmp_path / "t.csv", text_of(rows, ["name", *HEADER]))
    err = refused(capsys, path)
    assert "column name holds 120 different texts, such as 'name 0'; more than 100" in err
    assert "--drop-column name" in err
    assert "4 inputs" in train(capsys, path, "--drop-column", "0")[0]


def test_a_stray_text_among_numbers_is_named_by_line(capsys, tmp_path):
    rows = [row.copy() for row in FLOWERS]
    rows[40][0] = "unknown"
    err = refused(capsys, write(tmp_path / "t.csv", text_of(rows)))
    assert "column length holds numbers, but 'unknown' in line 42" in err


def test_names_of_rows_are_left_out_and_it_is_said(capsys, tmp_path):
    """As R writes them, with write.csv and write.table."""
    rows = [[f'"{i + 1}"', *row] for i, row in enumerate(FLOWERS)]
    header = [f'"{name}"' for name in HEADER]
    said = "left out: the names of the rows (the first column, which has no name)"
    for content in (text_of(rows, ['""', *header]), text_of(rows, header, " ")):
        lines = train(capsys, write(tmp_path / "t.csv", content))
        assert lines[0].endswith("4 inputs, 2 of them categories of colour; 90 samples; " + said)


# Missing and infinite values.


@pytest.mark.parametrize("text", ["NA", "", "NaN", "?", "null", "."])
def test_missing_values_are_named_and_counted(capsys, tmp_path, text):
    path = write(tmp_path / "t.csv", with_gaps([(3, 0), (7, 0), (8, 2)], text))
    err = refused(capsys, path)
    assert "missing values: column length 2, column colour 1 of 90" in err
    assert "use --missing mean or --missing drop" in err
    lines = train(capsys, path, "--missing", "drop", "--save", tmp_path / "net")
    assert "87 samples; 3 left out for missing values" in lines[0]


def test_the_mean_of_the_training_stands_for_a_missing_value(capsys, tmp_path):
    path = write(tmp_path / "t.csv", with_gaps([(3, 0), (8, 2)]))
    lines = train(capsys, path, "--missing", "mean", "--save", tmp_path / "net")
    assert "; 90 samples" in lines[0]
    assert accuracy_in("\n".join(lines)) > 0.9
    code, out, err = run(capsys, "predict", tmp_path / "net", "--data", path)
    assert (code, out) == (1, "")
    assert "column length 1, column colour 1 of 90" in err
    options = ["--data", path, "--missing", "mean", "--outputs"]
    code, out, _ = run(capsys, "predict", tmp_path / "net", *options)
    assert code == 0
    rows = np.array([line.split(",") for line in out.splitlines()], float)
    saved = bp.cli.data.load(str(tmp_path / "net"))
    x = saved.scaling.fill.copy()  # of the training part
    x[1:] = [float(FLOWERS[3][1]), FLOWERS[3][2] == "blue", FLOWERS[3][2] == "red"]
    expected = saved.network((x - saved.scaling.mean) / saved.scaling.scale)
    assert np.allclose(rows[3], expected, atol=1e-6)  # float32 near 1
    lengths = [float(row[0]) for i, row in enumerate(FLOWERS) if i != 3]
    assert min(lengths) < saved.scaling.fill[0] < max(lengths)
    assert 0 < saved.scaling.fill[2] < 1


def test_dropped_samples_are_said_in_later_commands(capsys, tmp_path, model):
    path = write(tmp_path / "t.csv", with_gaps([(3, 0), (8, 2)]))
    for command in ("predict", "evaluate"):
        assert run(capsys, command, model, "--data", path)[0] == 1
        code, out, err = run(capsys, command, model, "--data", path, "--missing", "drop")
        assert code == 0
        assert "left out for missing values: 2 samples, line 5, line 10" in err
        assert len(out.split()) == 88 or "samples   88" in out


def test_missing_labels(capsys, tmp_path, model):
    path = write(tmp_path / "t.csv", with_gaps([(3, 3)]))
    assert "column species 1 of 90: use --missing mean or --missing drop" in refused(capsys, path)
    for policy in ("mean", "drop"):
        line = train(capsys, path, "--missing", policy)[0]
        assert "89 samples; 1 left out for missing values" in line
    code, out, err = run(capsys, "predict", model, "--data", path)
    assert (code, len(out.split())) == (0, 90)
    assert err == "backprop: not compared with the labels: 1 of 90 are missing\n"
    code, out, err = run(capsys, "evaluate", model, "--data", path, "--missing", "drop")
    assert (code, out.splitlines()[0]) == (0, "samples   89")
    assert err == "backprop: left out for missing values: 1 samples, line 5\n"


@pytest.mark.parametrize("text", ["inf", "-Infinity", "1e999"])
def test_infinite_values_are_named_by_line_and_column(capsys, tmp_path, model, text):
    path = write(tmp_path / "t.csv", "# a comment\n\n" + with_gaps([(3, 1)], text))
    assert "line 7, column width: the value is infinite" in refused(capsys, path, "--missing", "mean")
    code, out, err = run(capsys, "predict", model, "--data", path)
    assert (code, out) == (1, "")
    assert "line 7, column width" in err


def test_arrays_with_missing_and_infinite_values(capsys, tmp_path):
    x, y = RNG.random((40, 3)), np.arange(40) % 2
    x[5, 1] = np.nan
    np.savez(tmp_path / "t.npz", x=x, y=y)
    assert "missing values: column 1 1 of 40" in refused(capsys, tmp_path / "t.npz")
    assert "32 samples to train on" in train(capsys, tmp_path / "t.npz", "--missing", "mean")[0]
    assert "31 samples to train on" in train(capsys, tmp_path / "t.npz", "--missing", "drop")[0]
    x[5, 1] = np.inf
    np.savez(tmp_path / "t.npz", x=x, y=y)
    err = refused(capsys, tmp_path / "t.npz")
    assert "row 5, from 0, of x, input column 1, from 0: the value is infinite" in err


# Scaling.


def test_tables_are_standardised_and_pixels_are_not(capsys, tmp_path, table):
    train(capsys, table, "--save", tmp_path / "net")
    assert "inputs were standardised" in run(capsys, "info", tmp_path / "net")[1]
    train(capsys, table, "--save", tmp_path / "net", "--no-standardize")
    assert "inputs were divided by" in run(capsys, "info", tmp_path / "net")[1]
    pixels = RNG.integers(0, 256, (40, 49))
    pixels[0, 0] = 255
    header = ",".join(["label", *(f"pixel{k}" for k in range(49))])
    rows = np.column_stack([np.arange(40) % 2, pixels])
    path = tmp_path / "images.csv"
    np.savetxt(path, rows, "%d", ",", header=header, comments="")
    train(capsys, path, "--save", tmp_path / "net")
    assert "inputs were divided by 255" in run(capsys, "info", tmp_path / "net")[1]


def test_regression_of_a_table(capsys, tmp_path):
    x = RNG.normal(0, 1, (300, 3)) * [1, 1000, 0.01]
    y = 50 + x @ [3, 0.002, 100] + RNG.normal(0, 0.1, 300)
    np.savetxt(tmp_path / "t.csv", np.column_stack([x, y]), "%.6g", ",", header="a,b,c,price", comments="")
    options = ["--regression", "--label-column", "price", "--save", tmp_path / "net"]
    lines = train(capsys, tmp_path / "t.csv", *options)
    assert lines[0] == "targets: column price; 3 inputs; 300 samples"
    assert float(lines[-1].removeprefix("test R2 ")) > 0.9
    code, out, err = run(capsys, "predict", tmp_path / "net", "--data", tmp_path / "t.csv")
    assert code == 0
    assert np.corrcoef(np.array(out.split(), float), y)[0, 1] > 0.95
    assert float(err.split()[1]) > 0.9
    err = refused(capsys, tmp_path / "t.csv", "--label-column", "price")
    assert "real numbers need --regression" in err
    rows = write(tmp_path / "f.csv", text_of())
    assert "column species must hold numbers" in refused(capsys, rows, "--regression")
