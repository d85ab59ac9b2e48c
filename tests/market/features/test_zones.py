"""Hours, days and dates are those of the clock on the wall of a zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from apps.market.domain.features.columns import ROW
from apps.market.domain.features.compute import compute, local_dates
from apps.market.domain.features.zones import local_each, local_seconds
from tests.market.features import series

ZONES = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Sao_Paulo",
]


def wall_clock(second, zone):
    moment = datetime.fromtimestamp(int(second), UTC).astimezone(ZoneInfo(zone))
    return int(moment.replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize("zone", ZONES)
class TestLocalTimes:
    def test_are_those_of_the_zone_in_any_year(self, zone):
        random = np.random.default_rng(1)
        start = np.unique(random.integers(-(10**9), 3 * 10**9, 300))
        wanted = [wall_clock(second, zone) for second in start]
        assert local_seconds(start, zone).tolist() == wanted
        mixed = random.permutation(start)
        assert local_each(mixed, zone).tolist() == [wall_clock(one, zone) for one in mixed]

    def test_change_at_the_very_second(self, zone):
        # Samoa left out a whole day at the end of 2011; the others change in spring and fall.
        year = np.arange(1_293_840_000, 1_293_840_000 + 366 * 86_400, 1800)
        around = np.unique(np.concatenate((year - 1, year, year + 1)))
        found = local_seconds(around, zone)
        assert found[:: 7 * 3].tolist() == [wall_clock(one, zone) for one in around[:: 7 * 3]]
        jumps = np.flatnonzero(np.diff(found) != np.diff(around))
        for jump in jumps.tolist():
            pair = around[jump : jump + 2]
            assert found[jump : jump + 2].tolist() == [wall_clock(one, zone) for one in pair]

    def test_give_the_dates(self, zone):
        start = np.arange(1_709_000_000, 1_712_000_000, 7001)
        wanted = [
            datetime.fromtimestamp(int(second), UTC).astimezone(ZoneInfo(zone)).date().isoformat()
            for second in start
        ]
        assert local_dates(start, zone).tolist() == wanted


class TestDaylightSaving:
    def test_keeps_the_opening_hour(self):
        # 14:30 UTC is 9:30 in New York until 2024-03-10, 10:30 afterwards.
        start = np.array([1_709_908_200, 1_709_908_200 + 3 * 86_400])
        candles = series.walk(1, 2)._replace(start=start)
        found = compute(candles, version="3.1", zone="America/New_York")
        assert found[ROW["hour"]].tolist() == [9, 10]
        assert found[ROW["hours_since_open"]].tolist() == [0, 1]
        assert found[ROW["day_of_week"]].tolist() == [4, 0]
        assert local_dates(start, "America/New_York").tolist() == ["2024-03-08", "2024-03-11"]

    def test_makes_the_day_an_hour_shorter(self):
        candles = series.walk(1, 72)
        # 2024-03-09 00:00 in New York, and every hour from there.
        candles = candles._replace(start=1_709_960_400 + 3600 * np.arange(72))
        found = compute(candles, version="3.1", zone="America/New_York")
        assert np.flatnonzero(found[ROW["hour"]] == 0).tolist() == [0, 24, 47, 71]
        gap = found[ROW["overnight_gap"]]
        assert gap[47] == (candles.open[47] - candles.close[46]) / candles.close[46]
        assert np.unique(gap[47:71]).size == 1


class TestRefused:
    @pytest.mark.parametrize("second", [-(10**11), 10**11])
    def test_moments_outside_of_three_centuries(self, second):
        candles = series.walk(1, 1)._replace(start=np.array([second]))
        with pytest.raises(ValueError, match="1900 to 2199"):
            compute(candles, version="3.1", zone="UTC")
        with pytest.raises(ValueError, match="1900 to 2199"):
            local_dates(np.array([second]), "UTC")
