"""The example bot by itself: what it does when, and its own figures."""

import csv
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.clients.replays import PROGRAM, PretendedBot, example

# Up for 40 candles, down for 40, and so on, by a hundredth each.
PRICES = [
    Decimal(100) * Decimal("1.01") ** (each % 80 if each % 80 < 40 else 80 - each % 80)
    for each in range(400)
]
CANDLES = [
    (f"2026-03-{1 + each // 24:02}T{each % 24:02}:00:00Z", round(price, 8))
    for each, price in enumerate(PRICES)
]


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Return what lets the bot trade on the candles and returns the lines of its ledger."""

    def start(*wishes: str) -> tuple[PretendedBot, list[dict[str, str]]]:
        bot, ledger = PretendedBot("replay", wishes or ("run",)), tmp_path / "ledger.csv"
        example()["ReplayBot"](bot, ledger).run(CANDLES)
        return bot, list(csv.DictReader(ledger.read_text().splitlines()))

    return start


class TestTheFile:
    def test_is_short(self):
        _, _, code = PROGRAM.read_text().partition("from blotter_client import Blotter\n")
        assert len([line for line in code.splitlines() if line.strip()]) <= 80


class TestTheBot:
    def test_is_long_and_short_in_turn_and_takes_halves_out(self, run):
        bot, lines = run()

        opened = [line["direction"] for line in lines if line["event"] == "open"]
        assert set(opened) == {"long", "short"}
        assert all(one != other for one, other in pairwise(opened))
        assert [line["event"] for line in lines[-1:]] == ["close"]
        assert "part" in bot.told
        assert bot.reported["status"] == "completed"

    def test_keeps_a_ledger_that_adds_up(self, run):
        bot, lines = run()

        for line in lines:
            entry = next(each for each in lines if each["id"] == line["trade"])
            size, price, at = (
                Decimal(each) for each in (line["size"], line["price"], entry["price"])
            )
            if line["event"] == "open":
                assert Decimal(line["fee"]) == price * size / 1000
                continue
            moved = price - at if line["direction"] == "long" else at - price
            assert Decimal(line["gross"]) == moved * size
            assert Decimal(line["fee"]) == (price + at) * size / 1000
        nets = sum(Decimal(line["net"]) for line in lines if line["net"])
        assert bot.reported["current_balance"] == 10 + nets

    def test_enters_nothing_while_it_is_to_pause_and_leaves_what_it_holds(self, run):
        bot, lines = run(*["run"] * 10, "pause")

        assert bot.told[0].startswith("open")
        assert bot.told[-1] == "close"
        assert [line["event"] for line in lines].count("open") == 1

    def test_closes_and_ends_when_it_is_to_stop(self, run):
        bot, lines = run(*["run"] * 3, "stop")

        assert [line["event"] for line in lines] == ["open", "close"]
        assert bot.reported["status"] == "stopping"
