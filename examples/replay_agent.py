"""Lets rules in place of a model trade on recorded candles; its own ledger is the server's.

BLOTTER_URL=… BLOTTER_KEY=… PYTHONPATH=clients python replay_agent.py ledger.csv 500 *_BTC-5m.csv.gz
"""

import csv
import gzip
import json
import os
import sys
import uuid
from decimal import Decimal, getcontext
from pathlib import Path

from blotter_client import Blotter

AGENT_ID, EVERY, FAST, SLOW = uuid.uuid5(uuid.NAMESPACE_URL, "replay agent"), 10, 12, 48
BALANCE, RISK, LEVERAGE, RATE = Decimal(100), Decimal("0.75"), 5, Decimal("0.001")
LEDGER = ["event", "time", "trade", "decision", "coin", "side", "size", "price", "fee", "net"]
SIGN, PLACES = {"long": 1, "short": -1}, Decimal("1e-18")
getcontext().prec = 60  # for products of what has 18 places each


def ask(prompt):
    """Return what a model would answer, by rules; now and then with a mistake, as models make."""
    asked, told = json.loads(prompt[prompt.index("{") :]), {}
    for coin, seen in asked["coins"].items():
        closes, held, last = seen["closes"], seen["held"], asked["last"]
        way = "long" if sum(closes[-FAST:]) / FAST > sum(closes) / SLOW else "short"
        wait = held == way or (last and not held)
        near, far = (0.98, 1.04) if way == "long" else (1.02, 0.96)
        told[coin] = {
            "signal": "close" if held and (last or not wait) else "hold" if wait else way,
            "stop_loss": round(closes[-1] * near, 10),
            "profit_target": round(closes[-1] * far, 10),
            "risk_usd": float(RISK),
            "leverage": LEVERAGE,
            "confidence": 0.7,
            "justification": f"{FAST} closes against {SLOW} of them say {way}",
        }
    turn = 0 if asked["last"] else asked["cycle"] % 20
    one = told[sorted(told)[asked["cycle"] // 20 % len(told)]]
    mistakes = {
        3: {"leverage": "5x", "confidence": "70%"},  # can be read
        6: {"leverage": 40},  # is more than the agent may take
        9: {"signal": "to the moon"},  # cannot be read
        12: {"stop_loss": one["profit_target"], "profit_target": one["stop_loss"]},
    }
    one.update(mistakes.get(turn, {}))
    body = json.dumps(told, indent=2)
    if turn == 15:
        return f"My view has changed.\n\nCHAIN_OF_THOUGHT\n{body[: len(body) * 2 // 3]}"
    if turn == 18:
        return "I am sorry, I cannot help with that."
    lines = "\n\n".join(f"{coin}\n{row['signal'].upper()}\n70%" for coin, row in told.items())
    form = "{}\n\nCHAIN_OF_THOUGHT\n{}\n\nTRADING_DECISIONS\n{}\n"
    if turn % 2:
        form = "{}\n\n**CHAIN_OF_THOUGHT:**\n```json\n{}\n```\n\n**TRADING_DECISIONS:**\n{}\n"
    return form.format(f"I look at {', '.join(told)}.", body, lines)


class ReplayAgent:
    def __init__(self, agent, ledger):
        self.agent, self.ledger = agent, csv.DictWriter(ledger, LEDGER)
        self.held, self.realized = {}, Decimal(0)
        self.ledger.writeheader()

    def cycle(self, number, time, closes, last):
        """Ask, tell what was answered, and carry out what is accepted of it."""
        prices = {coin: each[-1] for coin, each in closes.items()}
        sides = {coin: trade["side"] for coin, trade in self.held.items()}
        seen = {
            coin: {"held": sides.get(coin), "closes": [float(close) for close in each]}
            for coin, each in closes.items()
        }
        prompt = "What now? " + json.dumps({"cycle": number, "last": last, "coins": seen})
        answer, (value, free) = ask(prompt), self.account(prices)
        told = {"prompt": prompt, "answer": answer, "prompt_version": "rules 1", "cost": "0.0002"}
        told.update(account_value=value, withdrawable=free, positions=sides, timestamp=time)
        for verdict in self.agent.report_cycle(cycle=number, **told)["decisions"]:
            if verdict["status"] == "success" and verdict["action"] != "HOLD":
                coin, way = verdict["coin"], verdict["action"].partition("_")[2].lower()
                obey = self.close if verdict["action"] == "CLOSE_POSITION" else self.open
                obey(coin, way, {"decision": verdict["id"], "time": time, "price": prices[coin]})

    def open(self, coin, side, event):
        size, name = (RISK * LEVERAGE / event["price"]).quantize(PLACES), event["decision"]
        fee, name = (RATE * event["price"] * size).quantize(PLACES), uuid.uuid5(AGENT_ID, name)
        trade = {"trade": name, "coin": coin, "side": side, "size": size, "fee": fee, **event}
        self.ledger.writerow({"event": "open", **trade})
        self.held[coin] = trade
        entry = {"entry_time": event["time"], "entry_price": event["price"], "entry_fees": fee}
        self.agent.open_trade(name, decision_id=event["decision"], **entry)  # its size follows

    def close(self, coin, _, event):
        trade, price = self.held.pop(coin), event["price"]
        fee = (RATE * price * trade["size"]).quantize(PLACES)
        moved = (price - trade["price"]) * SIGN[trade["side"]]
        net = (moved * trade["size"]).quantize(PLACES) - trade["fee"] - fee
        self.ledger.writerow({**trade, **event, "event": "close", "fee": fee, "net": net})
        self.realized += net
        told = {"exit_time": event["time"], "close_decision_id": event["decision"]}
        self.agent.close_trade(trade["trade"], price, exit_fees=fee, **told)

    def account(self, prices):
        """Return what the account is worth, and what of it is not tied up."""
        value, tied = BALANCE + self.realized, Decimal(0)
        for coin, trade in self.held.items():
            moved = (prices[coin] - trade["price"]) * SIGN[trade["side"]]
            value += moved * trade["size"] - trade["fee"]
            tied += prices[coin] * trade["size"] / LEVERAGE
        return value.quantize(PLACES), (value - tied).quantize(PLACES)


def main(ledger, cycles, *files):
    rows = {}
    for file in files:
        with gzip.open(file, "rt") as lines:
            found = {row["timestamp"]: Decimal(row["close"]) for row in csv.DictReader(lines)}
        rows[Path(file).name.partition("_")[0]] = found
    times = sorted(set.intersection(*map(set, rows.values())))
    ends = range(SLOW, len(times), EVERY)[: int(cycles)]
    blotter = Blotter(os.environ["BLOTTER_URL"], os.environ["BLOTTER_KEY"])
    more = {"quote_currency": "BTC", "coins": {coin: f"{coin}/BTC" for coin in rows}}
    agent = blotter.agent(AGENT_ID, "replay agent", "rules", BALANCE, **more)
    agent.register()
    with agent.bot(interval=30) as bot, open(ledger, "w", newline="", buffering=1) as file:
        replay = ReplayAgent(agent, file)
        for number, end in enumerate(ends, 1):
            last = number == len(ends) or bot.wanted() == "stop"
            window = times[end - SLOW : end]
            closes = {coin: [found[time] for time in window] for coin, found in rows.items()}
            replay.cycle(number, window[-1], closes, last)
            bot.report(status="running", current_balance=BALANCE + replay.realized)
            if last:
                break
        bot.report(status="completed", open_positions=len(replay.held))


if __name__ == "__main__":
    main(*sys.argv[1:])
