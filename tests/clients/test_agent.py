"""An agent by the client that others copy: its cycles are told until they are judged."""

import uuid
from decimal import Decimal
from typing import Any

import pytest

from clients.blotter_client import Blotter, BlotterError
from tests.clients.server import DROP, KEY, FakeBlotter, impatient, refusal

AGENT, TRADE, DECISION = (str(uuid.UUID(int=number)) for number in (5, 7, 9))
HERE = f"/api/v1/agents/agents/{AGENT}/"
VERDICTS = {
    "id": TRADE,
    "status": "answered",
    "cost": "0.001",
    "decisions": [{"id": DECISION, "status": "rejected", "violations": [{"rule": "stop_missing"}]}],
}


@pytest.fixture
def agent(blotter, server):
    server.usual = lambda path, body: VERDICTS
    return blotter.agent(AGENT, "trend/1", "deepseek-chat", Decimal(10_000), max_leverage=5)


def told(server: FakeBlotter) -> dict[str, Any]:
    """Return the only body that was sent."""
    ((_, _, body),) = server.seen
    return body


class TestRegistration:
    def test_describes_the_agent_under_its_id(self, server, agent):
        agent.register()

        assert server.seen == [
            (
                "PUT",
                HERE,
                {
                    "name": "trend/1",
                    "llm_model": "deepseek-chat",
                    "initial_balance": "10000",
                    "max_leverage": 5,
                    "bot_id": "trend-1",
                },
            )
        ]

    def test_names_the_bot_that_tells_of_its_life(self, server, blotter):
        agent = blotter.agent(
            AGENT, "trend", "m", 1, bot_id="night 1", mode="live", quote_currency="EUR"
        )

        agent.bot(interval=30, symbol="BTC/EUR").register()

        assert server.seen == [
            (
                "PUT",
                "/api/v1/bots/instances/night%201/",
                {
                    "type": "live",
                    "heartbeat_interval_seconds": 30,
                    "initial_balance": 1,
                    "quote_currency": "EUR",
                    "symbol": "BTC/EUR",
                },
            )
        ]


class TestCycles:
    def test_are_told_with_all_that_belongs_to_them(self, server, agent):
        found = agent.report_cycle(
            cycle=7, answer='{"BTC": "hold"}', prompt="What now?", tokens_in=700, tokens_out=90,
            cost=Decimal("0.00012"), latency_ms=850, account_value=Decimal("9990.10"),
            positions={"BTC": "long"}, timestamp="2026-03-02T12:00:00Z",
        )  # fmt: skip

        assert found == VERDICTS
        assert told(server) == {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{AGENT} 7")),
            "agent_id": AGENT,
            "cycle": 7,
            "answer": '{"BTC": "hold"}',
            "prompt": "What now?",
            "tokens_in": 700,
            "tokens_out": 90,
            "cost": "0.00012",
            "latency_ms": 850,
            "account_value": "9990.10",
            "positions": {"BTC": "long"},
            "timestamp": "2026-03-02T12:00:00Z",
        }

    def test_may_tell_their_decisions_themselves(self, server, agent):
        agent.report_cycle(
            decisions=[{"coin": "BTC", "action": "HOLD", "confidence": Decimal("0.6")}]
        )

        assert told(server)["decisions"] == [{"coin": "BTC", "action": "HOLD", "confidence": "0.6"}]
        assert not {"answer", "cycle"} & told(server).keys()

    def test_that_decide_nothing_say_so(self, server, agent):
        agent.report_cycle(decisions=[], error="timeout")

        assert (told(server)["decisions"], told(server)["error"]) == ([], "timeout")

    def test_are_one_call_however_often_they_are_told(self, server, agent, waits):
        server.script = [DROP, refusal(503, "away"), DROP]

        agent.report_cycle("hold")
        agent.report_cycle("hold", cycle=3)
        agent.report_cycle("hold", cycle=3)
        agent.report_cycle("hold", cycle=3, call_id=uuid.UUID(int=1))
        agent.report_cycle("hold")

        ids = [body["id"] for _, _, body in server.seen]
        assert len(waits) == 3
        assert len(set(ids[:4])) == 1
        assert ids[4] == ids[5]
        assert ids[6] == str(uuid.UUID(int=1))
        assert len(set(ids)) == 4

    def test_keep_what_no_database_can(self, server, agent):
        agent.report_cycle(
            "buy\x00 \ud800 now", decisions=[{"coin": "BTC", "size_usd": float("nan")}]
        )

        assert told(server)["answer"] == "buy\ufffd \ufffd now"
        assert told(server)["decisions"] == [{"coin": "BTC", "size_usd": None}]

    @pytest.mark.parametrize(
        ("status", "code"), [(400, "invalid"), (403, "other_subject"), (409, "conflict")]
    )
    def test_that_are_refused_are_raised_at_once(self, server, agent, status, code):
        server.usual = lambda path, body: refusal(status, code)

        with pytest.raises(BlotterError, match=f"{status} {code}"):
            agent.report_cycle("hold", cycle=1)
        assert len(server.seen) == 1


class TestTrades:
    def tell_all(self, agent: Any) -> None:
        agent.open_trade(
            TRADE, decision_id=uuid.UUID(DECISION), entry_price=Decimal("50000.10"), entry_fees="1"
        )
        agent.open_trade(TRADE, coin="BTC", side="long", size=Decimal("0.1"))
        agent.close_trade(TRADE, Decimal("51000"), exit_fees="1.02", close_decision_id=DECISION)
        agent.close_trade(TRADE)

    def test_are_told_with_exact_numbers(self, server, agent):
        self.tell_all(agent)

        trades = "/api/v1/agents/trades/"
        own = {"id": TRADE, "agent_id": AGENT}
        closed = {"exit_price": "51000", "exit_fees": "1.02", "close_decision_id": DECISION}
        assert server.seen == [
            (
                "POST",
                trades,
                {**own, "decision_id": DECISION, "entry_price": "50000.10", "entry_fees": "1"},
            ),
            ("POST", trades, {**own, "coin": "BTC", "side": "long", "size": "0.1"}),
            ("POST", f"{trades}{TRADE}/close/", closed),
            ("POST", f"{trades}{TRADE}/close/", {}),
        ]

    def test_are_told_until_blotter_is_back(self, server):
        waits: list[float] = []
        blotter = impatient(Blotter(server.url, KEY, timeout=0.3, retries=0), waits)
        server.script = [refusal(503, "away")] * 20

        blotter.agent(AGENT, "trend", "m", 1).close_trade(TRADE, "1")

        assert len(waits) == 20
        assert len({str(body) for _, _, body in server.seen}) == 1


class TestAccount:
    def test_is_asked_for_with_as_many_decisions_as_are_wanted(self, server, agent):
        assert agent.account() == agent.account(decisions=20) == VERDICTS
        assert [path for _, path, _ in server.seen] == [
            f"{HERE}account/?decisions=5", f"{HERE}account/?decisions=20",
        ]  # fmt: skip

    def test_shows_no_key(self, agent):
        assert "secret" not in f"{agent!r} {vars(agent)}"
