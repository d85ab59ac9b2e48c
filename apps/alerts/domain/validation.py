"""What an alert must be to be taken in. Pure rules, every refusal with its field named."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, NamedTuple, Protocol

from apps.alerts.choices import Direction, Priority
from apps.shared.errors import FieldError
from apps.shared.quant.digits import PRICE_LIMIT, PRICE_PLACES, RATIO_PLACES, digits_behind

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
MAX_LEVERAGE = Decimal(1000)
HUNDRED = Decimal(100)
SYMBOL = re.compile(r"\S+(?: \S+)*")
LENGTHS = {"alert_id": 255, "symbol": 50, "alert_type": 50, "strategy": 50, "timeframe": 10}
NEEDED = ("alert_id", "alert_type")

# Senders that put their prices into the free data name them in one of these ways.
ALTERNATIVES = {
    "entry_price": ("entry_price", "current_price", "price", "entry"),
    "target_price": ("target_price", "target", "take_profit"),
    "stop_loss": ("stop_loss", "sl", "stop"),
}


class AlertRow(Protocol):
    """An alert as it arrives: whatever has these values."""

    @property
    def alert_id(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def timestamp(self) -> datetime: ...
    @property
    def alert_type(self) -> str: ...
    @property
    def priority(self) -> str: ...
    @property
    def direction(self) -> str: ...
    @property
    def leverage(self) -> Decimal | None: ...
    @property
    def confidence(self) -> Decimal | None: ...
    @property
    def confidence_pct(self) -> Decimal | None: ...
    @property
    def strategy(self) -> str: ...
    @property
    def timeframe(self) -> str: ...
    @property
    def entry_price(self) -> Decimal | None: ...
    @property
    def target_price(self) -> Decimal | None: ...
    @property
    def stop_loss(self) -> Decimal | None: ...
    @property
    def extra_data(self) -> Mapping[str, Any]: ...


class AlertFacts(NamedTuple):
    """An alert as it is stored, column by column."""

    alert_id: str
    symbol: str
    alert_type: str
    priority: str
    direction: str
    timestamp: datetime
    leverage: Decimal | None
    confidence: Decimal | None
    strategy: str
    timeframe: str
    entry_price: Decimal | None
    target_price: Decimal | None
    stop_loss: Decimal | None
    extra_data: Mapping[str, Any]


def checked(
    row: AlertRow, *, now: datetime, ahead: timedelta
) -> tuple[AlertFacts, list[FieldError]]:
    """Return what would be stored, and everything that is wrong with it (nothing: store it).

    A price that is not given is looked for in ``extra_data`` under the names senders use. A
    ``confidence_pct`` (0 to 100) becomes a ``confidence`` (0 to 1). ``ahead`` is how far the
    alert's time may stand before ``now``.
    """
    errors: list[FieldError] = []
    prices = {name: price(row, name, errors) for name in ALTERNATIVES}
    confidence = probability(row, errors)
    facts = AlertFacts(
        alert_id=row.alert_id,
        symbol=row.symbol,
        alert_type=row.alert_type,
        priority=row.priority,
        direction=row.direction,
        timestamp=row.timestamp,
        leverage=row.leverage,
        confidence=confidence,
        strategy=row.strategy,
        timeframe=row.timeframe,
        entry_price=prices["entry_price"],
        target_price=prices["target_price"],
        stop_loss=prices["stop_loss"],
        extra_data=row.extra_data,
    )
    errors += texts(facts)
    if not EARLIEST <= facts.timestamp <= now + ahead:
        early = facts.timestamp < EARLIEST
        errors.append(
            FieldError("/timestamp", "too_early", "Lies before 1990.")
            if early
            else FieldError("/timestamp", "in_future", "Lies in the future.")
        )
    if facts.leverage is not None:
        errors += bounds(facts.leverage)
    if not any(error.pointer == "/direction" for error in errors):
        errors += sides(facts)
    return facts, errors


def bounds(leverage: Decimal) -> list[FieldError]:
    if leverage.is_nan():
        return [not_a_number("/leverage")]
    if not 0 < leverage <= MAX_LEVERAGE:
        message = f"Must lie above 0 and be at most {MAX_LEVERAGE}."
        return [FieldError("/leverage", "out_of_range", message)]
    if digits_behind(leverage) > RATIO_PLACES:
        return [too_many("/leverage", RATIO_PLACES)]
    return []


def texts(facts: AlertFacts) -> list[FieldError]:
    errors = []
    for name, length in LENGTHS.items():
        text = getattr(facts, name)
        if len(text) > length:
            message = f"Must be at most {length} characters."
            errors.append(FieldError(f"/{name}", "too_long", message))
        elif "\x00" in text:
            errors.append(FieldError(f"/{name}", "invalid", "Must not hold a NUL character."))
        elif not text.strip() and name in NEEDED:
            errors.append(FieldError(f"/{name}", "required", "Must not be empty."))
    if len(facts.symbol) <= LENGTHS["symbol"] and not SYMBOL.fullmatch(facts.symbol):
        message = "Must be what is traded, such as BTC/USDT, without spaces at its ends."
        errors.append(FieldError("/symbol", "invalid", message))
    for name, known in (("priority", Priority.values), ("direction", Direction.values)):
        if getattr(facts, name) not in known:
            message = f"Must be one of {', '.join(known)}."
            errors.append(FieldError(f"/{name}", "unknown_choice", message))
    return errors


def price(row: AlertRow, name: str, errors: list[FieldError]) -> Decimal | None:
    """Return a price of the alert: the field, else the first number under its other names."""
    pointer, value = f"/{name}", getattr(row, name)
    if value is None:
        for other in ALTERNATIVES[name]:
            value = number(row.extra_data.get(other))
            if value is not None:
                pointer = f"/extra_data/{other}"
                break
        else:
            return None
    if value.is_nan():
        errors.append(not_a_number(pointer))
        return None
    if not 0 < value < PRICE_LIMIT:
        code = "too_large" if value >= PRICE_LIMIT else "not_positive"
        message = "Is too large." if code == "too_large" else "Must be above zero."
        errors.append(FieldError(pointer, code, message))
        return None
    if digits_behind(value) > PRICE_PLACES:
        errors.append(too_many(pointer, PRICE_PLACES))
        return None
    return value  # type: ignore[no-any-return]


def number(value: Any) -> Decimal | None:
    """Return a finite number, written as such or as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def probability(row: AlertRow, errors: list[FieldError]) -> Decimal | None:
    """Return the confidence as a probability, from whichever of its two fields is given."""
    given, percent = row.confidence, row.confidence_pct
    if given is not None and percent is not None:
        message = "Give confidence or confidence_pct, not both."
        errors.append(FieldError("/confidence_pct", "conflicting", message))
        return None
    if percent is not None:
        pointer, most, value = "/confidence_pct", HUNDRED, percent
    elif given is not None:
        pointer, most, value = "/confidence", Decimal(1), given
    else:
        return None
    if value.is_nan():
        errors.append(not_a_number(pointer))
        return None
    if not 0 <= value <= most:
        message = f"Must lie between 0 and {most}."
        errors.append(FieldError(pointer, "out_of_range", message))
        return None
    with localcontext(prec=60):
        result = value / HUNDRED if most == HUNDRED else value
    if digits_behind(result) > RATIO_PLACES:
        errors.append(too_many(pointer, RATIO_PLACES - 2 if most == HUNDRED else RATIO_PLACES))
        return None
    return result


def sides(facts: AlertFacts) -> list[FieldError]:
    """Say which of target and stop lie on the wrong side, for the alert's direction."""
    long = facts.direction == Direction.LONG
    ahead, behind = ("above", "below") if long else ("below", "above")
    entry, target, stop = facts.entry_price, facts.target_price, facts.stop_loss

    def wrong(far: Decimal | None, near: Decimal | None) -> bool:
        if far is None or near is None:
            return False
        return far <= near if long else far >= near

    errors = []
    if wrong(target, entry):
        message = f"Must lie {ahead} the entry price of a {facts.direction} alert."
        errors.append(FieldError("/target_price", "wrong_side", message))
    if wrong(entry, stop):
        message = f"Must lie {behind} the entry price of a {facts.direction} alert."
        errors.append(FieldError("/stop_loss", "wrong_side", message))
    if entry is None and wrong(target, stop):
        message = f"Must lie {behind} the target price of a {facts.direction} alert."
        errors.append(FieldError("/stop_loss", "wrong_side", message))
    return errors


def not_a_number(pointer: str) -> FieldError:
    return FieldError(pointer, "not_a_number", "Must be a number.")


def too_many(pointer: str, places: int) -> FieldError:
    message = f"Must have at most {places} digits behind the point."
    return FieldError(pointer, "too_many_digits", message)
