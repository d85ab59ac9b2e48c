"""Snapshots of how bots have done: ours for all of them at once, and what they report."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import msgspec
import numpy as np
from django.db import connection, transaction
from psycopg import Cursor

from apps.bots.choices import Origin
from apps.bots.domain.performance import (
    DEFINITIONS,
    EXACT,
    NOTHING_CARRIED,
    Booked,
    Carried,
    Figures,
    Totals,
    capital_of,
    figures_of,
    totals_of,
)
from apps.bots.domain.reported_performance import read_reported
from apps.bots.models import BotInstance, BotPerformance
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, ingest
from apps.shared.quant.periods import quarter_of

# How far the clock of a bot may be ahead of ours.
AHEAD: Final = timedelta(minutes=5)
KEY: Final = ("bot_id", "trade_type", "quote_currency", "origin", "calculated_at")
FIGURES: Final = tuple(DEFINITIONS)

# One statement, so one moment. Round trips that were closed in parts are rare: what was booked is
# what was counted, except for bots that have such (their index is tiny); those are counted apart.
# Ledgers of which every exit is archived are among them.
# Moments and amounts travel as they lie in memory, 16 bytes per exit, in any order.
LEDGERS = """
    SELECT bot_id, trade_type, quote_currency,
        bot.type, bot.currency, bot.initial_balance, coalesce(unfinished.trades, 0),
        carried.trades, carried.winning, carried.losing, carried.net,
        coalesce(booked.net, 0), coalesce(booked.won, 0), booked.most, booked.least,
        coalesce(booked.times, ''), coalesce(booked.nets, ''),
        bot_id = ANY(parted.bots), counted.trades, counted.winning, counted.losing,
        counted.won, counted.lost, counted.most, counted.least
    FROM (
        SELECT bot_id, trade_type, quote_currency,
            sum(net_pnl) AS net,
            coalesce(sum(net_pnl) FILTER (WHERE net_pnl > 0), 0) AS won,
            max(net_pnl) AS most, min(net_pnl) AS least,
            string_agg(timestamptz_send(exit_time), '') AS times,
            string_agg(float8send((net_pnl)::double precision), '') AS nets
        FROM trades
        WHERE status = 'closed' AND partial_exits = 0 {of_bots}
        GROUP BY bot_id, trade_type, quote_currency
    ) AS booked
    FULL JOIN (
        SELECT bot_id, trade_type, quote_currency, sum(trades) AS trades,
            sum(winning) AS winning, sum(losing) AS losing, sum(net_pnl) AS net
        FROM carried_results
        WHERE true {of_bots}
        GROUP BY bot_id, trade_type, quote_currency
    ) AS carried USING (bot_id, trade_type, quote_currency)
    JOIN (
        SELECT id, type, quote_currency AS currency, initial_balance FROM bot_instances
    ) AS bot ON bot.id = bot_id
    CROSS JOIN (
        SELECT ARRAY(SELECT DISTINCT bot_id FROM trades WHERE partial_exits > 0) AS bots
    ) AS parted
    LEFT JOIN (
        SELECT bot_id, trade_type, quote_currency,
            count(*) AS trades,
            count(*) FILTER (WHERE net_pnl > 0) AS winning,
            count(*) FILTER (WHERE net_pnl < 0) AS losing,
            coalesce(sum(net_pnl) FILTER (WHERE net_pnl > 0), 0) AS won,
            coalesce(sum(net_pnl) FILTER (WHERE net_pnl < 0), 0) AS lost,
            max(net_pnl) AS most, min(net_pnl) AS least
        FROM trades
        WHERE status = 'closed' AND parent_trade_id IS NULL {of_bots}
            AND bot_id = ANY(ARRAY(SELECT DISTINCT bot_id FROM trades WHERE partial_exits > 0))
        GROUP BY bot_id, trade_type, quote_currency
    ) AS counted USING (bot_id, trade_type, quote_currency)
    LEFT JOIN (
        SELECT bot_id, trade_type, quote_currency, count(*) AS trades
        FROM trades
        WHERE status = 'open' AND parent_trade_id IS NULL {of_bots}
        GROUP BY bot_id, trade_type, quote_currency
    ) AS unfinished USING (bot_id, trade_type, quote_currency)
"""

STORE = f"""
    INSERT INTO performance_metrics (
        {", ".join((*KEY, *FIGURES))}, reasons, definitions, extra_metadata
    )
    SELECT {", ".join((*KEY, *FIGURES))}, reasons,
        coalesce(definitions, %(definitions)s::jsonb), '{{}}'::jsonb
    FROM json_populate_recordset(NULL::performance_metrics, %(rows)s::json)
    ON CONFLICT ({", ".join(KEY)}) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in ("reasons", "definitions", *FIGURES))}
"""

Ledger = tuple[str, str, str]


@transaction.atomic
def snapshot_bots(*, now: datetime, bots: Iterable[str] | None = None, exact: bool = False) -> int:
    """Store the figures of every ledger (bot, trade type, currency) with something booked.

    What archived trades came to counts, also where nothing else is left. Of all bots, or of those
    named. A snapshot belongs to the quarter of an hour in which it is made: made again within it,
    it takes the place of the first. ``exact``: it belongs to ``now``.
    Returns how many ledgers there are.
    """
    found = dict(ledgers(bots))
    if found:
        store(found, now if exact else quarter_of(now))
    return len(found)


def ledgers(bots: Iterable[str] | None = None) -> Iterator[tuple[Ledger, Figures]]:
    """Yield the figures of every ledger with something booked, of all bots or of those named.

    Reads each exit once, and holds 16 bytes of it.
    """
    named = None if bots is None else sorted(set(bots))
    statement = LEDGERS.format(of_bots="" if named is None else "AND bot_id = ANY(%(bots)s)")
    connection.ensure_connection()
    # Django's own cursors cannot ask for binary answers.
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
        cursor.execute(statement, {"bots": named}, binary=True)
        rows = cursor.fetchall()
    for row in rows:
        ledger = row[:3]
        bot_type, bot_currency, balance, unfinished = row[3:7]
        capital = capital_of(
            balance,
            bot_type=bot_type,
            bot_currency=bot_currency,
            trade_type=ledger[1],
            quote_currency=ledger[2],
        )
        carried = NOTHING_CARRIED if row[7] is None else Carried(*row[7:11])
        net, won, most, least, times, nets, is_parted = row[11:18]
        booked = Booked(
            np.frombuffer(times, ">i8").astype(np.int64),
            np.frombuffer(nets, ">f8").astype(np.float64),
        )
        totals = (
            parted_totals(row[18:], net)
            if is_parted
            else whole_totals(net, won, most, least, booked)
        )
        yield (
            ledger,
            figures_of(totals, booked, capital, open_trades=unfinished, carried=carried),
        )


def whole_totals(net: Any, won: Any, most: Any, least: Any, booked: Booked) -> Totals:
    """Return the totals where every exit closed a round trip: what was booked was counted."""
    # An amount above zero stays above zero as a float: the least is 1e-18.
    winning, losing = int((booked.nets > 0).sum()), int((booked.nets < 0).sum())
    return Totals(
        trades=len(booked.nets),
        winning=winning,
        losing=losing,
        won=won,
        lost=EXACT.subtract(net, won),
        largest_win=most if winning else None,
        largest_loss=least if losing else None,
        net=net,
    )


def parted_totals(counted: Sequence[Any], net: Any) -> Totals:
    """Return the totals where round trips were counted apart; none may be closed as yet."""
    if counted[0] is None:
        return totals_of([], [net])
    trades, winning, losing, won, lost, most, least = counted
    return Totals(
        trades=trades,
        winning=winning,
        losing=losing,
        won=won,
        lost=lost,
        largest_win=most if winning else None,
        largest_loss=least if losing else None,
        net=net,
    )


def store(found: Mapping[Ledger, Figures], calculated_at: datetime) -> None:
    """Write figures under one moment, over those that stand there."""
    rows = [
        {
            **dict(zip(KEY, (*ledger, Origin.COMPUTED.value, calculated_at), strict=True)),
            **figures.values,
            "reasons": figures.reasons,
            # Those that most have are sent once.
            "definitions": None if figures.definitions is DEFINITIONS else figures.definitions,
        }
        for ledger, figures in sorted(found.items())
    ]
    sent = {"rows": msgspec.json.encode(rows).decode(), "definitions": json.dumps(DEFINITIONS)}
    with connection.cursor() as cursor:
        cursor.execute(STORE, sent)


# --- What bots report of themselves -------------------------------------------------------

# What others call the same figure; the first name that is there counts.
NAMES: Final[Mapping[str, Sequence[str]]] = {
    "sharpe_ratio": ("sharpe_ratio", "sharpe"),
    "win_rate": ("win_rate", "winrate"),
    "profit_factor": ("profit_factor",),
    "max_drawdown": ("max_drawdown", "max_drawdown_pct", "max_dd_pct"),
    "total_return": ("total_return", "total_return_pct"),
    "total_trades": ("total_trades", "trades"),
    "winning_trades": ("winning_trades", "wins"),
    "losing_trades": ("losing_trades", "losses"),
    "avg_win": ("avg_win", "average_win"),
    "avg_loss": ("avg_loss", "average_loss"),
    "largest_win": ("largest_win",),
    "largest_loss": ("largest_loss",),
    "net_pnl": ("net_pnl", "total_pnl", "total_profit_with_commission"),
    "equity": ("equity",),
    "open_trades": ("open_trades",),
}


class ReportedRow(Protocol):
    """Figures as a bot reports them: besides these, ``FIGURES``, each of which may be none."""

    bot_id: str
    trade_type: str
    quote_currency: str | None
    calculated_at: datetime
    metrics: dict[str, Any]
    extra_metadata: dict[str, Any]


@transaction.atomic
def store_reported(rows: Sequence[ReportedRow], *, now: datetime) -> Ingested:
    """Store figures as bots report them, beside ours, and say what became of each row.

    A figure is a column of the row or stands under ``metrics``, where the column counts; all of
    ``metrics`` is kept under ``extra_metadata``. Infinity and NaN, and what is no number or none
    that the column holds, are stored as empty, and ``reasons`` says so. Nothing is converted: who
    reports a fraction where percent are meant, reports it wrong. A row without a currency is given
    that of its bot.

    The same row again is *unchanged*; another one of the same bot, type, currency and moment,
    one of an unknown bot, and one from the future, are *failed*.
    """
    outcome = Ingested()
    currencies = dict(
        BotInstance.objects.filter(pk__in={row.bot_id for row in rows})
        .values_list("pk", "quote_currency")
    )  # fmt: skip
    facts: list[tuple[Any, ...]] = []
    places: list[int] = []
    for place, row in enumerate(rows):
        if row.bot_id not in currencies:
            message = f"There is no bot {row.bot_id}."
            outcome.fail(place, [FieldError("/bot_id", "unknown_bot", message)])
        elif row.calculated_at > now + AHEAD:
            message = "Lies in the future."
            outcome.fail(place, [FieldError("/calculated_at", "in_future", message)])
        else:
            if row.quote_currency is None:
                row.quote_currency = currencies[row.bot_id]
            facts.append(facts_of(row))
            places.append(place)
    stored = ingest(
        BotPerformance,
        facts,
        columns=[*KEY, *FIGURES, "reasons", "definitions", "extra_metadata"],
        key=KEY,
        on_conflict="refuse",
    )
    outcome.merge(stored, places)
    outcome.sort()
    return outcome


def facts_of(row: ReportedRow) -> tuple[Any, ...]:
    """Return a reported row column by column."""
    reasons: dict[str, str] = {}
    values = []
    for name in FIGURES:
        sent = getattr(row, name)
        if sent is None:
            sent = next((row.metrics[each] for each in NAMES[name] if each in row.metrics), None)
        value, reason = read_reported(name, sent)
        values.append(value)
        if reason:
            reasons[name] = reason
    extra = {**row.extra_metadata, **({"metrics": row.metrics} if row.metrics else {})}
    key = (row.bot_id, row.trade_type, row.quote_currency, Origin.REPORTED.value, row.calculated_at)
    return (*key, *values, reasons, {}, extra)
