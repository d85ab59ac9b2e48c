"""Money of trades to the last digit: what a round trip comes to, rounded in one place."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from apps.shared.errors import DomainError, FieldError
from apps.shared.quant.digits import PRICE_LIMIT, PRICE_PLACES, RATIO_PLACES

ZERO: Final = Decimal(0)
HUNDRED: Final = Decimal(100)
RATIO_LIMIT: Final = Decimal(10) ** 12
# A rate, a price and a size have 96 digits together; none of them is lost before the rounding.
EXACT: Final = Context(prec=140, rounding=ROUND_HALF_EVEN)
SIGNS: Final[Mapping[str, int]] = {"long": 1, "short": -1}


class TooLarge(DomainError):
    """A figure has more digits before the point than its column, numeric(38,18), holds."""

    code = "too_large"

    def __init__(self, name: str) -> None:
        message = f"{name} would have more than 20 digits before the point."
        super().__init__(message, [FieldError(f"/{name}", self.code, message)])


def kept(value: Decimal, name: str, *, places: int = PRICE_PLACES) -> Decimal:
    """Return a figure as its column keeps it: rounded half to even at ``places``.

    The one place where money of trades is rounded. Raises TooLarge, naming the figure.
    """
    rounded = value.quantize(Decimal(1).scaleb(-places), context=EXACT)
    # Unlike abs(), this does not round to 28 digits.
    if rounded.copy_abs() >= (PRICE_LIMIT if places == PRICE_PLACES else RATIO_LIMIT):
        raise TooLarge(name)
    # Zero without a sign.
    return rounded if rounded else ZERO


def value_of(price: Decimal, size: Decimal, name: str = "value") -> Decimal:
    """Return price × size in the quote currency."""
    return kept(EXACT.multiply(price, size), name)


def fee_of(
    *,
    amount: Decimal | None,
    rate: Decimal | None,
    price: Decimal,
    size: Decimal,
    name: str = "commission",
) -> Decimal | None:
    """Return what one leg costs in the quote currency: ``amount``, else rate × price × size.

    ``rate`` is a fraction (0.001 is a tenth of a percent). None when neither is told.
    """
    if amount is not None:
        return amount
    if rate is None:
        return None
    return kept(EXACT.multiply(rate, EXACT.multiply(price, size)), name)


def total(*amounts: Decimal | None, name: str = "commission") -> Decimal | None:
    """Return the sum of the amounts that are told, exactly; None when none is."""
    told = [amount for amount in amounts if amount is not None]
    if not told:
        return None
    found = ZERO
    for amount in told:
        found = EXACT.add(found, amount)
    return kept(found, name)


def share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Return what ``part`` of ``whole`` takes of an amount: amount × part / whole.

    Whoever takes all that is left takes the whole amount, so the shares of successive parts,
    each of what the parts before have left, add up to it exactly.
    """
    if part == whole:
        return amount
    return kept(EXACT.divide(EXACT.multiply(amount, part), whole), "share")


def percentage(net: Decimal, entry_value: Decimal) -> Decimal | None:
    """Return net / entry_value × 100, at 8 places.

    None where nothing was put in, and where the column, numeric(20,8), cannot hold it: a figure
    about a trade must not keep it from being closed.
    """
    if entry_value <= 0:
        return None
    try:
        ratio = EXACT.divide(EXACT.multiply(net, HUNDRED), entry_value)
        return kept(ratio, "pnl_percentage", places=RATIO_PLACES)
    except TooLarge:
        return None


def mean_price(value: Decimal, size: Decimal) -> Decimal:
    """Return value / size: what one unit cost on average over several exits."""
    return kept(EXACT.divide(value, size), "exit_price")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What a trade, or a part of one, came to. All but ``percentage`` in the quote currency."""

    entry_value: Decimal
    exit_value: Decimal
    entry_fee: Decimal | None
    exit_fee: Decimal | None
    fees: Decimal
    gross: Decimal
    net: Decimal
    percentage: Decimal | None


def settle(
    *,
    direction: str,
    size: Decimal,
    entry_price: Decimal,
    exit_price: Decimal,
    entry_fee: Decimal | None,
    exit_fee: Decimal | None,
    entry_value: Decimal | None = None,
    fees: Decimal | None = None,
) -> Settlement:
    """Return gross, fees, net and percentage of an entry and its exit.

    gross = (exit − entry) × size × (1 long, −1 short); net = gross − fees; percentage = net /
    entry value × 100. A fee that is not told (None) counts as nothing. ``entry_value`` is that of
    a part, where it is a share of the whole; ``fees`` is their total where the legs are not known
    apart. Raises TooLarge.

    >>> found = settle(direction="long", size=Decimal("0.1"), entry_price=Decimal(50_000),
    ...     exit_price=Decimal(51_000), entry_fee=Decimal(5), exit_fee=Decimal("5.1"))
    >>> f"{found.gross:.2f} {found.fees:.2f} {found.net:.2f} {found.percentage:.3f}"
    '100.00 10.10 89.90 1.798'
    """
    if entry_value is None:
        entry_value = value_of(entry_price, size, "entry_value")
    moved = EXACT.multiply(EXACT.subtract(exit_price, entry_price), size)
    gross = kept(EXACT.multiply(moved, Decimal(SIGNS[direction])), "gross_pnl")
    paid = fees if fees is not None else total(entry_fee, exit_fee) or ZERO
    net = kept(EXACT.subtract(gross, paid), "net_pnl")
    return Settlement(
        entry_value=entry_value,
        exit_value=value_of(exit_price, size, "exit_value"),
        entry_fee=entry_fee,
        exit_fee=exit_fee,
        fees=paid,
        gross=gross,
        net=net,
        percentage=percentage(net, entry_value),
    )


# --- What a number must be ----------------------------------------------------------------


def number_faults(name: str, value: Decimal, *, above_zero: bool) -> Iterator[FieldError]:
    """Yield what keeps a number from being the price, size or amount it is told as."""
    if not value.is_finite():
        yield _error(name, "not_finite", "Must be a finite number.")
    elif above_zero and value <= 0:
        yield _error(name, "too_small", "Must be greater than 0.")
    elif value.copy_abs() >= PRICE_LIMIT:
        yield _error(name, "too_large", "Must have at most 20 digits before the point.")
    elif not _fits(value, PRICE_PLACES):
        yield _error(name, "too_precise", "Must have at most 18 digits behind the point.")


def rate_faults(rate: Decimal) -> Iterator[FieldError]:
    """Yield what keeps a number from being a rate of commission: a fraction below 1."""
    if not rate.is_finite():
        yield _error("commission_rate", "not_finite", "Must be a finite number.")
    elif not -1 < rate < 1:
        yield _error("commission_rate", "out_of_range", "Must be a fraction, such as 0.001.")
    elif not _fits(rate, RATIO_PLACES):
        yield _error("commission_rate", "too_precise", "Has more than 8 digits behind the point.")


def _fits(value: Decimal, places: int) -> bool:
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and -exponent <= places:
        return True
    exponent = value.normalize(EXACT).as_tuple().exponent
    return isinstance(exponent, int) and -exponent <= places


def time_faults(
    entry_time: datetime | None, exit_time: datetime | None, *, now: datetime, ahead: timedelta
) -> list[FieldError]:
    """Return what is wrong with the times of entry and exit.

    ``ahead`` is how far a time may stand before ``now``.
    """
    found = [
        _error(name, "in_future", "Lies in the future.")
        for name, moment in (("entry_time", entry_time), ("exit_time", exit_time))
        if moment is not None and moment > now + ahead
    ]
    if entry_time is not None and exit_time is not None and exit_time < entry_time:
        found.append(_error("exit_time", "before_entry", "Must not lie before entry_time."))
    return found


def _error(name: str, code: str, message: str) -> FieldError:
    return FieldError(f"/{name}", code, message)
