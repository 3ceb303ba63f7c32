"""Crafted files that are valid to the letter: none may hang, or take memory that its size does not allow."""

import gzip
import io
import json
import zipfile

import numpy as np
import pytest
from conftest import make_network
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import backprop as bp
from backprop import schedules
from backprop._npz import check_archive
from backprop._packed import ALWAYS_UNPACKED, MOST_UNPACKED, unpack
from backprop.cli.reading import Asked, read
from backprop.datasets import read_idx


@pytest.fixture
def change(tmp_path):
    """Saves a network and its optimizer, lets a function change the description, and gives the path."""

    def changed(function, seed=0, optimizer=None):
        path = tmp_path / "net"
        bp.Network.dense(3, 2, seed=seed).save(path, optimizer=optimizer)
        with safe_open(path, framework="numpy") as file:
            description = json.loads(file.metadata()["backprop"])
        function(description)
        save_file(load_file(path), path, {"backprop": json.dumps(description)})
        return path

    return changed


@pytest.mark.parametrize("name", ["PCG64", "PCG64DXSM", "MT19937"])
def test_a_generator_that_stands_still_is_refused(change, name):
    """From such a state a random number below another is sought for ever."""

    def stop(description):
        state = description["rng"]["state"]
        if name == "MT19937":
            state["key"] = [0x7FFFFFFF] + 623 * [0]
        else:
            state |= {"inc": 0, "state": 0}

    path = change(stop, seed=getattr(np.random, name)(1))
    with pytest.raises(ValueError, match="its rng has a state that gives 0 only"):
        bp.load(path)


@pytest.mark.parametrize("name", ["PCG64", "MT19937"])
def test_states_near_those_are_read(change, name):
    def change_one(description):
        state = description["rng"]["state"]
        if name == "MT19937":
            state["key"] = [0x80000000] + 623 * [0]
        else:
            state |= {"inc": 1, "state": 0}

    bp.load(change(change_one, seed=getattr(np.random, name)(1))).rng.permutation(1000)


def nested(depth):
    rate = 0.1
    for _ in range(depth):
        rate = schedules.WarmUp(rate, 2)
    return rate


def test_warm_ups_in_each_other_ask_the_last_one_once():
    asked = []

    def last(step):
        asked.append(step)
        return 0.5

    rate = last
    for _ in range(16):
        rate = schedules.WarmUp(rate, 2)
    assert rate(np.array([100])) == 0.5
    assert len(asked) <= 17


def test_schedules_in_files_are_in_each_other_to_a_bound(tmp_path, change):
    path = tmp_path / "deep"
    net = make_network((3, 2), "tanh")
    net.save(path, optimizer=bp.SGD(nested(100)))
    assert bp.load(path, optimizer=True)[1].lr == nested(100)
    with pytest.raises(ValueError, match="at most 100 schedules in each other"):
        net.save(path, optimizer=bp.SGD(nested(101)))

    def deepen(description):
        settings = description["optimizer"]["settings"]
        for _ in range(60):
            settings["lr"] = {"name": "WarmUp", "settings": {"after": settings["lr"], "steps": 2}}

    with pytest.raises(ValueError, match="is not a saved network"):
        bp.load(change(deepen, optimizer=bp.SGD(nested(60))), optimizer=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: schedules.Step(0.1, n),
        lambda n: schedules.Cosine(0.1, n),
        lambda n: schedules.WarmUp(0.1, n),
        lambda n: schedules.OneCycle(0.1, n),
        lambda n: schedules.ReduceOnPlateau(0.1, patience=n),
    ],
)
def test_numbers_of_steps_have_a_bound(make):
    with pytest.raises(ValueError, match="must be at most 9007199254740992, got a number of 1329 bits"):
        make(10**400)
    rate = make(2**53)
    assert 0 <= rate(7) <= 0.1


def test_a_huge_number_of_steps_in_a_file_is_refused(change):
    def enlarge(description):
        description["optimizer"]["settings"]["lr"]["settings"]["every"] = 10**400

    with pytest.raises(ValueError, match="is not a saved network"):
        bp.load(change(enlarge, optimizer=bp.SGD(schedules.Step(0.1, 5))), optimizer=True)


def test_packed_data_become_so_many_bytes_at_most():
    assert MOST_UNPACKED == 100
    fine = gzip.compress(bytes(ALWAYS_UNPACKED))
    assert unpack(fine) == bytes(ALWAYS_UNPACKED)
    with pytest.raises(ValueError, match=f"its {len(fine) + 1} bytes are packed more than 100 to 1"):
        unpack(gzip.compress(bytes(ALWAYS_UNPACKED + 2**10))[: len(fine) + 1])
    with pytest.raises(EOFError):
        unpack(fine[:-9])


def test_a_table_that_unpacks_to_too_much_is_refused(tmp_path):
    pytest.importorskip("pandas")
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"0,0\n" * (ALWAYS_UNPACKED // 4 + 1)))
    with pytest.raises(ValueError, match=r"bomb\.csv\.gz is not a table .* packed more than 100 to 1"):
        read(str(path), Asked())


def test_packed_images_that_unpack_to_too_much_are_refused(tmp_path):
    path = tmp_path / "images.gz"
    rows = ALWAYS_UNPACKED // 2**10 + 1
    head = bytes([0, 0, 8, 3]) + b"".join(length.to_bytes(4, "big") for length in (rows, 32, 32))
    path.write_bytes(gzip.compress(head + bytes(rows * 2**10)))
    with pytest.raises(ValueError, match=f"where at most {ALWAYS_UNPACKED} can be"):
        read_idx(path)


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)


def npy(array, shape=None):
    content = io.BytesIO()
    np.save(content, array)
    text = content.getvalue()
    if shape is not None:
        old = f"{array.shape}, }}".encode()
        new = f"{shape}, }}".encode()
        assert old in text
        spare = len(new) - len(old)
        text = text.replace(old + spare * b" ", new)
    return text


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    path = tmp_path / "bomb.npz"
    archive(path, x=npy(np.zeros((ALWAYS_UNPACKED // 8, 1))), y=npy(np.zeros(3)))
    with pytest.raises(ValueError, match=r"bomb\.npz is not an \.npz file .* packed more than 100 to 1"):
        read(str(path), Asked())
    np.savez(path, x=np.zeros((ALWAYS_UNPACKED // 8, 1), np.int64), y=np.zeros(ALWAYS_UNPACKED // 8, int))
    assert len(read(str(path), Asked()).whole.x) == ALWAYS_UNPACKED // 8


def test_a_member_that_claims_more_than_it_has_is_refused(tmp_path):
    path = tmp_path / "claims.npz"
    archive(path, x=npy(np.zeros((4, 2)), (2**40, 2)), y=npy(np.zeros(4, int)))
    with pytest.raises(ValueError, match=r"x\.npy claims the shape \(1099511627776, 2\), and has"):
        read(str(path), Asked())
    archive(path, x=npy(np.zeros((4, 2))), y=npy(np.zeros(4, int)))
    check_archive(str(path))
    assert read(str(path), Asked()).whole.x.shape == (4, 2)
