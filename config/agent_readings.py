"""What the desk reads of agents: each reading one bounded query, asked for at most once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Abs

from apps.agents.choices import AgentMode, AgentStatus, DecisionStatus
from apps.agents.domain.costs import BudgetState, budget_state
from apps.agents.models import AgentDecision, AgentTrade, LLMCall, TradingAgent

# What the desk counts and adds up is of all of them: more than anybody runs.
MOST_AGENTS = 1_000
MOST_NEAR = 20
# From this distance to its liquidation on, a fifth of the price, a position is named.
NEAR_LIQUIDATION = Decimal("0.2")
# So many decisions of an hour must be there before they say something of an agent.
FEWEST_DECISIONS = 5
BROKEN = (DecisionStatus.FAILED, DecisionStatus.PARSING_ERROR)

# Of each agent the last account of each day: one look into the index per day.
REALIZED = """
SELECT a.mode, a.quote_currency, d.day, sum(coalesce(p.realized_pnl, 0))
FROM trading_agents a
CROSS JOIN unnest(%(days)s::timestamptz[]) AS d (day)
LEFT JOIN LATERAL (
    SELECT p.realized_pnl FROM agent_performance p
    WHERE p.agent_id = a.id AND p.snapshot_time < least(d.day + interval '24 hours', %(now)s)
    ORDER BY p.snapshot_time DESC LIMIT 1
) p ON true
WHERE EXISTS (SELECT FROM agent_performance p WHERE p.agent_id = a.id)
GROUP BY a.mode, a.quote_currency, d.day
"""


class AgentLedger(NamedTuple):
    """What agents of one mode and currency had realized at the end of each day (UTC)."""

    mode: str
    currency: str
    by_day: dict[datetime, Decimal]


class HourOf(NamedTuple):
    """The decisions of an agent in the last hour; ``broken`` failed or could not be read."""

    decisions: int
    accepted: int
    broken: int


NO_DECISIONS = HourOf(0, 0, 0)


class AgentReadings:
    """The state of all agents at one moment."""

    at: datetime
    today: datetime
    ledger_days: list[datetime]

    @cached_property
    def agents(self) -> Sequence[Any]:
        """Return the agents, each with ``spent`` today; those that are active first."""
        rows = TradingAgent.objects.defer("strategy_description", "extra_metadata", "coins")
        found: list[Any] = list(rows.order_by("status", "name", "pk")[:MOST_AGENTS])
        spent = LLMCall.objects.filter(timestamp__gte=self.today, timestamp__lte=self.at)
        sums = dict(
            spent.order_by().values_list("agent_id").annotate(cost=Sum("cost")) if found else []
        )
        for agent in found:
            agent.spent = sums.get(agent.pk) or Decimal(0)
        return found

    @property
    def agents_active(self) -> int:
        return sum(agent.status == AgentStatus.ACTIVE for agent in self.agents)

    def agents_that_are(self, state: BudgetState) -> list[Any]:
        """Return the agents whose spend of today stands so to their budget, the most first."""
        own = [
            agent for agent in self.agents if budget_state(agent.spent, agent.daily_budget) == state
        ]
        return sorted(own, key=lambda agent: -agent.spent)

    @cached_property
    def decided_last_hour(self) -> dict[Any, HourOf]:
        """Return how the decisions of the last hour went, by agent."""
        since = self.at - timedelta(hours=1)
        rows = AgentDecision.objects.filter(timestamp__gt=since, timestamp__lte=self.at)
        counts = (
            rows.order_by()
            .values_list("agent_id")
            .annotate(
                n=Count("pk"),
                accepted=Count("pk", filter=Q(status=DecisionStatus.SUCCESS)),
                broken=Count("pk", filter=Q(status__in=BROKEN)),
            )
        )
        return {agent_id: HourOf(*found) for agent_id, *found in counts}

    @property
    def agents_astray(self) -> list[tuple[Any, HourOf]]:
        """Return the agents half of whose decisions of an hour failed or could not be read."""
        own = ((agent, self.decided_last_hour.get(agent.pk, NO_DECISIONS)) for agent in self.agents)
        found = [
            (agent, hour)
            for agent, hour in own
            if hour.decisions >= FEWEST_DECISIONS and 2 * hour.broken >= hour.decisions
        ]
        return sorted(found, key=lambda each: -each[1].broken)

    @cached_property
    def near_liquidation(self) -> Sequence[AgentTrade]:
        """Return the open positions that come near the price at which they are liquidated."""
        distance = Abs(F("mark_price") - F("liquidation_price")) / F("mark_price")
        rows = AgentTrade.objects.open().filter(mark_price__gt=0, liquidation_price__gt=0)
        rows = rows.annotate(distance=distance).filter(distance__lt=NEAR_LIQUIDATION)
        rows = rows.select_related("agent").defer("notes", "extra_metadata")
        return list(rows.order_by("distance", "pk")[:MOST_NEAR])

    @cached_property
    def agents_realized(self) -> list[AgentLedger]:
        """Return what agents have realized, at the end of each of the last 30 days."""
        with connection.cursor() as cursor:
            cursor.execute(REALIZED, {"days": self.ledger_days, "now": self.at})
            rows = cursor.fetchall()
        found: dict[tuple[str, str], dict[datetime, Decimal]] = {}
        for mode, currency, day, realized in rows:
            found.setdefault((mode, currency), {})[day] = realized
        order = list(AgentMode)
        return [
            AgentLedger(mode, currency, by_day)
            for (mode, currency), by_day in sorted(
                found.items(), key=lambda each: (order.index(AgentMode(each[0][0])), each[0][1])
            )
        ]

    @property
    def told_agent_links(self) -> set[str]:
        """Return the pages of agents and trades that are named by themselves."""
        agents = {
            agent.pk
            for state in (BudgetState.WARNING, BudgetState.OVER)
            for agent in self.agents_that_are(state)
        }
        links = {f"/admin/agents/tradingagent/{pk}/change/" for pk in agents}
        return links | {
            f"/admin/agents/agenttrade/{trade.pk}/change/" for trade in self.near_liquidation
        }
