"""Agents whose skill is known, because it was planted, are told apart by the league.

``LEAGUE_SEEDS=20`` plants twenty leagues in place of two.
"""

import os
import random

import pytest

from apps.agents.choices import Period, Verdict
from apps.agents.models import AgentStanding
from apps.agents.services.performance import snapshot_agents
from apps.agents.services.standings import rank_agents
from tests.agents.league_rows import DAY, NOW, calls, decisions, trades
from tests.factories import make_agent

pytestmark = pytest.mark.django_db

SEEDS = int(os.environ.get("LEAGUE_SEEDS", "2"))
RANDOM = 3
TRADES = 150
SPREAD = 50.0
USUAL = {"success": 180, "rejected": 15, "parsing_error": 5}


def plant(chance, name, nets, counts=USUAL, *, days=30):
    """Store an agent with these trades and decisions, and a call for each six decisions."""
    agent = make_agent(name=name, initial_balance=10_000)
    chance.shuffle(nets)
    since = NOW - days * DAY
    decisions(agent, counts, since=since)
    calls(agent, sum(counts.values()) // 6, since=since)
    trades(agent, nets, since=since)


def plant_all(seed):
    """Plant a league: the trades of most are chance; the lucky one loses, but for one of them."""
    chance = random.Random(seed)

    def by_chance(size, *, edge=0.0):
        return [chance.gauss(edge, SPREAD) for _ in range(size)]

    for number in range(RANDOM):
        plant(chance, f"random {number}", by_chance(TRADES))
    plant(chance, "better", by_chance(TRADES, edge=SPREAD / 2))
    failing = {"success": 20, "rejected": 10, "parsing_error": 170}
    plant(chance, "parse-failing", by_chance(40), failing)
    plant(chance, "lucky", [*by_chance(TRADES - 1, edge=-SPREAD / 5), 9_000.0])
    plant(chance, "short-lived", by_chance(60, edge=SPREAD), days=3)


def league():
    """Return the lines of the month by the names of their agents."""
    lines = AgentStanding.objects.filter(period=Period.MONTH, prompt_version="")
    return {line.agent.name: line for line in lines.select_related("agent")}


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_planted_agents_are_told_apart(seed):
    plant_all(seed)
    snapshot_agents(now=NOW)
    rank_agents(now=NOW)
    found = league()

    better, lucky = found["better"], found["lucky"]
    assert better.verdict == Verdict.BETTER
    assert (better.rank, better.rank_low) == (1, 1)

    assert lucky.verdict == Verdict.UNCERTAIN
    ranked = [line for line in found.values() if line.rank is not None]
    assert lucky.net_return == max(line.net_return for line in ranked)
    assert lucky.rank > 1

    failing = found["parse-failing"]
    assert failing.verdict == Verdict.NOT_ITS_OWN
    assert failing.model_share_high < 0.5

    short = found["short-lived"]
    assert (short.verdict, short.rank) == (Verdict.TOO_EARLY, None)
    assert short.net_return > 0

    assert sorted(line.rank for line in ranked) == list(range(1, RANDOM + 4))
    by_chance = [found[f"random {number}"].verdict for number in range(RANDOM)]
    # One in twenty is judged otherwise: that is what 95 % means.
    assert by_chance.count(Verdict.UNCERTAIN) >= RANDOM - 1
