"""Lots: what buys, sales and reservations make of them, to the last digit."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final, NamedTuple

from apps.shared.errors import DomainError, FieldError
from apps.shared.quant.digits import PRICE_LIMIT, PRICE_PLACES

ZERO: Final = Decimal(0)
PLACE: Final = Decimal(1).scaleb(-PRICE_PLACES)
# Two numbers of 38 digits multiplied, and sums of such; none is lost before the rounding.
EXACT: Final = Context(prec=140, rounding=ROUND_HALF_EVEN)


def shown(value: Decimal) -> str:
    """Return a figure for a message, without padding zeros."""
    return f"{value.normalize(EXACT):f}"


class InsufficientLot(DomainError):
    """A sale of more than is there and not reserved."""

    code = "insufficient_lot"

    def __init__(self, size: Decimal, available: Decimal, name: str = "") -> None:
        where = f"in the lot {name}" if name else "in all lots of this symbol, bot and type"
        message = f"{shown(size)} is more than the {shown(available)} available {where}."
        super().__init__(message, [FieldError("/size", self.code, message)])


class LotClosed(DomainError):
    """A lot of which all was sold stays closed: its cost is that of what was in it."""

    code = "lot_closed"

    def __init__(self, name: str) -> None:
        message = f"All of the lot {name} was sold; buy into another one."
        super().__init__(message, [FieldError("/lot_id", self.code, message)])


class OverReserved(DomainError):
    """More was to be reserved than the lot holds."""

    code = "over_reserved"

    def __init__(self, size: Decimal, total: Decimal) -> None:
        message = f"{shown(size)} is more than the {shown(total)} in the lot."
        super().__init__(message, [FieldError("/size", self.code, message)])


class LotTooLarge(DomainError):
    """A figure of the lot would have more digits before the point than its column holds."""

    code = "too_large"

    def __init__(self, name: str) -> None:
        message = "The lot would come to more than 20 digits before the point."
        super().__init__(message, [FieldError(f"/{name}", self.code, message)])


@dataclass(frozen=True, slots=True)
class Lot:
    """The figures of one lot: 0 ≤ available ≤ total; what is not available is reserved.

    ``average``: what one unit cost, None before the first buy. ``realized``: of all sales, before
    ``fees``.
    """

    total: Decimal = ZERO
    available: Decimal = ZERO
    average: Decimal | None = None
    realized: Decimal = ZERO
    fees: Decimal = ZERO

    @property
    def is_closed(self) -> bool:
        """Whether something was in it and all of it was sold."""
        return self.average is not None and not self.total

    @property
    def reserved(self) -> Decimal:
        return EXACT.subtract(self.total, self.available)


def bought(lot: Lot, *, size: Decimal, price: Decimal, fee: Decimal = ZERO, name: str = "") -> Lot:
    """Return the lot after a buy: more of it, at the average cost weighted by size.

    average = (total × average + size × price) / (total + size), half to even at 18 places. What
    is reserved stays reserved. Raises LotClosed, naming ``name``, and LotTooLarge.
    """
    if lot.is_closed:
        raise LotClosed(name)
    total = held(EXACT.add(lot.total, size), "size")
    value = EXACT.multiply(size, price)
    if lot.average is not None:
        value = EXACT.add(value, EXACT.multiply(lot.total, lot.average))
    return replace(
        lot,
        total=total,
        available=EXACT.add(lot.available, size),
        average=rounded(EXACT.divide(value, total)),
        fees=held(EXACT.add(lot.fees, fee), "fee"),
    )


def sold(
    lot: Lot, *, size: Decimal, price: Decimal, fee: Decimal = ZERO, name: str = ""
) -> tuple[Lot, Decimal]:
    """Return the lot after a sale, and what the sale realized before fees.

    realized = (price - average) × size, half to even at 18 places; the average stays. Raises
    InsufficientLot when less is available, naming ``name``, and LotTooLarge.
    """
    if lot.average is None or lot.available < size:
        raise InsufficientLot(size, lot.available, name)
    gain = EXACT.multiply(EXACT.subtract(price, lot.average), size)
    realized = held(rounded(gain), "price")
    after = replace(
        lot,
        total=EXACT.subtract(lot.total, size),
        available=EXACT.subtract(lot.available, size),
        realized=held(EXACT.add(lot.realized, realized), "price"),
        fees=held(EXACT.add(lot.fees, fee), "fee"),
    )
    return after, realized


def reserved(lot: Lot, *, size: Decimal) -> Lot:
    """Return the lot with just ``size`` reserved, whatever was before. Raises OverReserved."""
    if size > lot.total:
        raise OverReserved(size, lot.total)
    return replace(lot, available=EXACT.subtract(lot.total, size))


def rounded(value: Decimal) -> Decimal:
    """Return a figure as its column keeps it; the one place where lots are rounded."""
    return value.quantize(PLACE, context=EXACT)


def held(value: Decimal, name: str) -> Decimal:
    """Return a figure that its column can hold. Raises LotTooLarge, naming the field."""
    # Not abs(), which rounds to 28 digits.
    if value.copy_abs() >= PRICE_LIMIT:
        raise LotTooLarge(name)
    return value


# --- A sale over several lots -------------------------------------------------------------


class Candidate(NamedTuple):
    """A lot that a sale may draw on."""

    lot_id: str
    available: Decimal


class Share(NamedTuple):
    """What a sale takes from one lot."""

    lot_id: str
    size: Decimal
    fee: Decimal


def age(opened_at: datetime | None, lot_id: str) -> tuple[bool, datetime | None, str]:
    """Return by what lots are sorted, oldest first; those of one age by their names."""
    return opened_at is not None, opened_at, lot_id


def first_in_first_out(
    lots: Iterable[Candidate], *, size: Decimal, fee: Decimal = ZERO
) -> list[Share]:
    """Return what a sale takes from which of ``lots``, which come oldest first (see ``age``).

    The sizes sum to ``size`` and the parts of the fee, by size, to ``fee``, both to the last
    digit. Raises InsufficientLot when all together have less available.
    """
    shares: list[Share] = []
    taken = paid = ZERO
    for each in lots:
        part = min(each.available, EXACT.subtract(size, taken))
        if part <= 0:
            continue
        taken = EXACT.add(taken, part)
        # Rounding what is paid so far, not each part, leaves nothing over at the end.
        so_far = rounded(EXACT.divide(EXACT.multiply(fee, taken), size))
        shares.append(Share(each.lot_id, part, EXACT.subtract(so_far, paid)))
        paid = so_far
        if taken == size:
            return shares
    raise InsufficientLot(size, taken)
