"""Every column equals its definition, worked out window by window in plain Python."""

import numpy as np
import pytest

from apps.market.domain.features.columns import ROW
from apps.market.domain.features.compute import compute
from tests.market.features import oracle, series


@pytest.mark.parametrize("seed", range(max(1, series.CASES // 4)))
@pytest.mark.parametrize("kind", series.every_kind(0, 2))
class TestEveryColumn:
    def test_equals_its_definition(self, kind, seed):
        candles = series.every_kind(seed, 530)[kind]
        found = compute(candles, version="3.1", zone=series.ZONE)
        assert series.differences(candles, found, oracle.columns(candles, series.ZONE)) == []

    def test_is_never_infinite(self, kind, seed):
        candles = series.every_kind(seed, 530)[kind]
        for version in ("3.0", "3.1"):
            assert not np.isinf(compute(candles, version=version, zone=series.ZONE)).any()


class TestShortSeries:
    @pytest.mark.parametrize("rows", [1, 2, 3, 7, 14, 20, 25])
    def test_knows_what_its_definition_knows(self, rows):
        candles = series.walk(rows, rows)
        found = compute(candles, version="3.1", zone="UTC")
        assert series.differences(candles, found, oracle.columns(candles, "UTC")) == []

    def test_of_no_rows_has_no_rows(self):
        none = series.walk(1, 1).part(0, 0)
        for version in ("3.0", "3.1"):
            assert compute(none, version=version, zone="UTC").shape == (97, 0)


class TestNothingToDivideBy:
    def test_is_not_known(self):
        candles = series.walk(1, 200)
        flat = np.full(200, 7.25)
        still = candles._replace(open=flat, high=flat, low=flat, close=flat, volume=np.zeros(200))
        last = compute(still, version="3.1", zone="UTC")[:, -1]
        unknown = {name for name, row in ROW.items() if np.isnan(last[row])}
        moments = {f"returns_{name}_{hours}h" for name in ("skew", "kurt") for hours in (6, 12, 24)}
        assert unknown == moments | {
            "bb_position",
            "vpt_normalized",
            "williams_r",
            "volume_ratio",
            *(f"volume_ratio_lag_{lag}" for lag in (1, 2, 4, 8, 24)),
        }
        assert last[ROW["position_in_range"]] == 0.5
        assert last[ROW["returns_std_24h"]] == 0
        assert last[ROW["rsi_1d"]] == 0


class TestRefused:
    def test_an_unknown_version(self):
        with pytest.raises(ValueError, match=r"'2\.0' are not computed"):
            compute(series.walk(1, 5), version="2.0", zone="UTC")

    @pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "UTC\0"])
    def test_an_unknown_zone(self, zone):
        with pytest.raises(ValueError, match="no time zone"):
            compute(series.walk(1, 5), version="3.1", zone=zone)

    @pytest.mark.parametrize(
        ("column", "value", "said"),
        [
            ("low", 0.0, "positive"),
            ("low", -1.0, "positive"),
            ("high", np.inf, "positive"),
            ("low", np.nan, "positive"),
            ("close", np.nan, "enclose"),
            ("open", np.nan, "enclose"),
            ("high", np.nan, "positive"),
            ("close", 1e6, "enclose"),
            ("volume", -1.0, "negative"),
            ("volume", np.nan, "negative"),
            ("volume", np.inf, "negative"),
        ],
    )
    def test_a_candle_that_cannot_be(self, column, value, said):
        candles = series.walk(1, 9)
        getattr(candles, column)[4] = value
        with pytest.raises(ValueError, match=said):
            compute(candles, version="3.1", zone="UTC")

    def test_candles_out_of_order_or_twice(self):
        candles = series.walk(1, 9)
        candles.start[5] = candles.start[4]
        with pytest.raises(ValueError, match="order of their starts"):
            compute(candles, version="3.1", zone="UTC")

    def test_columns_of_different_length(self):
        candles = series.walk(1, 9)
        with pytest.raises(ValueError, match="one length"):
            compute(candles._replace(volume=candles.volume[:5]), version="3.1", zone="UTC")

    def test_a_place_of_another_shape(self):
        with pytest.raises(ValueError, match=r"\[97, 9\]"):
            compute(series.walk(1, 9), version="3.1", zone="UTC", out=np.empty((97, 8)))
