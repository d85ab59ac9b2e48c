"""Features that pipelines compute and report, under versions of their own."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Final

import numpy as np
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from numpy.typing import NDArray
from psycopg.errors import UniqueViolation

from apps.market.choices import FeatureOrigin
from apps.market.domain.features.columns import INTEGERS, NUMERIC
from apps.market.models import FeatureVector, FeatureVersion
from apps.market.services.features.encoding import (
    INTEGER_PLACES,
    SLICE_ROWS,
    SeriesKey,
    encode_mixed,
)
from apps.market.services.features.write import TABLE, send
from apps.shared.copying import Target
from apps.shared.errors import FieldError
from apps.shared.ingest import UNCHANGED, Ingested, RowStatus, ordered, replaced

KEY: Final = ("symbol", "source", "granularity", "feature_version", "timestamp")
FIELDS: Final = (*KEY, *NUMERIC, "date")
NUMBERS: Final = slice(len(KEY), len(KEY) + len(NUMERIC))
EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
LARGEST_INTEGER: Final = 2**31 - 1

Values = Sequence[Any]
values_of = attrgetter(*FIELDS)

STAGED: Final = "ingest_rows"
STAGE = f"""
CREATE TEMP TABLE {STAGED} ON COMMIT DROP AS
SELECT {", ".join(FIELDS)} FROM {TABLE} WITH NO DATA
"""
# Counts the rows as they come, from 0.
NUMBER = f"""
ALTER TABLE {STAGED}
ADD COLUMN ingest_ordinal integer GENERATED ALWAYS AS IDENTITY (MINVALUE 0 START 0)
"""
MAKE = """
INSERT INTO feature_series (
    symbol, source, granularity, feature_version, definition_hash, timezone, created_at, updated_at
)
SELECT *, '', '', %(now)s, %(now)s
FROM unnest(%(symbol)s::text[], %(source)s::text[], %(granularity)s::text[], %(version)s::text[])
ON CONFLICT (symbol, source, granularity, feature_version) DO NOTHING
"""
# In one order, so that two batches never wait for each other in a circle.
LOCK = """
SELECT id, symbol, source, granularity, feature_version FROM feature_series
WHERE (symbol, source, granularity, feature_version) IN (
    SELECT * FROM unnest(
        %(symbol)s::text[], %(source)s::text[], %(granularity)s::text[], %(version)s::text[]
    )
)
ORDER BY id FOR NO KEY UPDATE
"""
# What stands between the first and the last moment of a batch: ranges of the index alone.
COUNTED = """
SELECT wanted.id, counted.* FROM unnest(
    %(id)s::bigint[], %(first)s::timestamptz[], %(last)s::timestamptz[]
) AS wanted (id, first, last)
JOIN feature_series f USING (id)
CROSS JOIN LATERAL (
    SELECT count(*), count(v.rsi_1d), count(v.price_ma_short)
    FROM feature_engineered_data v
    WHERE v.symbol = f.symbol AND v.source = f.source AND v.granularity = f.granularity
      AND v.feature_version = f.feature_version
      AND v.timestamp BETWEEN wanted.first AND wanted.last
) AS counted
"""
MOVE = """
UPDATE feature_series f SET
    rows = f.rows + n.rows, rsi_rows = f.rsi_rows + n.rsi_rows, ma_rows = f.ma_rows + n.ma_rows,
    first_timestamp = least(f.first_timestamp, n.first),
    last_timestamp = v.timestamp, latest_rsi = v.rsi_1d, latest_ma = v.price_ma_short,
    computed_at = %(now)s, updated_at = %(now)s
FROM unnest(
    %(id)s::bigint[], %(first)s::timestamptz[], %(last)s::timestamptz[],
    %(rows)s::bigint[], %(rsi_rows)s::bigint[], %(ma_rows)s::bigint[]
) AS n (id, first, last, rows, rsi_rows, ma_rows), feature_engineered_data v
WHERE f.id = n.id
  AND v.symbol = f.symbol AND v.source = f.source AND v.granularity = f.granularity
  AND v.feature_version = f.feature_version
  AND v.timestamp = greatest(f.last_timestamp, n.last)
"""


@transaction.atomic
def store_reported(rows: Sequence[Any], *, now: datetime) -> Ingested:
    """Store feature vectors under versions that pipelines have registered.

    A row has the columns of ``FeatureVector`` as attributes, None for what is not known. The
    same key again takes the place of what is stored. A row *fails* for a version that nobody
    registered, or that is computed here; for a number that is not finite; for a time in the
    future. Where each series stands is kept up to date in the same transaction.
    """
    outcome = Ingested()
    values = list(map(values_of, rows))
    places, matrix = checked(values, outcome, now=now)
    values = [values[place] for place in places]
    if values:
        bounds = bounds_of(values)
        held = hold(list(bounds), now=now)
        spans = {one: bounds[key] for one, key in held.items()}
        before = count(spans)
        outcome.merge(stored(values, matrix), places)
        move(spans, before, now=now)
    outcome.sort()
    return outcome


# --- What is refused ----------------------------------------------------------------------


def checked(
    values: Sequence[Values], outcome: Ingested, *, now: datetime
) -> tuple[list[int], NDArray[np.float64]]:
    """Fail the rows that cannot be taken; return the places of the others and their numbers."""
    known = dict(FeatureVersion.objects.values_list("version", "origin"))
    latest = now + settings.CLOCK_TOLERANCE
    matrix = numbers_of(values)
    doubtful = set(np.flatnonzero(doubts(values, matrix)).tolist())
    places = []
    for place, row in enumerate(values):
        errors = []
        if (error := version_error(known.get(row[3]))) is not None:
            errors.append(error)
        if row[4] > latest:
            errors.append(FieldError("/timestamp", "in_future", "Lies in the future."))
        if place in doubtful:
            errors += number_errors(row)
        if errors:
            outcome.fail(place, errors)
        else:
            places.append(place)
    return places, matrix[places] if len(places) < len(values) else matrix


def numbers_of(values: Sequence[Values]) -> NDArray[np.float64]:
    """Return the numbers of rows, [n, 97]: NaN for None."""
    matrix = np.array([row[NUMBERS] for row in values], dtype=np.float64)
    return matrix.reshape(len(values), len(NUMERIC))


def version_error(origin: str | None) -> FieldError | None:
    """Return what speaks against rows of a version of this origin."""
    if origin is None:
        message = "There is no such version: register it first."
        return FieldError("/feature_version", "unknown_version", message)
    if origin == FeatureOrigin.COMPUTED:
        message = "Its features are computed here from candles, and are not taken."
        return FieldError("/feature_version", "computed_here", message)
    return None


def doubts(values: Sequence[Values], matrix: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows hold a number that must be looked at: whole columns at a time."""
    missing = np.isnan(matrix).sum(axis=1)
    # What is None has become NaN; what was NaN before shows by there being more of them.
    partly = np.flatnonzero(missing)
    none = np.zeros(len(values), dtype=np.int64)
    none[partly] = [values[place][NUMBERS].count(None) for place in partly.tolist()]
    whole = matrix[:, INTEGER_PLACES]
    with np.errstate(invalid="ignore"):
        uneven = ((whole != np.floor(whole)) | (np.abs(whole) > LARGEST_INTEGER)) & ~np.isnan(whole)
    found: NDArray[np.bool_] = np.isinf(matrix).any(axis=1) | (missing != none) | uneven.any(axis=1)
    return found


def number_errors(row: Values) -> list[FieldError]:
    errors = []
    for name, value in zip(NUMERIC, row[NUMBERS], strict=True):
        if value is None:
            continue
        if not np.isfinite(value):
            errors.append(FieldError(f"/{name}", "not_finite", "Must be a finite number."))
        elif name in INTEGERS and (value % 1 or abs(value) > LARGEST_INTEGER):
            errors.append(FieldError(f"/{name}", "not_an_integer", "Must be a whole number."))
    return errors


# --- What is stored -----------------------------------------------------------------------


def stored(values: Sequence[Values], matrix: NDArray[np.float64]) -> Ingested:
    """Copy the rows as they are; where a key is taken, store them by one upsert.

    As ``ingest`` does, whose answers these are, in binary form: a hundred numbers a row cost too
    much as text.
    """
    target = Target(FeatureVector, connection, FIELDS, KEY, {})
    outcome = Ingested()
    places, kept = ordered(values, target, "replace", outcome)
    numbers = matrix[places] if len(kept) == len(values) else numbers_of(kept)
    for first in range(0, len(kept), SLICE_ROWS):
        part = slice(first, first + SLICE_ROWS)
        store_slice(target, places[part], pieces(kept[part], numbers[part]), outcome)
    return outcome


def store_slice(
    target: Target, places: Sequence[int], encoded: list[Any], outcome: Ingested
) -> None:
    try:
        with transaction.atomic():
            send([encoded])
    except IntegrityError as error:
        if not isinstance(error.__cause__, UniqueViolation):
            raise
    else:
        outcome.count(RowStatus.CREATED, len(places))
        return
    with connection.cursor() as cursor:
        cursor.execute(STAGE)
        cursor.execute(NUMBER)
        send([encoded], table=STAGED)
        written = dict.fromkeys(range(len(places)), UNCHANGED) | replaced(target, STAGED)
        cursor.execute(f"DROP TABLE {STAGED}")
    for ordinal, (status, errors) in written.items():
        if status is RowStatus.CREATED:
            outcome.count(status, 1)
        else:
            outcome.note(places[ordinal], status, errors)


def pieces(values: Sequence[Values], matrix: NDArray[np.float64]) -> list[Any]:
    """Return rows as they are sent."""
    time = np.array([(row[4] - EPOCH) // MICROSECOND for row in values], dtype=np.int64)
    date = np.array([(row[-1] or "").encode() for row in values])
    keys = [series_key(row) for row in values]
    return encode_mixed(keys, time, matrix.T, date)


# --- Where each series stands -------------------------------------------------------------

Bounds = tuple[datetime, datetime]


def series_key(row: Values) -> SeriesKey:
    return (row[0], row[1], row[2], row[3])


def bounds_of(values: Sequence[Values]) -> dict[SeriesKey, Bounds]:
    """Return the first and the last moment of each series."""
    found: dict[SeriesKey, Bounds] = {}
    for row in values:
        key, moment = series_key(row), row[4]
        first, last = found.get(key, (moment, moment))
        found[key] = (min(first, moment), max(last, moment))
    return found


def hold(keys: Sequence[SeriesKey], *, now: datetime) -> dict[int, SeriesKey]:
    """Make the lineage of these series and lock it; return it by id."""
    names = ("symbol", "source", "granularity", "version")
    wanted: dict[str, Any] = dict(
        zip(names, map(list, zip(*sorted(keys), strict=True)), strict=True)
    )
    held: dict[int, SeriesKey] = {}
    with connection.cursor() as cursor:
        # While we wait for one, its last rows may leave for an archive, and it with them.
        while len(held) < len(keys):
            cursor.execute(MAKE, wanted | {"now": now})
            cursor.execute(LOCK, wanted)
            held = {row[0]: row[1:] for row in cursor.fetchall()}
    return held


def count(spans: dict[int, Bounds]) -> NDArray[np.int64]:
    """Return how many rows there are within the bounds, with RSI, with average: [series, 3]."""
    firsts, lasts = zip(*spans.values(), strict=True)
    wanted = {"id": list(spans), "first": list(firsts), "last": list(lasts)}
    with connection.cursor() as cursor:
        cursor.execute(COUNTED, wanted)
        found = {one: counts for one, *counts in cursor.fetchall()}
    return np.array([found[one] for one in spans], dtype=np.int64)


def move(spans: dict[int, Bounds], before: NDArray[np.int64], *, now: datetime) -> None:
    """Write what has become of the series."""
    came = (count(spans) - before).T.tolist()
    firsts, lasts = zip(*spans.values(), strict=True)
    wanted: dict[str, Any] = {
        "id": list(spans),
        "first": list(firsts),
        "last": list(lasts),
        "now": now,
    }
    names = ("rows", "rsi_rows", "ma_rows")
    with connection.cursor() as cursor:
        cursor.execute(MOVE, wanted | dict(zip(names, came, strict=True)))
