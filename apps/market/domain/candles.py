"""What a candle must be, which candles answer for a moment, and how they are put together."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from itertools import groupby, pairwise
from typing import NamedTuple, Protocol

from apps.market.choices import Granularity
from apps.shared.errors import FieldError
from apps.shared.quant import outcomes

# A Monday at midnight: whole weeks, days, hours and minutes all count from here.
ORIGIN = datetime(2001, 1, 1, tzinfo=UTC)
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)

# numeric(38,18), as the columns are.
WHOLE_DIGITS, PLACES = 20, 18
VALUE_LIMIT = Decimal(10) ** WHOLE_DIGITS
TEXT_LIMIT = 50


class CandleValues(NamedTuple):
    """What one interval did; it starts at ``timestamp`` (UTC)."""

    timestamp: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class CandleRow(NamedTuple):
    """One candle as it is stored: of which series, and its values."""

    symbol: str
    source: str
    granularity: str
    timestamp: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class CandleLike(Protocol):
    """Whatever has the nine values of a candle, a row of a request for example."""

    @property
    def symbol(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def granularity(self) -> str: ...
    @property
    def timestamp(self) -> datetime: ...
    @property
    def open(self) -> Decimal: ...
    @property
    def high(self) -> Decimal: ...
    @property
    def low(self) -> Decimal: ...
    @property
    def close(self) -> Decimal: ...
    @property
    def volume(self) -> Decimal: ...


class Series(NamedTuple):
    """All candles of one symbol from one source at one granularity; bounds are starts."""

    source: str
    granularity: str
    first: datetime
    last: datetime

    @property
    def known_until(self) -> datetime:
        """The end of the last candle."""
        return known_at(self.last, self.granularity)


class PricePoint(NamedTuple):
    """A price that was known at a moment, and the candle whose close it is."""

    price: Decimal
    source: str
    granularity: str
    timestamp: datetime

    @property
    def known_at(self) -> datetime:
        """When the candle closed."""
        return known_at(self.timestamp, self.granularity)


class Gap(NamedTuple):
    """Intervals without a candle between two that have one: ``start`` ≤ t < ``end``."""

    start: datetime
    end: datetime
    missing: int


# --- Time ---------------------------------------------------------------------------------


def width(granularity: str) -> timedelta:
    """Return how long one candle lasts; ValueError for a word that is no granularity."""
    return Granularity(granularity).width


def known_at(timestamp: datetime, granularity: str) -> datetime:
    """Return the moment from which the candle that starts at ``timestamp`` may be used."""
    return timestamp + width(granularity)


def tolerance(granularity: str) -> timedelta:
    """Return how old a close may be and still stand for a moment: max(2 g, 10 min)."""
    return outcomes.tolerance(width(granularity))


def aligned_start(moment: datetime, granularity: str) -> datetime:
    """Return the start of the interval that holds ``moment``: UTC, weeks from Monday."""
    return moment - (moment - ORIGIN) % width(granularity)


def is_aligned(moment: datetime, granularity: str) -> bool:
    """Say whether an interval of this granularity starts at ``moment``."""
    return not (moment - ORIGIN) % width(granularity)


# --- Which candles, and the price at a moment ---------------------------------------------


def choose_source(heads: Sequence[PricePoint], primary_source: str = "") -> str:
    """Return the source that answers: the primary one, else the freshest; "" without any.

    ``heads`` are the last candles known at the moment, one per series. Freshest is whose
    candle *closed* last; of equals the first by name.
    """
    if primary_source or not heads:
        return primary_source
    freshest = max(head.known_at for head in heads)
    return min(head.source for head in heads if head.known_at == freshest)


def choose_price(
    heads: Sequence[PricePoint], moment: datetime, primary_source: str = ""
) -> PricePoint | None:
    """Return the price at ``moment``, or None when it is not known.

    ``heads`` are the last candles known at the moment, one per series. Of the chosen
    source the finest granularity answers that has data *around* the moment: whose last
    close is not older than its tolerance, max(2 g, 10 min).
    """
    source = choose_source(heads, primary_source)
    around = [
        head
        for head in heads
        if head.source == source
        and timedelta(0) <= moment - head.known_at <= tolerance(head.granularity)
    ]
    return min(around, key=lambda head: width(head.granularity), default=None)


# --- Putting candles together -------------------------------------------------------------


def resample(
    candles: Iterable[CandleValues], to: str, *, granularity: str = ""
) -> list[CandleValues]:
    """Return candles of the coarser granularity ``to``, from candles in order of time.

    Open of the first, highest high, lowest low, close of the last, volume summed exactly.
    Intervals without a candle stay empty. With ``granularity`` given, a ``to`` that it
    does not divide raises ValueError.
    """
    if granularity:
        check_divides(granularity, to)
    merged = []
    with localcontext(prec=76):
        for start, group in groupby(candles, key=lambda one: aligned_start(one.timestamp, to)):
            parts = list(group)
            merged.append(
                CandleValues(
                    start,
                    parts[0].open,
                    max(part.high for part in parts),
                    min(part.low for part in parts),
                    parts[-1].close,
                    sum((part.volume for part in parts), Decimal(0)),
                )
            )
    return merged


def check_divides(granularity: str, to: str) -> None:
    """Raise ValueError unless whole candles of ``granularity`` make one of ``to``."""
    if width(to) % width(granularity):
        raise ValueError(f"Candles of {granularity} do not add up to {to}.")


def find_gaps(timestamps: Iterable[datetime], granularity: str) -> list[Gap]:
    """Return what is missing between starts that stand in order of time."""
    step = width(granularity)
    return [
        Gap(before + step, after, (after - before) // step - 1)
        for before, after in pairwise(timestamps)
        if after - before > step
    ]


# --- What a candle must be ----------------------------------------------------------------


def problems(
    row: CandleLike, now: datetime, clock_tolerance: timedelta = timedelta(0)
) -> list[FieldError]:
    """Return everything that speaks against storing the row; an empty list for a good one.

    ``clock_tolerance`` is how far the sender's clock may run ahead of ``now``. A candle
    that has not ended by then is refused: its close is not known yet.
    """
    found = [
        error for name in ("symbol", "source") if (error := text_problem(name, getattr(row, name)))
    ]
    found += time_problems(row.timestamp, row.granularity, now + clock_tolerance)
    wrong = [
        error
        for name in ("open", "high", "low", "close", "volume")
        if (error := value_problem(name, getattr(row, name), zero_allowed=name == "volume"))
    ]
    return found + (wrong or price_problems(row))


def text_problem(name: str, text: str) -> FieldError | None:
    """Say what is wrong with a name, if anything."""
    pointer = f"/{name}"
    if not text or text != text.strip():
        return FieldError(pointer, "blank", "Must not be empty or framed by spaces.")
    if len(text) > TEXT_LIMIT:
        return FieldError(pointer, "too_long", f"Longer than {TEXT_LIMIT} characters.")
    if not text.isprintable():
        return FieldError(pointer, "invalid", "Holds characters that cannot be shown.")
    return None


def time_problems(timestamp: datetime, granularity: str, latest: datetime) -> list[FieldError]:
    """Say what is wrong with the start of a candle, if anything."""
    pointer = "/timestamp"
    if granularity not in Granularity.values:
        known = ", ".join(Granularity.values)
        return [FieldError("/granularity", "unknown", f"Must be one of {known}.")]
    if timestamp.tzinfo is None:
        return [FieldError(pointer, "naive", "Must carry an offset from UTC.")]
    if timestamp < EARLIEST:
        return [FieldError(pointer, "too_old", f"Must not lie before {EARLIEST:%Y-%m-%d}.")]
    if timestamp > latest:
        return [FieldError(pointer, "future", "Lies in the future.")]
    if not is_aligned(timestamp, granularity):
        start = aligned_start(timestamp, granularity).astimezone(UTC)
        message = f"No {granularity} candle starts here; the nearest before is {start:%FT%TZ}."
        return [FieldError(pointer, "unaligned", message)]
    if known_at(timestamp, granularity) > latest:
        return [FieldError(pointer, "unfinished", "This candle has not ended yet.")]
    return []


def value_problem(name: str, value: Decimal, *, zero_allowed: bool) -> FieldError | None:
    """Say what keeps a number out of its column, if anything."""
    pointer = f"/{name}"
    if not value.is_finite():
        return FieldError(pointer, "not_finite", "Must be a number.")
    if value < 0 or (value == 0 and not zero_allowed):
        least = "at least 0" if zero_allowed else "greater than 0"
        return FieldError(pointer, "out_of_range", f"Must be {least}.")
    if value >= VALUE_LIMIT:
        message = f"Has more than {WHOLE_DIGITS} digits before the point."
        return FieldError(pointer, "too_many_digits", message)
    _, digits, exponent = value.as_tuple()
    # Zeros at the end are no digits: 1.50 is as short as 1.5.
    if -int(exponent) > PLACES and any(digits[int(exponent) + PLACES :]):
        message = f"Has more than {PLACES} digits behind the point."
        return FieldError(pointer, "too_many_digits", message)
    return None


def price_problems(row: CandleLike) -> list[FieldError]:
    """Say which price lies outside its own high and low, if any."""
    if row.low > row.high:
        return [FieldError("/high", "below_low", "Must not be below the low.")]
    return [
        FieldError(f"/{name}", "outside_range", "Must lie between low and high.")
        for name in ("open", "close")
        if not row.low <= getattr(row, name) <= row.high
    ]
