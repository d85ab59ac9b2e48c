"""What needs attention about agents, each with the action that fits."""

from collections.abc import Callable, Iterator
from decimal import Decimal

from django.urls import reverse

from apps.agents.domain.costs import BudgetState
from apps.shared.admin.figures import money_words
from config.figures import rows
from config.needs import MOST_OF_A_KIND, Need
from config.readings import Readings

OPEN_AGENT = "Open the agent"


def page(name: str, pk: object) -> str:
    return reverse(f"admin:agents_{name}_change", args=[pk])


def near_liquidation(now: Readings) -> Iterator[Need]:
    for trade in now.near_liquidation[:MOST_OF_A_KIND]:
        distance: Decimal = trade.distance  # type: ignore[attr-defined]
        price, mark = trade.liquidation_price or Decimal(0), trade.mark_price or Decimal(0)
        yield Need(
            93,
            f"{trade.agent.name}: {trade.coin} {trade.side} is near its liquidation",
            f"Marked at {money_words(mark)}, liquidated at about {money_words(price)}:"
            f" {distance * 100:.1f} % away.",
            "Open the trade",
            page("agenttrade", trade.pk),
            "danger",
        )


def over_budget(now: Readings) -> Iterator[Need]:
    for agent in now.agents_that_are(BudgetState.OVER)[:MOST_OF_A_KIND]:
        yield Need(
            70,
            f"{agent.name} is over its budget",
            f"Its model cost {money_words(agent.spent)} of"
            f" {money_words(agent.daily_budget)} US dollars today (UTC).",
            OPEN_AGENT,
            page("tradingagent", agent.pk),
            "danger",
        )


def near_budget(now: Readings) -> Iterator[Need]:
    for agent in now.agents_that_are(BudgetState.WARNING)[:MOST_OF_A_KIND]:
        yield Need(
            45,
            f"{agent.name} comes near its budget",
            f"Its model cost {money_words(agent.spent)} of"
            f" {money_words(agent.daily_budget)} US dollars today (UTC).",
            OPEN_AGENT,
            page("tradingagent", agent.pk),
        )


def astray(now: Readings) -> Iterator[Need]:
    for agent, hour in now.agents_astray[:MOST_OF_A_KIND]:
        yield Need(
            66,
            f"{agent.name} is not understood",
            f"Of {hour.decisions:,} decisions in the last hour {hour.broken:,} failed or could"
            " not be read.",
            "See its decisions",
            rows("agents_agentdecision", agent__id__exact=str(agent.pk)),
        )


NEEDS: list[tuple[str, Callable[[Readings], Iterator[Need]]]] = [
    ("agents.view_agenttrade", near_liquidation),
    ("agents.view_tradingagent", over_budget),
    ("agents.view_agentdecision", astray),
    ("agents.view_tradingagent", near_budget),
]
