"""One or many rows: the fast way and the careful way say the same."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.shared.api import batches, parsing, structs
from apps.shared.api.errors import ApiError
from apps.shared.api.rows import (
    Amount,
    Evidence,
    EvidenceObject,
    JsonObject,
    Moment,
    Price,
    Row,
    Symbol,
)
from apps.shared.errors import FieldError


class Unit(StrEnum):
    MINUTE = "1m"
    DAY = "1d"


class Tick(Row):
    """A row that can be read in columns."""

    symbol: Symbol
    unit: Unit
    timestamp: Moment
    price: Price
    size: Amount


class Note(Row):
    """A row that may leave out fields and holds an object."""

    symbol: Symbol
    price: Price | None = None
    extra_data: JsonObject = {}


class Line(Row):
    """A row with texts that are taken whatever they hold."""

    symbol: Symbol
    message: Evidence
    count: int | None = None
    unit: Unit = Unit.DAY
    timestamp: Moment | None = None
    metadata: EvidenceObject = {}


GOOD = {
    "symbol": "BTC/USDT",
    "unit": "1m",
    "timestamp": "2026-01-31T12:00:00Z",
    "price": "64000.10",
    "size": 2,
}


def read(row, body, kind=parsing.JSON, limit=1000):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return batches.read_batch(row, body, kind, limit=limit)


def refusal(row, body, kind=parsing.JSON, limit=1000) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(row, body, kind, limit)
    return caught.value


def codes(batch) -> dict[int, list[tuple[str, str]]]:
    return {
        place: [(error.pointer, error.code) for error in errors]
        for place, errors in batch.failures.items()
    }


class TestOne:
    def test_is_read_with_exact_values(self):
        [row] = read(Tick, GOOD).rows

        assert row.price == Decimal("64000.10")
        assert row.size == Decimal(2)
        assert row.timestamp == datetime(2026, 1, 31, 12, tzinfo=UTC)
        assert row.unit is Unit.MINUTE

    def test_names_every_wrong_field(self):
        wrong = {**GOOD, "price": "-1", "unit": "7m", "timestamp": "today", "colour": "red"}
        del wrong["symbol"]

        assert codes(read(Tick, wrong)) == {
            0: [
                ("/symbol", "required"),
                ("/unit", "not_a_choice"),
                ("/timestamp", "not_a_time"),
                ("/price", "too_small"),
                ("/colour", "unknown"),
            ]
        }

    @pytest.mark.parametrize("body", [b"1", b'"a"', b"null", b"true"])
    def test_must_be_an_object(self, body):
        assert codes(read(Tick, body)) == {0: [("", "type")]}

    def test_a_field_must_not_be_null_unless_it_may(self):
        assert codes(read(Tick, {**GOOD, "price": None})) == {0: [("/price", "null")]}
        assert read(Note, {"symbol": "A", "price": None}).rows[0].price is None

    def test_keeps_the_numbers_of_a_document_exact(self):
        [row] = read(Note, b'{"symbol": "A", "extra_data": {"x": 0.1000000000000000000001}}').rows

        assert row.extra_data == {"x": Decimal("0.1000000000000000000001")}

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "empty"),
            (b" \n", "empty"),
            (b"{", "malformed"),
            (b'{"symbol": "A", "symbol": "B"}', "duplicate_name"),
            (b'{"extra_data": ' * 70, "nested_too_deep"),
            (b'{"symbol": NaN}', "malformed"),
            (b"\xff", "not_utf8"),
            (b"\xef\xbb\xbf{}", "byte_order_mark"),
        ],
    )
    def test_that_is_no_strict_json_is_refused_as_a_whole(self, body, code):
        error = refusal(Tick, body)

        assert (error.status, error.code) == (400, code)


class TestList:
    def test_is_read(self):
        batch = read(Tick, [GOOD, GOOD])

        assert batch.many
        assert len(batch.rows) == 2
        assert list(batch.places) == [0, 1]

    def test_of_nothing_is_fine(self):
        assert read(Tick, b"[]").size == 0

    def test_names_the_bad_and_keeps_the_good(self):
        batch = read(Tick, [GOOD, {**GOOD, "price": 0}, GOOD, 7])

        assert codes(batch) == {1: [("/price", "too_small")], 3: [("", "type")]}
        assert list(batch.places) == [0, 2]

    def test_a_name_given_twice_spoils_its_row_alone(self):
        good = json.dumps(GOOD).encode()
        twice = good[:-1] + b', "price": 5}'

        assert codes(read(Tick, b"[%b,%b]" % (good, twice))) == {1: [("", "duplicate_name")]}

    def test_too_many_rows_are_refused(self):
        assert refusal(Tick, [GOOD] * 3, limit=2).status == 413

    @pytest.mark.parametrize("body", [b"[" * 100_000, b"[{]", b"[1", b'["\xff"]', b"[1] 2"])
    def test_that_is_no_json_is_refused_as_a_whole(self, body):
        assert refusal(Tick, body).status == 400


# What makes the fast way doubt; each must come out as the careful way says.
ODD = {
    "naive": ("timestamp", '"2026-01-31T12:00:00"'),
    "other offset": ("timestamp", '"2026-01-31T14:00:00+02:00"'),
    "at the end of time": ("timestamp", '"9999-12-31T23:59:59-23:59"'),
    "underscore": ("price", '"1_0"'),
    "underscore at the end": ("price", '"10_"'),
    "space": ("price", '" 1"'),
    "space behind": ("price", '"1 "'),
    "arabic": ("price", '"\u0661"'),
    "plus": ("price", '"+1"'),
    "no digit before the point": ("price", '".5"'),
    "no digit behind the point": ("price", '"5."'),
    "many places": ("price", "1.0000000000000000001"),
    "zeros behind": ("price", "1.0000000000000000000"),
    "small exponent": ("price", "1e-30"),
    "exponent": ("price", '"1E2"'),
    "huge": ("price", "1e999999"),
    "not a number": ("price", '"NaN"'),
    "infinite": ("size", '"Infinity"'),
    "negative zero": ("size", '"-0"'),
    "escape": ("symbol", '"A\\u0000"'),
    "surrogate": ("symbol", '"\\ud83d"'),
    "pair": ("symbol", '"\\ud83d\\ude00"'),
    "delete": ("symbol", '"A\x7f"'),
    "edge": ("symbol", '" A"'),
    "empty": ("symbol", '""'),
    "long": ("symbol", '"' + "A" * 51 + '"'),
    "number for text": ("symbol", "1"),
    "unknown word": ("unit", '"7m"'),
    "null": ("price", "null"),
    "list": ("price", "[1]"),
}


# Rows of lines that the fast way may stumble over.
VARIOUS = [
    b'{"symbol":"A","message":"\\u0000\\ud800"}',
    b'{"symbol":"A\\u0000","message":""}',
    b'{"symbol":"\\u0041","message":"\\u00e9"}',
    b'{"symbol":"A","message":"m","count":null}',
    b'{"symbol":"A","message":"m","count":-999999999999999999}',
    b'{"symbol":"A","message":"m","count":-1000000000000000000}',
    b'{"symbol":"A","message":"m","count":1.0}',
    b'{"symbol":"A","message":"m","count":"1"}',
    b'{"symbol":"A","message":"m","unit":null}',
    b'{"symbol":"A","message":"m","timestamp":"2026-01-31T12:00:00"}',
    b'{"symbol":"A","message":"m","timestamp":"2026-01-31T12:00:00+02:00"}',
    b'{"symbol":"A","message":null}',
    b'{"symbol":"A"}',
    b'{"symbol":"A","message":"m","metadata":null}',
    b'{"symbol":"A","message":"m","metadata":[]}',
    b'{"symbol":"A","message":"m","metadata":{"x":1e5000}}',
    b'{"symbol":"A","message":"m","metadata":{"x":1e-5000}}',
    b'{"symbol":"A","message":"m","metadata":{"x":123456789012345678901234567890}}',
    b'{"symbol":"A","message":"m","metadata":{"x":"\\u0000","\\u0000":1}}',
    b'{"symbol":"A","message":"m","metadata":%b1%b}' % (b'{"x":' * 60, b"}" * 60),
    b'{"symbol":"A","message":"m","metadata":%b1%b}' % (b'{"x":' * 63, b"}" * 63),
    b'{"symbol":"A","message":"m","metadata":%b1%b}' % (b'{"x":' * 64, b"}" * 64),
    b'{"symbol":"A","message":"%b"}' % (b"x" * 1_000_001),
    b'{"symbol":"A","message":"m","Message":"m"}',
    b" { } ",
    b"[]",
]


def with_field(name: str, raw: str) -> bytes:
    parts = [f'"{key}":{raw if key == name else json.dumps(GOOD[key])}' for key in GOOD]
    return ("{" + ",".join(parts) + "}").encode()


class TestFastWay:
    @pytest.mark.parametrize(("name", "raw"), ODD.values(), ids=ODD)
    def test_says_what_the_careful_way_says(self, name, raw):
        body = with_field(name, raw)
        [careful] = [structs.read_row(Tick, parsing.loads(body))]

        for wrapped in (b"[%b]" % body, b"[ %b , %b ]" % (with_field("", ""), body)):
            batch = read(Tick, wrapped)
            last = batch.size - 1
            found = batch.failures.get(last) or batch.rows[-1]
            assert found == careful

    @pytest.mark.parametrize("raw", ["1", '"2.5"', "0.000000000000000001", '"0.5"'])
    def test_is_taken_for_plain_rows(self, raw):
        decoded = batches.read_at_once(Tick, b"[%b]" % with_field("price", raw))

        assert decoded is not None
        assert not decoded.suspects

    def test_finds_a_name_that_stands_twice(self):
        row = with_field("", "")
        assert batches.read_at_once(Tick, b'[%b,"size":2}]' % row[:-1]) is None
        assert batches.read_at_once(Tick, b'[%b,"size" :2}]' % row[:-1]) is None
        assert batches.read_at_once(Tick, b'[%b,"size"\n:2}]' % row[:-1]) is None

    def test_is_taken_for_rows_that_leave_out_fields(self):
        body = b'[{"symbol":"A"},{"symbol":"B","price":1,"extra_data":{"x":{"y":[0.10]}}}]'
        decoded = batches.read_at_once(Note, body)

        assert decoded is not None
        assert not decoded.suspects
        assert str(decoded.rows[1].extra_data["x"]["y"][0]) == "0.10"

    @pytest.mark.parametrize("body", VARIOUS, ids=range(len(VARIOUS)))
    def test_says_what_the_careful_way_says_of_rows_that_leave_out_fields(self, body):
        wrapped = b"[%b,%b]" % (b'{"symbol":"A","message":"m"}', body)
        batch = read(Line, wrapped)

        try:
            careful = structs.read_row(Line, parsing.loads(body))
        except parsing.NotStrict as error:
            careful = [FieldError("", error.code, error.message)]

        assert (batch.failures.get(1) or batch.rows[-1]) == careful

    @pytest.mark.parametrize(
        "row",
        [
            b'{"symbol":"A","symbol":"A"}',
            b'{"symbol":"A","symbol" :"A"}',
            b'{"symbol":"A","symbo\\u006c":"A"}',
            b'{"symbol":"A","extra_data":{"x":1,"x":2}}',
            b'{"symbol":"A","extra_data":{"x":[{"y":1,"y" : 2}]}}',
            b'{"symbol":"A","extra_data":{"\\"":1,"\\"":2}}',
            b'{"symbol":"A","extra_data":{"\\\\":1,"\\\\":2}}',
        ],
    )
    def test_finds_a_name_that_stands_twice_anywhere(self, row):
        assert codes(read(Note, b'[{"symbol":"A"},%b]' % row)) == {1: [("", "duplicate_name")]}

    @pytest.mark.parametrize("text", ['a":', 'a":"', '\\":', 'a" :', "{[", "é : _1", "e5", "\\\\"])
    def test_is_not_misled_by_what_a_text_holds(self, text):
        body = json.dumps([{"symbol": "A", "message": text, "metadata": {text: text}}])
        decoded = batches.read_at_once(Line, body.encode())

        assert decoded is None or decoded.rows[0].message == text
        assert read(Line, body.encode()).rows[0].metadata == {text: text}

    @given(
        st.lists(
            st.fixed_dictionaries(
                {"symbol": st.just("A"), "message": st.text(max_size=6)},
                optional={
                    "count": st.one_of(st.none(), st.integers(), st.booleans(), st.floats()),
                    "unit": st.sampled_from(["1m", "7m", None, 1]),
                    "timestamp": st.one_of(
                        st.none(), st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
                    ),
                    "metadata": st.recursive(
                        st.none()
                        | st.booleans()
                        | st.integers()
                        | st.floats()
                        | st.text(max_size=3),
                        lambda inner: (
                            st.lists(inner, max_size=3)
                            | st.dictionaries(st.text(max_size=3), inner, max_size=3)
                        ),
                        max_leaves=6,
                    ),
                    "other": st.just(1),
                },
            ),
            min_size=1,
            max_size=4,
        ),
        st.booleans(),
    )
    def test_agrees_with_the_careful_way_on_any_rows_that_leave_out_fields(self, rows, ascii_only):
        texts = [json.dumps(each, ensure_ascii=ascii_only, allow_nan=True) for each in rows]
        try:
            bodies = [text.encode() for text in texts]
            careful = [structs.read_row(Line, parsing.loads(body)) for body in bodies]
        except (UnicodeEncodeError, parsing.NotStrict):
            return
        batch = read(Line, b"[%b]" % b", ".join(bodies))

        assert batch.rows == [each for each in careful if isinstance(each, Line)]
        assert batch.failures == {
            place: each for place, each in enumerate(careful) if isinstance(each, list)
        }

    @given(
        st.lists(
            st.tuples(
                st.one_of(
                    st.decimals(allow_nan=True, allow_infinity=True).map(str),
                    st.decimals(min_value=0, max_value=10**6, places=4).map(str),
                    st.floats(allow_nan=False, allow_infinity=False),
                    st.integers(),
                    st.text(max_size=5),
                ),
                st.one_of(st.text(max_size=8), st.just("ETH/BTC")),
                st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
            ),
            max_size=4,
        ),
        st.booleans(),
    )
    def test_agrees_with_the_careful_way_on_anything(self, drawn, spaced):
        rows = [
            {**GOOD, "price": price, "symbol": symbol, "timestamp": moment}
            for price, symbol, moment in drawn
        ]
        body = json.dumps(rows, separators=None if spaced else (",", ":")).encode()
        batch = read(Tick, body)

        careful = [structs.read_row(Tick, value) for value in parsing.loads(body)]
        assert batch.rows == [each for each in careful if isinstance(each, Tick)]
        assert batch.failures == {
            place: each for place, each in enumerate(careful) if isinstance(each, list)
        }


class TestLines:
    def test_are_read_one_by_one(self):
        body = b"\n".join([with_field("", ""), b"", with_field("price", "0"), b"{"])
        batch = read(Tick, body, parsing.LINES)

        assert batch.size == 3
        assert codes(batch) == {1: [("/price", "too_small")], 2: [("", "malformed")]}
        assert batch.failures[1][0].message.startswith("Line 3: ")

    def test_two_objects_on_one_line_are_refused(self):
        row = with_field("", "")

        assert codes(read(Tick, row + b"," + row + b"\n", parsing.LINES)) == {
            0: [("", "malformed")]
        }

    def test_plain_lines_go_the_fast_way(self):
        body = b"\n".join([with_field("", "")] * 3) + b"\r\n"

        assert len(read(Tick, body, parsing.LINES).rows) == 3


class TestTables:
    HEADER = "symbol,unit,timestamp,price,size\n"
    LINE = "BTC/USDT,1m,2026-01-31T12:00:00Z,64000.10,2\n"

    def read(self, text: str, row=Tick):
        return read(row, text.encode(), parsing.CSV)

    def test_are_read_like_json(self):
        batch = self.read(self.HEADER + self.LINE)

        assert batch.rows == read(Tick, GOOD).rows

    def test_bad_lines_are_named(self):
        batch = self.read(self.HEADER + self.LINE + "X,1m,today,-1,2\n" + "A,B\n" + self.LINE)

        assert codes(batch) == {
            1: [("/timestamp", "not_a_time"), ("/price", "too_small")],
            2: [("", "cells")],
        }
        assert "Line 3" in batch.failures[1][0].message
        assert list(batch.places) == [0, 3]

    def test_an_empty_cell_is_a_field_left_out(self):
        assert self.read("symbol,price\nA,\n", Note).rows == [Note(symbol="A")]

    def test_may_be_quoted_and_marked(self):
        assert self.read("\ufeff" + self.HEADER + '"A","1m",2026-01-31T12:00:00Z,1,2\r\n').rows

    @pytest.mark.parametrize(
        "header",
        ["symbol,price", "symbol,unit,timestamp,price,size,color", "symbol,symbol,unit,price,size"],
    )
    def test_must_name_the_right_columns(self, header):
        with pytest.raises(ApiError) as caught:
            self.read(header + "\n")
        assert caught.value.code == "header"

    @pytest.mark.parametrize("text", ['symbol\n"A', "symbol\nA\x00"])
    def test_that_are_no_tables_are_refused(self, text):
        with pytest.raises(ApiError):
            self.read(text)
