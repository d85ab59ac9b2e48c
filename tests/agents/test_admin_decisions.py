"""Decisions in the admin: lists, the page of one, the reading of its texts, and its outcome."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from apps.agents.admin import passages
from apps.agents.admin.decision_charts import DecisionPicture
from apps.agents.admin.decision_pages import DecisionStory
from apps.agents.admin.decision_rows import sentences
from apps.agents.admin.texts import LONG, MOST_SHOWN, Reading
from apps.agents.models import AgentDecision
from tests.factories import (
    make_agent,
    make_agent_decision,
    make_agent_trade,
    make_candle,
    make_decision_outcome,
    make_llm_call,
)
from tests.logs.pages import CONTROLS, CONTROLS_SEEN, MARKUP, exported, page

DECISIONS = "admin:agents_agentdecision_changelist"
DECISION = "admin:agents_agentdecision_change"
OUTCOMES = "admin:agents_decisionoutcome_changelist"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ALL_TIME = {"timestamp_last": "all"}
MOST_QUERIES = 12
SECRET = "the moon is made of copper"
COINS = ["BTC", "ETH", "DOGE"]
# As agents are really answered: words, an object coin by coin, and the same once more as text.
ANSWER = """I hold what I have.

CHAIN_OF_THOUGHT
{
  "ETH": {"signal": "hold", "note": "a brace } in a string"},
  "BTC": {
    "signal": "long",
    "confidence": 0.75
  }
}

TRADING_DECISIONS
ETH
HOLD
65%

BTC
LONG
75%

QUANTITY: 0.17
"""


def story(decision, *, may_read=True, now=NOON + timedelta(days=2)):
    found = AgentDecision.objects.select_related("agent", "outcome", "call").get(pk=decision.pk)
    return DecisionStory(found, may_read=may_read, now=now)


def staff(*permissions):
    """Return the client of somebody on the staff who may do just that with agents."""
    user = User.objects.create_user("someone", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=permissions, content_type__app_label="agents")
    )
    client = Client()
    client.force_login(user)
    return client


def candles(first, last, *, symbol="BTC/USD"):
    """Store candles of five minutes that start so many minutes before and after noon."""
    for minutes in range(first, last, 5):
        make_candle(symbol=symbol, timestamp=NOON + timedelta(minutes=minutes), price=50_000)


class TestReading:
    """A text by its sections, and what in it is about a coin."""

    def test_finds_the_sections_of_an_answer(self):
        assert [each.title for each in passages.sections(ANSWER)] == [
            "Before any heading", "CHAIN_OF_THOUGHT", "TRADING_DECISIONS",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "dressed",
        ["**CHAIN_OF_THOUGHT:**", "## Chain of thought", "▶ CHAIN_OF_THOUGHT", "chain of thought:"],
    )
    def test_knows_a_section_however_it_is_dressed_up(self, dressed):
        (found,) = passages.sections(f"{dressed}\nwords")

        assert found.title.lower().replace("_", " ") == "chain of thought"

    def test_tells_code_from_prose(self):
        text = f"Words.\n```json\n# no heading\n{{}}\n```\nMore.\n{ANSWER}"

        found = [
            (block.is_code, text[block.start : block.end].strip()[:7])
            for section in passages.sections(text)
            for block in section.blocks
        ]

        assert found == [
            (False, "Words."), (True, "```json"), (False, "More.\nI"), (True, '{\n  "ET'),
            (False, "ETH\nHOL"),
        ]  # fmt: skip

    def test_loses_no_character_between_its_sections(self):
        text = f"{ANSWER}\n```\nnever closed\n{ANSWER}"

        found = passages.sections(text)

        assert [each.start for each in found][1:] == [each.end for each in found][:-1]
        assert (found[0].start, found[-1].end) == (0, len(text))

    def test_marks_the_object_and_the_lines_of_a_coin(self):
        found = [ANSWER[each.start : each.end] for each in passages.about(ANSWER, "BTC", COINS)]

        assert found == [
            '"BTC": {\n    "signal": "long",\n    "confidence": 0.75\n  }',
            "BTC\nLONG\n75%\n\nQUANTITY: 0.17",
        ]
        (first, second) = passages.about(ANSWER, "eth", COINS)
        assert "brace } in a string" in ANSWER[first.start : first.end]
        assert ANSWER[second.start : second.end] == "ETH\nHOLD\n65%"

    @pytest.mark.parametrize("coin", ["", "SOL", "BT", "(", "]"])
    def test_marks_nothing_of_a_coin_that_is_not_spoken_of(self, coin):
        assert passages.about(ANSWER, coin, COINS) == []

    def test_folds_long_texts_and_cuts_the_longest_with_what_is_marked_behind_the_cut(self):
        text = "# Market\n" + "calm " * 200_000 + f"\n{ANSWER}"

        reading = Reading("prompt", text, coin="BTC", coins=COINS, whole_url="/whole/")

        assert reading.is_cut
        assert len(reading.html) < 2 * MOST_SHOWN
        assert "Further on, at character 1,000," in reading.html
        assert [jump["id"] for jump in reading.jumps] == ["prompt-own-1", "prompt-own-2"]
        assert all(f'id="{jump["id"]}"' in reading.html for jump in reading.jumps)
        assert "open" not in reading.html[: reading.html.index("<summary>")]

    def test_opens_a_short_text_and_folds_a_long_one_without_headings(self):
        assert "<details" not in Reading("answer", "short").html
        assert "<details" in Reading("answer", "long " * LONG).html

    @pytest.mark.parametrize(
        "text",
        ["{\n" * 300_000, '"BTC": {' * 100_000, "BTC\n" * 200_000, "```\n" * 200_000,
         "# a\n" * 200_000, "\\" * 800_000, "\n" * 800_000, "*" * 800_000],
        ids=["open", "keys", "coins", "fences", "headings", "escapes", "lines", "stars"],
    )  # fmt: skip
    def test_takes_no_time_to_speak_of_over_odd_megabytes(self, text):
        reading = Reading("answer", text, coin="BTC", coins=COINS)

        # A quadratic way would take minutes over these, and the test's own limit would end it.
        assert len(reading.html) < 10 * MOST_SHOWN

    def test_shows_markup_and_unseen_characters_as_text(self):
        text = f"# {MARKUP}\n{CONTROLS}\n```\n{MARKUP}\n```\n"

        html = Reading("answer", text, coin=MARKUP, coins=[MARKUP], piece=MARKUP).html

        assert MARKUP not in html
        assert CONTROLS_SEEN in html

    @pytest.mark.parametrize(
        ("stored", "said"),
        [
            ([{"rule": "a", "message": "One."}, {"rule": "b"}], ["One.", "b"]),
            (["Two."], ["Two."]),
            ([{}], ["A rule without a name."]),
            ({"rule": "a"}, []),
            (None, []),
        ],
    )
    def test_says_broken_rules_as_sentences_whatever_is_stored(self, stored, said):
        assert sentences(stored) == said


@pytest.mark.django_db
class TestList:
    def test_scans_what_was_decided_and_what_came_of_it(self, admin_client):
        agent = make_agent(name="Trend Follower")
        decision = make_agent_decision(agent=agent)
        make_decision_outcome(decision=decision, settled=True)

        html = page(admin_client, DECISIONS, **ALL_TIME)

        for seen in ("Open long", "Trend Follower", "2,000.00", "80 %", "Hit", "+2.00 %"):
            assert seen in html

    def test_says_the_rules_that_a_rejected_one_broke(self, admin_client):
        make_agent_decision(
            status="rejected", violations=[{"rule": "r", "message": "Leverage 40 is too much."}]
        )

        html = page(admin_client, DECISIONS, **ALL_TIME)

        assert "Leverage 40 is too much." in html
        assert "The trend is up" not in html

    def test_shows_the_last_days_unless_something_is_named(self, admin_client):
        decision = make_agent_decision()
        url = reverse(DECISION, args=[decision.pk])

        assert url not in page(admin_client, DECISIONS)
        assert url in page(admin_client, DECISIONS, q=str(decision.pk))

    @pytest.mark.parametrize("by", ["id", "call", "coin", "coin in small"])
    def test_finds_by_id_call_and_coin(self, admin_client, by):
        call = make_llm_call()
        wanted = make_agent_decision(call=call, coin="SOL")
        other = make_agent_decision()
        terms = {"id": wanted.pk, "call": call.pk, "coin": "SOL", "coin in small": "sol"}

        html = page(admin_client, DECISIONS, q=str(terms[by]))

        assert reverse(DECISION, args=[wanted.pk]) in html
        assert reverse(DECISION, args=[other.pk]) not in html

    @pytest.mark.parametrize(
        "query",
        [
            {"status__exact": "rejected"},
            {"action__exact": "OPEN_SHORT"},
            {"coin": "SOL"},
            {"prompt_version": "v7"},
            {"confidence_min": "0.3", "confidence_max": "0.4"},
            {"timestamp_after": "2025-01-01", "timestamp_before": "2025-01-01"},
            {"agent__id__exact": "its own"},
        ],
    )
    def test_filters(self, admin_client, query):
        wanted = make_agent_decision(
            status="rejected", violations=["x"], action="OPEN_SHORT", coin="SOL",
            prompt_version="v7", confidence=Decimal("0.35"),
            timestamp=datetime(2025, 1, 1, 12, tzinfo=UTC),
        )  # fmt: skip
        other = make_agent_decision()
        if "agent__id__exact" in query:
            query = {"agent__id__exact": str(wanted.agent_id)}

        html = page(admin_client, DECISIONS, **ALL_TIME | query)

        assert reverse(DECISION, args=[wanted.pk]) in html
        assert reverse(DECISION, args=[other.pk]) not in html

    def test_names_the_agent_that_is_filtered_by(self, admin_client):
        decision = make_agent_decision(agent=make_agent(name="Mean Reverter"))

        html = page(admin_client, DECISIONS, agent__id__exact=str(decision.agent_id))

        assert "agent: Mean Reverter" in html

    def test_reads_outcomes_and_agents_with_its_rows_and_counts_nothing(
        self, admin_client, django_assert_max_num_queries
    ):
        for _ in range(5):
            make_decision_outcome(settled=True)
        with django_assert_max_num_queries(MOST_QUERIES) as captured:
            page(admin_client, DECISIONS, **ALL_TIME)

        read = [each["sql"] for each in captured if '"agent_decisions"."id"' in each["sql"]]
        assert len(read) == 1
        for private in ("COUNT(", '"chain_of_thought"', '"raw"', '"llm_calls"'):
            assert private not in read[0]

    def test_exports_neither_what_was_read_nor_the_broken_piece(self, admin_client):
        decision = make_agent_decision(
            chain_of_thought={"note": SECRET}, raw=SECRET, reasoning="=HYPERLINK(1)"
        )
        make_decision_outcome(decision=decision, settled=True)

        text = exported(admin_client, DECISIONS, **ALL_TIME).decode("utf-8-sig")
        (row,) = csv.DictReader(io.StringIO(text))

        assert SECRET not in text
        assert (row["id"], row["coin"]) == (str(decision.pk), "BTC")
        assert row["reasoning"] == "'=HYPERLINK(1)"
        assert row["outcome__change_24h"] == "2"

    def test_shows_markup_from_outside_as_text(self, admin_client):
        make_agent_decision(
            agent=make_agent(name=MARKUP), coin=MARKUP[:20], reasoning=MARKUP,
            prompt_version=MARKUP, error_message=CONTROLS,
        )  # fmt: skip

        html = page(admin_client, DECISIONS, **ALL_TIME)

        assert "<img src=x" not in html
        assert CONTROLS not in html


@pytest.mark.django_db
class TestPage:
    def test_tells_what_was_decided_against_what(self, admin_client):
        html = page(admin_client, DECISION, make_agent_decision().pk)

        for seen in ("Open long BTC", "2,000.00", "ties up", "400.00", "−2.00 % from entry",
                     "+6.00 % from entry", "80 %", "20.0 %"):  # fmt: skip
            assert seen in html

    def test_says_every_rule_that_was_broken(self, admin_client):
        rules = [{"rule": "a", "message": "First rule."}, {"rule": "b", "message": "Second rule."}]
        decision = make_agent_decision(
            status="rejected", violations=rules, error_message="First rule. Second rule."
        )

        html = page(admin_client, DECISION, decision.pk)

        assert html.count("<li>First rule.</li>") == 1
        assert html.count("<li>Second rule.</li>") == 1
        assert "b-notice" not in html

    def test_shows_no_candle_of_the_time_after_as_what_was_known(self):
        candles(-60, 120)
        decision = make_agent_decision(timestamp=NOON + timedelta(minutes=2))
        picture = DecisionPicture(decision, None, now=NOON + timedelta(days=2))

        known = [bar.timestamp for bar in picture.before]
        later = [bar.timestamp for bar in picture.after]

        assert known[-1] == NOON - timedelta(minutes=5)
        assert later[0] == NOON
        assert not {*known} & {*later}
        assert [line["title"] for line in picture.chart_before["lines"]] == [
            "Entry", "Target", "Stop",
        ]  # fmt: skip
        (sign,) = picture.chart_before["markers"]
        assert (sign["text"], sign["time"]) == ("Open long", int(known[-1].timestamp()))

    def test_marks_checkpoints_and_the_first_touch_after_it(self):
        candles(-60, 26 * 60)
        decision = make_agent_decision(timestamp=NOON)
        outcome = make_decision_outcome(
            decision=decision, settled=True, first_touch="stop",
            first_touch_at=NOON + timedelta(hours=2), change_4h=Decimal(-1),
        )  # fmt: skip

        signs = DecisionPicture(decision, outcome, now=NOON + timedelta(days=2)).chart_after

        found = {each["text"]: each for each in signs["markers"]}
        assert set(found) == {"Open long", "1 h +0.50 %", "4 h −1.00 %", "24 h +2.00 %", "Stop"}
        assert found["4 h −1.00 %"]["tone"] == "danger"
        one_hour = NOON + timedelta(minutes=55)
        assert found["1 h +0.50 %"]["time"] == int(one_hour.timestamp())

    def test_tells_of_a_hold_what_buying_and_selling_would_have_brought(self):
        decision = make_agent_decision(
            action="HOLD", direction="", stop_loss_price=0, take_profit_price=0, size_usd=0
        )
        make_decision_outcome(decision=decision, settled=True, is_hit=None)
        told = story(decision)

        assert told.after.ways == ["Buying", "Selling"]
        bought, sold = told.after.checkpoints[2]["changes"]
        assert "+2.00 %" in bought
        assert "−2.00 %" in sold
        best, worst = told.after.excursions
        assert ("+3.00 %" in best["changes"][0], "+1.00 %" in best["changes"][1]) == (True, True)
        assert ("−1.00 %" in worst["changes"][0], "−3.00 %" in worst["changes"][1]) == (True, True)
        assert [line["title"] for line in told.picture.chart_before["lines"]] == ["Entry"]

    @pytest.mark.parametrize(
        ("values", "states"),
        [
            ({"settled": True}, ["Known", "Known", "Known"]),
            ({"settled": True, "price_4h": None}, ["Known", "Missing", "Known"]),
            ({"price_1h": Decimal(1)}, ["Known", "Waiting", "To come"]),
        ],
    )
    def test_says_how_each_checkpoint_stands(self, values, states):
        decision = make_agent_decision(timestamp=NOON)
        make_decision_outcome(decision=decision, **values)

        told = story(decision, now=NOON + timedelta(hours=5))

        lines = zip(states, told.after.checkpoints, strict=True)
        assert all(f">{state}<" in line["state"] for state, line in lines)

    def test_says_why_nothing_is_judged(self, admin_client):
        decision = make_agent_decision(status="failed", action="", coin="", symbol="", direction="")
        make_decision_outcome(
            decision=decision, status="no_claim", note="It names no coin.", due_at=None
        )

        html = page(admin_client, DECISION, decision.pk)

        assert "There is nothing to judge." in html
        assert "It names no coin." in html

    def test_shows_the_trade_it_led_to_with_its_money(self, admin_client):
        decision = make_agent_decision()
        trade = make_agent_trade(
            agent=decision.agent, decision=decision, closed=True, exit_price=Decimal(49_000),
            gross_pnl=Decimal(-40), realized_pnl=Decimal(-42),
        )  # fmt: skip

        html = page(admin_client, DECISION, decision.pk)

        assert reverse("admin:agents_agenttrade_change", args=[trade.pk]) in html
        assert "−42.00" in html

    def test_leads_to_the_other_decisions_of_its_call(self, admin_client):
        call = make_llm_call()
        mine, other = (
            make_agent_decision(call=call, coin=coin, place=place)
            for place, coin in enumerate(["BTC", "ETH"])
        )

        html = page(admin_client, DECISION, mine.pk)

        assert "All decisions of this call" in html
        assert reverse(DECISION, args=[other.pk]) in html

    def test_leads_to_the_decisions_before_and_after_of_the_same_coin(self):
        agent = make_agent()
        first, other, mine, last = (
            make_agent_decision(agent=agent, coin=coin, timestamp=NOON + timedelta(minutes=minutes))
            for minutes, coin in enumerate(["BTC", "ETH", "BTC", "BTC"])
        )
        make_agent_decision(timestamp=NOON + timedelta(seconds=90))

        assert [each["url"] for each in story(mine).neighbors] == [
            reverse(DECISION, args=[first.pk]), reverse(DECISION, args=[last.pk]),
        ]  # fmt: skip
        assert [each["rel"] for each in story(first).neighbors] == ["next"]
        # Without one of its coin near by it is the next one at all.
        assert story(other).neighbors[0]["url"] == reverse(DECISION, args=[first.pk])

    def test_costs_the_same_for_many_siblings_and_trades(
        self, admin_client, django_assert_num_queries
    ):
        candles(-30, 30)
        call = make_llm_call(timestamp=NOON)
        decision = make_agent_decision(call=call)
        make_decision_outcome(decision=decision, settled=True)
        make_agent_trade(agent=call.agent, decision=decision)
        page(admin_client, DECISION, decision.pk)
        with django_assert_num_queries(13) as captured:
            page(admin_client, DECISION, decision.pk)
        for place in range(1, 8):
            other = make_agent_decision(call=call, place=place)
            make_decision_outcome(decision=other, settled=True)
            make_agent_trade(agent=call.agent, decision=decision)

        with django_assert_num_queries(len(captured)):
            page(admin_client, DECISION, decision.pk)

    @pytest.mark.parametrize(
        "values",
        [
            dict.fromkeys(
                ["size_usd", "leverage", "stop_loss_price", "take_profit_price", "confidence",
                 "entry_price", "account_value", "withdrawable", "execution_time_ms"]
            ) | {"status": "failed", "action": "", "coin": "", "symbol": "", "direction": "",
                 "reasoning": ""},
            {"status": "rejected", "violations": [{"rule": 3}, "x", None],
             "leverage": Decimal("-999999999999"), "confidence": Decimal("-999999999999"),
             "size_usd": Decimal("-99999999999999999999"), "entry_price": Decimal("1e-18"),
             "take_profit_price": Decimal("99999999999999999999"),
             "account_value": Decimal("1e-18"),
             "stop_loss_price": Decimal("-99999999999999999999")},
            {"leverage": Decimal(1), "account_value": Decimal(0), "symbol": ""},
        ],
        ids=["nothing", "everything odd", "no account"],
    )  # fmt: skip
    def test_opens_whatever_is_stored(self, admin_client, values):
        decision = make_agent_decision(**values)
        candles(-30, 30)
        outcome = dict.fromkeys(["confidence", "target", "stop"])
        make_decision_outcome(decision=decision, **outcome)

        assert page(admin_client, DECISION, decision.pk)
        assert page(admin_client, DECISIONS, **ALL_TIME)
        assert page(admin_client, OUTCOMES, moment_last="all")
        assert page(admin_client, "admin:agents_decisionoutcome_change", decision.outcome.pk)

    def test_shows_what_is_not_seen_in_names_and_filters_too(self, admin_client):
        call = make_llm_call(agent=make_agent(name=CONTROLS), positions={MARKUP: CONTROLS})
        decision = make_agent_decision(
            call=call, coin=MARKUP[:20], symbol=CONTROLS, reasoning=MARKUP, status="rejected",
            violations=[{"rule": "r", "message": MARKUP}],
        )  # fmt: skip
        make_decision_outcome(decision=decision, note=CONTROLS)

        html = page(admin_client, DECISION, decision.pk)
        html += page(admin_client, DECISIONS, coin=CONTROLS, agent__id__exact=str(call.agent_id))

        assert "<img src=x" not in html
        assert CONTROLS_SEEN in html
        # In the fields of a filter stands what was asked for, so that it can be asked again.
        texts = re.sub(r'value="[^"]*"|href="[^"]*"|<option[^>]*>[^<]*', "", html)
        assert CONTROLS not in texts

    @pytest.mark.parametrize("key", ["nonsense", "5f0c2a1e-7d6b-4c3a-9e8f-0a1b2c3d4e5f", "1"])
    def test_of_no_decision_goes_back(self, admin_client, key):
        assert admin_client.get(reverse(DECISION, args=[key])).status_code == 302


@pytest.mark.django_db
class TestPrivateTexts:
    """Prompt, answer, what was read, the broken piece: for those who may, and nobody else."""

    def decision(self):
        call = make_llm_call(prompt=f"# Market\n{SECRET}", answer=f"{ANSWER}{SECRET}")
        return make_agent_decision(call=call, chain_of_thought={"said": SECRET}, raw=SECRET)

    def test_are_laid_out_for_who_may_read_them(self):
        decision = self.decision()
        client = staff("view_agentdecision", "read_llmcall")

        html = page(client, DECISION, decision.pk)

        assert html.count(SECRET) == 4
        assert '<mark class="b-own" id="answer-own-1">' in html
        assert "js/reading" in html

    def test_are_in_no_byte_of_the_page_of_who_may_not(self, django_assert_max_num_queries):
        decision = self.decision()
        client = staff("view_agentdecision", "view_llmcall")

        with django_assert_max_num_queries(40) as captured:
            html = page(client, DECISION, decision.pk)
            html += page(client, DECISIONS, **ALL_TIME)

        assert SECRET not in html
        assert "Prompts and answers are not shown to you." in html
        for private in ('"prompt"', '"answer"', '"chain_of_thought"', '"raw"'):
            assert not [each for each in captured if private in each["sql"]]

    def test_are_missing_where_the_decision_was_told_alone(self, admin_client):
        html = page(admin_client, DECISION, make_agent_decision().pk)

        assert "No text is stored." in html
        assert "told alone" in html


@pytest.mark.django_db
class TestOutcomes:
    def test_are_listed_with_what_they_say(self, admin_client):
        hit = make_decision_outcome(settled=True)
        make_decision_outcome(
            decision=make_agent_decision(action="HOLD", direction=""), settled=True, is_hit=None
        )
        make_decision_outcome()

        html = page(admin_client, OUTCOMES, moment_last="all")

        for seen in (">Hit<", ">Both ways<", ">Open<", "+2.00 %"):
            assert seen in html
        assert reverse(DECISION, args=[hit.decision_id]) in html

    def test_are_found_by_their_decision(self, admin_client):
        wanted, other = make_decision_outcome(), make_decision_outcome()

        html = page(admin_client, OUTCOMES, q=str(wanted.decision_id))

        assert reverse(DECISION, args=[wanted.decision_id]) in html
        assert reverse(DECISION, args=[other.decision_id]) not in html
