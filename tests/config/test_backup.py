"""A backup made while others write is whole, of one moment, and proven by restoring it."""

import hashlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone

from apps.bots.choices import Side
from apps.bots.services import exits, paper
from apps.logs.models import SystemLog
from apps.logs.services.entries import store_entries
from apps.retention.models import Archive
from apps.shared.retention.manifests import Manifest as ArchiveManifest
from apps.shared.retention.manifests import TableRecord, as_json
from config import embedded
from config.backup import checking, making, manifests, programs
from config.backup.making import Made
from config.backup.manifests import DUMP, MANIFEST, SUMS, Manifest
from config.backup.report import Finding, Status
from tests.bots import orders as told_orders
from tests.bots import trades as told_trades
from tests.factories import make_analysis, make_fill, make_key, make_order, make_paper_portfolio

# How many times each writer writes before the backup begins; all go on until it is over.
WRITES = int(os.environ.get("BACKUP_WRITES", "15"))
NOW = datetime(2026, 3, 2, 14, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, settings: Any) -> None:
    settings.BACKUP_ROOT = tmp_path / "backups"
    settings.ARCHIVE_ROOT = tmp_path / "archives"
    settings.MEDIA_ROOT = tmp_path / "media"


def here() -> programs.Database:
    return programs.Database.of(connection.settings_dict)


def backed_up(folder: Path) -> Made:
    return making.make(database=here(), folder=folder, now=NOW)


@contextmanager
def fresh_database() -> Iterator[str]:
    """Give the address of an empty database beside that of the test."""
    with here().connect() as own:
        own.execute("CREATE DATABASE restored TEMPLATE template0")
        words = own.info
        user = quote(words.user) + (f":{quote(words.password)}" if words.password else "")
        try:
            yield f"postgres://{user}@/restored?host={quote(words.host)}&port={words.port}"
        finally:
            own.execute("DROP DATABASE restored WITH (FORCE)")


def administrator() -> None:
    # Not by the cheap way of tests, which nobody else knows.
    password = make_password("correct horse", hasher="argon2")
    get_user_model().objects.create(
        username="admin", password=password, is_staff=True, is_superuser=True
    )


def examined(manifest: Manifest) -> dict[str, Finding]:
    """Examine the database of the test against a manifest."""
    with here().connect() as own:
        state = checking.State(own, manifest)
        return {finding.check: finding for finding in checking.examined(state)}


# --- Writers ------------------------------------------------------------------------------


class Writers:
    """Programs that write without a pause, and what of it was committed so far."""

    def __init__(self, *kinds: Callable[[], tuple[str, str]]) -> None:
        self.committed: list[tuple[str, str]] = []
        self.errors: list[Exception] = []
        self.enough = threading.Event()
        self.over = threading.Event()
        self.begun = [threading.Event() for _ in kinds]
        self.threads = [
            threading.Thread(target=self.write, args=pair)
            for pair in zip(kinds, self.begun, strict=True)
        ]

    def write(self, once: Callable[[], tuple[str, str]], begun: threading.Event) -> None:
        try:
            for number in count(1):
                self.committed.append(once())
                if number == WRITES:
                    begun.set()
                if self.over.is_set():
                    return
        except Exception as error:  # noqa: BLE001 - told in the test's own thread
            self.errors.append(error)
        finally:
            begun.set()
            connection.close()


@contextmanager
def writing(*kinds: Callable[[], tuple[str, str]]) -> Iterator[Writers]:
    writers = Writers(*kinds)
    for thread in writers.threads:
        thread.start()
    try:
        for begun in writers.begun:
            assert begun.wait(60)
        yield writers
    finally:
        writers.over.set()
        for thread in writers.threads:
            thread.join()
    assert writers.errors == []


def writer_of_fills() -> Callable[[], tuple[str, str]]:
    order = told_orders.placed(quantity=Decimal(1_000_000), trade_type="paper")
    numbers = count(1)

    def once() -> tuple[str, str]:
        name = f"load-{next(numbers)}"
        assert told_orders.fill(order, "1.000000000000000001", fill_id=name).created == 1
        return "SELECT count(*) FROM fills WHERE fill_id = %s", name

    return once


def writer_of_trades() -> Callable[[], tuple[str, str]]:
    bot = told_trades.new_bot(initial_balance=Decimal(1000))

    def once() -> tuple[str, str]:
        trade = told_trades.opened(bot)
        exits.close_trade(trade_id=trade.pk, report=told_trades.closing(), now=told_trades.NOON)
        return "SELECT count(*) FROM trades WHERE status = 'closed' AND id = %s", str(trade.pk)

    return once


def writer_of_logs() -> Callable[[], tuple[str, str]]:
    def once() -> tuple[str, str]:
        rows = [{"level": "INFO", "logger_name": "load", "message": "a line"}] * 20
        now = timezone.now()
        first, *_ = store_entries(model=SystemLog, rows=rows, now=now)
        return "SELECT count(*) FROM system_logs WHERE id = %s", str(first)

    return once


def writer_of_paper() -> Callable[[], tuple[str, str]]:
    portfolio = make_paper_portfolio(fee_rate=Decimal("0.001")).pk
    numbers = count(1)

    def once() -> tuple[str, str]:
        number = next(numbers)
        order = paper.PaperOrder(
            id=f"load-{number}",
            side=Side.BUY if number % 2 else Side.SELL,
            amount=Decimal("0.01"),
            price=Decimal("333.33"),
        )
        paper.trade(portfolio_id=portfolio, order=order, now=NOW)
        return "SELECT count(*) FROM paper_trades WHERE id = %s", order.id

    return once


class TestUnderLoad:
    def test_holds_one_moment_with_all_that_was_committed_before(self, tmp_path, capsys):
        administrator()
        make_key()
        kinds = [writer_of_fills(), writer_of_trades(), writer_of_logs(), writer_of_paper()]
        with writing(*kinds) as writers:
            before = list(writers.committed)
            made = backed_up(tmp_path / "backup")
            assert len(writers.committed) > len(before)
        assert len(before) >= 4 * WRITES

        with fresh_database() as url:
            call_command("restore_backup", str(made.folder), into=url)
            with pytest.raises(CommandError, match=r"is not empty: it holds .* Nothing was done\."):
                call_command("restore_backup", str(made.folder), into=url)
            with programs.Database.of(embedded.database_settings(url)).connect() as restored:
                missing = [
                    row for row in before if restored.execute(row[0], [row[1]]).fetchone() != (1,)
                ]
        words = capsys.readouterr().out
        assert {line[:8].strip() for line in words.splitlines()} == {"OK"}, words
        assert missing == []
        # More than was committed before: the writers went on until the snapshot, and after it.
        assert made.manifest.tables["fills"] < len(writers.committed)
        seen = {each.name: each.seen for each in made.manifest.invariants}
        assert min(seen[name] for name in ("fills", "trades net", "paper", "balances")) >= 1


# --- Making -------------------------------------------------------------------------------


class TestMaking:
    def test_names_archives_and_trade_lists_that_a_dump_does_not_hold(self, tmp_path, settings):
        root = settings.ARCHIVE_ROOT
        archive("trades/1", root)
        shutil.rmtree(root / archive("trades/2-lost", root).path)
        archive("trades/3-cut", root, content=b"row")
        (root / archive("trades/4-changed", root).path / MANIFEST).write_text("{}")
        make_analysis(compressed_path="analyses/a.parquet", trades_checksum="0" * 64)
        found = backed_up(tmp_path / "backup").manifest
        changed = "The manifest of the archive is no longer what was written."
        assert [(each.path, each.rows, each.problem) for each in found.archives] == [
            ("trades/1", 7, ""),
            ("trades/2-lost", 7, "is not there"),
            ("trades/3-cut", 7, "is damaged: 0.parquet has another length"),
            ("trades/4-changed", 7, f"cannot be used: {changed}"),
        ]
        assert [(each.path, each.there) for each in found.media] == [("analyses/a.parquet", False)]

    def test_is_for_its_owner_alone_and_holds_no_secret(self, tmp_path, settings):
        folder = backed_up(tmp_path / "backup").folder
        modes = {path.name: oct(path.stat().st_mode)[-3:] for path in [folder, *folder.iterdir()]}
        assert modes == {"backup": "700", DUMP: "600", MANIFEST: "600", SUMS: "600"}
        text = (folder / MANIFEST).read_text()
        assert settings.SECRET_KEY not in text
        assert settings.API_KEY_PEPPER not in text
        done = subprocess.run(["sha256sum", "-c", SUMS], cwd=folder, check=False)
        assert done.returncode == 0

    def test_outlasts_the_limits_of_a_session(self, tmp_path):
        with connection.cursor() as cursor:
            name = connection.settings_dict["NAME"]
            cursor.execute(f"ALTER DATABASE {name} SET statement_timeout = '1ms'")
            cursor.execute(f"ALTER DATABASE {name} SET transaction_timeout = '300ms'")
        try:
            assert backed_up(tmp_path / "backup").manifest.tables
        finally:
            connection.close()
            with here().connect() as own:
                own.execute("SET statement_timeout = 0")
                own.execute(f"ALTER DATABASE {name} RESET ALL")

    def test_deletes_older_ones_only_once_the_new_one_stands(self, tmp_path, settings, capsys):
        root = settings.BACKUP_ROOT
        for name in ("2026-01-01T000000Z", "2026-01-02T000000Z", "by hand"):
            (root / name).mkdir(parents=True)
            (root / name / SUMS).touch()
        call_command("backup", keep=2)
        kept, newest, by_hand = sorted(path.name for path in root.iterdir())
        assert (kept, by_hand) == ("2026-01-02T000000Z", "by hand")
        assert newest > kept
        assert "deleted: " in capsys.readouterr().out

    def test_leaves_nothing_half_made_when_the_dump_fails(self, tmp_path, settings, monkeypatch):
        (settings.BACKUP_ROOT / ".unfinished-of-one-that-was-killed").mkdir(parents=True)
        failing = tmp_path / "pg_dump"
        failing.write_text("#!/bin/sh\necho 'could not write: No space left on device'\nexit 1\n")
        failing.chmod(0o700)
        program = programs.Program(failing, 99)
        monkeypatch.setattr(making, "find", lambda name, at_least: program)
        with pytest.raises(CommandError, match=r"^pg_dump failed: .*No space left on device$"):
            call_command("backup")
        assert list(settings.BACKUP_ROOT.iterdir()) == []

    def test_tells_that_the_disk_is_full(self, tmp_path, monkeypatch):
        def full(*words: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(making, "write", full)
        with pytest.raises(programs.BackupError, match="No space left on device"):
            backed_up(tmp_path / "backup")
        assert list(tmp_path.iterdir()) == []

    def test_waits_for_nobody_for_ever(self, tmp_path, monkeypatch):
        monkeypatch.setattr(making, "LOCK_SECONDS", 0.05)
        with here().connect() as other:
            other.execute("BEGIN")
            other.execute("LOCK TABLE fills IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(programs.BackupError, match="being changed; try again"):
                backed_up(tmp_path / "backup")
        assert list(tmp_path.iterdir()) == []

    def test_never_writes_over_another_backup(self, tmp_path):
        (tmp_path / "backup").mkdir()
        with pytest.raises(programs.BackupError, match="is there already"):
            backed_up(tmp_path / "backup")


def archive(path: str, root: Path, *, content: bytes = b"rows") -> Archive:
    """Archive a table with no columns into a file that was written as four bytes."""
    folder = root / path
    folder.mkdir(parents=True)
    table = TableRecord(
        table="trades", model="bots.Trade", file="0.parquet", key="id", rows=7, bytes=4,
        sha256="", schema_version="", columns=[], checksums={}, blocks=[],
    )  # fmt: skip
    told = as_json(
        ArchiveManifest(
            dataset="trades", time="exit_time", cutoff=NOW, first_time=NOW, last_time=NOW,
            last_key="7", migrations={}, tables=[table],
        )
    )  # fmt: skip
    (folder / MANIFEST).write_bytes(told)
    (folder / table.file).write_bytes(content)
    return Archive.objects.create(
        path=path, dataset="trades", status="kept", part=1, schema_version="1",
        sha256=hashlib.sha256(told).hexdigest(), rows=7, roots=7, bytes=4, cutoff=NOW,
    )  # fmt: skip


# --- Verifying ----------------------------------------------------------------------------


class TestExamining:
    def test_finds_what_differs_from_the_manifest(self, tmp_path):
        good = backed_up(tmp_path / "backup").manifest
        make_order()
        changed = msgspec.structs.replace(
            good,
            tables={**good.tables, "fills": 3, "no_such_table": 1},
            schema={**good.schema, "indexes": [*good.schema["indexes"], "no_such_index"]},
            migrations={**good.migrations, "bots": "0099_of_the_future"},
            fingerprints={**good.fingerprints, "API_KEY_PEPPER": "another"},
            archives=[manifests.ArchiveRecord("../out", "trades", "kept", "0" * 64, 1)],
        )
        found = examined(changed)
        bad = {each.check: each.said for each in found.values() if each.status is Status.FAILED}
        assert bad == {
            "tables": "not there: no_such_table",
            "rows": "fills has 0 instead of 3, orders has 1 instead of 0",
            "schema": "no_such_index is not there",
            "filled": "not what it was: 0 then, or other sums",
            "migrations": "others than backed up: bots",
            "login": "nobody of the staff can log in",
            "archives": "../out cannot be used: The path of an archive is a plain path below the"
            " archive root.",
        }
        assert found["keys"].status is Status.WARNING
        assert "ALL KEYS WOULD BE REFUSED" in found["keys"].said

    def test_finds_rows_that_stand_against_a_rule(self, tmp_path):
        administrator()
        order = make_order(quantity=Decimal(1))
        for _ in range(3):
            make_fill(order=order)
        made = backed_up(tmp_path / "backup")
        found = examined(made.manifest)
        bad = {each.check: each.said for each in found.values() if each.status is Status.FAILED}
        assert bad == {
            "fills": "1 rows against it; so it was when it was backed up",
            "filled": "1 rows against it; so it was when it was backed up",
        }

    def test_finds_orphans_sequences_behind_and_constraints_not_in_force(self, tmp_path):
        administrator()
        make_fill(order=make_order(filled_quantity=Decimal("0.5")))
        made = backed_up(tmp_path / "backup")
        with here().connect() as own:
            own.execute("BEGIN")
            own.execute("SET LOCAL session_replication_role = replica")
            own.execute("DELETE FROM orders")
            own.execute("SELECT setval('fills_id_seq', 1, false)")
            own.execute("ALTER TABLE fills ADD CONSTRAINT never CHECK (quantity > 9) NOT VALID")
            found = {
                each.check: each for each in checking.examined(checking.State(own, made.manifest))
            }
            own.execute("ROLLBACK")
        assert found["schema"].said == "fills.never is not valid"
        assert found["orphans"].said.startswith("1 rows behind fills_order_id_")
        assert "fills_id_seq is behind fills.id" in found["sequences"].said
        assert found["rows"].said == "orders has 0 instead of 1"

    def test_leaves_no_user_and_no_key_behind(self, tmp_path):
        administrator()
        found = examined(backed_up(tmp_path / "backup").manifest)
        assert {found[name].status for name in ("login", "keys")} == {Status.OK}
        assert get_user_model().objects.count() == 1
        with here().connect() as own:
            assert own.execute("SELECT count(*) FROM api_keys").fetchone() == (0,)


class TestCommand:
    @pytest.mark.parametrize("name", [DUMP, MANIFEST, SUMS])
    def test_finds_a_flipped_byte(self, tmp_path, capsys, name):
        folder = backed_up(tmp_path / "backup").folder
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
        with pytest.raises(CommandError, match=r"^The backup is not good: files\.$"):
            call_command("restore_backup", str(folder), verify=True, json=True)
        report = json.loads(capsys.readouterr().out)
        assert report["verified"] is False
        assert "damaged" in report["findings"][0]["said"]

    def test_refuses_what_is_no_backup(self, tmp_path):
        for folder, why in ((tmp_path / "none", "no backup at"), (tmp_path, "no whole backup")):
            with pytest.raises(programs.BackupError, match=why):
                manifests.read(folder)


class TestPrograms:
    def test_that_are_too_old_are_refused(self):
        with pytest.raises(programs.BackupError, match="must not be older than PostgreSQL 99"):
            programs.find("pg_dump", at_least=99)

    def test_say_what_a_server_would_not_understand(self):
        made = [programs.too_old_for(*pair) for pair in ((18, 15), (18, 17), (15, 15), (18, 18))]
        assert made == [True, False, False, False]

    def test_are_told_no_password_on_their_command_line(self):
        url = "postgres://me:very%20secret@db.example:5433/blotter?sslmode=require"
        database = programs.Database.of(embedded.database_settings(url))
        assert "secret" not in " ".join(database.arguments())
        assert database.environment()["PGPASSWORD"] == "very secret"
        assert "sslmode=require" in database.arguments()[-1]
