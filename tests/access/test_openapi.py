"""The API's own documentation is true, valid, and served without help from outside."""

import re

import msgspec
import pytest
from django.test import Client
from django.urls import reverse
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema

from apps.access.scopes import known_scopes
from apps.shared.api.schemas import type_schema


@pytest.fixture
def document(api_document):
    return api_document


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield path, method, operation


def named(operation, place="query"):
    return {each["name"]: each for each in operation.get("parameters", []) if each["in"] == place}


def resolve(document, schema):
    name = schema["$ref"].rsplit("/", 1)[1]
    return document["components"]["schemas"][name]


def test_document_is_valid_and_came_without_a_warning(document):
    validate_schema(document)
    assert not GENERATOR_STATS


def test_every_reference_leads_somewhere(document):
    names = set(re.findall(r"'#/components/schemas/([^']+)'", str(document)))

    assert names == names & set(document["components"]["schemas"])


def bodies(base=msgspec.Struct):
    """Yield everything that is read or answered, whatever app it is of."""
    for each in base.__subclasses__():
        if each.__module__.startswith("apps."):
            yield each
        yield from bodies(each)


def test_no_two_bodies_that_differ_share_a_name():
    # The documentation names them without their apps: the second would stand for the first.
    found = {}
    for each in bodies():
        schema = type_schema(each)[1][each.__name__]
        assert found.setdefault(each.__name__, schema) == schema, each


def test_every_operation_has_a_name_of_its_own(document):
    names = [operation["operationId"] for _, _, operation in operations(document)]

    assert len(set(names)) == len(names)


def test_every_operation_says_what_it_is_for_and_what_it_needs(document):
    for path, method, operation in operations(document):
        verb = "read" if method == "get" else "write"
        scope = f"{path.split('/')[3]}:{verb}"
        assert scope in known_scopes()
        assert {"key": [scope]} in operation["security"], (path, method)
        assert f"Scope: `{scope}`." in operation["description"], (path, method)
        assert len(operation["description"]) > len(f"Scope: `{scope}`."), (path, method)


def test_every_refusal_is_a_problem(document):
    for path, method, operation in operations(document):
        refusals = {code: a for code, a in operation["responses"].items() if code >= "400"}
        assert {"400", "401", "403", "429"} <= set(refusals), (path, method)
        for answer in refusals.values():
            assert answer["content"] == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }


def test_every_post_takes_an_idempotency_key(document):
    for path, method, operation in operations(document):
        assert ("Idempotency-Key" in named(operation, "header")) == (method == "post"), path


class TestCandles:
    @pytest.fixture
    def candles(self, document):
        return document["paths"]["/api/v1/market/candles/"]

    def test_list_names_filters_and_paging(self, candles):
        parameters = named(candles["get"])

        assert {
            "symbol", "source", "granularity", "timestamp_after", "timestamp_before",
            "limit", "cursor", "ordering", "fields",
        } <= set(parameters)  # fmt: skip
        assert parameters["limit"]["schema"]["maximum"] == 1000
        assert parameters["symbol"]["explode"] is False
        assert "1h" in parameters["granularity"]["schema"]["items"]["enum"]
        assert parameters["ordering"]["schema"]["enum"] == ["timestamp", "-timestamp"]

    def test_page_holds_the_columns_of_the_table(self, document, candles):
        page = candles["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        row = resolve(document, page["properties"]["results"]["items"])

        assert set(page["required"]) == {"next", "previous", "results"}
        assert row["properties"]["close"] == {"type": "string", "format": "decimal"}
        assert row["properties"]["timestamp"]["format"] == "date-time"

    def test_body_is_one_or_many_and_strict(self, document, candles):
        content = candles["post"]["requestBody"]["content"]
        one, many = content["application/json"]["schema"]["oneOf"]
        row = resolve(document, one)

        assert many == {"type": "array", "items": one}
        assert set(content) == {"application/json", "application/x-ndjson", "text/csv"}
        assert row["additionalProperties"] is False
        assert {"symbol", "granularity", "timestamp", "close"} <= set(row["required"])
        assert row["properties"]["close"]["anyOf"] == [
            {"type": "string", "format": "decimal"},
            {"type": "number"},
        ]

    def test_answer_to_a_list_counts_and_names_rows(self, document, candles):
        either = candles["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        batch = resolve(document, either["oneOf"][1])

        assert {"created", "unchanged", "failed", "results"} <= set(batch["required"])


def test_verb_of_its_own_names_what_it_is_asked(document):
    asked = named(document["paths"]["/api/v1/market/candles/gaps/"]["get"])

    assert set(asked) == {"symbol", "source", "granularity", "start", "end"}
    assert all(each["required"] for each in asked.values())


def test_entity_is_put_and_changed_at_its_key(document):
    path = document["paths"]["/api/v1/market/instruments/{symbol}/"]

    assert {"get", "put", "patch"} <= set(path)
    assert "delete" not in path
    assert named(path["get"], "path")["symbol"]["required"]
    assert set(path["put"]["responses"]) >= {"200", "201", "404", "409", "422"}
    content = path["patch"]["requestBody"]["content"]["application/json"]
    assert "required" not in resolve(document, content["schema"])


@pytest.mark.django_db
class TestPages:
    def test_document_is_open_to_read(self):
        answer = Client().get(reverse("api-schema"))

        assert answer.status_code == 200
        assert answer.json()["openapi"].startswith("3.1")

    def test_page_has_no_script_or_style_inside_and_asks_nobody_else(self):
        answer = Client().get(reverse("api-docs"))
        page = answer.content.decode()

        assert answer.status_code == 200
        assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
        assert "<style" not in page
        assert " style=" not in page
        for address in re.findall(r'(?:src|href)="([^"]+)"', page):
            assert address.startswith("/"), address
        assert "'unsafe" not in answer["Content-Security-Policy"]

    def test_script_of_the_page_is_javascript(self):
        answer = Client().get(reverse("api-docs"), {"script": ""})

        assert answer["Content-Type"].startswith("application/javascript")
        assert reverse("api-schema") in answer.content.decode()
        assert '"validatorUrl": null' in answer.content.decode()
