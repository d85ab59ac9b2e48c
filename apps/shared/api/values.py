"""What single values must hold: exact numbers, aware times, text that can be seen.

Every check comes twice: ``read`` takes one JSON value and says what is wrong with it;
``admits`` judges a whole column of decoded values at once and only says yes or no. Whoever
gets a no reads row by row.
"""

import ipaddress
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Protocol

import msgspec

from apps.shared.api.parsing import MAX_DEPTH, MAX_INTEGER_DIGITS
from apps.shared.errors import FieldError

# What a number may look like inside a string; Decimal() itself would also take "1_0".
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?")
MAX_NUMBER_TEXT = 100
# NUL cannot be stored; the others at the edge of a text are typing accidents nobody sees.
INVISIBLE_EDGE = re.compile(r"\A[\x00-\x20\x7f-\x9f]|[\x00-\x20\x7f-\x9f]\Z")
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
AwareTime = Annotated[datetime, msgspec.Meta(tz=True)]
# With years at the very edge an offset would carry the moment out of what can be stored.
EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)
# Numbers beyond this many digits are no numbers of anything.
MAX_EXPONENT = 1000
LARGEST_INTEGER = 10**MAX_INTEGER_DIGITS - 1
# One less for the row around a document, and one for the list around the row.
DOCUMENT_DEPTH = MAX_DEPTH - 2


class Refused(Exception):
    """A value that is not taken: a stable code, a sentence, and where inside the value."""

    def __init__(self, code: str, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.pointer = pointer

    def errors(self) -> Sequence[FieldError]:
        """Return everything that is wrong, with pointers from the value on."""
        return [FieldError(self.pointer, self.code, self.message)]


class ManyRefused(Refused):
    """A value of several parts, of which more than one may be wrong."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("invalid", "Holds parts that are not as they must be.")
        self._errors = errors

    def errors(self) -> Sequence[FieldError]:
        return self._errors


class Check(Protocol):
    """What a field's value must hold, one at a time and by the column."""

    def read(self, value: Any) -> Any:
        """Return the value that a JSON value stands for; raise Refused."""

    def admits(self, column: Sequence[Any], *, short: bool) -> bool:
        """Tell whether all decoded values of a column are fine; a no may be a doubt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberCheck:
    """An exact decimal between bounds with so many places; nothing is ever rounded."""

    places: int
    above: Decimal | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    below: Decimal | None = None

    def read(self, value: Any) -> Decimal:
        """Return the number that a JSON number or string stands for."""
        if isinstance(value, str):
            if len(value) > MAX_NUMBER_TEXT:
                raise Refused("too_long", "Has more digits than can be kept.")
            if value.strip().lower().lstrip("+-") in {"nan", "snan", "inf", "infinity"}:
                raise Refused("not_finite", "Must be a finite number.")
            bare = value.strip(" \t\r\n")
            if not NUMBER.fullmatch(bare):
                raise Refused("not_a_number", "Must be a number in plain notation, such as 0.5.")
            value = Decimal(bare)
        elif isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise Refused("type", "Must be a number, or a string that holds one.")
        number = value if isinstance(value, Decimal) else Decimal(value)
        if not number.is_finite():
            raise Refused("not_finite", "Must be a finite number.")
        if not number:
            # Without a sign and without an exponent.
            number = Decimal(0)
        self._check_bounds(number)
        if not self._fits(number):
            raise Refused("too_precise", f"Has more than {self.places} digits behind the point.")
        return number

    def _check_bounds(self, number: Decimal) -> None:
        if self.above is not None and not number > self.above:
            raise Refused("too_small", f"Must be greater than {_bound(self.above)}.")
        if self.minimum is not None and number < self.minimum:
            raise Refused("too_small", f"Must be at least {_bound(self.minimum)}.")
        if self.maximum is not None and number > self.maximum:
            raise Refused("too_large", f"Must be at most {_bound(self.maximum)}.")
        if self.below is not None and not number < self.below:
            raise Refused("too_large", f"Must be less than {_bound(self.below)}.")

    def _fits(self, number: Decimal) -> bool:
        """Tell whether no digit that counts stands behind the last place."""
        _, digits, exponent = number.as_tuple()
        surplus = -self.places - int(exponent)
        return surplus <= 0 or (surplus < len(digits) and not any(digits[-surplus:]))

    def admits(self, column: Sequence[Decimal], *, short: bool) -> bool:
        """Tell whether all numbers are within bounds and places.

        ``short``: no number of the batch was written with more places than ``places``.
        """
        try:
            low, high = min(column), max(column)
        except InvalidOperation:
            # Not a number has no place among the others.
            return False
        if not (low.is_finite() and high.is_finite()):
            return False
        return (
            (self.above is None or low > self.above)
            and (self.minimum is None or low >= self.minimum)
            and (self.maximum is None or high <= self.maximum)
            and (self.below is None or high < self.below)
            and (short or all(map(self._fits, column)))
        )


def _bound(value: Decimal) -> str:
    return f"{value:f}" if abs(value) < 1000 else f"{value:.0e}".replace("e+", "e")


@dataclass(frozen=True, slots=True)
class RealCheck:
    """A statistic in double precision: finite, with as many digits as that holds."""

    def read(self, value: Any) -> float:
        """Return the nearest number of double precision."""
        number = float(value if isinstance(value, float) else ANY_NUMBER.read(value))
        if not math.isfinite(number):
            raise Refused("not_finite", "Must be a finite number.")
        return number

    def admits(self, column: Sequence[float], *, short: bool) -> bool:
        """Tell whether all are finite."""
        return all(map(math.isfinite, column))


ANY_NUMBER = NumberCheck(places=MAX_EXPONENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCheck:
    """A text of so many characters; unless it is prose, nothing invisible at its edges."""

    minimum: int = 0
    maximum: int
    pattern: str = ""
    prose: bool = False

    def read(self, value: Any) -> str:
        """Return the text as it is."""
        if not isinstance(value, str):
            raise Refused("type", "Must be a string.")
        if UNSTORABLE.search(value):
            raise Refused("unstorable", "Holds NUL or half of a surrogate pair.")
        if not value and self.minimum:
            raise Refused("empty", "Must not be empty.")
        if len(value) < self.minimum:
            raise Refused("too_short", f"Must have at least {self.minimum} characters.")
        if len(value) > self.maximum:
            raise Refused("too_long", f"Must have at most {self.maximum} characters.")
        if not self.prose and INVISIBLE_EDGE.search(value):
            raise Refused("invisible_edge", "Starts or ends with a space or control character.")
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise Refused("pattern", "Holds a character that is not taken here.")
        return value

    def admits(self, column: Sequence[str], *, short: bool) -> bool:
        """Tell whether all texts are fine; few different ones are the rule."""
        try:
            for value in set(column):
                self.read(value)
        except Refused:
            return False
        return True


@dataclass(frozen=True, slots=True)
class ChoiceCheck:
    """One word of a closed vocabulary."""

    words: tuple[str, ...]

    def read(self, value: Any) -> str:
        """Return the word."""
        if not isinstance(value, str):
            raise Refused("type", "Must be a string.")
        if value not in self.words:
            raise Refused("not_a_choice", f"Must be one of {', '.join(self.words)}.")
        return value

    def admits(self, column: Sequence[str], *, short: bool) -> bool:
        """Tell whether all are words of the vocabulary."""
        return set(column).issubset(self.words)


@dataclass(frozen=True, slots=True)
class TimeCheck:
    """A moment with its offset, kept in UTC."""

    def read(self, value: Any) -> datetime:
        """Return the moment in UTC."""
        if not isinstance(value, str):
            raise Refused("type", "Must be a time such as 2026-01-31T12:00:00Z.")
        try:
            moment = msgspec.convert(value, AwareTime)
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            if "timezone" in str(error):
                raise Refused("naive", "Needs an offset: Z, or one such as +02:00.") from error
            raise Refused("not_a_time", "Must be a time such as 2026-01-31T12:00:00Z.") from error
        if not _in_range(moment):
            raise Refused("out_of_range", "Lies outside the years that can be kept.")
        return moment.astimezone(UTC)

    def admits(self, column: Sequence[datetime], *, short: bool) -> bool:
        """Tell whether all moments are already in UTC and can be kept."""
        return (
            all(moment.tzinfo is UTC for moment in column)
            and min(column) >= EARLIEST
            and max(column) <= LATEST
        )


def _in_range(moment: datetime) -> bool:
    return EARLIEST <= moment <= LATEST


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceCheck:
    """A text that is kept whatever it holds; what no column can hold is replaced on its way.

    For messages and tracebacks: a strange character must not cost the line that tells of it.
    """

    maximum: int

    def read(self, value: Any) -> str:
        """Return the text as it is."""
        if not isinstance(value, str):
            raise Refused("type", "Must be a string.")
        if len(value) > self.maximum:
            raise Refused("too_long", f"Must have at most {self.maximum} characters.")
        return value

    def admits(self, column: Sequence[str], *, short: bool) -> bool:
        """Tell whether all are short enough."""
        return max(map(len, column)) <= self.maximum


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCheck:
    """A word or a whole number that a function knows; it is kept as it was sent."""

    knows: Callable[[Any], bool]
    code: str
    message: str
    kinds: tuple[type, ...] = (str,)

    def read(self, value: Any) -> Any:
        """Return the value as it is."""
        if type(value) not in self.kinds:
            raise Refused("type", self.message)
        if not self.knows(value):
            raise Refused(self.code, self.message)
        return value

    def admits(self, column: Sequence[Any], *, short: bool) -> bool:
        """Tell whether all are known; few different ones are the rule."""
        # With its type: True and 1 are one and the same to a set.
        found = {(type(value), value) for value in column}
        return all(kind in self.kinds and self.knows(value) for kind, value in found)


def is_address(text: str) -> bool:
    """Tell whether a text is an IPv4 or IPv6 address, without a zone and without a mask."""
    try:
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class DocumentCheck:
    """A JSON object of any content that PostgreSQL can keep.

    ``evidence``: texts in it may also hold what is replaced where they are stored.
    """

    evidence: bool = False

    def read(self, value: Any) -> dict[str, Any]:
        """Return the object; its numbers are exact decimals."""
        if not isinstance(value, dict):
            raise Refused("type", "Must be a JSON object.")
        check_document(value, "", evidence=self.evidence)
        return value

    def admits(self, column: Sequence[dict[str, Any]], *, short: bool) -> bool:
        """Tell whether all objects can be kept."""
        return all(is_fine(value, DOCUMENT_DEPTH, evidence=self.evidence) for value in column)


def check_document(value: Any, pointer: str, *, evidence: bool = False) -> None:
    """Raise Refused for what a JSON column cannot keep, wherever it stands inside."""
    if isinstance(value, str):
        if not evidence and UNSTORABLE.search(value):
            raise Refused("unstorable", "Holds NUL or half of a surrogate pair.", pointer)
    elif isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > MAX_EXPONENT:
            raise Refused("out_of_range", "Is too large or too small to be kept.", pointer)
    elif isinstance(value, dict):
        for name, inner in value.items():
            where = f"{pointer}/{pointer_part(name)}"
            check_document(name, where, evidence=evidence)
            check_document(inner, where, evidence=evidence)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            check_document(inner, f"{pointer}/{index}", evidence=evidence)


def is_fine(value: Any, depth: int, *, evidence: bool) -> bool:
    """Tell whether a JSON value can be kept, at most ``depth`` deep; a no may be a doubt."""
    if isinstance(value, str):
        return evidence or not UNSTORABLE.search(value)
    if isinstance(value, dict):
        return depth > 0 and all(
            (evidence or not UNSTORABLE.search(name))
            and is_fine(inner, depth - 1, evidence=evidence)
            for name, inner in value.items()
        )
    if isinstance(value, list):
        return depth > 0 and all(is_fine(inner, depth - 1, evidence=evidence) for inner in value)
    if isinstance(value, Decimal):
        return value.is_finite() and abs(value.adjusted()) <= MAX_EXPONENT
    if isinstance(value, int):
        return -LARGEST_INTEGER <= value <= LARGEST_INTEGER
    return value is None


def pointer_part(name: str) -> str:
    """Return a name as one step of a JSON pointer (RFC 6901)."""
    return UNSTORABLE.sub("\ufffd", name).replace("~", "~0").replace("/", "~1")
