"""Damaged files and killed writers: nothing lost, nothing executed, no crash.

BACKPROP_DAMAGED_FILES and BACKPROP_KILLS set how many; ``make durability`` does the full count.
"""

import json
import os
import random
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from conftest import make_data, make_network

import backprop as bp

DAMAGED_FILES = int(os.environ.get("BACKPROP_DAMAGED_FILES", "200"))
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(bp.__file__).parent.parent)}
KILLS = int(os.environ.get("BACKPROP_KILLS", "10"))


def split(data):
    """The parsed head of a safetensors file and what follows it."""
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def join(head, rest):
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + rest


def cut(rng, data):
    return data[: rng.randrange(len(data))]


def flip_bits(rng, data):
    damaged = bytearray(data)
    head = 8 + int.from_bytes(data[:8], "little")
    for _ in range(rng.choice((1, 1, 3, 30))):
        damaged[rng.randrange(head)] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def swap_bytes_of_head(rng, data):
    head, rest = split(data)
    text = bytearray(json.dumps(head).encode())
    start = rng.randrange(len(text))
    text[start : start + rng.randrange(1, 9)] = rng.randbytes(rng.randrange(9))
    return join(bytes(text), rest)


def length_of_head(rng, data):
    return rng.choice((0, 1, 2**31, 2**63, 2**64 - 1, rng.randrange(2**20))).to_bytes(8, "little") + data[8:]


def tensor_entry(rng, data):
    """Another dtype, shape or place of a tensor."""
    head, rest = split(data)
    entry = head[rng.choice([name for name in head if name != "__metadata__"])]
    key = rng.choice(("dtype", "shape", "data_offsets"))
    entry[key] = {
        "dtype": rng.choice(("F64", "F16", "I8", "BOOL", "F4", "", None, 3)),
        "shape": rng.choice(([], [2**62, 4], [2**32, 2**32], [0], [-1, 2], [1e9], None, "3")),
        "data_offsets": rng.choice(([0, 0], [0, 2**60], [4, 0], [-4, 0], [0], [2**64 - 1, 2**64 - 1], None)),
    }[key]
    return join(head, rest)


def tensor_names(rng, data):
    head, rest = split(data)
    names = [name for name in head if name != "__metadata__"]
    name = rng.choice(names)
    kind = rng.randrange(3)
    if kind == 0:
        del head[name]
    elif kind == 1:
        head[rng.choice(("layers.9.weights", "layers.-1.bias", "", "optimizer.1"))] = head.pop(name)
    else:
        head["more"] = head[name]
    return join(head, rest)


WRONG_VALUES = (
    None, True, -1, 0, 2**31, 2**62, 10**30, 10**400, 1e308, 0.5, "", "__import__('os')", [], {}, [[]],
    {"": 0},
)


def description_entry(rng, data):
    """Another value, of any type, somewhere in the description."""
    head, rest = split(data)
    description = json.loads(head["__metadata__"]["backprop"])
    parts = [description, *description["layers"], description["rng"], description["rng"]["state"],
             description["optimizer"], description["optimizer"]["settings"]]
    part = rng.choice(parts)
    key = rng.choice(list(part))
    part[key] = rng.choice([value for value in WRONG_VALUES if not same(value, part[key])])
    if key == "notes":
        part[key] = rng.choice((None, 3, [], {"a": "b"}, {"a": None}))
    head["__metadata__"]["backprop"] = json.dumps(description)
    return join(head, rest)


def same(a, b):
    return a == b or (isinstance(b, bool) and a in (0, 1))


def metadata(rng, data):
    head, rest = split(data)
    head["__metadata__"] = rng.choice((
        {}, None, 3, {"backprop": ""}, {"backprop": 5}, {"backprop": "{}"}, {"backprop": "null"},
        {"backprop": "[" * 50_000}, {"backprop": '{"version": ' + "9" * 10_000 + "}"},
        {"pickle": "cos\nsystem"},
    ))
    return join(head, rest)


MUST_BE_REFUSED = (cut, length_of_head, tensor_entry, tensor_names, metadata)
MAY_BE_VALID = (flip_bits, swap_bytes_of_head, description_entry)


@pytest.fixture
def saved(tmp_path):
    net = make_network((3, 4, 2), ("tanh", "sigmoid"), dtype="float32", bias=(True, False))
    optimizer = bp.SGD(0.1, momentum=0.9)
    net.fit(*make_data(net, 8), optimizer, batch_size=4)
    path = tmp_path / "net.safetensors"
    net.save(path, optimizer=optimizer)
    return net, path, path.read_bytes()


def test_a_state_of_another_number_is_refused(saved):
    _, path, data = saved
    head, rest = split(data)
    head["optimizer.1"] = head.pop("optimizer.0")
    path.write_bytes(join(head, rest))
    with pytest.raises(ValueError, match="has the tensors"):
        bp.load(path, optimizer=True)


def test_damaged_files_are_refused_with_one_clear_error(saved):
    """A flipped bit may give another valid file, such as another activation: that is then a whole network."""
    net, path, data = saved
    rng = random.Random(1)
    kinds = MUST_BE_REFUSED + MAY_BE_VALID
    refused = 0
    for i in range(DAMAGED_FILES):
        damage = kinds[i % len(kinds)]
        path.write_bytes(damage(rng, data))
        try:
            loaded, optimizer = bp.load(path, optimizer=True)
        except ValueError as error:
            if not str(error).startswith(f"{path} is not a saved network, or is damaged: "):
                raise
            refused += 1
            continue
        assert damage in MAY_BE_VALID, f"{damage.__name__} number {i} was not refused"
        assert loaded.parameters.size == net.parameters.size
        assert loaded(np.zeros(3)).shape == (2,)
        loaded.rng.random(700)
        assert optimizer.lr > 0
    assert refused > DAMAGED_FILES // 2
    path.write_bytes(data)
    assert repr(bp.load(path)) == repr(net)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's /proc")
def test_a_damaged_file_allocates_nothing_of_the_size_it_claims(saved, tmp_path):
    """With 2 GB of address space more, sizes of a terabyte in head and description are still a ValueError."""
    _, _, data = saved
    head, rest = split(data)
    description = json.loads(head["__metadata__"]["backprop"])
    description["layers"] = [{"inputs": 2**20, "outputs": 2**20, "activation": "tanh", "bias": False}]
    head["__metadata__"]["backprop"] = json.dumps(description)
    claimed = {"dtype": "F32", "shape": [2**20, 2**20], "data_offsets": [0, 2**42]}
    wrong = tmp_path / "huge"
    for tensors in ({"layers.0.weights": claimed}, {k: v for k, v in head.items() if k != "__metadata__"}):
        wrong.write_bytes(join({"__metadata__": head["__metadata__"]} | tensors, rest))
        code = (
            "import resource, sys\n"
            "now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
            "resource.setrlimit(resource.RLIMIT_AS, (now + 2**31, now + 2**31))\n"
            "import backprop as bp\n"
            "try: bp.load(sys.argv[1])\n"
            "except ValueError: print('refused')"
        )
        environment = ENVIRONMENT | {"OPENBLAS_NUM_THREADS": "1"}
        result = subprocess.run(
            [sys.executable, "-c", code, wrong], env=environment, capture_output=True, text=True, timeout=60
        )
        assert result.stdout == "refused\n", result.stderr


KILLER = """
    import os, random, signal, sys, time
    import numpy as np
    import backprop as bp

    path, kills = sys.argv[1], int(sys.argv[2])
    net = bp.Network.dense(300, 300, 10, seed=0)
    net.parameters[:] = 0
    net.save(path)
    rng = random.Random(0)
    amid = 0
    for _ in range(kills):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            while True:  # every file holds one number only, one more than the last
                net.parameters[:] += 1
                net.save(path)
                os.write(writing, b".")
        os.read(reading, 1)
        time.sleep(rng.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(writing)
        done = 1 + len(os.read(reading, 10**6))
        os.close(reading)
        loaded = bp.load(path).parameters
        value = int(loaded[0])
        assert (loaded == value).all(), "a mixture of two files"
        assert value in (done, done + 1), f"{done} saves were finished, but the file is number {value}"
        left = [name for name in os.listdir(os.path.dirname(path)) if name.endswith(".tmp")]
        amid += len(left)
        for name in left:
            os.unlink(os.path.join(os.path.dirname(path), name))
    print(f"{kills} kills, {amid} of them while a file was being written")
"""


def test_kills_while_saving_lose_nothing(tmp_path):
    """After every SIGKILL the file is whole, and no older than the last save that returned."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLER), str(tmp_path / "net"), str(KILLS)],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{KILLS} kills")


def test_file_and_folder_are_synced_around_the_renaming(saved, monkeypatch):
    net, path, _ = saved
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append(stat.S_ISDIR(os.fstat(fd).st_mode)), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda *names: (done.append(names), replace(*names)))
    net.save(path)
    is_folder, (temporary, target), is_folder_after = done
    assert (is_folder, is_folder_after) == (False, True)
    assert os.path.dirname(temporary) == os.path.dirname(target) == str(path.parent)
