"""Model calls in the admin: their cost, their texts for those who may read them, and prices."""

import csv
import io
import uuid
from decimal import Decimal

import pytest
from django.urls import reverse

from apps.agents.models import LLMPrice
from tests.agents.test_admin_decisions import ALL_TIME, ANSWER, SECRET, staff
from tests.factories import (
    make_agent,
    make_agent_decision,
    make_decision_outcome,
    make_llm_call,
    make_llm_price,
)
from tests.logs.pages import CONTROLS, CONTROLS_SEEN, MARKUP, exported, page

pytestmark = pytest.mark.django_db

CALLS = "admin:agents_llmcall_changelist"
CALL = "admin:agents_llmcall_change"
TEXT = "admin:agents_llmcall_text"
MOST_QUERIES = 12
UNTOLD = {
    **dict.fromkeys(["tokens_in", "tokens_out", "cost", "latency_ms", "cycle"]),
    **dict.fromkeys(["cost_source", "prompt", "answer", "provider", "model", "prompt_version"], ""),
}


class TestList:
    def test_scans_what_each_took(self, admin_client):
        make_llm_call(agent=make_agent(name="Trend Follower"), decisions_count=3, accepted_count=2)

        html = page(admin_client, CALLS, **ALL_TIME)

        for seen in ("Trend Follower", "deepseek-chat", "4,000", "500", "0.001630", "1.50 s",
                     "2 of 3", "Answered"):  # fmt: skip
            assert seen in html

    @pytest.mark.parametrize("term", ["id", "gpt-9", "rare provider"])
    def test_finds_by_id_model_and_provider(self, admin_client, term):
        wanted = make_llm_call(model="gpt-9", provider="rare provider")
        other = make_llm_call()

        named = {"q": str(wanted.pk)} if term == "id" else {"q": term} | ALL_TIME

        html = page(admin_client, CALLS, **named)

        assert reverse(CALL, args=[wanted.pk]) in html
        assert reverse(CALL, args=[other.pk]) not in html

    def test_never_searches_the_texts(self, admin_client):
        call = make_llm_call(prompt=SECRET, answer=SECRET, error=SECRET)

        html = page(admin_client, CALLS, q=SECRET, **ALL_TIME)

        assert reverse(CALL, args=[call.pk]) not in html

    def test_reads_no_text_and_counts_nothing(self, admin_client, django_assert_max_num_queries):
        for _ in range(5):
            make_llm_call()
        with django_assert_max_num_queries(MOST_QUERIES) as captured:
            page(admin_client, CALLS, **ALL_TIME)

        read = [each["sql"] for each in captured if 'FROM "llm_calls"' in each["sql"]]
        assert len(read) == 1
        for unread in ("COUNT(", '"llm_calls"."prompt"', '"llm_calls"."answer"'):
            assert unread not in read[0]

    def test_exports_no_text(self, admin_client):
        call = make_llm_call(prompt=SECRET, answer=SECRET, extra_metadata={"x": SECRET})

        text = exported(admin_client, CALLS, **ALL_TIME).decode("utf-8-sig")
        (row,) = csv.DictReader(io.StringIO(text))

        assert SECRET not in text
        assert (row["id"], row["cost"], row["tokens_in"]) == (str(call.pk), "0.00163", "4000")


class TestPage:
    def test_tells_what_it_cost_and_where_that_is_from(self, admin_client):
        by_table = page(admin_client, CALL, make_llm_call().pk)
        given = page(admin_client, CALL, make_llm_call(cost_source="given").pk)

        assert "By its tokens and the price table." in by_table
        assert "As the agent told." in given

    def test_says_why_its_cost_is_not_known(self, admin_client):
        unpriced = make_llm_call(cost=None, cost_source="")

        assert "no price of this model" in page(admin_client, CALL, unpriced.pk)
        untold = make_llm_call(**UNTOLD, status="failed", error="429 Too Many Requests")
        html = page(admin_client, CALL, untold.pk)
        assert "Neither a cost nor the tokens were told." in html
        assert "429 Too Many Requests" in html
        assert "No text is stored." in html

    def test_says_what_is_not_stored_as_it_was_sent(self, admin_client):
        call = make_llm_call(altered={"prompt": "2 secrets redacted"})

        assert "2 secrets redacted" in page(admin_client, CALL, call.pk)

    def test_lists_its_decisions_at_the_same_cost_however_many(
        self, admin_client, django_assert_num_queries
    ):
        call = make_llm_call()
        make_decision_outcome(decision=make_agent_decision(call=call), settled=True)
        page(admin_client, CALL, call.pk)
        with django_assert_num_queries(6) as captured:
            html = page(admin_client, CALL, call.pk)
        for place in range(1, 6):
            make_decision_outcome(decision=make_agent_decision(call=call, place=place))

        with django_assert_num_queries(len(captured)):
            assert len(page(admin_client, CALL, call.pk)) > len(html)

    def test_shows_markup_from_outside_as_text(self, admin_client):
        call = make_llm_call(
            agent=make_agent(name=MARKUP), prompt=f"# {MARKUP}\n{CONTROLS}", answer=MARKUP,
            error=MARKUP, provider=MARKUP, model=MARKUP, prompt_version=MARKUP,
            altered={MARKUP: MARKUP}, positions={MARKUP: MARKUP}, extra_metadata={MARKUP: MARKUP},
        )  # fmt: skip

        html = page(admin_client, CALL, call.pk) + page(admin_client, CALLS, **ALL_TIME)

        assert "<img src=x" not in html
        assert CONTROLS_SEEN in html

    @pytest.mark.parametrize("altered", [[], "words", {"a": [1]}, 3])
    def test_opens_whatever_is_stored(self, admin_client, altered):
        call = make_llm_call(**UNTOLD, altered=altered, positions=altered)
        decision = make_agent_decision(call=call)

        assert page(admin_client, CALL, call.pk)
        assert page(admin_client, "admin:agents_agentdecision_change", decision.pk)


class TestPrivateTexts:
    def test_are_for_those_who_may_read_them(self):
        call = make_llm_call(prompt=SECRET, answer=ANSWER)
        client = staff("view_llmcall", "read_llmcall")

        html = page(client, CALL, call.pk)

        assert SECRET in html
        assert "TRADING_DECISIONS" in html

    def test_are_in_no_byte_for_those_who_may_not(self, django_assert_max_num_queries):
        call = make_llm_call(prompt=SECRET, answer=SECRET)
        client = staff("view_llmcall")

        with django_assert_max_num_queries(20) as captured:
            html = page(client, CALL, call.pk)
            answer = client.get(reverse(TEXT, args=[call.pk, "prompt"]))

        assert SECRET not in html
        assert "Prompts and answers are not shown to you." in html
        assert answer.status_code == 403
        assert not [each for each in captured if '"llm_calls"."prompt"' in each["sql"]]

    @pytest.mark.parametrize("name", ["prompt", "answer"])
    def test_are_sent_whole_as_text_that_nothing_can_act_in(self, admin_client, name):
        text = f"<script>alert(1)</script>{CONTROLS}" * 10_000
        call = make_llm_call(**{name: text})

        seen = admin_client.get(reverse(TEXT, args=[call.pk, name]))
        kept = admin_client.get(reverse(TEXT, args=[call.pk, name]), {"download": "1"})

        for answer in (seen, kept):
            assert answer["Content-Type"] == "text/plain; charset=utf-8"
            assert answer["X-Content-Type-Options"] == "nosniff"
            assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
            assert "no-store" in answer["Cache-Control"]
        assert CONTROLS_SEEN in seen.content.decode()
        assert kept.content.decode() == text
        disposition = f'filename="{name}-{str(call.pk)[:8]}.txt"'
        assert seen["Content-Disposition"] == f"inline; {disposition}"
        assert kept["Content-Disposition"] == f"attachment; {disposition}"

    @pytest.mark.parametrize("name", ["error", "id", "agent", "prompt__startswith", "x"])
    def test_are_two_and_no_other_column(self, admin_client, name):
        call = make_llm_call()

        assert admin_client.get(reverse(TEXT, args=[call.pk, name])).status_code == 404

    def test_of_no_call_are_not_found(self, admin_client):
        url = reverse(TEXT, args=[uuid.uuid4(), "prompt"])

        assert admin_client.get(url).status_code == 404
        assert admin_client.post(url).status_code == 405

    def test_are_not_there_for_who_is_not_logged_in(self, client):
        url = reverse(TEXT, args=[make_llm_call().pk, "prompt"])

        assert client.get(url).status_code == 302


class TestPrices:
    FORM = {
        "provider": "openai",
        "model": "gpt-9",
        "valid_from_0": "2026-01-01",
        "valid_from_1": "00:00:00",
        "input_per_million": "1.25",
        "output_per_million": "10",
    }
    ADD = "admin:agents_llmprice_add"

    def test_are_added_by_hand(self, admin_client):
        answer = admin_client.post(reverse(self.ADD), self.FORM)

        assert answer.status_code == 302
        price = LLMPrice.objects.get()
        assert (price.model, price.input_per_million) == ("gpt-9", Decimal("1.25"))

    @pytest.mark.parametrize(
        "wrong",
        [{"input_per_million": "-1"}, {"output_per_million": "NaN"}, {"model": ""},
         {"valid_from_0": "soon"}],
    )  # fmt: skip
    def test_are_refused_where_they_are_none(self, admin_client, wrong):
        answer = admin_client.post(reverse(self.ADD), self.FORM | wrong)

        assert answer.status_code == 200
        assert not LLMPrice.objects.exists()

    def test_are_one_for_a_model_and_a_moment(self, admin_client):
        admin_client.post(reverse(self.ADD), self.FORM)

        assert admin_client.post(reverse(self.ADD), self.FORM).status_code == 200
        assert LLMPrice.objects.count() == 1

    def test_are_changed_by_those_who_may(self):
        price = make_llm_price()
        client = staff("view_llmprice")

        url = reverse("admin:agents_llmprice_edit", args=[price.pk])
        assert client.post(url, self.FORM).status_code == 403
        assert "Edit" not in page(client, "admin:agents_llmprice_change", price.pk)

    def test_are_listed_by_their_significant_digits(self, admin_client):
        make_llm_price(model="gpt-9", input_per_million=Decimal("0.27"))

        html = page(admin_client, "admin:agents_llmprice_changelist")

        assert "gpt-9" in html
        assert '<span class="b-num">0.27</span>' in html
