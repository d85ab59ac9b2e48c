"""Feature vectors in binary form, to the table and back."""

from datetime import UTC, datetime

import numpy as np
import pytest
from django.db import IntegrityError, transaction

from apps.market.domain.features.columns import INTEGERS, NUMERIC
from apps.market.models import FeatureVector
from apps.market.services.features import encoding, write
from apps.market.services.features.encoding import (
    FeatureRows,
    NotFinite,
    encode_mixed,
    moments,
)
from apps.market.services.features.write import send, write_features

pytestmark = pytest.mark.django_db
FIRST = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())


def rows(count=4, *, symbol="AAA", unknown=()):
    """Return rows of distinct numbers; ``unknown`` names (column, row)s that are NaN."""
    values = np.arange(len(NUMERIC) * count, dtype=float).reshape(len(NUMERIC), count) / 7
    for name in INTEGERS:
        at = NUMERIC.index(name)
        values[at] = np.floor(values[at])
    for name, row in unknown:
        values[NUMERIC.index(name), row] = np.nan
    start = FIRST + 3600 * np.arange(count)
    date = np.array([b"2026-03-02"] * count)
    return FeatureRows((symbol, "test", "1h", "3.1"), start, values, date)


def read(symbol="AAA"):
    found = FeatureVector.objects.filter(symbol=symbol).order_by("timestamp")
    table = [
        [np.nan if value is None else value for value in row] for row in found.values_list(*NUMERIC)
    ]
    return found, np.array(table, dtype=float).T


class TestWriteFeatures:
    def test_gives_back_every_number_to_the_last_bit(self):
        sent = rows()

        write_features([sent])

        found, values = read()
        assert np.array_equal(values, sent.values)
        first = found[0]
        assert (first.symbol, first.source, first.granularity) == ("AAA", "test", "1h")
        assert (first.feature_version, first.date) == ("3.1", "2026-03-02")
        assert [row.timestamp.timestamp() for row in found] == sent.start.tolist()

    def test_leaves_empty_what_is_not_known(self):
        unknown = [("rsi_1d", 0), ("hour", 1), ("williams_r", 1), ("open", 3)]
        sent = rows(unknown=unknown)

        write_features([sent])

        found, values = read()
        assert np.array_equal(values, sent.values, equal_nan=True)
        assert found[0].rsi_1d is None
        assert found[1].hour is None

    def test_takes_a_column_that_is_never_known(self):
        sent = rows(unknown=[("macd", row) for row in range(4)])

        write_features([sent])

        assert np.array_equal(read()[1], sent.values, equal_nan=True)

    @pytest.mark.parametrize("value", [np.inf, -np.inf])
    def test_refuses_what_is_infinite_before_anything_is_sent(self, value):
        sent = rows()
        sent.values[NUMERIC.index("macd"), 2] = value

        with pytest.raises(NotFinite, match="macd"):
            write_features([sent])

        # The transaction is as good as new.
        assert not FeatureVector.objects.exists()

    def test_writes_more_series_than_fit_one_copy(self, monkeypatch):
        monkeypatch.setattr(write, "CHUNK_BYTES", 3_000)
        names = [f"S{number}" for number in range(12)]

        write_features(rows(3, symbol=name) for name in names)

        assert FeatureVector.objects.count() == 36
        assert np.array_equal(read("S11")[1], rows(3).values)

    def test_writes_a_long_series_in_slices(self, monkeypatch):
        monkeypatch.setattr(encoding, "SLICE_ROWS", 3)
        sent = rows(10, unknown=[("rsi_1d", 4)])

        write_features([sent])

        assert np.array_equal(read()[1], sent.values, equal_nan=True)

    def test_does_not_write_a_row_twice(self):
        write_features([rows()])

        with pytest.raises(IntegrityError), transaction.atomic():
            write_features([rows()])

        assert FeatureVector.objects.count() == 4

    def test_writes_nothing_where_there_is_nothing(self):
        write_features([])
        write_features([rows(0)])

        assert not FeatureVector.objects.exists()


class TestEncodeMixed:
    def test_writes_one_row_each_of_series_with_names_of_any_length(self):
        sent = rows(3, unknown=[("rsi_1d", 1)])
        keys = [
            ("A", "test", "1h", "3.1"),
            ("ÄÖ/日本", "x", "1d", "10.0"),
            ("B" * 50, "", "1h", "3"),
        ]
        date = np.array([b"2026-03-02", b"", b"later"])

        send([encode_mixed(keys, moments(sent.start), sent.values, date)])

        found = list(FeatureVector.objects.order_by("timestamp"))
        assert [
            (row.symbol, row.source, row.granularity, row.feature_version) for row in found
        ] == keys
        assert [row.date for row in found] == ["2026-03-02", None, "later"]
        assert found[1].rsi_1d is None
        assert found[2].rsi_1d == sent.values[NUMERIC.index("rsi_1d"), 2]
