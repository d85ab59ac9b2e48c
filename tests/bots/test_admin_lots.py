"""Lots in the admin: marked to market without a query per row, each booking with what it left."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.bots.admin import money
from apps.bots.admin.lot_pages import LotStory
from apps.market.choices import Granularity
from apps.market.domain.candles import aligned_start
from tests.analysis.pages import staff
from tests.factories import NOON, make_bot, make_candle, make_limit, make_lot_trade, make_position

pytestmark = pytest.mark.django_db

LIST = "/admin/bots/position/"
HOSTILE = "<script>x</script>"
# The session and its user, the rows, their newest prices, and what the page around them asks.
MOST_LIST_QUERIES, MOST_PAGE_QUERIES = 5, 7


def price_of(symbol, close, *, age=timedelta(minutes=10)):
    start = aligned_start(timezone.now() - age, Granularity.M5)
    close = Decimal(close)
    return make_candle(
        symbol=symbol, timestamp=start, open=close, high=close, low=close, close=close
    )


def shown(client, url, **query):
    return client.get(url, query).content.decode()


def page_of(lot):
    return reverse("admin:bots_position_change", args=[lot.pk])


def story(lot, user):
    return LotStory(lot, now=timezone.now(), user=user)


def words(safe):
    return re.sub(r"<[^>]*>", "", str(safe))


class TestMoney:
    @pytest.mark.parametrize(
        ("value", "said"),
        [
            ("1234.567", "1,234.57"),
            ("-55", "−55.00"),
            ("0.000123456", "0.0001235"),
            ("0", "0.00"),
            ("99999999999999999999.123456789012345678", "99,999,999,999,999,999,999.12"),
        ],
    )
    def test_is_told_to_two_places_and_a_little_of_it_to_four_digits(self, value, said):
        assert money.money_words(Decimal(value)) == said

    def test_keeps_all_its_digits_on_hover(self):
        assert 'title="89.912345678901234567 USD"' in money.signed_money(
            Decimal("89.912345678901234567"), currency="USD"
        )

    def test_that_is_endless_is_cut_and_whole_on_hover(self):
        cut = money.size(Decimal("54425.943400000000000123"))

        assert words(cut) == "54,425.9434…"
        assert 'title="54425.943400000000000123"' in cut


class TestList:
    def test_marks_what_is_held_at_the_newest_price(self, admin_client):
        price_of("BTC/USD", 42_000)
        make_position(available_size=Decimal("0.5"), realized_pnl=Decimal("-12.5"), fees=3)

        html = shown(admin_client, LIST)

        assert "+4,000.00" in html  # (42,000 − 40,000) × 2
        assert "−12.50" in html
        assert ">1.5<" in html  # reserved

    def test_says_why_a_mark_is_missing_and_how_old_one_is(self, admin_client):
        price_of("OLD/USD", 40_000, age=timedelta(days=2))
        make_position(symbol="OLD/USD"), make_position(symbol="NONE/USD")

        html = shown(admin_client, LIST)

        assert money.NO_PRICE in html
        assert "b-warn" in html
        assert "old</span>" in html

    def test_asks_for_all_prices_at_once(self, admin_client, django_assert_max_num_queries):
        for number in range(6):
            price_of(f"S{number}", 10)
            make_position(symbol=f"S{number}", bot=make_bot())

        with django_assert_max_num_queries(MOST_LIST_QUERIES):
            assert "S5" in shown(admin_client, LIST)

    def test_tells_open_lots_from_closed_ones(self, admin_client):
        make_position(lot_id="still-there")
        make_position(lot_id="sold-out", total_size=0, available_size=0, closed_at=NOON)

        held = shown(admin_client, LIST, state="open")
        closed = shown(admin_client, LIST, state="closed")

        assert "still-there" in held
        assert "sold-out" not in held
        assert "sold-out" in closed
        assert "still-there" not in closed

    def test_has_no_form(self, admin_client):
        assert admin_client.get(LIST + "add/").status_code == 403


class TestPage:
    def test_tells_what_the_lot_held_after_each_booking(self, admin_user):
        lot = make_position(total_size=Decimal("1.25"), available_size=Decimal("1.25"))
        for hours, side, size in ((0, "buy", "1"), (1, "buy", "1"), (2, "sell", "0.75")):
            at = NOON + timedelta(hours=hours)
            make_lot_trade(lot=lot, trade_type=side, size=Decimal(size), timestamp=at)
        make_lot_trade()

        lines = story(lot, admin_user).shown_bookings

        assert [words(line["running"]) for line in lines] == ["1.25", "2", "1"]
        assert [words(line["value"]) for line in lines] == ["30,000.00", "40,000.00", "40,000.00"]

    def test_shows_only_so_many_bookings_but_counts_them_all(self, admin_user, monkeypatch):
        monkeypatch.setattr("apps.bots.admin.lot_pages.MOST_BOOKINGS", 2)
        lot = make_position()
        for _ in range(3):
            make_lot_trade(lot=lot, size=Decimal(1))

        told = story(lot, admin_user)

        assert [words(line["running"]) for line in told.shown_bookings] == ["3", "2"]
        assert told.more_bookings

    def test_names_the_bot_and_the_limits_on_it(self, admin_client):
        lot = make_position(bot=make_bot(id="odd bot?"))
        limit = make_limit(lot=lot, usage=Decimal("0.9"))
        make_limit(id="another-lot")

        html = shown(admin_client, page_of(lot))

        assert "odd bot?" in html
        assert reverse("admin:bots_tradinglimit_change", args=[limit.pk]) in html
        assert "90 %" in html
        assert "another-lot" not in html

    def test_costs_the_same_for_many_bookings(self, admin_client, django_assert_max_num_queries):
        lot = make_position(bot=make_bot())
        for _ in range(8):
            make_lot_trade(lot=lot, bot=lot.bot), make_limit(lot=lot)

        with django_assert_max_num_queries(MOST_PAGE_QUERIES):
            shown(admin_client, page_of(lot))

    def test_shows_text_from_outside_as_text(self, admin_client):
        bot = make_bot(id=HOSTILE.replace("/", ""))
        lot = make_position(lot_id=HOSTILE, symbol=HOSTILE, bot=bot)
        booking = make_lot_trade(lot=lot, notes=HOSTILE, symbol=HOSTILE)

        addresses = [
            LIST,
            "/admin/bots/lottrade/",
            reverse("admin:bots_position_change", args=["_3Cscript_3Ex_3C_2Fscript_3E"]),
            reverse("admin:bots_lottrade_change", args=[booking.pk]),
        ]
        for address in addresses:
            html = shown(admin_client, address)
            assert "&lt;script&gt;x" in html
            assert "<script>x" not in html

    def test_keeps_bookings_and_limits_from_those_who_may_not_see_them(self):
        lot = make_position()
        make_lot_trade(lot=lot, id="secret-booking"), make_limit(lot=lot, id="secret-limit")
        client = staff("bots.view_position")

        html = shown(client, page_of(lot))

        assert "secret-booking" not in html
        assert "secret-limit" not in html
        assert "Set one" not in html
