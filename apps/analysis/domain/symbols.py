"""What a symbol needs before a run is worth its time: the rules that fail early."""

import re
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal, localcontext
from enum import StrEnum
from typing import NamedTuple

from apps.analysis.domain.bars import MINIMUM_BARS as MINIMUM_BARS
from apps.shared.errors import DomainError, FieldError
from apps.shared.quant.samples import rounded

ONE = Decimal(1)
HUNDRED = Decimal(100)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
TENTH = Decimal("0.1")

# "kPEPE", "BTC/USDT", "BTC/USDT:USDT-261225", "BRK.B": what providers call a symbol.
SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-]*(?:/[A-Za-z0-9]+(?::[A-Za-z0-9][A-Za-z0-9\-]*)?)?")
SYMBOL_LENGTH = 50
SHOWN = 60


class FailReason(StrEnum):
    """Why a symbol is not added, in the words of the predecessor."""

    INSUFFICIENT_HISTORICAL_DATA = "insufficient_historical_data"
    SYMBOL_NOT_FOUND = "symbol_not_found"
    EXCHANGE_NOT_SUPPORTED = "exchange_not_supported"
    API_CONNECTION_FAILED = "api_connection_failed"
    CUSTOM_RULE_VIOLATION = "custom_rule_violation"
    API_TIMEOUT = "api_timeout"
    SYMBOL_NOT_TRADABLE = "symbol_not_tradable"
    INSUFFICIENT_LIQUIDITY = "insufficient_liquidity"
    INSUFFICIENT_DATA_QUALITY = "insufficient_data_quality"
    INSUFFICIENT_RESOURCES = "insufficient_resources"
    DATABASE_CONNECTION_FAILED = "database_connection_failed"
    CONFIG_VALIDATION_FAILED = "config_validation_failed"


class SymbolRefused(DomainError):
    """A symbol that is not added, with its ``reason``; the message is for a person.

    ``pointer`` is the field that speaks against it.
    """

    code = "symbol_refused"

    def __init__(self, reason: FailReason, message: str, pointer: str = "/symbol") -> None:
        super().__init__(message, [FieldError(pointer, reason.value, message)])
        self.reason = reason


class History(NamedTuple):
    """How much of a symbol's past is there.

    ``days`` from the start of the first bar to the end of the last; ``completeness`` is the
    share 0 to 1 of the expected bars. Both to 8 places.
    """

    days: Decimal
    completeness: Decimal


def check_symbol(symbol: str) -> None:
    """Raise SymbolRefused for a text that no provider can know as a symbol."""
    if len(symbol) <= SYMBOL_LENGTH and SYMBOL.fullmatch(symbol):
        return
    name = symbol if len(symbol) <= SHOWN else symbol[:SHOWN] + "…"
    raise SymbolRefused(
        FailReason.CUSTOM_RULE_VIOLATION,
        f"{name!r} is no symbol: letters and digits, such as BTC/USDT or AAPL, at most "
        f"{SYMBOL_LENGTH} characters.",
    )


def check_history(
    *,
    first: datetime | None,
    last: datetime | None,
    bars: int,
    expected: int,
    width: timedelta,
    required_days: int,
    required_completeness: Decimal,
) -> History:
    """Return how much history there is, or refuse the symbol because it is too little.

    ``first`` and ``last`` are the starts of the first and the last stored bar, each ``width``
    long; ``bars`` are stored of ``expected``. Length is looked at before completeness; what is
    required exactly is enough. Raises SymbolRefused with insufficient_historical_data or
    insufficient_data_quality, and ValueError for a requirement that cannot be.
    """
    if required_days < 0 or not 0 <= required_completeness <= 1:
        raise ValueError("Days are at least 0, and completeness lies between 0 and 1.")
    if first is None or last is None or last < first or bars <= 0:
        raise SymbolRefused(
            FailReason.INSUFFICIENT_HISTORICAL_DATA,
            f"No history is there; {required_days} days are required.",
        )
    span = last + width - first
    with localcontext(prec=60):
        days = Decimal(span // MICROSECOND) / (DAY // MICROSECOND)
        completeness = min(ONE, Decimal(bars) / expected) if expected > 0 else Decimal(0)
    if span < required_days * DAY:
        raise SymbolRefused(
            FailReason.INSUFFICIENT_HISTORICAL_DATA,
            f"{shown(days)} days of {required_days} are there, "
            f"{first:%Y-%m-%d} to {last + width:%Y-%m-%d}.",
        )
    if completeness < required_completeness:
        raise SymbolRefused(
            FailReason.INSUFFICIENT_DATA_QUALITY,
            f"{shown(completeness * HUNDRED)} % of the bars are there ({bars:,} of {expected:,}); "
            f"{(required_completeness * HUNDRED).normalize():f} % are required.",
        )
    return History(rounded(days), rounded(completeness))


def check_bars(timeframe: str, bars: int) -> None:
    """Raise SymbolRefused for a timeframe with too few whole bars to be backtested."""
    if bars < MINIMUM_BARS:
        raise SymbolRefused(
            FailReason.INSUFFICIENT_HISTORICAL_DATA,
            f"{bars} whole bars of {timeframe} are there; {MINIMUM_BARS} are required.",
        )


def shown(value: Decimal) -> str:
    """Return the value to one place, cut off: 89.99 must not read as the 90 it is not."""
    return f"{value.quantize(TENTH, rounding=ROUND_DOWN):f}"
