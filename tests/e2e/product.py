"""The whole product as its users run it: started by its own command, spoken to over HTTP."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from apps.access import domain
from config import celery, embedded

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
START_LIMIT = 120
# What this test run was given for itself; a product of its own must not see it.
OWN = (
    "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "API_KEY_PEPPER", "BLOTTER_HOME", "HTTPS",
    "LOG_TO_DATABASE",
)  # fmt: skip


class Product:
    """One running Blotter with servers of its own."""

    def __init__(self, home: Path, port: int, **variables: str) -> None:
        kept = {name: value for name, value in os.environ.items() if name not in OWN}
        self.home = home
        self.environment = kept | {"BLOTTER_HOME": str(home), "PORT": str(port)} | variables
        self.address = f"http://127.0.0.1:{port}"
        self.output = home.parent / "output.txt"
        self.key = ""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.run"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(self.ready, START_LIMIT, lambda: f"it did not start: {self.said()[-3000:]}")

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"it stopped by itself: {self.said()[-3000:]}"
        # Only its own words tell where it is: on the port asked for there may be somebody else.
        printed = re.findall(r"Blotter is ready after .*?(http://[\w.]+:\d+)", self.said())
        if not printed:
            return False
        self.address = printed[-1]
        try:
            return self.get("/readyz", authorized=False)[0] == 200
        except OSError:
            return False

    def stop(self) -> int:
        """Stop it as an operator does; return the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def manage(self, *arguments: str) -> str:
        """Run a manage.py command beside the running product; return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def with_key(self, name: str, *scopes: str, bot: str = "") -> "Product":
        """Return the same product, asked under a new key, which may be bound to a bot.

        Its row is the one that ``create_key`` makes: to start that command takes seconds.
        """
        prefix, key = domain.new_key()
        pepper = embedded.kept_secret(self.home, "API_KEY_PEPPER")
        row = {
            "client": name,
            "prefix": prefix,
            "key_hash": domain.key_hash(key, pepper),
            "scopes": list(scopes),
            "bot": bot,
            "agent": "",
            "expires_at": datetime.now(UTC) + timedelta(days=1),
            "line": uuid.uuid4(),
        }
        places = ", ".join(f"%({column})s" for column in row)
        with self.database() as database:
            database.execute(f"INSERT INTO api_keys ({', '.join(row)}) VALUES ({places})", row)
        same = copy(self)
        same.key = key
        return same

    def wake(self, task: str) -> None:
        """Send the message that beat would send: a worker is to look what is due."""
        broker = celery.broker_url(embedded.redis_url(self.home))
        with celery.app.connection_for_write(broker) as connection:
            celery.app.send_task(task, connection=connection)

    def database(self) -> "psycopg.Connection[Any]":
        """Return a connection to its database, which stores what it is told at once."""
        place = embedded.database_settings(embedded.database_url(self.home))
        return psycopg.connect(
            dbname=place["NAME"], user=place["USER"], host=place["HOST"], autocommit=True
        )

    def workers(self) -> list[int]:
        """Return the process ids of the running Celery worker and its pool."""
        assert self.process is not None
        return [
            pid
            for pid in descendants(self.process.pid)
            if b"celery" in (line := command_of(pid)) and b"worker" in line
        ]

    def pool(self) -> list[int]:
        """Return the process ids of the worker's pool, which do the work."""
        workers = set(self.workers())
        return [pid for pid in workers if parent_of(pid) in workers]

    def get(
        self, path: str, *, authorized: bool = True, correlation_id: str = ""
    ) -> tuple[int, Any]:
        return self.request("GET", path, authorized=authorized, correlation_id=correlation_id)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        return self.request("POST", path, json.dumps(body).encode())

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        kind: str = "application/json",
        authorized: bool = True,
        correlation_id: str = "",
    ) -> tuple[int, Any]:
        headers = {"Content-Type": kind}
        if correlation_id:
            headers["X-Request-ID"] = correlation_id
        if authorized:
            headers["Authorization"] = f"Bearer {self.key}"
        url = path if path.startswith("http") else self.address + path
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, decoded(answer.read())
        except urllib.error.HTTPError as refusal:
            return refusal.code, decoded(refusal.read())

    def download(self, path: str) -> tuple[int, bytes]:
        """Return the answer of a file as it comes."""
        headers = {"Authorization": f"Bearer {self.key}"}
        request = urllib.request.Request(self.address + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read()

    def every(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield all rows of a list, page by page."""
        following: str | None = path
        while following:
            status, page = self.get(following)
            assert status == 200, page
            yield from page["results"]
            following = page["next"]


@contextmanager
def running(folder: Path, port: int, **variables: str) -> Iterator[Product]:
    """Start a product in ``folder`` for as long as this lasts; nothing of it stays."""
    product = Product(folder / "home", port, **variables)
    product.start()
    try:
        yield product
    finally:
        if product.process and product.process.poll() is None:
            product.stop()


def decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def wait_for(
    condition: Callable[[], bool], seconds: float, otherwise: Callable[[], str] = lambda: ""
) -> None:
    """Ask until it is so; fail when it is not so in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s; {otherwise()}"
        time.sleep(0.2)


def parent_of(pid: int) -> int:
    """Return the process id of the parent; 0 where the process is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def descendants(root: int) -> list[int]:
    """Return the process ids below ``root``, as /proc tells them now."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            parents[int(entry.name)] = parent_of(int(entry.name))
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]
