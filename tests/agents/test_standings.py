"""The league out of its tables: what is counted where, and that it is read for all at once."""

import random
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from apps.agents.choices import Period, Verdict
from apps.agents.domain.performance import NO_DAYS
from apps.agents.models import AgentDecision, AgentStanding
from apps.agents.services.standings import (
    MOST_VERSIONS,
    NO_SNAPSHOT,
    NOT_OF_VERSIONS,
    rank_agents,
)
from apps.shared.quant.intervals import wilson
from apps.shared.quant.samples import rounded
from tests.agents.league_rows import DAY, NOW, calls, decisions, statements_of, trades
from tests.factories import (
    make_agent,
    make_agent_performance,
    make_agent_trade,
    make_candle,
    make_decision_outcome,
)

pytestmark = pytest.mark.django_db

MOMENT = timedelta(hours=1)


def line(agent, period=Period.ALL, version=""):
    return AgentStanding.objects.get(agent=agent, period=period, prompt_version=version)


def priced(moment, price, *, symbol="BTC/USD"):
    """Have a symbol cost so much at a moment."""
    values = dict.fromkeys(("open", "high", "low", "close"), Decimal(price))
    start = moment.replace(minute=0) - timedelta(minutes=5)
    make_candle(symbol=symbol, granularity="5m", timestamp=start, **values)


class TestCounts:
    def test_are_those_of_each_period(self):
        agent = make_agent()
        statuses = {"success": 4, "rejected": 3, "failed": 2, "parsing_error": 1}
        for age, times in [(1, 1), (20, 2), (60, 3)]:
            moment = NOW - age * DAY
            counts = {status: size * times for status, size in statuses.items()}
            decisions(agent, counts, since=moment, until=moment + MOMENT)
            calls(agent, times, since=moment, until=moment + MOMENT)
            trades(agent, [5.0, -1.0, None] * times, since=moment, until=moment + MOMENT)

        assert rank_agents(now=NOW) == 3

        for period, times in [(Period.WEEK, 1), (Period.MONTH, 3), (Period.ALL, 6)]:
            found = line(agent, period)
            assert (found.accepted, found.rejected) == (4 * times, 3 * times)
            assert (found.failed, found.unreadable) == (2 * times, times)
            assert (found.decisions, found.holds, found.calls) == (10 * times, 7 * times, times)
            assert found.model_share == Decimal("0.4")
            low, high = wilson(4 * times, 10 * times)
            assert (found.model_share_low, found.model_share_high) == (rounded(low), rounded(high))
            assert (found.trades, found.winning_trades) == (2 * times, times)
            assert (found.unknown_trades, found.net_pnl) == (times, 4 * times)
            assert found.model_cost == Decimal("0.01") * times
            assert found.cost_per_decision == Decimal("0.001")

    def test_hits_are_those_of_accepted_decisions(self):
        agent = make_agent()
        stored = decisions(agent, {"success": 4, "rejected": 2}, since=NOW - DAY)
        verdicts = [True, True, False, None, True, False]
        confidences = [Decimal("0.9"), None, Decimal("0.6"), Decimal("0.5"), None, None]
        for decision, hit, confidence in zip(stored, verdicts, confidences, strict=True):
            make_decision_outcome(
                decision=decision, settled=True, is_hit=hit, confidence=confidence
            )

        rank_agents(now=NOW)

        found = line(agent, Period.WEEK)
        assert (found.judged, found.hits) == (3, 2)
        assert found.hit_rate == Decimal("0.66666667")
        assert found.brier == pytest.approx(((0.9 - 1) ** 2 + 0.6**2) / 2)

    def test_of_random_rows_equal_the_rows_one_by_one(self):
        chance = random.Random(3)
        agents = [make_agent() for _ in range(4)]
        for agent in agents:
            for version in ("", "v1", "v2"):
                counts = {
                    status: chance.randint(0, 6)
                    for status in ("success", "rejected", "failed", "parsing_error")
                }
                stored = decisions(agent, counts, since=NOW - 50 * DAY, prompt_version=version)
                calls(agent, chance.randint(0, 9), since=NOW - 50 * DAY, prompt_version=version)
                nets = [chance.choice([None, chance.uniform(-9, 9)]) for _ in range(9)]
                of = chance.choice(stored) if stored else None
                trades(agent, nets, since=NOW - 50 * DAY, decision=of)

        rank_agents(now=NOW)

        for agent in agents:
            for period, days in [(Period.WEEK, 7), (Period.MONTH, 30), (Period.ALL, 1000)]:
                self.check(line(agent, period), agent, NOW - days * DAY)
            for version in ("v1", "v2"):
                self.check_version(agent, version)

    def check(self, found, agent, start):
        over = agent.trades.filter(exit_time__gte=start)
        nets = [each.realized_pnl for each in over if each.realized_pnl is not None]
        counts = Counter(
            agent.decisions.filter(timestamp__gte=start).values_list("status", flat=True)
        )
        assert found.decisions == counts.total()
        assert found.accepted == counts["success"]
        assert (found.trades, found.net_pnl) == (len(nets), sum(nets))
        assert found.unknown_trades == len(over) - len(nets)
        assert found.calls == agent.calls.filter(timestamp__gte=start).count()

    def check_version(self, agent, version):
        stored = AgentDecision.objects.filter(agent=agent, prompt_version=version)
        over = agent.trades.filter(decision__prompt_version=version)
        nets = [each.realized_pnl for each in over if each.realized_pnl is not None]
        found = AgentStanding.objects.filter(agent=agent, prompt_version=version).first()
        if found is None:
            assert not stored
            assert not over
            return
        assert (found.decisions, found.net_pnl) == (len(stored), sum(nets))
        assert found.calls == agent.calls.filter(prompt_version=version).count()


class TestReturns:
    def test_are_net_of_models_and_hold_open_trades(self):
        agent = make_agent(initial_balance=1_000)
        trades(agent, [10.0] * 30)
        calls(agent, 100, cost="0.50")
        entry = {"entry_time": NOW - 2 * DAY, "entry_price": 100, "size": 1, "fees": Decimal(2)}
        make_agent_trade(agent=agent, **entry)
        priced(NOW, 142)

        rank_agents(now=NOW)

        found = line(agent)
        assert (found.net_pnl, found.model_cost) == (340, 50)
        assert (found.net_return, found.open_trades) == (29, 1)
        assert found.return_low == found.return_high == 29

    def test_of_a_period_count_from_the_equity_at_its_start(self):
        agent = make_agent(initial_balance=1_000)
        trades(agent, [900.0], since=NOW - 60 * DAY)
        trades(agent, [100.0], since=NOW - 3 * DAY)
        make_agent_trade(
            agent=agent, entry_time=NOW - 50 * DAY, entry_price=100, size=1, fees=Decimal(0)
        )
        make_agent_performance(
            agent=agent,
            snapshot_time=NOW - 7 * DAY - MOMENT,
            unrealized_pnl=Decimal(100),
            total_pnl=Decimal(1_000),
        )
        priced(NOW, 150)

        rank_agents(now=NOW)

        week, everything = line(agent, Period.WEEK), line(agent)
        # 2,000 a week ago: 1,000 and 900 realized and 100 unrealized, of which 50 are left now.
        assert (week.net_pnl, week.net_return) == (50, Decimal("2.5"))
        assert (everything.net_pnl, everything.net_return) == (1_050, 105)

    def test_stand_beside_those_of_holding(self):
        agent = make_agent(coins={"BTC": "BTC/USD", "ETH": "ETH/USD"}, benchmark_coin="ETH")
        decisions(agent, {"success": 1}, since=NOW - 10 * DAY)
        for moment, btc, eth in [(NOW - 10 * DAY, 100, 10), (NOW - 7 * DAY, 50, 20), (NOW, 150, 9)]:
            priced(moment, btc)
            priced(moment, eth, symbol="ETH/USD")

        rank_agents(now=NOW)

        everything, week = line(agent), line(agent, Period.WEEK)
        assert everything.began_at == NOW - 10 * DAY
        assert (everything.hold_return, everything.equal_return) == (-10, 20)
        assert week.began_at == NOW - 7 * DAY
        assert (week.hold_return, week.equal_return) == (-55, Decimal("72.5"))


class TestDays:
    def test_of_an_agent_from_before_are_those_of_the_period(self):
        agent = make_agent()
        decisions(agent, {"success": 1}, since=NOW - 90 * DAY)

        rank_agents(now=NOW)

        assert [line(agent, each).days for each in Period] == [7, 30, 90]

    def test_begin_with_the_first_decision_or_trade(self):
        early, late = make_agent(), make_agent()
        decisions(early, {"success": 1}, since=NOW - 3 * DAY)
        trades(early, [1.0], since=NOW - 4 * DAY)
        make_agent_trade(agent=late, entry_time=NOW - 2 * DAY)

        rank_agents(now=NOW)

        assert (line(early).days, line(early, Period.WEEK).days) == (4, 4)
        assert line(late).days == 2

    def test_of_nobody_are_none(self):
        agent = make_agent()

        rank_agents(now=NOW)

        found = line(agent)
        assert (found.days, found.began_at, found.verdict) == (0, None, Verdict.TOO_EARLY)
        assert found.rank is None
        assert found.reasons["max_drawdown_percent"] == NO_SNAPSHOT


class TestAccounts:
    def course(self, agent, totals):
        """Store snapshots of a total P&L: days before now → total."""
        for days, total in totals.items():
            make_agent_performance(
                agent=agent,
                snapshot_time=NOW - timedelta(days=days),
                total_pnl=Decimal(total),
                unrealized_pnl=Decimal(0),
                max_drawdown_percent=Decimal("33.5"),
            )

    def test_fall_in_a_period_from_where_they_stood_at_its_start(self):
        agent = make_agent(initial_balance=10_000)
        self.course(agent, {40: 10_000, 30.5: 2_000, 20: -1_000, 7.5: 5_000, 6: 2_000, 1: 3_500})

        rank_agents(now=NOW)

        # 15,000 → 12,000; 12,000 → 9,000; and what the newest snapshot carries along.
        assert line(agent, Period.WEEK).max_drawdown_percent == 20
        assert line(agent, Period.MONTH).max_drawdown_percent == 25
        assert line(agent).max_drawdown_percent == Decimal("33.5")

    def test_have_the_sharpe_ratio_of_the_days_of_a_period(self):
        agent = make_agent(initial_balance=10_000)
        self.course(agent, {9: 0, 8: 1_000, 7: 900, 6: 1_100, 5: 1_000, 4: 1_500})

        rank_agents(now=NOW)

        def sharpe(equity):
            returns = np.diff(equity) / np.array(equity[:-1])
            return returns.mean() / returns.std(ddof=1) * np.sqrt(365)

        # The snapshot of seven days ago stands at the end of a day that ended in the week.
        of_week = sharpe([11_000, 10_900, 11_100, 11_000, 11_500])
        assert line(agent, Period.WEEK).sharpe_ratio == pytest.approx(of_week)
        of_all = sharpe([10_000, 11_000, 10_900, 11_100, 11_000, 11_500])
        assert line(agent).sharpe_ratio == pytest.approx(of_all)

    def test_have_none_without_days(self):
        agent = make_agent()
        self.course(agent, {0.1: 5})

        rank_agents(now=NOW)

        assert line(agent).sharpe_ratio is None
        assert line(agent).reasons["sharpe_ratio"] == NO_DAYS


class TestVersions:
    def test_are_compared_over_all_time(self):
        agent = make_agent(initial_balance=1_000)
        chance = random.Random(5)
        for version, edge, days in [("good", 8, (80, 50)), ("bad", -8, (50, 20))]:
            since, until = (NOW - each * DAY for each in days)
            [first, *_] = decisions(
                agent, {"success": 30}, since=since, until=until, prompt_version=version
            )
            calls(agent, 30, since=since, until=until, prompt_version=version)
            nets = [chance.gauss(edge, 10) for _ in range(60)]
            trades(agent, nets, since=since, until=until, decision=first)
        trades(agent, [-500.0])

        assert rank_agents(now=NOW) == 5

        good, bad, whole = line(agent, version="good"), line(agent, version="bad"), line(agent)
        assert (good.verdict, bad.verdict) == (Verdict.BETTER, Verdict.WORSE)
        assert (good.decisions, good.trades, good.calls) == (30, 60, 30)
        assert good.model_cost == Decimal("0.3")
        assert whole.net_pnl == good.net_pnl + bad.net_pnl - 500
        assert 29 < good.days < 30
        assert (good.rank, good.max_drawdown_percent) == (None, None)
        assert good.reasons["hold_return"] == NOT_OF_VERSIONS

    def test_are_those_with_the_most_decisions(self):
        agent = make_agent()
        for number in range(MOST_VERSIONS + 2):
            decisions(agent, {"success": 1 + number}, prompt_version=f"v{number:02}")

        rank_agents(now=NOW)

        kept = AgentStanding.objects.exclude(prompt_version="").values_list(
            "prompt_version", flat=True
        )
        assert sorted(kept) == [f"v{number:02}" for number in range(2, MOST_VERSIONS + 2)]
        assert line(agent).reasons["prompt_versions"] == (
            "It has 22 versions of its prompt: the 20 with the most decisions are compared."
        )


class TestTheLeague:
    def test_ranks_live_and_paper_apart(self):
        made = {}
        for mode in ("live", "paper"):
            for gain in (5.0, 9.0):
                agent = made[mode, gain] = make_agent(mode=mode)
                trades(agent, [gain] * 25)

        rank_agents(now=NOW)

        assert {key: line(agent).rank for key, agent in made.items()} == {
            ("live", 5.0): 2,
            ("live", 9.0): 1,
            ("paper", 5.0): 2,
            ("paper", 9.0): 1,
        }

    def test_is_read_along_its_ids(self):
        for number in range(6):
            agent = make_agent(mode=["live", "paper"][number % 2])
            trades(agent, [float(number)] * (25 if number else 3))

        rank_agents(now=NOW)

        lines = AgentStanding.objects.filter(period=Period.MONTH, agent__mode="live")
        assert list(lines.order_by("pk").values_list("rank", flat=True)) == [1, 2, None]

    def test_takes_the_place_of_the_one_before(self):
        agent = make_agent()
        rank_agents(now=NOW - DAY)
        trades(agent, [1.0])
        rank_agents(now=NOW)

        assert AgentStanding.objects.count() == 3
        assert set(AgentStanding.objects.values_list("computed_at", flat=True)) == {NOW}
        assert line(agent).trades == 1

    def test_says_the_same_again(self):
        agent = make_agent()
        trades(agent, [random.Random(1).gauss(0, 9) for _ in range(300)])
        columns = ("rank", "return_low", "return_high", "verdict_reason")
        rank_agents(now=NOW)
        first = list(AgentStanding.objects.order_by("pk").values_list(*columns))
        rank_agents(now=NOW)

        assert list(AgentStanding.objects.order_by("pk").values_list(*columns)) == first

    def test_goes_on_without_an_agent_whose_money_no_column_holds(self, caplog):
        absurd, usual = make_agent(), make_agent()
        trades(absurd, [6e19, 6e19], since=NOW - DAY)
        trades(usual, [1.0])

        assert rank_agents(now=NOW) == 3
        assert line(usual).trades == 1
        assert str(absurd.pk) in caplog.text

    def test_of_nobody_is_empty(self):
        assert rank_agents(now=NOW) == 0

    def test_takes_as_many_statements_for_many_agents(self):
        def agent():
            made = make_agent()
            stored = decisions(made, {"success": 2}, prompt_version="v1")
            trades(made, [1.0, None], decision=stored[0])
            make_agent_trade(agent=made, decision=stored[1])

        agent()
        few = statements_of(lambda: rank_agents(now=NOW))
        for _ in range(8):
            agent()

        assert statements_of(lambda: rank_agents(now=NOW)) == few
        assert few < 20

    def test_asks_settings_for_the_least(self, settings):
        settings.LEAGUE_MIN_TRADES, settings.LEAGUE_MIN_DAYS = 2, 1
        agent = make_agent()
        trades(agent, [5.0, 5.0], since=NOW - 2 * DAY)

        rank_agents(now=NOW)

        assert line(agent).verdict == Verdict.BETTER
