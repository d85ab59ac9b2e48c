"""Columns as archives know them."""

from types import SimpleNamespace

import pyarrow as pa
import pytest
from django.db import connection

from apps.bots.models import Trade
from apps.shared.retention.columns import Column, Kind, columns_of, kind_of, schema_version


class TestKinds:
    @pytest.mark.parametrize(
        ("type", "kind"),
        [
            ("bigint", Kind.INTEGER),
            ("real", Kind.FLOAT),
            ("timestamp with time zone", Kind.MOMENT),
            ("timestamp(3) with time zone", Kind.MOMENT),
            ("timestamp without time zone", Kind.TEXT),
            ("numeric(38,18)", Kind.DECIMAL),
            ("numeric", Kind.TEXT),
            ("numeric(39,18)", Kind.TEXT),
            ("numeric(2,4)", Kind.TEXT),
            ("numeric(4,-2)", Kind.TEXT),
            ("numeric(10,2)[]", Kind.TEXT),
            ("jsonb", Kind.TEXT),
        ],
    )
    def test_follow_from_the_type(self, type: str, kind: Kind) -> None:
        assert kind_of(type) == kind

    def test_have_a_type_that_is_exact(self) -> None:
        assert Column("price", Kind.DECIMAL, "numeric(38,18)").arrow_type == pa.decimal128(38, 18)
        assert Column("id", Kind.INTEGER, "smallint").arrow_type == pa.int16()
        assert Column("id", Kind.TEXT, "uuid").arrow_type == pa.string()


@pytest.mark.django_db
class TestColumns:
    def test_are_those_of_the_table(self) -> None:
        names = [each.name for each in columns_of(Trade)]
        assert set(names) == {each.column for each in Trade._meta.concrete_fields}
        by_name = {each.name: each for each in columns_of(Trade)}
        assert by_name["entry_price"] == Column("entry_price", Kind.DECIMAL, "numeric(38,18)")

    def test_leave_out_what_is_generated_and_what_was_dropped(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                'CREATE TEMP TABLE "odd ""name" (a int, b int, c int GENERATED ALWAYS AS (a + 1) '
                "STORED, d int GENERATED ALWAYS AS (a + 2) VIRTUAL) ON COMMIT DROP; "
                'ALTER TABLE "odd ""name" DROP COLUMN b'
            )
        model = SimpleNamespace(_meta=SimpleNamespace(db_table='odd "name'))
        assert columns_of(model) == [Column("a", Kind.INTEGER, "integer")]  # type: ignore[arg-type]


class TestSchemaVersion:
    def test_changes_with_a_name_a_type_and_an_order(self) -> None:
        one, two = Column("a", Kind.TEXT, "text"), Column("b", Kind.TEXT, "text")
        other = Column("b", Kind.TEXT, "uuid")
        tables = [[one, two], [two, one], [one, other], [one]]
        versions = {schema_version([("t", columns)]) for columns in tables}
        assert len(versions) == len(tables)
        assert all(len(each) == 16 for each in versions)
