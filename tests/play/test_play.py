"""`python -m backprop play` and `explain`, without a browser: what is answered, and who is refused."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from browser import serving

import backprop as bp
from backprop.__main__ import main
from backprop.play.answers import numbers_of
from backprop.play.server import FILES, LARGEST_MESSAGE, Server
from backprop.play.stage import Stage

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(bp.__file__).parent.parent)}
COMMAND = [sys.executable, "-m", "backprop"]
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def server():
    with serving(Stage()) as server:
        yield server


def ask(server, method, path, body=None, **headers):
    """The status, the headers and the body of a reply."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.request(method, path, body, {key.replace("_", "-"): text for key, text in headers.items()})
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        connection.close()


def post(server, message, **headers):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return ask(server, "POST", f"/{server.token}/message", body, **{**JSON, **headers})


def test_it_serves_the_page_and_its_files(server):
    for name, (file, kind) in FILES.items():  # file(): its text
        status, headers, content = ask(server, "GET", f"/{server.token}/{name}")
        assert status == 200
        assert headers["Content-Type"] == kind
        assert content == file().encode()
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"
        text = content.decode().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, "nothing from outside"


def test_it_answers_messages(server):
    status, _, content = post(server, {"do": "trace", "index": 0})
    assert status == 200
    shown = json.loads(content)["trace"]["layers"][0]["a"]
    assert np.array_equal(numbers_of(shown), server.stage.network.trace(server.stage.x[0]).layers[0].a)
    status, _, content = post(server, {"do": "jump"})
    assert status == 200
    assert "there is no message 'jump'" in json.loads(content)["error"]


def test_only_the_loopback_interface_and_a_long_token(server):
    assert server.server_address[0] == "127.0.0.1"
    assert len(server.token) >= 43
    with Server(Stage()) as other:
        assert other.token != server.token


def test_without_the_token_there_is_nothing(server):
    token = server.token
    for path in ("/", "/widget.js", "/message", "//", f"/{token}", f"/{token[:-1]}/", "/x/", "/é/"):
        raw = path.encode("utf-8").decode("latin-1")
        with socket.create_connection(("127.0.0.1", server.server_port), 10) as connection:
            request = f"GET {raw} HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n"
            connection.sendall(request.encode("latin-1"))
            assert connection.recv(100).split()[1] == b"404", path
    assert ask(server, "POST", "/message", b'{"do": "step", "first": 0}', **JSON)[0] == 404
    assert server.stage.optimizer.steps == 0


@pytest.mark.parametrize(
    "path", ["play.html", "../play.py", "%2e%2e/play.py", "message", "__init__.py", "widget.js?x"]
)
def test_behind_the_token_there_is_the_page_only(server, path):
    assert ask(server, "GET", f"/{server.token}/{path}")[0] == 404


def test_other_hosts_and_origins_are_refused(server):
    port, path = server.server_port, f"/{server.token}/"
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", ""):
        assert ask(server, "GET", path, Host=host)[0] == 403, host
        assert post(server, {"do": "step", "first": 0}, Host=host)[0] == 403, host
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}", f"http://localhost:{port}"):
        assert post(server, {"do": "step", "first": 0}, Origin=origin)[0] == 403, origin
    assert server.stage.optimizer.steps == 0
    assert ask(server, "GET", path, Host=f"localhost:{port}")[0] == 200
    assert post(server, {"do": "step", "first": 0}, Origin=f"http://127.0.0.1:{port}")[0] == 200


def test_what_is_no_message_is_refused(server):
    path = f"/{server.token}/message"
    step = b'{"do": "step", "first": 0}'
    assert ask(server, "POST", path, step, **{"Content-Type": "text/plain"})[0] == 415
    assert post(server, b"{")[0] == 400
    assert post(server, b"\xff")[0] == 400
    assert post(server, b"[" * 9000)[0] == 400
    assert post(server, b"", **{"Content-Length": str(LARGEST_MESSAGE + 1)})[0] == 413
    assert post(server, b"", **{"Content-Length": "99999999999999"})[0] == 413
    assert post(server, b"", **{"Content-Length": "-1"})[0] == 411
    assert ask(server, "PUT", path)[0] == 501
    assert ask(server, "POST", f"/{server.token}/", b"{}", **JSON)[0] == 404
    assert server.stage.optimizer.steps == 0


def test_messages_of_several_pages_do_not_mix(server):
    """Sixteen at once: each trains five epochs, all of which count."""
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: post(server, {"do": "train", "epochs": 5}), range(16)))
    assert [answer[0] for answer in answers] == [200] * 16
    assert server.stage.epochs == 80
    assert server.stage.optimizer.steps == 80 * 20


def play(*arguments):
    command = [*COMMAND, "play", "--no-browser", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True)


def address_of(process):
    line = process.stdout.readline()
    match = re.fullmatch(r"open http://127\.0\.0\.1:(\d+)/([\w-]{43})/\n", line)
    assert match, line + process.stderr.read()
    return int(match[1]), match[2]


def end(process):
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    return process.returncode, out.splitlines()[-1], err


def first_state(process):
    port, token = address_of(process)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", f"/{token}/message", b'{"do": "state"}', JSON)
    shown = json.loads(connection.getresponse().read())["state"]
    connection.close()
    return shown


def sizes(shown):
    return [shown["layers"][0]["inputs"], *(layer["outputs"] for layer in shown["layers"])]


def test_ctrl_c_ends_it_cleanly():
    process = play("--set", "xor", "--layers", "2-3-2", "--lr", 0.25, "--nodes", 4)
    shown = first_state(process)
    assert shown["data"]["name"] == "xor"
    assert sizes(shown) == [2, 3, 2]
    assert (shown["optimizer"]["lr"], shown["nodes"]) == (0.25, 4)
    assert end(process) == (0, "ended", "")


def test_it_plays_a_file_of_samples_and_a_saved_network(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    np.savez(tmp_path / "own.npz", x=x, y=y)
    process = play("--data", tmp_path / "own.npz", "--sample", 7)
    shown = first_state(process)
    assert end(process)[0] == 0
    assert sizes(shown) == [3, 8, 3]
    assert (shown["first"], shown["data"]["samples"]) == (7, 40)

    net = bp.Network.dense(3, 4, 3, seed=1)
    net.save(tmp_path / "net.safetensors")
    process = play(tmp_path / "net.safetensors", "--data", tmp_path / "own.npz")
    shown = first_state(process)
    assert end(process)[0] == 0
    assert sizes(shown) == [3, 4, 3]
    assert shown["train"]["loss"] == net.loss(x / np.float32(1), y)
    assert not shown["builds"]


def test_the_digits_are_trained_on_the_training_samples():
    x, y, x_test, y_test = bp.datasets.load_digits()
    process = play("--set", "digits", "--layers", "64-12-10")
    shown = first_state(process)
    assert end(process) == (0, "ended", "")
    assert sizes(shown) == [64, 12, 10], "--layers holds"
    assert (shown["data"]["samples"], shown["data"]["tests"]) == (len(x), len(x_test))
    net = bp.Network.dense(64, 12, 10, hidden="tanh", seed=0)
    assert shown["train"]["loss"] == net.loss(x, y)
    assert shown["test"]["loss"] == net.loss(x_test, y_test)
    assert shown["data"]["classes"] == [str(i) for i in range(10)]


def test_a_test_part_of_the_data_is_not_trained_on(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    np.savez(tmp_path / "own.npz", x_train=x[:30], y_train=y[:30], x_test=x[30:], y_test=y[30:])
    process = play("--data", tmp_path / "own.npz")
    shown = first_state(process)["data"]
    assert end(process)[0] == 0
    assert (shown["samples"], shown["tests"]) == (30, 10)


def test_the_spirals_of_the_readme_are_learned():
    """The very command of the README, and 150 epochs: more than 0.97 are right, of new samples too."""
    text = (Path(bp.__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"python -m backprop play (--set two_spirals .*)", text)
    process = play(*line.split())
    port, token = address_of(process)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", f"/{token}/message", b'{"do": "train", "epochs": 150}', JSON)
    shown = json.loads(connection.getresponse().read())["state"]
    connection.close()
    end(process)
    assert shown["epochs"] == 150
    assert shown["train"]["accuracy"] > 0.97
    assert shown["test"]["accuracy"] > 0.97


def run(capsys, *arguments):
    """The exit code, stdout and stderr of a command, run in this process."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as leaving:
        code = leaving.code
    return code, *capsys.readouterr()


def test_a_taken_port_is_said(capsys, server):
    code, out, err = run(capsys, "play", "--no-browser", "--port", server.server_port)
    assert (code, out) == (1, "")
    assert "in use" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set", "moon"], "invalid choice: 'moon'"),
        (["--set", "xor", "--data", "x.npz"], "not allowed with"),
        (["--layers", "3-1"], "a network of 3 inputs needs x and y"),
        (["--data", "nowhere.npz"], "nowhere.npz"),
        (["--nodes", "1"], "nodes must be at least 2"),
        (["--lr", "-1"], "lr must be greater than 0"),
        (["--set", "digits", "--layers", "64-10-9"], "labels in y must be 0 to 8"),
    ],
)
def test_bad_play(capsys, arguments, told):
    code, _, err = run(capsys, "play", "--no-browser", *arguments)
    assert code in (1, 2)
    assert told in err


@pytest.fixture
def saved(tmp_path):
    """A saved network that remembers a scale of 2, its file and a data file."""
    from backprop.files.format import save

    net = bp.Network.dense(3, 4, 2, seed=0)
    save(net, tmp_path / "net.safetensors", {"scale": 2.0})
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 3)), np.arange(6) % 2
    np.savez(tmp_path / "own.npz", x=x, y=y)
    return net, x / np.float32(2), y, [tmp_path / "net.safetensors", "--data", tmp_path / "own.npz"]


def test_explain_prints_what_net_explain_does(capsys, saved):
    net, x, y, files = saved
    code, out, err = run(capsys, "explain", *files, "--sample", 4, "--layer", 0, "--j", 3, "--k", 2)
    assert (code, err) == (0, "")
    assert out == f"{net.explain(x[4], y[4], 0, 3, 2)}\n"
    _, out, _ = run(capsys, "explain", *files, "--j", 1, "--bias")
    assert out == f"{net.explain(x[0], y[0], -1, 1, bias=True)}\n"
    _, out, _ = run(capsys, "explain", *files, "--latex")
    assert out == f"{net.explain(x[0], y[0], -1, 0, 0).latex()}\n"
    _, out, _ = run(capsys, "explain", *files, "--html")
    assert out.startswith("<!doctype html>")
    assert net.explain(x[0], y[0], -1, 0, 0)._repr_html_() in out


def test_explain_without_a_file_takes_the_digits(capsys):
    x_train, y_train, x, y = bp.datasets.load_digits()
    net = bp.Network.dense(64, 30, 10, seed=0)
    net.fit(x_train, y_train, bp.SGD(1.0), epochs=30, batch_size=10, progress=False)
    code, out, _ = run(capsys, "explain", "--sample", 5, "--j", 3, "--k", 7)
    assert code == 0
    assert out == f"{net.explain(x[5], y[5], -1, 3, 7)}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--sample", 6], "--sample must be below 6"),
        (["--layer", 2], "layer must be below 2"),
        (["--j", 2], "j must be below 2"),
        (["--k", 4], "k must be below 4"),
        (["--latex", "--html"], "not allowed with"),
    ],
)
def test_bad_explain(capsys, saved, arguments, told):
    code, out, err = run(capsys, "explain", *saved[3], *arguments)
    assert code in (1, 2)
    assert out == ""
    assert told in err
