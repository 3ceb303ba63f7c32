"""`to_c(integers=True)`: C computes what backprop.exports.fixed_point does, and that is near the network."""

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import make_data, make_network

import backprop as bp
from backprop import _core
from backprop.exports.fixed_point import MOST, Scaling, activated, fixed_network, scaling_by

STRICT = [
    "-std=c99",
    "-pedantic",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Werror",
]
TRAPS = ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
ARM = {
    "cortex-m0": "microbit",
    "cortex-m3": "mps2-an385",
    "cortex-m4": "mps2-an386",
}  # and a machine of qemu's


def compiled(text, folder, network):
    """predict(x in int8) -> int32, and classify or None, of a C file."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    (folder / "net.c").write_text(text)
    subprocess.run(
        [compiler, *STRICT, "-O2", *TRAPS, "-shared", "-fPIC", "-o", folder / "net.so", folder / "net.c"],
        check=True,
    )
    library = ctypes.CDLL(str(folder / "net.so"))

    def predict(x):
        x, a = np.ascontiguousarray(x, np.int8), np.zeros(network.layers[-1].outputs, np.int32)
        library.network_predict(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(a.ctypes.data))
        return a

    def classify(x):
        x = np.ascontiguousarray(x, np.int8)
        return library.network_classify(ctypes.c_void_p(x.ctypes.data))

    return predict, classify if "network_classify" in text else None


def number(text, name):
    return float(re.search(rf"#define NETWORK_{name} \(?([-+0-9.e]+)", text)[1])


def as_bytes(text, x):
    """Samples as the comment in the C file says."""
    return np.clip(np.rint(x / number(text, "X_SCALE")) + number(text, "X_ZERO"), -128, 127)


@pytest.fixture(scope="module")
def digits():
    x, y, x_test, y_test = bp.datasets.load_digits()
    net = bp.Network.dense(64, 30, 20, 10, hidden="tanh", loss="cross_entropy", seed=0)
    net.fit(x, y, bp.Adam(0.01), epochs=20)
    return net, x, x_test, y_test


@pytest.mark.parametrize("activation", _core.activations)
def test_c_computes_what_is_computed_here(activation, tmp_path, dtype):
    """Bit for bit, within the span of the samples and far outside it."""
    net = make_network((5, 9, 7, 3), activation, dtype=dtype, bias=(True, False, True))
    x, _ = make_data(net, 200)
    text = net.to_c(integers=True, x=x)
    predict, classify = compiled(text, tmp_path, net)
    fixed = fixed_network(net, net.parameters, x.astype(np.float64))
    q = np.concatenate([fixed.inputs.of(30 * x), np.random.default_rng(0).integers(-128, 128, (500, 5))])
    np.testing.assert_array_equal(as_bytes(text, 30 * x), q[:200])
    expected = fixed.outputs(q)
    actual = np.array([predict(sample) for sample in q])
    np.testing.assert_array_equal(actual, expected)
    assert number(text, "A_BITS") == fixed.bits
    if classify is not None:
        assert [classify(sample) for sample in q] == expected.argmax(axis=1).tolist()
    # x and every layer have 255 steps; each step moves an output by a share of its span, and slopes add up
    near = fixed.outputs(fixed.inputs.of(x)) / 2**fixed.bits
    span = np.ptp(net(x))
    assert np.abs(near - net(x)).max() < 0.05 * span
    assert np.abs(near - net(x)).mean() < 0.01 * span


@pytest.mark.parametrize("activation", [name for name in _core.activations if name != "softmax"])
def test_activations_are_near_the_real_ones(activation):
    """Straight lines between places 1/16 apart err by at most h²/8 |g''| < 5e-4, and rounding by 2^-12."""
    z = np.linspace(-20, 20, 10001)
    whole = np.rint(z * 4096).astype(np.int64)[None]
    bits = 15 if activation in ("sigmoid", "tanh") else 12
    a = activated(activation, whole)[0] / 2**bits
    expected = bp.kernels.activation(activation, z)
    tolerance = 5e-4 + 2.0**-11
    # what multiplies z by a share errs by |z| times that, far from 0 too; shares are as good as 2^-15 there
    scale = np.maximum(1, np.abs(z)) if activation in ("gelu", "silu") else 1
    assert (np.abs(a - expected) / scale).max() < tolerance


def test_scalings_are_exact_to_31_bits():
    rng = np.random.default_rng(0)
    factors = 10.0 ** rng.uniform(-9, 0, 50)
    values = rng.integers(-(2**31), 2**31, (40, 50))
    expected = np.clip(values * factors, -MOST, MOST)
    factors[0] = factors.max()
    expected[:, 0] = np.clip(values[:, 0] * factors[0], -MOST, MOST)
    scaling = scaling_by(factors)
    # each multiplier is off by half a unit of the last of 31 bits of the largest factor
    apart = np.abs(scaling.of(values) - expected)
    assert (apart <= 0.5 + np.abs(values) * factors.max() * 2.0**-31).all()
    assert Scaling(np.array([1]), 1).of(np.array([[1], [-1], [3], [0]])).ravel().tolist() == [1, -1, 2, 0]


@pytest.mark.parametrize(
    ("hidden", "loss", "optimizer"),
    [
        ("sigmoid", "squared_error", bp.SGD(3.0)),
        ("tanh", "cross_entropy", bp.Adam(0.01)),
        ("relu", "cross_entropy", bp.Adam(0.01)),
    ],
)
def test_the_digits_lose_less_than_half_a_point(hidden, loss, optimizer, tmp_path):
    x, y, x_test, y_test = bp.datasets.load_digits()
    net = bp.Network.dense(64, 30, 10, hidden=hidden, loss=loss, seed=0)
    net.fit(x, y, optimizer, epochs=30, batch_size=10)
    text = net.to_c(integers=True, x=x[:300])
    _, classify = compiled(text, tmp_path, net)
    classes = np.array([classify(sample) for sample in as_bytes(text, x_test)])
    assert net.accuracy(x_test, y_test) > 0.97
    assert (classes == y_test).mean() >= net.accuracy(x_test, y_test) - 0.005
    share = re.search(r"([0-9.]+)% of the classes are the same", text)
    assert float(share[1]) > 99


@pytest.mark.parametrize("core", ARM)
def test_on_a_cortex_m(core, digits, tmp_path):
    compiler, machine = shutil.which("arm-none-eabi-gcc"), shutil.which("qemu-system-arm")
    if compiler is None or machine is None:
        pytest.skip("there is no arm-none-eabi-gcc, or no qemu-system-arm")
    net, x, x_test, _ = digits
    text = net.to_c(tmp_path / "network.c", integers=True, x=x[:300])
    fixed = fixed_network(net, net.parameters, x[:300].astype(np.float64))
    q = fixed.inputs.of(x_test[:100])
    rows = ",\n".join("{" + ", ".join(map(str, sample)) + "}" for sample in q.tolist())
    (tmp_path / "samples.h").write_text(
        f"#define SAMPLES {len(q)}\nstatic const int8_t samples[{len(q)}][64] = {{{rows}}};\n"
    )
    program = Path(__file__).parent / "cortex_m.c"
    link = [
        "-nostdlib",
        "-ffreestanding",
        "-Wl,-Ttext=0x100",
        "-Wl,--section-start=.vectors=0x0",
        "-Wl,-e,0",
    ]
    subprocess.run(
        [compiler, *STRICT, "-Os", "-mthumb", f"-mcpu={core}", "-mfloat-abi=soft", "-I", tmp_path, *link,
         program, "-lgcc", "-o", tmp_path / "program.elf"],
        check=True,
    )  # fmt: skip
    names = subprocess.run(
        [shutil.which("arm-none-eabi-nm"), tmp_path / "program.elf"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert not re.search(r"__aeabi_[fd](add|mul|sub|div|cmp)", names), "no floating point"
    ran = subprocess.run(
        [machine, "-M", ARM[core], "-nographic", "-semihosting", "-kernel", tmp_path / "program.elf"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    printed = (ran.stdout + ran.stderr).strip()
    assert printed == "".join(map(str, fixed.outputs(q).argmax(axis=1)))
    assert "network_classify" in text


def test_it_needs_nothing_and_has_no_floating_point(digits):
    net, x, _, _ = digits
    code = re.sub(r"/\*.*?\*/", "", net.to_c(integers=True, x=x), flags=re.DOTALL)
    assert re.findall(r"#include (.*)", code) == ["<stdint.h>"]
    assert not re.search(r"\b(float|double|malloc|goto|do|while)\b", code)
    functions = code.split("static int32_t network_scaled")[1]
    assert not re.search(r"\d\.\d", functions)


def test_misra_checker_finds_nothing_required(digits, tmp_path):
    checker = shutil.which("cppcheck")
    if checker is None:
        pytest.skip("there is no cppcheck")
    net, x, _, _ = digits
    net.to_c(tmp_path / "net.c", integers=True, x=x, header=tmp_path / "net.h")
    ran = subprocess.run(
        [checker, "--addon=misra", "--enable=style", "--quiet", "--std=c99", tmp_path / "net.c"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = set(re.findall(r"misra-c2012-(\d+\.\d+)", ran.stderr))
    # advisory: macros that others use, functions that others call, and constants outside of functions
    assert found <= {"2.5", "8.7", "8.9"}, ran.stderr


def test_a_header_serves_c_and_cpp(digits, tmp_path):
    compilers = shutil.which("cc"), shutil.which("c++")
    if None in compilers:
        pytest.skip("there is no C or C++ compiler")
    net, x, _, _ = digits
    net.to_c(tmp_path / "net.c", name="digits", integers=True, x=x, header=tmp_path / "net.h")
    (tmp_path / "use.cpp").write_text(
        '#include "net.h"\nint main() { int8_t x[64] = {DIGITS_X_ZERO}; int32_t a[10];\n'
        "digits_predict(x, a);\n"
        "return static_cast<int>(digits_classify(x)) + 0 * DIGITS_A_BITS; }\n"
    )
    c, cpp = compilers
    subprocess.run([c, *STRICT, "-include", "net.h", "-c", "net.c"], check=True, cwd=tmp_path)
    subprocess.run(
        [cpp, "-std=c++11", "-Wall", "-Werror", "use.cpp", "net.o", "-o", "use"], check=True, cwd=tmp_path
    )
    subprocess.run([tmp_path / "use"], check=False)


@pytest.mark.parametrize("sizes", [(4, 1), (4, 3, 1), (1, 40, 1)])
def test_one_output_and_one_layer(sizes, tmp_path):
    net = make_network(sizes, "sigmoid", dtype="float32")
    x, _ = make_data(net, 50)
    text = net.to_c(integers=True, x=x)
    predict, classify = compiled(text, tmp_path, net)
    q = as_bytes(text, x)
    a = np.array([predict(sample) for sample in q]) / 2 ** number(text, "A_BITS")
    assert np.abs(a - net(x)).max() < 0.03
    assert [classify(sample) for sample in q] == (a[:, 0] >= 0.5).tolist()


def test_nodes_without_weights_and_huge_biases(tmp_path):
    net = make_network((4, 5, 2), ("relu", "identity"), dtype="float64")
    net.layers[0].mask = [[True] * 4] * 4 + [[False] * 4]
    net.layers[0].weights[0] = 1e-9
    net.layers[0].bias = [100, -1e-9, 0, 0.5, 3]
    x, _ = make_data(net, 50)
    text = net.to_c(integers=True, x=x)
    predict, _ = compiled(text, tmp_path, net)
    a = np.array([predict(sample) for sample in as_bytes(text, x)]) / 2 ** number(text, "A_BITS")
    # the largest of the hidden a is 100, of which a step of int8 is 0.4; it has a weight of at most a few
    assert np.abs(a - net(x)).max() < 0.4 * np.abs(net.layers[1].weights).sum(axis=1).max()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"integers": True}, "integers=True needs x="),
        ({"x": np.ones((3, 64))}, "x is for integers=True"),
        ({"integers": True, "x": np.ones((3, 5))}, r"x must have shape \(n, 64\)"),
        ({"integers": True, "x": np.ones(64)}, r"x must have shape \(n, inputs\)"),
        ({"integers": True, "x": np.zeros((3, 64))}, "not all zeros"),
        ({"integers": True, "x": np.full((3, 64), np.nan)}, "finite"),
        ({"integers": True, "x": np.ones((3, 64)), "name": "1"}, "identifier"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, message, digits, tmp_path):
    with pytest.raises(ValueError, match=message):
        digits[0].to_c(tmp_path / "net.c", **arguments)
    assert not (tmp_path / "net.c").exists()


def test_a_layer_may_be_too_wide():
    net = bp.Network.dense(40000, 1, seed=0)
    with pytest.raises(ValueError, match="at most 32768 inputs of a layer, got 40000"):
        net.to_c(integers=True, x=np.ones((1, 40000)))
