"""The export of a list: formulas defused, digits exact, size bounded."""

from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO

import pytest
from openpyxl import load_workbook

from apps.market.models import Instrument
from apps.shared.admin import export
from tests.factories import make_instrument


class TestDefused:
    @pytest.mark.parametrize(
        "text",
        ["=1+1", "+1", "-cmd", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1+1"],
    )
    def test_quotes_what_a_spreadsheet_would_compute(self, text):
        assert export.defused(text) == f"'{text}"

    @pytest.mark.parametrize("value", ["BTC/USD", "", None, 3, Decimal("-1.5"), True])
    def test_leaves_what_no_spreadsheet_would_compute(self, value):
        assert export.defused(value) == value


class TestSheetCell:
    def test_keeps_long_decimals_exact_as_text(self):
        long = Decimal("123456789.123456789012345678")

        assert export.sheet_cell(long) == "123456789.123456789012345678"

    def test_keeps_short_decimals_as_numbers(self):
        assert export.sheet_cell(Decimal("-1.50")) == Decimal("-1.50")

    def test_replaces_characters_that_no_sheet_holds(self):
        assert export.sheet_cell("a\x00b") == "a\ufffdb"


COLUMNS = [("symbol", lambda thing: thing.symbol), ("at", lambda thing: thing.created_at)]


@pytest.mark.django_db
class TestRows:
    def test_begin_with_their_titles_and_name_times_in_utc(self):
        make_instrument(symbol="=BAD()")
        Instrument.objects.update(created_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC))

        rows = list(export.rows_of(Instrument.objects.all(), COLUMNS, 10))

        assert rows == [["symbol", "at"], ["'=BAD()", "2026-01-02T03:04:00Z"]]

    def test_end_at_the_limit_and_say_so(self):
        for _ in range(3):
            make_instrument()

        rows = list(export.rows_of(Instrument.objects.all(), COLUMNS, 2))

        assert len(rows) == 4
        assert rows[-1] == ["Only the first 2 rows are here: filter the list to get the rest."]


class TestAnswers:
    def test_csv_says_utf_8_and_plain_digits(self):
        answer = export.csv_answer([["price"], [Decimal("0.00000100")]], "candles")

        text = b"".join(answer.streaming_content).decode()
        assert text == "\ufeffprice\r\n0.000001\r\n"
        assert answer["Content-Disposition"] == 'attachment; filename="candles.csv"'

    def test_xlsx_holds_text_as_text(self):
        answer = export.xlsx_answer([["symbol"], ["'=1+1"]], "instruments")

        book = load_workbook(BytesIO(b"".join(answer.streaming_content)))
        assert [[cell.value for cell in row] for row in book.active] == [["symbol"], ["'=1+1"]]
        answer.file_to_stream.close()
