"""Looking at the candles of one series, a stretch at a time, beside its peers and other sources."""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
from django.db import connection
from django.db.models import Min, QuerySet
from numpy.typing import NDArray

from apps.market.choices import AssetClass
from apps.market.domain.candles import width
from apps.market.domain.health import Candles, Findings, block_start, examine
from apps.market.domain.health.frames import block_seconds, closes, moment, seconds
from apps.market.models import Candle, CandleDefect, CandleSeries, Instrument
from apps.market.models.candles import primary_source
from apps.market.services.arrays import load_arrays

# So many new or changed intervals are looked at at once: about a second.
PIECE: Final = 100_000
# A candle may be judged by five neighbors on each side, five of which are one outlier.
OVERLAP: Final = 12
# Runs of more candles than 20 are alike, so their end need not be known.
BEHIND: Final = 32

# They all trade on the same market: a few of them say when it was open.
MOST_PEERS: Final = 20

PEERS = """
SELECT peer.id, peer.first_timestamp,
    least(peer.last_timestamp, peer.checked_until - interval '1 second')
FROM candle_series peer JOIN instruments i ON i.symbol = peer.symbol
WHERE peer.source = %(source)s AND peer.granularity = %(granularity)s
  AND i.asset_class = %(asset_class)s AND peer.id <> %(id)s
  AND peer.last_timestamp >= %(start)s AND peer.checked_until IS NOT NULL
ORDER BY peer.id LIMIT %(most)s
"""
PEER_DAYS = """
WITH peers AS (
    SELECT id, first::date, last::date
    FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS peers (id, first, last)
)
SELECT day.day - DATE '1970-01-01'
FROM candle_days day JOIN peers ON peers.id = day.series_id
WHERE day.day >= %s::date AND day.candles > 0
GROUP BY day.day
HAVING 2 * count(*) >= (SELECT count(*) FROM peers WHERE day.day BETWEEN peers.first AND peers.last)
ORDER BY 1
"""


def first_changed(series: CandleSeries) -> datetime | None:
    """Return the earliest start that health has not looked at as it is now; None: all seen."""
    if series.checked_until is None:
        return series.first_timestamp
    changed = [series.recheck_from] if series.recheck_from else []
    if series.last_timestamp >= series.checked_until:
        changed.append(series.checked_until)
    return min(changed, default=None)


def window_start(series: CandleSeries, changed: datetime) -> int:
    """Return from when on a series must be looked at anew, where a candle changed.

    What is said of a candle depends on the block that holds it and the one before, and on a few
    neighbors; a known defect that reaches into the window is looked at as a whole. In seconds
    since 1970: the start of a block.
    """
    start = block_start(seconds(changed), series.granularity)
    if (before := candle_before(series, start)) is not None:
        start = block_start(before, series.granularity)
    while (begin := straddling(series, start)) is not None:
        start = block_start(seconds(begin), series.granularity)
    return start


def straddling(series: CandleSeries, second: int) -> datetime | None:
    """Return where the first known defect that reaches to a moment begins before it."""
    known = CandleDefect.objects.filter(
        series=series, start__lt=moment(second), end__gte=moment(second)
    )
    found: datetime | None = known.aggregate(first=Min("start"))["first"]
    return found


def candle_before(series: CandleSeries, second: int) -> int | None:
    """Return the start of the candle ``OVERLAP`` candles before a moment, or of the first one."""
    before = (
        Candle.objects.of_series(series.symbol, series.source, series.granularity)
        .filter(timestamp__lt=moment(second))
        .order_by("-timestamp")
        .values_list("timestamp", flat=True)[:OVERLAP]
    )
    found = list(before)
    return seconds(found[-1]) if found else None


def candle_from(series: CandleSeries, second: int) -> int | None:
    """Return the start of the first candle at or after a moment."""
    found = (
        Candle.objects.of_series(series.symbol, series.source, series.granularity)
        .filter(timestamp__gte=moment(second))
        .order_by("timestamp")
        .values_list("timestamp", flat=True)
        .first()
    )
    return None if found is None else seconds(found)


class Piece(NamedTuple):
    """What is found in ``since`` ≤ start < ``until`` (seconds since 1970; None: to the end)."""

    findings: Findings
    since: int
    until: int | None


def look(series: CandleSeries, changed: datetime) -> Piece:
    """Return what is found where a series has changed, of a stretch of ``PIECE`` at most.

    Nothing that is told of the stretch depends on what lies further behind it, but for defects
    that reach over its end: those are looked at as a whole with the next.
    """
    instrument = Instrument.objects.filter(symbol=series.symbol).first()
    asset_class = instrument.asset_class if instrument else AssetClass.OTHER
    since, until = window_start(series, changed), piece_end(series, changed)
    low, behind = context_start(series, since), context_end(series, until)
    other = reference_of(series)
    findings = examine(
        load(series, low, behind),
        granularity=series.granularity,
        asset_class=asset_class,
        zone=instrument.zone if instrument else "UTC",
        trading_days=peer_days(series, asset_class, since),
        others=load(other, low, behind) if other else None,
        other_source=other.source if other else "",
        since=since,
        until=until,
    )
    return Piece(findings, since, until)


def piece_end(series: CandleSeries, changed: datetime) -> int | None:
    """Return the end of the block up to which a series is looked at; None: to its end."""
    begin = candle_from(series, seconds(changed))
    if begin is None:
        return None
    enough = begin + PIECE * int(width(series.granularity).total_seconds())
    end = block_start(enough, series.granularity) + block_seconds(series.granularity)
    return end if end <= seconds(series.last_timestamp) else None


def context_start(series: CandleSeries, since: int) -> int:
    """Return from when on candles are needed to judge those from ``since`` on."""
    block = since - block_seconds(series.granularity)
    before = candle_before(series, since)
    return block if before is None else min(block, before)


def context_end(series: CandleSeries, until: int | None) -> int | None:
    """Return up to where candles are needed to judge those before ``until``."""
    if until is None:
        return None
    after = (
        Candle.objects.of_series(series.symbol, series.source, series.granularity)
        .filter(timestamp__gte=moment(until))
        .order_by("timestamp")
        .values_list("timestamp", flat=True)[:BEHIND]
    )
    return max([until + block_seconds(series.granularity), *(seconds(each) + 1 for each in after)])


def load(series: CandleSeries, low: int, behind: int | None) -> Candles:
    end = series.last_timestamp + timedelta(seconds=1) if behind is None else moment(behind)
    return Candles._make(
        load_arrays(
            symbol=series.symbol,
            source=series.source,
            granularity=series.granularity,
            start=moment(low),
            end=end,
        )
    )


def reference_of(series: CandleSeries) -> CandleSeries | None:
    """Return the series of another source that this one is compared with; None: none.

    That of the instrument's primary source, else the first by name; it itself is compared with
    none, so that a difference stands once. Which of the two is wrong, the prices do not say.
    """
    named = primary_source(series.symbol)
    same = CandleSeries.objects.filter(symbol=series.symbol, granularity=series.granularity)
    first = same.filter(source=named).first() if named else None
    first = first or same.order_by("source").first()
    return first if first is not None and first.pk != series.pk else None


def peers_of(series: CandleSeries) -> QuerySet[CandleSeries] | None:
    """Return the others of the same source, granularity and asset class; None: nobody is asked."""
    instrument = Instrument.objects.filter(symbol=series.symbol).first()
    if instrument is None or not closes(instrument.asset_class):
        return None
    same = Instrument.objects.filter(asset_class=instrument.asset_class).values("symbol")
    return CandleSeries.objects.filter(
        source=series.source, granularity=series.granularity, symbol__in=same
    ).exclude(pk=series.pk)


def peer_days(series: CandleSeries, asset_class: str, since: int) -> NDArray[np.int64] | None:
    """Return the days on which at least half of the peers traded; None without a peer.

    Peers are series of the same source, granularity and asset class, as far as they were looked
    at before; those that lived on the day are asked.
    """
    if not closes(asset_class):
        return None
    start = moment(since) - timedelta(seconds=block_seconds(series.granularity))
    wanted: dict[str, Any] = {
        "id": series.pk,
        "source": series.source,
        "granularity": series.granularity,
        "asset_class": asset_class,
        "start": start,
        "most": MOST_PEERS,
    }
    with connection.cursor() as cursor:
        cursor.execute(PEERS, wanted)
        if not (peers := cursor.fetchall()):
            return None
        columns: list[Any] = [list(column) for column in zip(*peers, strict=True)]
        cursor.execute(PEER_DAYS, [*columns, start])
        return np.array([day for (day,) in cursor.fetchall()], np.int64)
