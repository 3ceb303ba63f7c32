"""Files of any bytes: only ValueError may come out of reading them, and what was read is whole.

    python tests/fuzz/fuzz_files.py [libFuzzer's options] [folder of a corpus]

needs atheris, which is coverage-guided as libFuzzer is. The first byte of an input chooses the reader. Of a
saved network the mutator changes the JSON as often as the bytes; a checksum or length that stays right lets
an input go deeper.
"""

import copy
import json
import os
import random
import sys
import tempfile

import atheris
import numpy as np

with atheris.instrument_imports(include=["backprop"]):
    import backprop as bp
    from backprop import datasets
    from backprop.cli import classes, reading
    from backprop.files.format import load_all

READERS = ("safetensors", "npz", "csv", "csv.gz", "idx", "idx.gz", "mapped")
FOLDER = tempfile.mkdtemp(prefix="fuzz_files")
VALUES = (None, True, False, -1, 0, 1, 2, 3, 5, 2**31, 2**62, 2**64, 10**30, 0.5, -0.5, 1e308, 1e-320, "",
          "é", "tanh", "softmax", "float64", "float32", "MT19937", "Adam", "OneCycle", [], {}, [[]],
          [0], {"": 0})


def split(data):
    """The parsed head of a safetensors file and what follows it, or None."""
    end = 8 + int.from_bytes(data[:8], "little")
    try:
        head = json.loads(data[8:end])
        description = json.loads(head["__metadata__"]["backprop"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return head, description, data[end:]


def join(head, description, rest):
    head["__metadata__"]["backprop"] = json.dumps(description)
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + rest


def change(rng, tree):
    """Changes one entry somewhere in nested lists and dicts."""
    while True:
        keys = list(tree) if isinstance(tree, dict) else range(len(tree))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(tree[key], (dict, list)) and tree[key] and rng.random() < 0.8:
            tree = tree[key]
            continue
        kind = rng.randrange(4)
        if kind == 0 and isinstance(tree, dict):
            del tree[key]
        elif kind == 1 and isinstance(tree, list):
            tree.append(copy.deepcopy(tree[key]))
        elif kind == 2 and isinstance(tree[key], (int, float)):
            tree[key] += rng.choice((-1, 1, 0.5, 1e10))
        else:
            tree[key] = copy.deepcopy(rng.choice(VALUES))
        return


def mutate(data, most, seed):
    rng = random.Random(seed)
    parts = split(data[1:]) if data and data[0] % len(READERS) == 0 else None
    if parts is None or rng.random() < 0.4:
        return atheris.Mutate(data, most)
    head, description, rest = parts
    for _ in range(rng.choice((1, 1, 2))):
        change(rng, description if rng.random() < 0.7 else head)
    if not isinstance(head.get("__metadata__"), dict):
        head["__metadata__"] = {}
    return (data[:1] + join(head, description, rest))[:most]


def read_network(path):
    net, _, optimizer = load_all(path, bp.Network)
    out = net(np.zeros((2, net.layers[0].inputs)))
    assert out.shape == (2, net.layers[-1].outputs)
    saved = os.path.join(FOLDER, "saved")
    net.save(saved, optimizer=optimizer)
    again = bp.load(saved)
    assert again.parameters.tobytes() == net.parameters.tobytes()
    assert repr(again) == repr(net)
    assert again.rng.random() == net.rng.random()
    if optimizer is not None:
        _, same = bp.load(saved, optimizer=True)
        assert repr(same) == repr(optimizer)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(same.state, optimizer.state, strict=True))


def read(kind, path):
    if kind == "safetensors":
        read_network(path)
    elif kind == "mapped":
        assert datasets.map_idx(path, 3).ndim == 3
    elif kind.startswith("idx"):
        assert datasets.read_idx(path, 1).ndim == 1
    else:
        whole = reading.read(path, reading.Asked(label_column="0" if "csv" in kind else None)).whole
        assert len(whole.x) == len(whole.y)
        labels = classes.learn(whole.y, "y", whole.where)
        assert labels.indices(whole.y, whole.where).min() >= 0


def run_input(data):
    kind = READERS[data[0] % len(READERS)] if data else READERS[0]
    path = os.path.join(FOLDER, f"input.{kind}")
    with open(path, "wb") as file:
        file.write(data[1:])
    try:
        read(kind, path)
    except ValueError as error:
        if path not in str(error) and "must hold labels" not in str(error):
            raise


def write_seeds(folder):
    """A valid file for each reader."""
    os.makedirs(folder, exist_ok=True)

    def seed(kind, name):
        with open(name, "rb") as file:
            content = file.read()
        with open(os.path.join(folder, f"{kind}-{os.path.basename(name)}"), "wb") as file:
            file.write(bytes([READERS.index(kind)]) + content)

    optimizers = {
        "sgd": bp.SGD(0.1, momentum=0.9),
        "adam": bp.Adam(bp.schedules.WarmUp(bp.schedules.Cosine(0.1, steps=10), steps=2)),
        "rms": bp.RMSprop(bp.schedules.ReduceOnPlateau(0.1, "loss")),
    }
    for i, (name, optimizer) in enumerate(optimizers.items()):
        rng = np.random.Generator([np.random.MT19937, np.random.PCG64, np.random.Philox][i](1))
        layers = bp.Layer(2, 3, "tanh", l2=0.1 * i), bp.Layer(3, 1)
        net = bp.Network(*layers, dtype=["float32", "float64"][i % 2], seed=rng)
        net.fit(np.zeros((2, 2)), [0, 1], optimizer)
        path = os.path.join(FOLDER, f"{name}.safetensors")
        net.save(path, optimizer=optimizer)
        seed("safetensors", path)
    path = os.path.join(FOLDER, "data")
    np.savez(path + ".npz", x=np.eye(3), y=[0, 1, 1])
    seed("npz", path + ".npz")
    import gzip

    for text, name in ((b"a,label\n1,0\n2,1\n", "named"), (b"1,2\n0,3\n", "plain")):
        for kind, whole in (("csv", text), ("csv.gz", gzip.compress(text))):
            with open(os.path.join(FOLDER, name), "wb") as file:
                file.write(whole)
            seed(kind, os.path.join(FOLDER, name))
    for kind, axes in (("idx", 1), ("idx.gz", 1), ("mapped", 3)):
        whole = bytes([0, 0, 8, axes]) + b"\0\0\0\2" * axes + bytes(2**axes)
        with open(os.path.join(FOLDER, "ubyte"), "wb") as file:
            file.write(gzip.compress(whole) if kind.endswith("gz") else whole)
        seed(kind, os.path.join(FOLDER, "ubyte"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--seeds"]:
        write_seeds(sys.argv[2])
    else:
        atheris.Setup(sys.argv, run_input, custom_mutator=mutate)
        atheris.Fuzz()
