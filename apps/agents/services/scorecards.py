"""Counting up what became of decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.agents.domain.outcomes import HOURS
from apps.agents.domain.scorecard import DecisionScorecardRow
from apps.market.services import scorecards

DECISION = "JOIN agent_decisions d ON d.id = o.decision_id"
MODEL = f"""{DECISION} JOIN trading_agents a ON a.id = o.agent_id
    LEFT JOIN llm_calls c ON c.id = d.call_id"""

# What a scorecard can be counted up by: the expression of its key, and what it needs besides. The
# model is the one that was asked; of a decision without a call, the one its agent has.
GROUPINGS = {
    "agent": ("o.agent_id::text", ""),
    "action": ("o.action", ""),
    "coin": ("d.coin", DECISION),
    "symbol": ("o.symbol", ""),
    "prompt_version": ("o.prompt_version", ""),
    "model": ("coalesce(c.model, a.llm_model)", MODEL),
    "confidence_band": (scorecards.band_name("o.confidence"), ""),
    "all": ("''", ""),
}

TAKEN, ASIDE = "settled AND taken", "settled AND NOT taken"
GAP = " OR ".join(f"price_{hours}h IS NULL" for hours in HOURS)


def horizons(only: str) -> str:
    """Return the expression of all checkpoints of some of the rows, for ``read_horizons``.

    Within the one sort by key: a row for each checkpoint would have to be sorted once more.
    """
    each = (
        scorecards.horizon(hours, f"change_{hours}h", missing=f"price_{hours}h IS NULL", only=only)
        for hours in HOURS
    )
    return f"jsonb_build_array({', '.join(each)})"


# ``taken``: whether there is a direction that changes count in; without one they are of buying.
STATEMENT = f"""
WITH picked AS MATERIALIZED (
    SELECT {{key}} AS key, o.status, o.status = 'settled' AS settled, o.direction <> '' AS taken,
        o.is_accepted, o.is_hit AS hit, o.confidence, o.first_touch, o.max_gain, o.max_loss, o.note,
        {", ".join(f"o.price_{hours}h, o.change_{hours}h" for hours in HOURS)}
    FROM decision_outcomes o {{joined}}
    WHERE {{where}}
),
{scorecards.reliability_bands("bands", of="picked")},
notes AS MATERIALIZED (
    SELECT key, note, count(*) AS n FROM picked WHERE settled AND taken AND hit IS NULL
    GROUP BY key, note
)
SELECT s.*, {scorecards.joined("bands", by="band")} AS bands,
    (SELECT jsonb_object_agg(n.note, n.n) FROM notes n WHERE n.key = s.key) AS notes
FROM (
    SELECT key, {scorecards.COUNTS},
        count(*) FILTER (WHERE is_accepted) AS accepted,
        count(*) FILTER (WHERE status = 'open') AS open,
        count(*) FILTER (WHERE status = 'no_claim') AS no_claim,
        count(*) FILTER (WHERE settled AND NOT taken) AS aside,
        count(*) FILTER (WHERE settled AND taken AND hit IS NULL) AS undecided,
        count(*) FILTER (WHERE settled AND ({GAP})) AS missing,
        count(*) FILTER (WHERE first_touch = 'target') AS touched_target,
        count(*) FILTER (WHERE first_touch = 'stop') AS touched_stop,
        count(*) FILTER (WHERE first_touch = 'ambiguous') AS ambiguous,
        count(*) FILTER (WHERE first_touch = 'none') AS untouched,
        {horizons(TAKEN)} AS horizons, {horizons(ASIDE)} AS bought,
        {scorecards.quantiles("max_gain", f"FILTER (WHERE {TAKEN})")} AS max_gain,
        {scorecards.quantiles("max_loss", f"FILTER (WHERE {TAKEN})")} AS max_loss
    FROM picked GROUP BY key
) s
ORDER BY s.n DESC, s.total DESC, s.key
"""

COUNTS = ("accepted", "no_claim", "settled", "aside", "confident")
TOUCHES = ("touched_target", "touched_stop", "ambiguous", "untouched")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which decisions to count: any of the words where words are given, within the times."""

    agent_id: Sequence[UUID] = ()
    action: Sequence[str] = ()
    direction: Sequence[str] = ()
    symbol: Sequence[str] = ()
    prompt_version: Sequence[str] = ()
    is_accepted: Sequence[bool] = ()
    moment_after: datetime | None = None
    moment_before: datetime | None = None


WORDS = ("agent_id", "action", "direction", "symbol", "prompt_version", "is_accepted")
EVERYTHING = Filters()


def scorecard(*, by: str = "agent", filters: Filters = EVERYTHING) -> list[DecisionScorecardRow]:
    """Return one row per group of decisions, the most decided first.

    ``by`` is one of ``GROUPINGS``; anything else raises ValueError. Accepted and rejected ones
    alike, unless ``is_accepted`` says which. One statement, whatever the number of groups; sums,
    medians and quantiles are exact decimals.
    """
    scorecards.check_grouping(by, GROUPINGS)
    key, joined = GROUPINGS[by]
    parts, parameters = scorecards.conditions(
        "o",
        {name: getattr(filters, name) for name in WORDS},
        moment="moment",
        after=filters.moment_after,
        before=filters.moment_before,
    )
    statement = STATEMENT.format(key=key, joined=joined, where=" AND ".join(parts))
    return [row_of(found) for found in scorecards.counted(statement, parameters)]


def row_of(found: Mapping[str, Any]) -> DecisionScorecardRow:
    return DecisionScorecardRow(
        **scorecards.common(found),
        **{name: found[name] for name in (*COUNTS, *TOUCHES)},
        horizons=scorecards.read_horizons(found["horizons"], HOURS),
        bought=scorecards.read_horizons(found["bought"], HOURS),
        undecided_reasons=scorecards.loaded(found["notes"]) or {},
    )
