"""What became of each prediction and signal."""

from datetime import datetime

from apps.analysis.domain import outcomes as rules
from apps.market.services import changes, outcomes

OPEN_SERIES = outcomes.open_series("open_series", table="model_outcomes")

# A row is locked by whoever works on it, and skipped by the others: two workers share the work
# and never wait for each other. A price forecast gets its direction here, from the entry.
PLACE = f"""
WITH RECURSIVE {outcomes.widths()},
{outcomes.waiting_symbols("symbols", table="model_outcomes")},
{outcomes.series_of("series", claims="symbols")},
-- Later than its symbol's newest candle and its tolerance, a claim can only wait.
reach AS (SELECT symbol, max(newest + tolerance) AS until FROM series GROUP BY symbol),
claims AS MATERIALIZED (
    SELECT p.id, p.ctid AS place, p.symbol, p.moment, p.claimed_price
    FROM reach r
    JOIN model_outcomes p ON p.symbol = r.symbol AND p.source = '' AND p.status = 'open'
      AND p.due_at <= least(%(now)s, r.until)
    WHERE p.id > %(after)s
    ORDER BY p.id LIMIT %(batch)s
    FOR NO KEY UPDATE OF p SKIP LOCKED
),
{outcomes.chosen_series("chosen", claims="claims", series="series")},
placed AS (
    UPDATE model_outcomes p
    SET source = c.source, granularity = c.granularity, entry_price = c.price,
        direction = CASE WHEN p.direction <> '' THEN p.direction
            WHEN c.claimed_price > c.price THEN 'long'
            WHEN c.claimed_price < c.price THEN 'short' ELSE '' END,
        status = CASE WHEN p.direction = '' AND c.claimed_price = c.price THEN 'no_claim'
            ELSE p.status END,
        note = CASE WHEN p.direction = '' AND c.claimed_price = c.price
            THEN {changes.quoted(rules.SAME_PRICE)} ELSE '' END,
        due_at = CASE WHEN p.direction = '' AND c.claimed_price = c.price THEN NULL
            ELSE p.moment + p.horizon_hours * interval '1 hour' END,
        updated_at = %(now)s
    FROM chosen c
    WHERE p.ctid = c.place AND c.state <> 'waits'
    RETURNING 1
)
SELECT (SELECT count(*) FROM claims), (SELECT max(id) FROM claims), (SELECT count(*) FROM placed)
"""


NOTE = f"""concat_ws(' ',
            CASE WHEN entry_price IS NULL THEN {changes.quoted(rules.NO_ENTRY)} END,
            CASE WHEN price IS NULL THEN {changes.quoted(rules.NO_PRICE)} END,
            CASE WHEN highest IS NULL THEN {changes.quoted(rules.EMPTY_WINDOW)} END,
            CASE WHEN entry_price IS NOT NULL
                AND (price IS NOT NULL AND percentage_change IS NULL
                  OR highest IS NOT NULL AND (max_gain IS NULL OR max_loss IS NULL))
                THEN {changes.quoted(rules.TOO_LARGE)} END)"""

SETTLE = f"""
WITH RECURSIVE {outcomes.widths()},
{OPEN_SERIES},
{outcomes.newest_of("series", series="open_series")},
claims AS MATERIALIZED (
    SELECT p.id, p.ctid AS place, s.*, p.entry_price, p.due_at AS moment,
        p.moment AS opens, p.due_at AS closes,
        CASE p.direction WHEN 'short' THEN -1 ELSE 1 END AS sign,
        NULL::numeric AS target, NULL::numeric AS stop
    FROM series s JOIN model_outcomes p
      ON p.source = s.source AND p.symbol = s.symbol AND p.granularity = s.granularity
      AND p.status = 'open' AND p.due_at <= least(%(now)s, s.newest + s.tolerance)
    WHERE p.id > %(after)s
    ORDER BY p.id LIMIT %(batch)s
    FOR NO KEY UPDATE OF p SKIP LOCKED
),
{outcomes.quotes("priced", points="claims")},
due AS MATERIALIZED (SELECT * FROM priced WHERE state <> 'waits'),
{outcomes.windows("seen", claims="due")},
verdicts AS MATERIALIZED (
    SELECT q.*, {changes.change_of("price")} AS percentage_change,
        {changes.MAX_GAIN} AS max_gain, {changes.MAX_LOSS} AS max_loss
    FROM {changes.moves("price", "highest", "lowest", of="seen")}
),
written AS (
    UPDATE model_outcomes p
    SET status = 'settled', settled_at = %(now)s, updated_at = %(now)s, due_at = NULL,
        price = v.price, percentage_change = v.percentage_change,
        max_gain = v.max_gain, max_loss = v.max_loss, is_hit = v.percentage_change > 0,
        note = v.note
    FROM (SELECT place, price, percentage_change, max_gain, max_loss, {NOTE} AS note
          FROM verdicts) v
    WHERE p.ctid = v.place
    RETURNING 1
)
SELECT (SELECT count(*) FROM claims), (SELECT max(id) FROM claims), (SELECT count(*) FROM written)
"""


def settle_claims(*, now: datetime) -> int:
    """Judge every open prediction and signal that can be judged; return how many were settled.

    A new one first gets the series of candles it is judged on, its entry (the price at its own
    time) and, where it forecasts a price, its direction. At the end of its horizon it is settled:
    a hit when the price moved in its favor, undecided where a price is missing for good. One
    whose candles may still come waits. Whoever comes late says the same as whoever was in time,
    and rows that cannot have moved are not looked at. May run twice at once.
    """
    outcomes.in_batches(PLACE, now=now)
    return outcomes.in_batches(SETTLE, now=now)
