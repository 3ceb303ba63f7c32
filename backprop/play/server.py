"""``python -m backprop play``: a `Stage` in the browser, served on the loopback interface.

Others are kept out: the address holds a random token; requests must name this host and port, which a page
elsewhere whose name was made to point here, DNS rebinding, does not; those of a page must come from this one.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from backprop.play import page
from backprop.play.answers import answer

if TYPE_CHECKING:
    from backprop.play.stage import Stage

HOST = "127.0.0.1"
LARGEST_MESSAGE = 1 << 24  # bytes; samples that are dropped onto the page come as one message
SECONDS_FOR_A_REQUEST = 30
FILES: dict[str, tuple[Callable[[], str], str]] = {
    "": (lambda: page.text("play.html"), "text/html; charset=utf-8"),
    "widget.js": (page.script, "text/javascript; charset=utf-8"),
    "widget.css": (lambda: page.text("widget.css"), "text/css; charset=utf-8"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Server(ThreadingHTTPServer):
    """Serves one stage; ``url`` is the whole address, token included.

    Parameters
    ----------
    stage : Stage
    port : int
        0 takes any free one.

    Raises
    ------
    OSError
        If the port is taken.
    """

    request_queue_size = 128  # of the system; with the five of socketserver some of many at once were reset

    def __init__(self, stage: Stage, port: int = 0) -> None:
        super().__init__((HOST, port), Handler)
        self.stage = stage
        self.token = secrets.token_urlsafe()
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}
        self.url = f"http://{HOST}:{self.server_port}/{self.token}/"


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Server
    timeout = SECONDS_FOR_A_REQUEST
    server_version, sys_version = "backprop", ""

    def do_GET(self) -> None:
        """The page and its two files."""
        name = self._allowed()
        if name is None:
            return
        if name not in FILES:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        content, kind = FILES[name]
        self._reply(content().encode(), kind)

    def do_POST(self) -> None:
        """A message for the stage, as JSON."""
        name = self._allowed()
        if name is None:
            return
        if name != "message":
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        if self.headers.get("Content-Type") != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
            return
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            self._refuse(HTTPStatus.LENGTH_REQUIRED)
            return
        if len(length) > 9 or int(length) > LARGEST_MESSAGE:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        try:
            message = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        text = json.dumps(answer(self.server.stage, message), allow_nan=False)
        self._reply(text.encode(), "application/json")

    def _allowed(self) -> str | None:
        """What is asked for, behind the token; None if the request was refused."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if host not in self.server.hosts or origin not in (None, f"http://{host}"):
            self._refuse(HTTPStatus.FORBIDDEN)
            return None
        token, slash, name = self.path.removeprefix("/").partition("/")
        if not slash or not secrets.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(HTTPStatus.NOT_FOUND)
            return None
        return name

    def _refuse(self, status: HTTPStatus) -> None:
        self.close_connection = True  # what else was sent stays unread
        self._reply(f"{status.value} {status.phrase}\n".encode(), "text/plain; charset=utf-8", status)

    def _reply(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **HEADERS}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the terminal is for the address, and a log would show the token."""


def play(stage: Stage, port: int, browser: bool) -> None:
    """Serves a stage until Ctrl-C."""
    import webbrowser

    with Server(stage, port) as server:
        print(f"open {server.url}\nCtrl-C ends it", flush=True)
        if browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("ended")
