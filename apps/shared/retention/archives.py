"""Writing one part of an archive: rows of one snapshot, to files that are read back and compared.

PostgreSQL sends the cells of each column as it would digest them itself. What stands on the disk
has to have the digests of what was sent, or nothing is called an archive; and when rows leave,
PostgreSQL digests what it deletes, which has to be the same once more. The folder gets its name
last, so that whatever bears it is whole.
"""

import contextlib
import errno
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path
from typing import Final, NamedTuple

import psycopg
from django.conf import settings
from django.db import DataError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.migrations.recorder import MigrationRecorder
from psycopg.errors import ProgramLimitExceeded

from apps.shared.errors import Conflict, DomainError
from apps.shared.retention.cells import sql_cells
from apps.shared.retention.checksums import (
    block_digest,
    column_checksums,
    digests_of,
    settle,
)
from apps.shared.retention.columns import schema_version
from apps.shared.retention.datasets import Rule
from apps.shared.retention.manifests import (
    BLOCK,
    MANIFEST,
    BlockRecord,
    DamagedArchive,
    Manifest,
    TableRecord,
    as_json,
    read_manifest,
    resolve,
)
from apps.shared.retention.parquet import BlockFound, FileFound, Inexact, TableFile
from apps.shared.retention.snapshots import (
    Mark,
    Source,
    Taken,
    sources_of,
    take,
)

__all__ = ["PART_ROWS", "Inexact", "Mark", "NoRoom", "Written", "tidy", "write_part"]

PART_ROWS: Final = 100_000
UNFINISHED: Final = ".unfinished-"
# What a file takes that holds nothing.
FILE_BYTES: Final = 64 * 1024
# Blocks read from the database that wait to be written.
WAITING: Final = 2
FULL: Final = {errno.ENOSPC, errno.EDQUOT}
EMPTY: Final = hashlib.sha256(b"").digest()


class NoRoom(DomainError):
    """The disk has no room for what would be written; nothing of it is kept."""

    code = "no_room"
    status = 507


class Written(NamedTuple):
    """An archive that stands on the disk and was found to be whole."""

    path: str
    sha256: str
    manifest: Manifest


def write_part(
    *,
    rule: Rule,
    now: datetime,
    after: Mark | None,
    path: str,
    month: date | None = None,
    rows: int = PART_ROWS,
) -> Written | None:
    """Write the next roots behind ``after``, with their dependents, to a folder of this path.

    At most ``rows`` of them, in the order of (time, key); fewer where rows are long. Of a table cut
    into months those that stand in the partition of ``month``, or in none. None: none is left.
    Nothing in the database changes. Not to be called inside of a transaction.
    Raises NoRoom, OutsideRoot, Conflict where the folder is there already, Inexact for what cannot
    be stored as it is, DamagedArchive where the disk gives back something else.
    """
    root = Path(settings.ARCHIVE_ROOT)
    place = resolve(root, path)
    if os.path.lexists(place):
        raise Conflict("There is an archive of this path already.", ["path"])
    draft = place.with_name(f"{place.name}{UNFINISHED}{os.getpid()}")
    try:
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            begin(cursor)
            sources = sources_of(rule, month)
            taken = take(cursor, sources, rule=rule, now=now, after=after, rows=rows)
            if taken is None:
                return None
            made = make_folder(root, draft)
            check_room(draft, taken.bytes + FILE_BYTES * (len(sources) + 1))
            tables = write_tables(cursor, draft, sources, taken)
        manifest = described(rule, now, month, sources, taken, tables)
        sha256 = write_manifest(draft, manifest)
        sync(draft)
        draft.rename(place)
        for folder in made:
            sync(folder)
    except BaseException as error:
        remove(draft)
        if isinstance(error, OSError) and error.errno in FULL:
            raise NoRoom("The disk of the archives is full.") from error
        if isinstance(error.__cause__, ProgramLimitExceeded):
            raise Inexact("A row is too long to be archived.") from error
        if isinstance(error, DataError | psycopg.DataError):
            # A time before the first year, or no time at all: -infinity.
            raise Inexact(f"A value cannot be archived: {error}") from error
        raise
    return Written(path, sha256, manifest)


def tidy(path: str) -> None:
    """Remove what a run that died left of this path: a folder that no row names, or a draft.

    Raises OutsideRoot.
    """
    place = resolve(Path(settings.ARCHIVE_ROOT), path)
    if os.path.lexists(place):
        # Half removed it must not look like an archive.
        gone = place.with_name(f"{place.name}{UNFINISHED}0")
        remove(gone)
        place.rename(gone)
    with contextlib.suppress(FileNotFoundError):
        for each in os.scandir(place.parent):
            if each.name.startswith(f"{place.name}{UNFINISHED}"):
                remove(Path(each.path))


# --- The database -------------------------------------------------------------------------


def begin(cursor: CursorWrapper) -> None:
    """Have all that follows in this transaction read one and the same state."""
    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    settle(cursor)
    # Rows are sorted twice; workers of their own would take the processors from who waits.
    cursor.execute(
        "SET LOCAL work_mem = '128MB'; SET LOCAL jit = off; "
        "SET LOCAL max_parallel_workers_per_gather = 0"
    )


def write_tables(
    cursor: CursorWrapper, folder: Path, sources: Sequence[Source], taken: Taken
) -> list[TableRecord]:
    """Write a file for each table and compare what the disk gives back with the database.

    One thread of its own writes and reads files while the database is asked for what comes next.
    """
    # To group by a hash would hold the cells of all blocks at once.
    cursor.execute("SET LOCAL enable_hashagg = off")
    known: list[dict[int, BlockFound]] = []
    found: list[Future[FileFound]] = []
    with contextlib.ExitStack() as files, ThreadPoolExecutor(1) as worker:
        for source in sources:
            if any(each.name == BLOCK for each in source.columns):
                raise Inexact(f"A column of {source.relation} is called {BLOCK}.")
            file = TableFile(folder, file_name(source), source.columns)
            files.callback(file.close)
            known.append(known_blocks(cursor, source, taken, file, worker))
            found.append(worker.submit(file.finish))
        back = [each.result() for each in found]
    return [
        record(source, taken, blocks, file)
        for source, blocks, file in zip(sources, known, back, strict=True)
    ]


def known_blocks(
    cursor: CursorWrapper, source: Source, taken: Taken, file: TableFile, worker: Executor
) -> dict[int, BlockFound]:
    """Have the worker write the blocks of a table; return them as PostgreSQL sent them.

    It digests them itself when they leave: the digest of what was sent has to be the same then.
    """
    known: dict[int, BlockFound] = {}
    cells = ", ".join(map(sql_cells, source.columns))
    statement = (
        f"COPY (SELECT block, count(*), {cells} "
        f"FROM ({source.rows(taken)}) AS t GROUP BY block ORDER BY block) "
        "TO STDOUT (FORMAT binary)"
    )
    waiting: deque[Future[None]] = deque()
    with connection.wrap_database_errors, cursor.copy(statement) as copy:
        copy.set_types(["int4", "int8", *["bytea"] * len(source.columns)])
        for block, rows, *sent in copy.rows():
            known[block] = BlockFound(rows, digests_of(sent))
            waiting.append(worker.submit(file.add, block, rows, sent))
            if len(waiting) > WAITING:
                waiting.popleft().result()
    for each in waiting:
        each.result()
    return known


def record(
    source: Source, taken: Taken, known: dict[int, BlockFound], file: FileFound
) -> TableRecord:
    """Return what the manifest says of a table. Raises DamagedArchive where the file differs."""
    nothing = BlockFound(0, [EMPTY] * len(source.columns))
    for block in sorted(known.keys() | file.blocks.keys()):
        theirs, ours = known.get(block, nothing), file.blocks.get(block, nothing)
        if theirs != ours:
            differing = [
                column.name
                for column, one, other in zip(
                    source.columns, theirs.digests, ours.digests, strict=True
                )
                if one != other
            ]
            raise DamagedArchive(
                f"What the disk gave back of {source.relation}, block {block}, is not what was "
                f"read from the database: {ours.rows} rows instead of {theirs.rows}; "
                f"{', '.join(differing)}."
            )
    blocks = [known.get(number, nothing) for number in range(taken.blocks)]
    rows = sum(each.rows for each in blocks)
    if source.number == 0 and rows != taken.roots:
        raise Inexact(f"Two rows of {source.relation} have the same key.")
    meta = source.model._meta
    return TableRecord(
        table=meta.db_table,
        model=meta.label,
        file=file_name(source),
        key=source.key.name,
        rows=rows,
        bytes=file.bytes,
        sha256=file.sha256,
        schema_version=schema_version([(meta.db_table, source.columns)]),
        columns=[(each.name, each.kind, each.type) for each in source.columns],
        checksums=column_checksums(source.columns, [each.digests for each in blocks]),
        blocks=[BlockRecord(each.rows, block_digest(each.digests)) for each in blocks],
    )


def described(
    rule: Rule,
    now: datetime,
    month: date | None,
    sources: Sequence[Source],
    taken: Taken,
    tables: list[TableRecord],
) -> Manifest:
    labels = {each.model._meta.app_label for each in sources}
    applied = MigrationRecorder(connection).applied_migrations()
    return Manifest(
        dataset=rule.dataset.name,
        time=rule.time,
        cutoff=rule.cutoff(now),
        first_time=taken.first.time,
        last_time=taken.last.time,
        last_key=taken.last.key,
        month=month,
        migrations={app: name for app, name in sorted(applied) if app in labels},
        tables=tables,
    )


def file_name(source: Source) -> str:
    return f"{source.number}_{source.model._meta.db_table}.parquet"


# --- The disk -----------------------------------------------------------------------------


def make_folder(root: Path, draft: Path) -> list[Path]:
    """Make an empty folder, and those above it; return those that have to be synced for it."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = [draft.parent]
    while made[-1] != root.resolve():
        made.append(made[-1].parent)
    for folder in reversed(made[:-1]):
        folder.mkdir(mode=0o700, exist_ok=True)
    remove(draft)
    draft.mkdir(mode=0o700)
    return made


def check_room(folder: Path, wanted: int) -> None:
    """Raise NoRoom where so many bytes would not leave the reserve free."""
    free = shutil.disk_usage(folder).free
    if free < wanted + settings.ARCHIVE_RESERVE:
        raise NoRoom(
            f"The disk of the archives has {free:,} bytes free; the next part may take {wanted:,}, "
            f"and {settings.ARCHIVE_RESERVE:,} are left alone."
        )


def write_manifest(folder: Path, manifest: Manifest) -> str:
    """Write the manifest and return its SHA-256 once the disk has given it back."""
    content = as_json(manifest)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(folder / MANIFEST, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sha256 = hashlib.sha256(content).hexdigest()
    if read_manifest(folder, sha256=sha256) != manifest:
        raise DamagedArchive("The manifest is not read as it was written.")
    return sha256


def sync(folder: Path) -> None:
    """Have the names in a folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(place: Path) -> None:
    """Remove a folder with all that is in it, or a file or link; it need not be there."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
