"""Making a backup: a dump, and an exact account of what it holds, of one and the same moment."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, LiteralString, NamedTuple

import psycopg
from django.conf import settings
from psycopg import sql

from config.backup import contents, files, invariants
from config.backup.manifests import (
    DUMP,
    FORMAT,
    Manifest,
    fingerprint,
    keep_newest,
    new_folder,
    sha256,
    write,
)
from config.backup.programs import BackupError, Database, Program, Run, find, first_line, major_of
from config.openapi import SPECTACULAR_SETTINGS

# So long a table may be held by somebody who changes it; then all is let go of and tried again.
LOCK_SECONDS = 30
TRIES = 3
# Every pg_restore reads gzip, not every one zstd; the first level packs nearly as tightly as the
# sixth and is several times as fast.
COMPRESSION = "1"
# Whatever an installation limits for its sessions: a long dump is no mistake. (Oldest version.)
LIMITS = {
    "statement_timeout": 0,
    "idle_in_transaction_session_timeout": 0,
    "transaction_timeout": 17,
}


class Made(NamedTuple):
    """A backup that stands, and the older ones that were deleted for it."""

    folder: Path
    manifest: Manifest
    gone: list[Path]


class Held(Exception):
    """A table was held, or dropped in between; nothing has been made yet."""


def make(*, database: Database, folder: Path, now: datetime, keep: int | None = None) -> Made:
    """Back a database up into a new folder while others go on writing.

    ``keep``: so many backups beside it, this one counted in, are kept once it stands. Raises
    BackupError with the reason; nothing half made is left behind.
    """
    try:
        with database.connect() as connection, new_folder(folder) as draft:
            program = find("pg_dump", at_least=major_of(connection))
            manifest = _tried(lambda: _dumped(connection, database, program, draft, now))
            write(draft, manifest)
        gone = keep_newest(folder.parent, keep) if keep else []
    except OSError as error:
        raise BackupError(f"{folder} cannot be written: {error.strerror or error}.") from error
    except psycopg.Error as error:
        raise BackupError(f"The database could not be read: {first_line(error)}") from error
    return Made(folder, manifest, gone)


def _tried(attempt: Callable[[], Manifest]) -> Manifest:
    for _ in range(TRIES - 1):
        try:
            return attempt()
        except Held:
            continue
    try:
        return attempt()
    except Held as held:
        raise BackupError(f"The tables are being changed; try again later. {held}") from held


def _dumped(
    connection: contents.Connection,
    database: Database,
    program: Program,
    draft: Path,
    now: datetime,
) -> Manifest:
    try:
        _begin(connection, "READ COMMITTED")
        tables = contents.tables(connection)
        connection.execute("COMMIT")
        # The tables are held before the snapshot is taken: none of them is dropped or taken apart
        # from then on, so the dump finds whatever the snapshot shows.
        _begin(connection, "REPEATABLE READ")
        _hold(connection, list(tables))
        snapshot = _value(connection, "SELECT pg_export_snapshot()")
        command = [
            program.path, "--format=custom", f"--compress={COMPRESSION}", f"--snapshot={snapshot}",
            f"--lock-wait-timeout={LOCK_SECONDS * 1000:.0f}", "--file", draft / DUMP,
        ]  # fmt: skip
        with Run([str(part) for part in command], database) as run:
            account = _account(connection, tables, run)
            run.finish()
    except (psycopg.errors.LockNotAvailable, psycopg.errors.UndefinedTable) as error:
        raise Held(first_line(error)) from error
    except BackupError as error:
        if "lock timeout" in error.message:
            raise Held(error.message) from error
        raise
    finally:
        if not connection.closed:
            connection.execute("ROLLBACK")
    dump = draft / DUMP
    return Manifest(
        format=FORMAT,
        product=str(SPECTACULAR_SETTINGS["VERSION"]),
        server=major_of(connection),
        program=program.major,
        made_at=now,
        dump_bytes=dump.stat().st_size,
        dump_sha256=sha256(dump),
        fingerprints={
            name: fingerprint(getattr(settings, name)) for name in ("SECRET_KEY", "API_KEY_PEPPER")
        },
        **account,
    )


def _begin(connection: contents.Connection, isolation: LiteralString) -> None:
    """Begin a transaction that may last; behind a pooler, too, it has no limits."""
    connection.execute(f"BEGIN ISOLATION LEVEL {isolation}")
    for name, since in LIMITS.items():
        if major_of(connection) >= since:
            connection.execute(sql.SQL("SET LOCAL {} = 0").format(sql.Identifier(name)))


def _hold(connection: contents.Connection, tables: Sequence[str]) -> None:
    patience = sql.Literal(f"{LOCK_SECONDS * 1000:.0f}ms")
    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(patience))
    if tables:
        names = sql.SQL(", ").join(map(sql.SQL, tables))  # type: ignore[arg-type]
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))


def _account(connection: contents.Connection, tables: dict[str, bool], run: Run) -> dict[str, Any]:
    """Return what the snapshot holds, read while it is dumped."""
    counted = {}
    for table, parted in tables.items():
        run.look()
        counted[table] = contents.count(connection, table, parted=parted)
    archives, media = contents.archives(connection), contents.media(connection)
    for archive in archives:
        archive.problem = files.archive_problem(archive)
    for file in media:
        file.there = files.is_there(file)
    return {
        "tables": {table: each.rows for table, each in counted.items()},
        "partitions": {table: each.partitions for table, each in counted.items() if tables[table]},
        "schema": {
            kind: [part.name for part in parts]
            for kind, parts in contents.schema(connection).items()
        },
        "migrations": contents.migrations(connection),
        "invariants": invariants.figures(connection),
        "archives": archives,
        "media": media,
    }


def _value(connection: contents.Connection, statement: str) -> Any:
    row = connection.execute(statement).fetchone()  # type: ignore[call-overload]
    return row[0] if row else None
