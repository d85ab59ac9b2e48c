"""Prices of models over the API."""

from datetime import UTC, datetime

import pytest

from apps.agents.models import LLMPrice
from tests.factories import make_llm_price

pytestmark = pytest.mark.django_db

PRICES = "/api/v1/agents/prices/"
BODY = {
    "provider": "deepseek",
    "model": "deepseek-chat",
    "valid_from": "2026-01-01T00:00:00Z",
    "input_per_million": "0.27",
    "output_per_million": "1.10",
}


class TestPrice:
    def test_is_created_and_may_come_twice(self, api):
        first, again = api.post(PRICES, BODY), api.post(PRICES, BODY)

        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json()["output_per_million"] == "1.1"

    def test_of_other_amounts_is_refused_by_post_and_corrected_by_put(self, api):
        held = api.post(PRICES, BODY).json()
        refused = api.post(PRICES, BODY | {"input_per_million": 1})
        same_moment = {"valid_from": "2026-01-01T01:00:00+01:00", "input_per_million": 1}
        corrected = api.put(f"{PRICES}{held['id']}/", BODY | same_moment)
        changed = api.patch(f"{PRICES}{held['id']}/", {"output_per_million": 0})

        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (
            409,
            "/input_per_million",
        )
        assert (corrected.status_code, changed.status_code) == (200, 200)
        found = LLMPrice.objects.get()
        assert (found.input_per_million, found.output_per_million) == (1, 0)

    def test_of_another_moment_is_another_price(self, api):
        held = api.post(PRICES, BODY).json()
        other = BODY | {"valid_from": "2026-02-01T00:00:00Z"}

        for answer in (
            api.put(f"{PRICES}{held['id']}/", other),
            api.patch(f"{PRICES}{held['id']}/", {"valid_from": other["valid_from"]}),
        ):
            error = answer.json()["errors"][0]
            assert (answer.status_code, error["pointer"]) == (400, "/valid_from")
            assert error["code"] == "differs_from_path"
        assert api.put(f"{PRICES}0/", other).status_code == 404
        assert api.post(PRICES, other).status_code == 201
        assert LLMPrice.objects.count() == 2

    def test_of_many_stores_the_good_and_names_the_bad(self, api):
        found = api.post(PRICES, [BODY, BODY | {"model": ""}]).json()

        assert (found["created"], found["failed"]) == (1, 1)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("provider", None),
            ("provider", "a" * 51),
            ("model", ""),
            ("valid_from", "2026-01-01"),
            ("input_per_million", "-1"),
            ("input_per_million", "NaN"),
            ("output_per_million", "1000000.1"),
            ("output_per_million", "0.0000000000000000001"),
            ("nonsense", 1),
        ],
    )
    def test_that_cannot_be_is_refused(self, api, field, value):
        answer = api.post(PRICES, BODY | {field: value})

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == f"/{field}"

    def test_is_found_by_model_and_time(self, api):
        price = make_llm_price(valid_from=datetime(2026, 2, 1, tzinfo=UTC))
        make_llm_price(valid_from=datetime(2025, 2, 1, tzinfo=UTC))

        for query in (f"model={price.model}", "valid_from_after=2026-01-01T00:00:00Z"):
            found = api.get(f"{PRICES}?{query}").json()["results"]
            assert [each["id"] for each in found] == [price.pk], query
