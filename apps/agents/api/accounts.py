"""The account of an agent as it stands: what it asks for before it asks its model."""

from collections.abc import Sequence
from typing import Any

import msgspec
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.agents.api.rows_trades import AccountAnswer, AccountQuery
from apps.agents.api.trades import AgentTradeViewSet
from apps.agents.models import AgentDecision, AgentTrade
from apps.agents.services.accounts import accounts_of
from apps.agents.services.spend import spent_today
from apps.shared.api import listing
from apps.shared.api.openapi import describe
from apps.shared.api.queries import read_query
from apps.shared.api.viewsets import ReadOnlyViewSet, answer
from apps.shared.fields import plain_text
from apps.shared.quant.money import EXACT

# What a model is reminded of; no piece of its answers word for word.
MEMORY = ["id", "timestamp", "coin", "action", "status", "confidence", "reasoning"]


class AccountAction(ReadOnlyViewSet):
    """What adds ``account/`` to the viewset of agents."""

    @action(detail=True)
    @describe(query=AccountQuery, answer=AccountAnswer)
    def account(self, request: Request, **kwargs: str) -> HttpResponse:
        """Answer the account as it stands now, with what is open, and the newest decisions.

        Open trades stand at the newest price of the market, unless that is older than 36 hours.
        """
        asked = read_query(AccountQuery, request)
        agent = self.found().first()
        if agent is None:
            raise Http404
        now = timezone.now()
        account = accounts_of([agent.pk], now=now)[agent.pk]
        spent = spent_today([agent.pk], now=now)[agent.pk]
        held = AgentTrade.objects.open().filter(agent=agent).order_by("created_at", "pk")
        decided = AgentDecision.objects.filter(agent=agent).order_by("-timestamp", "-pk")
        budget = agent.daily_budget
        return answer(
            AccountAnswer(
                agent_id=str(agent.pk),
                as_of=now,
                status=agent.status,
                quote_currency=agent.quote_currency,
                initial_balance=plain_text(agent.initial_balance),
                value=plain_text(account.value),
                withdrawable=plain_text(account.withdrawable),
                realized=plain_text(account.realized),
                unrealized=plain_text(account.unrealized),
                margin_used=plain_text(account.margin_used),
                exposure=plain_text(account.exposure),
                held=dict(account.held),
                unpriced_trades=account.unpriced,
                unknown_trades=account.unknown,
                spent_today=plain_text(spent.amount),
                calls_today=spent.calls,
                unpriced_calls_today=spent.unpriced,
                daily_budget=None if budget is None else plain_text(budget),
                budget_left=(
                    None if budget is None else plain_text(EXACT.subtract(budget, spent.amount))
                ),
                open_trades=as_json(held, AgentTradeViewSet.fields),
                decisions=as_json(decided[: asked.decisions], MEMORY) if asked.decisions else [],
            )
        )


def as_json(rows: QuerySet[Any], fields: Sequence[str]) -> list[msgspec.Raw]:
    """Return rows as lists answer them, ready to be put into an answer."""
    return [msgspec.Raw(text.encode()) for text, _, _ in listing.rows_as_json(rows, fields)]
