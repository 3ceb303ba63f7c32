"""Every kind of array is read as the numbers it stands for, and is neither changed nor copied."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import reference
from conftest import assert_same_bits, make_network
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import backprop as bp

DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "float16", "float32", "float64"]  # fmt: skip

settings.register_profile("fixed", deadline=None, derandomize=True, max_examples=60, database=None)
settings.load_profile("fixed")


def results(net, x, y):
    """All that a network says of data, and its parameters after a training on it."""
    gradient = net.gradient(x, y)
    each = net.gradient(x, y, per_sample=True)
    found = [net(x), net.classify(x), net.losses(x, y), np.float64(net.loss(x, y))]
    found += [gradient.parameters, gradient.inputs]
    if net._has_classes(np.ndim(y) < np.ndim(x)):
        found.append(np.float64(net.accuracy(x, y)))
    found += [each.parameters, each.inputs]
    found += [array for layer in net.trace(x, y).layers for array in layer]
    before = net.parameters.copy()
    net.fit(x, y, bp.SGD(0.01), batch_size=3, rng=3, validation=(x, y))
    net.step(x, y, bp.SGD(0.01))
    found.append(net.parameters.copy())
    net.parameters[...] = before
    return found


def assert_read_alike(x, y, dtype="float32", activation="tanh"):
    """x and y give the same bits as their contiguous copies in the network's dtype."""
    x_plain = np.array(x, dtype=dtype, order="C")
    y_plain = np.array(y, dtype=dtype, order="C")
    net = make_network((x_plain.shape[-1], 9, y_plain.shape[-1]), activation, dtype=dtype)
    x_before, y_before = np.array(x), np.array(y)
    plain = results(net, x_plain, y_plain)
    for actual, expected in zip(results(net, x, y), plain, strict=True):
        assert_same_bits(actual, expected)
    assert_same_bits(np.array(x), x_before)
    assert_same_bits(np.array(y), y_before)


def numbers(dtype, shape, seed=0):
    """Numbers that fill the type's range, save those whose square would overflow in float32."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.integers(2, size=shape).astype(bool)
    if kind == "f":
        return rng.normal(size=shape).astype(dtype)
    info = np.iinfo(dtype)
    low, high = max(info.min, -(2**40)), min(info.max, 2**40)
    return rng.integers(low, high, size=shape, endpoint=True).astype(dtype)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("given_dtype", DTYPES)
def test_every_dtype_in_both_byte_orders(given_dtype, order, dtype):
    kind = np.dtype(given_dtype).newbyteorder(order)
    x, y = numbers(given_dtype, (7, 5)), numbers(given_dtype, (7, 2), seed=1)
    assert_read_alike(x.astype(kind), y.astype(kind), dtype)


@pytest.mark.parametrize("given_dtype", ["float32", "float64", "float16", "uint8", ">i4"])
@pytest.mark.parametrize("inputs", [1, 15, 16, 17, 40])
def test_rows_of_every_length(given_dtype, inputs, dtype):
    """Conversion has fast paths for whole panels and others for their rest."""
    for n in (1, 2, 16, 33):
        x = numbers(np.dtype(given_dtype).newbyteorder("="), (n, inputs)).astype(given_dtype)
        assert_read_alike(x, numbers("float64", (n, 3)), dtype)


def unaligned(array):
    """The same numbers one byte past an aligned address."""
    buffer = np.zeros(array.nbytes + 1, np.uint8)
    view = buffer[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    assert array.dtype.itemsize == 1 or not view.flags.aligned
    return view


def unaligned_rows(array):
    """Rows that are a whole number of items and one byte apart, as in a packed structure."""
    columns = array.shape[1]
    record = np.dtype([("mark", "u1"), ("numbers", array.dtype, (columns,))])
    view = np.zeros(len(array), record)["numbers"]
    view[...] = array
    return view


LAYOUTS = {
    "fortran": np.asfortranarray,
    "rows backwards": lambda array: array[::-1].copy()[::-1],
    "columns backwards": lambda array: array[:, ::-1].copy()[:, ::-1],
    "every third row": lambda array: np.repeat(array, 3, axis=0)[::3],
    "every second column": lambda array: np.repeat(array, 2, axis=1)[:, ::2],
    "inside a larger array": lambda array: np.pad(array, 2)[2:-2, 2:-2],
    "transposed": lambda array: array.T.copy().T,
    "one column of a cube": lambda array: np.stack([array] * 3, axis=-1)[..., 1],
    "unaligned": unaligned,
    "unaligned rows": unaligned_rows,
    "read-only": lambda array: np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape),
    "nested lists": lambda array: array.tolist(),
    "tuple of arrays": tuple,
}


@pytest.mark.parametrize("given_dtype", ["float32", "float64", "int16", ">f8", "uint8"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(layout, given_dtype, dtype):
    x = numbers(np.dtype(given_dtype).newbyteorder("="), (8, 5)).astype(given_dtype)
    y = numbers("float64", (8, 2)).astype(given_dtype)
    assert_read_alike(LAYOUTS[layout](x), LAYOUTS[layout](y), dtype)


@pytest.mark.parametrize("repeated", ["rows", "columns", "both"])
def test_broadcast_arrays(repeated, dtype):
    shape = {"rows": (1, 5), "columns": (8, 1), "both": (1, 1)}[repeated]
    x = np.broadcast_to(numbers("float64", shape), (8, 5))
    assert 0 in x.strides
    assert_read_alike(x, np.broadcast_to(numbers("int8", shape)[:, :1], (8, 2)), dtype)


def test_memory_maps(tmp_path, dtype):
    x, y = numbers("float32", (8, 5)), numbers(">i2", (8, 2))
    for name, array in (("x", x), ("y", y)):
        array.tofile(tmp_path / name)
    assert_read_alike(
        np.memmap(tmp_path / "x", "float32", "r", shape=(8, 5)),
        np.memmap(tmp_path / "y", ">i2", "r", shape=(8, 2)),
        dtype,
    )
    assert (tmp_path / "x").read_bytes() == x.tobytes()


@given(
    array=hnp.arrays(
        dtype=st.sampled_from(["f4", ">f8", "i2", "u1", ">f2"]).map(np.dtype),
        shape=st.tuples(st.integers(1, 9), st.integers(1, 20)),
        elements=st.integers(0, 100),
    ),
    row_step=st.sampled_from([1, 2, -1, -3]),
    column_step=st.sampled_from([1, 2, -1]),
    flip=st.booleans(),
)
def test_any_view_is_read_as_its_copy(array, row_step, column_step, flip):
    view = array[::row_step, ::column_step]
    view = view.T if flip else view
    net = make_network((view.shape[1], 3), "tanh", dtype="float32")
    assert_same_bits(net(view), net(np.array(view, dtype="float32", order="C")))
    assert_same_bits(net(view[0]), net(view)[0])


@given(n=st.integers(1, 40), outputs=st.integers(2, 20), dtype=st.sampled_from(DTYPES[1:9]))
def test_labels_are_read_as_one_hot_rows(n, outputs, dtype):
    labels = np.arange(3 * n)[::3] % outputs
    net = make_network((2, outputs), "sigmoid", dtype="float32")
    x = numbers("float32", (n, 2))
    rows = np.eye(outputs, dtype=bool)[labels]
    assert_same_bits(net.losses(x, labels.astype(dtype)), net.losses(x, rows))
    assert_same_bits(
        net.gradient(x, labels.astype(dtype)).parameters, net.gradient(x, rows).parameters
    )


@pytest.mark.parametrize("sequence", [list, tuple])
def test_one_sample_as_nested_lists(sequence, small):
    x, y = sequence(small.x[0].tolist()), sequence(small.y[0].tolist())
    assert_same_bits(small.net(x), small.net(small.x[0]))
    assert small.net.loss(x, y) == small.net.loss(small.x[0], small.y[0])


def test_float64_data_is_rounded_to_nearest_for_a_float32_network():
    """A double just past half way between two floats, and numbers out of range."""
    net = bp.Network(bp.Layer(1, 1, "identity", bias=False, init="zeros"))
    net.layers[0].weights[...] = 1
    x = np.array([1 + 2.0**-24 + 2.0**-50, 1 + 2.0**-24, 1e300, -1e300, 1e-300, 2.0**-149])
    with np.errstate(over="ignore"):
        assert_same_bits(net(x[:, None])[:, 0], x.astype(np.float32))


@pytest.mark.parametrize("given_dtype", ["int64", "uint64"])
def test_large_integers_are_rounded_once(given_dtype, dtype):
    """2^60 + 2^36 + 1 is past half way between two floats; rounded to a double first, it is not."""
    net = bp.Network(bp.Layer(1, 1, "identity", bias=False), dtype=dtype)
    net.layers[0].weights[...] = 1
    info = np.iinfo(given_dtype)
    values = [2**60 + 2**36 + 1, 2**53 + 1, 2**24 + 1, info.max, info.max - 1, info.min]
    x = np.array(values, given_dtype)
    assert_same_bits(net(x[:, None])[:, 0], x.astype(dtype))


@pytest.mark.parametrize("bits", range(0, 0x10000, 0x1000))
def test_every_float16(bits):
    """All 65536 bit patterns, 4096 at a time: subnormals, infinities and NaN included."""
    halves = np.arange(bits, bits + 0x1000, dtype=np.uint16).view(np.float16)
    net = bp.Network(bp.Layer(1, 1, "identity", bias=False), dtype="float64")
    net.layers[0].weights[...] = 1
    np.testing.assert_array_equal(net(halves[:, None])[:, 0], halves.astype(np.float64))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", reference.ACTIVATIONS)
def test_nan_and_infinity_are_allowed_when_nothing_is_trained(value, name, dtype):
    """A NaN comes out as NaN, and no other sample notices."""
    net = make_network((3, 17, 2), (name, "identity"), dtype=dtype)
    net.layers[0].weights[:, 1] = 1
    clean, y = numbers("float64", (20, 3)), np.zeros((20, 2))
    x = clean.copy()
    x[6, 1] = value
    out, losses = net(x), net.losses(x, y)
    others = np.arange(20) != 6
    assert_same_bits(out[others], net(clean)[others])
    assert_same_bits(losses[others], net.losses(clean, y)[others])
    if np.isnan(value):
        assert np.isnan(out[6]).all()
        assert np.isnan(losses[6])
        assert np.isnan(net.loss(x, y))
    elif name in ("sigmoid", "tanh"):
        limit = {"sigmoid": (np.sign(value) + 1) / 2, "tanh": np.sign(value)}[name]
        assert_same_bits(net.trace(x).layers[0].a[6], np.full(17, limit, dtype))
        assert np.isfinite(out[6]).all()
    assert net.classify(x).shape == (20,)
    assert 0 <= net.accuracy(x, np.zeros(20, int)) <= 1


# The data set is never duplicated.

LIMITED = """
    import os, resource, sys
    import numpy as np
    import backprop as bp

    def data_bytes():
        with open("/proc/self/status") as status:
            return 1024 * next(int(l.split()[1]) for l in status if l.startswith("VmData"))

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # each thread has a stack and an arena
    n, kind = 400_000, sys.argv[1]
    net = bp.Network(bp.Layer(64, 4, "tanh"), bp.Layer(4, 1))
    if kind == "memmap":
        x = np.memmap(sys.argv[2], np.uint8, "r", shape=(n, 64))
    elif kind == "broadcast":
        x = np.broadcast_to(np.linspace(0, 1, 64), (n, 64))
    else:
        x = np.zeros((64, n), np.float32).T[::-1]
    y = np.broadcast_to(np.int8(1), (n,))
    net.fit(x[:64], y[:64], bp.SGD(0.1), threads=1)
    # As float32, x takes 102 MB. What fit may need is the order of the samples, 4 bytes each,
    # and little else; 48 MiB are less than half of a copy.
    limit = data_bytes() + 48 * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        np.ones((n, 64), np.float32)
    except MemoryError:
        pass
    else:
        sys.exit("the limit does not hold: this test would check nothing")
    net.fit(x, y, bp.SGD(0.1), threads=1, batch_size=500, validation=(x, y))
    net.loss(x, y), net.losses(x, y), net.accuracy(x, y), net(x), net.classify(x)
    net.gradient(x, y)
    print("done")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
@pytest.mark.parametrize("kind", ["memmap", "broadcast", "strided"])
def test_data_is_not_copied(kind, tmp_path):
    """fit works in an address space that has no room for a converted copy."""
    if kind == "memmap":
        with open(tmp_path / "x", "wb") as file:
            file.truncate(400_000 * 64)
    command = [sys.executable, "-c", textwrap.dedent(LIMITED), kind, str(tmp_path / "x")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == "done\n", done.stderr
