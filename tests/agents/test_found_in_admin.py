"""What was found by using the pages of agents wrongly: private texts, odd words in forms."""

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.access.services import ensure_roles
from apps.agents.choices import AgentStatus
from apps.agents.models import TradingAgent
from tests.agents.test_admin_decisions import ALL_TIME
from tests.factories import make_agent, make_agent_decision, make_decision_outcome, make_llm_call

pytestmark = pytest.mark.django_db

CALLS = "admin:agents_llmcall_changelist"
DECISIONS = "admin:agents_agentdecision_changelist"
OUTCOMES = "admin:agents_decisionoutcome_changelist"
AGENTS = "admin:agents_tradingagent_changelist"
ADD = "admin:agents_tradingagent_add"
FORM = {
    "name": "By hand",
    "llm_model": "deepseek-chat",
    "mode": "paper",
    "quote_currency": "USD",
    "initial_balance": "10000",
    "max_position_size": "20",
    "max_leverage": "10",
    "stop_loss_pct": "2",
    "take_profit_pct": "5",
    "coins": "BTC BTC/USD",
    "extra_metadata": "{}",
}


def of_role(role):
    """Return the client of somebody on the staff who has a role."""
    ensure_roles()
    user = User.objects.create_user(f"a {role}", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


class TestPrivateTexts:
    """Whoever may ask whether a text begins with something reads it, one letter after another."""

    @pytest.mark.parametrize("role", ["Viewer", "Risk"])
    @pytest.mark.parametrize(
        ("page", "asked"),
        [
            (CALLS, "answer__istartswith"),
            (CALLS, "prompt__regex"),
            (CALLS, "prompt"),
            (CALLS, "decisions__raw__contains"),
            (DECISIONS, "raw__contains"),
            (DECISIONS, "chain_of_thought__signal"),
            (DECISIONS, "call__answer__contains"),
            (DECISIONS, "outcome__decision__raw__contains"),
        ],
    )
    @pytest.mark.parametrize("suffix", ["", "export/csv/"])
    def test_are_not_asked_for_by_an_address(self, role, page, asked, suffix):
        call = make_llm_call(prompt="secret", answer="secret")
        make_agent_decision(call=call, raw="secret", chain_of_thought={"signal": "secret"})

        answer = of_role(role).get(reverse(page) + suffix, {asked: "secret"} | ALL_TIME)

        assert answer.status_code == 400

    def test_leave_every_filter_that_is_offered(self, admin_client):
        call = make_llm_call(prompt_version="v7")
        wanted = reverse("admin:agents_llmcall_change", args=[call.pk])
        offered = {"prompt_version": "v7", "agent__id__exact": call.agent_id}

        assert wanted in admin_client.get(reverse(CALLS), offered | ALL_TIME).content.decode()


class TestSentAlong:
    """What is sent along with an agent is an object, whoever tells it."""

    @pytest.mark.parametrize(
        "odd",
        [
            r'{"a": "\u0000"}', r'{"a": ["\ud800"]}', r'{"\u0000": 1}', '{"a": 1e999}',
            '{"a": NaN}', "NaN", '"words"', "[1]", "null", "1", "[" * 3_000, "1" * 5_000,
            '{"a":' * 100 + "1" + "}" * 100,
        ],
    )  # fmt: skip
    def test_is_refused_beside_its_field_where_it_cannot_be_kept(self, admin_client, odd):
        answer = admin_client.post(reverse(ADD), FORM | {"extra_metadata": odd})

        assert answer.status_code == 200
        assert list(answer.context["adminform"].form.errors) == ["extra_metadata"]
        assert not TradingAgent.objects.exists()

    @pytest.mark.parametrize(
        ("written", "kept"), [("", {}), ("{}", {}), ('{"a": [1, "ä"]}', {"a": [1, "ä"]})]
    )
    def test_is_kept_as_an_object(self, admin_client, written, kept):
        admin_client.post(reverse(ADD), FORM | {"extra_metadata": written})

        assert TradingAgent.objects.get().extra_metadata == kept

    def test_is_shown_again_as_it_is_kept(self, admin_client):
        agent = make_agent(extra_metadata={"a": {"b": "x"}})

        answer = admin_client.get(reverse("admin:agents_tradingagent_edit", args=[agent.pk]))

        assert "&quot;b&quot;: &quot;x&quot;" in answer.content.decode()


class TestOutcomes:
    def test_are_listed_with_their_reasons_in_as_many_reads_for_many_as_for_one(
        self, admin_client, django_assert_num_queries
    ):
        agent = make_agent()

        def outcome():
            decision = make_agent_decision(agent=agent)
            make_decision_outcome(
                decision=decision, settled=True, change_1h=None, note="No candle."
            )

        def look():
            answer = admin_client.get(reverse(OUTCOMES), {"moment_last": "all"})
            assert "No candle." in answer.content.decode()

        outcome()
        look()
        with CaptureQueriesContext(connection) as one:
            look()
        for _ in range(4):
            outcome()
        with django_assert_num_queries(len(one)):
            look()


class TestActions:
    @pytest.mark.parametrize("key", ["abc", "\0", "1", ""])
    @pytest.mark.parametrize("more", [{}, {"confirmed": "1"}])
    def test_do_nothing_with_a_key_that_no_agent_can_have(self, admin_client, key, more):
        agent = make_agent()
        chosen = {"action": "pause", "_selected_action": [str(agent.pk), key]} | more

        answer = admin_client.post(reverse(AGENTS), chosen)

        assert answer.status_code == 302
        agent.refresh_from_db()
        assert agent.status == AgentStatus.ACTIVE
