"""Trades of an analysis: what each must hold, what they come to, and when two lists are one."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final

import numpy as np
from numpy.typing import NDArray

from apps.analysis.domain.equity import Closing, daily_returns, equity_curve
from apps.shared.errors import FieldError
from apps.shared.quant.digits import PRICE_LIMIT, PRICE_PLACES, RATIO_PLACES
from apps.shared.quant.performance import Conventions, Metric, returns_metrics, trades_metrics

# The form of the list and of its file; another form is another name.
FORM: Final = "trades/1"
HUNDRED: Final = Decimal(100)
RATIO_LIMIT: Final = Decimal(10) ** 12
PRECISION: Final = 76
# One value per day is computed; this is a hundred years of them.
LONGEST: Final = timedelta(days=36_525)
PRICES: Final = ("entry_price", "exit_price", "stop_price", "target_price")
PERCENTS: Final = ("gross_pct", "fees_pct", "net_pct")


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRecord:
    """One trade: entered at a price, and over at another one unless it is still open.

    ``direction`` is 1 for long, −1 for short. Percents are of the margin put up, so leveraged;
    ``net_pct`` is after fees.
    """

    trade_number: int
    direction: int
    entry_time: datetime
    exit_time: datetime | None = None
    entry_price: Decimal
    exit_price: Decimal | None = None
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    leverage: Decimal = Decimal(1)
    confidence: Decimal | None = None
    exit_reason: str = ""
    gross_pct: Decimal | None = None
    fees_pct: Decimal | None = None
    net_pct: Decimal | None = None


# --- What a trade must hold ---------------------------------------------------------------


def faults(
    trades: Sequence[TradeRecord], *, start: datetime | None = None, end: datetime | None = None
) -> list[FieldError]:
    """Return all that is wrong, each named by its place: ``/trades/3/exit_time``.

    ``start`` and ``end``: the period tried out, if it is known; no trade reaches out of it.
    """
    found: list[FieldError] = []
    seen: dict[int, int] = {}
    for place, trade in enumerate(trades):
        at = f"/trades/{place}"
        found += [FieldError(at + e.pointer, e.code, e.message) for e in _faults(trade)]
        found += [
            FieldError(at + e.pointer, e.code, e.message) for e in _outside(trade, start, end)
        ]
        if trade.trade_number in seen:
            message = f"Is also the number of row {seen[trade.trade_number]}."
            found.append(FieldError(f"{at}/trade_number", "duplicate", message))
        seen.setdefault(trade.trade_number, place)
    return found


def _faults(trade: TradeRecord) -> Iterator[FieldError]:
    if trade.trade_number < 1:
        yield FieldError("/trade_number", "too_small", "Must be at least 1.")
    if trade.direction not in (1, -1):
        yield FieldError("/direction", "not_a_choice", "Must be 1 (long) or -1 (short).")
    for name in PRICES:
        yield from _number(name, getattr(trade, name), PRICE_PLACES, PRICE_LIMIT, above_zero=True)
    yield from _number("leverage", trade.leverage, RATIO_PLACES, RATIO_LIMIT, above_zero=True)
    for name in (*PERCENTS, "confidence"):
        yield from _number(name, getattr(trade, name), RATIO_PLACES, RATIO_LIMIT)
    sure = trade.confidence
    if sure is not None and sure.is_finite() and not 0 <= sure <= 1:
        yield FieldError("/confidence", "out_of_range", "Must lie between 0 and 1.")
    if trade.exit_time is None:
        for name in ("exit_price", "net_pct"):
            if getattr(trade, name) is not None:
                message = f"Must be given beside {name}: an open trade has none."
                yield FieldError("/exit_time", "required", message)
                return
    elif trade.exit_time < trade.entry_time:
        yield FieldError("/exit_time", "before_entry", "Must not lie before entry_time.")
    elif trade.exit_price is None and trade.net_pct is None:
        message = "Must be given, or net_pct: the trade is over."
        yield FieldError("/exit_price", "required", message)


def _number(
    name: str, value: Decimal | None, places: int, limit: Decimal, *, above_zero: bool = False
) -> Iterator[FieldError]:
    if value is None:
        return
    if not value.is_finite():
        yield FieldError(f"/{name}", "not_finite", "Must be a finite number.")
    elif above_zero and value <= 0:
        yield FieldError(f"/{name}", "too_small", "Must be greater than 0.")
    elif abs(value) >= limit:
        yield FieldError(f"/{name}", "too_large", f"Must be less than {limit:.0e}.")
    elif not _fits(value, places):
        message = f"Has more than {places} digits behind the point."
        yield FieldError(f"/{name}", "too_precise", message)


def _fits(value: Decimal, places: int) -> bool:
    if -int(value.as_tuple().exponent) <= places:
        return True
    with localcontext(prec=PRECISION):
        return value == value.quantize(Decimal(1).scaleb(-places))


def _outside(
    trade: TradeRecord, start: datetime | None, end: datetime | None
) -> Iterator[FieldError]:
    if start is not None and trade.entry_time < start:
        yield FieldError("/entry_time", "out_of_period", "Lies before period_start.")
    name = "entry_time" if trade.exit_time is None else "exit_time"
    if end is not None and getattr(trade, name) > end:
        yield FieldError(f"/{name}", "out_of_period", "Lies after period_end.")


def period_of(trades: Iterable[TradeRecord]) -> tuple[datetime, datetime] | None:
    """Return from the first entry to the last moment a trade tells of; None without trades."""
    moments = [(one.entry_time, one.exit_time or one.entry_time) for one in trades]
    if not moments:
        return None
    return min(entry for entry, _ in moments), max(last for _, last in moments)


# --- What follows from a trade ------------------------------------------------------------


def completed(trade: TradeRecord) -> TradeRecord:
    """Return the trade with its results worked out where they were not told.

    ``gross_pct`` = direction × (exit − entry) / entry × leverage × 100 and never below −100: more
    than the margin is not lost. ``net_pct`` = gross − fees; fees that nobody told of are none.
    What was told stays as it is.
    """
    if trade.net_pct is not None or trade.exit_price is None:
        return trade
    with localcontext(prec=PRECISION):
        gross = trade.gross_pct
        if gross is None:
            change = (trade.exit_price - trade.entry_price) / trade.entry_price
            gross = _percent(max(trade.direction * change * trade.leverage * HUNDRED, -HUNDRED))
        return replace(
            trade, gross_pct=gross, net_pct=_percent(gross - (trade.fees_pct or Decimal(0)))
        )


def _percent(value: Decimal) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-RATIO_PLACES), rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Closed:
    """A trade that is over, as figures count it."""

    moment: datetime
    net_pct: Decimal
    leverage: Decimal


def closed(trades: Iterable[TradeRecord]) -> list[Closed]:
    """Return the trades that are over, in the order in which they were."""
    over = [
        (one.exit_time, one.trade_number, one.net_pct, one.leverage)
        for one in map(completed, trades)
        if one.exit_time is not None and one.net_pct is not None
    ]
    over.sort(key=lambda one: one[:2])
    return [Closed(moment, net, leverage) for moment, _, net, leverage in over]


@dataclass(frozen=True, slots=True)
class Judgement:
    """All figures of a list of trades; ``avg_leverage`` is None when none is over."""

    metrics: Sequence[Metric]
    avg_leverage: float | None

    def value(self, name: str) -> float | None:
        """Return one figure; None where it is undefined."""
        return next(each.value for each in self.metrics if each.name == name)


def judge(
    trades: Sequence[TradeRecord],
    *,
    stake: Decimal,
    start: datetime | None,
    end: datetime | None,
    conventions: Conventions,
) -> Judgement:
    """Return the figures of the trades, and of an account that made them.

    Those of trades count what is over, by its net result. Those of returns are of the account's
    equity at the end of each UTC day from ``start`` to ``end``, each trade having put up
    ``stake``, a share of the equity; without a period there are no days and no returns. Open
    trades count nowhere.
    """
    over = closed(trades)
    net = np.array([float(one.net_pct) for one in over], dtype=np.float64) / 100
    found = [*trades_metrics(net), *returns_metrics(_daily(over, stake, start, end), conventions)]
    leverages = [float(one.leverage) for one in over]
    return Judgement(found, sum(leverages) / len(leverages) if leverages else None)


def _daily(
    over: Sequence[Closed], stake: Decimal, start: datetime | None, end: datetime | None
) -> NDArray[np.float64]:
    if start is None or end is None:
        return np.empty(0)
    first = int(start.timestamp())
    last = max(int(end.timestamp()), first + 1)
    closings = [Closing(int(one.moment.timestamp()), one.net_pct) for one in over]
    return daily_returns(equity_curve(closings, stake=stake, start=first, end=last))


# --- When two lists are one ---------------------------------------------------------------


def digest(key: Sequence[str], trades: Iterable[TradeRecord]) -> str:
    """Return the SHA-256 of the list in its canonical form, 64 hexadecimal digits.

    ``key`` is the analysis it belongs to. The same numbers make the same digest however they are
    written (1.50 and 1.5, +02:00 and Z); the order of the list does not matter, its numbers do.
    """
    hashed = hashlib.sha256(_line([FORM, *key]))
    for trade in sorted(trades, key=lambda one: one.trade_number):
        hashed.update(_line(_texts(trade)))
    return hashed.hexdigest()


def _line(values: Sequence[object]) -> bytes:
    return json.dumps(values, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _texts(trade: TradeRecord) -> list[object]:
    return [
        trade.trade_number,
        trade.direction,
        _moment(trade.entry_time),
        _moment(trade.exit_time),
        _text(trade.entry_price),
        _text(trade.exit_price),
        _text(trade.stop_price),
        _text(trade.target_price),
        _text(trade.leverage),
        _text(trade.confidence),
        trade.exit_reason,
        _text(trade.gross_pct),
        _text(trade.fees_pct),
        _text(trade.net_pct),
    ]


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")


def _text(value: Decimal | None) -> str | None:
    """Return a number in plain notation, without padding zeros and without the sign of a zero."""
    if value is None:
        return None
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
