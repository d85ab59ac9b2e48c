"""``make run``: everything of Blotter on this machine, in the foreground, under one parent."""

import fcntl
import http.client
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO

import django
from django.core.exceptions import ImproperlyConfigured

from config import embedded, env, places
from config.places import EmbeddedError
from config.supervisor import Child, Supervisor

CHECKOUT = Path(__file__).resolve().parent.parent
PORTS_TRIED = 50
WEB_START_LIMIT = 60.0  # seconds
ADMINISTRATOR = "admin"


class Leave(BaseException):
    """Somebody asked for the end."""


def leave(signum: int, frame: FrameType | None) -> None:
    """Begin the end; who asks again does not interrupt it."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise Leave


def main() -> int:
    """Run until Ctrl-C or SIGTERM; return the exit code."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, leave)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        home = env.folder("BLOTTER_HOME", CHECKOUT / ".blotter")
        home.mkdir(parents=True, exist_ok=True)
        with (home / "running").open("a+") as mark:
            if not alone(mark):
                mark.seek(0)
                where = mark.read().strip() or "and still starting"
                print(f"Blotter is already running in this checkout: {where}")
                return 0
            return serve(home, mark)
    except Leave:
        print("\nStopped.")
        return 0
    except (EmbeddedError, ImproperlyConfigured, PermissionError) as error:
        print(f"Blotter cannot start: {error}", file=sys.stderr)
        return 1


def alone(mark: IO[str]) -> bool:
    """Whether nobody else runs this checkout; if so, nobody else will while we do."""
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    mark.truncate(0)
    return True


def serve(home: Path, mark: IO[str]) -> int:
    """Prepare everything step by step, then keep the children running."""
    began = time.monotonic()
    with listening() as (door, address):
        mark.write(f"{address} (process {os.getpid()})\n")
        mark.flush()
        missing = [name for name in ("DATABASE_URL", "REDIS_URL") if not env.text(name)]
        with embedded.missing_servers(home):
            what = "PostgreSQL and Valkey" if len(missing) == 2 else "given by the environment"
            say("servers", time.monotonic() - began, f"{what}, data in {places.data_folder(home)}")
            password = prepare()
            return keep_running(door, address, password, began)


def prepare() -> str:
    """Bring the database up to date; return the administrator's password if it is new."""
    began = time.monotonic()
    django.setup()
    # Only now: these modules read the settings, and models need the applications.
    from config import setup

    say("applications", time.monotonic() - began, "")
    timed("migrations", setup.migrate)
    timed("roles", setup.roles)
    timed("market", setup.market)
    timed("retention", setup.retention)
    password = secrets.token_urlsafe(12)
    created = timed("administrator", lambda: setup.administrator(ADMINISTRATOR, password))
    if env.flag("DEMO", default=True):
        timed("demo", setup.demo)
    setup.close_connections()
    return password if created.startswith("made") else ""


def keep_running(door: socket.socket, address: str, password: str, began: float) -> int:
    """Start web, worker and beat; say where; look after them until somebody asks for the end."""
    supervisor = Supervisor(children(door))
    started = time.monotonic()
    try:
        supervisor.start()
        deadline = started + WEB_START_LIMIT
        while not lives(door):
            supervisor.look_after()
            if time.monotonic() > deadline:
                print(f"The web server did not answer within {WEB_START_LIMIT:.0f} s.")
                return 1
            time.sleep(0.05)
        say("web", time.monotonic() - started, "answers; worker and beat are starting")
        print(f"\nBlotter is ready after {time.monotonic() - began:.1f} s: {address}")
        if password:
            print(f"Log in as {ADMINISTRATOR} with {password} (shown only this once)")
        print("Ctrl-C stops everything.\n", flush=True)
        supervisor.watch()
    finally:
        supervisor.stop()
    return 0


def children(door: socket.socket) -> list[Child]:
    """Return what runs besides us; all of it is one Django with one environment."""
    options = {"env": {**os.environ, "PYTHONUNBUFFERED": "1"}, "cwd": CHECKOUT}
    # Celery warns of root, which one machine's owner may well be; here it reads JSON alone.
    quiet = ["-W", "ignore:You're running the worker with superuser privileges"]
    celery = [sys.executable, *quiet, "-m", "celery", "-A", "config.celery", "--quiet"]
    web = [
        sys.executable, "-m", "gunicorn", "config.wsgi:application", "--no-control-socket",
        "--bind", f"fd://{door.fileno()}", "--worker-class", "gthread",
        "--workers", str(env.integer("WEB_WORKERS", default=2, minimum=1)),
        "--threads", str(env.integer("WEB_THREADS", default=8, minimum=1)),
        "--timeout", "120", "--graceful-timeout", "20", "--log-level", "warning",
    ]  # fmt: skip
    worker = [
        *celery, "worker", "--pool", "prefork", "--without-gossip", "--without-mingle",
        "--concurrency", str(env.integer("WORKER_PROCESSES", default=2, minimum=1)),
        "--loglevel", "INFO",
    ]  # fmt: skip
    # No file of its own: the schedule is in the database.
    beat = [*celery, "beat", "--pidfile", "", "--loglevel", "WARNING"]
    running = [
        Child("web", web, {**options, "pass_fds": [door.fileno()]}),
        Child("worker", worker, options),
        Child("beat", beat, options),
    ]
    if env.flag("DEMO", default=True):
        running.append(Child("demo", [sys.executable, "-m", "config.demo_live"], options))
    return running


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """Open the door on PORT, or on the next one that is free; it stays open over restarts."""
    host = env.text("HOST", "127.0.0.1")
    wanted = env.integer("PORT", default=8000, minimum=1, maximum=65_535)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in range(wanted, min(wanted + PORTS_TRIED, 65_536)):
        door = socket.socket(family, socket.SOCK_STREAM)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((host, port))
            door.listen(1024)
        except OSError as error:
            door.close()
            print(f"Port {port} cannot be had ({error.strerror}); trying the next.")
            continue
        with door:
            shown = f"[{host}]" if ":" in host else host
            yield door, f"http://{shown}:{port}/"
        return
    raise EmbeddedError(f"No port from {wanted} on is free on {host}; set PORT.")


def lives(door: socket.socket) -> bool:
    """Whether the web server answers."""
    host, port = door.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection(local, port, timeout=1)
        try:
            connection.request("GET", "/livez")
            return connection.getresponse().status == http.HTTPStatus.OK
        finally:
            connection.close()
    return False


def timed(step: str, work: Callable[[], str]) -> str:
    """Do one step and print how long it took and what it says."""
    began = time.monotonic()
    result = work()
    say(step, time.monotonic() - began, result)
    return result


def say(step: str, seconds: float, what: str) -> None:
    print(f"  {step:<14} {seconds:6.1f} s  {what}".rstrip(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
