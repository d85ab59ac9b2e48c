"""Agents in the admin: how they stand, what they decide and cost, and who may stop them."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from json import loads

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.agents.admin import agent_parts, curves
from apps.agents.admin.agent_pages import AgentStory
from apps.agents.choices import AgentStatus, TradeStatus
from apps.agents.models import TradingAgent
from tests.factories import (
    make_agent,
    make_agent_decision,
    make_agent_performance,
    make_agent_standing,
    make_agent_trade,
    make_bot,
    make_candle,
    make_decision_outcome,
    make_llm_call,
)
from tests.logs.pages import CONTROLS, CONTROLS_SEEN, MARKUP, page

pytestmark = pytest.mark.django_db

AGENTS = "admin:agents_tradingagent_changelist"
AGENT = "admin:agents_tradingagent_change"
SNAPSHOTS = "admin:agents_agentperformance_changelist"
NOW = datetime(2026, 3, 2, 18, tzinfo=UTC)
HUGE = Decimal("99999999999999999999.123456789012345678")
# Session, user and the agent; then one for each part of its page.
MOST_QUERIES = 28


def story(agent, *, now=NOW):
    return AgentStory(agent, now=now)


def shown_page(client, agent):
    return page(client, AGENT, agent.pk)


def press(client, agent, step, **sent):
    url = reverse(f"admin:agents_tradingagent_{step}", args=[agent.pk])
    return client.post(url, sent, follow=True).content.decode()


def act(client, agents, step, **sent):
    data = {"action": step, "index": "0", "_selected_action": [agent.pk for agent in agents]}
    return client.post(reverse(AGENTS), data | sent, follow=True).content.decode()


def staff(*permissions):
    user = User.objects.create_user("someone", is_staff=True)
    for name in permissions:
        app, codename = name.split(".")
        user.user_permissions.add(
            Permission.objects.get(codename=codename, content_type__app_label=app)
        )
    client = Client()
    client.force_login(user)
    return client


def given(agent, **changes):
    """Return the form of an agent as a browser sends it."""
    sent = {
        "name": agent.name, "llm_model": agent.llm_model, "provider": "", "exchange_account": "",
        "mode": "paper", "quote_currency": "USD", "initial_balance": "10000",
        "max_position_size": "20", "max_leverage": "10", "stop_loss_pct": "2",
        "take_profit_pct": "5", "min_confidence": "", "daily_budget": "",
        "coins": "BTC BTC/USD", "benchmark_coin": "BTC", "strategy_description": "",
        "bot_id": "", "extra_metadata": "{}",
    }  # fmt: skip
    return sent | changes


def busy_agent(**values):
    """Make an agent with something in every part of its page."""
    agent = make_agent(**{"daily_budget": Decimal(1)} | values)
    make_agent_standing(agent=agent)
    make_agent_standing(agent=agent, prompt_version="v1", rank=None, rank_low=None, rank_high=None)
    for _ in range(3):
        make_agent_performance(agent=agent)
        call = make_llm_call(agent=agent)
        make_decision_outcome(decision=make_agent_decision(call=call), settled=True)
        rejected = make_agent_decision(
            agent=agent,
            status="rejected",
            violations=[{"rule": "leverage", "message": "Too high."}],
        )
        make_decision_outcome(decision=rejected)
        make_agent_trade(agent=agent), make_agent_trade(agent=agent, closed=True)
    return agent


class TestList:
    def test_scans_how_each_stands(self, admin_client):
        agent = make_agent(name="Trend Follower", status="paused", daily_budget=Decimal(2))
        make_agent_standing(agent=agent, rank=2, rank_low=1, rank_high=4)
        make_llm_call(agent=agent, timestamp=timezone.now(), cost=Decimal("1.90"))
        make_agent_trade(agent=agent, closed=True)
        make_agent_decision(agent=agent, timestamp=timezone.now() - timedelta(minutes=4))

        html = page(admin_client, AGENTS)

        for words in ("Trend Follower", ">Paused<", ">Paper<", ">Gains<", "10,038.00", "4 min ago"):
            assert words in html
        assert '<strong>2</strong> <span class="b-quiet">(1–4)</span>' in html
        assert '<span class="b-num">95 %</span> <span class="b-word">near</span>' in html

    def test_asks_as_often_for_many_agents_as_for_few(
        self, admin_client, django_assert_num_queries
    ):
        busy_agent()
        page(admin_client, AGENTS)
        with django_assert_num_queries(11) as few:
            page(admin_client, AGENTS)
        for _ in range(4):
            busy_agent()
        with django_assert_num_queries(len(few)):
            page(admin_client, AGENTS)

    def test_says_of_an_agent_of_which_nothing_is_known_what_is_missing(self, admin_client):
        make_agent()

        html = page(admin_client, AGENTS)

        assert "The league has not been computed since" in html
        assert "It has decided nothing yet." in html
        assert "No budget is set." in html

    def test_shows_a_name_full_of_markup_as_text(self, admin_client):
        make_agent(name=MARKUP, llm_model=CONTROLS)

        html = page(admin_client, AGENTS)

        assert MARKUP not in html
        assert CONTROLS_SEEN in html

    def test_says_who_fills_it(self, admin_client):
        assert "POST /api/v1/agents/agents/" in page(admin_client, AGENTS)


class TestPage:
    def test_costs_the_same_for_many_rows_as_for_few(
        self, admin_client, django_assert_max_num_queries
    ):
        agent = busy_agent()
        for _ in range(4):
            busy_agent()
            make_decision_outcome(decision=make_agent_decision(agent=agent))
            make_agent_trade(agent=agent)
        shown_page(admin_client, agent)

        with django_assert_max_num_queries(MOST_QUERIES):
            shown_page(admin_client, agent)

    def test_shows_what_belongs_to_it_and_nothing_of_others(self, admin_client):
        agent, other = busy_agent(), busy_agent(name="Somebody else")
        trade = agent.trades.filter(status="open").first()
        foreign = [*other.trades.all(), *other.decisions.all()]

        html = shown_page(admin_client, agent)

        assert str(trade.pk) in html
        assert str(agent.decisions.order_by("-timestamp").first().pk) in html
        assert not [str(row.pk) for row in foreign if str(row.pk) in html]

    def test_shows_markup_from_outside_as_text(self, admin_client):
        agent = make_agent(
            name=MARKUP, llm_model=MARKUP, provider=MARKUP[:50], bot_id=MARKUP,
            strategy_description=MARKUP, coins={MARKUP: MARKUP, "BTC": CONTROLS},
            quote_currency=MARKUP[:10],
        )  # fmt: skip
        make_agent_standing(agent=agent, verdict_reason=MARKUP, reasons={"net_return": MARKUP})
        make_agent_standing(
            agent=agent, prompt_version=MARKUP, rank=None, rank_low=None, rank_high=None
        )
        for violations in ([{"rule": MARKUP, "message": MARKUP}], [MARKUP, None], [[1]]):
            make_agent_decision(
                agent=agent, status="rejected", violations=violations, coin=MARKUP[:20],
                reasoning=MARKUP, error_message=MARKUP, timestamp=timezone.now(),
            )  # fmt: skip
        make_agent_trade(agent=agent, coin=MARKUP[:20], symbol=MARKUP)

        html = shown_page(admin_client, agent)

        assert MARKUP not in html
        assert "<img src=x" not in html

    def test_opens_where_nothing_is_known(self, admin_client):
        html = shown_page(admin_client, make_agent(coins={}, benchmark_coin=""))

        for words in ("No course yet.", "It is not in the league yet.", "It holds nothing open.",
                      "It has decided nothing yet.", "No versions are told apart yet.",
                      "Nothing is computed yet."):  # fmt: skip
            assert words in html

    def test_opens_with_numbers_as_large_as_are_kept(self, admin_client):
        agent = make_agent(initial_balance=HUGE, daily_budget=Decimal("0.000000000000000001"))
        make_llm_call(agent=agent, timestamp=timezone.now(), cost=HUGE)
        for days in (1, 2):
            make_agent_performance(
                agent=agent, snapshot_time=timezone.now() - timedelta(days=days),
                total_value=HUGE.copy_negate(), profit_factor=1e308, sharpe_ratio=-5e-324,
                roi_percent=Decimal("999999999999.99999999"),
            )  # fmt: skip
        make_agent_trade(agent=agent, size=HUGE, entry_price=HUGE)

        html = shown_page(admin_client, agent)

        assert "1.00e+20" in html
        assert "over budget" in html
        assert "NaN" not in html

    def test_refreshes_itself_until_the_agent_is_stopped(self, admin_client):
        active, stopped = make_agent(), make_agent(status="stopped")

        live = admin_client.get(reverse("admin:agents_tradingagent_live", args=[active.pk]))
        over = admin_client.get(reverse("admin:agents_tradingagent_live", args=[stopped.pk]))

        assert "data-live-over" not in live.content.decode()
        assert "data-live-over" in over.content.decode()

    def test_is_for_those_who_may_look(self):
        agent, nobody = make_agent(), staff()

        for name in (AGENT, "admin:agents_tradingagent_live"):
            assert nobody.get(reverse(name, args=[agent.pk])).status_code == 403

    @pytest.mark.parametrize(("permission", "linked"), [("bots.view_botinstance", 1), ("", 0)])
    def test_leads_to_its_bot_for_those_who_may_see_bots(self, permission, linked):
        agent = make_agent(bot_id=make_bot(id="llm trend/1").pk)
        viewer = staff(*filter(None, ["agents.view_tradingagent", permission]))

        html = shown_page(viewer, agent)

        assert html.count("/admin/bots/botinstance/llm%20trend_2F1/change/") == linked
        assert "llm trend/1" in html


class TestStory:
    def test_adds_up_what_was_closed_today_and_counts_what_is_unknown(self):
        agent = make_agent()
        for hours in (1, 30):
            at = NOW - timedelta(hours=hours)
            make_agent_trade(agent=agent, closed=True, entry_time=at, exit_time=at)
        make_agent_trade(
            agent=agent, closed=True, entry_time=NOW, exit_time=NOW, exit_price=None,
            gross_pnl=None, realized_pnl=None,
        )  # fmt: skip

        told = story(agent)

        assert "+38.00" in told.today
        assert told.closed_today == "1 closed, net of fees; P&L of 1 more unknown"
        assert any("one closed trade is unknown" in words for _, words in told.standing_words)

    @pytest.mark.parametrize(
        ("cost", "said", "over"),
        [("0.5", "25 %", False), ("1.6", "near", False), ("2", "near", False),
         ("2.01", "over budget", True)],
    )  # fmt: skip
    def test_says_how_much_of_its_budget_is_spent(self, cost, said, over):
        agent = make_agent(daily_budget=Decimal(2))
        make_llm_call(agent=agent, timestamp=NOW, cost=Decimal(cost))
        make_llm_call(agent=agent, timestamp=NOW - timedelta(days=1), cost=Decimal(9))

        told = story(agent)

        assert said in told.budget
        assert ("b-danger" in told.budget) == over
        assert any("Over budget" in words for _, words in told.standing_words) == over

    def test_counts_what_was_not_the_models_doing_in_the_last_week(self):
        agent = make_agent()
        for days, status in ((0, "success"), (1, "failed"), (2, "parsing_error"), (9, "failed")):
            make_agent_decision(agent=agent, timestamp=NOW - timedelta(days=days), status=status)

        told = story(agent)

        assert {each["status"]: each["n"] for each in told.contamination} == {
            "parsing_error": 1, "rejected": 0, "failed": 1,
        }  # fmt: skip
        assert told.contamination[0]["words"] == "33.3 %"
        assert told.counted_words == "3 decisions in 7 days"

    def test_counts_no_more_than_it_can_afford(self, monkeypatch):
        monkeypatch.setattr(agent_parts, "MOST_COUNTED", 2)
        agent = make_agent()
        for minutes in range(3):
            make_agent_decision(agent=agent, timestamp=NOW - timedelta(minutes=minutes))

        assert story(agent).counted_words == "the newest 2 of 7 days"

    def test_names_the_rules_it_broke_most(self):
        agent = make_agent()
        broken = [["size", "leverage"], ["size"], ["size", "size"]]
        for rules in broken:
            make_agent_decision(
                agent=agent, timestamp=NOW, status="rejected",
                violations=[{"rule": rule, "message": "No."} for rule in rules],
            )  # fmt: skip

        assert story(agent).rules == [{"rule": "size", "n": 3}, {"rule": "leverage", "n": 1}]

    def test_tells_what_came_after_its_last_decisions(self):
        agent = make_agent()
        judged = make_agent_decision(agent=agent, timestamp=NOW - timedelta(days=2))
        make_decision_outcome(decision=judged, settled=True)
        make_agent_decision(agent=agent, timestamp=NOW)

        newest, oldest = story(agent).decisions

        assert "+2.00 %" in oldest["changes"][2]
        assert "Hit" in oldest["outcome"]
        assert "Nothing is judged of it." in newest["outcome"]

    def test_says_on_hover_why_a_decision_was_not_accepted(self):
        agent = make_agent()
        make_agent_decision(
            agent=agent, status="rejected", violations=[{"rule": "coin", "message": "No DOGE."}]
        )

        assert 'title="No DOGE."' in story(agent).decisions[0]["status"]

    def test_has_each_span_and_the_newest_version_first(self):
        agent = make_agent()
        for period in ("7d", "30d", "all"):
            make_agent_standing(agent=agent, period=period)
        for days, version in ((20, "v1"), (3, "v2")):
            make_agent_standing(
                agent=agent, prompt_version=version, rank=None, rank_low=None, rank_high=None,
                began_at=NOW - timedelta(days=days),
            )  # fmt: skip

        told = story(agent)

        assert [str(each["label"]) for each in told.periods] == ["7 days", "30 days", "All time"]
        assert [each["name"] for each in told.versions] == ["v2", "v1"]

    def test_says_that_more_versions_were_used_than_are_compared(self, admin_client):
        agent = busy_agent()
        note = "It has 31 versions of its prompt: the 20 with the most decisions are compared."
        agent.standings.filter(prompt_version="").update(reasons={"prompt_versions": note})

        assert note in shown_page(admin_client, agent)


class TestCourse:
    def course(self, agent, values, *, start=NOW - timedelta(days=4)):
        """Give an agent a snapshot for each day: (equity, model cost)."""
        for day, (equity, cost) in enumerate(values):
            make_agent_performance(
                agent=agent, snapshot_time=start + timedelta(days=day),
                total_value=Decimal(equity), model_cost=Decimal(cost),
            )  # fmt: skip

    def returns(self, agent, *, since, now=NOW):
        window = curves.Window.until(now, since)
        return [round(value, 6) for _, value in curves.returns([agent.pk], window)[agent.pk]]

    def test_is_a_return_net_of_model_cost_from_the_first_balance(self):
        agent = make_agent(initial_balance=Decimal(1_000))
        self.course(agent, [(1_000, 0), (1_100, 10), (900, 20)])

        assert self.returns(agent, since=NOW - timedelta(days=6)) == [0, 0, 9, -12]

    def test_of_a_part_counts_from_what_the_account_was_worth_then(self):
        agent = make_agent(initial_balance=Decimal(1_000))
        self.course(agent, [(1_000, 0), (2_000, 100), (2_200, 120)])

        found = self.returns(agent, since=NOW - timedelta(days=2, hours=12))

        assert found == [0, 9]

    def test_leaves_model_cost_out_of_another_currency(self):
        agent = make_agent(initial_balance=Decimal(1_000), quote_currency="EUR")
        self.course(agent, [(1_000, 0), (1_100, 50)])

        assert self.returns(agent, since=NOW - timedelta(days=6)) == [0, 0, 10]

    def test_has_so_many_points_however_many_snapshots(self):
        agent = make_agent()
        for quarter in range(300):
            make_agent_performance(agent=agent, snapshot_time=NOW - quarter * timedelta(minutes=15))

        found = self.returns(agent, since=NOW - timedelta(days=10))

        assert 20 < len(found) <= curves.SLOTS + 1

    @pytest.mark.parametrize("since", [datetime(1, 1, 1, tzinfo=UTC), NOW + timedelta(days=400)])
    def test_bears_clocks_that_are_wrong(self, since):
        agent = make_agent()
        self.course(agent, [(10_000, 0)])

        window = curves.Window.until(NOW, since)

        assert window.moments[-1] == NOW
        assert len(window.moments) <= curves.SLOTS + 1
        assert curves.returns([agent.pk], window)[agent.pk]

    def test_of_who_began_with_nothing_left_is_no_line(self):
        agent = make_agent()
        self.course(agent, [(0, 0), (0, 0), (5, 0)])

        assert self.returns(agent, since=NOW - timedelta(days=3)) == []

    def test_of_holding_counts_from_the_first_price(self):
        for hour, price in enumerate((100, 110, 121)):
            make_candle(
                symbol="ETH/USD", granularity="1h", price=price,
                timestamp=NOW - timedelta(hours=9 - hour),
            )  # fmt: skip
        window = curves.Window.until(NOW, NOW - timedelta(days=1))

        values = [value for _, value in curves.hold("ETH/USD", window)]

        assert values[0] == 0
        assert round(values[-1], 9) == 21
        assert curves.hold("NEVER/HEARD", window) == []

    def test_stands_beside_peers_of_its_mode_and_holding(self, admin_client):
        agent = make_agent(name="Own", benchmark_coin="BTC")
        near, live = make_agent(name="Peer"), make_agent(name="Real money", mode="live")
        now = timezone.now()
        for each in (agent, near, live):
            make_agent_standing(agent=each, began_at=now - timedelta(days=5))
            for days in (3, 2, 1):
                make_agent_performance(agent=each, snapshot_time=now - timedelta(days=days))
        for hours in (60, 2):
            start = (now - timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)
            make_candle(symbol="BTC/USD", granularity="1h", timestamp=start, price=100)
        make_agent_trade(agent=agent, entry_time=now - timedelta(days=2), side="short")

        html = shown_page(admin_client, agent)
        found = re.search(r'<line-chart.*?json">(.*?)</script>', html, re.DOTALL)
        chart = loads(found[1])

        assert [line["name"] for line in chart["series"]] == ["Own", "Holding BTC", "Peer"]
        (marker,) = chart["series"][0]["markers"]
        assert marker["shape"] == "arrowDown"
        assert marker["time"] in [at for at, _ in chart["series"][0]["points"]]


class TestWishes:
    def test_asks_before_it_does(self, admin_client):
        agent = make_agent()

        asked = press(admin_client, agent, "pause")
        agent.refresh_from_db()
        assert "Pause 1 agent?" in asked
        assert agent.status == AgentStatus.ACTIVE

        press(admin_client, agent, "pause", confirmed="yes")
        agent.refresh_from_db()
        assert agent.status == AgentStatus.PAUSED

    @pytest.mark.parametrize(
        ("status", "offered"),
        [
            ("active", ["Pause", "Stop"]),
            ("paused", ["Activate", "Stop"]),
            ("stopped", ["Activate"]),
        ],
    )
    def test_offers_what_fits(self, admin_client, status, offered):
        html = shown_page(admin_client, make_agent(status=status))

        found = re.findall(r'<button class="b-button" type="submit">(\w+)</button>', html)
        assert found == offered

    def test_says_how_many_and_leaves_alone_whom_it_does_not_fit(self, admin_client):
        agents = [make_agent(), make_agent(), make_agent(status="stopped")]

        assert "Stop 2 agents?" in act(admin_client, agents, "stop")
        done = act(admin_client, agents, "stop", confirmed="yes")
        again = act(admin_client, agents, "stop", confirmed="yes")

        assert "2 agents stopped." in done
        assert "0 agents stopped." in again

    def test_is_for_those_who_may_change_agents(self):
        agent, viewer = make_agent(), staff("agents.view_tradingagent")

        for step in ("activate", "pause", "stop"):
            url = reverse(f"admin:agents_tradingagent_{step}", args=[agent.pk])
            assert viewer.post(url, {"confirmed": "yes"}).status_code == 403
            assert viewer.get(url).status_code == 405
        assert ">Stop<" not in shown_page(viewer, agent)
        agent.refresh_from_db()
        assert agent.status == AgentStatus.ACTIVE


class TestForm:
    def edit(self, client, agent, **changes):
        url = reverse("admin:agents_tradingagent_edit", args=[agent.pk])
        return client.post(url, given(agent, **changes))

    def test_changes_what_describes_it_and_not_how_it_stands(self, admin_client):
        agent = make_agent(status="paused")

        answer = self.edit(
            admin_client, agent, llm_model="gpt-5.1", daily_budget="1.5", status="active",
            coins="btc BTC/USD\n\n eth   ETH/USD ", benchmark_coin="eth",
        )  # fmt: skip

        agent.refresh_from_db()
        assert answer.status_code == 302
        assert (agent.llm_model, agent.daily_budget) == ("gpt-5.1", Decimal("1.5"))
        assert agent.coins == {"BTC": "BTC/USD", "ETH": "ETH/USD"}
        assert (agent.benchmark_coin, agent.status) == ("ETH", AgentStatus.PAUSED)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"max_position_size": "0"}, {"max_position_size": "100.1"}, {"max_leverage": "51"},
            {"max_leverage": "0"}, {"stop_loss_pct": "0"}, {"take_profit_pct": "-1"},
            {"min_confidence": "1.01"}, {"min_confidence": "-0.1"}, {"daily_budget": "0"},
            {"initial_balance": "0"}, {"initial_balance": "1e30"}, {"coins": ""},
            {"coins": "BTC"}, {"coins": "BTC BTC/USD\nbtc BTC/EUR"}, {"coins": "A/B BTC/USD"},
            {"coins": "\n".join(f"C{n} C{n}/USD" for n in range(51))},
            {"benchmark_coin": "DOGE"}, {"name": ""}, {"name": "a\u202eb"}, {"llm_model": ""},
            {"extra_metadata": "{"}, {"mode": "real"},
        ],
    )  # fmt: skip
    def test_refuses_what_no_agent_can_be(self, rf, wrong):
        agent = make_agent(name="As it was")
        form_class = admin.site._registry[TradingAgent].get_form(rf.get("/"), agent)

        form = form_class(given(agent, **wrong), instance=agent)

        assert list(form.errors) == list(wrong)
        assert "is violated" not in str(form.errors)

    def test_says_what_is_wrong_and_changes_nothing(self, admin_client):
        agent = make_agent()

        answer = self.edit(admin_client, agent, max_leverage="51", llm_model="other")

        agent.refresh_from_db()
        assert "Must be from 1 to 50." in answer.content.decode()
        assert (agent.max_leverage, agent.llm_model) == (10, "deepseek-chat")

    def test_takes_no_name_of_another(self, admin_client):
        agent, other = make_agent(name="One"), make_agent(name="Two")

        assert self.edit(admin_client, agent, name=other.name).status_code == 200

    def test_offers_the_usual_coins_to_a_new_agent(self, admin_client):
        assert "BTC BTC/USD\nETH ETH/USD" in page(admin_client, "admin:agents_tradingagent_add")

    def test_adds_an_agent(self, admin_client):
        sent = given(TradingAgent(name="New", llm_model="qwen3-max"))

        answer = admin_client.post(reverse("admin:agents_tradingagent_add"), sent)

        agent = TradingAgent.objects.get()
        assert answer.status_code == 302
        assert (agent.name, agent.status, agent.benchmark_coin) == ("New", "active", "BTC")

    def test_keeps_what_trades_were_counted_with(self, admin_client):
        agent = make_agent_trade().agent

        self.edit(admin_client, agent, initial_balance="5", mode="live", llm_model="other")

        agent.refresh_from_db()
        assert (agent.initial_balance, agent.mode) == (Decimal(10_000), "paper")
        assert agent.llm_model == "other"

    def test_pads_no_zeros_behind_a_balance_that_stays(self, admin_client):
        agent = make_agent_trade(agent=make_agent(initial_balance=Decimal("250.5"))).agent

        html = page(admin_client, "admin:agents_tradingagent_edit", agent.pk)

        assert "250.5<" in re.sub(r"\s", "", html)
        assert "250.50" not in html

    def test_deletes_nobody_who_did_anything(self, admin_client):
        agent, idle = make_agent_decision().agent, make_agent()

        kept, gone = (
            admin_client.post(
                reverse("admin:agents_tradingagent_delete", args=[each.pk]), {"post": "yes"}
            ).status_code
            for each in (agent, idle)
        )

        assert (kept, gone) == (403, 302)
        assert list(TradingAgent.objects.all()) == [agent]


class TestSnapshots:
    def test_lists_figures_and_says_why_one_is_empty(self, admin_client):
        make_agent_performance(snapshot_time=timezone.now())

        html = page(admin_client, SNAPSHOTS)

        assert "10,450.00" in html
        assert "Returns of at least two days are needed." in html

    def test_asks_as_often_for_many_as_for_few(self, admin_client, django_assert_num_queries):
        make_agent_performance(snapshot_time=timezone.now())
        page(admin_client, SNAPSHOTS)
        for _ in range(5):
            make_agent_performance(snapshot_time=timezone.now())

        with django_assert_num_queries(3):
            page(admin_client, SNAPSHOTS)

    def test_tells_what_each_figure_means(self, admin_client):
        row = make_agent_performance(agent=make_agent(name=MARKUP), reasons={"x": MARKUP})

        html = page(admin_client, "admin:agents_agentperformance_change", row.pk)

        assert "Drawdown in money: the largest fall of the equity" in html
        assert MARKUP not in html

    def test_bears_reasons_that_are_no_reasons(self, admin_client):
        row = make_agent_performance(reasons=["odd"], snapshot_time=timezone.now())

        assert page(admin_client, SNAPSHOTS)
        assert page(admin_client, "admin:agents_agentperformance_change", row.pk)


def test_a_trade_called_off_is_no_marker():
    agent = make_agent()
    make_agent_trade(agent=agent, status=TradeStatus.CANCELLED, entry_time=NOW)
    moment = int((NOW - timedelta(hours=1)).timestamp())

    assert story(agent).markers([(moment, 0.0)]) == []
