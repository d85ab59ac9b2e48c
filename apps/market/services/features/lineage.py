"""Where the features of each series stand: what is due, who works on it, what it came to."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np
import psycopg
from django.db import connection
from numpy.typing import NDArray

from apps.market.choices import AssetClass
from apps.market.domain.features.columns import ROW

RSI, AVERAGE = ROW["rsi_1d"], ROW["price_ma_short"]
ERROR_LENGTH: Final = 500

# One row for each series of candles that a version is built from.
ENSURE = """
INSERT INTO feature_series (
    symbol, source, granularity, feature_version, definition_hash, timezone, created_at, updated_at
)
SELECT c.symbol, c.source, c.granularity, v.version, '', '', %(now)s, %(now)s
FROM candle_series c JOIN feature_versions v ON v.granularities ? c.granularity
WHERE v.origin = 'computed'
  AND CASE WHEN %(version)s = '' THEN v.built ELSE v.version = %(version)s END
  AND (%(symbols)s::text[] IS NULL OR c.symbol = ANY(%(symbols)s::text[]))
  -- A conflict would use up an id.
  AND NOT EXISTS (
    SELECT FROM feature_series f
    WHERE f.symbol = c.symbol AND f.source = c.source AND f.granularity = c.granularity
      AND f.feature_version = v.version
  )
ON CONFLICT (symbol, source, granularity, feature_version) DO NOTHING
"""
# Features f, their version v, their candles c, and the time zone of their hours.
STANDING = """
feature_series f
JOIN feature_versions v ON v.version = f.feature_version AND v.origin = 'computed'
JOIN candle_series c ON c.symbol = f.symbol AND c.source = f.source
    AND c.granularity = f.granularity
LEFT JOIN instruments i ON i.symbol = f.symbol
"""
# Else the zone of ``Instrument.zone``; without an instrument that of any other thing.
USUAL_ZONES = " ".join(f"WHEN '{one.value}' THEN '{one.zone}'" for one in AssetClass)
# A candle of a day or a week starts at midnight UTC of its date, wherever the market is.
ZONE = f"""CASE WHEN f.granularity IN ('1d', '1w') THEN 'UTC'
    ELSE coalesce(nullif(i.timezone, ''),
        CASE i.asset_class {USUAL_ZONES} ELSE '{AssetClass.OTHER.zone}' END) END"""
# Its rows cannot be continued: they are computed anew, all of them or from a moment on.
BROKEN = f"""(f.last_timestamp IS NULL OR f.changed_from IS NOT NULL
    OR f.definition_hash <> v.definition_hash OR f.timezone <> {ZONE}
    OR (v.is_causal AND f.state IS NULL))"""
DUE = f"""
SELECT f.id, f.symbol, f.granularity, {BROKEN} OR NOT v.is_causal,
    c.first_timestamp, c.last_timestamp
FROM {STANDING}
WHERE CASE WHEN %(version)s = '' THEN v.built AND v.granularities ? f.granularity
        ELSE v.version = %(version)s END
  AND (f.retry_at IS NULL OR f.retry_at <= %(now)s)
  -- Candles may have been deleted since: what is due is what is there.
  AND ({BROKEN} AND f.rows > 0 OR ({BROKEN} OR c.last_timestamp > f.last_timestamp) AND EXISTS (
    SELECT FROM candles k
    WHERE k.symbol = f.symbol AND k.source = f.source AND k.granularity = f.granularity
      AND k.timestamp > CASE WHEN {BROKEN} THEN '-infinity' ELSE f.last_timestamp END
  ))
  AND (%(symbols)s::text[] IS NULL OR f.symbol = ANY(%(symbols)s::text[]))
  AND (%(granularity)s = '' OR f.granularity = %(granularity)s)
ORDER BY f.symbol, f.id
"""
# The candles' rows, as whoever stores candles locks them. Who is being written now is left out.
LOCK = """
SELECT c.id FROM candle_series c
WHERE (c.symbol, c.source, c.granularity) IN (
    SELECT symbol, source, granularity FROM feature_series WHERE id = ANY(%(ids)s)
)
ORDER BY c.symbol, c.source, c.granularity
FOR NO KEY UPDATE SKIP LOCKED
"""
HELD = f"""
SELECT f.id, f.symbol, f.source, f.granularity, f.feature_version, {ZONE}, v.definition_hash,
    v.is_causal, f.definition_hash <> v.definition_hash OR f.timezone <> {ZONE},
    f.first_timestamp, f.last_timestamp, f.changed_from, c.last_timestamp,
    f.latest_rsi, f.latest_ma, f.state, f.tail
FROM {STANDING}
WHERE f.id = ANY(%(ids)s) AND c.id = ANY(%(locked)s)
ORDER BY f.id
"""
# Counts are moved by what came and went, so they always are those of the rows. Where somebody has
# changed rows behind our back they stay possible, and the next verification puts them right.
MOVE = """
UPDATE feature_series f SET
    rows = greatest(f.rows + n.rows, 0),
    rsi_rows = greatest(least(f.rsi_rows + n.rsi_rows, f.rows + n.rows), 0),
    ma_rows = greatest(least(f.ma_rows + n.ma_rows, f.rows + n.rows), 0),
    first_timestamp = n.first, last_timestamp = n.last,
    latest_rsi = n.latest_rsi, latest_ma = n.latest_ma, changed_from = n.changed_from,
    definition_hash = n.definition_hash, timezone = n.timezone,
    state = n.state, tail = CASE WHEN n.keeps_tail THEN f.tail ELSE n.tail END,
    tail_until = CASE WHEN n.keeps_tail THEN f.tail_until ELSE n.last END,
    computed_at = %(now)s, updated_at = %(now)s, execution_id = %(execution)s,
    error = '', failures = 0, retry_at = NULL
FROM unnest(
    %(id)b::bigint[], %(rows)b::bigint[], %(rsi_rows)b::bigint[], %(ma_rows)b::bigint[],
    %(first)b::timestamptz[], %(last)b::timestamptz[],
    %(latest_rsi)b::float8[], %(latest_ma)b::float8[], %(changed_from)b::timestamptz[],
    %(definition_hash)s::text[], %(timezone)s::text[],
    %(state)b::bytea[], %(tail)b::bytea[], %(keeps_tail)b::boolean[]
) AS n (id, rows, rsi_rows, ma_rows, first, last, latest_rsi, latest_ma, changed_from,
    definition_hash, timezone, state, tail, keeps_tail)
WHERE f.id = n.id
"""
# The longer a series has failed, the longer it is left alone, up to a day.
FAIL = """
UPDATE feature_series SET error = %(error)s, failures = failures + 1, updated_at = %(now)s,
    execution_id = %(execution)s,
    retry_at = %(now)s + least(interval '1 minute' * 2 ^ least(failures, 12), interval '1 day')
WHERE id = %(id)s
"""


class Due(NamedTuple):
    """A series whose features are not those of its candles; ``broken``: it cannot be continued."""

    id: int
    symbol: str
    granularity: str
    broken: bool
    first: datetime
    last: datetime


class Held(NamedTuple):
    """A series whose candles and features nobody else writes until the transaction ends.

    ``differs``: its rows follow another definition, or the hours of another zone.
    """

    id: int
    symbol: str
    source: str
    granularity: str
    version: str
    zone: str
    definition_hash: str
    is_causal: bool
    differs: bool
    first: datetime | None
    last: datetime | None
    changed_from: datetime | None
    candles_until: datetime
    latest_rsi: float | None
    latest_ma: float | None
    state: bytes | None
    tail: bytes | None

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.symbol, self.source, self.granularity, self.version)

    @property
    def is_broken(self) -> bool:
        """Whether it must be computed anew instead of continued."""
        return (
            self.last is None
            or self.changed_from is not None
            or self.differs
            or not self.is_causal
            or self.state is None
        )

    @property
    def is_due(self) -> bool:
        """Whether its features are not those of its candles."""
        outdated = self.last is None or self.changed_from is not None or self.differs
        lost = self.is_causal and self.state is None
        return outdated or lost or self.candles_until > (self.last or self.candles_until)


class Counts(NamedTuple):
    """How many rows, and how many of them know their RSI and their short average."""

    rows: int = 0
    rsi_rows: int = 0
    ma_rows: int = 0

    def less(self, other: "Counts") -> "Counts":
        return Counts(*(one - gone for one, gone in zip(self, other, strict=True)))


class Moved(NamedTuple):
    """What has become of a series: rows that came less rows that went, and where it stands.

    ``keeps_tail`` leaves the stored tail as it is.
    """

    id: int
    rows: int
    rsi_rows: int
    ma_rows: int
    first: datetime | None
    last: datetime | None
    latest_rsi: float | None
    latest_ma: float | None
    changed_from: datetime | None
    definition_hash: str
    timezone: str
    state: bytes | None
    tail: bytes | None
    keeps_tail: bool


def ensure_series(*, now: datetime, version: str = "", symbols: Sequence[str] | None = None) -> int:
    """Make the rows of all series that features are kept of; return how many are new.

    Those of the built versions, or of the one that is named.
    """
    wanted: dict[str, Any] = {
        "now": now,
        "version": version,
        "symbols": None if symbols is None else list(symbols),
    }
    with connection.cursor() as cursor:
        cursor.execute(ENSURE, wanted)
        return int(cursor.rowcount)


def due_series(
    *,
    now: datetime,
    version: str = "",
    symbols: Sequence[str] | None = None,
    granularity: str = "",
) -> list[Due]:
    """Return the series whose features are not those of their candles, in order of symbols.

    Of the built versions, or of the one that is named; without those that wait after a failure.
    """
    wanted: dict[str, Any] = {
        "now": now,
        "version": version,
        "symbols": None if symbols is None else list(symbols),
        "granularity": granularity,
    }
    with connection.cursor() as cursor:
        cursor.execute(DUE, wanted)
        return [Due._make(row) for row in cursor.fetchall()]


def hold(ids: Sequence[int]) -> list[Held]:
    """Lock the candles of these series; return those that nobody else is writing.

    Needs an open transaction. Whoever writes lineage of computed versions holds this lock, so
    what is read behind it stays true; and statements behind it see every candle that was stored
    before.
    """
    with raw_cursor() as cursor:
        cursor.execute(LOCK, {"ids": list(ids)})
        locked = [one for (one,) in cursor.fetchall()]
        # A statement of its own: it sees what the holder before has written.
        cursor.execute(HELD, {"ids": list(ids), "locked": locked}, binary=True)
        return [Held._make(row) for row in cursor.fetchall()]


def move(changes: Iterable[Moved], *, now: datetime, execution_id: str = "") -> None:
    """Write what has become of series whose rows are locked, in one statement."""
    columns = [list(column) for column in zip(*changes, strict=True)]
    if not columns:
        return
    named: dict[str, Any] = dict(zip(Moved._fields, columns, strict=True))
    with raw_cursor() as cursor:
        cursor.execute(MOVE, named | {"now": now, "execution": execution_id[:100]})


def fail_series(*, id: int, error: str, now: datetime, execution_id: str = "") -> None:
    """Note why a series could not be computed; it is tried again later."""
    text = error.replace("\0", "\N{REPLACEMENT CHARACTER}")[:ERROR_LENGTH]
    with connection.cursor() as cursor:
        cursor.execute(FAIL, {"id": id, "error": text, "now": now, "execution": execution_id[:100]})


def counted(values: NDArray[np.float64]) -> Counts:
    """Return the counts of rows ``values[97, n]``."""
    known = ~np.isnan(values[[RSI, AVERAGE]])
    rsi, average = known.sum(axis=1).tolist()
    return Counts(values.shape[1], rsi, average)


def number(value: float) -> float | None:
    """Return a float as it is stored: NaN is not known."""
    return None if value != value else float(value)


def moment(seconds: int) -> datetime:
    """Return seconds since 1970 as a time."""
    return datetime.fromtimestamp(int(seconds), UTC)


@contextmanager
def raw_cursor() -> Iterator["psycopg.Cursor[tuple[Any, ...]]"]:
    """Open a cursor that sends values beside the statement, states among them, as bytes."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor
