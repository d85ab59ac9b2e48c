"""What became of each decision."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import connection

from apps.agents.choices import Action, DecisionStatus, OutcomeStatus
from apps.agents.domain import outcomes as rules
from apps.market.services import changes, outcomes
from apps.shared.quant.digits import PRICE_LIMIT

OPEN_SERIES = outcomes.open_series("open_series", table="decision_outcomes")
HOURS = f"ARRAY{list(rules.HOURS)}"


def literals(words: Iterable[str]) -> str:
    return ", ".join(changes.quoted(word) for word in words)


def price(column: str, *, when: str = "true") -> str:
    return f"""CASE WHEN {when} AND {column} > 0 AND {column} < {PRICE_LIMIT}
        THEN {column} END"""


OPENS = f"d.action IN ({literals(rules.OPENS)})"

# The set-based ``rules.birth``.
INSERT = f"""
INSERT INTO decision_outcomes (decision_id, agent_id, symbol, moment, action, direction, confidence,
    is_accepted, prompt_version, entry_price, target, stop, status, note, due_at)
SELECT d.id, d.agent_id, d.symbol, d.timestamp, d.action, d.direction,
    CASE WHEN d.confidence BETWEEN 0 AND 1 THEN d.confidence END,
    d.status = {changes.quoted(DecisionStatus.SUCCESS)}, d.prompt_version,
    {price("d.entry_price")},
    {price("d.take_profit_price", when=OPENS)},
    {price("d.stop_loss_price", when=OPENS)},
    CASE r.reason WHEN '' THEN {changes.quoted(OutcomeStatus.OPEN)}
        ELSE {changes.quoted(OutcomeStatus.NO_CLAIM)} END,
    r.reason, CASE r.reason WHEN '' THEN d.timestamp END
FROM agent_decisions d CROSS JOIN LATERAL (SELECT CASE
    WHEN d.action NOT IN ({literals(Action.values)}) THEN {changes.quoted(rules.NO_ACTION)}
    WHEN d.coin = '' THEN {changes.quoted(rules.NO_COIN)}
    WHEN d.symbol = '' THEN {changes.quoted(rules.NO_SYMBOL)} ELSE '' END AS reason) r
WHERE d.id = ANY(%(ids)s)
ORDER BY d.timestamp, d.id
ON CONFLICT (decision_id) DO NOTHING
"""

# A row is locked by whoever works on it, and skipped by the others: two workers share the work
# and never wait for each other. An entry of the decision's own (what its stop and target were held
# against) stands in its outcome since birth.
PLACE = f"""
WITH RECURSIVE {outcomes.widths()},
{outcomes.waiting_symbols("symbols", table="decision_outcomes")},
{outcomes.series_of("series", claims="symbols")},
-- Later than its symbol's newest candle and its tolerance, a decision can only wait.
reach AS (SELECT symbol, max(newest + tolerance) AS until FROM series GROUP BY symbol),
claims AS MATERIALIZED (
    SELECT p.id, p.ctid AS place, p.symbol, p.moment
    FROM reach r
    JOIN decision_outcomes p ON p.symbol = r.symbol AND p.source = '' AND p.status = 'open'
      AND p.due_at <= least(%(now)s, r.until)
    WHERE p.id > %(after)s
    ORDER BY p.id LIMIT %(batch)s
    FOR NO KEY UPDATE OF p SKIP LOCKED
),
{outcomes.chosen_series("chosen", claims="claims", series="series")},
placed AS (
    UPDATE decision_outcomes p
    SET source = c.source, granularity = c.granularity,
        entry_price = coalesce(p.entry_price, c.price), next_hours = {rules.HOURS[0]},
        due_at = p.moment + interval '{rules.HOURS[0]} hours', updated_at = %(now)s
    FROM chosen c
    WHERE p.ctid = c.place AND c.state <> 'waits'
    RETURNING 1
)
SELECT (SELECT count(*) FROM claims), (SELECT max(id) FROM claims), (SELECT count(*) FROM placed)
"""


def each_hour(text: str) -> str:
    """Repeat a piece for every checkpoint, with its hours for the ``#``."""
    return ", ".join(text.replace("#", str(hours)) for hours in rules.HOURS)


def taken(column: str) -> str:
    """Return the expression of what was taken just now or, of checkpoints before, stands there."""
    return f"coalesce(v.{column}, p.{column})"


def no_price(hours: int) -> str:
    reason = changes.quoted(rules.no_price(hours))
    return f"CASE WHEN {taken(f'price_{hours}h')} IS NULL THEN {reason} END"


def unstorable(hours: int) -> str:
    return f"{taken(f'price_{hours}h')} IS NOT NULL AND {taken(f'change_{hours}h')} IS NULL"


NOTE = f"""concat_ws(' ',
            CASE WHEN v.entry_price IS NULL THEN {changes.quoted(rules.NO_ENTRY)} END,
            {", ".join(map(no_price, rules.HOURS))},
            CASE WHEN v.highest IS NULL THEN {changes.quoted(rules.EMPTY_WINDOW)} END,
            CASE WHEN v.entry_price IS NOT NULL AND ({" OR ".join(map(unstorable, rules.HOURS))}
                OR v.highest IS NOT NULL AND (v.max_gain IS NULL OR v.max_loss IS NULL))
                THEN {changes.quoted(rules.TOO_LARGE)} END)"""
CHANGES = ", ".join(f"{changes.change_of(f'price_{h}h')} AS change_{h}h" for h in rules.HOURS)
MOVES = changes.moves(*(f"price_{h}h" for h in rules.HOURS), "highest", "lowest", of="seen")

# All checkpoints that can be known, in their order: while one waits, so do those after it, for a
# later moment is farther from the newest candle and has its deadline later. Only what has come to
# the last one has a window: that of the others is empty and costs nothing.
JUDGE = f"""
WITH RECURSIVE {outcomes.widths()},
{OPEN_SERIES},
{outcomes.newest_of("series", series="open_series")},
due AS MATERIALIZED (
    SELECT p.id, p.ctid AS place, s.*, p.moment AS opens, p.entry_price, p.direction, p.target,
        p.stop, p.next_hours, CASE p.direction WHEN 'short' THEN -1 ELSE 1 END AS sign
    FROM series s JOIN decision_outcomes p
      ON p.source = s.source AND p.symbol = s.symbol AND p.granularity = s.granularity
      AND p.status = 'open' AND p.due_at <= least(%(now)s, s.newest + s.tolerance)
    WHERE p.id > %(after)s
    ORDER BY p.id LIMIT %(batch)s
    FOR NO KEY UPDATE OF p SKIP LOCKED
),
points AS (
    SELECT d.*, h.hours, d.opens + h.hours * interval '1 hour' AS moment
    FROM due d CROSS JOIN LATERAL (
        SELECT hours FROM unnest({HOURS}) AS h (hours) WHERE hours >= d.next_hours OFFSET 0
    ) h
    WHERE d.opens + h.hours * interval '1 hour' <= %(now)s
),
{outcomes.quotes("priced", points="points")},
reached AS MATERIALIZED (
    SELECT place, symbol, source, granularity, width, opens, entry_price, direction, sign,
        target, stop, max(hours) AS hours,
        opens + CASE WHEN max(hours) = {rules.LAST} THEN interval '{rules.LAST} hours'
            ELSE interval '0' END AS closes,
        {each_hour("max(price) FILTER (WHERE hours = #) AS price_#h")}
    FROM priced WHERE state <> 'waits'
    GROUP BY place, symbol, source, granularity, width, opens, entry_price, direction, sign,
        target, stop
),
{outcomes.windows("seen", claims="reached")},
verdicts AS MATERIALIZED (
    SELECT q.*, q.hours = {rules.LAST} AS settled, {CHANGES},
        {changes.MAX_GAIN} AS max_gain, {changes.MAX_LOSS} AS max_loss
    FROM {MOVES}
),
written AS (
    UPDATE decision_outcomes p
    SET {each_hour(f"price_#h = {taken('price_#h')}, change_#h = {taken('change_#h')}")},
        next_hours = v.next_hours,
        due_at = p.moment + v.next_hours * interval '1 hour', updated_at = %(now)s,
        status = CASE WHEN v.settled THEN 'settled' ELSE p.status END,
        settled_at = CASE WHEN v.settled THEN %(now)s::timestamptz END,
        max_gain = v.max_gain, max_loss = v.max_loss,
        first_touch = v.first_touch, first_touch_at = least(v.target_at, v.stop_at),
        is_hit = CASE WHEN v.direction <> '' THEN v.change_{rules.LAST}h > 0 END,
        note = CASE WHEN v.settled THEN {NOTE} ELSE '' END
    FROM (
        SELECT w.*, {changes.first_touch(settled="w.settled")} AS first_touch,
            (SELECT min(hours) FROM unnest({HOURS}) AS h (hours) WHERE h.hours > w.hours)
                AS next_hours
        FROM verdicts w
    ) v
    WHERE p.ctid = v.place
    RETURNING p.status
)
SELECT (SELECT count(*) FROM due), (SELECT max(id) FROM due),
    (SELECT count(*) FROM written WHERE status = 'settled')
"""


def insert_outcomes(decision_ids: Iterable[UUID]) -> int:
    """Store the outcomes that are born with decisions that are stored; return how many.

    One statement, in the caller's transaction. A decision that has an outcome keeps it.
    """
    with connection.cursor() as cursor:
        cursor.execute(INSERT, {"ids": list(decision_ids)})
        return int(cursor.rowcount)


def judge_decisions(*, now: datetime) -> int:
    """Judge every open decision as far as can be known; return how many were settled for good.

    A new one first gets the series of candles it is judged on and its entry: its own, or the price
    at its own time. Then comes checkpoint after checkpoint: price and change where the price is
    known, empty where it is missing for good, and with the last one everything else. One whose
    candles may still come waits. Whoever comes late says the same as whoever was in time, and
    rows that cannot have moved are not looked at. May run twice at once.
    """
    outcomes.in_batches(PLACE, now=now)
    return outcomes.in_batches(JUDGE, now=now)
