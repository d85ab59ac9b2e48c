"""Rows leave where an archive holds them bit for bit; whatever changed meanwhile stays."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection, connections, transaction
from django.db.models import Exists, OuterRef, Q
from django.test import override_settings

from apps.bots.models import Fill, Order, Trade
from apps.market.models import ApiCacheEntry
from apps.shared.retention import deleting, snapshots
from apps.shared.retention.archives import Written, write_part
from apps.shared.retention.datasets import Exemption, Rule, dataset, datasets
from apps.shared.retention.deleting import Left, delete_batch, delete_block
from apps.shared.retention.manifests import resolve
from tests.factories import make_bot, make_cache_entry, make_fill, make_order, make_trade

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OLD = NOW - timedelta(days=200)


@pytest.fixture(autouse=True)
def archive_root(tmp_path: Path) -> Iterator[None]:
    with override_settings(ARCHIVE_ROOT=tmp_path, ARCHIVE_RESERVE=0):
        yield


@pytest.fixture
def rule() -> Rule:
    return rule_of("trades")


def rule_of(name: str, **changes: Any) -> Rule:
    """Return the rule of a dataset as it is declared; without what its app adds to a delete."""
    declared = replace(dataset(name), around=None)
    for each, value in changes.items():
        declared = replace(declared, **{each: value})
    return Rule(declared, declared.times[0], timedelta(days=90), frozenset())


def make_old_trade(number: int = 0, **values: Any) -> Trade:
    """Make a paper trade that is long over, with two parts, an order of each, a fill of each."""
    exit_time = OLD + timedelta(minutes=number)
    common = {
        "closed": True,
        "trade_type": "paper",
        "entry_time": exit_time - timedelta(hours=1),
        "exit_time": exit_time,
    }
    bot = values.pop("bot", None) or make_bot(type="paper")
    root = make_trade(bot=bot, **common | {"partial_exits": 2} | values)
    for part in (1, 2):
        child = make_trade(
            bot=bot,
            parent_trade=root,
            is_partial_exit=True,
            partial_exit_sequence=part,
            **common,
        )
        order = make_order(bot=bot, trade=child, trade_type="paper", status="filled")
        make_fill(order=order)
    return root


def make_cached(stale_until: datetime) -> ApiCacheEntry:
    before = stale_until - timedelta(minutes=1)
    return make_cache_entry(cached_at=before, expires_at=before, stale_until=stale_until)


def part(rule: Rule, path: str = "trades/1") -> Written:
    written = write_part(rule=rule, now=NOW, after=None, path=path)
    assert written is not None
    return written


def leave(rule: Rule, written: Written, block: int = 0) -> Left:
    folder = resolve(Path(settings.ARCHIVE_ROOT), written.path)
    with transaction.atomic():
        return delete_block(
            rule=rule, now=NOW, folder=folder, manifest=written.manifest, block=block
        )


def counts() -> tuple[int, int, int]:
    return Trade.objects.count(), Order.objects.count(), Fill.objects.count()


def in_a_thread(work: Callable[[], None]) -> threading.Thread:
    """Start ``work`` on a connection of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


class TestBlock:
    def test_all_of_it_leaves_with_its_dependents_and_nothing_else(self, rule: Rule) -> None:
        for number in range(3):
            make_old_trade(number)
        kept = make_old_trade(exit_time=NOW, entry_time=NOW)
        assert leave(rule, part(rule)) == Left(3 * (1 + 2 + 2 + 2), [])
        assert counts() == (3, 2, 2)
        assert Trade.objects.filter(pk=kept.pk).exists()

    def test_each_block_leaves_on_its_own(
        self, rule: Rule, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(snapshots, "BLOCK_ROWS", 2)
        trades = [make_old_trade(number) for number in range(3)]
        written = part(rule)
        assert [leave(rule, written, block) for block in (1, 0)] == [Left(7, []), Left(14, [])]
        assert not Trade.objects.filter(pk__in=[each.pk for each in trades]).exists()

    def test_twice_takes_nothing_more(self, rule: Rule) -> None:
        trade = make_old_trade()
        written = part(rule)
        leave(rule, written)
        other = make_old_trade(1)
        assert leave(rule, written) == Left(0, [str(trade.pk)])
        assert Trade.objects.filter(pk=other.pk).exists()

    def test_the_settings_of_the_transaction_are_as_before(self, rule: Rule) -> None:
        make_old_trade()
        written = part(rule)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            before = cursor.fetchone()
            leave(rule, written)
            cursor.execute("SHOW lock_timeout")
            assert cursor.fetchone() == before


class TestWhatChanged:
    """One of three trades is no longer what was archived: it stays whole, the others leave."""

    @pytest.fixture
    def trades(self) -> list[Trade]:
        return [make_old_trade(number) for number in range(3)]

    @pytest.fixture
    def written(self, rule: Rule, trades: list[Trade]) -> Written:
        return part(rule)

    def check_one_stays(self, rule: Rule, written: Written, trade: Trade) -> None:
        orders = set(Order.objects.filter(Q(trade=trade) | Q(trade__parent_trade=trade)))
        assert leave(rule, written) == Left(14, [str(trade.pk)])
        assert set(Trade.objects.roots().values_list("pk", flat=True)) == {trade.pk}
        assert Trade.objects.filter(parent_trade=trade).count() == 2
        assert set(Order.objects.all()) == orders

    def test_a_changed_row(self, rule: Rule, trades: list[Trade], written: Written) -> None:
        Trade.objects.filter(pk=trades[1].pk).update(exit_reason="by hand")
        self.check_one_stays(rule, written, trades[1])

    def test_a_row_changed_in_what_only_bits_tell(
        self, rule: Rule, trades: list[Trade], written: Written
    ) -> None:
        Trade.objects.filter(pk=trades[1].pk).update(extra_metadata={"a": 1.0})
        self.check_one_stays(rule, written, trades[1])

    def test_a_changed_dependent(self, rule: Rule, trades: list[Trade], written: Written) -> None:
        fills = Fill.objects.filter(order__trade__parent_trade=trades[0])
        fills.filter(pk=fills.values("pk")[:1]).update(price=Decimal(1))
        self.check_one_stays(rule, written, trades[0])

    def test_a_new_dependent(self, rule: Rule, trades: list[Trade], written: Written) -> None:
        make_fill(order=Order.objects.filter(trade__parent_trade=trades[2])[0])
        self.check_one_stays(rule, written, trades[2])
        assert Fill.objects.count() == 3

    def test_an_exemption_that_holds_by_now(
        self, rule: Rule, trades: list[Trade], written: Written
    ) -> None:
        make_order(trade=trades[0], trade_type="live", status="filled")
        self.check_one_stays(rule, written, trades[0])

    def test_a_row_that_is_no_longer_old(
        self, rule: Rule, trades: list[Trade], written: Written
    ) -> None:
        Trade.objects.filter(pk=trades[0].pk).update(exit_time=NOW)
        self.check_one_stays(rule, written, trades[0])

    def test_an_exemption_that_staff_chose_meanwhile(
        self, trades: list[Trade], rule: Rule, written: Written
    ) -> None:
        mine = Exemption("mine", "somebody wants it", Q(pk=trades[2].pk))
        stricter = rule._replace(dataset=replace(rule.dataset, never=(mine,)))
        self.check_one_stays(stricter, written, trades[2])

    def test_a_longer_age_meanwhile(self, rule: Rule, written: Written) -> None:
        longer = rule._replace(age=timedelta(days=365))
        assert leave(longer, written).rows == 0
        assert counts() == (9, 6, 6)

    def test_a_root_that_is_gone(self, rule: Rule, trades: list[Trade], written: Written) -> None:
        Fill.objects.filter(order__trade__parent_trade=trades[0]).delete()
        Order.objects.filter(trade__parent_trade=trades[0]).delete()
        Trade.objects.filter(pk=trades[0].pk).delete()
        assert leave(rule, written) == Left(14, [str(trades[0].pk)])
        assert counts() == (0, 0, 0)

    def test_a_dependent_that_is_gone(
        self, rule: Rule, trades: list[Trade], written: Written
    ) -> None:
        Fill.objects.filter(pk=Fill.objects.all()[:1].get().pk).delete()
        orphaned = Trade.objects.get(parent_trade=None, exits__orders__fills=None)
        self.check_one_stays(rule, written, orphaned)

    def test_a_dependent_that_went_over_to_another_root(
        self, rule: Rule, trades: list[Trade], written: Written
    ) -> None:
        order = Order.objects.filter(trade__parent_trade=trades[0])[0]
        Order.objects.filter(pk=order.pk).update(trade=trades[1])
        left = leave(rule, written)
        assert (left.rows, set(left.stayed)) == (7, {str(each.pk) for each in trades[:2]})
        assert counts() == (6, 4, 4)

    def test_the_next_archive_takes_what_stayed(
        self, rule: Rule, trades: list[Trade], written: Written
    ) -> None:
        Trade.objects.filter(pk=trades[1].pk).update(exit_reason="by hand")
        leave(rule, written)
        assert leave(rule, part(rule, "trades/2")) == Left(7, [])
        assert counts() == (0, 0, 0)


class TestCitedFromOutside:
    """Where no exemption knows of a citation, the foreign key itself speaks."""

    def test_what_is_cited_stays_with_all_of_its_own(self) -> None:
        trades = [make_old_trade(number) for number in range(5)]
        # As if fills were no dependents: their orders are cited by something outside.
        rule = rule_of("trades", dependents=dataset("trades").dependents[:2])
        Fill.objects.exclude(order__trade__parent_trade=trades[3]).delete()
        written = part(rule)
        assert leave(rule, written) == Left(4 * 5, [str(trades[3].pk)])
        assert counts() == (3, 2, 2)


class TestSchema:
    def test_a_table_with_more_columns_than_were_archived_keeps_its_rows(self, rule: Rule) -> None:
        trade = make_old_trade()
        written = part(rule)
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE trades ADD COLUMN added int DEFAULT 7")
        try:
            assert leave(rule, written) == Left(0, [str(trade.pk)])
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE trades DROP COLUMN added")
        assert counts() == (3, 2, 2)

    def test_so_do_rows_with_more_dependents_than_were_archived(self, rule: Rule) -> None:
        trade = make_old_trade()
        Fill.objects.all().delete()
        fewer = rule_of("trades", dependents=dataset("trades").dependents[:2])
        assert leave(rule, part(fewer)) == Left(0, [str(trade.pk)])


class TestOthers:
    def test_a_writer_with_the_row_in_hand_is_waited_for(self, rule: Rule) -> None:
        trade = make_old_trade()
        written = part(rule)
        ready, go_on = threading.Event(), threading.Event()

        def write() -> None:
            with transaction.atomic():
                Trade.objects.filter(pk=trade.pk).update(exit_reason="late")
                ready.set()
                go_on.wait(10)

        thread = in_a_thread(write)
        ready.wait(10)
        threading.Timer(0.3, go_on.set).start()
        assert leave(rule, written) == Left(0, [str(trade.pk)])
        thread.join()
        assert Trade.objects.get(pk=trade.pk).exit_reason == "late"

    def test_behind_one_who_never_ends_it_gives_up(
        self, rule: Rule, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deleting, "LOCK_MILLISECONDS", 10)
        monkeypatch.setattr(deleting, "PAUSE_SECONDS", 0)
        trade = make_old_trade()
        written = part(rule)
        ready, go_on = threading.Event(), threading.Event()

        def write() -> None:
            with transaction.atomic():
                Trade.objects.select_for_update().get(pk=trade.pk)
                ready.set()
                go_on.wait(10)

        thread = in_a_thread(write)
        ready.wait(10)
        try:
            with pytest.raises(OperationalError):
                leave(rule, written)
        finally:
            go_on.set()
            thread.join()
        assert counts() == (3, 2, 2)

    def test_a_new_citation_waits_until_it_is_clear_whether_the_row_stays(self, rule: Rule) -> None:
        trade = make_old_trade()
        written = part(rule)

        def cite() -> None:
            make_order(trade=trade, trade_type="paper", status="filled")

        with transaction.atomic():
            assert leave(rule, written) == Left(7, [])
            thread = in_a_thread(cite)
            thread.join(0.2)
            assert thread.is_alive()
            transaction.set_rollback(True)
        thread.join()
        assert counts() == (3, 3, 2)


class TestAround:
    def test_it_is_entered_with_the_keys_of_what_leaves_and_taken_back_with_it(self) -> None:
        trades = [make_old_trade(number) for number in range(2)]
        seen: list[set[uuid.UUID]] = []

        @contextmanager
        def around(keys: Any) -> Iterator[None]:
            seen.append(set(keys))
            make_bot(id=f"around-{len(seen)}")
            yield

        rule = rule_of("trades", around=around)
        written = part(rule)
        Trade.objects.filter(pk=trades[0].pk).update(exit_reason="by hand")
        leave(rule, written)
        assert seen[-1] == {trades[1].pk}

    def test_what_it_did_is_taken_back_where_a_digest_differs(self) -> None:
        trade = make_old_trade()

        @contextmanager
        def around(keys: Any) -> Iterator[None]:
            make_bot(id="from-around")
            yield

        rule = rule_of("trades", around=around)
        written = part(rule)
        Fill.objects.update(price=Decimal(1))
        assert leave(rule, written) == Left(0, [str(trade.pk)])
        assert not trade.bot.__class__.objects.filter(id="from-around").exists()


class TestBatch:
    def test_rows_that_nobody_archives_leave_in_batches_the_oldest_first(self) -> None:
        for days in (1, 2, 3):
            make_cached(NOW - timedelta(days=100 + days))
        kept = make_cached(NOW)
        rule = rule_of("api_cache")
        assert delete_batch(rule=rule, now=NOW, rows=2) == 2
        assert sorted(ApiCacheEntry.objects.values_list("stale_until", flat=True)) == [
            NOW - timedelta(days=101), NOW,
        ]  # fmt: skip
        assert [delete_batch(rule=rule, now=NOW) for _ in range(2)] == [1, 0]
        assert ApiCacheEntry.objects.get() == kept

    def test_dependents_go_along(self, rule: Rule) -> None:
        make_old_trade()
        make_old_trade(1, exit_time=NOW, entry_time=NOW)
        assert delete_batch(rule=rule, now=NOW) == 1
        assert counts() == (3, 2, 2)

    def test_what_is_cited_from_outside_stays(self) -> None:
        make_old_trade()
        rule = rule_of("trades", dependents=dataset("trades").dependents[:2])
        assert delete_batch(rule=rule, now=NOW) == 0
        assert counts() == (3, 2, 2)

    def test_exempt_rows_stay(self) -> None:
        make_old_trade()
        orders = Order.objects.filter(trade__parent_trade_id=OuterRef("pk"))
        mine = Exemption("mine", "it has orders", Q(Exists(orders)))
        assert delete_batch(rule=rule_of("trades", never=(mine,)), now=NOW) == 0
        assert counts() == (3, 2, 2)


def parts_of(expression: Any) -> Iterator[Any]:
    yield expression
    for each in getattr(expression, "get_source_expressions", list)():
        yield from parts_of(each)


class TestDeclarations:
    @pytest.mark.parametrize("name", [each.name for each in datasets()])
    def test_dependents_are_tied_to_their_root_by_foreign_keys(self, name: str) -> None:
        """A new one that nothing ties would be overlooked."""
        for each in dataset(name).dependents:
            paths: list[str] = [part.name for part in parts_of(each.root) if hasattr(part, "name")]
            assert paths
            for path in paths:
                model: Any = each.model
                for step in path.split("__"):
                    field: Any = model._meta.get_field(step)
                    tied = getattr(field, "db_constraint", False)
                    assert tied or field.primary_key
                    model = field.related_model or model
