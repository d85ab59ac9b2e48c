"""Orders, fills and figures in the admin."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse

from apps.bots.admin.order_pages import OrderStory, slipped
from tests.factories import (
    make_bot,
    make_bot_performance,
    make_fill,
    make_order,
    make_trade,
)
from tests.logs.pages import CONTROLS, CONTROLS_SEEN, MARKUP, page

pytestmark = pytest.mark.django_db

ORDERS, ORDER = "admin:bots_order_changelist", "admin:bots_order_change"
FILLS, FILL = "admin:bots_fill_changelist", "admin:bots_fill_change"
FIGURES = "admin:bots_botperformance_changelist"
FIGURE = "admin:bots_botperformance_change"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def filled_order(**values):
    """Make an order of 1 at 50,000 that was filled in two halves at 50,050 on average."""
    order = make_order(
        status="filled", filled_quantity=Decimal(1), average_price=Decimal(50_050), **values
    )
    make_fill(order=order, price=Decimal(50_000), timestamp=NOON)
    make_fill(order=order, price=Decimal(50_100), timestamp=NOON + timedelta(seconds=75))
    return order


class TestOrders:
    def test_list_scans_how_far_each_is_filled_and_at_which_price(self, admin_client):
        bot = make_bot(id="grid-eth")
        make_order(bot=bot, filled_quantity=Decimal("0.25"), status="partially_filled",
                   average_price=Decimal(50_050))  # fmt: skip

        html = page(admin_client, ORDERS)

        for seen in ("grid-eth", "25 %", "50,050", "+0.100 %", "Partially filled</span>"):
            assert seen in html

    @pytest.mark.parametrize("query", [{"q": "wanted-1"}, {"status__exact": "rejected"}])
    def test_list_finds_and_filters(self, admin_client, query):
        wanted, other = make_order(order_id="wanted-1", status="rejected"), make_order()

        html = page(admin_client, ORDERS, **query)

        assert reverse(ORDER, args=[wanted.pk]) in html
        assert reverse(ORDER, args=[other.pk]) not in html

    def test_list_asks_as_often_for_many_as_for_few(self, admin_client, django_assert_num_queries):
        trade = make_trade()
        make_order(bot=trade.bot, trade=trade)
        page(admin_client, ORDERS)
        with django_assert_num_queries(3) as captured:
            page(admin_client, ORDERS)
        for _ in range(5):
            make_order(bot=make_bot(), trade=make_trade())

        with django_assert_num_queries(len(captured)):
            page(admin_client, ORDERS)

    @pytest.mark.parametrize(
        ("side", "average", "worse"),
        [("buy", 50_500, 1), ("buy", 49_500, -1), ("sell", 50_500, -1), ("sell", 49_500, 1)],
    )
    def test_slippage_is_above_zero_where_it_is_worse(self, side, average, worse):
        order = make_order(side=side, average_price=Decimal(average))

        assert slipped(order) == worse

    @pytest.mark.parametrize("values", [{"price": None, "average_price": Decimal(1)}, {}])
    def test_slippage_needs_a_limit_and_a_fill(self, values):
        assert slipped(make_order(**values)) is None

    def test_page_tells_its_fills_and_its_life(self, admin_client):
        order = filled_order(
            submitted_at=NOON - timedelta(seconds=2), accepted_at=NOON - timedelta(seconds=1)
        )

        html, events = page(admin_client, ORDER, order.pk), OrderStory(order).events

        assert "+0.100 %" in html
        assert "50.00" in OrderStory(order).fees
        told = [str(each["what"]) for each in events]
        for word, each in zip(("Submitted", "Accepted", "Fill", "Fill"), told, strict=False):
            assert f">{word}<" in each
        assert [each["after"] for each in events][:4] == ["", "+1 s", "+1 s", "+1 min 15 s"]

    def test_page_costs_the_same_for_many_fills(self, admin_client, django_assert_num_queries):
        order = make_order(quantity=Decimal(100))
        make_fill(order=order)
        page(admin_client, ORDER, order.pk)
        with django_assert_num_queries(4) as captured:
            page(admin_client, ORDER, order.pk)
        for _ in range(10):
            make_fill(order=order)

        with django_assert_num_queries(len(captured)):
            page(admin_client, ORDER, order.pk)

    def test_page_shows_markup_from_outside_as_text(self, admin_client):
        order = make_order(
            bot=make_bot(id=MARKUP), order_id=MARKUP, reason=CONTROLS, symbol=MARKUP,
            late_events=2, extra_metadata={"x": MARKUP},
        )  # fmt: skip
        fill = make_fill(order=order, fill_id=MARKUP, commission_currency="<b>")

        for html in (
            page(admin_client, ORDER, order.pk),
            page(admin_client, ORDERS),
            page(admin_client, FILLS),
            page(admin_client, FILL, fill.pk),
        ):
            assert MARKUP not in html
            assert "<b>" not in html
        assert CONTROLS_SEEN in page(admin_client, ORDER, order.pk)

    def test_has_no_form(self, admin_client):
        order = make_order()

        answer = admin_client.post(reverse(ORDER, args=[order.pk]), {"status": "filled"})

        assert answer.status_code == 403


class TestFills:
    def test_list_names_side_value_and_order(self, admin_client):
        order = make_order(side="sell", order_id="sell-1")
        make_fill(order=order)

        html = page(admin_client, FILLS)

        for seen in ("Sell</span>", "25,000.00", "sell-1", "USD"):
            assert seen in html

    def test_list_asks_as_often_for_many_as_for_few(self, admin_client, django_assert_num_queries):
        make_fill()
        page(admin_client, FILLS)
        with django_assert_num_queries(3) as captured:
            page(admin_client, FILLS)
        for _ in range(5):
            make_fill()

        with django_assert_num_queries(len(captured)):
            page(admin_client, FILLS)


class TestFigures:
    def test_list_keeps_computed_and_reported_apart(self, admin_client):
        bot = make_bot()
        make_bot_performance(bot=bot)
        make_bot_performance(bot=bot, origin="reported", win_rate=70.5)

        html = page(admin_client, FIGURES, origin__exact="reported")

        assert "70.5 %" in html
        assert "66.7 %" not in html

    def test_says_why_a_figure_is_empty_and_how_each_is_defined(self, admin_client):
        row = make_bot_performance(
            reasons={"sharpe_ratio": "All exits are on one day."},
            definitions={"win_rate": "win_rate/net/decided/percent"},
        )

        html = page(admin_client, FIGURE, row.pk)

        assert "All exits are on one day." in html
        assert "win_rate/net/decided/percent" in html
