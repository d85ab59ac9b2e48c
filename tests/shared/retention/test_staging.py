"""Archived rows are staged exactly, compared bit for bit, and refused where they do not fit."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper

from apps.shared.retention.manifests import TableRecord
from apps.shared.retention.staging import (
    ForeignSchema,
    check_schema,
    compared,
    differing,
    fits,
    live_columns,
    staged,
)

pytestmark = pytest.mark.django_db

# One column of each type that is archived as text or as its own kind.
KINDS = {
    "smallint": "integer",
    "bigint": "integer",
    "real": "float",
    "double precision": "float",
    "boolean": "boolean",
    "timestamp with time zone": "moment",
    "date": "date",
    "numeric(38,18)": "decimal",
}


def record(*columns: tuple[str, str], table: str = "things") -> TableRecord:
    """Return what a manifest would say of a table with a key and these columns."""
    named = [("key", "bigint"), *columns]
    return TableRecord(
        table=table,
        model="things.Thing",
        file="things.parquet",
        key="key",
        rows=0,
        bytes=0,
        sha256="",
        schema_version="",
        columns=[[name, KINDS.get(type, "text"), type] for name, type in named],
        checksums={},
        blocks=[],
    )


def make_table(cursor: CursorWrapper, *columns: tuple[str, str], name: str = "things") -> None:
    more = "".join(f', "{column}" {type}' for column, type in columns)
    cursor.execute(f"CREATE TABLE {name} (key bigint PRIMARY KEY{more})")


def arrow(**columns: Any) -> pa.Table:
    """Return rows with keys from 1 on, as a file gives them."""
    length = len(next(iter(columns.values())))
    return pa.table({"block": pa.array([0] * length, pa.int32()),
                     "key": pa.array(range(1, length + 1), pa.int64()), **columns})  # fmt: skip


@pytest.fixture
def cursor() -> Iterator[CursorWrapper]:
    with connection.cursor() as cursor:
        yield cursor


def texts(cursor: CursorWrapper, table: str, column: str = "value") -> list[str | None]:
    order = "archive_row" if table == "stage" else "key"
    cursor.execute(f'SELECT "{column}"::text FROM {table} ORDER BY {order}')
    return [text for (text,) in cursor.fetchall()]


class TestStaged:
    @pytest.mark.parametrize(
        ("type", "values"),
        [
            (
                "text",
                ["", None, '"', "a,b", "a\nb", "\r\n", "\\N", "NULL", "\\.", "a\n\\.\nb", " x "],
            ),
            ("jsonb", ["null", None, '""', '{"a": [1.50, "\\n", null]}', "{}"]),
            ("bytea", ["\\x", None, "\\x00ff5c0a"]),
            ("uuid", ["00000000-0000-0000-0000-000000000001", None]),
            ("inet", ["10.0.0.1/32", "10.0.0.0/8", "::1/128", None]),
            ("text[]", ["{}", None, '{NULL,"",a,"b,c","\\"\\\\"}']),
            ("numeric", ["1.50", "1.5", "NaN", "-Infinity", "1" + 40 * "0", None]),
            ("interval", ["1 day 00:00:00.000001", None]),
        ],
    )
    def test_text_of_postgresql_comes_back_as_it_was(
        self, cursor: CursorWrapper, type: str, values: list[str | None]
    ) -> None:
        make_table(cursor, ("value", type))
        staged(cursor, "stage", record(("value", type)), arrow(value=pa.array(values, pa.string())))
        assert texts(cursor, "stage") == values

    @pytest.mark.parametrize(
        "value",
        [-0.0, 0.0, float("nan"), float("inf"), float("-inf"), 5e-324, 0.1, 1 / 3,
         1.7976931348623157e308, None],
    )  # fmt: skip
    def test_floats_keep_every_bit(self, cursor: CursorWrapper, value: float | None) -> None:
        make_table(cursor, ("value", "double precision"))
        rows = arrow(value=pa.array([value], pa.float64()))
        staged(cursor, "stage", record(("value", "double precision")), rows)
        text = None if value is None else repr(value)
        cursor.execute("SELECT float8send(value) = float8send(%s::float8) FROM stage", [text])
        assert cursor.fetchone() == (None if value is None else True,)

    def test_decimals_keep_their_places_and_moments_their_microseconds(
        self, cursor: CursorWrapper
    ) -> None:
        columns = [("d", "numeric(38,18)"), ("m", "timestamp with time zone"), ("t", "date"),
                   ("b", "boolean")]  # fmt: skip
        make_table(cursor, *columns)
        d = ["99999999999999999999.999999999999999999", "-0.000000000000000001", None]
        rows = arrow(
            d=pa.array(d).cast(pa.decimal128(38, 18)),
            m=pa.array([1, -1, None], pa.timestamp("us", tz="UTC")),
            t=pa.array([0, -719_162, None], pa.date32()),
            b=pa.array([True, False, None]),
        )
        staged(cursor, "stage", record(*columns), rows)
        cursor.execute("SET LOCAL timezone = 'UTC'")
        assert texts(cursor, "stage", "d") == d
        assert texts(cursor, "stage", "m") == [
            "1970-01-01 00:00:00.000001+00", "1969-12-31 23:59:59.999999+00", None
        ]  # fmt: skip
        assert texts(cursor, "stage", "t") == ["1970-01-01", "0001-01-01", None]
        assert texts(cursor, "stage", "b") == ["true", "false", None]

    def test_short_floats_and_the_ends_of_time_are_exact(self, cursor: CursorWrapper) -> None:
        columns = [("r", "real"), ("m", "timestamp with time zone")]
        make_table(cursor, *columns)
        # From the first microsecond that Python knows to its last.
        rows = arrow(
            r=pa.array([0.1, 1 / 3, -0.0], pa.float32()),
            m=pa.array(
                [-62_135_596_800_000_000, 253_402_300_799_999_999, 0], pa.timestamp("us", tz="UTC")
            ),
        )
        staged(cursor, "stage", record(*columns), rows)
        cursor.execute("SET LOCAL timezone = 'UTC'")
        assert texts(cursor, "stage", "r") == ["0.1", "0.33333334", "-0"]
        assert texts(cursor, "stage", "m")[:2] == [
            "0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"
        ]  # fmt: skip

    def test_the_living_types_are_taken(self, cursor: CursorWrapper) -> None:
        make_table(cursor, ("value", "text"), ("number", "bigint"))
        was = record(("value", "character varying(5)"), ("number", "integer"))
        rows = arrow(value=pa.array(["abc"]), number=pa.array([7], pa.int32()))
        staged(cursor, "stage", was, rows)
        cursor.execute("SELECT pg_typeof(value)::text, pg_typeof(number)::text FROM stage")
        assert cursor.fetchone() == ("text", "bigint")

    def test_a_table_of_the_name_is_replaced(self, cursor: CursorWrapper) -> None:
        make_table(cursor, ("value", "text"))
        for value in ("one", "two"):
            staged(cursor, "stage", record(("value", "text")), arrow(value=pa.array([value])))
        assert texts(cursor, "stage") == ["two"]

    def test_no_rows_are_no_trouble(self, cursor: CursorWrapper) -> None:
        make_table(cursor, ("value", "text"))
        rows = arrow(value=pa.array([], pa.string()))
        staged(cursor, "stage", record(("value", "text")), rows)
        assert texts(cursor, "stage") == []

    def test_values_that_the_column_does_not_take_are_of_another_schema(
        self, cursor: CursorWrapper
    ) -> None:
        make_table(cursor, ("value", "jsonb"))
        rows = arrow(value=pa.array(["{"]))
        with pytest.raises(ForeignSchema, match="another schema: things does not take"):
            staged(cursor, "stage", record(("value", "jsonb")), rows)


class TestSchema:
    @pytest.mark.parametrize(
        ("was", "now"),
        [
            ("integer", "integer"),
            ("smallint", "bigint"),
            ("character varying(5)", "character varying(6)"),
            ("character varying(5)", "text"),
            ("numeric(20,8)", "numeric(38,18)"),
            ("numeric(20,8)", "numeric"),
        ],
    )
    def test_wider_types_fit(self, was: str, now: str) -> None:
        assert fits(was, now)

    @pytest.mark.parametrize(
        ("was", "now"),
        [
            ("bigint", "integer"),
            ("text", "character varying(5)"),
            ("character varying(6)", "character varying(5)"),
            ("numeric(20,8)", "numeric(20,10)"),
            ("numeric(20,8)", "numeric(19,8)"),
            ("double precision", "numeric"),
            ("numeric(20,8)", "double precision"),
            ("text", "jsonb"),
            ("timestamp with time zone", "date"),
        ],
    )
    def test_other_types_do_not(self, was: str, now: str) -> None:
        assert not fits(was, now)

    def test_every_column_without_a_place_is_named(self, cursor: CursorWrapper) -> None:
        make_table(
            cursor,
            ("number", "integer"),
            ("double", "integer GENERATED ALWAYS AS (number * 2) STORED"),
        )
        was = record(("gone", "text"), ("number", "text"), ("double", "integer"))
        with pytest.raises(ForeignSchema) as error:
            check_schema(was, live_columns(cursor, "things"))
        assert error.value.message == (
            "The archive is of another schema: in things, gone (text) is gone; "
            "number was text and is integer; double is computed by now."
        )

    def test_a_table_that_is_gone_is_named(self, cursor: CursorWrapper) -> None:
        with pytest.raises(ForeignSchema, match="no table things here"):
            live_columns(cursor, "things")


class TestCompared:
    def compare(self, cursor: CursorWrapper, type: str, held: str, sent: str) -> list[str]:
        """Return the keys that differ where one value is stored and another one archived."""
        make_table(cursor, ("value", type))
        cursor.execute(f"INSERT INTO things VALUES (1, %s::{type})", [held])
        staged(cursor, "stage", record(("value", type)), arrow(value=pa.array([sent])))
        return differing(cursor, "stage", record(("value", type)))

    @pytest.mark.parametrize(
        ("type", "held", "sent"),
        [
            ("double precision", "0", "-0"),
            ("numeric", "1.0", "1.00"),
            ("jsonb", '{"a": 1.0}', '{"a": 1}'),
            ("text", "a", "a "),
            ("timestamp with time zone", "2026-01-01 00:00:00Z", "2026-01-01 00:00:00.000001Z"),
        ],
    )
    def test_what_postgresql_takes_for_nearly_equal_differs(
        self, cursor: CursorWrapper, type: str, held: str, sent: str
    ) -> None:
        assert self.compare(cursor, type, held, sent) == ["1"]

    @pytest.mark.parametrize(
        ("type", "value"),
        [
            ("double precision", "NaN"),
            ("numeric(38,18)", "1.5"),
            ("jsonb", '{"b": [1.0, null], "a": ""}'),
            ("bytea", "\\x00"),
            ("text", ""),
        ],
    )
    def test_the_same_value_does_not(self, cursor: CursorWrapper, type: str, value: str) -> None:
        assert self.compare(cursor, type, value, value) == []

    def test_missing_and_differing_rows_are_told_apart(self, cursor: CursorWrapper) -> None:
        make_table(cursor, ("value", "text"))
        cursor.execute("INSERT INTO things VALUES (1, 'same'), (2, 'other'), (4, NULL)")
        rows = arrow(value=pa.array(["same", "was", "away", None, None]))
        staged(cursor, "stage", record(("value", "text")), rows)
        found = compared(cursor, "stage", record(("value", "text")))
        assert (found.missing, found.differing) == (["3", "5"], ["2"])
        assert differing(cursor, "stage", record(("value", "text"))) == ["3", "5", "2"]

    def test_another_table_can_stand_for_the_living_one(self, cursor: CursorWrapper) -> None:
        make_table(cursor, ("value", "text"))
        make_table(cursor, ("value", "text"), name="detached")
        cursor.execute("INSERT INTO detached VALUES (1, 'same')")
        rows = arrow(value=pa.array(["same"]))
        staged(cursor, "stage", record(("value", "text")), rows)
        assert differing(cursor, "stage", record(("value", "text")), table="detached") == []

    def test_a_table_cut_into_months_is_compared_as_a_whole(self, cursor: CursorWrapper) -> None:
        cursor.execute(
            "CREATE TABLE things (key bigint, at timestamptz, PRIMARY KEY (key, at)) "
            "PARTITION BY RANGE (at)"
        )
        cursor.execute("CREATE TABLE things_other PARTITION OF things DEFAULT")
        cursor.execute("INSERT INTO things VALUES (1, '1970-01-01 00:00:00.000001Z')")
        rows = arrow(at=pa.array([1, 2], pa.timestamp("us", tz="UTC")))
        was = record(("at", "timestamp with time zone"))
        staged(cursor, "stage", was, rows)
        assert differing(cursor, "stage", was) == ["2"]
