"""Paper portfolios in the admin: marked to market, opened by a form, reset with their history."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.bots.admin.paper_pages import PortfolioStory
from apps.bots.choices import Origin, Side
from apps.bots.models import PaperPortfolio
from apps.bots.services import paper
from apps.market.choices import Granularity
from apps.market.domain.candles import aligned_start
from tests.analysis.pages import staff
from tests.factories import (
    make_bot,
    make_candle,
    make_paper_performance,
    make_paper_portfolio,
    make_paper_trade,
)

pytestmark = pytest.mark.django_db

LIST, ADD = "/admin/bots/paperportfolio/", "/admin/bots/paperportfolio/add/"
HOSTILE = "<script>x</script>"
MOST_LIST_QUERIES, MOST_PAGE_QUERIES = 5, 9
OPERATOR = ("bots.view_paperportfolio", "bots.add_paperportfolio", "bots.change_paperportfolio")


def price(close, *, symbol="BTC/USD", ago=timedelta(minutes=10)):
    start = aligned_start(timezone.now() - ago, Granularity.M5)
    close = Decimal(close)
    return make_candle(
        symbol=symbol, timestamp=start, open=close, high=close, low=close, close=close
    )


def address(portfolio, page="change"):
    return reverse(f"admin:bots_paperportfolio_{page}", args=[portfolio.pk])


def words(safe):
    return re.sub(r"<[^>]*>", "", str(safe))


def story(portfolio, user):
    return PortfolioStory(portfolio, now=timezone.now(), user=user)


def send(client, **changes):
    values = {
        "name": "mean reversion",
        "symbol": "BTC/USD",
        "initial_balance": "10000",
        "fee_rate": "0.1",
        "slippage": "0.05",
    }
    return client.post(ADD, values | changes)


def errors(answer):
    html = answer.content.decode()
    fields = re.findall(r'b-field-(\w+)">(.*?)(?=<div class="b-field|<datalist)', html, re.DOTALL)
    found = {name: re.findall(r'b-error" role="alert">([^<]*)<', inner) for name, inner in fields}
    return {name: said for name, said in found.items() if said}


class TestList:
    def test_marks_each_at_its_newest_price(self, admin_client):
        price(60_000)
        make_paper_portfolio(quote_balance=Decimal(5_000), asset_balance=Decimal("0.1"))

        html = admin_client.get(LIST).content.decode()

        assert "11,000.00" in html
        assert "+1,000.00" in html
        assert "+10.00 %" in html

    def test_is_empty_where_no_price_is_known_but_knows_cash(self, admin_client):
        make_paper_portfolio(asset_balance=Decimal(1))
        make_paper_portfolio(quote_balance=Decimal(9_999))

        html = admin_client.get(LIST).content.decode()

        assert "No candle of this symbol is stored." in html
        assert "−1.00" in html

    def test_asks_for_all_prices_at_once(self, admin_client, django_assert_max_num_queries):
        for number in range(6):
            price(10, symbol=f"S{number}/USD")
            make_paper_portfolio(symbol=f"S{number}/USD", bot=make_bot())

        with django_assert_max_num_queries(MOST_LIST_QUERIES):
            admin_client.get(LIST)


class TestPage:
    def test_tells_what_it_is_worth_now(self, admin_user):
        price(50_000)
        portfolio = make_paper_portfolio(fee_rate=Decimal("0.001"))
        order = paper.PaperOrder("one", Side.BUY, amount=Decimal("0.1"))
        paper.trade(portfolio_id=portfolio.pk, order=order, now=timezone.now())
        price(51_000, ago=timedelta(minutes=5))
        portfolio.refresh_from_db()

        told = story(portfolio, admin_user)

        assert words(told.equity) == "10,095.00"
        assert words(told.total) == "+95.00"
        assert words(told.unrealized) == "+95.00"
        assert words(told.total_pct) == "+0.95 %"
        assert told.costs == "0.1 % fee, 0 % slippage"

    def test_draws_its_own_snapshots_up_to_now(self, admin_user):
        portfolio = make_paper_portfolio()
        now = timezone.now()
        for minutes, origin in ((60, Origin.COMPUTED), (30, Origin.COMPUTED), (40, "reported")):
            make_paper_performance(
                portfolio=portfolio, timestamp=now - timedelta(minutes=minutes), origin=origin,
                total_value=Decimal(10_000 + minutes),
            )  # fmt: skip

        points = story(portfolio, admin_user).points

        assert [value for _, value in points] == [10_060.0, 10_030.0, 10_000.0]

    def test_draws_of_many_snapshots_no_more_than_can_be_seen(self, admin_user, monkeypatch):
        monkeypatch.setattr("apps.bots.admin.paper_pages.MOST_POINTS", 4)
        portfolio = make_paper_portfolio()
        now = timezone.now()
        PaperPortfolio.objects.filter(pk=portfolio.pk).update(created_at=now - timedelta(hours=10))
        portfolio.refresh_from_db()
        for number in range(40):
            make_paper_performance(
                portfolio=portfolio, timestamp=now - timedelta(minutes=15 * (40 - number))
            )

        assert 4 <= len(story(portfolio, admin_user).points) <= 6

    def test_links_the_generations_of_a_reset(self, admin_client):
        first = make_paper_portfolio(name="scalper")
        second = paper.reset(portfolio_id=first.pk, by="ada", now=timezone.now())

        old = admin_client.get(address(first)).content.decode()
        new = admin_client.get(address(second)).content.decode()

        assert address(second) in old
        assert "generation 2" in old
        assert address(first) in new
        assert ">Reset<" in new
        assert ">Reset<" not in old

    def test_shows_trades_with_what_they_brought(self, admin_client):
        portfolio = make_paper_portfolio()
        make_paper_trade(portfolio=portfolio, trade_type="sell", pnl=Decimal("-8.42"))
        make_paper_trade(id="of-another")

        html = admin_client.get(address(portfolio)).content.decode()

        assert "−8.42" in html
        assert "of-another" not in html

    def test_costs_the_same_for_many_trades(self, admin_client, django_assert_max_num_queries):
        price(50_000)
        portfolio = make_paper_portfolio(bot=make_bot())
        for _ in range(8):
            make_paper_trade(portfolio=portfolio), make_paper_performance(portfolio=portfolio)

        with django_assert_max_num_queries(MOST_PAGE_QUERIES):
            admin_client.get(address(portfolio))

    def test_keeps_trades_and_course_from_those_who_may_not_see_them(self):
        portfolio = make_paper_portfolio()
        make_paper_trade(portfolio=portfolio, id="secret-trade")
        make_paper_performance(portfolio=portfolio, timestamp=timezone.now())

        html = staff("bots.view_paperportfolio").get(address(portfolio)).content.decode()

        assert "secret-trade" not in html
        assert "<line-chart" not in html
        assert ">Reset<" not in html

    def test_shows_text_from_outside_as_text(self, admin_client):
        portfolio = make_paper_portfolio(name=HOSTILE, symbol=HOSTILE)
        make_paper_trade(portfolio=portfolio), make_paper_performance(portfolio=portfolio)

        for url in (LIST, address(portfolio), "/admin/bots/papertrade/"):
            html = admin_client.get(url).content.decode()
            assert "&lt;script&gt;x" in html
            assert "<script>x" not in html


class TestReset:
    def test_asks_first_and_keeps_the_history(self):
        portfolio = make_paper_portfolio(name="scalper", quote_balance=Decimal(7))
        make_paper_trade(portfolio=portfolio)
        client = staff(*OPERATOR)

        asked = client.post(address(portfolio, "reset")).content.decode()

        assert "What is held is not sold." in asked
        assert PaperPortfolio.objects.active().get() == portfolio
        client.post(address(portfolio, "reset"), {"confirmed": "1"})
        fresh = PaperPortfolio.objects.active().get()
        assert (fresh.generation, fresh.quote_balance) == (2, Decimal(10_000))
        assert portfolio.trades.count() == 1

    def test_is_done_once_though_asked_twice(self):
        portfolio = make_paper_portfolio()
        client = staff(*OPERATOR)

        for _ in range(2):
            client.post(address(portfolio, "reset"), {"confirmed": "1"})

        assert PaperPortfolio.objects.count() == 2

    def test_is_not_for_those_who_only_look(self):
        portfolio = make_paper_portfolio()

        answer = staff("bots.view_paperportfolio").post(
            address(portfolio, "reset"), {"confirmed": "1"}
        )

        assert answer.status_code == 403
        assert PaperPortfolio.objects.count() == 1


class TestForm:
    def test_opens_a_portfolio_with_costs_told_in_percent(self):
        answer = send(staff(*OPERATOR), bot=make_bot(id="grid").pk)

        opened = PaperPortfolio.objects.get()
        assert answer.url == address(opened)
        assert (opened.fee_rate, opened.slippage) == (Decimal("0.001"), Decimal("0.0005"))
        assert (opened.quote_balance, opened.bot_id) == (Decimal(10_000), "grid")

    def test_opens_one_though_it_is_sent_twice(self):
        client = staff(*OPERATOR)

        assert {send(client).status_code, send(client).status_code} == {302}
        assert PaperPortfolio.objects.count() == 1

    @pytest.mark.parametrize(
        ("changes", "fields"),
        [
            ({"name": ""}, {"name"}),
            ({"symbol": ""}, {"symbol"}),
            ({"initial_balance": "0"}, {"initial_balance"}),
            ({"fee_rate": "100"}, {"fee_rate"}),
            ({"slippage": "-1"}, {"slippage"}),
            ({"fee_rate": "0.1234567"}, {"fee_rate"}),
            ({"bot": "unknown"}, {"bot"}),
        ],
    )
    def test_says_at_each_field_what_is_wrong(self, changes, fields):
        answer = send(staff(*OPERATOR), **changes)

        assert answer.status_code == 200
        assert set(errors(answer)) == fields
        assert not PaperPortfolio.objects.exists()

    def test_says_that_a_name_is_in_use_with_other_terms(self):
        client = staff(*OPERATOR)
        send(client)

        refused = send(client, fee_rate="0.2")

        assert errors(refused) == {"fee_rate": ["One of this name is in use with other terms."]}

    def test_is_for_those_who_may_open_one(self):
        client = staff("bots.view_paperportfolio")

        assert (client.get(ADD).status_code, send(client).status_code) == (403, 403)
