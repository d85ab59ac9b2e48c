"""Agents with a past, stored in bulk: decisions, calls and trades spread evenly over their days."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import psycopg
import pytest

from apps.agents.models import AgentDecision, AgentTrade, LLMCall, TradingAgent
from tests.factories import NOON

NOW = NOON + timedelta(days=100)
DAY = timedelta(days=1)

_numbers = count(1)


def spread(size: int, since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield so many moments, the first one ``since``, all of them before ``until``."""
    return (since + (until - since) * place / size for place in range(size))


def decisions(
    agent: TradingAgent,
    counts: Mapping[str, int],
    *,
    since: datetime = NOW - 30 * DAY,
    until: datetime = NOW,
    **values: Any,
) -> list[AgentDecision]:
    """Store so many decisions of each status; those accepted hold."""
    made = []
    for status, size in counts.items():
        for moment in spread(size, since, until):
            readable = status in ("success", "rejected")
            defaults = {
                "id": uuid.uuid4(),
                "timestamp": moment,
                "status": status,
                "action": "HOLD" if readable else "",
                "coin": "BTC" if readable else "",
                "size_usd": Decimal(0) if readable else None,
                "leverage": Decimal(1) if readable else None,
                "confidence": Decimal("0.5") if readable else None,
                "violations": [{"rule": "coin", "message": "No."}] if status == "rejected" else [],
                "content_hash": f"{next(_numbers):064x}",
            }
            made.append(AgentDecision(agent=agent, **defaults | values))
    return AgentDecision.objects.bulk_create(made)


def calls(
    agent: TradingAgent,
    size: int,
    *,
    cost: str | None = "0.01",
    since: datetime = NOW - 30 * DAY,
    until: datetime = NOW,
    **values: Any,
) -> None:
    """Store so many calls of a model, each at this cost."""
    priced = {"cost": cost, "cost_source": "given"} if cost is not None else {}
    LLMCall.objects.bulk_create(
        LLMCall(
            id=uuid.uuid4(),
            agent=agent,
            timestamp=moment,
            status="answered",
            content_hash=f"{next(_numbers):064x}",
            **priced | values,
        )
        for moment in spread(size, since, until)
    )


def trades(
    agent: TradingAgent,
    nets: Sequence[float | None],
    *,
    since: datetime = NOW - 30 * DAY,
    until: datetime = NOW,
    **values: Any,
) -> list[AgentTrade]:
    """Store trades that came to so much net of fees; ``None`` is not known."""
    made = []
    for moment, net in zip(spread(len(nets), since, until), nets, strict=True):
        known = net is not None
        amount = round(Decimal(net), 8) if known else None
        defaults = {
            "coin": "BTC",
            "symbol": "BTC/USD",
            "side": "long",
            "size": Decimal(1),
            "status": "closed",
            "entry_price": Decimal(100),
            "entry_time": moment - timedelta(minutes=5),
            "exit_price": Decimal(100) if known else None,
            "exit_time": moment,
            "fees": Decimal(1),
            "gross_pnl": amount + 1 if known else None,
            "realized_pnl": amount,
        }
        made.append(AgentTrade(agent=agent, **defaults | values))
    return AgentTrade.objects.bulk_create(made)


def statements_of(work: Callable[[], object]) -> int:
    """Return how many statements the work sends, by whatever cursor."""
    sent = 0
    execute = psycopg.Cursor.execute

    def counting(*args: Any, **kwargs: Any) -> Any:
        nonlocal sent
        sent += 1
        return execute(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", counting)
        work()
    return sent
