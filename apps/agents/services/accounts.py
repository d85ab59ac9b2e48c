"""Accounts of agents as they stand: one answer for many, at the market's newest prices."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Count, Q, Sum

from apps.agents.domain.accounts import Account, OpenTrade, account_of
from apps.agents.models import AgentTrade, TradingAgent
from apps.agents.services.marks import market_prices
from apps.shared.quant.money import ZERO

FIGURES: Final = OpenTrade._fields


def accounts_of(agent_ids: Iterable[UUID | str], *, now: datetime) -> dict[UUID, Account]:
    """Return the account of each agent that is there, by four statements however many they are.

    Open trades stand at the price of the market as it is known ``now``, unless that is older than
    ``MAX_MARK_AGE``; what trades that are over came to counts whole.
    """
    agents = TradingAgent.objects.filter(pk__in=list(agent_ids))
    found = {agent.pk: agent for agent in agents.only("initial_balance", "max_leverage")}
    if not found:
        return {}
    over = AgentTrade.objects.over().filter(agent__in=list(found)).order_by()
    counted = over.values("agent_id").annotate(
        realized=Sum("realized_pnl"),
        unknown=Count("agent_id", filter=Q(realized_pnl__isnull=True)),
    )
    sums = {row["agent_id"]: row for row in counted}
    held: dict[UUID, list[OpenTrade]] = defaultdict(list)
    open_trades = AgentTrade.objects.open().filter(agent__in=list(found))
    for agent_id, *values in open_trades.order_by("created_at", "pk").values_list(
        "agent_id", *FIGURES
    ):
        held[agent_id].append(OpenTrade(*values))
    prices = market_prices((trade.symbol for each in held.values() for trade in each), now=now)
    marks = {symbol: known.price for symbol, known in prices.items()}
    return {
        pk: account_of(
            initial=agent.initial_balance,
            max_leverage=agent.max_leverage,
            realized=sums[pk]["realized"] or ZERO if pk in sums else ZERO,
            trades=held[pk],
            prices=marks,
            unknown=sums[pk]["unknown"] if pk in sums else 0,
        )
        for pk, agent in found.items()
    }
