"""Judging again, after candles came late."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.alerts.services import rejudge_alerts
from apps.market.models import Candle
from tests.alerts.rows import (
    HOUR,
    LATER,
    NOON,
    candle,
    closing_at,
    performance,
    prices,
    raised,
    store,
    tick,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def alert():
    """An alert whose candle at 24 h never came; the one at 72 h is below its threshold."""
    alert_id = raised(target_price=120)
    closes = {0: 100, 1: 101, 3: 102, 72: 104}
    store(*(closing_at(NOON + h * HOUR, close) for h, close in closes.items()))
    tick()
    return alert_id


def rejudged(**narrowed):
    return {each.alert_id: each.changes for each in rejudge_alerts(now=LATER, **narrowed)}


class TestRejudgeAlerts:
    def test_changes_nothing_when_nothing_came(self, alert):
        before = performance(alert).updated_at

        assert rejudged() == {}
        assert performance(alert).updated_at == before

    def test_fills_in_what_was_missing_and_says_so(self, alert):
        store(closing_at(NOON + 24 * HOUR, 106))

        assert rejudged() == {
            alert: {
                "price after 24 h": ("missing", 106),
                "is_success": (False, True),
                "max_gain": (4, 6),
                "checkpoint_max_gain": (4, 6),
                "final_return_24h": (None, 6),
            }
        }
        assert prices(alert)[24] == 106
        assert rejudged() == {}

    def test_keeps_the_moment_of_the_first_settlement(self, alert):
        store(closing_at(NOON + 24 * HOUR, 106))

        list(rejudge_alerts(now=LATER + HOUR))

        assert performance(alert).settled_at == LATER

    def test_takes_over_corrected_candles(self, alert):
        Candle.objects.filter(close=104).update(close=119, high=121)

        changed = rejudged()[alert]

        assert changed["first_touch"] == ("none", "target")
        assert changed["price after 72 h"] == (104, 119)

    def test_takes_no_price_back(self, alert):
        Candle.objects.filter(close=101).delete()

        rejudged()

        assert prices(alert)[1] == 101

    def test_finds_an_entry_that_was_missing(self):
        alert = raised(entry_price=None)
        store(*(closing_at(NOON + h * HOUR, 100 + h) for h in (1, 3, 24, 72)))
        tick()
        store(closing_at(NOON, 100))

        changed = rejudged()[alert]

        assert changed["entry_price"] == (None, 100)
        assert changed["is_success"] == (None, True)
        assert performance(alert).evaluation_note == ""

    def test_reopens_only_what_a_new_checkpoint_leaves_open(self, alert, settings):
        settings.ALERT_CHECKPOINT_HOURS = [1, 3, 24, 72, 500]
        store(candle(NOON + 100 * HOUR, 100))

        changed = rejudged()[alert]

        assert changed["status"] == ("settled", "open")
        assert performance(alert).settled_at is None

    def test_looks_only_at_what_is_asked(self, alert):
        store(closing_at(NOON + 24 * HOUR, 106))

        assert rejudged(symbol="ETH/USD") == {}
        assert rejudged(since=NOON + HOUR) == {}
        assert list(rejudged(symbol="BTC/USD", since=NOON)) == [alert]


class TestTheCommand:
    def output(self, *arguments):
        out = StringIO()
        call_command("rejudge_alerts", *arguments, stdout=out)
        return out.getvalue()

    def test_prints_what_it_changed(self, alert):
        store(closing_at(NOON + 24 * HOUR, 106))

        printed = self.output()

        assert f"{alert}  " in printed
        assert "price after 24 h: missing → 106" in printed
        assert "is_success: False → True" in printed
        assert "1 alert(s) changed." in printed

    def test_says_when_nothing_changed(self, alert):
        assert self.output("--symbol", "BTC/USD", "--since", "2026-01-01") == "Nothing changed.\n"

    def test_refuses_what_is_no_time(self):
        with pytest.raises(CommandError, match="no time"):
            self.output("--since", "yesterday")
