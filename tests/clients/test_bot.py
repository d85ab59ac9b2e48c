"""A bot by the client that others copy: alive, told what is wanted, certain of its trades."""

import logging
import uuid
from decimal import Decimal
from typing import Any

import pytest

from clients.blotter_client import Blotter, BlotterError
from tests.clients.server import DROP, KEY, FakeBlotter, impatient, refusal, until

BOT = "/api/v1/bots/instances/grid%201/"
TRADE = str(uuid.UUID(int=7))


class Staff:
    """Answers heartbeats as Blotter does, and wants what it is told to want."""

    def __init__(self) -> None:
        self.beats, self.instruction, self.desired_state = 4, 0, "run"

    def want(self, state: str) -> None:
        self.desired_state, self.instruction = state, self.instruction + 1

    def __call__(self, path: str, body: dict[str, Any]) -> Any:
        if not path.endswith("/heartbeat/"):
            return {"id": TRADE}
        self.beats += 1
        wanted = {"desired_state": self.desired_state, "instruction": self.instruction}
        return {**wanted, "beat": self.beats, "health": "ok"}


@pytest.fixture
def staff(server: FakeBlotter) -> Staff:
    server.usual = Staff()
    return server.usual


@pytest.fixture
def bot(blotter, staff):
    """Return a bot of which no thread is heard while a test lasts."""
    return blotter.bot("grid 1", "live", symbol="BTC/USDT", initial_balance=Decimal("0.10"))


def beats_of(server: FakeBlotter) -> list[dict[str, Any]]:
    return server.bodies("heartbeat")


class TestLife:
    def test_begins_with_a_registration_and_ends_with_a_farewell(self, server, bot):
        with bot:
            pass

        register, starts, ends = server.seen
        assert register == (
            "PUT",
            BOT,
            {
                "type": "live",
                "heartbeat_interval_seconds": 60,
                "symbol": "BTC/USDT",
                "initial_balance": "0.10",
            },
        )
        assert (starts[:2], ends[:2]) == (("POST", f"{BOT}heartbeat/"),) * 2
        assert (starts[2]["status"], ends[2]["status"]) == ("starting", "stopped")

    def test_that_is_through_ends_as_completed(self, server, bot):
        with bot:
            bot.report(status="completed", open_positions=0)

        assert [each["status"] for each in beats_of(server)] == ["starting", "completed"]

    def test_that_fails_ends_as_an_error_with_its_traceback(self, server, bot):
        with pytest.raises(OSError, match="no venue"), bot:
            raise OSError("no venue")

        assert beats_of(server)[-1]["status"] == "error"
        assert 'raise OSError("no venue")' in beats_of(server)[-1]["last_error"]

    @pytest.mark.parametrize("leaving", [KeyboardInterrupt(), SystemExit(0)])
    def test_that_is_ended_by_hand_has_stopped(self, server, bot, leaving):
        with pytest.raises(type(leaving)), bot:
            raise leaving

        assert beats_of(server)[-1]["status"] == "stopped"

    def test_is_shown_by_a_thread_that_tells_what_was_reported_last(self, server, blotter, staff):
        with blotter.bot("grid 1", "live", interval=0.02) as bot:
            bot.report(status="running", current_balance=Decimal("1.50"))
            until(lambda: len(beats_of(server)) > 3)

        told = beats_of(server)[2]
        assert (told["status"], told["current_balance"]) == ("running", "1.50")

    def test_goes_on_while_blotter_is_away_and_says_so_once(self, server, blotter, staff, caplog):
        caplog.set_level(logging.WARNING)
        with blotter.bot("grid 1", "live", interval=0.02):
            server.usual = lambda path, body: refusal(503, "away")
            until(lambda: len(beats_of(server)) > 4)
            server.usual = staff

        assert len([each for each in caplog.messages if "No heartbeat" in each]) == 1
        assert beats_of(server)[-1]["status"] == "stopped"

    def test_says_farewell_again_where_it_was_not_heard(self, server, bot):
        with bot:
            server.script = [DROP, DROP]

        assert [each["status"] for each in beats_of(server)] == ["starting"] + ["stopped"] * 3

    def test_shows_no_key(self, server, bot):
        with bot:
            assert "secret" not in f"{bot!r} {vars(bot)}"


class TestHeartbeat:
    def test_names_the_count_that_was_answered_last(self, server, bot):
        bot.heartbeat()
        bot.heartbeat(loop_time_ms=12.5)

        first, second = beats_of(server)
        assert "beat" not in first
        assert (second["beat"], second["loop_time_ms"]) == (5, 12.5)
        assert first["sent_at"] <= second["sent_at"]

    def test_goes_on_from_the_count_that_a_recovery_names(self, server, bot):
        server.script = [{"beat": 31, "open_trades": []}]
        bot.recovery()

        bot.heartbeat()

        assert beats_of(server)[0]["beat"] == 31

    def test_brings_what_staff_want(self, bot, staff):
        assert bot.wanted() == "run"
        staff.want("pause")

        bot.heartbeat()

        assert bot.wanted() == "pause"
        assert bot.answer["health"] == "ok"

    def test_acknowledges_what_was_carried_out(self, server, bot, staff):
        staff.want("pause")
        bot.heartbeat()
        bot.wanted()
        bot.acknowledge()

        bot.heartbeat(status="paused")

        assert [each.get("acknowledged") for each in beats_of(server)] == [None, 1]

    def test_acknowledges_nothing_that_came_behind_the_look(self, server, bot, staff):
        staff.want("pause")
        bot.heartbeat()
        assert bot.wanted() == "pause"
        staff.want("stop")
        bot.heartbeat()
        bot.acknowledge()
        bot.heartbeat()
        bot.heartbeat()

        # The second of these is of an instruction that nobody waits for any more.
        assert [each.get("acknowledged") for each in beats_of(server)] == [None, None, 1, None]

    def test_is_an_error_to_who_asks_for_one(self, server, bot):
        server.script = [refusal(503, "away")]

        with pytest.raises(BlotterError, match="503 away"):
            bot.heartbeat()
        assert len(server.seen) == 1


class TestTrades:
    def tell_all(self, bot: Any) -> None:
        bot.open_trade(TRADE, "long", Decimal("0.10"), Decimal("50000"), commission_rate="0.001")
        bot.exit_part(TRADE, uuid.UUID(int=8), Decimal("0.04"), Decimal("51000"))
        bot.close_trade(TRADE, Decimal("52000"), exit_reason="target")
        bot.order("o 1", "buy", Decimal("0.10"), trade_id=TRADE)
        bot.fill("o 1", "f1", Decimal("0.10"), Decimal("50000"), "2026-03-02T12:00:00Z")

    def test_are_told_with_exact_numbers(self, server, bot):
        self.tell_all(bot)

        opened, part, closed, order, fill = server.seen
        assert opened == (
            "POST",
            "/api/v1/bots/trades/",
            {
                "id": TRADE,
                "bot_id": "grid 1",
                "symbol": "BTC/USDT",
                "direction": "long",
                "size": "0.10",
                "entry_price": "50000",
                "commission_rate": "0.001",
            },
        )
        assert part[1] == f"/api/v1/bots/trades/{TRADE}/exits/"
        assert part[2] == {"id": str(uuid.UUID(int=8)), "size": "0.04", "exit_price": "51000"}
        assert closed[1] == f"/api/v1/bots/trades/{TRADE}/close/"
        assert closed[2] == {"exit_price": "52000", "exit_reason": "target"}
        assert (order[1], order[2]["bot_id"]) == ("/api/v1/bots/orders/", "grid 1")
        assert (fill[1], fill[2]["order_id"]) == ("/api/v1/bots/fills/", "o 1")

    def test_are_told_until_blotter_is_back_each_time_the_same(self, server, bot, waits):
        for number in range(5):
            server.script += [DROP, refusal(503, "away")] * (number + 1)
            server.script += [None]

        self.tell_all(bot)

        asked = [(path, str(body)) for _, path, body in server.seen]
        assert [asked.count(each) for each in dict.fromkeys(asked)] == [3, 5, 7, 9, 11]
        assert len(waits) == 30
        assert max(waits) <= 60

    def test_wait_longer_and_longer_but_never_for_ever(self, server, staff):
        waits: list[float] = []
        bot = impatient(Blotter(server.url, KEY, timeout=0.3, retries=0), waits).bot("b", "live")
        server.script = [refusal(503, "away")] * 50

        bot.close_trade(TRADE, "1")

        assert len(waits) == 50
        assert waits[0] < 1
        assert 30 <= min(waits[10:]) <= max(waits) <= 60

    @pytest.mark.parametrize(
        ("status", "code"), [(400, "invalid"), (403, "other_subject"), (409, "conflict")]
    )
    def test_that_are_refused_are_raised_at_once(self, server, bot, status, code):
        server.usual = lambda path, body: refusal(status, code)

        with pytest.raises(BlotterError, match=f"{status} {code}"):
            bot.close_trade(TRADE, "1")
        assert len(server.seen) == 1


class TestState:
    def test_that_was_never_put_is_none_of_version_0(self, server, bot):
        server.script = [refusal(404, "not_found")]

        assert bot.get_state("grid 1:cursor") == (None, 0)
        assert server.seen[0][1] == "/api/v1/bots/state/grid%201%3Acursor/"

    def test_is_replaced_by_who_knows_its_version(self, server, bot):
        server.script = [
            {"value": [1], "version": 3},
            {"value": [2], "version": 4},
            refusal(409, "version_conflict"),
        ]

        value, version = bot.get_state("cursor")
        assert bot.put_state("cursor", [*value, 2], version) == 4
        with pytest.raises(BlotterError, match="version_conflict"):
            bot.put_state("cursor", [], version)

        assert server.seen[1][2] == {"value": [1, 2], "version": 3, "bot_id": "grid 1"}

    def test_is_replaced_whatever_it_is_by_who_names_none(self, server, bot):
        server.script = [{"value": [], "version": 9}]

        assert bot.put_state("cursor", []) == 9
        assert "version" not in server.seen[0][2]
