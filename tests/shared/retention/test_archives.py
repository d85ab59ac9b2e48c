"""A part of an archive is whole and the same as the database, or it is not there at all."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from django.conf import LazySettings
from django.db import connection, transaction
from django.db.models import Q

from apps.logs.models import Notification, SystemLog
from apps.shared import partitions
from apps.shared.errors import Conflict
from apps.shared.retention import archives, parquet, snapshots
from apps.shared.retention.archives import (
    Inexact,
    Mark,
    NoRoom,
    Written,
    tidy,
    write_part,
)
from apps.shared.retention.datasets import Rule, dataset
from apps.shared.retention.manifests import (
    DamagedArchive,
    OutsideRoot,
    read_manifest,
    read_table,
    verify_files,
)
from tests.factories import (
    make_bot,
    make_fill,
    make_notification,
    make_order,
    make_system_log,
    make_trade,
)

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OLD = datetime(2020, 1, 15, 12, 30, 0, 123456, tzinfo=UTC)
MONTH = date(2020, 1, 1)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, settings: LazySettings) -> Path:
    """Have an empty root of archives."""
    settings.ARCHIVE_ROOT = tmp_path / "archives"
    settings.ARCHIVE_RESERVE = 0
    return tmp_path / "archives"


def rule_of(name: str, **changes: Any) -> Rule:
    return Rule(
        replace(dataset(name), **changes), dataset(name).times[0], timedelta(days=90), frozenset()
    )


def notifications() -> Rule:
    return rule_of("notifications", never=(), exempt=(), scope=Q())


def write(rule: Rule, path: str = "rows/run/1", after: Mark | None = None, **more: Any) -> Written:
    written = write_part(rule=rule, now=NOW, after=after, path=path, **more)
    assert written is not None
    return written


def mark(written: Written) -> Mark:
    return Mark(written.manifest.last_time, written.manifest.last_key)


def fill_notifications(count: int, *, apart: timedelta = timedelta(0)) -> None:
    for number in range(count):
        one = make_notification(subject=f"Line {number}")
        Notification.objects.filter(pk=one.pk).update(created_at=OLD + number * apart)


def left_in(root: Path) -> list[str]:
    """Return every file there is."""
    return sorted(str(each.relative_to(root)) for each in root.rglob("*") if each.is_file())


class TestParts:
    def test_hold_exactly_what_leaves(self, root: Path) -> None:
        fill_notifications(7)
        make_notification(subject="new")
        written = write(notifications())
        folder = root / "rows" / "run" / "1"
        manifest = read_manifest(folder, sha256=written.sha256)
        assert manifest == written.manifest
        verify_files(folder, manifest)
        table = read_table(folder, manifest.tables[0])
        assert sorted(table["subject"].to_pylist()) == [f"Line {number}" for number in range(7)]
        assert (manifest.roots, manifest.rows, manifest.dataset) == (7, 7, "notifications")
        assert manifest.first_time == manifest.last_time == OLD
        assert manifest.migrations["logs"] >= "0001"
        assert Notification.objects.count() == 8

    def test_are_open_to_nobody_else(self, root: Path) -> None:
        fill_notifications(1)
        write(notifications())
        for place in [root, *root.rglob("*")]:
            wanted = 0o600 if place.is_file() else 0o700
            assert stat.S_IMODE(place.stat().st_mode) == wanted
        assert left_in(root) == [
            "rows/run/1/0_notifications.parquet",
            "rows/run/1/manifest.json",
        ]

    def test_are_not_written_of_nothing(self, root: Path) -> None:
        assert write_part(rule=notifications(), now=NOW, after=None, path="rows/run/1") is None
        assert not root.exists() or left_in(root) == []

    @pytest.mark.parametrize("apart", [timedelta(0), timedelta(microseconds=1)])
    def test_meet_without_a_gap_and_without_a_row_in_both(
        self, apart: timedelta, root: Path
    ) -> None:
        fill_notifications(10, apart=apart)
        keys, after, part = [], None, 0
        while part < 9:
            path = f"rows/run/{part}"
            written = write_part(rule=notifications(), now=NOW, after=after, path=path, rows=3)
            if written is None:
                break
            table = read_table(root / path, written.manifest.tables[0])
            keys += table["id"].to_pylist()
            after, part = mark(written), part + 1
        assert part == 4
        assert sorted(keys) == sorted(Notification.objects.values_list("pk", flat=True))

    def test_come_in_the_order_of_keys_that_are_text(self, root: Path) -> None:
        names = ["a", "B", "b", "ä", "_", "A1", "a b"]
        bots = [make_bot(id=name) for name in names]
        type(bots[0]).objects.update(created_at=OLD)
        source = replace(dataset("notifications"), name="bots", model=type(bots[0]), never=())
        rule = Rule(replace(source, exempt=(), scope=Q()), "created_at", timedelta(0), frozenset())
        rule.dataset.__dict__["mandatory"] = ()
        found, after = [], None
        for part in range(len(names)):
            written = write(rule, f"bots/run/{part}", after, rows=1)
            after = mark(written)
            found.append(after.key)
        assert found == sorted(names)

    def test_are_cut_into_blocks_that_are_not_too_long(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(snapshots, "BLOCK_BYTES", 5_000)
        monkeypatch.setattr(snapshots, "PART_BYTES", 12_000)
        fill_notifications(60, apart=timedelta(seconds=1))
        written = write(notifications())
        sizes = [each.rows for each in written.manifest.tables[0].blocks]
        assert len(sizes) > 1
        assert len(set(sizes[:-1])) == 1
        assert sum(sizes) == written.manifest.roots < 60
        assert write(notifications(), "rows/run/2", mark(written)).manifest.roots > 0

    def test_are_not_written_over_another(self) -> None:
        fill_notifications(1)
        write(notifications())
        with pytest.raises(Conflict):
            write(notifications())

    def test_are_not_written_inside_of_a_transaction(self) -> None:
        with pytest.raises(RuntimeError), transaction.atomic():
            write(notifications())

    @pytest.mark.parametrize("path", ["/srv/out", "../out", "rows/../../out"])
    def test_are_never_written_outside_of_the_root(self, path: str) -> None:
        fill_notifications(1)
        with pytest.raises(OutsideRoot):
            write(notifications(), path)
        with pytest.raises(OutsideRoot):
            tidy(path)

    def test_are_never_written_through_a_link(self, root: Path, tmp_path: Path) -> None:
        fill_notifications(1)
        root.mkdir()
        (tmp_path / "out").mkdir()
        (root / "rows").symlink_to(tmp_path / "out")
        with pytest.raises(OutsideRoot):
            write(notifications())
        assert left_in(tmp_path / "out") == []


class TestDependents:
    def test_stand_in_the_block_of_their_root(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(snapshots, "BLOCK_ROWS", 2)
        bot = make_bot(type="paper")
        for number in range(5):
            times = {"entry_time": OLD, "exit_time": OLD + timedelta(hours=number)}
            trade = make_trade(bot=bot, closed=True, **times)
            part = make_trade(
                bot=bot,
                closed=True,
                parent_trade=trade,
                is_partial_exit=True,
                partial_exit_sequence=1,
                **times,
            )
            for each in (trade, part):
                order = make_order(trade=each, trade_type="paper", status="filled")
                make_fill(order=order, price=Decimal("1E-18"))
        make_fill()
        rule = rule_of("trades", never=())
        manifest = write(rule).manifest
        folder = root / "rows" / "run" / "1"
        assert [(each.file, each.rows) for each in manifest.tables] == [
            ("0_trades.parquet", 5),
            ("1_trades.parquet", 5),
            ("2_orders.parquet", 10),
            ("3_fills.parquet", 10),
        ]
        assert [[each.rows for each in table.blocks] for table in manifest.tables] == [
            [2, 2, 1], [2, 2, 1], [4, 4, 2], [4, 4, 2]
        ]  # fmt: skip
        roots = read_table(folder, manifest.tables[0], columns=["id"])
        block_of = dict(zip(roots["id"].to_pylist(), roots["block"].to_pylist(), strict=True))
        parts = read_table(folder, manifest.tables[1], columns=["parent_trade_id"])
        assert parts["block"].to_pylist() == [
            block_of[key] for key in parts["parent_trade_id"].to_pylist()
        ]
        fills = read_table(folder, manifest.tables[3], columns=["price"])
        assert set(fills["price"].to_pylist()) == {Decimal("1E-18")}


class TestMonths:
    @pytest.fixture(autouse=True)
    def month(self) -> Iterator[None]:
        """Have a partition for a month long ago."""
        partitions.make_months("system_logs", [MONTH])
        yield
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {partitions.partition_name('system_logs', MONTH)}")

    def test_are_archived_apart_from_what_has_no_month(self, root: Path) -> None:
        make_system_log(timestamp=OLD, message="inside")
        make_system_log(timestamp=OLD - timedelta(days=60), message="outside")
        rule = rule_of("system_logs")
        inside = write(rule, "lines/run/1", month=MONTH)
        outside = write(rule, "lines/run/2")
        messages = [
            read_table(root / each.path, each.manifest.tables[0])["message"].to_pylist()
            for each in (inside, outside)
        ]
        assert messages == [["inside"], ["outside"]]
        assert (inside.manifest.month, outside.manifest.month) == (MONTH, None)
        assert inside.manifest.tables[0].table == "system_logs"
        assert SystemLog.objects.count() == 2
        args: dict[str, Any] = {"rule": rule, "now": NOW, "path": "lines/run/3"}
        assert write_part(**args, after=mark(inside), month=MONTH) is None
        assert write_part(**args, after=mark(outside)) is None


class TestWhatGoesWrong:
    def test_without_room_nothing_is_written(self, root: Path, settings: LazySettings) -> None:
        fill_notifications(1)
        settings.ARCHIVE_RESERVE = 10**18
        with pytest.raises(NoRoom):
            write(notifications())
        assert left_in(root) == []

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    @pytest.mark.parametrize("name", ["fsync", "rename", "write"])
    def test_a_disk_that_is_full_meanwhile_leaves_nothing(
        self, name: str, number: int, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill_notifications(1)

        def full(*given: Any, **more: Any) -> None:
            raise OSError(number, "full")

        class FullFile:
            """A file that takes nothing."""

            def __init__(self, file: BinaryIO) -> None:
                self.file = file

            def __getattr__(self, name: str) -> Any:
                return getattr(self.file, name)

            write = full

        match name:
            case "fsync":
                monkeypatch.setattr(os, "fsync", full)
            case "rename":
                monkeypatch.setattr(Path, "rename", full)
            case _:
                opened = os.fdopen
                monkeypatch.setattr(parquet.os, "fdopen", lambda *given: FullFile(opened(*given)))
        with pytest.raises(NoRoom):
            write(notifications())
        monkeypatch.undo()
        assert left_in(root) == []

    @pytest.mark.parametrize("module", [archives, parquet])
    def test_a_crash_between_any_two_steps_leaves_nothing_or_a_whole_archive(
        self, module: Any, root: Path, monkeypatch: pytest.MonkeyPatch, settings: LazySettings
    ) -> None:
        class Killed(BaseException):
            """The process is gone: nothing is cleaned up."""

        def crashing(call: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
            def step(*given: Any, **more: Any) -> Any:
                if before:
                    raise Killed
                call(*given, **more)
                raise Killed

            return step

        fill_notifications(2)
        names = {
            archives: [
                "take",
                "make_folder",
                "check_room",
                "write_tables",
                "write_manifest",
                "sync",
            ],
            parquet: ["found_in", "blocks_in"],
        }[module]
        for name in names:
            for before in (True, False):
                with monkeypatch.context() as patch:
                    patch.setattr(module, name, crashing(getattr(module, name), before=before))
                    patch.setattr(archives, "remove", lambda place: None)
                    with pytest.raises(Killed):
                        write(notifications())
                folder = root / "rows" / "run" / "1"
                if folder.exists():
                    verify_files(folder, read_manifest(folder))
                tidy("rows/run/1")
                assert left_in(root) == []
        assert write(notifications()).manifest.roots == 2

    def test_what_the_disk_changes_is_found_at_once(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill_notifications(5)
        read = parquet.found_in

        places = iter(range(4, 1000, 97))

        def flipped(folder: Path, name: str, columns: Any) -> Any:
            content = bytearray((folder / name).read_bytes())
            content[next(places)] ^= 4
            (folder / name).write_bytes(content)
            return read(folder, name, columns)

        monkeypatch.setattr(parquet, "found_in", flipped)
        for _ in range(10):
            with pytest.raises(DamagedArchive):
                write(notifications())
            assert left_in(root) == []

    def test_a_value_that_cannot_be_held_is_refused(self, root: Path) -> None:
        fill_notifications(3)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE notifications SET created_at = '-infinity' WHERE subject = 'Line 1'"
            )
        with pytest.raises(Inexact):
            write(notifications())
        assert not root.exists() or left_in(root) == []


class TestTidy:
    def test_removes_what_bears_the_name_and_its_drafts_and_nothing_else(self, root: Path) -> None:
        for name in ("1", "1.unfinished-7", "10", "10.unfinished-7", "2"):
            (root / "rows" / name).mkdir(parents=True)
            (root / "rows" / name / "file").touch()
        tidy("rows/1")
        assert left_in(root) == ["rows/10.unfinished-7/file", "rows/10/file", "rows/2/file"]
        tidy("rows/1")
        tidy("nowhere/1")
