"""One new candle for each of many series, from bytes, gives what a whole run gives."""

import numpy as np
import pytest

from apps.market.domain.features.carried import (
    TAIL_EVERY,
    Carried,
    advance,
    begin,
    to_bytes,
    unpack,
)
from apps.market.domain.features.compute import Candles, compute
from tests.market.features import series

# Just below, at and above the reach of every window, and nothing at all.
HISTORIES = (0, 1, 2, 3, 5, 6, 7, 12, 13, 14, 19, 20, 23, 24, 25, 47, 48, 69, 70, 71)
HISTORIES += (119, 120, 121, 143, 144, 145, 146, 479, 480, 481, 600)
ZONES = ("America/New_York", "UTC", "Asia/Kolkata", "Europe/Berlin")


def moment(all_candles, rows) -> Candles:
    return Candles(
        *(
            np.array([candles[column][row] for candles, row in zip(all_candles, rows, strict=True)])
            for column in range(6)
        )
    )


def packed_after(candles, rows, zone):
    return to_bytes(begin(candles.part(0, rows), version="3.1", zone=zone))


class Service:
    """Keeps what the bytes of each series are, as they are stored: tails when they are given."""

    def __init__(self, all_candles, histories, zones):
        self.zones = zones
        self.kept = [
            packed_after(*each) for each in zip(all_candles, histories, zones, strict=True)
        ]
        self.tails = 0

    def step(self, candles):
        states = unpack(self.kept, self.zones)
        columns, later = advance(states, candles)
        packed = later.pack()
        self.tails += sum(tail is not None for _state, tail in packed)
        self.kept = [
            (state, tail or before[1])
            for (state, tail), before in zip(packed, self.kept, strict=True)
        ]
        return columns


@pytest.mark.parametrize("kind", series.every_kind(0, 2))
class TestNewCandles:
    def test_equal_a_whole_run_in_all_columns(self, kind):
        steps = 80
        zones = [ZONES[place % 4] for place in range(len(HISTORIES))]
        all_candles = [
            series.every_kind(seed, rows + steps)[kind] for seed, rows in enumerate(HISTORIES)
        ]
        service = Service(all_candles, HISTORIES, zones)
        found = np.stack(
            [
                service.step(moment(all_candles, [rows + step for rows in HISTORIES]))
                for step in range(steps)
            ],
            axis=1,
        )
        for place, (candles, rows) in enumerate(zip(all_candles, HISTORIES, strict=True)):
            whole = compute(candles, version="3.1", zone=zones[place])
            given = whole.copy()
            given[:, rows:] = found[:, :, place]
            assert series.differences(candles, given, whole) == [], rows

    def test_are_never_infinite(self, kind):
        candles = [series.every_kind(seed, 400)[kind] for seed in range(5)]
        service = Service(candles, [100] * 5, ["UTC"] * 5)
        for row in range(100, 170):
            assert not np.isinf(service.step(moment(candles, [row] * 5))).any()


class TestDifferentAges:
    def test_of_the_tail_go_together(self):
        candles = [series.walk(seed, 760) for seed in range(6)]
        ages = [0, 1, 7, 30, 31, 32]
        kept = []
        for each, age in zip(candles, ages, strict=True):
            alone = Service([each], [500 - age], ["UTC"])
            for row in range(500 - age, 500):
                alone.step(moment([each], [row]))
            kept += alone.kept
        together = Service(candles, [1] * 6, ["UTC"] * 6)
        together.kept = kept
        for row in range(500, 540):
            found = together.step(moment(candles, [row] * 6))
            for place, each in enumerate(candles):
                whole = compute(each.part(0, row + 1), version="3.1", zone="UTC")
                given = whole.copy()
                given[:, -1] = found[:, place]
                assert series.differences(each.part(0, row + 1), given, whole) == []

    def test_write_the_tail_once_in_32_candles(self):
        candles = [series.walk(seed, 300) for seed in range(3)]
        service = Service(candles, [100] * 3, ["UTC"] * 3)
        for row in range(100, 100 + 3 * TAIL_EVERY):
            service.step(moment(candles, [row] * 3))
        assert service.tails == 3 * 3

    def test_without_bytes_in_between(self):
        candles = series.walk(1, 350)
        states = unpack([packed_after(candles, 100, "UTC")], ["UTC"])
        for row in range(100, 350):
            found, states = advance(states, moment([candles], [row]))
        whole = compute(candles, version="3.1", zone="UTC")
        given = whole.copy()
        given[:, -1:] = found
        assert series.differences(candles, given, whole) == []
        # The tail is long overdue: it comes with the next bytes, and they go on rightly.
        [(state, tail)] = states.pack()
        wanted = packed_after(candles, 350, "UTC")
        assert len(state) == len(wanted[0])
        assert tail is not None
        # The trend's sums may differ in their last bits; the candles may not.
        one, other = (unpack([pair], ["UTC"]) for pair in ((state, tail), wanted))
        np.testing.assert_array_equal(one.closes, other.closes)
        np.testing.assert_allclose(one.trends, other.trends, rtol=1e-9)


class TestManySteps:
    @pytest.mark.parametrize("seed", range(series.CASES))
    def test_are_as_exact_as_few(self, seed):
        random = np.random.default_rng(seed)
        candles = series.with_stillness(series.walk(seed, 520), seed)
        rows = int(random.integers(0, 300))
        service = Service([candles], [rows], [series.ZONE])
        whole = compute(candles, version="3.1", zone=series.ZONE)
        given = whole.copy()
        for row in range(rows, 520):
            given[:, row : row + 1] = service.step(moment([candles], [row]))
        assert series.differences(candles, given, whole) == []


class TestBytes:
    def test_of_a_series_are_those_of_the_same_series_carried_on(self):
        candles = series.walk(3, 400)
        states = unpack([packed_after(candles, 200, "UTC")], ["UTC"])
        [(state, tail)] = states.pack()
        assert (state, tail) == (packed_after(candles, 200, "UTC")[0], None)

    def test_are_small(self):
        candles = series.walk(3, 700)
        service = Service([candles], [500], ["UTC"])
        sizes = []
        for row in range(500, 600):
            service.step(moment([candles], [row]))
            sizes.append([len(part) for part in service.kept[0]])
        assert max(state for state, _tail in sizes) <= 1500
        assert {tail for _state, tail in sizes} == {5768}

    def test_of_no_series_are_none(self):
        assert unpack([], []).pack() == []

    def test_of_a_series_before_its_first_candle_can_be_kept(self):
        state, tail = to_bytes(Carried.nothing("UTC"))
        candles = series.walk(3, 1)
        found, _later = advance(unpack([(state, tail)], ["UTC"]), candles)
        whole = compute(candles, version="3.1", zone="UTC")
        assert series.differences(candles, found, whole) == []


@pytest.fixture(scope="module")
def packed():
    candles = series.walk(1, 110)
    service = Service([candles], [100], ["UTC"])
    for row in range(100, 105):
        service.step(moment([candles], [row]))
    return service.kept[0]


class TestRefused:
    def test_bytes_that_are_cut_off(self, packed):
        state, tail = packed
        for size in range(0, len(state), 3):
            with pytest.raises(ValueError, match="cut off"):
                unpack([packed, (state[:size], tail)], ["UTC"] * 2)
        for size in (0, 7, 8, len(tail) - 8, len(tail) - 1):
            with pytest.raises(ValueError, match="cut off"):
                unpack([(state, tail[:size])], ["UTC"])
        with pytest.raises(ValueError, match="cut off"):
            unpack([(state + b"\0", tail)], ["UTC"])

    @pytest.mark.parametrize("place", [8, 20, 40, 70, 100, 150, 300])
    def test_bytes_that_are_damaged(self, packed, place):
        state, tail = packed
        broken = bytearray(state)
        broken[place] ^= 1
        with pytest.raises(ValueError, match=r"damaged|layout"):
            unpack([(bytes(broken), tail)], ["UTC"])

    def test_bytes_of_another_layout(self, packed):
        state, tail = packed
        for pair in ((bytes(8) + state[8:], tail), (state, bytes(8) + tail[8:])):
            with pytest.raises(ValueError, match="layout"):
                unpack([pair], ["UTC"])

    def test_the_tail_of_another_series(self, packed):
        other = packed_after(series.walk(2, 100), 100, "UTC")
        with pytest.raises(ValueError, match="not the one"):
            unpack([(packed[0], other[1])], ["UTC"])

    def test_another_zone(self, packed):
        with pytest.raises(ValueError, match="another time zone"):
            unpack([packed], ["Europe/Berlin"])

    def test_a_candle_that_is_not_later(self, packed):
        states = unpack([packed], ["UTC"])
        with pytest.raises(ValueError, match="later than the last"):
            advance(states, series.walk(1, 110).part(104, 105))

    def test_a_candle_too_few(self, packed):
        states = unpack([packed, packed], ["UTC"] * 2)
        with pytest.raises(ValueError, match="one candle"):
            advance(states, series.walk(1, 110).part(105, 106))

    def test_a_candle_that_cannot_be(self, packed):
        candle = series.walk(1, 110).part(105, 106)
        with pytest.raises(ValueError, match="negative"):
            advance(unpack([packed], ["UTC"]), candle._replace(volume=np.array([np.nan])))

    def test_a_version_that_looks_ahead(self):
        with pytest.raises(ValueError, match=r"Version 3\.0 looks ahead"):
            begin(series.walk(1, 5), version="3.0", zone="UTC")
