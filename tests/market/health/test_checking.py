"""Looking at stored candles: only where they are new, and with the same result as of the whole."""

from datetime import timedelta
from io import StringIO

import numpy as np
import pytest
from django.core.management import call_command
from django.db import DatabaseError

from apps.executions.choices import ExecutionStatus
from apps.executions.models import Execution
from apps.logs.models import Notification
from apps.market import tasks
from apps.market.choices import DefectKind, Freshness
from apps.market.domain.health import Candles
from apps.market.domain.health.frames import moment
from apps.market.models import Candle, CandleDefect, CandleSeries, Instrument
from apps.market.services import health
from apps.market.services.health import checking, looking
from tests.factories import make_feed
from tests.market.health.series import DAY, NEW_YORK, clean, plant
from tests.market.health.stored import known, rows_of, store

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
KINDS = [kind for kind in DefectKind if kind is not DefectKind.SPREAD]


@pytest.fixture(scope="module")
def planted():
    """A hundred days of hours with forty defects."""
    random = np.random.default_rng(11)
    return plant(random, clean(random, 2_400, "1h", sigma=0.004), "1h", 40).candles


def look(series, **values):
    now = series.last_timestamp + timedelta(days=1)
    return health.check_series(series_ids=[series.pk], now=now, **{"whole": False} | values)


class TestCheckSeries:
    def test_finds_what_was_planted_and_counts_it(self, planted):
        series = store(rows_of(planted, "1h"))
        assert look(series) == 1
        series.refresh_from_db()
        assert (series.gaps, series.duplicates, series.zero_volume, series.outliers) == (10,) * 4
        assert series.candles == len(planted.start)
        assert series.expected == series.candles + series.missing == 2_400
        assert series.checked_until == series.last_timestamp + HOUR
        # There is nothing new any more.
        assert look(series) == 0

    @pytest.mark.parametrize("equity", [False, True])
    def test_says_the_same_piece_by_piece_as_of_the_whole(self, equity, monkeypatch):
        order = np.random.default_rng(3)
        candles = clean(order, 8_000 if equity else 1_800, "1h", sigma=0.004, equity=equity)
        rows = rows_of(plant(order, candles, "1h", 24, equity=equity).candles, "1h")
        asset_class = "equity" if equity else "crypto"
        Instrument.objects.create(symbol="ETH/BTC", asset_class=asset_class)
        late = set(order.choice(len(rows), 40, replace=False).tolist())
        series = store([row for number, row in enumerate(rows[:500]) if number not in late])
        look(series)
        for begin, end in [(500, 520), (520, 1_100), (1_100, 1_101), (1_101, len(rows))]:
            store([rows[number] for number in range(begin, end) if number not in late])
            look(series)
        for number in sorted(late, reverse=True)[::3]:
            store([rows[number]])
            look(series)
        store([rows[number] for number in sorted(late)])
        look(series)
        step_by_step = known(series)

        CandleDefect.objects.all().delete()
        look(series, whole=True)
        assert known(series) == step_by_step
        monkeypatch.setattr(looking, "PIECE", 100)
        CandleDefect.objects.all().delete()
        look(series, whole=True)
        assert known(series) == step_by_step

    def test_says_the_same_when_candles_come_between_the_pieces(self, monkeypatch):
        order = np.random.default_rng(7)
        planted = plant(
            order, clean(order, 5_500, "1h", sigma=0.004), "1h", 80, kinds=[*DefectKind]
        )
        rows = rows_of(planted.candles, "1h", source="b")
        late = order.permutation(len(rows) - 1)[: len(rows) // 4].tolist()
        others = planted.others
        others.high[:], others.low[:] = (each(others[1:5], 0) for each in (np.max, np.min))
        store(rows_of(others, "1h", source="a"))
        series = store([row for place, row in enumerate(rows) if place not in set(late)])
        monkeypatch.setattr(looking, "PIECE", 20)
        really, seen = checking.check_piece, []

        def interrupted(pk, **values):
            found = really(pk, **values)
            if found and late:
                store([rows[late.pop()] for _ in range(min(len(late), 100))])
            seen.append(CandleSeries.objects.get(pk=pk).checked_until)
            return found

        monkeypatch.setattr(checking, "check_piece", interrupted)
        look(series, whole=True)
        assert not late
        assert len(set(seen)) > 5
        in_pieces = known(series)
        assert in_pieces[2][-2:] == [series.last_timestamp + HOUR, None]

        CandleDefect.objects.all().delete()
        monkeypatch.undo()
        look(series, whole=True)
        assert known(series) == in_pieces
        assert series.defects.filter(kind="spread").exists()

    def test_goes_on_where_it_was_interrupted(self, planted, monkeypatch):
        rows = rows_of(clean(np.random.default_rng(1), 3_000, "1h"), "1h")
        series = store(rows[:10] + rows[12:2_000] + rows[2_002:])
        monkeypatch.setattr(looking, "PIECE", 20)
        now = series.last_timestamp + HOUR
        told = []
        # There is never time for more than one piece.
        while checking.check_one(series.pk, now=now, until=0):
            series.refresh_from_db()
            told.append((series.candles, series.gaps, series.checked_at))
        assert [each[0] for each in told] == sorted(each[0] for each in told)
        assert (told[0][1:], told[-1]) == ((1, None), (2_996, 2, now))
        assert len(told) > 4

        gap = series.defects.order_by("start").last()
        health.accept_defects(CandleDefect.objects.filter(pk=gap.pk), by="ann", now=now)
        store(rows[10:12])
        while checking.check_one(series.pk, now=now, until=0):
            series.refresh_from_db()
            assert series.checked_until == series.last_timestamp + HOUR
            assert series.defects.filter(pk=gap.pk, accepted_by="ann").exists()
        assert (series.gaps, series.missing, series.recheck_from) == (0, 2, None)

    def test_sees_a_run_that_goes_on(self):
        candles = clean(np.random.default_rng(5), 24 * 80, "1h")
        candles.volume[700:1_500] = 0
        rows = rows_of(candles, "1h")
        series = store(rows[:1_000])
        look(series)
        for end in range(1_050, 1_900, 50):
            store(rows[end - 50 : end])
            look(series)
        (defect,) = CandleDefect.objects.all()
        assert (defect.start, defect.candles) == (moment(candles.start[700]), 800)

    def test_closes_a_gap_when_its_candle_comes_late(self, planted):
        rows = rows_of(clean(np.random.default_rng(1), 300, "1h"), "1h")
        series = store(rows[:100] + rows[102:])
        look(series)
        assert series.defects.get().candles == 2
        store([rows[100]])
        look(series)
        assert series.defects.get().start == rows[101].timestamp
        store([rows[101]])
        look(series)
        series.refresh_from_db()
        assert not series.defects.exists()
        assert (series.gaps, series.missing, series.expected) == (0, 0, 300)
        assert series.recheck_from is None

    def test_leaves_what_was_accepted_accepted(self):
        rows = rows_of(clean(np.random.default_rng(1), 300, "1h"), "1h")
        series = store(rows[:50] + rows[52:100] + rows[102:200])
        look(series)
        first = series.defects.order_by("start").first()
        now = series.last_timestamp + HOUR
        for accepted in (1, 0):
            chosen = CandleDefect.objects.filter(pk=first.pk)
            assert health.accept_defects(chosen, by="ann", now=now) == accepted
        series.refresh_from_db()
        assert series.gaps == 1
        found_at = first.found_at

        store(rows[200:])
        look(series)
        look(series, whole=True)

        first.refresh_from_db()
        series.refresh_from_db()
        assert (first.accepted_by, first.accepted_at, first.found_at) == ("ann", now, found_at)
        assert series.gaps == 1

    def test_learns_from_peers_on_which_days_a_market_was_open(self):
        candles = clean(np.random.default_rng(2), 24 * 60, "1h", equity=True)
        day = 22 + int(candles.start[0]) // DAY
        there = candles.start // DAY != day
        other = clean(np.random.default_rng(3), 24 * 60, "1h", equity=True)
        for symbol in ("AAA", "BBB"):
            Instrument.objects.create(symbol=symbol, asset_class="equity")
        peer = store(rows_of(other, "1h", symbol="AAA"))
        share = store(rows_of(Candles(*(column[there] for column in candles)), "1h", symbol="BBB"))
        assert Instrument.objects.get(symbol="BBB").zone == NEW_YORK
        assert health.check_series(series_ids=[peer.pk, share.pk], now=moment(2**31)) == 2
        (gap,) = CandleDefect.objects.all()
        assert (gap.series_id, gap.start, gap.candles) == (share.pk, moment(day * DAY), 6)

    def test_compares_sources_once(self):
        candles = clean(np.random.default_rng(2), 400, "1h")
        wrong = Candles(*(column.copy() for column in candles))
        for column in wrong[1:5]:
            column[200:210] *= 1.2
        one = store(rows_of(candles, "1h", source="a"))
        other = store(rows_of(wrong, "1h", source="b"))
        assert health.check_series(series_ids=[one.pk, other.pk], now=moment(2**31)) == 2
        defect = CandleDefect.objects.get()
        assert (defect.series_id, defect.kind, defect.candles) == (other.pk, "spread", 10)
        # The first source changes, so that the other one agrees with it.
        store(rows_of(Candles(*(column[200:210] for column in wrong)), "1h", source="a"))
        look(one)
        look(other)
        assert not CandleDefect.objects.exists()

    def test_stores_nothing_where_everything_was_deleted(self, planted):
        series = store(rows_of(planted, "1h"))
        look(series)
        Candle.objects.all().delete()
        look(series, whole=True)
        assert known(series)[:2] == ([], [])


class TestCheckHealth:
    def test_looks_at_what_is_due_and_can_be_watched(self, planted):
        series = store(rows_of(planted, "1h"))
        now = series.last_timestamp + HOUR
        assert health.check_health(now=now) == 1
        run = Execution.objects.get(execution_type="CANDLE_HEALTH")
        assert run.status == ExecutionStatus.COMPLETED
        assert run.steps.get().result_data["series"] == 1
        # Nothing is new, so there is no run.
        assert health.check_health(now=now + timedelta(days=1)) == 0
        assert Execution.objects.count() == 1

    def test_rests_between_two_looks(self, planted):
        rows = rows_of(planted, "1h")
        series = store(rows[:-1])
        now = series.last_timestamp + HOUR
        health.check_health(now=now)
        store(rows[-1:])
        assert health.check_health(now=now + timedelta(minutes=10)) == 0
        assert health.check_health(now=now + HOUR) == 1

    def test_goes_on_where_one_series_fails(self, planted, monkeypatch):
        rows = rows_of(planted, "1h")
        good, bad = (store([row._replace(symbol=each) for row in rows]) for each in "AB")
        really = looking.look

        def failing(series, changed):
            if series.pk == bad.pk:
                raise DatabaseError("broken")
            return really(series, changed)

        monkeypatch.setattr(checking, "look", failing)
        assert health.check_health(now=good.last_timestamp + HOUR) == 1
        run = Execution.objects.get()
        assert run.status == ExecutionStatus.PARTIAL_SUCCESS
        assert [step.error_message for step in run.steps.all() if step.error_type] == ["broken"]
        bad.refresh_from_db()
        assert bad.checked_at is not None
        assert bad.checked_until is None

    def test_tells_of_new_defects_once_a_day(self):
        rows = rows_of(clean(np.random.default_rng(1), 400, "1h"), "1h")
        series = store(rows[:50] + rows[52:297] + rows[298:300])
        now = series.last_timestamp.replace(hour=0) + timedelta(days=1)
        health.check_health(now=now)
        (told,) = Notification.objects.filter(what="candle_defects")
        # The older gap is history.
        assert told.subject == f"1 new defect in candles of {series}"
        store(rows[301:303])
        health.check_health(now=now + HOUR)
        assert Notification.objects.filter(what="candle_defects").count() == 1
        assert CandleDefect.objects.count() == 3
        store(rows[304:330])
        health.check_health(now=now + timedelta(days=1))
        assert Notification.objects.filter(what="candle_defects").count() == 2

    def test_is_run_by_its_task(self, planted):
        store(rows_of(planted, "1h"))
        assert tasks.check_candles() == 1


class TestReading:
    def test_states_follow_from_expectation(self):
        series = store(rows_of(clean(np.random.default_rng(1), 30, "1h"), "1h"))
        end = series.last_timestamp + HOUR

        def state(now):
            (found,) = health.series_states(now)
            return found.state

        assert state(end + HOUR) == Freshness.FRESH
        assert state(end + 3 * HOUR) == Freshness.STALE
        assert state(end + timedelta(days=60)) == Freshness.ENDED
        make_feed(symbol="ETH/BTC", source="venue", granularity="1h")
        (found,) = health.series_states(end + timedelta(days=60))
        assert (found.state, found.fetched) == (Freshness.STALE, True)
        assert found.expected_by == end + 2 * HOUR

    def test_coverage_is_read_from_days_alone(self, planted, django_assert_num_queries):
        series = store(rows_of(planted, "1h"))
        look(series)
        with django_assert_num_queries(2):
            (row,) = health.coverage_map(days=7, now=series.last_timestamp, symbol="ETH/BTC")
        assert row.series == series
        assert [each.day for each in row.days] == sorted(each.day for each in row.days)
        assert len(row.days) == 7
        assert all(each.expected == 24 for each in row.days[:-1])

    def test_the_command_shows_a_table(self, planted):
        store(rows_of(planted, "1h"))
        out = StringIO()
        call_command("check_candles", "--symbol", "ETH/BTC", stdout=out)
        assert "ETH/BTC" in out.getvalue()
        assert "Duplicates" in out.getvalue()
        series = CandleSeries.objects.get()
        assert f"{series.candles:,}" in out.getvalue()
