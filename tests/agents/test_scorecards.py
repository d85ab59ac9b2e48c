"""Counting up what became of decisions."""

import random
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.agents.domain import outcomes
from apps.agents.domain.outcomes import selling
from apps.agents.domain.scorecard import DecisionScorecardRow
from apps.agents.models import DecisionOutcome
from apps.agents.services.judging import judge_decisions
from apps.agents.services.scorecards import Filters, scorecard
from apps.shared.quant import calibration, intervals, samples
from apps.shared.quant import scorecards as rules
from apps.shared.quant.scorecards import Horizon
from tests.agents.judged import DAY, decided, decided_all, decision, hours_later
from tests.alerts.rows import FIVE, LATER, NOON, candle, closing_at, store
from tests.factories import make_agent, make_llm_call


def price_path(symbol, end, high=None, low=None):
    closes = {0: 100, 1: 101, 4: 98, 24: end}
    store(
        *(
            closing_at(hours_later(h), close, symbol=symbol)
            for h, close in closes.items()
            if close is not None
        ),
        candle(hours_later(10), 100, high=high, low=low, symbol=symbol),
    )


@pytest.fixture
def agents():
    """Three decided of one agent (two hits), a hole, one that waits, two holds; one of another."""
    one = make_agent(name="one", llm_model="a")
    other = make_agent(name="other", llm_model="b")
    price_path("WIN", 106, high=110)
    price_path("LOSE", 97, low=90)
    price_path("HOLE", None)
    store(closing_at(NOON + 2 * DAY, 100, symbol="HOLE"))
    exits = {"take_profit_price": 108, "stop_loss_price": 92, "prompt_version": "v1"}
    decided(one, symbol="WIN", status="success", confidence="0.9", **exits)
    decided(one, symbol="LOSE", confidence="0.8", coin="SOL", **exits)
    decided(one, symbol="LOSE", action="OPEN_SHORT", take_profit_price=92, stop_loss_price=108)
    decided(one, symbol="HOLE", confidence="0.8")
    decided(one, symbol="NOTHING")
    decided(one, symbol="WIN", action="HOLD", confidence="0.6")
    decided(one, symbol="LOSE", action="HOLD")
    decided(one, symbol="", coin="DOGE")
    decided(other, symbol="WIN", action="CLOSE_POSITION", direction="short")
    judge_decisions(now=LATER)
    return one, other


def rows(**asked):
    return {row.key: row for row in scorecard(**asked)}


@pytest.mark.django_db
class TestScorecard:
    def test_counts_the_settled_and_decided(self, agents):
        row = rows()[str(agents[0].pk)]

        assert (row.total, row.accepted, row.open, row.no_claim) == (8, 1, 1, 1)
        assert (row.settled, row.n, row.hits) == (6, 3, 2)
        assert (row.aside, row.undecided, row.missing) == (2, 1, 1)
        assert row.undecided_reasons == {outcomes.no_price(24): 1}

    def test_gives_the_hit_rate_with_its_interval(self, agents):
        row = rows()[str(agents[0].pk)]

        low, high = intervals.wilson(2, 3)
        assert row.hit_rate == Decimal("0.66666667")
        assert (row.hit_rate_low, row.hit_rate_high) == (
            samples.rounded(low),
            samples.rounded(high),
        )
        assert row.few

    def test_gives_the_changes_in_the_direction_taken(self, agents):
        after_1, after_4, after_24 = rows()[str(agents[0].pk)].horizons

        # Long 1, long 1, short −1, and the one with the hole.
        assert after_1 == Horizon(1, 4, 0, Decimal("0.5"), Decimal(1))
        assert after_4.mean == -1
        # Long 6, long −3, short 3.
        assert after_24 == Horizon(24, 3, 1, Decimal(2), Decimal(3))

    def test_gives_both_ways_of_what_took_none(self, agents):
        row = rows()[str(agents[0].pk)]

        # Two holds: 6 and −3.
        assert row.bought[-1] == Horizon(24, 2, 0, Decimal("1.5"), Decimal("1.5"))
        assert row.sold[-1] == Horizon(24, 2, 0, Decimal("-1.5"), Decimal("-1.5"))
        assert (row.sold[0].mean, row.sold[1].mean) == (-1, 2)

    def test_counts_first_touches(self, agents):
        row = rows()[str(agents[0].pk)]

        touches = (row.touched_target, row.touched_stop, row.ambiguous, row.untouched)
        assert touches == (2, 1, 0, 0)

    def test_gives_quantiles_of_those_that_took_a_side(self, agents):
        row = rows()[str(agents[0].pk)]

        # Long 10, long 1, short 10, and the hole's 1.
        assert row.max_gain == rules.Quantiles(Decimal(1), Decimal(1), Decimal(10))

    def test_gives_the_calibration_without_holds(self, agents):
        row = rows()[str(agents[0].pk)]

        assert row.confident == 2
        assert row.brier == calibration.brier([(Decimal("0.9"), True), (Decimal("0.8"), False)])
        assert [(band.n, band.hits) for band in row.reliability] == [(0, 0)] * 8 + [(1, 0), (1, 1)]

    @pytest.mark.parametrize(
        ("by", "keys"),
        [
            ("action", {"OPEN_LONG", "OPEN_SHORT", "HOLD", "CLOSE_POSITION"}),
            ("coin", {"BTC", "SOL", "DOGE"}),
            ("symbol", {"WIN", "LOSE", "HOLE", "NOTHING", ""}),
            ("prompt_version", {"", "v1"}),
            ("model", {"a", "b"}),
            ("confidence_band", {"", "0.5–0.6", "0.6–0.7", "0.8–0.9", "0.9–1.0"} - {"0.5–0.6"}),
            ("all", {""}),
        ],
    )
    def test_is_counted_up_by(self, agents, by, keys):
        found = rows(by=by)

        assert set(found) == keys
        assert sum(row.total for row in found.values()) == 9

    def test_the_model_is_the_one_that_was_asked(self):
        agent = make_agent(llm_model="now")
        decided(agent, call=make_llm_call(agent=agent, model="then"))
        decided(agent)

        assert {key: row.total for key, row in rows(by="model").items()} == {"then": 1, "now": 1}

    def test_refuses_another_grouping(self):
        with pytest.raises(ValueError, match="counted up by"):
            scorecard(by="color")

    @pytest.mark.parametrize(
        ("filters", "total"),
        [
            ({"symbol": ["WIN", "HOLE"]}, 4),
            ({"action": ["HOLD"]}, 2),
            ({"direction": ["short"], "symbol": ["LOSE"]}, 1),
            ({"prompt_version": ["v1"]}, 2),
            ({"is_accepted": [True]}, 1),
            ({"is_accepted": [True, False]}, 9),
            ({"moment_after": NOON}, 9),
            ({"moment_before": NOON}, 0),
        ],
    )
    def test_takes_filters(self, agents, filters, total):
        assert sum(row.total for row in scorecard(filters=Filters(**filters))) == total

    def test_takes_agents(self, agents):
        assert set(rows(filters=Filters(agent_id=[agents[1].pk]))) == {str(agents[1].pk)}

    def test_says_why_a_figure_is_empty(self, agents):
        row = rows(by="symbol")["NOTHING"]

        assert (row.hit_rate, row.hit_rate_low, row.brier) == (None, None, None)
        assert row.reasons == {
            "hit_rate": rules.NONE_DECIDED,
            "max_gain": rules.NONE_MEASURED,
            "max_loss": rules.NONE_MEASURED,
            "brier": rules.NO_CONFIDENCE,
        } | {
            f"{name}/{hours}": rules.NONE_PRICED
            for name in ("horizons", "bought", "sold")
            for hours in (1, 4, 24)
        }

    def test_is_one_statement_for_any_number_of_groups(self, agents):
        with CaptureQueriesContext(connection) as queries:
            scorecard(by="model")

        assert len(queries) == 1

    def test_of_nothing_is_empty(self):
        assert scorecard() == []

    def test_equals_the_pure_figures_of_a_random_sample(self):
        chance, agent = random.Random(7), make_agent()
        decided_all(
            [
                decision(
                    agent,
                    action=chance.choice(["OPEN_LONG", "OPEN_SHORT", "HOLD"]),
                    confidence=Decimal(chance.randrange(101)) / 100,
                    prompt_version=chance.choice("abc"),
                    timestamp=NOON + timedelta(minutes=chance.randrange(2900)),
                )
                for _ in range(120)
            ]
        )
        store(*(closing_at(NOON + i * FIVE, f"{chance.uniform(80, 130):.3f}") for i in range(900)))
        judge_decisions(now=LATER)

        for key, row in rows(by="prompt_version").items():
            settled = DecisionOutcome.objects.filter(prompt_version=key, status="settled")
            sides, none = settled.exclude(direction=""), settled.filter(direction="")
            gains = list(sides.values_list("max_gain", flat=True))
            claims = list(sides.values_list("confidence", "is_hit"))
            assert row.n == len(gains) > 10
            assert row.max_gain == rules.Quantiles(
                *(samples.nearest_rank(gains, Decimal(share)) for share in ("0.1", "0.5", "0.9"))
            )
            assert row.brier == calibration.brier(claims)
            assert row.reliability == calibration.reliability(claims)
            for found, of in ((row.horizons, sides), (row.bought, none)):
                for each in found:
                    moves = list(of.values_list(f"change_{each.hours}h", flat=True))
                    assert each.n == len(moves) > 5
                    assert each.mean == samples.mean(moves)
                    assert each.median == samples.median(moves)
            for each, bought in zip(row.sold, row.bought, strict=True):
                assert (each.mean, each.median) == (selling(bought.mean), selling(bought.median))


class TestDecisionScorecardRow:
    def test_tells_everything_as_plain_documents(self):
        bought = Horizon(24, 2, 0, Decimal("1.5"), None)
        counts = dict.fromkeys(DecisionScorecardRow.__dataclass_fields__, 0)
        extra = {"key": "k", "bought": [bought], "horizons": [], "reliability": []}
        empty = {"max_gain": rules.Quantiles(), "max_loss": rules.Quantiles(), "brier": None}
        row = DecisionScorecardRow(**counts | extra | empty | {"undecided_reasons": {}})

        told = row.figures()

        assert told["sold"] == [
            {"hours": 24, "n": 2, "missing": 0, "mean": Decimal("-1.5"), "median": None}
        ]
        assert (told["hit_rate"], told["few"], told["max_gain"]["p50"]) == (None, True, None)
        assert told["reasons"]["hit_rate"] == rules.NONE_DECIDED
