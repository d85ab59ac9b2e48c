"""One question to the outside, answered from the cache where that will do.

However many ask the same at once, one of them asks the outside. Threads of a process wait for
one another here, without a connection; of each process one then waits for the others at an
advisory lock of the session, so that no transaction is open while the outside is asked.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as OutOfTime
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import pglock
from django.db import Error

from apps.logs.domain.evidence import storable
from apps.market.choices import ResponseFormat
from apps.market.domain.cache import (
    LARGEST_PAYLOAD,
    as_json,
    cache_key,
    from_json,
    size_of,
)
from apps.market.models import ApiCacheEntry
from apps.market.services.cache.clearing import THROWING, last_invalidation, was_thrown_away
from apps.market.services.cache.counting import counts, flush_when_due
from apps.market.services.cache.entries import (
    Kept,
    entry_at,
    is_fresh,
    keep,
    known_rule,
    learn_rules,
    stale_end,
)
from apps.market.services.cache.failures import last_failure, tell_failure

logger = logging.getLogger(__name__)

State = Literal["hit", "fetched", "stale"]
Load = Callable[[], Any]
GoodUntil = Callable[[Any], datetime]

# How long one waits for another who asks the same.
PATIENCE_SECONDS = 30.0


class LoadFailed(Exception):
    """Another process asked the outside the same at this moment, and got no answer."""


@dataclass(frozen=True, slots=True)
class Cached:
    """An answer and where it comes from.

    ``hit``: kept and fresh, or fetched by another at this moment; ``fetched``: the outside was
    asked; ``stale``: kept and expired, given out because of ``error``. The times are those of
    the answer: when it was asked for, and until when it is fresh.
    """

    value: Any
    state: State
    cached_at: datetime
    expires_at: datetime
    error: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, by whom it can be answered, and how long one may wait for another."""

    key: str
    source: str
    data_type: str
    metadata: Mapping[str, Any]
    load: Load
    good_until: GoodUntil | None
    now: datetime
    patience: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a question came to: the text of an answer, or a failure, or both (stale)."""

    state: State
    text: str = ""
    cached_at: datetime | None = None
    expires_at: datetime | None = None
    failure: Exception | None = None


def cached(
    *,
    source: str,
    method: str,
    args: Sequence[object] = (),
    kwargs: Mapping[str, object] | None = None,
    data_type: str,
    load: Load,
    now: datetime,
    good_until: GoodUntil | None = None,
    patience: float = PATIENCE_SECONDS,
) -> Cached:
    """Return the kept answer to a question while it is fresh, else what ``load`` brings.

    The arguments make the key, so they carry everything that changes the answer and no secret.
    ``load`` returns JSON (decimals come back as strings) or raises; it must not close the
    caller's connection. ``good_until`` may say of an answer that it is outdated sooner than the
    rule of ``data_type`` has it; a time that has passed keeps it from being kept at all.

    What is brought while somebody throws such answers away is handed on, but not kept.

    When ``load`` raises, an expired answer stands in for as long as its rule allows, else the
    error goes up. Who waited for a call of another shares its answer or its failure: LoadFailed
    where that was another process, or where no answer came in ``patience`` seconds. Raises
    NotJson for an answer that is none. A database that is away does not matter: the outside is
    asked. Call it outside a transaction: the lock and the call last as long as the outside does.
    """
    words = dict(kwargs or {})
    question = Question(
        key=cache_key(source, method, *args, **words),
        source=source,
        data_type=data_type,
        metadata={"method": readable(method), "args": list(map(readable, args))}
        | {"kwargs": {readable(word): readable(words[word]) for word in sorted(words)}},
        load=load,
        good_until=good_until,
        now=now,
        patience=patience,
    )
    outcome = in_one_flight(question)
    note(question, outcome)
    flush_when_due()
    if not outcome.text:
        assert outcome.failure is not None
        raise outcome.failure
    assert outcome.cached_at is not None
    assert outcome.expires_at is not None
    return Cached(
        # Each gets a value of its own, and the same whether it was kept or has just come.
        from_json(outcome.text),
        outcome.state,
        outcome.cached_at,
        outcome.expires_at,
        told(outcome.failure) if outcome.failure else "",
    )


def readable(argument: object) -> str:
    """Return an argument as the table can hold it, for people; its key tells it exactly."""
    return storable(str(argument))[0]


def note(question: Question, outcome: Outcome) -> None:
    """Count one question: a hit when its answer is fresh and cost no call of its own."""
    if outcome.state == "hit" and outcome.text:
        counts.note(["hits"], now=question.now, read=question.key)
    elif outcome.state == "stale" and outcome.text:
        counts.note(["misses", "stale"], now=question.now)
    else:
        counts.note(["misses"], now=question.now)


def told(failure: BaseException) -> str:
    """Return a failure as a sentence for staff."""
    return f"{type(failure).__name__}: {str(failure)[:300]}"


# --- One of this process ------------------------------------------------------------------


class Flights:
    """The questions that this process is asking just now."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Know of none; in a child, whose parent's threads it does not have."""
        self.gate = threading.Lock()
        self.flying: dict[str, Future[Outcome]] = {}

    def join(self, key: str) -> tuple[Future[Outcome], bool]:
        """Return the flight of a key, and whether the caller is the one to fly it."""
        with self.gate:
            flight = self.flying.get(key)
            if flight is not None:
                return flight, False
            self.flying[key] = flight = Future()
            return flight, True

    def land(self, key: str, outcome: Outcome) -> None:
        with self.gate:
            flight = self.flying.pop(key, None)
        # None in a child that was born during the call.
        if flight is not None:
            flight.set_result(outcome)


flights = Flights()
os.register_at_fork(after_in_child=flights.begin)


def in_one_flight(question: Question) -> Outcome:
    """Answer a question once for all threads that ask it now."""
    flight, is_mine = flights.join(question.key)
    if not is_mine:
        try:
            outcome = flight.result(question.patience)
        except OutOfTime:
            return best_kept(question, LoadFailed(f"No answer within {question.patience:g} s."))
        shared: State = "hit" if outcome.state == "fetched" else outcome.state
        return Outcome(shared, outcome.text, outcome.cached_at, outcome.expires_at, outcome.failure)
    outcome = Outcome("fetched", failure=LoadFailed("Who asked was interrupted."))
    try:
        outcome = through_database(question)
    finally:
        flights.land(question.key, outcome)
    return outcome


# --- One of all processes -----------------------------------------------------------------


def through_database(question: Question) -> Outcome:
    """Answer from the table, else ask; without a database ask all the same."""
    outcome: Outcome | None = None
    try:
        entry = readable_entry(question.key)
        if entry and is_fresh(entry, question.now):
            return kept_outcome(entry)
        learn_rules()
        before = last_failure(question.key)
        with pglock.advisory(f"market.cache:{question.key}", timeout=question.patience) as mine:
            # Whoever had the lock before may have brought the answer, or have failed.
            entry = readable_entry(question.key)
            if entry and is_fresh(entry, question.now):
                return kept_outcome(entry)
            failure = last_failure(question.key)
            if failure and failure != before:
                return stand_in(entry, question.now, LoadFailed(failure.partition(" ")[2]))
            if not mine:
                waited = f"Another process is asking; no answer within {question.patience:g} s."
                return stand_in(entry, question.now, LoadFailed(waited))
            thrown = last_invalidation()
            outcome = ask_outside(question)
            if outcome.failure:
                outcome = stand_in(entry, question.now, outcome.failure)
                tell_failure(question.key, told(outcome.failure or Exception()))
            else:
                keep_outcome(question, outcome, thrown)
    except Error as error:
        logger.warning("The cache does without its database: %s", str(error).strip()[:200])
    return outcome or ask_outside(question)


def ask_outside(question: Question) -> Outcome:
    """Make the one call; a failure is an outcome too, and counted."""
    try:
        text = as_json(question.load())
    except Exception as error:  # noqa: BLE001 - goes up to everybody who asked
        counts.note(["errors"], now=question.now)
        return Outcome("fetched", failure=error)
    rule = known_rule(question.data_type)
    expires_at = question.now + timedelta(seconds=rule.ttl_seconds)
    if question.good_until:
        expires_at = min(expires_at, question.good_until(from_json(text)))
    return Outcome("fetched", text, question.now, max(expires_at, question.now))


def keep_outcome(question: Question, outcome: Outcome, thrown: int) -> None:
    """Keep an answer that is still good and not too large.

    Nor one that was under way while somebody threw such answers away, in an invalidation after
    the number ``thrown``: it may be what was wrong.
    """
    assert outcome.expires_at is not None
    if outcome.expires_at <= question.now:
        return
    if size_of(outcome.text) > LARGEST_PAYLOAD:
        logger.warning("The answer to %s is too large to be kept.", question.key)
        return
    kept = Kept(
        key=question.key,
        data_type=question.data_type,
        source=question.source,
        text=outcome.text,
        response_format=ResponseFormat.JSON,
        metadata=question.metadata,
        expires_at=outcome.expires_at,
        stale_until=stale_end(outcome.expires_at, known_rule(question.data_type)),
    )
    with pglock.advisory(THROWING, shared=True):
        if not was_thrown_away(kept, after=thrown):
            keep(kept, now=question.now)


def readable_entry(key: str) -> ApiCacheEntry | None:
    """Return the entry of a key if it holds JSON; what others keep as opaque text is no answer."""
    entry = entry_at(key)
    return entry if entry and entry.response_format == ResponseFormat.JSON else None


def kept_outcome(entry: ApiCacheEntry, failure: Exception | None = None) -> Outcome:
    state: State = "stale" if failure else "hit"
    return Outcome(state, entry.response_data, entry.cached_at, entry.expires_at, failure)


def stand_in(entry: ApiCacheEntry | None, now: datetime, failure: Exception) -> Outcome:
    """Return the expired answer while it may stand in, else the failure."""
    if entry and entry.stale_until > now:
        return kept_outcome(entry, failure)
    return Outcome("fetched", failure=failure)


def best_kept(question: Question, failure: Exception) -> Outcome:
    """Answer without asking and without waiting any longer."""
    try:
        entry = readable_entry(question.key)
    except Error:
        entry = None
    if entry and is_fresh(entry, question.now):
        return kept_outcome(entry)
    return stand_in(entry, question.now, failure)
