"""What a database holds at one moment: read when it is backed up, and again from the backup."""

from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from config.backup.manifests import ArchiveRecord, MediaRecord

Connection = psycopg.Connection[Any]

# What an extension brought along comes back with the extension.
OURS = """
    NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.deptype = 'e' AND d.objid = {table}.oid
            AND d.classid = '{catalog}'::regclass
    ) AND {table}.{schema} NOT IN (
        SELECT oid FROM pg_namespace
        WHERE nspname = 'information_schema' OR nspname ~ '^pg_'
    )
"""
OUR_RELATIONS = OURS.format(table="c", catalog="pg_class", schema="relnamespace")
OUR_FUNCTIONS = OURS.format(table="p", catalog="pg_proc", schema="pronamespace")

TABLES = f"""
SELECT c.oid::regclass::text, c.relkind = 'p' FROM pg_class c
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
    AND {OUR_RELATIONS}
ORDER BY 1
"""
# NOT NULL counts as a constraint in some versions only; copies that partitions have come by
# themselves.
CONSTRAINTS = f"""
SELECT c.oid::regclass::text || '.' || k.conname, k.convalidated
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.contype NOT IN ('n', 't') AND k.conparentid = 0 AND {OUR_RELATIONS}
ORDER BY 1
"""
RELATIONS = f"""
SELECT c.oid::regclass::text, coalesce(i.indisvalid, true)
FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
WHERE c.relkind::text = ANY(%s) AND c.relpersistence <> 't' AND {OUR_RELATIONS}
ORDER BY 1
"""
FUNCTIONS = (
    f"SELECT p.oid::regprocedure::text, true FROM pg_proc p WHERE {OUR_FUNCTIONS} ORDER BY 1"
)
KINDS = {"indexes": ["i", "I"], "views": ["v", "m"], "sequences": ["S"]}

MIGRATIONS = "SELECT DISTINCT ON (app) app, name FROM django_migrations ORDER BY app, id DESC"
ARCHIVES = "SELECT path, dataset, status, sha256, rows FROM retention_archives ORDER BY path"
MEDIA = """
SELECT DISTINCT compressed_path, trades_bytes, trades_checksum FROM analyses
WHERE compressed_path <> '' ORDER BY 1
"""


class Counted(NamedTuple):
    """The rows of a table, and of each of its partitions that holds any."""

    rows: int
    partitions: dict[str, int]


class Part(NamedTuple):
    """A part of the schema by its name, and whether it is in force."""

    name: str
    valid: bool


def exists(connection: Connection, *tables: str) -> bool:
    """Tell whether all of these tables are there."""
    found = connection.execute(
        "SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest(%s::text[]) AS name",
        [list(tables)],
    ).fetchone()
    return bool(found and found[0])


def tables(connection: Connection) -> dict[str, bool]:
    """Return the tables as SQL names them, and whether they are cut into partitions."""
    return dict(connection.execute(TABLES).fetchall())


def count(connection: Connection, table: str, *, parted: bool) -> Counted:
    """Count the rows of a table, exactly."""
    # The name comes from regclass, which has quoted it where it needs that.
    name = sql.SQL(table)  # type: ignore[arg-type]
    if not parted:
        found = connection.execute(sql.SQL("SELECT count(*) FROM ONLY {}").format(name)).fetchone()
        return Counted(found[0] if found else 0, {})
    by_partition = sql.SQL("SELECT tableoid::regclass::text, count(*) FROM {} GROUP BY 1")
    partitions = dict(connection.execute(by_partition.format(name)).fetchall())
    return Counted(sum(partitions.values()), partitions)


def schema(connection: Connection) -> dict[str, list[Part]]:
    """Return constraints, indexes, views, sequences and functions by kind."""
    found = {"constraints": connection.execute(CONSTRAINTS).fetchall()}
    for kind, letters in KINDS.items():
        found[kind] = connection.execute(RELATIONS, [letters]).fetchall()
    found["functions"] = connection.execute(FUNCTIONS).fetchall()
    return {kind: [Part(*row) for row in rows] for kind, rows in found.items()}


def migrations(connection: Connection) -> dict[str, str]:
    """Return the newest migration of each app."""
    if not exists(connection, "django_migrations"):
        return {}
    return dict(connection.execute(MIGRATIONS).fetchall())


def archives(connection: Connection) -> list[ArchiveRecord]:
    """Return what has left the database for files, as its rows know it."""
    if not exists(connection, "retention_archives"):
        return []
    return [ArchiveRecord(*row) for row in connection.execute(ARCHIVES)]


def media(connection: Connection) -> list[MediaRecord]:
    """Return the trade lists that are kept as files, as their analyses know them."""
    if not exists(connection, "analyses"):
        return []
    return [MediaRecord(*row) for row in connection.execute(MEDIA)]
