"""Trading with pretended money: every order to the last digit."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from math import sqrt
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.bots.choices import Side
from apps.bots.domain import paper
from apps.bots.domain.paper import Holdings, Terms, deal

BUY, SELL = Side.BUY, Side.SELL
START = Holdings(initial=D(10_000), cash=D(10_000), asset=D(0), realized=D(0))


class TestBuying:
    def test_costs_price_and_fee(self):
        made = deal(START, side=BUY, market=D(50_000), amount=D("0.1"), terms=Terms(D("0.001")))

        assert (made.price, made.value, made.fee, made.pnl) == (50_000, 5_000, 5, None)
        assert (made.holdings.cash, made.holdings.asset) == (4_995, D("0.1"))
        assert made.holdings.average == 50_050

    def test_pays_slippage(self):
        made = deal(
            START, side=BUY, market=D(50_000), amount=D("0.1"), terms=Terms(slippage=D("0.002"))
        )

        assert (made.price, made.value) == (50_100, 5_010)

    def test_for_a_value_gets_no_more_than_is_paid_for(self):
        made = deal(START, side=BUY, market=D(3), value=D(10))

        assert made.value == 10
        assert made.amount == D("3.333333333333333333")

    def test_takes_no_more_than_there_is(self):
        terms = Terms(D("0.001"))
        with pytest.raises(paper.InsufficientFunds, match="10 are fees"):
            deal(START, side=BUY, market=D(50_000), value=D(10_000), terms=terms)

        spent = D("9990.009990009990009990")
        made = deal(START, side=BUY, market=D(50_000), value=spent, terms=terms)
        assert 0 <= made.holdings.cash < D("0.000000000000000002")

    def test_averages_what_it_cost(self):
        one = deal(START, side=BUY, market=D(100), amount=D(10)).holdings
        two = deal(one, side=BUY, market=D(200), amount=D(30)).holdings

        assert (two.cost, two.average) == (7_000, 175)


class TestSelling:
    def test_realizes_what_is_left_after_the_fees_of_both_sides(self):
        terms = Terms(D("0.001"))
        held = deal(START, side=BUY, market=D(50_000), amount=D("0.1"), terms=terms).holdings

        made = deal(held, side=SELL, market=D(51_000), amount=D("0.1"), terms=terms)

        # Gross 100, fees 5 and 5.10: the round trip of the trade ledger, to the cent.
        assert (made.value, made.fee, made.pnl) == (5_100, D("5.10"), D("89.90"))
        assert (made.holdings.cash, made.holdings.asset) == (D("10089.90"), 0)
        assert made.holdings.average is None

    def test_takes_its_share_of_the_cost(self):
        held = deal(START, side=BUY, market=D(100), amount=D(10)).holdings

        made = deal(held, side=SELL, market=D(110), amount=D(4))

        assert made.pnl == 40
        assert (made.holdings.cost, made.holdings.average) == (600, 100)

    def test_loses_slippage(self):
        held = deal(START, side=BUY, market=D(100), amount=D(10)).holdings

        made = deal(held, side=SELL, market=D(100), amount=D(10), terms=Terms(slippage=D("0.01")))

        assert (made.price, made.pnl) == (99, -10)

    def test_for_a_value_gives_no_less_than_is_paid_for(self):
        held = deal(START, side=BUY, market=D(3), amount=D(100)).holdings

        made = deal(held, side=SELL, market=D(3), value=D(10))

        assert made.amount == D("3.333333333333333334")

    def test_gives_no_more_than_is_held(self):
        with pytest.raises(paper.InsufficientAsset, match="is there"):
            deal(START, side=SELL, market=D(100), amount=D("0.000000000000000001"))


class TestLimits:
    def test_nothing_is_no_order(self):
        with pytest.raises(paper.OrderTooSmall):
            deal(START, side=BUY, market=D("0.1"), amount=D("0.000000000000000001"))
        with pytest.raises(paper.OrderTooSmall):
            deal(
                START,
                side=SELL,
                market=D("0.000000000000000001"),
                amount=D(1),
                terms=Terms(slippage=D("0.9")),
            )

    def test_what_fits_no_column_is_refused(self):
        rich = START._replace(cash=D(10) ** 19, initial=D(10) ** 19)
        with pytest.raises(paper.OrderTooLarge):
            deal(rich, side=BUY, market=D("0.000000000000000001"), value=D(10_000))

    def test_an_order_names_amount_or_value(self):
        for values in ({}, {"amount": D(1), "value": D(1)}):
            with pytest.raises(ValueError, match="amount or its value"):
                deal(START, side=BUY, market=D(1), **values)


ORDERS = st.lists(
    st.tuples(
        st.sampled_from(Side),
        st.decimals("0.000001", "100000", places=6),
        st.booleans(),
        st.decimals("0.000001", "5000", places=6),
    ),
    max_size=15,
)
FRACTIONS = st.decimals("0", "0.05", places=5)


class TestConservation:
    @given(ORDERS, FRACTIONS, FRACTIONS)
    def test_nothing_appears_and_nothing_is_lost(self, orders, fee_rate, slippage):
        held, made = START, []
        for side, market, by_value, size in orders:
            sizes = {"value": size} if by_value else {"amount": size}
            try:
                done = deal(
                    held, side=side, market=market, terms=Terms(fee_rate, slippage), **sizes
                )
            except (paper.InsufficientFunds, paper.InsufficientAsset, paper.OrderTooSmall):
                continue
            held = done.holdings
            made.append(done)
            assert held.cash >= 0 <= held.asset
            assert held.cost >= 0

        flows = sum((-d.value if d.side == BUY else d.value) - d.fee for d in made)
        assets = sum(d.amount if d.side == BUY else -d.amount for d in made)
        assert held.cash == START.cash + flows
        assert held.asset == assets
        assert held.realized == sum(d.pnl for d in made if d.pnl is not None)
        if not held.asset:
            assert held.cash == START.cash + held.realized

    @given(st.decimals("0.000001", "100000", places=6), st.decimals("1", "5000", places=6))
    def test_there_and_back_at_no_cost_gives_no_more(self, market, value):
        held = deal(START, side=BUY, market=market, value=value).holdings
        back = deal(held, side=SELL, market=market, amount=held.asset).holdings

        assert START.cash - D("0.0000000000002") < back.cash <= START.cash


class TestSnapshots:
    def test_stand_on_the_quarter_of_an_hour(self):
        moment = datetime(2026, 3, 2, 12, 29, 59, 999999, tzinfo=UTC)

        assert paper.snapshot_moment(moment) == datetime(2026, 3, 2, 12, 15, tzinfo=UTC)
        assert paper.snapshot_moment(moment + timedelta(microseconds=1)).minute == 30

    def test_count_wins_among_what_won_or_lost(self):
        assert paper.win_rate(2, 1) == D("66.66666667")
        assert paper.win_rate(0, 3) == 0
        assert paper.win_rate(0, 0) is None

    def test_know_the_fall_below_the_peak(self):
        assert paper.drawdown(D(9_000), D(12_000)) == 25
        assert paper.drawdown(D(12_000), D(12_000)) == 0

    def test_value_an_asset_at_its_price_alone(self):
        held = START._replace(cash=D(100), asset=D(2))

        assert paper.equity(held, D(50)) == 200
        assert paper.equity(held, None) is None
        assert paper.equity(START, None) == 10_000


class TestSharpe:
    def test_is_that_of_the_days_from_the_initial_balance(self):
        first = date(2026, 3, 1)
        ends = {first: D(10_100), first + timedelta(1): D(10_000), first + timedelta(2): D(10_200)}

        returns = [0.01, 10_000 / 10_100 - 1, 0.02]
        expected = fmean(returns) / stdev(returns) * sqrt(365)
        assert paper.daily_sharpe(D(10_000), ends).value == pytest.approx(expected, rel=1e-12)

    def test_holds_the_value_over_a_day_without_one(self):
        first = date(2026, 3, 1)
        gap = {first: D(10_100), first + timedelta(2): D(10_200)}
        whole = gap | {first + timedelta(1): D(10_100)}

        assert paper.daily_sharpe(D(10_000), gap) == paper.daily_sharpe(D(10_000), whole)

    def test_needs_two_days(self):
        found = paper.daily_sharpe(D(10_000), {date(2026, 3, 1): D(10_100)})

        assert found.value is None
        assert "two returns" in found.reason

    def test_is_none_from_nothing(self):
        assert paper.daily_sharpe(D(100), {date(2026, 3, 1): D(0)}) is None
