"""What a trade must hold, which ways its life can go, and what it comes to, to the last digit."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol

from apps.bots.choices import TradeStatus
from apps.shared.errors import DomainError, FieldError
from apps.shared.quant.money import EXACT, SIGNS, number_faults, rate_faults, time_faults

OPEN, CLOSED, CANCELLED = TradeStatus.OPEN, TradeStatus.CLOSED, TradeStatus.CANCELLED
# A final state is never left.
WAYS: Final[Mapping[TradeStatus, frozenset[TradeStatus]]] = {
    OPEN: frozenset({CLOSED, CANCELLED}),
    CLOSED: frozenset(),
    CANCELLED: frozenset(),
}
FINAL: Final = frozenset(state for state, ways in WAYS.items() if not ways)


class MoreThanRemaining(DomainError):
    """An exit of more than is left of a trade."""

    code = "more_than_remaining"

    def __init__(self, size: Decimal, remaining: Decimal) -> None:
        message = f"{size:f} is more than the {remaining:f} that is left of this trade."
        super().__init__(message, [FieldError("/size", self.code, message)])


def remaining_after(remaining: Decimal, size: Decimal) -> Decimal:
    """Return what an exit leaves of a trade. Raises MoreThanRemaining."""
    if size > remaining:
        raise MoreThanRemaining(size, remaining)
    return EXACT.subtract(remaining, size)


# --- What a trade must hold ---------------------------------------------------------------


class TradeLike(Protocol):
    """What is checked of a trade as it arrives."""

    @property
    def status(self) -> str: ...
    @property
    def direction(self) -> str: ...
    @property
    def size(self) -> Decimal: ...
    @property
    def entry_time(self) -> datetime | None: ...
    @property
    def exit_time(self) -> datetime | None: ...
    @property
    def entry_price(self) -> Decimal | None: ...
    @property
    def exit_price(self) -> Decimal | None: ...
    @property
    def entry_commission(self) -> Decimal | None: ...
    @property
    def exit_commission(self) -> Decimal | None: ...
    @property
    def commission(self) -> Decimal | None: ...
    @property
    def commission_rate(self) -> Decimal | None: ...
    @property
    def net_pnl(self) -> Decimal | None: ...
    @property
    def exit_reason(self) -> str: ...


# What only a trade that is over has.
OF_EXIT: Final = ("exit_price", "exit_time", "exit_commission", "commission", "net_pnl")
NUMBERS: Final = (
    ("size", True),
    ("entry_price", True),
    ("exit_price", True),
    ("entry_commission", False),
    ("exit_commission", False),
    ("commission", False),
    ("net_pnl", False),
)


def faults(row: TradeLike, *, now: datetime, ahead: timedelta) -> list[FieldError]:
    """Return all that is wrong with a trade as it is told, each with its field.

    ``ahead`` is how far a time may stand before ``now``.
    """
    found = list(_numbers(row))
    if row.status not in TradeStatus.values:
        found.append(_error("status", "not_a_choice", "Must be open, closed or cancelled."))
    if row.direction not in SIGNS:
        found.append(_error("direction", "not_a_choice", "Must be long or short."))
    if row.status == CLOSED:
        found += _needed(row, ("entry_price", "entry_time", "exit_price", "exit_time"))
    else:
        if row.status == OPEN:
            found += _needed(row, ("entry_price",))
        found += [
            _error(name, "not_closed", f"A trade that is {row.status} has no exit.")
            for name in OF_EXIT
            if getattr(row, name) is not None
        ]
        if row.exit_reason and row.status == OPEN:
            found.append(_error("exit_reason", "not_closed", "A trade that is open has no exit."))
    found += time_faults(row.entry_time, row.exit_time, now=now, ahead=ahead)
    return found


def _needed(row: TradeLike, names: tuple[str, ...]) -> Iterator[FieldError]:
    for name in names:
        if getattr(row, name) is None:
            yield _error(name, "required", f"A trade that is {row.status} has one.")


def _numbers(row: TradeLike) -> Iterator[FieldError]:
    for name, above_zero in NUMBERS:
        value = getattr(row, name)
        if value is not None:
            yield from number_faults(name, value, above_zero=above_zero)
    if row.commission_rate is not None:
        yield from rate_faults(row.commission_rate)


def _error(name: str, code: str, message: str) -> FieldError:
    return FieldError(f"/{name}", code, message)
