"""Trades over HTTP."""

import json
import os
import threading
import uuid
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.bots.models import Trade
from tests.bots.trades import OVER, every_bit, new_bot, opened
from tests.client import ApiClient
from tests.factories import make_key

pytestmark = pytest.mark.django_db

TRADES = "/api/v1/bots/trades/"
ROUNDS = int(os.environ.get("BOTS_ROUNDS", "2"))


@pytest.fixture
def bot(db):
    return new_bot(id="grid-1")


def body(**values):
    usual = {
        "id": str(uuid.uuid4()),
        "bot_id": "grid-1",
        "symbol": "BTC/USD",
        "direction": "long",
        "size": "0.1",
        "entry_price": 50000,
        "entry_time": "2026-03-02T11:00:00Z",
        "commission_rate": "0.001",
    }
    return usual | values


def ending(**values):
    usual = {"exit_price": "51000", "exit_time": "2026-03-02T12:00:00Z", "exit_reason": "signal"}
    return usual | values


def errors(answer):
    return [(each["pointer"], each["code"]) for each in answer.json()["errors"]]


class TestARoundTrip:
    def test_goes_from_entry_to_the_known_result(self, api, bot):
        opening = body(extra_metadata={"order": 0.1})
        at = f"{TRADES}{opening['id']}/"

        first = api.post(TRADES, opening)
        closed = api.post(f"{at}close/", ending(net_pnl="90"))

        assert first.status_code == 201
        assert first.json()["entry_commission"] == "5"
        assert closed.status_code == 200
        result = closed.json()
        assert (result["gross_pnl"], result["commission"]) == ("100", "10.1")
        assert (result["net_pnl"], result["pnl_percentage"]) == ("89.9", "1.798")
        assert (result["reported_net_pnl"], result["status"]) == ("90", "closed")
        assert api.get(at).json() == result

    def test_may_be_told_again_at_every_step(self, api, bot):
        opening = body()
        at = f"{TRADES}{opening['id']}/"
        part = ending(id=str(uuid.uuid4()), size="0.04")
        steps = [(TRADES, opening), (f"{at}exits/", part), (f"{at}close/", ending())]

        first = [api.post(*step).status_code for step in steps]
        before = every_bit()
        again = [api.post(*step).status_code for step in steps]

        assert first == [201, 201, 200]
        assert again == [200, 200, 200]
        assert every_bit() == before
        assert Trade.objects.count() == 3

    def test_takes_ids_in_any_case(self, api, bot):
        opening = body()
        api.post(TRADES, opening)

        again = api.post(TRADES, opening | {"id": opening["id"].upper()})

        assert again.status_code == 200
        assert again.json()["id"] == opening["id"]
        assert Trade.objects.count() == 1

    def test_of_a_part_answers_the_part(self, api, bot):
        opening, part = body(), ending(id=str(uuid.uuid4()), size="0.04")
        api.post(TRADES, opening)

        found = api.post(f"{TRADES}{opening['id']}/exits/", part).json()

        assert (found["id"], found["parent_trade_id"]) == (part["id"], opening["id"])
        assert (found["is_partial_exit"], found["partial_exit_sequence"]) == (True, 1)
        assert (found["size"], found["remaining_position_size"]) == ("0.04", "0.06")

    def test_may_be_called_off(self, api, bot):
        opening = body()
        api.post(TRADES, opening)
        at = f"{TRADES}{opening['id']}/cancel/"

        answers = [api.post(at, {"reason": "no funds"}), api.post_bytes(at, b"")]

        assert [each.status_code for each in answers] == [200, 200]
        assert answers[0].json()["exit_reason"] == "no funds"
        assert api.post(f"{TRADES}{opening['id']}/close/", ending()).status_code == 409


class TestWhatCannotBe:
    @pytest.mark.parametrize(
        ("values", "pointer", "code"),
        [
            (
                ending(exit_time="2026-03-02T10:00:00Z", status="closed"),
                "/exit_time",
                "before_entry",
            ),
            ({"size": "NaN"}, "/size", "not_finite"),
            ({"size": 0}, "/size", "too_small"),
            ({"size": "0.1234567890123456789"}, "/size", "too_precise"),
            ({"entry_price": "100000000000000000000"}, "/entry_price", "too_large"),
            ({"bot_id": "nobody"}, "/bot_id", "unknown_bot"),
            ({"id": "1"}, "/id", "not_a_uuid"),
            ({"direction": "up"}, "/direction", "not_a_choice"),
            ({"exit_price": 1}, "/exit_price", "not_closed"),
            ({"entry_time": "2026-03-02T11:00:00"}, "/entry_time", "naive"),
            ({"parent_trade_id": str(uuid.uuid4())}, "/parent_trade_id", "unknown"),
        ],
    )
    def test_is_named_and_not_stored(self, api, bot, values, pointer, code):
        answer = api.post(TRADES, body(**values))

        assert answer.status_code == 400
        assert errors(answer) == [(pointer, code)]
        assert not Trade.objects.exists()

    @pytest.mark.parametrize(
        ("values", "status", "pointer", "code"),
        [
            ({"exit_time": "2026-03-02T10:00:00Z"}, 422, "/exit_time", "before_entry"),
            ({"exit_price": "NaN"}, 400, "/exit_price", "not_finite"),
            ({"exit_price": -1}, 400, "/exit_price", "too_small"),
            ({"size": "1"}, 400, "/size", "unknown"),
        ],
    )
    def test_as_a_close_changes_nothing(self, api, bot, values, status, pointer, code):
        trade = opened(bot)
        before = every_bit()

        answer = api.post(f"{TRADES}{trade.pk}/close/", ending(**values))

        assert answer.status_code == status
        assert errors(answer) == [(pointer, code)]
        assert every_bit() == before

    def test_as_another_close_is_a_conflict_that_names_what_differs(self, api, bot):
        trade = opened(bot)
        api.post(f"{TRADES}{trade.pk}/close/", ending())
        before = every_bit()

        answer = api.post(f"{TRADES}{trade.pk}/close/", ending(exit_reason="stop_loss"))

        assert answer.status_code == 409
        assert errors(answer) == [("/exit_reason", "differs")]
        assert every_bit() == before

    def test_as_an_exit_of_more_than_is_left_changes_nothing(self, api, bot):
        trade = opened(bot)
        before = every_bit()

        answer = api.post(f"{TRADES}{trade.pk}/exits/", ending(id=str(uuid.uuid4()), size="0.11"))

        assert (answer.status_code, answer.json()["code"]) == (422, "more_than_remaining")
        assert errors(answer) == [("/size", "more_than_remaining")]
        assert every_bit() == before

    def test_as_another_opening_is_a_conflict(self, api, bot):
        opening = body()
        api.post(TRADES, opening)

        answer = api.post(TRADES, opening | {"symbol": "ETH/USD"})

        assert answer.status_code == 409
        assert errors(answer) == [("/symbol", "differs")]

    @pytest.mark.parametrize("verb", ["close", "exits", "cancel"])
    @pytest.mark.parametrize("name", ["5f0c2a1e-7d6b-4c3a-9e8f-0a1b2c3d4e5f", "nothing"])
    def test_of_an_unknown_trade_is_not_found(self, api, verb, name):
        sent = {"close": ending(), "exits": ending(id=str(uuid.uuid4()), size="1"), "cancel": {}}

        assert api.post(f"{TRADES}{name}/{verb}/", sent[verb]).status_code == 404

    def test_in_a_batch_is_named_beside_what_is_stored(self, api, bot):
        rows = [body(), body(size=0), body(bot_id="nobody"), body()]

        found = api.post(TRADES, rows).json()

        assert (found["created"], found["failed"]) == (2, 2)
        assert [each["index"] for each in found["results"]] == [1, 2]


class TestAKeyOfOneBot:
    @pytest.fixture
    def own(self, bot):
        key = make_key(scopes=["bots:read", "bots:write"], bot=bot.pk)
        return ApiClient(key.text)

    def test_opens_and_closes_its_own(self, own):
        opening = body()

        assert own.post(TRADES, opening).status_code == 201
        assert own.post(f"{TRADES}{opening['id']}/close/", ending()).status_code == 200

    def test_opens_nothing_for_others(self, own):
        other = new_bot()

        assert own.post(TRADES, body(bot_id=other.pk)).status_code == 403
        assert own.post(TRADES, [body(), body(bot_id=other.pk)]).status_code == 403
        assert not Trade.objects.exists()

    def test_sees_and_moves_nothing_of_others(self, own):
        trade = opened(new_bot())
        before, at = every_bit(), f"{TRADES}{trade.pk}/"
        part = ending(id=str(uuid.uuid4()), size="0.01")

        answers = [
            own.get(at),
            own.post(f"{at}close/", ending()),
            own.post(f"{at}exits/", part),
            own.post(f"{at}cancel/", {}),
            own.patch(at, {"strategy_name": "mine"}),
            own.put(at, {"strategy_name": "mine"}),
        ]

        assert [each.status_code for each in answers] == [404] * 6
        assert own.get(TRADES).json()["results"] == []
        assert own.get(f"{TRADES}summary/").json()["results"] == []
        assert own.get(f"{TRADES}summary/?bot_id={trade.bot_id}").status_code == 403
        assert every_bit() == before


class TestDescribing:
    def test_changes_what_is_sent(self, api, bot):
        trade = opened(bot)

        answer = api.patch(f"{TRADES}{trade.pk}/", {"strategy_name": "x", "interval": "4h"})

        assert answer.status_code == 200
        found = answer.json()
        assert (found["strategy_name"], found["interval"]) == ("x", "4h")
        assert found["entry_logic_name"] == "RSIBBEntryMixin"

    def test_by_put_empties_what_is_not_sent(self, api, bot):
        trade = opened(bot)

        found = api.put(f"{TRADES}{trade.pk}/", {"strategy_name": "x"}).json()

        assert (found["strategy_name"], found["entry_logic_name"]) == ("x", "")

    @pytest.mark.parametrize("name", ["status", "size", "exit_price", "commission", "bot_id"])
    def test_moves_neither_money_nor_state(self, api, bot, name):
        trade = opened(bot)
        before = every_bit()

        for send in (api.put, api.patch):
            answer = send(f"{TRADES}{trade.pk}/", {name: "1", "strategy_name": "x"})
            assert answer.status_code == 400
            assert errors(answer) == [(f"/{name}", "not_changed_here")]
        assert every_bit() == before

    def test_keeps_all_digits_of_what_it_is_told(self, api, bot):
        trade, number = opened(bot), "0.12345678901234567890123456789"
        sent = f'{{"extra_metadata": {{"x": {number}}}}}'.encode()

        answer = api.send("PATCH", f"{TRADES}{trade.pk}/", sent)

        assert number in answer.content.decode()

    def test_of_an_unknown_trade_is_not_found(self, api):
        assert api.patch(f"{TRADES}{uuid.uuid4()}/", {"interval": "1h"}).status_code == 404


class TestReading:
    def test_narrows_by_what_trades_are(self, api, bot):
        opened(bot, strategy_name="other", trade_type="live")
        trade = opened(bot, **OVER, exit_reason="signal")
        wanted = "&".join(
            [
                "bot_id=grid-1", "trade_type=paper", "status=closed", "symbol=BTC/USD",
                "direction=long", "is_partial_exit=false", "exit_reason=signal",
                "strategy_name=grid", "quote_currency=USD",
                "entry_time_after=2026-03-02T00:00:00Z", "exit_time_before=2026-03-03T00:00:00Z",
                "created_at_after=2020-01-01T00:00:00Z",
            ]
        )  # fmt: skip

        found = api.get(f"{TRADES}?{wanted}").json()["results"]

        assert [each["id"] for each in found] == [str(trade.pk)]

    def test_finds_the_parts_of_a_trade(self, api, bot):
        trade, part = opened(bot), ending(id=str(uuid.uuid4()), size="0.04")
        api.post(f"{TRADES}{trade.pk}/exits/", part)

        found = api.get(f"{TRADES}?parent_trade_id={trade.pk}").json()["results"]

        assert [each["id"] for each in found] == [part["id"]]

    def test_reads_a_long_list_in_one_statement(self, api, bot):
        api.post(TRADES, [body() for _ in range(500)])
        api.get(TRADES)

        with CaptureQueriesContext(connection) as captured:
            found = api.get(f"{TRADES}?bot_id=grid-1&limit=500").json()["results"]

        assert len(found) == 500
        assert sum('"trades"' in each["sql"] for each in captured) == 1

    @pytest.mark.parametrize(
        ("conditions", "index"),
        [("", "trades_created_idx"), ("WHERE bot_id = 'grid-1'", "trades_bot_created_idx")],
    )
    def test_of_a_list_runs_along_an_index(self, api, bot, conditions, index):
        api.post(TRADES, [body() for _ in range(500)])
        with connection.cursor() as cursor:
            # So few rows are read as a whole and sorted, were that not dear.
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            cursor.execute(
                f"EXPLAIN SELECT * FROM trades {conditions} "
                "ORDER BY created_at DESC, id DESC LIMIT 501"
            )
            plan = "\n".join(line for (line,) in cursor.fetchall())

        assert index in plan
        assert "Sort" not in plan


class TestSummaries:
    def test_are_told_apart_by_type_and_currency(self, api, bot):
        opened(bot, **OVER)
        opened(bot, **OVER, trade_type="live")
        opened(bot)

        found = api.get(f"{TRADES}summary/").json()["results"]

        assert [(each["trade_type"], each["total"]) for each in found] == [
            ("live", 1),
            ("paper", 2),
        ]
        assert found[1] | {"open": 1, "closed": 1, "win_rate": "100", "net_pnl": "89.9"} == found[1]

    def test_narrow_by_bot_type_symbol_and_time(self, api, bot):
        opened(bot, **OVER)
        opened(new_bot(), **OVER)
        asked = "bot_id=grid-1&trade_type=paper&symbol=BTC/USD&exit_time_after="

        within = api.get(f"{TRADES}summary/?{asked}2026-03-02T12:00:00Z").json()["results"]
        after = api.get(f"{TRADES}summary/?{asked}2026-03-02T13:00:00Z").json()["results"]

        assert [each["bot_id"] for each in within] == ["grid-1"]
        assert after == []

    def test_know_no_other_parameter(self, api):
        assert api.get(f"{TRADES}summary/?status=open").status_code == 400


@pytest.mark.django_db(transaction=True)
def test_two_closes_by_eight_threads_leave_one(bot):
    """One wins, its own repetitions are 200, the others 409; over HTTP."""
    key = make_key(scopes=["bots:write"]).text
    for _ in range(ROUNDS):
        trade, answers = opened(bot), []
        start = threading.Barrier(8)

        def send(
            place: int,
            pk: object = trade.pk,
            start: threading.Barrier = start,
            answers: list[tuple[str, int]] = answers,
        ) -> None:
            client, reason = ApiClient(key), f"reason {place % 2}"
            start.wait()
            answer = client.post(f"{TRADES}{pk}/close/", ending(exit_reason=reason))
            answers.append((reason, answer.status_code))
            connection.close()

        threads = [threading.Thread(target=send, args=[place]) for place in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        won = Trade.objects.get(pk=trade.pk)
        assert won.net_pnl == Decimal("89.9")
        assert len(answers) == 8
        assert all(
            status == (200 if reason == won.exit_reason else 409) for reason, status in answers
        )


def test_the_verbs_are_documented(api_document):
    text = json.dumps(api_document["paths"])

    for verb in ("close", "exits", "cancel"):
        described = api_document["paths"][f"{TRADES}{{id}}/{verb}/"]["post"]
        assert "application/json" in described["requestBody"]["content"]
    assert f"{TRADES}summary/" in text
    row = api_document["components"]["schemas"]["TradeRow"]["properties"]
    assert row["direction"]["enum"] == ["long", "short"]
