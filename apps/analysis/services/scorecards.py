"""Counting up what became of predictions and signals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.analysis.domain.scorecard import ModelScorecardRow
from apps.market.services import scorecards
from apps.shared.quant.samples import ratio

# What a scorecard can be counted up by, and the expression of its key.
GROUPINGS = {
    "model_version": "o.model_version",
    "symbol": "o.symbol",
    "direction": "o.direction",
    "confidence_band": scorecards.band_name("o.confidence"),
    "horizon_hours": "o.horizon_hours::text",
    "all": "''",
}

STATEMENT = f"""
WITH picked AS MATERIALIZED (
    SELECT {{key}} AS key, o.status, o.status = 'settled' AS settled, o.is_hit AS hit, o.price,
        o.percentage_change, o.max_gain, o.max_loss, o.confidence, o.note
    FROM model_outcomes o
    WHERE {{where}}
),
{scorecards.reliability_bands("bands", of="picked")},
notes AS MATERIALIZED (
    SELECT key, note, count(*) AS n FROM picked WHERE settled AND hit IS NULL
    GROUP BY key, note
)
SELECT s.*, {scorecards.joined("bands", by="band")} AS bands,
    (SELECT jsonb_object_agg(n.note, n.n) FROM notes n WHERE n.key = s.key) AS notes
FROM (
    SELECT key, {scorecards.COUNTS},
        count(*) FILTER (WHERE status = 'open') AS open,
        count(*) FILTER (WHERE status = 'no_claim') AS no_claim,
        count(*) FILTER (WHERE settled AND hit IS NULL) AS undecided,
        count(*) FILTER (WHERE settled AND price IS NULL) AS missing,
        sum(percentage_change) AS total_change,
        {scorecards.doubled_median("percentage_change")} AS doubled_median,
        {scorecards.quantiles("max_gain")} AS max_gain,
        {scorecards.quantiles("max_loss")} AS max_loss
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
    scorecards.check_grouping(by, GROUPINGS)
    where, parameters = conditions(filters)
    statement = STATEMENT.format(key=GROUPINGS[by], where=where)
    return [row_of(found) for found in scorecards.counted(statement, parameters)]


def conditions(filters: Filters) -> tuple[str, dict[str, Any]]:
    """Return the WHERE of the filters that are set, and its parameters."""
    parts, parameters = scorecards.conditions(
        "o",
        {name: getattr(filters, name) for name in WORDS},
        moment="moment",
        after=filters.moment_after,
        before=filters.moment_before,
    )
    if filters.claim:
        if filters.claim not in CLAIMS:
            raise ValueError(f"A claim is one of {', '.join(CLAIMS)}, not {filters.claim!r}.")
        parts.append(CLAIMS[filters.claim])
    return " AND ".join(parts), parameters


def row_of(found: Mapping[str, Any]) -> ModelScorecardRow:
    return ModelScorecardRow(
        **scorecards.common(found),
        no_claim=found["no_claim"],
        settled=found["settled"],
        mean_change=ratio(found["total_change"] or 0, found["n"]),
        median_change=scorecards.half(found["doubled_median"]),
        confident=found["confident"],
        undecided_reasons=scorecards.loaded(found["notes"]) or {},
    )
