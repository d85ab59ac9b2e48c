"""How agents came along, as lines of one chart: so many points each, however long they ran."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from apps.agents.domain.league import DOLLARS
from apps.market.services.bars import series_over
from apps.market.services.closes import closes_at
from apps.shared.quant.periods import QUARTER, quarter_of

# More points than that say no more in the width of a page.
SLOTS = 100
# Clocks that are wrong tell of years in which nobody traded.
LONGEST = timedelta(days=20_000)
# One probe of an index for each point: the cost does not follow the number of snapshots.
SNAPSHOTS = """
SELECT agent.id, agent.initial_balance, agent.quote_currency, slot.moment, last.snapshot_time,
    last.total_value, last.model_cost
FROM trading_agents AS agent
CROSS JOIN unnest(%(moments)s::timestamptz[]) AS slot(moment)
CROSS JOIN LATERAL (
    SELECT snapshot_time, total_value, model_cost FROM agent_performance
    WHERE agent_id = agent.id AND snapshot_time <= slot.moment
    ORDER BY snapshot_time DESC LIMIT 1
) AS last
WHERE agent.id = ANY(%(agents)s::uuid[])
ORDER BY agent.id, slot.moment
"""

Point = tuple[int, float]


@dataclass(frozen=True, slots=True)
class Window:
    """The time a chart covers, cut into slots that end at quarters of an hour."""

    start: datetime
    step: timedelta
    slots: int

    @classmethod
    def until(cls, now: datetime, since: datetime) -> "Window":
        """Return the window from ``since`` to the last quarter; a day at least."""
        end = quarter_of(now)
        span = min(max(end - since, timedelta(days=1)), LONGEST)
        step = max(-(-(span / SLOTS) // QUARTER), 1) * QUARTER
        slots = -(-span // step)
        return cls(end - slots * step, step, slots)

    @property
    def moments(self) -> list[datetime]:
        return [self.start + number * self.step for number in range(self.slots + 1)]


def returns(agents: Iterable[UUID], window: Window) -> dict[UUID, list[Point]]:
    """Return the return of each agent over the window, in percent, net of what its models cost.

    It counts from the last snapshot before the window, of an agent that began later from its
    initial balance: 100 × (equity − model cost − those at the start) / equity at the start. What
    models cost is told in US dollars: an account in another currency is shown without it. A slot
    without a snapshot of its own has no point. One statement.
    """
    asked: dict[str, Any] = {"agents": [str(each) for each in agents], "moments": window.moments}
    with connection.cursor() as cursor:
        cursor.execute(SNAPSHOTS, asked)
        rows = cursor.fetchall()
    slots: dict[UUID, list[Sequence]] = defaultdict(list)
    for agent_id, *row in rows:
        slots[agent_id].append(row)
    return {agent_id: curve(found, window) for agent_id, found in slots.items()}


def curve(slots: Sequence[Sequence], window: Window) -> list[Point]:
    """Return one agent's points; a slot is (balance, currency, moment, taken, equity, cost)."""
    initial, currency, first, _, equity, cost = slots[0]
    # Without a snapshot at the start it began inside: with its balance, and nothing spent.
    base, spent = (equity, cost) if first == window.start else (initial, Decimal(0))
    if base <= 0:
        return []
    points: list[Point] = []
    if first > window.start:
        points.append((int((first - window.step).timestamp()), 0.0))
    before = None
    for _, _, moment, taken, equity, cost in slots:
        if taken != before:
            gained = float(equity - base)
            if currency.upper() in DOLLARS:
                gained -= float(cost - spent)
            points.append((int(moment.timestamp()), gained / float(base) * 100))
        before = taken
    return points


def hold(symbol: str, window: Window) -> list[Point]:
    """Return what holding a symbol over the window returned, in percent; no points without candles.

    Of the series that holds most of it, from the first price that is known in it.
    """
    series = series_over(symbol, window.start, window.moments[-1])
    if series is None:
        return []
    found = closes_at(symbol, series.source, series.granularity, window.moments)
    first = float(found[0][1]) if found else 0.0
    return [(int(at.timestamp()), (float(close) / first - 1) * 100) for at, close in found]


def nearest(points: Sequence[Point], moment: datetime) -> datetime | None:
    """Return the time of the point at which something is marked; None before the first."""
    before = [at for at, _ in points if at <= moment.timestamp()]
    return datetime.fromtimestamp(before[-1], tz=UTC) if before else None
