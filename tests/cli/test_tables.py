"""How tables are read, and which column holds the labels: the contract of docs/command_line.md."""

import gzip
import io
import subprocess
import sys

import numpy as np
import pytest
from flowers import FLOWERS, HEADER, NAMES, RNG, model_in, refused, table_in, text_of, train, write
from test_cli import COMMAND, ENVIRONMENT, accuracy_in, run

from backprop.cli.tables import Table


@pytest.fixture
def table(tmp_path):
    return table_in(tmp_path)


@pytest.fixture
def model(capsys, tmp_path):
    return model_in(tmp_path, capsys)


def test_one_line_says_what_was_understood(capsys, table):
    lines = train(capsys, table)
    assert lines[0] == (
        "labels: column species, 3 classes; 4 inputs, 2 of them categories of colour; 90 samples"
    )
    assert accuracy_in("\n".join(lines)) > 0.9


def test_tables_need_pandas(capsys, table, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert "pip install 'cbackprop[table]'" in refused(capsys, table)


# How tables are written.

ROWS = "a,b,class\n1.5,2,x\n2.5,3,y\n3.5,4,x\n4.5,5,y\n"
WRITTEN = {
    "quotes": '"a","b","class"\n"1.5","2","x"\n2.5,3,"y"\n3.5,4,x\n4.5,5,y\n',
    "CRLF": ROWS.replace("\n", "\r\n"),
    "CR": ROWS.replace("\n", "\r"),
    "BOM": "\ufeff" + ROWS,
    "UTF-16": ROWS.encode("utf-16"),
    "semicolons": ROWS.replace(",", ";"),
    "decimal commas": ROWS.replace(",", ";").replace(".", ","),
    "tabs": ROWS.replace(",", "\t"),
    "bars": ROWS.replace(",", "|"),
    "spaces": "a b   class\n 1.5  2 x\n 2.5 3  y\n3.5 4 x \n4.5 5 y\n",
    "decimal commas and spaces": ROWS.replace(",", " ").replace(".", ","),
    "spaces after commas": ROWS.replace(",", ", "),
    "comments": "# made by hand\n#\n" + ROWS.replace("2.5", "# between\n2.5"),
    "blank lines": "\n" + ROWS.replace("3.5", "\n\n3.5") + "\n\n",
    "separators at the ends": ROWS.replace("\n", ",\n"),
    "separators at the ends of samples": ROWS.replace("x\n", "x,\n").replace("y\n", "y,\n"),
    "no end of line": ROWS[:-1],
    "packed": gzip.compress(ROWS.encode()),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_ways_to_write_a_table(tmp_path, kind):
    table = Table(str(write(tmp_path / "table.csv", WRITTEN[kind])))
    assert table.names[:3] == ("a", "b", "class")
    assert table.numbers("a").tolist() == [1.5, 2.5, 3.5, 4.5]
    assert table.numbers("b").tolist() == [2, 3, 4, 5]
    assert table.texts("class") == ["x", "y", "x", "y"]


@pytest.mark.parametrize("name", ["T.CSV", "t.Tsv", "t.txt", "t.csv.gz", "t.CSV.GZ", "t.dat", "t.data"])
def test_endings_in_any_case(capsys, tmp_path, name):
    content = text_of().encode()
    path = write(tmp_path / name, gzip.compress(content) if name.lower().endswith("gz") else content)
    assert "90 samples" in train(capsys, path)[0]


def test_standard_input(capsys, monkeypatch, model, table):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text_of().encode())))
    lines = train(capsys, "-")
    assert lines[:-1] == train(capsys, table)[:-1]
    unlabelled = text_of([row[:3] for row in FLOWERS], HEADER[:3])
    result = subprocess.run(
        [*COMMAND, "predict", model, "--data", "-"],
        input=unlabelled, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    assert set(result.stdout.split()) <= set(NAMES)
    assert len(result.stdout.split()) == 90


def test_windows_text_is_read(tmp_path):
    table = Table(str(write(tmp_path / "t.csv", "größe,ort\n1,Köln\n".encode("cp1252"))))
    assert table.names == ("größe", "ort")
    assert table.texts("ort") == ["Köln"]


# The header: no row is lost or invented.

HEADERS = [
    ("a,b\n1,2\n3,4\n", True, 2),
    ("1,2\n3,4\n", False, 2),
    ("\ufeff1,2\n3,4\n", False, 2),
    ("5.1,3.5,setosa\n4.9,3.0,setosa\n", False, 2),  # as UCI's iris
    ("p,x,s\ne,x,s\np,y,s\ne,y,s\np,x,s\n", False, 5),  # as UCI's mushrooms
    ("class,cap\np,x\ne,x\n", True, 2),
    ("a,b\na,x\nc,y\n", True, 2),
    ("year,value\n1990,NA\n1991,2\n", True, 2),
    ('"a\nbig",b\n1,2\n', True, 1),
    (',"16.5","17.5"\n1,3,4\n2,5,6\n', True, 2),  # as R's crimtab
    ("1\n", False, 1),
    ("x\n1\n", True, 1),
]


@pytest.mark.parametrize(("content", "header", "rows"), HEADERS)
def test_a_header_is_decided_by_the_lines(tmp_path, content, header, rows):
    table = Table(str(write(tmp_path / "t.csv", content)))
    assert (table.dialect.has_header, table.rows) == (header, rows)


def test_the_header_can_be_said(capsys, tmp_path):
    path = write(tmp_path / "t.csv", "0,1,2\n" + "1,5,7\n2,6,8\n" * 10)
    assert "; 21 samples" in train(capsys, path, "--label-column", 0)[0]
    assert "; 20 samples" in train(capsys, path, "--header", "--label-column", 0)[0]
    assert "columns 0, 1, 2 (no header was found" in refused(capsys, path)
    path = write(tmp_path / "t.csv", "a,b\n" + "x,1\ny,2\n" * 10)
    assert "column 0, 3 classes" in train(capsys, path, "--no-header", "--label-column", 0)[0]
    assert "column a, 2 classes" in train(capsys, path, "--label-column", 0)[0]


# Labels.


@pytest.mark.parametrize("name", ["label", "target", "class", "species", "y", "Species", "LABEL"])
def test_names_of_label_columns(capsys, tmp_path, name):
    path = write(tmp_path / "t.csv", text_of(header=[*HEADER[:3], name]))
    assert f"labels: column {name}, 3 classes" in train(capsys, path)[0]


def test_no_label_column_is_guessed(capsys, tmp_path):
    path = write(tmp_path / "t.csv", text_of(header=[*HEADER[:3], "kind"]))
    err = refused(capsys, path)
    assert "--label-column" in err
    assert "columns length, width, colour, kind" in err
    two = write(tmp_path / "two.csv", text_of(header=["y", "width", "colour", "class"]))
    assert "y, class may all be it" in refused(capsys, two)


def test_label_column_by_name_first_then_by_index(capsys, tmp_path):
    path = write(tmp_path / "t.csv", text_of(header=["length", "width", "colour", "0"]))
    assert "column 0, 3 classes" in train(capsys, path, "--label-column", "0")[0]
    assert "column colour, 2 classes" in train(capsys, path, "--label-column", "2")[0]
    assert "column 0, 3 classes" in train(capsys, path, "--label-column", "-1")[0]
    assert "no column 'color'; did you mean 'colour'" in refused(capsys, path, "--label-column", "color")
    assert "so there is no column 4" in refused(capsys, path, "--label-column", "4")


def test_names_of_classes_are_printed(capsys, model, table):
    code, out, err = run(capsys, "predict", model, "--data", table)
    assert code == 0
    said = out.split()
    truth = [row[3] for row in FLOWERS]
    share = np.mean([one == other for one, other in zip(said, truth, strict=True)])
    assert err == f"accuracy {share:.4f} of 90 samples\n"
    assert share > 0.9
    code, out, _ = run(capsys, "evaluate", model, "--data", table, "--confusion")
    assert code == 0
    lines = out.splitlines()[5:]
    assert lines[0].split() == list(NAMES)
    assert [line.split()[0] for line in lines[1:]] == list(NAMES)
    assert [sum(map(int, line.split()[1:])) for line in lines[1:]] == [30, 30, 30]
    code, out, _ = run(capsys, "info", model)
    assert "inputs: length, width, colour=blue, colour=red\nlabels: column species" in out
    assert "classes: setosa, versicolor, virginica" in out


def test_labels_are_any_set_of_whole_numbers(capsys, tmp_path):
    number = dict(zip(NAMES, ("1000", "-5", "2000.0"), strict=True))
    path = write(tmp_path / "t.csv", text_of([[*row[:3], number[row[3]]] for row in FLOWERS]))
    lines = train(capsys, path, "--save", tmp_path / "net")
    assert "3 classes" in lines[0]
    assert lines[1].endswith("layers 4-30-3")
    _, out, err = run(capsys, "predict", tmp_path / "net", "--data", path)
    assert set(out.split()) == {"1000", "-5", "2000"}
    assert float(err.split()[1]) > 0.9
    np.savez(tmp_path / "t.npz", x=RNG.random((40, 2)), y=np.arange(40) % 2 * 1000 + 1000)
    assert "layers 2-30-2" in train(capsys, tmp_path / "t.npz")[0]


def test_an_id_as_label_is_refused_by_name(capsys, tmp_path):
    rows = [[str(1000 + i), *row] for i, row in enumerate(FLOWERS)]
    path = write(tmp_path / "t.csv", text_of(rows, ["id", *HEADER]))
    err = refused(capsys, path, "--label-column", "id")
    assert "column id has 90 different values in 90 samples" in err
    rows = [row for row in FLOWERS if row[3] == "setosa"]
    assert "one class only, 'setosa'" in refused(capsys, write(tmp_path / "t.csv", text_of(rows)))


def test_weights_of_classes_by_name(capsys, table):
    train(capsys, table, "--class-weight", "setosa:2,virginica:0.5")
    assert "names rosa, which is none of the classes setosa" in run(
        capsys, "train", "--data", table, "--class-weight", "rosa:2"
    )[2]
