"""What PostgreSQL holds and what a file gives back have the same digests, or it is told."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db import connection

from apps.shared.retention.cells import sql_cells
from apps.shared.retention.checksums import (
    Digest,
    arrow_digests,
    block_digest,
    column_checksums,
    digests_in,
    settle,
    sql_digests,
)
from apps.shared.retention.columns import Column, Kind, columns_of
from apps.shared.retention.manifests import DamagedArchive
from apps.shared.retention.parquet import Inexact, TableFile, blocks_in, found_in

pytestmark = pytest.mark.django_db

TYPES = {
    "small": "smallint",
    "whole": "integer",
    "big": "bigint",
    "single": "real",
    "float": "double precision",
    "yes": "boolean",
    "moment": "timestamptz",
    "coarse": "timestamptz(3)",
    "local": "timestamp",
    "day": "date",
    "price": "numeric(38,18)",
    "ratio": "numeric(10,4)",
    "odd": "numeric(7,5)",
    "places": "numeric(18,18)",
    "round": "numeric(38,0)",
    "short": "numeric(3,1)",
    "free": "numeric",
    "wide": "numeric(60,20)",
    "text": "text",
    "name": "varchar(50)",
    "fixed": "char(4)",
    "document": "jsonb",
    "id": "uuid",
    "address": "inet",
    "raw": "bytea",
    "list": "text[]",
    "span": "interval",
}
TEXTS = [
    "",
    "NULL",
    "\\N",
    '"',
    '""',
    "a,b",
    "a\nb",
    "\r\n",
    "\r",
    " x ",
    "ü€😀",
    "\\.",
    "\x01",
    "'",
    "\t",
]
FLOATS = [0.0, -0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, -1 / 3]
FLOATS += [float("nan"), float("inf"), float("-inf")]
YEAR_1, YEAR_9999 = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)
MOMENTS = [YEAR_1, YEAR_9999, datetime(1969, 12, 31, 23, 59, 59, 999999, UTC)]
MOMENTS += [datetime(1970, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, 0, 0, 0, 1, UTC)]


@pytest.fixture
def columns() -> list[Column]:
    """Have a table with a column of each type."""
    with connection.cursor() as cursor:
        listed = ", ".join(f'"{name}" {type}' for name, type in TYPES.items())
        cursor.execute(f"CREATE TEMP TABLE cells (key int, {listed}) ON COMMIT DROP")
        settle(cursor)
    return columns_of(SimpleNamespace(_meta=SimpleNamespace(db_table="cells")))  # type: ignore[arg-type]


def decimal(chance: random.Random, digits: int, places: int) -> Decimal:
    """Return a decimal that fits, short or long, of either sign."""
    whole = chance.randrange(10 ** chance.randint(0, digits))
    ends = [0, 1, 10**digits - 1, 10**places % 10**digits, 5 * 10 ** (places // 2) % 10**digits]
    picked = chance.choice([*ends, whole, whole])
    return Decimal((chance.randrange(2), tuple(map(int, str(picked))), -places))


def row_of(chance: random.Random) -> list[Any]:
    """Return a value for each of TYPES, a limit of its type as often as not."""

    def whole(bits: int) -> int:
        most = 2 ** (bits - 1)
        return chance.choice([-most, most - 1, -most + 1, 0, chance.randrange(-most, most)])

    def text() -> str:
        return "".join(chance.choices([*TEXTS, "abc"], k=chance.randint(0, 3)))

    moment = chance.choice([*MOMENTS, YEAR_1 + timedelta(microseconds=chance.randrange(10**17))])
    single = [f for f in FLOATS if (abs(f) < 1e38 and (abs(f) > 1e-37 or f == 0)) or f != f]
    document = f'{{"a": [1.50, null, "x\\n\\"{chance.randrange(9)}"], "": {{}}}}'
    return [
        whole(16),
        whole(32),
        whole(64),
        chance.choice([*single, 1e-45, chance.uniform(-1e9, 1e9)]),
        chance.choice([*FLOATS, chance.uniform(-1e9, 1e9)]),
        chance.random() < 0.5,
        moment,
        min(moment, datetime(9999, 1, 1, tzinfo=UTC)),
        moment.replace(tzinfo=None),
        chance.choice([date(1, 1, 1), date(9999, 12, 31), date(1970, 1, 1), date(1999, 12, 31)]),
        decimal(chance, 38, 18),
        decimal(chance, 10, 4),
        decimal(chance, 7, 5),
        decimal(chance, 18, 18),
        decimal(chance, 38, 0),
        decimal(chance, 3, 1),
        chance.choice([Decimal("1.500"), Decimal("1E-30"), Decimal("NaN"), Decimal("-0.0")]),
        decimal(chance, 60, 20),
        text(),
        text(),
        "ab",
        document,
        f"{chance.getrandbits(128):032x}",
        chance.choice(["10.0.0.1", "::1", "10.1.0.0/16"]),
        chance.randbytes(chance.randint(0, 9)),
        [text(), None, text()],
        timedelta(days=chance.randint(-400, 400), microseconds=chance.randrange(10**9)),
    ]


def fill(rows: Sequence[Sequence[Any]]) -> None:
    marks = ", ".join(
        "%s" if each not in {"real", "double precision"} else "%s::float8"
        for each in TYPES.values()
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO cells VALUES (%s, {marks})",
            [[number, *row] for number, row in enumerate(rows)],
        )


def from_database(columns: Sequence[Column]) -> list[Digest]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {sql_digests(columns)} FROM (SELECT * FROM cells ORDER BY key) AS t"
        )
        return digests_in(cursor.fetchone())


def from_file(folder: Path, columns: Sequence[Column]) -> list[Digest]:
    """Write the table to a file and return what is read there."""
    file = TableFile(folder, "0_cells.parquet", columns)
    try:
        with connection.cursor() as cursor:
            cells = ", ".join(map(sql_cells, columns))
            cursor.execute(f"SELECT count(*), {cells} FROM (SELECT * FROM cells ORDER BY key) AS t")
            rows, *values = cursor.fetchone()
        file.add(0, rows, [bytes(each) for each in values])
        blocks = file.finish().blocks
    finally:
        file.close()
    return blocks[0].digests


class TestDigests:
    @pytest.mark.parametrize("seed", range(5))
    def test_are_the_same_on_both_sides_for_values_of_every_kind(
        self, seed: int, columns: list[Column], tmp_path: Path
    ) -> None:
        chance = random.Random(seed)
        rows = [
            [None if seed and chance.random() < 0.2 * seed else cell for cell in row_of(chance)]
            for _ in range(150)
        ]
        fill(rows)
        theirs, ours = from_database(columns), from_file(tmp_path, columns)
        differing = [
            each.name for each, one, two in zip(columns, theirs, ours, strict=True) if one != two
        ]
        assert differing == []

    def test_are_the_same_where_every_cell_is_empty(
        self, columns: list[Column], tmp_path: Path
    ) -> None:
        fill([[None] * len(TYPES)] * 3)
        assert from_database(columns) == from_file(tmp_path, columns)

    def test_are_the_same_of_no_rows(self, columns: list[Column]) -> None:
        schema = pa.schema([(each.name, each.arrow_type) for each in columns])
        assert from_database(columns) == arrow_digests(schema.empty_table(), columns)

    def test_take_every_not_a_number_for_the_same(
        self, columns: list[Column], tmp_path: Path
    ) -> None:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO cells (key, float) VALUES (0, 'inf'::float8 - 'inf')")
        assert from_database(columns) == from_file(tmp_path, columns)

    @pytest.mark.parametrize(
        ("column", "one", "other"),
        [
            ("text", "''", "NULL"),
            ("float", "0.0", "'-0'"),
            ("free", "1.5", "1.50"),
            ("big", "-9223372036854775807", "NULL"),
            ("price", "1e-18", "0"),
            ("document", "'{\"a\": 1}'", "'{\"a\": 1.0}'"),
            ("list", "'{NULL}'", "'{\"NULL\"}'"),
        ],
    )
    def test_tell_apart_what_is_alike(
        self, column: str, one: str, other: str, columns: list[Column]
    ) -> None:
        found = []
        for value in (one, other):
            with connection.cursor() as cursor:
                cursor.execute("TRUNCATE cells")
                cursor.execute(f'INSERT INTO cells (key, "{column}") VALUES (1, {value})')
            found.append(from_database(columns))
        assert found[0] != found[1]

    def test_tell_apart_where_one_text_ends_and_the_next_begins(self) -> None:
        column = Column("text", Kind.TEXT, "text")
        one, two = pa.table({"text": ["ab", "c"]}), pa.table({"text": ["a", "bc"]})
        assert arrow_digests(one, [column]) != arrow_digests(two, [column])

    def test_of_a_block_and_of_a_column_depend_on_each_of_them(self) -> None:
        columns = [Column("a", Kind.TEXT, "text"), Column("b", Kind.TEXT, "text")]
        first, second = [b"1", b"2"], [b"1", b"3"]
        assert block_digest(first) != block_digest(second)
        sums = column_checksums(columns, [first, first]), column_checksums(columns, [first, second])
        assert sums[0]["a"] == sums[1]["a"]
        assert sums[0]["b"] != sums[1]["b"]


class TestFiles:
    @pytest.mark.parametrize("seed", range(3))
    def test_hold_the_values_that_the_database_has(
        self, seed: int, columns: list[Column], tmp_path: Path
    ) -> None:
        chance = random.Random(seed)
        fill(
            [
                [None if seed and chance.random() < 0.3 * seed else cell for cell in row_of(chance)]
                for _ in range(150)
            ]
        )
        from_file(tmp_path, columns)
        held = pq.read_table(tmp_path / "0_cells.parquet")
        read_as = {Kind.TEXT: "::text", Kind.FLOAT: "::float8"}
        listed = ", ".join(f'"{each.name}"{read_as.get(each.kind, "")}' for each in columns)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {listed} FROM cells ORDER BY key")
            values = list(zip(*cursor.fetchall(), strict=True))
        for column, theirs in zip(columns, values, strict=True):
            ours = held[column.name].to_pylist()
            assert list(map(str, ours)) == list(map(str, theirs)), column.name


class TestWhatCannotBeStored:
    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("moment", "'infinity'"),
            ("moment", "'-infinity'"),
            ("moment", "'0044-03-15 00:00+00 BC'"),
            ("moment", "'20000-01-01 00:00+00'"),
            ("day", "'infinity'"),
            ("price", "'NaN'"),
        ],
    )
    def test_is_refused_or_told_by_its_digest(
        self, column: str, value: str, columns: list[Column], tmp_path: Path
    ) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f'INSERT INTO cells (key, "{column}") VALUES (1, {value})')
        with pytest.raises(Inexact, match="0_cells"):
            from_file(tmp_path, columns)


class TestBlocks:
    def test_are_found_by_their_numbers(self) -> None:
        column = Column("whole", Kind.INTEGER, "integer")
        table = pa.table(
            {"block": pa.array([0, 0, 2], pa.int32()), "whole": pa.array([1, 2, 3], pa.int32())}
        )
        found = dict(blocks_in(table, [column]))
        assert {number: each.rows for number, each in found.items()} == {0: 2, 2: 1}
        assert found[2].digests == arrow_digests(table.slice(2), [column])

    def test_are_not_found_in_what_is_no_file_of_this_kind(self, tmp_path: Path) -> None:
        with pytest.raises(DamagedArchive):
            found_in(tmp_path, "0_cells.parquet", [])
