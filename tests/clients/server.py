"""A small server that behaves as badly as it is told to, for the client that others copy."""

import json
import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from clients.blotter_client import Blotter

KEY = "blt_abcdefgh_very-secret-part-of-a-key"
RUNS = "/api/v1/executions/executions/"
FINE = {"status": "RUNNING", "progress_percentage": "0", "cancel_requested": False}

# What a server may do instead of answering.
DROP, DRIP, CUT, WORDS = "drop", "drip", "cut", "words"


class FakeBlotter(ThreadingHTTPServer):
    """Answers from ``script``, one entry for each request, and then well."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Any] = []
        self.usual: Callable[[str, dict[str, Any]], Any] = lambda verb, body: FINE
        self.seen: list[tuple[str, str, Any]] = []
        self.headers: list[Any] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def verbs(self) -> list[str]:
        """Return what was reported, in its order, without mere signs of life."""
        found = []
        for _, path, body in self.seen:
            verb = path.removeprefix(RUNS).partition("/")[2].strip("/") or "start"
            if verb == "steps":
                found.append(f"{body['step_name']} {body['status']}")
            elif verb != "progress" or "completed_tasks" in body:
                found.append(verb if verb != "finish" else f"finish {body['status']}")
        return found

    def bodies(self, verb: str) -> list[dict[str, Any]]:
        return [body for _, path, body in self.seen if path.endswith(f"/{verb}/")]


class Handler(BaseHTTPRequestHandler):
    server: FakeBlotter

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.seen.append((self.command, self.path, body))
        self.server.headers.append(self.headers)
        scripted = self.server.script.pop(0) if self.server.script else None
        found = self.server.usual(self.path, body) if scripted is None else scripted
        if found == DROP:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        status, headers, document = found if isinstance(found, tuple) else (200, {}, found)
        content = b"<html>" if document == WORDS else json.dumps(document).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(100 if document in (CUT, DRIP) else len(content)))
        self.end_headers()
        if document == DRIP:
            try:
                for _ in range(100):
                    self.wfile.write(b" ")
                    time.sleep(0.05)
            except OSError:
                return
        self.wfile.write(content[:1] if document == CUT else content)
        self.close_connection = True

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def impatient(blotter: Blotter, waits: list[float]) -> Blotter:
    blotter._sleep = waits.append
    return blotter


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def refusal(status: int, code: str, **more: Any) -> tuple[int, dict[str, str], Any]:
    return status, {}, {"code": code, "detail": f"This is {code}.", "errors": [], **more}
