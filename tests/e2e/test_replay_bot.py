"""The example bot trades on real candles, is killed again and again, and both ledgers are one.

``REPLAY_KILLS=10`` kills it ten times, ``REPLAY_CANDLES=5760`` lets it trade on all candles.
"""

import csv
import gzip
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.clients.replays import PROGRAM, ROOT, PretendedBot, example
from tests.e2e.product import DATA

KILLS = int(os.environ.get("REPLAY_KILLS", "3"))
CANDLES = int(os.environ.get("REPLAY_CANDLES", "2000"))
BOT = "replay ETH_BTC-5m"
FILE = DATA / "candles" / "ETH_BTC-5m.csv.gz"

pytestmark = [
    pytest.mark.skipif(not FILE.exists(), reason="the real candles (../shared/data) are not here"),
    pytest.mark.timeout(300 + 20 * KILLS),
]


@pytest.fixture(scope="module")
def product(shared_product):
    return shared_product.with_key("a bot", "bots:read", "bots:write", bot=BOT)


@pytest.fixture
def candles(tmp_path):
    """Return a file with the first of the candles."""
    path = tmp_path / FILE.name
    with gzip.open(FILE, "rt") as whole, gzip.open(path, "wt") as part:
        part.writelines(islice(whole, CANDLES + 1))
    return path


@pytest.fixture
def program(product, candles, tmp_path):
    """Return what starts the bot, with its ledger in the folder of the test."""
    started = []

    def start():
        with (tmp_path / "said.txt").open("ab") as said:
            process = subprocess.Popen(
                [sys.executable, "-W", "error", PROGRAM, candles, tmp_path / "ledger.csv"],
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


def kill_on_the_way(start, ledger, goals, chance):
    """Kill the bot a moment after its ledger has so many lines, or while it is starting."""
    for goal in goals:
        process, starts = start(), len(lines_of(ledger)) >= goal
        while len(lines_of(ledger)) < goal and process.poll() is None:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.4 if starts else 0.02))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it came to its end before it was killed"


def test_its_own_ledger_is_the_one_of_the_server_however_often_it_is_killed(
    product, program, candles, tmp_path
):
    ledger, seed = tmp_path / "ledger.csv", random.randrange(10**6)
    chance = random.Random(seed)
    print(f"The moments come from {seed}.")  # noqa: T201  # if it fails
    expected = undisturbed(candles, tmp_path / "undisturbed.csv")
    # Often enough while it starts, and never so late that it may be through.
    goals = sorted(chance.choices(range(len(expected) * 3 // 4), k=KILLS))

    kill_on_the_way(program, ledger, goals, chance)
    assert program().wait(120) == 0, (tmp_path / "said.txt").read_text()

    own = lines_of(ledger)
    assert own == expected
    assert len(own) > CANDLES / 50
    trades = {row["id"]: row for row in product.every(f"/api/v1/bots/trades/?bot_id={quote(BOT)}")}
    assert {"open", "part", "close"} == {line["event"] for line in own}
    assert len(trades) == len({line["trade"] for line in own}) + len(told_of_parts(own))
    for line, known in ((line, trades[name]) for line, name in zip(own, names(own), strict=True)):
        assert shown_here(line) == shown_there(known, line["event"])
    check_wholes(own, trades)

    status, found = product.get(f"/api/v1/bots/instances/{quote(BOT)}/recovery/")
    assert (status, found["open_trades"], found["bot"]["status"]) == (200, [], "completed")
    balance = 10 + sum(Decimal(line["net"]) for line in own if line["net"])
    assert Decimal(found["balance"]["ledger"]) == balance
    assert Decimal(found["balance"]["reported"]) == balance


def undisturbed(candles, ledger):
    """Return the lines of a bot that nobody killed."""
    with gzip.open(candles, "rt") as lines:
        rows = [(row["timestamp"], Decimal(row["close"])) for row in csv.DictReader(lines)]
    example()["ReplayBot"](PretendedBot(BOT), ledger).run(rows)
    return lines_of(ledger)


def told_of_parts(own):
    """Return the ids of all rows of the server that are parts of a trade."""
    parted = {line["trade"] for line in own if line["event"] == "part"}
    closed_in_parts = [line for line in own if line["event"] != "open" and line["trade"] in parted]
    return {name_of(line, parted) for line in closed_in_parts}


def names(own):
    parted = {line["trade"] for line in own if line["event"] == "part"}
    return [name_of(line, parted) for line in own]


def name_of(line, parted):
    """Return the id of the row of the server that a line is about."""
    if line["event"] == "close" and line["trade"] in parted:
        return str(uuid.uuid5(uuid.UUID(line["trade"]), "last"))
    return line["id"]


def shown_here(line):
    """Return a line as values."""
    numbers = ["size", "price", "fee", *(["gross", "net"] if line["event"] != "open" else [])]
    return {
        "time": datetime.fromisoformat(line["time"]),
        "direction": line["direction"],
        **{name: Decimal(line[name]) for name in numbers},
    }


def shown_there(row, event):
    """Return what a row of the server says of the same event."""
    columns = {"time": "entry_time", "price": "entry_price", "fee": "entry_commission"}
    if event != "open":
        columns = {"time": "exit_time", "price": "exit_price", "fee": "commission"}
        columns |= {"gross": "gross_pnl", "net": "net_pnl"}
        assert (row["status"], row["partial_exits"]) == ("closed", 0)
    found = {name: Decimal(row[column]) for name, column in columns.items() if name != "time"}
    found["time"] = datetime.fromisoformat(row[columns["time"]])
    return {**found, "direction": row["direction"], "size": Decimal(row["size"])}


def check_wholes(own, trades):
    """See each whole trade closed, with the sums of its parts."""
    for trade in {line["trade"] for line in own}:
        closed = [line for line in own if line["trade"] == trade and line["event"] != "open"]
        row = trades[trade]
        assert (row["status"], row["parent_trade_id"]) == ("closed", None)
        assert Decimal(row["size"]) == sum(Decimal(line["size"]) for line in closed)
        for column, name in (("commission", "fee"), ("gross_pnl", "gross"), ("net_pnl", "net")):
            assert Decimal(row[column]) == sum(Decimal(line[name]) for line in closed)
