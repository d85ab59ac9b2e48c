"""What was found by using data health and backfill wrongly."""

from datetime import timedelta
from io import StringIO

import numpy as np
import pytest
from django.core.management import call_command
from django.urls import reverse
from tablib import Dataset

from apps.executions.choices import StepStatus
from apps.market.admin.imports import InstrumentResource
from apps.market.choices import DefectKind
from apps.market.domain.health import Candles
from apps.market.domain.health.frames import moment
from apps.market.models import CandleDefect, Instrument
from apps.market.services import backfill, health
from apps.market.services.backfill import working
from apps.market.services.health import checking, looking
from tests.factories import make_feed
from tests.market.health.series import DAY, clean
from tests.market.health.stored import known, rows_of, store

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
LATER = moment(2**31)


def look(*series, whole=False):
    return health.check_series(series_ids=[one.pk for one in series], now=LATER, whole=whole)


class TestWhatAnInstrumentIs:
    """Who brings candles first and says what they are later."""

    @pytest.fixture
    def share(self):
        """A year of daily candles of a share, looked at as if its market never closed."""
        rows = rows_of(clean(np.random.default_rng(1), 365, "1d", equity=True), "1d", symbol="AAA")
        series = store(rows)
        look(series)
        series.refresh_from_db()
        assert series.gaps == 52
        return series

    def test_may_be_said_later_by_a_program(self, share, api):
        answer = api.patch("/api/v1/market/instruments/AAA/", {"asset_class": "equity"})
        assert answer.status_code == 200, answer.content
        assert look(share) == 1
        share.refresh_from_db()
        assert (share.gaps, share.missing) == (0, 0)
        in_steps = known(share)
        look(share, whole=True)
        assert known(share) == in_steps

    def test_may_be_said_later_by_staff(self, share, admin_client):
        obj = Instrument.objects.get(symbol="AAA")
        url = reverse("admin:market_instrument_edit", args=[obj.pk])
        form = {"symbol": "AAA", "asset_class": "equity", "active": "on"}
        assert admin_client.post(url, form).status_code == 302
        assert look(share) == 1
        share.refresh_from_db()
        assert share.gaps == 0

    def test_may_be_said_later_by_a_file(self, share):
        rows = Dataset(["AAA", "equity"], headers=["symbol", "asset_class"])
        InstrumentResource().import_data(rows, dry_run=True, raise_errors=True)
        assert look(share) == 0
        InstrumentResource().import_data(rows, raise_errors=True)
        assert look(share) == 1
        share.refresh_from_db()
        assert share.gaps == 0

    def test_costs_nothing_while_its_rules_stay(self, share, api):
        assert api.patch("/api/v1/market/instruments/AAA/", {"sector": "Tech"}).status_code == 200
        assert look(share) == 0

    def test_names_the_source_that_others_are_compared_with(self, api):
        candles = clean(np.random.default_rng(2), 1_500, "1h")
        wrong = Candles(*(column.copy() for column in candles))
        for column in wrong[1:5]:
            column[200:210] *= 1.2
        one = store(rows_of(candles, "1h", source="a"))
        other = store(rows_of(wrong, "1h", source="b"))
        look(one, other)
        url = "/api/v1/market/instruments/ETH%2FBTC/"
        assert api.patch(url, {"primary_source": "b"}).status_code == 200
        look(one, other)
        defect = CandleDefect.objects.get()
        assert (defect.series_id, defect.kind) == (one.pk, "spread")


class TestPeers:
    def test_tell_those_that_were_looked_at_before_them(self):
        candles = clean(np.random.default_rng(2), 200, "1d", equity=True)
        there = np.arange(len(candles.start)) != 52
        lacking = Candles(*(column[there] for column in candles))
        for symbol in "ABC":
            Instrument.objects.create(symbol=symbol, asset_class="equity")
        first = store(rows_of(lacking, "1d", symbol="A"))
        others = [store(rows_of(candles, "1d", symbol=symbol)) for symbol in "BC"]
        assert health.check_health(now=LATER) == 3
        assert not CandleDefect.objects.exists()

        assert health.check_health(now=LATER + HOUR) == 2
        gap = CandleDefect.objects.get()
        assert (gap.series_id, gap.start) == (first.pk, moment(candles.start[52]))
        # All is said, and nobody looks again and again.
        assert health.check_health(now=LATER + 2 * HOUR) == 0
        assert look(first, *others, whole=True) == 3
        assert health.check_health(now=LATER + 4 * HOUR) == 0


class TestAccepted:
    def test_stays_what_is_left_of_a_gap(self):
        rows = rows_of(clean(np.random.default_rng(1), 300, "1h"), "1h")
        series = store(rows[:100] + rows[110:150] + rows[152:])
        look(series)
        chosen = CandleDefect.objects.filter(start=rows[100].timestamp)
        assert health.accept_defects(chosen, by="ann", now=LATER) == 1
        # From both ends and in the middle; and another gap, of which nobody said anything.
        store([rows[100], rows[105], rows[109], rows[150]])
        look(series)
        left = series.defects.order_by("start").values_list("candles", "accepted_by")
        assert list(left) == [(4, "ann"), (3, "ann"), (1, "")]
        series.refresh_from_db()
        assert series.gaps == 1


class TestPieces:
    def test_do_not_give_up_while_a_candle_is_stored(self, monkeypatch):
        store(rows_of(clean(np.random.default_rng(1), 3_000, "1h"), "1h"))
        monkeypatch.setattr(looking, "PIECE", 20)
        really, waits = checking.check_piece, []

        def noted(pk, *, wait, **values):
            waits.append(wait)
            return really(pk, wait=wait, **values)

        monkeypatch.setattr(checking, "check_piece", noted)
        assert health.check_health(now=LATER) == 1
        # At first others may be at it; in the middle it is ours.
        assert (waits[0], set(waits[1:])) == (False, {True})

    def test_of_a_peer_that_is_half_looked_at_say_nothing_of_the_other_half(self, monkeypatch):
        candles = clean(np.random.default_rng(2), 24 * 120, "1h", equity=True)
        for symbol in "ABCD":
            Instrument.objects.create(symbol=symbol, asset_class="equity")
        whole, *halves = (store(rows_of(candles, "1h", symbol=symbol)) for symbol in "ABC")
        look(whole)
        monkeypatch.setattr(looking, "PIECE", 20)
        for half in halves:
            checking.check_one(half.pk, now=LATER, until=0)
        monkeypatch.undo()
        day = 100 + int(candles.start[0]) // DAY
        there = candles.start // DAY != day
        share = store(rows_of(Candles(*(column[there] for column in candles)), "1h", symbol="D"))
        look(share)
        gap = CandleDefect.objects.get(kind=DefectKind.GAP)
        assert (gap.series_id, gap.start) == (share.pk, moment(day * DAY))


class TestBackfill:
    def test_does_not_say_what_a_venue_lacks_before_all_was_heard(self, monkeypatch):
        rows = rows_of(clean(np.random.default_rng(4), 700, "1h"), "1h")
        store([row._replace(source="old") for row in rows])
        series = store(rows[:100] + rows[400:])
        make_feed(symbol="ETH/BTC", source="venue", granularity="1h", options={"source": "old"})
        now = rows[-1].timestamp + HOUR
        health.check_series(series_ids=[series.pk], now=now)
        believable = working.believable_rows
        monkeypatch.setattr(working, "believable_rows", lambda *values: believable(*values)[:6])
        run = backfill.plan_backfill(series_ids=[series.pk], by="ann", now=now)
        while backfill.work(clock=lambda: now, joined=lambda: None):
            pass
        step = run.steps.get(stage=0)
        assert (step.status, step.reason) == (StepStatus.FAILED_INSUFFICIENT_DATA, "not_believed")
        gap = CandleDefect.objects.get(series=series)
        # What came is kept, and of the rest nothing is told.
        assert (gap.candles, gap.detail) == (200, "")


class TestCommand:
    def test_shows_names_as_they_are(self):
        rows = rows_of(clean(np.random.default_rng(1), 30, "1h"), "1h", symbol="[/x]", source="[b]")
        store(rows)
        out = StringIO()
        call_command("check_candles", stdout=out)
        assert "[/x]" in out.getvalue()
        assert "[b]" in out.getvalue()
