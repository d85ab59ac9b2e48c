"""The filtered rows of a list as CSV or XLSX, streamed, with formula injection defused."""

import csv
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.http import FileResponse, HttpResponseBase, StreamingHttpResponse
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from apps.shared.display import for_export
from apps.shared.fields import plain_text

LIMITS = {"csv": 1_000_000, "xlsx": 100_000}
CHUNK = 2_000
# What a spreadsheet takes for the beginning of a formula, full-width forms included.
FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
SHEET_TEXT_LIMIT = 32_767


def defused(value: Any) -> Any:
    """Return the cell so that no spreadsheet computes it: text that looks like a formula is quoted.

    >>> defused("=HYPERLINK(1)"), defused(Decimal("-1.50"))
    ("'=HYPERLINK(1)", Decimal('-1.50'))
    """
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


class Echo:
    """A file that hands every line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def rows_of(
    queryset: QuerySet, columns: Sequence[tuple[str, Callable[[Any], Any]]], limit: int
) -> Iterator[list[Any]]:
    """Yield a title row, then one row per object, at most ``limit``, then a word if there is more.

    Rows are fetched ``CHUNK`` at a time.
    """
    yield [title for title, _ in columns]
    objects = queryset[: limit + 1].iterator(chunk_size=CHUNK)
    for thing in itertools.islice(objects, limit):
        yield [defused(for_export(value_of(thing))) for _, value_of in columns]
    if next(objects, None) is not None:
        yield [f"Only the first {limit:,} rows are here: filter the list to get the rest."]


def csv_answer(rows: Iterable[list[Any]], name: str) -> HttpResponseBase:
    writer = csv.writer(Echo())
    lines = (
        writer.writerow([plain_text(cell) if isinstance(cell, Decimal) else cell for cell in row])
        for row in rows
    )
    # The mark at the start is what makes spreadsheets read UTF-8.
    answer = StreamingHttpResponse(
        itertools.chain(["\ufeff"], lines), content_type="text/csv; charset=utf-8"
    )
    answer["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


def xlsx_answer(rows: Iterable[list[Any]], name: str) -> HttpResponseBase:
    book = Workbook(write_only=True)
    sheet = book.create_sheet(name[:31])
    for row in rows:
        sheet.append([sheet_cell(cell) for cell in row])
    file = tempfile.TemporaryFile()  # noqa: SIM115  (the answer closes it)
    book.save(file)
    file.seek(0)
    return FileResponse(file, as_attachment=True, filename=f"{name}.xlsx")


def sheet_cell(cell: Any) -> Any:
    """Return what a sheet can hold: no control characters, long decimals as text."""
    if isinstance(cell, Decimal):
        # A sheet computes in binary floating point with 15 digits.
        return cell if len(cell.normalize().as_tuple().digits) <= 15 else plain_text(cell)
    if isinstance(cell, str):
        return ILLEGAL_CHARACTERS_RE.sub("\ufffd", cell)[:SHEET_TEXT_LIMIT]
    return cell


ANSWERS = {"csv": csv_answer, "xlsx": xlsx_answer}
