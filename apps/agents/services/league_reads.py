"""What the league is made of, read for all agents at once: one statement per table.

Counts and costs come from indexes alone. Trades travel as they lie in memory, 16 bytes each.
Everything is read per agent and version of its prompt, for three periods at a time: those of all
versions are added up afterwards.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np
from django.db import connection
from numpy.typing import NDArray
from psycopg import Cursor

from apps.agents.choices import Action, DecisionStatus, Period
from apps.agents.domain.accounts import OpenTrade
from apps.shared.quant.money import EXACT, ZERO

# How far back each period looks; the order in which all is read.
BACK: Final[Mapping[Period, timedelta | None]] = {
    Period.WEEK: timedelta(days=7),
    Period.MONTH: timedelta(days=30),
    Period.ALL: None,
}
PERIODS: Final = tuple(BACK)
# PostgreSQL counts microseconds from here.
EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)

# An agent and a version of its prompt.
Key = tuple[UUID, str]
Amounts = NDArray[np.float64]
Moments = NDArray[np.int64]


def periods(*expressions: str, moment: str) -> str:
    """Return aggregates once per period, in the order of ``PERIODS``: the FILTER is theirs."""
    return ", ".join(
        f"{expression} FILTER (WHERE {moment} >= %({period.name.lower()})s)"
        for period in PERIODS
        for expression in expressions
    )


COUNTS: Final = f"""
    SELECT agent_id, prompt_version, status, action = '{Action.HOLD}',
        min(timestamp), max(timestamp), {periods("count(*)", moment="timestamp")}
    FROM agent_decisions
    GROUP BY agent_id, prompt_version, status, action = '{Action.HOLD}'
"""
CALLS: Final = f"""
    SELECT agent_id, prompt_version,
        {periods("count(*)", "count(cost)", "sum(cost)", moment="timestamp")}
    FROM llm_calls GROUP BY agent_id, prompt_version
"""
# Of decisions that were accepted: what was not let through stands in the scorecards.
OUTCOMES: Final = f"""
    SELECT agent_id, prompt_version, {
    periods(
        "count(*)",
        "sum(is_hit::int)",
        "count(confidence)",
        "sum((confidence::double precision - is_hit::int) ^ 2)",
        moment="moment",
    )
}
    FROM decision_outcomes WHERE is_hit IS NOT NULL AND is_accepted
    GROUP BY agent_id, prompt_version
"""
CLOSED: Final = f"""
    SELECT t.agent_id, coalesce(d.prompt_version, ''), min(t.exit_time), max(t.exit_time),
        coalesce(string_agg(timestamptz_send(t.exit_time), '')
            FILTER (WHERE t.realized_pnl IS NOT NULL), ''),
        coalesce(string_agg(float8send(t.realized_pnl::double precision), ''), ''),
        {periods("sum(t.realized_pnl)", "count(*)", "count(t.realized_pnl)", moment="t.exit_time")}
    FROM agent_trades t LEFT JOIN agent_decisions d ON d.id = t.decision_id
    WHERE t.status IN ('closed', 'liquidated')
    GROUP BY t.agent_id, coalesce(d.prompt_version, '')
"""
OPEN: Final = f"""
    SELECT t.agent_id, coalesce(d.prompt_version, ''), t.entry_time,
        {", ".join(f"t.{name}" for name in OpenTrade._fields)}
    FROM agent_trades t LEFT JOIN agent_decisions d ON d.id = t.decision_id
    WHERE t.status = 'open'
"""
# The snapshots of the longest period that is not all of them, the last one before each period
# (unless it is more than a day older), and the newest.
COURSES: Final = """
    SELECT agent.id, newest.max_drawdown_percent,
        week.unrealized_pnl, week.total_pnl, month.unrealized_pnl, month.total_pnl,
        course.times, course.totals
    FROM trading_agents agent
    CROSS JOIN LATERAL (
        SELECT p.max_drawdown_percent FROM agent_performance p WHERE p.agent_id = agent.id
        ORDER BY p.snapshot_time DESC LIMIT 1
    ) newest
    CROSS JOIN LATERAL (
        SELECT string_agg(timestamptz_send(p.snapshot_time), '' ORDER BY p.snapshot_time) AS times,
            string_agg(float8send(p.total_pnl::double precision), '' ORDER BY p.snapshot_time)
                AS totals
        FROM agent_performance p
        WHERE p.agent_id = agent.id AND p.snapshot_time >= %(month)s
    ) course
    LEFT JOIN LATERAL (
        SELECT p.unrealized_pnl, p.total_pnl FROM agent_performance p
        WHERE p.agent_id = agent.id AND p.snapshot_time < %(week)s
            AND p.snapshot_time >= %(week)s - interval '24 hours'
        ORDER BY p.snapshot_time DESC LIMIT 1
    ) week ON true
    LEFT JOIN LATERAL (
        SELECT p.unrealized_pnl, p.total_pnl FROM agent_performance p
        WHERE p.agent_id = agent.id AND p.snapshot_time < %(month)s
            AND p.snapshot_time >= %(month)s - interval '24 hours'
        ORDER BY p.snapshot_time DESC LIMIT 1
    ) month ON true
"""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What is counted and added up of a version, or of an agent, in one period."""

    accepted: int = 0
    rejected: int = 0
    failed: int = 0
    unreadable: int = 0
    holds: int = 0
    calls: int = 0
    calls_with_cost: int = 0
    cost: Decimal = ZERO
    judged: int = 0
    hits: int = 0
    confident: int = 0
    squares: float = 0.0
    booked: Decimal = ZERO
    unknown: int = 0

    def add(self, other: "Tally") -> None:
        """Add what was counted of another version."""
        for name in self.__dataclass_fields__:
            mine, its = getattr(self, name), getattr(other, name)
            added = EXACT.add(mine, its) if isinstance(mine, Decimal) else mine + its
            setattr(self, name, added)


STATUSES: Final[Mapping[str, str]] = {
    DecisionStatus.SUCCESS: "accepted",
    DecisionStatus.REJECTED: "rejected",
    DecisionStatus.FAILED: "failed",
    DecisionStatus.PARSING_ERROR: "unreadable",
}


@dataclass(slots=True)
class History:
    """All that is known of an agent, or of one version of its prompt.

    ``tallies`` are of ``PERIODS`` in order. ``times`` and ``nets`` are the exits of the trades
    whose P&L is known, in microseconds since 2000, in any order. ``first`` and ``last`` are when
    it decided or traded.
    """

    tallies: tuple[Tally, ...] = field(default_factory=lambda: tuple(Tally() for _ in PERIODS))
    times: Moments = field(default_factory=lambda: np.empty(0, np.int64))
    nets: Amounts = field(default_factory=lambda: np.empty(0))
    open: list[OpenTrade] = field(default_factory=list)
    first: datetime | None = None
    last: datetime | None = None

    @property
    def decisions(self) -> int:
        whole = self.tallies[-1]
        return whole.accepted + whole.rejected + whole.failed + whole.unreadable

    def seen(self, *moments: datetime | None) -> None:
        """Note that something happened at these moments."""
        told = [each for each in (self.first, self.last, *moments) if each is not None]
        self.first, self.last = min(told, default=None), max(told, default=None)

    def nets_since(self, start: datetime | None) -> Amounts:
        """Return the nets of a period; ``None`` is all of it."""
        if start is None:
            return self.nets
        return self.nets[self.times >= (start - EPOCH) // MICROSECOND]


class Snapshots(NamedTuple):
    """What the snapshots of an agent say of its periods.

    ``before`` has, for a week and a month, what was unrealized and the total P&L when it began;
    ``None`` where no snapshot tells. ``times`` and ``totals`` are of the last month, rising.
    """

    max_drawdown_percent: Decimal
    before: Mapping[Period, tuple[Decimal, Decimal] | None]
    times: Moments
    totals: Amounts


def starts(now: datetime) -> dict[Period, datetime | None]:
    """Return when each period begins; none for all time."""
    return {period: None if back is None else now - back for period, back in BACK.items()}


def read_histories(now: datetime) -> dict[Key, History]:
    """Return what is known of each agent and version of its prompt that has something to show."""
    found: dict[Key, History] = defaultdict(History)
    for agent, version, status, is_hold, first, last, *counts in rows(COUNTS, now):
        history = found[agent, version]
        history.seen(first, last)
        for tally, count in zip(history.tallies, counts, strict=True):
            name = STATUSES[status]
            setattr(tally, name, getattr(tally, name) + count)
            tally.holds += count if is_hold else 0
    for agent, version, *sums in rows(CALLS, now):
        for tally, (calls, known, cost) in zip(
            found[agent, version].tallies, chunks(sums, 3), strict=True
        ):
            tally.calls, tally.calls_with_cost, tally.cost = calls, known, cost or ZERO
    for agent, version, *sums in rows(OUTCOMES, now):
        for tally, (judged, hits, confident, squares) in zip(
            found[agent, version].tallies, chunks(sums, 4), strict=True
        ):
            tally.judged, tally.hits = judged, hits or 0
            tally.confident, tally.squares = confident, squares or 0.0
    for agent, version, first, last, times, nets, *sums in rows(CLOSED, now):
        history = found[agent, version]
        history.seen(first, last)
        history.times = np.frombuffer(times, ">i8").astype(np.int64)
        history.nets = np.frombuffer(nets, ">f8").astype(np.float64)
        for tally, (booked, over, known) in zip(history.tallies, chunks(sums, 3), strict=True):
            tally.booked, tally.unknown = booked or ZERO, over - known
    for agent, version, entry_time, *values in rows(OPEN, now):
        history = found[agent, version]
        history.seen(entry_time)
        history.open.append(OpenTrade(*values))
    return dict(found)


def read_snapshots(now: datetime) -> dict[UUID, Snapshots]:
    """Return the snapshots of each agent that has any."""
    found = {}
    for agent, fall, *before, times, totals in rows(COURSES, now):
        week, month = chunks(before, 2)
        found[agent] = Snapshots(
            fall,
            {
                Period.WEEK: None if week[0] is None else (week[0], week[1]),
                Period.MONTH: None if month[0] is None else (month[0], month[1]),
                Period.ALL: None,
            },
            np.frombuffer(times or b"", ">i8").astype(np.int64),
            np.frombuffer(totals or b"", ">f8").astype(np.float64),
        )
    return found


def whole(histories: Mapping[Key, History]) -> dict[UUID, History]:
    """Return the history of each agent: that of all versions of its prompt."""
    parts: dict[UUID, list[History]] = defaultdict(list)
    for (agent, _), history in histories.items():
        parts[agent].append(history)
    found = {}
    for agent, each in parts.items():
        history = found[agent] = History()
        for part in each:
            history.seen(part.first, part.last)
            history.open += part.open
            for mine, its in zip(history.tallies, part.tallies, strict=True):
                mine.add(its)
        history.times = np.concatenate([part.times for part in each])
        history.nets = np.concatenate([part.nets for part in each])
    return found


def rows(statement: str, now: datetime) -> list[Any]:
    """Return the rows of a statement that takes the starts of the periods."""
    given = {period.name.lower(): start or LONG_AGO for period, start in starts(now).items()}
    connection.ensure_connection()
    # Django's own cursors cannot ask for binary answers.
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
        cursor.execute(statement.encode(), given, binary=True)
        return cursor.fetchall()


def chunks(values: list[Any], size: int) -> Iterator[list[Any]]:
    """Yield a list in pieces of one size."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
