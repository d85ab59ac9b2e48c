"""The example agent by itself: what its rules answer, what it obeys, and its own figures."""

import csv
import json
import runpy
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apps.agents.domain.answers import read_answer
from tests.clients.replays import ROOT

PROGRAM = ROOT / "examples" / "replay_agent.py"
COINS = ("ADA", "ETH")
# Up for 40 candles, down for 40, and so on, by a hundredth each.
PRICES = [
    round(Decimal(100) * Decimal("1.01") ** (each % 80 if each % 80 < 40 else 80 - each % 80), 8)
    for each in range(1_000)
]


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    folder = str(ROOT / "clients")
    sys.path.insert(0, folder)
    try:
        return runpy.run_path(str(PROGRAM))
    finally:
        sys.path.remove(folder)


class PretendedAgent:
    """Reads the answers as Blotter does, and refuses what opens with too much leverage."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.verdicts: list[dict[str, Any]] = []
        self.told: list[tuple[str, dict[str, Any]]] = []

    def report_cycle(self, **call: Any) -> dict[str, Any]:
        self.calls.append(call)
        answer = read_answer(call["answer"], coins=COINS)
        verdicts = [
            {
                "id": f"{call['cycle']}-{found.place}",
                "coin": found.coin,
                "action": found.action,
                "status": "success" if (found.leverage or 99) <= 10 else "rejected",
            }
            for found in answer.found
        ]
        broken = {"id": "", "status": "parsing_error"}
        verdicts += [{**broken, "coin": each.coin, "action": each.action} for each in answer.broken]
        self.verdicts += verdicts
        return {"decisions": verdicts}

    def open_trade(self, trade_id: str, **more: Any) -> None:
        self.told.append(("open", {"trade": trade_id, **more}))

    def close_trade(self, trade_id: str, price: Decimal, **more: Any) -> None:
        self.told.append(("close", {"trade": trade_id, "price": price, **more}))


@pytest.fixture(scope="module")
def run(example, tmp_path_factory) -> tuple[PretendedAgent, Any, list[dict[str, str]]]:
    """Return an agent after 80 cycles, and the lines of its ledger."""
    agent, path = PretendedAgent(), Path(tmp_path_factory.mktemp("agent")) / "ledger.csv"
    with path.open("w", newline="") as file:
        replay = example["ReplayAgent"](agent, file)
        for cycle in range(1, 81):
            at = 48 + 10 * cycle
            closes = {"ADA": PRICES[at - 48 : at], "ETH": PRICES[at - 30 : at + 18]}
            moment = f"2026-03-{1 + cycle // 24:02}T{cycle % 24:02}:00:00Z"
            replay.cycle(cycle, moment, closes, cycle == 80)
    return agent, replay, list(csv.DictReader(path.read_text().splitlines()))


class TestTheFile:
    def test_is_short(self):
        _, _, code = PROGRAM.read_text().partition("from blotter_client import Blotter\n")
        assert len([line for line in code.splitlines() if line.strip()]) <= 120


class TestTheRules:
    def prompt(self, cycle: int, **held: str) -> str:
        seen = {
            coin: {"closes": [float(one) for one in PRICES[:48]], "held": held.get(coin)}
            for coin in COINS
        }
        return "What now? " + json.dumps({"cycle": cycle, "last": False, "coins": seen})

    def test_answer_in_the_format_of_a_model(self, example):
        answer = read_answer(example["ask"](self.prompt(1, ADA="short")), coins=COINS)

        assert [(each.coin, each.action) for each in answer.found] == [
            ("ADA", "CLOSE_POSITION"), ("ETH", "OPEN_LONG"),
        ]  # fmt: skip
        assert answer.found[1].size_usd == Decimal("3.75")
        assert answer.broken == []
        assert answer.thought == "I look at ADA, ETH."

    @pytest.mark.parametrize(("cycle", "broken"), [(3, 0), (6, 0), (9, 1), (12, 0), (18, 1)])
    def test_make_mistakes_as_models_do(self, example, cycle, broken):
        answer = read_answer(example["ask"](self.prompt(cycle)), coins=COINS)

        assert len(answer.broken) == broken
        if cycle == 3:
            assert (answer.found[0].leverage, answer.found[0].confidence) == (5, Decimal("0.7"))
        if cycle == 6:
            assert answer.found[0].leverage == 40
        if cycle == 12:
            assert answer.found[0].stop_loss_price > answer.found[0].take_profit_price
        if cycle == 18:
            assert answer.found == []

    def test_are_cut_off_at_times(self, example):
        answer = read_answer(example["ask"](self.prompt(15)), coins=COINS)

        assert [each.coin for each in answer.found] == ["ADA"]
        assert [(each.coin, each.message) for each in answer.broken] == [
            ("ETH", "The answer ends in the middle of it.")
        ]


class TestTheAgent:
    def test_carries_out_what_was_accepted_and_nothing_else(self, run):
        agent, _, _ = run

        statuses = {each["status"] for each in agent.verdicts}
        assert statuses == {"success", "rejected", "parsing_error"}
        accepted = [
            each["id"]
            for each in agent.verdicts
            if each["status"] == "success" and each["action"] != "HOLD"
        ]
        carried = [more.get("decision_id") or more["close_decision_id"] for _, more in agent.told]
        assert carried == accepted
        assert len(carried) > 20

    def test_keeps_a_ledger_that_adds_up(self, run):
        agent, replay, lines = run

        assert [line["event"] for line in lines] == [event for event, _ in agent.told]
        opened = {line["trade"]: line for line in lines if line["event"] == "open"}
        nets = Decimal(0)
        for line in lines:
            entry, price, size = (
                Decimal(each)
                for each in (opened[line["trade"]]["price"], line["price"], line["size"])
            )
            assert abs(size * entry - Decimal("3.75")) < Decimal("1e-14")
            assert abs(Decimal(line["fee"]) - price * size / 1000) <= Decimal("1e-18")
            if line["event"] == "close":
                moved = price - entry if line["side"] == "long" else entry - price
                fees = Decimal(line["fee"]) + Decimal(opened[line["trade"]]["fee"])
                assert abs(Decimal(line["net"]) - (moved * size - fees)) <= Decimal("1e-17")
                nets += Decimal(line["net"])
        assert nets == replay.realized
        assert replay.held == {}

    def test_tells_what_it_saw(self, run):
        agent, _, _ = run

        first, second = agent.calls[:2]
        assert (first["account_value"], first["positions"]) == (100, {})
        assert second["positions"] == {"ADA": "long", "ETH": "short"}
        assert second["withdrawable"] < second["account_value"]
