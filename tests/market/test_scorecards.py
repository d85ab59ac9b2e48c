"""The pieces of SQL that scorecards are made of, against the pure figures."""

import random
from decimal import Decimal

import pytest
from django.db import connection

from apps.market.services import scorecards
from apps.shared.quant import calibration, samples
from apps.shared.quant.scorecards import Horizon


def asked(expression, values):
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {expression} FROM unnest(%(values)s::numeric[]) AS t (x)", {"values": values}
        )
        return cursor.fetchone()[0]


@pytest.mark.django_db
class TestPieces:
    @pytest.mark.parametrize("number", [*range(1, 12), 999, 1000])
    def test_half_of_the_doubled_median_is_the_median(self, number):
        chance = random.Random(number)
        values = [Decimal(chance.randrange(-(10**9), 10**9)) / 10**8 for _ in range(number)]

        found = asked(scorecards.doubled_median("x"), values)

        assert scorecards.half(found) == samples.median(values)

    def test_of_nothing_there_is_no_median(self):
        assert scorecards.half(asked(scorecards.doubled_median("x"), [])) is None

    def test_a_horizon_counts_what_it_is_told_to(self):
        expression = scorecards.horizon(4, "x", missing="x IS NULL", only="x IS NULL OR x > 1")

        found = scorecards.loaded(asked(expression, [Decimal(each) for each in (1, 2, 3, 7)]))
        none = scorecards.loaded(asked(expression, [None]))

        assert scorecards.read_horizons([found], [4]) == [Horizon(4, 3, 0, Decimal(4), Decimal(3))]
        assert scorecards.read_horizons([none], [4]) == [Horizon(4, 0, 1, None, None)]

    def test_a_checkpoint_without_rows_is_empty(self):
        assert scorecards.read_horizons(None, [1]) == [Horizon(1, 0, 0, None, None)]

    @pytest.mark.parametrize("hundredths", [0, 9, 10, 55, 99, 100])
    def test_a_confidence_has_the_band_of_the_pure_rule(self, hundredths):
        confidence = Decimal(hundredths) / 100
        band = calibration.band_of(confidence)

        assert asked(f"max({scorecards.band_of('x')})", [confidence]) == band
        assert asked(f"max({scorecards.band_name('x')})", [confidence]) == (
            f"{Decimal(band) / 10:.1f}–{Decimal(band + 1) / 10:.1f}"
        )

    def test_refuses_another_grouping(self):
        with pytest.raises(ValueError, match="counted up by a, b, not by 'c'"):
            scorecards.check_grouping("c", {"a": "", "b": ""})
