"""Examining a restored database: ``python -m config.backup.checking BACKUP [--throwaway]``.

It runs in a process whose DATABASE_URL names that database, and prints its findings as JSON.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import django
import msgspec
import psycopg
from django.db import DatabaseError, connection
from psycopg import sql

if __name__ == "__main__":
    django.setup()

# What they import needs Django set up.
from config.backup import contents, invariants, probes
from config.backup.manifests import Manifest, read
from config.backup.programs import BackupError, Database, first_line
from config.backup.report import Finding, Status, named

# How a thing stands, its figure, what is to be said of it.
Answer = tuple[Status, str, str]

FOREIGN_KEYS = f"""
SELECT k.conname, k.conrelid::regclass::text, k.confrelid::regclass::text,
    (SELECT array_agg(quote_ident(a.attname) ORDER BY u.place)
     FROM unnest(k.conkey) WITH ORDINALITY AS u (number, place)
     JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number),
    (SELECT array_agg(quote_ident(a.attname) ORDER BY u.place)
     FROM unnest(k.confkey) WITH ORDINALITY AS u (number, place)
     JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.contype = 'f' AND k.conparentid = 0 AND {contents.OUR_RELATIONS}
ORDER BY 1
"""
# A column owns its sequence, or names it in its default.
SEQUENCES = f"""
SELECT DISTINCT s.oid::regclass::text, c.oid::regclass::text, quote_ident(a.attname)
FROM (
    SELECT objid AS sequence, refobjid AS relation, refobjsubid AS number FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
        AND deptype IN ('a', 'i') AND refobjsubid > 0
    UNION
    SELECT d.refobjid, f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
    WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
) AS used
JOIN pg_class s ON s.oid = used.sequence AND s.relkind = 'S'
JOIN pg_class c ON c.oid = used.relation AND NOT c.relispartition
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = used.number
WHERE {contents.OUR_RELATIONS}
ORDER BY 1, 2
"""
VIEWS = f"""
SELECT c.oid::regclass::text, c.relkind = 'm' FROM pg_class c
WHERE c.relkind IN ('v', 'm') AND {contents.OUR_RELATIONS} ORDER BY 1
"""


class State(NamedTuple):
    """What is examined: a connection to it, and what it should hold."""

    connection: contents.Connection
    manifest: Manifest
    throwaway: bool = True


def examined(state: State) -> Iterator[Finding]:
    """Yield what every check finds; one that cannot be carried out has failed."""
    for name, check in CHECKS.items():
        try:
            yield Finding(name, *check(state))
        except (psycopg.Error, DatabaseError, BackupError, OSError) as error:
            yield Finding(name, Status.FAILED, "", f"cannot be checked: {first_line(error)}")
        if name == "sequences":
            yield from rules(state)


# --- Rows and schema ----------------------------------------------------------------------


def tables(state: State) -> Answer:
    """All tables are there."""
    there = contents.tables(state.connection)
    missing = [table for table in state.manifest.tables if table not in there]
    partitions = sum(map(len, state.manifest.partitions.values()))
    figure = f"{len(state.manifest.tables) - len(missing):,} of {len(state.manifest.tables):,}"
    return (
        Status.FAILED if missing else Status.OK,
        f"{figure}, {partitions:,} partitions with rows",
        f"not there: {named(missing)}" if missing else "",
    )


def rows(state: State) -> Answer:
    """Each table, and each partition, holds as many rows as when it was backed up."""
    there, wrong, total = contents.tables(state.connection), [], 0
    for table, expected in state.manifest.tables.items():
        if table not in there:
            continue
        found = contents.count(state.connection, table, parted=there[table])
        total += found.rows
        if found.rows != expected:
            wrong.append(f"{table} has {found.rows:,} instead of {expected:,}")
        elif found.partitions != state.manifest.partitions.get(table, {}):
            wrong.append(f"the partitions of {table} hold others")
    figure = f"{total:,} of {state.manifest.rows:,}"
    return Status.FAILED if wrong else Status.OK, figure, named(wrong)


def schema(state: State) -> Answer:
    """Constraints, indexes, views, sequences and functions are there and in force."""
    found, wrong, counts = contents.schema(state.connection), [], []
    for kind, names in state.manifest.schema.items():
        parts = {part.name: part.valid for part in found.get(kind, [])}
        wrong += [f"{name} is not there" for name in names if name not in parts]
        wrong += [f"{name} is not valid" for name, valid in parts.items() if not valid]
        counts.append(f"{len(parts):,} {kind}")
    return Status.FAILED if wrong else Status.OK, ", ".join(counts), named(wrong)


def orphans(state: State) -> Answer:
    """No row names one that is not there."""
    keys = state.connection.execute(FOREIGN_KEYS).fetchall()
    wrong = []
    for name, child, parent, columns, named_columns in keys:
        given = " AND ".join(f"c.{column} IS NOT NULL" for column in columns)
        same = " AND ".join(
            f"p.{theirs} = c.{ours}" for ours, theirs in zip(columns, named_columns, strict=True)
        )
        missing = f"NOT EXISTS (SELECT FROM {parent} p WHERE {same})"
        statement = f"SELECT count(*) FROM {child} c WHERE {given} AND {missing}"
        if number := _value(state, statement):
            wrong.append(f"{number:,} rows behind {name}")
    return Status.FAILED if wrong else Status.OK, f"{len(keys):,} foreign keys", named(wrong)


def sequences(state: State) -> Answer:
    """What a sequence gives out next is beyond every key that stands."""
    found = state.connection.execute(SEQUENCES).fetchall()
    wrong = []
    for sequence, table, column in found:
        statement = f"""
            SELECT (SELECT max({column}) FROM {table}) >= last_value + is_called::int
            FROM {sequence}
        """
        if _value(state, statement):
            wrong.append(f"{sequence} is behind {table}.{column}")
    return Status.FAILED if wrong else Status.OK, f"{len(found):,} keys", named(wrong)


def views(state: State) -> Answer:
    """Each view can be read, and each that is kept can be made anew."""
    found = state.connection.execute(VIEWS).fetchall()
    for view, kept in found:
        if kept:
            state.connection.execute(sql.SQL("REFRESH MATERIALIZED VIEW " + view))
        state.connection.execute(sql.SQL(f"SELECT * FROM {view} LIMIT 1"))
    return Status.OK, f"{len(found):,} read", ""


def rules(state: State) -> Iterator[Finding]:
    """Whether each rule of the books holds, over as many rows as when it was backed up."""
    expected = {figure.name: figure for figure in state.manifest.invariants}
    found = {figure.name: figure for figure in invariants.figures(state.connection)}
    for name, before in expected.items():
        now, rule = found.get(name), invariants.rule_of(name)
        if now is None:
            yield Finding(name, Status.FAILED, "", f"cannot be checked: {rule}")
        elif now.against:
            as_before = "; so it was when it was backed up" if before == now else ""
            said = f"{now.against:,} rows against it{as_before}"
            yield Finding(name, Status.FAILED, f"{now.seen:,}: {rule}", said)
        elif now != before:
            said = f"not what it was: {before.seen:,} then, or other sums"
            yield Finding(name, Status.FAILED, f"{now.seen:,}: {rule}", said)
        else:
            yield Finding(name, Status.OK, f"{now.seen:,}: {rule}")


def _value(state: State, statement: str) -> int:
    row = state.connection.execute(sql.SQL(statement)).fetchone()  # type: ignore[arg-type]
    return int((row and row[0]) or 0)


# --- Beyond SQL ---------------------------------------------------------------------------


def migrations(state: State) -> Answer:
    """The newest migrations are those of the backup, and this code goes on from there."""
    found = contents.migrations(state.connection)
    differing = sorted(
        app for app, name in state.manifest.migrations.items() if found.get(app) != name
    )
    if differing:
        return Status.FAILED, f"{len(found):,} apps", f"others than backed up: {named(differing)}"
    return probes.migrations(carry_out=state.throwaway)


CHECKS: dict[str, Callable[[State], Answer]] = {
    "tables": tables,
    "rows": rows,
    "schema": schema,
    "orphans": orphans,
    "sequences": sequences,
    "views": views,
    "migrations": migrations,
    "login": lambda state: probes.login(),
    "keys": lambda state: probes.keys(state.manifest),
    "archives": lambda state: probes.archives(state.manifest),
    "trade lists": lambda state: probes.media(state.manifest),
}


def main(words: list[str]) -> int:
    """Print the findings on the database that this process knows."""
    manifest = read(Path(words[0]))
    with Database.of(connection.settings_dict).connect() as own:
        findings = list(examined(State(own, manifest, throwaway="--throwaway" in words)))
    sys.stdout.buffer.write(msgspec.json.encode(findings))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
