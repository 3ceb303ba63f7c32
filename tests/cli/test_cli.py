"""python -m backprop, as a user types it."""

import gzip
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import run

import backprop as bp

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(bp.__file__).parent.parent)}
COMMAND = [sys.executable, "-m", "backprop"]


def accuracy_in(out):
    last = out.splitlines()[-1]
    match = re.fullmatch(r"test accuracy ([01]\.\d{4})", last)
    assert match, last
    return float(match[1])


def digits():
    """The embedded digits as bytes 0 to 16: x, y for training and for testing."""
    x_train, y_train, x_test, y_test = bp.datasets.load_digits()
    return (x_train * 16).astype(np.uint8), y_train, (x_test * 16).astype(np.uint8), y_test


def write_idx(folder):
    folder.mkdir()
    x_train, y_train, x_test, y_test = digits()
    for part, x, y in (("train", x_train, y_train), ("t10k", x_test, y_test)):
        # 15 times brighter, to fill the range that a byte has
        images = (15 * x).astype(np.uint8).tobytes()
        head = struct.pack(">4B3I", 0, 0, 8, 3, len(x), 8, 8)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images))
        head = struct.pack(">4B1I", 0, 0, 8, 1, len(y))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(head + y.astype(np.uint8).tobytes())


def test_the_main_job(tmp_path):
    """In an empty folder, without a terminal: one line per epoch, at least 97 % in at most 5 s."""
    start = time.perf_counter()
    result = subprocess.run(
        COMMAND, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    seconds = time.perf_counter() - start
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    epochs = [int(match[1]) for line in lines if (match := re.match(r"epoch +(\d+)  loss \d", line))]
    assert epochs == list(range(1, len(epochs) + 1))
    assert len(lines) == len(epochs) + 2
    assert accuracy_in(result.stdout) >= 0.97
    assert seconds <= 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_main_job_does_not_hang_on_its_seed(capsys, seed):
    code, out, _ = run(capsys, "train", "--seed", seed)
    assert code == 0
    assert accuracy_in(out) >= 0.965


def test_the_same_command_gives_the_same_figures(capsys):
    first = run(capsys, "train", "--epochs", 3)
    assert run(capsys, "train", "--epochs", 3, "--threads", 2) == first


def test_a_terminal_shows_a_bar(tmp_path):
    parent, child = pty.openpty()
    process = subprocess.Popen(COMMAND, cwd=tmp_path, env=ENVIRONMENT, stdout=child, stderr=child)
    os.close(child)
    shown = b""
    while True:
        try:
            shown += os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
    os.close(parent)
    assert process.wait(60) == 0
    text = shown.decode()
    assert "30/30" in text
    assert "epoch  30" not in text
    assert accuracy_in(text.replace("\r\n", "\n")) >= 0.97


def test_train_save_predict_info(capsys, tmp_path):
    write_idx(tmp_path / "images")
    model = tmp_path / "model.safetensors"
    code, out, err = run(
        capsys, "train", "--data", tmp_path / "images", "--layers", "64-20-10", "--epochs", 8, "--save", model
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "1438 samples to train on, 359 to test with; layers 64-20-10"
    accuracy = accuracy_in(out)
    assert accuracy > 0.9

    code, out, err = run(capsys, "predict", model, "--data", tmp_path / "images")
    assert code == 0
    labels = np.array(out.split(), dtype=int)
    _, _, x_test, y_test = digits()
    assert np.mean(labels == y_test) == pytest.approx(accuracy, abs=5e-5)
    assert err == f"accuracy {accuracy:.4f} of 359 samples\n"
    # The images were divided by 255, and the model's file says so.
    assert np.array_equal(bp.load(model).classify(15 * x_test.astype(np.float32) / 255), labels)

    code, out, err = run(capsys, "info", model)
    assert (code, err) == (0, "")
    assert "1,510 parameters in float32" in out
    assert "divided by 255" in out


def test_info(capsys):
    code, out, err = run(capsys, "info")
    assert (code, err) == (0, "")
    for word in (bp.__version__, np.__version__, "instruction set", "threads"):
        assert word in out


def test_npz_with_and_without_a_test_part(capsys, tmp_path):
    x_train, y_train, x_test, y_test = digits()
    np.savez(tmp_path / "parts.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    np.savez_compressed(tmp_path / "whole.npz", x=x_train.reshape(-1, 8, 8) / 16, y=y_train.astype(float))
    for name, tests in (("parts", 359), ("whole", 288)):
        options = ["--data", tmp_path / f"{name}.npz", "--output", "softmax", "--loss", "cross_entropy"]
        code, out, err = run(capsys, "train", *options, "--epochs", 40)
        assert (code, err) == (0, "")
        assert f"{tests} to test with; layers 64-30-10" in out
        assert accuracy_in(out) > 0.9


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("label_column", [None, -1])
def test_csv(capsys, tmp_path, head, label_column):
    x_train, y_train, x_test, _ = digits()
    names = [f"pixel{k}" for k in range(64)]
    if label_column is None:
        table, names = np.column_stack([y_train, x_train]), ["label", *names]
        options = [] if head else ["--label-column", 0]
    else:
        table, names = np.column_stack([x_train, y_train]), [*names, "digit"]
        options = ["--label-column", label_column]
    path, model, unlabelled = tmp_path / "digits.csv.gz", tmp_path / "model", tmp_path / "new.csv"
    np.savetxt(path, table, "%d", delimiter=",", header=",".join(names) if head else "", comments="")
    np.savetxt(unlabelled, x_test, "%d", delimiter=",")
    code, out, err = run(capsys, "train", "--data", path, "--epochs", 10, "--save", model, *options)
    assert (code, err) == (0, "")
    assert accuracy_in(out) > 0.9

    code, out, err = run(capsys, "predict", model, "--data", path, *options)
    assert code == 0
    assert len(out.split()) == len(x_train)
    assert "of 1438 samples" in err
    code, out, err = run(capsys, "predict", model, "--data", unlabelled)
    assert (code, err) == (0, "")
    assert len(out.split()) == len(x_test)
    code, out, err = run(capsys, "info", model)
    assert "divided by 16" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "--hidden", "sigmod"], "did you mean 'sigmoid'"),
        (["train", "--loss", "crossentropy"], "did you mean 'cross_entropy'"),
        (["train", "--layers", "64x10"], "784-30-10"),
        (["train", "--layers", "64"], "784-30-10"),
        (["train", "--epochs", "many"], "many"),
        (["trian"], "trian"),
        (["predict"], "model"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(capsys, arguments, says):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "--data", "nowhere"], "nowhere"),
        (["train", "--data", "nowhere.npz"], "nowhere.npz"),
        (["train", "--data", "nowhere.csv"], "nowhere.csv"),
        (["train", "--data", "text.rtf"], ".npz, .csv"),
        (["train", "--data", "damaged.npz"], "damaged.npz"),
        (["train", "--data", "damaged.csv"], "damaged.csv"),
        (["train", "--data", "damaged.csv.gz"], "damaged.csv.gz"),
        (["train", "--data", "empty.csv"], "empty.csv"),
        (["train", "--data", "fractions.csv"], "--label-column"),
        (["train", "--data", "fractions.csv", "--label-column", "0"], "whole numbers"),
        (["train", "--data", "fractions.csv", "--label-column", "7"], "no column 7"),
        (["train", "--data", "pickled.npz"], "pickled.npz"),
        (["train", "--data", "lengths.npz"], "shape (3,)"),
        (["train", "--data", "."], "train-images"),
        (["train", "--layers", "60-10"], "64 inputs"),
        (["train", "--layers", "64-9"], "10 classes"),
        (["train", "--lr", "-1"], "lr"),
        (["train", "--epochs", "0"], "epochs"),
        (["train", "--threads", "0"], "threads"),
        (["train", "--save", "no/such/folder"], "no/such/folder"),
        (["predict", "nowhere"], "nowhere"),
        (["predict", "damaged.npz"], "not a saved network"),
        (["info", "damaged.npz"], "not a saved network"),
    ],
)
def test_bad_data_is_exit_code_1_and_one_line(capsys, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    Path("text.rtf").write_text("text", encoding="utf-8")
    Path("damaged.npz").write_bytes(b"PK\3\4 no zip file")
    Path("damaged.csv").write_text("1,2,3\n4,five,6\n", encoding="utf-8")
    Path("damaged.csv.gz").write_bytes(gzip.compress(b"1,2,3\n" * 100)[:-9])
    Path("empty.csv").write_text("label,x\n", encoding="utf-8")
    Path("fractions.csv").write_text("0.5,1\n1.5,2\n", encoding="utf-8")
    np.savez("pickled.npz", x=np.array([{}, {}]), y=np.array([0, 1]))
    np.savez("lengths.npz", x=np.zeros((3, 2)), y=np.array([0, 1]))
    code, _, err = run(capsys, *arguments)
    assert code == 1
    assert err.startswith("backprop: error: ")
    assert says in err
    assert err.count("\n") == 1


def test_divergence_is_exit_code_1(capsys):
    code, _, err = run(capsys, "train", "--hidden", "relu", "--output", "identity", "--lr", 1e6)
    assert code == 1
    assert err.startswith("backprop: error: ")
    assert "epoch" in err


def test_ctrl_c_is_exit_code_130(tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "train", "--epochs", "1000000"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()  # training has begun
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert err == "interrupted\n"


def test_a_reader_that_leaves_is_no_traceback(tmp_path):
    command = f"{sys.executable} -m backprop train --epochs 2000 | head -1"
    result = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    assert result.stdout.startswith("1438 samples")
    assert result.stderr == ""


def test_version(capsys):
    assert run(capsys, "--version") == (0, f"backprop {bp.__version__}\n", "")


def test_a_folder_to_save_to_that_is_not_there(capsys, tmp_path):
    """Said before the training, not after it; and of the file that was asked for."""
    path = tmp_path / "nowhere" / "net.safetensors"
    code, out, err = run(capsys, "train", "--save", path)
    assert code == 1
    assert out == ""
    assert "no folder" in err
    assert str(path) in err
    with pytest.raises(FileNotFoundError, match="no such folder") as caught:
        bp.Network.dense(2, 2).save(path)
    assert caught.value.filename == str(path)
