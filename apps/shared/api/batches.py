"""One or many: a request body as rows, each bad one named by its place."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from apps.shared.api import parsing, structs
from apps.shared.api.errors import ApiError
from apps.shared.api.rows import Row
from apps.shared.errors import FieldError

R = TypeVar("R", bound=Row)

SPACE_BEFORE_COLON = re.compile(rb'"[ \t\r\n]+:')
# Decimal() passes over underscores; the grammar of numbers does not know them.
UNDERSCORE_IN_NUMBER = re.compile(rb'_(?:[-+.0-9_"]|[eE][-+0-9])')
SPACE_IN_NUMBER = re.compile(rb'"[ \t]+[-+.0-9]|[.0-9][ \t]+"')
MAX_CELL = 1_000_000


@dataclass(slots=True)
class Batch(Generic[R]):
    """The rows of a body that can be read, where they stood, and what is wrong with the rest."""

    many: bool
    size: int = 0
    rows: list[R] = field(default_factory=list)
    places: Sequence[int] = ()
    failures: dict[int, list[FieldError]] = field(default_factory=dict)


def read_batch(row: type[R], body: bytes, kind: str, *, limit: int) -> Batch[R]:
    """Return the rows of a body of the given content type, at most ``limit`` of them.

    Raises ApiError when the body as a whole cannot be read.
    """
    if parsing.empty_body(body):
        raise ApiError(400, "empty", "The body is empty.")
    if kind == parsing.LINES:
        return _read_lines(row, body, limit)
    if kind == parsing.CSV:
        return _read_csv(row, body, limit)
    if body.lstrip(b" \t\r\n")[:1] == b"[":
        return _read_list(row, body, limit)
    batch: Batch[R] = Batch(many=False, size=1)
    _take(batch, 0, structs.read_row(row, loads(body)))
    batch.places = range(len(batch.rows))
    return batch


def read_one(row: type[R], body: bytes) -> R:
    """Return the single row of a body; raises ApiError naming every wrong field."""
    found = structs.read_row(row, loads(body))
    if isinstance(found, list):
        raise invalid(found)
    return found


def invalid(errors: Sequence[FieldError]) -> ApiError:
    """Return the refusal of a single row."""
    count = "One field is" if len(errors) == 1 else f"{len(errors)} fields are"
    return ApiError(400, "invalid", f"{count} not as they must be.", errors)


def loads(body: bytes) -> Any:
    """Return the JSON value of a body; raises ApiError where it is none."""
    try:
        return parsing.loads(body)
    except parsing.NotStrict as error:
        raise ApiError(400, error.code, error.message) from error


def _take(batch: Batch[R], place: int, found: R | list[FieldError]) -> None:
    if isinstance(found, list):
        batch.failures[place] = found
    else:
        batch.rows.append(found)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise ApiError(413, "too_many_rows", f"Holds {size:,} rows; {limit:,} are taken at once.")


def _finish(batch: Batch[R]) -> Batch[R]:
    if batch.failures:
        batch.places = [place for place in range(batch.size) if place not in batch.failures]
    else:
        batch.places = range(batch.size)
    return batch


# --- JSON lists ---------------------------------------------------------------------------


def _read_list(row: type[R], body: bytes, limit: int) -> Batch[R]:
    rows = read_at_once(row, body)
    if rows is not None:
        _check_size(len(rows), limit)
        return _finish(Batch(many=True, size=len(rows), rows=rows))
    elements = _split(body)
    _check_size(len(elements), limit)
    batch: Batch[R] = Batch(many=True, size=len(elements))
    for place, element in enumerate(elements):
        try:
            value = parsing.loads(bytes(element)) if isinstance(element, msgspec.Raw) else element
            found: R | list[FieldError] = structs.read_row(row, value)
        except parsing.NotStrict as error:
            found = [FieldError("", error.code, error.message)]
        _take(batch, place, found)
    return _finish(batch)


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


def read_at_once(row: type[R], body: bytes) -> list[R] | None:
    """Return all rows of a list read in one go, or None when anything at all is odd.

    Odd is also what is perhaps fine but cannot be told cheaply: then each row is read by
    itself. A body with no backslash holds no hidden character; with as many names as its
    rows have fields, none stands twice.
    """
    plan = structs.plan_of(row)
    if not plan.columnar or b"\\" in body or not body.isascii():
        return None
    if _has_odd_space(body) or UNDERSCORE_IN_NUMBER.search(body):
        return None
    try:
        rows: list[R] = msgspec.json.decode(body, type=list[row])  # type: ignore[valid-type]
    except (msgspec.MsgspecError, RecursionError):
        return None
    if body.count(b'":') != len(rows) * len(plan.fields):
        return None
    short = not _long_fraction(plan.places).search(body) and not _has_exponent(body)
    return rows if not rows or structs.admits(row, rows, short=short) else None


def _has_odd_space(body: bytes) -> bool:
    """Tell whether white space may stand inside a number or before a colon.

    Counting is several times faster than searching, and answers for what programs write:
    no space at all, or one behind each colon and comma.
    """
    if any(space in body for space in (b"\t", b"\n", b"\r")):
        return bool(SPACE_BEFORE_COLON.search(body) or SPACE_IN_NUMBER.search(body))
    if b" " not in body:
        return False
    usual = body.count(b': "') + body.count(b', "')
    if b'" ' not in body and body.count(b' "') == usual:
        return False
    return bool(SPACE_BEFORE_COLON.search(body) or SPACE_IN_NUMBER.search(body))


def _long_fraction(places: int) -> re.Pattern[bytes]:
    return re.compile(rb"\.[0-9]{%d}" % (places + 1))


def _has_exponent(body: bytes) -> bool:
    return bool(re.search(rb"e[-+0-9]", body) or re.search(rb"E[-+0-9]", body))


# --- Lines and tables ---------------------------------------------------------------------


def _read_lines(row: type[R], body: bytes, limit: int) -> Batch[R]:
    """Read one JSON object per line; empty lines are passed over."""
    lines = [line for line in enumerate(body.split(b"\n"), start=1) if line[1].strip(b" \t\r")]
    _check_size(len(lines), limit)
    # A line break inside a text is no JSON, so nothing can reach over two lines unseen.
    rows = read_at_once(row, b"[" + b",\n".join(line for _, line in lines) + b"]")
    if rows is not None and len(rows) == len(lines):
        return _finish(Batch(many=True, size=len(rows), rows=rows))
    batch: Batch[R] = Batch(many=True, size=len(lines))
    for place, (number, line) in enumerate(lines):
        try:
            found: R | list[FieldError] = structs.read_row(row, parsing.loads(line))
        except parsing.NotStrict as error:
            found = [FieldError("", error.code, error.message)]
        _take(batch, place, _on_line(found, number))
    return _finish(batch)


def _on_line(found: R | list[FieldError], number: int) -> R | list[FieldError]:
    if not isinstance(found, list):
        return found
    return [
        FieldError(error.pointer, error.code, f"Line {number}: {error.message}") for error in found
    ]


def _read_csv(row: type[R], body: bytes, limit: int) -> Batch[R]:
    """Read a table whose first line names the fields; an empty cell is a field left out."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ApiError(400, "not_utf8", f"Byte {error.start} is not UTF-8.") from error
    if "\x00" in text:
        raise ApiError(400, "unstorable", "Holds a NUL character.")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader)]
        _check_header(row, header)
        batch: Batch[R] = Batch(many=True)
        for number, cells in _numbered(reader):
            _check_size(batch.size + 1, limit)
            _take(batch, batch.size, _on_line(_read_cells(row, header, cells), number))
            batch.size += 1
    except csv.Error as error:
        raise ApiError(400, "malformed", f"No CSV: {error} on line {reader.line_num}.") from error
    return _finish(batch)


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:
    for cells in reader:
        if cells:
            yield reader.line_num, cells


def _check_header(row: type[Row], header: list[str]) -> None:
    fields = structs.plan_of(row).fields
    known = {each.name for each in fields}
    errors = [
        FieldError(f"/{name}", "unknown", "There is no such field.")
        for name in header
        if name not in known
    ]
    errors += [
        FieldError(f"/{name}", "duplicate_name", "Names two columns.")
        for name in sorted(set(header))
        if header.count(name) > 1
    ]
    errors += [
        FieldError(f"/{each.name}", "required", "Must be a column.")
        for each in fields
        if each.required and each.name not in header
    ]
    if errors:
        raise ApiError(400, "header", "The first line does not name the right columns.", errors)


def _read_cells(row: type[R], header: list[str], cells: list[str]) -> R | list[FieldError]:
    if len(cells) != len(header):
        message = f"Has {len(cells)} cells; the first line has {len(header)}."
        return [FieldError("", "cells", message)]
    sent = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    return structs.read_row(row, structs.from_text(row, sent))
