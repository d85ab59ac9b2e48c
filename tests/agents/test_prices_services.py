"""The table of prices, and the calls that it prices."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.agents.domain.costs import NO_PRICE, TOKENS_UNTOLD
from apps.agents.models import LLMCall, LLMPrice
from apps.agents.services import prices
from apps.logs.models import Notification
from tests.factories import make_agent, make_llm_call, make_llm_price
from tests.threads import at_once

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Told:
    """A call, or a price, as far as it matters here."""

    provider: str = "deepseek"
    model: str = "deepseek-chat"
    timestamp: datetime = NOW
    tokens_in: int | None = 1_000_000
    tokens_out: int | None = 0
    valid_from: datetime = NOW
    input_per_million: Decimal = Decimal(1)
    output_per_million: Decimal = Decimal(2)


def make_price(dollars, since=NOW, **values):
    return make_llm_price(
        **{"model": "deepseek-chat", "valid_from": since, "input_per_million": Decimal(dollars)}
        | values
    )


def amounts(calls):
    return [each.amount for each in prices.costs_of(calls)]


class TestStoredPrice:
    def test_is_known_by_provider_model_and_moment(self):
        rows = [Told(), Told(valid_from=NOW + HOUR), Told(provider="other"), Told()]

        found = prices.store_prices(rows, now=NOW)

        assert (found.created, found.unchanged) == (3, 1)
        assert LLMPrice.objects.count() == 3

    def test_is_corrected_by_the_same_with_other_amounts(self):
        prices.store_prices([Told()], now=NOW)

        found = prices.store_prices([Told(input_per_million=Decimal(3))], now=NOW)

        assert found.replaced == 1
        assert LLMPrice.objects.get().input_per_million == 3

    def test_is_not_replaced_where_that_is_not_meant(self):
        prices.store_prices([Told()], now=NOW)

        found = prices.store_prices([Told(input_per_million=Decimal(3))], now=NOW, replace=False)

        assert [error.pointer for error in found.results[0].errors] == ["/input_per_million"]
        assert LLMPrice.objects.get().input_per_million == 1


class TestCosts:
    def test_are_by_the_price_that_held_at_the_time_of_each_call(self):
        make_price(1)
        make_price(2, NOW + HOUR)
        moments = [NOW - HOUR, NOW, NOW + HOUR - timedelta.resolution, NOW + HOUR, NOW + 9 * HOUR]

        assert amounts([Told(timestamp=each) for each in moments]) == [None, 1, 1, 2, 2]

    def test_are_by_the_price_of_their_own_provider_and_model(self):
        make_price(1)
        make_price(2, provider="other")
        make_price(3, model="deepseek-reasoner")
        make_price(4, provider="")
        told = [
            Told(),
            Told(provider="other"),
            Told(model="deepseek-reasoner"),
            Told(provider=""),
            Told(provider="nobody"),
            Told(model="deepseek"),
        ]

        assert amounts(told) == [1, 2, 3, 4, None, None]

    def test_take_no_heed_of_upper_and_lower_case(self):
        make_price(1, provider="DeepSeek", model="DeepSeek-Chat")

        assert amounts([Told(), Told(model="DEEPSEEK-CHAT")]) == [1, 1]

    def test_prefer_the_spelling_of_the_call_where_case_alone_differs(self):
        make_price(1)
        make_price(2, model="DeepSeek-Chat")
        told = [Told(), Told(model="DeepSeek-Chat"), Told(model="DEEPSEEK-CHAT")]

        assert amounts(told) == [1, 2, 2]

    def test_say_why_they_are_not_known(self):
        make_price(1)
        told = [Told(tokens_out=None), Told(model="new"), Told()]

        assert [each.reason for each in prices.costs_of(told)] == [TOKENS_UNTOLD, NO_PRICE, ""]

    def test_are_found_by_one_statement_however_many(self):
        make_price(1)
        told = [Told(), Told(model="x"), Told(timestamp=NOW + HOUR)] * 50

        with CaptureQueriesContext(connection) as queries:
            assert amounts(told).count(None) == 50

        assert len(queries) == 1

    def test_of_calls_that_tell_no_tokens_ask_nothing(self):
        with CaptureQueriesContext(connection) as queries:
            assert amounts([Told(tokens_in=None)]) == [None]

        assert not queries


def make_unpriced(agent, **values):
    return make_llm_call(
        agent=agent,
        **{"timestamp": NOW, "cost": None, "cost_source": "", "tokens_in": 1_000_000}
        | {"tokens_out": 0}
        | values,
    )


def cost_of(call):
    call.refresh_from_db()
    return call.cost, call.cost_source


class TestPricingLater:
    def test_prices_what_waited_in_batches(self):
        agent = make_agent()
        calls = [make_unpriced(agent, timestamp=NOW + n % 3 * HOUR) for n in range(7)]
        make_price(1)
        make_price(2, NOW + 2 * HOUR)

        assert prices.price_calls(now=NOW, batch=2) == 7
        assert [cost_of(call)[0] for call in calls] == [1, 1, 2, 1, 1, 2, 1]
        assert {call.cost_source for call in LLMCall.objects.all()} == {"table"}
        assert prices.price_calls(now=NOW) == 0

    def test_leaves_what_cannot_be_priced(self):
        agent = make_agent()
        make_price(1)
        left = [
            make_unpriced(agent, tokens_out=None),
            make_unpriced(agent, model="new"),
            make_unpriced(agent, timestamp=NOW - HOUR),
        ]

        assert prices.price_calls(now=NOW) == 0
        assert {cost_of(call) for call in left} == {(None, "")}

    def test_comes_to_an_end_where_a_cost_is_too_large(self):
        agent = make_agent()
        huge = make_unpriced(agent, tokens_in=2**62)
        fine = make_unpriced(agent, timestamp=NOW + HOUR)
        make_price(10**19)
        make_price(1, NOW + HOUR)

        assert prices.price_calls(now=NOW, batch=1) == 1
        assert (cost_of(huge), cost_of(fine)) == ((None, ""), (1, "table"))

    def test_never_changes_a_cost_that_is_known(self):
        agent = make_agent()
        given = make_unpriced(agent, cost=Decimal(9), cost_source="given")
        waited = make_unpriced(agent)
        make_price(1)
        prices.price_calls(now=NOW)
        LLMPrice.objects.update(input_per_million=Decimal(5))
        prices.price_calls(now=NOW)

        assert cost_of(given) == (9, "given")
        assert cost_of(waited) == (1, "table")

    def test_looks_at_the_budget_again(self):
        agent = make_agent(daily_budget=Decimal("0.5"))
        make_unpriced(agent)
        make_price(1)

        prices.price_calls(now=NOW)

        assert Notification.objects.get().what == "agent_over_budget"

    @pytest.mark.django_db(transaction=True)
    def test_by_two_at_once_prices_each_call_once(self):
        agent = make_agent()
        for _ in range(20):
            make_unpriced(agent)
        make_price(1)

        found = at_once([lambda: prices.price_calls(now=NOW, batch=3)] * 2)

        assert sum(found) == 20
        assert set(LLMCall.objects.values_list("cost", flat=True)) == {Decimal(1)}
