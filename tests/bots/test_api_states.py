"""Documents of bots over the API."""

import pytest

from apps.bots.models import BotState
from tests.client import ApiClient
from tests.factories import make_bot, make_bot_state, make_key

STATES = "/api/v1/bots/state/"


@pytest.mark.django_db
class TestStates:
    def test_are_created_read_and_replaced(self, api):
        first = api.put(f"{STATES}loop/", {"value": {"n": 1}, "version": 0})
        second = api.put(f"{STATES}loop/", {"value": {"n": 2}, "version": 1})

        assert (first.status_code, first.json()["version"]) == (201, 1)
        assert (second.status_code, second.json()["version"]) == (200, 2)
        assert api.get(f"{STATES}loop/").json() == second.json()
        assert [row["key"] for row in api.get(STATES).json()["results"]] == ["loop"]

    def test_of_another_version_are_a_409_that_names_the_stored_one(self, api):
        for number in range(3):
            api.put(f"{STATES}loop/", {"value": number})

        answer = api.put(f"{STATES}loop/", {"value": 9, "version": 1})

        assert (answer.status_code, answer.json()["code"]) == (409, "version_conflict")
        assert answer.json()["detail"] == "The stored version is 3."
        assert answer.json()["errors"][0]["pointer"] == "/version"

    def test_put_again_after_a_lost_answer_are_harmless(self, api):
        api.put(f"{STATES}loop/", {"value": 1, "version": 0})
        for _ in range(2):
            answer = api.put(f"{STATES}loop/", {"value": 2, "version": 1})

        assert (answer.status_code, answer.json()["version"]) == (200, 2)

    @pytest.mark.parametrize(
        "text",
        ["true", '"x"', "[1, 2]", "0.1000000000000000000000000000001", '{"a": 1e-30}'],
    )
    def test_keep_any_json_exactly(self, api, text):
        answer = api.send("PUT", f"{STATES}loop/", f'{{"value": {text}}}'.encode())

        assert answer.status_code == 201, answer.content
        kept = text if "e-" not in text else '{"a": 0.000000000000000000000000000001}'
        assert f'"value":{kept}' in answer.content.decode()

    def test_of_many_come_by_post(self, api):
        rows = [{"key": "a", "value": 1}, {"key": "b", "value": 1, "version": 4}]

        answer = api.post(STATES, rows)

        assert (answer.json()["created"], answer.json()["failed"]) == (1, 1)
        assert api.post(STATES, {"key": "c", "value": 2}).status_code == 201
        assert api.post(STATES, {"key": "c", "value": 3, "version": 7}).status_code == 409

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"value": None},
            {"value": 1, "version": -1},
            {"value": 1, "version": "1"},
            {"value": "\0"},
            {"value": 1, "bot_id": ""},
            {"value": 1, "updated_at": "2026-03-02T11:00:00Z"},
            {"value": "x" * (1024 * 1024)},
        ],
    )
    def test_that_cannot_be_are_refused(self, api, body):
        assert api.put(f"{STATES}loop/", body).status_code == 400
        assert not BotState.objects.exists()

    def test_of_an_unknown_bot_are_a_404(self, api):
        answer = api.put(f"{STATES}loop/", {"value": 1, "bot_id": "nobody"})

        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_bot")

    def test_are_not_changed_by_parts(self, api):
        make_bot_state(key="loop")

        assert api.patch(f"{STATES}loop/", {"value": 1}).status_code == 405


@pytest.mark.django_db
class TestBoundKeys:
    def test_see_and_write_the_documents_of_their_own_bot(self):
        mine = make_bot()
        client = ApiClient(make_key(bot=mine.pk).text)

        assert client.put(f"{STATES}loop/", {"value": 1, "bot_id": mine.pk}).status_code == 201
        assert client.get(f"{STATES}loop/").status_code == 200

    def test_touch_nothing_of_others(self):
        mine, other = make_bot(), make_bot()
        make_bot_state(key="theirs", bot=other)
        make_bot_state(key="nobody's")
        client = ApiClient(make_key(bot=mine.pk).text)

        assert client.get(STATES).json()["results"] == []
        for key in ("theirs", "nobody's"):
            assert client.get(f"{STATES}{key}/").status_code == 404
            for owner in (mine.pk, other.pk, None):
                answer = client.put(f"{STATES}{key}/", {"value": 9, "bot_id": owner})
                assert answer.status_code == 403
        assert set(BotState.objects.values_list("version", flat=True)) == {1}
