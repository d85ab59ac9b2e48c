"""Workers are killed in the middle of everything: no row is lost, and none stands twice.

``RETENTION_KILLS`` says how often; the suite is content with a few.
"""

import multiprocessing
import os
import random
import signal
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction

from apps.executions.models import Execution
from apps.retention.choices import ArchiveStatus
from apps.retention.models import Archive
from apps.retention.services.policies import ensure_policies
from apps.shared import partitions
from apps.shared.retention.datasets import dataset
from apps.shared.retention.manifests import read_manifest, read_table, verify_files
from apps.shared.retention.restoring import restore
from tests.factories import make_system_log
from tests.retention.killed import MONTHLY, POINTS, retain
from tests.retention.trades import NOW, TABLES, everything, make_trees

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]

KILLS = int(os.environ.get("RETENTION_KILLS", "5"))
TREES = 5
OLD_MONTHS = (date(2019, 11, 1), date(2019, 12, 1))
# Rounds in which no worker came by the place where it should have died.
MOST_IN_VAIN = 20

Row = tuple[str, str]


@pytest.fixture(autouse=True)
def root(tmp_path, settings):
    settings.ARCHIVE_ROOT = tmp_path / "archives"
    ensure_policies(now=NOW)
    return settings.ARCHIVE_ROOT


@pytest.fixture(scope="module")
def children():
    """Return what forks workers: a process without threads and connections."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.retention.killed"])
    return context


@pytest.fixture
def worker(children, root):
    """Return what runs a worker to its end, and returns how it ended."""
    moments = iter(NOW + timedelta(minutes=n) for n in range(100_000))

    def run(name: str, point: str = "", number: int = 1) -> int:
        database = str(connection.settings_dict["NAME"])
        child = children.Process(
            target=retain, args=(database, root, name, next(moments), point, number)
        )
        child.start()
        child.join()
        return int(child.exitcode or 0)

    return run


def keys(tables: tuple[str, ...]) -> set[Row]:
    """Return what stands in the database: table and key of each row."""
    found = set()
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT id::text FROM {table}")
            found |= {(table, key) for (key,) in cursor.fetchall()}
    return found


def standing(tables: tuple[str, ...], name: str) -> set[Row]:
    """Return what stands in the tables, and in months that are on their way out of them."""
    found = keys(tables)
    if dataset(name).monthly:
        (table,) = tables
        for month in partitions.detached_months(table):
            apart = keys((partitions.detached_name(table, month),))
            found |= {(table, key) for _, key in apart}
    return found


def archived(archive: Archive) -> tuple[list[Row], set[Row]]:
    """Return the rows that an archive holds, once it is verified, and those of them that left."""
    folder = Path(settings.ARCHIVE_ROOT) / archive.path
    manifest = read_manifest(folder, sha256=archive.sha256)
    verify_files(folder, manifest)
    assert not archive.stayed
    held, left = [], set()
    for record in manifest.tables:
        rows = read_table(folder, record)
        for key, block in zip(rows[record.key].to_pylist(), rows["block"].to_pylist(), strict=True):
            held.append((record.table, str(key)))
            if block < archive.blocks_done:
                left.add((record.table, str(key)))
    assert len(left) == archive.left_rows
    return held, left


def check(every: set[Row], tables: tuple[str, ...], name: str) -> None:
    """Check that each row stands in the database or has left by one verified archive."""
    stand = standing(tables, name)
    held: Counter[Row] = Counter()
    gone: set[Row] = set()
    for archive in Archive.objects.all():
        in_it, left = archived(archive)
        held.update(in_it)
        gone |= left
    twice = [row for row, times in held.items() if times > 1]
    assert not twice
    assert not stand & gone
    assert stand | gone == every


def restore_all(name: str) -> None:
    for archive in Archive.objects.order_by("pk"):
        folder = Path(settings.ARCHIVE_ROOT) / archive.path
        manifest = read_manifest(folder, sha256=archive.sha256)
        with transaction.atomic():
            restore(dataset=dataset(name), folder=folder, manifest=manifest, stayed=archive.stayed)


def kill(worker, name, tables, points, more) -> Counter[str]:
    """Kill workers until it was often enough, then let one come to its end."""
    chance = random.Random(8)
    killed: Counter[str] = Counter()
    vain = 0
    while killed.total() < KILLS:
        more()
        archives = [archived(each)[0] for each in Archive.objects.all()]
        every = standing(tables, name).union(*archives)
        point = points[(killed.total() + vain) % len(points)]
        ended = worker(name, point, chance.choice((1, 1, 2)))
        if ended == -signal.SIGKILL:
            killed[point] += 1
        else:
            vain += 1
            assert ended == 0, f"{point}: {ended}"
            assert vain < MOST_IN_VAIN
        check(every, tables, name)
    assert worker(name) == 0
    check(every, tables, name)
    print(f"{name}: killed {killed.total()} times: {dict(killed)}")  # noqa: T201
    return killed


def test_no_row_is_lost_or_stands_twice(worker):
    originals: dict[str, set[str]] = {table: set() for table in TABLES}

    def more():
        make_trees(TREES)
        for table, rows in everything().items():
            originals[table].update(rows)

    kill(worker, "trades", TABLES, list(POINTS), more)

    assert not keys(TABLES)
    assert set(Archive.objects.values_list("status", flat=True)) == {ArchiveStatus.KEPT}
    assert not Execution.objects.unfinished().exists()
    known = {Path(settings.ARCHIVE_ROOT) / each.path for each in Archive.objects.all()}
    assert set(Path(settings.ARCHIVE_ROOT).glob("*/*/*")) == known
    restore_all("trades")
    assert {table: set(rows) for table, rows in everything().items()} == originals


def test_no_line_is_lost_while_its_month_leaves(worker):
    table = "system_logs"
    originals: set[str] = set()

    def more():
        partitions.make_months(table, OLD_MONTHS[1:])
        for day in range(1, 6):
            for month in OLD_MONTHS:
                make_system_log(timestamp=datetime(month.year, month.month, day, tzinfo=UTC))
        originals.update(everything([table])[table])

    try:
        kill(worker, table, (table,), list(reversed(MONTHLY)), more)
        assert not keys((table,))
        restore_all(table)
        assert set(everything([table])[table]) == originals
    finally:
        with connection.cursor() as cursor:
            for month in partitions.existing_months(table):
                if month in OLD_MONTHS:
                    cursor.execute(f"DROP TABLE {partitions.partition_name(table, month)}")
