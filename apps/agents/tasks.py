"""Ticks of the agents app: the database says what is due."""

from celery import shared_task
from django.utils import timezone

from apps.agents.services import judging, marks, performance, prices, standings


@shared_task
def judge_decisions() -> int:
    """See what the price did after each decision."""
    return judging.judge_decisions(now=timezone.now())


@shared_task
def mark_trades() -> int:
    """Measure what is open at the newest prices, and tell of what is near its liquidation."""
    return marks.mark_trades(now=timezone.now())


@shared_task
def price_calls() -> int:
    """Find the cost of the calls whose price has become known."""
    return prices.price_calls(now=timezone.now())


@shared_task
def snapshot_agents() -> int:
    """Keep the accounts of all agents as of this quarter of an hour."""
    return performance.snapshot_agents(now=timezone.now())


@shared_task
def rank_agents() -> int:
    """Make the league anew."""
    return standings.rank_agents(now=timezone.now())
