"""What a bot says of itself before it works: its name, what it trades, how often it is heard."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from django.db import transaction

from apps.bots.choices import BotHealth
from apps.bots.domain.heartbeats import AT_WORK
from apps.bots.domain.symbols import quote_of
from apps.bots.models import BotInstance
from apps.shared.copying import exact_json
from apps.shared.errors import DomainError, FieldError
from apps.shared.fields import plain_text
from apps.shared.ingest import Ingested, RowStatus, ingest

DESCRIBED = (
    "type",
    "config_file",
    "config",
    "strategy_name",
    "symbol",
    "quote_currency",
    "initial_balance",
    "heartbeat_interval_seconds",
    "candle_interval_seconds",
    "version",
    "extra_metadata",
)
COLUMNS = ("id", *DESCRIBED, "config_hash")


class UnknownBot(DomainError):
    """There is no bot of this name."""

    code = "unknown_bot"
    status = 404


class BotLike(Protocol):
    """A bot as it describes itself: whatever has these values."""

    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def config_file(self) -> str: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def strategy_name(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def quote_currency(self) -> str: ...
    @property
    def initial_balance(self) -> Decimal | None: ...
    @property
    def heartbeat_interval_seconds(self) -> int: ...
    @property
    def candle_interval_seconds(self) -> int | None: ...
    @property
    def version(self) -> str: ...
    @property
    def extra_metadata(self) -> Mapping[str, Any]: ...


@transaction.atomic
def register_bots(rows: Sequence[BotLike], *, now: datetime, replace: bool = True) -> Ingested:
    """Store what describes bots and say what became of each row; no life is moved by it.

    A known bot is described anew; without ``replace`` one that differs is *failed*, its fields
    named. A new one is expected to be heard of within three of its intervals.
    """
    outcome = Ingested()
    places, values = [], []
    for place, row in enumerate(rows):
        if errors := faults(row):
            outcome.fail(place, errors)
        else:
            places.append(place)
            values.append(columns_of(row))
    stored = ingest(
        BotInstance,
        values,
        columns=COLUMNS,
        key=["id"],
        on_conflict="replace" if replace else "refuse",
        # The watch finds out at its next look until when a new one must be heard of.
        defaults={"overdue_at": now, "created_at": now},
    )
    again = [
        rows[places[each.index]].id for each in stored.results if each.status == RowStatus.REPLACED
    ]
    if again:
        # Other intervals are other deadlines. Who is silent stays so until it is heard.
        open_ends = BotInstance.objects.filter(pk__in=again, status__in=sorted(AT_WORK))
        open_ends.exclude(health=BotHealth.SILENT).update(overdue_at=now)
    outcome.merge(stored, places)
    outcome.sort()
    return outcome


def faults(row: BotLike) -> list[FieldError]:
    """Return what cannot be in a row."""
    if not row.id:
        return [FieldError("/id", "empty", "Must not be empty.")]
    if "/" in row.id:
        return [FieldError("/id", "pattern", "Holds a character that is not taken here.")]
    return []


def columns_of(row: BotLike) -> tuple[Any, ...]:
    """Return what is stored of a row, in the order of ``COLUMNS``."""
    described = {name: getattr(row, name) for name in DESCRIBED}
    described["quote_currency"] = row.quote_currency or quote_of(row.symbol)
    return (row.id, *described.values(), hash_of(row.config))


def hash_of(config: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a configuration as hexadecimal digits.

    Of its JSON with the names in order, without spaces, in UTF-8; numbers stand in plain notation
    without padding zeros, so that 1 and 1.0 are one.
    """
    return hashlib.sha256(exact_json.encode(canonical(config))).hexdigest()


def canonical(value: Any) -> Any:
    """Return a JSON value in the one form that all equal ones have."""
    if isinstance(value, Mapping):
        return {name: canonical(value[name]) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(each) for each in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    return Decimal(plain_text(Decimal(str(value))))
