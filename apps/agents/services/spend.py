"""What agents spend on their models in a day, and who is told when it comes near the budget."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.contrib.admin.utils import quote
from django.db import connection, transaction

from apps.agents.domain.costs import BudgetState, budget_state, day_of
from apps.agents.models import TradingAgent
from apps.logs.choices import NotificationLevel
from apps.logs.services.notifications import notify_all
from apps.shared.fields import plain_text

SPENT = """
SELECT agent_id, coalesce(sum(cost), 0), count(*), count(*) - count(cost)
FROM llm_calls
WHERE agent_id = ANY(%(agents)s) AND timestamp >= %(begin)s AND timestamp < %(end)s
GROUP BY agent_id
"""
LEVELS: Final[Mapping[BudgetState, NotificationLevel]] = {
    BudgetState.WARNING: NotificationLevel.WARNING,
    BudgetState.OVER: NotificationLevel.CRITICAL,
}
WHATS: Final[Mapping[BudgetState, str]] = {
    BudgetState.WARNING: "agent_budget_warning",
    BudgetState.OVER: "agent_over_budget",
}
TITLES: Final[Mapping[BudgetState, str]] = {
    BudgetState.WARNING: "Near its budget",
    BudgetState.OVER: "Over its budget",
}


class Spent(NamedTuple):
    """What an agent spent in a day: US dollars, its calls, and those whose cost is not known."""

    amount: Decimal
    calls: int
    unpriced: int


NOTHING: Final = Spent(Decimal(0), 0, 0)


def spent_on(agent_ids: Collection[uuid.UUID], day: datetime) -> dict[uuid.UUID, Spent]:
    """Return what each agent spent on the UTC day that holds ``day``, calls of that day alone.

    A call belongs to the day of its own timestamp, whenever it was told. Calls whose cost is not
    known count as nothing, and are counted. Agents without a call spent ``NOTHING``.
    """
    found = dict.fromkeys(agent_ids, NOTHING)
    if not found:
        return found
    begin, end = day_of(day)
    with connection.cursor() as cursor:
        cursor.execute(SPENT, {"agents": list(found), "begin": begin, "end": end})
        for agent_id, amount, calls, unpriced in cursor.fetchall():
            found[agent_id] = Spent(amount, calls, unpriced)
    return found


def spent_today(agent_ids: Collection[uuid.UUID], *, now: datetime) -> dict[uuid.UUID, Spent]:
    """Return what each agent spent so far on the UTC day of ``now``."""
    return spent_on(agent_ids, now)


def lock_agents(agent_ids: Collection[uuid.UUID]) -> list[TradingAgent]:
    """Lock agents in the order of their ids, for as long as the transaction lasts.

    Of two that store calls of an agent at once the second sees what the first has stored.
    """
    rows = TradingAgent.objects.filter(pk__in=agent_ids).order_by("pk")
    return list(rows.select_for_update(no_key=True))


@transaction.atomic
def note_spend(*, agent_ids: Collection[uuid.UUID], now: datetime) -> int:
    """Tell staff of agents whose spend of today has come near their budget, or is over it.

    To be called where calls were stored or priced, in that transaction. Near is 80 % of the daily
    budget (``domain.costs.budget_state``); each is told once per agent and day, and again only for
    another budget. What is over already is not told to be near. Only the UTC day of ``now``
    counts: a call of yesterday that comes late is no alarm for today. Returns how many agents are
    near or over.
    """
    limited = [agent for agent in lock_agents(agent_ids) if agent.daily_budget is not None]
    spent = spent_today([agent.pk for agent in limited], now=now)
    told = []
    for agent in limited:
        state = budget_state(spent[agent.pk].amount, agent.daily_budget)
        if state in LEVELS:
            told.append(_about(agent, spent[agent.pk], state, now))
    notify_all(told, now=now)
    return len(told)


def _about(agent: TradingAgent, spent: Spent, state: BudgetState, now: datetime) -> dict[str, Any]:
    budget = plain_text(agent.daily_budget or Decimal(0))
    day, _ = day_of(now)
    words = (
        f"{agent.name} spent {plain_text(spent.amount)} of {budget} US dollars on its model on"
        f" {day:%Y-%m-%d} (UTC), in {spent.calls} call{'' if spent.calls == 1 else 's'}."
    )
    if spent.unpriced:
        words += f" The cost of {spent.unpriced} of them is not known."
    return {
        "what": WHATS[state],
        "level": LEVELS[state],
        "subject": f"{TITLES[state]}: {agent.name}",
        "message": words,
        "link": f"/admin/agents/tradingagent/{quote(str(agent.pk))}/change/",
        "dedupe_key": f"{WHATS[state]}:{agent.pk}:{day:%Y-%m-%d}:{budget}",
    }
