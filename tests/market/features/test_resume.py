"""A series computed block by block has the values of one computed at once."""

import numpy as np
import pytest

from apps.market.domain.features import compute as compute_module
from apps.market.domain.features.carried import to_bytes, unpack
from apps.market.domain.features.compute import Carried, begin, compute, resume
from tests.market.features import series

VERSIONS = ("3.0", "3.1")


def in_blocks(candles, sizes):
    carried, parts, first = Carried.nothing(series.ZONE), [], 0
    while first < candles.start.size:
        block = candles.part(first, first + next(sizes))
        columns, carried = resume(carried, block, version="3.1", zone=series.ZONE)
        parts.append(columns)
        first += block.start.size
    return np.concatenate(parts, axis=1), carried


class TestBlocks:
    @pytest.mark.parametrize("kind", series.every_kind(0, 2))
    @pytest.mark.parametrize("size", [1, 37, 200, 701])
    def test_of_any_size_equal_one_run(self, kind, size):
        candles = series.every_kind(size, 560)[kind]
        whole = compute(candles, version="3.1", zone=series.ZONE)
        found, _carried = in_blocks(candles, iter(lambda: size, None))
        assert series.differences(candles, found, whole) == []

    @pytest.mark.parametrize("seed", range(series.CASES))
    def test_of_random_sizes_equal_one_run(self, seed):
        random = np.random.default_rng(seed)
        candles = series.with_stillness(series.walk(seed, 3000), seed)
        whole = compute(candles, version="3.1", zone=series.ZONE)
        sizes = iter(lambda: int(random.choice([1, 2, 23, 24, 119, 480, 900])), None)
        found, _carried = in_blocks(candles, sizes)
        assert series.differences(candles, found, whole) == []

    @pytest.mark.parametrize("size", [100, 481])
    def test_that_a_run_divides_itself_into_equal_one_run(self, size, monkeypatch):
        candles = series.walk(size, 1100)
        whole = {version: compute(candles, version=version, zone="UTC") for version in VERSIONS}
        monkeypatch.setattr(compute_module, "BLOCK", size)
        for version in VERSIONS:
            found = compute(candles, version=version, zone="UTC")
            assert series.differences(candles, found, whole[version]) == []

    def test_leave_what_a_whole_run_leaves(self):
        candles = series.walk(8, 777)
        whole = begin(candles, version="3.1", zone=series.ZONE)
        _found, blocks = in_blocks(candles, iter(lambda: 50, None))
        one, other = (unpack([to_bytes(each)], [series.ZONE]) for each in (whole, blocks))
        np.testing.assert_allclose(np.stack(one.memory), np.stack(other.memory), rtol=1e-9)
        np.testing.assert_array_equal(one.closes, other.closes)

    def test_can_be_put_into_a_place_of_ones_own(self):
        candles, out = series.walk(8, 60), np.empty((97, 60))
        found, _carried = resume(
            Carried.nothing("UTC"), candles, version="3.1", zone="UTC", out=out
        )
        assert found is out
        np.testing.assert_array_equal(out, compute(candles, version="3.1", zone="UTC"))

    def test_may_be_empty(self):
        carried = begin(series.walk(8, 60), version="3.1", zone="UTC")
        none = series.walk(8, 60).part(0, 0)
        columns, later = resume(carried, none, version="3.1", zone="UTC")
        assert columns.shape == (97, 0)
        assert later is carried


@pytest.fixture(scope="module")
def carried():
    return begin(series.walk(8, 60), version="3.1", zone="UTC")


class TestRefused:
    def test_a_version_that_looks_ahead(self, carried):
        with pytest.raises(ValueError, match=r"Version 3\.0 looks ahead"):
            resume(carried, series.walk(8, 61).part(60, 61), version="3.0", zone="UTC")

    def test_another_zone(self, carried):
        with pytest.raises(ValueError, match="was begun in 'UTC'"):
            resume(carried, series.walk(8, 61).part(60, 61), version="3.1", zone=series.ZONE)

    def test_a_block_that_is_not_later(self, carried):
        with pytest.raises(ValueError, match="order of their starts"):
            resume(carried, series.walk(8, 60).part(59, 60), version="3.1", zone="UTC")
