"""The league: resampling, verdicts, ranks, and what is empty with a reason."""

import uuid
from decimal import Decimal

import numpy as np
import pytest

from apps.agents.choices import Verdict
from apps.agents.domain.league import (
    NO_BALANCE,
    NO_CONFIDENCE,
    NO_COST,
    NO_DECISION,
    NOTHING_JUDGED,
    RETURN_TOO_LARGE,
    Minimum,
    Record,
    rank,
    standing_of,
)
from apps.agents.domain.resampling import (
    ONE_BY_ONE,
    REPLICATES,
    interval_of,
    rank_ranges,
    ranks_of,
    resampled_sums,
)
from apps.agents.models import AgentStanding

MINIMUM = Minimum(trades=20, days=7)
AGENT = uuid.UUID(int=7)


def textbook(amounts, *, times, seed=0):
    """Return the sums of resamplings in which every amount is drawn, one replicate at a time."""
    chance = np.random.default_rng(seed)
    return np.array([chance.choice(amounts, len(amounts)).sum() for _ in range(times)])


def record(nets=(), **values):
    """Return the record of an agent with 10,000 at the start and half a month behind it."""
    amounts = np.asarray(nets, dtype=float)
    defaults = {
        "agent_id": AGENT,
        "period": "30d",
        "mode": "paper",
        "currency": "USD",
        "start": Decimal(10_000),
        "days": Decimal(15),
        "nets": amounts,
        "booked": Decimal(repr(float(amounts.sum()))),
        "accepted": 100,
    }
    return Record(**defaults | values)


def standing(nets=(), **values):
    return standing_of(record(nets, **values), minimum=MINIMUM)


def noise(count, *, mean=0.0, seed=1):
    """Return amounts that vary by ten around exactly this mean."""
    amounts = np.random.default_rng(seed).normal(0, 10, count)
    return amounts - amounts.mean() + mean


class TestResampling:
    def test_says_the_same_again_in_whatever_order_the_amounts_come(self):
        amounts = noise(500)

        first = resampled_sums(amounts, seed=[7, 1])

        assert (resampled_sums(amounts[::-1], seed=[7, 1]) == first).all()
        assert (resampled_sums(amounts, seed=[7, 2]) != first).any()
        assert len(first) == REPLICATES

    @pytest.mark.parametrize(
        "amounts",
        [
            pytest.param(noise(40, mean=1), id="few"),
            pytest.param(noise(ONE_BY_ONE + 1, mean=1), id="just past one by one"),
            pytest.param(noise(3000, mean=0.1), id="many"),
            pytest.param(np.append(noise(999, mean=-1), 50_000), id="one huge win"),
            pytest.param(np.append(np.zeros(900), noise(150, mean=100)), id="mostly nothing"),
            pytest.param(np.random.default_rng(3).standard_cauchy(1500), id="heavy tails"),
            pytest.param(np.random.default_rng(4).lognormal(0, 2, 800), id="skewed"),
        ],
    )
    def test_agrees_with_drawing_each_amount(self, amounts):
        times = 6000
        ours = interval_of(resampled_sums(amounts, seed=[1], times=times))
        theirs = interval_of(textbook(amounts, times=times))

        width = theirs.high - theirs.low
        assert ours.low == pytest.approx(theirs.low, abs=0.05 * width)
        assert ours.high == pytest.approx(theirs.high, abs=0.05 * width)

    def test_of_one_amount_varies_by_nothing(self):
        assert (resampled_sums(np.full(50, 3.0), seed=[1]) == 150).all()
        assert resampled_sums(np.full(5000, 3.0), seed=[1]) == pytest.approx(15_000)

    def test_of_nothing_is_zero(self):
        assert (resampled_sums(np.array([]), seed=[1]) == 0).all()

    def test_covers_what_is_true_nineteen_times_in_twenty(self):
        chance = np.random.default_rng(5)
        covered = 0
        for number in range(300):
            drawn = chance.exponential(10, 300) - 10
            low, high = interval_of(resampled_sums(drawn, seed=[number], times=500))
            covered += low <= 0 <= high
        assert 0.90 <= covered / 300 <= 0.99


class TestRanks:
    def test_count_those_above(self):
        assert ranks_of([3.0, 5.0, 3.0, 1.0]) == [2, 1, 2, 4]

    def test_range_over_the_replicates(self):
        steady = np.full(1000, 2.0)
        lucky = np.where(np.arange(1000) % 3 == 0, -1.0, 9.0)
        never = np.full(1000, -5.0)

        assert rank_ranges([steady, lucky, never]) == [(1, 2), (1, 2), (3, 3)]
        assert rank_ranges([]) == []

    def test_are_shared_by_equals(self):
        assert rank_ranges([np.zeros(10), np.zeros(10)]) == [(1, 1), (1, 1)]

    def test_are_given_by_the_lower_end_of_the_interval(self):
        sure = standing(noise(200, mean=5), agent_id=uuid.UUID(int=1))
        lucky = standing(np.append(noise(199, mean=-5), 9000), agent_id=uuid.UUID(int=2))
        losing = standing(noise(200, mean=-5), agent_id=uuid.UUID(int=3))

        rank([lucky, losing, sure])

        assert lucky.values["net_return"] > sure.values["net_return"]
        assert [each.values["rank"] for each in (sure, lucky, losing)] == [1, 2, 3]
        assert (lucky.values["rank_low"], lucky.values["rank_high"]) == (1, 3)

    def test_always_lie_in_their_range(self):
        found = [
            standing(noise(60, mean=mean, seed=n), agent_id=uuid.UUID(int=n))
            for n, mean in enumerate(np.linspace(-1, 1, 12))
        ]

        rank(found)

        for each in found:
            values = each.values
            assert values["rank_low"] <= values["rank"] <= values["rank_high"]

    def test_are_not_given_to_who_is_too_early_nor_to_versions(self):
        early = standing(noise(200), days=Decimal("6.9"))
        version = standing(noise(200), prompt_version="v2")
        few = standing(noise(19))

        rank([early, version, few])

        assert [each.values["rank"] for each in (early, version, few)] == [None] * 3
        assert version.values["return_low"] is not None


class TestVerdicts:
    def test_is_better_where_the_interval_lies_above_zero(self):
        found = standing(noise(200, mean=5)).values

        assert found["verdict"] == Verdict.BETTER
        assert 0 < found["return_low"] < found["net_return"] < found["return_high"]
        assert found["net_return"] == 10
        assert "200 trades" in found["verdict_reason"]

    def test_is_worse_where_it_lies_below(self):
        assert standing(noise(200, mean=-5)).values["verdict"] == Verdict.WORSE

    def test_is_uncertain_else(self):
        assert standing(noise(200)).values["verdict"] == Verdict.UNCERTAIN

    def test_is_uncertain_where_one_win_makes_the_return(self):
        found = standing(np.append(noise(199, mean=-1), 9000)).values

        assert found["net_return"] > 80
        assert found["verdict"] == Verdict.UNCERTAIN

    def test_is_too_early_under_the_least_days(self):
        found = standing(noise(200, mean=5), days=Decimal("6.99")).values

        assert found["verdict"] == Verdict.TOO_EARLY
        assert found["verdict_reason"] == "6.9 days are known of it; a verdict takes 7."
        assert standing(noise(200, mean=5), days=Decimal(7)).values["verdict"] == Verdict.BETTER

    def test_is_too_early_under_the_least_trades(self):
        found = standing(noise(19, mean=5))

        assert found.values["verdict"] == Verdict.TOO_EARLY
        assert found.values["net_return"] is not None
        assert found.reasons["return_low"] == found.values["verdict_reason"]
        assert standing(noise(20, mean=50)).values["verdict"] == Verdict.BETTER

    def test_is_not_its_own_where_most_was_not_accepted(self):
        found = standing(noise(200, mean=5), accepted=100, unreadable=300, rejected=100).values

        assert found["verdict"] == Verdict.NOT_ITS_OWN
        assert found["model_share"] == Decimal("0.2")
        assert found["model_share_low"] < Decimal("0.2") < found["model_share_high"]
        assert "20 % of 500 decisions" in found["verdict_reason"]

    def test_is_not_its_own_however_few_its_trades(self):
        found = standing(accepted=2, unreadable=300)

        assert found.values["verdict"] == Verdict.NOT_ITS_OWN
        rank([found])
        assert found.values["rank"] is None

    def test_leaves_a_share_near_one_half_alone(self):
        found = standing(noise(200, mean=5), accepted=9, rejected=11).values

        assert found["verdict"] == Verdict.BETTER

    def test_nets_what_the_models_cost(self):
        gained = {"calls": 10, "calls_with_cost": 10}
        rich = standing(noise(200, mean=5), cost=Decimal(100), **gained).values
        poor = standing(noise(200, mean=5), cost=Decimal(2000), **gained).values

        assert (rich["net_return"], rich["verdict"]) == (9, Verdict.BETTER)
        assert (poor["net_return"], poor["verdict"]) == (-10, Verdict.WORSE)
        assert poor["net_pnl"] == pytest.approx(1000)
        assert poor["cost_per_decision"] == 20

    def test_counts_open_trades_as_they_stand(self):
        found = standing(noise(200, mean=5), unrealized=Decimal(-3000), open=1).values

        assert (found["net_return"], found["verdict"]) == (-20, Verdict.WORSE)
        assert found["open_trades"] == 1


class TestWhatIsEmpty:
    def test_says_why(self):
        found = standing(accepted=0)

        assert found.values["net_return"] == 0
        assert found.reasons == {
            "return_low": "0 trades are closed with a known P&L; a verdict takes 20.",
            "return_high": "0 trades are closed with a known P&L; a verdict takes 20.",
            "model_share": NO_DECISION,
            "cost_per_decision": NO_DECISION,
            "hit_rate": NOTHING_JUDGED,
            "brier": NOTHING_JUDGED,
        }
        assert all(found.values[name] is None for name in found.reasons)

    def test_has_no_return_on_nothing(self):
        found = standing(noise(50), start=Decimal(0))

        assert found.values["verdict"] == Verdict.UNCERTAIN
        assert found.values["net_return"] is None
        assert found.reasons["net_return"] == found.reasons["return_low"] == NO_BALANCE

    def test_does_not_net_dollars_from_another_currency(self):
        paid = {"cost": Decimal(5), "calls": 1, "calls_with_cost": 1}
        found = standing(noise(50), currency="EUR", **paid)

        assert found.values["net_return"] is None
        assert found.reasons["net_return"] == (
            "Its account is in EUR, what its models cost in US dollars."
        )
        assert standing(noise(50), currency="USDT", **paid).values["net_return"] is not None
        assert standing(noise(50), currency="EUR").values["net_return"] is not None

    def test_has_no_return_that_its_column_cannot_hold(self):
        found = standing(np.append(noise(50), 1e19), start=Decimal("0.001"))

        assert found.reasons["net_return"] == found.reasons["return_low"] == RETURN_TOO_LARGE

    def test_tells_what_of_the_cost_is_unknown(self):
        found = standing(calls=30, calls_with_cost=18, cost=Decimal(1))
        none = standing(calls=30)

        assert found.reasons["model_cost"] == "The cost of 12 of 30 calls is not known."
        assert none.reasons["cost_per_decision"] == NO_COST

    def test_tells_hits_from_confidence(self):
        found = standing(judged=4, hits=3)

        assert found.values["hit_rate"] == Decimal("0.75")
        assert found.reasons["brier"] == NO_CONFIDENCE

    def test_keeps_the_reasons_it_is_given(self):
        found = standing(figures={"sharpe_ratio": None}, reasons={"sharpe_ratio": "Because."})

        assert found.reasons["sharpe_ratio"] == "Because."


class TestTheColumns:
    def test_are_those_of_the_table(self):
        columns = {field.attname for field in AgentStanding._meta.concrete_fields}
        key = {"id", "agent_id", "period", "prompt_version", "computed_at", "reasons", "created_at"}
        elsewhere = {"max_drawdown_percent", "sharpe_ratio", "hold_return", "equal_return"}
        found = standing(noise(50))
        rank([found])

        assert set(found.values) == columns - key - elsewhere
