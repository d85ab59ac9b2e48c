"""Snapshots of accounts: all agents at once, against the rows one by one."""

import random
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest

from apps.agents.domain.performance import NO_DAYS, NO_LOSS
from apps.agents.models import AgentPerformance, AgentTrade
from apps.agents.services.accounts import accounts_of
from apps.agents.services.performance import day_ends, snapshot_agents
from apps.market.services.prices import MAX_MARK_AGE
from apps.shared.quant.performance import Conventions, sharpe_ratio
from tests.agents.league_rows import statements_of
from tests.factories import (
    NOON,
    make_agent,
    make_agent_performance,
    make_agent_trade,
    make_candle,
    make_llm_call,
)

pytestmark = pytest.mark.django_db

LATER = NOON + timedelta(days=10, minutes=7)
QUARTER = LATER - timedelta(minutes=7)
DAY = timedelta(days=1)


def closed(agent, net, *, fees="2", **values):
    """Return a trade of an agent that came to so much, not stored."""
    trade = {
        "coin": "BTC",
        "symbol": "BTC/USD",
        "side": "long",
        "size": Decimal(1),
        "status": "closed",
        "entry_price": Decimal(100),
        "exit_price": Decimal(100),
        "exit_time": NOON,
        "fees": Decimal(fees),
        "gross_pnl": None if net is None else Decimal(str(net)) + Decimal(fees),
        "realized_pnl": None if net is None else Decimal(str(net)),
    }
    return AgentTrade(agent=agent, **trade | values)


def priced(symbol, price, *, age=timedelta(minutes=5)):
    """Have a symbol cost so much, known since ``age`` before the snapshot."""
    values = dict.fromkeys(("open", "high", "low", "close"), Decimal(price))
    start = QUARTER - age
    make_candle(symbol=symbol, granularity="5m", timestamp=start, **values)


def snapshot_of(agent, **values):
    return AgentPerformance.objects.filter(agent=agent, **values).latest("snapshot_time")


class TestSnapshots:
    def test_give_the_known_answer(self):
        agent = make_agent(initial_balance=10_000)
        nets = (300, -100, 200)
        AgentTrade.objects.bulk_create(closed(agent, net, fees="1") for net in nets)
        make_agent_trade(agent=agent, size=1, entry_price=100, fees=Decimal(3), symbol="BTC/USD")
        priced("BTC/USD", 153)
        make_llm_call(agent=agent, cost=Decimal("0.25"))

        assert snapshot_agents(now=LATER) == 1

        found = snapshot_of(agent)
        assert found.snapshot_time == QUARTER
        assert (found.realized_pnl, found.unrealized_pnl, found.total_pnl) == (400, 50, 450)
        assert (found.total_value, found.cash_balance, found.position_value) == (10_450, 10_400, 50)
        assert found.roi_percent == Decimal("4.5")
        assert (found.num_trades, found.num_winning_trades, found.num_losing_trades) == (3, 2, 1)
        assert found.win_rate == Decimal("66.66666667")
        assert (found.avg_win, found.avg_loss, found.profit_factor) == (250, -100, 5.0)
        assert (found.fees, found.model_cost, found.open_trades) == (6, Decimal("0.25"), 1)
        assert found.reasons == {"sharpe_ratio": NO_DAYS}

    def test_of_random_accounts_equal_their_rows(self):
        chance = random.Random(13)
        priced("BTC/USD", 110)
        agents = [make_agent() for _ in range(5)]
        trades = []
        for agent in agents[:4]:
            for _ in range(40):
                net = chance.choice([None, 0, chance.randint(-90, 90), chance.uniform(-1, 1)])
                net = net if net is None else round(Decimal(net), 18)
                status = chance.choice(["closed", "liquidated"])
                hidden = {"exit_price": None} if net is None else {}
                trades.append(closed(agent, net, status=status, **hidden))
            for _ in range(3):
                trades.append(
                    AgentTrade(
                        agent=agent,
                        coin="BTC",
                        symbol=chance.choice(["BTC/USD", "XRP/USD"]),
                        side=chance.choice(["long", "short"]),
                        size=Decimal(2),
                        entry_price=chance.choice([None, Decimal(100)]),
                        fees=chance.choice([None, Decimal("0.1")]),
                    )
                )
            trades.append(
                AgentTrade(agent=agent, coin="X", side="long", size=1, status="cancelled")
            )
        AgentTrade.objects.bulk_create(trades)

        assert snapshot_agents(now=LATER) == 5

        accounts = accounts_of([agent.pk for agent in agents], now=LATER)
        for agent in agents:
            self.check(snapshot_of(agent), agent, accounts[agent.pk])

    def check(self, found, agent, account):
        """Compare a snapshot with its rows, in fractions, and with the account's own page."""
        over = [each for each in agent.trades.all() if each.status in ("closed", "liquidated")]
        nets = [Fraction(each.realized_pnl) for each in over if each.realized_pnl is not None]
        wins, losses = [n for n in nets if n > 0], [n for n in nets if n < 0]
        open_trades = [each for each in agent.trades.all() if each.status == "open"]
        gains = [
            (110 - Fraction(each.entry_price)) * 2 * (1 if each.side == "long" else -1)
            - Fraction(each.fees or 0)
            for each in open_trades
            if each.entry_price is not None and each.symbol == "BTC/USD"
        ]
        fees = [Fraction(each.fees) for each in (*over, *open_trades) if each.fees is not None]

        assert Fraction(found.realized_pnl) == sum(nets)
        assert Fraction(found.unrealized_pnl) == sum(gains)
        assert Fraction(found.fees) == sum(fees)
        assert (found.num_trades, found.unknown_trades) == (len(nets), len(over) - len(nets))
        assert (found.num_winning_trades, found.num_losing_trades) == (len(wins), len(losses))
        assert found.open_trades == len(open_trades)
        assert found.unpriced_trades == len(open_trades) - len(gains)
        if losses:
            assert found.profit_factor == pytest.approx(float(sum(wins) / -sum(losses)), rel=1e-14)
            assert Fraction(found.avg_loss) == pytest.approx(sum(losses) / len(losses), abs=1e-18)
        assert (found.total_value, found.realized_pnl) == (account.value, account.realized)
        assert (found.unrealized_pnl, found.unpriced_trades) == (
            account.unrealized,
            account.unpriced,
        )

    def test_made_again_in_the_quarter_take_the_place_of_the_first(self):
        agent = make_agent()
        closed(agent, -500).save()
        snapshot_agents(now=LATER)
        closed(agent, 900).save()
        snapshot_agents(now=LATER + timedelta(minutes=7))

        [row] = AgentPerformance.objects.filter(agent=agent)
        assert row.total_value == 10_400
        # The fall was never kept: the quarter has one equity, its last.
        assert (row.max_drawdown, row.peak_value) == (0, 10_400)

    def test_carry_peak_and_fall_from_the_one_before(self):
        agent = make_agent()
        for hour, net in enumerate([2000, -3000, 500]):
            closed(agent, net).save()
            snapshot_agents(now=LATER + timedelta(hours=hour))

        found = snapshot_of(agent)
        assert (found.total_value, found.peak_value) == (9_500, 12_000)
        assert (found.max_drawdown, found.max_drawdown_percent) == (3_000, 25)

    def test_take_money_put_in_for_neither_gain_nor_fall(self):
        agent = make_agent()
        closed(agent, 1000).save()
        snapshot_agents(now=LATER)
        agent.initial_balance = 5_000
        agent.save()
        snapshot_agents(now=LATER + timedelta(hours=1))

        found = snapshot_of(agent)
        assert (found.total_value, found.peak_value, found.max_drawdown) == (6_000, 6_000, 0)

    def test_have_the_sharpe_ratio_of_the_days_that_are_over(self):
        agent = make_agent()
        for days, total in [(5, 100), (4, -50), (2, 250)]:
            for hours, extra in [(1, 999), (20, 0)]:
                day = (QUARTER - days * DAY).replace(hour=0)
                make_agent_performance(
                    agent=agent,
                    snapshot_time=day + timedelta(hours=hours),
                    total_pnl=Decimal(total + extra),
                )
        make_agent_performance(agent=agent, snapshot_time=QUARTER - timedelta(hours=1))

        snapshot_agents(now=LATER)

        equity = [10_100, 9_950, 9_950, 10_250]
        returns = [after / before - 1 for before, after in pairwise(equity)]
        expected = sharpe_ratio(returns, Conventions(365)).value
        assert snapshot_of(agent).sharpe_ratio == pytest.approx(expected, rel=1e-9)

    def test_mark_nothing_at_a_price_that_is_too_old(self):
        agent = make_agent()
        make_agent_trade(agent=agent)
        priced("BTC/USD", 60_000, age=MAX_MARK_AGE + timedelta(hours=1))

        snapshot_agents(now=LATER)

        found = snapshot_of(agent)
        assert (found.unpriced_trades, found.unrealized_pnl) == (1, 0)

    def test_are_those_of_the_agents_named(self):
        mine, _other = make_agent(), make_agent()

        assert snapshot_agents(now=LATER, agents=[mine.pk]) == 1
        assert AgentPerformance.objects.get().agent == mine
        assert snapshot_agents(now=LATER, agents=[]) == 0

    def test_of_nobody_are_none(self):
        assert snapshot_agents(now=LATER) == 0

    def test_leave_out_an_account_that_no_column_holds(self, caplog):
        absurd, usual = make_agent(), make_agent()
        huge = Decimal("6e19")
        AgentTrade.objects.bulk_create(closed(absurd, huge, fees="0") for _ in range(2))
        closed(usual, 5).save()

        assert snapshot_agents(now=LATER) == 1
        assert snapshot_of(usual).reasons["profit_factor"] == NO_LOSS
        assert str(absurd.pk) in caplog.text

    def test_take_as_many_statements_for_many_agents(self):
        make_agent_trade(agent=make_agent())
        few = statements_of(lambda: snapshot_agents(now=LATER))
        for _ in range(10):
            agent = make_agent()
            make_agent_trade(agent=agent)
            closed(agent, 5).save()

        assert statements_of(lambda: snapshot_agents(now=LATER)) == few
        assert few <= 6


class TestDayEnds:
    def test_are_the_last_snapshots_of_the_days_that_are_over(self):
        agent = make_agent()
        midnight = QUARTER.replace(hour=0)
        for before, total in [
            (DAY + timedelta(minutes=15), 1),
            (DAY, 2),
            (timedelta(minutes=15), 3),
            (timedelta(0), 4),
        ]:
            make_agent_performance(
                agent=agent, snapshot_time=midnight - before, total_pnl=Decimal(total)
            )

        found = day_ends(now=LATER)[agent.pk]

        assert list(found.totals) == [1, 3]
        today = (midnight - midnight.replace(year=1970, month=1, day=1)).days
        assert list(found.days) == [today - 2, today - 1]

    def test_are_those_of_the_agents_named(self):
        mine = make_agent_performance(snapshot_time=QUARTER - 2 * DAY).agent
        make_agent_performance(snapshot_time=QUARTER - 2 * DAY)

        assert list(day_ends(now=LATER, agents=[mine.pk])) == [mine.pk]
