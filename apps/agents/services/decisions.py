"""Decisions: stored with their verdicts, told alone or with the call that they come from."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from apps.agents.choices import DecisionStatus
from apps.agents.models import AgentDecision
from apps.agents.services.call_rows import (
    TOLD,
    TOLD_ALONE,
    DecisionLike,
    LoneDecisionLike,
    hashed,
    positions_of,
    told,
)
from apps.agents.services.judging import insert_outcomes
from apps.agents.services.pieces import told_piece
from apps.agents.services.verdicts import (
    Agent,
    CycleRows,
    DecisionFacts,
    Told,
    judged,
    locked_agents,
)
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, RowStatus, ingest

__all__ = ["LoneDecisionLike", "store_decisions"]

# What is compared, column by column, where the same id comes with another content.
COMPARED: Final = (
    "agent_id",
    "timestamp",
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
    "raw",
    "execution_time_ms",
    "prompt_version",
    "account_value",
    "withdrawable",
)
# Stored from elsewhere where they are not told.
FILLED: Final = ("timestamp", "entry_price", "account_value", "withdrawable")
# An array is one parameter, however many they are.
STORED: Final = "SELECT id, content_hash FROM agent_decisions WHERE id = ANY(%(ids)s::uuid[])"


@transaction.atomic
def store_decisions(rows: Sequence[LoneDecisionLike], *, now: datetime) -> Ingested:
    """Store decisions that are told without a call, and say what became of each row.

    Each is a cycle of its own. What breaks rules is stored all the same, *created* as rejected
    with every rule it breaks; *failed* are rows that cannot be kept: of an unknown agent, of the
    future, or under an id that has another content. The same again is *unchanged* with the
    verdict it got: where the agent stands has moved since. A timestamp that is not told is
    ``now``. Statements are constant in number.
    """
    outcome = Ingested()
    agents = locked_agents(row.agent_id for row in rows)
    hashes = [hashed(told(row, (*TOLD_ALONE, *TOLD))) for row in rows]
    stored = stored_decisions(row.id for row in rows)
    conflicts: list[int] = []
    seen: dict[str, tuple[int, str]] = {}
    places: list[int] = []
    cycles: list[CycleRows] = []
    for place, (row, content_hash) in enumerate(zip(rows, hashes, strict=True)):
        agent = agents.get(str(row.agent_id))
        errors = faults(row, agent, now=now)
        if errors or agent is None:
            outcome.fail(place, errors)
            continue
        key = str(row.id)
        held = stored.get(key)
        before = seen.get(key)
        if held is not None:
            if held == content_hash:
                outcome.note(place, RowStatus.UNCHANGED)
            else:
                conflicts.append(place)
        elif before is not None:
            note_double(outcome, place, before, content_hash)
        else:
            seen[key] = (place, content_hash)
            places.append(place)
            cycles.append(lone_cycle(row, agent, content_hash, now=now))
    facts = [each for found in judged(cycles, now=now) for each in found]
    lost = insert_decisions(facts)
    outcome.count(RowStatus.CREATED, len(facts) - len(lost))
    for number in lost:
        outcome.fail(places[number], [differs("agent_id")])
    values = values_of(rows[place].id for place in conflicts)
    for place in conflicts:
        outcome.fail(place, differences(rows[place], values[str(rows[place].id)]))
    outcome.sort()
    return outcome


def lone_cycle(
    row: LoneDecisionLike, agent: Agent, content_hash: str, *, now: datetime
) -> CycleRows:
    """Return a decision that stands alone as the cycle of one that it is."""
    return CycleRows(
        agent=agent,
        call_id=None,
        timestamp=row.timestamp or now,
        prompt_version=row.prompt_version,
        told=Told(row.account_value, row.withdrawable, positions_of(row.positions)),
        pieces=[told_piece(row, id=str(row.id), place=0, content_hash=content_hash, notes={})],
    )


def faults(row: LoneDecisionLike, agent: Agent | None, *, now: datetime) -> list[FieldError]:
    """Return what keeps a decision from being stored at all."""
    return [*seen_faults(row, agent, now=now), *decision_faults(row)]


def seen_faults(row: Any, agent: Agent | None, *, now: datetime) -> list[FieldError]:
    """Return what is wrong with whose a call or a decision is, and with its time."""
    found = []
    if agent is None:
        message = f'There is no agent "{row.agent_id}".'
        found.append(FieldError("/agent_id", "unknown_agent", message))
    if row.timestamp is not None and row.timestamp > now + settings.CLOCK_TOLERANCE:
        found.append(FieldError("/timestamp", "in_future", "Lies in the future."))
    return found


def decision_faults(row: DecisionLike, where: str = "") -> list[FieldError]:
    """Return what a decision lacks; one that failed or could not be read may lack everything."""
    if row.status != DecisionStatus.SUCCESS:
        return []
    return [
        FieldError(f"{where}/{name}", "required", "Must be given, unless its status says why not.")
        for name in ("action", "coin")
        if not getattr(row, name)
    ]


def stored_decisions(ids: Iterable[UUID | str | None]) -> dict[str, str]:
    """Return the hash of the content that is stored under each of these ids, where one is."""
    wanted = sorted({str(each) for each in ids if each is not None})
    with connection.cursor() as cursor:
        cursor.execute(STORED, {"ids": wanted})
        return {str(pk): content_hash for pk, content_hash in cursor.fetchall()}


def values_of(ids: Iterable[UUID | str | None]) -> dict[str, dict[str, Any]]:
    """Return the columns of stored decisions that are compared."""
    wanted = sorted(map(str, ids))
    if not wanted:
        return {}
    rows = AgentDecision.objects.filter(pk__in=wanted)
    return {str(row["pk"]): row for row in rows.values("pk", *COMPARED)}


def differences(row: LoneDecisionLike, held: dict[str, Any]) -> list[FieldError]:
    """Return the fields by which a decision differs from the one stored under its id.

    Of another agent's decision nothing else is told.
    """
    if str(row.agent_id) != str(held["agent_id"]):
        return [differs("agent_id")]
    piece = told_piece(row, id=str(row.id), place=0, content_hash="", notes={})
    values = {name: getattr(piece, name, getattr(row, name, None)) for name in COMPARED[1:]}
    names = [
        name
        for name, value in values.items()
        if value != held[name] and not (value is None and name in FILLED)
    ]
    return [differs(name) for name in names] or [differs("content")]


def differs(name: str) -> FieldError:
    return FieldError(f"/{name}", "differs", "Differs from the stored value.")


def note_double(outcome: Ingested, place: int, before: tuple[int, str], content_hash: str) -> None:
    """Note a row whose id stands in its batch already."""
    first, held = before
    if held == content_hash:
        outcome.note(place, RowStatus.UNCHANGED)
    else:
        message = f"Differs from row {first} of the same batch."
        outcome.fail(place, [FieldError("/id", "differs", message)])


def insert_decisions(facts: Sequence[DecisionFacts]) -> set[int]:
    """Store decisions that are new, and their outcomes; return the places of those that are not.

    Those have an id that was free, and that another agent has taken at this very moment.
    """
    if not facts:
        return set()
    stored = ingest(
        AgentDecision, facts, columns=DecisionFacts._fields, key=["id"], on_conflict="refuse"
    )
    lost = {result.index for result in stored.results}
    insert_outcomes(UUID(each.id) for place, each in enumerate(facts) if place not in lost)
    return lost
