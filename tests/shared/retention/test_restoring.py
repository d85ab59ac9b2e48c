"""Archived rows come back identical, whatever has happened to their tables and neighbors since."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import override_settings

from apps.analysis.models import ModelOutcome, Prediction
from apps.bots.models import BotInstance, Fill, Order, Trade
from apps.logs.models import SystemLog
from apps.market.models import CacheInvalidation
from apps.shared.retention.archives import Written, write_part
from apps.shared.retention.datasets import Dataset, Rule, dataset
from apps.shared.retention.manifests import DamagedArchive, Manifest, resolve
from apps.shared.retention.restoring import (
    MissingParents,
    NotIdentical,
    Restored,
    TablePreview,
    preview,
    restore,
)
from apps.shared.retention.staging import ForeignSchema
from tests.factories import (
    make_bot,
    make_cache_invalidation,
    make_fill,
    make_order,
    make_prediction,
    make_system_log,
    make_trade,
)

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OLD = NOW - timedelta(days=200)


@pytest.fixture(autouse=True)
def archive_root(tmp_path: Path) -> Iterator[None]:
    with override_settings(ARCHIVE_ROOT=tmp_path, ARCHIVE_RESERVE=0):
        yield


class Shelf:
    """An archive of all old rows of a dataset, and what a test does with it."""

    def __init__(self, declared: Dataset) -> None:
        self.dataset = declared
        self.rule = Rule(declared, declared.times[0], timedelta(days=90), frozenset())
        written = write_part(rule=self.rule, now=NOW, after=None, path="shelf")
        assert isinstance(written, Written)
        self.manifest: Manifest = written.manifest
        self.folder = resolve(Path(settings.ARCHIVE_ROOT), written.path)
        self.before = self.rows()

    def rows(self) -> dict[str, list[Any]]:
        """Return every row of each table as text, by key."""
        tables = {model._meta.db_table for model in self.dataset.models}
        return {name: sql(f"SELECT t::text FROM {name} t ORDER BY t::text") for name in tables}

    def empty(self) -> None:
        for model in reversed(self.dataset.models):
            model._base_manager.all()._raw_delete("default")

    def restore(self, **options: Any) -> list[Restored]:
        given = {"dataset": self.dataset, "folder": self.folder, "manifest": self.manifest}
        with transaction.atomic():
            return restore(**given | options)

    def preview(self, **options: Any) -> list[TablePreview]:
        given = {"dataset": self.dataset, "folder": self.folder, "manifest": self.manifest}
        return preview(**given | options)


def sql(statement: str, *values: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return [row[0] for row in cursor.fetchall()] if cursor.description else []


@contextmanager
def altered(table: str, change: str, back: str) -> Iterator[None]:
    """Alter a table as a migration in between would, and put it back."""
    sql(f"ALTER TABLE {table} {change}")
    try:
        yield
    finally:
        sql(f"ALTER TABLE {table} {back}")


def make_old_trade(number: int = 0, **values: Any) -> Trade:
    """Make a paper trade that is long over, with a part, an order of each and a fill of each."""
    bot = values.pop("bot", None) or make_bot(type="paper")
    times = {"entry_time": OLD - timedelta(hours=1), "exit_time": OLD + timedelta(minutes=number)}
    whole = make_trade(bot=bot, closed=True, partial_exits=1, **times | values)
    part = {"is_partial_exit": True, "partial_exit_sequence": 1, "parent_trade": whole}
    for trade in (whole, make_trade(bot=bot, closed=True, **times | part)):
        order = make_order(
            bot=bot, trade=trade, trade_type="paper", status="filled", filled_quantity=Decimal(1)
        )
        make_fill(order=order, timestamp=OLD)
    return whole


@pytest.fixture
def trades() -> Shelf:
    """Return an archive of two old trades; without what bots do about it."""
    for number in range(2):
        make_old_trade(number)
    return Shelf(replace(dataset("trades"), around=None))


@pytest.fixture
def notes() -> Shelf:
    """Return an archive of three rows of one plain table."""
    for number in range(3):
        make_cache_invalidation(invalidated_at=OLD, reason=f'Reason "{number}", \\N\n')
    return Shelf(dataset("cache_invalidations"))


def counts(results: list[Any]) -> list[tuple[int, int, int]]:
    return [(each.inserted, each.same, each.differing) for each in results]


class TestRestore:
    def test_rows_come_back_as_they_were_with_all_that_belongs_to_them(self, trades: Shelf) -> None:
        trades.empty()
        assert counts(trades.restore()) == [(2, 0, 0), (2, 0, 0), (4, 0, 0), (4, 0, 0)]
        assert trades.rows() == trades.before

    def test_twice_does_no_more_than_once(self, trades: Shelf) -> None:
        trades.empty()
        trades.restore()
        assert counts(trades.restore()) == [(0, 2, 0), (0, 2, 0), (0, 4, 0), (0, 4, 0)]
        assert trades.rows() == trades.before

    def test_what_is_there_with_other_values_is_left_and_counted(self, trades: Shelf) -> None:
        changed = Trade.objects.filter(parent_trade=None).first()
        Trade.objects.filter(pk=changed.pk).update(exit_reason="other")
        Fill.objects.all().delete()
        assert counts(trades.restore()) == [(0, 1, 1), (0, 2, 0), (0, 4, 0), (4, 0, 0)]
        assert Trade.objects.get(pk=changed.pk).exit_reason == "other"

    def test_roots_that_stayed_are_left_out_with_what_belongs_to_them(self, trades: Shelf) -> None:
        first, second = Trade.objects.filter(parent_trade=None).order_by("exit_time")
        trades.empty()
        results = trades.restore(stayed=[str(first.pk)])
        assert counts(results) == [(1, 0, 0), (1, 0, 0), (2, 0, 0), (2, 0, 0)]
        assert set(Trade.objects.all()) == {second, *second.exits.all()}
        assert Order.objects.exclude(trade__in=Trade.objects.all()).count() == 0

    def test_what_is_known_by_the_name_of_a_root_that_vanished_is_left_out_too(self) -> None:
        for number in range(2):
            settled = make_prediction(timestamp=OLD + timedelta(minutes=number))
            outcome = ModelOutcome.objects.filter(prediction=settled)
            outcome.update(status="settled", settled_at=OLD, due_at=None)
        shelf = Shelf(dataset("predictions"))
        stayed = Prediction.objects.earliest("timestamp")
        shelf.empty()
        assert counts(shelf.restore(stayed=[str(stayed.pk)])) == [(1, 0, 0), (1, 0, 0)]
        assert not ModelOutcome.objects.filter(prediction=stayed.prediction_id).exists()

    def test_the_app_is_told_the_keys_before_the_rows_are_there(self, trades: Shelf) -> None:
        told: list[Any] = []

        @contextmanager
        def around(keys: Collection[Any]) -> Iterator[None]:
            told.append((set(keys), Trade.objects.count()))
            yield
            told.append(Trade.objects.count())

        roots = set(Trade.objects.filter(parent_trade=None).values_list("pk", flat=True))
        trades.empty()
        trades.restore(dataset=replace(trades.dataset, around=around))
        assert told == [(roots, 0), 4]
        trades.restore(dataset=replace(trades.dataset, around=around))
        assert len(told) == 2, "nothing came back, so there was nothing to tell"

    def test_it_needs_a_transaction(self, notes: Shelf) -> None:
        with pytest.raises(transaction.TransactionManagementError):
            restore(dataset=notes.dataset, folder=notes.folder, manifest=notes.manifest)

    def test_a_sequence_behind_the_keys_moves_on(self, notes: Shelf) -> None:
        notes.empty()
        table = CacheInvalidation._meta.db_table
        sql("SELECT setval(pg_get_serial_sequence(%s, 'id'), 1, false)", table)
        notes.restore()
        assert make_cache_invalidation().pk > 3

    def test_the_sequence_that_several_tables_share_moves_on_too(self) -> None:
        line = make_system_log(timestamp=OLD)
        shelf = Shelf(dataset("system_logs"))
        shelf.empty()
        sql("SELECT setval('log_entries_id_seq', 1, false)")
        shelf.restore()
        assert make_system_log().pk > line.pk

    def test_rows_of_a_month_without_a_partition_come_into_the_catch_all(self) -> None:
        make_system_log(timestamp=OLD, message="Of long ago")
        shelf = Shelf(dataset("system_logs"))
        shelf.empty()
        assert counts(shelf.restore()) == [(1, 0, 0)]
        assert SystemLog.objects.get().message == "Of long ago"
        assert sql("SELECT tableoid::regclass::text FROM system_logs") == ["system_logs_other"]
        assert shelf.rows() == shelf.before


class TestConflict:
    def test_another_row_under_the_same_unique_key_is_kept_and_told(self, trades: Shelf) -> None:
        taken = Order.objects.order_by("pk").first()
        trades.empty()
        other = make_order(order_id=taken.order_id, price=Decimal(7))
        foretold = trades.preview()[2]
        assert (foretold.missing, foretold.conflicting) == (4, 1)
        orders = trades.restore()[2]
        assert (orders.inserted, orders.conflicting) == (3, 1)
        assert orders.conflicts == (
            f"orders {taken.pk}: Key (order_id)=({taken.order_id}) already exists.",
        )
        assert Order.objects.get(order_id=taken.order_id) == other

    def test_it_is_told_again_when_restored_again(self, trades: Shelf) -> None:
        taken = Order.objects.order_by("pk").first()
        trades.empty()
        make_order(order_id=taken.order_id)
        trades.restore()
        orders = trades.restore()[2]
        assert (orders.inserted, orders.same, orders.conflicting) == (0, 3, 1)


class TestSchemaInBetween:
    def test_a_new_column_takes_its_default_of_the_database(self, notes: Shelf) -> None:
        notes.empty()
        table = CacheInvalidation._meta.db_table
        with altered(table, "ADD COLUMN mood text NOT NULL DEFAULT 'calm'", "DROP COLUMN mood"):
            assert counts(notes.restore()) == [(3, 0, 0)]
            assert sql(f"SELECT mood FROM {table}") == ["calm"] * 3
        assert notes.rows() == notes.before

    def test_a_new_column_that_may_be_empty_is(self, notes: Shelf) -> None:
        notes.empty()
        table = CacheInvalidation._meta.db_table
        with altered(table, "ADD COLUMN mood text", "DROP COLUMN mood"):
            notes.restore()
            assert sql(f"SELECT mood FROM {table}") == [None] * 3

    def test_a_generated_column_comes_by_itself(self, notes: Shelf) -> None:
        notes.empty()
        table = CacheInvalidation._meta.db_table
        new = "ADD COLUMN double bigint GENERATED ALWAYS AS (id * 2) STORED"
        with altered(table, new, "DROP COLUMN double"):
            notes.restore()
            assert sql(f"SELECT double = id * 2 FROM {table}") == [True] * 3

    def test_a_new_column_takes_the_default_of_its_model(self) -> None:
        make_old_trade()
        sql("ALTER TABLE trades DROP COLUMN exit_metadata")
        try:
            shelf = Shelf(replace(dataset("trades"), around=None))
            shelf.empty()
        finally:
            sql("ALTER TABLE trades ADD COLUMN exit_metadata jsonb NOT NULL")
        shelf.restore()
        assert set(sql("SELECT exit_metadata::text FROM trades")) == {"{}"}

    def test_a_new_column_without_any_default_is_refused_by_name(self, notes: Shelf) -> None:
        notes.empty()
        table = CacheInvalidation._meta.db_table
        with altered(table, "ADD COLUMN mood text NOT NULL", "DROP COLUMN mood"):
            with pytest.raises(ForeignSchema, match=f"{table} needs mood by now"):
                notes.restore()
            assert "needs mood" in notes.preview()[0].refused

    def test_a_column_that_is_gone_is_refused_by_name(self, notes: Shelf) -> None:
        notes.empty()
        table = CacheInvalidation._meta.db_table
        with altered(table, "RENAME COLUMN reason TO why", "RENAME COLUMN why TO reason"):
            with pytest.raises(ForeignSchema, match=rf"another schema: in {table}, reason .*gone"):
                notes.restore()
            assert sql(f"SELECT count(*) FROM {table}") == [0]

    def test_a_wider_type_takes_the_rows(self, notes: Shelf) -> None:
        notes.empty()
        table = CacheInvalidation._meta.db_table
        with altered(table, "ALTER reason TYPE text", "ALTER reason TYPE varchar(500)"):
            assert counts(notes.restore()) == [(3, 0, 0)]

    def test_decimals_with_more_places_are_the_same_decimals(self, trades: Shelf) -> None:
        trades.empty()
        with altered("fills", "ALTER price TYPE numeric", "ALTER price TYPE numeric(38,18)"):
            assert counts(trades.restore())[3] == (4, 0, 0)
        assert trades.rows() == trades.before

    def test_another_type_is_refused_by_name(self, notes: Shelf) -> None:
        notes.empty()
        table = CacheInvalidation._meta.db_table
        narrow = "ALTER entries_affected TYPE smallint"
        with (
            altered(table, narrow, "ALTER entries_affected TYPE integer"),
            pytest.raises(ForeignSchema, match="entries_affected was integer and is smallint"),
        ):
            notes.restore()

    def test_a_rule_that_is_new_refuses_rows_that_break_it(self, notes: Shelf) -> None:
        notes.empty()
        table = CacheInvalidation._meta.db_table
        new = "ADD CONSTRAINT calm CHECK (reason NOT LIKE 'Reason%')"
        with (
            altered(table, new, "DROP CONSTRAINT calm"),
            pytest.raises(ForeignSchema, match=f"its rows break calm of {table}"),
        ):
            notes.restore()

    def test_an_archive_of_another_dataset_is_refused(self, notes: Shelf) -> None:
        with pytest.raises(ForeignSchema, match="is no table of"):
            notes.restore(dataset=dataset("trades"))


class TestNeighbors:
    def test_parents_that_are_gone_are_named(self, trades: Shelf) -> None:
        trades.empty()
        gone = BotInstance.objects.order_by("pk").first()
        BotInstance.objects.filter(pk=gone.pk).delete()
        with pytest.raises(MissingParents, match=f"trades belong to .* gone .*{gone.pk}"):
            trades.restore()
        assert Trade.objects.count() == 0
        refused = [each.refused for each in trades.preview()]
        assert gone.pk in refused[0]
        assert not refused[3], "fills come back with their orders"

    def test_rows_that_come_back_changed_are_not_taken_for_restored(self, notes: Shelf) -> None:
        notes.empty()
        table = CacheInvalidation._meta.db_table
        sql(
            "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN NEW.reason = 'Meddled'; RETURN NEW; END$$"
        )
        when = f"BEFORE INSERT ON {table} FOR EACH ROW"
        sql(f"CREATE TRIGGER meddling {when} EXECUTE FUNCTION meddle()")
        try:
            with pytest.raises(NotIdentical, match=r"3 rows of .* did not come back as they were"):
                notes.restore()
        finally:
            sql(f"DROP TRIGGER meddling ON {table}")
            sql("DROP FUNCTION meddle()")


class TestDamage:
    def test_a_flipped_byte_stops_everything(self, notes: Shelf) -> None:
        notes.empty()
        file = notes.folder / notes.manifest.tables[0].file
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        for wish in (notes.restore, notes.preview):
            with pytest.raises(DamagedArchive, match=file.name):
                wish()
        assert CacheInvalidation.objects.count() == 0

    def test_rows_that_are_not_those_of_the_digests_are_no_archive(self, notes: Shelf) -> None:
        notes.empty()
        wrong = with_another_digest(notes.manifest)
        with pytest.raises(DamagedArchive, match="do not read back as they were archived"):
            notes.restore(manifest=wrong)


def with_another_digest(manifest: Manifest) -> Manifest:
    """Return a manifest whose first block has the digest of other rows."""
    content = msgspec.to_builtins(manifest)
    content["tables"][0]["blocks"][0]["digest"] = "0" * 64
    return msgspec.convert(content, Manifest)


class TestPreview:
    def test_it_tells_what_would_come_back_and_changes_nothing(self, trades: Shelf) -> None:
        Fill.objects.all().delete()
        changed = Order.objects.first()
        Order.objects.filter(pk=changed.pk).update(price=Decimal(1))
        told = [(each.rows, each.missing, each.same, each.differing) for each in trades.preview()]
        assert told == [(2, 0, 2, 0), (2, 0, 2, 0), (4, 0, 3, 1), (4, 4, 0, 0)]
        assert not any(each.refused for each in trades.preview())
        assert Fill.objects.count() == 0
