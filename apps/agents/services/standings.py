"""The league: where agents stand in each period, and what versions of their prompts have come to.

The equity at the start of a period is the initial balance, what was realized before it, and what
was unrealized then (from the last snapshot before, if it is not more than a day older; else
nothing). A trade belongs to the period in which it was closed, to the version of the prompt of the
decision that opened it; so does what a version's calls cost, and what became of its decisions.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
import numpy as np
import pglock
from django.conf import settings
from django.db import connection, transaction

from apps.agents.choices import Period
from apps.agents.domain.league import Minimum, Record, Standing, rank, standing_of
from apps.agents.domain.performance import (
    Opened,
    deepest_fall,
    sharpe_of,
    unrealized_of,
)
from apps.agents.models import AgentStanding, TradingAgent
from apps.agents.services.benchmarks import Asked, Benchmarks, returns_of
from apps.agents.services.league_reads import (
    EPOCH,
    MICROSECOND,
    PERIODS,
    History,
    Key,
    Snapshots,
    read_histories,
    read_snapshots,
    starts,
    whole,
)
from apps.agents.services.marks import market_prices
from apps.agents.services.performance import NO_DAY_ENDS, DayEnds, day_ends
from apps.shared.quant.digits import RATIO_PLACES
from apps.shared.quant.money import EXACT, ZERO, TooLarge, kept

logger = logging.getLogger(__name__)

# Versions of an agent's prompt that are compared: those with the most decisions.
MOST_VERSIONS: Final = 20
UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=EPOCH.tzinfo)
DAY: Final = timedelta(days=1)

NO_SNAPSHOT: Final = "There is no snapshot of its account in this time."
NOT_OF_VERSIONS: Final = "Is known of the whole agent alone."
FALL_TOO_LARGE: Final = "The fall has more digits than are kept."
ELSEWHERE: Final = ("max_drawdown_percent", "sharpe_ratio", "hold_return", "equal_return")

COLUMNS: Final = tuple(
    field.attname
    for field in AgentStanding._meta.concrete_fields
    if field.attname not in ("id", "created_at")
)
# In the order given, so that the league can be read along its ids. An agent that was deleted
# meanwhile keeps nobody else from being stored.
STORE: Final = f"""
    INSERT INTO agent_standings ({", ".join(COLUMNS)})
    SELECT {", ".join(COLUMNS)} FROM ROWS FROM (
        json_populate_recordset(NULL::agent_standings, %(rows)s::json)
    ) WITH ORDINALITY AS made
    WHERE agent_id IN (SELECT id FROM trading_agents) ORDER BY ordinality
"""


def rank_agents(*, now: datetime) -> int:
    """Make the league anew: all agents in all periods, and their versions; return how many lines.

    Reads by a dozen statements, however many agents there are. An agent whose money no column can
    hold is left out, and a warning is logged.
    """
    with transaction.atomic():
        # Two at once would both delete the old lines, and then both insert theirs.
        pglock.advisory("agents.standings", xact=True).acquire()
        made = standings(now)
        sent = msgspec.json.encode([row_of(each, now) for each in made]).decode()
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM agent_standings")
            cursor.execute(STORE, {"rows": sent})
            return int(cursor.rowcount)


def standings(now: datetime) -> list[Standing]:
    """Return all lines: period by period, live and paper, those that are ranked first."""
    agents = {agent.pk: agent for agent in TradingAgent.objects.order_by("name")}
    by_version = {key: each for key, each in read_histories(now).items() if key[0] in agents}
    histories = whole(by_version)
    snapshots, ended = read_snapshots(now), day_ends(now=now)
    symbols = {trade.symbol for each in histories.values() for trade in each.open}
    prices = {symbol: each.price for symbol, each in market_prices(symbols, now=now).items()}
    # What an agent holds stands in each of its periods: marked once.
    floating = {pk: floating_of(each, prices) for pk, each in histories.items()}
    minimum = Minimum(settings.LEAGUE_MIN_TRADES, settings.LEAGUE_MIN_DAYS)
    records = {
        (agent.pk, period): record_of(
            agent,
            period,
            histories.get(agent.pk, History()),
            snapshots.get(agent.pk),
            ended.get(agent.pk, NO_DAY_ENDS),
            floating.get(agent.pk, ZERO),
            now=now,
        )
        for period in PERIODS
        for agent in agents.values()
    }
    asked = {
        key: Asked(agents[key[0]].coins, agents[key[0]].benchmark_coin, record.began_at)
        for key, record in records.items()
    }
    for key, each in returns_of(asked, now=now).items():
        compare(records[key], each)
    versions, left_out = version_records(agents, by_version, prices)
    for agent_id, count in left_out.items():
        records[agent_id, Period.ALL].reasons["prompt_versions"] = (
            f"It has {count + MOST_VERSIONS:,} versions of its prompt: the {MOST_VERSIONS} with "
            "the most decisions are compared."
        )
    leagues: dict[tuple[str, str], list[Standing]] = defaultdict(list)
    for standing in judged(records.values(), minimum):
        leagues[standing.record.period, standing.record.mode].append(standing)
    found: list[Standing] = []
    for league in leagues.values():
        rank(league)
        league.sort(key=lambda each: (each.values["rank"] is None, each.values["rank"]))
        found += league
    others = judged(versions, minimum)
    rank(others)
    return found + others


def judged(records: Iterable[Record], minimum: Minimum) -> list[Standing]:
    """Return the standings of records, but for those whose money no column can hold."""
    found = []
    for record in records:
        try:
            found.append(standing_of(record, minimum=minimum))
        except TooLarge as error:
            logger.warning("Agent %s does not stand in the league: %s", record.agent_id, error)
    return found


def record_of(
    agent: TradingAgent,
    period: Period,
    history: History,
    snapshots: Snapshots | None,
    ended: DayEnds,
    unrealized: Decimal,
    *,
    now: datetime,
) -> Record:
    """Return what is known of an agent in a period; ``unrealized`` is what it holds now."""
    start = starts(now)[period]
    tally, everything = history.tallies[PERIODS.index(period)], history.tallies[-1]
    before = snapshots.before[period] if snapshots else None
    then = before[0] if before else ZERO
    realized_before = EXACT.subtract(everything.booked, tally.booked)
    began = history.first if start is None or history.first is None else max(start, history.first)
    record = Record(
        agent_id=agent.pk,
        period=period,
        mode=agent.mode,
        currency=agent.quote_currency,
        start=EXACT.add(EXACT.add(agent.initial_balance, realized_before), then),
        began_at=began,
        days=ZERO if began is None else days_between(began, now),
        nets=history.nets_since(start),
        unrealized=EXACT.subtract(unrealized, then),
        open=len(history.open),
        **counted(tally),
    )
    initial = float(agent.initial_balance)
    total_before = float(before[1]) if before else 0.0
    fall, why = fall_of(period, start, snapshots, initial=initial, begun=initial + total_before)
    add_figure(record, "max_drawdown_percent", fall, why)
    add_figure(record, "sharpe_ratio", *sharpe_since(start, ended, initial=initial))
    return record


def version_records(
    agents: Mapping[UUID, TradingAgent],
    histories: Mapping[Key, History],
    prices: Mapping[str, Decimal],
) -> tuple[list[Record], dict[UUID, int]]:
    """Return the records of versions of prompts, over all time, and how many are left out.

    Of each agent those with the most decisions. Their days are those from the first use to the
    last, and their return is measured against the initial balance.
    """
    by_agent: dict[UUID, list[tuple[str, History]]] = defaultdict(list)
    for (agent_id, version), history in histories.items():
        if version:
            by_agent[agent_id].append((version, history))
    found, left_out = [], {}
    for agent_id, agent in agents.items():
        mine = sorted(by_agent[agent_id], key=lambda each: (-each[1].decisions, each[0]))
        if len(mine) > MOST_VERSIONS:
            left_out[agent_id] = len(mine) - MOST_VERSIONS
        for version, history in mine[:MOST_VERSIONS]:
            began, last = history.first, history.last
            found.append(
                Record(
                    agent_id=agent_id,
                    period=Period.ALL,
                    prompt_version=version,
                    mode=agent.mode,
                    currency=agent.quote_currency,
                    start=agent.initial_balance,
                    began_at=began,
                    days=days_between(began, last) if began and last else ZERO,
                    nets=history.nets,
                    unrealized=floating_of(history, prices),
                    open=len(history.open),
                    figures=dict.fromkeys(ELSEWHERE),
                    reasons=dict.fromkeys(ELSEWHERE, NOT_OF_VERSIONS),
                    **counted(history.tallies[-1]),
                )
            )
    return found, left_out


def counted(tally: Any) -> dict[str, Any]:
    """Return the counts and sums of a record."""
    names = (
        "accepted", "rejected", "failed", "unreadable", "holds", "calls", "calls_with_cost",
        "cost", "judged", "hits", "booked", "unknown",
    )  # fmt: skip
    brier = tally.squares / tally.confident if tally.confident else None
    return {name: getattr(tally, name) for name in names} | {"brier": brier}


def floating_of(history: History, prices: Mapping[str, Decimal]) -> Decimal:
    """Return what the open trades of a history would bring at these prices."""
    brought, _ = unrealized_of(
        Opened(each.side, each.size, each.entry_price, each.fees, prices.get(each.symbol))
        for each in history.open
    )
    return brought


# --- Figures of the account ---------------------------------------------------------------


def fall_of(
    period: Period,
    start: datetime | None,
    snapshots: Snapshots | None,
    *,
    initial: float,
    begun: float,
) -> tuple[Decimal | None, str]:
    """Return the largest fall of the equity in a period, in percent, or why there is none.

    Over all time it is what the newest snapshot has carried along; of a period it is measured over
    its snapshots, from ``begun``, the equity before the first of them.
    """
    if snapshots is None:
        return None, NO_SNAPSHOT
    if start is None:
        return snapshots.max_drawdown_percent, ""
    totals = snapshots.totals[snapshots.times >= (start - EPOCH) // MICROSECOND]
    if not len(totals) or begun <= 0:
        return None, NO_SNAPSHOT
    try:
        fall = deepest_fall(initial + totals, start=begun)
        return kept(Decimal(repr(fall)), "max_drawdown_percent", places=RATIO_PLACES), ""
    except TooLarge:
        return None, FALL_TOO_LARGE


def sharpe_since(
    start: datetime | None, ended: DayEnds, *, initial: float
) -> tuple[float | None, str]:
    """Return the Sharpe ratio of the days that ended since ``start``, or why there is none."""
    began = 0 if start is None else int(np.searchsorted(ended.days, (start - UNIX_EPOCH) // DAY))
    # The first return of a period leads from the day before it, where that is known.
    first = max(began - 1, 0)
    return sharpe_of(ended.days[first:], initial + ended.totals[first:])


def compare(record: Record, found: Benchmarks) -> None:
    """Add what holding would have brought."""
    add_figure(record, "hold_return", found.hold, found.hold_reason)
    add_figure(record, "equal_return", found.equal, found.equal_reason)


def add_figure(record: Record, name: str, value: Any, reason: str) -> None:
    record.figures[name] = value
    if value is None:
        record.reasons[name] = reason


def days_between(start: datetime, end: datetime) -> Decimal:
    """Return how many days lie between two moments; none where the first is not before."""
    return max(Decimal((end - start) // MICROSECOND) / (DAY // MICROSECOND), ZERO)


def row_of(standing: Standing, now: datetime) -> dict[str, Any]:
    """Return the columns of a line."""
    record = standing.record
    return {
        "agent_id": record.agent_id,
        "period": record.period,
        "prompt_version": record.prompt_version,
        "computed_at": now,
        **standing.values,
        "reasons": standing.reasons,
    }
