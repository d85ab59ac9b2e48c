"""Decisions judged by the rules, cycle by cycle, with one read of each thing they are held to."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

from apps.agents.choices import AgentStatus, DecisionStatus
from apps.agents.domain.decisions import OPENINGS, Cycle, Limits, direction_of
from apps.agents.models import TradingAgent
from apps.agents.services.accounts import accounts_of
from apps.agents.services.call_rows import coin_of
from apps.agents.services.pieces import FAILED, Piece
from apps.market.services.outcomes import chosen_series, series_of, widths
from apps.shared.fields import PRICE_LIMIT, plain

ACCEPTED, REJECTED = DecisionStatus.SUCCESS.value, DecisionStatus.REJECTED.value
AGENT_COLUMNS: Final = (
    "pk",
    "provider",
    "llm_model",
    "status",
    "coins",
    "max_leverage",
    "max_position_size",
    "min_confidence",
)
# Whatever is known by now of the price at each moment: a candle that may still come would only
# tell later what nobody knew when it was decided.
ENTRIES: Final = f"""
WITH {widths()},
claims AS (
    SELECT * FROM unnest(%(ids)s::int[], %(symbols)s::text[], %(moments)s::timestamptz[])
        AS asked(id, symbol, moment)
),
{series_of("series", claims="claims")},
{chosen_series("chosen", claims="claims", series="series")}
SELECT id, price FROM chosen WHERE price > 0 AND price < {PRICE_LIMIT}
"""


class Agent(NamedTuple):
    """An agent as far as its decisions need it; coins in upper case."""

    id: UUID
    provider: str
    model: str
    symbols: Mapping[str, str]
    limits: Limits


class Told(NamedTuple):
    """What an agent says it saw of its account; None is not told, and the ledger's counts."""

    value: Decimal | None
    withdrawable: Decimal | None
    held: Mapping[str, str] | None


class Known(NamedTuple):
    """What the size and the margin of decisions are held against."""

    value: Decimal | None
    withdrawable: Decimal | None


class CycleRows(NamedTuple):
    """The decisions of one agent at one moment, in their order."""

    agent: Agent
    call_id: str | None
    timestamp: datetime
    prompt_version: str
    told: Told
    pieces: Sequence[Piece]


class DecisionFacts(NamedTuple):
    """A decision as it is stored, column by column."""

    id: str
    agent_id: UUID
    call_id: str | None
    timestamp: datetime
    place: int
    status: str
    action: str
    coin: str
    symbol: str
    direction: str
    size_usd: Decimal | None
    leverage: Decimal | None
    stop_loss_price: Decimal | None
    take_profit_price: Decimal | None
    confidence: Decimal | None
    entry_price: Decimal | None
    account_value: Decimal | None
    withdrawable: Decimal | None
    reasoning: str
    error_message: str
    violations: Sequence[Mapping[str, str]]
    chain_of_thought: Any
    raw: str
    execution_time_ms: int | None
    prompt_version: str
    content_hash: str


def locked_agents(ids: Iterable[UUID | str]) -> dict[str, Agent]:
    """Return the agents that are there by their id as text, locked in the order of their ids.

    Whoever stores decisions holds these locks, so the same ones sent twice at once come one after
    the other.
    """
    rows = TradingAgent.objects.filter(pk__in=sorted(set(map(str, ids)))).order_by("pk")
    found = {}
    for pk, provider, model, status, coins, leverage, size, confidence in rows.select_for_update(
        no_key=True
    ).values_list(*AGENT_COLUMNS):
        symbols = {coin_of(coin): symbol for coin, symbol in coins.items()}
        limits = Limits(
            coins=frozenset(symbols),
            max_leverage=leverage,
            max_position_size=size,
            min_confidence=confidence,
            is_active=status == AgentStatus.ACTIVE,
        )
        found[str(pk)] = Agent(pk, provider, model, symbols, limits)
    return found


def judged(cycles: Sequence[CycleRows], *, now: datetime) -> list[list[DecisionFacts]]:
    """Return the decisions of each cycle with their verdicts, in their order.

    What was told as failed or unreadable stays so. Every other one is accepted or rejected with
    all rules that it breaks (``domain.decisions.check``). What the agent told of its account wins
    over the ledger; the entry that it told, over the market's price at its own time, which is
    looked up for openings alone.
    """
    untold = {each.agent.id for each in cycles if None in each.told}
    ledgers = accounts_of(untold, now=now) if untold else {}
    entries = entry_prices(cycles, now=now)
    found = []
    for number, rows in enumerate(cycles):
        ledger = ledgers.get(rows.agent.id)
        value, withdrawable, held = rows.told
        if ledger is not None:
            value = kept(ledger.value) if value is None else value
            withdrawable = kept(ledger.withdrawable) if withdrawable is None else withdrawable
            if held is None:
                held = {coin_of(coin): side for coin, side in ledger.held.items()}
        cycle = Cycle(rows.agent.limits, Known(value, withdrawable), held or {})
        found.append(
            [
                verdict(piece, rows, cycle, entries.get((number, piece.place)))
                for piece in rows.pieces
            ]
        )
    return found


def verdict(
    piece: Piece, rows: CycleRows, cycle: Cycle, market_price: Decimal | None
) -> DecisionFacts:
    """Return the columns of one decision, the next one of its cycle."""
    entry = piece.entry_price or market_price
    status, violations = piece.status, []
    if status:
        # What could not be read is no decision on its coin.
        cycle.note(piece.coin if status == FAILED else "")
    else:
        violations = [
            {"rule": each.rule, "message": each.message} for each in cycle.judge(piece, entry=entry)
        ]
        status = REJECTED if violations else ACCEPTED
    return DecisionFacts(
        id=piece.id,
        agent_id=rows.agent.id,
        call_id=rows.call_id,
        timestamp=rows.timestamp,
        place=piece.place,
        status=status,
        action=piece.action,
        coin=piece.coin,
        symbol=rows.agent.symbols.get(piece.coin, ""),
        direction=direction_of(piece.action, piece.coin, cycle.held),
        size_usd=piece.size_usd,
        leverage=piece.leverage,
        stop_loss_price=piece.stop_loss_price,
        take_profit_price=piece.take_profit_price,
        confidence=piece.confidence,
        entry_price=entry,
        account_value=cycle.account.value,
        withdrawable=cycle.account.withdrawable,
        reasoning=piece.reasoning,
        error_message=piece.error_message,
        violations=violations,
        chain_of_thought=piece.chain_of_thought,
        raw=piece.raw,
        execution_time_ms=piece.execution_time_ms,
        prompt_version=rows.prompt_version,
        content_hash=piece.content_hash,
    )


def kept(value: Decimal) -> Decimal | None:
    """Return an amount of the ledger unless no column could hold it."""
    return value if -PRICE_LIMIT < value < PRICE_LIMIT else None


def entry_prices(cycles: Sequence[CycleRows], *, now: datetime) -> dict[tuple[int, int], Decimal]:
    """Return the market's price at the time of each opening that tells no entry of its own.

    By (number of the cycle, place of the decision), by one statement; what is not known is left
    out. The price is the close of the last candle that ended by then, unless that is too old, on
    the series by which a decision would be judged (``market.services.outcomes``).
    """
    asked: dict[tuple[str, datetime], int] = {}
    wanted: dict[tuple[int, int], int] = {}
    for number, rows in enumerate(cycles):
        # Nothing is known of a moment that is to come.
        moment = min(rows.timestamp, now)
        for piece in rows.pieces:
            symbol = rows.agent.symbols.get(piece.coin, "")
            if piece.action in OPENINGS and piece.entry_price is None and symbol:
                wanted[number, piece.place] = asked.setdefault((symbol, moment), len(asked))
    if not asked:
        return {}
    symbols, moments = zip(*asked, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            ENTRIES,
            {
                "ids": list(range(len(asked))),
                "symbols": list(symbols),
                "moments": list(moments),
                "now": now,
            },
        )
        prices = {each: plain(price) for each, price in cursor.fetchall()}
    return {where: prices[each] for where, each in wanted.items() if each in prices}
