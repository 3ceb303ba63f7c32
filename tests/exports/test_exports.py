"""Networks in other formats give the same outputs: ONNX, PyTorch and C."""

import ctypes
import math
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROUNDOFF, assert_close, assert_same_bits, make_data, make_network, require_torch

import backprop as bp
from backprop import _core

# A sum of 6 terms and an activation in another order of operations: some 10 roundings, of values up to a
# few times the largest output.
TOLERANCE = {dtype: 32 * roundoff for dtype, roundoff in ROUNDOFF.items()}


@pytest.fixture(params=_core.activations)
def net(request, dtype):
    """Two layers of an activation, the second without bias."""
    return make_network((5, 6, 3), request.param, dtype=dtype, bias=(True, False))


def samples(net):
    """Ordinary samples, and ones with large weighted sums of both signs."""
    x, _ = make_data(net, 20)
    return np.concatenate([x, 30 * x[:5], 300 * x[:5]])


# --- ONNX ---------------------------------------------------------------------------------------------


def test_onnx_runtime_gives_the_same_outputs(net, tmp_path):
    onnx = pytest.importorskip("onnx")
    x = samples(net)
    model = net.to_onnx(tmp_path / "net.onnx")
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    assert onnx.load(tmp_path / "net.onnx") == model
    a = run_onnx(model.SerializeToString(), x)
    assert a.dtype == net.dtype
    assert_close(a, net(x), TOLERANCE[str(net.dtype)])


def run_onnx(model, x):
    """What onnxruntime makes of a model, as bytes or as a path."""
    runtime = pytest.importorskip("onnxruntime")
    return runtime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(["a"], {"x": x})[0]


def test_onnx_silu_in_float64_is_not_what_onnxruntime_takes_for_an_operator_that_it_lacks():
    """QuickGelu, into which 1.30 fuses z times σ(z), is there in float32 only."""
    pytest.importorskip("onnx")
    net = bp.Network(bp.Layer(1, 1, "silu", bias=False), dtype="float64")
    net.parameters[:] = 1
    model = net.to_onnx()
    assert "Sigmoid" not in [node.op_type for node in model.graph.node]
    z = np.concatenate([np.linspace(-40, 40, 4001), [0.0, 1e-300, 700.0, -700.0, 1000.0]])
    exact = np.array([v / (1 + math.exp(-v)) for v in z])
    # two roundings and exp's, which may be off by some of its last digits
    a = run_onnx(model.SerializeToString(), z[:, None])[:, 0]
    close = np.abs(a - exact) <= 16 * ROUNDOFF["float64"] * np.abs(exact)
    assert close.all()
    assert run_onnx(model.SerializeToString(), np.array([[-1000.0]])) == 0


def test_onnx_gelu_in_float64_is_math_erfc_far_out():
    pytest.importorskip("onnx")
    net = bp.Network(bp.Layer(1, 1, "gelu", bias=False), dtype="float64")
    net.parameters[:] = 1
    z = np.concatenate([np.linspace(-36, 8, 4001), [0.0, -0.0, 1e-300, 700.0, -700.0]])
    exact = [0.5 * v * math.erfc(-v * math.sqrt(0.5)) for v in z]
    # u² is rounded in the exponent: u² ε/2 relative, u = z/√2, beside some rounding errors of f and exp
    bound = (np.minimum(z, 0) ** 2 / 2 + 16) * np.finfo(float).eps * np.abs(exact)
    assert np.all(np.abs(run_onnx(net.to_onnx().SerializeToString(), z[:, None])[:, 0] - exact) <= bound)


def test_onnx_keeps_numbers_beside_a_model_that_is_too_large_for_one_file(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.setattr("backprop.exports.onnx.MOST_IN_ONE_FILE", 100)
    net = make_network((5, 6, 3), "tanh", dtype="float32")
    with pytest.raises(ValueError, match=r"more than 2 GiB needs a path"):
        net.to_onnx()
    assert not any(tmp_path.iterdir())
    net.to_onnx(tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx.data").stat().st_size == net.parameters.nbytes
    x = samples(net)
    assert_close(run_onnx(tmp_path / "net.onnx", x), net(x), TOLERANCE["float32"])


def test_onnx_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=re.escape("cbackprop[onnx]")):
        make_network((2, 2), "relu").to_onnx()


# --- PyTorch ------------------------------------------------------------------------------------------


def test_torch_gives_the_same_outputs_and_back(net):
    torch = require_torch()
    x = samples(net)
    module = net.to_torch()
    with torch.no_grad():
        a = module(torch.from_numpy(x)).numpy()
    assert a.dtype == net.dtype
    # PyTorch's Softplus is the identity above 20, where the difference is below e^-20 = 2.1e-9.
    tolerance = max(TOLERANCE[str(net.dtype)], 3e-9 if "softplus" in str(net.layers[0].activation) else 0)
    assert_close(a, net(x), tolerance)
    back = bp.Network.from_torch(module, loss=net.loss_name)
    assert repr(back) == repr(net)
    assert_same_bits(back.parameters, net.parameters)


def test_torch_and_network_share_nothing(dtype):
    torch = require_torch()
    net = make_network((2, 3), "relu", dtype=dtype)
    before = net.parameters.copy()
    module = net.to_torch()
    with torch.no_grad():
        module[0].weight.zero_()
    assert_same_bits(net.parameters, before)
    back = bp.Network.from_torch(module)
    module[0].bias.data.zero_()
    assert back.parameters.any()


def test_from_torch_takes_nested_modules_and_subclasses():
    torch = require_torch()
    nn = torch.nn
    module = nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.Identity()), nn.Linear(4, 2), nn.Softmax(1))

    class Mine(bp.Network):
        pass

    net = Mine.from_torch(module, loss="cross_entropy", seed=3)
    assert type(net) is Mine
    assert [str(layer.activation) for layer in net.layers] == ["identity", "softmax"]
    assert net.loss_name == "cross_entropy"
    assert net.rng.random() == np.random.default_rng(3).random()


def test_from_torch_takes_a_module_as_often_as_it_is_applied():
    torch = require_torch()
    nn = torch.nn
    torch.manual_seed(0)
    act = nn.Tanh()
    module = nn.Sequential(nn.Linear(3, 4), act, nn.Linear(4, 4), act, nn.Linear(4, 2), act)
    net = bp.Network.from_torch(module)
    assert [str(layer.activation) for layer in net.layers] == ["tanh"] * 3
    x, _ = make_data(net, 9)
    with torch.no_grad():
        assert_close(net(x), module(torch.from_numpy(x)).numpy(), TOLERANCE["float32"])


def test_from_torch_names_what_it_does_not_know():
    torch = require_torch()
    nn = torch.nn
    linear = nn.Linear(3, 3)

    class TwiceLinear(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    class Reversed(nn.Sequential):
        def forward(self, x):
            return super().forward(-x)

    for module, error, words in (
        (nn.Sequential(linear, nn.Conv1d(1, 1, 1)), TypeError, "module 1 is Conv1d"),
        (nn.Sequential(nn.Sequential(linear, nn.PReLU())), TypeError, "module 0.1 is PReLU"),
        (nn.Sequential(linear, nn.LeakyReLU(0.2)), ValueError, "negative_slope=0.01"),
        (nn.Sequential(linear, nn.ELU(2.0)), ValueError, "alpha=1"),
        (nn.Sequential(linear, nn.GELU("tanh")), ValueError, "approximate='none'"),
        (nn.Sequential(linear, nn.Softplus(2)), ValueError, "beta=1"),
        (nn.Sequential(linear, nn.Softplus(threshold=5)), ValueError, "threshold=20"),
        (nn.Sequential(linear, linear), ValueError, "module 1, Linear(in_features=3"),
        (nn.Sequential(linear, TwiceLinear(3, 3)), TypeError, "module 1 is TwiceLinear"),
        (Reversed(linear), TypeError, "Reversed is a Sequential with a forward of its own"),
        (nn.Sequential(nn.Sequential(Reversed(linear))), TypeError, "Reversed"),
        (nn.Sequential(linear, nn.Softmax(0)), ValueError, "dim=-1"),
        (nn.Sequential(nn.ReLU(), linear), ValueError, "module 0, ReLU"),
        (nn.Sequential(linear, nn.ReLU(), nn.Tanh()), ValueError, "module 2, Tanh"),
        (nn.Sequential(nn.Dropout(0.1), linear), ValueError, "module 0, Dropout"),
        (nn.Sequential(linear, nn.Dropout(0.1), nn.ReLU()), ValueError, "module 2, ReLU"),
        (nn.Sequential(linear, nn.Dropout(0.1)), ValueError, "dropout"),
        (nn.Sequential(), ValueError, "at least one Linear"),
        (linear, TypeError, "got Linear"),
        (nn.Sequential(nn.Linear(3, 3).half()), ValueError, "torch.float16"),
        (nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 2)), ValueError, "do not chain"),
    ):
        with pytest.raises(error, match=re.escape(words)):
            bp.Network.from_torch(module)


def test_dropout_goes_to_torch_and_back():
    torch = require_torch()
    net = bp.Network(bp.Layer(3, 9, "relu", dropout=0.25), bp.Layer(9, 2), seed=0)
    module = net.to_torch()
    assert isinstance(module[2], torch.nn.Dropout)
    x, _ = make_data(net, 5)
    with torch.no_grad():
        assert_close(module(torch.from_numpy(x)).numpy(), net(x), TOLERANCE["float32"])
    assert repr(bp.Network.from_torch(module)) == repr(net)


def test_functions_of_your_own_are_refused(monkeypatch):
    """Also where there is neither PyTorch nor onnx: no package would help."""
    for package in ("torch", "onnx"):
        monkeypatch.setitem(sys.modules, package, None)
    own = bp.Activation(lambda z: z * 2, lambda z: np.full_like(z, 2), name="twice")
    net = bp.Network(bp.Layer(3, 2, own))
    for export in (net.to_c, net.to_onnx, net.to_torch):
        with pytest.raises(ValueError, match="twice"):
            export()


def test_torch_is_named_when_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="pip install torch"):
        make_network((2, 2), "relu").to_torch()
    with pytest.raises(ImportError, match="pip install torch"):
        bp.Network.from_torch(None)


# --- C ------------------------------------------------------------------------------------------------


def compiled(net, folder, name="network"):
    """The functions of net's C file: predict(x) -> a, classify(x) -> int."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    text = net.to_c(folder / "net.c", name=name)
    assert (folder / "net.c").read_text() == text
    subprocess.run(
        [
            compiler,
            "-std=c99",
            "-pedantic",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-O1",
            "-ffp-contract=off",
            "-shared",
            "-fPIC",
            "-o",
            folder / "net.so",
            folder / "net.c",
            "-lm",
        ],
        check=True,
        capture_output=True,
    )
    library = ctypes.CDLL(str(folder / "net.so"))

    def predict(x):
        a = np.full(net.layers[-1].outputs, np.nan, net.dtype)
        getattr(library, f"{name}_predict")(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(a.ctypes.data))
        return a

    return predict, lambda x: getattr(library, f"{name}_classify")(ctypes.c_void_p(x.ctypes.data))


def test_c_gives_the_same_outputs(net, tmp_path):
    x = samples(net)
    predict, classify = compiled(net, tmp_path)
    assert_close([predict(sample) for sample in x], net(x), TOLERANCE[str(net.dtype)])
    if not net._has_classes(False):
        assert "_classify" not in (tmp_path / "net.c").read_text()
        return
    a = net(x)
    clear = np.diff(np.sort(a, axis=1)[:, -2:])[:, 0] > 1e-3  # ties may fall either way
    assert clear.any()
    assert [classify(sample) for sample in x[clear]] == net.classify(x[clear]).tolist()


@pytest.mark.parametrize("sizes", [(4, 1), (4, 3, 5, 2, 1), (1, 40, 1)])
def test_c_of_other_shapes(sizes, tmp_path, dtype):
    net = make_network(sizes, "sigmoid", dtype=dtype)
    x, _ = make_data(net, 9)
    predict, classify = compiled(net, tmp_path, "my_net")
    assert_close([predict(sample) for sample in x], net(x), TOLERANCE[dtype])
    assert [classify(sample) for sample in x] == net.classify(x).tolist()


def test_c_depends_on_nothing_and_allocates_nothing():
    text = make_network((3, 4, 2), ("gelu", "softmax"), dtype="float32").to_c()
    assert re.findall(r"#include (.*)", text) == ["<math.h>"]
    assert "alloc" not in text.split("*/", 1)[1]
    assert "double" not in text


def test_c_constants_are_exact(dtype):
    net = make_network((3, 2), "identity", dtype=dtype)
    net.parameters[:2] = np.finfo(dtype).tiny / 4, np.finfo(dtype).max
    suffix = "f" if dtype == "float32" else ""
    numbers = re.findall(rf"(-?[0-9.]+e[+-][0-9]+){suffix}[,\n]", net.to_c())
    values = np.array(numbers, dtype)
    assert_same_bits(values, np.concatenate([net.layers[0].weights.ravel(), net.layers[0].bias]))


def test_several_go_into_one_program_of_c_and_cpp(tmp_path):
    """Two files included by one, and a C++ program that calls another through its header; no warning."""
    compilers = shutil.which("cc"), shutil.which("c++")
    if None in compilers:
        pytest.skip("there is no C or C++ compiler")
    strict = ["-pedantic", "-Wall", "-Wextra", "-Werror", "-c"]
    for name, activation, dtype in (("one", "softmax", "float32"), ("two", "tanh", "float64")):
        net = make_network((3, 4, 2), ("tanh", activation), dtype=dtype)
        net.to_c(tmp_path / f"{name}.c", name=name, header=tmp_path / f"{name}.h")
    both = ("one.h", "one.c", "two.c", "two.h")
    (tmp_path / "both.c").write_text("".join(f'#include "{name}"\n' for name in both))
    (tmp_path / "use.cpp").write_text(
        '#include "one.h"\n#include "two.h"\n'
        "int main() { float x[3] = {1, 2, 3}; double y[3] = {1, 2, 3}, b[2]; two_predict(y, b);\n"
        "return one_classify(x) + (b[0] != b[0]); }\n"
    )
    c, cpp = compilers
    for command in (
        [c, "-std=c99", *strict, "both.c"],
        [cpp, "-std=c++98", *strict, "-Wno-c++11-extensions", "-x", "c++", "both.c", "-o", "cpp.o"],
        [cpp, "-std=c++98", "-pedantic", "-Wall", "-Werror", "use.cpp", "both.o", "-lm", "-o", "use"],
    ):
        subprocess.run(command, check=True, cwd=tmp_path)
    x = np.array([1, 2, 3], "float32")
    net = make_network((3, 4, 2), ("tanh", "softmax"), dtype="float32")
    assert subprocess.run([tmp_path / "use"], check=False).returncode == net.classify(x)
    assert "two_classify" not in (tmp_path / "two.h").read_text()


def test_c_refuses_what_it_cannot_write():
    net = make_network((3, 2), "identity")
    for name in ("", "2net", "my net", "a;b", None):
        with pytest.raises(ValueError, match="identifier"):
            net.to_c(name=name)
    net.parameters[0] = np.inf
    with pytest.raises(ValueError, match="not finite"):
        net.to_c()


def test_exports_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    import os

    net = make_network((3, 2), "identity")
    (tmp_path / "net.c").write_text("old")

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        net.to_c(tmp_path / "net.c")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("net.c", "old")]


# --- from PyTorch ---------------------------------------------------------------------------------------


def test_a_leading_flatten_is_taken():
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 2))
    x = torch.arange(12.0).reshape(2, 2, 3)
    net = bp.Network.from_torch(module)
    assert_close(net(x.reshape(2, 6).numpy()), module(x).detach().numpy(), 1e-6)
    for wrong in (
        torch.nn.Sequential(torch.nn.Flatten(0), torch.nn.Linear(6, 2)),
        torch.nn.Sequential(torch.nn.Linear(6, 2), torch.nn.ReLU(), torch.nn.Flatten()),
    ):
        with pytest.raises((TypeError, ValueError), match=r"module [02],? (is )?Flatten"):
            bp.Network.from_torch(wrong)


def test_a_lazy_linear_and_hooks_are_refused_by_name():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    lazy = nn.Sequential(nn.LazyLinear(2))
    with pytest.raises(TypeError, match=r"module 0 is LazyLinear.*call the module once"):
        bp.Network.from_torch(lazy)
    lazy(torch.zeros(1, 3))
    assert bp.Network.from_torch(lazy).layers[0].inputs == 3
    for register in ("register_forward_hook", "register_forward_pre_hook"):
        for place in (0, 1, None):
            module = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
            part = module if place is None else module[place]
            handle = getattr(part, register)(lambda *arguments: None)
            with pytest.raises(TypeError, match="has hooks, which may change what it computes"):
                bp.Network.from_torch(module)
            handle.remove()
            bp.Network.from_torch(module)
