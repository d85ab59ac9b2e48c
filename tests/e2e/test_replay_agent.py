"""The example agent trades on real candles, is killed once, and both ledgers are one.

``AGENT_CYCLES=500`` lets it go on for 500 cycles.
"""

import csv
import os
import signal
import subprocess
import sys
import time
import uuid
from copy import copy
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.clients.replays import ROOT
from tests.e2e.product import DATA

CYCLES = int(os.environ.get("AGENT_CYCLES", "40"))
PROGRAM = ROOT / "examples" / "replay_agent.py"
AGENT, BOT = str(uuid.uuid5(uuid.NAMESPACE_URL, "replay agent")), "replay agent"
FILES = sorted((DATA / "candles").glob("*_BTC-5m.csv.gz"))
OPENINGS = ("OPEN_LONG", "OPEN_SHORT")

pytestmark = [
    pytest.mark.skipif(not FILES, reason="the real candles (../shared/data) are not here"),
    pytest.mark.timeout(300 + CYCLES),
]


@pytest.fixture(scope="module")
def product(shared_product):
    """Return the product under a key that is bound to this agent, and to its bot."""
    scopes = ("agents:read", "agents:write", "bots:read", "bots:write")
    bound = ("--agent", AGENT, "--bot", BOT)
    printed = shared_product.manage("create_key", "an agent", *bound, "--scopes", *scopes)
    same = copy(shared_product)
    same.key = next(word for word in printed.split() if word.startswith("blt_"))
    return same


@pytest.fixture
def program(product, tmp_path):
    """Return what starts the agent, with its ledger in the folder of the test."""
    started = []

    def start():
        with (tmp_path / "said.txt").open("ab") as said:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-W",
                    "error",
                    PROGRAM,
                    tmp_path / "ledger.csv",
                    str(CYCLES),
                    *FILES,
                ],
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT / "clients"),
                    "BLOTTER_URL": product.address,
                    "BLOTTER_KEY": product.key,
                },
                stdout=said,
                stderr=said,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def lines_of(ledger: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(ledger.read_text().splitlines())) if ledger.exists() else []


def test_its_own_ledger_and_account_are_those_of_the_server(product, program, tmp_path):
    ledger = tmp_path / "ledger.csv"
    process = program()
    while len(lines_of(ledger)) < 5 and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, (tmp_path / "said.txt").read_text()
    began = time.monotonic()
    assert program().wait(280 + CYCLES) == 0, (tmp_path / "said.txt").read_text()
    print(f"{CYCLES} cycles took {time.monotonic() - began:.1f} s.")  # noqa: T201

    own = lines_of(ledger)
    trades = {row["id"]: row for row in product.every(f"/api/v1/agents/trades/?agent_id={AGENT}")}
    opened = {line["trade"]: line for line in own if line["event"] == "open"}
    closed = {line["trade"]: line for line in own if line["event"] == "close"}
    assert trades.keys() == opened.keys() == closed.keys()
    assert len(trades) >= CYCLES / 10
    for name, row in trades.items():
        assert shown_there(row) == shown_here(opened[name], closed[name])

    realized = sum(Decimal(line["net"]) for line in closed.values())
    status, account = product.get(f"/api/v1/agents/agents/{AGENT}/account/")
    assert (status, account["held"], account["open_trades"]) == (200, {}, [])
    assert Decimal(account["realized"]) == realized
    assert Decimal(account["value"]) == Decimal(account["withdrawable"]) == 100 + realized
    check_verdicts(product, opened, closed)
    status, bot = product.get(f"/api/v1/bots/instances/{BOT.replace(' ', '%20')}/")
    assert (status, bot["status"]) == (200, "completed")
    assert Decimal(bot["current_balance"]) == 100 + realized


def shown_here(opened, closed):
    """Return what the agent wrote of a trade, as values."""
    same = ("trade", "coin", "side", "size")
    assert [opened[name] for name in same] == [closed[name] for name in same]
    return {
        **{name: opened[name] for name in ("coin", "side")},
        "status": "closed",
        "decision_id": opened["decision"],
        "close_decision_id": closed["decision"],
        "size": Decimal(opened["size"]),
        "leverage": Decimal(5),
        "entry_price": Decimal(opened["price"]),
        "entry_fees": Decimal(opened["fee"]),
        "exit_price": Decimal(closed["price"]),
        "exit_fees": Decimal(closed["fee"]),
        "fees": Decimal(opened["fee"]) + Decimal(closed["fee"]),
        "realized_pnl": Decimal(closed["net"]),
        "entry_time": datetime.fromisoformat(opened["time"]),
        "exit_time": datetime.fromisoformat(closed["time"]),
    }


def shown_there(row):
    """Return what the server says of the same trade."""
    texts = ("coin", "side", "status", "decision_id", "close_decision_id")
    times = ("entry_time", "exit_time")
    numbers = (
        "size", "leverage", "entry_price", "entry_fees", "exit_price", "exit_fees", "fees",
        "realized_pnl",
    )  # fmt: skip
    return {
        **{name: row[name] for name in texts},
        **{name: datetime.fromisoformat(row[name]) for name in times},
        **{name: Decimal(row[name]) for name in numbers},
    }


def check_verdicts(product, opened, closed):
    """See that all that was accepted was carried out, and nothing else."""
    calls = list(product.every(f"/api/v1/agents/calls/?agent_id={AGENT}"))
    decisions = list(product.every(f"/api/v1/agents/decisions/?agent_id={AGENT}"))
    assert sorted(call["cycle"] for call in calls) == list(range(1, CYCLES + 1))
    assert {call["status"] for call in calls} == {"answered", "unreadable"}
    assert {each["status"] for each in decisions} == {"success", "rejected", "parsing_error"}
    accepted = [each for each in decisions if each["status"] == "success"]
    openings = {each["id"] for each in accepted if each["action"] in OPENINGS}
    closings = {each["id"] for each in accepted if each["action"] == "CLOSE_POSITION"}
    assert openings == {line["decision"] for line in opened.values()}
    assert closings == {line["decision"] for line in closed.values()}
    for each in decisions:
        assert bool(each["violations"]) == (each["status"] == "rejected")
