"""What is wrong with candles: everything that was planted is found, and nothing is made up."""

import csv
import gzip
import os
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from apps.market.choices import DefectKind
from apps.market.domain.health import Candles, block_start, examine, find_defects, find_spreads
from tests.market.health.series import DAY, MONDAY, NEW_YORK, clean, key, plant

DEFECTS = int(os.environ.get("HEALTH_DEFECTS", "60"))
CANDLES = Path(__file__).resolve().parents[4] / "shared" / "data" / "candles"
KINDS = [kind for kind in DefectKind if kind is not DefectKind.SPREAD]
# Granularity, equity, candles of the calendar, volatility of one candle.
MARKETS = [
    ("1m", False, 0.0004),
    ("5m", False, 0.001),
    ("1h", False, 0.004),
    ("1d", False, 0.02),
    ("5m", True, 0.001),
    ("1h", True, 0.004),
    ("1d", True, 0.01),
]
# So many defects are planted into each series; the market then goes on to the next one.
PER_SERIES = 12


def series(granularity, equity, sigma, seed):
    random = np.random.default_rng(seed)
    size = 150 + 40 * (PER_SERIES + 4)
    days = {"5m": 5, "1h": 5, "1d": 1.5}.get(granularity, 1) if equity else 1
    return random, clean(random, int(size * days), granularity, sigma=sigma, equity=equity)


def look(planted, granularity, equity):
    return examine(
        planted.candles,
        granularity=granularity,
        asset_class="equity" if equity else "crypto",
        zone=NEW_YORK if equity else "UTC",
        trading_days=planted.trading_days,
        others=planted.others,
        other_source="other",
    ).defects


class TestPlantedDefects:
    def test_are_all_found_and_none_is_invented(self):
        planted_in_all = found_in_all = invented = seed = 0
        while planted_in_all < DEFECTS:
            granularity, equity, sigma = MARKETS[seed % len(MARKETS)]
            spread = seed % 3 == 2
            random, candles = series(granularity, equity, sigma, seed)
            count = min(PER_SERIES, DEFECTS - planted_in_all)
            kinds = [DefectKind.SPREAD] if spread else KINDS
            planted = plant(random, candles, granularity, count, equity=equity, kinds=kinds)

            found = {key(each) for each in look(planted, granularity, equity)}
            wanted = {key(each) for each in planted.expected}

            assert found == wanted, (granularity, equity, seed)
            planted_in_all += len(wanted)
            found_in_all += len(found & wanted)
            invented += len(found - wanted)
            seed += 1
        assert (found_in_all, invented) == (DEFECTS, 0)

    @pytest.mark.parametrize(("granularity", "equity", "sigma"), MARKETS)
    @pytest.mark.parametrize("seed", range(3))
    def test_a_clean_series_has_none(self, granularity, equity, sigma, seed):
        _, candles = series(granularity, equity, sigma, 1000 + seed)
        zone = NEW_YORK if equity else "UTC"
        asset_class = "equity" if equity else "crypto"
        days = np.unique(candles.start // DAY)
        for known in (None, days):
            assert not find_defects(
                candles,
                granularity=granularity,
                asset_class=asset_class,
                zone=zone,
                trading_days=known,
            )


@pytest.fixture
def hours():
    """Forty days of hours, to be changed by a test."""
    random = np.random.default_rng(7)
    return clean(random, 960, "1h", sigma=0.004)


def found(candles, **values):
    return find_defects(candles, **{"granularity": "1h", "asset_class": "crypto"} | values)


def without(candles, *places):
    return Candles(*(np.delete(column, list(places)) for column in candles))


class TestGaps:
    def test_of_a_market_that_never_closes_are_all_missing_intervals(self, hours):
        (gap,) = found(without(hours, *range(100, 130)))
        assert (gap.kind, gap.candles) == (DefectKind.GAP, 30)
        assert (gap.start, gap.end) == (hours.start[100], hours.start[130])

    def test_of_an_exchange_begin_and_end_with_its_day(self):
        random = np.random.default_rng(8)
        share = clean(random, 2_000, "1h", equity=True)
        closed = {"asset_class": "equity", "zone": NEW_YORK}
        # The last hour of a day and the first one may be missing: it closed early, opened late.
        first = int(np.flatnonzero(np.diff(share.start) > DAY / 2)[20])
        assert not found(without(share, first, first + 1), **closed)
        (gap,) = found(without(share, first - 1), **closed)
        assert gap.candles == 1

    def test_of_currencies_may_lie_over_midnight(self):
        random = np.random.default_rng(8)
        pair = clean(random, 24 * 56, "1h", sigma=0.001)
        # From Sunday at 22:00 to Friday at 22:00.
        hour = (pair.start - MONDAY) // 3_600 % 168
        pair = Candles(*(column[(hour < 118) | (hour >= 166)] for column in pair))
        traded = {"asset_class": "forex", "zone": "UTC"}
        assert not found(pair, **traded)
        midnight = int(np.flatnonzero(pair.start == MONDAY + 29 * DAY)[0])
        (gap,) = found(without(pair, *range(midnight - 2, midnight + 3)), **traded)
        assert (gap.start, gap.candles) == (pair.start[midnight - 2], 5)

    def test_whole_days_are_missing_when_others_traded(self):
        random = np.random.default_rng(9)
        share = clean(random, 2_000, "1h", equity=True)
        days = share.start // DAY
        all_days = np.unique(days)
        # Two days around a weekend are one gap: nothing came between them.
        friday = int(all_days[(all_days + 3) % 7 == 4][3])
        left = Candles(*(column[(days != friday) & (days != friday + 3)] for column in share))
        closed = {"asset_class": "equity", "zone": NEW_YORK}

        (gap,) = found(left, **closed, trading_days=all_days)

        assert (gap.start, gap.end) == (friday * DAY, (friday + 4) * DAY)
        assert gap.candles == 2 * 6
        # Whether a single day was a holiday nobody can say without others; a long weekend may be.
        assert not found(left, **closed, trading_days=np.setdiff1d(all_days, [friday, friday + 3]))

    def test_without_peers_a_silence_longer_than_any_holiday_is_one(self):
        random = np.random.default_rng(10)
        share = clean(random, 300, "1d", equity=True)
        (gap,) = found(
            without(share, *range(100, 105)), granularity="1d", asset_class="equity", zone=NEW_YORK
        )
        assert gap.candles == 5

    def test_weeks_are_missing_whatever_the_market(self):
        random = np.random.default_rng(11)
        share = clean(random, 100, "1w")
        (gap,) = found(without(share, 50), granularity="1w", asset_class="equity")
        assert (gap.start, gap.candles) == (share.start[50], 1)

    def test_local_days_know_when_clocks_are_changed(self):
        # Sydney trades from 23:00 or 00:00 UTC on: its day is not the day of UTC.
        random = np.random.default_rng(12)
        start = MONDAY + 3_600 * np.arange(24 * 200)
        local = start + 11 * 3_600 - 3_600 * (start >= 1_522_512_000)
        open_then = ((local // DAY + 3) % 7 < 5) & (local % DAY // 3_600 >= 10)
        start = start[open_then & (local % DAY // 3_600 < 16)]
        share = clean(random, len(start), "1h")._replace(start=start)
        zoned = {"asset_class": "equity", "zone": "Australia/Sydney"}
        assert not found(share, **zoned)
        assert [each.candles for each in found(without(share, 302, 303), **zoned)] == [2]


class TestRepeatedCandles:
    def test_of_a_stuck_feed_are_one_defect(self, hours):
        for column in hours[1:]:
            column[300:310] = column[299]
        (defect,) = found(hours)
        assert (defect.kind, defect.candles) == (DefectKind.DUPLICATE, 10)
        assert (defect.start, defect.end) == (hours.start[300], hours.start[310])
        assert "Repeats the candle of" in defect.detail

    def test_without_volume_are_none(self, hours):
        for column in hours[1:]:
            column[300:302] = column[299]
        hours.volume[299:302] = 0
        assert {each.kind for each in found(hours)} == {DefectKind.ZERO_VOLUME}

    def test_of_a_thin_market_are_none(self, hours):
        for column in hours[1:5]:
            column[300:302] = hours.close[299]
        hours.volume[300:302] = 0.001
        assert not found(hours)
        hours.volume[300:302] = 50
        (defect,) = found(hours)
        assert (defect.kind, defect.candles) == (DefectKind.DUPLICATE, 1)

    def test_of_a_series_that_is_flat_by_nature_are_none(self, hours):
        for column in hours[1:5]:
            column[::2] = 100.0
            column[1::4] = 100.0
        hours.volume[:] = 5
        assert not found(hours)


class TestZeroVolume:
    def test_of_a_series_that_never_has_any_is_none(self, hours):
        hours.volume[:] = 0
        assert not found(hours)

    def test_of_an_illiquid_series_is_none(self, hours):
        hours.volume[np.random.default_rng(1).random(960) < 0.3] = 0
        assert not found(hours)

    def test_is_told_when_the_run_is_longer_than_usual(self, hours):
        hours.volume[5::10] = 0
        assert not found(hours)
        hours.volume[500:505] = 0
        (defect,) = found(hours)
        assert (defect.start, defect.candles) == (hours.start[500], 6)

    def test_goes_on_being_one_however_long_it_lasts(self, hours):
        hours.volume[300:] = 0
        (defect,) = found(hours)
        assert (defect.start, defect.candles) == (hours.start[300], 660)


class TestOutliers:
    def test_come_back(self, hours):
        hours.high[500] = hours.high[500] * 2
        (defect,) = found(hours)
        assert (defect.kind, defect.start, defect.candles) == (
            DefectKind.OUTLIER,
            hours.start[500],
            1,
        )
        assert defect.value > 50

    def test_that_stay_are_news(self, hours):
        for column in hours[1:5]:
            column[500:] *= 2
        assert not found(hours)

    def test_that_stay_half_way_are_a_crash(self, hours):
        hours.low[500] *= 0.5
        for column in hours[1:5]:
            column[501:] *= 0.75
        assert not found(hours)

    @pytest.mark.parametrize(("length", "number"), [(1, 1), (3, 1), (4, 1), (5, 1), (6, 0)])
    def test_last_five_candles_at_most(self, hours, length, number):
        for column in hours[1:5]:
            column[500 : 500 + length] *= 1.5
        defects = found(hours)
        assert [each.candles for each in defects] == [length] * number

    def test_need_three_closes_behind_them(self, hours):
        hours.low[-3] *= 0.5
        assert not found(hours)
        hours.low[-4] *= 0.5
        assert [each.start for each in found(hours)] == [hours.start[-4]]

    def test_of_prices_that_move_by_whole_ticks_are_none(self, hours):
        # Thirty or thirty-one units of the last digit: three percent, up and down all day.
        ticks = np.random.default_rng(3).choice([30e-8, 31e-8], 960, p=[0.9, 0.1])
        for column in hours[1:5]:
            column[:] = ticks
        assert not found(hours)


class TestSpreads:
    def test_are_told_beside_what_is_usual(self, hours):
        # Ten percent apart all the time is another currency, not a fault.
        others = Candles(hours.start, *(column * 1.1 for column in hours[1:5]), hours.volume)
        assert not find_spreads(hours, others, granularity="1h", source="b")
        others.close[400:403] *= [1.02, 1.03, 0.98]
        (defect,) = find_spreads(hours, others, granularity="1h", source="b")
        assert (defect.start, defect.candles) == (hours.start[400], 3)
        assert defect.value == pytest.approx(2.96, abs=0.01)
        assert "from b" in defect.detail

    def test_of_sources_that_always_differ_are_none(self, hours):
        wild = np.exp(np.random.default_rng(5).normal(0, 0.01, 960))
        others = hours._replace(close=hours.close * wild)
        assert not find_spreads(hours, others, granularity="1h", source="b")

    def test_look_only_at_candles_that_both_have(self, hours):
        others = without(hours, *range(0, 960, 2))
        others.close[100] *= 1.5
        (defect,) = find_spreads(hours, others, granularity="1h", source="b")
        assert defect.start == others.start[100]


class TestDays:
    def test_say_how_many_candles_there_are_and_should_be(self, hours):
        hours.volume[30] = 0
        days = examine(without(hours, *range(40, 100)), granularity="1h", asset_class="crypto").days
        assert [each.candles for each in days[:6]] == [24, 16, 0, 0, 20, 24]
        assert [each.expected for each in days[:6]] == [24] * 6
        assert [each.zero_volume for each in days[:3]] == [0, 1, 0]
        assert [each.defects for each in days[:6]] == [0, 2, 1, 1, 1, 0]
        assert sum(each.candles for each in days) == 900

    def test_expect_nothing_while_an_exchange_rests(self):
        share = clean(np.random.default_rng(2), 24 * 28, "1h", equity=True)
        days = examine(share, granularity="1h", asset_class="equity", zone=NEW_YORK).days
        assert len(days) == 20
        assert {each.expected for each in days} == {6}


class TestAnExaminationOfTheEnd:
    @pytest.mark.parametrize("seed", range(4))
    def test_equals_that_of_the_whole(self, seed):
        random = np.random.default_rng(seed)
        candles = clean(random, 24 * 365, "1h", sigma=0.004)
        planted = plant(random, candles, "1h", 120)
        whole = examine(planted.candles, granularity="1h", asset_class="crypto")
        block = 28 * DAY
        since = block_start(int(planted.candles.start[5_000]), "1h")
        known = planted.candles.start >= since - block

        part = examine(
            Candles(*(column[known] for column in planted.candles)),
            granularity="1h",
            asset_class="crypto",
            since=since,
        )

        assert part.defects == [each for each in whole.defects if each.start >= since]
        assert part.days[1:] == [each for each in whole.days if each.day > since // DAY]


def real(path):
    with gzip.open(path, "rt") as file:
        rows = list(csv.reader(file))[1:]
    start = [int(datetime.fromisoformat(row[0]).timestamp()) for row in rows]
    return Candles(np.array(start), *np.array([row[1:] for row in rows], float).T)


@pytest.mark.skipif(not CANDLES.is_dir(), reason="real candles (../shared/data) are not here")
class TestRealCandles:
    @pytest.mark.parametrize(
        ("name", "gaps", "missing"),
        [
            ("ADA_BTC-5m", 5, 40),
            ("BTC_USD-1d", 0, 0),
            ("ETH_BTC-5m", 0, 0),
            ("LTC_BTC-5m", 0, 0),
            ("TRX_BTC-5m", 6, 6),
        ],
    )
    def test_have_their_known_gaps_and_nothing_else(self, name, gaps, missing):
        defects = found(real(CANDLES / f"{name}.csv.gz"), granularity=name[-2:])
        assert {each.kind for each in defects} <= {DefectKind.GAP}
        assert (len(defects), sum(each.candles for each in defects)) == (gaps, missing)
