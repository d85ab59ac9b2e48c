"""The regime of every market and day: classified from closes, and what was known at a moment."""

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zlib import crc32

from django.db import transaction

from apps.market.domain.regimes import classify
from apps.market.models import MarketRegime
from apps.market.models.regimes import OWN_SOURCE
from apps.market.services.regime_closes import (
    Asked,
    Closes,
    Standing,
    differing,
    standing,
    start_of,
    with_context,
)
from apps.market.services.series import time_problem
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, ingest

log = logging.getLogger(__name__)

DAY: Final = timedelta(days=1)
# Each run compares the closes of so many days with what is stored; feeds mend what they missed
# within hours. What came later than that is found by the look at the whole history, which each
# symbol gets in one hour of the day.
LOOKED_AT: Final = timedelta(days=10)
HOURS: Final = 24
SYMBOLS_AT_ONCE: Final = 50
# What one run writes at most, so that it ends in its time; the next one goes on.
MOST_ROWS: Final = 200_000
COLUMNS: Final = (
    "symbol",
    "source",
    "timestamp",
    "regime_type",
    "volatility_regime",
    "dominant_trend",
    "indicators_json",
)
REPORTED: Final = (*COLUMNS, "confidence")
KEY: Final = ("symbol", "source", "timestamp")

# The last regime of each symbol that one source had told by then: index probes only.
CURRENT = """
WITH RECURSIVE symbols AS (
    (SELECT symbol FROM market_regime
     WHERE symbol > %(after)s AND (%(symbol)s = '' OR symbol = %(symbol)s)
     ORDER BY symbol LIMIT 1)
    UNION ALL
    SELECT following.symbol
    FROM symbols CROSS JOIN LATERAL (
        SELECT symbol FROM market_regime
        WHERE symbol > symbols.symbol AND %(symbol)s = ''
        ORDER BY symbol LIMIT 1
    ) AS following
)
SELECT last.* FROM symbols CROSS JOIN LATERAL (
    SELECT * FROM market_regime
    WHERE symbol = symbols.symbol AND source = %(source)s AND timestamp <= %(known)s
    ORDER BY timestamp DESC LIMIT 1
) AS last
LIMIT %(limit)s
"""


# --- Classifying --------------------------------------------------------------------------


def classify_regimes(*, now: datetime, symbols: Iterable[str] | None = None) -> int:
    """Classify the days whose close is new or another one; return how many rows were written.

    Per symbol and UTC day that has ended, by the closes of the source that answers for the symbol
    (see ``domain.regimes``), with source "blotter" and the start of the day as its time. A day
    whose close changed changes the days after it; a day whose candles are gone keeps what was
    said of it. Without new candles this costs one read of the last days of each symbol; ``symbols``
    names some, whose whole history is looked at. What is left over after ``MOST_ROWS`` is done by
    the next run. May run twice at once: what both write is the same, and closes that came while
    one was computing differ in the next run.
    """
    today = start_of(now.astimezone(UTC).date())
    named = None if symbols is None else set(symbols)
    asked = [
        each
        for one in standing(named)
        if (each := to_look_at(one, today=today, whole=named is not None or is_turn(one, now)))
    ]
    written = 0
    for place in range(0, len(asked), SYMBOLS_AT_ONCE):
        written += classify_group(asked[place : place + SYMBOLS_AT_ONCE], today)
        if written >= MOST_ROWS:
            log.info("Classified %s days of markets; the others follow in the next run.", written)
            break
    return written


def is_turn(one: Standing, now: datetime) -> bool:
    """Tell whether the whole history of a symbol is looked at in this hour of the day."""
    return crc32(one.symbol.encode()) % HOURS == now.astimezone(UTC).hour


def to_look_at(one: Standing, *, today: datetime, whole: bool) -> Asked | None:
    """Return the days of a symbol to compare; None when none has ended."""
    first = start = start_of(one.held.first)
    since, until = one.classified_from, one.classified_until
    is_new = since is None or until is None
    # With days before those that are classified, a history was brought in: that is looked at whole.
    if since is not None and until is not None and since <= first and not whole:
        start = max(first, min(today - LOOKED_AT, until + DAY))
    return Asked(one.symbol, one.held.source, first, start, is_new) if start < today else None


@transaction.atomic
def classify_group(group: Sequence[Asked], today: datetime) -> int:
    """Classify the days of some symbols from the first that differs on; return how many."""
    starts = differing(group, today)
    changed = [each._replace(start=starts[each.symbol]) for each in group if each.symbol in starts]
    values = [row for each, closes in with_context(changed, today) for row in rows_of(each, closes)]
    if not values:
        return 0
    stored = ingest(MarketRegime, values, columns=COLUMNS, key=KEY, on_conflict="replace")
    return stored.created + stored.replaced


def rows_of(asked: Asked, closes: Closes) -> list[tuple[Any, ...]]:
    """Return the rows of a symbol from the first day asked for on."""
    first = asked.start.date()
    days, prices = [day for day, _ in closes], [close for _, close in closes]
    return [
        (
            asked.symbol,
            OWN_SOURCE,
            start_of(each.day),
            each.regime_type.value,
            each.volatility_regime.value,
            each.dominant_trend.value,
            each.indicators,
        )
        for each in classify(days, prices)
        if each.day >= first
    ]


# --- What is known ------------------------------------------------------------------------


def known_from(timestamp: datetime, source: str) -> datetime:
    """Return when a regime became known.

    Ours say of a day what its close shows, so they are known at its end; what others report is
    known from its own time on.
    """
    return timestamp + DAY if source == OWN_SOURCE else timestamp


def known_by(moment: datetime, source: str) -> datetime:
    """Return the latest time that a regime may carry to be known at a moment."""
    return moment - DAY if source == OWN_SOURCE else moment


def regime_at(symbol: str, moment: datetime, *, source: str = OWN_SOURCE) -> MarketRegime | None:
    """Return the last regime that was known at a moment, by us or by a named source.

    However old: its ``timestamp`` says of when it is. None when none was known.
    """
    told = MarketRegime.objects.filter(symbol=symbol, source=source)
    return told.filter(timestamp__lte=known_by(moment, source)).order_by("-timestamp").first()


def current_regimes(
    *, now: datetime, symbol: str = "", source: str = OWN_SOURCE, after: str = "", limit: int = 100
) -> list[MarketRegime]:
    """Return the last known regime of each symbol, in order of symbols behind ``after``.

    Of one symbol where it is named. Costs two index probes per symbol.
    """
    asked = {"symbol": symbol, "source": source, "after": after, "limit": limit}
    return list(MarketRegime.objects.raw(CURRENT, asked | {"known": known_by(now, source)}))


# --- Taking in what others say -------------------------------------------------------------


@transaction.atomic
def store_reported(rows: Sequence[Any], *, now: datetime) -> Ingested:
    """Store regimes that others report; say what became of each.

    Unique by symbol, source and time: the same again is *unchanged*, another regime for them
    *failed*, as is a moment of the future or of before 1900, and our own name as the source.
    """
    outcome = Ingested()
    places, values = [], []
    for place, row in enumerate(rows):
        told = (source_problem(row.source), time_problem(row.timestamp, now))
        errors = [error for error in told if error]
        if errors:
            outcome.fail(place, errors)
            continue
        places.append(place)
        values.append(tuple(getattr(row, name) for name in REPORTED))
    stored = ingest(MarketRegime, values, columns=REPORTED, key=KEY, on_conflict="refuse")
    outcome.merge(stored, places)
    outcome.sort()
    return outcome


def source_problem(source: str) -> FieldError | None:
    """Say that a source is our own, if it is."""
    if source.casefold() != OWN_SOURCE:
        return None
    message = f"{OWN_SOURCE} is the source of the regimes that are classified here."
    return FieldError("/source", "reserved", message)
