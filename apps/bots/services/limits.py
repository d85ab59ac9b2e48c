"""Limits as they are set, changed, cancelled, and armed again after they fired."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import pglock
from django.db import connection, transaction
from django.db.models import QuerySet

from apps.bots.choices import LimitStatus
from apps.bots.domain.limits import MONEY_KINDS, PRICE_KINDS, LimitLike, next_id, problems
from apps.bots.domain.symbols import quote_of
from apps.bots.models import BotInstance, Position, TradingLimit
from apps.logs.services.events import record_trading_events
from apps.market.services.outcomes import widths
from apps.market.services.prices import newest_series
from apps.shared.errors import Conflict, DomainError, FieldError
from apps.shared.ingest import Ingested, OnConflict, RowStatus, ingest

PERSON = 150
# What a limit is about; who means something else sets another one.
FIXED = ("limit_type", "bot_id", "type", "symbol", "lot_id", "direction")

SET_REFERENCES = f"""
WITH {widths()},
asked AS (
    SELECT id, symbol, lot_id FROM trading_limits
    WHERE id = ANY(%(ids)s) AND price IS NOT NULL AND reference_price IS NULL
),
{newest_series("chosen", asked="asked")}
UPDATE trading_limits l SET reference_price = coalesce(p.avg_buy_price, c.price)
FROM asked a LEFT JOIN positions p ON p.lot_id = a.lot_id LEFT JOIN chosen c ON c.symbol = a.symbol
WHERE l.id = a.id AND coalesce(p.avg_buy_price, c.price) IS NOT NULL
"""


class LimitFinal(DomainError):
    """A limit that fired or was cancelled does not change any more."""

    code = "limit_final"
    status = 409


class UnknownLimit(DomainError):
    """There is no limit of this id."""

    code = "unknown_limit"
    status = 404


class LimitFacts(NamedTuple):
    """A limit as it is stored."""

    id: str
    limit_type: str
    bot_id: str | None
    type: str
    symbol: str
    lot_id: str | None
    direction: str
    price: Decimal | None
    size: Decimal | None
    threshold: Decimal | None
    currency: str
    action: str
    notes: str


class Owners:
    """The bots and lots that rows name: read once per batch."""

    def __init__(self, rows: Sequence[LimitLike]) -> None:
        bots = BotInstance.objects.only("type", "quote_currency")
        self.bots = bots.in_bulk({row.bot_id for row in rows if row.bot_id})
        lots = Position.objects.only("type", "symbol", "bot_id", "quote_currency")
        self.lots = lots.in_bulk({row.lot_id for row in rows if row.lot_id})


@transaction.atomic
def store_limits(rows: Sequence[LimitLike], *, now: datetime) -> Ingested:
    """Set limits and say what became of each row.

    A row that breaks a rule, or names a bot or lot that is not known, is *failed* with its fields
    named, and does not hold up the others. An ``id`` that is stored already is *unchanged* with
    the same content, whatever became of it since, and *failed* with other content. What a row
    leaves out follows from its bot or lot: type, symbol, currency.
    """
    return written(rows, "refuse", now=now)


@transaction.atomic
def replace_limits(rows: Sequence[LimitLike], *, now: datetime) -> Ingested:
    """Set limits, or change active ones: price, size, threshold, action, notes.

    What a limit is about (kind, bot, type, symbol, lot, direction) is *fixed*. A changed price
    counts from now on: candles that began before do not touch it. Raises LimitFinal for one that
    fired or was cancelled, unless nothing would change, and Conflict where another one of this id
    was set by somebody else at the same moment.
    """
    held = {
        each.pk: each
        for each in TradingLimit.objects.filter(pk__in=[row.id for row in rows])
        .order_by("pk")
        .select_for_update(no_key=True)
    }
    outcome = written(rows, "replace", now=now, held=held)
    taken = [each for each in outcome.results if each.status is RowStatus.REPLACED]
    if any(rows[each.index].id not in held for each in taken):
        raise Conflict("Another set this limit at this moment; send it again.", ["id"])
    moved = [rows[each.index] for each in taken]
    moved = [row for row in moved if row.price != held[row.id].price]
    TradingLimit.objects.filter(pk__in=[row.id for row in moved]).update(counts_from=now)
    return outcome


def written(
    rows: Sequence[LimitLike],
    on_conflict: OnConflict,
    *,
    now: datetime,
    held: dict[str, TradingLimit] | None = None,
) -> Ingested:
    """Store rows that hold together; return what became of each."""
    owners = Owners(rows)
    outcome = Ingested()
    facts: list[LimitFacts] = []
    places: list[int] = []
    for place, row in enumerate(rows):
        limit, errors = checked(row, owners)
        stored = (held or {}).get(row.id)
        if not errors and stored is not None:
            errors = changes_refused(stored, limit)
        if errors:
            outcome.fail(place, errors)
        else:
            facts.append(limit)
            places.append(place)
    done = ingest(
        TradingLimit,
        facts,
        columns=LimitFacts._fields,
        key=["id"],
        on_conflict=on_conflict,
    )
    set_references([limit.id for limit in facts], now=now)
    outcome.merge(done, places)
    outcome.sort()
    return outcome


def checked(row: LimitLike, owners: Owners) -> tuple[LimitFacts, list[FieldError]]:
    """Return a row as it would be stored, and everything that speaks against it."""
    errors = problems(row)
    bot = owners.bots.get(row.bot_id or "")
    lot = owners.lots.get(row.lot_id or "")
    if row.bot_id and bot is None:
        errors.append(FieldError("/bot_id", "unknown_bot", f'There is no bot "{row.bot_id}".'))
    if row.lot_id and lot is None:
        errors.append(FieldError("/lot_id", "unknown_lot", f'There is no lot "{row.lot_id}".'))
    if lot is not None and row.symbol and row.symbol != lot.symbol:
        errors.append(FieldError("/symbol", "mismatch", f"The lot holds {lot.symbol}."))
    if lot is not None and row.bot_id and row.bot_id != lot.bot_id:
        errors.append(
            FieldError("/bot_id", "mismatch", "The lot belongs to another bot or to none.")
        )
    kinds = {each.type for each in (bot, lot) if each is not None}
    if row.type and kinds - {row.type}:
        message = f"The bot or lot is {', '.join(sorted(kinds))}: such a limit would never fire."
        errors.append(FieldError("/type", "mismatch", message))
    kind = row.type or min(kinds, default="")
    if not kind and not errors:
        message = "Say whether it holds live, paper or optimization: they are never mixed."
        errors.append(FieldError("/type", "required", message))
    symbol = row.symbol or (lot.symbol if lot is not None else "")
    currency = row.currency
    if row.limit_type in MONEY_KINDS | PRICE_KINDS and not currency:
        currency = (bot.quote_currency if bot is not None else "") or quote_of(symbol)
    if row.limit_type in MONEY_KINDS and not currency:
        message = "Neither the bot nor the symbol says in which currency; name it."
        errors.append(FieldError("/currency", "required", message))
    facts = LimitFacts(
        id=row.id,
        limit_type=row.limit_type,
        bot_id=row.bot_id or (lot.bot_id if lot is not None else None),
        type=kind,
        symbol=symbol,
        lot_id=row.lot_id,
        direction=row.direction,
        price=row.price,
        size=row.size,
        threshold=row.threshold,
        currency=currency,
        action=row.action,
        notes=row.notes,
    )
    return facts, errors


def changes_refused(held: TradingLimit, wanted: LimitFacts) -> list[FieldError]:
    """Return what must not change in a limit. Raises LimitFinal where nothing may."""
    differing = {
        name for name in LimitFacts._fields if getattr(held, name) != getattr(wanted, name)
    }
    if differing and held.status != LimitStatus.ACTIVE:
        raise LimitFinal(f"The limit is {held.status}: it does not change any more.")
    message = "Is what the limit is about; set another one."
    return [FieldError(f"/{name}", "fixed", message) for name in FIXED if name in differing]


def set_references(ids: Sequence[str], *, now: datetime) -> None:
    """Note where the way of these limits to their prices begins.

    At the average price of the lot, else at the newest price; where neither is known, at the
    first price that is.
    """
    if ids:
        with connection.cursor() as cursor:
            cursor.execute(SET_REFERENCES, {"ids": list(ids), "now": now})


@transaction.atomic
def cancel_limits(rows: QuerySet[TradingLimit], /, *, by: str, now: datetime) -> int:
    """Cancel active limits; return how many. Those that are final stay as they are."""
    active = TradingLimit.objects.filter(pk__in=rows.order_by().values("pk")).active()
    # In one order, so that two of these never wait for each other in a circle.
    ids = list(active.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
    return TradingLimit.objects.filter(pk__in=ids).update(
        status=LimitStatus.CANCELLED, cancelled_at=now, cancelled_by=by[:PERSON], updated_at=now
    )


@transaction.atomic
def rearm_limits(rows: QuerySet[TradingLimit], /, *, by: str, now: datetime) -> int:
    """Set a new limit like each of these that fired; return how many are new.

    The old one stays as the record of what happened, under its own id; the new one has the next
    (``stop`` → ``stop~2``), so that arming the same limit twice makes one. It counts from now on,
    but what it measures is not forgiven: a daily loss that is still beyond fires at the next look.
    """
    fired = rows.order_by("pk").filter(status=LimitStatus.TRIGGERED)
    wanted = {next_id(each.pk): each for each in fired}
    # Who counts the new ones must be alone.
    pglock.advisory("bots.limits.rearmed", xact=True).acquire()
    known = set(TradingLimit.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    new = [pk for pk in wanted if pk not in known]
    copied = [name for name in LimitFacts._fields if name != "id"]
    TradingLimit.objects.bulk_create(
        TradingLimit(id=pk, **{name: getattr(wanted[pk], name) for name in copied}) for pk in new
    )
    set_references(new, now=now)
    record_trading_events(
        [
            {
                "event_type": "limit_armed_again",
                "symbol": wanted[pk].symbol,
                "price": wanted[pk].price,
                "limit": pk,
                "after": wanted[pk].pk,
                "by": by[:PERSON],
            }
            for pk in new
        ]
    )
    return len(new)


def rearm_limit(*, limit_id: str, by: str, now: datetime) -> tuple[TradingLimit, bool]:
    """Set a new limit like one that fired; return it, and whether it is new.

    Raises UnknownLimit, and LimitFinal for one that is still active or was cancelled.
    """
    rows = TradingLimit.objects.filter(pk=limit_id)
    held = rows.first()
    if held is None:
        raise UnknownLimit("There is no limit of this id.")
    if held.status != LimitStatus.TRIGGERED:
        raise LimitFinal(f"Only a limit that fired is armed again; this one is {held.status}.")
    made = rearm_limits(rows, by=by, now=now)
    return TradingLimit.objects.get(pk=next_id(limit_id)), bool(made)
