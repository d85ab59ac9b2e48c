"""Counting up what became of predictions and signals."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.analysis.domain.scorecard import ModelScorecardRow, Quantiles
from apps.shared.quant import calibration
from apps.shared.quant.samples import ratio

BAND = "least(floor(o.confidence * 10), 9)::int"
NAMES = "{0.0–0.1,0.1–0.2,0.2–0.3,0.3–0.4,0.4–0.5,0.5–0.6,0.6–0.7,0.7–0.8,0.8–0.9,0.9–1.0}"

# What a scorecard can be counted up by, and the expression of its key.
GROUPINGS = {
    "model_version": "o.model_version",
    "symbol": "o.symbol",
    "direction": "o.direction",
    "confidence_band": f"""CASE WHEN o.confidence IS NULL THEN ''
        ELSE ('{NAMES}'::text[])[1 + {BAND}] END""",
    "horizon_hours": "o.horizon_hours::text",
    "all": "''",
}

# The median of an even number of values is the mean of the two middle ones; percentile_cont
# would compute it in floating point, these two name both exactly.
MIDDLE = """(percentile_disc(0.5) WITHIN GROUP (ORDER BY {0})
        + percentile_disc(0.5) WITHIN GROUP (ORDER BY {0} DESC))"""
QUANTILES = "percentile_disc(ARRAY[0.1, 0.5, 0.9]) WITHIN GROUP (ORDER BY {0})"

STATEMENT = """
WITH picked AS MATERIALIZED (
    SELECT {key} AS key, o.status, o.status = 'settled' AS settled, o.is_hit, o.price,
        o.percentage_change, o.max_gain, o.max_loss, o.confidence, o.note, {band} AS band
    FROM model_outcomes o
    WHERE {where}
),
bands AS (
    SELECT key, band, count(*) AS n, count(*) FILTER (WHERE is_hit) AS hits,
        sum(confidence)::text AS total
    FROM picked WHERE is_hit IS NOT NULL AND confidence IS NOT NULL
    GROUP BY key, band
),
notes AS (
    SELECT key, note, count(*) AS n FROM picked WHERE settled AND is_hit IS NULL
    GROUP BY key, note
)
SELECT s.*,
    (SELECT jsonb_agg(to_jsonb(b) - 'key' ORDER BY b.band) FROM bands b WHERE b.key = s.key)
        AS bands,
    (SELECT jsonb_object_agg(n.note, n.n) FROM notes n WHERE n.key = s.key) AS notes
FROM (
    SELECT key, count(*) AS total,
        count(*) FILTER (WHERE status = 'open') AS open,
        count(*) FILTER (WHERE status = 'no_claim') AS no_claim,
        count(*) FILTER (WHERE settled) AS settled,
        count(is_hit) AS n, count(*) FILTER (WHERE is_hit) AS hits,
        count(*) FILTER (WHERE settled AND is_hit IS NULL) AS undecided,
        count(*) FILTER (WHERE settled AND price IS NULL) AS missing,
        sum(percentage_change) AS total_change, {middle} AS doubled_median,
        {gains} AS max_gain, {losses} AS max_loss,
        sum((confidence - is_hit::int) ^ 2) AS squares,
        count(confidence) FILTER (WHERE is_hit IS NOT NULL) AS confident
    FROM picked GROUP BY key
) s
ORDER BY s.n DESC, s.total DESC, s.key
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which claims to count: any of the words where words are given, within the times.

    ``claim`` is ``prediction`` or ``signal``.
    """

    model_version: Sequence[str] = ()
    symbol: Sequence[str] = ()
    direction: Sequence[str] = ()
    horizon_hours: Sequence[int] = ()
    moment_after: datetime | None = None
    moment_before: datetime | None = None
    claim: str = ""


WORDS = ("model_version", "symbol", "direction", "horizon_hours")
CLAIMS = {"prediction": "o.prediction_id IS NOT NULL", "signal": "o.signal_id IS NOT NULL"}
EVERYTHING = Filters()


def model_scorecard(
    *, by: str = "model_version", filters: Filters = EVERYTHING
) -> list[ModelScorecardRow]:
    """Return one row per group of predictions and signals, the most decided first.

    ``by`` is one of ``GROUPINGS``; anything else raises ValueError, and so does another ``claim``
    than the two. One statement, whatever the number of groups; sums, medians and quantiles are
    exact decimals.
    """
    if by not in GROUPINGS:
        raise ValueError(f"A scorecard is counted up by {', '.join(GROUPINGS)}, not by {by!r}.")
    where, parameters = conditions(filters)
    statement = STATEMENT.format(
        key=GROUPINGS[by],
        band=BAND,
        where=where,
        middle=MIDDLE.format("percentage_change"),
        gains=QUANTILES.format("max_gain"),
        losses=QUANTILES.format("max_loss"),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        names = [column.name for column in cursor.description]
        return [row_of(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def conditions(filters: Filters) -> tuple[str, dict[str, Any]]:
    """Return the WHERE of the filters that are set, and its parameters."""
    parts, parameters = ["true"], dict[str, Any]()
    for name in WORDS:
        if words := getattr(filters, name):
            parts.append(f"o.{name} = ANY(%({name})s)")
            parameters[name] = list(words)
    if filters.moment_after is not None:
        parts.append("o.moment >= %(after)s")
        parameters["after"] = filters.moment_after
    if filters.moment_before is not None:
        parts.append("o.moment < %(before)s")
        parameters["before"] = filters.moment_before
    if filters.claim:
        if filters.claim not in CLAIMS:
            raise ValueError(f"A claim is one of {', '.join(CLAIMS)}, not {filters.claim!r}.")
        parts.append(CLAIMS[filters.claim])
    return " AND ".join(parts), parameters


def row_of(found: Mapping[str, Any]) -> ModelScorecardRow:
    banded = {each["band"]: each for each in loaded(found["bands"]) or []}
    doubled = found["doubled_median"]
    counts = ("total", "open", "no_claim", "settled", "n", "hits", "undecided", "missing")
    return ModelScorecardRow(
        key=found["key"],
        **{name: found[name] for name in counts},
        mean_change=ratio(found["total_change"] or 0, found["n"]),
        median_change=None if doubled is None else ratio(doubled, 2),
        max_gain=Quantiles(*(found["max_gain"] or ())),
        max_loss=Quantiles(*(found["max_loss"] or ())),
        confident=found["confident"],
        brier=ratio(found["squares"] or 0, found["confident"]),
        reliability=[band(index, banded.get(index)) for index in range(calibration.BANDS)],
        undecided_reasons=loaded(found["notes"]) or {},
    )


def loaded(value: Any) -> Any:
    """Return a JSON value; raw cursors of Django leave it as text."""
    return json.loads(value) if isinstance(value, str) else value


def band(index: int, found: Mapping[str, Any] | None) -> calibration.Band:
    if found is None:
        return calibration.band(index, 0, 0, Decimal(0))
    return calibration.band(index, found["n"], found["hits"], Decimal(found["total"]))
