"""Keys of trades are unique for ever: what was archived is not made anew when it is told again."""

import threading
import time
import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext, override_settings

from apps.bots.models import CarriedResult, DepartedTrade, Order, Trade
from apps.bots.services.carrying import carried
from apps.bots.services.orders import describe_order, store_orders
from apps.bots.services.trades import (
    ArchivedTrade,
    UnknownTrade,
    cancel_trade,
    close_trade,
    describe_trade,
    exit_part,
    last_part_id,
    store_trades,
)
from apps.shared.retention.archives import write_part
from apps.shared.retention.datasets import Rule, dataset
from apps.shared.retention.deleting import delete_block
from apps.shared.retention.restoring import restore as restore_archive
from config import demo_bots, demo_rules
from tests.bots.ledgers import book, in_parts
from tests.bots.orders import ToldOrder
from tests.bots.trades import NOON, OVER, Told, closing, new_bot, opened, parting, refusal
from tests.client import ApiClient
from tests.config.test_demo_bots import DAY, NOW, tape
from tests.factories import make_key, make_trade
from tests.threads import at_once

TRADES, ORDERS = "/api/v1/bots/trades/", "/api/v1/bots/orders/"
SENTENCE = "This trade was archived; restore its archive to change it."


@pytest.fixture
def bot(db):
    return new_bot(id="grid-1")


def archive(*roots):
    """Let round trips leave as retention does; return their rows."""
    keys = [root.pk for root in roots]
    with carried(keys):
        parts = Trade.objects.filter(parent_trade__in=keys)
        own = Trade.objects.filter(pk__in=keys)
        rows = [*own, *parts]
        Order.objects.filter(trade__in=[row.pk for row in rows]).delete()
        parts._raw_delete("default")
        own._raw_delete("default")
    return rows


def restore(rows):
    with carried([row.pk for row in rows if row.parent_trade_id is None]):
        Trade.objects.bulk_create(rows, ignore_conflicts=True)


def gone(told):
    """Store a trade that is over, and let it leave; return its row."""
    assert store_trades([told], now=NOON).created == 1
    (row,) = archive(Trade.objects.get(pk=told.id))
    return row


def kept():
    return set(DepartedTrade.objects.values_list("pk", flat=True))


def named(outcome):
    return [(r.index, r.status.value, [(e.pointer, e.code) for e in r.errors])
            for r in outcome.results]  # fmt: skip


def body(**values):
    usual = {
        "id": str(uuid.uuid4()),
        "bot_id": "grid-1",
        "symbol": "BTC/USD",
        "direction": "long",
        "size": "0.1",
        "entry_price": "50000",
        "entry_time": "2026-03-02T11:00:00Z",
    }
    over = {"status": "closed", "exit_price": "51000", "exit_time": "2026-03-02T12:00:00Z"}
    return usual | over | values


@pytest.mark.django_db
class TestTheKeys:
    def test_of_trades_and_their_parts_are_kept_once_they_have_left(self, bot):
        rows = in_parts(bot, [3, -1], NOON)
        Trade.objects.bulk_create(rows)
        (stays,) = book(bot, (0, "5"))

        archive(rows[0])

        assert kept() == {row.pk for row in rows}
        assert stays.pk not in kept()

    def test_are_forgotten_when_they_come_back(self, bot):
        rows = in_parts(bot, [3, -1], NOON)
        Trade.objects.bulk_create(rows)
        (other,) = book(bot, (0, "5"))
        archive(rows[0], other)

        restore(rows)
        restore(rows)

        assert kept() == {other.pk}
        archive(rows[0])
        assert kept() == {other.pk, *(row.pk for row in rows)}

    def test_are_of_those_alone_that_really_left(self, bot):
        first, second = book(bot, (0, "5"), (1, "-2"))

        with carried([first.pk, second.pk, uuid.uuid4()]):
            Trade.objects.filter(pk=first.pk).delete()
        with carried([first.pk, second.pk]):
            pass

        assert kept() == {first.pk}

    def test_of_trades_that_staff_delete_are_not_kept(self, bot):
        make_trade(bot=bot).delete()

        assert kept() == set()

    def test_are_not_kept_when_the_block_raises(self, bot):
        (trade,) = book(bot, (0, "5"))

        def fail():
            with transaction.atomic():
                archive(trade)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()

        assert kept() == set()


@pytest.mark.django_db
class TestATradeToldAgain:
    @pytest.mark.parametrize(
        "values", [{}, {"exit_price": Decimal(7)}, {"status": "open", "exit_price": None,
                                                    "exit_time": None}],
    )  # fmt: skip
    def test_is_refused_whatever_is_told_of_it(self, bot, values):
        told = Told(bot_id=bot.pk, **OVER)
        gone(told)
        carried_before = list(CarriedResult.objects.values("trades", "net_pnl"))
        for name, value in values.items():
            setattr(told, name, value)

        outcome = store_trades([told], now=NOON)

        assert (outcome.created, outcome.failed) == (0, 1)
        assert named(outcome) == [(0, "failed", [("/id", "archived_trade")])]
        assert outcome.results[0].errors[0].message == SENTENCE
        assert not Trade.objects.exists()
        assert list(CarriedResult.objects.values("trades", "net_pnl")) == carried_before

    def test_is_one_failed_row_of_its_batch(self, bot):
        old, new = Told(bot_id=bot.pk, **OVER), Told(bot_id=bot.pk)
        gone(old)
        again = Told(bot_id=bot.pk)
        store_trades([again], now=NOON)

        rows = [old, new, again, Told(bot_id="nobody"), old, new]
        outcome = store_trades(rows, now=NOON)

        assert (outcome.created, outcome.unchanged, outcome.failed) == (1, 2, 3)
        assert named(outcome) == [
            (0, "failed", [("/id", "archived_trade")]),
            (2, "unchanged", []),
            (3, "failed", [("/bot_id", "unknown_bot")]),
            (4, "failed", [("/id", "archived_trade")]),
            (5, "unchanged", []),
        ]
        assert {str(pk) for pk in Trade.objects.values_list("pk", flat=True)} == {new.id, again.id}

    def test_leaves_no_sign_of_life_and_no_event(self, bot, monkeypatch):
        told = Told(bot_id=bot.pk, **OVER)
        gone(told)
        bot.last_activity_at = None
        bot.save()
        told.status, told.exit_price, told.exit_time = "open", None, None
        recorded = []
        monkeypatch.setattr("apps.bots.services.trades.record_trading_events", recorded.extend)

        store_trades([told], now=NOON)

        bot.refresh_from_db()
        assert (bot.last_activity_at, recorded) == (None, [])

    def test_is_stored_like_before_once_its_archive_was_restored(self, bot):
        told = Told(bot_id=bot.pk, **OVER)
        restore([gone(told)])

        assert store_trades([told], now=NOON).unchanged == 1

    def test_costs_one_statement_for_all_that_is_new_and_none_without(self, bot):
        rows = [Told(bot_id=bot.pk) for _ in range(40)]

        def asked(rows):
            with CaptureQueriesContext(connection) as captured:
                store_trades(rows, now=NOON)
            return sum("departed_trades" in each["sql"] for each in captured)

        assert [asked(rows), asked(rows), asked([Told(bot_id="nobody")])] == [1, 0, 0]


@pytest.mark.django_db
class TestAPart:
    def test_under_the_key_of_an_archived_one_is_refused(self, bot):
        rows = in_parts(bot, [3, -1], NOON)
        Trade.objects.bulk_create(rows)
        archive(rows[0])
        trade = opened(bot)

        with pytest.raises(ArchivedTrade, match="restore its archive") as caught:
            exit_part(trade_id=trade.pk, report=parting(id=str(rows[1].pk)), now=NOON)

        assert refusal(caught.value) == [("/id", "archived_trade")]
        trade.refresh_from_db()
        assert (trade.partial_exits, Trade.objects.count()) == (0, 1)

    def test_that_is_the_last_takes_a_key_that_was_never_used(self, bot):
        trade = opened(bot)
        DepartedTrade.objects.create(pk=uuid.uuid5(trade.pk, "last"))
        exit_part(trade_id=trade.pk, report=parting(), now=NOON)

        close_trade(trade_id=trade.pk, report=closing(), now=NOON)

        assert Trade.objects.filter(pk=uuid.uuid5(trade.pk, "last 2"), parent_trade=trade).exists()
        assert last_part_id(trade.pk) == uuid.uuid5(trade.pk, "last 3")


@pytest.mark.django_db
class TestTheVerbs:
    @pytest.mark.parametrize(
        "verb",
        [
            lambda pk: close_trade(trade_id=pk, report=closing(), now=NOON),
            lambda pk: exit_part(trade_id=pk, report=parting(), now=NOON),
            lambda pk: cancel_trade(trade_id=pk, reason="", now=NOON),
            lambda pk: describe_trade(trade_id=pk, values={"position_id": "7"}, now=NOON),
        ],
    )
    def test_say_that_a_trade_was_archived(self, bot, verb):
        row = gone(Told(bot_id=bot.pk, **OVER))

        with pytest.raises(ArchivedTrade):
            verb(row.pk)
        with pytest.raises(UnknownTrade):
            verb(uuid.uuid4())


@pytest.mark.django_db
class TestAnOrder:
    def test_of_an_archived_trade_is_one_failed_row(self, bot):
        row = gone(Told(bot_id=bot.pk, **OVER))
        told = [
            ToldOrder(trade_id=str(row.pk)),
            ToldOrder(bot_id=bot.pk),
            ToldOrder(bot_id=bot.pk, trade_id=str(uuid.uuid4())),
        ]

        outcome = store_orders(told, now=NOON)

        assert (outcome.created, outcome.failed) == (1, 2)
        assert named(outcome) == [
            (0, "failed", [("/trade_id", "archived_trade")]),
            (2, "failed", [("/trade_id", "unknown_trade")]),
        ]

    def test_cannot_be_noted_as_one_of_an_archived_trade(self, bot):
        row = gone(Told(bot_id=bot.pk, **OVER))
        told = ToldOrder(bot_id=bot.pk)
        store_orders([told], now=NOON)
        told.trade_id = str(row.pk)

        outcome = describe_order(told, now=NOON)

        assert named(outcome) == [(0, "failed", [("/trade_id", "archived_trade")])]

    def test_of_a_trade_that_is_here_costs_no_statement(self, bot):
        trade = opened(bot)

        with CaptureQueriesContext(connection) as captured:
            store_orders([ToldOrder(trade_id=str(trade.pk)), ToldOrder()], now=NOON)

        assert not any("departed_trades" in each["sql"] for each in captured)


@pytest.mark.django_db
class TestOverHttp:
    def test_one_trade_is_a_409_and_one_of_many_a_failed_row(self, api, bot):
        told, new = body(), body()
        api.post(TRADES, told)
        archive(Trade.objects.get())

        alone = api.post(TRADES, told)
        beside = api.post(TRADES, [told, new])
        only = api.post(TRADES, [told])

        assert (alone.status_code, alone.json()["code"]) == (409, "archived_trade")
        assert alone.json()["detail"] == SENTENCE
        found = beside.json()
        assert (beside.status_code, found["created"], found["failed"]) == (200, 1, 1)
        assert [(r["index"], r["errors"][0]["code"]) for r in found["results"]] == [
            (0, "archived_trade")
        ]
        assert (only.status_code, only.json()["code"]) == (400, "batch_refused")
        assert [str(pk) for pk in Trade.objects.values_list("pk", flat=True)] == [new["id"]]

    def test_all_or_none_stores_none_beside_an_archived_one(self, api, bot):
        told = body()
        api.post(TRADES, told)
        archive(Trade.objects.get())

        answer = api.post(f"{TRADES}?atomic=1", [body(), told])

        assert answer.status_code == 400
        assert not Trade.objects.exists()

    def test_what_is_told_of_an_archived_trade_is_a_409(self, api, bot):
        told = body()
        api.post(TRADES, told)
        archive(Trade.objects.get())
        at = f"{TRADES}{told['id']}/"
        ending = {"exit_price": "51000"}

        answers = [
            api.post(f"{at}close/", ending),
            api.post(f"{at}exits/", {"id": str(uuid.uuid4()), "size": "0.1", **ending}),
            api.post(f"{at}cancel/", {}),
            api.patch(at, {"position_id": "7"}),
        ]

        assert {(each.status_code, each.json()["code"]) for each in answers} == {
            (409, "archived_trade")
        }
        assert api.get(at).status_code == 404
        assert api.post(f"{TRADES}{uuid.uuid4()}/close/", ending).status_code == 404

    def test_a_key_of_the_bot_itself_is_told_so_too(self, bot):
        told, client = body(), ApiClient(make_key(bot=bot.pk).text)
        client.post(TRADES, told)
        archive(Trade.objects.get())

        answer = client.post(TRADES, told)

        assert (answer.status_code, answer.json()["code"]) == (409, "archived_trade")

    def test_an_order_of_one_is_refused_by_its_field(self, api, bot):
        row = gone(Told(bot_id=bot.pk, **OVER))
        order = {"order_id": "o1", "symbol": "BTC/USD", "side": "buy", "quantity": "1"}

        answer = api.post(ORDERS, {**order, "trade_id": str(row.pk)})

        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["pointer"]) == (400, "/trade_id")
        assert (error["code"], error["message"]) == ("archived_trade", SENTENCE)


@pytest.mark.django_db(transaction=True)
class TestSeveralAtOnce:
    def test_do_not_make_anew_what_is_just_leaving(self):
        bot = new_bot()
        told = [Told(bot_id=bot.pk, **OVER) for _ in range(6)]
        store_trades(told, now=NOON)
        rows = list(Trade.objects.all())

        found = at_once(
            [lambda: archive(*rows), *[lambda: store_trades(told, now=NOON) for _ in range(3)]]
        )

        assert [each for each in found if isinstance(each, Exception)] == []
        assert (Trade.objects.count(), len(kept())) == (0, 6)
        assert sum(CarriedResult.objects.values_list("trades", flat=True)) == 6

    def test_find_what_left_while_they_waited_for_it(self):
        told = Told(bot_id=new_bot().pk, **OVER)
        store_trades([told], now=NOON)
        found = []

        def tell():
            found.append(store_trades([told], now=NOON))
            connection.close()

        other = threading.Thread(target=tell)
        with transaction.atomic():
            archive(Trade.objects.get())
            other.start()
            wait_for_who_waits(other)
        other.join()

        assert named(found[0]) == [(0, "failed", [("/id", "archived_trade")])]
        assert not Trade.objects.exists()


def wait_for_who_waits(thread):
    """Return when another connection waits for a lock, or the thread is over."""
    waiting = (
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')"
    )
    with connection.cursor() as cursor:
        while thread.is_alive():
            cursor.execute(waiting)
            if cursor.fetchone()[0]:
                return
            time.sleep(0.01)


@pytest.mark.django_db
class TestTheDemo:
    @pytest.fixture
    def tapes(self):
        return {symbol: tape(symbol) for symbol in {bot.symbol for bot in demo_rules.BOTS}}

    def load(self, tapes, now=NOW):
        return demo_bots.load(tapes, since=NOW - 6 * DAY, now=now)

    def test_tells_nothing_anew_that_has_left(self, tapes):
        self.load(tapes)
        paper = Trade.objects.filter(status="closed").exclude(trade_type="live")
        old = list(paper.order_by("exit_time")[:9])
        live = list(Trade.objects.filter(status="closed", trade_type="live")[:3])
        archive(*old, *live)
        left = set(Trade.objects.values_list("pk", flat=True))
        orders = set(Order.objects.values_list("pk", flat=True))

        assert self.load(tapes) == "0 bots, 0 trades"
        assert self.load(tapes, now=NOW + timedelta(hours=1)) == "0 bots, 0 trades"

        assert set(Trade.objects.values_list("pk", flat=True)) == left
        assert set(Order.objects.values_list("pk", flat=True)) == orders

    def test_reports_the_balance_that_its_bots_had_before(self, tapes):
        self.load(tapes)
        before = [demo_bots.report_of(bot, now=NOW) for bot in demo_rules.BOTS]

        archive(*Trade.objects.filter(status="closed"))

        assert [demo_bots.report_of(bot, now=NOW) for bot in demo_rules.BOTS] == before
        assert any(report.total_pnl for report in before)


@pytest.mark.django_db(transaction=True)
class TestRetention:
    def test_of_trades_and_a_start_of_the_demo_behind_it_make_nothing_anew(self, tmp_path):
        tapes = {symbol: tape(symbol) for symbol in {bot.symbol for bot in demo_rules.BOTS}}
        demo_bots.load(tapes, since=NOW, now=NOW)
        before = set(Trade.objects.values_list("pk", flat=True))
        trades = dataset("trades")
        rule = Rule(trades, "exit_time", 40 * DAY, frozenset(each.name for each in trades.never))

        with override_settings(ARCHIVE_ROOT=tmp_path, ARCHIVE_RESERVE=0):
            part = write_part(rule=rule, now=NOW, after=None, path="trades/0")
            with transaction.atomic():
                delete_block(rule=rule, now=NOW, folder=tmp_path / part.path,
                             manifest=part.manifest, block=0)  # fmt: skip
            stays = set(Trade.objects.values_list("pk", flat=True))
            assert kept() == before - stays != set()

            assert demo_bots.load(tapes, since=NOW, now=NOW) == "0 bots, 0 trades"
            assert set(Trade.objects.values_list("pk", flat=True)) == stays

            with transaction.atomic():
                restore_archive(dataset=trades, folder=tmp_path / part.path, manifest=part.manifest)

        assert demo_bots.load(tapes, since=NOW, now=NOW) == "0 bots, 0 trades"
        assert set(Trade.objects.values_list("pk", flat=True)) == before
        assert (kept(), list(CarriedResult.objects.all())) == (set(), [])
