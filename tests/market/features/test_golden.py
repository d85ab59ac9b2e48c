"""The columns of the original definition equal the values that were computed from it."""

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from apps.market.domain.features.columns import COLUMNS, INTEGERS, INTRADAY, NUMERIC, ROW
from apps.market.domain.features.compute import Candles, compute, local_dates

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "features"
CANDLES = FOLDER / "hourly_700_ohlcv.csv.gz"
GOLDEN = FOLDER / "hourly_700_features.csv.gz"

pytestmark = pytest.mark.skipif(
    not GOLDEN.exists(), reason="the golden values (../shared/data) are not here"
)


def read(path):
    with gzip.open(path, "rt", newline="") as lines:
        rows = list(csv.reader(lines))
    return dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))


@pytest.fixture(scope="module")
def golden():
    return read(GOLDEN)


@pytest.fixture(scope="module")
def candles():
    texts = read(CANDLES)
    # The file's times name no zone: taken for UTC, so that its hours are those of the columns.
    start = [
        int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
        for text in texts["timestamp"]
    ]
    columns = (np.array(texts[name], np.float64) for name in Candles._fields[1:])
    return Candles(np.array(start, np.int64), *columns)


def expected(golden, name):
    return np.array([float(text) if text else np.nan for text in golden[name]])


class TestOriginalDefinition:
    def test_has_the_columns_of_the_file_in_their_order(self, golden):
        assert list(golden) == list(COLUMNS)
        assert [name for name in COLUMNS if name in ROW] == list(NUMERIC)

    @pytest.mark.parametrize("name", NUMERIC)
    def test_equals_the_file(self, golden, candles, name):
        found = compute(candles, version="3.0", zone="UTC")[ROW[name]]
        # Nothing but 1e-9 of the value itself is allowed, and NaN exactly where it has none.
        np.testing.assert_allclose(found, expected(golden, name), rtol=1e-9, atol=0)

    def test_has_the_dates_of_the_file(self, golden, candles):
        assert local_dates(candles.start, "UTC").tolist() == list(golden["date"])

    @pytest.mark.parametrize("name", sorted(INTEGERS))
    def test_has_whole_numbers_where_it_says_so(self, candles, name):
        found = compute(candles, version="3.0", zone="UTC")[ROW[name]]
        assert (found == found.round()).all()


class TestMendedDefinition:
    def test_equals_the_file_in_all_but_the_columns_of_the_day(self, golden, candles):
        found = compute(candles, version="3.1", zone="UTC")
        for name in set(NUMERIC) - set(INTRADAY) | {"returns_from_daily_open"}:
            np.testing.assert_allclose(
                found[ROW[name]], expected(golden, name), rtol=1e-9, atol=0, err_msg=name
            )

    def test_knows_no_gap_before_the_first_day(self, golden, candles):
        gap = compute(candles, version="3.1", zone="UTC")[ROW["overnight_gap"]]
        wanted = expected(golden, "overnight_gap")
        wanted[:7] = np.nan
        np.testing.assert_allclose(gap, wanted, rtol=1e-9, atol=0)

    def test_knows_the_range_of_the_day_at_its_last_candle(self, golden, candles):
        found = compute(candles, version="3.1", zone="UTC")
        for name in INTRADAY:
            np.testing.assert_allclose(
                found[ROW[name], 6 + 7 :: 7],
                expected(golden, name)[6 + 7 :: 7],
                rtol=1e-9,
                err_msg=name,
            )
