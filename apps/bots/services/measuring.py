"""What limits are measured by, and the statements that measure and fire them: pure SQL.

**Prices.** A stop loss or take profit looks at the series that gives its symbol the newest price
(``services/prices``), and there at finished candles that began after the limit was set or last
changed. The first of them that touches the price fires: ``triggered_at`` is its *start*, the
``trigger_price`` the limit's own, or the candle's open where it opened beyond. Each look reaches
a day further back than the last one came, so candles that arrive late are not missed. A limit of
a lot that is sold out waits.

**The operator's limits**, over what lies within bot, symbol, type and currency:

- daily loss: −Σ net P&L of the parts that were closed on the UTC day of ``now``;
- drawdown: how far the equity (initial balances, net P&L of all closed parts, open trades at the
  newest price) stands below the peak of the realized balance, in percent; of bots that have an
  initial balance, and with a symbol of those that trade it. The balance begins with what archived
  trades came to: a peak that lies among them is forgotten. Without anything left, it is 100;
- exposure: Σ of what is left of open trades × the newest price, however old, else × their entry;
- trades per hour: round trips that were told to us within the last sixty minutes.

What is not known (no price, no capital) is null, and does not fire.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from apps.bots.choices import LimitType
from apps.bots.domain.limits import MOST_USAGE, PRICE_KINDS
from apps.market.services.outcomes import widths
from apps.market.services.prices import newest_series

# How far back of the last look candles are looked for that were not there then.
LATE = timedelta(days=1)
HOUR = timedelta(hours=1)
# What fits a column of money, far beyond any money.
LARGEST = 10**19

LOCKED = """SELECT * FROM trading_limits
    WHERE status = 'active' AND limit_type = ANY(%(kinds)s)
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED"""


def stored_share(share: str) -> str:
    """Return the expression of a share as ``domain.limits.within`` has it; null stays null."""
    # least() and greatest() pass over nulls.
    return f"""CASE WHEN {share} IS NOT NULL
            THEN round(least(greatest({share}, 0), %(most)s), 8) END"""


# --- Prices -------------------------------------------------------------------------------

USED_WAY = """(n.begun - coalesce(n.touched_price, n.price))
            / nullif(n.begun - n.wanted, 0)"""
# What was before is not looked at again, but for a day in which candles may still have arrived.
SINCE = "greatest(a.created_at, a.counts_from, a.evaluated_until - %(late)s)"
ABOVE = "((a.limit_type = 'take_profit') = (a.direction = 'long'))"

# The extremes of each series are read once and say which limits it is worth looking for a touch of.
FIRE_PRICES = f"""
WITH {widths()},
active AS MATERIALIZED ({LOCKED}),
{newest_series("chosen", asked="active")},
extremes AS MATERIALIZED (
    SELECT s.symbol, inside.highest, inside.lowest
    FROM (SELECT a.symbol, min({SINCE}) AS since FROM active a GROUP BY a.symbol) f
    JOIN chosen s ON s.symbol = f.symbol
    CROSS JOIN LATERAL (
        SELECT max(c.high) AS highest, min(c.low) AS lowest FROM candles c
        WHERE c.symbol = s.symbol AND c.source = s.source AND c.granularity = s.granularity
          AND c.timestamp >= f.since AND c.timestamp <= s.newest - s.width
    ) inside
),
seen AS (
    SELECT a.id, a.price AS wanted, s.newest, s.price,
        coalesce(a.reference_price, s.price) AS begun, touch.timestamp AS touched_at,
        CASE WHEN touch.timestamp IS NULL THEN NULL
            WHEN {ABOVE} THEN greatest(touched.open, a.price)
            ELSE least(touched.open, a.price) END AS touched_price
    FROM active a
    LEFT JOIN positions p ON p.lot_id = a.lot_id
    LEFT JOIN chosen s ON s.symbol = a.symbol
    LEFT JOIN extremes e ON e.symbol = a.symbol
    LEFT JOIN LATERAL (
        SELECT c.timestamp FROM candles c
        WHERE c.symbol = s.symbol AND c.source = s.source AND c.granularity = s.granularity
          AND c.timestamp >= {SINCE}
          AND c.timestamp <= s.newest - s.width
          AND (a.lot_id IS NULL OR p.total_size > 0)
          AND CASE WHEN {ABOVE} THEN e.highest >= a.price ELSE e.lowest <= a.price END
          AND CASE WHEN {ABOVE} THEN c.high >= a.price ELSE c.low <= a.price END
        ORDER BY c.timestamp LIMIT 1
    ) touch ON true
    LEFT JOIN candles touched ON touched.symbol = s.symbol AND touched.source = s.source
      AND touched.granularity = s.granularity AND touched.timestamp = touch.timestamp
),
changed AS (
    UPDATE trading_limits l SET
        current_value = n.price,
        reference_price = n.begun,
        usage = CASE WHEN n.touched_at IS NULL THEN {stored_share(USED_WAY)}
            ELSE greatest({stored_share(USED_WAY)}, 1) END,
        evaluated_at = %(now)s,
        evaluated_until = greatest(l.evaluated_until, n.newest),
        status = CASE WHEN n.touched_at IS NULL THEN l.status ELSE 'triggered' END,
        triggered_at = n.touched_at,
        trigger_price = n.touched_price,
        triggered_value = n.touched_price,
        updated_at = CASE WHEN n.touched_at IS NULL THEN l.updated_at ELSE %(now)s END
    FROM seen n WHERE l.id = n.id AND l.status = 'active'
    RETURNING l.id, l.status
)
SELECT id FROM changed WHERE status = 'triggered' ORDER BY id
"""

# --- What the operator allows -------------------------------------------------------------


def within(limit: str, row: str) -> str:
    """Return the condition that rows of trades, or sums of them, lie within a limit."""
    return f"""{row}.trade_type = {limit}.type
        AND ({limit}.bot_id IS NULL OR {row}.bot_id = {limit}.bot_id)
        AND ({limit}.symbol = '' OR {row}.symbol = {limit}.symbol)
        AND ({limit}.currency = '' OR {row}.quote_currency = {limit}.currency)"""


GROUPS = "bot_id, trade_type, symbol, quote_currency"

# Sums per bot and symbol first: a row of trades is read once, however many limits hold it.
DAILY_LOSS = f"""booked AS MATERIALIZED (
    SELECT {GROUPS}, sum(net_pnl) AS net FROM trades
    WHERE status = 'closed' AND partial_exits = 0
      AND exit_time >= %(day)s AND exit_time < %(next_day)s
    GROUP BY {GROUPS}
),
measured AS (
    SELECT a.id, -coalesce(sum(t.net), 0) AS value
    FROM active a LEFT JOIN booked t ON {within("a", "t")} GROUP BY a.id
)"""

TRADES_PER_HOUR = f"""counted AS MATERIALIZED (
    SELECT {GROUPS}, count(*) AS trades FROM trades
    WHERE parent_trade_id IS NULL AND created_at > %(hour_ago)s AND created_at <= %(now)s
    GROUP BY {GROUPS}
),
measured AS (
    SELECT a.id, coalesce(sum(t.trades), 0) AS value
    FROM active a LEFT JOIN counted t ON {within("a", "t")} GROUP BY a.id
)"""

OPEN_TRADES = f"""opened AS MATERIALIZED (
    SELECT {GROUPS}, direction, entry_price, coalesce(remaining_position_size, size) AS size
    FROM trades
    WHERE status = 'open' AND parent_trade_id IS NULL
      AND trade_type IN (SELECT type FROM active)
),
{newest_series("chosen", asked="opened")},
held AS MATERIALIZED (
    SELECT {GROUPS},
        sum(abs(t.size * coalesce(c.price, t.entry_price))) AS exposure,
        sum(t.size * (c.price - t.entry_price) * CASE t.direction WHEN 'long' THEN 1 ELSE -1 END)
            AS unrealized
    FROM opened t LEFT JOIN chosen c USING (symbol)
    GROUP BY {GROUPS}
)"""

EXPOSURE = f"""{OPEN_TRADES},
measured AS (
    SELECT a.id, coalesce(sum(t.exposure), 0) AS value
    FROM active a LEFT JOIN held t ON {within("a", "t")} GROUP BY a.id
)"""

# Plain equalities, so that trades are found by hash or index and not bot by bot.
OF_CAPITAL = """t.bot_id = c.bot_id AND t.trade_type = c.type AND t.quote_currency = c.currency
      AND (c.symbol = '' OR t.symbol = c.symbol)"""

DRAWDOWN = f"""{OPEN_TRADES},
capital AS MATERIALIZED (
    SELECT a.id, a.type, a.symbol, a.currency, b.id AS bot_id, b.initial_balance
    FROM active a JOIN bot_instances b
      ON b.type = a.type AND b.initial_balance > 0 AND b.quote_currency = a.currency
      AND (a.bot_id IS NULL OR b.id = a.bot_id)
    WHERE a.symbol = '' OR b.symbol = a.symbol OR EXISTS (
        SELECT FROM trades t
        WHERE t.bot_id = b.id AND t.trade_type = a.type AND t.symbol = a.symbol)
    OR EXISTS (
        SELECT FROM carried_results t
        WHERE t.bot_id = b.id AND t.trade_type = a.type AND t.symbol = a.symbol)
),
carried AS (
    SELECT c.id, sum(t.net_pnl) AS net
    FROM capital c JOIN carried_results t ON {OF_CAPITAL} GROUP BY c.id
),
begun AS (
    SELECT id, capital.initial + coalesce(carried.net, 0) AS initial
    FROM (SELECT id, sum(initial_balance) AS initial FROM capital GROUP BY id) AS capital
    LEFT JOIN carried USING (id)
),
results AS (
    SELECT c.id, t.net_pnl,
        sum(t.net_pnl) OVER (PARTITION BY c.id ORDER BY t.exit_time) AS balance
    FROM capital c JOIN trades t ON {OF_CAPITAL}
    WHERE t.status = 'closed' AND t.partial_exits = 0
),
realized AS (
    SELECT id, greatest(max(balance), 0) AS highest, sum(net_pnl) AS net FROM results GROUP BY id
),
marked AS (
    SELECT c.id, sum(t.unrealized) AS unrealized
    FROM capital c JOIN held t ON {OF_CAPITAL} GROUP BY c.id
),
measured AS (
    SELECT id, CASE WHEN initial + coalesce(highest, 0) > 0 THEN round(greatest(
        (coalesce(highest, 0) - coalesce(net, 0) - coalesce(unrealized, 0)) * 100
            / (initial + coalesce(highest, 0)), 0), 18) ELSE 100 END AS value
    FROM begun LEFT JOIN realized USING (id) LEFT JOIN marked USING (id)
)"""

MEASURES: Mapping[LimitType, str] = {
    LimitType.MAX_DAILY_LOSS: DAILY_LOSS,
    LimitType.MAX_DRAWDOWN: DRAWDOWN,
    LimitType.MAX_EXPOSURE: EXPOSURE,
    LimitType.MAX_TRADES_PER_HOUR: TRADES_PER_HOUR,
}


def fire_measured(measure: str) -> str:
    """Return the statement that fires those limits whose ``measured`` value is reached."""
    return f"""
WITH {widths()},
active AS MATERIALIZED ({LOCKED}),
{measure},
weighed AS (
    SELECT a.id, CASE WHEN m.value IS NOT NULL
            THEN greatest(least(m.value, %(largest)s), -%(largest)s) END AS value,
        coalesce(m.value >= a.threshold, false) AS fires
    FROM active a LEFT JOIN measured m USING (id)
),
changed AS (
    UPDATE trading_limits l SET
        current_value = n.value,
        usage = {stored_share("n.value / l.threshold")},
        evaluated_at = %(now)s,
        status = CASE WHEN n.fires THEN 'triggered' ELSE l.status END,
        triggered_at = CASE WHEN n.fires THEN %(now)s END,
        triggered_value = CASE WHEN n.fires THEN n.value END,
        updated_at = CASE WHEN n.fires THEN %(now)s ELSE l.updated_at END
    FROM weighed n WHERE l.id = n.id AND l.status = 'active'
    RETURNING l.id, l.status
)
SELECT id FROM changed WHERE status = 'triggered' ORDER BY id
"""


STATEMENTS: Sequence[tuple[frozenset[LimitType], str]] = [
    (PRICE_KINDS, FIRE_PRICES),
    *((frozenset({kind}), fire_measured(measure)) for kind, measure in MEASURES.items()),
]


def parameters(kinds: Sequence[str], *, now: datetime) -> dict[str, Any]:
    """Return what every statement is run with."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "kinds": list(kinds),
        "now": now,
        "late": LATE,
        "day": day,
        "next_day": day + timedelta(days=1),
        "hour_ago": now - HOUR,
        "largest": LARGEST,
        "most": MOST_USAGE,
    }
