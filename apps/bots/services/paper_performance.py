"""What paper portfolios are worth: ours every quarter of an hour, and what others report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import pglock
from django.db import connection, transaction

from apps.bots.choices import Origin
from apps.bots.domain.paper import (
    LIMIT,
    WIDE,
    Holdings,
    daily_sharpe,
    drawdown,
    equity,
    snapshot_moment,
    win_rate,
)
from apps.bots.models import PaperPerformance, PaperPortfolio
from apps.market.services.prices import NewestPrice, newest_prices
from apps.shared.errors import FieldError
from apps.shared.fields import plain
from apps.shared.ingest import Ingested, RowStatus, ingest

# Only what was computed here is looked back on: what others report is kept beside it.
DUE = """
SELECT p.id, p.symbol, p.initial_balance, p.usd_balance, p.btc_balance, p.realized_pnl,
    sold.wins, sold.losses, last.max_drawdown, before.total_value, held.highest
FROM paper_portfolio p
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE t.pnl > 0) AS wins, count(*) FILTER (WHERE t.pnl < 0) AS losses
    FROM paper_trades t WHERE t.portfolio_id = p.id AND t.trade_type = 'sell'
) sold
CROSS JOIN LATERAL (
    SELECT max(f.total_value) AS highest FROM paper_performance f
    WHERE f.portfolio_id = p.id AND f.origin = 'computed' AND f.timestamp < %(moment)s
) held
LEFT JOIN LATERAL (
    SELECT f.max_drawdown FROM paper_performance f
    WHERE f.portfolio_id = p.id AND f.origin = 'computed' AND f.timestamp < %(moment)s
    ORDER BY f.timestamp DESC LIMIT 1
) last ON true
LEFT JOIN LATERAL (
    SELECT f.total_value FROM paper_performance f
    WHERE f.portfolio_id = p.id AND f.origin = 'computed' AND f.timestamp < %(day)s
    ORDER BY f.timestamp DESC LIMIT 1
) before ON true
WHERE p.is_active AND NOT EXISTS (
    SELECT FROM paper_performance f
    WHERE f.portfolio_id = p.id AND f.origin = 'computed' AND f.timestamp = %(moment)s
)
ORDER BY p.id
"""

# One index probe per day, however many snapshots a day has.
DAY_ENDS = """
SELECT p.id, (d.day AT TIME ZONE 'UTC')::date, ending.total_value
FROM unnest(%(ids)s::bigint[]) AS p (id)
CROSS JOIN LATERAL (
    SELECT f.timestamp FROM paper_performance f
    WHERE f.portfolio_id = p.id AND f.origin = 'computed' AND f.timestamp < %(day)s
    ORDER BY f.timestamp LIMIT 1
) first
CROSS JOIN LATERAL generate_series(
    date_trunc('day', first.timestamp, 'UTC'), %(day)s - interval '86400 seconds',
    interval '86400 seconds'
) AS d (day)
CROSS JOIN LATERAL (
    SELECT f.total_value FROM paper_performance f
    WHERE f.portfolio_id = p.id AND f.origin = 'computed'
      AND f.timestamp >= d.day AND f.timestamp < d.day + interval '86400 seconds'
    ORDER BY f.timestamp DESC LIMIT 1
) ending
"""

# A trade that came in between has marked the portfolio anew itself.
MARK = """
UPDATE paper_portfolio p SET total_pnl = v.total_pnl
FROM unnest(%(ids)s::bigint[], %(cash)s::numeric[], %(asset)s::numeric[], %(total_pnl)s::numeric[])
    AS v (id, cash, asset, total_pnl)
WHERE p.id = v.id AND p.is_active AND p.usd_balance = v.cash AND p.btc_balance = v.asset
  AND p.total_pnl <> v.total_pnl
"""

FIGURES = (
    "total_value",
    "daily_pnl",
    "total_pnl",
    "win_rate",
    "sharpe_ratio",
    "max_drawdown",
    "price",
)
COLUMNS = ("portfolio_id", "timestamp", "origin", *FIGURES)


class Due(NamedTuple):
    """A portfolio that has no snapshot yet, and what its history says."""

    id: int
    symbol: str
    initial: Decimal
    cash: Decimal
    asset: Decimal
    realized: Decimal
    wins: int
    losses: int
    deepest: Decimal | None
    at_midnight: Decimal | None
    highest: Decimal | None


@transaction.atomic
def snapshot_portfolios(*, now: datetime) -> int:
    """Mark all active portfolios to market, once per quarter of an hour; return how many.

    - ``total_value``: cash + asset × newest price; a portfolio that holds an asset without any
      price is left out.
    - ``daily_pnl``: against the last snapshot before midnight (UTC); on its first day, against
      the initial balance. ``total_pnl``: against the initial balance.
    - ``win_rate``: percent of its sales with a profit, of those with a profit or loss.
    - ``sharpe_ratio``: of the values at the ends of days, see ``domain.paper.daily_sharpe``.
    - ``max_drawdown``: percent, the deepest fall of a snapshot below the highest before it, the
      initial balance included.
    """
    moment = snapshot_moment(now)
    day = moment.replace(hour=0, minute=0)
    with connection.cursor() as cursor:
        cursor.execute(DUE, {"moment": moment, "day": day})
        due = [Due(*row) for row in cursor.fetchall()]
    prices = newest_prices([each.symbol for each in due if each.asset], now=now)
    ends = day_ends([each.id for each in due], day=day)
    found = [
        snapshot
        for each in due
        if (snapshot := snapshot_of(each, prices.get(each.symbol), ends[each.id], moment))
    ]
    PaperPerformance.objects.bulk_create(found, ignore_conflicts=True)
    mark({each.id: each for each in due}, found)
    return len(found)


def day_ends(ids: Sequence[int], *, day: datetime) -> dict[int, dict[date, Decimal]]:
    """Return the last value of each day before ``day``, by portfolio."""
    found: dict[int, dict[date, Decimal]] = defaultdict(dict)
    if ids:
        with connection.cursor() as cursor:
            cursor.execute(DAY_ENDS, {"ids": list(ids), "day": day})
            for portfolio_id, ended, value in cursor.fetchall():
                found[portfolio_id][ended] = value
    return found


def snapshot_of(
    due: Due, newest: NewestPrice | None, ends: dict[date, Decimal], moment: datetime
) -> PaperPerformance | None:
    """Return the snapshot of a portfolio; None while its value is not known."""
    price = newest.price if newest is not None and due.asset else None
    holdings = Holdings(due.initial, due.cash, due.asset, due.realized)
    value = equity(holdings, price)
    if value is None or value >= LIMIT:
        return None
    peak = max(due.initial, due.highest or due.initial, value)
    sharpe = daily_sharpe(due.initial, ends)
    begun = due.initial if due.at_midnight is None else due.at_midnight
    return PaperPerformance(
        portfolio_id=due.id,
        timestamp=moment,
        origin=Origin.COMPUTED,
        price=price,
        total_value=plain(value),
        daily_pnl=WIDE.subtract(value, begun),
        total_pnl=WIDE.subtract(value, due.initial),
        win_rate=win_rate(due.wins, due.losses),
        sharpe_ratio=None if sharpe is None else sharpe.value,
        max_drawdown=max(due.deepest or Decimal(0), drawdown(value, peak)),
    )


def mark(due: dict[int, Due], snapshots: Sequence[PaperPerformance]) -> None:
    """Give portfolios the total P&L of their snapshot; a trade is not the last word on it."""
    held = [due[each.portfolio_id] for each in snapshots if each.portfolio_id is not None]
    values: dict[str, Any] = {
        "ids": [each.id for each in held],
        "cash": [each.cash for each in held],
        "asset": [each.asset for each in held],
        "total_pnl": [each.total_pnl for each in snapshots],
    }
    with connection.cursor() as cursor:
        cursor.execute(MARK, values)


# --- What others report -------------------------------------------------------------------


class PerformanceLike(Protocol):
    """A report as it arrives: whatever has these values."""

    @property
    def portfolio_id(self) -> int | None: ...
    @property
    def timestamp(self) -> datetime: ...
    @property
    def total_value(self) -> Decimal: ...
    @property
    def daily_pnl(self) -> Decimal | None: ...
    @property
    def total_pnl(self) -> Decimal | None: ...
    @property
    def win_rate(self) -> Decimal | None: ...
    @property
    def sharpe_ratio(self) -> float | None: ...
    @property
    def max_drawdown(self) -> Decimal | None: ...
    @property
    def price(self) -> Decimal | None: ...


@transaction.atomic
def store_reported(
    rows: Sequence[PerformanceLike], *, now: datetime, within: Any = None
) -> Ingested:
    """Keep what others say of portfolios beside what is computed here.

    Without a ``portfolio_id`` it is about no portfolio of ours. ``within`` is the queryset of the
    portfolios the sender may speak of; another one is unknown to him.
    """
    named = {row.portfolio_id for row in rows if row.portfolio_id is not None}
    portfolios = PaperPortfolio.objects.all() if within is None else within
    known = set(portfolios.filter(pk__in=named).values_list("pk", flat=True))
    outcome = Ingested()
    of_ours: list[int] = []
    of_others: list[int] = []
    for place, row in enumerate(rows):
        if row.portfolio_id is not None and row.portfolio_id not in known:
            message = f"There is no paper portfolio {row.portfolio_id}."
            error = FieldError("/portfolio_id", "unknown_portfolio", message)
            outcome.fail(place, [error])
        else:
            (of_others if row.portfolio_id is None else of_ours).append(place)
    stored = ingest(
        PaperPerformance,
        [values_of(rows[place]) for place in of_ours],
        columns=COLUMNS,
        key=["portfolio_id", "timestamp", "origin"],
        on_conflict="refuse",
    )
    outcome.merge(stored, of_ours)
    if of_others:
        outcome.merge(store_unnamed([rows[place] for place in of_others]), of_others)
    outcome.sort()
    return outcome


def values_of(row: PerformanceLike) -> tuple[Any, ...]:
    figures = (getattr(row, name) for name in FIGURES)
    return (row.portfolio_id, row.timestamp, Origin.REPORTED.value, *figures)


def store_unnamed(rows: Sequence[PerformanceLike]) -> Ingested:
    """Store reports on no portfolio of ours, one per moment."""
    # A key with an empty part holds nobody out: one writer at a time does.
    pglock.advisory("bots.paper_performance.unnamed", xact=True).acquire()
    reported = PaperPerformance.objects.filter(portfolio=None, origin=Origin.REPORTED)
    held = {
        each.timestamp: each
        for each in reported.filter(timestamp__in=[row.timestamp for row in rows])
    }
    outcome = Ingested()
    new = []
    for place, row in enumerate(rows):
        known = held.get(row.timestamp)
        if known is None:
            values = dict(zip(COLUMNS, values_of(row), strict=True))
            held[row.timestamp] = PaperPerformance(**values)
            new.append(held[row.timestamp])
            outcome.note(place, RowStatus.CREATED)
            continue
        message = "Differs from the stored value."
        errors = [
            FieldError(f"/{name}", "differs", message)
            for name in FIGURES
            if getattr(known, name) != getattr(row, name)
        ]
        outcome.note(place, RowStatus.FAILED if errors else RowStatus.UNCHANGED, errors)
    PaperPerformance.objects.bulk_create(new)
    return outcome
