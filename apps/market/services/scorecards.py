"""Counting up what became of claims: the pieces of SQL of every scorecard, and how they are read.

Each app's scorecard is one statement of its own over its own tables: a CTE of the rows picked,
with their ``key``; of what hangs on them (``reliability_bands``, horizons); and one aggregate per
key, to which the rest is joined as JSON. Here stand the parts that would be the same. Names of
columns and CTEs are written by us, never taken from outside.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.shared.quant import calibration
from apps.shared.quant.samples import ratio
from apps.shared.quant.scorecards import Horizon, Quantiles

NAMES = ",".join(
    f"{Decimal(index) / calibration.BANDS:.1f}–{Decimal(index + 1) / calibration.BANDS:.1f}"
    for index in range(calibration.BANDS)
)


# --- Pieces of SQL ------------------------------------------------------------------------


def band_of(column: str) -> str:
    """Return the expression of ``calibration.band_of``, of a confidence that is not null."""
    return f"least(floor({column} * {calibration.BANDS}), {calibration.BANDS - 1})::int"


def band_name(column: str) -> str:
    """Return the expression of the name of a confidence's band, empty without one."""
    return f"""CASE WHEN {column} IS NULL THEN ''
        ELSE ('{{{NAMES}}}'::text[])[1 + {band_of(column)}] END"""


def doubled_median(column: str, only: str = "") -> str:
    """Return the expression of twice the exact median.

    The median of an even number of values is the mean of the two middle ones; percentile_cont
    would compute it in floating point. The value of rank ⌈share × n⌉ is the lower one for a half,
    and the upper one for a hair more (as long as n stays below a billion); both in one sort.
    """
    middle = f"""(percentile_disc(ARRAY[0.5, 0.5000000001])
        WITHIN GROUP (ORDER BY {column}) {only})"""
    return f"({middle}[1] + {middle}[2])"


def quantiles(column: str, only: str = "") -> str:
    """Return the expression of the values of ``Quantiles``."""
    return f"percentile_disc(ARRAY[0.1, 0.5, 0.9]) WITHIN GROUP (ORDER BY {column}) {only}"


# The columns of an aggregate over rows with ``settled``, ``hit`` (null where nothing is decided for
# good) and ``confidence``; ``common`` reads them.
COUNTS = """count(*) AS total, count(*) FILTER (WHERE settled) AS settled,
        count(hit) AS n, count(*) FILTER (WHERE hit) AS hits,
        sum((confidence - hit::int) ^ 2) AS squares,
        count(confidence) FILTER (WHERE hit IS NOT NULL) AS confident"""


def reliability_bands(name: str, *, of: str) -> str:
    """Return a CTE with one row per key and band of confidence of the decided rows.

    MATERIALIZED, as all that is ``joined`` must be: else it would be counted anew for each key.
    """
    return f"""{name} AS MATERIALIZED (
    SELECT key, {band_of("confidence")} AS band, count(*) AS n,
        count(*) FILTER (WHERE hit) AS hits, sum(confidence)::text AS total
    FROM {of} WHERE hit IS NOT NULL AND confidence IS NOT NULL
    GROUP BY key, band
)"""


def changes(change: str, *, missing: str) -> str:
    """Return the columns of what ``read_horizon`` takes, in an aggregate over one checkpoint."""
    return f"""count({change}) AS n, count(*) FILTER (WHERE {missing}) AS missing,
        sum({change})::text AS total, {doubled_median(change)}::text AS doubled_median"""


def horizon(hours: int, change: str, *, missing: str, only: str) -> str:
    """Return the same as one JSON document, over the rows for which ``only`` holds."""
    when = f"FILTER (WHERE {only})"
    return f"""jsonb_build_object('hours', {hours}, 'n', count({change}) {when},
            'missing', count(*) FILTER (WHERE {only} AND {missing}),
            'total', (sum({change}) {when})::text,
            'doubled_median', {doubled_median(change, when)}::text)"""


def joined(name: str, *, by: str) -> str:
    """Return the expression of the rows of a CTE that belong to the key of ``s``, as JSON."""
    return f"""(SELECT jsonb_agg(to_jsonb(e) - 'key' ORDER BY e.{by}) FROM {name} e
        WHERE e.key = s.key)"""


def conditions(
    alias: str,
    words: Mapping[str, Sequence[Any]],
    *,
    moment: str,
    after: datetime | None,
    before: datetime | None,
) -> tuple[list[str], dict[str, Any]]:
    """Return the conditions of filters over columns of ``alias``, and their parameters.

    Any of the words where words are given; ``after`` ≤ the column ``moment`` < ``before``.
    """
    parts, parameters = ["true"], dict[str, Any]()
    for name, wanted in words.items():
        if wanted:
            parts.append(f"{alias}.{name} = ANY(%({name})s)")
            parameters[name] = list(wanted)
    if after is not None:
        parts.append(f"{alias}.{moment} >= %(after)s")
        parameters["after"] = after
    if before is not None:
        parts.append(f"{alias}.{moment} < %(before)s")
        parameters["before"] = before
    return parts, parameters


# --- Reading what they answer -------------------------------------------------------------


def counted(statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Run a scorecard's statement; return its rows by the names of their columns."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def check_grouping(by: str, known: Mapping[str, Any]) -> None:
    """Raise ValueError for a grouping that is none of ``known``."""
    if by not in known:
        raise ValueError(f"A scorecard is counted up by {', '.join(known)}, not by {by!r}.")


def common(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that every ``quant.scorecards.Scorecard`` has."""
    counts = ("key", "total", "open", "n", "hits", "undecided", "missing")
    return {name: found[name] for name in counts} | {
        "max_gain": Quantiles(*(found["max_gain"] or ())),
        "max_loss": Quantiles(*(found["max_loss"] or ())),
        "brier": ratio(found["squares"] or 0, found["confident"]),
        "reliability": read_bands(found["bands"]),
    }


def loaded(value: Any) -> Any:
    """Return a JSON value; raw cursors of Django leave it as text."""
    return json.loads(value) if isinstance(value, str) else value


def half(doubled: Any) -> Decimal | None:
    """Return half of what ``doubled_median`` answers, to 8 places."""
    return None if doubled is None else ratio(Decimal(doubled), 2)


def read_bands(value: Any) -> list[calibration.Band]:
    """Return all ten bands of a ``reliability_bands`` that was ``joined`` by band."""
    found = {each["band"]: each for each in loaded(value) or []}
    empty = {"n": 0, "hits": 0, "total": "0"}
    return [
        calibration.band(index, each["n"], each["hits"], Decimal(each["total"]))
        for index in range(calibration.BANDS)
        for each in [found.get(index, empty)]
    ]


def read_horizons(value: Any, hours: Sequence[int]) -> list[Horizon]:
    """Return each checkpoint of rows with ``changes`` that were ``joined`` by hours."""
    found = {each["hours"]: each for each in loaded(value) or []}
    return [read_horizon(each, found.get(each)) for each in hours]


def read_horizon(hours: int, found: Mapping[str, Any] | None) -> Horizon:
    if found is None or not found["n"]:
        return Horizon(hours, 0, found["missing"] if found else 0, None, None)
    mean = ratio(Decimal(found["total"]), found["n"])
    return Horizon(hours, found["n"], found["missing"], mean, half(found["doubled_median"]))
