"""The figures of the desk about agents: who is at work, what they decide, what they cost."""

from collections.abc import Callable
from decimal import Decimal

from django.urls import reverse

from apps.agents.choices import AgentStatus
from apps.agents.domain.costs import BudgetState
from apps.shared import display
from apps.shared.admin.figures import money_words
from config.figures import Figure, rows
from config.readings import Readings


def agents_active(now: Readings) -> Figure:
    count, known = now.agents_active, len(now.agents)
    others = known - count
    under = f"{others:,} paused or stopped" if others else "none is paused or stopped"
    return Figure(
        "Agents active",
        f"{count:,}",
        under if known else "none has registered",
        rows("agents_tradingagent", status__exact=AgentStatus.ACTIVE),
        title="Only they open positions.",
    )


def decided(now: Readings) -> Figure:
    hours = now.decided_last_hour.values()
    count = sum(hour.decisions for hour in hours)
    accepted = sum(hour.accepted for hour in hours)
    share = f"{accepted / count * 100:.0f} % accepted" if count else "nothing was decided"
    broken = sum(hour.broken for hour in hours)
    return Figure(
        "Decisions, last hour",
        f"{count:,}",
        share + (f", {broken:,} failed or unreadable" if broken else ""),
        reverse("admin:agents_agentdecision_changelist"),
        title="Of all agents, those that hold among them.",
    )


def spent(now: Readings) -> Figure:
    total = sum((agent.spent for agent in now.agents), Decimal(0))
    budgets = [agent.daily_budget for agent in now.agents if agent.daily_budget is not None]
    over = len(now.agents_that_are(BudgetState.OVER))
    under = (
        f"of {money_words(sum(budgets, Decimal(0)))} budgeted" if budgets else "no budget is set"
    )
    return Figure(
        "Model cost today",
        money_words(total) if now.agents else display.EMPTY,
        f"{over:,} over budget" if over else f"US dollars, {under}",
        reverse("admin:agents_league"),
        "b-loss" if over else "",
        "What agents paid for answers of models since midnight UTC.",
    )


FIGURES: list[tuple[str, Callable[[Readings], Figure]]] = [
    ("agents.view_tradingagent", agents_active),
    ("agents.view_agentdecision", decided),
    ("agents.view_tradingagent", spent),
]
