"""What an agent says of itself before it decides: its model, what it trades, how far it may go."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet

from apps.agents.choices import AgentStatus
from apps.agents.models import AgentTrade, TradingAgent
from apps.shared.errors import DomainError, FieldError
from apps.shared.ingest import Ingested, ingest

logger = logging.getLogger(__name__)

MOST_COINS, LONGEST_COIN, LONGEST_SYMBOL = 50, 20, 50
DESCRIBED: Final = (
    "name",
    "llm_model",
    "provider",
    "exchange_account",
    "mode",
    "quote_currency",
    "initial_balance",
    "max_position_size",
    "max_leverage",
    "stop_loss_pct",
    "take_profit_pct",
    "min_confidence",
    "daily_budget",
    "strategy_description",
    "bot_id",
    "extra_metadata",
)
COLUMNS: Final = ("id", *DESCRIBED, "coins", "benchmark_coin")
# What its trades were counted with: changed behind them, every figure of it would be wrong.
FIXED_BY_TRADES: Final = ("mode", "quote_currency", "initial_balance")
NOT_CHANGED: Final = "not_changed_here"
# A name taken at the same moment shows at the second try.
TRIES: Final = 3


class UnknownAgent(DomainError):
    """There is no agent of this id."""

    code = "unknown_agent"
    status = 404


class AgentLike(Protocol):
    """An agent as it describes itself: whatever has these values."""

    @property
    def id(self) -> str | uuid.UUID | None: ...
    @property
    def name(self) -> str: ...
    @property
    def llm_model(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def exchange_account(self) -> str: ...
    @property
    def mode(self) -> str: ...
    @property
    def quote_currency(self) -> str: ...
    @property
    def initial_balance(self) -> Decimal: ...
    @property
    def max_position_size(self) -> Decimal: ...
    @property
    def max_leverage(self) -> int: ...
    @property
    def stop_loss_pct(self) -> Decimal: ...
    @property
    def take_profit_pct(self) -> Decimal: ...
    @property
    def min_confidence(self) -> Decimal | None: ...
    @property
    def daily_budget(self) -> Decimal | None: ...
    @property
    def coins(self) -> Mapping[str, Any]: ...
    @property
    def benchmark_coin(self) -> str: ...
    @property
    def strategy_description(self) -> str: ...
    @property
    def bot_id(self) -> str: ...
    @property
    def extra_metadata(self) -> Mapping[str, Any]: ...


@transaction.atomic
def register_agents(rows: Sequence[AgentLike], *, now: datetime, replace: bool = True) -> Ingested:
    """Store what describes agents and say what became of each row; their status is not moved.

    A known agent is described anew; without ``replace`` one that differs is *failed*, its fields
    named. A row without an id is about the agent of its name, or a new one. Coins become upper
    case; without a benchmark coin the held one stays while it is traded, else it is the first.

    *Failed* are rows whose coins cannot be (``coin_faults``), whose name is another agent's, and,
    with the code ``not_changed_here``, those that would change the mode, the currency or the
    initial balance of an agent that has trades.
    """
    for left in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                return _registered(rows, now=now, replace=replace)
        except IntegrityError as error:
            # Another has taken a name or an id in between; now it can be seen.
            if not left or "trading_agents_one_per_name" not in str(error):
                raise
    raise AssertionError("The loop ends by returning or raising.")


def _registered(rows: Sequence[AgentLike], *, now: datetime, replace: bool) -> Ingested:
    outcome = Ingested()
    known = _Known(rows)
    places, values = [], []
    for place, row in enumerate(rows):
        agent_id = known.id_of(row)
        held = known.agents.get(agent_id)
        coins, errors = coins_of(row.coins)
        benchmark = row.benchmark_coin.upper()
        if not errors and benchmark and benchmark not in coins:
            message = "Must be one of the coins that it trades."
            errors.append(FieldError("/benchmark_coin", "unknown_coin", message))
        if known.taken.get(row.name, agent_id) != agent_id:
            errors.append(FieldError("/name", "taken", "Is the name of another agent."))
        if held is not None and replace:
            errors += fixed_faults(row, held, has_trades=agent_id in known.with_trades)
        if errors:
            outcome.fail(place, errors)
            continue
        if not benchmark:
            kept = held is not None and held.benchmark_coin in coins
            benchmark = held.benchmark_coin if held is not None and kept else next(iter(coins))
        known.taken[row.name] = agent_id
        places.append(place)
        described = (getattr(row, name) for name in DESCRIBED)
        values.append((agent_id, *described, coins, benchmark))
    stored = ingest(
        TradingAgent,
        values,
        columns=COLUMNS,
        key=["id"],
        on_conflict="replace" if replace else "refuse",
        defaults={"status": AgentStatus.ACTIVE, "created_at": now},
    )
    outcome.merge(stored, places)
    outcome.sort()
    return outcome


class _Known:
    """What is stored of the agents of a batch, their rows locked in the order of their ids."""

    def __init__(self, rows: Sequence[AgentLike]) -> None:
        names = {row.name for row in rows}
        self.taken: dict[str, uuid.UUID] = dict(
            TradingAgent.objects.filter(name__in=names).values_list("name", "pk")
        )
        self.new: dict[str, uuid.UUID] = {}
        ids = sorted({self.id_of(row) for row in rows})
        held = TradingAgent.objects.filter(pk__in=ids).order_by("pk")
        # Whoever stores trades holds these locks too, so no first trade comes in between.
        self.agents = {agent.pk: agent for agent in held.select_for_update(no_key=True)}
        traded = AgentTrade.objects.filter(agent=OuterRef("pk"))
        self.with_trades: set[uuid.UUID] = set(
            TradingAgent.objects.filter(Exists(traded), pk__in=list(self.agents)).values_list(
                "pk", flat=True
            )
        )

    def id_of(self, row: AgentLike) -> uuid.UUID:
        """Return the id that a row tells, else that of its name, else one for a new agent."""
        if row.id is not None:
            return uuid.UUID(str(row.id))
        if row.name in self.taken:
            return self.taken[row.name]
        return self.new.setdefault(row.name, uuid.uuid4())


def fixed_faults(row: AgentLike, held: TradingAgent, *, has_trades: bool) -> list[FieldError]:
    """Return what a row would change of an agent that its trades do not allow any more."""
    if not has_trades:
        return []
    message = "It has trades, which were counted with this. Register another agent instead."
    return [
        FieldError(f"/{name}", NOT_CHANGED, message)
        for name in FIXED_BY_TRADES
        if getattr(row, name) != getattr(held, name)
    ]


def coins_of(told: Mapping[str, Any]) -> tuple[dict[str, str], list[FieldError]]:
    """Return coins in upper case, each with the symbol that prices it, and what is wrong.

    1–50 coins: words of up to 20 characters; symbols of 1–50 characters.
    """
    errors: list[FieldError] = []
    coins: dict[str, str] = {}
    if not told:
        errors.append(FieldError("/coins", "empty", "Must name at least one coin."))
    elif len(told) > MOST_COINS:
        errors.append(FieldError("/coins", "too_many", f"Must be at most {MOST_COINS} coins."))
        return coins, errors
    for name, symbol in told.items():
        where = f"/coins/{name.replace('~', '~0').replace('/', '~1')[:100]}"
        coin = name.upper()
        if not coin or len(coin) > LONGEST_COIN or not _is_word(coin):
            message = f"Must be a word of up to {LONGEST_COIN} characters, such as BTC."
            errors.append(FieldError(where, "coin", message))
        elif coin in coins:
            errors.append(FieldError(where, "given_twice", "Stands twice."))
        elif not isinstance(symbol, str):
            errors.append(FieldError(where, "type", "Must be a string: a symbol."))
        elif not symbol or len(symbol) > LONGEST_SYMBOL or " ".join(symbol.split()) != symbol:
            message = f"Must be a symbol of 1 to {LONGEST_SYMBOL} characters, such as BTC/USD."
            errors.append(FieldError(where, "symbol", message))
        else:
            coins[coin] = symbol
    return coins, errors


def _is_word(text: str) -> bool:
    return text.isprintable() and not any(char.isspace() or char == "/" for char in text)


@transaction.atomic
def set_status(
    rows: QuerySet[TradingAgent], /, *, status: AgentStatus, by: str, now: datetime
) -> int:
    """Activate, pause or stop agents; return of how many it was not so already.

    What an agent decides is kept all the same; that it opens positions while it is not active is
    against the rules. Its program is told by what bots are told (their desired state).
    """
    wanted = TradingAgent.objects.filter(pk__in=rows.order_by().values("pk"))
    held = wanted.order_by("pk").select_for_update(no_key=True)
    turned = [agent for agent in held if agent.status != status]
    for agent in turned:
        logger.info("Agent %s: %s, was %s, by %s.", agent.name, status, agent.status, by)
    ids = [agent.pk for agent in turned]
    return TradingAgent.objects.filter(pk__in=ids).update(status=status, updated_at=now)
