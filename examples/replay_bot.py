"""Trades a cross of averages on recorded candles; killed at any point, it goes on where it was.

BLOTTER_URL=… BLOTTER_KEY=… PYTHONPATH=clients python replay_bot.py ETH_BTC-5m.csv.gz ledger.csv
"""

import csv
import gzip
import os
import sys
import uuid
from decimal import Decimal
from pathlib import Path

from blotter_client import Blotter

FAST, SLOW, SIZE, RATE, ENOUGH = 12, 48, Decimal("1.5"), Decimal("0.001"), Decimal("0.01")
BALANCE, SIGN = Decimal(10), {"long": 1, "short": -1}
LEDGER = ["event", "time", "id", "trade", "direction", "size", "price", "fee", "gross", "net"]


class ReplayBot:
    def __init__(self, bot, ledger):
        self.bot, self.ledger = bot, ledger
        ledger.touch()
        lines = list(csv.DictReader(ledger.read_text().splitlines()))
        for line in lines[-1:]:  # Killed behind writing it, Blotter was not told; twice is once.
            self.tell(line)
        found = bot.recovery()
        state = found["states"].get(bot.bot_id, {"value": "", "version": 0})
        self.version, self.trade = state["version"], next(iter(found["open_trades"]), None)
        self.begin = max([state["value"], *(line["time"] for line in lines)])
        self.balance = BALANCE + sum(Decimal(line["net"] or 0) for line in lines)

    def run(self, candles):
        for at in range(SLOW, len(candles) + 1):
            time, last = candles[at - 1][0], at == len(candles)
            closes = [close for _, close in candles[at - SLOW : at]]
            if time >= self.begin and self.step(time, closes, last):
                return
        self.bot.report(status="completed")

    def step(self, time, closes, last):
        """Take in a candle; return whether somebody wants this bot to stop."""
        wanted, before, price = self.bot.wanted(), self.trade, closes[-1]
        ends = last or wanted == "stop"
        direction = "long" if sum(closes[-FAST:]) / FAST > sum(closes) / SLOW else "short"
        if self.trade and (ends or self.trade["direction"] != direction):
            self.book("close", time, price, Decimal(self.trade["remaining_position_size"]))
            self.trade = None
        elif self.trade and not self.trade["partial_exits"]:
            entry = Decimal(self.trade["entry_price"])
            if (price - entry) / entry * SIGN[self.trade["direction"]] > ENOUGH:
                self.book("part", time, price, SIZE / 2)
                (self.trade,) = self.bot.recovery()["open_trades"]  # what is left of it
        if not self.trade and not ends and wanted == "run":
            name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.bot.bot_id} {time}"))
            self.trade = {"id": name, "direction": direction, "entry_price": price}
            self.trade = self.book("open", time, price, SIZE)
        if self.trade is not before or ends:
            self.version = self.bot.put_state(self.bot.bot_id, time, self.version)
        status = {"run": "running", "pause": "paused", "stop": "stopping"}[wanted]
        self.bot.report(status=status, current_balance=self.balance)
        self.bot.acknowledge()
        return wanted == "stop"

    def book(self, event, time, price, size):
        """Write a line of the ledger, with figures of our own, and tell Blotter what happened."""
        trade, entry = self.trade["id"], Decimal(self.trade["entry_price"])
        name = str(uuid.uuid5(uuid.UUID(trade), time)) if event == "part" else trade
        direction, fee, gross, net = self.trade["direction"], RATE * price * size, "", ""
        if event != "open":
            fee, gross = fee + RATE * entry * size, (price - entry) * size * SIGN[direction]
            net = gross - fee
            self.balance += net
        values = [event, time, name, trade, direction, size, price, fee, gross, net]
        with self.ledger.open("a", newline="") as file:
            csv.writer(file).writerows([values] if file.tell() else [LEDGER, values])
        return self.tell(dict(zip(LEDGER, values, strict=True)))

    def tell(self, line):
        trade, size, price, time = (line[name] for name in ("trade", "size", "price", "time"))
        if line["event"] == "open":
            more = {"entry_time": time, "commission_rate": RATE}
            return self.bot.open_trade(trade, line["direction"], size, price, **more)
        if line["event"] == "part":
            return self.bot.exit_part(trade, line["id"], size, price, exit_time=time)
        return self.bot.close_trade(trade, price, exit_time=time)


def main(file, ledger):
    with gzip.open(file, "rt") if file.endswith(".gz") else open(file) as lines:
        candles = [(row["timestamp"], Decimal(row["close"])) for row in csv.DictReader(lines)]
    name = Path(file).name.partition(".")[0]
    described = {"symbol": name.partition("-")[0].replace("_", "/"), "initial_balance": BALANCE}
    blotter = Blotter(os.environ["BLOTTER_URL"], os.environ["BLOTTER_KEY"])
    with blotter.bot(f"replay {name}", "paper", **described) as bot:
        ReplayBot(bot, Path(ledger)).run(candles)


if __name__ == "__main__":
    main(*sys.argv[1:])
