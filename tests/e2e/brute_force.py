"""What became of an alert, the long way round: from the file, nothing shared with apps.

Candles are (start, width, open, high, low, close), oldest first, all of one width.
"""

import csv
import gzip
from bisect import bisect_left, bisect_right
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal

SUCCESS, EXACT = {24: Decimal(5), 72: Decimal(10)}, Context(prec=100, rounding=ROUND_HALF_EVEN)


def read(path, width):
    with gzip.open(path, "rt") as lines:
        _, *rows = csv.reader(lines)
    return [(datetime.fromisoformat(at), width, *map(Decimal, row[:4])) for at, *row in rows]


def change(sign, price, entry):
    exact = EXACT.divide(sign * (price - entry) * 100, entry)
    return exact.quantize(Decimal("1e-8"), context=EXACT)


def end_of(candle):
    return candle[0] + candle[1]


def price_at(moment, candles):
    past = bisect_right(candles, moment, key=end_of)
    last = candles[past - 1] if past else None
    if last and moment - end_of(last) <= max(2 * last[1], timedelta(minutes=10)):
        return "known", last[5]
    return ("missing" if past < len(candles) else "waits"), None


def judge(alert, candles):
    start = datetime.fromisoformat(alert["timestamp"])
    sign = -1 if alert["direction"] == "short" else 1
    names = ("entry_price", "target_price", "stop_loss")
    entry, target, stop = (Decimal(alert[n]) if alert.get(n) else None for n in names)
    entry = entry or price_at(start, candles)[1]
    points, known, waiting = {}, {}, []
    for hours in (1, 3, 24, 72):
        status, price = price_at(start + timedelta(hours=hours), candles)
        if price and entry:
            known[hours] = change(sign, price, entry)
        points[hours] = {"status": status, "price": price, "percentage_change": known.get(hours)}
        waiting += [hours] * (points[hours]["status"] == "waits")
    touch, at, moves, end = "none" if target or stop else "", None, [], start + timedelta(hours=72)
    first = bisect_left(candles, start, key=lambda candle: candle[0])
    for begin, _, _, high, low, _ in candles[first : bisect_right(candles, end, key=end_of)]:
        moves += [change(sign, price, entry) for price in (high, low) if entry]
        hit = target and (high >= target if sign > 0 else low <= target)
        out = stop and (low <= stop if sign > 0 else high >= stop)
        if (hit or out) and at is None:
            touch, at = ("ambiguous" if hit and out else "target" if hit else "stop"), begin
    won = any(known.get(hours, least - 1) >= least for hours, least in SUCCESS.items())
    lost = not won and not set(waiting) & set(SUCCESS) and bool(set(known) & set(SUCCESS))
    found = {"checkpoints": {h: point for h, point in points.items() if h not in waiting}}
    found |= {"status": "open" if waiting else "settled", "entry_price": entry}
    found |= {"final_return_24h": known.get(24), "final_return_72h": known.get(72)}
    for name, sample in (("", moves), ("checkpoint_", known.values())):
        found[f"{name}max_gain"] = max(sample, default=None)
        found[f"{name}max_loss"] = min(sample, default=None)
    found |= {"is_success": True if won else False if lost else None, "first_touch_at": at}
    return found | {"first_touch": touch if at or not waiting else ""}
