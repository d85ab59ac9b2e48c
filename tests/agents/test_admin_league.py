"""The league in the admin: who stands where, how sure that is, and what it costs to look."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from json import loads

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.agents.admin.league_pages import MOST_LINES, League, Scale
from apps.agents.models import AgentStanding
from tests.factories import (
    make_agent,
    make_agent_decision,
    make_agent_performance,
    make_agent_standing,
    make_candle,
    make_decision_outcome,
)
from tests.logs.pages import MARKUP, page

pytestmark = pytest.mark.django_db

LEAGUE = "admin:agents_league"
COMPUTE = "admin:agents_league_compute"
SCORECARD = "admin:agents_scorecard"
STANDINGS = "admin:agents_agentstanding_changelist"
NOW = datetime(2026, 3, 2, 18, tzinfo=UTC)
UNRANKED = {
    "rank": None,
    "rank_low": None,
    "rank_high": None,
    "verdict": "too_early",
    "verdict_reason": "2.0 days are known of it; a verdict takes 7.",
    "return_low": None,
    "return_high": None,
}
# Of somebody who may just look: session, user, two for the permissions, the lines, their courses,
# and what holding would have brought.
MOST_QUERIES = 9


def staff(*permissions):
    user = User.objects.create_user("someone", is_staff=True)
    for name in permissions:
        user.user_permissions.add(
            Permission.objects.get(codename=name, content_type__app_label="agents")
        )
    client = Client()
    client.force_login(user)
    return client


def drawn_standing(*, points=3, **values):
    """Make a ranked agent with a course."""
    row = make_agent_standing(began_at=timezone.now() - timedelta(days=points + 1), **values)
    for days in range(points):
        make_agent_performance(agent=row.agent, snapshot_time=timezone.now() - timedelta(days=days))
    return row


def chart_of(html):
    found = re.search(r'<line-chart.*?json">(.*?)</script>', html, re.DOTALL)
    return loads(found[1])


class TestTable:
    def test_tells_how_an_agent_stands_and_how_sure_that_is(self, admin_client):
        make_agent_standing(
            agent=make_agent(name="Trend Follower"), rank=2, rank_low=1, rank_high=4,
            unknown_trades=3,
        )  # fmt: skip

        html = page(admin_client, LEAGUE, mode="paper")

        for words in (
            "Trend Follower", "deepseek-chat", ">Gains<", "+4.20 %", "+1.1 … +7.9 %", "30.00",
            "2.5 %", "1.40", "6,000", "95 % ", "(94–96)", "0.005000", "60 %",
            "The whole interval of its return lies above zero.",
        ):  # fmt: skip
            assert words in html
        assert '<strong>2</strong> <span class="b-quiet">(1–4)</span>' in html
        assert 'n = <span class="b-num">100</span>' in html
        assert '+ <span class="b-num">3</span>' in html

    def test_holds_agents_against_buy_and_hold_and_equal_weight(self, admin_client):
        make_agent_standing(net_return=Decimal("4.2"), hold_return=Decimal("5.7"))

        html = page(admin_client, LEAGUE, mode="paper")

        assert ">−1.5</span>" in html
        assert ">+1.5</span>" in html
        assert "It would have returned +5.70 % from the same start." in html

    def test_never_mixes_real_and_pretended_money(self, admin_client):
        make_agent_standing(agent=make_agent(name="Pretends"))
        make_agent_standing(agent=make_agent(name="Means it", mode="live"))

        first, paper = page(admin_client, LEAGUE), page(admin_client, LEAGUE, mode="paper")

        assert "Means it" in first
        assert "Pretends" not in first
        assert "Pretends" in paper
        assert "Means it" not in paper

    def test_opens_with_pretended_money_where_there_is_no_other(self, admin_client):
        make_agent_standing(agent=make_agent(name="Pretends"))

        assert "Pretends" in page(admin_client, LEAGUE)

    def test_puts_those_of_whom_too_little_is_known_below_a_line(self, admin_client):
        make_agent_standing(agent=make_agent(name="Newcomer"), net_return=Decimal(90), **UNRANKED)
        make_agent_standing(agent=make_agent(name="Second"), rank=2, rank_low=1, rank_high=2)
        make_agent_standing(agent=make_agent(name="First"))

        html = page(admin_client, LEAGUE, mode="paper")

        places = [html.index(words) for words in ("First", "Second", "Not ranked", "Newcomer")]
        assert places == sorted(places)
        assert html.count('class="b-few"') == 1
        assert "2.0 days are known of it; a verdict takes 7." in html

    @pytest.mark.parametrize(
        ("period", "seen"), [("7d", "of a week"), ("30d", "of a month"), ("all", "of ever")]
    )
    def test_looks_back_as_far_as_asked(self, admin_client, period, seen):
        for each, name in (("7d", "of a week"), ("30d", "of a month"), ("all", "of ever")):
            make_agent_standing(agent=make_agent(name=name), period=each)

        html = page(admin_client, LEAGUE, mode="paper", period=period)

        assert [
            name for name in ("of a week", "of a month", "of ever") if name in html
        ] == [seen]  # fmt: skip

    def test_says_since_when_it_holds(self, admin_client):
        make_agent_standing(computed_at=NOW)

        html = page(admin_client, LEAGUE, mode="paper")

        assert NOW.isoformat() in html
        assert "made every 15 minutes" in html

    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ({}, "No paper agent is in the league yet."),
            ({"mode": "live"}, "No live agent is in the league yet."),
            ({"view": "prompts"}, "No versions of prompts are told apart yet."),
            (
                {"mode": "x", "period": "\x00", "view": "<i>"},
                "No paper agent is in the league yet.",
            ),
        ],
    )
    def test_says_what_fills_it(self, admin_client, query, said):
        html = page(admin_client, LEAGUE, **query)

        assert said in html
        assert "POST" in html

    def test_shows_markup_from_outside_as_text(self, admin_client):
        agent = make_agent(name=MARKUP, llm_model=MARKUP, coins={MARKUP: MARKUP})
        make_agent_standing(agent=agent, verdict_reason=MARKUP, reasons={"hold_return": MARKUP},
                            hold_return=None)  # fmt: skip
        make_agent_standing(agent=agent, prompt_version=MARKUP, **UNRANKED)

        for view in ("agents", "prompts"):
            html = page(admin_client, LEAGUE, mode="paper", view=view)
            assert MARKUP not in html
            assert "&lt;img src=x" in html

    def test_bears_numbers_as_large_as_are_kept(self, admin_client):
        much = Decimal("999999999999.99999999")
        make_agent_standing(
            net_return=much.copy_negate(), return_low=much.copy_negate(), return_high=much,
            model_cost=Decimal("99999999999999999999.5"), sharpe_ratio=1e308,
            max_drawdown_percent=much, hold_return=much, decisions=2_147_483_647,
            reasons={"model_cost": "The cost of 3 of 9 calls is not known."},
        )  # fmt: skip

        html = page(admin_client, LEAGUE, mode="paper")

        assert "−1.0e+12 … +1.0e+12 %" in html
        assert "≥ 1.00e+20" in html
        assert "NaN" not in html

    def test_bears_a_line_with_nothing_in_it(self, admin_client):
        make_agent_standing(
            net_return=None, max_drawdown_percent=None, sharpe_ratio=None, model_share=None,
            model_share_low=None, model_share_high=None, cost_per_decision=None, hit_rate=None,
            brier=None, hold_return=None, equal_return=None, began_at=None, decisions=0, judged=0,
            reasons={"net_return": "The equity at the start was zero or less."}, **UNRANKED,
        )  # fmt: skip

        html = page(admin_client, LEAGUE, mode="paper")

        assert "The equity at the start was zero or less." in html
        assert "No course yet." in html


class TestScale:
    def scale(self, *intervals):
        return Scale.over(
            [
                AgentStanding(return_low=Decimal(low), return_high=Decimal(high))
                for low, high in intervals
            ]
        )

    def test_holds_all_intervals_and_zero(self):
        assert self.scale((1, 3), (2, 8)) == Scale(Decimal(0), Decimal(8))
        assert self.scale((-6, -2)) == Scale(Decimal(-6), Decimal(0))

    def test_is_not_pressed_flat_by_one_that_lies_far_out(self):
        assert self.scale((-1, 3), (-2, 4), (-900, 90_000)) == Scale(Decimal(-2), Decimal(4))

    def test_draws_what_lies_outside_at_its_edge(self):
        scale = Scale(Decimal(-10), Decimal(10))

        assert [scale.at(Decimal(value)) for value in (-99, -10, 0, 5, 99)] == [0, 0, 50, 75, 100]

    def test_of_nothing_is_a_scale_too(self):
        assert self.scale().at(Decimal(0)) == 50
        assert self.scale((0, 0)).at(Decimal(0)) == 50


class TestChart:
    def test_draws_the_best_and_holding(self, admin_client):
        for rank in (2, 1):
            drawn_standing(
                agent=make_agent(name=f"No. {rank}", benchmark_coin="BTC"),
                rank=rank, rank_low=1, rank_high=2,
            )  # fmt: skip
        hour = timezone.now().replace(minute=0, second=0, microsecond=0)
        for hours in (50, 3):
            make_candle(granularity="1h", timestamp=hour - timedelta(hours=hours))

        chart = chart_of(page(admin_client, LEAGUE, mode="paper"))

        assert [line["name"] for line in chart["series"]] == ["No. 1", "No. 2", "Holding BTC"]
        assert len({line["tone"] for line in chart["series"]}) == 3

    def test_draws_no_more_lines_than_can_be_told_apart(self):
        for rank in range(1, MOST_LINES + 3):
            drawn_standing(rank=rank, rank_low=rank, rank_high=rank, points=2)

        chart = League({"mode": "paper"}).chart

        assert len(chart["series"]) == MOST_LINES


class TestCost:
    def test_asks_fewer_than_ten_times_whoever_looks_and_however_many_there_are(
        self, django_assert_max_num_queries
    ):
        viewer = staff("view_agentstanding", "view_tradingagent")
        for rank in range(1, 13):
            row = drawn_standing(rank=rank, rank_low=rank, rank_high=rank, points=4)
            make_agent_decision(agent=row.agent)
            make_agent_standing(agent=row.agent, prompt_version="v1", **UNRANKED)
        make_candle(granularity="1h", timestamp=NOW.replace(minute=0))

        for query in ({}, {"mode": "paper", "period": "all"}, {"view": "prompts"}):
            page(viewer, LEAGUE, **query)
            with django_assert_max_num_queries(MOST_QUERIES):
                page(viewer, LEAGUE, **query)


class TestVersions:
    def test_compares_the_versions_of_each_agent(self, admin_client):
        agent = make_agent(name="Trend Follower")
        for days, version in ((20, "v1"), (3, "sha256:" + 14 * "abcd")):
            make_agent_standing(
                agent=agent, prompt_version=version, began_at=NOW - timedelta(days=days), **UNRANKED
            )
        make_agent_standing(agent=make_agent(name="Without versions"))

        html = page(admin_client, LEAGUE, mode="paper", view="prompts")

        assert html.index("sha256:abcdabcda…") < html.index(">v1<")
        assert "Without versions" not in html


class TestComputing:
    def test_makes_the_league_anew_for_who_may_change_agents(self):
        make_agent(name="Newly there")
        operator = staff("view_agentstanding", "change_tradingagent")

        sent = operator.post(reverse(COMPUTE) + "?mode=paper&period=7d", follow=True)

        html = sent.content.decode()
        assert sent.redirect_chain[0][0].endswith("?mode=paper&period=7d")
        assert "The league is made anew" in html
        assert "Newly there" in html

    def test_may_come_twice(self, admin_client):
        make_agent()
        for _ in range(2):
            admin_client.post(reverse(COMPUTE))

        assert AgentStanding.objects.filter(period="all").count() == 1

    def test_is_not_for_others_nor_for_a_mere_link(self):
        viewer = staff("view_agentstanding")

        assert viewer.post(reverse(COMPUTE)).status_code == 403
        assert viewer.get(reverse(COMPUTE)).status_code == 405
        assert "Make it now" not in page(viewer, LEAGUE)

    @pytest.mark.parametrize("name", [LEAGUE, SCORECARD])
    def test_shows_nothing_to_who_may_not_look(self, name):
        assert staff("view_tradingagent").get(reverse(name)).status_code == 403


class TestList:
    def test_leads_from_each_line_to_its_agent(self, admin_client):
        row = make_agent_standing(agent=make_agent(name=MARKUP))

        html = page(admin_client, STANDINGS)

        assert reverse("admin:agents_tradingagent_change", args=[row.agent_id]) in html
        assert MARKUP not in html

    def test_asks_as_often_for_many_as_for_few(self, admin_client, django_assert_num_queries):
        make_agent_standing()
        page(admin_client, STANDINGS)
        for _ in range(5):
            make_agent_standing()

        with django_assert_num_queries(3):
            page(admin_client, STANDINGS)

    def test_tells_all_of_a_line_on_its_page(self, admin_client):
        row = make_agent_standing(reasons={"sharpe_ratio": MARKUP}, sharpe_ratio=None)

        html = page(admin_client, "admin:agents_agentstanding_change", row.pk)

        assert "The whole interval of its return lies above zero." in html
        assert MARKUP not in html


class TestScorecard:
    @pytest.mark.parametrize(
        ("by", "named"),
        [
            ("agent", "Trend Follower"), ("model", "deepseek-chat"), ("prompt_version", "v7"),
            ("action", "Open long"), ("coin", "BTC"), ("confidence_band", "80–90 %"),
            ("nothing", "Trend Follower"),
        ],
    )  # fmt: skip
    def test_counts_up_what_came_of_decisions(self, admin_client, by, named):
        agent = make_agent(name="Trend Follower")
        decision = make_agent_decision(agent=agent, prompt_version="v7")
        make_decision_outcome(decision=decision, settled=True)

        html = page(admin_client, SCORECARD, by=by, span="all")

        assert named in html
        assert "100.0 %" in html

    def test_tells_accepted_from_rejected(self, admin_client):
        for status, coin in (("success", "BTC"), ("rejected", "DOGE")):
            decision = make_agent_decision(
                status=status, coin=coin, violations=[] if status == "success" else [{"rule": "x"}]
            )
            make_decision_outcome(decision=decision, settled=True)

        html = page(admin_client, SCORECARD, by="coin", span="all", taken="no")

        assert "DOGE" in html
        assert "BTC" not in html

    def test_says_what_fills_it(self, admin_client):
        assert "No decision has come yet." in page(admin_client, SCORECARD, span="all")

    def test_shows_markup_from_outside_as_text(self, admin_client):
        agent = make_agent(name=MARKUP, llm_model=MARKUP)
        decision = make_agent_decision(
            agent=agent, coin=MARKUP[:20], prompt_version=MARKUP, timestamp=timezone.now()
        )
        make_decision_outcome(decision=decision, settled=True, is_hit=None, note=MARKUP)

        for by in ("agent", "model", "prompt_version", "coin"):
            assert MARKUP not in page(admin_client, SCORECARD, by=by)
