"""The embedded PostgreSQL: made, started, recognised. Who may come in, the system says."""

import pwd
import shutil
import signal
import subprocess
import time
from os import PathLike
from typing import Any

import psutil
import psycopg

from config.places import EmbeddedError, Place
from config.processes import spawn, until

NAME = "blotter"
START_LIMIT = 120.0  # seconds; a long recovery is not a failure
RETRY_PAUSE = 0.2

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
# For data that nobody will miss.
CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def start(place: Place, *, throwaway: bool) -> None:
    """Have the server of this place running and its database there; a running one is joined.

    Raises EmbeddedError with the end of the server's log.
    """
    cluster = place.data / "postgres"
    if not cluster.exists():
        _make_cluster(place, throwaway=throwaway)
    deadline = time.monotonic() + START_LIMIT
    if process(place) is None:
        _start(place, deadline, throwaway=throwaway)
    if not until(lambda: _answers(place), deadline):
        raise EmbeddedError(place.failure("postgres", "did not answer in time"))
    with _connect(place) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME])
        if known.fetchone() is None:
            connection.execute(f"CREATE DATABASE {NAME}")


def process(place: Place) -> psutil.Process | None:
    """Return the running postmaster of this place, whoever started it."""
    cluster = place.data / "postgres"
    try:
        found = psutil.Process(int((cluster / "postmaster.pid").read_text().split("\n", 1)[0]))
        ours = str(cluster) in found.cmdline() and found.status() != psutil.STATUS_ZOMBIE
    except (FileNotFoundError, ValueError, psutil.Error):
        return None
    return found if ours else None


def _start(place: Place, deadline: float, *, throwaway: bool) -> None:
    # Left by a postmaster that was killed; its number may belong to anybody by now.
    (place.data / "postgres" / "postmaster.pid").unlink(missing_ok=True)
    _write_access_rules(place)
    while True:
        child = _spawn(place, throwaway=throwaway)
        until(lambda: child.poll() is not None or _answers(place), deadline)  # noqa: B023
        if child.poll() is None:
            return
        # For some seconds after a kill -9 the backends it leaves hold on to their memory.
        if "still in use" not in place.log_end("postgres") or time.monotonic() > deadline:
            raise EmbeddedError(place.failure("postgres", "did not start"))
        time.sleep(RETRY_PAUSE)


def _make_cluster(place: Place, *, throwaway: bool) -> None:
    """Make an empty cluster, whole or not at all."""
    unfinished = place.data / "postgres-unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    command: list[str | PathLike[str]] = [
        place.postgres / "initdb", "--pgdata", unfinished, "--username", NAME, "--auth", "peer",
        "--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin",
        "--builtin-locale", "C.UTF-8", "--no-instructions",
    ]  # fmt: skip
    if throwaway:
        command.append("--no-sync")
    with place.log("initdb") as log:
        child = spawn(command, user=place.user, output=log, end_with_us=signal.SIGKILL)
        try:
            failed = child.wait(START_LIMIT) != 0
        finally:
            child.kill()
    if failed:
        raise EmbeddedError(place.failure("initdb", "could not make the database"))
    unfinished.rename(place.data / "postgres")


def _write_access_rules(place: Place) -> None:
    """Let in who runs the server, and root; nobody else, and by no other way."""
    allowed = sorted({place.user.pw_name, pwd.getpwuid(0).pw_name})
    cluster = place.data / "postgres"
    (cluster / "pg_hba.conf").write_text("local all all peer map=blotter\n")
    lines = [f'blotter "{name}" {NAME}\n' for name in allowed]
    (cluster / "pg_ident.conf").write_text("".join(lines))


def _spawn(place: Place, *, throwaway: bool) -> subprocess.Popen[bytes]:
    settings = {**SETTINGS, "unix_socket_directories": f'"{place.sockets}"'}
    if throwaway:
        settings |= CARELESS
    command: list[str | PathLike[str]] = [
        place.postgres / "postgres",
        "-D",
        place.data / "postgres",
    ]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    with place.log("postgres") as log:
        end = signal.SIGQUIT if throwaway else None
        return spawn(command, user=place.user, output=log, end_with_us=end)


def _connect(place: Place) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=str(place.sockets), dbname="postgres", user=NAME, connect_timeout=5, autocommit=True
    )


def _answers(place: Place) -> bool:
    try:
        _connect(place).close()
    except psycopg.OperationalError:
        return False
    return True
