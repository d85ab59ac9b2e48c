"""Rows as a table: CSV whose first line names the fields."""

import csv
import io
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from apps.shared.api import structs
from apps.shared.api.errors import ApiError
from apps.shared.api.rows import Row
from apps.shared.errors import FieldError

R = TypeVar("R", bound=Row)

Line = tuple[int, list[str]]


def read_table(row: type[Row], body: bytes) -> tuple[list[str], list[Line]]:
    """Return the names of the columns and the lines with their numbers, cells unread."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ApiError(400, "not_utf8", f"Byte {error.start} is not UTF-8.") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader)]
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        raise ApiError(400, "malformed", f"No CSV: {error} on line {reader.line_num}.") from error
    check_header(row, header)
    return header, lines


def check_header(row: type[Row], header: list[str]) -> None:
    """Refuse a table whose columns are not fields of the row, each once, all that must be."""
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


def read_lines(
    row: type[R], header: list[str], lines: Sequence[Line]
) -> Sequence[R | list[FieldError]]:
    """Return the row of each line, or what is wrong with it; an empty cell is left out."""
    rows = _read_at_once(row, header, lines)
    if rows is None:
        return [_read_line(row, header, number, cells) for number, cells in lines]
    return rows


def _read_at_once(
    row: type[R], header: list[str], lines: Sequence[Line]
) -> list[R | list[FieldError]] | None:
    """Return all rows in one go, or None when anything is odd."""
    plan = structs.plan_of(row)
    if not plan.columnar or any(len(cells) != len(header) for _, cells in lines):
        return None
    columns = dict(zip(header, zip(*(cells for _, cells in lines), strict=True), strict=True))
    numbers = "\n".join(
        "\n".join(column) for name, column in columns.items() if name in plan.numbers
    ).encode(errors="replace")
    if not numbers.isascii() or b"_" in numbers:
        return None
    values: list[dict[str, Any]] = [dict(zip(header, cells, strict=True)) for _, cells in lines]
    if not plan.uniform:
        given = ({name: cell for name, cell in each.items() if cell} for each in values)
        values = [structs.from_text(row, each) for each in given]
    try:
        rows: list[R] = msgspec.convert(values, list[row])  # type: ignore[valid-type]
    except msgspec.ValidationError:
        return None
    short = not structs.may_be_long(numbers, plan.places)
    found: list[R | list[FieldError]] = [*rows]
    for place in structs.suspects(row, rows, short=short):
        found[place] = _read_line(row, header, *lines[place])
    return found


def _read_line(
    row: type[R], header: list[str], number: int, cells: list[str]
) -> R | list[FieldError]:
    if len(cells) != len(header):
        message = f"Has {len(cells)} cells; the first line has {len(header)}."
        return on_line(number, [FieldError("", "cells", message)])
    sent = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    found = structs.read_row(row, structs.from_text(row, sent))
    return on_line(number, found) if isinstance(found, list) else found


def on_line(number: int, errors: list[FieldError]) -> list[FieldError]:
    """Return errors that name their line too: what a person looks for in the file."""
    return [
        FieldError(error.pointer, error.code, f"Line {number}: {error.message}") for error in errors
    ]
