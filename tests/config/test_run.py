"""``make run`` as a person has it: one start, everything that can be asked of it, one end."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from config.processes import until

CHECKOUT = Path(__file__).resolve().parent.parent.parent
COMMAND = [sys.executable, "-m", "config.run"]


class Running:
    """A started ``config.run`` and what it has printed so far."""

    def __init__(self, home: Path, port: int) -> None:
        given = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "API_KEY_PEPPER", "HTTPS")
        kept = {name: value for name, value in os.environ.items() if name not in given}
        self.environment = kept | {"BLOTTER_HOME": str(home), "PORT": str(port), "DEMO": "0"}
        self.environment |= {"WEB_WORKERS": "1", "WORKER_PROCESSES": "1"}
        self.printed = ""
        self.process = subprocess.Popen(
            COMMAND,
            cwd=CHECKOUT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self) -> None:
        for line in self.process.stdout:
            self.printed += line

    def says(self, text: str, seconds: float = 90) -> bool:
        return until(lambda: text in self.printed, time.monotonic() + seconds)

    def get(self, port: int, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.fixture(scope="module")
def taken() -> socket.socket:
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield door


@pytest.fixture(scope="module")
def running(passable_folder, taken) -> Running:
    started = Running(passable_folder / "running", taken.getsockname()[1])
    try:
        assert started.says("Ctrl-C stops everything."), started.printed
        yield started
    finally:
        started.process.kill()
        started.process.wait()
        started.reader.join()
        started.process.stdout.close()


def address_port(running: Running) -> int:
    return int(running.printed.split("http://127.0.0.1:")[1].split("/")[0])


class TestRun:
    def test_starts_answers_refuses_a_second_and_leaves_nothing_behind(self, running, taken):
        wanted, port = taken.getsockname()[1], address_port(running)
        assert f"Port {wanted} cannot be had" in running.printed
        assert port != wanted
        assert "made: admin" in running.printed
        assert running.get(port, "/livez") == 200
        assert running.get(port, "/readyz") == 200
        assert running.get(port, "/admin/login/") == 200

        second = subprocess.run(
            COMMAND,
            cwd=CHECKOUT,
            env=running.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 0
        assert f"already running in this checkout: http://127.0.0.1:{port}/" in second.stdout

        started = psutil.Process(running.process.pid).children(recursive=True)
        assert len(started) >= 5
        running.process.send_signal(signal.SIGTERM)

        assert running.process.wait(60) == 0
        assert psutil.wait_procs(started, timeout=10)[1] == []
