"""What happens in trading, told by our own code: recorded when it is committed."""

import functools
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import connection, transaction

from apps.logs.models import TradingEvent
from apps.logs.writer import writer
from apps.shared.correlation import correlation_id
from apps.shared.fields import PRICE_LIMIT, PRICE_PLACES, WIDE

logger = logging.getLogger(__name__)

TEXTS = ("event_type", "symbol", "side", "order_id", "strategy")
NUMBERS = ("quantity", "price")
SMALLEST = Decimal(1).scaleb(-PRICE_PLACES)


def record_trading_event(
    *,
    event_type: str,
    symbol: str = "",
    side: str = "",
    quantity: Decimal | int | str | None = None,
    price: Decimal | int | str | None = None,
    order_id: str = "",
    strategy: str = "",
    timestamp: datetime | None = None,
    **metadata: Any,
) -> None:
    """Record one event when the running transaction is committed, at once without one.

    Taken back with the transaction. Waits for nothing and never raises: a number that is none
    is kept in the metadata as it was given.
    """
    record_trading_events(
        [
            {
                "event_type": event_type,
                "symbol": symbol,
                "side": side,
                "quantity": quantity,
                "price": price,
                "order_id": order_id,
                "strategy": strategy,
                "timestamp": timestamp,
                **metadata,
            }
        ]
    )


def record_trading_events(events: Sequence[Mapping[str, Any]]) -> None:
    """Record several events, each given by the keywords of ``record_trading_event``."""
    try:
        rows = [row_of(event) for event in events]
        hand_over = functools.partial(writer.put, TradingEvent, rows)
        # Asked first: outside of a transaction on_commit() would connect to the database.
        if connection.in_atomic_block:
            transaction.on_commit(hand_over, robust=True)
        else:
            hand_over()
    except Exception:
        logger.exception("%d trading events could not be recorded", len(events))


def row_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event as a row; what has no column of its own becomes metadata."""
    metadata = {
        name: value
        for name, value in event.items()
        if name not in TEXTS and name not in NUMBERS and name != "timestamp"
    }
    row: dict[str, Any] = {name: str(event.get(name) or "") for name in TEXTS}
    for name in NUMBERS:
        given = event.get(name)
        row[name] = number(given)
        if row[name] is None and given is not None:
            metadata[name] = str(given)
    moment = event.get("timestamp")
    if moment is not None and (not isinstance(moment, datetime) or moment.tzinfo is None):
        metadata["timestamp"] = str(moment)
        moment = None
    row["timestamp"] = moment or datetime.now(UTC)
    return {**row, "correlation_id": correlation_id.get(), "metadata": metadata}


def number(value: Any) -> Decimal | None:
    """Return what the column of a size or price can hold, else None; never rounded."""
    try:
        found = Decimal(str(value))
        fits = found.is_finite() and abs(found) < PRICE_LIMIT
        return found if fits and found == found.quantize(SMALLEST, context=WIDE) else None
    except (InvalidOperation, ValueError):
        return None
