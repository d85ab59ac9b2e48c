"""Decisions as they are told or read from an answer: cleaned, and not judged yet."""

from decimal import Decimal
from typing import Any, Final, NamedTuple

from apps.agents.choices import Action, DecisionStatus
from apps.agents.domain.answers import Broken, Read
from apps.agents.domain.decisions import ACTIONS
from apps.agents.services.call_rows import DecisionLike, coin_of, hashed, spelled
from apps.agents.services.privacy import cleaned, cleaned_document

ZERO, ONE = Decimal(0), Decimal(1)
FAILED, UNREADABLE = DecisionStatus.FAILED.value, DecisionStatus.PARSING_ERROR.value
READ: Final = (
    "action",
    "coin",
    "size_usd",
    "leverage",
    "stop_loss_price",
    "take_profit_price",
    "confidence",
    "reasoning",
    "document",
)


class Piece(NamedTuple):
    """One decision, cleaned and not judged yet; ``status`` is empty where it is to be judged."""

    id: str
    place: int
    status: str
    action: str
    coin: str
    size_usd: Decimal | None
    leverage: Decimal | None
    stop_loss_price: Decimal | None
    take_profit_price: Decimal | None
    confidence: Decimal | None
    reasoning: str
    error_message: str
    entry_price: Decimal | None
    chain_of_thought: Any
    raw: str
    execution_time_ms: int | None
    content_hash: str


# --- Decisions that are told --------------------------------------------------------------


def told_piece(
    row: DecisionLike, *, id: str, place: int, content_hash: str, notes: dict[str, str]
) -> Piece:
    """Return a decision as it is told, cleaned.

    What opens nothing may leave size, stop and target out: they are 0, and its leverage is 1.
    ``notes`` is told what had to be done to which text.
    """
    status = "" if row.status == DecisionStatus.SUCCESS else row.status
    sized = (row.size_usd, row.leverage, row.stop_loss_price, row.take_profit_price)
    return Piece(
        id,
        place,
        status,
        row.action or "",
        coin_of(row.coin),
        *(sized if status else opening_nothing(row.action, sized)),
        row.confidence,
        noted(row.reasoning, "reasoning", notes),
        noted(row.error_message, "error_message", notes),
        row.entry_price,
        noted_document(row.chain_of_thought, "chain_of_thought", notes),
        noted(row.raw, "raw", notes),
        row.execution_time_ms,
        content_hash,
    )


Sized = tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]


def opening_nothing(action: str | None, sized: Sized) -> Sized:
    """Return size, leverage, stop and target with what goes without saying: 0, 1, 0 and 0."""
    if action not in (Action.HOLD, Action.CLOSE_POSITION):
        return sized
    size, leverage, stop, target = sized
    return (
        ZERO if size is None else size,
        ONE if leverage is None else leverage,
        ZERO if stop is None else stop,
        ZERO if target is None else target,
    )


def noted(text: str | None, name: str, notes: dict[str, str]) -> str:
    """Return a text as it may be stored; ``notes`` is told what was done to it, under its name."""
    if not text:
        return ""
    kept, note = cleaned(text)
    if note:
        notes[name] = note
    return kept


def noted_document(value: Any, name: str, notes: dict[str, str]) -> Any:
    """Return a document as it may be stored, as ``noted`` does with texts."""
    if not value:
        return value
    kept, note = cleaned_document(value)
    if note:
        notes[name] = note
    return kept


# --- Decisions that are read from an answer -----------------------------------------------


def read_piece(found: Read, *, id: str, place: int, notes: dict[str, str]) -> Piece:
    """Return a decision that was read from an answer, cleaned."""
    content = [spelled(getattr(found, name)) for name in READ]
    sized = (found.size_usd, found.leverage, found.stop_loss_price, found.take_profit_price)
    return Piece(
        id,
        place,
        "",
        found.action,
        coin_of(found.coin),
        *opening_nothing(found.action, sized),
        found.confidence,
        reasoning=noted(found.reasoning, "reasoning", notes),
        error_message="",
        entry_price=None,
        chain_of_thought=noted_document(found.document, "chain_of_thought", notes),
        raw="",
        execution_time_ms=None,
        content_hash=hashed(content),
    )


def broken_piece(found: Broken, *, id: str, place: int, notes: dict[str, str]) -> Piece:
    """Return a piece of an answer that could not be read, with its text and why not."""
    return empty_piece(
        id=id,
        place=place,
        status=UNREADABLE,
        action=found.action if found.action in ACTIONS else "",
        coin=coin_of(found.coin),
        error_message=noted(found.message, "error_message", notes),
        raw=noted(found.raw, "raw", notes),
        chain_of_thought=noted_document(found.document, "chain_of_thought", notes) or None,
    )


def empty_piece(
    *,
    id: str,
    place: int,
    status: str,
    action: str = "",
    coin: str = "",
    error_message: str = "",
    raw: str = "",
    chain_of_thought: Any = None,
) -> Piece:
    """Return a decision of which no number is known."""
    return Piece(
        id,
        place,
        status,
        action,
        coin,
        *(None,) * 5,
        reasoning="",
        error_message=error_message,
        entry_price=None,
        chain_of_thought=chain_of_thought,
        raw=raw,
        execution_time_ms=None,
        content_hash=hashed([status, action, coin, error_message, raw]),
    )
