"""Restoring a backup: into a throw-away server that proves it good, or into an empty database."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psycopg
from django.conf import settings

from config import embedded, places
from config.backup.contents import OUR_RELATIONS
from config.backup.manifests import DUMP, Manifest, read
from config.backup.programs import (
    BackupError,
    Database,
    Run,
    find,
    first_line,
    major_of,
    too_old_for,
)
from config.backup.report import Finding, Status

JOBS = min(4, os.cpu_count() or 1)
NOT_EMPTY = f"""
SELECT c.oid::regclass::text FROM pg_class c
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND {OUR_RELATIONS} ORDER BY 1 LIMIT 1
"""


def verify(folder: Path) -> list[Finding]:
    """Restore a backup into a fresh server of its own and examine what stands there.

    Nothing of the installation is touched, and all is gone afterwards. The scratch space (as large
    as the database) is taken where TMPDIR says. Whatever is wrong is a finding.
    """
    try:
        manifest = read(folder)
        begun = Finding("files", Status.OK, f"{manifest.dump_bytes:,} bytes, checksums fit")
    except BackupError as error:
        return [Finding("files", Status.FAILED, "", error.message)]
    try:
        with throwaway_server() as url:
            restored = pg_restore(folder, manifest, url, at_once=False)
            return [begun, restored, *examine(folder, url, throwaway=True)]
    except (BackupError, places.EmbeddedError, OSError, psycopg.Error) as error:
        return [begun, Finding("restored", Status.FAILED, "", str(error))]


def restore(folder: Path, url: str) -> list[Finding]:
    """Restore a backup into an empty database, whole or not at all, and examine it there.

    Raises BackupError for an address that names no database, a damaged backup, a database that
    holds something, and a failed restore.
    """
    try:
        named = embedded.database_settings(url)["NAME"]
    except ValueError:
        named = ""
    if not named or urlsplit(url).scheme not in ("postgres", "postgresql"):
        raise BackupError("Name the database as postgres://user@host/name.")
    manifest = read(folder)
    try:
        with Database.of(embedded.database_settings(url)).connect() as connection:
            found = connection.execute(NOT_EMPTY).fetchone()
        if found:
            raise BackupError(f"The database is not empty: it holds {found[0]}. Nothing was done.")
        restored = pg_restore(folder, manifest, url, at_once=True)
    except psycopg.Error as error:
        raise BackupError(f"The database could not be filled: {first_line(error)}") from error
    return [restored, *examine(folder, url, throwaway=False)]


@contextmanager
def throwaway_server() -> Iterator[str]:
    """Run a fresh embedded server in a temporary folder; give its address."""
    with tempfile.TemporaryDirectory(prefix="blotter-verify-") as name:
        # As root the server runs as another user, who has to get at his part of it.
        Path(name).chmod(0o711)
        home = Path(name) / "home"
        try:
            with embedded.servers(home, valkey=False, throwaway=True):
                yield embedded.database_url(home)
        finally:
            # Either may stand elsewhere (config/places.py).
            shutil.rmtree(places.sockets_folder(home), ignore_errors=True)
            shutil.rmtree(places.data_folder(home), ignore_errors=True)


def pg_restore(folder: Path, manifest: Manifest, url: str, *, at_once: bool) -> Finding:
    """Restore the dump. ``at_once``: in one transaction, else by several processes.

    Raises BackupError where the server is too old for the dump, or pg_restore fails.
    """
    database = Database.of(embedded.database_settings(url))
    with database.connect() as connection:
        server = major_of(connection)
    if server < manifest.server:
        raise BackupError(
            f"The backup is of PostgreSQL {manifest.server}; this server is PostgreSQL {server}."
        )
    program = find("pg_restore", at_least=max(server, manifest.program))
    if too_old_for(program.major, server):
        raise BackupError(
            f"pg_restore of PostgreSQL {program.major} cannot fill a server of PostgreSQL {server}."
            f" Name a newer server, or put a pg_restore of version {manifest.program} on PATH."
        )
    way = ["--single-transaction"] if at_once else [f"--jobs={JOBS}"]
    begun = time.monotonic()
    command = [
        str(program.path), str(folder / DUMP), "--exit-on-error", "--no-owner", "--no-privileges",
        *way,
    ]  # fmt: skip
    with Run(command, database) as run:
        run.finish()
    with database.connect() as connection:
        # A dump does not tell the planner what it needs to know.
        connection.execute("ANALYZE")
    seconds = time.monotonic() - begun
    return Finding(
        "restored", Status.OK, f"into PostgreSQL {server} in {seconds:,.1f} s, without an error"
    )


def examine(folder: Path, url: str, *, throwaway: bool) -> list[Finding]:
    """Examine a restored database in a process to which it is the only one there is.

    Raises BackupError when that process fails.
    """
    command = [sys.executable, "-m", "config.backup.checking", str(folder)]
    done = subprocess.run(
        [*command, *(["--throwaway"] if throwaway else [])],
        cwd=settings.BASE_DIR,
        env=_environment(url),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    try:
        if done.returncode == 0:
            return msgspec.json.decode(done.stdout, type=list[Finding])
    except msgspec.DecodeError:
        pass
    told = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
    raise BackupError(f"The restored database could not be examined: {told[-1]}")


def _environment(url: str) -> dict[str, str]:
    own: dict[str, Any] = {
        name: getattr(settings, name)
        for name in ("SECRET_KEY", "API_KEY_PEPPER", "BLOTTER_HOME", "ARCHIVE_ROOT", "MEDIA_ROOT")
    }
    told = {name: str(value) for name, value in own.items()}
    module = os.environ.get("DJANGO_SETTINGS_MODULE", "config.settings")
    return {
        **os.environ,
        **told,
        "DATABASE_URL": url,
        "LOG_TO_DATABASE": "0",
        "DJANGO_SETTINGS_MODULE": module,
    }
