"""Paper portfolios: opened, traded, begun anew, marked to market."""

import os
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal as D
from math import sqrt
from statistics import fmean, stdev

import pytest

from apps.bots.choices import Origin, Side
from apps.bots.domain.paper import InsufficientAsset, InsufficientFunds
from apps.bots.models import PaperPerformance, PaperPortfolio, PaperTrade
from apps.bots.services.paper import (
    PaperOrder,
    PortfolioClosed,
    UnknownPortfolio,
    change_portfolio,
    open_portfolios,
    place_orders,
    reset,
    trade,
)
from apps.bots.services.paper_performance import snapshot_portfolios, store_reported
from apps.market.services.prices import MAX_PRICE_AGE, NoPrice, StalePrice
from apps.shared.errors import Conflict
from tests.bots.limit_rows import DAY, HOUR, MINUTE, NOON, bar
from tests.factories import make_bot, make_paper_performance, make_paper_portfolio
from tests.threads import at_once

pytestmark = pytest.mark.django_db

ROUNDS = int(os.environ.get("BOTS_ROUNDS", "3"))
LATER = NOON + 10 * MINUTE
BUY, SELL = Side.BUY, Side.SELL


@dataclass(frozen=True)
class Row:
    name: str = "mine"
    symbol: str = "BTC/USD"
    initial_balance: D = D(10_000)
    bot_id: str | None = None
    fee_rate: D = D(0)
    slippage: D = D(0)


@dataclass(frozen=True)
class Report:
    portfolio_id: int | None
    timestamp: object = NOON
    total_value: D = D(10_500)
    daily_pnl: D | None = None
    total_pnl: D | None = D(500)
    win_rate: D | None = None
    sharpe_ratio: float | None = 1.5
    max_drawdown: D | None = None
    price: D | None = None


def opened(**values):
    open_portfolios([Row(**values)], now=NOON)
    return PaperPortfolio.objects.get(name=values.get("name", "mine"), is_active=True)


def order(portfolio, side, order_id="one", now=LATER, **values):
    sizes = {name: D(str(value)) for name, value in values.items()}
    return trade(portfolio_id=portfolio.pk, order=PaperOrder(order_id, side, **sizes), now=now)


def fresh(portfolio):
    return PaperPortfolio.objects.get(pk=portfolio.pk)


class TestOpening:
    def test_begins_with_cash_alone(self):
        portfolio = opened(initial_balance=D(500))

        assert (portfolio.quote_balance, portfolio.asset_balance) == (500, 0)
        assert (portfolio.generation, portfolio.realized_pnl, portfolio.total_pnl) == (1, 0, 0)

    def test_again_is_unchanged_and_other_terms_are_named(self):
        rows = [Row("a"), Row("b"), Row("a"), Row("b", fee_rate=D("0.1")), Row("c", bot_id="none")]

        first = open_portfolios(rows, now=NOON)
        again = open_portfolios(rows[:2], now=NOON)

        assert (first.created, first.unchanged, first.failed) == (2, 1, 2)
        named = [(r.index, [e.pointer for e in r.errors]) for r in first.results if r.errors]
        assert named == [(3, ["/fee_rate"]), (4, ["/bot_id"])]
        assert (again.unchanged, PaperPortfolio.objects.count()) == (2, 2)

    def test_at_once_opens_one(self, transactional_db):
        found = at_once([lambda: open_portfolios([Row()], now=NOON)] * 4)

        assert sum(outcome.created for outcome in found) == 1
        assert PaperPortfolio.objects.count() == 1

    def test_changes_its_terms_of_trade_alone(self):
        portfolio = opened()
        changed = {"portfolio_id": portfolio.pk, "now": NOON}

        change_portfolio(row=Row(fee_rate=D("0.001")), **changed)
        refused = change_portfolio(row=Row(symbol="ETH/USD", initial_balance=D(1)), **changed)

        assert fresh(portfolio).fee_rate == D("0.001")
        assert [e.pointer for e in refused.results[0].errors] == ["/symbol", "/initial_balance"]


class TestTrading:
    def test_moves_cash_and_asset_at_the_newest_price(self):
        bar(NOON, 50_000)
        portfolio = opened(fee_rate=D("0.001"), slippage=D("0.002"))

        bought, created = order(portfolio, BUY, amount="0.1")

        assert created
        assert (bought.price, bought.market_price, bought.value) == (50_100, 50_000, 5_010)
        assert (bought.fee, bought.pnl, bought.timestamp) == (D("5.01"), None, LATER)
        held = fresh(portfolio)
        assert (held.quote_balance, held.asset_balance) == (D("4984.99"), D("0.1"))
        assert (held.avg_buy_price, held.total_pnl) == (D("50150.1"), D("-15.01"))

    def test_realizes_after_all_fees(self):
        bar(NOON, 50_000)
        portfolio = opened(fee_rate=D("0.001"))
        order(portfolio, BUY, amount="0.1")
        bar(LATER, 51_000)

        sold, _ = order(portfolio, SELL, "two", LATER + HOUR, amount="0.1")

        assert sold.pnl == D("89.90")
        held = fresh(portfolio)
        assert (held.quote_balance, held.asset_balance) == (D("10089.90"), 0)
        assert (held.realized_pnl, held.total_pnl) == (D("89.90"), D("89.90"))
        assert held.avg_buy_price is None

    def test_again_gives_the_same_trade(self):
        bar(NOON, 50_000)
        portfolio = opened()
        first, _ = order(portfolio, BUY, value=100)
        bar(LATER, 60_000)

        again, created = order(portfolio, BUY, now=LATER + HOUR, value=100)

        assert (again, created) == (first, False)
        assert fresh(portfolio).quote_balance == 9_900

    @pytest.mark.parametrize(
        ("side", "values", "pointer"),
        [
            (SELL, {"value": 100}, "/side"),
            (BUY, {"value": 101}, "/value"),
            (BUY, {"amount": 1}, "/amount"),
            (BUY, {"value": 100, "price": 50_000}, "/price"),
        ],
    )
    def test_an_id_is_one_order(self, side, values, pointer):
        bar(NOON, 50_000)
        portfolio = opened()
        order(portfolio, BUY, value=100)

        with pytest.raises(Conflict) as refused:
            order(portfolio, side, **values)
        assert [e.pointer for e in refused.value.errors] == [pointer]
        assert fresh(portfolio).quote_balance == 9_900

    def test_takes_a_price_of_the_sender_and_says_so(self):
        portfolio = opened(symbol="ODD/USD", slippage=D("0.01"))

        bought, _ = order(portfolio, BUY, amount=1, price=100)
        again = order(portfolio, BUY, amount=1, price=100)

        assert (bought.price, bought.market_price) == (101, None)
        assert again == (bought, False)

    def test_needs_a_price_that_is_not_too_old(self):
        portfolio = opened()
        with pytest.raises(NoPrice):
            order(portfolio, BUY, amount=1)
        bar(NOON, 100)
        with pytest.raises(StalePrice, match="2026-03-02 12:01"):
            order(portfolio, BUY, amount=1, now=NOON + MAX_PRICE_AGE + 2 * MINUTE)

        assert order(portfolio, BUY, amount=1, now=NOON + MAX_PRICE_AGE + MINUTE)[1]

    def test_refuses_more_than_there_is_and_changes_nothing(self):
        bar(NOON, 50_000)
        portfolio = opened()

        with pytest.raises(InsufficientFunds):
            order(portfolio, BUY, amount="0.21")
        with pytest.raises(InsufficientAsset):
            order(portfolio, SELL, amount="0.01")
        with pytest.raises(UnknownPortfolio):
            trade(portfolio_id=0, order=PaperOrder("x", BUY, D(1)), now=NOON)

        assert fresh(portfolio).quote_balance == 10_000
        assert not PaperTrade.objects.exists()

    def test_places_many_one_after_the_other(self, django_assert_max_num_queries):
        bar(NOON, 100)
        portfolio = opened(initial_balance=D(300))
        sides = [BUY, BUY, BUY, BUY, SELL, BUY, BUY]
        orders = [
            (portfolio.pk, PaperOrder(f"order {number}", side, amount=D(1)))
            for number, side in enumerate(sides)
        ]
        orders.append(orders[0])

        with django_assert_max_num_queries(7):
            found = place_orders(orders, now=LATER)

        refused = [number for number, each in enumerate(found) if each.refusal]
        assert refused == [3, 6]
        assert (found[7].trade, found[7].created) == (found[0].trade, False)
        assert (fresh(portfolio).quote_balance, fresh(portfolio).asset_balance) == (0, 3)


@pytest.mark.django_db(transaction=True)
class TestSeveralAtOnce:
    def test_spend_what_there_is_once(self):
        bar(NOON, 100)
        for number in range(ROUNDS):
            portfolio = opened(name=f"round {number}", initial_balance=D(500))

            def buy(thread, portfolio=portfolio):
                return order(portfolio, BUY, f"{portfolio.pk} {thread}", amount=1)

            found = at_once([lambda thread=thread, buy=buy: buy(thread) for thread in range(8)])

            assert sum(isinstance(each, InsufficientFunds) for each in found) == 3
            held = fresh(portfolio)
            assert (held.quote_balance, held.asset_balance) == (0, 5)
            assert portfolio.trades.count() == 5

    def test_send_one_order_many_times(self):
        bar(NOON, 100)
        for number in range(ROUNDS):
            portfolio = opened(name=f"round {number}")

            def buy(portfolio=portfolio):
                return order(portfolio, BUY, f"same {portfolio.pk}", amount=1)

            found = at_once([buy] * 8)

            assert sum(created for _, created in found) == 1
            assert fresh(portfolio).asset_balance == 1

    def test_one_id_is_the_order_of_one_portfolio(self):
        bar(NOON, 100)
        for number in range(ROUNDS):
            portfolios = [opened(name=f"{number}.{place}") for place in range(8)]

            found = at_once(
                [
                    lambda each=each, number=number: order(each, BUY, f"mine {number}", amount=1)
                    for each in portfolios
                ]
            )

            assert sum(isinstance(each, Conflict) for each in found) == 7
            assert sum(fresh(each).asset_balance for each in portfolios) == 1


class TestReset:
    def test_keeps_the_history_and_begins_anew(self):
        bar(NOON, 100)
        old = opened(fee_rate=D("0.001"), initial_balance=D(500), bot_id=make_bot().pk)
        order(old, BUY, amount=1)
        make_paper_performance(portfolio=old)

        new = reset(portfolio_id=old.pk, by="ada", now=LATER)

        old = fresh(old)
        assert (old.is_active, old.closed_at, old.asset_balance) == (False, LATER, 1)
        assert (old.trades.count(), old.performance.count()) == (1, 1)
        assert (new.generation, new.predecessor, new.is_active) == (2, old, True)
        assert (new.quote_balance, new.asset_balance, new.fee_rate) == (500, 0, D("0.001"))
        assert (new.name, new.bot_id, new.realized_pnl) == (old.name, old.bot_id, 0)

    def test_closes_for_good(self):
        bar(NOON, 100)
        old = opened()
        order(old, BUY, amount=1)
        reset(portfolio_id=old.pk, by="ada", now=LATER)

        with pytest.raises(PortfolioClosed):
            order(old, BUY, "two", amount=1)
        with pytest.raises(PortfolioClosed):
            reset(portfolio_id=old.pk, by="ada", now=LATER)
        with pytest.raises(PortfolioClosed):
            change_portfolio(portfolio_id=old.pk, row=Row(fee_rate=D("0.1")), now=LATER)
        assert order(old, BUY, amount=1)[1] is False

    def test_at_once_makes_one(self, transactional_db):
        old = opened()

        found = at_once([lambda: reset(portfolio_id=old.pk, by="ada", now=LATER)] * 4)

        assert sum(isinstance(each, PortfolioClosed) for each in found) == 3
        assert PaperPortfolio.objects.count() == 2


class TestSnapshots:
    def shown(self, portfolio, now=LATER):
        snapshot_portfolios(now=now)
        return portfolio.performance.filter(origin=Origin.COMPUTED).latest("timestamp")

    def test_are_taken_once_per_quarter(self):
        portfolio = make_paper_portfolio()

        taken = [snapshot_portfolios(now=LATER + n * MINUTE) for n in (0, 1, 4, 5)]

        assert taken == [1, 0, 0, 1]
        moments = portfolio.performance.order_by("timestamp").values_list("timestamp", flat=True)
        assert list(moments) == [NOON, NOON + 15 * MINUTE]

    def test_mark_to_market(self):
        bar(NOON, 100)
        portfolio = opened(initial_balance=D(1000))
        order(portfolio, BUY, amount=5)
        bar(LATER, 120)

        found = self.shown(portfolio, LATER + HOUR)

        assert (found.total_value, found.total_pnl, found.price) == (1_100, 100, 120)
        assert fresh(portfolio).total_pnl == 100

    def test_leave_out_what_has_no_price(self):
        make_paper_portfolio(asset_balance=D(1), symbol="ODD/USD")
        make_paper_portfolio(is_active=False, closed_at=NOON)

        assert snapshot_portfolios(now=LATER) == 0

    def test_know_what_the_day_brought(self):
        portfolio = make_paper_portfolio(quote_balance=D(10_300))
        assert self.shown(portfolio).daily_pnl == 300

        midnight = NOON.replace(hour=0)
        for moment, value in [
            (midnight - DAY, 9_000),
            (midnight - 15 * MINUTE, 10_100),
            (midnight, 5_000),
        ]:
            make_paper_performance(portfolio=portfolio, timestamp=moment, total_value=D(value))
        reported = {"timestamp": midnight - MINUTE, "origin": Origin.REPORTED}
        make_paper_performance(portfolio=portfolio, total_value=D(1), **reported)

        assert self.shown(portfolio, LATER + HOUR).daily_pnl == 200

    def test_days_add_up_to_the_whole(self):
        portfolio = make_paper_portfolio()
        values = [10_100, 9_900, 10_400]
        for day, value in enumerate(values):
            PaperPortfolio.objects.filter(pk=portfolio.pk).update(quote_balance=value)
            for hours in (1, 20):
                snapshot_portfolios(now=NOON.replace(hour=0) + day * DAY + hours * HOUR)

        last = portfolio.performance.filter(timestamp__hour=20).order_by("timestamp")
        assert [each.daily_pnl for each in last] == [100, -200, 500]
        assert sum(each.daily_pnl for each in last) == last.last().total_pnl

    def test_count_wins_and_the_deepest_fall(self):
        bar(NOON, 100)
        portfolio = opened(initial_balance=D(1000))
        for number, price in enumerate([110, 90, 100, 110]):
            order(portfolio, BUY, f"in {number}", amount=1, price=100)
            order(portfolio, SELL, f"out {number}", amount=1, price=price)
        for hours, value in enumerate([1_000, 1_250, 1_000, 1_200]):
            PaperPortfolio.objects.filter(pk=portfolio.pk).update(quote_balance=value)
            snapshot_portfolios(now=LATER + hours * HOUR)

        found = portfolio.performance.latest("timestamp")
        assert (found.win_rate, found.max_drawdown) == (D("66.66666667"), 20)

    def test_fall_from_the_initial_balance_too(self):
        portfolio = make_paper_portfolio(quote_balance=D(9_000))

        assert self.shown(portfolio).max_drawdown == 10

    def test_rate_the_days(self):
        portfolio = make_paper_portfolio(quote_balance=D(10_200))
        assert self.shown(portfolio).sharpe_ratio is None
        for days, value in [(3, 10_100), (2, 10_000), (1, 10_200)]:
            for hours, shown in [(1, 1), (2, value)]:
                moment = NOON - days * DAY + hours * HOUR
                made = {"timestamp": moment, "total_value": D(shown)}
                make_paper_performance(portfolio=portfolio, **made)

        found = self.shown(portfolio, LATER + HOUR)

        returns = [0.01, 10_000 / 10_100 - 1, 0.02]
        expected = fmean(returns) / stdev(returns) * sqrt(365)
        assert found.sharpe_ratio == pytest.approx(expected, rel=1e-12)

    def test_cost_the_same_for_many(self, django_assert_max_num_queries):
        bar(NOON, 100)
        for _ in range(20):
            make_paper_portfolio(asset_balance=D(1))
        with django_assert_max_num_queries(7):
            assert snapshot_portfolios(now=LATER) == 20


class TestReports:
    def test_stand_beside_ours(self):
        portfolio = make_paper_portfolio()
        snapshot_portfolios(now=NOON)
        rows = [Report(portfolio.pk), Report(None), Report(10**9), Report(None)]

        outcome = store_reported(rows, now=NOON)
        again = store_reported(
            [Report(None), replace(rows[1], total_value=D(1)), rows[0]], now=NOON
        )

        assert (outcome.created, outcome.unchanged, outcome.failed) == (2, 1, 1)
        assert (again.unchanged, again.failed) == (2, 1)
        assert [e.pointer for e in again.results[1].errors] == ["/total_value"]
        shown = PaperPerformance.objects.order_by("id").values_list("origin", "total_value")
        assert list(shown) == [("computed", 10_000), ("reported", 10_500), ("reported", 10_500)]

    def test_are_not_looked_back_on(self):
        portfolio = make_paper_portfolio()
        early = NOON - 3 * DAY
        store_reported([Report(portfolio.pk, early, total_value=D(99_999))], now=NOON)

        snapshot_portfolios(now=NOON + timedelta(seconds=1))

        found = portfolio.performance.get(origin=Origin.COMPUTED)
        assert (found.daily_pnl, found.max_drawdown) == (0, 0)
