"""One or many: a request body as rows, each bad one named by its place.

Rows are read by the block, in columns, as long as nothing is odd. Odd is also what is
perhaps fine but cannot be told cheaply; such a block is halved until what is left can be
read row by row. Both ways say the same.
"""

import functools
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from apps.shared.api import parsing, structs, tables
from apps.shared.api.errors import ApiError
from apps.shared.api.rows import Row
from apps.shared.api.values import MAX_NUMBER_TEXT, NUMBER
from apps.shared.errors import FieldError

R = TypeVar("R", bound=Row)

PART_ROWS = 10_000
BLOCK_ROWS = 1_000
# Fewer rows than this are read one by one rather than halved once more.
SMALLEST_BLOCK = 8
SPACE_BEHIND_NAME = re.compile(rb'"[ \t\r\n]+:')
WHITE_SPACE = (b" ", b"\t", b"\n", b"\r")
# Decimal() passes over underscores; the grammar of numbers does not know them.
UNDERSCORE_IN_NUMBER = re.compile(rb'_(?:[-+.0-9_"]|[eE][-+0-9])')


@dataclass(slots=True)
class Batch(Generic[R]):
    """Rows of a body that can be read, where they stood in it, and what is wrong with the rest.

    ``ready`` are the rows as they are stored: what the viewset's ``prepare`` made of them.
    """

    many: bool
    size: int = 0
    rows: list[R] = field(default_factory=list)
    places: Sequence[int] = ()
    failures: dict[int, list[FieldError]] = field(default_factory=dict)
    ready: Any = None


Found = Sequence[R | list[FieldError]]


def read_batch(row: type[R], body: bytes, kind: str, *, limit: int) -> Batch[R]:
    """Return all rows of a body of the given content type, at most ``limit`` of them.

    Raises ApiError when the body as a whole cannot be read.
    """
    [batch] = read_parts(row, body, kind, limit=limit, part_rows=max(1, limit))
    return batch


def read_parts(
    row: type[R], body: bytes, kind: str, *, limit: int, part_rows: int = PART_ROWS
) -> Iterator[Batch[R]]:
    """Yield the rows of a body in parts, so that one can be stored while the next is read.

    Places count through the whole body. There is always one part; a body of a single
    object is one that is not ``many``. Raises ApiError with the first part when the body as
    a whole cannot be read.
    """
    if parsing.empty_body(body):
        raise ApiError(400, "empty", "The body is empty.")
    elements: Sequence[Any]
    read: Callable[[Any], Found[R]]
    many = True
    if kind == parsing.LINES:
        elements, read = _lines(body), lambda part: _read_lines(row, part)
    elif kind == parsing.CSV:
        header, elements = tables.read_table(row, body)
        read = lambda part: tables.read_lines(row, header, part)  # noqa: E731
    elif body.lstrip(b" \t\r\n")[:1] == b"[":
        elements, read = _split(body), lambda part: _read_elements(row, part)
    else:
        many = False
        elements, read = [loads(body)], lambda part: [structs.read_row(row, part[0])]
    if len(elements) > limit:
        size = f"Holds {len(elements):,} rows"
        raise ApiError(413, "too_many_rows", f"{size}; {limit:,} are taken at once.")
    for start in range(0, len(elements) or 1, part_rows):
        part = elements[start : start + part_rows]
        blocks = (
            _in_turn(read, part[at : at + BLOCK_ROWS]) for at in range(0, len(part), BLOCK_ROWS)
        )
        yield _batch(chain.from_iterable(blocks), start, many=many)


def _in_turn(read: Callable[[Any], Found[R]], elements: Sequence[Any]) -> Found[R]:
    """Read a block, and let go of the interpreter before.

    The thread that feeds the part before to the database wants it rarely but at once: made
    to wait for its turn, it leaves the database idle for half of the time.
    """
    time.sleep(0)
    return read(elements)


def read_one(row: type[R], body: bytes) -> R:
    """Return the single row of a body; raises ApiError naming every wrong field."""
    found = structs.read_row(row, loads(body))
    if isinstance(found, list):
        raise invalid(found)
    return found


def invalid(errors: Sequence[FieldError]) -> ApiError:
    """Return the refusal of a single row."""
    one = len(errors) == 1
    words = "One field is not as it" if one else f"{len(errors)} fields are not as they"
    return ApiError(400, "invalid", f"{words} must be.", errors)


def loads(body: bytes) -> Any:
    """Return the JSON value of a body; raises ApiError where it is none."""
    try:
        return parsing.loads(body)
    except parsing.NotStrict as error:
        raise ApiError(400, error.code, error.message) from error


def _batch(found: Iterable[R | list[FieldError]], start: int, *, many: bool) -> Batch[R]:
    batch: Batch[R] = Batch(many=many)
    places = []
    place = start
    for place, one in enumerate(found, start):
        if isinstance(one, list):
            batch.failures[place] = one
        else:
            batch.rows.append(one)
            places.append(place)
    batch.size = len(batch.rows) + len(batch.failures)
    batch.places = places
    return batch


# --- JSON lists ---------------------------------------------------------------------------


def _split(body: bytes) -> Sequence[Any]:
    """Return the elements of a JSON list unread, so that each can be refused by itself.

    Where they cannot be told apart that way, the body is read whole: that says what is
    wrong and where, or has the values at once.
    """
    try:
        body.decode()
        return msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        values: Sequence[Any] = loads(body)
        return values


def _read_elements(row: type[R], elements: Sequence[Any]) -> Found[R]:
    if isinstance(elements[0], msgspec.Raw):
        return _read_block(row, list(map(bytes, elements)), b",")
    return [structs.read_row(row, value) for value in elements]


def _read_block(row: type[R], texts: Sequence[bytes], separator: bytes) -> Found[R]:
    columnar = structs.plan_of(row).columnar
    if columnar:
        decoded = read_at_once(row, b"[%b]" % separator.join(texts))
        if decoded is not None and len(decoded.rows) == len(texts):
            found: list[R | list[FieldError]] = [*decoded.rows]
            for place in decoded.suspects:
                found[place] = _read_text(row, texts[place])
            return found
    if not columnar or len(texts) < SMALLEST_BLOCK:
        return [_read_text(row, text) for text in texts]
    half = len(texts) // 2
    return [
        *_read_block(row, texts[:half], separator),
        *_read_block(row, texts[half:], separator),
    ]


def _read_text(row: type[R], text: bytes) -> R | list[FieldError]:
    try:
        return structs.read_row(row, parsing.loads(text))
    except parsing.NotStrict as error:
        return [FieldError("", error.code, error.message)]


class Decoded(NamedTuple, Generic[R]):
    """Rows read in one go, and the places of those that must be read once more by themselves."""

    rows: list[R]
    suspects: set[int]


def read_at_once(row: type[R], body: bytes) -> Decoded[R] | None:
    """Return all rows of a JSON list, or None when its text itself is odd."""
    plan = structs.plan_of(row)
    if not plan.columnar:
        return None
    if plan.uniform and b"\\" not in body and body.isascii():
        return _read_uniform(row, body)
    return _read_various(row, body)


def _read_uniform(row: type[R], body: bytes) -> Decoded[R] | None:
    """Read rows that all have the same fields, each a single value.

    Text without a backslash holds no hidden character; with as many names as its rows have
    fields, none stands twice.
    """
    plan = structs.plan_of(row)
    if UNDERSCORE_IN_NUMBER.search(body) or _has_space_before_colon(body):
        return None
    try:
        rows: list[R] = msgspec.json.decode(body, type=list[row])  # type: ignore[valid-type]
    except (msgspec.MsgspecError, RecursionError):
        return None
    if body.count(b'":') != len(rows) * len(plan.fields):
        return None
    if not rows:
        return Decoded(rows, set())
    short = not structs.may_be_long(body, plan.places)
    return Decoded(rows, structs.suspects(row, rows, short=short))


def _read_various(row: type[R], body: bytes) -> Decoded[R] | None:
    """Read rows of which each may leave out fields and hold objects.

    Read without a type and written again, a text has fewer names when one stood twice.
    """
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    if _has_space_before_colon(bare) and SPACE_BEHIND_NAME.search(bare):
        return None
    try:
        body.decode()
        rows: list[R] = _decoder_of(row).decode(body)
        values = msgspec.json.decode(body)
        again = msgspec.json.encode(values)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, OverflowError):
        return None
    if b"\\" in again:
        again = again.replace(b"\\\\", b"").replace(b'\\"', b"")
    if bare.count(b'":') != again.count(b'":'):
        return None
    suspects = structs.suspects(row, rows, short=False)
    for name in structs.plan_of(row).numbers:
        # What Decimal() takes for a number is more than what is one here.
        suspects.update(
            place
            for place, value in enumerate(values)
            if isinstance(text := value.get(name), str)
            and not (len(text) <= MAX_NUMBER_TEXT and NUMBER.fullmatch(text))
        )
    return Decoded(rows, suspects)


@functools.cache
def _decoder_of(row: type[R]) -> msgspec.json.Decoder[list[R]]:
    return msgspec.json.Decoder(list[row], float_hook=Decimal)  # type: ignore[valid-type]


def _has_space_before_colon(body: bytes) -> bool:
    """Tell whether a name may be hidden from counting; inside a text it may stand too."""
    # Searching for a constant is several times faster than ``in`` for one that nearly fits.
    return any(re.search(space + b":", body) for space in WHITE_SPACE if space in body)


# --- Lines --------------------------------------------------------------------------------


def _lines(body: bytes) -> Sequence[tuple[int, bytes]]:
    """Return the lines that hold anything, with their numbers."""
    numbered = enumerate(body.split(b"\n"), start=1)
    return [(number, line) for number, line in numbered if line.strip(b" \t\r")]


def _read_lines(row: type[R], lines: Sequence[tuple[int, bytes]]) -> Found[R]:
    # A line break inside a text is no JSON, so nothing can reach over two lines unseen.
    found = _read_block(row, [line for _, line in lines], b",\n")
    return [
        tables.on_line(number, one) if isinstance(one, list) else one
        for (number, _), one in zip(lines, found, strict=True)
    ]
