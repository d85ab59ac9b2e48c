"""Calls made ready to be stored: cleaned, with their decisions, column by column."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from apps.agents.choices import CallStatus, CostSource, DecisionStatus
from apps.agents.domain.answers import Broken, Read, read_answer
from apps.agents.domain.costs import Cost
from apps.agents.services.call_rows import (
    TOLD,
    TOLD_ALONE,
    CallLike,
    decision_id,
    hashed,
    positions_of,
    told,
)
from apps.agents.services.pieces import (
    FAILED,
    UNREADABLE,
    Piece,
    broken_piece,
    empty_piece,
    noted,
    noted_document,
    read_piece,
    told_piece,
)
from apps.agents.services.verdicts import Agent, DecisionFacts

TEXTS: Final = ("prompt", "answer", "error")
FIGURES: Final = (
    "cycle",
    "tokens_in",
    "tokens_out",
    "cost",
    "latency_ms",
    "temperature",
    "max_tokens",
)
# All that a call tells of itself; its decisions come on top.
TOLD_OF_CALL: Final = (*TOLD_ALONE, "provider", "model", *TEXTS, *FIGURES, "extra_metadata")


class CallFacts(NamedTuple):
    """A call as it is stored, column by column."""

    id: str
    agent_id: UUID
    timestamp: datetime
    cycle: int | None
    status: str
    provider: str
    model: str
    prompt_version: str
    prompt: str
    answer: str
    error: str
    tokens_in: int | None
    tokens_out: int | None
    cost: Decimal | None
    cost_source: str
    latency_ms: int | None
    temperature: Decimal | None
    max_tokens: int | None
    account_value: Decimal | None
    withdrawable: Decimal | None
    positions: Mapping[str, str] | None
    decisions_count: int
    accepted_count: int
    altered: Mapping[str, str]
    content_hash: str
    extra_metadata: Mapping[str, Any]


class Prepared(NamedTuple):
    """A call that can be stored, cleaned, with its decisions in their order."""

    place: int
    row: CallLike
    agent: Agent
    timestamp: datetime
    provider: str
    model: str
    texts: Mapping[str, str]
    extra_metadata: Mapping[str, Any]
    altered: Mapping[str, str]
    pieces: Sequence[Piece]
    content_hash: str

    @property
    def tokens_in(self) -> int | None:
        return self.row.tokens_in

    @property
    def tokens_out(self) -> int | None:
        return self.row.tokens_out


class Content(NamedTuple):
    """What tells one call from another: the hash of all that is told, and of each decision."""

    hash: str
    decisions: list[str] | None


def content_of(row: CallLike) -> Content:
    """Return what tells a call from others; an id that is given to a decision is part of it."""
    decisions = None
    if row.decisions is not None:
        decisions = [hashed([spelled_id(each.id), *told(each, TOLD)]) for each in row.decisions]
    return Content(hashed([*told(row, TOLD_OF_CALL), decisions]), decisions)


def spelled_id(value: Any) -> str | None:
    return None if value is None else str(value)


def prepare(
    place: int, row: CallLike, agents: Mapping[str, Agent], content: Content, *, now: datetime
) -> Prepared:
    """Return a call cleaned, with its decisions as they were told or can be read."""
    agent = agents[str(row.agent_id)]
    texts, extra, altered = cleaned_texts(row)
    return Prepared(
        place=place,
        row=row,
        agent=agent,
        timestamp=row.timestamp or now,
        provider=row.provider or agent.provider,
        model=row.model or agent.model,
        texts=texts,
        extra_metadata=extra,
        pieces=list(pieces_of(row, agent, content, texts, altered)),
        altered=altered,
        content_hash=content.hash,
    )


def cleaned_texts(row: CallLike) -> tuple[dict[str, str], Any, dict[str, str]]:
    """Return the texts and the metadata of a call as they may be stored, and what was altered."""
    altered: dict[str, str] = {}
    texts = {name: noted(getattr(row, name), name, altered) for name in TEXTS}
    return texts, noted_document(row.extra_metadata, "extra_metadata", altered), altered


def pieces_of(
    row: CallLike,
    agent: Agent,
    content: Content,
    texts: Mapping[str, str],
    altered: dict[str, str],
) -> Iterable[Piece]:
    """Yield the decisions of a call, at least one unless it tells that there are none."""
    key = str(row.id)
    first = decision_id(key, 0)
    if row.decisions:
        pairs = zip(row.decisions, content.decisions or (), strict=True)
        for place, (each, content_hash) in enumerate(pairs):
            notes: dict[str, str] = {}
            own = decision_id(key, place) if each.id is None else str(each.id)
            piece = told_piece(each, id=own, place=place, content_hash=content_hash, notes=notes)
            if piece.execution_time_ms is None:
                piece = piece._replace(execution_time_ms=row.latency_ms)
            note_all(notes, place, altered)
            yield piece
    elif row.error:
        yield empty_piece(id=first, place=0, status=FAILED, error_message=texts["error"])
    elif row.decisions is None:
        yield from read_pieces(row, agent, altered)


def read_pieces(row: CallLike, agent: Agent, altered: dict[str, str]) -> Iterable[Piece]:
    """Yield the decisions that can be read from an answer, and its pieces that cannot."""
    key = str(row.id)
    answer = read_answer(row.answer or "", coins=agent.limits.coins)
    in_turn: list[Read | Broken] = sorted(
        [*answer.found, *answer.broken], key=lambda one: one.place
    )
    for place, each in enumerate(in_turn):
        notes: dict[str, str] = {}
        own = decision_id(key, place)
        if isinstance(each, Read):
            piece = read_piece(each, id=own, place=place, notes=notes)
        else:
            piece = broken_piece(each, id=own, place=place, notes=notes)
        note_all(notes, place, altered)
        yield piece._replace(execution_time_ms=row.latency_ms)


def note_all(notes: Mapping[str, str], place: int, altered: dict[str, str]) -> None:
    """Tell what was altered in a decision under its pointer in the call."""
    altered.update({f"decisions/{place}/{name}": note for name, note in notes.items()})


def status_of(row: CallLike, pieces: Sequence[Piece]) -> str:
    """Return what became of a call: *failed* by its error, *unreadable* where nothing is left."""
    if row.error:
        return CallStatus.FAILED.value
    if pieces and all(piece.status == UNREADABLE for piece in pieces):
        return CallStatus.UNREADABLE.value
    return CallStatus.ANSWERED.value


def call_facts(
    call: Prepared, decided: Sequence[DecisionFacts], by_table: Cost | None
) -> CallFacts:
    """Return the columns of a call."""
    row = call.row
    cost = by_table.amount if by_table is not None else row.cost
    source = CostSource.TABLE if by_table is not None else CostSource.GIVEN
    return CallFacts(
        id=str(row.id),
        agent_id=call.agent.id,
        timestamp=call.timestamp,
        cycle=row.cycle,
        status=status_of(row, call.pieces),
        provider=call.provider,
        model=call.model,
        prompt_version=row.prompt_version,
        **call.texts,
        tokens_in=row.tokens_in,
        tokens_out=row.tokens_out,
        cost=cost,
        cost_source="" if cost is None else source.value,
        latency_ms=row.latency_ms,
        temperature=row.temperature,
        max_tokens=row.max_tokens,
        account_value=row.account_value,
        withdrawable=row.withdrawable,
        positions=positions_of(row.positions),
        decisions_count=len(decided),
        accepted_count=sum(each.status == DecisionStatus.SUCCESS for each in decided),
        altered=call.altered,
        content_hash=call.content_hash,
        extra_metadata=call.extra_metadata,
    )
