"""What a saved network remembers of its table; damaged tables; and the other formats of --data."""

import gzip

import numpy as np
import pytest
from flowers import FLOWERS, HEADER, RNG, model_in, refused, table_in, text_of, train, with_gaps, write
from test_cli import run

import backprop as bp


@pytest.fixture
def table(tmp_path):
    return table_in(tmp_path)


@pytest.fixture
def model(capsys, tmp_path):
    return model_in(tmp_path, capsys)


# What the saved file remembers.


def test_columns_are_taken_by_name_in_any_order(capsys, tmp_path, model, table):
    _, expected, _ = run(capsys, "predict", model, "--data", table)
    shuffled = [[row[2], "7", row[3], row[1], row[0]] for row in FLOWERS]
    path = write(tmp_path / "t.csv", text_of(shuffled, ["colour", "id", "species", "width", "length"]))
    code, out, err = run(capsys, "predict", model, "--data", path)
    assert (code, out) == (0, expected)
    assert err.startswith("backprop: columns that the training did not know are left out: id\naccuracy")
    colourless = text_of([row[1:] for row in shuffled], ["id", "species", "width", "length"])
    path = write(tmp_path / "t.csv", colourless)
    code, out, err = run(capsys, "predict", model, "--data", path)
    assert (code, out) == (1, "")
    assert "has no column colour, which the network takes" in err


def test_data_without_labels_can_be_predicted(capsys, tmp_path, model, table):
    _, expected, _ = run(capsys, "predict", model, "--data", table)
    unlabelled = [row[:3] for row in FLOWERS]
    for header in (HEADER[:3], None):  # by name, by position
        path = write(tmp_path / "t.csv", text_of(unlabelled, header))
        assert run(capsys, "predict", model, "--data", path) == (0, expected, "")
    path = write(tmp_path / "t.csv", text_of(unlabelled, HEADER[:3]))
    code, _, err = run(capsys, "evaluate", model, "--data", path)
    assert code == 1
    assert "has no column species, which holds the labels" in err
    path = write(tmp_path / "t.csv", text_of([row[:2] for row in FLOWERS], None))
    assert "has 2 columns; the network was trained with 4, 3 of them inputs" in run(
        capsys, "predict", model, "--data", path
    )[2]


def test_labels_that_are_no_classes(capsys, tmp_path, model):
    path = write(tmp_path / "t.csv", text_of([*FLOWERS[:5], ["1", "2", "red", "rosa"]]))
    code, out, err = run(capsys, "predict", model, "--data", path)
    assert (code, len(out.split())) == (0, 6)
    assert "not compared with the labels: the label 'rosa' in line 7 is none of the classes setosa" in err
    code, _, err = run(capsys, "evaluate", model, "--data", path)
    assert code == 1
    assert "the label 'rosa' in line 7" in err


def test_categories_may_look_like_numbers(capsys, tmp_path):
    """Alone in a later table they are still texts: 01 is not 1."""
    codes = ("01", "02", "x")
    rows = [[*row, codes[i % 3]] for i, row in enumerate(FLOWERS)]
    path, header = tmp_path / "t.csv", [*HEADER, "code"]
    train(capsys, write(path, text_of(rows, header)), "--save", tmp_path / "net")
    _, expected, _ = run(capsys, "predict", tmp_path / "net", "--data", path, "--outputs")
    write(path, text_of(rows[:1], header))
    code, out, err = run(capsys, "predict", tmp_path / "net", "--data", path, "--outputs")
    assert (code, out) == (0, expected.splitlines()[0] + "\n")
    assert err.startswith("accuracy")


def test_a_label_column_of_another_name(capsys, tmp_path, model, table):
    path = write(tmp_path / "t.csv", text_of(header=[*HEADER[:3], "truth"]))
    code, out, _ = run(capsys, "evaluate", model, "--data", path, "--label-column", "truth")
    assert (code, out) == (0, run(capsys, "evaluate", model, "--data", table)[1])


def test_a_training_on_a_table_goes_on(capsys, tmp_path):
    path = write(tmp_path / "t.csv", with_gaps([(3, 0)]))
    options = ["--data", path, "--missing", "drop"]
    _, whole, _ = run(capsys, "train", *options, "--epochs", 6)
    run(capsys, "train", *options, "--epochs", 4, "--save", tmp_path / "net")
    code, rest, err = run(capsys, "train", "--resume", tmp_path / "net", "--data", path, "--epochs", 2)
    assert (code, err) == (0, "")
    assert rest.splitlines()[-1] == whole.splitlines()[-1]
    assert [line[9:] for line in rest.splitlines()[2:4]] == [line[9:] for line in whole.splitlines()[6:8]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a,y\n1,0\n2\n3,1\n", "line 3 has 1 fields, expected 2"),
        ("a,y\n1,0\n2,1,5\n3,1\n4,0\n", "line 3 has 3 fields, expected 2"),
        ("# c\na,y\n\n1,0\n2,1,5\n3,1\n4,0\n", "line 5 has 3 fields, expected 2"),
        ('a,y\n1,0\n"2,1\n3,1\n', "line 3 opens a quote that nothing closes"),
        (b"a,y\n1,0\n\0\0\0\n", "line 3 holds a zero byte"),
        ("", "no samples"),
        ("a,y\n", "no samples"),
        ("# a,y\n", "lines that begin with # are comments"),
        ("y\n0\n1\n", "no column of inputs"),
    ],
)
def test_damaged_tables_are_named_by_line(capsys, tmp_path, content, says):
    assert says in refused(capsys, write(tmp_path / "t.csv", content))


# Other formats.


def idx(array, kind):
    head = bytes([0, 0, kind, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.tobytes()


@pytest.mark.parametrize(
    ("kind", "dtype"), [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
def test_idx_of_every_type_with_names_as_emnist_has(capsys, tmp_path, kind, dtype):
    labels = np.arange(60) % 3 + 1
    images = (20 * labels[:, None, None] + RNG.integers(0, 20, (60, 2, 2))).astype(dtype)
    for part, rows in (("train", slice(0, 40)), ("test", slice(40, 60))):
        stem = tmp_path / f"emnist-letters-{part}"
        write(stem.with_name(f"{stem.name}-images-idx3-ubyte"), idx(images[rows], kind))
        content = gzip.compress(idx(labels[rows].astype("u1"), 8))
        write(stem.with_name(f"{stem.name}-labels-idx1-ubyte.gz"), content)
    lines = train(capsys, tmp_path, "--standardize", "--save", tmp_path / "net")
    assert lines[0] == "40 samples to train on, 20 to test with; layers 4-30-3"
    assert lines == train(capsys, tmp_path / "emnist-letters", "--standardize", "--save", tmp_path / "net")
    x = bp.datasets.load_idx(tmp_path)[0]
    assert x.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(x, images[:40].reshape(40, 4))
    one = tmp_path / "emnist-letters-test-images-idx3-ubyte"
    code, out, err = run(capsys, "predict", tmp_path / "net", "--data", one)
    assert (code, err) == (0, "")
    assert set(out.split()) <= {"1", "2", "3"}
    assert len(out.split()) == 20
    write(tmp_path / "emnist-digits-train-images-idx3-ubyte", idx(images, kind))
    assert "holds several data sets; name one of them" in refused(capsys, tmp_path)


def test_npz_errors_list_the_names_and_x_alone_can_be_predicted(capsys, tmp_path):
    x, y = RNG.random((40, 3)), np.array(["no", "yes"])[np.arange(40) % 2]
    np.savez(tmp_path / "odd.npz", images=x, labels=y)
    assert "it has images, labels, and should have x_train" in refused(capsys, tmp_path / "odd.npz")
    np.savez(tmp_path / "good.npz", x=x, y=y)
    train(capsys, tmp_path / "good.npz", "--save", tmp_path / "net")
    np.savez(tmp_path / "new.npz", x=x)
    code, out, err = run(capsys, "predict", tmp_path / "net", "--data", tmp_path / "new.npz")
    assert (code, err) == (0, "")
    assert set(out.split()) <= {"no", "yes"}
    assert "--label-column, --drop-column and --header are for tables" in refused(
        capsys, tmp_path / "good.npz", "--label-column", "y"
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"columns": 5}, "must have names and inputs"),
        ({"columns": {"names": ["a"], "inputs": [{"name": "b"}]}}, "have an input"),
        ({"columns": {"names": ["a"], "inputs": [{"name": "a"}]}}, "give 1 inputs; the network has 2"),
        ({"columns": {"names": ["a"], "label": "a", "inputs": [{"name": "a"}]}}, "agree with their label"),
        ({"classes": ["x"]}, "must be 2 different"),
        ({"classes": ["x", 1]}, "must be 2 different"),
        ({"scale": "16"}, "must be a number"),
    ],
)
def test_a_file_that_remembers_nonsense_is_refused(capsys, tmp_path, change, says):
    bp.files.format.save(bp.Network.dense(2, 2, seed=0), tmp_path / "net", change)
    code, _, err = run(capsys, "info", tmp_path / "net")
    assert code == 1
    assert says in err
