"""The embedded servers: a real PostgreSQL and a real Valkey in the state folder.

Whoever needs them holds ``servers()`` open. The first one in starts them, others join, the
last one out stops them. Nobody counts: each holds a shared lock on one file, which the
system lets go of however a process ends, and who gets that lock alone is the last.

Both listen on sockets in a folder that only their own user (and root) can enter; PostgreSQL
also asks the system who is calling. There is no port and no password.
"""

import contextlib
import fcntl
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import psutil

from config import env, places
from config import postgres as postgres_server
from config import valkey as valkey_server
from config.places import EmbeddedError, Place
from config.postgres import NAME
from config.processes import forget_ended

STOP_LIMIT = 60.0  # seconds
# manage.py's commands that work without a database.
WITHOUT_SERVERS = {
    "check", "collectstatic", "compilemessages", "diffsettings", "findstatic", "help",
    "makemessages", "restore_backup", "startapp", "startproject", "version",
}  # fmt: skip


def kept_secret(home: Path, name: str) -> str:
    """Return a secret of the state folder; it is made when first asked for."""
    path = home / "secrets" / name.lower()
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with open(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
        # Two processes may come here at once: one secret wins, whole.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()


def database_url(home: Path) -> str:
    """Return the address of the embedded PostgreSQL, running or not."""
    return f"postgres://{NAME}@/{NAME}?host={quote(str(places.sockets_folder(home)))}"


def redis_url(home: Path) -> str:
    """Return the address of the embedded Valkey, running or not."""
    return f"unix://{quote(str(valkey_server.socket(places.sockets_folder(home))))}"


def database_settings(url: str) -> dict[str, Any]:
    """Return Django's settings for an address; what its query adds goes to OPTIONS.

    ``?host=/folder`` names the folder of a socket.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", "") or unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
    }


def servers_for(command: Sequence[str], default_home: Path) -> AbstractContextManager[None]:
    """Return the servers that a call of manage.py needs, for as long as it runs."""
    name = command[1] if len(command) > 1 else "help"
    words = set(command)
    idle = name in WITHOUT_SERVERS and "--database" not in words
    if idle or name.startswith("-") or words & {"-h", "--help"}:
        return contextlib.nullcontext()
    return missing_servers(env.folder("BLOTTER_HOME", default_home))


def missing_servers(home: Path, *, throwaway: bool = False) -> AbstractContextManager[None]:
    """Return those servers that DATABASE_URL and REDIS_URL do not name."""
    return servers(
        home,
        postgres=not env.text("DATABASE_URL"),
        valkey=not env.text("REDIS_URL"),
        throwaway=throwaway,
    )


@contextmanager
def servers(
    home: Path, *, postgres: bool = True, valkey: bool = True, throwaway: bool = False
) -> Iterator[None]:
    """Have the servers of a state folder running: start them or join them.

    The last one to leave stops them. ``throwaway`` is for data that nobody will miss: it is
    fast rather than safe, and the servers die with this process.
    Raises EmbeddedError with the reason when one cannot run.
    """
    if not (postgres or valkey):
        yield
        return
    home.mkdir(parents=True, exist_ok=True)
    if not os.access(home, os.W_OK | os.X_OK):
        raise EmbeddedError(f"{home} is not yours to write to. Set BLOTTER_HOME to another folder.")
    with open(home / "in-use.lock", "a") as usage, _sigterm_as_exit():
        place = None
        try:
            with _alone(home):
                fcntl.flock(usage, fcntl.LOCK_SH)
                place = places.prepare(home)
                if postgres:
                    postgres_server.start(place, throwaway=throwaway)
                if valkey:
                    valkey_server.start(place, throwaway=throwaway)
            yield
        finally:
            with _undisturbed(), _alone(home):
                if place is not None and _last(usage):
                    _stop(place)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Nobody else starts or stops servers of this state folder meanwhile."""
    with open(home / "start.lock", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _last(usage: Any) -> bool:
    try:
        fcntl.flock(usage, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """End in good order on SIGTERM too, where the program has no ear of its own for it."""

    def leave(signum: int, frame: FrameType | None) -> None:
        sys.exit(128 + signum)

    mine = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    )
    if mine:
        signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C does not interrupt the stopping that the first one asked for."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        signum: signal.signal(signum, signal.SIG_IGN) for signum in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _stop(place: Place) -> None:
    """Stop what runs, each by the signal that it takes for a request to end in good order."""
    leaving = []
    for process, request in (
        (valkey_server.process(place), signal.SIGTERM),
        (postgres_server.process(place), signal.SIGINT),
    ):
        if process is not None:
            process.send_signal(request)
            leaving.append(process)
    _, staying = psutil.wait_procs(leaving, timeout=STOP_LIMIT)
    for process in staying:
        process.kill()
    forget_ended()
