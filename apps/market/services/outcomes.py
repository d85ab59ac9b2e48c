"""The set-based side of judging claims: which candles, which price, what happened in between.

``apps.shared.quant.outcomes`` holds the rules for one claim; this module holds the same rules as
pieces of SQL, so that ten thousand claims cost one statement. A judge (alerts, signals,
predictions, decisions) writes one ``WITH`` and puts the pieces between its own: each function
returns the text of one CTE, named by its first argument, that reads the CTEs named by the others.

    WITH {widths()},
    claims AS (SELECT p.id, p.symbol, p.timestamp AS moment FROM …),
    {series_of("series", claims="claims")},
    {chosen_series("chosen", claims="claims", series="series")},
    points AS (SELECT …, s.*, … AS moment FROM … JOIN series s ON …),
    {quotes("priced", points="points")}
    INSERT INTO … SELECT … FROM priced WHERE state <> 'waits'

Every piece takes the parameter ``%(now)s``: candles not known by then do not exist. Names of CTEs
are written by us, never taken from outside.

PostgreSQL cannot know how many rows such a CTE has, and tables that have just been filled have no
statistics yet. What must not be looped over is therefore MATERIALIZED, and what must be looked up
row by row is LATERAL; a judge that updates rows joins them by their ``ctid``, which it locked.

A claim's series is chosen once, at its own time, and stored with it; ``quotes`` and ``windows``
then take it from there. Which one: the instrument's ``primary_source`` if it names one, else the
source whose last candle before the moment is the most recent (if none has any: whose first candle
after it comes first; among equals the first by name). Of that source the finest granularity with
a close within its tolerance at the moment; where there is none, the one whose next candle comes
first. With neither, the claim waits.
"""

from datetime import datetime
from typing import Any

from django.db import connection, transaction

from apps.market.choices import WIDTHS
from apps.shared.quant.outcomes import tolerance

# Rows of one statement: enough to be fast, few enough to hold locks for seconds at most.
BATCH = 20_000

# Seconds, not days: a day of PostgreSQL is as long as the session's time zone makes it.
WIDTH_ROWS = ",\n    ".join(
    f"('{granularity.value}', interval '{width.total_seconds():.0f} seconds',"
    f" interval '{tolerance(width).total_seconds():.0f} seconds')"
    for granularity, width in WIDTHS.items()
)


def widths(name: str = "widths") -> str:
    """Return a CTE ``(granularity, width, tolerance)`` of all granularities."""
    return f"{name} (granularity, width, tolerance) AS (VALUES\n    {WIDTH_ROWS})"


def series_of(name: str, *, claims: str, widths: str = "widths") -> str:
    """Return a CTE of the series that claims about ``claims.symbol`` may be judged on.

    Columns: symbol, source, granularity, width, tolerance, newest (end of the newest candle
    known at ``%(now)s``; series without one are left out). Steps from series to series on the
    index, so it costs the number of series, not of candles.
    """
    return f"""{name} AS MATERIALIZED (
    SELECT s.symbol, s.source, s.granularity, s.width, s.tolerance, n.timestamp + s.width AS newest
    FROM (
        SELECT asked.symbol, found.source, found.granularity, w.width, w.tolerance
        FROM (SELECT DISTINCT symbol FROM {claims}) asked
        LEFT JOIN instruments i ON i.symbol = asked.symbol
        CROSS JOIN LATERAL (
            WITH RECURSIVE walk AS (
                (SELECT c.source, c.granularity FROM candles c WHERE c.symbol = asked.symbol
                 ORDER BY c.source, c.granularity LIMIT 1)
                UNION ALL
                SELECT step.source, step.granularity FROM walk CROSS JOIN LATERAL (
                    SELECT c.source, c.granularity FROM candles c
                    WHERE c.symbol = asked.symbol
                      AND (c.source, c.granularity) > (walk.source, walk.granularity)
                    ORDER BY c.source, c.granularity LIMIT 1) step
            )
            SELECT source, granularity FROM walk
        ) found
        JOIN {widths} w ON w.granularity = found.granularity
        WHERE coalesce(i.primary_source, '') IN ('', found.source)
    ) s
    CROSS JOIN LATERAL ({newest_candle("s")}) n
)"""


def newest_of(name: str, *, series: str, widths: str = "widths") -> str:
    """Return a CTE like ``series_of`` for series that are known already.

    ``series`` has the columns symbol, source, granularity, each series once.
    """
    return f"""{name} AS MATERIALIZED (
    SELECT s.*, n.timestamp + s.width AS newest
    FROM (SELECT g.symbol, g.source, g.granularity, w.width, w.tolerance
          FROM {series} g JOIN {widths} w ON w.granularity = g.granularity) s
    CROSS JOIN LATERAL ({newest_candle("s")}) n
)"""


def newest_candle(series: str) -> str:
    return f"""SELECT c.timestamp FROM candles c
        WHERE c.symbol = {series}.symbol AND c.source = {series}.source
          AND c.granularity = {series}.granularity AND c.timestamp <= %(now)s - {series}.width
        ORDER BY c.timestamp DESC LIMIT 1"""


def last_candle(series: str, *, known_by: str) -> str:
    """Return the query of the last candle with ``timestamp ≤ known_by``, unless it is too old.

    The lower bound also keeps the index scan from reading a whole page for its one row.
    """
    return f"""SELECT c.timestamp, c.close FROM candles c
        WHERE c.symbol = {series}.symbol AND c.source = {series}.source
          AND c.granularity = {series}.granularity AND c.timestamp <= {known_by}
          AND c.timestamp >= {known_by} - {series}.tolerance
        ORDER BY c.timestamp DESC LIMIT 1"""


def quote_state(point: str, *, candle: str) -> str:
    """Return the expression of *known*, *missing* or *waits*: ``quant.outcomes.quote_at``.

    ``point`` has the columns moment, known_by, width, tolerance, newest; ``candle`` is the start
    of its last candle, null where that is none or too old.
    """
    return f"""CASE
        WHEN {point}.moment > %(now)s THEN 'waits'
        WHEN {candle} IS NULL AND {point}.newest > {point}.moment THEN 'missing'
        WHEN {candle} IS NULL THEN 'waits'
        WHEN {point}.newest > {point}.moment OR {candle} + {point}.width > {point}.known_by
          OR %(now)s >= {point}.moment + {point}.tolerance THEN 'known'
        ELSE 'waits' END"""


def chosen_series(name: str, *, claims: str, series: str) -> str:
    """Return a CTE with the series of each claim, and the price at the claim's own moment.

    ``claims`` has the columns id, symbol, moment, and whatever the caller carries along;
    ``series`` is a ``series_of`` them. The answer: all columns of ``claims``, and source,
    granularity, state (*known*, *missing*, *waits*), price, candle_timestamp. While the state
    is *waits* the choice may still change: store nothing. A claim without a series has no row.
    """
    return f"""{name} AS MATERIALIZED (
    SELECT DISTINCT ON (id) o.*,
        {quote_state("o", candle="candle_timestamp")} AS state
    FROM (
        SELECT q.*, s.source, s.granularity, s.width, s.tolerance, s.newest,
            q.moment - s.width AS known_by,
            fresh.timestamp AS candle_timestamp, fresh.close AS price,
            next.timestamp + s.width AS next_end,
            max(coalesce(fresh.timestamp, stale.timestamp) + s.width) OVER source AS source_last,
            min(next.timestamp + s.width) OVER source AS source_next
        FROM {claims} q
        JOIN {series} s ON s.symbol = q.symbol
        LEFT JOIN LATERAL ({last_candle("s", known_by="q.moment - s.width")}) fresh ON true
        LEFT JOIN LATERAL (
            SELECT c.timestamp FROM candles c
            WHERE fresh.timestamp IS NULL AND c.symbol = s.symbol AND c.source = s.source
              AND c.granularity = s.granularity AND c.timestamp <= q.moment - s.width
            ORDER BY c.timestamp DESC LIMIT 1) stale ON true
        LEFT JOIN LATERAL (
            SELECT c.timestamp FROM candles c
            WHERE fresh.timestamp IS NULL AND c.symbol = s.symbol AND c.source = s.source
              AND c.granularity = s.granularity AND c.timestamp > q.moment - s.width
              AND c.timestamp <= %(now)s - s.width
            ORDER BY c.timestamp LIMIT 1) next ON true
        WINDOW source AS (PARTITION BY q.id, s.source)
    ) o
    ORDER BY id, source_last DESC NULLS LAST,
        CASE WHEN source_last IS NULL THEN source_next END NULLS LAST, source COLLATE "C",
        candle_timestamp IS NULL, CASE WHEN candle_timestamp IS NOT NULL THEN width END,
        next_end NULLS LAST, width
)"""


def quotes(name: str, *, points: str) -> str:
    """Return a CTE with the price at each point: all columns of ``points`` and the answer.

    ``points`` has the columns moment, and those of its series: symbol, source, granularity,
    width, tolerance, newest (from a ``series_of`` or ``newest_of``); and whatever the caller
    carries along. The answer: state (*known*, *missing*, *waits*), price, candle_timestamp.
    """
    # OFFSET 0 keeps the planner from writing the moment's arithmetic out at every mention.
    return f"""{name} AS (
    SELECT q.*, {quote_state("q", candle="last.timestamp")} AS state,
        last.close AS price, last.timestamp AS candle_timestamp
    FROM (SELECT p.*, p.moment - p.width AS known_by FROM {points} p OFFSET 0) q
    LEFT JOIN LATERAL ({last_candle("q", known_by="q.known_by")}) last ON true
)"""


def windows(name: str, *, claims: str) -> str:
    """Return a CTE with what happened inside each claim's window.

    ``claims`` has the columns symbol, source, granularity, width (of its series), sign (+1 long,
    −1 short), target, stop (null: none), opens, closes, and whatever the caller carries along.
    The answer: all columns of ``claims``, and highest, lowest (null without candles), target_at,
    stop_at (start of the first candle that touched each, null: none did).
    """
    inside = """c.symbol = q.symbol AND c.source = q.source AND c.granularity = q.granularity
              AND c.timestamp >= q.opens AND c.timestamp <= q.last_start"""
    # First the extremes, which say whether there is a touch to look for at all. One chain of
    # LATERAL, no join of CTEs: the planner cannot know their sizes and would loop over them.
    return f"""{name} AS (
    SELECT q.*, extremes.highest, extremes.lowest,
        target_touch.timestamp AS target_at, stop_touch.timestamp AS stop_at
    FROM (SELECT p.*, least(p.closes, %(now)s) - p.width AS last_start
          FROM {claims} p OFFSET 0) q
    CROSS JOIN LATERAL (
        SELECT max(c.high) AS highest, min(c.low) AS lowest FROM candles c WHERE {inside}
    ) extremes
    LEFT JOIN LATERAL (
        SELECT c.timestamp FROM candles c WHERE {inside}
          AND CASE WHEN q.sign > 0 THEN extremes.highest >= q.target
                   ELSE extremes.lowest <= q.target END
          AND CASE WHEN q.sign > 0 THEN c.high >= q.target ELSE c.low <= q.target END
        ORDER BY c.timestamp LIMIT 1
    ) target_touch ON true
    LEFT JOIN LATERAL (
        SELECT c.timestamp FROM candles c WHERE {inside}
          AND CASE WHEN q.sign > 0 THEN extremes.lowest <= q.stop
                   ELSE extremes.highest >= q.stop END
          AND CASE WHEN q.sign > 0 THEN c.low <= q.stop ELSE c.high >= q.stop END
        ORDER BY c.timestamp LIMIT 1
    ) stop_touch ON true
)"""


# --- Rows that wait to be judged ----------------------------------------------------------
#
# A judge keeps them in a table with the columns id, symbol, status (``open`` while they wait),
# source and granularity (empty until their series is chosen), and a partial index on them.


def open_series(name: str, *, table: str) -> str:
    """Return a CTE ``(source, symbol, granularity)`` of the series that open rows are judged on.

    Steps from series to series on the partial index of open rows.
    """
    return f"""{name} AS (
    (SELECT source, symbol, granularity FROM {table}
     WHERE status = 'open' AND source > '' ORDER BY source, symbol, granularity LIMIT 1)
    UNION ALL
    SELECT step.source, step.symbol, step.granularity FROM {name} g CROSS JOIN LATERAL (
        SELECT p.source, p.symbol, p.granularity FROM {table} p
        WHERE p.status = 'open'
          AND (p.source, p.symbol, p.granularity) > (g.source, g.symbol, g.granularity)
        ORDER BY p.source, p.symbol, p.granularity LIMIT 1) step
)"""


def waiting_symbols(name: str, *, table: str) -> str:
    """Return a CTE ``(symbol)`` of the symbols of open rows whose series is not chosen yet."""
    return f"""{name} AS (
    (SELECT symbol FROM {table}
     WHERE status = 'open' AND source = '' ORDER BY symbol LIMIT 1)
    UNION ALL
    SELECT step.symbol FROM {name} s CROSS JOIN LATERAL (
        SELECT p.symbol FROM {table} p
        WHERE p.status = 'open' AND p.source = '' AND p.symbol > s.symbol
        ORDER BY p.symbol LIMIT 1) step
)"""


def in_batches(statement: str, *, now: datetime, **parameters: Any) -> int:
    """Run a statement over all its rows, a batch at a time; return how many it changed.

    It takes ``after`` and ``batch``, and answers how many rows it looked at, the last one's id,
    and how many it changed.
    """
    changed: int = 0
    after = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, {**parameters, "now": now, "after": after, "batch": BATCH})
            looked_at, last, done = cursor.fetchone()
        changed += done
        if looked_at < BATCH:
            return changed
        after = last
