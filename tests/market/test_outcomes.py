"""The set-based side of judging claims says what the pure rules say."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apps.market.choices import WIDTHS
from apps.market.models import Candle, Instrument
from apps.market.services import changes, outcomes
from apps.shared.quant import outcomes as pure

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

prices = st.decimals(min_value="0.000000000000000001", max_value="99999999", places=18)
# Prices that differ from a round entry by little: here the ties are.
near = st.tuples(st.integers(1, 10**6), st.integers(-(10**6), 10**6), st.integers(0, 18)).map(
    lambda made: (Decimal(made[0]), abs(Decimal(made[0]) + Decimal(made[1]).scaleb(-made[2])))
)


def asked(sql, **parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


class TestChange(TestCase):
    STATEMENT = f"""
        SELECT sign, price, entry,
            {changes.change(sign="sign", moved="moved", price="price", entry="entry")}
        FROM (
            SELECT *, {changes.moved(price="price", entry="entry")} AS moved
            FROM unnest(%(signs)s::int[], %(prices)s::numeric[], %(entries)s::numeric[])
              AS given (sign, price, entry)
            OFFSET 0
        ) given
    """

    def check(self, cases):
        signs, given_prices, entries = zip(*cases, strict=True)
        rows = asked(
            self.STATEMENT, signs=list(signs), prices=list(given_prices), entries=list(entries)
        )
        assert len(rows) == len(cases)
        for sign, price, entry, found in rows:
            assert found == pure.change_pct(sign, price, entry), (sign, price, entry)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from([1, -1]), prices, prices), min_size=1))
    def test_is_exact(self, cases):
        self.check(cases)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from([1, -1]), near), min_size=1))
    def test_takes_ties_to_the_even_neighbor(self, cases):
        self.check([(sign, price, entry) for sign, (entry, price) in cases if price])

    def test_of_every_tie_around_nothing(self):
        halves = [Decimal(units).scaleb(-9) for units in range(-95, 100, 5)]

        self.check([(sign, 100 + half, Decimal(100)) for half in halves for sign in (1, -1)])

    def test_is_undefined_where_no_column_could_hold_it(self):
        entry = Decimal("1e-18")
        limit = entry * (1 + pure.CHANGE_LIMIT / 100)

        self.check([(1, limit, entry), (-1, limit - entry, entry), (1, Decimal(10) ** 19, entry)])


class TestTheWidths:
    def test_are_all_there(self):
        for granularity in WIDTHS:
            assert f"('{granularity.value}', interval" in outcomes.widths()

    @pytest.mark.django_db
    def test_are_those_of_the_choices(self):
        rows = asked(f"WITH {outcomes.widths()} SELECT * FROM widths")

        assert {row[0]: row[1] for row in rows} == {k.value: w for k, w in WIDTHS.items()}
        assert all(tolerated == pure.tolerance(width) for _, width, tolerated in rows)


GRANULARITIES = {"1m": 1, "5m": 5, "15m": 15, "1h": 60}
series_keys = st.tuples(st.sampled_from("abc"), st.sampled_from(list(GRANULARITIES)))


class TestTheSeriesAndThePrice(TestCase):
    CHOSEN = f"""
        WITH {outcomes.widths()},
        claims AS (
            SELECT * FROM unnest(%(ids)s::int[], %(moments)s::timestamptz[]) AS q (id, moment),
            (SELECT 'X'::text AS symbol) s
        ),
        {outcomes.series_of("series", claims="claims")},
        {outcomes.chosen_series("chosen", claims="claims", series="series")}
        SELECT id, source, granularity, state, price FROM chosen
    """

    @settings(max_examples=60, deadline=None)
    @given(
        st.dictionaries(series_keys, st.sets(st.integers(-30, 30), min_size=1), max_size=5),
        st.lists(st.integers(-200, 200), min_size=1, max_size=8),
        st.integers(-100, 400),
        st.sampled_from(["", "", "a", "z"]),
    )
    def test_are_those_of_the_pure_rules(self, starts, offsets, look, primary):
        Candle.objects.all().delete()
        Instrument.objects.all().delete()
        Instrument.objects.create(symbol="X", primary_source=primary)
        now = NOON + timedelta(minutes=look)
        candles = {
            (source, granularity): [
                pure.Bar(NOON + timedelta(minutes=step * GRANULARITIES[granularity]), *[price] * 3)
                for step in steps
                for price in [Decimal(1000 + step)]
            ]
            for (source, granularity), steps in starts.items()
        }
        Candle.objects.bulk_create(
            Candle(
                symbol="X",
                source=source,
                granularity=granularity,
                timestamp=bar.start,
                **dict.fromkeys(["open", "high", "low", "close"], bar.close),
                volume=0,
            )
            for (source, granularity), bars in candles.items()
            for bar in bars
        )
        moments = [NOON + timedelta(minutes=offset) for offset in offsets]

        rows = asked(self.CHOSEN, now=now, ids=list(range(len(moments))), moments=moments)

        found = {row[0]: row[1:] for row in rows if row[3] != "waits"}
        expected = {}
        for index, moment in enumerate(moments):
            answer = self.expected(candles, moment, now, primary)
            if answer is not None:
                expected[index] = answer
        assert found == expected

    def expected(self, candles, moment, now, primary):
        names = {timedelta(minutes=width): name for name, width in GRANULARITIES.items()}
        known = [
            pure.Series(
                source,
                width,
                [bar.start + width for bar in bars if bar.start + width <= now],
            )
            for (source, granularity), bars in candles.items()
            for width in [timedelta(minutes=GRANULARITIES[granularity])]
            if not primary or source == primary
        ]
        chosen = pure.choose_series(known, moment)
        if chosen is None:
            return None
        granularity = names[chosen.width]
        quote = pure.quote_at(
            candles[chosen.source, granularity], moment, width=chosen.width, now=now
        )
        if quote.state == pure.QuoteState.WAITS:
            return None
        return chosen.source, granularity, quote.state.value, quote.price

    @settings(max_examples=30, deadline=None)
    @given(
        st.dictionaries(series_keys, st.sets(st.integers(-30, 30), min_size=1), max_size=5),
        st.lists(st.integers(-200, 200), min_size=1, max_size=8),
    )
    def test_agree_with_the_read_of_a_single_price(self, starts, offsets):
        Candle.objects.all().delete()
        Candle.objects.bulk_create(
            Candle(
                symbol="X",
                source=source,
                granularity=granularity,
                timestamp=NOON + timedelta(minutes=step * GRANULARITIES[granularity]),
                **dict.fromkeys(["open", "high", "low", "close"], Decimal(1000 + step)),
                volume=0,
            )
            for (source, granularity), steps in starts.items()
            for step in steps
        )
        moments = [NOON + timedelta(minutes=offset) for offset in offsets]
        late = NOON + timedelta(days=30)

        rows = asked(self.CHOSEN, now=late, ids=list(range(len(moments))), moments=moments)

        found = {row[0]: (row[1], row[2], row[4]) for row in rows if row[3] == "known"}
        expected = {}
        for index, moment in enumerate(moments):
            point = Candle.objects.close_at("X", moment)
            if point is not None:
                expected[index] = (point.source, point.granularity, point.price)
        assert found == expected
