"""What models cost: the table of prices, and the calls that it prices."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

from django.db import connection, transaction

from apps.agents.choices import CostSource
from apps.agents.domain.costs import Cost, Price, cost, price_at
from apps.agents.models import LLMPrice
from apps.agents.services import spend
from apps.shared.ingest import Ingested, ingest

COLUMNS: Final = ("provider", "model", "valid_from", "input_per_million", "output_per_million")
KEY: Final = ("provider", "model", "valid_from")
BATCH: Final = 2_000

# Case is one in both names. Should two prices of one moment differ by case alone, the one that is
# written as the call writes it comes last and so holds, else the one that was entered last.
PRICES = """
SELECT asked.provider, asked.model, price.valid_from,
    price.input_per_million, price.output_per_million
FROM unnest(%(providers)s::text[], %(models)s::text[]) AS asked(provider, model)
JOIN llm_prices price
    ON lower(price.provider) = lower(asked.provider) AND lower(price.model) = lower(asked.model)
ORDER BY price.valid_from,
    (price.provider = asked.provider AND price.model = asked.model), price.id
"""
# From each price to the calls that wait for it, through their index: calls of models without a
# price may be many, and are not looked at.
WAITING = """
SELECT call.id, call.agent_id, call.timestamp, call.provider, call.model,
    call.tokens_in, call.tokens_out
FROM (
    SELECT lower(provider) AS provider, lower(model) AS model, min(valid_from) AS since
    FROM llm_prices
    GROUP BY lower(provider), lower(model)
) price
CROSS JOIN LATERAL (
    SELECT * FROM llm_calls
    WHERE lower(llm_calls.provider) = price.provider AND lower(llm_calls.model) = price.model
        AND llm_calls.timestamp >= price.since AND llm_calls.cost IS NULL
        AND llm_calls.tokens_in IS NOT NULL AND llm_calls.tokens_out IS NOT NULL
        AND llm_calls.id <> ALL(%(left)s)
    ORDER BY llm_calls.timestamp
    LIMIT %(batch)s
) call
LIMIT %(batch)s
"""
# Whoever came first has priced it.
PRICED = """
UPDATE llm_calls call SET cost = found.cost, cost_source = %(source)s
FROM unnest(%(ids)s::uuid[], %(costs)s::numeric[]) AS found(id, cost)
WHERE call.id = found.id AND call.cost IS NULL
"""


class PriceLike(Protocol):
    """A price as it is sent: whatever has these values."""

    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def valid_from(self) -> datetime: ...
    @property
    def input_per_million(self) -> Decimal: ...
    @property
    def output_per_million(self) -> Decimal: ...


class CallLike(Protocol):
    """A call as far as its cost goes."""

    @property
    def timestamp(self) -> datetime: ...
    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def tokens_in(self) -> int | None: ...
    @property
    def tokens_out(self) -> int | None: ...


class _Waiting(NamedTuple):
    id: uuid.UUID
    agent_id: uuid.UUID
    timestamp: datetime
    provider: str
    model: str
    tokens_in: int
    tokens_out: int


@transaction.atomic
def store_prices(rows: Sequence[PriceLike], *, now: datetime, replace: bool = True) -> Ingested:
    """Store prices and say what became of each row.

    A price is known by provider, model and the moment from which it holds. One that is stored with
    other amounts is corrected; without ``replace`` it is *failed*, its fields named. Costs that
    are known stay as they are in any case.
    """
    return ingest(
        LLMPrice,
        [tuple(getattr(row, name) for name in COLUMNS) for row in rows],
        columns=COLUMNS,
        key=KEY,
        on_conflict="replace" if replace else "refuse",
        defaults={"created_at": now},
    )


def costs_of(calls: Sequence[CallLike]) -> list[Cost]:
    """Return what each call costs by the table of prices, or why that is not known.

    By the price that held for its provider and model at its time. One statement, however many.
    """
    told = {
        (call.provider, call.model)
        for call in calls
        if call.tokens_in is not None and call.tokens_out is not None
    }
    prices = _prices_of(sorted(told))
    return [
        cost(
            call.tokens_in,
            call.tokens_out,
            price_at(prices.get((call.provider, call.model), ()), call.timestamp),
        )
        for call in calls
    ]


def _prices_of(asked: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[Price]]:
    """Return the prices of models, as calls name them, in the order of their moments."""
    if not asked:
        return {}
    names = {"providers": [each[0] for each in asked], "models": [each[1] for each in asked]}
    found: dict[tuple[str, str], list[Price]] = {}
    with connection.cursor() as cursor:
        cursor.execute(PRICES, names)
        for provider, model, *price in cursor.fetchall():
            found.setdefault((provider, model), []).append(Price(*price))
    return found


def price_calls(*, now: datetime, batch: int = BATCH) -> int:
    """Price the calls whose tokens are told and whose price has become known; return how many.

    A cost that is known never changes. Each batch is a transaction of its own, under the locks of
    its agents, whose spend of today is looked at again.
    """
    priced = 0
    left: list[uuid.UUID] = []
    while True:
        with transaction.atomic():
            calls = _waiting(left, batch)
            if not calls:
                return priced
            agents = {call.agent_id for call in calls}
            spend.lock_agents(agents)
            found: dict[uuid.UUID, Decimal] = {}
            for call, each in zip(calls, costs_of(calls), strict=True):
                if each.amount is None:
                    # What no column can hold is not asked for again.
                    left.append(call.id)
                else:
                    found[call.id] = each.amount
            priced += _written(found)
            spend.note_spend(agent_ids=agents, now=now)


def _waiting(left: Sequence[uuid.UUID], batch: int) -> list[_Waiting]:
    with connection.cursor() as cursor:
        cursor.execute(WAITING, {"left": list(left), "batch": batch})
        return [_Waiting(*row) for row in cursor.fetchall()]


def _written(found: dict[uuid.UUID, Decimal]) -> int:
    values: dict[str, Any] = {"ids": list(found), "costs": list(found.values())}
    with connection.cursor() as cursor:
        cursor.execute(PRICED, {**values, "source": CostSource.TABLE.value})
        changed: int = cursor.rowcount
    return changed
