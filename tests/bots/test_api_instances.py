"""Bots over the API: registered, heard of, told what is wanted, brought back after a restart."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.bots.api.instances import LIFE
from apps.bots.models import BotInstance
from apps.bots.services.instances import hash_of
from tests.bots.lives import every_bit, living, stored
from tests.client import ApiClient
from tests.factories import make_bot, make_key, make_trade

BOTS = "/api/v1/bots/instances/"
BODY = {"type": "paper", "symbol": "BTC/USD", "config": {"fast": 12}, "initial_balance": "1000.50"}


@pytest.mark.django_db
class TestRegistration:
    def test_creates_and_replaces_under_the_name_of_the_bot(self, api):
        first = api.put(f"{BOTS}macd-1/", BODY)
        again = api.put(f"{BOTS}macd-1/", BODY)
        other = api.put(f"{BOTS}macd-1/", BODY | {"version": "2.0"})

        assert [each.status_code for each in (first, again, other)] == [201, 200, 200]
        found = other.json()
        assert (found["id"], found["version"], found["status"]) == ("macd-1", "2.0", "starting")
        assert (found["quote_currency"], found["initial_balance"]) == ("USD", "1000.5")
        assert found["config_hash"] == hash_of({"fast": 12})
        assert found["heartbeat_interval_seconds"] == 60

    def test_of_many_stores_the_good_and_names_the_bad(self, api):
        rows = [BODY | {"id": "a"}, BODY | {"id": "b/c"}, BODY | {"id": "d", "type": "real"}]

        answer = api.post(BOTS, rows).json()

        assert (answer["created"], answer["failed"]) == (1, 2)
        assert [each["errors"][0]["pointer"] for each in answer["results"]] == ["/id", "/type"]

    def test_by_post_refuses_a_known_bot_of_another_description(self, api):
        api.post(BOTS, BODY | {"id": "a"})

        assert api.post(BOTS, BODY | {"id": "a"}).status_code == 200
        refused = api.post(BOTS, BODY | {"id": "a", "symbol": "ETH/USD"})
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")

    def test_changes_single_fields_and_leaves_the_others_exact(self, api):
        exact = '{"type":"live","symbol":"BTC/USD","config":{"rate":0.10000000000000000000001}}'
        api.send("PUT", f"{BOTS}a/", exact.encode())

        answer = api.patch(f"{BOTS}a/", {"heartbeat_interval_seconds": 5})

        assert answer.status_code == 200
        assert '"rate": 0.10000000000000000000001' in answer.content.decode()
        assert answer.json()["heartbeat_interval_seconds"] == 5

    @pytest.mark.parametrize("name", LIFE)
    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_moves_no_life(self, api, name, method):
        bot = living()
        before = every_bit()

        answer = getattr(api, method)(f"{BOTS}{bot}/", BODY | {name: "1"})

        assert answer.status_code == 400
        assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [
            (f"/{name}", "not_changed_here")
        ]
        assert every_bit() == before

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("heartbeat_interval_seconds", 0),
            ("heartbeat_interval_seconds", 86_401),
            ("candle_interval_seconds", 0),
            ("initial_balance", "-1"),
            ("initial_balance", "NaN"),
            ("config", []),
            ("type", ""),
            ("nonsense", 1),
        ],
    )
    def test_refuses_what_cannot_be(self, api, field, value):
        answer = api.put(f"{BOTS}a/", BODY | {field: value})

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == f"/{field}"
        assert not BotInstance.objects.exists()


@pytest.mark.django_db
class TestHeartbeat:
    def beat(self, api, bot, body=None, **extra):
        if body is None:
            return api.send("POST", f"{BOTS}{bot}/heartbeat/", b"", "", **extra)
        return api.post(f"{BOTS}{bot}/heartbeat/", body)

    @pytest.mark.parametrize("body", [None, {}])
    def test_may_be_empty(self, api, body):
        bot = living()

        answer = self.beat(api, bot, body)

        assert answer.status_code == 200
        assert answer.json() == {
            "id": bot,
            "desired_state": "run",
            "instruction": 0,
            "reason": "",
            "config_hash": "",
            "beat": 8,
            "health": "ok",
            "server_time": answer.json()["server_time"],
        }
        assert timezone.now() - stored(bot).last_heartbeat < timedelta(minutes=1)

    def test_is_one_statement_besides_the_key(self, api):
        bot = living(timezone.now(), overdue_at=timezone.now() + timedelta(minutes=3))
        self.beat(api, bot, {})

        with CaptureQueriesContext(connection) as asked:
            self.beat(api, bot, {"status": "running", "current_balance": "12.5"})

        assert [q["sql"].split()[0] for q in asked] == ["SELECT", "WITH"]

    def test_takes_in_everything_it_may_tell(self, api):
        bot = living()
        body = {
            "status": "paused",
            "current_balance": "1234.000000000000000001",
            "total_pnl": -3.5,
            "open_positions": 2,
            "last_candle_at": "2026-03-02T11:00:00Z",
            "last_decision_at": "2026-03-02T11:00:01+01:00",
            "error_count": 4,
            "last_error": "half a \ud800 pair",
            "loop_time_ms": 12.25,
            "config_hash": "abc",
            "acknowledged": 0,
            "beat": 7,
            "sent_at": "2026-03-02T11:00:00Z",
        }

        assert self.beat(api, bot, body).status_code == 200
        row = api.get(f"{BOTS}{bot}/").json()
        assert row["current_balance"] == "1234.000000000000000001"
        assert (row["total_pnl"], row["loop_time_ms"]) == ("-3.5", "12.25")
        assert (row["status"], row["beats"], row["last_error"]) == (
            "paused",
            8,
            "half a \ufffd pair",
        )
        assert row["last_decision_at"] == "2026-03-02T10:00:01Z"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("status", "dead"),
            ("open_positions", -1),
            ("open_positions", 2**31),
            ("current_balance", "NaN"),
            ("loop_time_ms", -1),
            ("last_candle_at", "2026-03-02T11:00:00"),
            ("beat", 1.5),
            ("desired_state", "stop"),
        ],
    )
    def test_refuses_what_cannot_be(self, api, field, value):
        bot = living()
        before = every_bit()

        answer = self.beat(api, bot, {field: value})

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == f"/{field}"
        assert every_bit() == before

    def test_of_an_unknown_bot_is_a_404(self, api):
        for name in ("nobody", "no%00body"):
            answer = self.beat(api, name, {})
            assert answer.status_code == 404
        assert self.beat(api, "nobody", {}).json()["code"] == "unknown_bot"

    def test_brings_an_instruction_and_acknowledges_it(self, api):
        bot = living()
        wish = {"desired_state": "stop", "reason": "maintenance"}
        wished = api.post(f"{BOTS}{bot}/desired-state/", wish)
        assert (wished.status_code, wished.json()["instruction"]) == (200, 1)

        answer = self.beat(api, bot, {}).json()
        assert (answer["desired_state"], answer["instruction"]) == ("stop", 1)
        assert answer["reason"] == "maintenance"
        assert api.get(f"{BOTS}{bot}/").json()["delivered_at"] is not None
        assert api.get(f"{BOTS}{bot}/").json()["acknowledged_at"] is None
        self.beat(api, bot, {"status": "stopped", "acknowledged": 1})
        assert api.get(f"{BOTS}{bot}/").json()["acknowledged_at"] is not None

    def test_with_an_idempotency_key_counts_once(self, api):
        bot = living()

        for _ in range(2):
            self.beat(api, bot, HTTP_IDEMPOTENCY_KEY="beat-1")

        assert stored(bot).beats == 8


@pytest.mark.django_db
class TestWishes:
    def test_are_put_down_to_who_wishes(self, api):
        bot = living()
        key = make_key(client="risk desk")

        ApiClient(key.text).post(f"{BOTS}{bot}/desired-state/", {"desired_state": "pause"})

        assert stored(bot).desired_by == "risk desk"

    def test_the_same_again_has_no_effect(self, api):
        bot = living()
        for _ in range(2):
            answer = api.post(f"{BOTS}{bot}/desired-state/", {"desired_state": "pause"})

        assert answer.json()["instruction"] == 1

    def test_of_staff_need_the_permission_to_change_bots(self):
        bot = living()
        user = User.objects.create_user("ann", is_staff=True)
        client = Client()

        def ask():
            client.force_login(User.objects.get(pk=user.pk))
            return client.post(
                f"{BOTS}{bot}/desired-state/",
                json.dumps({"desired_state": "pause"}),
                content_type="application/json",
            ).status_code

        assert ask() == 403
        user.user_permissions.add(Permission.objects.get(codename="change_botinstance"))
        assert ask() == 200
        assert stored(bot).desired_by == "ann"

    @pytest.mark.parametrize("body", [{}, {"desired_state": "fly"}, {"desired_state": None}])
    def test_that_cannot_be_are_refused(self, api, body):
        assert api.post(f"{BOTS}{living()}/desired-state/", body).status_code == 400

    def test_of_an_unknown_bot_are_a_404(self, api):
        answer = api.post(f"{BOTS}nobody/desired-state/", {"desired_state": "run"})

        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_bot")


@pytest.mark.django_db
class TestRecovery:
    def test_is_answered_whole(self, api):
        bot = make_bot()
        make_trade(bot=bot)

        answer = api.get(f"{BOTS}{bot.pk}/recovery/")

        assert answer.status_code == 200
        assert list(answer.json()) == [
            "bot",
            "beat",
            "open_trades",
            "open_orders",
            "lots",
            "limits",
            "balance",
            "states",
        ]
        assert answer.json()["open_trades"][0]["remaining_position_size"] == "0.1"

    def test_of_an_unknown_bot_is_a_404(self, api):
        assert api.get(f"{BOTS}nobody/recovery/").json()["code"] == "unknown_bot"


@pytest.mark.django_db
class TestBoundKeys:
    def bound(self, name):
        return ApiClient(make_key(bot=name).text)

    def test_see_and_move_their_own_bot(self):
        mine = living()
        client = self.bound(mine)

        assert client.post(f"{BOTS}{mine}/heartbeat/", {}).status_code == 200
        assert client.get(f"{BOTS}{mine}/recovery/").status_code == 200
        assert client.put(f"{BOTS}{mine}/", BODY).status_code == 200
        assert [row["id"] for row in client.get(BOTS).json()["results"]] == [mine]

    def test_register_their_own_bot_alone(self):
        client = self.bound("mine")

        assert client.put(f"{BOTS}mine/", BODY).status_code == 201
        assert client.put(f"{BOTS}other/", BODY).status_code == 403
        assert client.post(BOTS, [BODY | {"id": "other"}]).status_code == 403
        assert list(BotInstance.objects.values_list("pk", flat=True)) == ["mine"]

    def test_move_nothing_of_others(self):
        other = living()
        client = self.bound(living())
        before = every_bit()

        answers = [
            client.post(f"{BOTS}{other}/heartbeat/", {"status": "error"}),
            client.post(f"{BOTS}{other}/desired-state/", {"desired_state": "stop"}),
            client.get(f"{BOTS}{other}/recovery/"),
            client.get(f"{BOTS}{other}/"),
            client.put(f"{BOTS}{other}/", BODY),
            client.patch(f"{BOTS}{other}/", {"version": "9"}),
        ]

        assert {answer.status_code for answer in answers} == {403}
        assert every_bit() == before

    def test_of_a_reader_beat_nothing(self):
        bot = living()
        client = ApiClient(make_key(scopes=["bots:read"]).text)

        assert client.post(f"{BOTS}{bot}/heartbeat/", {}).status_code == 403
        assert stored(bot).beats == 7
