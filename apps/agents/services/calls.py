"""Calls of language models: stored with their decisions, cost and verdicts in one piece."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import transaction

from apps.agents.choices import CostSource
from apps.agents.domain.costs import Cost
from apps.agents.models import AgentDecision, LLMCall
from apps.agents.services import prices, spend
from apps.agents.services.call_facts import (
    FIGURES,
    CallFacts,
    Content,
    Prepared,
    call_facts,
    cleaned_texts,
    content_of,
    prepare,
)
from apps.agents.services.call_rows import TOLD_ALONE, CallLike, positions_of
from apps.agents.services.decisions import (
    decision_faults,
    differs,
    insert_decisions,
    note_double,
    seen_faults,
    stored_decisions,
)
from apps.agents.services.verdicts import (
    Agent,
    CycleRows,
    DecisionFacts,
    Told,
    judged,
    locked_agents,
)
from apps.shared.copying import exact_json
from apps.shared.errors import Conflict, DomainError, FieldError
from apps.shared.ingest import Ingested, RowStatus, ingest

__all__ = ["CallLike", "TooManyDecisions", "cost_of", "store_calls"]

# Ten of each of ten thousand calls. They are held in memory together, and an answer of a few
# kilobytes may have hundreds.
MOST_AT_ONCE: Final = 100_000

# Stored from elsewhere where they are not told.
FILLED: Final = ("timestamp", "provider", "model")


class TooManyDecisions(DomainError):
    """The calls of one batch have more decisions than are stored at once."""

    code = "too_many_rows"
    status = 413


@transaction.atomic
def store_calls(rows: Sequence[CallLike], *, now: datetime) -> Ingested:
    """Store calls with their decisions, each whole or not at all, and say what became of each.

    Decisions are those that are told or, where none are, what can be read from the ``answer``;
    a piece that cannot be read is one too (*parsing_error*). A call that failed, and an answer of
    which nothing can be read, leave one decision without action and coin. Every decision gets its
    verdict (``verdicts.judged``), an outcome to be judged by, and an id that follows from call and
    place where it is given none. Texts are made storable and redacted before anything is stored;
    ``altered`` says of which.

    What breaks rules is stored all the same. *Failed* are rows that cannot be kept: of an unknown
    agent, of the future, with an id that is taken, with neither decisions nor answer nor error,
    or under an id that has another content. The same again is *unchanged*, with the verdicts it
    got: where the agent stands has moved since. A timestamp that is not told is ``now``; provider
    and model are those of the agent. The cost is as told, else by the table of prices; spend is
    held against budgets. Statements are constant in number. Raises Conflict where another agent
    has taken the id of a decision at the same moment: nothing is stored, and told again it is
    *failed*. Raises TooManyDecisions above 100,000 of them.
    """
    outcome = Ingested()
    agents = locked_agents(row.agent_id for row in rows)
    accepted = _new_ones(rows, agents, outcome, now=now)
    prepared = _with_free_ids(_prepared(rows, accepted, agents, now=now), outcome)
    if prepared:
        cycles = [
            CycleRows(
                each.agent,
                str(each.row.id),
                each.timestamp,
                each.row.prompt_version,
                Told(
                    each.row.account_value,
                    each.row.withdrawable,
                    positions_of(each.row.positions),
                ),
                each.pieces,
            )
            for each in prepared
        ]
        _insert(prepared, judged(cycles, now=now), outcome)
        spend.note_spend(agent_ids={each.agent.id for each in prepared}, now=now)
    outcome.sort()
    return outcome


def cost_of(call: LLMCall) -> Cost:
    """Return what a call costs or, where that is not known, why."""
    return Cost(call.cost) if call.cost is not None else prices.costs_of([call])[0]


# --- Which of them are new ----------------------------------------------------------------


def _new_ones(
    rows: Sequence[CallLike], agents: Mapping[str, Agent], outcome: Ingested, *, now: datetime
) -> list[tuple[int, Content]]:
    """Return the places of rows that are to be stored, with what tells them from others.

    What became of the others is noted.
    """
    ids = sorted({str(row.id) for row in rows})
    held = {
        str(pk): content_hash
        for pk, content_hash in LLMCall.objects.filter(pk__in=ids).values_list("pk", "content_hash")
    }
    seen: dict[str, tuple[int, str]] = {}
    found: list[tuple[int, Content]] = []
    conflicts: list[int] = []
    for place, row in enumerate(rows):
        key = str(row.id)
        if errors := faults(row, agents.get(str(row.agent_id)), now=now):
            outcome.fail(place, errors)
            continue
        content = content_of(row)
        if key in held:
            if held[key] == content.hash:
                outcome.note(place, RowStatus.UNCHANGED)
            else:
                conflicts.append(place)
        elif key in seen:
            note_double(outcome, place, seen[key], content.hash)
        else:
            seen[key] = (place, content.hash)
            found.append((place, content))
    if conflicts:
        _note_conflicts([(place, rows[place]) for place in conflicts], outcome)
    return found


def faults(row: CallLike, agent: Agent | None, *, now: datetime) -> list[FieldError]:
    """Return what keeps a call from being stored at all."""
    found = seen_faults(row, agent, now=now)
    if row.decisions is None and row.answer is None and not row.error:
        message = "Send decisions, or the answer to read them from, or the error."
        found.append(FieldError("/decisions", "required", message))
    for place, each in enumerate(row.decisions or ()):
        found += decision_faults(each, f"/decisions/{place}")
    return found


def _prepared(
    rows: Sequence[CallLike],
    accepted: Sequence[tuple[int, Content]],
    agents: Mapping[str, Agent],
    *,
    now: datetime,
) -> list[Prepared]:
    """Return the calls at these places, cleaned and with their decisions."""
    found, left = [], MOST_AT_ONCE
    for place, content in accepted:
        found.append(prepare(place, rows[place], agents, content, now=now))
        left -= len(found[-1].pieces)
        if left < 0:
            message = f"Holds over {MOST_AT_ONCE:,} decisions; send fewer calls at once."
            raise TooManyDecisions(message)
    return found


def _note_conflicts(rows: Sequence[tuple[int, CallLike]], outcome: Ingested) -> None:
    """Note calls whose ids have another content, with the fields that differ."""
    held = LLMCall.objects.in_bulk([str(row.id) for _, row in rows])
    decided: dict[str, list[str]] = {}
    stored = AgentDecision.objects.filter(call__in=list(held)).order_by("place")
    for call_id, content_hash in stored.values_list("call_id", "content_hash"):
        decided.setdefault(str(call_id), []).append(content_hash)
    for place, row in rows:
        call = held[UUID(str(row.id))]
        outcome.fail(place, differences(row, call, decided.get(str(call.pk), [])))


def differences(row: CallLike, held: LLMCall, decisions: Sequence[str]) -> list[FieldError]:
    """Return the fields by which a call differs from the one that is stored under its id.

    Of another agent's call nothing else is told.
    """
    if str(row.agent_id) != str(held.agent_id):
        return [differs("agent_id")]
    texts, extra, _ = cleaned_texts(row)
    values = {
        **{name: getattr(row, name) for name in (*TOLD_ALONE[1:], *FIGURES, *FILLED[1:])},
        **texts,
        "positions": positions_of(row.positions),
        "extra_metadata": as_stored(extra),
    }
    stored = {name: getattr(held, name) for name in values}
    if held.cost_source == CostSource.TABLE:
        stored["cost"] = None
    names = [
        name
        for name, value in values.items()
        if value != stored[name] and (value or name not in FILLED)
    ]
    told_decisions = content_of(row).decisions
    if told_decisions is not None and told_decisions != list(decisions):
        names.append("decisions")
    elif not names:
        # By nothing that is kept: perhaps by a secret.
        names.append("decisions" if told_decisions is None else "content")
    return [differs(name) for name in names]


def as_stored(document: Any) -> Any:
    """Return a document as it comes back out of the database: its numbers are binary fractions."""
    return msgspec.json.decode(exact_json.encode(document))


def _with_free_ids(prepared: Sequence[Prepared], outcome: Ingested) -> list[Prepared]:
    """Return the calls none of whose decisions has an id of another one; note the others."""
    taken = set(stored_decisions(piece.id for each in prepared for piece in each.pieces))
    found = []
    for each in prepared:
        errors, own = [], set()
        for piece in each.pieces:
            if piece.id in taken or piece.id in own:
                where = f"/decisions/{piece.place}/id"
                errors.append(FieldError(where, "taken", "Is the id of another decision."))
            own.add(piece.id)
        if errors:
            outcome.fail(each.place, errors)
        else:
            taken |= own
            found.append(each)
    return found


def _insert(
    prepared: Sequence[Prepared], decided: Sequence[Sequence[DecisionFacts]], outcome: Ingested
) -> None:
    """Store calls that are new with their decisions, and count them."""
    costs = prices.costs_of([each for each in prepared if each.row.cost is None])
    by_table = iter(costs)
    facts = [
        call_facts(each, found, next(by_table) if each.row.cost is None else None)
        for each, found in zip(prepared, decided, strict=True)
    ]
    stored = ingest(LLMCall, facts, columns=CallFacts._fields, key=["id"], on_conflict="refuse")
    # An id that another agent has taken at this very moment: its decisions go nowhere.
    lost = {result.index for result in stored.results}
    outcome.merge(stored, [each.place for each in prepared])
    facts_of_decisions = [
        each for place, found in enumerate(decided) if place not in lost for each in found
    ]
    if insert_decisions(facts_of_decisions):
        message = "The id of a decision was taken by another agent at the same moment."
        raise Conflict(message, ["decisions"])
