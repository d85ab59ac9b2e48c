"""Cases with two sides that take turns, and a server and a database of their own."""

import http.client
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg

DATABASE = "blotter_bench"
LARGE_DATABASE = "blotter_bench_large"
SETTINGS = "benchmarks.settings"
RUNS = 5

# One side of a case: does its work once and returns what it cost, in seconds.
Side = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Aim:
    """What a case is held to.

    ``at_least``: how fast ours is by the other side's measure (its cost / our cost).
    ``at_most``: how much ours costs by the other side's measure (our cost / its cost).
    """

    kind: Literal["at_least", "at_most"]
    value: float

    def ratio(self, ours: float, theirs: float) -> float:
        return theirs / ours if self.kind == "at_least" else ours / theirs

    def holds(self, ratio: float) -> bool:
        return ratio >= self.value if self.kind == "at_least" else ratio <= self.value

    def __str__(self) -> str:
        return f"{'≥' if self.kind == 'at_least' else '≤'} {self.value:g}"


def at_least(value: float) -> Aim:
    return Aim("at_least", value)


def at_most(value: float) -> Aim:
    return Aim("at_most", value)


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement: ``setup`` once, then both sides in turn."""

    name: str
    aim: Aim
    ours: Side
    theirs: Side
    setup: Callable[[], None] = lambda: None
    runs: int = RUNS


@dataclass(frozen=True, slots=True)
class Result:
    """The medians of both sides, in seconds, and their ratio as the aim reads it."""

    case: Case
    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        return self.case.aim.ratio(self.ours, self.theirs)

    @property
    def ok(self) -> bool:
        return self.case.aim.holds(self.ratio)


def measure(case: Case) -> Result:
    """Run a case: one turn to warm up, then ``runs`` turns that alternate who begins."""
    case.setup()
    case.ours()
    case.theirs()
    ours: list[float] = []
    theirs: list[float] = []
    for turn in range(case.runs):
        sides = [(ours, case.ours), (theirs, case.theirs)]
        for costs, side in sides if turn % 2 == 0 else reversed(sides):
            costs.append(side())
    return Result(case, statistics.median(ours), statistics.median(theirs))


def timed(work: Callable[[], Any]) -> float:
    """Return how long ``work`` takes, in seconds of the clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


# --- A database of its own ----------------------------------------------------------------


@contextmanager
def databases() -> Iterator[None]:
    """Have empty databases, name them to Django by the environment, drop them in the end.

    On the servers that DATABASE_URL and REDIS_URL name, or on embedded ones of this run.
    """
    from config import embedded

    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="blotter-bench-")))
        home.chmod(0o711)
        os.environ["BLOTTER_HOME"] = str(home)
        stack.enter_context(embedded.missing_servers(home, throwaway=True))
        server = os.environ.get("DATABASE_URL") or embedded.database_url(home)
        redis = os.environ.get("REDIS_URL") or embedded.redis_url(home)
        for name in (DATABASE, LARGE_DATABASE):
            stack.enter_context(_database(server, name))
        os.environ |= {
            "DATABASE_URL": address_of(server, DATABASE),
            "REDIS_URL": redis,
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "SECRET_KEY": secrets.token_urlsafe(48),
            "API_KEY_PEPPER": secrets.token_urlsafe(48),
            "API_RATE": "1000000/second",
            "API_HEARTBEAT_RATE": "1000000/second",
            "ALLOWED_HOSTS": "*",
            "HTTPS": "0",
            "DEBUG": "0",
        }
        yield


@contextmanager
def _database(server: str, name: str) -> Iterator[None]:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    try:
        yield
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def address_of(server: str, database: str) -> str:
    """Return the address of another database on the same server."""
    return urlunsplit(urlsplit(server)._replace(path=f"/{database}"))


def connect() -> psycopg.Connection:
    """Return a plain connection to the database, for what Django is measured against."""
    return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)


# --- A server of its own ------------------------------------------------------------------


class Server:
    """A gunicorn process of one worker, called through a socket with the key of a client."""

    def __init__(self, address: str, key: str, process: subprocess.Popen[bytes]) -> None:
        self.address = address
        self.process = process
        self.headers = {"Authorization": f"Bearer {key}"}
        self.connection = http.client.HTTPConnection(address, timeout=300)

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Return status and body of an answer."""
        self.connection.request(method, path, body or None, self.headers | headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def get(self, path: str) -> bytes:
        status, body = self.call("GET", path)
        if status != 200:
            raise RuntimeError(f"{path} answered {status}: {body[:500]!r}")
        return body

    def post(self, path: str, body: bytes) -> Mapping[str, Any]:
        # A connection that idled while the other side had its turn may be closed by now.
        self.connection.close()
        status, answer = self.call("POST", path, body, **{"Content-Type": "application/json"})
        if status >= 300:
            raise RuntimeError(f"{path} answered {status}: {answer[:500]!r}")
        found: Mapping[str, Any] = json.loads(answer)
        return found

    def cpu(self) -> float:
        """Return the CPU seconds of the web process and of its connections to the database.

        The database counts where it runs on this machine.
        """
        web = psutil.Process(self.process.pid)
        processes = [web, *web.children(recursive=True)]
        with connect() as connection:
            found = connection.execute(
                "SELECT pid FROM pg_stat_activity "
                "WHERE application_name = 'blotter' AND datname = current_database()"
            )
            pids = [pid for (pid,) in found]
        processes += [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
        times = [process.cpu_times() for process in processes]
        return sum(each.user + each.system for each in times)


@contextmanager
def serving(
    key: str = "", *, database: str = DATABASE, settings: str = SETTINGS
) -> Iterator[Server]:
    """Have a gunicorn process answer on a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    command = [sys.executable, "-m", "gunicorn", "config.wsgi:application", "--bind", address]
    command += ["--worker-class", "gthread", "--threads", "2", "--no-control-socket"]
    command += ["--log-level", "error", "--timeout", "300"]
    environment = os.environ | {
        "DATABASE_URL": address_of(os.environ["DATABASE_URL"], database),
        "DJANGO_SETTINGS_MODULE": settings,
    }
    process = subprocess.Popen(command, env=environment)
    try:
        _wait_for(port, process)
        yield Server(address, key, process)
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("The server did not start.")
