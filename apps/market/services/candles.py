"""Storing candles: the one door for the API, imports and feeds."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from itertools import repeat
from operator import attrgetter, ge, le, mod, sub
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction

from apps.market.choices import WIDTHS
from apps.market.domain.candles import (
    EARLIEST,
    ORIGIN,
    PLACES,
    CandleLike,
    CandleRow,
    problems,
    text_problem,
)
from apps.market.models import Candle, Instrument
from apps.market.services.candle_series import bounds, hold_series, note_changes
from apps.shared.fields import PRICE_DIGITS
from apps.shared.ingest import Ingested, RowStatus, ingest

KEY = ("symbol", "source", "granularity", "timestamp")
BLOCK_ROWS = 1_000
Values = tuple[Any, ...]

values_of = attrgetter(*CandleRow._fields)
# Refuses more digits than the column holds, which COPY would round in silence.
exact = Context(prec=PRICE_DIGITS, traps=[Inexact, InvalidOperation])
LAST_PLACE = Decimal(1).scaleb(-PLACES)


class Checked(NamedTuple):
    """Candles that the rules were asked about: the good ones, their places, and the failed."""

    kept: list[Values]
    places: list[int]
    failed: Ingested


def store_candles(rows: Sequence[CandleLike], *, now: datetime) -> Ingested:
    """Store good candles, replacing those of the same interval; say what became of each.

    A row that the rules refuse is *failed* with everything that speaks against it, and does
    not stop the others. Instruments that do not exist yet are made.
    """
    return store_checked(check_candles(rows, now=now))


def check_candles(rows: Sequence[CandleLike], *, now: datetime) -> Checked:
    """Ask the rules about candles; needs no database, so others may be stored meanwhile."""
    outcome = Ingested()
    places: list[int] = []
    kept: list[Values] = []
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        values = list(map(values_of, block))
        if plainly_good(values, now + settings.CLOCK_TOLERANCE):
            places.extend(range(start, start + len(block)))
            kept.extend(values)
            continue
        for place, (row, value) in enumerate(zip(block, values, strict=True), start):
            if found := problems(row, now, settings.CLOCK_TOLERANCE):
                outcome.fail(place, found)
            else:
                places.append(place)
                kept.append(value)
    return Checked(kept, places, outcome)


@transaction.atomic
def store_checked(checked: Checked) -> Ingested:
    """Store the good ones of checked candles; say what became of each row."""
    kept, places, outcome = checked
    changed = hold_series(kept)
    stored = ingest(Candle, kept, columns=CandleRow._fields, key=KEY, on_conflict="replace")
    unchanged = {one.index for one in stored.results if one.status is RowStatus.UNCHANGED}
    if unchanged:
        changed = bounds(row for place, row in enumerate(kept) if place not in unchanged)
    note_changes(changed)
    outcome.merge(stored, places)
    outcome.sort()
    make_instruments({value[0] for value in kept})
    return outcome


def plainly_good(values: Sequence[Values], latest: datetime) -> bool:
    """Say whether ``problems`` would find nothing in any row; whole columns at a time.

    False only means that the rows must be looked at one by one.
    """
    symbols, sources, granularities, starts, opens, highs, lows, closes, volumes = zip(
        *values, strict=True
    )
    if any(text_problem("", text) for text in {*symbols, *sources}):
        return False
    if not WIDTHS.keys() >= set(granularities):
        return False
    widths = [WIDTHS[granularity] for granularity in granularities]
    try:
        if not (min(starts) >= EARLIEST and max(starts) + max(widths) <= latest):
            return False
        if any(map(mod, map(sub, starts, repeat(ORIGIN)), widths)):
            return False
        for column in (opens, highs, lows, closes, volumes):
            exhaust(map(exact.quantize, column, repeat(LAST_PLACE)))
        return (
            min(lows) > 0
            and min(volumes) >= 0
            and all(map(ge, opens, lows))
            and all(map(le, opens, highs))
            and all(map(ge, closes, lows))
            and all(map(le, closes, highs))
        )
    # What cannot be compared: a naive time, NaN, infinity, too many digits.
    except (TypeError, InvalidOperation, Inexact):
        return False


def exhaust(results: Iterable[object]) -> None:
    """Run a lazy chain to its end for what it raises."""
    for _ in results:
        pass


def refresh_statistics() -> None:
    """Tell the planner what the table holds now; after many rows it must not guess."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE candles")


def make_instruments(symbols: set[str]) -> None:
    """Create the instruments among ``symbols`` that do not exist yet."""
    known = Instrument.objects.filter(symbol__in=symbols).values_list("symbol", flat=True)
    missing = sorted(symbols.difference(known))
    if missing:
        Instrument.objects.bulk_create(
            [Instrument(symbol=symbol) for symbol in missing], ignore_conflicts=True
        )
