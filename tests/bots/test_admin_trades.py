"""Trades in the admin: what is added up and what never is, and the page of one."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from apps.bots.admin import ledger
from apps.bots.admin.trade_pages import TradeStory
from apps.bots.models import Trade
from apps.logs.models import Notification
from tests.factories import make_bot, make_candle, make_fill, make_order, make_trade
from tests.logs.pages import CONTROLS, CONTROLS_SEEN, MARKUP, exported, page

pytestmark = pytest.mark.django_db

TRADES = "admin:bots_trade_changelist"
TRADE = "admin:bots_trade_change"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MOST_QUERIES = 14


def story(trade, *, now=NOON + timedelta(hours=6)):
    return TradeStory(Trade.objects.get(pk=trade.pk), now=now)


def in_parts(**values):
    """Make a trade of 0.1 closed in two parts of 0.04 and 0.06."""
    root = make_trade(closed=True, partial_exits=2, **values)
    for number, size, net in ((1, "0.04", "35.96"), (2, "0.06", "53.94")):
        share = Decimal(size) * 10
        make_trade(
            bot=root.bot, closed=True, parent_trade=root, is_partial_exit=True,
            partial_exit_sequence=number, size=Decimal(size), gross_pnl=100 * share,
            commission=Decimal("10.1") * share, net_pnl=Decimal(net),
            entry_time=root.entry_time, exit_time=root.exit_time + timedelta(minutes=number),
        )  # fmt: skip
    return root


def candles(hours, *, symbol="BTC/USD"):
    for hour in range(hours):
        make_candle(symbol=symbol, timestamp=NOON + timedelta(hours=hour - 20))


class TestTotals:
    def test_are_apart_for_each_type_and_currency(self):
        bot = make_bot()
        make_trade(bot=bot, closed=True), make_trade(bot=bot, closed=True)
        make_trade(bot=bot, closed=True, trade_type="paper")
        make_trade(bot=bot, closed=True, quote_currency="EUR")
        make_trade(bot=bot)

        found = ledger.totals_of(Trade.objects.roots())

        assert [(one.trade_type, one.quote_currency, one.rows, one.net) for one in found.lines] == [
            ("live", "EUR", 1, Decimal("89.9")),
            ("live", "USD", 3, Decimal("179.8")),
            ("paper", "USD", 1, Decimal("89.9")),
        ]
        assert [one.open for one in found.lines] == [0, 1, 0]

    @pytest.mark.parametrize(("query", "rows"), [({}, 1), ({"parts": "parts"}, 2)])
    def test_never_add_a_trade_to_its_parts(self, admin_client, query, rows):
        in_parts()

        html = page(admin_client, TRADES, **query)

        assert "+89.90</span></strong>" in html
        assert f'<td class="b-r"><span class="b-num">{rows}</span></td>' in html

    def test_leave_out_what_is_realized_of_open_trades(self):
        make_trade(
            partial_exits=1, gross_pnl=Decimal(20), commission=Decimal(2), net_pnl=Decimal(18)
        )

        (line,) = ledger.totals_of(Trade.objects.roots()).lines

        assert (line.rows, line.open, line.net) == (1, 1, None)

    def test_follow_the_filters(self, admin_client):
        make_trade(closed=True)
        make_trade(closed=True, symbol="ETH/USD", gross_pnl=Decimal("60.1"), net_pnl=Decimal(50))

        html = page(admin_client, TRADES, symbol="ETH/USD")

        assert "+50.00</span></strong>" in html
        assert "+89.90" not in html

    def test_are_not_made_of_a_part_of_the_rows(self, admin_client, monkeypatch):
        for _ in range(3):
            make_trade(closed=True)

        assert ledger.totals_of(Trade.objects.roots(), most=2) == ledger.Totals([], too_many=True)
        assert len(ledger.totals_of(Trade.objects.roots(), most=3).lines) == 1


class TestList:
    def test_scans_what_came_of_each(self, admin_client):
        trade = make_trade(closed=True, exit_time=NOON + timedelta(hours=3), entry_time=NOON)

        html = page(admin_client, TRADES)

        for seen in ("+100.00", "−10.10", "+89.90", "+1.80 %", "3 h", "take_profit", "51,000"):
            assert seen in html
        assert str(trade.pk) in html

    def test_shows_whole_trades_unless_asked_for_parts(self, admin_client):
        root = in_parts()
        (first, second) = root.exits.order_by("partial_exit_sequence")

        whole, parts = page(admin_client, TRADES), page(admin_client, TRADES, parts="parts")

        assert "Whole trades" in whole
        assert reverse(TRADE, args=[root.pk]) in whole
        assert reverse(TRADE, args=[first.pk]) not in whole
        assert reverse(TRADE, args=[root.pk]) not in parts
        assert reverse(TRADE, args=[second.pk]) in parts

    @pytest.mark.parametrize("term", ["eth/usd", "ETH/USD", "id"])
    def test_finds_by_symbol_and_id(self, admin_client, term):
        trade, other = make_trade(symbol="ETH/USD"), make_trade()

        html = page(admin_client, TRADES, q=str(trade.pk) if term == "id" else term)

        assert reverse(TRADE, args=[trade.pk]) in html
        assert reverse(TRADE, args=[other.pk]) not in html

    @pytest.mark.parametrize(
        "query",
        [
            {"exit_time_after": "2026-03-02", "exit_time_before": "2026-03-02"},
            {"net_pnl_min": "80", "net_pnl_max": "90"},
            {"status__exact": "closed"},
            {"trade_type__exact": "paper"},
            {"direction__exact": "short"},
        ],
    )
    def test_filters(self, admin_client, query):
        wanted = make_trade(closed=True, trade_type="paper", direction="short")
        other = make_trade()

        html = page(admin_client, TRADES, **query)

        assert reverse(TRADE, args=[wanted.pk]) in html
        assert reverse(TRADE, args=[other.pk]) not in html

    def test_filters_by_bot(self, admin_client):
        mine, other = make_trade(), make_trade()

        html = page(admin_client, TRADES, bot__id__exact=mine.bot_id)

        assert reverse(TRADE, args=[mine.pk]) in html
        assert reverse(TRADE, args=[other.pk]) not in html

    def test_neither_counts_nor_reads_what_is_long(
        self, admin_client, django_assert_max_num_queries
    ):
        for _ in range(5):
            make_trade(closed=True)
        with django_assert_max_num_queries(MOST_QUERIES) as captured:
            page(admin_client, TRADES)

        read = [each["sql"] for each in captured if 'FROM "trades"' in each["sql"]]
        assert read
        assert not [sql for sql in read if "COUNT(" in sql or '"extra_metadata"' in sql]

    def test_shows_markup_from_outside_as_text(self, admin_client):
        make_trade(
            bot=make_bot(id=MARKUP), closed=True, symbol=MARKUP, exit_reason=CONTROLS,
            quote_currency="<b>",
        )  # fmt: skip

        html = page(admin_client, TRADES)

        assert MARKUP not in html
        assert "<b>" not in html
        assert CONTROLS not in html

    def test_exports_what_the_filters_let_through(self, admin_client):
        trade = make_trade(closed=True, exit_reason="=HYPERLINK(1)")
        make_trade(symbol="ETH/USD")

        text = exported(admin_client, TRADES, symbol="BTC/USD").decode("utf-8-sig")
        (row,) = csv.DictReader(io.StringIO(text))

        assert row["id"] == str(trade.pk)
        assert (row["net_pnl"], row["exit_reason"]) == ("89.9", "'=HYPERLINK(1)")


class TestPage:
    def test_splits_what_came_of_it_in_gross_fees_and_net(self, admin_client):
        html = page(admin_client, TRADE, make_trade(closed=True).pk)

        for seen in ("+100.00", "10.10", "5.00", "+89.90", "+1.80 %"):
            assert seen in html

    def test_says_when_the_bot_made_something_else_of_it(self):
        (warning,) = story(make_trade(closed=True, reported_net_pnl=Decimal(90))).standing

        assert "+0.10" in warning[1]

    def test_keeps_quiet_when_both_agree(self):
        assert not list(story(make_trade(closed=True, reported_net_pnl=Decimal("89.9"))).standing)

    def test_measures_what_is_left_at_the_newest_price(self):
        make_candle(symbol="BTC/USD", timestamp=NOON, close=Decimal(49_000), high=Decimal(50_000))
        long = make_trade(remaining_position_size=Decimal("0.06"), partial_exits=1)
        short = make_trade(direction="short")

        assert "−60.00" in story(long).unrealized
        assert "+100.00" in story(short).unrealized

    def test_of_what_is_open_shows_no_sum_of_nothing(self, admin_client):
        html = page(admin_client, TRADE, make_trade().pk)

        assert "Nothing of it is closed yet." in html
        assert "b-sum" not in html

    def test_says_that_no_price_is_known(self):
        assert "No price" in story(make_trade(symbol="XRP/USD")).unrealized

    def test_tells_its_life_in_order(self):
        trade = make_trade(
            closed=True, entry_time=NOON, exit_time=NOON + timedelta(hours=2),
            buy_order_created=NOON - timedelta(seconds=30), exit_reason="stop",
        )  # fmt: skip
        order = make_order(
            trade=trade, order_id="buy-1", submitted_at=NOON - timedelta(seconds=20),
            accepted_at=NOON - timedelta(seconds=19),
        )  # fmt: skip
        make_fill(order=order, timestamp=NOON - timedelta(seconds=1))

        told = [str(each["what"]) for each in story(trade).events]

        words = ["Buy order made", "Order", "Order accepted", "Fill", "Entry", "Exit"]
        assert len(told) == len(words)
        assert all(f">{word}<" in each for word, each in zip(words, told, strict=True))
        assert story(trade).events[-1]["after"] == "+2 h"

    def test_shows_its_parts_and_leads_back_from_them(self, admin_client):
        root = in_parts()
        part = root.exits.get(partial_exit_sequence=1)

        whole, one = page(admin_client, TRADE, root.pk), page(admin_client, TRADE, part.pk)

        assert reverse(TRADE, args=[part.pk]) in whole
        assert reverse(TRADE, args=[root.pk]) in one
        assert "counts as one trade" in one

    def test_marks_entry_exit_and_parts_in_its_candles(self):
        candles(40)
        root = in_parts(entry_time=NOON, exit_time=NOON + timedelta(hours=3))

        chart = story(root).picture.chart

        assert [line["title"] for line in chart["lines"]] == ["Entry", "Exit"]
        signs = {marker["text"]: marker for marker in chart["markers"]}
        assert set(signs) == {"Entry", "Exit +1.80 %", "Part 1", "Part 2"}
        assert signs["Entry"]["time"] == int(NOON.timestamp())
        assert signs["Entry"]["position"] == "belowBar"
        assert signs["Exit +1.80 %"]["position"] == "aboveBar"

    def test_has_no_chart_without_candles_of_its_time(self, admin_client):
        make_candle(symbol="BTC/USD", timestamp=NOON - timedelta(days=300))

        html = page(admin_client, TRADE, make_trade(closed=True).pk)

        assert "No candles of BTC/USD around this trade." in html

    @pytest.mark.parametrize("values", [{"status": "cancelled"}, {"size": None}, {}])
    def test_opens_whatever_is_not_known(self, admin_client, values):
        nothing = dict.fromkeys(
            ["entry_time", "entry_price", "entry_value", "entry_commission", "commission_rate",
             "original_position_size", "remaining_position_size"]
        )  # fmt: skip
        candles(3)

        assert page(admin_client, TRADE, make_trade(**nothing | values).pk)

    def test_costs_the_same_for_many_parts_orders_and_fills(
        self, admin_client, django_assert_num_queries
    ):
        candles(30)
        root = in_parts(entry_time=NOON - timedelta(hours=5), exit_time=NOON)
        make_fill(order=make_order(trade=root, bot=root.bot))
        page(admin_client, TRADE, root.pk)
        with django_assert_num_queries(10) as captured:
            page(admin_client, TRADE, root.pk)
        for _ in range(10):
            make_fill(order=make_order(trade=root, bot=root.bot))

        with django_assert_num_queries(len(captured)):
            page(admin_client, TRADE, root.pk)

    def test_shows_markup_from_outside_as_text(self, admin_client):
        trade = make_trade(
            bot=make_bot(id=MARKUP), closed=True, symbol=MARKUP, exit_reason=MARKUP,
            strategy_name=CONTROLS, extra_metadata={"x": MARKUP},
        )  # fmt: skip
        make_fill(order=make_order(trade=trade, order_id=MARKUP), fill_id=MARKUP)

        html = page(admin_client, TRADE, trade.pk)

        assert MARKUP not in html
        assert CONTROLS_SEEN in html

    @pytest.mark.parametrize("key", ["nonsense", "5f0c2a1e-7d6b-4c3a-9e8f-0a1b2c3d4e5f", "1"])
    def test_of_no_trade_goes_back(self, admin_client, key):
        assert admin_client.get(reverse(TRADE, args=[key])).status_code == 302

    def test_has_no_form_for_money(self, admin_client):
        trade = make_trade(closed=True)

        answer = admin_client.post(reverse(TRADE, args=[trade.pk]), {"net_pnl": "1000"})

        assert answer.status_code == 403
        assert "Edit" not in page(admin_client, TRADE, trade.pk)


class TestReminder:
    def test_is_told_once_a_day_of_what_is_open(self, admin_client):
        trade, closed = make_trade(), make_trade(closed=True)
        url = reverse("admin:bots_trade_remind", args=[trade.pk])

        asked = admin_client.post(url).content.decode()
        assert "Close reminder 1 trade?" in asked
        assert not Notification.objects.exists()
        for _ in range(2):
            admin_client.post(url, {"confirmed": "yes"})
        admin_client.post(
            reverse("admin:bots_trade_remind", args=[closed.pk]), {"confirmed": "yes"}
        )

        told = Notification.objects.get(what="close_reminder")
        assert str(trade.pk) in told.message
        assert admin_client.get(told.link).status_code == 200

    def test_is_for_those_who_may_change_trades(self):
        viewer = User.objects.create_user("someone", is_staff=True)
        viewer.user_permissions.add(Permission.objects.get(codename="view_trade"))
        client = Client()
        client.force_login(viewer)
        trade = make_trade()

        url = reverse("admin:bots_trade_remind", args=[trade.pk])
        assert client.post(url, {"confirmed": "yes"}).status_code == 403
        assert "Close reminder" not in page(client, TRADE, trade.pk)
