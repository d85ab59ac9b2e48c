"""Calls and decisions as they arrive, and what tells one content from another."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol
from uuid import UUID, uuid5

from apps.shared.fields import plain_text

LONGEST_COIN: Final = 20


class DecisionLike(Protocol):
    """A decision of a call as it arrives: whatever has these values."""

    @property
    def id(self) -> UUID | str | None: ...
    @property
    def status(self) -> str: ...
    @property
    def action(self) -> str | None: ...
    @property
    def coin(self) -> str | None: ...
    @property
    def size_usd(self) -> Decimal | None: ...
    @property
    def leverage(self) -> Decimal | None: ...
    @property
    def stop_loss_price(self) -> Decimal | None: ...
    @property
    def take_profit_price(self) -> Decimal | None: ...
    @property
    def confidence(self) -> Decimal | None: ...
    @property
    def reasoning(self) -> str: ...
    @property
    def error_message(self) -> str: ...
    @property
    def entry_price(self) -> Decimal | None: ...
    @property
    def chain_of_thought(self) -> Mapping[str, Any] | None: ...
    @property
    def raw(self) -> str: ...
    @property
    def execution_time_ms(self) -> int | None: ...


class Seen(Protocol):
    """What an agent saw of its account as it decided; None where it does not tell."""

    @property
    def agent_id(self) -> UUID | str: ...
    @property
    def timestamp(self) -> datetime | None: ...
    @property
    def prompt_version(self) -> str: ...
    @property
    def account_value(self) -> Decimal | None: ...
    @property
    def withdrawable(self) -> Decimal | None: ...
    @property
    def positions(self) -> Mapping[str, str] | None: ...


class LoneDecisionLike(DecisionLike, Seen, Protocol):
    """A decision that is told without its call."""


class CallLike(Seen, Protocol):
    """A call as it arrives. Without ``decisions`` they are read from its ``answer``."""

    @property
    def id(self) -> UUID | str: ...
    @property
    def cycle(self) -> int | None: ...
    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def answer(self) -> str | None: ...
    @property
    def error(self) -> str: ...
    @property
    def tokens_in(self) -> int | None: ...
    @property
    def tokens_out(self) -> int | None: ...
    @property
    def cost(self) -> Decimal | None: ...
    @property
    def latency_ms(self) -> int | None: ...
    @property
    def temperature(self) -> Decimal | None: ...
    @property
    def max_tokens(self) -> int | None: ...
    @property
    def extra_metadata(self) -> Mapping[str, Any]: ...
    @property
    def decisions(self) -> Sequence[DecisionLike] | None: ...


TOLD: Final = (
    "status",
    "action",
    "coin",
    "size_usd",
    "leverage",
    "stop_loss_price",
    "take_profit_price",
    "confidence",
    "reasoning",
    "error_message",
    "entry_price",
    "chain_of_thought",
    "raw",
    "execution_time_ms",
)
TOLD_ALONE: Final = (
    "agent_id",
    "timestamp",
    "prompt_version",
    "account_value",
    "withdrawable",
    "positions",
)


def told(row: Any, names: Iterable[str]) -> list[Any]:
    """Return what a row tells, in a form of which equal contents have one spelling."""
    return [spelled(getattr(row, name)) for name in names]


def spelled(value: Any) -> Any:
    """Return a value of a row as JSON has it."""
    if isinstance(value, Decimal):
        return plain_text(value)
    if isinstance(value, datetime):
        return value.timestamp()
    return str(value) if isinstance(value, UUID) else value


def hashed(content: Any) -> str:
    """Return the SHA-256 of a content; what is hashed is never stored."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def coin_of(text: str | None) -> str:
    """Return a coin as it is kept: upper case; empty where it is none."""
    coin = (text or "").strip().upper()
    return coin if len(coin) <= LONGEST_COIN and "\x00" not in coin else ""


def positions_of(told: Mapping[str, str] | None) -> dict[str, str] | None:
    """Return positions by coin in upper case."""
    return None if told is None else {coin_of(coin): side for coin, side in told.items()}


def decision_id(call_id: str, place: int) -> str:
    """Return the id of a decision that its client gave none: it follows from call and place."""
    return str(uuid5(UUID(call_id), f"decision/{place}"))
