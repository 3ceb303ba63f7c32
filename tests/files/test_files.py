"""Saved networks: what comes back, and what a damaged or foreign file is answered with."""

import json
import os
import stat

import numpy as np
import pytest
from conftest import assert_same_bits, make_data, make_network
from safetensors.numpy import load_file, save_file

import backprop as bp
from backprop import _core
from backprop.files.format import load_all, save


@pytest.fixture
def saved(tmp_path):
    """A saved network: the network, its path and the file's bytes."""
    net = make_network((3, 4, 2), ("tanh", "sigmoid"), dtype="float32", bias=(True, False))
    path = tmp_path / "net.safetensors"
    net.save(path)
    return net, path, path.read_bytes()


@pytest.mark.parametrize("activation", _core.activations)
def test_a_network_comes_back_the_same(tmp_path, activation, dtype):
    net = make_network((3, 4, 5, 2), (activation, "relu", activation), "huber", dtype, (True, False, True))
    x, y = make_data(net, 7)
    path = tmp_path / "net.safetensors"
    net.save(path)
    loaded = bp.load(path)
    assert repr(loaded) == repr(net)
    assert loaded.loss_name == "huber"
    assert_same_bits(loaded.parameters, net.parameters)
    assert_same_bits(loaded(x), net(x))
    loaded.fit(x, y, bp.SGD(0.1), shuffle=False)
    net.fit(x, y, bp.SGD(0.1), shuffle=False)
    assert_same_bits(loaded.parameters, net.parameters)


def test_other_readers_find_the_tensors(saved):
    net, path, _ = saved
    tensors = load_file(path)
    assert sorted(tensors) == ["layers.0.bias", "layers.0.weights", "layers.1.weights"]
    assert_same_bits(tensors["layers.0.weights"], net.layers[0].weights)
    assert_same_bits(tensors["layers.0.bias"], net.layers[0].bias)


def test_equal_networks_have_equal_files(saved, tmp_path):
    bp.load(saved[1]).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == saved[2]


def test_notes_come_back(saved, tmp_path):
    save(saved[0], tmp_path / "noted", {"scale": 16.0})
    assert load_all(tmp_path / "noted", bp.Network)[1] == {"scale": 16.0}
    assert load_all(saved[1], bp.Network)[1] == {}


def test_saving_replaces_whole_and_leaves_nothing_beside(saved, tmp_path):
    _, path, _ = saved
    other = make_network((2, 2), "relu")
    other.save(str(path))
    assert repr(bp.load(path)) == repr(other)
    assert os.listdir(tmp_path) == [path.name]


def test_a_link_stays_a_link(saved, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(saved[1].name)
    make_network((2, 2), "relu").save(link)
    assert link.is_symlink()
    assert repr(bp.load(saved[1])) == repr(bp.load(link))


def test_a_failed_save_leaves_the_old_file(saved, tmp_path, monkeypatch):
    net, path, data = saved

    def fail(*_):
        raise OSError("no space left")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(os, name, fail)
            with pytest.raises(OSError, match="no space left"):
                net.save(path)
        assert path.read_bytes() == data
        assert os.listdir(tmp_path) == [path.name]


def test_the_file_has_the_usual_permissions(saved):
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(saved[1].stat().st_mode) == 0o666 & ~umask


def test_missing_files_are_os_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        bp.load(tmp_path / "nowhere")
    with pytest.raises(IsADirectoryError):
        bp.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        make_network((2, 2), "relu").save(tmp_path / "no" / "folder")


def test_a_cut_file_is_a_value_error(saved):
    _, path, data = saved
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"net\.safetensors"):
            bp.load(path)


def test_a_changed_byte_is_a_value_error_or_another_number(saved):
    """Bytes of the head are structure, bytes after it are weights: any of these is a number."""
    net, path, data = saved
    head = 8 + int.from_bytes(data[:8], "little")
    for position in range(head):
        for flip in (0x01, 0x80, 0xFF):
            path.write_bytes(data[:position] + bytes([data[position] ^ flip]) + data[position + 1 :])
            try:
                loaded = bp.load(path)
            except ValueError:
                continue
            assert loaded.parameters.size == net.parameters.size


def test_random_bytes_are_a_value_error(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "noise"
    for length in (1, 8, 9, 100, 10_000):
        path.write_bytes(rng.bytes(length))
        with pytest.raises(ValueError, match="noise"):
            bp.load(path)


def description(**changes):
    """The description of a network 3-2, changed."""
    layer = {"inputs": 3, "outputs": 2, "activation": "tanh", "bias": True}
    whole = {"version": 1, "layers": [layer], "loss": "huber", "dtype": "float32", "notes": {}}
    return whole | changes


def layer(**changes):
    return {"layers": [description()["layers"][0] | changes]}


FOREIGN = {
    "no description": None,
    "not JSON": "{",
    "deep JSON": "[" * 100_000,
    "a list": "[]",
    "a later version": json.dumps(description(version=2)),
    "no layers": json.dumps(description(layers=[])),
    "layers of numbers": json.dumps(description(layers=[3, 2])),
    "unknown activation": json.dumps(description(**layer(activation="tan"))),
    "unknown loss": json.dumps(description(loss="hubert")),
    "unknown dtype": json.dumps(description(dtype="float16")),
    "other dtype": json.dumps(description(dtype="float64")),
    "negative size": json.dumps(description(**layer(inputs=-3))),
    "size of another type": json.dumps(description(**layer(inputs=3.0))),
    "huge size": json.dumps(description(**layer(inputs=2**40))),
    "bias of another type": json.dumps(description(**layer(bias=1))),
    "bias that is missing": json.dumps(description(**layer(bias=False))),
    "other shape": json.dumps(description(**layer(inputs=2, outputs=3))),
    "layers that do not chain": json.dumps(description(layers=2 * description()["layers"])),
    "notes that are no object": json.dumps(description(notes=[16])),
}


def write(path, text, **tensors):
    tensors = {
        "layers.0.weights": np.ones((2, 3), np.float32),
        "layers.0.bias": np.ones(2, np.float32),
    } | tensors
    save_file(tensors, path, None if text is None else {"backprop": text})


def test_the_unchanged_description_is_fine(tmp_path):
    write(tmp_path / "net", json.dumps(description()))
    assert bp.load(tmp_path / "net").parameters.tolist() == [1.0] * 8


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_a_value_error(tmp_path, kind):
    write(tmp_path / "net", FOREIGN[kind])
    with pytest.raises(ValueError, match=r"net is not a saved network, or is damaged: "):
        bp.load(tmp_path / "net")


def test_tensors_too_many_are_a_value_error(tmp_path):
    write(tmp_path / "net", json.dumps(description()), more=np.ones(1, np.float32))
    with pytest.raises(ValueError, match="more"):
        bp.load(tmp_path / "net")
    write(tmp_path / "net", json.dumps(description()), **{"optimizer.0": np.ones(8, np.float32)})
    with pytest.raises(ValueError, match="but no optimizer"):
        bp.load(tmp_path / "net")
