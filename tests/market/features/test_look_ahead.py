"""What comes later changes nothing before it, and where it does, that is found."""

import numpy as np
import pytest

from apps.market.domain.features import compute as compute_module
from apps.market.domain.features.columns import CALENDAR, NUMERIC, ROW
from apps.market.domain.features.compute import Candles, compute
from tests.market.features import series

LOOKING_AHEAD = {
    "intraday_high",
    "intraday_low",
    "intraday_range_pct",
    "position_in_range",
    "dist_from_intraday_high",
    "dist_from_intraday_low",
}


def with_another_future(candles: Candles, row: int, seed: int) -> Candles:
    """The same candles up to ``row``; wild ones afterwards, on the same day and later."""
    random = np.random.default_rng(seed)
    columns = [column.copy() for column in candles[1:]]
    later = candles.start.size - row - 1
    factor = np.exp(random.normal(0, 4, later))
    for column in columns[:4]:
        column[row + 1 :] *= factor
    columns[1][row + 1 :] *= 1 + random.exponential(5, later)
    columns[2][row + 1 :] /= 1 + random.exponential(5, later)
    columns[4][row + 1 :] *= random.choice([0.0, 1.0, 1e6], later)
    return Candles(candles.start, *columns)


def changed_before(version: str, candles: Candles, row: int, seed: int) -> set[str]:
    """The columns of which a value at or before ``row`` is another, in any bit."""
    one = compute(candles, version=version, zone=series.ZONE)
    other = compute(with_another_future(candles, row, seed), version=version, zone=series.ZONE)
    known = slice(0, row + 1)
    differing = np.ascontiguousarray(one[:, known]).view(np.int64) != np.ascontiguousarray(
        other[:, known]
    ).view(np.int64)
    return {NUMERIC[column] for column in np.flatnonzero(differing.any(axis=1))}


@pytest.fixture(scope="module")
def futures():
    """Cuts through a day and a night of one series, and its columns with either future."""
    candles = series.walk(4, 700)
    one = compute(candles, version="3.1", zone=series.ZONE)
    return [
        (
            row,
            one,
            compute(with_another_future(candles, row, 4), version="3.1", zone=series.ZONE),
        )
        for row in range(600, 630)
    ]


ROWS = [0, 1, 5, 13, 24, 47, 119, 143, 300, 479, 500, 777, 998]


@pytest.mark.parametrize("row", ROWS)
class TestAnotherFuture:
    def test_changes_nothing_before_it_in_the_mended_version(self, row):
        for seed in range(series.CASES):
            candles = series.walk(seed, 1000)
            assert changed_before("3.1", candles, row, seed) == set()

    def test_changes_nothing_across_blocks(self, row, monkeypatch):
        monkeypatch.setattr(compute_module, "BLOCK", 128)
        candles = series.walk(row, 1000)
        assert changed_before("3.1", candles, row, row) == set()


class TestPlantedLookAhead:
    def test_of_the_original_day_is_found_in_each_of_its_columns(self):
        found = set()
        for row in ROWS[:-1]:
            found |= changed_before("3.0", series.walk(3, 1000), row, 3)
        assert found == LOOKING_AHEAD

    @pytest.mark.parametrize("name", sorted(set(NUMERIC) - set(CALENDAR)))
    def test_would_be_found_in_any_column(self, futures, name):
        # The same comparison sees a column that has been moved 25 rows toward the past, one
        # more than the longest lag. The calendar knows nothing but the time, and times have
        # not been changed.
        column, moved = ROW[name], slice(25, None)
        assert any(
            not np.array_equal(
                one[column, moved][: row + 1], other[column, moved][: row + 1], equal_nan=True
            )
            for row, one, other in futures
        )
