"""What was found by using it wrongly: each of these once went wrong."""

import uuid
from decimal import Decimal
from functools import partial

import pytest
from django.test import Client

from apps.bots.api.rows_limits import LimitRow
from apps.bots.models import Order, PaperPerformance, Trade, TradingLimit
from apps.bots.services import fills, paper_performance
from apps.bots.services.activity import measure_usual_gaps
from apps.bots.services.exits import close_trade, exit_part
from apps.bots.services.firing import evaluate_limits
from apps.bots.services.limits import replace_limits
from apps.bots.services.recovery import recover
from apps.bots.services.watching import watch_bots
from apps.executions.services.watching import DOOR, note_look
from apps.shared.errors import Conflict
from tests.bots.limit_rows import DAY, HOUR, MINUTE, NOON, operators
from tests.bots.lives import SECOND, beats, living, stored
from tests.bots.trades import closing, opened, parting
from tests.client import ApiClient
from tests.factories import (
    make_bot,
    make_candle,
    make_key,
    make_limit,
    make_order,
    make_paper_portfolio,
    make_trade,
    make_watch,
)
from tests.threads import at_once

pytestmark = pytest.mark.django_db

BOTS = "/api/v1/bots/"
SURROGATE = "\ud800"


@pytest.fixture
def bound():
    """Return a program whose key is bound to the bot "b"."""
    make_bot(id="b")
    return ApiClient(make_key(bot="b", scopes=["bots:read", "bots:write"]).text)


def limit_row(**values):
    usual = {"id": "stop", "limit_type": "stop_loss", "type": "live", "symbol": "BTC/USD"}
    return LimitRow(**usual | {"price": Decimal(100)} | values)


def trade_row(**values):
    row = {"id": str(uuid.uuid4()), "bot_id": "b", "symbol": "BTC/USD", "direction": "long"}
    return row | {"size": "1", "entry_price": "100"} | values


class TestLife:
    def test_a_heartbeat_behind_a_lost_answer_counts(self):
        bot = living(NOON)
        beats(bot, now=NOON, beat=7, sent_at=NOON)
        beats(bot, now=NOON + MINUTE, beat=7, sent_at=NOON + MINUTE, status="stopped")

        assert stored(bot).status == "stopped"

    def test_a_web_server_that_is_started_anew_makes_nobody_silent(self):
        make_watch(name="bots", looked_at=NOON, awake_since=NOON - DAY)
        make_watch(name=DOOR, looked_at=NOON, awake_since=NOON - DAY)
        bot = living(NOON, heartbeat_interval_seconds=10)
        note_look(name=DOOR, now=NOON + 40 * SECOND, gap=20 * SECOND)

        watch_bots(now=NOON + 41 * SECOND)

        assert stored(bot).health == "ok"

    def test_trials_on_past_prices_make_no_habit(self):
        bot = stored(living(NOON))
        for number in range(10):
            moment = NOON - 900 * DAY + number * SECOND
            make_trade(bot=bot, trade_type="optimization", closed=True, entry_time=moment,
                       exit_time=moment + SECOND / 2)  # fmt: skip

        measure_usual_gaps(now=NOON)

        assert stored(bot).usual_gap_seconds is None

    def test_a_bot_that_goes_on_after_its_own_pause_is_not_idle_at_once(self):
        make_watch(name="bots", looked_at=NOON - SECOND, awake_since=NOON - 9 * DAY)
        bot = living(NOON - MINUTE, status="paused", last_activity_at=NOON - 3 * DAY,
                     usual_gap_seconds=Decimal(60))  # fmt: skip
        beats(bot, now=NOON, status="running")

        watch_bots(now=NOON + SECOND)

        assert stored(bot).health == "ok"

    def test_recovery_names_the_limits_on_what_a_bot_holds(self):
        bot = make_bot()
        make_trade(bot=bot, symbol="ETH/USD")
        limit = make_limit(symbol="ETH/USD")

        assert [each["id"] for each in recover(bot_id=bot.pk).document["limits"]] == [limit.pk]


class TestMoney:
    @pytest.mark.parametrize("order", [(1, 2), (2, 1)])
    def test_a_drawdown_does_not_depend_on_the_names_of_trades(self, order):
        bot = make_bot(initial_balance=Decimal(1000))
        for number, net in zip(order, (500, -500), strict=True):
            make_trade(pk=uuid.UUID(int=number), bot=bot, closed=True, entry_time=NOON - HOUR,
                       exit_time=NOON, net_pnl=Decimal(net),
                       gross_pnl=Decimal(net) + Decimal("10.1"))  # fmt: skip
        operators("max_drawdown", 30)

        assert evaluate_limits(now=NOON + HOUR) == 0

    def test_a_portfolio_is_told_to_the_last_digit(self):
        whole = Decimal("12345678901.123456789012345679")
        make_paper_portfolio(initial_balance=Decimal("1e-18"), quote_balance=whole)

        paper_performance.snapshot_portfolios(now=NOON)

        told = Decimal("12345678901.123456789012345678")
        assert PaperPerformance.objects.get().total_pnl == told

    def test_a_lot_holds_what_its_column_holds(self, bound):
        row = {"id": "l1", "symbol": "BTC/USD", "trade_type": "buy", "price": 1, "bot_id": "b",
               "size": "99999999999999999999.999999999999999999",
               "timestamp": "2026-03-02T11:00:00Z"}  # fmt: skip

        assert bound.post(f"{BOTS}lot-trades/", row).status_code == 201

    def test_the_rest_of_a_trade_is_closed_although_its_usual_id_is_taken(self):
        trade = opened(size=Decimal(1))
        taken = uuid.uuid5(trade.pk, "last")
        exit_part(trade_id=trade.pk, report=parting(id=str(taken), size=Decimal("0.4")), now=NOON)

        closed, _ = close_trade(trade_id=trade.pk, report=closing(), now=NOON)

        assert (closed.status, closed.partial_exits) == ("closed", 2)
        assert closed.exits.filter(pk=uuid.uuid5(trade.pk, "last 2")).exists()


class TestOrders:
    def test_the_last_fill_alone_fills_an_order(self, monkeypatch):
        told = []
        monkeypatch.setattr(fills, "record_trading_events", lambda rows: told.extend(rows))
        api = ApiClient(make_key(scopes=["bots:write"]).text)
        make_order(order_id="o")
        row = {"order_id": "o", "price": "1", "timestamp": "2026-03-02T10:00:00Z"}
        sizes = enumerate(("0.3", "0.3", "0.4"))
        rows = [row | {"fill_id": str(number), "quantity": size} for number, size in sizes]

        assert api.post(f"{BOTS}fills/", rows).status_code == 201

        partly = "order_partially_filled"
        assert [each["event_type"] for each in told] == [partly, partly, "order_filled"]

    def test_no_order_is_given_the_trade_of_another_bot(self, bound):
        api = ApiClient(make_key(scopes=["bots:write", "bots:read"]).text)
        row = {"order_id": "o", "symbol": "BTC/USD", "side": "buy", "quantity": 1}
        api.post(f"{BOTS}orders/", row | {"bot_id": make_bot(id="a").pk})
        trade = trade_row()
        bound.post(f"{BOTS}trades/", trade)

        answer = api.put(f"{BOTS}orders/o/", row | {"trade_id": trade["id"]})

        assert answer.status_code == 400
        assert Order.objects.get().trade_id is None


class TestForeignKeys:
    def test_tell_nothing_of_the_trade_of_another_bot(self, bound):
        other = make_trade(bot=make_bot(id="a"))

        answer = bound.post(f"{BOTS}trades/", trade_row(id=str(other.pk)))

        assert answer.status_code == 409
        assert [each["pointer"] for each in answer.json()["errors"]] == ["/bot_id"]

    def test_of_a_batch_of_documents_the_others_are_stored(self, bound):
        api = ApiClient(make_key(scopes=["bots:write"]).text)
        make_bot(id="a")
        api.post(f"{BOTS}state/", {"key": "theirs", "bot_id": "a", "value": 1})
        rows = [{"key": key, "bot_id": "b", "value": 2} for key in ("theirs", "mine")]

        answer = bound.post(f"{BOTS}state/", rows).json()

        assert (answer["created"], answer["failed"]) == (1, 1)


class TestOddValues:
    def test_half_a_surrogate_fails_its_row_alone(self, bound):
        rows = [trade_row(), trade_row(entry_time=SURROGATE)]

        answer = bound.post(f"{BOTS}trades/", rows)

        assert (answer.status_code, answer.json()["failed"], Trade.objects.count()) == (200, 1, 1)
        path = f"{BOTS}state/mine/"
        body = {"bot_id": "b", "value": 1, "version": SURROGATE}
        assert bound.put(path, body).status_code == 400

    def test_pages_open_with_the_largest_and_the_oldest(self, bound, admin_client: Client):
        for _ in range(3):
            make_candle()
        huge = "99999999999999999999"
        row = {"order_id": "o", "bot_id": "b", "symbol": "BTC/USD", "side": "buy", "quantity": "1"}
        bound.post(f"{BOTS}orders/", row | {"price": "0.00000001"})
        fill = {"order_id": "o", "fill_id": "f", "quantity": "1", "price": huge}
        bound.post(f"{BOTS}fills/", fill | {"timestamp": "2026-03-02T10:00:00Z"})
        old = trade_row(entry_time="0001-01-02T00:00:00Z")
        assert bound.post(f"{BOTS}trades/", old).status_code == 201

        order = f"/admin/bots/order/{Order.objects.get().pk}/change/"
        for path in ("/admin/bots/order/", order, f"/admin/bots/trade/{old['id']}/change/"):
            assert admin_client.get(path).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_limit_that_two_set_at_once_is_of_one_of_them():
    rows = [limit_row(symbol=f"COIN{number}/USD") for number in range(8)]

    found = at_once([partial(replace_limits, [row], now=NOON) for row in rows])

    # Who comes a little later is told that the symbol of a limit stays.
    stored = [each for each in found if not isinstance(each, Conflict)]
    assert sum(each.created for each in stored) == TradingLimit.objects.count() == 1
    assert not any(each.replaced for each in stored)
