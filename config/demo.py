"""The demo: real candles from long ago, moved to end now, and the alerts of plain rules on them.

The prices come from two data packages, whose files alone are read. Moved by whole weeks, so
that a Friday stays a Friday. How far is fixed when an instrument is made: loading again adds
the candles that have become known since, and nothing twice.
"""

import csv
import gzip
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from django.utils import timezone

from apps.alerts.choices import Direction, Priority
from apps.alerts.services import raise_alerts, settle_alerts, track_due_prices
from apps.market.choices import AssetClass, Granularity
from apps.market.domain.candles import CandleRow, known_at
from apps.market.models import Instrument
from apps.market.services.candles import store_candles
from config import demo_agents, demo_analysis, demo_bots, demo_market
from config.demo_told import behind_left

SOURCE = "demo"
WEEK = timedelta(weeks=1)
# Beside the packages that run, not among them (Makefile): only their files are read.
DATA = Path(sys.prefix) / "demo"
STOCKS = ("bokeh-sampledata", "bokeh_sampledata/_data/stocks.csv.gz")
GOOGLE = ("gym-anytrading", "gym_anytrading/datasets/data/STOCKS_GOOGL.csv")
EURO = ("gym-anytrading", "gym_anytrading/datasets/data/FOREX_EURUSD_1H_ASK.csv")


@dataclass(frozen=True)
class Tape:
    """One series in a data package. ``present`` is the day of then that is shown as today."""

    symbol: str
    name: str
    package: str
    path: str
    present: datetime
    ticker: str = ""
    asset_class: AssetClass = AssetClass.EQUITY
    granularity: Granularity = Granularity.D1
    digits: int = 2
    alerts_over: timedelta = 17 * WEEK


def day(year: int, month: int, number: int) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


# Each today is a day of unrest: calm markets would make a dull scorecard.
TAPES = [
    Tape("AAPL", "Apple (demo)", *STOCKS, day(2000, 12, 28), ticker="AAPL"),
    Tape("GOOG", "Google (demo)", *STOCKS, day(2008, 12, 28), ticker="GOOG"),
    Tape("IBM", "IBM (demo)", *STOCKS, day(2002, 10, 28), ticker="IBM"),
    Tape("MSFT", "Microsoft (demo)", *STOCKS, day(2002, 10, 28), ticker="MSFT"),
    Tape("FB", "Facebook (demo)", *STOCKS, day(2012, 12, 28), ticker="FB"),
    Tape("GOOGL", "Alphabet (demo)", *GOOGLE, day(2011, 10, 28)),
    Tape(
        "EUR/USD",
        "Euro in US dollars (demo)",
        *EURO,
        day(2017, 10, 31),
        asset_class=AssetClass.FOREX,
        granularity=Granularity.H1,
        digits=5,
        alerts_over=3 * WEEK,
    ),
]


def load() -> str:
    """Store the demo, or what has become known of it since; return what was added, as text.

    An instrument of the same name that is not the demo's is left alone, with its alerts. What has
    left for an archive stays there.
    """
    now = timezone.now()
    instruments = candles = alerts = 0
    absent: set[str] = set()
    tapes: dict[str, list[CandleRow]] = {}
    made_at: list[datetime] = []
    for tape in TAPES:
        try:
            text = read(tape)
        except FileNotFoundError:
            absent.add(tape.package)
            continue
        instrument, made = Instrument.objects.get_or_create(
            symbol=tape.symbol,
            defaults={
                "company_name": tape.name,
                "asset_class": tape.asset_class,
                "quote_currency": "USD",
                "price_precision": tape.digits,
                "source": SOURCE,
            },
        )
        if instrument.source != SOURCE:
            continue
        shift = (instrument.created_at - tape.present) // WEEK * WEEK
        rows = [
            row
            for row in moved(tape, text, shift)
            if known_at(row.timestamp, row.granularity) <= now
        ]
        instruments += made
        tapes[tape.symbol] = rows
        made_at.append(instrument.created_at)
        candles += store_candles(rows, now=now).created
        since = behind_left("alerts", instrument.created_at - tape.alerts_over)
        found = [alert for alert in signals(tape, rows) if alert.timestamp >= since]
        alerts += raise_alerts(found, now=now).created
    # Not by the clock of today: set back, it would have what came before all told anew.
    began = min(made_at, default=now)
    # At once, so that the first page has outcomes; from here on the worker does it.
    track_due_prices(now=now)
    settle_alerts(now=now)
    analyzed = demo_analysis.load(tapes, since=began, now=now)
    traded = demo_bots.load(tapes, since=began, now=now)
    decided = demo_agents.load(tapes, since=began, now=now)
    described = demo_market.load(tapes, since=began, now=now)
    added = (
        f"{instruments} instruments, {candles:,} candles, {alerts} alerts, {analyzed}, "
        f"{traded}, {decided}, {described} added"
    )
    if absent:
        return f"{added}; not installed (requirements-demo.txt): {', '.join(sorted(absent))}"
    return added


def read(tape: Tape) -> str:
    """Return the text of a data file; no code of its package runs."""
    content = (DATA / tape.path).read_bytes()
    return (gzip.decompress(content) if tape.path.endswith(".gz") else content).decode()


def moved(tape: Tape, text: str, shift: timedelta) -> Iterator[CandleRow]:
    """Yield the candles of a tape, oldest first, each ``shift`` later than it was."""
    for line in csv.DictReader(io.StringIO(text)):
        if tape.ticker and line["Ticker"] != tape.ticker:
            continue
        if tape.granularity == Granularity.H1:
            moment = datetime.strptime(line["Time"], "%d.%m.%Y %H:%M:%S.%f").replace(tzinfo=UTC)
        else:
            moment = datetime.strptime(line["Date"], "%Y-%m-%d").replace(tzinfo=UTC)
        values = (Decimal(line[name]) for name in ("Open", "High", "Low", "Close", "Volume"))
        yield CandleRow(tape.symbol, SOURCE, tape.granularity, moment + shift, *values)


# --- The rules that raise alerts ------------------------------------------------------------

FAST, SLOW, RANGE, TRUE_RANGES = 5, 20, 20, 14
TARGET, STOP = Decimal(2), Decimal("1.5")  # in average true ranges
OUTSIZED = Decimal("1.25")
QUIET = 3  # candles between two alerts of one rule
HALF, MOST = Decimal("0.5"), Decimal("0.95")


@dataclass(frozen=True)
class DemoAlert:
    """What ``raise_alerts`` takes."""

    alert_id: str
    symbol: str
    timestamp: datetime
    direction: Direction
    strategy: str
    timeframe: str
    entry_price: Decimal
    target_price: Decimal
    stop_loss: Decimal
    confidence: Decimal
    priority: Priority
    alert_type: str = "trading_opportunity"
    confidence_pct: Decimal | None = None
    leverage: Decimal | None = None
    extra_data: dict[str, Any] = field(default_factory=dict)


def signals(tape: Tape, rows: Sequence[CandleRow]) -> Iterator[DemoAlert]:
    """Yield the alerts of all rules, raised when their candle closes; nothing later is used."""
    last: dict[str, int] = {}
    for index in range(max(SLOW, RANGE, TRUE_RANGES) + 1, len(rows)):
        atr = average_true_range(rows[index - TRUE_RANGES : index + 1])
        strengths = {
            "sma_cross": sma_cross(rows[index - SLOW : index + 1]),
            "breakout": breakout(rows[index - RANGE : index + 1]),
            "reversal": reversal(rows[index - 1].close, rows[index].close, atr),
        }
        for strategy, strength in strengths.items():
            if strength and atr and index - last.get(strategy, -QUIET) >= QUIET:
                last[strategy] = index
                yield alert(tape, rows[index], strategy, strength / atr, atr)


def sma_cross(rows: Sequence[CandleRow]) -> Decimal:
    """Return how far the fast mean has just crossed the slow one: above positive, else 0."""
    closes = [row.close for row in rows]
    before = mean(closes[-FAST - 1 : -1]) - mean(closes[:-1])
    after = mean(closes[-FAST:]) - mean(closes[1:])
    return after if before * after < 0 else Decimal(0)


def breakout(rows: Sequence[CandleRow]) -> Decimal:
    """Return how far the last close left the range before it: above positive, else 0."""
    *past, newest = rows
    over = newest.close - max(row.high for row in past)
    under = newest.close - min(row.low for row in past)
    return max(over, Decimal(0)) or min(under, Decimal(0))


def reversal(before: Decimal, close: Decimal, atr: Decimal) -> Decimal:
    """Return the opposite of a move that was out of proportion, else 0."""
    return before - close if abs(close - before) > OUTSIZED * atr else Decimal(0)


def average_true_range(rows: Sequence[CandleRow]) -> Decimal:
    """Return the mean true range of all candles but the first, in price units."""
    ranges = [
        max(row.high, before.close) - min(row.low, before.close) for before, row in pairwise(rows)
    ]
    return mean(ranges)


def mean(values: Sequence[Decimal]) -> Decimal:
    return sum(values, Decimal(0)) / len(values)


def alert(tape: Tape, row: CandleRow, strategy: str, strength: Decimal, atr: Decimal) -> DemoAlert:
    """Return the alert for a signal whose strength is given in average true ranges."""
    up = strength > 0
    sign = 1 if up else -1
    tick = Decimal(1).scaleb(-tape.digits)
    confidence = min(HALF + abs(strength) / 4, MOST).quantize(Decimal("0.01"))
    moment = known_at(row.timestamp, row.granularity)
    return DemoAlert(
        alert_id=f"demo-{tape.symbol}-{strategy}-{moment:%Y%m%dT%H%M}",
        symbol=tape.symbol,
        timestamp=moment,
        direction=Direction.LONG if up else Direction.SHORT,
        strategy=strategy,
        timeframe=tape.granularity,
        entry_price=row.close,
        target_price=(row.close + sign * TARGET * atr).quantize(tick),
        stop_loss=(row.close - sign * STOP * atr).quantize(tick),
        confidence=confidence,
        priority=Priority.HIGH if confidence >= Decimal("0.7") else Priority.MEDIUM,
        extra_data={"demo": True, "average_true_range": str(atr.quantize(tick))},
    )
